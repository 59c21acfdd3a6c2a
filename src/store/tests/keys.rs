//! Derived data of contacts: look-ups use it, and it is recomputed when its rule changes.

mod both {
    use crate::domain::contact::patch::ContactAdditions;
    use crate::domain::extended::{MultiValue, PropertyId, SingleValue};
    use crate::domain::extension;
    use crate::domain::handling::Handling;
    use crate::odata::filter::{Aliases, Model, filter};
    use crate::odata::search;
    use crate::store::db::statement::Statement;
    use crate::store::tables::folded;
    use crate::store::tests::awkward::{filled, noted};
    use crate::store::tests::plans::both::plan;
    use crate::store::tests::*;

    #[actix_web::test]
    async fn the_common_look_ups_use_an_index() {
        let o = opened().await;
        // Enough rows for the planner to use an index.
        for i in 0..6 {
            let named = |j: usize| {
                let mut patch = titled("x");
                let name = format!("n{}", i * 500 + j);
                patch.emails = Some(vec![Email { address: Some(name.clone() + "@example.org"), ..Email::default() }]);
                patch.categories = Some(vec![name.clone()]);
                let single = PropertyId::parse::<SingleValue>("String 0x6601").unwrap();
                let multi = PropertyId::parse::<MultiValue>("StringArray 0x6602").unwrap();
                patch.added = Some(Box::new(ContactAdditions {
                    extensions: vec![extension::NewExtension { name: name.clone(), members: Vec::new() }],
                    single_values: vec![(single, Some([name.clone()]))],
                    multi_values: vec![(multi, Some(vec![name.clone(), "all".to_owned()]))],
                }));
                patch.texts[Text::DisplayName as usize] = Some(Some(name));
                patch
            };
            o.store.insert_many(o.mailbox, (0..500).map(named).collect()).await.unwrap();
        }
        o.settle().await;
        for (text, index) in [
            ("emailAddresses/any(e:e/address eq 'ann@example.org')", "emails_by_address"),
            ("emailAddresses/any(e:e/address in ('a@b','c@d'))", "emails_by_address"),
            ("emailAddresses/any(e:startswith(e/address,'ann'))", "emails_by_address"),
            ("emailAddresses/any(e:e/address eq 'a@b') and surname eq 'x'", "emails_by_address"),
            ("displayName eq 'Ann'", "contacts_by_name"),
            ("startswith(displayName,'An')", "contacts_by_name"),
            ("lastModifiedDateTime ge 2099-01-01T00:00:00Z", "contacts_by_change"),
            ("categories/any(c:c eq 'VIP')", "categories_by_name"),
            ("extensions/any(f:f/id eq 'n17')", "extensions_by_name"),
            (
                "singleValueExtendedProperties/any(p:p/id eq 'String 0x6601' and p/value eq 'N17')",
                "single_values_by_value",
            ),
            (
                "singleValueExtendedProperties/any(p:startswith(p/value,'n17') and p/id eq 'String 0x6601')",
                "single_values_by_value",
            ),
            (
                "multiValueExtendedProperties/any(p:p/id eq 'StringArray 0x6602' and p/value/any(v:v eq 'n17'))",
                "multi_values_by_value",
            ),
        ] {
            let condition = filter(text, &Aliases::default(), Model::Beta, Handling::Lenient).unwrap();
            let plan = plan(&o, &Listing { filter: Some(condition), ..first(10) }).await;
            assert!(plan.contains(index), "{text}:\n{plan}");
            let read_through =
                ["SCAN c", "Seq Scan on contacts", "Seq Scan on single_values", "Seq Scan on multi_value"];
            assert!(
                !text.contains("Extended") || !read_through.iter().any(|way| plan.contains(way)),
                "{text}:\n{plan}"
            );
        }
        let trash = plan(&o, &Listing { deleted: true, ..first(10) }).await;
        assert!(trash.contains("contacts_deleted"), "{trash}");
        o.store.create_folder(o.mailbox, &["contacts".to_owned()], named("Few")).await.unwrap();
        let folder = plan(&o, &Listing { folder: Some("Few".to_owned()), ..first(10) }).await;
        assert!(folder.contains("contacts_by_folder"), "{folder}");
        for text in ["n17", "n17 example", "\"n17 example\" OR surname:lee", "n17 NOT bob", "\"n17@example.org\""] {
            let search = Some(search::parse(text).unwrap());
            let plan = plan(&o, &Listing { search, ..first(10) }).await;
            let index = o.schema.as_ref().map_or("VIRTUAL TABLE INDEX 0:M", |_| "words_by_word");
            let read_through = ["SCAN c", "SCAN s", "Seq Scan on contacts", "Seq Scan on words"];
            assert!(plan.contains(index) && !read_through.iter().any(|way| plan.contains(way)), "{text}:\n{plan}");
        }
    }

