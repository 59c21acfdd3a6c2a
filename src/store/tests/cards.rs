//! A stored card follows its contact through moves, trash, purge and copies.

mod both {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::domain::card::{Card, CardVersion, NewCard, own_name, uid_key};
    use crate::domain::contact::DEFAULT_FOLDER;
    use crate::domain::photo::{PhotoFormat, Picture};
    use crate::store::jobs::purge::purge;
    use crate::store::query::books::whole_named;
    use crate::store::tables::card_rows;
    use crate::store::tables::cards::{self, StoredCard};
    use crate::store::tables::changes::ChangeKind;
    use crate::store::tables::{changes, contacts, photos};
    use crate::store::tests::*;
    use crate::store::{Book, DavChanges};

    fn card(name: &str, uid: &str, text: &str) -> NewCard {
        NewCard {
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
            is_group: false,
            version: CardVersion::V3,
            text: Some(text.to_owned()),
        }
    }

    impl Opened {
        /// Stores a card with a contact. If another card of the folder has its name or UID, it gets new ones.
        pub(in crate::store::tests) async fn keep_card(&self, id: Uuid, new: NewCard) -> Result<Card, Error> {
            let mailbox = self.mailbox;
            let work = async move |tx: &mut Tx| {
                let contact = contacts::get(tx.reader().await?, mailbox, &[], id).await?;
                let (folder, contact_version) = (contact.parent_folder_id, contact.version);
                let uid = new.uid.as_deref().map_or_else(|| id.to_string(), uid_key);
                let requested = (new.name.clone().unwrap_or_else(|| own_name(id)), uid);
                let (name, uid_key) = cards::free_name_and_uid(tx, mailbox, &folder, id, requested).await?;
                let version = changes::record_card(tx, mailbox, &folder, id, ChangeKind::Written).await?;
                let card = NewCard { name: Some(name), ..new };
                let uid_key = Some(uid_key);
                let kept = StoredCard { id, folder, contact_version, photo: None, card, uid_key, version };
                Ok(cards::put(tx, mailbox, vec![kept]).await?.remove(0))
            };
            self.store.write(Some(mailbox), work).await
        }
    }

    /// A contact with a card.
    async fn contact(o: &Opened, folder: &str, card: NewCard) -> Contact {
        let path = [folder.to_owned()];
        let contact = o.store.insert_in(o.mailbox, &path, titled("x")).await.unwrap();
        let (id, version) = (contact.id, contact.version);
        store_card(
            o,
            StoredCard {
                id,
                folder: folder.to_owned(),
                contact_version: version,
                photo: None,
                card,
                uid_key: None,
                version,
            },
        )
        .await;
        contact
    }

    async fn store_card(o: &Opened, kept: StoredCard) {
        let mailbox = o.mailbox;
        o.job(async move |tx| cards::put(tx, mailbox, vec![kept]).await.map(drop)).await.unwrap();
    }

    async fn card_of(o: &Opened, id: Uuid) -> Option<Card> {
        let read = async |session: &mut Session| card_rows::of(session, o.mailbox, &[id]).await;
        o.store.read(read).await.unwrap().remove(&id)
    }

    async fn id_by_name(o: &Opened, folder: &str, name: &str) -> Option<Uuid> {
        o.store
            .read(async |session: &mut Session| cards::by_name(session, o.mailbox, folder, name).await)
            .await
            .unwrap()
    }

    async fn id_by_uid(o: &Opened, folder: &str, uid: &str) -> Option<Uuid> {
        o.store.read(async |session: &mut Session| cards::by_uid(session, o.mailbox, folder, uid).await).await.unwrap()
    }

    async fn folder(o: &Opened, name: &str) -> String {
        o.store.create_folder(o.mailbox, &["contacts".to_owned()], named(name)).await.unwrap().id
    }

    async fn move_contact(o: &Opened, id: Uuid, folder: &str) {
        let patch = ContactPatch { parent_folder_id: Some(folder.to_owned()), ..ContactPatch::default() };
        o.store.update(o.mailbox, &[], id, patch, Preconditions::default()).await.unwrap();
    }

