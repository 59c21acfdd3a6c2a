//! Opens and closes a store.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock;
use crate::domain::error::Error;
use crate::domain::fold::FOLDING;
use crate::permission;
use crate::store::db::cluster::{Cluster, PostgresUrl};
use crate::store::db::database::Database;
use crate::store::db::derived::UNFINISHED;
use crate::store::db::engine::Session;
use crate::store::db::faults::OpenError;
use crate::store::db::lock::Lock;
use crate::store::db::migrate::Schema;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::probe::ProbeConnection;
use crate::store::db::readers::Readers;
use crate::store::db::scratch::Scratch;
use crate::store::db::statement::Statement;
use crate::store::db::{check, creation, engine, files, migrate, pooler, restore, upgrade};
use crate::store::query::delta::History;
use crate::store::write::call::MailboxRoom;
use crate::store::write::connector::Connector;
use crate::store::write::creates::Creates;
use crate::store::write::procedures;
use crate::store::write::tx::Tx;
use crate::store::write::writer::Writer;
use crate::store::{SharedStore, Store, StoreLocation};

/// Time limit for the check of a file at the start of a server.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// Options of [`Store::open`].
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    /// Maximum number of folders of a mailbox, including deleted ones.
    pub max_folders: i64,
    /// Maximum number of contacts of a mailbox, including deleted ones.
    pub max_contacts: i64,
    /// Maximum size of a mailbox in bytes: contacts, including deleted ones, photos, extensions and extended properties.
    pub max_mailbox_bytes: i64,
    /// Maximum number of connections to the PostgreSQL primary; half of them write. Each of `read_from` gets as many as
    /// read from the primary.
    pub connections: u16,
    /// PostgreSQL standbys to read lists from.
    pub read_from: Vec<PostgresUrl>,
    /// Period after which deleted items are purged; `None` keeps them.
    pub keep_deleted: Option<Duration>,
    /// The same for the change log, which delta queries need.
    pub keep_changes: Option<Duration>,
    /// The same for the audit log.
    pub keep_audit: Option<Duration>,
    /// Time limit for a read; a longer one ends in [`Error::Inefficient`].
    pub query_timeout: Duration,
    /// Whether commits move the write-ahead log of a SQLite file into the file; otherwise another program has to.
    pub checkpoint: bool,
    /// Whether to create a missing file and to upgrade an older schema. Otherwise both are refused.
    pub upgrade: bool,
    /// Whether a SQLite file with users is copied before its schema is upgraded, to a file beside it.
    pub backup_before_upgrade: bool,
    /// Whether to create a database in an existing empty file, which may be one that lost its content.
    pub create: bool,
    /// The lock of the file, if this process serves it.
    pub lock: Option<Arc<Lock>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_folders: 1_000,
            max_contacts: 1_000_000,
            max_mailbox_bytes: 10 << 30,
            connections: 10,
            read_from: Vec::new(),
            keep_deleted: None,
            keep_changes: None,
            keep_audit: None,
            query_timeout: Duration::from_secs(10),
            checkpoint: true,
            upgrade: true,
            backup_before_upgrade: true,
            create: false,
            lock: None,
        }
    }
}

impl Options {
    fn limits(&self) -> MailboxRoom {
        MailboxRoom { contacts: self.max_contacts, bytes: self.max_mailbox_bytes }
    }
}

impl Store {
    /// Opens a database, and upgrades its schema if the options say so. Other processes may have it open as well.
    ///
    /// # Errors
    /// The file cannot be read or written, the server cannot be reached, it is not a database of contactd, the schema is newer,
    /// the write-ahead log belongs to another file, or the file is damaged.
    pub async fn open(database: &Database, options: Options) -> Result<Self, OpenError> {
        match database {
            Database::File(path) => {
                let shown = path.display();
                let path = files::resolve_links(path);
                let opened = prepare_file(&path, &shown, &options).await?;
                let options = (options, engine::SqliteSync::Full);
                Self::open_file(&path, &shown, opened, options, ()).await
            }
            Database::Temporary => {
                let folder = Scratch::new_in(&std::env::temp_dir(), "contactd-memory-");
                let folder = folder.map_err(|error| OpenError::from_line(format!("no temporary folder: {error}")))?;
                let path = folder.file("contacts.db");
                creation::make_temporary(&path).await?;
                let opened = OpenedDatabase::register(&path).map_err(|why| OpenError::new(path.display(), why))?;
                // The writer closes the file last, and then drops the folder. Nobody opens it again, so nothing is synced.
                let options = (options, engine::SqliteSync::Off);
                Self::open_file(&path, path.display(), opened, options, folder).await
            }
            Database::Postgres(address) => Self::open_cluster(address, options).await,
        }
    }

