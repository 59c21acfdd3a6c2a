//! Orders: a database sorts as the plain Rust of `domain::query::eval` does, and pages in any order are walked once.

pub(super) mod both {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;

    use crate::domain::contact::Contact;
    use crate::domain::handling::Handling;
    use crate::domain::query::cursor::Cursor;
    use crate::domain::query::eval;
    use crate::domain::query::typed::Order;
    use crate::odata::filter::{Aliases, Model, order};
    use crate::odata::page::PageToken;
    use crate::store::tests::awkward::{filled, noted};
    use crate::store::tests::filters::both::{number, runner, text};
    use crate::store::tests::*;

    fn orders() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            text(&[]),
            number(&[]),
            proptest::sample::select(vec![
                "birthday",
                "weddingAnniversary",
                "isFavorite",
                "id",
                "parentFolderId",
                "surname gt 'k'"
            ])
            .prop_map(str::to_owned),
        ];
        let fits = |key: &String| order(key, &Aliases::default(), Model::Beta, Handling::Lenient).is_ok();
        let key = key.prop_filter("null, or too large a number", fits);
        let key = (key, proptest::sample::select(vec!["", " asc", " desc"])).prop_map(|(key, way)| key + way);
        proptest::collection::vec(key, 1..4).prop_map(|keys| keys.join(","))
    }

    pub(in crate::store::tests) fn ordered(text: &str, model: Model) -> Vec<Order> {
        order(text, &Aliases::default(), model, Handling::Lenient).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Reads all pages, each from the cursor of the page before.
    pub(in crate::store::tests) async fn walk(o: &Opened, listing: &Listing) -> Vec<Contact> {
        let mut found = Vec::new();
        let mut listing = listing.clone();
        loop {
            let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
            found.extend(page.contacts);
            let Some(next) = page.next else { return found };
            listing.after = Some(through_a_token(next));
        }
    }

    fn through_a_token(cursor: Cursor) -> Cursor {
        let token = PageToken { after: cursor, size: 7 }.print();
        assert!(token.len() < 1_200, "{}", token.len());
        PageToken::parse(&token).unwrap().after
    }

    #[actix_web::test]
    async fn any_order_is_walked_as_the_evaluator_sorts() {
        let (o, mut contacts) = filled().await;
        let (mut runner, orders) = (runner(), orders());
        let mut texts: Vec<_> = (0..60).map(|_| orders.new_tree(&mut runner).unwrap().current()).collect();
        texts.extend(
            ["displayName", "displayName desc", "surname,givenName desc", "lastModifiedDateTime desc,id desc"]
                .map(str::to_owned),
        );
        for text in texts {
            let order = ordered(&text, Model::Beta);
            contacts.sort_by(|a, b| eval::order(&order, a, b));
            let found = walk(&o, &Listing { order, ..first(7) }).await;
            let ids = |contacts: &[Contact]| contacts.iter().map(|contact| contact.id).collect::<Vec<_>>();
            assert_eq!(ids(&found), ids(&contacts), "{text}");
        }
        let order = ordered("mobilePhone desc,homeAddress/city", Model::V1);
        contacts.sort_by(|a, b| eval::order(&order, a, b));
        let found = walk(&o, &Listing { order, ..first(5) }).await;
        assert!(found.iter().map(|contact| contact.id).eq(contacts.iter().map(|contact| contact.id)));
    }

    #[actix_web::test]
    async fn long_keys_are_sorted_whole_and_walked_once_though_they_change() {
        for descending in [false, true] {
            let o = opened().await;
            let long = |i: u32| "é".repeat(3_000) + &char::from_u32(0x3b1 + i).unwrap().to_string().repeat(2_000);
            let mut ids = Vec::new();
            for i in 0..12_u32 {
                // Not in the order of their creation.
                let i = i * 5 % 12;
                ids.push((i, o.store.insert(o.mailbox, noted(&long(i))).await.unwrap().id));
            }
            ids.sort_unstable();
            if descending {
                ids.reverse();
            }
            let order = ordered(if descending { "personalNotes desc" } else { "personalNotes" }, Model::Beta);
            let mut listing = Listing { order, ..first(4) };
            let mut found = Vec::new();
            loop {
                let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
                let shown: Vec<_> = page.contacts.iter().map(|contact| contact.id).collect();
                found.extend(shown.iter().copied());
                let Some(next) = page.next else { break };
                listing.after = Some(through_a_token(next));
                // One of the last shown rows moves to an earlier position, and one is deleted.
                let (last, before) = (shown[shown.len() - 1], shown[shown.len() - 2]);
                let moved = if descending { "\u{10ffff}" } else { "" };
                let within: &[String] = &[];
                o.store.update(o.mailbox, within, last, noted(moved), Preconditions::default()).await.unwrap();
                o.store.delete(o.mailbox, within, before, Preconditions::default()).await.unwrap();
            }
            assert_eq!(found, ids.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        }
    }

    /// Anchors with long keys are recognized, even if they are from earlier pages.
    #[actix_web::test]
    async fn paging_resumes_after_the_newest_unchanged_anchor() {
        for text in ["personalNotes", "personalNotes desc"] {
            let o = opened().await;
            let long = |i: usize| "x".repeat(1_000) + &i.to_string();
            let mut ids = Vec::new();
            for i in 0..9 {
                ids.push(o.store.insert(o.mailbox, noted(&long(i))).await.unwrap().id);
            }
            if text.ends_with("desc") {
                ids.reverse();
            }
            let moved = if text.ends_with("desc") { "y" } else { "a" };
            let mut listing = Listing { order: ordered(text, Model::Beta), ..first(1) };
            let mut found = Vec::new();
            loop {
                let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
                found.extend(page.contacts.iter().map(|contact| contact.id));
                let Some(next) = page.next else { break };
                listing.after = Some(through_a_token(next));
                // Three of four move to earlier positions.
                if found.len() % 4 != 1 {
                    let last = *found.last().unwrap();
                    o.store.update(o.mailbox, &[], last, noted(moved), Preconditions::default()).await.unwrap();
                }
            }
            assert_eq!(found, ids, "{text}");
        }
    }

    #[actix_web::test]
    async fn if_all_shown_rows_change_no_row_is_skipped() {
        let o = opened().await;
        let long = |i: usize| "x".repeat(1_000) + &i.to_string();
        for i in 0..9 {
            o.store.insert(o.mailbox, noted(&long(i))).await.unwrap();
        }
        for text in ["personalNotes", "personalNotes desc"] {
            let mut listing = Listing { order: ordered(text, Model::Beta), ..first(5) };
            let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
            for contact in &page.contacts {
                let same = contact.properties.text(Text::PersonalNotes).unwrap().to_owned() + "!";
                o.store.update(o.mailbox, &[], contact.id, noted(&same), Preconditions::default()).await.unwrap();
            }
            listing.after = page.next.map(through_a_token);
            let rest = o.store.contacts(o.mailbox, &Listing { size: 100, ..listing }, None).await.unwrap().contacts;
            let shown = |id| page.contacts.iter().any(|contact| contact.id == id);
            assert_eq!(rest.iter().filter(|contact| !shown(contact.id)).count(), 4, "{text}");
        }
    }

    #[actix_web::test]
    async fn a_cursor_of_another_order_is_refused() {
        let (o, _) = filled().await;
        let mut listing = Listing { order: ordered("surname", Model::Beta), ..first(3) };
        listing.after = o.store.contacts(o.mailbox, &listing, None).await.unwrap().next;
        for text in ["length(surname)", "surname,title", "birthday desc"] {
            // A null fits any key.
            let other = Listing {
                order: ordered(text, Model::Beta),
                after: Some(Cursor {
                    keys: vec![crate::domain::query::cursor::KeyValue::Text("a".into())],
                    ..listing.after.clone().unwrap()
                }),
                ..first(3)
            };
            let refused = o.store.contacts(o.mailbox, &other, None).await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{text}: {refused:?}");
        }
        let unsorted = Listing { after: listing.after.clone(), ..first(3) };
        assert!(matches!(o.store.contacts(o.mailbox, &unsorted, None).await, Err(Error::Invalid(_))));
    }
}
