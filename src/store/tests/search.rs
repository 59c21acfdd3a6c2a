//! Searches: a database finds what the plain Rust of `domain::query::search` does.

use crate::store::tests::*;

mod both {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, TestRng, TestRunner};

    use crate::domain::contact::{Address, Contact};
    use crate::domain::words;
    use crate::odata::search;
    use crate::store::tests::awkward::filled;
    use crate::store::tests::*;

    async fn found(o: &Opened, text: &str) -> Vec<Contact> {
        let search = Some(search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
        let listing = Listing { search, count: true, ..first(1_000) };
        let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(page.count, Some(i64::try_from(page.contacts.len()).unwrap()), "{text}");
        page.contacts
    }

    /// Compares the database with plain Rust. Returns the number of matches.
    async fn agree(o: &Opened, contacts: &[Contact], text: &str) -> usize {
        let search = search::parse(text).unwrap();
        let fits = |contact: &&Contact| search.matches(&words::places(&words::of_contact(&contact.properties)));
        let expected: Vec<_> = contacts.iter().filter(fits).map(|contact| contact.id).collect();
        let found: Vec<_> = found(o, text).await.iter().map(|contact| contact.id).collect();
        assert_eq!(found, expected, "{text}");
        expected.len()
    }

    fn term() -> impl Strategy<Value = String> {
        let words = [
            "ann", "a", "b", "É", "e\u{301}", "ss", "x", "10", "9", "日", "日本", "o'neil", "pep", "å", "ı", "k", "1=1",
        ];
        let fields = ["", "", "", "surname:", "displayName:", "emailAddresses:", "phones:", "homeAddress:"];
        let phrase = (prop::sample::select(words.to_vec()), prop::sample::select(words.to_vec()))
            .prop_map(|(a, b)| format!("\"{a} {b}\""));
        let word = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
        (prop::sample::select(fields.to_vec()), prop_oneof![4 => word, 1 => phrase])
            .prop_map(|(field, term)| field.to_owned() + &term)
    }

    fn any_search() -> impl Strategy<Value = String> {
        term().prop_recursive(4, 12, 3, |inner| {
            let many = prop::collection::vec(inner.clone(), 2..4);
            prop_oneof![
                (many, prop::sample::select(vec![" ", " AND ", " OR "]))
                    .prop_map(|(many, word)| format!("({})", many.join(word))),
                inner.prop_map(|one| format!("NOT {one}")),
            ]
        })
    }

    #[actix_web::test]
    async fn random_searches_find_what_plain_rust_finds() {
        let (o, contacts) = filled().await;
        let config = Config::default();
        let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm));
        let mut some = 0;
        for _ in 0..300 {
            let text = any_search().new_tree(&mut runner).unwrap().current();
            let found = agree(&o, &contacts, &text).await;
            some += usize::from(found > 0 && found < contacts.len());
        }
        assert!(some > 150, "most find some: {some}");
    }

    /// PostgreSQL looks for prefixes in the contacts that whole words find, or the longest prefix, unless these are many.
    #[actix_web::test]
    async fn first_words_of_few_and_of_many_contacts_have_the_same_results() {
        let o = opened().await;
        let new = |i: usize| {
            let mut patch = titled("x");
            let name = format!("{} Word{i}", if i.is_multiple_of(100) { "Rare" } else { "Common" });
            patch.texts[Text::DisplayName as usize] = Some(Some(name));
            let own = format!("w{i}@example.{}", if i.is_multiple_of(2) { "org" } else { "oslo" });
            let addresses = ["all@example.org".to_owned(), own];
            patch.emails = Some(addresses.map(|address| Email { address: Some(address), ..Email::default() }).to_vec());
            patch
        };
        let contacts = o.store.insert_many(o.mailbox, (0..400).map(new).collect()).await.unwrap();
        for (text, expected) in [
            ("\"\\\"common word39\\\"\"", 11),
            ("\"\\\"word39 common\\\"\"", 0),
            ("\"\\\"rare word1\\\"\"", 1),
            ("\"\\\"rare w\\\"\" \"\\\"all example o\\\"\"", 4),
            ("\"\\\"all example org\\\"\"", 400),
            ("displayName:\"common word39\" OR \"\\\"rare word3\\\"\"", 12),
            ("\"\\\"rare word\\\"\" OR word39", 15),
            ("\"\\\"all example\\\"\" NOT \"\\\"common word\\\"\"", 4),
            ("\"\\\"rare word\\\"\" NOT word3", 3),
            ("rare word1", 1),
            ("displayName:rare word1", 1),
            ("common exam", 396),
            ("comm exam NOT word3", 286),
            ("(common OR rare) word39", 11),
            // The first word with the prefix is the end of all that have the words before it, or of none.
            ("\"\\\"w10 example o\\\"\"", 1),
            ("\"\\\"w11 example o\\\"\"", 1),
            ("\"\\\"w11 example org\\\"\"", 0),
            ("emailAddresses:\"w12 example o\"", 1),
            ("displayName:\"w12 example o\"", 0),
            ("rare NOT \"\\\"w100 example o\\\"\"", 3),
        ] {
            assert_eq!(agree(&o, &contacts, text).await, expected, "{text}");
        }
    }

    #[actix_web::test]
    async fn index_rows_follow_their_contact() {
        let o = opened().await;
        let named = |name: &str| {
            let mut patch = titled("Dr.");
            patch.texts[Text::DisplayName as usize] = Some(Some(name.to_owned()));
            patch
        };
        let contact = o.store.insert(o.mailbox, named("Ann van der Lée")).await.unwrap();
        let is_found = async |text: &str| !found(&o, text).await.is_empty();
        for (text, expected) in [
            ("lee", true),
            ("\"\\\"van der\\\"\"", true),
            ("\"\\\"der van\\\"\"", false),
            ("van van", true),
            ("bob", false),
            ("NOT bob", true),
        ] {
            assert_eq!(is_found(text).await, expected, "{text}");
        }
        let words = o.schema.as_ref().map_or("select count(*) from searched", |_| "select count(*) from words");
        let before = o.count(words).await;
        let patch = ContactPatch {
            phones: Some(vec![Phone { number: Some("+1 (732) 555-0102".into()), ..Phone::default() }]),
            addresses: Some(vec![Address { city: Some("Straße 5".into()), ..Address::default() }]),
            ..named("Bob van Lee")
        };
        o.store.update(o.mailbox, &[], contact.id, patch, Preconditions::default()).await.unwrap();
        assert_eq!(o.count(words).await, before);
        for (text, expected) in [
            ("ann", false),
            ("bob", true),
            ("der", false),
            ("displayName:\"van lee\"", true),
            ("title:lee", false),
            ("title:dr", true),
            ("7325550102", true),
            ("\"732 555\"", true),
            ("+1-732-555", true),
            ("phones:0102", true),
            ("displayName:555", false),
            ("32555", false),
            ("STRASSE", false),
            ("straß", true),
        ] {
            assert_eq!(is_found(text).await, expected, "{text}");
        }
        o.store.delete(o.mailbox, &[], contact.id, Preconditions::default()).await.unwrap();
        assert!(!is_found("bob").await);
    }

    #[actix_web::test]
    async fn the_first_of_very_many_long_words_are_found() {
        let o = opened().await;
        // The limit is in bytes, and each of these letters has four.
        let word = |n: usize| format!("{n:05}{}", "𐐨".repeat(59));
        let notes = (0..3_000).map(word).collect::<Vec<_>>().join(" ");
        let mut patch = titled("Dr.");
        patch.texts[Text::PersonalNotes as usize] = Some(Some(notes));
        let contact = o.store.insert(o.mailbox, patch).await.unwrap();
        let is_found = async |text: &str| !found(&o, text).await.is_empty();
        for (text, expected) in [("02000𐐨", true), ("surname:02000𐐨", false), ("02800𐐨", false)] {
            assert_eq!(is_found(text).await, expected, "{text}");
        }
        let phrase = format!("personalNotes:\"{} {}\"", word(1_500), word(1_501));
        assert!(is_found(&phrase).await);
        o.store.update(o.mailbox, &[], contact.id, titled("Mr."), Preconditions::default()).await.unwrap();
        assert!(is_found(&phrase).await);
    }
}

/// SQLite finds the word after a common one by reading the whole list of contacts that have the common one.
#[actix_web::test]
async fn sqlite_looks_for_no_other_end_of_a_phrase_if_the_first_is_that_of_all_matches() {
    let o = opened_on_file(Options::default()).await;
    let new = |i: usize| {
        let mut patch = titled("x");
        let address = format!("w{i}@example.{}", if i.is_multiple_of(2) { "org" } else { "oslo" });
        patch.emails = Some(vec![Email { address: Some(address), ..Email::default() }]);
        patch
    };
    o.store.insert_many(o.mailbox, (0..4).map(new).collect()).await.unwrap();
    for (phrase, ends) in [("w0 example o", r#"["1xorg"]"#), ("w1 example o", r#"["1xorg", "1xoslo"]"#)] {
        let search = crate::odata::search::parse(&format!("\"\\\"{phrase}\\\"\"")).unwrap();
        let read = async |session: &mut Session| {
            let expansions = crate::store::query::search::expansions(session, o.mailbox, Some(&search)).await?;
            Ok(format!("{expansions:?}"))
        };
        let expansions = o.store.read(read).await.unwrap();
        assert!(expansions.contains(&format!(": {ends}")), "{phrase}: {expansions}");
    }
}