    async fn open_file(
        path: &Path,
        shown: impl Display,
        opened: Arc<OpenedDatabase>,
        (options, sync): (Options, engine::SqliteSync),
        on_end: impl Send + 'static,
    ) -> Result<Self, OpenError> {
        let connect_options =
            if options.upgrade { engine::sqlite_options(path) } else { engine::sqlite_options_as_is(path) };
        let connect_options = connect_options.synchronous(sync);
        let connect_options =
            if options.checkpoint { connect_options } else { engine::without_checkpoints(connect_options) };
        let readers = Readers::sqlite(connect_options.clone(), Arc::clone(&opened), options.query_timeout);
        let readers = readers.map_err(|error| OpenError::of(&shown, &error))?;
        let connector = Connector::Sqlite(Box::new(connect_options), Arc::clone(&opened), procedures::sqlite_views());
        let writer = Writer::start(connector, 1, options.limits(), ensure_store_row, on_end)
            .await
            .map_err(|error| OpenError::of(&shown, &error))?;
        Self::start(writer, readers, options, StoreLocation::File(opened), shown).await
    }

    async fn open_cluster(address: &PostgresUrl, options: Options) -> Result<Self, OpenError> {
        let reason = |error: Error| OpenError::of(address, &error);
        let cluster = Arc::new(Cluster::new(address));
        pooler::check(&cluster).await.map_err(|why| OpenError::new(address, why))?;
        let standbys: Vec<_> = options.read_from.iter().map(Cluster::new).collect();
        for (place, standby) in options.read_from.iter().zip(&standbys) {
            pooler::check_standby(standby).await.map_err(|why| OpenError::new(place, why))?;
        }
        let ready = if options.upgrade {
            migrate::upgrade_postgres(&cluster).await
        } else {
            migrate::postgres_schema(&cluster).await.and_then(Schema::check_current)
        };
        ready.map_err(|error| OpenError::new(address, error))?;
        let writing = usize::from(options.connections / 2).max(1);
        let reading = usize::from(options.connections).saturating_sub(writing).max(1);
        let connector = Connector::Postgres(Arc::clone(&cluster));
        let writer = Writer::start(connector, writing, options.limits(), ensure_store_row, ()).await.map_err(reason)?;
        let readers = Readers::postgres(Arc::clone(&cluster), standbys, reading, options.query_timeout);
        let readers = readers.map_err(reason)?;
        Self::start(writer, readers, options, StoreLocation::Cluster(cluster), address).await
    }

    async fn start(
        (writer, ended, (folding, history)): (Writer, oneshot::Receiver<()>, (i64, History)),
        readers: Readers,
        options: Options,
        location: StoreLocation,
        shown: impl Display,
    ) -> Result<Self, OpenError> {
        let probe = match &location {
            StoreLocation::File(opened) => ProbeConnection::file(Arc::clone(opened)),
            StoreLocation::Cluster(cluster) => ProbeConnection::cluster(Arc::clone(cluster)),
        };
        let store = Self {
            shared: Arc::new(SharedStore {
                writer: RwLock::new(Some(Arc::new(writer))),
                ended: Mutex::new(Some(ended)),
                readers,
                probe,
                creates: Creates::default(),
                history,
                options,
                users: RwLock::default(),
                location,
                purging: Mutex::default(),
                written: Notify::new(),
            }),
            actor: None,
            snapshot: None,
        };
        let why = match folding {
            FOLDING => {
                store.start_purges()?;
                return Ok(store);
            }
            UNFINISHED => "a copy into it is not finished: continue it with contactd copy --resume".to_owned(),
            other => format!("its search keys are of another contactd ({other}, not {FOLDING})"),
        };
        store.close().await;
        Err(OpenError::new(shown, why))
    }

