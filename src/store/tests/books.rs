//! Address books are read by few statements, and a query reads only what it tests.

mod both {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::domain::card::{CardVersion, NewCard};
    use crate::domain::contact::parts::ContactPart;
    use crate::domain::sync::Watermark;
    use crate::store::tests::*;
    use crate::store::{DavChanges, TestedCard, TestedContent};

    /// How many statements of reads the work sends.
    async fn statements<T>(work: impl AsyncFnOnce() -> T) -> (usize, T) {
        let count = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&count);
        between::set(Some(Arc::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
            None
        })));
        let done = work().await;
        between::set(None);
        (count.load(Ordering::Relaxed), done)
    }

    #[actix_web::test]
    async fn all_books_and_their_properties_are_read_by_one_statement_each() {
        let o = opened().await;
        let path = ["contacts".to_owned()];
        let mut ids = vec!["contacts".to_owned()];
        for n in 0..30 {
            let folder = o.store.create_folder(o.mailbox, &path, named(&format!("f{n}"))).await.unwrap().id;
            ids.push(folder);
        }
        for folder in ids.iter().step_by(3) {
            o.store.insert_in(o.mailbox, std::slice::from_ref(folder), titled("x")).await.unwrap();
            let set = |name: &str| ("urn:x".to_owned(), name.to_owned(), Some(format!("<{name}/>")));
            let changes = DavChanges { properties: vec![set("b"), set("a")], ..DavChanges::default() };
            o.store.change_dav_properties(o.mailbox, folder, changes, None).await.unwrap();
        }
        let (count, books) = statements(async || o.store.books(o.mailbox).await.unwrap()).await;
        let (fewer, _) = {
            let other = o.store.user(&UserName::parse("bob").unwrap()).await.unwrap();
            statements(async || o.store.books(other.mailbox).await.unwrap()).await
        };
        assert_eq!((count, books.len()), (fewer, 31), "as many for 31 books as for one");
        for book in &books {
            assert_eq!(*book, o.store.book(o.mailbox, &book.folder.id).await.unwrap());
        }
        let (count, found) = statements(async || o.store.dav_properties_of(o.mailbox, &ids).await.unwrap()).await;
        assert_eq!((count, found.len()), (1, 11));
        for id in &ids {
            let own = o.store.dav_properties(o.mailbox, id).await.unwrap();
            assert_eq!(found.get(id).cloned().unwrap_or_default(), own);
        }
    }

    #[actix_web::test]
    async fn a_query_reads_the_current_text_or_the_properties_it_names() {
        let o = opened().await;
        let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:A\r\nEND:VCARD\r\n";
        let long = format!("{text}{}", "\u{e9}".repeat(300_000));
        let card = |uid: &str, text: Option<&str>| NewCard {
            name: Some(format!("{uid}.vcf")),
            uid: Some(uid.to_owned()),
            is_group: false,
            version: CardVersion::V3,
            text: text.map(str::to_owned),
        };
        let patch = || {
            let mut patch = titled("T");
            patch.texts[Text::NickName as usize] = Some(Some("N".to_owned()));
            patch
        };
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(o.store.insert_in(o.mailbox, &["contacts".to_owned()], patch()).await.unwrap().id);
        }
        o.keep_card(ids[1], card("a", Some(text))).await.unwrap();
        o.keep_card(ids[2], card("b", Some(&long))).await.unwrap();
        o.keep_card(ids[3], card("c", Some(text))).await.unwrap();
        o.keep_card(ids[4], card("d", None)).await.unwrap();
        o.store.update(o.mailbox, &[], ids[3], titled("U"), Preconditions::default()).await.unwrap();
        let parts = [ContactPart::Text(Text::NickName), ContactPart::Emails];
        let read = async |limit: i64, after: Option<Uuid>, parts: Option<&[ContactPart]>| {
            o.store.tested_cards(o.mailbox, "contacts", (false, after), limit, parts).await.unwrap()
        };
        let (count, (cards, is_last)) = statements(async || read(10, None, Some(&parts)).await).await;
        assert!(count <= 3, "{count}");
        assert!(is_last);
        let members: Vec<_> = cards.iter().map(|card| card.member.clone()).collect();
        assert_eq!(members, o.store.members(o.mailbox, "contacts", false, None, 10).await.unwrap());
        let nick_name = |card: &TestedCard| match &card.content {
            TestedContent::Properties(uid, properties) => {
                assert_eq!(properties.text(Text::Title), None, "it is not named");
                (uid.clone(), properties.text(Text::NickName).map(str::to_owned))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(nick_name(&cards[0]), (ids[0].to_string(), Some("N".to_owned())));
        assert_eq!(cards[1].content, TestedContent::Text(text.to_owned()));
        assert_eq!(cards[2].content, TestedContent::Text(long));
        assert_eq!(cards[3].content, TestedContent::Unrendered);
        assert_eq!(nick_name(&cards[4]), ("d".to_owned(), Some("N".to_owned())));

        let (cards, is_last) = read(2, Some(ids[0]), None).await;
        assert!(!is_last);
        assert!(matches!(cards[0].content, TestedContent::Text(_)) && cards[0].member.id == ids[1]);
        let (cards, _) = read(1, None, None).await;
        assert_eq!(cards[0].content, TestedContent::Unrendered);
    }
    #[actix_web::test]
    async fn changes_are_read_later_as_they_were_when_they_were_listed() {
        let o = opened().await;
        let path = ["contacts".to_owned()];
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(o.store.insert_in(o.mailbox, &path, titled(&n.to_string())).await.unwrap().id);
        }
        let changes = async |since: Option<Watermark>, limit: i64| {
            o.store.book_changes(o.mailbox, "contacts", since, limit, 0).await.unwrap()
        };
        let then = changes(None, 3).await;
        assert_eq!((&then.changed[..], then.more), (&ids[..3], true));
        let all = changes(None, 10).await;
        assert_eq!((&all.changed, all.more), (&ids, false));
        let before = o.store.members_until(o.mailbox, "contacts", &all.changed, all.last).await.unwrap();
        assert_eq!(before, o.store.members(o.mailbox, "contacts", false, None, 10).await.unwrap());
        // Meanwhile one changes, and one is deleted.
        o.store.update(o.mailbox, &[], ids[1], titled("other"), Preconditions::default()).await.unwrap();
        o.store.delete(o.mailbox, &[], ids[2], Preconditions::default()).await.unwrap();
        let kept: Vec<_> = before.iter().filter(|card| card.id != ids[1] && card.id != ids[2]).cloned().collect();
        assert_eq!(o.store.members_until(o.mailbox, "contacts", &all.changed, all.last).await.unwrap(), kept);
        // They come with the next changes.
        let next = changes(Some(all.moment), 10).await;
        assert_eq!((next.changed, next.removed), (vec![ids[1]], vec![crate::domain::card::own_name(ids[2])]));
    }
}
