//! Address books are read by few statements, and a query reads only what it tests.

mod both {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::domain::card::{CardVersion, NewCard};
    use crate::domain::contact::parts::ContactPart;
    use crate::store::tests::*;
    use crate::store::{TestedCard, TestedContent};

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
}
