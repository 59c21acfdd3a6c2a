//! Migrations with refinery on the store's own connection; refinery's drivers are off, so that there is one driver. An
//! upgrade is one transaction. If several processes start at once, one of them upgrades.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use refinery::{Migration, Runner};
use refinery_core::error::Kind;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::{BUSY_TIMEOUT, Session, plain_options, sqlite_options};
use crate::store::db::faults::{is_busy, message, reason};
use crate::store::db::lock::Lock;
use crate::store::db::log::Header;
use crate::store::db::renew::{fold_names, key_numbers, read_values, renew};
use crate::store::db::statement::Statement;

pub(super) mod in_sqlite {
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
pub(in crate::store) async fn sqlite(path: &Path) -> Result<(), OpenFailure> {
    run(path, &in_sqlite::migrations::runner()).await
}

/// Prepares a file with the current schema for being written to. With the lock, a new run begins.
pub(in crate::store) async fn begin_writing(path: &Path, lock: Option<&Lock>) -> Result<(), OpenFailure> {
    if let Some(lock) = lock {
        begin_run(path, lock).await?;
    }
    use_wal(path).await.map_err(|error| message(&error))
}

/// Gives the file a new run number while it has no log, see [`crate::store::db::log`]. If another process has the file open,
/// it may have a log, and the number stays.
async fn begin_run(path: &Path, lock: &Lock) -> Result<(), OpenFailure> {
    let header = || File::open(path).and_then(|file| Header::read(&file)).map_err(|error| error.to_string());
    let note = |runs: &[u32]| lock.note(runs).map_err(|error| format!("{}: {error}", lock.path().display()));
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
    Today,
    /// An older schema, which can be upgraded.
    Older(OpenFailure),
    /// No schema, or one that cannot be upgraded.
    Other(OpenFailure),
}

impl Schema {
    /// Fails unless it is the current schema.
    pub(in crate::store) fn of_today(self) -> Result<(), OpenFailure> {
        match self {
            Self::Today => Ok(()),
            Self::Older(why) | Self::Other(why) => Err(why),
        }
    }
}

/// The schema of a SQLite file. Nothing is changed.
pub(in crate::store) async fn of_sqlite(options: &SqliteConnectOptions) -> Result<Schema, OpenFailure> {
    let session = Session::open(options).await.map_err(|error| reason(&error))?;
    schema(session, &in_sqlite::migrations::runner()).await
}

/// The same for a PostgreSQL database.
pub(in crate::store) async fn of_postgres(cluster: &Cluster) -> Result<Schema, OpenFailure> {
    let session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    schema(session, &in_postgres::migrations::runner()).await
}

/// Creates the tables in a PostgreSQL schema that has none.
pub(in crate::store) async fn fill_postgres(cluster: &Cluster) -> Result<(), OpenFailure> {
    let mut session = cluster.primary(Use::Operate).await.map_err(|error| reason(&error))?;
    let found = tables(&mut session).await.map_err(|error| reason(&error));
    session.close().await;
    if found?.0 == 0 { postgres(cluster).await } else { Ok(()) }
}

async fn schema(mut session: Session, runner: &Runner) -> Result<Schema, OpenFailure> {
    let found = schema_in(&mut session, newest(runner)).await;
    session.close().await;
    found.map_err(|error| reason(&error))
}

async fn schema_in(session: &mut Session, newest: i32) -> Result<Schema, Error> {
    let ours = match tables(session).await? {
        (1.., false) => return Ok(Schema::Other(FOREIGN.to_owned())),
        (_, ours) => ours,
    };
    let text = "select max(version) from refinery_schema_history";
    let version = Statement::per_engine(text, "select max(version)::bigint from refinery_schema_history");
    let row = if ours { session.row(version).await? } else { None };
    Ok(match row.map_or(Ok(None), |row| row.get::<Option<i64>>(0))? {
        None => Schema::Other("nothing is in it yet: contactd serve creates its tables".to_owned()),
        Some(version) if version < i64::from(newest) => Schema::Older(format!(
            "its schema has version {version}, this contactd needs {newest}: contactd serve upgrades it"
        )),
        Some(version) if version > i64::from(newest) => Schema::Other(too_new(version, newest)),
        Some(_) => Schema::Today,
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
    let found: Option<i64> = session.one(version).await?.get(0)?;
    Ok((i64::from(newest(&runner)), found.unwrap_or_default()))
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
pub(in crate::store) async fn postgres(cluster: &Cluster) -> Result<(), OpenFailure> {
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
    let done = upgrade_in(&mut session, runner).await;
    session.close().await;
    let done = done?;
    if done.iter().any(|migration| migration.version() == 1) {
        tracing::info!("database created");
    } else {
        for migration in done {
            tracing::info!(%migration, "schema upgraded");
        }
    }
    Ok(())
}

/// The migration that adds the numbers and dates of extended property values.
const CASTS: i32 = 19;
/// The one that adds the folded forms of names.
const ORDERS: i32 = 22;
/// The one that adds the keys of phone numbers.
const NUMBERS: i32 = 23;

async fn upgrade_in(session: &mut Session, runner: &Runner) -> Result<Vec<Migration>, OpenFailure> {
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
    if let (1.., false) = tables(session).await.map_err(reason)? {
        return Err(FOREIGN.to_owned());
    }
    let done = runner.run_async(&mut Adaptor(session)).await.map_err(|error| match error.kind() {
        Kind::MissingVersion(newer) => too_new(newer.version(), newest(runner)),
        Kind::DivergentVersion(..) => format!("its schema is not a version of contactd's: {error}"),
        Kind::Connection(what, cause) => format!("{what}: {cause}"),
        _ => error.to_string(),
    })?;
    // After the migrations: the statements need the current schema.
    renew(session).await.map_err(reason)?;
    let has_applied = |version| done.applied_migrations().iter().any(|migration| migration.version() == version);
    if has_applied(CASTS) {
        read_values(session).await.map_err(reason)?;
    }
    if has_applied(ORDERS) {
        fold_names(session).await.map_err(reason)?;
    }
    if has_applied(NUMBERS) {
        key_numbers(session).await.map_err(reason)?;
    }
    if !session.is_postgres() && !done.applied_migrations().is_empty() {
        let broken = session.row(Statement::new("pragma foreign_key_check")).await.map_err(reason)?;
        if broken.is_some() {
            return Err("rows refer to rows that do not exist".to_owned());
        }
    }
    session.execute(Statement::new("commit")).await.map_err(reason)?;
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
        let rows = self.0.rows_of_text(text).await?;
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

#[cfg(test)]
mod tests {
    use refinery::Target;
    use sqlx::{Executor as _, Row as _};

    use super::*;
    use crate::store::db::creation::{make_sqlite, make_temporary};

    /// A contact with rows in child tables, in the columns of the first migration.
    const CONTACT: &str = "
insert into mailboxes (id, seq) values (1, 1);
insert into folders
    (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time,
     deleted_date_time)
values (1, 'contacts', null, 'Contacts', 'contacts', 0, 0, 0, null);
insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time, size, display_name_derived)
values (1, x'01890000000070008000000000000000', 'contacts', 1, 0, 0, 0, true);
insert into phones (mailbox, contact_id, pos, type, number)
values (1, x'01890000000070008000000000000000', 0, 'home', '1');
insert into emails (mailbox, contact_id, pos) values (1, x'01890000000070008000000000000000', 0);";

    struct TestFile(tempfile::TempDir);

    impl TestFile {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            crate::store::db::files::create_private(&folder.path().join("x.db")).unwrap();
            Self(folder)
        }

        async fn run(&self, runner: &Runner) -> Result<(), OpenFailure> {
            run(&self.0.path().join("x.db"), runner).await
        }

        async fn execute(&self, sql: &'static str) -> Vec<sqlx::sqlite::SqliteRow> {
            let options = SqliteConnectOptions::new().filename(self.0.path().join("x.db")).create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let rows = connection.fetch_all(sqlx::raw_sql(sql)).await.unwrap();
            connection.close().await.unwrap();
            rows
        }

        async fn count(&self, sql: &'static str) -> i64 {
            self.execute(sql).await[0].get(0)
        }
    }

    fn with(extra: &[(&str, &str)]) -> Runner {
        let mut migrations = in_sqlite::migrations::runner().get_migrations().clone();
        migrations.extend(extra.iter().map(|(name, sql)| Migration::unapplied(name, sql).unwrap()));
        Runner::new(&migrations)
    }

    #[actix_web::test]
    async fn a_new_file_is_what_the_migrations_make_one_by_one() {
        let sql = "
select group_concat(line, '\n') from (
    select type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') as line from sqlite_master
    union all select version || ' ' || name || ' ' || checksum from refinery_schema_history
    union all select 'empty ' || (select count(*) from contacts) order by 1)";
        let migrated = TestFile::new();
        migrated.run(&in_sqlite::migrations::runner()).await.unwrap();
        let expected: String = migrated.execute(sql).await[0].get(0);
        assert!(expected.contains("table contacts") && expected.contains("\n21 names "), "{expected}");
        let folder = tempfile::tempdir().unwrap();
        for (file, mode) in [("made.db", "delete"), ("temporary.db", "wal")] {
            let path = folder.path().join(file);
            if mode == "wal" {
                make_temporary(&path).await.unwrap();
            } else {
                assert!(make_sqlite(&path).await.unwrap());
                assert!(!make_sqlite(&path).await.unwrap(), "it was there already");
            }
            let made = SqliteConnection::connect_with(&plain_options(&path)).await;
            let mut made = made.unwrap();
            let text: String = made.fetch_one(sqlx::raw_sql(sql)).await.unwrap().get(0);
            let journal: String = made.fetch_one(sqlx::raw_sql("pragma journal_mode")).await.unwrap().get(0);
            assert_eq!((text, journal.as_str()), (expected.clone(), mode), "{file}");
            made.close().await.unwrap();
        }
    }

    #[actix_web::test]
    async fn a_database_of_the_first_migration_opens_after_the_last() {
        let database = TestFile::new();
        database.run(&in_sqlite::migrations::runner().set_target(Target::Version(1))).await.unwrap();
        database.execute(CONTACT).await;
        database.execute("update contacts set nick_name = 'ÉVA'; update phones set number = '(1) 2'").await;
        for _ in 0..2 {
            database.run(&in_sqlite::migrations::runner()).await.unwrap();
        }
        assert_eq!(database.count("select count(*) from contacts join phones on contact_id = id").await, 1);
        // What an upgrade makes of what was there.
        let keys = "
select count(*) from contacts c join phones p on p.contact_id = c.id join folders f on f.id = c.parent_folder_id
where nick_name_key = 'éva' and file_as_key = '' and not has_long_keys and number_key = '12' and f.contacts = 1";
        assert_eq!(database.count(keys).await, 1);
    }

    #[actix_web::test]
    async fn names_that_whoever_came_first_had_find_nobody_after_the_upgrade() {
        let database = TestFile::new();
        database.run(&in_sqlite::migrations::runner().set_target(Target::Version(15))).await.unwrap();
        database
            .execute(
                "
insert into mailboxes values (1, 0), (2, 0), (3, 0), (4, 0);
insert into users (id, user_principal_name, user_principal_name_key, display_name, mail, mailbox, created_date_time) values
    ('ann', 'ann@localhost', 'ann@localhost', 'ann', 'ann@localhost', 1, 0),
    ('0190-a', 'Boss@corp', 'boss@corp', 'Boss', 'Boss@corp', 2, 0),
    ('0190-b', '0190-c@identity', '0190-c@identity', 'b', '0190-c@identity', 3, 0),
    ('0190-c', '0190-c.1234@identity', '0190-c.1234@identity', 'c', '0190-c.1234@identity', 4, 0);
insert into identities values ('i', '2', 2, 0), ('i', '3', 3, 0), ('i', '4', 4, 0);",
            )
            .await;
        database.run(&in_sqlite::migrations::runner()).await.unwrap();
        let sql = "
select group_concat(u.id || ' ' || user_principal_name || ' ' || user_principal_name_key || ' ' || mail || ' ' ||
    display_name || ' ' || coalesce(claimed_name, '-'), '\n' order by u.mailbox)
from users u left join identities i on i.mailbox = u.mailbox";
        let users: String = database.execute(sql).await[0].get(0);
        let expected = "\
ann ann@localhost ann@localhost ann@localhost ann -
0190-a 0190-a@identity 0190-a@identity 0190-a@identity Boss Boss@corp
0190-b 0190-b@identity 0190-b@identity 0190-b@identity b 0190-c@identity
0190-c 0190-c@identity 0190-c@identity 0190-c@identity c 0190-c.1234@identity";
        assert_eq!(users, expected);
    }

    #[actix_web::test]
    async fn rebuilding_a_table_loses_no_row_that_refers_to_it() {
        let database = TestFile::new();
        database.run(&with(&[])).await.unwrap();
        database.execute(CONTACT).await;
        let rebuild = "
create table rebuilt as select * from contacts;
drop table contacts;
create table contacts (mailbox bigint not null, id blob not null, parent_folder_id text not null, added text, primary key (mailbox, id)) without rowid;
insert into contacts select mailbox, id, parent_folder_id, 'new' from rebuilt;
drop table rebuilt;";
        database.run(&with(&[("V9001__rebuild", rebuild)])).await.unwrap();
        assert_eq!(database.count("select count(*) from contacts c join phones p on p.contact_id = c.id join emails e on e.contact_id = c.id where added = 'new'").await, 1);
    }

    #[actix_web::test]
    async fn an_upgrade_that_breaks_references_or_fails_half_way_leaves_nothing() {
        let database = TestFile::new();
        database.run(&with(&[])).await.unwrap();
        database.execute(CONTACT).await;
        let error = database.run(&with(&[("V9001__lose", "delete from contacts;")])).await.unwrap_err();
        assert_eq!(error, "rows refer to rows that do not exist");
        let good = ("V9001__good", "create table good (id bigint);");
        let bad = ("V9002__bad", "create table half (id bigint); select nonsense;");
        let error = database.run(&with(&[good, bad])).await.unwrap_err();
        assert!(error.contains("V9002__bad") && error.contains("nonsense"), "{error}");
        assert_eq!(database.count("select count(*) from sqlite_master where name in ('good', 'half')").await, 0);
        assert_eq!(database.count("select count(*) from contacts").await, 1);
        database.run(&with(&[])).await.unwrap();
    }

    #[actix_web::test]
    async fn a_newer_a_divergent_and_a_foreign_database_are_refused() {
        let database = TestFile::new();
        let newer = Migration::unapplied("V9001__new", "select 1;").unwrap();
        database.run(&with(&[("V9001__new", "select 1;")])).await.unwrap();
        let error = database.run(&with(&[])).await.unwrap_err();
        let newest = with(&[]).get_migrations().iter().map(Migration::version).max().unwrap();
        assert_eq!(
            error,
            format!("its schema has version {}, this contactd knows {newest}: use a newer contactd", newer.version())
        );
        let error = database.run(&with(&[("V9001__new", "select 2;")])).await.unwrap_err();
        assert!(error.starts_with("its schema is not a version of contactd's"), "{error}");

        let foreign = TestFile::new();
        foreign.execute("create table songs (id integer)").await;
        assert_eq!(foreign.run(&with(&[])).await.unwrap_err(), "it is the database of another program");
        assert_eq!(foreign.count("select count(*) from sqlite_master").await, 1);
        let journal: String = foreign.execute("pragma journal_mode").await[0].get(0);
        assert_eq!(journal, "delete");
    }

    #[actix_web::test]
    async fn of_starters_at_once_one_upgrades() {
        let database = TestFile::new();
        let runs = (0..4).map(|_| async { database.run(&with(&[])).await });
        for run in futures_util::future::join_all(runs).await {
            run.unwrap();
        }
        assert_eq!(
            database.count("select count(*) from refinery_schema_history").await,
            i64::try_from(with(&[]).get_migrations().len()).unwrap()
        );
    }
}