    async fn found(o: &Opened, text: &str) -> Vec<Contact> {
        let listing = Listing { search: Some(search::parse(text).unwrap()), ..first(1_000) };
        o.store.contacts(o.mailbox, &listing, None).await.unwrap().contacts
    }

    #[actix_web::test]
    async fn keys_of_an_older_rule_are_recomputed() {
        let (o, contacts) = filled().await;
        let folded_rows = "select count(*) from folded";
        let words = o.schema.as_ref().map_or("select count(*) from searched", |_| "select count(*) from words");
        let before = (o.count(folded_rows).await, o.count(words).await);
        assert!(before.0 > 100 && before.1 >= 70, "{before:?}");
        o.store.delete(o.mailbox, &[], contacts[8].id, Preconditions::default()).await.unwrap();
        let ann = found(&o, "ann").await;
        assert!(ann.len() > 10, "{ann:?}");
        let older = o.job(async move |tx| {
            tx.execute(Statement::new("delete from folded")).await?;
            let words = "insert into words (words) values ('delete-all')";
            tx.execute(Statement::per_engine(words, "delete from words")).await?;
            tx.execute(Statement::new("update store set folding = 1")).await
        });
        older.await.unwrap();
        o.store.close().await;
        let again = Store::open(&o.database, Options::default()).await.unwrap();
        let o = Opened { store: again, ..o };
        assert_eq!((o.count(folded_rows).await, o.count(words).await), before);
        assert_eq!(o.count("select folding from store").await, crate::domain::fold::FOLDING);
        let rest: Vec<_> = contacts.iter().filter(|contact| contact.id != contacts[8].id).cloned().collect();
        assert_eq!(found(&o, "ann").await, ann);
        let condition = filter("title eq 'É' or nickName eq 'Σ'", &Aliases::default(), Model::Beta, Handling::Lenient);
        let listing = Listing { filter: Some(condition.unwrap()), ..first(1_000) };
        let found = o.store.contacts(o.mailbox, &listing, None).await.unwrap().contacts;
        assert!(!found.is_empty());
        let has = |contact: &&Contact, text, folded: [&str; 2]| {
            contact.properties.text(text).is_some_and(|text| folded.contains(&crate::domain::fold::fold(text).as_str()))
        };
        let fits = |c: &&Contact| has(c, Text::Title, ["é"; 2]) || has(c, Text::NickName, ["σ"; 2]);
        assert_eq!(found, rest.iter().filter(fits).cloned().collect::<Vec<_>>());
        // A changed contact has only the keys of its current values.
        let within: &[String] = &[];
        o.store.update(o.mailbox, within, contacts[9].id, noted("É"), Preconditions::default()).await.unwrap();
        let changed = o.store.contact(o.mailbox, within, contacts[9].id).await.unwrap();
        let kept = folded::of(&changed.properties).len();
        let statement = statement::Sql::new("select count(*) from folded where contact_id = ").value(changed.id);
        let read = async |session: &mut Session| session.row(statement.clone().into()).await;
        let row = o.store.read(read).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), i64::try_from(kept).unwrap());
    }
}
