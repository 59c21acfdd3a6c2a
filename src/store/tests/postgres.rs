//! What PostgreSQL, its servers and other processes ask of the store.

use super::proxy::{Cut, Proxy};
use super::*;
use crate::photo::{Format, Picture};
use crate::subscription::{ChangeType, Subject, Subscription, Terms};

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

/// A store whose sessions are known to the server by a name of their own.
async fn named(options: Options) -> (Opened, String) {
    let schema = Postgres::shared().schema();
    let (name, database) = (schema.name.clone(), format!("{}&application_name={}", schema.url, schema.name));
    let o = Opened::new(database.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), options).await;
    (o, name)
}

/// A store whose way to the server can be cut.
async fn behind_a_proxy() -> (Opened, Proxy) {
    let schema = Postgres::shared().schema();
    let proxy = Proxy::to(Postgres::shared().port());
    let url = schema.url.replace(&format!(":{}/", Postgres::shared().port()), &format!(":{}/", proxy.port));
    let o = Opened::new(url.parse().unwrap(), tempfile::tempdir().unwrap(), Some(schema), Options::default()).await;
    // Whatever is prepared at first use is then prepared.
    o.insert("first").await.unwrap();
    (o, proxy)
}

impl Opened {
    fn query(&self, sql: &str) -> String {
        self.schema.as_ref().unwrap().query(sql)
    }

    /// A job that is not one statement, so that its commit is a message by itself; it ends by doing `last`.
    fn longer(&self, title: &str, last: impl FnOnce() + Send + 'static) -> LocalBoxFuture<'_, Result<(), Error>> {
        let (mailbox, patch) = (self.mailbox, titled(title));
        self.job(async move |tx| {
            tx.reading().await?;
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            last();
            Ok(())
        })
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
        let row = tx.reading().await?.row(Statement::new(text)).await?.unwrap();
        let found = (row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?);
        assert_eq!(found, ("on".into(), "read committed".into(), "10s".into(), "contactd".into()));
        Ok(())
    });
    check.await.unwrap();
}

