//! The stored number of contacts of a folder is correct after every kind of write.

mod both {
    use crate::store::jobs::purge::purge;
    use crate::store::tests::*;

    /// Compares the stored numbers with the rows, and with the lists' counts.
    async fn assert_counted(o: &Opened, what: &str, expected: i64) {
        let wrong = "
select count(*) from folders f where contacts <> (
    select count(*) from contacts c
    where c.mailbox = f.mailbox and c.parent_folder_id = f.id and c.deleted_date_time is null)";
        assert_eq!(o.count(wrong).await, 0, "{what}");
        assert_eq!(o.store.count(o.mailbox, &Listing::default(), None).await.unwrap(), expected, "{what}");
        let page = o.store.contacts(o.mailbox, &Listing { count: true, ..first(1_000) }, None).await.unwrap();
        assert_eq!((page.count, i64::try_from(page.contacts.len()).ok()), (Some(expected), Some(expected)), "{what}");
    }

    async fn create(o: &Opened, folder: &str, count: usize) -> Vec<uuid::Uuid> {
        let new = |_| ContactPatch { parent_folder_id: Some(folder.to_owned()), ..titled("x") };
        let made = o.store.insert_many(o.mailbox, (0..count).map(new).collect()).await.unwrap();
        made.iter().map(|contact| contact.id).collect()
    }

    #[actix_web::test]
    async fn folders_count_their_contacts_through_all_that_is_done() {
        let o = opened().await;
        let (store, mailbox, any) = (&o.store, o.mailbox, Preconditions::default);
        let ids = create(&o, "contacts", 4).await;
        o.insert("one").await.unwrap();
        let others = create(&o, "Other", 3).await;
        assert_counted(&o, "created", 8).await;
        let other = Listing { folder: Some("Other".to_owned()), ..Listing::default() };
        assert_eq!(store.count(mailbox, &other, None).await.unwrap(), 3);
        let moved = |to: &str| ContactPatch { parent_folder_id: Some(to.to_owned()), ..ContactPatch::default() };
        store.update(mailbox, &[], ids[0], moved("Other"), any()).await.unwrap();
        store.update(mailbox, &[], ids[1], titled("changed"), any()).await.unwrap();
        assert_counted(&o, "moved", 8).await;
        assert_eq!(store.count(mailbox, &other, None).await.unwrap(), 4);
        assert!(store.update(mailbox, &[], ids[0], moved("nowhere"), any()).await.is_err());
        store.delete(mailbox, &[], ids[0], any()).await.unwrap();
        store.delete(mailbox, &[], ids[1], any()).await.unwrap();
        assert_counted(&o, "deleted", 6).await;
        store.restore(mailbox, ids[0], any()).await.unwrap();
        store.delete_from_trash(mailbox, ids[1], any()).await.unwrap();
        store.delete_permanently(mailbox, &[], ids[2], any()).await.unwrap();
        let stale = Preconditions { if_none_match: Some(crate::domain::etag::EntityTags::Any), ..any() };
        assert!(store.delete_permanently(mailbox, &[], ids[3], stale).await.is_err());
        assert_counted(&o, "restored, and deleted permanently", 6).await;
        store.delete(mailbox, &[], others[0], any()).await.unwrap();
        store.delete_folder(mailbox, &["Other".to_owned()], any()).await.unwrap();
        assert_counted(&o, "its folder was deleted", 2).await;
        assert_eq!(store.count(mailbox, &other, None).await.unwrap(), 0);
        store.restore(mailbox, others[0], any()).await.unwrap();
        assert_counted(&o, "restored without its folder", 3).await;
        create(&o, "Other", 2).await;
        assert_counted(&o, "the folder was created again", 5).await;
        create(&o, "Full", 1_100).await;
        store.delete_folder(mailbox, &["Full".to_owned()], any()).await.unwrap();
        assert_counted(&o, "a large folder was deleted", 5).await;
        store.delete_folder_permanently(mailbox, &["Other".to_owned()], any()).await.unwrap();
        assert_counted(&o, "a folder was deleted permanently", 3).await;
        purge(&Arc::downgrade(&store.shared), Some(Duration::ZERO), None, None).await;
        assert_counted(&o, "purged", 3).await;
        store.empty_mailbox(mailbox).await.unwrap();
        assert_eq!(o.count("select coalesce(max(contacts), 0) from folders").await, 0);
    }
}
