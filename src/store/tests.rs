//! The store from below: what a shared commit promises when something in it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use tokio::sync::Notify;
use uuid::Uuid;

use super::engine::Statement;
use super::writer::Tx;
use super::*;
use crate::contact::{Email, Phone, Text};

struct Opened {
    store: Store,
    mailbox: i64,
    folder: tempfile::TempDir,
}

async fn opened() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::File(folder.path().join("contacts.db"));
    let store = Store::open(&database, Options::default()).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    Opened { store, mailbox, folder }
}

fn titled(title: &str) -> Patch {
    let mut patch = Patch { phones: Some(vec![Phone::default(); 3]), ..Patch::default() };
    patch.texts[Text::Title as usize] = Some(Some(title.to_owned()));
    patch
}

fn new(mailbox: i64, patch: Patch) -> Vec<New> {
    vec![New { mailbox, patch }]
}

impl Opened {
    async fn titles(&self) -> Vec<String> {
        let page = self.store.contacts(self.mailbox, Uuid::nil(), 0, 1_000).await.unwrap();
        page.contacts.iter().map(|c| c.properties.text(Text::Title).unwrap_or_default().to_owned()).collect()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.store.reader().await.unwrap().row(Statement::new(sql)).await.unwrap().unwrap().get(0).unwrap()
    }

    fn insert(&self, title: &str) -> LocalBoxFuture<'_, Result<(), Error>> {
        let new = titled(title);
        Box::pin(async move { self.store.insert(self.mailbox, new).await.map(drop) })
    }

    /// Any job.
    fn job<F>(&self, work: F) -> LocalBoxFuture<'_, Result<(), Error>>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<(), Error> + Send + 'static,
    {
        Box::pin(self.store.write(work))
    }

    /// Holds the writer until all jobs wait, so that the next commit is theirs together.
    async fn in_one_commit(&self, jobs: Vec<LocalBoxFuture<'_, Result<(), Error>>>) -> Vec<Result<(), Error>> {
        let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&running), Arc::clone(&go));
        let hold = self.job(async move |_| {
            tell.notify_one();
            wait.notified().await;
            Ok(())
        });
        let jobs = async {
            running.notified().await;
            let release = async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                go.notify_one();
            };
            // What is polled once is queued.
            futures_util::join!(join_all(jobs), release).0
        };
        let (hold, results) = futures_util::join!(hold, jobs);
        hold.unwrap();
        results
    }
}

