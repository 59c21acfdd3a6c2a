//! A large folder is deleted in pieces: readers see nothing of it after the first piece, other writers run between the
//! pieces, and delta reports each contact once.

mod both {
    use std::collections::HashSet;

    use crate::domain::sync::SyncState;
    use crate::store::db::statement::Statement;
    use crate::store::jobs::emptying;
    use crate::store::tables::{folders, trash};
    use crate::store::tests::*;
    use crate::store::{Change, DeltaScope};

    /// The number of contacts: more than two pieces.
    const MANY: usize = 1_100;
    /// The same, in the type of database counts.
    const MANY_ROWS: i64 = 1_100;

    struct Full {
        o: Opened,
        folder: Vec<String>,
        contacts: Vec<Contact>,
    }

    impl Full {
        async fn new() -> Self {
            let o = opened().await;
            let root = ["contacts".to_owned()];
            let folder = vec![o.store.create_folder(o.mailbox, &root, named("Full")).await.unwrap().id];
            let of_folder = |_| ContactPatch { parent_folder_id: Some(folder[0].clone()), ..titled("example") };
            let contacts = o.store.insert_many(o.mailbox, (0..MANY).map(of_folder).collect()).await.unwrap();
            Self { o, folder, contacts }
        }

        /// Deletes the folder without marking its contacts as deleted.
        async fn delete_without_marking(&self, time: Option<i64>) {
            let (mailbox, path) = (self.o.mailbox, self.folder.clone());
            let work = async move |tx: &mut Tx| {
                let time = time.unwrap_or(tx.now());
                let (_, is_marked) = folders::delete(tx, mailbox, &path, &Preconditions::default(), time).await?;
                assert!(!is_marked);
                Ok(())
            };
            self.o.job(work).await.unwrap();
        }

        async fn marked(&self) -> i64 {
            self.o.count("select count(*) from contacts where deleted_date_time is not null").await
        }

        async fn changes(&self, since: &SyncState) -> (Vec<Change>, SyncState) {
            let followed = DeltaScope::Contacts(None);
            let mut all = Vec::new();
            let mut since = since.clone();
            loop {
                let page = self.o.store.delta(self.o.mailbox, &[], &followed, Some(&since), 400, 0).await.unwrap();
                all.extend(page.changes);
                since = page.progress;
                if !page.more {
                    return (all, since);
                }
            }
        }

        async fn assert_hidden(&self) {
            let (store, mailbox, id) = (&self.o.store, self.o.mailbox, self.contacts[MANY - 1].id);
            let all = Listing { count: true, ..first(10) };
            assert_eq!(store.contacts(mailbox, &all, None).await.unwrap().count, Some(0));
            let search = Listing { search: Some(crate::odata::search::parse("\"example\"").unwrap()), ..first(10) };
            assert_eq!(store.count(mailbox, &search, None).await.unwrap(), 0);
            assert!(matches!(store.contact(mailbox, &[], id).await, Err(Error::NotFound)));
            assert!(matches!(store.photo(mailbox, &[], id).await, Err(Error::NotFound)));
            assert!(matches!(store.folder(mailbox, &self.folder).await, Err(Error::NotFound)));
            let ids = crate::domain::contact::expand::ExpandSelection::All;
            assert!(matches!(store.extensions(mailbox, &[], id, &ids).await, Err(Error::NotFound)));
            let change = store.update(mailbox, &[], id, titled("changed"), Preconditions::default()).await;
            assert!(matches!(change, Err(Error::NotFound)));
            assert!(matches!(store.delete(mailbox, &[], id, Preconditions::default()).await, Err(Error::NotFound)));
            let existing = store.delta(mailbox, &[], &DeltaScope::Contacts(None), None, 400, 0).await.unwrap();
            assert!(existing.changes.is_empty() && !existing.more);
        }
    }

    #[actix_web::test]
    async fn the_content_of_a_deleted_folder_is_hidden_before_all_of_it_is_marked() {
        let full = Full::new().await;
        let moment = SyncState::Knows(full.o.store.watermark(full.o.mailbox, &[]).await.unwrap());
        full.delete_without_marking(None).await;
        full.assert_hidden().await;
        let (mailbox, mut reported) = (full.o.mailbox, HashSet::new());
        let mut since = moment;
        let mut pieces = 0;
        loop {
            let more = async move |tx: &mut Tx| emptying::mark_some(tx, mailbox).await;
            let more = full.o.store.write(Some(mailbox), more).await.unwrap();
            full.assert_hidden().await;
            let (changes, progress) = full.changes(&since).await;
            since = progress;
            for change in changes {
                let Change::Gone(id, _) = change else { panic!("{change:?}") };
                assert!(reported.insert(id), "it is reported once");
            }
            assert_eq!(reported.len(), usize::try_from(full.marked().await).unwrap());
            if !more {
                break;
            }
            pieces += 1;
        }
        assert_eq!((reported.len(), pieces), (MANY, 4));
        // The trash has them all, and each comes back.
        let deleted = Listing { deleted: true, count: true, ..first(10) };
        assert_eq!(full.o.store.contacts(mailbox, &deleted, None).await.unwrap().count, Some(MANY_ROWS));
        let restored = full.o.store.restore(mailbox, full.contacts[3].id, Preconditions::default()).await.unwrap();
        assert_eq!(restored.parent_folder_id, "contacts");
        assert_eq!(
            full.o.count("select count(*) from changes").await,
            full.o.count("select max(seq) from mailboxes").await
        );
    }

