//! The purge removes expired items in pieces, and nothing else.

mod both {
    use crate::clock::{self, Clock, Mode};
    use crate::store::jobs::purge::purge;
    use crate::store::tables::trash;
    use crate::store::tests::*;

    const DAY: Duration = Duration::from_hours(24);

    /// Makes everything in the database a day older.
    async fn a_day_later(o: &Opened) {
        let age = async |tx: &mut Tx| {
            for text in [
                "update contacts set deleted_date_time = deleted_date_time - 86400000000",
                "update folders set deleted_date_time = deleted_date_time - 86400000000",
                "update idempotency_keys set created_date_time = created_date_time - 86400000000",
            ] {
                tx.execute(Statement::new(text)).await?;
            }
            Ok(())
        };
        o.job(age).await.unwrap();
    }

    async fn purge_after_days(o: &Opened, days: u32) {
        purge(&Arc::downgrade(&o.store.shared), Some(DAY * days), None, None).await;
    }

    #[actix_web::test]
    async fn deleted_contacts_are_purged_after_their_retention() {
        let o = opened().await;
        let contacts = o.store.insert_many(o.mailbox, (0..450).map(|_| titled("old")).collect()).await.unwrap();
        for contact in &contacts {
            o.store.delete(o.mailbox, &[], contact.id, Preconditions::default()).await.unwrap();
        }
        let changes = o.count("select count(*) from changes").await;
        a_day_later(&o).await;
        o.insert("new").await.unwrap();
        o.insert("kept").await.unwrap();
        let page = o.store.contacts(o.mailbox, &first(1), None).await.unwrap();
        o.store.delete(o.mailbox, &[], page.contacts[0].id, Preconditions::default()).await.unwrap();
        purge_after_days(&o, 2).await;
        assert_eq!(o.count("select count(*) from contacts").await, 452);
        purge_after_days(&o, 1).await;
        assert_eq!(o.count("select count(*) from contacts").await, 2);
        assert_eq!(o.count("select count(*) from phones").await, 6);
        assert_eq!(o.titles().await, ["kept"]);
        assert_eq!(o.count("select count(*) from changes").await, changes + 3);
        purge_after_days(&o, 0).await;
        assert_eq!(o.count("select count(*) from contacts").await, 1);
    }

    #[actix_web::test]
    async fn deleted_folders_are_purged_when_they_are_empty() {
        let o = opened().await;
        let root = ["contacts".to_owned()];
        let outer = o.store.create_folder(o.mailbox, &root, named("Outer")).await.unwrap().id;
        for i in 0..8 {
            o.store.create_folder(o.mailbox, std::slice::from_ref(&outer), named(&format!("{i}"))).await.unwrap();
        }
        let contact = o.store.insert_in(o.mailbox, std::slice::from_ref(&outer), titled("in it")).await.unwrap();
        o.store.delete_folder(o.mailbox, std::slice::from_ref(&outer), Preconditions::default()).await.unwrap();
        a_day_later(&o).await;
        // The contact was deleted later than its folder.
        o.job(async |tx| {
            tx.execute(Statement::new("update contacts set deleted_date_time = deleted_date_time + 86400000000")).await
        })
        .await
        .unwrap();
        purge_after_days(&o, 1).await;
        assert_eq!(o.count("select count(*) from folders").await, 2);
        assert_eq!(
            o.store.deleted_contact(o.mailbox, contact.id, &Expand::default()).await.unwrap().parent_folder_id,
            outer
        );
        purge_after_days(&o, 0).await;
        assert_eq!(o.count("select count(*) from folders").await, 1);
        assert_eq!(o.count("select count(*) from contacts").await, 0);
    }

    #[actix_web::test]
    async fn expired_idempotency_keys_of_all_mailboxes_are_purged() {
        let o = opened().await;
        let bob = o.store.user(&UserName::parse("bob").unwrap()).await.unwrap().mailbox;
        let once = |key: &str| IdempotencyKey { key: key.to_owned(), request: "x".to_owned() };
        for mailbox in [o.mailbox, bob] {
            o.store.insert_once(mailbox, &[], titled("x"), once("old")).await.unwrap();
        }
        a_day_later(&o).await;
        o.store.insert_once(bob, &[], titled("x"), once("new")).await.unwrap();
        purge_after_days(&o, 30).await;
        assert_eq!(o.count("select count(*) from idempotency_keys where key = 'new'").await, 1);
        assert_eq!(o.count("select count(*) from idempotency_keys").await, 1);
        assert_eq!(o.count("select count(*) from contacts").await, 3);
    }