#[actix_web::test]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_answered() {
    let (o, proxy) = behind_a_proxy().await;
    // A create is one message, which commits.
    proxy.cut(Cut::Answer, 0);
    let created = o.store.insert(o.mailbox, titled("lost")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // Several in one statement, each with its own number.
    proxy.cut(Cut::Answer, 0);
    let created = o.store.insert_many(o.mailbox, vec![titled("a"), titled("b"), titled("c")]).await.unwrap();
    for contact in &created {
        assert_eq!(o.store.contact(o.mailbox, &[], contact.id).await.unwrap(), *contact);
    }

    // A commit that is a message by itself.
    o.longer("prepares", || ()).await.unwrap();
    let armed = proxy.clone();
    o.longer("longer", move || armed.cut(Cut::Answer, 0)).await.unwrap();
    assert_eq!(o.titles().await, ["first", "lost", "a", "b", "c", "prepares", "longer"]);
    assert_eq!(proxy.cuts(), 3);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_commit_whose_answer_is_lost_is_known_by_what_was_kept_in_it() {
    let (o, proxy) = behind_a_proxy().await;
    let undone = |proxy: Option<Proxy>| {
        let (mailbox, patch) = (o.mailbox, titled("undone"));
        o.job(async move |tx| {
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            // The messages behind this one: back to the savepoint, and the commit.
            if let Some(proxy) = proxy {
                proxy.cut(Cut::Answer, 1);
            }
            Err(Error::Stale)
        })
    };
    for (title, proxy) in [("prepares", None), ("kept", Some(proxy.clone()))] {
        let results = o.in_one_commit(vec![o.longer(title, || ()), undone(proxy)]).await;
        assert!(matches!(results.as_slice(), [Ok(()), Err(Error::Stale)]), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first", "prepares", "kept"]);
    assert_eq!(proxy.cuts(), 1);
}

#[actix_web::test]
async fn a_commit_that_never_arrived_is_refused_or_done_once() {
    let (o, proxy) = behind_a_proxy().await;
    // A single statement is tried again, and stored once.
    proxy.cut(Cut::Request, 0);
    let created = o.store.insert(o.mailbox, titled("again")).await.unwrap();
    assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);

    // A transaction is not: its caller is told that nothing was written.
    o.longer("prepares", || ()).await.unwrap();
    let armed = proxy.clone();
    let refused = o.longer("refused", move || armed.cut(Cut::Request, 0)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(o.titles().await, ["first", "again", "prepares"]);
    assert_eq!(proxy.cuts(), 2);
    o.insert("after").await.unwrap();
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_lost_commit_of_a_photo_is_looked_up_although_the_log_has_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    let id = o.store.contacts(o.mailbox, &first(1), None).await.unwrap().contacts[0].id;
    let (mailbox, expected) = (o.mailbox, Preconditions::default());
    let picture = Picture { format: Format::Gif, width: 1, height: 1 };
    // The messages behind the last: the savepoint's end, and the commit.
    let put = |bytes: &'static [u8], cut: Option<Cut>| {
        let (armed, expected) = (proxy.clone(), expected.clone());
        o.job(async move |tx| {
            photos::put(tx, mailbox, &[], id, picture, bytes, &expected).await?;
            if let Some(cut) = cut {
                armed.cut(cut, 1);
            }
            Ok(())
        })
    };
    let delete = |cut: Cut| {
        let (armed, expected) = (proxy.clone(), expected.clone());
        o.job(async move |tx| {
            assert!(photos::delete(tx, mailbox, &[], id, &expected).await?.is_some());
            armed.cut(cut, 1);
            Ok(())
        })
    };
    let stored = "select string_agg(encode(bytes, 'escape'), ',') from photo_chunks";
    // On each new connection first: what is prepared there is one message less.
    let kept = async || put(b"kept", None).await.unwrap();
    kept().await;
    put(b"lost", Some(Cut::Answer)).await.unwrap();
    assert_eq!(o.query(stored), "lost");
    kept().await;
    let refused = put(b"never arrived", Some(Cut::Request)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    kept().await;
    let refused = delete(Cut::Request).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(o.query(stored), "kept");
    kept().await;
    delete(Cut::Answer).await.unwrap();
    assert_eq!(o.query(stored), "");
    assert_eq!(proxy.cuts(), 4);
}

#[actix_web::test]
async fn a_lost_commit_of_a_subscription_is_looked_up_although_it_takes_no_number() {
    let (o, proxy) = behind_a_proxy().await;
    let subscription = || Subscription {
        mailbox: o.mailbox,
        id: Tx::new_id(),
        creator: "ann".to_owned(),
        subject: Subject::Contacts,
        terms: Terms {
            resource: "me/contacts".to_owned(),
            change_types: vec![ChangeType::Created],
            notification_url: "https://example.org/".to_owned(),
            lifecycle_notification_url: None,
            client_state: None,
            tls_version: "v1_2".to_owned(),
            expiration_date_time: i64::MAX,
        },
    };
    let insert = |cut: Option<Cut>| {
        let (armed, new) = (proxy.clone(), subscription());
        o.job(async move |tx| {
            subscriptions::insert(tx, &new).await?;
            if let Some(cut) = cut {
                armed.cut(cut, 1);
            }
            Ok(())
        })
    };
    for (cut, stored) in [(Cut::Answer, "2"), (Cut::Request, "3")] {
        // On each new connection first: what is prepared there is one message less.
        insert(None).await.unwrap();
        let inserted = insert(Some(cut)).await;
        assert_eq!(inserted.is_ok(), matches!(cut, Cut::Answer), "{inserted:?}");
        assert!(inserted.is_ok() || matches!(inserted, Err(Error::Unavailable(_))), "{inserted:?}");
        assert_eq!(o.query("select count(*) from subscriptions"), stored);
    }
    assert_eq!(proxy.cuts(), 2);
}

#[actix_web::test]
async fn a_connection_lost_inside_a_transaction_leaves_nothing_of_it() {
    let (o, proxy) = behind_a_proxy().await;
    for message in 0..4 {
        let armed = proxy.clone();
        let (mailbox, patch) = (o.mailbox, titled("no"));
        let lost = o.job(async move |tx| {
            tx.reading().await?;
            armed.cut(Cut::Answer, message);
            tx.open_savepoint().await?;
            contacts::insert(tx, new(mailbox, patch.clone()), 10).await?;
            contacts::insert(tx, new(mailbox, patch), 10).await?;
            Err(Error::Stale)
        });
        let results = o.in_one_commit(vec![lost, o.insert("neighbour")]).await;
        assert!(results.iter().all(Result::is_err), "{results:?}");
    }
    assert_eq!(o.titles().await, ["first"]);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn connections_that_died_meanwhile_cost_no_call() {
    let (o, name) = named(Options::default()).await;
    let created = o.store.insert(o.mailbox, titled("a")).await.unwrap();
    let end =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = '{name}'");
    for i in 0..3 {
        // Those that wait to read, and those that wait to write.
        join_all((0..5).map(|_| o.store.contact(o.mailbox, &[], created.id))).await;
        assert!(o.query(&end).parse::<i64>().unwrap() >= 2);
        assert_eq!(o.store.contact(o.mailbox, &[], created.id).await.unwrap(), created);
        // A single statement, and a longer transaction.
        if i % 2 == 0 { o.insert("b").await.unwrap() } else { o.longer("c", || ()).await.unwrap() }
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
        tx.reading().await?;
        tell.notify_one();
        wait.notified().await;
        Ok(())
    });
    let writes = async {
        running.notified().await;
        o.store.insert(bob, titled("free")).await.unwrap();
        // Reads do not wait for writers.
        assert!(o.titles().await.is_empty());
        let refused = futures_util::join!(o.insert("a"), o.longer("b", || ()));
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
        // Each makes two users, the same two.
        let names = ["ann", "bob"].map(|name| UserName::parse(name).unwrap());
        let users = join_all(stores.iter().flat_map(|store| names.iter().map(|name| store.user(name)))).await;
        let mailbox: Vec<_> = users.into_iter().map(|user| user.unwrap().mailbox).collect();
        assert!(mailbox.chunks(2).all(|pair| pair == &mailbox[..2] && pair[0] != pair[1]), "{mailbox:?}");
        assert_eq!(schema.query("select count(*), count(distinct mailbox) from users"), "2|2");
        let migrations = i64::try_from(migrations("postgres").len()).unwrap();
        assert_eq!(schema.query("select count(*) from refinery_schema_history"), migrations.to_string());
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
    assert!(refusal(divergent.schema.as_ref().unwrap()).await.contains("its schema is not one of contactd's"));

    let newer = on_postgres().await;
    newer.query("insert into refinery_schema_history values (9001, 'later', '2026-01-01T00:00:00Z', '1')");
    let why = refusal(newer.schema.as_ref().unwrap()).await;
    let numbers = migrations("postgres").into_iter().map(|name| name[1..].split('_').next().unwrap().parse().unwrap());
    let newest: i64 = numbers.max().unwrap();
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
async fn a_server_that_lets_nobody_in_is_unavailable_and_nothing_worse() {
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
    let mut copied: Vec<_> = copy::TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table.name, column)))
        .map(|(table, (column, kind))| {
            let kind = match kind {
                copy::Kind::Int => "bigint",
                copy::Kind::Bool => "boolean",
                copy::Kind::Text => "text",
                copy::Kind::Id | copy::Kind::Bytes => "blob",
            };
            format!("{table}.{column} {kind}")
        })
        .collect();
    copied.sort();
    let mut there: Vec<_> = file.row(text).await.get::<String>(0).unwrap().lines().map(str::to_owned).collect();
    there.sort();
    assert_eq!(copied, there, "a table or column that is not here is lost by contactd copy");
    let own = "select group_concat(name order by name) from pragma_table_info('store')";
    assert_eq!(file.row(own).await.get::<String>(0).unwrap(), "created_date_time,epoch,folding,id");
}

#[actix_web::test]
async fn a_number_is_not_given_to_another_mailbox_even_when_the_database_is_set_back() {
    let o = on_postgres().await;
    let bob = UserName::parse("bob").unwrap();
    let before = o.store.user(&bob).await.unwrap().mailbox;
    o.store.find_user(&bob).await.unwrap();
    // A backup of before is restored under the running process, which still remembers him; then somebody else comes.
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
async fn a_standby_that_answers_nonsense_costs_no_list() {
    let primary = Postgres::start(&[]);
    let standby = primary.standby("odd", &[]);
    // Another schema of the same server, with none of our tables in it.
    let (schema, other) = (primary.schema(), primary.schema());
    let options = Options { read_from: vec![other.on(&primary, &standby).url.parse().unwrap()], ..Options::default() };
    let o = opened_in_schema(schema, options).await;
    o.insert("a").await.unwrap();
    for _ in 0..3 {
        assert_eq!(o.titles().await, ["a"]);
    }
}

#[actix_web::test]
async fn sessions_to_a_primary_of_before_are_not_used_once_there_is_another() {
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
    // The old one stands still, is replaced, and comes back.
    old.freeze();
    new.promote();
    let found = join_all([o.store.insert(o.mailbox, titled("after")), o.store.insert(bob, titled("after"))]).await;
    old.thaw();
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    for i in 0..6 {
        o.insert(&i.to_string()).await.unwrap();
        assert_eq!(o.titles().await.len(), 3 + i);
    }
    let there = o.schema.as_ref().unwrap().on(&old, &new);
    assert_eq!(there.query("select count(*) from contacts"), "10");
    // What hung on its way to the old one may still have arrived there, but nothing that came later.
    let later = "select count(*) from contacts where title not in ('before', 'after')";
    assert_eq!((there.query(later).as_str(), o.query(later).as_str()), ("6", "0"));
    old.kill();
}

#[actix_web::test]
async fn a_database_in_another_encoding_is_refused() {
    let server = Postgres::start(&[]);
    server.query("create database latin encoding 'LATIN1' locale 'C' template template0");
    let database: Database = server.url().replace("/postgres", "/latin").parse().unwrap();
    let Err(error) = Store::open(&database, Options::default()).await else { panic!("it was opened") };
    assert!(error.to_string().ends_with("the database's encoding is LATIN1, and must be UTF8"), "{error}");
}
