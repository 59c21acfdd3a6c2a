//! PostgreSQL, its servers and other processes.

use crate::domain::handling::Handling;
use crate::odata::filter::{Aliases, Model, filter as read_filter};
use crate::store::tables::schema;
use crate::store::tables::table::{Column, ColumnType};
use crate::store::tests::proxy::LossTurn;
use crate::store::tests::*;

async fn on_postgres() -> Opened {
    opened_in_schema(Postgres::shared().schema(), Options::default()).await
}

/// The files of an engine's migrations.
fn migrations(engine: &str) -> Vec<String> {
    let folder = std::fs::read_dir(format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut names: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A store whose sessions have their own application name.
pub(super) async fn named(options: Options) -> (Opened, String) {
    let schema = Postgres::shared().schema();
    let (name, database) = (schema.name.clone(), format!("{}&application_name={}", schema.url, schema.name));
    let o = Opened::new(database.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), options).await;
    (o, name)
}

impl Opened {
    pub(super) fn query(&self, sql: &str) -> String {
        self.schema.as_ref().unwrap().query(sql)
    }
}

#[actix_web::test]
async fn every_commit_is_synced_whatever_the_server_is_configured_to() {
    let schema = Postgres::shared().schema();
    let lax = "%20-c%20synchronous_commit%3Doff%20-c%20default_transaction_isolation%3Dserializable";
    let database = format!("{}{lax}", schema.url).parse().unwrap();
    let o = Opened::new(database, tempfile::tempdir().unwrap(), Some(schema), Options::default()).await;
    let check = o.job(async move |tx| {
        let text = "
select current_setting('synchronous_commit'), current_setting('transaction_isolation'),
    current_setting('statement_timeout'), current_setting('application_name')";
        let row = tx.reader().await?.row(Statement::new(text)).await?.unwrap();
        let found = (row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?);
        assert_eq!(found, ("on".into(), "read committed".into(), "10s".into(), "contactd".into()));
        Ok(())
    });
    check.await.unwrap();
}

#[actix_web::test]
async fn lost_idle_connections_do_not_fail_requests() {
    let _turn = LossTurn::shared().await;
    let (o, name) = named(Options::default()).await;
    let created = o.store.insert(o.mailbox, titled("a")).await.unwrap();
    let end =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = '{name}'");
    for i in 0..3 {
        // The idle sessions for reads, and those for writes.
        join_all((0..5).map(|_| o.store.contact(o.mailbox, &[], created.id))).await;
        assert!(o.query(&end).parse::<i64>().unwrap() >= 2);
        assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);
        // A single statement, and a longer transaction.
        if i % 2 == 0 { o.insert("b").await.unwrap() } else { o.multi_statement_job("c", || ()).await.unwrap() }
    }
    assert_eq!(o.titles().await, ["a", "b", "c", "b"]);
}

#[actix_web::test]
async fn a_mailbox_that_is_held_elsewhere_refuses_writes_in_time_and_delays_no_other() {
    let o = on_postgres().await;
    let other = Store::open(&o.database, Options::default()).await.unwrap();
    let bob = other.user(&UserName::parse("bob").unwrap()).await.unwrap().mailbox;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&running), Arc::clone(&go));
    let hold = other.write(Some(o.mailbox), async move |tx| {
        tx.reader().await?;
        tell.notify_one();
        wait.notified().await;
        Ok(())
    });
    let writes = async {
        running.notified().await;
        o.store.insert(bob, titled("free")).await.unwrap();
        // Reads do not wait for writers.
        assert!(o.titles().await.is_empty());
        let refused = futures_util::join!(o.insert("a"), o.multi_statement_job("b", || ()));
        go.notify_one();
        refused
    };
    let (held, (a, b)) = futures_util::join!(hold, writes);
    held.unwrap();
    assert!(matches!((&a, &b), (Err(Error::Unavailable(_)), Err(Error::Unavailable(_)))), "{a:?} {b:?}");
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}