    async fn delete_contact(o: &Opened, id: Uuid) {
        o.store.delete(o.mailbox, &[], id, Preconditions::default()).await.unwrap();
    }

    /// The names of a folder's removed cards, with the number of each change.
    async fn removed_names(o: &Opened, folder: &str) -> Vec<(String, i64)> {
        let text = "
select name, version from cards where mailbox = $1 and folder_id = $2 and deleted_date_time is not null order by version";
        let read = async |session: &mut Session| session.rows(Statement::new(text).bind(o.mailbox).bind(folder)).await;
        let rows = o.store.read(read).await.unwrap();
        rows.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect()
    }

    const TEXT: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:A\r\nX-ODD: é \u{1f600}\\,\"\r\nEND:VCARD\r\n";

    #[actix_web::test]
    async fn a_card_is_stored_byte_for_byte_and_found_by_name_and_uid() {
        let o = opened().await;
        let long = format!("{TEXT}{}", "é".repeat(300_000));
        let kept = contact(&o, "contacts", card("É a.vcf", "urn:uuid:A", &long)).await;
        let read = card_of(&o, kept.id).await.unwrap();
        assert_eq!((read.text.as_deref(), read.shown_uid()), (Some(long.as_str()), "urn:uuid:A"));
        assert_eq!(o.count("select count(*) from card_texts").await, 3);
        assert_eq!(id_by_name(&o, "contacts", "É a.vcf").await, Some(kept.id));
        assert_eq!(id_by_name(&o, "contacts", "é a.vcf").await, None, "names are compared as they are");
        assert_eq!(id_by_name(&o, "contacts", &own_name(kept.id)).await, None, "it has another name");
        assert_eq!(id_by_uid(&o, "contacts", "a").await, Some(kept.id));
        let bytes = o.count("select bytes from mailboxes").await;
        let (id, version) = (kept.id, kept.version);
        let short = StoredCard {
            id,
            folder: "contacts".to_owned(),
            contact_version: version,
            photo: None,
            card: card("b", "b", TEXT),
            uid_key: None,
            version,
        };
        store_card(&o, short).await;
        assert_eq!(card_of(&o, kept.id).await.unwrap().text.as_deref(), Some(TEXT));
        assert_eq!(o.count("select bytes from mailboxes").await, bytes - 600_000);
        let plain = o.store.insert(o.mailbox, titled("y")).await.unwrap();
        assert_eq!(card_of(&o, plain.id).await, None);
        assert_eq!(id_by_name(&o, "contacts", &own_name(plain.id)).await, Some(plain.id), "it is named by its id");
        assert_eq!(id_by_uid(&o, "contacts", &plain.id.to_string().to_uppercase()).await, Some(plain.id));
        assert_eq!(id_by_name(&o, "other", &own_name(plain.id)).await, None);
    }

    #[actix_web::test]
    async fn a_card_gets_another_name_and_key_if_its_own_are_taken() {
        let o = opened().await;
        let first = contact(&o, "contacts", card("a.vcf", "u", TEXT)).await;
        let second = o.store.insert(o.mailbox, titled("x")).await.unwrap();
        let kept = o.keep_card(second.id, card("a.vcf", "U", TEXT)).await.unwrap();
        assert_eq!((kept.name.clone(), kept.shown_uid()), (own_name(second.id), second.id.to_string().as_str()));
        assert_eq!(o.store.card(o.mailbox, second.id).await.unwrap(), Some(kept.clone()));
        assert_eq!(id_by_uid(&o, "contacts", "u").await, Some(first.id));
        assert_eq!(o.keep_card(second.id, card("a.vcf", "U", TEXT)).await.unwrap().name, kept.name);
        let unknown = o.keep_card(Tx::internal_id(), card("b", "v", TEXT)).await;
        assert!(matches!(unknown, Err(Error::NotFound)));
    }

    const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0";

    fn change(uid: &str) -> CardChange {
        let text = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nEND:VCARD\r\n");
        CardChange {
            patch: titled("x"),
            photo: PhotoChange::Keep,
            uid: Some(uid.to_owned()),
            is_group: false,
            version: CardVersion::V3,
            text,
        }
    }

