//! The store: contacts of many mailboxes in one database. The only code that names sqlx.
//!
//! Reads go to a pool of connections that cannot write; writes go to the one writer, which answers after the
//! commit. Every write records a change (`changes`) in its own transaction.

mod changes;
mod contacts;
mod creates;
mod engine;
mod files;
mod folders;
mod migrate;
mod procedures;
mod rows;
#[cfg(test)]
mod tests;
mod users;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use sqlx::sqlite::SqlitePool;
use uuid::Uuid;

use crate::contact::Contact;
use crate::contact::patch::Patch;
use crate::error::Error;
use crate::fold::FOLDING;
use crate::odata::etag::Preconditions;
use crate::user::{User, UserName};
use contacts::New;
use creates::Creates;
use engine::{Session, Statement};
pub use files::backup;
use writer::Writer;

/// Most users remembered between requests.
const MAX_REMEMBERED: usize = 10_000;

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file, made if missing.
    File(PathBuf),
    /// `:memory:`: a private temporary file, removed when the store is closed.
    Temporary,
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("name a file, or :memory:".to_owned()),
            ":memory:" => Ok(Self::Temporary),
            url if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
                Err("PostgreSQL is not supported yet: name a file, or :memory:".to_owned())
            }
            path => Ok(Self::File(path.into())),
        }
    }
}

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Most folders of one mailbox; deleted ones count.
    pub max_folders: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_folders: 1_000 }
    }
}

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writer: RwLock<Option<Arc<Writer>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: SqlitePool,
    creates: Creates,
    options: Options,
    users: RwLock<HashMap<String, User>>,
}

/// A page of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In creation order; never empty while there is more.
    pub contacts: Vec<Contact>,
    /// Whether others follow.
    pub more: bool,
}

/// Why a store cannot be opened or copied: one line for its operator.
#[derive(Debug)]
pub struct OpenError(String);

