//! Changes since a watermark, from the change log. The first round reads the existing rows; writes during that round
//! get later numbers and come in the next one. Numbers are assigned in the order of commits (`Session::begin`), so no
//! change appears later with a lower number.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use uuid::Uuid;

use crate::domain::contact::{Contact, DEFAULT_FOLDER};
use crate::domain::error::Error;
use crate::domain::folder::Folder;
use crate::domain::query::cursor::{Anchor, Cursor};
use crate::domain::sync::{SyncState, Watermark};
use crate::metrics::list::Query;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::query::listing;
use crate::store::tables::contacts::{read, select_columns};
use crate::store::tables::folders;
use crate::store::{Listing, Store};
use crate::trace;

/// Approximate maximum size of a page as JSON, in bytes, unless its first contact is larger.
const MAX_PAGE_BYTES: i64 = 4 << 20;

/// The scope of a delta query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeltaScope {
    /// The contacts of one folder, or of all.
    Contacts(Option<String>),
    /// All folders, with the default one if `true`.
    Folders(bool),
}

/// A changed or a removed item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Change {
    Contact(Box<Contact>),
    Folder(Folder),
    /// The id of an item that was deleted, or moved out of the scope.
    Gone(String, RemovalReason),
}

/// Why an item was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalReason {
    /// It is in another folder now.
    Moved,
    /// It was deleted.
    Deleted,
}

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Each item once, in the order of the last changes.
    pub changes: Vec<Change>,
    /// The start of the next page, or of the next round.
    pub progress: SyncState,
    /// Whether more pages follow in this round.
    pub more: bool,
}

/// The identity of a database's history of changes, and the key that signs its tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Changes when the log does not continue the earlier one.
    pub epoch: Uuid,
    /// A secret.
    pub key: String,
}

impl Store {
    /// The history of changes.
    pub fn history(&self) -> &History {
        &self.shared.history
    }

    /// The current watermark of a mailbox. With a path of ids, the folder at its end must exist.
    ///
    /// # Errors
    /// As [`Store::folder`].
    pub async fn watermark(&self, mailbox: i64, path: &[String]) -> Result<Watermark, Error> {
        let read = async |session: &mut Session| {
            check_folder(session, mailbox, path).await?;
            read_watermark(session, mailbox, None).await
        };
        self.read_mailbox(mailbox, None, read).await
    }

    /// The changes since a sync state; without one, all existing items. A page has at most the given size, and ends
    /// early at about 4 MiB. The log may no longer have changes before `kept_since` (UTC microseconds).
    ///
    /// # Errors
    /// As [`Store::watermark`]; [`Error::OutOfSync`] if the log does not continue from there.
    pub async fn delta(
        &self,
        mailbox: i64,
        path: &[String],
        scope: &DeltaScope,
        since: Option<&SyncState>,
        size: u16,
        kept_since: i64,
    ) -> Result<Delta, Error> {
        let _timed = trace::question(Query::Delta);
        let page = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let folder = check_folder(session, mailbox, path).await?;
            // The default folder has several names, so the path may end in one that is not its id.
            let scope = &match (scope, folder) {
                (DeltaScope::Contacts(Some(_)), Some(folder)) => DeltaScope::Contacts(Some(folder)),
                (scope, _) => scope.clone(),
            };
            let now = read_watermark(session, mailbox, None).await?;
            match since {
                None => existing_page(session, mailbox, scope, now, "", size).await,
                Some(SyncState::Reads(then, after)) => {
                    check_watermark(session, mailbox, now, *then, kept_since).await?;
                    existing_page(session, mailbox, scope, *then, after, size).await
                }
                Some(SyncState::Knows(then)) => {
                    check_watermark(session, mailbox, now, *then, kept_since).await?;
                    changed_page(session, mailbox, scope, *then, now, size).await
                }
            }
        };
        self.read_mailbox(mailbox, None, page).await
    }
}

/// The id of the folder at the end of a path; `None` without a path.
///
/// # Errors
/// As [`Store::folder`].
async fn check_folder(session: &mut Session, mailbox: i64, path: &[String]) -> Result<Option<String>, Error> {
    if path.is_empty() {
        return Ok(None);
    }
    session.begin_snapshot().await?;
    Ok(Some(folders::get(session, mailbox, path).await?.id))
}

