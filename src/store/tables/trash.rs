//! Deleted contacts. A deleted contact is in the trash until it is restored or purged (`purge`). A permanent deletion
//! removes the item from the API in one transaction. The rows of a contact are removed in the same transaction. The
//! content of a folder may be large, so it is marked with the deletion time 0, which is not in the trash, and removed
//! in pieces right after. If that is interrupted, the next purge continues.

use uuid::Uuid;

use crate::domain::contact::expand::Expand;
use crate::domain::contact::{Contact, DEFAULT_FOLDER};
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::contacts::{self, find};
use crate::store::tables::{cards, changes, counts, expanded, folders, quota};
use crate::store::write::tx::Tx;

/// The deletion time of rows that are deleted permanently and not yet removed.
pub(in crate::store) const PERMANENTLY: i64 = 0;

const IN_TRASH: &str = " and c.deleted_date_time > 0";

impl Store {
    /// The deleted contact with this id, with the expanded properties. Its deletion is its last modification.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist or is not deleted.
    pub async fn deleted_contact(&self, mailbox: i64, id: Uuid, expand: &Expand) -> Result<Contact, Error> {
        let read = async |session: &mut Session| {
            if !expand.is_empty() {
                session.begin_snapshot().await?;
            }
            let contact = find(session, mailbox, id, Sql::new(IN_TRASH)).await?;
            expanded::expand_contact(session, mailbox, contact, expand).await
        };
        self.read(read).await
    }

    /// Restores a deleted contact to its folder, or to the default folder if that is gone.
    ///
    /// # Errors
    /// As [`Store::deleted_contact`], and [`Error::Stale`] when a precondition fails.
    pub async fn restore(&self, mailbox: i64, id: Uuid, expected: Preconditions) -> Result<Contact, Error> {
        self.write(Some(mailbox), async move |tx| restore(tx, mailbox, id, &expected).await).await
    }

    /// Deletes a contact permanently, with everything that belongs to it. Returns the number of the change.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn delete_permanently(
        &self,
        mailbox: i64,
        path: &[String],
        id: Uuid,
        expected: Preconditions,
    ) -> Result<i64, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| {
            let contact = contacts::get(tx.reader().await?, mailbox, &path, id).await?;
            counts::count(tx, mailbox, &contact.parent_folder_id, -1).await?;
            delete_permanently(tx, mailbox, contact, &expected).await
        };
        self.write(Some(mailbox), work).await
    }

    /// The same for a contact in the trash.
    ///
    /// # Errors
    /// As [`Store::restore`].
    pub async fn delete_from_trash(&self, mailbox: i64, id: Uuid, expected: Preconditions) -> Result<i64, Error> {
        let work = async move |tx: &mut Tx| {
            let contact = find(tx.reader().await?, mailbox, id, Sql::new(IN_TRASH)).await?;
            delete_permanently(tx, mailbox, contact, &expected).await
        };
        self.write(Some(mailbox), work).await
    }

    /// Deletes the folder at the end of a path permanently, with everything inside it. Contacts that were deleted
    /// before stay in the trash; a restore puts them into the default folder. Returns the number of the last change.
    ///
    /// # Errors
    /// As [`Store::delete_folder`].
    pub async fn delete_folder_permanently(
        &self,
        mailbox: i64,
        path: &[String],
        expected: Preconditions,
    ) -> Result<i64, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| delete_folder(tx, mailbox, &path, &expected).await;
        let number = self.write(Some(mailbox), work).await?;
        self.empty_folders(mailbox).await;
        if let Err(error) = self.without_actor().purge_mailbox(mailbox, PERMANENTLY).await {
            // Nobody sees it any more; the next purge removes its rows.
            tracing::warn!(%error, "permanently deleted rows could not be removed yet");
        }
        Ok(number)
    }
}

async fn restore(tx: &mut Tx, mailbox: i64, id: Uuid, expected: &Preconditions) -> Result<Contact, Error> {
    let mut contact = find(tx.reader().await?, mailbox, id, Sql::new(IN_TRASH)).await?;
    expected.check(&contact.version_token())?;
    if !folders::exists(tx.reader().await?, mailbox, &contact.parent_folder_id).await? {
        DEFAULT_FOLDER.clone_into(&mut contact.parent_folder_id);
    }
    contact.sent_change_key = None;
    contact.last_modified_date_time = tx.now();
    // Two entries, as for a move: `notices` recognizes a restored contact by them.
    changes::record(tx, mailbox, &contact.parent_folder_id, Some(id), ChangeKind::Removed).await?;
    contact.version = changes::record(tx, mailbox, &contact.parent_folder_id, Some(id), ChangeKind::Written).await?;
    cards::restore_card(tx, mailbox, id, &contact.parent_folder_id, contact.version).await?;
    let size = i64::try_from(contact.size()).map_err(Error::internal)?;
    let statement = Statement::new("select size from contacts where mailbox = $1 and id = $2").bind(mailbox).bind(id);
    let before: i64 = tx.reader().await?.row(statement).await?.ok_or(Error::NotFound)?.get(0)?;
    // Deleted contacts count as well.
    quota::count(tx, mailbox, 0, size - before).await?;
    counts::count(tx, mailbox, &contact.parent_folder_id, 1).await?;
    let text = "
update contacts
set deleted_date_time = null, change_key = null, parent_folder_id = $3, last_modified_date_time = $4, version = $5,
    size = $6
where mailbox = $1 and id = $2";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(&contact.parent_folder_id).bind(tx.now());
    tx.execute(statement.bind(contact.version).bind(size)).await?;
    Ok(contact)
}

