//! Migrations with refinery on the store's own connection; refinery's drivers are off, so that there is one driver. An
//! upgrade is one transaction. If several processes start at once, one of them upgrades.

mod progress;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use refinery::{Migration, Runner, Target};
use refinery_core::error::Kind;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::derived::{compute_number_keys, fold_names, read_values, recompute};
use crate::store::db::engine::{BUSY_TIMEOUT, Session, plain_options, sqlite_options};
use crate::store::db::faults::{is_busy, message, reason};
use crate::store::db::lock::Lock;
use crate::store::db::statement::Statement;
use crate::store::db::wal::Header;

pub(in crate::store) use crate::store::db::migrate::progress::Progress;

pub(in crate::store::db) mod in_sqlite {
    refinery::embed_migrations!("migrations/sqlite");
}

mod in_postgres {
    refinery::embed_migrations!("migrations/postgres");
}

/// Key of the advisory lock that serializes upgrades of a PostgreSQL database: an arbitrary number of this program.
const LOCK: i64 = 0x636f_6e74_6163_7464;
/// Pause between attempts to switch a file to WAL.
const RETRY: Duration = Duration::from_millis(10);

/// Why a database cannot be opened, as one line for the operator.
pub(in crate::store) type OpenFailure = String;

/// Upgrades the schema of a SQLite file; an empty file becomes a new database.
pub(in crate::store) async fn upgrade_sqlite(path: &Path) -> Result<(), OpenFailure> {
    run(path, &in_sqlite::migrations::runner()).await
}

/// Prepares a file with the current schema for being written to. With the lock, a new run begins.
pub(in crate::store) async fn begin_writing(path: &Path, lock: Option<&Lock>) -> Result<(), OpenFailure> {
    if let Some(lock) = lock {
        begin_run(path, lock).await?;
    }
    use_wal(path).await.map_err(|error| message(&error))
}

/// Gives the file a new run number while it has no log, see [`crate::store::db::wal`]. If another process has the file open,
/// it may have a log, and the number stays.
async fn begin_run(path: &Path, lock: &Lock) -> Result<(), OpenFailure> {
    let header = || File::open(path).and_then(|file| Header::read(&file)).map_err(|error| error.to_string());
    let note = |runs: &[u32]| lock.record_runs(runs).map_err(|error| format!("{}: {error}", lock.path().display()));
    let old = header()?.run;
    let new = getrandom::u32().map_err(|error| error.to_string())? >> 1 | 1;
    note(&[old, new])?;
    let options = plain_options(path).busy_timeout(Duration::ZERO).journal_mode(SqliteJournalMode::Delete);
    let options = options.synchronous(SqliteSynchronous::Full).pragma("user_version", new.to_string());
    match SqliteConnection::connect_with(&options).await {
        Ok(connection) => connection.close().await.map_err(|error| message(&error))?,
        Err(error) if is_busy(&error) => {}
        Err(error) => return Err(message(&error)),
    }
    note(&[header()?.run])
}

/// State of the schema of a database.
pub(in crate::store) enum Schema {
    /// The current schema.
    Current,
    /// An older schema, which can be upgraded.
    Older(OpenFailure),
    /// No schema, or one that cannot be upgraded.
    Other(OpenFailure),
}

impl Schema {
    /// Fails unless it is the current schema.
    pub(in crate::store) fn check_current(self) -> Result<(), OpenFailure> {
        match self {
            Self::Current => Ok(()),
            Self::Older(why) | Self::Other(why) => Err(why),
        }
    }
}

/// The schema of a SQLite file. Nothing is changed.
pub(in crate::store) async fn sqlite_schema(options: &SqliteConnectOptions) -> Result<Schema, OpenFailure> {
    let session = Session::open(options).await.map_err(|error| reason(&error))?;
    schema(session, &in_sqlite::migrations::runner()).await
}

/// The same for a PostgreSQL database.
pub(in crate::store) async fn postgres_schema(cluster: &Cluster) -> Result<Schema, OpenFailure> {
    let session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    schema(session, &in_postgres::migrations::runner()).await
}