/// The current watermark of a mailbox, or the one it had at this number.
async fn read_watermark(session: &mut Session, mailbox: i64, then: Option<i64>) -> Result<Watermark, Error> {
    let text = "
select m.seq, c.seq, c.changed_date_time
from mailboxes m left join changes c on c.mailbox = m.id
    and c.seq = (select max(seq) from changes where mailbox = m.id and seq <= coalesce($2, m.seq) and not kept)
where m.id = $1";
    let row = session.row(Statement::new(text).bind(mailbox).bind(then)).await?;
    let row = row.ok_or_else(|| Error::internal("the mailbox is gone"))?;
    let entry = (row.get::<Option<i64>>(1)?.unwrap_or_default(), row.get::<Option<i64>>(2)?.unwrap_or_default());
    Ok(Watermark { seq: row.get(0)?, entry })
}

/// Checks that the watermark belongs to the current log: the log has the same entry, unless that is so old that it may
/// have been purged.
///
/// # Errors
/// [`Error::OutOfSync`]
async fn check_watermark(
    session: &mut Session,
    mailbox: i64,
    now: Watermark,
    then: Watermark,
    kept_since: i64,
) -> Result<(), Error> {
    let found = read_watermark(session, mailbox, Some(then.seq)).await?.entry;
    let purged = found == (0, 0) && then.entry.1 < kept_since;
    if now.seq >= then.seq && (found == then.entry || purged) {
        return Ok(());
    }
    Err(Error::OutOfSync("The token belongs to another history of changes, or is ahead of this one.", String::new()))
}

/// A page of the existing rows, by id.
async fn existing_page(
    session: &mut Session,
    mailbox: i64,
    scope: &DeltaScope,
    begun: Watermark,
    after: &str,
    size: u16,
) -> Result<Delta, Error> {
    let (changes, last): (Vec<_>, Option<String>) = match scope {
        DeltaScope::Contacts(folder) => {
            let id = Uuid::try_parse(after).ok();
            let after = id.map(|id| Cursor { shown: vec![Anchor { id, hash: 0 }], keys: Vec::new() });
            let listing = Listing { folder: folder.clone(), size, after, ..Listing::default() };
            let page = listing::page(session, mailbox, &listing).await?;
            let last = page.next.and_then(|next| Some(next.shown.first()?.id.to_string()));
            (page.contacts.into_iter().map(|contact| Change::Contact(Box::new(contact))).collect(), last)
        }
        DeltaScope::Folders(with_default) => {
            let text = "
select c.id, c.parent_folder_id, c.display_name, c.version, c.created_date_time, c.last_modified_date_time
from folders c where c.mailbox = $1 and c.id > $2 and c.deleted_date_time is null and (c.id <> $3 or $4)
order by c.id limit $5";
            let statement = Statement::new(text).bind(mailbox).bind(after).bind(DEFAULT_FOLDER).bind(*with_default);
            let rows = session.rows(statement.bind(i64::from(size) + 1)).await?;
            let mut found = rows.iter().map(folders::read).collect::<Result<Vec<_>, _>>()?;
            let more = found.len() > usize::from(size);
            found.truncate(size.into());
            let last = found.last().filter(|_| more).map(|folder| folder.id.clone());
            (found.into_iter().map(Change::Folder).collect(), last)
        }
    };
    let more = last.is_some();
    let progress = last.map_or(SyncState::Knows(begun), |last| SyncState::Reads(begun, last));
    Ok(Delta { changes, progress, more })
}