async fn delete_permanently(
    tx: &mut Tx,
    mailbox: i64,
    contact: Contact,
    expected: &Preconditions,
) -> Result<i64, Error> {
    expected.check(&contact.version_token())?;
    let number = changes::record(tx, mailbox, &contact.parent_folder_id, Some(contact.id), ChangeKind::Removed).await?;
    remove(tx, mailbox, &[contact]).await?;
    Ok(number)
}

pub(in crate::store) async fn delete_folder(
    tx: &mut Tx,
    mailbox: i64,
    path: &[String],
    expected: &Preconditions,
) -> Result<i64, Error> {
    let (number, _) = folders::delete(tx, mailbox, path, expected, PERMANENTLY).await?;
    let folder = path.last().map_or(DEFAULT_FOLDER, String::as_str);
    tx.execute(Statement::new(FORGET_DELETED_FOLDERS).bind(mailbox).bind(folder)).await?;
    Ok(number)
}

/// Moves some contacts in the trash out of folders that were deleted permanently, so that those can be removed. Returns
/// whether there may be more.
pub(in crate::store) async fn move_out_of_folders(tx: &mut Tx, mailbox: i64) -> Result<bool, Error> {
    let text = "
select id from contacts
where mailbox = $1 and deleted_date_time > 0
    and parent_folder_id in (select id from folders where mailbox = $1 and deleted_date_time = 0)
order by id limit $2";
    let rows = tx.reader().await?.rows(Statement::new(text).bind(mailbox).bind(emptying::PIECE)).await?;
    let Some(last) = rows.last() else { return Ok(false) };
    let last: Uuid = last.get(0)?;
    let text = "
update contacts set parent_folder_id = 'contacts'
where mailbox = $1 and deleted_date_time > 0 and id <= $2
    and parent_folder_id in (select id from folders where mailbox = $1 and deleted_date_time = 0)";
    tx.execute(Statement::new(text).bind(mailbox).bind(last)).await?;
    Ok(true)
}

/// The folder `$2` and all folders inside it that were deleted before.
const FORGET_DELETED_FOLDERS: &str = "
update folders set deleted_date_time = 0
where mailbox = $1 and deleted_date_time is not null and id in (
with recursive tree (id) as (
    select id from folders where mailbox = $1 and id = $2
    union all
    select f.id from folders f join tree on f.parent_folder_id = tree.id where f.mailbox = $1
)
select id from tree)";

/// Removes contacts with all their rows. The log keeps its entries.
pub(in crate::store) async fn remove(tx: &mut Tx, mailbox: i64, contacts: &[Contact]) -> Result<(), Error> {
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let (count, bytes) = quota::of_contacts(tx.reader().await?, mailbox, &ids).await?;
    quota::count(tx, mailbox, -count, -bytes).await?;
    cards::remove_texts(tx, mailbox, &ids).await?;
    let ids: Vec<_> = ids.iter().map(|id| id.as_simple().to_string()).collect();
    let ids = serde_json::to_string(&ids).map_err(Error::internal)?;
    // SQLite's search index has no foreign key (migrations, V3).
    let index = Sql::new("delete from words where rowid in (select row from searched where mailbox = ").value(mailbox);
    let index = index.text(" and contact_id in (select unhex(value) from json_each(").value(ids.clone()).text(")))");
    tx.execute(Sql::engine_specific(index, Sql::new("select 1")).into()).await?;
    let numbers = Sql::new("delete from searched where mailbox = ").value(mailbox);
    let numbers = numbers.text(" and contact_id in (select unhex(value) from json_each(").value(ids.clone()).text("))");
    tx.execute(Sql::engine_specific(numbers, Sql::new("select 1")).into()).await?;
    // All other rows of a contact, except its card's name, are removed by their foreign keys.
    let text = Sql::new("delete from contacts where mailbox = ").value(mailbox).text(" and id in (select ");
    let text = text.per_engine("unhex(value) from json_each(", "value::uuid from jsonb_array_elements_text(");
    tx.execute(text.value(ids).per_engine("))", "::text::jsonb) as ids (value))").into()).await
}
