//! Lists in the order of an index have the same order as in `domain::query::eval`.

mod both {
    use crate::domain::contact::Contact;
    use crate::domain::query::eval;
    use crate::odata::filter::Model;
    use crate::store::tests::awkward::filled;
    use crate::store::tests::filters::both::parsed;
    use crate::store::tests::orders::both::{ordered, walk};
    use crate::store::tests::*;

    const ORDERS: [&str; 13] = [
        "displayName",
        "displayName desc",
        "surname,givenName",
        "surname desc,givenName desc",
        "surname",
        "surname desc",
        "companyName",
        "companyName desc",
        "fileAs",
        "fileAs desc",
        "createdDateTime desc",
        "lastModifiedDateTime",
        "lastModifiedDateTime desc",
    ];

    fn ids(contacts: &[Contact]) -> Vec<uuid::Uuid> {
        contacts.iter().map(|contact| contact.id).collect()
    }

    /// The awkward contacts, and some whose names are too long for an index of PostgreSQL's, or are the same.
    async fn awkward() -> (Opened, Vec<Contact>) {
        let (o, _) = filled().await;
        for i in 0..18_u32 {
            let long = |end: u32| "é".repeat(150) + &char::from_u32(0x3b1 + end).unwrap().to_string();
            let mut patch = ContactPatch::default();
            let name = if i % 3 == 0 { "same".to_owned() } else { long(i % 5) };
            for text in [Text::DisplayName, Text::CompanyName, Text::FileAs] {
                patch.texts[text as usize] = Some(Some(name.clone()));
            }
            patch.texts[Text::Surname as usize] = Some(Some(if i % 2 == 0 { "same".to_owned() } else { long(i % 7) }));
            patch.texts[Text::GivenName as usize] = Some((i % 4 != 0).then(|| long(i % 3)));
            patch.parent_folder_id = Some(["contacts", "Äpfel", "third"][i as usize % 3].to_owned());
            let id = o.store.insert(o.mailbox, patch).await.unwrap().id;
            if i == 7 || i == 12 {
                o.store.delete(o.mailbox, &[], id, Preconditions::default()).await.unwrap();
            }
        }
        let all = o.store.contacts(o.mailbox, &first(1_000), None).await.unwrap().contacts;
        (o, all)
    }

    #[actix_web::test]
    async fn lists_of_folders_and_of_all_folders_are_walked_in_every_order_of_an_index() {
        let (o, mut contacts) = awkward().await;
        for text in ORDERS {
            let order = ordered(text, Model::Beta);
            contacts.sort_by(|a, b| eval::order(&order, a, b));
            for folder in [None, Some("contacts"), Some("third"), Some("none")] {
                let listed: Vec<_> =
                    contacts.iter().filter(|c| folder.is_none_or(|id| c.parent_folder_id == id)).cloned().collect();
                let folder = folder.map(str::to_owned);
                let found = walk(&o, &Listing { order: order.clone(), folder: folder.clone(), ..first(5) }).await;
                assert_eq!(ids(&found), ids(&listed), "{text} in {folder:?}");
                let skipped = Listing { order: order.clone(), folder, skip: 3, count: true, ..first(4) };
                let page = o.store.contacts(o.mailbox, &skipped, None).await.unwrap();
                let behind: Vec<_> = ids(&listed).into_iter().skip(3).take(4).collect();
                assert_eq!((ids(&page.contacts), page.count), (behind, i64::try_from(listed.len()).ok()), "{text}");
            }
        }
    }

    #[actix_web::test]
    async fn index_results_are_read_once_and_in_order() {
        let (o, mut contacts) = awkward().await;
        let twice = |address: &str| Email { address: Some(address.to_owned()), ..Email::default() };
        for i in 0..5 {
            let patch = ContactPatch {
                emails: Some(vec![twice("Ann"), twice("ANN"), twice(&format!("{i}"))]),
                categories: Some(vec!["É".to_owned()]),
                ..ContactPatch::default()
            };
            contacts.push(o.store.insert(o.mailbox, patch).await.unwrap());
        }
        for (text, order) in [
            ("displayName eq 'same'", ""),
            ("surname eq 'same' and isFavorite eq null", ""),
            ("givenName eq 'ann'", ""),
            ("companyName eq null", ""),
            ("fileAs eq ''", ""),
            ("nickName eq 'É' or nickName eq 'σ'", ""),
            ("emailAddresses/any(e:e/address eq 'ann')", ""),
            ("emailAddresses/any(e:'ann' eq e/address and e/name eq null)", ""),
            ("emailAddresses/any(e:e/address eq 'ann') and categories/any(c:c eq 'é')", ""),
            ("categories/any(c:c eq 'é') and displayName ne 'same'", ""),
            ("startswith(displayName,'a')", "displayName"),
            ("startswith(displayName,'a')", "displayName desc"),
            ("startswith(displayName,'éé') and surname ne null", "displayName desc"),
            ("startswith(surname,'s')", "surname,givenName"),
            ("startswith(givenName,'é')", "givenName desc"),
            ("lastModifiedDateTime ge 2020-01-01", "lastModifiedDateTime desc"),
            ("createdDateTime lt 2020-01-01", "createdDateTime"),
            ("emailAddresses/any(e:e/address eq 'ann')", "displayName"),
            ("companyName eq 'same' and startswith(displayName,'s')", "displayName"),
        ] {
            let condition = parsed(text, Model::Beta);
            let order = if order.is_empty() { Vec::new() } else { ordered(order, Model::Beta) };
            contacts.sort_by(|a, b| eval::order(&order, a, b));
            for folder in [None, Some("contacts")] {
                let fits = |c: &&Contact| {
                    folder.is_none_or(|id| c.parent_folder_id == id)
                        && eval::EvaluatedContact::new(c).condition(&condition) == Some(true)
                };
                let listed: Vec<_> = contacts.iter().filter(fits).cloned().collect();
                let folder = folder.map(str::to_owned);
                let listing = Listing { filter: Some(condition.clone()), order: order.clone(), folder, ..first(1) };
                assert_eq!(ids(&walk(&o, &listing).await), ids(&listed), "{text}");
                let count = o.store.count(o.mailbox, &listing, None).await.unwrap();
                assert_eq!(Some(count), i64::try_from(listed.len()).ok(), "{text}");
            }
        }
    }

    #[actix_web::test]
    async fn sorting_does_not_depend_on_the_number_of_folders() {
        let o = opened().await;
        let mut names = Vec::new();
        for i in 0..40_u32 {
            let mut patch = titled("x");
            let name = format!("{}", i * 7 % 40);
            patch.texts[Text::DisplayName as usize] = Some(Some(name.clone()));
            patch.parent_folder_id = Some(format!("folder {}", i % 35));
            names.push(name);
            o.store.insert(o.mailbox, patch).await.unwrap();
        }
        names.sort_unstable();
        let found = walk(&o, &Listing { order: ordered("displayName", Model::Beta), ..first(7) }).await;
        let found: Vec<_> = found.iter().map(|c| c.properties.text(Text::DisplayName).unwrap().to_owned()).collect();
        assert_eq!(found, names);
    }
}