    /// Closes the store: queued writes are done, later ones are refused, and the file is closed.
    pub async fn close(&self) {
        self.shared.purging.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.shared.writer.write().unwrap_or_else(PoisonError::into_inner).take();
        // The writer closes last and alone, so that SQLite checkpoints the log into the file.
        self.shared.readers.close().await;
        self.shared.probe.close().await;
        drop(writer);
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // Waits until the queue is empty and the writer has ended. Nothing is ever sent.
            let _ = ended.await;
        }
        if let StoreLocation::File(opened) = &self.shared.location
            && !opened.is_gone()
        {
            move_log_into_file(opened.path()).await;
        }
    }
}

/// Checkpoints the rest of the write-ahead log into a closed file. A reader whose runtime ended before it could go back to its
/// pool closes a little later than the others, and SQLite checkpoints only on the last close.
async fn move_log_into_file(path: &Path) {
    let log = files::with_suffix(path, "-wal");
    for _ in 0..25 {
        if !log.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Ok(mut session) = Session::open(&engine::plain_options(path)).await {
            // Only a connection that has read the log checkpoints it.
            let _ = session.row(Statement::new("select count(*) from sqlite_master")).await;
            session.close().await;
        }
    }
}

/// Prepares a SQLite file for opening: it exists, the log beside it is its own, and its schema is current.
async fn prepare_file(path: &Path, shown: impl Display, options: &Options) -> Result<Arc<OpenedDatabase>, OpenError> {
    let refused = |why: &str| OpenError::new(&shown, why);
    let mut is_new = false;
    if let Some(lock) = &options.lock {
        restore::finish(path, lock).map_err(|error| OpenError::from_line(permission::reason(path, &error)))?;
    } else if restore::is_unfinished(path) {
        return Err(refused("a restore of it was interrupted: finish it with contactd serve or contactd restore"));
    }
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && file.len() == 0 && !(options.upgrade && options.create) => {
            return Err(refused(
                "the file is empty and is not a database: contactd serve --create creates a new database in it",
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound && options.upgrade => {
            is_new = create_file(path, &shown).await?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(refused("there is no such file: contactd serve creates it"));
        }
        _ => {}
    }
    permission::writable(path).map_err(|error| OpenError::from_line(permission::reason(path, &error)))?;
    let opened = OpenedDatabase::register(path).map_err(|why| refused(&why))?;
    if options.lock.is_some() && files::is_open_to_others(path) {
        tracing::warn!(database = %path.display(), "other users of this machine may read the database: chmod 600");
    }
    let done = if options.upgrade {
        if !is_new {
            check::at_start(path, CHECK_TIME).await.map_err(|why| refused(&why))?;
            upgrade::upgrade_file(path, options.backup_before_upgrade).await.map_err(|why| refused(&why))?;
        }
        migrate::begin_writing(path, options.lock.as_deref()).await
    } else {
        migrate::sqlite_schema(&engine::plain_options(path)).await.and_then(Schema::check_current)
    };
    done.map_err(|why| refused(&why))?;
    Ok(opened)
}

/// Creates a new file, unless a write-ahead log is there: it may hold the only copy of contacts. Returns whether it is ours.
async fn create_file(path: &Path, shown: impl Display) -> Result<bool, OpenError> {
    let log = files::with_suffix(path, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let log = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let why =
            format!("there is no such file, but its {log}: put the file back, or move {log} away to create a new one");
        return Err(OpenError::new(shown, why));
    }
    creation::make_sqlite(path).await
}

/// Writes the row of table `store` if it is missing. Returns the version of the search keys, and the history.
async fn ensure_store_row(tx: &mut Tx) -> Result<(i64, History), Error> {
    let text = "
insert into store (id, epoch, folding, created_date_time) values (1, $1, $2, $3) on conflict (id) do nothing";
    let (epoch, now) = (clock::new_epoch(), tx.now());
    tx.execute(Statement::new(text).bind(epoch).bind(FOLDING).bind(now)).await?;
    let secret = Statement::new("update store set token_key = $1 where token_key is null").bind(clock::new_secret());
    tx.execute(secret).await?;
    let row = tx.reader().await?.row(Statement::new("select folding, epoch, token_key from store")).await?;
    let row = row.ok_or_else(|| Error::internal("the store has no row"))?;
    Ok((row.get(0)?, History { epoch: row.get(1)?, key: row.get(2)? }))
}
