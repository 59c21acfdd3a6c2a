//! The store: contacts of many mailboxes in one database, SQLite or PostgreSQL. The only code that names sqlx.
//!
//! Reads go to connections that cannot write; writes go to the one writer, which answers after the commit. Every write
//! records a change (`changes`) in its own transaction.

mod db;
mod jobs;
mod kit;
mod query;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod write;

use crate::clock;
use crate::store::jobs::purge;
use crate::store::query::{folder_listing, listing};
use crate::store::tables::{contacts, expanded, folders, new_contacts, rights, users};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::Expand;
use crate::domain::contact::patch::ContactPatch;
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::folder::{Folder, FolderPatch};
use crate::domain::user::{self, User, UserName};
use crate::metrics::list::Query;
pub use crate::store::db::backup::backup;
pub use crate::store::db::check::{Verify, check};
use crate::store::db::cluster::Cluster;
pub use crate::store::db::cluster::PostgresUrl;
pub use crate::store::db::database::Database;
use crate::store::db::engine::Session;
pub use crate::store::db::faults::OpenError;
pub use crate::store::db::health::Finding;
pub use crate::store::db::lock::{Lock, LockError};
pub use crate::store::db::migrate::{Pending, schema_version};
pub use crate::store::db::open::Options;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::probe::ProbeConnection;
use crate::store::db::readers::Readers;
pub use crate::store::db::restore::restore;
use crate::store::db::snapshot::Snapshot;
pub use crate::store::db::upgrade::{Rehearsed, Upgraded, pending, rehearse, upgrade};
pub(crate) use crate::store::jobs::copy::state::KeptState;
pub use crate::store::jobs::copy::{Copied, CopyProgress, CopyTarget, copy};
pub(crate) use crate::store::jobs::leases::{Attempts, Due, LeasedSubscription};
pub use crate::store::query::book_changes::BookChanges;
pub use crate::store::query::books::{Book, ListedCard, WholeCard};
pub use crate::store::query::delta::{Change, Delta, DeltaScope, History, RemovalReason};
pub use crate::store::query::folder_listing::FolderListing;
pub use crate::store::query::listing::{Listing, Page};
pub use crate::store::query::pager::{SortedPage, Sorting};
pub use crate::store::query::tested::{TestedCard, TestedContent};
pub use crate::store::tables::accounts::Account;
pub use crate::store::tables::audit_log::{AuditEntry, AuditQuery};
pub use crate::store::tables::card_writes::{CardChange, PhotoChange, PutCard};
pub use crate::store::tables::dav_properties::{DavChanges, DavProperty, MAX_VALUE as MAX_DAV_VALUE};
pub use crate::store::tables::exports::{ExportPage, Exported};
pub use crate::store::tables::idempotency::IdempotencyKey;
pub use crate::store::tables::identities::KnownIdentity;
use crate::store::tables::new_contacts::{Created, New};
pub use crate::store::tables::photos::Chunks;
use crate::store::tables::rights::AccessKind;
pub use crate::store::tables::rights::Actor;
pub use crate::store::tables::seeding::{SeedContact, SeedFolder, SeedShare, SeedUser, SeededUser};
pub use crate::store::tables::shares::Share;
pub use crate::store::tables::tokens::{Bearer, NewToken, Token, TokenFacts};
use crate::store::write::creates::Creates;
use crate::store::write::tx::Tx;
use crate::store::write::writer::Writer;
use crate::trace::{self, Current};

/// Maximum number of cached users.
const MAX_CACHED_USERS: usize = 10_000;

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<SharedStore>,
    /// The actor of all work; without one, the program itself.
    actor: Option<Arc<Actor>>,
    /// All reads are of this snapshot, see [`Store::in_snapshot`].
    snapshot: Option<Arc<Snapshot>>,
}

struct SharedStore {
    writer: RwLock<Option<Arc<Writer>>>,
    /// Is notified when the writer has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    readers: Readers,
    probe: ProbeConnection,
    creates: Creates,
    history: History,
    options: Options,
    users: RwLock<CachedUsers>,
    location: StoreLocation,
    /// The background purge, which runs until this is dropped.
    purging: Mutex<Option<purge::PurgeHandle>>,
    /// Is notified of every change of a mailbox.
    written: Notify,
}