impl OpenError {
    fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self(format!("{}: {reason}", path.display()))
    }

    fn of(path: &Path, error: &Error) -> Self {
        let reason = match error {
            Error::Unavailable(cause) | Error::Internal(cause) => cause.downcast_ref().map(engine::message),
            _ => None,
        };
        Self::new(path, reason.unwrap_or_else(|| error.to_string()))
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

impl Store {
    /// Opens a database, bringing its schema up to date. Other processes may have it open as well.
    ///
    /// # Errors
    /// A file that cannot be read or written, is no database of contactd's, or has a newer schema.
    pub async fn open(database: &Database, options: Options) -> Result<Self, OpenError> {
        match database {
            Database::File(path) => Self::open_file(path, options, ()).await,
            Database::Temporary => {
                let folder = tempfile::Builder::new().prefix("contactd-").tempdir();
                let folder = folder.map_err(|error| OpenError(format!("no temporary folder: {error}")))?;
                let path = folder.path().join("contacts.db");
                // The writer is the last to close the file, and takes the folder with it.
                Self::open_file(&path, options, folder).await
            }
        }
    }

    async fn open_file(path: &Path, options: Options, on_end: impl Send + 'static) -> Result<Self, OpenError> {
        let reason = |error: Error| OpenError::of(path, &error);
        files::create_private(path).map_err(|error| OpenError::new(path, error))?;
        migrate::sqlite(path).await.map_err(|error| OpenError::new(path, error))?;
        let (writer, thread) = Writer::start(engine::sqlite_options(path), on_end).await.map_err(reason)?;
        let store = Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                writer: RwLock::new(Some(Arc::new(writer))),
                thread: Mutex::new(Some(thread)),
                readers: engine::sqlite_readers(path),
                creates: Creates::default(),
                options,
                users: RwLock::default(),
            }),
        };
        store.write(async |tx| describe(tx).await).await.map_err(reason)?;
        Ok(store)
    }

    /// Ends the store: writes already handed in are done, later ones refused, and the file is closed.
    pub async fn close(&self) {
        let writer = self.shared.writer.write().unwrap_or_else(PoisonError::into_inner).take();
        // The writer closes last and alone: it is then sure to move the log into the file.
        self.shared.readers.close().await;
        drop(writer);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Waits for the queue to empty, which is the point of closing.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        files::settle(&self.shared.path).await;
    }

    /// Reads one row, and sees that the writer is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot answer.
    pub async fn check(&self) -> Result<(), Error> {
        self.writer()?.check()?;
        self.reader().await?.row(Statement::new("select epoch from store")).await?;
        Ok(())
    }

    /// The user of this name, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_user(&self, name: &UserName) -> Result<Option<User>, Error> {
        let key = name.key();
        if let Some(user) = self.shared.users.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(user.clone()));
        }
        let user = users::find(&mut self.reader().await?, name).await?;
        if let Some(user) = &user {
            let mut remembered = self.shared.users.write().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(key, user.clone());
        }
        Ok(user)
    }

    /// The user of this name, made with an empty mailbox if there is none.
    ///
    /// # Errors
    /// [`Error::Quota`] past 100,000 users, else those of the database.
    pub async fn user(&self, name: &UserName) -> Result<User, Error> {
        if let Some(user) = self.find_user(name).await? {
            return Ok(user);
        }
        let name = name.clone();
        self.write(async move |tx| users::ensure(tx, &name).await).await
    }

    /// The contact with this id, in any folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it is deleted.
    pub async fn contact(&self, mailbox: i64, id: Uuid) -> Result<Contact, Error> {
        contacts::get(&mut self.reader().await?, mailbox, id).await
    }

    /// Contacts of all folders behind `after` (all: the nil id) in creation order, `skip` of them left out first: at
    /// most `size`, and fewer where they are so large that a page would pass some 4 MiB.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn contacts(&self, mailbox: i64, after: Uuid, skip: i64, size: u16) -> Result<Page, Error> {
        contacts::page(&mut self.reader().await?, mailbox, after, skip, size).await
    }

    /// Creates a contact in the folder it names, which is made if need be, or else in the default one.
    ///
    /// # Errors
    /// [`Error::Quota`] when the mailbox has as many folders as it may, else those of the database.
    pub async fn insert(&self, mailbox: i64, new: Patch) -> Result<Contact, Error> {
        let new = New { mailbox, patch: new };
        let writer = self.writer()?;
        self.shared.creates.create(&writer, self.shared.options.max_folders, new).await
    }

    /// Creates many contacts in one transaction: all or none. Other writes wait meanwhile, so hand in some hundreds
    /// at a time.
    ///
    /// # Errors
    /// As [`Store::insert`].
    pub async fn insert_many(&self, mailbox: i64, new: Vec<Patch>) -> Result<Vec<Contact>, Error> {
        let max_folders = self.shared.options.max_folders;
        let new = new.into_iter().map(|patch| New { mailbox, patch }).collect();
        self.write(async move |tx| contacts::insert(tx, new, max_folders).await).await
    }

    /// Applies a patch. An empty one changes nothing, not even the version.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact or the folder it is to move to, [`Error::Stale`] when a precondition fails.
    pub async fn update(
        &self,
        mailbox: i64,
        id: Uuid,
        patch: Patch,
        expected: Preconditions,
    ) -> Result<Contact, Error> {
        self.write(async move |tx| contacts::update(tx, mailbox, id, patch, &expected).await).await
    }

    /// Marks a contact as deleted.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub async fn delete(&self, mailbox: i64, id: Uuid, expected: Preconditions) -> Result<(), Error> {
        self.write(async move |tx| contacts::delete(tx, mailbox, id, &expected).await).await
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut writer::Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.writer()?.write(work).await
    }

    fn writer(&self) -> Result<Arc<Writer>, Error> {
        let writer = self.shared.writer.read().unwrap_or_else(PoisonError::into_inner).clone();
        writer.ok_or_else(|| Error::unavailable("the store is closed"))
    }

    async fn reader(&self) -> Result<Session, Error> {
        Ok(Session::from(self.shared.readers.acquire().await?))
    }
}

/// Writes the database's own row when it is new.
async fn describe(tx: &mut writer::Tx) -> Result<(), Error> {
    let text = "
insert into store (id, epoch, folding, created_date_time) values (1, $1, $2, $3) on conflict (id) do nothing";
    let (epoch, now) = (writer::Tx::new_id(), tx.now());
    tx.execute(Statement::new(text).bind(epoch).bind(FOLDING).bind(now)).await
}
