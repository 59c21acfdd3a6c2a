//! Imports: unchanged contacts are not written, and an import can be undone.

mod both {
    use crate::domain::card::{CardVersion, NewCard};
    use crate::domain::contact::expand::{Expand, ExpandSelection};
    use crate::domain::contact::patch::ContactAdditions;
    use crate::domain::etag::Preconditions;
    use crate::domain::extended::{MultiValue, PropertyId, SingleValue};
    use crate::domain::extension::{ExtensionPatch, NewExtension};
    use crate::domain::import::{Effect, EffectCounts, ImportProgress, ImportSource, Incoming, Undone};
    use crate::domain::photo::Picture;
    use crate::store::tests::*;
    use crate::store::{CardChange, PhotoChange};

    const SMALL: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0";
    const LARGE: &[u8] = b"GIF89a\x09\0\x09\0\0\0\0";

    fn source() -> ImportSource {
        ImportSource { name: "a.vcf".to_owned(), size: Some(7), head: "00".to_owned(), format: "vcard".to_owned() }
    }

    /// A contact of a file; its hash and a line of its card are made from `content`.
    fn incoming(uid: &str, title: &str, content: u8) -> Incoming {
        let properties = titled(title).into_properties();
        let card = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nX-SAID:{content}\r\nEND:VCARD\r\n");
        Incoming {
            key: uid.to_owned(),
            uid: Some(uid.to_owned()),
            id: None,
            email: None,
            hash: [content; 16],
            properties,
            added: None,
            photo: None,
            keeps_photo: false,
            card: Some(card),
            keeps: true,
        }
    }

    fn with_photo(bytes: &[u8], incoming: Incoming) -> Incoming {
        Incoming { photo: Some((Picture::recognize(bytes).unwrap(), bytes.to_vec())), ..incoming }
    }

    async fn begin(o: &Opened) -> Uuid {
        o.store.begin_import(o.mailbox, source(), None).await.unwrap().id
    }

    async fn import(o: &Opened, run: Uuid, batch: Vec<Incoming>) -> Vec<Effect> {
        let preview = o.store.would_import(o.mailbox, &batch).await.unwrap();
        let done = o.store.import(o.mailbox, run, batch, ImportProgress::default()).await.unwrap();
        assert_eq!(preview.len(), done.len());
        done.iter().map(|imported| imported.effect).collect()
    }

    async fn undo(o: &Opened, run: Uuid) -> Vec<Undone> {
        let (mut after, mut all) = (Uuid::nil(), Vec::new());
        loop {
            let undone_batch = o.store.undo_import(o.mailbox, run, after).await.unwrap();
            let Some((last, _)) = undone_batch.last() else { return all };
            after = *last;
            all.extend(undone_batch.into_iter().map(|(_, undone)| undone));
        }
    }

    async fn changes(o: &Opened) -> i64 {
        o.count("select count(*) from changes").await
    }

    #[actix_web::test]
    async fn an_unchanged_import_writes_nothing_and_changed_contacts_are_replaced() {
        let o = opened().await;
        let run = begin(&o).await;
        let batch = || vec![incoming("a", "A", 1), with_photo(SMALL, incoming("b", "B", 2)), incoming("c", "C", 3)];
        assert_eq!(import(&o, run, batch()).await, [Effect::Created; 3]);
        let before = changes(&o).await;
        assert_eq!(import(&o, run, batch()).await, [Effect::Unchanged; 3]);
        assert_eq!(changes(&o).await, before);
        let other = vec![incoming("a", "A", 1), with_photo(LARGE, incoming("b", "B2", 4)), incoming("c", "C", 3)];
        assert_eq!(import(&o, run, other).await, [Effect::Unchanged, Effect::Updated, Effect::Unchanged]);
        // One for the contact, and one for its photo, for CardDAV clients.
        assert_eq!(changes(&o).await, before + 2);
        assert_eq!(o.titles().await, ["A", "B2", "C"]);
        assert_eq!(o.count("select count(*) from cards").await, 3);
        assert_eq!(o.count("select size from photos").await, i64::try_from(LARGE.len()).unwrap());
    }