    #[actix_web::test]
    async fn other_writers_have_their_turns_between_the_pieces() {
        let full = Full::new().await;
        let (store, mailbox) = (&full.o.store, full.o.mailbox);
        let mut deleting = Box::pin(store.delete_folder(mailbox, &full.folder, Preconditions::default()));
        let mut creating = full.o.insert("other");
        std::future::poll_fn(|context| {
            // A create always waits.
            while creating.as_mut().poll(context).is_ready() {
                creating = full.o.insert("other");
            }
            deleting.as_mut().poll(context).map(|deleted| assert!(deleted.is_ok()))
        })
        .await;
        creating.await.unwrap();
        let entries = "
select count(*) from changes c join changes d on d.mailbox = c.mailbox and d.seq = c.seq + 1
where c.removed and c.contact_id is not null and not d.removed";
        assert!(full.o.count(entries).await >= 1, "a create is between two that are removed");
        assert_eq!(full.marked().await, MANY_ROWS);
    }

    #[actix_web::test]
    async fn an_interrupted_deletion_is_finished_by_the_next_purge_or_when_the_folder_is_created_again() {
        let full = Full::new().await;
        full.delete_without_marking(None).await;
        let weak = Arc::downgrade(&full.o.store.shared);
        crate::store::jobs::purge::purge(&weak, Some(Duration::from_hours(24)), None, None).await;
        assert_eq!(full.marked().await, MANY_ROWS);

        let full = Full::new().await;
        full.delete_without_marking(None).await;
        let patch = ContactPatch { parent_folder_id: Some(full.folder[0].clone()), ..titled("new") };
        full.o.store.insert(full.o.mailbox, patch).await.unwrap();
        assert_eq!((full.o.titles().await, full.marked().await), (vec!["new".to_owned()], MANY_ROWS));

        // A permanent deletion removes everything, also inside another deleted folder.
        let full = Full::new().await;
        full.delete_without_marking(Some(trash::PERMANENTLY)).await;
        crate::store::jobs::purge::purge(&weak_of(&full), None, None, None).await;
        assert_eq!(full.o.count("select count(*) from contacts").await, 0);
        assert_eq!(full.o.count("select count(*) from folders").await, 1);
    }

    fn weak_of(full: &Full) -> std::sync::Weak<crate::store::SharedStore> {
        Arc::downgrade(&full.o.store.shared)
    }

    #[actix_web::test]
    async fn a_large_folder_is_deleted_permanently_with_its_content() {
        let full = Full::new().await;
        full.o.store.delete_folder_permanently(full.o.mailbox, &full.folder, Preconditions::default()).await.unwrap();
        assert_eq!(full.o.count("select count(*) from contacts").await, 0);
        assert_eq!(full.o.count("select count(*) from folders").await, 1);
        let deleted = "select count(*) from changes where removed and contact_id is not null";
        assert_eq!(full.o.count(deleted).await, MANY_ROWS);
        assert_eq!(full.o.row("select contacts, bytes from mailboxes").await.get::<i64>(1).unwrap(), 0);
    }

    #[actix_web::test]
    async fn trashed_contacts_are_moved_out_of_a_permanently_deleted_folder_in_pieces() {
        let full = Full::new().await;
        let mailbox = full.o.mailbox;
        let trashed = "update contacts set deleted_date_time = 5";
        full.o.job(async move |tx: &mut Tx| tx.execute(Statement::new(trashed)).await).await.unwrap();
        let path = full.folder.clone();
        let work = async move |tx: &mut Tx| {
            trash::delete_folder(tx, mailbox, &path, &Preconditions::default()).await.map(drop)
        };
        full.o.job(work).await.unwrap();
        let moved = "select count(*) from contacts where parent_folder_id = 'contacts'";
        assert_eq!(full.o.count(moved).await, 0);
        let mut before = 0;
        while full
            .o
            .store
            .write(Some(mailbox), async move |tx| trash::move_out_of_folders(tx, mailbox).await)
            .await
            .unwrap()
        {
            let now = full.o.count(moved).await;
            assert_eq!(now - before, emptying::PIECE.min(MANY_ROWS - before));
            before = now;
            // A contact that is still in the folder can be restored meanwhile.
            if before == emptying::PIECE {
                let last = full.contacts[MANY - 1].id;
                let restored = full.o.store.restore(mailbox, last, Preconditions::default()).await.unwrap();
                assert_eq!(restored.parent_folder_id, "contacts");
                before += 1;
            }
        }
        assert_eq!(before, MANY_ROWS);
        full.o.store.purge_mailbox(mailbox, trash::PERMANENTLY).await.unwrap();
        assert_eq!(full.o.count("select count(*) from folders").await, 1);
        assert_eq!(full.o.count("select count(*) from contacts where deleted_date_time = 5").await, MANY_ROWS - 1);
    }
}