#[actix_web::test]
async fn a_schema_can_be_opened_by_several_at_once() {
    for _ in 0..3 {
        let schema = Postgres::shared().schema();
        let database: Database = schema.url.parse().unwrap();
        let stores = join_all((0..4).map(|_| Store::open(&database, Options::default()))).await;
        let stores: Vec<_> = stores.into_iter().map(|store| store.unwrap_or_else(|error| panic!("{error}"))).collect();
        // Each creates the same two users.
        let names = ["ann", "bob"].map(|name| UserName::parse(name).unwrap());
        let users = join_all(stores.iter().flat_map(|store| names.iter().map(|name| store.user(name)))).await;
        let mailbox: Vec<_> = users.into_iter().map(|user| user.unwrap().mailbox).collect();
        assert!(mailbox.chunks(2).all(|pair| pair == &mailbox[..2] && pair[0] != pair[1]), "{mailbox:?}");
        assert_eq!(schema.query("select count(*), count(distinct mailbox) from users"), "2|2");
        assert_eq!(
            schema.query("select count(*) from refinery_schema_history"),
            migrations("postgres").len().to_string()
        );
        join_all(stores.iter().map(Store::close)).await;
    }
}

#[actix_web::test]
async fn a_newer_a_divergent_and_a_foreign_schema_are_refused_and_left_as_they_are() {
    let refusal = async |schema: &Schema| {
        let database: Database = schema.url.parse().unwrap();
        match Store::open(&database, Options::default()).await {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    };
    let foreign = Postgres::shared().schema();
    foreign.query("create table songs (id integer)");
    assert!(refusal(&foreign).await.ends_with("it is the database of another program"));
    assert_eq!(
        foreign.query("select count(*) from information_schema.tables where table_schema = current_schema()"),
        "1"
    );

    let divergent = on_postgres().await;
    divergent.query("update refinery_schema_history set checksum = '1'");
    assert!(refusal(divergent.schema.as_ref().unwrap()).await.contains("its schema is not a version of contactd's"));

    let newer = on_postgres().await;
    newer.query("insert into refinery_schema_history values (9001, 'later', '2026-01-01T00:00:00Z', '1')");
    let why = refusal(newer.schema.as_ref().unwrap()).await;
    let newest = newer.query("select max(version) from refinery_schema_history where version < 9001");
    let expected = format!("its schema has version 9001, this contactd knows {newest}: use a newer contactd");
    assert!(why.ends_with(&expected), "{why}");
}

#[actix_web::test]
async fn the_schemas_have_the_same_tables_and_columns() {
    let o = on_postgres().await;
    let file = opened_on_file(Options::default()).await;
    // In SQLite's words, but for its index of the words that a search finds. The order of the columns is the same too.
    let types = "
select string_agg(table_name || '.' || column_name || ' ' || case when data_type in ('uuid', 'bytea') then 'blob' else data_type end
        || case is_nullable when 'NO' then ' not null' else '' end, e'\\n'
    order by table_name collate \"C\", ordinal_position)
from information_schema.columns
where table_schema = current_schema() and table_name not in ('refinery_schema_history', 'words')";
    let text = "
select group_concat(t.name || '.' || c.name || ' ' || lower(c.type) || iif(c.\"notnull\", ' not null', ''), char(10)
    order by t.name, c.cid)
from sqlite_master t join pragma_table_info(t.name) c
where t.type = 'table' and t.name not in ('refinery_schema_history', 'searched') and t.name not like 'words%'";
    assert_eq!(o.query(types), file.row(text).await.get::<String>(0).unwrap());

    // So have the keys: what is unique, and what refers to what.
    let keys = "
select conrelid::regclass || ' ' || contype::text || ' ' || (
        select string_agg(attname, ',' order by n) from unnest(conkey) with ordinality k (a, n)
        join pg_attribute on attrelid = conrelid and attnum = a)
    || case when confrelid = 0 then '' else ' ' || confrelid::regclass end
    || case confdeltype when 'c' then ' cascade' else '' end
from pg_constraint
where connamespace = current_schema()::regnamespace and contype in ('p', 'f')
    and conrelid not in ('refinery_schema_history'::regclass, 'words'::regclass)";
    let mut found: Vec<_> = o.query(keys).lines().map(str::to_owned).collect();
    found.sort();
    let primary = "
select group_concat(key, char(10)) from (
    select t.name || ' p ' || (select group_concat(name, ',' order by pk) from pragma_table_info(t.name) where pk > 0) as key
    from sqlite_master t
    where t.type = 'table' and t.name not in ('refinery_schema_history', 'searched') and t.name not like 'words%'
    union all
    select t.name || ' f ' || group_concat(f.\"from\", ',' order by f.seq) || ' ' || f.\"table\" ||
        iif(f.on_delete = 'CASCADE', ' cascade', '')
    from sqlite_master t join pragma_foreign_key_list(t.name) f
    where t.type = 'table' and t.name <> 'refinery_schema_history' group by t.name, f.id)";
    let expected: String = file.row(primary).await.get(0).unwrap();
    let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(found, expected);

    assert_eq!(migrations("postgres"), migrations("sqlite"));
}

#[actix_web::test]
async fn few_connections_serve_many_callers() {
    let (o, name) = named(Options { connections: 2, ..Options::default() }).await;
    let calls = (0..40).map(async |i| {
        o.insert(&i.to_string()).await.unwrap();
        o.titles().await.len()
    });
    assert_eq!(join_all(calls).await.into_iter().max(), Some(40));
    let sessions = format!("select count(*) from pg_stat_activity where application_name = '{name}'");
    assert_eq!(o.query(&sessions), "2");
}

#[actix_web::test]
async fn a_server_without_free_connections_is_unavailable() {
    let server = Postgres::start(&[("max_connections", "8"), ("superuser_reserved_connections", "0")]);
    let schema = server.schema();
    let options = Options { connections: 20, ..Options::default() };
    let database: Database = schema.url.parse().unwrap();
    let (a, b) =
        (Store::open(&database, options.clone()).await.unwrap(), Store::open(&database, options).await.unwrap());
    let mailbox = a.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    let calls = (0..60).map(async |i| if i % 2 == 0 { &a } else { &b }.contacts(mailbox, &first(10), None).await);
    let answers = join_all(calls).await;
    assert!(answers.iter().any(Result::is_ok));
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Error::Unavailable(_)))), "{answers:?}");
    join_all([a.close(), b.close()]).await;
}