/// Creates the tables in a PostgreSQL schema that has none.
pub(in crate::store) async fn fill_postgres(cluster: &Cluster) -> Result<(), OpenFailure> {
    let mut session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    let found = tables(&mut session).await.map_err(|error| reason(&error));
    session.close().await;
    if found?.0 == 0 { upgrade_postgres(cluster).await } else { Ok(()) }
}

async fn schema(mut session: Session, runner: &Runner) -> Result<Schema, OpenFailure> {
    let found = schema_in(&mut session, newest(runner)).await;
    session.close().await;
    found.map_err(|error| reason(&error))
}

async fn schema_in(session: &mut Session, newest: i32) -> Result<Schema, Error> {
    let has_history = match tables(session).await? {
        (1.., false) => return Ok(Schema::Other(FOREIGN.to_owned())),
        (_, has_history) => has_history,
    };
    let text = "select max(version) from refinery_schema_history";
    let version = Statement::per_engine(text, "select max(version)::bigint from refinery_schema_history");
    let row = if has_history { session.row(version).await? } else { None };
    Ok(match row.map_or(Ok(None), |row| row.get::<Option<i64>>(0))? {
        None => Schema::Other("nothing is in it yet: contactd serve creates its tables".to_owned()),
        Some(version) if version < i64::from(newest) => Schema::Older(format!(
            "its schema has version {version}, this contactd needs {newest}: contactd upgrade does that, and contactd serve at its start"
        )),
        Some(version) if version > i64::from(newest) => Schema::Other(too_new(version, newest)),
        Some(_) => Schema::Current,
    })
}

/// The version of the schema that this program writes: the same on both engines.
pub fn schema_version() -> i32 {
    newest(&in_sqlite::migrations::runner())
}

/// The version of the schema that this program writes, and that of a database.
pub(in crate::store) async fn versions(session: &mut Session) -> Result<(i64, i64), Error> {
    let runner =
        if session.is_postgres() { in_postgres::migrations::runner() } else { in_sqlite::migrations::runner() };
    let text = "select max(version) from refinery_schema_history";
    let version = Statement::per_engine(text, "select max(version)::bigint from refinery_schema_history");
    let found: Option<i64> = session.single_row(version).await?.get(0)?;
    Ok((i64::from(newest(&runner)), found.unwrap_or_default()))
}

/// The pending upgrade of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The version of its schema.
    pub from: i64,
    /// The version that this program needs.
    pub to: i64,
    /// The migrations, in order.
    pub migrations: Vec<String>,
    /// Number of contacts, including deleted ones that are not purged.
    pub contacts: i64,
    /// Whether it has users; without users it has no data.
    pub has_data: bool,
}

/// The pending upgrade of a SQLite file. Nothing is changed.
///
/// # Errors
/// One line: it has no schema, or one that cannot be upgraded.
pub(in crate::store) async fn pending_in_sqlite(options: &SqliteConnectOptions) -> Result<Pending, OpenFailure> {
    let session = Session::open(options).await.map_err(|error| reason(&error))?;
    pending(session, &in_sqlite::migrations::runner()).await
}

/// The same for a PostgreSQL database.
///
/// # Errors
/// As [`pending_in_sqlite`].
pub(in crate::store) async fn pending_in_postgres(cluster: &Cluster) -> Result<Pending, OpenFailure> {
    let session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    pending(session, &in_postgres::migrations::runner()).await
}

async fn pending(mut session: Session, runner: &Runner) -> Result<Pending, OpenFailure> {
    let found = async {
        if let Schema::Other(why) = schema_in(&mut session, newest(runner)).await.map_err(|error| reason(&error))? {
            return Err(why);
        }
        pending_in(&mut session, runner).await.map_err(|error| reason(&error))
    };
    let found = found.await;
    session.close().await;
    found
}

async fn pending_in(session: &mut Session, runner: &Runner) -> Result<Pending, Error> {
    let text = "select version from refinery_schema_history order by version";
    let applied = Statement::per_engine(text, "select version::bigint from refinery_schema_history order by version");
    let applied = session.rows(applied).await?;
    let applied = applied.iter().map(|row| row.get::<i64>(0)).collect::<Result<Vec<_>, _>>()?;
    let mut migrations: Vec<_> = runner.get_migrations().iter().collect();
    migrations.sort_unstable();
    let is_pending = |migration: &&&Migration| !applied.contains(&i64::from(migration.version()));
    let contacts = session.count(Statement::new("select count(*) from contacts")).await?;
    let users = session.row(Statement::new("select 1 from users limit 1")).await?;
    Ok(Pending {
        from: applied.last().copied().unwrap_or_default(),
        to: i64::from(newest(runner)),
        migrations: migrations.iter().filter(is_pending).map(ToString::to_string).collect(),
        contacts,
        has_data: users.is_some(),
    })
}