#[actix_web::test]
async fn waiting_writes_share_a_commit_and_are_answered_after_it() {
    let o = opened().await;
    let (store, mailbox) = (o.store.clone(), o.mailbox);
    let look = o.job(async move |tx| {
        // Inside, the neighbours' contacts are there; outside, they are not committed yet.
        let row = tx.reading().await?.row(Statement::new("select count(*) from contacts")).await?.unwrap();
        assert_eq!(row.get::<i64>(0)?, 2);
        assert!(store.contacts(mailbox, Uuid::nil(), 0, 10).await?.contacts.is_empty());
        Ok(())
    });
    let results = o.in_one_commit(vec![o.insert("a"), look, o.insert("b")]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(o.titles().await, ["a", "b"]);
}

#[actix_web::test]
async fn creates_that_are_written_together_are_answered_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::File(folder.path().join("contacts.db"));
    let store = Store::open(&database, Options { max_folders: 2 }).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    let o = Opened { store, mailbox, folder };
    let create = |title: &str, folder: Option<&str>| {
        let patch = Patch { parent_folder_id: folder.map(str::to_owned), ..titled(title) };
        let store = o.store.clone();
        async move { store.insert(mailbox, patch).await }
    };
    let gathered = || join_all([create("a", None), create("b", Some("x")), create("c", None), create("d", Some("x"))]);
    for answered in gathered().await {
        let contact = answered.unwrap();
        assert_eq!(o.store.contact(mailbox, contact.id).await.unwrap(), contact);
    }
    assert_eq!(o.titles().await, ["a", "b", "c", "d"]);

    // Two of them cannot be: the others are written, and nothing is left of the two.
    let (running, refused) = (o.insert("e"), ["y", "z"].map(|folder| create("no", Some(folder))));
    let answered = futures_util::join!(running, create("f", None), join_all(refused), create("g", Some("x")));
    assert!(answered.0.is_ok() && answered.1.is_ok() && answered.3.is_ok());
    assert!(answered.2.iter().all(|refused| matches!(refused, Err(Error::Quota(_)))));
    let contact = answered.3.unwrap();
    assert_eq!(o.store.contact(mailbox, contact.id).await.unwrap(), contact);
    assert_eq!(o.titles().await, ["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(o.count("select count(*) from folders").await, 2);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_failing_job_leaves_its_neighbours_alone() {
    let o = opened().await;
    let mailbox = o.mailbox;
    let refused = o.job(async move |tx| {
        tx.open_savepoint().await?;
        contacts::insert(tx, new(mailbox, titled("undone")), 10).await?;
        Err(Error::Stale)
    });
    let broken = o.job(async move |tx| {
        tx.execute(Statement::new("insert into mailboxes (id, seq) values (7, 0)")).await?;
        tx.execute(Statement::new("insert into mailboxes (id, seq) values (7, 0)")).await
    });
    // Within one procedure too: the entry in the log fails last, the contact is undone.
    let half = o.job(async move |tx| {
        tx.open_savepoint().await?;
        let statement =
            Statement::new(procedures::DELETE).bind(mailbox).bind("no id").bind("no time").bind(None::<String>);
        tx.call(statement).await.map(drop)
    });
    let results = o.in_one_commit(vec![o.insert("a"), refused, o.insert("b"), broken, half, o.insert("c")]).await;
    assert!(matches!(
        results.as_slice(),
        [Ok(()), Err(Error::Stale), Ok(()), Err(Error::Internal(_)), Err(Error::Internal(_)), Ok(())]
    ));
    assert_eq!(o.titles().await, ["a", "b", "c"]);
    assert_eq!(o.count("select count(*) from phones").await, 9);
    assert_eq!(o.count("select count(*) from mailboxes").await, 1);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

/// Lets the database grow by a few pages more only, until the writer connects anew.
async fn shrink(o: &Opened) {
    let shrink = o.job(async move |tx| {
        let row = tx.reading().await?.row(Statement::new("pragma page_count")).await?.unwrap();
        assert!(row.get::<i64>(0)? < 60);
        tx.reading().await?.rows(Statement::new("pragma max_page_count = 60")).await.map(drop)
    });
    shrink.await.unwrap();
}

fn large() -> Patch {
    let mut large = titled("large");
    large.texts[Text::PersonalNotes as usize] = Some(Some("x".repeat(1_000_000)));
    large
}

fn assert_none_happened(results: &[Result<(), Error>]) {
    assert!(results.iter().all(|result| matches!(result, Err(Error::Unavailable(_)))), "{results:?}");
}

#[actix_web::test]
async fn a_full_disk_ends_the_batch_and_nothing_of_it_is_stored() {
    let o = opened().await;
    o.insert("before").await.unwrap();
    shrink(&o).await;
    let full = Box::pin(async { o.store.insert(o.mailbox, large()).await.map(drop) });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);
    assert_eq!(o.titles().await, ["before"]);

    // The same where the job has a savepoint of its own.
    shrink(&o).await;
    let mailbox = o.mailbox;
    let full = o.job(async move |tx| {
        tx.open_savepoint().await?;
        contacts::insert(tx, new(mailbox, large()), 10).await.map(drop)
    });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);

    // And where the job takes no notice.
    shrink(&o).await;
    let full = o.job(async move |tx| {
        let _ = contacts::insert(tx, new(mailbox, large()), 10).await;
        Ok(())
    });
    assert_none_happened(&o.in_one_commit(vec![o.insert("a"), full, o.insert("b")]).await);
    assert_eq!(o.titles().await, ["before"]);
    assert_eq!(o.count("select count(*) from phones").await, 3);

    // The writer has a new connection, whose file may grow.
    o.store.insert(o.mailbox, large()).await.unwrap();
    assert_eq!(o.titles().await, ["before", "large"]);
}

#[actix_web::test]
async fn a_commit_that_fails_fails_every_waiter() {
    let o = opened().await;
    let orphan = o.job(async move |tx| {
        tx.execute(Statement::new("pragma defer_foreign_keys = on")).await?;
        let text = "insert into users values ('x', 'x', 'x', 'x', 'x', 99, 0)";
        tx.execute(Statement::new(text)).await
    });
    let results = o.in_one_commit(vec![o.insert("a"), orphan, o.insert("b")]).await;
    assert!(results.iter().all(|result| matches!(result, Err(Error::Internal(_)))), "{results:?}");
    assert_eq!(o.titles().await, Vec::<String>::new());
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}

#[actix_web::test]
async fn a_job_that_panics_takes_nobody_along_but_its_batch() {
    let o = opened().await;
    let panics = o.job(async move |_| panic!("on purpose"));
    let results = o.in_one_commit(vec![o.insert("a"), panics, o.insert("b")]).await;
    assert!(matches!(
        results.as_slice(),
        [Err(Error::Unavailable(_)), Err(Error::Internal(_)), Err(Error::Unavailable(_))]
    ));
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}

#[actix_web::test]
async fn a_job_that_fails_after_a_call_outside_its_savepoint_is_not_half_kept() {
    let o = opened().await;
    let mailbox = o.mailbox;
    let loose = o.job(async move |tx| {
        contacts::insert(tx, new(mailbox, titled("loose")), 10).await?;
        Err(Error::Stale)
    });
    let results = o.in_one_commit(vec![o.insert("a"), loose]).await;
    assert!(results.iter().all(Result::is_err), "{results:?}");
    assert_eq!(o.titles().await, Vec::<String>::new());
}

#[actix_web::test]
async fn a_caller_that_goes_away_leaves_whole_contacts_or_none() {
    let o = opened().await;
    for i in 0..40 {
        let micros = i * 25;
        let insert = o.insert("x");
        let _ = tokio::time::timeout(Duration::from_micros(micros), insert).await;
    }
    o.insert("last").await.unwrap();
    let titles = o.titles().await;
    assert_eq!(titles.last().map(String::as_str), Some("last"));
    assert_eq!(o.count("select count(*) from phones").await, 3 * i64::try_from(titles.len()).unwrap());
    assert_eq!(
        o.count("select count(*) from changes where contact_id is not null").await,
        i64::try_from(titles.len()).unwrap()
    );

    // One that left before its turn is not written at all.
    let gone = Box::pin(async {
        let _ = tokio::time::timeout(Duration::from_millis(5), o.insert("gone")).await;
        Ok(())
    });
    o.in_one_commit(vec![gone, o.insert("stays")]).await;
    assert_eq!(o.titles().await.split_off(titles.len()), ["stays"]);
}

#[actix_web::test]
async fn many_are_inserted_in_order_or_not_at_all() {
    let o = opened().await;
    let many: Vec<_> = (0..1_000).map(|i| titled(&i.to_string())).collect();
    let created = o.store.insert_many(o.mailbox, many).await.unwrap();
    assert!(created.is_sorted_by_key(|contact| contact.id));
    assert_eq!(o.titles().await, (0..1_000).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(o.store.contact(o.mailbox, created[7].id).await.unwrap(), created[7]);

    let mut many: Vec<_> = (0..5).map(|i| titled(&i.to_string())).collect();
    let small = Options { max_folders: 1 };
    many[4].parent_folder_id = Some("one too many".to_owned());
    let other = Store::open(&Database::File(o.folder.path().join("contacts.db")), small).await.unwrap();
    assert!(matches!(other.insert_many(o.mailbox, many).await, Err(Error::Quota(_))));
    other.close().await;
    assert_eq!(o.count("select count(*) from contacts").await, 1_000);
    assert_eq!(o.count("select count(*) from folders").await, 1);
}

#[actix_web::test]
async fn closing_does_what_was_handed_in_and_refuses_what_comes_later() {
    let o = opened().await;
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
    assert_eq!(again.contacts(o.mailbox, Uuid::nil(), 0, 100).await.unwrap().contacts.len(), 20);
}

#[actix_web::test]
async fn a_temporary_store_takes_its_folder_along() {
    let store = Store::open(&Database::Temporary, Options::default()).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    store.insert(mailbox, titled("x")).await.unwrap();
    let text = "select file from pragma_database_list where name = 'main'";
    let file: String = store.reader().await.unwrap().row(Statement::new(text)).await.unwrap().unwrap().get(0).unwrap();
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
    let o = opened().await;
    let check = o.job(async move |tx| {
        let text = "
select (select journal_mode from pragma_journal_mode), (select synchronous from pragma_synchronous),
       (select foreign_keys from pragma_foreign_keys), (select temp_store from pragma_temp_store)";
        let row = tx.reading().await?.row(Statement::new(text)).await?.unwrap();
        let full = (row.get::<String>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?, row.get::<i64>(3)?);
        assert_eq!(full, ("wal".to_owned(), 2, 1, 2));
        Ok(())
    });
    check.await.unwrap();
}

#[actix_web::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let o = opened().await;
    backup(&o.folder.path().join("contacts.db"), &o.folder.path().join("copy.db")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(o.folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[actix_web::test]
async fn a_backup_leaves_its_source_as_it_is_and_nothing_behind_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("notes.txt"), "not a database".repeat(100)).unwrap();
    assert!(backup(&path("notes.txt"), &path("copy.db")).await.is_err());
    assert!(backup(Path::new(":memory:"), &path("copy.db")).await.is_err());
    assert!(backup(&path("none.db"), &path("copy.db")).await.is_err());
    assert!(backup(&path("notes.txt"), &path("no/folder.db")).await.is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[actix_web::test]
async fn readers_cannot_write() {
    let o = opened().await;
    let mut reader = o.store.reader().await.unwrap();
    assert!(reader.execute(Statement::new("delete from store")).await.is_err());
}

#[actix_web::test]
async fn a_backup_of_a_store_in_use_is_complete_as_of_one_moment() {
    let o = opened().await;
    let source = o.folder.path().join("contacts.db");
    let target = o.folder.path().join("copy.db");
    let writes = async {
        for i in 0..50 {
            o.insert(&i.to_string()).await.unwrap();
        }
    };
    let copy = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        backup(&source, &target).await.unwrap();
    };
    futures_util::join!(writes, copy);
    let copied = Store::open(&Database::File(target.clone()), Options::default()).await.unwrap();
    let contacts = copied.contacts(o.mailbox, Uuid::nil(), 0, 1_000).await.unwrap().contacts;
    let titles: Vec<_> = contacts.iter().map(|c| c.properties.text(Text::Title).unwrap().to_owned()).collect();
    assert_eq!(titles, (0..titles.len()).map(|i| i.to_string()).collect::<Vec<_>>());
    assert!(contacts.iter().all(|contact| contact.properties.phones.len() == 3));
    assert!(backup(&source, &target).await.unwrap_err().to_string().contains("it exists already"));
    assert!(backup(&o.folder.path().join("none.db"), &o.folder.path().join("x.db")).await.is_err());
}

#[actix_web::test]
async fn folded_columns_hold_what_look_ups_will_ask_for() {
    let o = opened().await;
    let mut patch = titled("x");
    patch.texts[Text::Surname as usize] = Some(Some("ÉTÉ".to_owned()));
    patch.emails = Some(vec![Email { address: Some("Ann@Example.ORG".to_owned()), ..Email::default() }]);
    patch.categories = Some(vec!["VIP ẞ".to_owned()]);
    patch.wedding_anniversary = Some(Some("1970-01-03".to_owned()));
    patch.birthday = Some(Some("1970-01-01T00:00:01+00:00".to_owned()));
    o.store.insert(o.mailbox, patch).await.unwrap();
    let text = "
select c.surname_key = 'été' and c.display_name_key = 'été' and e.address_key = 'ann@example.org' and k.name_key = 'vip ß'
   and c.wedding_anniversary_day = 2 and c.birthday_instant = 1000000
from contacts c, emails e, categories k";
    assert_eq!(o.count(text).await, 1);
}
