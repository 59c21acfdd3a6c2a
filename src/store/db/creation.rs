//! New SQLite files. All migrations run as one text, which is faster than one by one. A temporary file
//! is a copy of a ready-made one, which is faster still.

use std::io::{Error as IoError, ErrorKind, Read as _};
use std::path::Path;

use flate2::read::GzDecoder;
use refinery::{Runner, Target};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use crate::domain::secret;
use crate::permission;
use crate::store::db::engine::{Session, plain_options};
use crate::store::db::faults::{OpenError, reason};
use crate::store::db::files::{create_private, folder_of, rename_to_new};
use crate::store::db::migrate::{Adaptor, OpenFailure, in_sqlite};
use crate::store::db::scratch::{NEW_PREFIX, Scratch};
use crate::store::db::statement::Statement;

/// Creates a SQLite file with the schema. It gets its name when it is complete, so an interruption leaves no file. If another
/// process creates the file first, that file is kept, and the result is `false`.
pub(in crate::store) async fn make_sqlite(path: &Path) -> Result<bool, OpenError> {
    let failed = |error: IoError| OpenError::from_line(permission::reason(path, &error));
    let scratch = Scratch::new_in(folder_of(path), NEW_PREFIX).map_err(failed)?;
    let new = scratch.file("new.db");
    let file = create_private(&new).map_err(failed)?;
    fill_sqlite(&new, SqliteJournalMode::Delete).await.map_err(|why| OpenError::new(path.display(), why))?;
    file.sync_all().map_err(failed)?;
    tracing::info!("database created");
    match rename_to_new(&new, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        named => named.map(|()| true).map_err(failed),
    }
}

/// An empty database, compressed, and the SHA-256 of the migrations in it, in hexadecimal. A test writes both and compares the
/// database with what the migrations make (`src/store/tests/ready_made.rs`). Only temporary databases are copies of it.
pub(in crate::store) const READY_MADE: &[u8] = include_bytes!("ready_made.db.gz");
pub(in crate::store) const READY_MADE_OF: &str = include_str!("ready_made.sha256");

/// Creates a temporary SQLite file with the schema, without syncing it.
pub(in crate::store) async fn make_temporary(path: &Path) -> Result<(), OpenError> {
    let failed = |error: IoError| OpenError::from_line(permission::reason(path, &error));
    create_private(path).map_err(failed)?;
    // The digest takes as long as the rest of this function. In a release a test has compared it already.
    if !cfg!(debug_assertions) || digest() == READY_MADE_OF.trim() {
        let mut bytes = Vec::new();
        GzDecoder::new(READY_MADE).read_to_end(&mut bytes).map_err(failed)?;
        return std::fs::write(path, bytes).map_err(failed);
    }
    fill_temporary(path).await
}

/// The same with the migrations.
pub(in crate::store) async fn fill_temporary(path: &Path) -> Result<(), OpenError> {
    fill_sqlite(path, SqliteJournalMode::Wal).await.map_err(|why| OpenError::new(path.display(), why))
}

/// The digest of the migrations' texts, one after the other.
pub(in crate::store) fn digest() -> String {
    let runner = in_sqlite::migrations::runner();
    let mut digest = Sha256::new();
    for text in texts(&runner) {
        digest.update(text);
    }
    secret::hex(&digest.finalize())
}

fn texts(runner: &Runner) -> Vec<&str> {
    let mut migrations: Vec<_> = runner.get_migrations().iter().collect();
    migrations.sort_unstable();
    migrations.iter().filter_map(|migration| migration.sql()).collect()
}

/// Creates the tables in an empty SQLite file, without syncing it.
async fn fill_sqlite(path: &Path, mode: SqliteJournalMode) -> Result<(), OpenFailure> {
    let options = plain_options(path).foreign_keys(false).synchronous(SqliteSynchronous::Off);
    let mut session = Session::open(&options.journal_mode(mode)).await.map_err(|error| reason(&error))?;
    let done = fill_in(&mut session, in_sqlite::migrations::runner()).await;
    session.close().await;
    done
}

async fn fill_in(session: &mut Session, runner: Runner) -> Result<(), OpenFailure> {
    let texts = texts(&runner);
    session.begin(None).await.map_err(|error| reason(&error))?;
    let text = texts.join("\n");
    session.script(&text).await.map_err(|error| reason(&error))?;
    // Records them as if they had run one by one.
    let recorded = runner.set_target(Target::Fake).run_async(&mut Adaptor(session)).await;
    recorded.map_err(|error| error.to_string())?;
    session.execute(Statement::new("commit")).await.map_err(|error| reason(&error))
}