const FOREIGN: &str = "it is the database of another program";

fn newest(runner: &Runner) -> i32 {
    runner.get_migrations().iter().map(Migration::version).max().unwrap_or_default()
}

fn too_new(version: impl std::fmt::Display, newest: i32) -> OpenFailure {
    format!("its schema has version {version}, this contactd knows {newest}: use a newer contactd")
}

/// Switches a new file to WAL. That needs an exclusive lock, for which SQLite itself does not wait.
async fn use_wal(path: &Path) -> Result<(), sqlx::Error> {
    let options = sqlite_options(path);
    let mut waited = Duration::ZERO;
    loop {
        match SqliteConnection::connect_with(&options).await {
            Ok(connection) => return connection.close().await,
            Err(error) if waited >= BUSY_TIMEOUT || !is_busy(&error) => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
        waited += RETRY;
    }
}

/// Upgrades the schema of a PostgreSQL database; an empty schema becomes a new database.
pub(in crate::store) async fn upgrade_postgres(cluster: &Cluster) -> Result<(), OpenFailure> {
    let session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    upgrade(session, &in_postgres::migrations::runner()).await
}

/// Foreign keys are off on this connection, because a migration that rebuilds a table would otherwise delete the
/// rows that refer to it; they are checked before the commit. The journal mode is not changed, so that the file of another
/// program is refused without a change.
async fn run(path: &Path, runner: &Runner) -> Result<(), OpenFailure> {
    let options = plain_options(path).foreign_keys(false).synchronous(SqliteSynchronous::Full);
    upgrade(Session::open(&options).await.map_err(|error| reason(&error))?, runner).await
}

/// Upgrades completely or not at all: closing the session rolls an open transaction back.
async fn upgrade(mut session: Session, runner: &Runner) -> Result<(), OpenFailure> {
    let progress = Progress::default();
    let done = progress.log_while(upgrade_in(&mut session, runner, &progress)).await;
    session.close().await;
    done
}

/// The migration that adds the numbers and dates of extended property values.
const VALUES_MIGRATION: i32 = 19;
/// The one that adds the folded forms of names.
const NAMES_MIGRATION: i32 = 22;
/// The one that adds the keys of phone numbers.
const NUMBERS_MIGRATION: i32 = 23;

async fn upgrade_in(session: &mut Session, runner: &Runner, progress: &Progress) -> Result<(), OpenFailure> {
    let reason = |error: Error| reason(&error);
    session.begin(None).await.map_err(reason)?;
    if session.is_postgres() {
        // Unlike in SQLite, a transaction alone does not exclude others.
        let lock = Statement::new("select pg_advisory_xact_lock($1)").bind(LOCK);
        session.execute(lock).await.map_err(reason)?;
        let encoding =
            session.row(Statement::new("select current_setting('server_encoding')")).await.map_err(reason)?;
        let encoding: String = encoding.map_or(Ok(String::new()), |row| row.get(0)).map_err(reason)?;
        if encoding != "UTF8" {
            return Err(format!("the encoding of the database is {encoding}; it must be UTF8"));
        }
    }
    let is_new = match tables(session).await.map_err(reason)? {
        (1.., false) => return Err(FOREIGN.to_owned()),
        (count, _) => count == 0,
    };
    let done = if is_new { apply(session, runner).await? } else { apply_each(session, runner, progress).await? };
    // After the migrations: the statements need the current schema.
    progress.begin("search keys and words");
    recompute(session, progress).await.map_err(reason)?;
    let has_applied = |version| done.iter().any(|migration| migration.version() == version);
    if has_applied(VALUES_MIGRATION) {
        progress.begin("numbers and dates of extended properties");
        read_values(session).await.map_err(reason)?;
    }
    if has_applied(NAMES_MIGRATION) {
        progress.begin("names");
        fold_names(session, progress).await.map_err(reason)?;
    }
    if has_applied(NUMBERS_MIGRATION) {
        progress.begin("phone numbers");
        compute_number_keys(session, progress).await.map_err(reason)?;
    }
    if !session.is_postgres() && !done.is_empty() {
        progress.begin("the check of references");
        let broken = session.row(Statement::new("pragma foreign_key_check")).await.map_err(reason)?;
        if broken.is_some() {
            return Err("rows refer to rows that do not exist".to_owned());
        }
    }
    progress.begin("the commit");
    session.execute(Statement::new("commit")).await.map_err(reason)?;
    if is_new {
        tracing::info!("database created");
    }
    Ok(())
}

/// Applies the pending migrations one by one, and logs each.
async fn apply_each(
    session: &mut Session,
    runner: &Runner,
    progress: &Progress,
) -> Result<Vec<Migration>, OpenFailure> {
    let mut migrations = runner.get_migrations().clone();
    migrations.sort_unstable();
    let applied = match schema_in(session, newest(runner)).await.map_err(|error| reason(&error))? {
        Schema::Older(_) => pending_in(session, runner).await.map_err(|error| reason(&error))?,
        // The runner reports what is wrong with it.
        Schema::Current | Schema::Other(_) => return apply(session, runner).await,
    };
    let (from, to, contacts) = (applied.from, applied.to, applied.contacts);
    tracing::info!(from, to, contacts, "upgrading the schema");
    let mut done = Vec::new();
    for (index, name) in applied.migrations.iter().enumerate() {
        let Some(migration) = migrations.iter().find(|migration| migration.to_string() == *name) else { continue };
        progress.begin(name);
        let runner_up_to_it = Runner::new(&migrations).set_target(Target::Version(migration.version()));
        done.extend(apply(session, &runner_up_to_it).await?);
        tracing::info!(migration = name, step = index + 1, of = applied.migrations.len(), "schema upgraded");
    }
    Ok(done)
}

async fn apply(session: &mut Session, runner: &Runner) -> Result<Vec<Migration>, OpenFailure> {
    let done = runner.run_async(&mut Adaptor(session)).await.map_err(|error| match error.kind() {
        Kind::MissingVersion(newer) => too_new(newer.version(), newest(runner)),
        Kind::DivergentVersion(..) => format!("its schema is not a version of contactd's: {error}"),
        Kind::Connection(what, cause) => format!("{what}: {cause}"),
        _ => error.to_string(),
    })?;
    Ok(done.applied_migrations().clone())
}

/// The number of tables, and whether the history table of migrations exists.
async fn tables(session: &mut Session) -> Result<(i64, bool), Error> {
    let statement = Statement::per_engine(
        "select count(*), count(*) filter (where name = 'refinery_schema_history') from sqlite_master",
        "
select count(*), count(*) filter (where relname = 'refinery_schema_history') from pg_class c
where relnamespace = (select oid from pg_namespace where nspname = current_schema()) and relkind in ('r', 'p')
    and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'e')",
    );
    let Some(row) = session.row(statement).await? else { return Ok((0, false)) };
    Ok((row.get(0)?, row.get::<i64>(1)? > 0))
}

/// refinery's interface to a session that is already inside the transaction.
pub(super) struct Adaptor<'s>(pub(super) &'s mut Session);

impl AsyncTransaction for Adaptor<'_> {
    type Error = Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(&'a mut self, texts: T) -> Result<usize, Error> {
        let mut count = 0;
        for text in texts {
            self.0.script(text).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Adaptor<'_> {
    async fn query<'a>(&'a mut self, text: &'a str) -> Result<Vec<Migration>, Error> {
        let rows = self.0.rows_of_script(text).await?;
        rows.iter()
            .map(|row| {
                let applied = OffsetDateTime::parse(&row.get::<String>(2)?, &Rfc3339).map_err(Error::internal)?;
                let checksum = row.get::<String>(3)?.parse::<u64>().map_err(Error::internal)?;
                Ok(Migration::applied(row.get(0)?, row.get(1)?, applied, checksum))
            })
            .collect()
    }
}

impl AsyncMigrate for Adaptor<'_> {}
