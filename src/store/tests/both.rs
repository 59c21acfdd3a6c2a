//! Tests for both engines.

use crate::domain::contact::Properties;
use crate::store::tests::*;

#[actix_web::test]
async fn waiting_writes_share_a_commit_and_are_answered_after_it() {
    let o = opened().await;
    let (store, mailbox) = (o.store.clone(), o.mailbox);
    let check = o.job(async move |tx| {
        // The transaction sees the other jobs' contacts; outside, they are not committed yet.
        let row = tx.reader().await?.row(Statement::new("select count(*) from contacts")).await?.unwrap();
        assert_eq!(row.get::<i64>(0)?, 2);
        assert!(store.contacts(mailbox, &first(10), None).await?.contacts.is_empty());
        Ok(())
    });
    let results = o.in_one_commit(vec![o.insert("a"), check, o.insert("b")]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(o.titles().await, ["a", "b"]);
}

#[actix_web::test]
async fn creates_that_are_written_together_are_answered_separately() {
    let o = opened_with(Options { max_folders: 2, ..Options::default() }).await;
    let mailbox = o.mailbox;
    let create = |title: &str, folder: Option<&str>| {
        let patch = ContactPatch { parent_folder_id: folder.map(str::to_owned), ..titled(title) };
        let store = o.store.clone();
        async move { store.insert(mailbox, patch).await }
    };
    let create_together =
        || join_all(vec![create("a", None), create("b", Some("x")), create("c", None), create("d", Some("x"))]);
    for answered in create_together().await {
        let contact = answered.unwrap();
        assert_eq!(o.store.contact(mailbox, &[], contact.id).await.unwrap(), contact);
    }
    assert_eq!(o.titles().await, ["a", "b", "c", "d"]);

    // Two of them fail; the others are written, and nothing remains of the two.
    let (running, refused) = (o.insert("e"), ["y", "z"].map(|folder| create("no", Some(folder))));
    let answered = futures_util::join!(running, create("f", None), join_all(refused), create("g", Some("x")));
    assert!(answered.0.is_ok() && answered.1.is_ok() && answered.3.is_ok());
    assert!(answered.2.iter().all(|refused| matches!(refused, Err(Error::Quota(_)))));
    let contact = answered.3.unwrap();
    assert_eq!(o.store.contact(mailbox, &[], contact.id).await.unwrap(), contact);
    assert_eq!(o.titles().await, ["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(o.count("select count(*) from folders").await, 2);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_failing_job_does_not_affect_the_others_of_its_batch() {
    let o = opened().await;
    let mailbox = o.mailbox;
    let refused = o.job(async move |tx| {
        tx.open_savepoint().await?;
        new_contacts::insert(tx, new(mailbox, titled("undone")), 10).await?;
        Err(Error::Stale)
    });
    let broken = o.job(async move |tx| {
        tx.execute(Statement::new("insert into mailboxes (id, seq) values (7, 0)")).await?;
        tx.execute(Statement::new("insert into mailboxes (id, seq) values (7, 0)")).await
    });
    // Within one procedure too: the number and the log entry are undone with the contact.
    let failing_call = o.job(async move |tx| {
        tx.open_savepoint().await?;
        let nowhere = Contact {
            id: Tx::internal_id(),
            parent_folder_id: "nowhere".to_owned(),
            version: 0,
            created_date_time: 0,
            last_modified_date_time: 0,
            sent_change_key: None,
            expanded: None,
            properties: Properties::default(),
        };
        let write = rows::ContactWrite { mailbox, contact: nowhere, words: None, actor: None, card: None };
        let call = procedures::insert(tx, &[write])?;
        tx.call_procedure(call).await.map(drop)
    });
    let results =
        o.in_one_commit(vec![o.insert("a"), refused, o.insert("b"), broken, failing_call, o.insert("c")]).await;
    assert!(matches!(
        results.as_slice(),
        [Ok(()), Err(Error::Stale), Ok(()), Err(Error::Internal(_)), Err(Error::Internal(_)), Ok(())]
    ));
    assert_eq!(o.titles().await, ["a", "b", "c"]);
    assert_eq!(o.count("select count(*) from phones").await, 9);
    assert_eq!(o.count("select count(*) from mailboxes").await, 1);
    assert_eq!(o.count("select count(*) - max(seq) from changes").await, 0);
}

#[actix_web::test]
async fn a_panicking_job_fails_only_its_batch() {
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
async fn a_caller_that_disconnects_leaves_complete_contacts_or_none() {
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

    // A create whose caller left before its turn is not written.
    let left = Box::pin(async {
        let _ = tokio::time::timeout(Duration::from_millis(5), o.insert("gone")).await;
        Ok(())
    });
    o.in_one_commit(vec![left, o.insert("stays")]).await;
    assert_eq!(o.titles().await.split_off(titles.len()), ["stays"]);
}

#[actix_web::test]
async fn many_are_inserted_in_order_or_not_at_all() {
    let o = opened().await;
    let many: Vec<_> = (0..1_000).map(|i| titled(&i.to_string())).collect();
    let created = o.store.insert_many(o.mailbox, many).await.unwrap();
    assert!(created.is_sorted_by_key(|contact| contact.id));
    assert_eq!(o.titles().await, (0..1_000).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(o.store.contact(o.mailbox, &[], created[7].id).await.unwrap(), created[7]);

    let mut many: Vec<_> = (0..5).map(|i| titled(&i.to_string())).collect();
    let small = Options { max_folders: 1, ..Options::default() };
    many[4].parent_folder_id = Some("one too many".to_owned());
    let other = Store::open(&o.database, small).await.unwrap();
    assert!(matches!(other.insert_many(o.mailbox, many).await, Err(Error::Quota(_))));
    other.close().await;
    assert_eq!(o.count("select count(*) from contacts").await, 1_000);
    assert_eq!(o.count("select count(*) from folders").await, 1);
}

#[actix_web::test]
async fn readers_cannot_write() {
    let o = opened().await;
    let write = async |session: &mut Session| session.execute(Statement::new("delete from store")).await;
    assert!(o.store.read(write).await.is_err());
    assert_eq!(o.count("select count(*) from store").await, 1);
}

#[actix_web::test]
async fn folded_columns_hold_what_look_ups_compare_with() {
    let o = opened().await;
    let mut patch = titled("x");
    patch.texts[Text::Surname as usize] = Some(Some("ÉTÉ".to_owned()));
    patch.emails = Some(vec![Email { address: Some("Ann@Example.ORG".to_owned()), ..Email::default() }]);
    patch.categories = Some(vec!["VIP ẞ".to_owned()]);
    patch.wedding_anniversary = Some(Some("1970-01-03".to_owned()));
    patch.birthday = Some(Some("1970-01-01T00:00:01+00:00".to_owned()));
    o.store.insert(o.mailbox, patch).await.unwrap();
    let text = "
select count(*)
from contacts c, emails e, categories k
where c.surname_key = 'été' and c.display_name_key = 'été' and e.address_key = 'ann@example.org' and k.name_key = 'vip ß'
   and c.wedding_anniversary_day = 2 and c.birthday_instant = 1000000";
    assert_eq!(o.count(text).await, 1);
}

#[actix_web::test]
async fn too_many_writes_are_refused_without_blocking() {
    let o = opened().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal_running, wait_for_go) = (Arc::clone(&running), Arc::clone(&go));
    let hold = o.job(async move |_| {
        signal_running.notify_one();
        wait_for_go.notified().await;
        Ok(())
    });
    let overload = async {
        running.notified().await;
        let jobs = join_all((0..8_000).map(|_| o.job(async move |_| Ok(()))));
        let create = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let refused = tokio::time::timeout(Duration::from_secs(5), o.insert("refused")).await.unwrap();
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
            go.notify_one();
        };
        futures_util::join!(jobs, create).0
    };
    let (held, jobs) = futures_util::join!(hold, overload);
    held.unwrap();
    assert!(jobs.iter().all(Result::is_ok));
    o.insert("after").await.unwrap();
    assert_eq!(o.titles().await, ["after"]);
}