/// A page of changes: the next entries of the log, with the current state of their contacts or folders.
async fn changed_page(
    session: &mut Session,
    mailbox: i64,
    scope: &DeltaScope,
    then: Watermark,
    now: Watermark,
    size: u16,
) -> Result<Delta, Error> {
    let select = Sql::new(
        "select l.seq, l.changed_date_time, l.folder_id, l.contact_id, coalesce(c.size, 0)
from changes l left join contacts c on c.mailbox = l.mailbox and c.id = l.contact_id where not l.of_card and l.mailbox = ",
    );
    let select = select.value(mailbox).text(" and l.seq > ").value(then.seq).text(" and l.seq <= ").value(now.seq);
    let select = match scope {
        DeltaScope::Contacts(None) => select.text(" and l.contact_id is not null"),
        DeltaScope::Contacts(Some(folder)) => {
            select.text(" and l.contact_id is not null and l.folder_id = ").value(folder.clone())
        }
        DeltaScope::Folders(true) => select.text(" and l.contact_id is null"),
        DeltaScope::Folders(false) => {
            select.text(" and l.contact_id is null and l.folder_id <> ").value(DEFAULT_FOLDER.to_owned())
        }
    };
    let rows = session.rows(select.text(" order by l.seq limit ").value(i64::from(size) + 1).into()).await?;
    let (mut ids, mut bytes, mut last) = (Vec::new(), 0, None::<Watermark>);
    for row in rows.iter().take(size.into()) {
        bytes += row.get::<i64>(4)?;
        if bytes > MAX_PAGE_BYTES && last.is_some() {
            break;
        }
        let seq = row.get(0)?;
        last = Some(Watermark { seq, entry: (seq, row.get(1)?) });
        ids.push(match row.get::<Option<Uuid>>(3)? {
            Some(contact) => contact.to_string(),
            None => row.get(2)?,
        });
    }
    let more = ids.len() < rows.len();
    // An item that changed more than once counts at its last place.
    let mut seen = HashSet::new();
    ids = ids.into_iter().rev().filter(|id| seen.insert(id.clone())).collect();
    ids.reverse();
    let changes = match scope {
        DeltaScope::Contacts(folder) => contacts_now(session, mailbox, folder.as_deref(), &ids).await?,
        DeltaScope::Folders(_) => folders_now(session, mailbox, &ids).await?,
    };
    Ok(Delta { changes, progress: SyncState::Knows(last.filter(|_| more).unwrap_or(now)), more })
}

async fn contacts_now(
    session: &mut Session,
    mailbox: i64,
    folder: Option<&str>,
    ids: &[String],
) -> Result<Vec<Change>, Error> {
    let from = "
from contacts c left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id
where c.deleted_date_time is null and c.mailbox = ";
    let select = select_columns().text(from).value(mailbox).then(emptying::is_in_none(mailbox)).text(" and c.id in (");
    let simple: Vec<_> = ids.iter().filter_map(|id| Some(Uuid::try_parse(id).ok()?.simple().to_string())).collect();
    let select =
        select.per_engine("select unhex(value) from json_each(", "select value::uuid from jsonb_array_elements_text(");
    let select = select.value(json!(simple).to_string()).per_engine("))", "::text::jsonb) as ids (value))");
    let rows = session.rows(select.into()).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let contact = read(row)?;
        found.insert(contact.id.to_string(), contact);
    }
    let current = |id: &String| match found.remove(id) {
        Some(contact) if folder.is_none_or(|folder| folder == contact.parent_folder_id) => {
            Change::Contact(Box::new(contact))
        }
        Some(_) => Change::Gone(id.clone(), RemovalReason::Moved),
        None => Change::Gone(id.clone(), RemovalReason::Deleted),
    };
    Ok(ids.iter().map(current).collect())
}

async fn folders_now(session: &mut Session, mailbox: i64, ids: &[String]) -> Result<Vec<Change>, Error> {
    let select = Sql::new(
        "select c.id, c.parent_folder_id, c.display_name, c.version, c.created_date_time, c.last_modified_date_time
from folders c where c.deleted_date_time is null and c.mailbox = ",
    );
    let select = select.value(mailbox).text(" and c.id in (");
    let select = select.per_engine("select value from json_each(", "select value from jsonb_array_elements_text(");
    let select = select.value(json!(ids).to_string()).per_engine("))", "::text::jsonb) as ids (value))");
    let rows = session.rows(select.into()).await?;
    let found = rows.iter().map(folders::read).collect::<Result<Vec<_>, _>>()?;
    let current = |id: &String| match found.iter().find(|folder| folder.id == *id) {
        Some(folder) => Change::Folder(folder.clone()),
        None => Change::Gone(id.clone(), RemovalReason::Deleted),
    };
    Ok(ids.iter().map(current).collect())
}