#[actix_web::test]
async fn every_table_and_column_is_copied() {
    let file = opened_on_file(Options::default()).await;
    let text = "
select group_concat(t.name || '.' || c.name || ' ' || lower(c.type), char(10) order by t.name, c.name)
from sqlite_master t join pragma_table_info(t.name) c
where t.type = 'table' and t.name not in ('refinery_schema_history', 'store', 'searched') and t.name not like 'words%'";
    let mut copied: Vec<_> = schema::TABLES
        .iter()
        .flat_map(|table| table.columns().map(move |column| (table.name, column)))
        .map(|(table, Column { name: column, kind })| {
            let kind = match kind {
                ColumnType::Int => "bigint",
                ColumnType::Bool => "boolean",
                ColumnType::Text => "text",
                ColumnType::Id | ColumnType::Bytes => "blob",
            };
            format!("{table}.{column} {kind}")
        })
        .collect();
    copied.sort();
    let mut there: Vec<_> = file.row(text).await.get::<String>(0).unwrap().lines().map(str::to_owned).collect();
    there.sort();
    assert_eq!(copied, there, "a table or column that is not here is lost by contactd copy");
    let own = "select group_concat(name order by name) from pragma_table_info('store')";
    assert_eq!(file.row(own).await.get::<String>(0).unwrap(), "created_date_time,epoch,folding,id,token_key");
}

#[actix_web::test]
async fn a_number_is_not_given_to_another_mailbox_even_when_the_database_is_set_back() {
    let o = on_postgres().await;
    let bob = UserName::parse("bob").unwrap();
    let before = o.store.user(&bob).await.unwrap().mailbox;
    o.store.find_user(&bob).await.unwrap();
    // An earlier backup is restored under the running process, which still has the user cached; then another user is created.
    o.query(&format!(
        "delete from users where mailbox = {before}; delete from changes where mailbox = {before};
         delete from folders where mailbox = {before}; delete from mailboxes where id = {before}"
    ));
    let eve = o.store.user(&UserName::parse("eve").unwrap()).await.unwrap().mailbox;
    assert_ne!(eve, before);
    assert!(o.store.insert(before, titled("x")).await.is_err());
    assert_eq!(o.query("select count(*) from contacts"), "0");
}

#[actix_web::test]
async fn a_standby_with_wrong_answers_does_not_fail_lists() {
    let primary = Postgres::start(&[]);
    let standby = primary.standby("odd", &[]);
    // Another schema of the same server, without our tables.
    let (schema, other) = (primary.schema(), primary.schema());
    let options = Options { read_from: vec![other.on(&primary, &standby).url.parse().unwrap()], ..Options::default() };
    let o = opened_in_schema(schema, options).await;
    o.insert("a").await.unwrap();
    for _ in 0..3 {
        assert_eq!(o.titles().await, ["a"]);
    }
}

