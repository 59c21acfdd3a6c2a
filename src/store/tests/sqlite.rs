//! SQLite's files and faults.

use std::path::Path;

use crate::store::tests::counted::sample;
use crate::store::tests::*;

/// Limits the growth of the database to less than `large`, until the writer reconnects.
async fn shrink(o: &Opened) {
    let shrink = o.job(async move |tx| {
        let row = tx.reader().await?.row(Statement::new("pragma page_count")).await?.unwrap();
        assert!(row.get::<i64>(0)? < 160);
        tx.reader().await?.rows(Statement::new("pragma max_page_count = 160")).await.map(drop)
    });
    shrink.await.unwrap();
}

fn large() -> ContactPatch {
    let mut large = titled("large");
    large.texts[Text::PersonalNotes as usize] = Some(Some("x".repeat(1_000_000)));
    large
}

fn assert_none_happened(results: &[Result<(), Error>]) {
    assert!(results.iter().all(|result| matches!(result, Err(Error::Unavailable(_)))), "{results:?}");
}

#[actix_web::test]
async fn a_full_disk_ends_the_batch_and_nothing_of_it_is_stored() {
    let o = opened_on_file(Options::default()).await;
    let errors = || sample("contactd_store_errors_total{kind=\"full\"}");
    let before = errors();
    o.insert("before").await.unwrap();
    shrink(&o).await;
    let full = Box::pin(async { o.store.insert(o.mailbox, large()).await.map(drop) });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);
    assert_eq!(o.titles().await, ["before"]);

    // The same if the job has its own savepoint.
    shrink(&o).await;
    let mailbox = o.mailbox;
    let full = o.job(async move |tx| {
        tx.open_savepoint().await?;
        new_contacts::insert(tx, new(mailbox, large()), 10).await.map(drop)
    });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);

    // And if the job ignores the error.
    shrink(&o).await;
    let full = o.job(async move |tx| {
        let _ = new_contacts::insert(tx, new(mailbox, large()), 10).await;
        Ok(())
    });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);
    assert_eq!(o.titles().await, ["before"]);
    assert_eq!(o.count("select count(*) from phones").await, 3);
    assert!(errors() >= before + 3);

    // The writer has a new connection, whose file may grow.
    o.store.insert(o.mailbox, large()).await.unwrap();
    assert_eq!(o.titles().await, ["before", "large"]);
}

#[actix_web::test]
async fn a_commit_that_fails_fails_every_waiter() {
    let o = opened_on_file(Options::default()).await;
    let orphan = o.job(async move |tx| {
        tx.execute(Statement::new("pragma defer_foreign_keys = on")).await?;
        let text = "insert into users values ('x', 'x', 'x', 'x', 'x', 99, 0, null)";
        tx.execute(Statement::new(text)).await
    });
    let results = o.in_one_commit(vec![o.insert("a"), orphan, o.insert("b")]).await;
    assert!(results.iter().all(|result| matches!(result, Err(Error::Internal(_)))), "{results:?}");
    assert_eq!(o.titles().await, Vec::<String>::new());
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}

#[actix_web::test]
async fn closing_finishes_submitted_writes_and_refuses_later_ones() {
    let o = opened_on_file(Options::default()).await;
    let inserts = join_all((0..20).map(|i| {
        let store = o.store.clone();
        let mailbox = o.mailbox;
        async move { store.insert(mailbox, titled(&i.to_string())).await }
    }));
    let close = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        o.store.close().await;
    };
    let (inserted, ()) = futures_util::join!(inserts, close);
    assert!(inserted.iter().all(Result::is_ok), "all were handed in before the close");
    assert!(matches!(o.insert("late").await, Err(Error::Unavailable(_))));
    assert!(matches!(o.store.check().await, Err(Error::Unavailable(_))));
    let files: Vec<_> = std::fs::read_dir(o.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["contacts.db"], "the log is in the file");
    let again = Store::open(&Database::File(o.folder.path().join("contacts.db")), Options::default()).await.unwrap();
    assert_eq!(again.contacts(o.mailbox, &first(100), None).await.unwrap().contacts.len(), 20);
}

#[actix_web::test]
async fn a_temporary_store_deletes_its_folder() {
    let store = Store::open(&Database::Temporary, Options::default()).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    store.insert(mailbox, titled("x")).await.unwrap();
    let text = "select file from pragma_database_list where name = 'main'";
    let read = async |session: &mut Session| session.row(Statement::new(text)).await;
    let file: String = store.read(read).await.unwrap().unwrap().get(0).unwrap();
    assert!(Path::new(&file).exists());
    store.close().await;
    assert!(!Path::new(&file).parent().unwrap().exists());
}

