//! How a SQLite file is opened.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// Pages of the write-ahead log after which a commit writes them into the file: 16 MB. The names of new contacts change pages
/// all over the indexes. In a log of this size most of these pages occur several times, and are written into the file once.
const CHECKPOINT: &str = "4000";

/// Size of a connection's page cache, in KiB as a negative number. A page of 100 contacts in the order of their names reads some 700
/// pages of the file, several times each.
const PAGE_CACHE: &str = "-4000";

/// How long to wait for another process that writes to the same SQLite file.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Options that leave the journal mode of a SQLite file as it is.
pub(in crate::store) fn plain_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}

/// Options for reading and writing: a commit is synced before it is answered (WAL, synchronous=FULL), savepoints need no
/// temporary file, and a page of 100 contacts fits the driver's channel.
pub(in crate::store) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    sqlite_options_as_is(path).journal_mode(SqliteJournalMode::Wal)
}

/// The same without a change of the journal mode.
pub(in crate::store) fn sqlite_options_as_is(path: &Path) -> SqliteConnectOptions {
    plain_options(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("temp_store", "memory")
        .row_buffer_size(1_024)
        .pragma("wal_autocheckpoint", CHECKPOINT)
        .pragma("cache_size", PAGE_CACHE)
}

/// How long to wait for another program that holds the lock while it moves the log into the file.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(15);

/// The same if another program checkpoints the write-ahead log.
pub(in crate::store) fn without_checkpoints(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("wal_autocheckpoint", "0").busy_timeout(CHECKPOINT_TIMEOUT)
}
