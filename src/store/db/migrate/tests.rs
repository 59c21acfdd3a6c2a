//! Upgrades, step by step and as a whole.

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

struct OldDatabase(tempfile::TempDir);

impl OldDatabase {
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
    let migrated = OldDatabase::new();
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
    let database = OldDatabase::new();
    database.run(&in_sqlite::migrations::runner().set_target(Target::Version(1))).await.unwrap();
    database.execute(CONTACT).await;
    database.execute("update contacts set nick_name = 'ÉVA'; update phones set number = '(1) 2'").await;
    for _ in 0..2 {
        database.run(&in_sqlite::migrations::runner()).await.unwrap();
    }
    assert_eq!(database.count("select count(*) from contacts join phones on contact_id = id").await, 1);
    // Derived columns of existing rows.
    let keys = "
select count(*) from contacts c join phones p on p.contact_id = c.id join folders f on f.id = c.parent_folder_id
where nick_name_key = 'éva' and file_as_key = '' and not has_long_keys and number_key = '12' and f.contacts = 1";
    assert_eq!(database.count(keys).await, 1);
}

#[actix_web::test]
async fn names_of_provider_users_are_released_by_the_upgrade() {
    let database = OldDatabase::new();
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
    let database = OldDatabase::new();
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
    let database = OldDatabase::new();
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
    let database = OldDatabase::new();
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

    let foreign = OldDatabase::new();
    foreign.execute("create table songs (id integer)").await;
    assert_eq!(foreign.run(&with(&[])).await.unwrap_err(), "it is the database of another program");
    assert_eq!(foreign.count("select count(*) from sqlite_master").await, 1);
    let journal: String = foreign.execute("pragma journal_mode").await[0].get(0);
    assert_eq!(journal, "delete");
}

#[actix_web::test]
async fn of_several_starts_at_once_one_upgrades() {
    let database = OldDatabase::new();
    let runs = (0..4).map(|_| async { database.run(&with(&[])).await });
    for run in futures_util::future::join_all(runs).await {
        run.unwrap();
    }
    assert_eq!(
        database.count("select count(*) from refinery_schema_history").await,
        i64::try_from(with(&[]).get_migrations().len()).unwrap()
    );
}