    #[actix_web::test]
    async fn an_interrupted_permanent_deletion_is_finished_by_the_next_purge() {
        let o = opened().await;
        let root = ["contacts".to_owned()];
        let folder = [o.store.create_folder(o.mailbox, &root, named("F")).await.unwrap().id];
        let contact = o.store.insert_in(o.mailbox, &folder, titled("in it")).await.unwrap();
        let path = folder.to_vec();
        let mailbox = o.mailbox;
        // The process ends after the first transaction.
        let begun = async move |tx: &mut Tx| {
            trash::delete_folder(tx, mailbox, &path, &Preconditions::default()).await.map(drop)
        };
        o.job(begun).await.unwrap();
        assert_eq!(o.count("select count(*) from contacts").await, 1);
        assert!(matches!(
            o.store.deleted_contact(o.mailbox, contact.id, &Expand::default()).await,
            Err(Error::NotFound)
        ));
        let deleted = Listing { deleted: true, ..first(10) };
        assert_eq!(o.store.contacts(o.mailbox, &deleted, None).await.unwrap().contacts, []);
        purge_after_days(&o, 36_500).await;
        assert_eq!(o.count("select count(*) from contacts").await, 0);
        assert_eq!(o.count("select count(*) from folders").await, 1);
    }

    #[actix_web::test]
    async fn expired_changes_are_purged() {
        let o = opened().await;
        for title in ["a", "b", "c"] {
            o.insert(title).await.unwrap();
        }
        // The default folder's, and two contacts'.
        let old = "update changes set changed_date_time = changed_date_time - 4 * 86400000000 where seq <= 3";
        o.job(async move |tx| tx.execute(Statement::new(old)).await).await.unwrap();
        o.store.close().await;
        let options = Options { keep_changes: Some(Duration::from_hours(48)), ..Options::default() };
        let store = Store::open(&o.database, options).await.unwrap();
        let o = Opened { store, ..o };
        while o.count("select count(*) from changes").await > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(o.count("select min(seq) from changes").await, 4);
        assert_eq!(o.titles().await, ["a", "b", "c"]);
    }

    #[actix_web::test]
    async fn a_store_purges_by_itself_until_it_is_closed() {
        let o = opened().await;
        o.insert("x").await.unwrap();
        let id = o.store.contacts(o.mailbox, &first(1), None).await.unwrap().contacts[0].id;
        o.store.delete(o.mailbox, &[], id, Preconditions::default()).await.unwrap();
        o.store.close().await;
        let options = Options { keep_deleted: Some(Duration::ZERO), ..Options::default() };
        let store = Store::open(&o.database, options).await.unwrap();
        while store.deleted_contact(o.mailbox, id, &Expand::default()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        store.close().await;
        assert!(Arc::strong_count(&store.shared) <= 2);
    }

    #[actix_web::test]
    async fn a_store_does_not_purge_by_itself_while_the_clock_is_stopped() {
        Clock::another().enter();
        clock::set(Mode::Frozen { now: 1_800_000_000_000_000, tick: 1_000_000 });
        let o = opened_with(Options { keep_deleted: Some(Duration::ZERO), ..Options::default() }).await;
        let opened_at = clock::mode();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(clock::mode(), opened_at, "a purge is a write, which would move the clock");
        o.store.close().await;
    }

    #[actix_web::test]
    async fn a_mailbox_whose_user_is_gone_is_emptied_by_the_next_purge() {
        let o = opened().await;
        o.store.insert_many(o.mailbox, (0..250).map(|_| titled("x")).collect()).await.unwrap();
        o.store.create_folder(o.mailbox, &["contacts".to_owned()], named("F")).await.unwrap();
        let bob = o.store.user(&UserName::parse("bob").unwrap()).await.unwrap();
        o.store.insert(bob.mailbox, titled("bob's")).await.unwrap();
        // Simulates a removal that was interrupted after its first transaction.
        let remove_user = async |tx: &mut Tx| tx.execute(Statement::new("delete from users where id = 'ann'")).await;
        o.job(remove_user).await.unwrap();
        purge_after_days(&o, 30).await;
        for table in ["select count(*) from contacts", "select count(*) from folders", "select count(*) from phones"] {
            assert_eq!(o.count(table).await, if table.contains("phones") { 3 } else { 1 }, "{table}");
        }
        assert_eq!(o.count("select count(*) from mailboxes").await, 2, "its number is not reused");
        let again = o.store.user(&UserName::parse("carl").unwrap()).await.unwrap();
        assert!(again.mailbox > bob.mailbox && again.mailbox != o.mailbox);
    }

    #[actix_web::test]
    async fn audit_entries_are_purged_after_their_retention() {
        let o = opened().await;
        for _ in 0..3 {
            let actor = Actor { name: "ann".to_owned(), mailbox: Some(o.mailbox), ..Actor::default() };
            o.store.with_actor(actor).insert(o.mailbox, titled("x")).await.unwrap();
        }
        let age = "update audit set audit_date_time = audit_date_time - 86400000000 where id <> (select id from audit order by id desc limit 1)";
        o.job(async move |tx| tx.execute(Statement::new(age)).await).await.unwrap();
        purge(&Arc::downgrade(&o.store.shared), None, None, Some(DAY * 2)).await;
        assert_eq!(o.count("select count(*) from audit").await, 3);
        purge(&Arc::downgrade(&o.store.shared), None, None, Some(DAY / 2)).await;
        assert_eq!(o.count("select count(*) from audit").await, 1);
    }
}