    #[actix_web::test]
    async fn a_contact_is_created_with_its_card_as_it_is_read_later() {
        let o = opened().await;
        let other = folder(&o, "Other").await;
        for place in [DEFAULT_FOLDER, other.as_str()] {
            let put = o.store.create_card(o.mailbox, place, "a.vcf", change("A")).await.unwrap().unwrap();
            assert!(put.created);
            let read = async |session: &mut Session| whole_named(session, o.mailbox, place, "a.vcf").await;
            assert_eq!(o.store.read(read).await.unwrap(), Some(put.whole));
        }
        // Large texts are in pieces, and are read apart from others.
        for size in [0, 65_536, 65_537, (256 << 10) + 1, 600_000] {
            let name = format!("{size}.vcf");
            let new = CardChange { text: "é".repeat(size / 2) + &"x".repeat(size % 2), ..change(&name) };
            let put = o.store.create_card(o.mailbox, DEFAULT_FOLDER, &name, new).await.unwrap().unwrap();
            let read = async |session: &mut Session| whole_named(session, o.mailbox, DEFAULT_FOLDER, &name).await;
            let whole = o.store.read(read).await.unwrap().unwrap();
            let text = whole.card.as_ref().and_then(|card| card.text.as_ref()).map_or(0, String::len);
            assert_eq!((text, &whole.contact), (size, &put.whole.contact));
        }
        let none = o.store.create_card(o.mailbox, "none", "a.vcf", change("A")).await;
        assert!(matches!(none, Err(Error::NotFound)), "{none:?}");
        assert_eq!(o.titles().await.len(), 7);
    }