    #[actix_web::test]
    async fn a_contact_that_is_twice_in_a_batch_is_created_once_and_then_updated() {
        let o = opened().await;
        let run = begin(&o).await;
        let batch = vec![incoming("a", "A", 1), incoming("b", "B", 2), incoming("a", "A2", 3), incoming("a", "A2", 3)];
        let effects = import(&o, run, batch).await;
        assert_eq!(effects, [Effect::Created, Effect::Created, Effect::Updated, Effect::Unchanged]);
        assert_eq!(o.titles().await, ["A2", "B"]);
    }

    #[actix_web::test]
    async fn contacts_are_found_by_their_id_by_the_uid_of_their_card_and_by_an_address() {
        let o = opened().await;
        let run = begin(&o).await;
        let mut patch = titled("by id");
        patch.emails = Some(vec![Email { address: Some("Ann@example.org".to_owned()), ..Email::default() }]);
        let contact = o.store.insert(o.mailbox, patch).await.unwrap();
        let same = Incoming {
            properties: contact.properties.clone(),
            card: None,
            keeps: false,
            id: Some(contact.id),
            ..incoming(&contact.id.to_string(), "by id", 1)
        };
        assert_eq!(import(&o, run, vec![same.clone()]).await, [Effect::Unchanged]);
        let other = Incoming { properties: titled("other").into_properties(), ..same };
        assert_eq!(import(&o, run, vec![other]).await, [Effect::Updated]);

        let card =
            NewCard { name: None, uid: Some("X-1".to_owned()), is_group: false, version: CardVersion::V3, text: None };
        o.keep_card(contact.id, card).await.unwrap();
        assert_eq!(import(&o, run, vec![incoming("x-1", "by card", 2)]).await, [Effect::Updated]);

        let mut patch = titled("by address");
        patch.emails = Some(vec![Email { address: Some("Bea@example.org".to_owned()), ..Email::default() }]);
        o.store.insert(o.mailbox, patch).await.unwrap();
        let by_address =
            Incoming { uid: None, email: Some("bea@example.org".to_owned()), ..incoming("sha256:1", "found", 3) };
        assert_eq!(import(&o, run, vec![by_address]).await, [Effect::Updated]);
        assert_eq!(o.titles().await, ["by card", "found"]);
    }

    #[actix_web::test]
    async fn a_deleted_contact_is_created_again() {
        let o = opened().await;
        let run = begin(&o).await;
        import(&o, run, vec![incoming("a", "A", 1)]).await;
        let id = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts[0].id;
        o.store.delete(o.mailbox, &[], id, Preconditions::default()).await.unwrap();
        assert_eq!(import(&o, run, vec![incoming("a", "A", 1)]).await, [Effect::Created]);
        assert_eq!(o.titles().await, ["A"]);
    }

