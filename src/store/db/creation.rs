//! New SQLite files. All migrations run as one text, which takes a fraction of the time that they take one by one.

use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use refinery::{Runner, Target};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use crate::permission;
use crate::store::db::engine::{Session, plain_options};
use crate::store::db::faults::{OpenError, reason};
use crate::store::db::files::{create_private, folder_of, name};
use crate::store::db::migrate::{Adaptor, OpenFailure, in_sqlite};
use crate::store::db::scratch::{NEW_PREFIX, Scratch};
use crate::store::db::statement::Statement;

/// Creates a SQLite file with the schema. It gets its name when it is complete, so an interruption leaves no file. If another
/// process creates the file first, that file is kept, and the result is `false`.
pub(in crate::store) async fn make_sqlite(path: &Path) -> Result<bool, OpenError> {
    let failed = |error: IoError| OpenError::because(permission::reason(path, &error));
    let scratch = Scratch::new_in(folder_of(path), NEW_PREFIX).map_err(failed)?;
    let new = scratch.file("new.db");
    let file = create_private(&new).map_err(failed)?;
    fill_sqlite(&new, SqliteJournalMode::Delete).await.map_err(|why| OpenError::new(path.display(), why))?;
    file.sync_all().map_err(failed)?;
    tracing::info!("database created");
    match name(&new, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        named => named.map(|()| true).map_err(failed),
    }
}

/// Creates a SQLite file with the schema that needs to survive nothing, and is ready to be written to.
pub(in crate::store) async fn make_temporary(path: &Path) -> Result<(), OpenError> {
    create_private(path).map_err(|error| OpenError::because(permission::reason(path, &error)))?;
    fill_sqlite(path, SqliteJournalMode::Wal).await.map_err(|why| OpenError::new(path.display(), why))
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
    let mut migrations: Vec<_> = runner.get_migrations().iter().collect();
    migrations.sort_unstable();
    let texts: Vec<_> = migrations.iter().filter_map(|migration| migration.sql()).collect();
    session.begin(None).await.map_err(|error| reason(&error))?;
    session.script(&texts.join("\n")).await.map_err(|error| reason(&error))?;
    // Records them as if they had run one by one.
    let recorded = runner.set_target(Target::Fake).run_async(&mut Adaptor(session)).await;
    recorded.map_err(|error| error.to_string())?;
    session.execute(Statement::new("commit")).await.map_err(|error| reason(&error))
}