#[actix_web::test]
async fn an_expensive_read_is_stopped_on_a_standby_that_stays_in_use() {
    let primary = Postgres::start(&[]);
    let standby = primary.standby("reader", &[]);
    let schema = primary.schema();
    let there = schema.on(&primary, &standby);
    let options = Options {
        read_from: vec![there.url.parse().unwrap()],
        query_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let o = opened_in_schema(schema, options).await;
    let emails = Some(vec![Email::default(); 100]);
    let patch = ContactPatch { emails, phones: Some(vec![Phone::default(); 100]), ..ContactPatch::default() };
    o.store.insert(o.mailbox, patch).await.unwrap();
    let costly = "emailAddresses/any(a:phones/any(b:emailAddresses/any(c:phones/any(d:\
        concat(concat(a/address,b/number),concat(c/address,d/number)) eq 'x'))))";
    let costly = read_filter(costly, &Aliases::default(), Model::Beta, Handling::Lenient).unwrap();
    let listing = Listing { filter: Some(costly), ..first(10) };
    // Until the standby has the contact, and is asked.
    let sessions = || there.query("select count(*) from pg_stat_activity where application_name = 'contactd'");
    while sessions() == "0" {
        o.titles().await;
    }
    let before = sessions();
    for _ in 0..3 {
        let stopped = o.store.contacts(o.mailbox, &listing, None).await;
        assert!(matches!(stopped, Err(Error::Inefficient)), "{:?}", stopped.map(drop));
    }
    assert_eq!(o.titles().await.len(), 1);
    // It did not count as failed; its sessions would have been ended.
    assert_eq!(sessions(), before);
}

#[actix_web::test]
async fn sessions_to_a_former_primary_are_not_used() {
    let _turn = LossTurn::shared().await;
    let mut old = Postgres::start(&[]);
    let new = old.standby("heir", &[]);
    let schema = old.schema();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}/", old.port(), new.port());
    let url = schema.url.replace(&format!("127.0.0.1:{}/", old.port()), &hosts);
    let o = Opened::new(url.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), Options::default()).await;
    let bob = o.store.user(&UserName::parse("bob").unwrap()).await.unwrap().mailbox;
    // Several sessions of either kind that wait.
    let both = [o.mailbox, bob].map(|mailbox| o.store.insert(mailbox, titled("before")));
    join_all(both).await.into_iter().for_each(|created| drop(created.unwrap()));
    join_all((0..5).map(|_| o.titles())).await;
    // The old primary hangs, is replaced, and comes back.
    old.freeze();
    new.promote();
    let found = join_all([o.store.insert(o.mailbox, titled("after")), o.store.insert(bob, titled("after"))]).await;
    old.thaw();
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    for i in 0..6 {
        o.insert(&i.to_string()).await.unwrap();
        assert_eq!(o.titles().await.len(), 3 + i);
    }
    let on_new_primary = o.schema.as_ref().unwrap().on(&old, &new);
    assert_eq!(on_new_primary.query("select count(*) from contacts"), "10");
    // A message that was on its way to the old primary may have arrived there, but no later one.
    let later = "select count(*) from contacts where title not in ('before', 'after')";
    assert_eq!((on_new_primary.query(later).as_str(), o.query(later).as_str()), ("6", "0"));
    old.kill();
}

#[actix_web::test]
async fn a_database_in_another_encoding_is_refused() {
    let server = Postgres::start(&[]);
    server.query("create database latin encoding 'LATIN1' locale 'C' template template0");
    let database: Database = server.url().replace("/postgres", "/latin").parse().unwrap();
    let Err(error) = Store::open(&database, Options::default()).await else { panic!("it was opened") };
    assert!(error.to_string().ends_with("the encoding of the database is LATIN1; it must be UTF8"), "{error}");
}

#[actix_web::test]
async fn a_state_that_is_read_later_excludes_later_writes() {
    let o = on_postgres().await;
    o.insert("a").await.unwrap();
    let reading = o.store.save_state_later().await.unwrap();
    o.insert("b").await.unwrap();
    let other = Store::open(&o.database, Options::default()).await.unwrap();
    other.insert(o.mailbox, titled("c")).await.unwrap();
    let kept = reading.await.unwrap();
    assert_eq!(kept.size().0, 1);
    assert_eq!(o.titles().await, ["a", "b", "c"]);
    o.store.restore_state(Some(Arc::new(kept))).await.unwrap();
    assert_eq!(o.titles().await, ["a"]);
    other.close().await;
}