    #[actix_web::test]
    async fn an_import_is_undone_as_far_as_nobody_has_changed_what_it_did() {
        let o = opened().await;
        let first_run = begin(&o).await;
        let batch = vec![
            with_photo(SMALL, incoming("a", "A", 1)),
            incoming("b", "B", 2),
            incoming("c", "C", 3),
            incoming("g", "G", 7),
        ];
        import(&o, first_run, batch.clone()).await;
        let photo = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts;
        let run = begin(&o).await;
        let second = vec![
            with_photo(LARGE, incoming("a", "A2", 4)),
            incoming("b", "B2", 5),
            incoming("d", "D", 6),
            incoming("e", "E", 8),
            incoming("f", "F", 9),
        ];
        import(&o, run, second.clone()).await;
        // The import changes one contact twice, and adds a category.
        import(&o, run, vec![incoming("a", "A3", 10)]).await;
        let members = vec!["a".to_owned(), "d".to_owned(), "nobody".to_owned()];
        assert_eq!(o.store.import_category(o.mailbox, run, "Choir".to_owned(), members).await.unwrap(), (2, 2));
        // Then a changed and a created contact are edited, and one is deleted.
        let id_of = async |title: &str| {
            let all = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts;
            all.into_iter().find(|contact| contact.properties.text(Text::Title) == Some(title)).unwrap().id
        };
        for title in ["B2", "E"] {
            let id = id_of(title).await;
            o.store.update(o.mailbox, &[], id, titled("edited"), Preconditions::default()).await.unwrap();
        }
        let id = id_of("F").await;
        o.store.delete(o.mailbox, &[], id, Preconditions::default()).await.unwrap();

        let undone = undo(&o, run).await;
        let count = |what: Undone| undone.iter().filter(|undone| **undone == what).count();
        assert_eq!([Undone::Restored, Undone::Removed, Undone::Changed, Undone::Gone].map(count), [1, 1, 2, 1]);
        assert_eq!(o.titles().await, ["A", "edited", "C", "G", "edited"]);
        let a = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts.remove(0);
        assert_eq!(a.properties, photo[0].properties);
        assert_eq!(o.store.photo_to_export(o.mailbox, a.id).await.unwrap(), SMALL);
        let card = o.store.card(o.mailbox, a.id).await.unwrap().unwrap();
        assert!(card.text.unwrap().contains("X-SAID:1\r\n"));
        // Undone contacts can be imported again.
        let again = begin(&o).await;
        assert_eq!(import(&o, again, vec![with_photo(LARGE, incoming("a", "A2", 4))]).await, [Effect::Updated]);
        assert!(o.store.import_run(run).await.unwrap().undone.is_some());
        assert_eq!(undo(&o, run).await, [Undone::Changed; 2]);
    }

    #[actix_web::test]
    async fn an_undo_keeps_contacts_whose_card_a_client_has_changed_since() {
        let o = opened().await;
        let first_run = begin(&o).await;
        import(&o, first_run, vec![incoming("a", "A", 1)]).await;
        let run = begin(&o).await;
        import(&o, run, vec![incoming("a", "A2", 2), incoming("b", "B", 3)]).await;
        // A CardDAV client changes lines that no property of the contact holds.
        for contact in o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts {
            let uid = o.store.card(o.mailbox, contact.id).await.unwrap().unwrap().uid.unwrap();
            let name = o.store.card(o.mailbox, contact.id).await.unwrap().unwrap().name;
            let text = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nX-EDITED:1\r\nEND:VCARD\r\n");
            let change = CardChange {
                patch: ContactPatch::default(),
                photo: PhotoChange::Keep,
                uid: Some(uid),
                is_group: false,
                version: CardVersion::V3,
                text,
            };
            o.store.put_card(o.mailbox, "contacts", &name, Box::new(|_| Ok(Some(change)))).await.unwrap();
        }
        assert_eq!(undo(&o, run).await, [Undone::Changed; 2]);
        assert_eq!(o.titles().await, ["A2", "B"]);
        for contact in o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts {
            let card = o.store.card(o.mailbox, contact.id).await.unwrap().unwrap();
            assert!(card.text.unwrap().contains("X-EDITED:1\r\n"));
        }
    }

    #[actix_web::test]
    async fn an_import_that_was_broken_off_is_found_by_its_file_and_old_ones_are_forgotten() {
        let o = opened().await;
        let run = begin(&o).await;
        let progress = ImportProgress { records: 2, bytes: 5, refused: 1, is_finished: false };
        o.store.import(o.mailbox, run, vec![incoming("a", "A", 1)], progress).await.unwrap();
        let find = async |size| o.store.broken_off_import(o.mailbox, size, "00").await.unwrap();
        let found = find(Some(7)).await.unwrap();
        let counts = EffectCounts { created: 1, refused: 1, ..EffectCounts::default() };
        assert_eq!((found.id, found.records, found.bytes, found.counts), (run, 2, 5, counts));
        assert_eq!((find(Some(8)).await, find(None).await), (None, None));
        let progress = ImportProgress { is_finished: true, ..progress };
        o.store.import(o.mailbox, run, Vec::new(), progress).await.unwrap();
        assert_eq!(find(Some(7)).await, None);

        for _ in 0..20 {
            begin(&o).await;
        }
        assert_eq!(o.store.imports(Some(o.mailbox)).await.unwrap().len(), 20);
        assert!(matches!(o.store.import_run(run).await, Err(Error::NotFound)));
        assert_eq!(o.count("select count(*) from import_contacts").await, 0);
        assert_eq!(o.titles().await, ["A"]);
    }