    #[actix_web::test]
    async fn a_card_that_has_no_room_fails_alone() {
        let o = opened_with(Options { max_mailbox_bytes: 2_000, ..Options::default() }).await;
        o.store.create_card(o.mailbox, DEFAULT_FOLDER, "a.vcf", change("A")).await.unwrap().unwrap();
        let other = o.store.user(&UserName::parse("other").unwrap()).await.unwrap().mailbox;
        let large = CardChange { text: "x".repeat(2_000), ..change("B") };
        let put: LocalBoxFuture<'_, Result<(), Error>> = Box::pin(async {
            let decide = Box::new(move |_: Option<&WholeCard>| Ok(Some(large)));
            o.store.put_card(o.mailbox, DEFAULT_FOLDER, "b.vcf", decide).await.map(drop)
        });
        let beside: LocalBoxFuture<'_, Result<(), Error>> =
            Box::pin(async { o.store.insert(other, titled("beside")).await.map(drop) });
        let results = o.in_one_commit(vec![put, beside]).await;
        assert!(matches!(results.as_slice(), [Err(Error::Quota(_)), Ok(())]), "{results:?}");
        assert_eq!(o.count("select count(*) from contacts").await, 2);
    }

    #[actix_web::test]
    async fn a_card_is_not_created_beside_another_with_its_name_or_uid() {
        let o = opened().await;
        o.store.create_card(o.mailbox, DEFAULT_FOLDER, "a.vcf", change("A")).await.unwrap().unwrap();
        let id = o.store.insert(o.mailbox, titled("without a card")).await.unwrap().id.to_string();
        let photo = PhotoChange::Put(Picture::recognize(GIF).unwrap(), GIF.to_vec());
        let own_name = format!("{id}.vcf");
        for (name, change) in [
            ("a.vcf", change("B")),
            ("b.vcf", change("urn:uuid:A")),
            (own_name.as_str(), change("B")),
            ("b.vcf", change(&id)),
            ("b.vcf", CardChange { is_group: true, ..change("B") }),
            ("b.vcf", CardChange { photo, ..change("B") }),
        ] {
            let created = o.store.create_card(o.mailbox, DEFAULT_FOLDER, name, change).await.unwrap();
            assert_eq!(created, None, "{name}");
        }
        assert_eq!(o.titles().await.len(), 2);
        // The same name and UID are free in another folder, and those of a deleted contact.
        let other = folder(&o, "Other").await;
        o.store.create_card(o.mailbox, &other, "a.vcf", change("A")).await.unwrap().unwrap();
        o.store.delete_card(o.mailbox, DEFAULT_FOLDER, "a.vcf", Box::new(|_| Ok(()))).await.unwrap();
        o.store.create_card(o.mailbox, DEFAULT_FOLDER, "a.vcf", change("A")).await.unwrap().unwrap();
    }

    #[actix_web::test]
    async fn of_cards_that_are_created_together_each_name_and_uid_is_stored_once() {
        let o = opened().await;
        let create = async |i: usize| {
            // Of four in turn, one has the name of another, one its UID, and one a folder that does not exist.
            let (name, uid) = match i % 4 {
                1 => (format!("{}.vcf", i - 1), format!("U{i}")),
                2 => (format!("{i}.vcf"), format!("U{}", i - 2)),
                _ => (format!("{i}.vcf"), format!("U{i}")),
            };
            let place = if i % 4 == 3 { "none" } else { DEFAULT_FOLDER };
            o.store.create_card(o.mailbox, place, &name, change(&uid)).await
        };
        let gathering = o.store.gather();
        let all = futures_util::future::join_all((0..40).map(create));
        let (results, ()) = futures_util::future::join(all, async {
            tokio::task::yield_now().await;
            drop(gathering);
        })
        .await;
        for (i, result) in results.into_iter().enumerate() {
            match i % 4 {
                0 => assert!(result.unwrap().unwrap().created, "{i}"),
                3 => assert!(matches!(result, Err(Error::NotFound)), "{i}: {result:?}"),
                _ => assert_eq!(result.unwrap(), None, "{i}"),
            }
        }
        assert_eq!(o.titles().await.len(), 10);
        let counts =
            "select (select count(*) from cards), (select count(*) from card_texts), (select contacts from mailboxes)";
        let read = async |session: &mut Session| {
            let row = session.single_row(Statement::new(counts)).await?;
            Ok([row.get::<i64>(0)?, row.get(1)?, row.get(2)?])
        };
        assert_eq!(o.store.read(read).await.unwrap(), [10, 10, 10]);
    }

    #[actix_web::test]
    async fn an_address_book_is_checked_in_the_transaction_that_changes_or_deletes_it() {
        let o = opened().await;
        let book = folder(&o, "Book").await;
        let before = o.store.book(o.mailbox, &book).await.unwrap();
        let added = contact(&o, &book, card("a.vcf", "a", TEXT)).await;
        let is_current = {
            let before = before.moment;
            move |now: &Book| if now.moment == before { Ok(()) } else { Err(Error::Stale) }
        };
        let renamed = || DavChanges { display_name: Some("Other".to_owned()), ..DavChanges::default() };
        let stale = o.store.change_dav_properties(o.mailbox, &book, renamed(), Some(Box::new(is_current))).await;
        assert!(matches!(stale, Err(Error::Stale)), "the card was added after the client read the book");
        assert_eq!(o.store.book(o.mailbox, &book).await.unwrap().folder.display_name, "Book");
        let stale = o.store.delete_book(o.mailbox, &book, Box::new(is_current)).await;
        assert!(matches!(stale, Err(Error::Stale)), "the card was added after the client read the book");
        assert_eq!(id_by_name(&o, &book, "a.vcf").await, Some(added.id));
        let inner = o.store.create_folder(o.mailbox, std::slice::from_ref(&book), named("Inner")).await.unwrap().id;
        assert!(!o.store.delete_book(o.mailbox, &book, Box::new(|_| Ok(()))).await.unwrap());
        for id in [&inner, &book] {
            assert!(o.store.delete_book(o.mailbox, id, Box::new(|_| Ok(()))).await.unwrap());
            assert!(matches!(o.store.book(o.mailbox, id).await, Err(Error::NotFound)));
        }
        let default = o.store.delete_book(o.mailbox, "contacts", Box::new(|_| Ok(()))).await;
        assert!(matches!(default, Err(Error::DefaultFolder)));
    }

    #[actix_web::test]
    async fn a_photo_is_stored_once() {
        let o = opened().await;
        let bytes = vec![42; 5_000];
        let text = format!("BEGIN:VCARD\r\nPHOTO;ENCODING=b:{}\r\nEND:VCARD\r\n", STANDARD.encode(&bytes));
        let made = o.store.insert(o.mailbox, titled("x")).await.unwrap();
        let (mailbox, sent, photo, id) = (o.mailbox, text.clone(), bytes.clone(), made.id);
        let work = async move |tx: &mut Tx| {
            let picture = Picture { format: PhotoFormat::Gif, width: 1, height: 1 };
            let photo_version =
                photos::put(tx, mailbox, &[], id, picture, &photo, &Preconditions::default()).await?.version;
            let kept = StoredCard {
                id,
                folder: "contacts".to_owned(),
                contact_version: made.version,
                photo: Some((photo_version, photo)),
                card: card("a", "a", &sent),
                uid_key: None,
                version: photo_version,
            };
            cards::put(tx, mailbox, vec![kept]).await.map(drop)
        };
        o.job(work).await.unwrap();
        assert!(o.count("select cast(max(octet_length(text)) as bigint) from card_texts").await < 100);
        let card = card_of(&o, id).await.unwrap();
        assert_eq!(card.whole_text(Some(&bytes)), Some(text));
    }

    #[actix_web::test]
    async fn a_card_moves_with_its_contact_and_leaves_its_name_behind() {
        let o = opened().await;
        let other = folder(&o, "Other").await;
        let first = contact(&o, "contacts", card("a.vcf", "u", TEXT)).await;
        let same = contact(&o, &other, card("a.vcf", "U", TEXT)).await;
        let third = contact(&o, &other, card("b.vcf", "v", TEXT)).await;
        move_contact(&o, first.id, &other).await;
        let moved = card_of(&o, first.id).await.unwrap();
        assert_eq!(
            (moved.folder_id.as_str(), moved.name.clone()),
            (other.as_str(), own_name(first.id)),
            "a.vcf is taken"
        );
        assert_eq!(moved.shown_uid(), first.id.to_string(), "so is its UID");
        assert_eq!((moved.uid.as_deref(), moved.text.as_deref()), (Some("u"), Some(TEXT)));
        // It has its own number, so that a page of changes may end before it.
        assert_eq!(removed_names(&o, "contacts").await, [("a.vcf".to_owned(), moved.version + 1)]);
        move_contact(&o, third.id, "contacts").await;
        assert_eq!(id_by_name(&o, "contacts", "b.vcf").await, Some(third.id), "a free name stays");
        assert_eq!(id_by_name(&o, &other, "a.vcf").await, Some(same.id));
    }

    #[actix_web::test]
    async fn a_contact_without_a_card_gets_another_name_if_its_own_is_taken() {
        let o = opened().await;
        let other = folder(&o, "Other").await;
        let plain = o.store.insert(o.mailbox, titled("x")).await.unwrap();
        let taker = contact(&o, &other, card(&own_name(plain.id), &plain.id.to_string(), TEXT)).await;
        move_contact(&o, plain.id, &other).await;
        assert_eq!(id_by_name(&o, &other, &own_name(plain.id)).await, Some(taker.id));
        let card = card_of(&o, plain.id).await.unwrap();
        assert_eq!(card.text, None);
        assert_ne!(card.shown_uid(), plain.id.to_string());
        assert_eq!(id_by_name(&o, &other, &card.name).await, Some(plain.id));
        assert_eq!(id_by_uid(&o, &other, card.shown_uid()).await, Some(plain.id));
    }

    #[actix_web::test]
    async fn deleted_and_restored_it_comes_back_with_its_lines_and_another_name_if_that_is_taken() {
        let o = opened().await;
        let first = contact(&o, "contacts", card("a.vcf", "u", TEXT)).await;
        delete_contact(&o, first.id).await;
        assert_eq!((card_of(&o, first.id).await, id_by_name(&o, "contacts", "a.vcf").await), (None, None));
        assert_eq!(removed_names(&o, "contacts").await.len(), 1);
        o.store.restore(o.mailbox, first.id, Preconditions::default()).await.unwrap();
        let card_again = card_of(&o, first.id).await.unwrap();
        assert_eq!((card_again.name.as_str(), card_again.text.as_deref()), ("a.vcf", Some(TEXT)));
        delete_contact(&o, first.id).await;
        let second = contact(&o, "contacts", card("a.vcf", "u", TEXT)).await;
        o.store.restore(o.mailbox, first.id, Preconditions::default()).await.unwrap();
        assert_eq!(id_by_name(&o, "contacts", "a.vcf").await, Some(second.id));
        let card = card_of(&o, first.id).await.unwrap();
        assert_eq!((card.name.clone(), card.shown_uid()), (own_name(first.id), first.id.to_string().as_str()));
    }

    #[actix_web::test]
    async fn cards_are_deleted_with_their_folder_and_only_names_remain_after_the_purge() {
        let o = opened().await;
        let other = folder(&o, "Other").await;
        let inside = contact(&o, &other, card("a.vcf", "u", TEXT)).await;
        let group = Tx::internal_id();
        let mailbox = o.mailbox;
        let place = other.clone();
        let work = async move |tx: &mut Tx| {
            let version = changes::next_number(tx, mailbox).await?;
            let card = NewCard { is_group: true, ..card("g.vcf", "g", TEXT) };
            let kept = StoredCard {
                id: group,
                folder: place,
                contact_version: version,
                photo: None,
                card,
                uid_key: None,
                version,
            };
            cards::put(tx, mailbox, vec![kept]).await.map(drop)
        };
        o.job(work).await.unwrap();
        let outside = contact(&o, "contacts", card("b.vcf", "u", TEXT)).await;
        o.store.delete_folder(o.mailbox, std::slice::from_ref(&other), Preconditions::default()).await.unwrap();
        assert_eq!((card_of(&o, inside.id).await, card_of(&o, group).await), (None, None));
        assert_eq!(card_of(&o, outside.id).await.unwrap().name, "b.vcf");
        assert_eq!(removed_names(&o, &other).await.len(), 2);
        assert_eq!(o.count("select count(*) from card_texts").await, 3);
        purge(&Arc::downgrade(&o.store.shared), Some(Duration::ZERO), None, None).await;
        assert_eq!(o.count("select count(*) from card_texts").await, 1);
        assert_eq!(removed_names(&o, &other).await.len(), 2, "clients that follow the folder may still need them");
        o.store.delete_permanently(o.mailbox, &[], outside.id, Preconditions::default()).await.unwrap();
        assert_eq!(o.count("select count(*) from card_texts").await, 0);
        assert_eq!(removed_names(&o, "contacts").await.len(), 1);
        assert_eq!(o.count("select bytes + contacts from mailboxes").await, 0, "no quota is used");
        let old = "update changes set changed_date_time = 0";
        o.job(async move |tx| tx.execute(Statement::new(old)).await).await.unwrap();
        purge(&Arc::downgrade(&o.store.shared), None, Some(Duration::from_hours(24)), None).await;
        assert_eq!(o.count("select count(*) from changes").await, 1, "the last change of an existing folder is kept");
        assert_eq!(o.count("select count(*) from cards").await, 1, "and the name of that change");
    }

    #[actix_web::test]
    async fn a_large_folder_is_deleted_with_its_cards_in_pieces() {
        let o = opened().await;
        let other = folder(&o, "Other").await;
        let new: Vec<_> =
            (0..600).map(|_| ContactPatch { parent_folder_id: Some(other.clone()), ..titled("x") }).collect();
        let made = o.store.insert_many(o.mailbox, new).await.unwrap();
        let (mailbox, place) = (o.mailbox, other.clone());
        let work = async move |tx: &mut Tx| {
            let kept = made.iter().enumerate().map(|(at, contact)| StoredCard {
                id: contact.id,
                folder: place.clone(),
                contact_version: contact.version,
                photo: None,
                card: card(&format!("{at}.vcf"), &format!("{at}"), TEXT),
                uid_key: None,
                version: contact.version,
            });
            cards::put(tx, mailbox, kept.collect()).await.map(drop)
        };
        o.job(work).await.unwrap();
        o.store.delete_folder(o.mailbox, std::slice::from_ref(&other), Preconditions::default()).await.unwrap();
        assert_eq!(o.count("select count(*) from cards where deleted_date_time is null").await, 0);
        assert_eq!(removed_names(&o, &other).await.len(), 600);
    }
}