#[actix_web::test]
async fn a_new_file_can_be_opened_by_several_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::File(folder.path().join("contacts.db"));
        let stores = join_all((0..4).map(|_| Store::open(&database, Options::default()))).await;
        let stores: Vec<_> = stores.into_iter().map(|store| store.unwrap_or_else(|error| panic!("{error}"))).collect();
        let name = UserName::parse("ann").unwrap();
        let users = join_all(stores.iter().map(|store| store.user(&name))).await;
        assert!(users.iter().all(|user| user.as_ref().unwrap().mailbox == 1));
        join_all(stores.iter().map(Store::close)).await;
    }
}

#[actix_web::test]
async fn every_commit_is_synced() {
    let o = opened_on_file(Options::default()).await;
    let check = o.job(async move |tx| {
        let text = "
select (select journal_mode from pragma_journal_mode), (select synchronous from pragma_synchronous),
       (select foreign_keys from pragma_foreign_keys), (select temp_store from pragma_temp_store)";
        let row = tx.reader().await?.row(Statement::new(text)).await?.unwrap();
        let full = (row.get::<String>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?);
        assert_eq!(full, ("wal".to_owned(), 2, 1, 2));
        Ok(())
    });
    check.await.unwrap();
}

#[actix_web::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let o = opened_on_file(Options::default()).await;
    backup(&o.folder.path().join("contacts.db"), &o.folder.path().join("copy.db"), Verify::Full).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(o.folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[actix_web::test]
async fn a_backup_does_not_change_its_source_and_a_failed_one_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("notes.txt"), "not a database".repeat(100)).unwrap();
    assert!(backup(&path("notes.txt"), &path("copy.db"), Verify::Full).await.is_err());
    assert!(backup(Path::new(":memory:"), &path("copy.db"), Verify::Full).await.is_err());
    assert!(backup(&path("none.db"), &path("copy.db"), Verify::Full).await.is_err());
    assert!(backup(&path("notes.txt"), &path("no/folder.db"), Verify::Full).await.is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[actix_web::test]
async fn a_backup_of_a_store_in_use_is_complete_as_of_one_moment() {
    let o = opened_on_file(Options::default()).await;
    let source = o.folder.path().join("contacts.db");
    let target = o.folder.path().join("copy.db");
    let writes = async {
        for i in 0..50 {
            o.insert(&i.to_string()).await.unwrap();
        }
    };
    let copy = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        backup(&source, &target, Verify::Full).await.unwrap();
    };
    futures_util::join!(writes, copy);
    let copied = Store::open(&Database::File(target.clone()), Options::default()).await.unwrap();
    let contacts = copied.contacts(o.mailbox, &first(1_000), None).await.unwrap().contacts;
    let titles: Vec<_> = contacts.iter().map(|c| c.properties.text(Text::Title).unwrap().to_owned()).collect();
    assert_eq!(titles, (0..titles.len()).map(|i| i.to_string()).collect::<Vec<_>>());
    assert!(contacts.iter().all(|contact| contact.properties.phones.len() == 3));
    assert!(backup(&source, &target, Verify::Full).await.unwrap_err().to_string().contains("it already exists"));
    assert!(backup(&o.folder.path().join("none.db"), &o.folder.path().join("x.db"), Verify::Full).await.is_err());
}

#[actix_web::test]
async fn a_job_that_fails_after_a_call_outside_its_savepoint_is_not_half_kept() {
    let o = opened_on_file(Options::default()).await;
    let mailbox = o.mailbox;
    let id = o.store.insert(mailbox, titled("kept")).await.unwrap().id;
    let loose = || {
        o.job(async move |tx| {
            contacts::delete(tx, mailbox, &[], id, &Preconditions::default()).await?;
            Err(Error::Stale)
        })
    };
    let results = o.in_one_commit(vec![o.insert("a"), loose()]).await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    // Alone it is rolled back with its transaction.
    assert!(matches!(loose().await, Err(Error::Stale)));
    assert_eq!(o.titles().await, ["kept"]);
}

#[actix_web::test]
async fn creates_that_are_retried_alone_stop_when_the_transaction_is_lost() {
    let o = opened_on_file(Options { max_folders: 1, ..Options::default() }).await;
    // Simulates an error that ends the transaction, such as an I/O error: the database rolls back itself.
    let trap = o.job(async move |tx| {
        let text = "
create temp trigger trap before insert on main.contacts when new.title = 'boom' begin select raise(rollback, 'boom'); end";
        tx.reader().await?.script(text).await
    });
    trap.await.unwrap();
    let create = |title: &str, folder: Option<&str>| {
        let patch = ContactPatch { parent_folder_id: folder.map(str::to_owned), ..titled(title) };
        Box::pin(async { o.store.insert(o.mailbox, patch).await.map(drop) }) as LocalBoxFuture<'_, Result<(), Error>>
    };
    // The create without room for its folder makes all be tried separately.
    let creates = vec![create("a", None), create("no", Some("x")), create("boom", None), create("b", None)];
    let results = o.in_one_commit(creates).await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert_eq!(o.titles().await, Vec::<String>::new(), "what was refused is not there");
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
    o.insert("after").await.unwrap();
}