    #[actix_web::test]
    async fn a_batch_over_the_quota_is_refused_as_a_whole() {
        let o = opened_with(Options { max_contacts: 2, ..Options::default() }).await;
        let run = begin(&o).await;
        let batch = (0..3).map(|i| incoming(&i.to_string(), "x", i)).collect();
        let refused = o.store.import(o.mailbox, run, batch, ImportProgress::default()).await;
        assert!(matches!(refused, Err(Error::Quota(_))), "{refused:?}");
        assert_eq!(o.titles().await, [""; 0]);
        assert_eq!(o.count("select count(*) from imported").await, 0);
    }

    /// A contact of a file with extensions of these names and extended properties, all with this value.
    fn with_additions(names: &[&str], value: &str, incoming: Incoming) -> Incoming {
        let extension =
            |name: &&str| NewExtension { name: (*name).to_owned(), members: vec![("a".to_owned(), value.to_owned())] };
        let added = ContactAdditions {
            extensions: names.iter().map(extension).collect(),
            single_values: vec![(PropertyId::parse::<SingleValue>("String 0x1").unwrap(), Some([value.to_owned()]))],
            multi_values: vec![(
                PropertyId::parse::<MultiValue>("StringArray 0x2").unwrap(),
                Some(vec![value.to_owned()]),
            )],
        };
        Incoming { added: Some(Box::new(added)), ..incoming }
    }

    /// The extensions of a contact with the values of their members, and the values of its extended properties.
    async fn additions(o: &Opened, id: Uuid) -> (Vec<(String, Vec<String>)>, Vec<String>) {
        let expand = Expand {
            extensions: Some(ExpandSelection::All),
            single: Some(ExpandSelection::All),
            multi: Some(ExpandSelection::All),
            ..Expand::default()
        };
        let listing = Listing { expand, ..first(10) };
        let contact = o.store.contacts(o.mailbox, &listing, None).await.unwrap().contacts;
        let expanded = contact.into_iter().find(|contact| contact.id == id).unwrap().expanded.unwrap();
        let values = |members: Vec<(String, String)>| members.into_iter().map(|(_, value)| value).collect();
        let extensions = expanded.extensions.unwrap().into_iter().map(|one| (one.name, values(one.members))).collect();
        let single = expanded.single.unwrap().into_iter().flat_map(|one| one.value);
        (extensions, single.chain(expanded.multi.unwrap().into_iter().flat_map(|one| one.value)).collect())
    }