/// The location of a store's data.
enum StoreLocation {
    File(Arc<OpenedDatabase>),
    Cluster(Arc<Cluster>),
}

impl StoreLocation {
    /// A number that changes when earlier reads may have been of lost data, after a failover.
    fn term(&self) -> usize {
        match self {
            Self::File(_) => 0,
            Self::Cluster(cluster) => cluster.term(),
        }
    }
}

/// See [`Store::gather`].
pub struct Gathering(Store);

impl Drop for Gathering {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        shared.creates.release(self.0.writer().as_deref(), shared.options.max_folders);
    }
}

/// Cached users, by key, of one term. The rights are read from the database with each call; the cache saves one statement per
/// request, which would find the mailbox of the named user.
#[derive(Default)]
struct CachedUsers {
    term: usize,
    users: HashMap<String, User>,
}

impl Store {
    /// The user of this name, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_user(&self, name: &UserName) -> Result<Option<User>, Error> {
        self.find_user_called(name.as_str()).await
    }

    /// The user of this name or id, if there is one. The name of an identity provider's user may have any characters.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_user_called(&self, name: &str) -> Result<Option<User>, Error> {
        if !user::is_name(name) {
            return Ok(None);
        }
        let key = user::key(name);
        let term = self.shared.location.term();
        if let Some(user) = self.cached_user(term, &key) {
            return Ok(Some(user));
        }
        let user =
            self.without_actor().read_essential(async |session: &mut Session| users::find(session, name).await).await?;
        // The name of an identity provider's user may become another's at any time.
        if let Some(user) = user.as_ref().filter(|user| !user.is_of_provider()) {
            self.cache_user(term, key, user);
        }
        Ok(user)
    }

    /// Removes a user from the cache.
    pub fn forget_user(&self, name: &str) {
        self.shared.users.write().unwrap_or_else(PoisonError::into_inner).users.remove(&user::key(name));
    }

    /// Removes all users from the cache.
    pub(crate) fn forget_users(&self) {
        self.shared.users.write().unwrap_or_else(PoisonError::into_inner).users.clear();
    }

    fn cached_user(&self, term: usize, key: &str) -> Option<User> {
        let cached = self.shared.users.read().unwrap_or_else(PoisonError::into_inner);
        cached.users.get(key).filter(|_| cached.term == term).cloned()
    }

    fn cache_user(&self, term: usize, key: String, user: &User) {
        clock::introduce(user.mailbox, &user.id);
        let mut cached = self.shared.users.write().unwrap_or_else(PoisonError::into_inner);
        if cached.term != term || cached.users.len() >= MAX_CACHED_USERS {
            *cached = CachedUsers { term, users: HashMap::new() };
        }
        cached.users.insert(key, user.clone());
    }

    /// The user of this name, created with an empty mailbox if there is none.
    ///
    /// # Errors
    /// [`Error::Quota`] above 100,000 users, [`Error::Denied`] if the name is that of an identity provider's user, else
    /// those of the database.
    pub async fn user(&self, name: &UserName) -> Result<User, Error> {
        if let Some(user) = self.find_user(name).await? {
            return users::check_local(user);
        }
        let (term, key, name) = (self.shared.location.term(), name.key(), name.clone());
        let user = self.write(None, async move |tx| users::ensure(tx, &name).await).await?;
        self.cache_user(term, key, &user);
        Ok(user)
    }

    /// The contact with this id, in the folder at the end of a path of ids or, without one, in any folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it is deleted or in another folder.
    pub async fn contact(&self, mailbox: i64, path: &[String], id: Uuid) -> Result<Contact, Error> {
        self.contact_with(mailbox, path, id, &Expand::default()).await
    }

    /// The same, with the expanded properties.
    ///
    /// # Errors
    /// As [`Store::contact`].
    pub async fn contact_with(
        &self,
        mailbox: i64,
        path: &[String],
        id: Uuid,
        expand: &Expand,
    ) -> Result<Contact, Error> {
        let _timed = trace::question(if expand.is_empty() { Query::Get } else { Query::Expand });
        let get = async |session: &mut Session| {
            if !expand.is_empty() {
                session.begin_snapshot().await?;
            }
            let contact = contacts::get(session, mailbox, path, id).await?;
            expanded::expand_contact(session, mailbox, contact, expand).await
        };
        self.read(get).await
    }

    /// A page of contacts.
    ///
    /// They may come from a standby that has the mailbox's change `at_least`; without a number, from one that has its
    /// last.
    ///
    /// # Errors
    /// 400 for a cursor of another order, else those of the database.
    pub async fn contacts(&self, mailbox: i64, listing: &Listing, at_least: Option<i64>) -> Result<Page, Error> {
        let _timed = trace::question(listing.metric());
        let page = async |session: &mut Session| listing::page(session, mailbox, listing).await;
        self.read_mailbox(mailbox, at_least, page).await
    }

    /// The number of contacts on all pages of a listing. A standby may answer, as with [`Store::contacts`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&self, mailbox: i64, listing: &Listing, at_least: Option<i64>) -> Result<i64, Error> {
        let _timed = trace::question(Query::Count);
        let count = async |session: &mut Session| listing::count(session, mailbox, listing).await;
        self.read_mailbox(mailbox, at_least, count).await
    }

    /// Creates a contact in the folder that it names, or in the default one. The folder is created if it does not exist.
    ///
    /// # Errors
    /// [`Error::Quota`] if the mailbox has the maximum number of folders, else those of the database.
    pub async fn insert(&self, mailbox: i64, new: ContactPatch) -> Result<Contact, Error> {
        Ok(self.create(New { actor: self.actor.clone(), ..New::of(mailbox, new) }).await?.contact)
    }

    /// Creates a contact in the folder at the end of a path of ids. A folder that the contact names is ignored.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such folder, else those of the database.
    pub async fn insert_in(&self, mailbox: i64, folder: &[String], new: ContactPatch) -> Result<Contact, Error> {
        if folder.len() > 1 {
            self.folder(mailbox, folder).await?;
        }
        let folder = folder.last().cloned();
        Ok(self.create(New { actor: self.actor.clone(), folder, ..New::of(mailbox, new) }).await?.contact)
    }

    async fn create(&self, new: New) -> Result<Created, Error> {
        let writer = self.writer()?;
        let created = self.shared.creates.create(&writer, self.shared.options.max_folders, new).await;
        self.shared.written.notify_one();
        created
    }

    /// Delays creates until it is dropped, so that they share a commit.
    pub fn gather(&self) -> Gathering {
        self.shared.creates.hold();
        Gathering(self.clone())
    }

    /// Creates many contacts in one transaction: all or none. Other writes wait meanwhile, so hand in some hundreds
    /// at a time.
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub async fn insert_many(&self, mailbox: i64, new: Vec<ContactPatch>) -> Result<Vec<Contact>, Error> {
        let max_folders = self.shared.options.max_folders;
        let new = new.into_iter().map(|patch| New::of(mailbox, patch)).collect();
        let work = async move |tx: &mut Tx| new_contacts::insert(tx, new, max_folders).await;
        Ok(self.write(Some(mailbox), work).await?.into_iter().map(|created| created.contact).collect())
    }

    /// Applies a patch. An empty one changes nothing, not even the version.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact or the folder it is to move to, [`Error::Stale`] when a precondition fails.
    pub async fn update(
        &self,
        mailbox: i64,
        folder_path: &[String],
        id: Uuid,
        patch: ContactPatch,
        expected: Preconditions,
    ) -> Result<Contact, Error> {
        let folder_path = folder_path.to_vec();
        let work = async move |tx: &mut Tx| contacts::update(tx, mailbox, &folder_path, id, patch, &expected).await;
        self.write(Some(mailbox), work).await
    }

    /// Marks a contact as deleted. Returns the number of that change.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn delete(&self, mailbox: i64, path: &[String], id: Uuid, expected: Preconditions) -> Result<i64, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| contacts::delete(tx, mailbox, &path, id, &expected).await;
        self.write(Some(mailbox), work).await
    }

    /// The folder at the end of a path of ids, each inside the one before it; the first may be anywhere.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one does not exist.
    pub async fn folder(&self, mailbox: i64, path: &[String]) -> Result<Folder, Error> {
        self.read(async |session: &mut Session| folders::get(session, mailbox, path).await).await
    }

    /// The folder with this name inside another; the oldest if there are several.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn child_named(&self, mailbox: i64, parent: &str, name: &str) -> Result<Folder, Error> {
        self.read(async |session: &mut Session| folders::child_named(session, mailbox, parent, name).await).await
    }

    /// A page of the folders inside the one at the end of a path.
    ///
    /// # Errors
    /// As [`Store::folder`]; 400 for a cursor of another order.
    pub async fn folders(
        &self,
        mailbox: i64,
        path: &[String],
        listing: &FolderListing,
    ) -> Result<SortedPage<Folder>, Error> {
        let page = async |session: &mut Session| folder_listing::page(session, mailbox, path, listing).await;
        self.read_expensive(Some(mailbox), page).await
    }

    /// Creates a folder inside the one at the end of a path. A parent that the folder names is ignored.
    ///
    /// # Errors
    /// As [`Store::folder`]; [`Error::FolderExists`] for a name that is taken there, [`Error::Quota`] at the limit.
    pub async fn create_folder(&self, mailbox: i64, path: &[String], new: FolderPatch) -> Result<Folder, Error> {
        let (path, max) = (path.to_vec(), self.shared.options.max_folders);
        let work = async move |tx: &mut Tx| folders::create(tx, mailbox, &path, new, max).await;
        self.write(Some(mailbox), work).await
    }

    /// Renames or moves the folder at the end of a path.
    ///
    /// # Errors
    /// As [`Store::folder`]; [`Error::FolderExists`] for a name that is taken there, [`Error::DefaultFolder`],
    /// [`Error::Cycle`] for a move into itself, [`Error::Stale`] when a precondition fails.
    pub async fn update_folder(
        &self,
        mailbox: i64,
        path: &[String],
        changes: FolderPatch,
        expected: Preconditions,
    ) -> Result<Folder, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| folders::update(tx, mailbox, &path, changes, &expected).await;
        self.write(Some(mailbox), work).await
    }

    /// Marks the folder at the end of a path as deleted, with everything inside it. Returns the number of the last change.
    ///
    /// # Errors
    /// As [`Store::folder`]; [`Error::DefaultFolder`], [`Error::Stale`] when a precondition fails.
    pub async fn delete_folder(&self, mailbox: i64, path: &[String], expected: Preconditions) -> Result<i64, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| folders::delete(tx, mailbox, &path, &expected, tx.now()).await;
        let (number, is_empty) = self.write(Some(mailbox), work).await?;
        if !is_empty {
            self.empty_folders(mailbox).await;
        }
        Ok(number)
    }

    /// Passes a write to the writer: of a mailbox, or of rows outside of mailboxes.
    async fn write<T, F>(&self, mailbox: Option<i64>, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let writer = self.writer()?;
        let done = match self.actor.clone() {
            None => writer.write(mailbox, work).await,
            Some(actor) => {
                let checked = async move |tx: &mut Tx| {
                    let now = tx.now();
                    rights::check(tx.reader().await?, &actor, AccessKind::Write, now).await?;
                    let done = work(tx).await?;
                    rights::record(tx, &actor).await?;
                    Ok(done)
                };
                writer.write(mailbox, checked).await
            }
        };
        if mailbox.is_some() {
            self.shared.written.notify_one();
        }
        done
    }

    /// The trace that the last of these changes of a mailbox is a part of, if a client of this process made it in one.
    pub(crate) fn cause(&self, mailbox: i64, numbers: impl DoubleEndedIterator<Item = i64>) -> Option<Arc<Current>> {
        self.writer().ok()?.carried().cause(mailbox, numbers)
    }

    fn writer(&self) -> Result<Arc<Writer>, Error> {
        let writer = self.shared.writer.read().unwrap_or_else(PoisonError::into_inner).clone();
        writer.ok_or_else(|| Error::unavailable("the store is closed"))
    }
}
