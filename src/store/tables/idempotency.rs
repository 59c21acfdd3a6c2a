//! Creates that take effect once, even if the request is repeated (docs/graph.md, "Repeated creates"). The key is
//! written in the transaction of the create. The writes of a mailbox are serialized across all processes, so the first
//! request with a key creates the item and the others find it.

use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::{ExpandSelection, Expanded};
use crate::domain::contact::patch::ContactPatch;
use crate::domain::error::Error;
use crate::domain::folder::{Folder, FolderPatch};
use crate::metrics::list::{PURGED, Purged};
use crate::store::Store;
use crate::store::db::statement::Statement;
use crate::store::tables::new_contacts::{self, New};
use crate::store::tables::{contacts, extensions, folders};
use crate::store::write::tx::Tx;

/// Lifetime of a key in microseconds: one day.
pub(in crate::store) const LIFETIME: i64 = 24 * 60 * 60 * 1_000_000;
/// Maximum number of keys of a mailbox.
const MAX_KEYS: i64 = 10_000;

/// The key by which a repeated create is recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key the client sent.
    pub key: String,
    /// A digest of the request. A different request must not use the key.
    pub request: String,
}

impl Store {
    /// Like [`Store::insert`] or, with a path of folders, [`Store::insert_in`]. If the create was done before, returns
    /// its contact as it is now.
    ///
    /// # Errors
    /// As these; [`Error::KeyReused`] if another request used the key, [`Error::NotFound`] if the contact was deleted
    /// since, [`Error::Quota`] if the mailbox has too many keys.
    pub async fn insert_once(
        &self,
        mailbox: i64,
        path: &[String],
        new: ContactPatch,
        key: IdempotencyKey,
    ) -> Result<Contact, Error> {
        let (path, max_folders) = (path.to_vec(), self.shared.options.max_folders);
        let work = async move |tx: &mut Tx| {
            if let Some(earlier) = find_earlier(tx, mailbox, &key).await? {
                let id = Uuid::try_parse(&earlier).map_err(Error::internal)?;
                let mut contact = contacts::get(tx.reader().await?, mailbox, &[], id).await?;
                if new.added.as_ref().is_some_and(|added| !added.extensions.is_empty()) {
                    let extensions =
                        Some(extensions::of_contact(tx.reader().await?, mailbox, id, &ExpandSelection::All).await?);
                    contact.expanded = Some(Box::new(Expanded { extensions, ..Expanded::default() }));
                }
                return Ok(contact);
            }
            if !path.is_empty() {
                folders::get(tx.reader().await?, mailbox, &path).await?;
            }
            // This job has checked the rights itself and writes the audit entry itself.
            let new = New { folder: path.last().cloned(), ..New::of(mailbox, new) };
            let contact = new_contacts::insert_one(tx, new, max_folders).await?;
            insert_key(tx, mailbox, &key, &contact.id.to_string()).await?;
            tx.set_created(contact.id.to_string());
            Ok(contact)
        };
        self.write(Some(mailbox), work).await
    }

    /// Like [`Store::create_folder`]. If the create was done before, returns its folder as it is now.
    ///
    /// # Errors
    /// As that and [`Store::insert_once`].
    pub async fn create_folder_once(
        &self,
        mailbox: i64,
        path: &[String],
        new: FolderPatch,
        key: IdempotencyKey,
    ) -> Result<Folder, Error> {
        let (path, max) = (path.to_vec(), self.shared.options.max_folders);
        let work = async move |tx: &mut Tx| {
            if let Some(earlier) = find_earlier(tx, mailbox, &key).await? {
                return folders::get(tx.reader().await?, mailbox, &[earlier]).await;
            }
            let folder = folders::create(tx, mailbox, &path, new, max).await?;
            insert_key(tx, mailbox, &key, &folder.id).await?;
            Ok(folder)
        };
        self.write(Some(mailbox), work).await
    }
}

/// The id of the item that an earlier request with this key created. Opens a savepoint for what follows.
///
/// # Errors
/// [`Error::KeyReused`]
async fn find_earlier(tx: &mut Tx, mailbox: i64, key: &IdempotencyKey) -> Result<Option<String>, Error> {
    tx.open_savepoint().await?;
    let text = "
select request, item_id from idempotency_keys where mailbox = $1 and key = $2 and created_date_time > $3";
    let statement = Statement::new(text).bind(mailbox).bind(&key.key).bind(tx.now() - LIFETIME);
    let Some(row) = tx.reader().await?.row(statement).await? else { return Ok(None) };
    if row.get::<String>(0)? == key.request { row.get(1).map(Some) } else { Err(Error::KeyReused) }
}

/// # Errors
/// [`Error::Quota`] if the mailbox has too many keys.
async fn insert_key(tx: &mut Tx, mailbox: i64, key: &IdempotencyKey, item: &str) -> Result<(), Error> {
    forget(tx, mailbox).await?;
    let count = Statement::new("select count(*) from idempotency_keys where mailbox = $1").bind(mailbox);
    let key_count: i64 = tx.reader().await?.row(count).await?.map_or(Ok(0), |row| row.get(0))?;
    if key_count >= MAX_KEYS {
        return Err(Error::Quota(format!("A mailbox has at most {MAX_KEYS} values of Idempotency-Key in 24 hours.")));
    }
    let text = "
insert into idempotency_keys (mailbox, key, request, item_id, created_date_time) values ($1, $2, $3, $4, $5)";
    let statement = Statement::new(text).bind(mailbox).bind(&key.key).bind(&key.request).bind(item);
    tx.execute(statement.bind(tx.now())).await
}

/// Removes the expired keys, and counts them.
pub(in crate::store) async fn purge(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    let text = "select count(*) from idempotency_keys where mailbox = $1 and created_date_time <= $2";
    let expired = Statement::new(text).bind(mailbox).bind(tx.now() - LIFETIME);
    let count = tx.reader().await?.count(expired).await?;
    PURGED.add(Purged::Keys, u64::try_from(count).unwrap_or_default());
    forget(tx, mailbox).await
}

/// Removes the expired keys.
async fn forget(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    let text = "delete from idempotency_keys where mailbox = $1 and created_date_time <= $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(tx.now() - LIFETIME)).await
}