    #[actix_web::test]
    async fn an_undone_import_gives_extensions_and_extended_properties_their_earlier_values() {
        let o = opened().await;
        let expected = |pairs: &[(&str, &str)], values: &[&str]| -> (Vec<(String, Vec<String>)>, Vec<String>) {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
            (pairs, values.iter().map(|value| (*value).to_owned()).collect())
        };
        let first_run = begin(&o).await;
        let batch =
            vec![with_additions(&["x"], "1", incoming("a", "A", 1)), incoming("b", "B", 2), incoming("c", "C", 3)];
        import(&o, first_run, batch).await;
        let contacts = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts;
        let [a, b, c] = [0, 1, 2].map(|at: usize| contacts[at].id);

        let run = begin(&o).await;
        let second = vec![
            with_additions(&["x", "y"], "2", incoming("a", "A", 4)),
            with_additions(&["x"], "3", incoming("b", "B", 5)),
            with_additions(&["x"], "4", incoming("c", "C", 6)),
        ];
        assert_eq!(import(&o, run, second.clone()).await, [Effect::Updated; 3]);
        assert_eq!(import(&o, run, second).await, [Effect::Unchanged; 3]);
        // The run changes one again, and names one more.
        assert_eq!(
            import(&o, run, vec![with_additions(&["x", "z"], "5", incoming("a", "A", 7))]).await,
            [Effect::Updated]
        );
        assert_eq!(additions(&o, a).await, expected(&[("x", "5"), ("y", "2"), ("z", "5")], &["5", "5"]));
        // A program adds an extension of its own to one, and changes an imported one of another.
        let own = NewExtension { name: "own".to_owned(), members: vec![("a".to_owned(), "9".to_owned())] };
        o.store.create_extension(o.mailbox, &[], b, own).await.unwrap();
        let patch = ExtensionPatch { name: None, members: vec![("a".to_owned(), Some("8".to_owned()))] };
        let any = Preconditions::default();
        o.store.update_extension(o.mailbox, &[], (c, "x".to_owned()), patch, any).await.unwrap();

        assert_eq!(undo(&o, run).await, [Undone::Restored, Undone::Restored, Undone::Changed]);
        assert_eq!(additions(&o, a).await, expected(&[("x", "1")], &["1", "1"]));
        assert_eq!(additions(&o, b).await, expected(&[("own", "9")], &[]));
        assert_eq!(additions(&o, c).await, expected(&[("x", "8")], &["4", "4"]));
        assert_eq!(check(&o.database, Verify::Full).await.unwrap(), [""; 0]);
    }

    #[actix_web::test]
    async fn a_contact_that_would_be_over_a_limit_is_refused_alone_and_the_rest_is_imported_and_undone() {
        let o = opened().await;
        let names: Vec<_> = (0..100).map(|n| format!("x{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let run = begin(&o).await;
        let full = with_additions(&names, "1", incoming("a", "A", 1));
        assert_eq!(import(&o, run, vec![full, incoming("b", "B", 2)]).await, [Effect::Created; 2]);
        let a = o.store.contacts(o.mailbox, &first(10), None).await.unwrap().contacts[0].id;
        let before = (additions(&o, a).await, changes(&o).await);

        let run = begin(&o).await;
        let batch = vec![
            incoming("b", "B2", 3),
            with_additions(&["x0", "y"], "2", incoming("a", "A2", 4)),
            // A file may have a contact twice.
            with_additions(&["x0"], "3", with_photo(SMALL, incoming("a", "A3", 5))),
            with_additions(&["x"], "4", incoming("c", "C", 6)),
        ];
        let preview = o.store.would_import(o.mailbox, &batch).await.unwrap();
        let progress = ImportProgress { records: 5, bytes: 6, refused: 1, is_finished: false };
        let done = o.store.import(o.mailbox, run, batch.clone(), progress).await.unwrap();
        let effects = [Effect::Updated, Effect::Refused, Effect::Updated, Effect::Created];
        for done in [preview, done] {
            assert_eq!(done.iter().map(|one| one.effect).collect::<Vec<_>>(), effects);
            assert_eq!(done[1].refusal.as_deref(), Some("A contact has at most 100 extensions."));
        }
        assert_eq!(o.titles().await, ["A3", "B2", "C"]);
        assert_eq!(additions(&o, a).await.0[0].1, ["3"]);
        // It is continued after the refused record, which is counted.
        let broken_off = o.store.broken_off_import(o.mailbox, Some(7), "00").await.unwrap().unwrap();
        let counts = EffectCounts { created: 1, updated: 2, unchanged: 0, refused: 2 };
        assert_eq!((broken_off.id, broken_off.records, broken_off.counts), (run, 5, counts));
        assert_eq!(import(&o, run, vec![batch[1].clone()]).await, [Effect::Refused]);

        assert_eq!(undo(&o, run).await, [Undone::Restored, Undone::Restored, Undone::Removed]);
        assert_eq!(o.titles().await, ["A", "B"]);
        assert_eq!(additions(&o, a).await, before.0);
        assert!(changes(&o).await > before.1);
        assert_eq!(check(&o.database, Verify::Full).await.unwrap(), [""; 0]);
    }
}
