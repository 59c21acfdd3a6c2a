//! Query plans of the lists that clients ask for: an index has their order, so that a page costs the same in a mailbox of any
//! size. docs/performance.md has the measurements.

use crate::odata::filter::Model;
use crate::odata::search;
use crate::store::query::listing;
use crate::store::tests::filters::both::parsed;
use crate::store::tests::orders::both::ordered;
use crate::store::tests::*;

pub(super) mod both {
    use crate::odata::filter::Model;
    use crate::odata::search;
    use crate::store::query::listing;
    use crate::store::tests::filters::both::parsed;
    use crate::store::tests::orders::both::ordered;
    use crate::store::tests::*;

    /// The query plan of a page.
    pub(in crate::store::tests) async fn plan(o: &Opened, listing: &Listing) -> String {
        let mailbox = o.mailbox;
        let explain = async move |session: &mut Session| {
            let page = listing::page_rows(session, mailbox, listing).await?;
            let statement = statement::Sql::default().per_engine("explain query plan ", "explain ").then(page);
            let rows = session.rows(statement.into()).await?;
            let line = |row: &engine::Row| row.get::<String>(3).or_else(|_| row.get::<String>(0)).unwrap();
            Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
        };
        o.store.read(explain).await.unwrap()
    }

    /// Enough contacts in two folders for the planner to use an index, with statistics.
    pub(in crate::store::tests) async fn many() -> Opened {
        let o = opened().await;
        add_many(&o).await;
        o
    }

    pub(super) async fn add_many(o: &Opened) {
        for i in 0..6 {
            let new = |j: usize| {
                let (number, name) = (i * 500 + j, format!("n{}", i * 500 + j));
                let mut patch = titled("x");
                patch.parent_folder_id = Some(if j.is_multiple_of(2) { "contacts" } else { "Few" }.to_owned());
                let address = |text| Email { address: Some(text), ..Email::default() };
                patch.emails =
                    Some(vec![address(name.clone() + "@example.org"), address("all@example.org".to_owned())]);
                patch.phones =
                    Some(vec![Phone { number: Some(format!("+1 732 555 {number:04}")), ..Phone::default() }]);
                patch.categories = Some(vec![name.clone(), "All".to_owned()]);
                for text in [Text::GivenName, Text::CompanyName, Text::NickName, Text::FileAs, Text::DisplayName] {
                    patch.texts[text as usize] = Some(Some(name.clone()));
                }
                patch.texts[Text::Surname as usize] = Some(Some(format!("s{}", number % 300)));
                patch
            };
            o.store.insert_many(o.mailbox, (0..500).map(new).collect()).await.unwrap();
        }
        o.settle().await;
    }

    /// The lists of the mailbox, of its default folder as under `/v1.0`, and of another folder.
    fn scopes() -> [Option<String>; 3] {
        [None, Some("contacts".to_owned()), Some("Few".to_owned())]
    }

    /// The first page of a list and one further on.
    async fn pages(o: &Opened, listing: Listing) -> Vec<Listing> {
        let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
        let deep = page.next.map(|next| Listing { after: Some(next), ..listing.clone() });
        [listing].into_iter().chain(deep).collect()
    }

    /// Asserts that only the rows of the page are scanned or sorted. PostgreSQL may sort the few contacts whose keys are too long
    /// for its indexes.
    fn assert_flat(what: &str, plan: &str) {
        let lines: Vec<_> = plan.lines().map(|line| line.trim_start_matches(['-', '>', ' '])).collect();
        for (i, line) in lines.iter().enumerate() {
            let sorts =
                line.contains("TEMP B-TREE") || line.starts_with("Sort  (") || line.starts_with("Incremental Sort  (");
            let of_few = ["contacts_with_long_keys", "CTE Scan on found"];
            let sorts_few = lines[i..].iter().take(8).any(|line| of_few.iter().any(|few| line.contains(few)));
            assert!(!sorts || sorts_few, "{what}: {line}\n{plan}");
            // The rows of the page, and the lists of a contact.
            let few = ["SCAN found", "SCAN measured", "SCAN m", "SCAN x", "SCAN (subquery"];
            let reads = line.starts_with("SCAN ") && !line.contains("VIRTUAL TABLE INDEX 0:M");
            let reads = reads && !few.iter().any(|few| line.starts_with(few));
            // Empty tables and the table of folders are scanned.
            let large =
                ["contacts", "emails", "phones", "categories", "words"].map(|table| format!("Seq Scan on {table} "));
            let reads = reads || large.iter().any(|large| line.starts_with(large));
            assert!(!reads, "{what}: {line}\n{plan}");
        }
        // SQLite looks up the contacts of the page by their ids.
        let page = plan.split_once("SCALAR SUBQUERY").map_or("", |(_, page)| page);
        assert!(!page.contains("SEARCH c USING PRIMARY KEY (mailbox=?)\n"), "{what}:\n{plan}");
    }

    #[actix_web::test]
    async fn a_page_in_an_order_that_clients_ask_for_is_read_from_an_index() {
        let o = many().await;
        for folder in scopes() {
            let mut orders = vec![String::new()];
            for (keys, index) in [
                ("displayName", "contacts_by_name"),
                ("surname,givenName", "contacts_by_surname"),
                ("companyName", "contacts_by_company"),
                ("fileAs", "contacts_by_file_as"),
                ("createdDateTime", "contacts_by_creation"),
                ("lastModifiedDateTime", "contacts_by_change"),
            ] {
                for order in [keys.to_owned(), keys.replace(',', " desc,") + " desc"] {
                    let by = Listing { order: ordered(&order, Model::Beta), folder: folder.clone(), ..first(10) };
                    for page in pages(&o, by).await {
                        let plan = plan(&o, &page).await;
                        assert!(plan.contains(index), "{order}:\n{plan}");
                        assert_flat(&format!("{order} in {folder:?}"), &plan);
                    }
                    orders.push(order);
                }
            }
            for page in pages(&o, Listing { folder: folder.clone(), ..first(10) }).await {
                assert_flat(&format!("a page in {folder:?}"), &plan(&o, &page).await);
            }
        }
    }

    /// PostgreSQL may keep the plan of a list without conditions, and of a look-up of entries. Other conditions are planned for
    /// their values: a kept plan for "changed since" would read the mailbox where nothing has changed.
    #[actix_web::test]
    async fn only_lists_without_conditions_and_look_ups_have_a_plan_for_all_values() {
        let o = opened().await;
        let mailbox = o.mailbox;
        let changed = parsed("lastModifiedDateTime ge 2999-01-01", Model::Beta);
        let (found, missing) = (search::parse("\"ann\"").unwrap(), search::parse("NOT ann").unwrap());
        let filtered = |text| Listing { filter: Some(parsed(text, Model::Beta)), ..first(10) };
        for (listing, keeps) in [
            (first(10), true),
            (Listing { order: ordered("displayName desc", Model::Beta), ..first(10) }, true),
            (Listing { order: ordered("jobTitle", Model::Beta), ..first(10) }, true),
            (Listing { filter: Some(changed.clone()), ..first(10) }, false),
            (Listing { filter: Some(changed), order: ordered("displayName", Model::Beta), ..first(10) }, false),
            (Listing { search: Some(found), ..first(10) }, true),
            (Listing { search: Some(missing), ..first(10) }, false),
            (filtered("phones/any(p:p/number eq '555')"), true),
            (filtered("phones/any(p:p/number eq '555') and surname eq 's'"), false),
        ] {
            let text = async |session: &mut Session| {
                let page = listing::page_rows(session, mailbox, &listing).await?;
                Ok(Statement::from(page).text(true).into_owned())
            };
            let text = o.store.read(text).await.unwrap();
            assert_eq!((text.contains("limit 16) bounded"), text.contains("limit 16")), (keeps, keeps), "{text}");
        }
    }

    #[actix_web::test]
    async fn look_ups_use_an_index() {
        let o = many().await;
        for folder in scopes() {
            for (text, order, index) in [
                ("startswith(displayName,'n1')", "displayName", "contacts_by_name"),
                ("startswith(displayName,'n1')", "displayName desc", "contacts_by_name"),
                ("startswith(surname,'s')", "surname,givenName", "contacts_by_surname"),
                ("lastModifiedDateTime ge 2020-01-01", "lastModifiedDateTime", "contacts_by_change"),
                ("displayName eq 'n17'", "", "contacts_by_name"),
                ("givenName eq 'n17'", "", "contacts_by_given_name"),
                ("companyName eq 'n17'", "", "contacts_by_company"),
                ("nickName eq 'n17'", "", "contacts_by_nick_name"),
                ("fileAs eq 'n17' and surname eq 's17'", "", "contacts_by_file_as"),
                ("phones/any(p:p/number eq '(1) 732-555-0017')", "", "phones_by_number"),
                ("categories/any(c:c eq 'n17')", "", "categories_by_name"),
                ("categories/any(c:c eq 'All')", "", "categories_by_name"),
                ("emailAddresses/any(e:e/address eq 'n17@example.org')", "", "emails_by_address"),
            ] {
                let order = if order.is_empty() { Vec::new() } else { ordered(order, Model::Beta) };
                let filter = Some(parsed(text, Model::Beta));
                for page in pages(&o, Listing { filter, order, folder: folder.clone(), ..first(1) }).await {
                    let plan = plan(&o, &page).await;
                    assert!(plan.contains(index), "{text}:\n{plan}");
                    assert_flat(&format!("{text} in {folder:?}"), &plan);
                }
            }
            // An index finds these, and what it finds is sorted.
            for (text, index) in [
                ("surname eq 's17'", "contacts_by_surname"),
                ("startswith(displayName,'n17')", "contacts_by_name"),
                ("lastModifiedDateTime ge 2099-01-01", "contacts_by_change"),
            ] {
                let by = Listing { filter: Some(parsed(text, Model::Beta)), folder: folder.clone(), ..first(10) };
                let plan = plan(&o, &by).await;
                assert!(
                    plan.contains(index) && !plan.contains("SCAN c") && !plan.contains("Seq Scan on contacts"),
                    "{plan}"
                );
            }
            for text in ["\"n17 example\"", "\"n17@example.org\"", "n17 x"] {
                let search = Some(search::parse(text).unwrap());
                let plan = plan(&o, &Listing { search, folder: folder.clone(), ..first(10) }).await;
                let index = o.schema.as_ref().map_or("VIRTUAL TABLE INDEX 0:M", |_| "words_by_word");
                assert!(plan.contains(index), "{text}:\n{plan}");
            }
        }
    }
}

/// How often PostgreSQL used a plan for all values in twelve reads of a page.
async fn kept_plans(o: &Opened, listing: &Listing) -> i64 {
    let mailbox = o.mailbox;
    let read = async move |session: &mut Session| {
        let mut text = String::new();
        for _ in 0..12 {
            let page: Statement<'_> = listing::page_rows(session, mailbox, listing).await?.into();
            text = page.text(true).into_owned();
            session.rows(page).await?;
        }
        let used = "select sum(generic_plans)::bigint from pg_prepared_statements where statement = $1";
        session.count(Statement::new(used).bind(text)).await
    };
    o.store.read(read).await.unwrap()
}

/// After five plans for their values, statements keep one that is good for all values, but not "changed since", for which it
/// would read the mailbox.
#[actix_web::test]
async fn postgresql_reuses_plans_that_fit_all_values() {
    let o = opened_in_schema(Postgres::shared().schema(), Options::default()).await;
    both::add_many(&o).await;
    let filtered = |text| Listing { filter: Some(parsed(text, Model::Beta)), ..first(10) };
    let searched = |text| Listing { search: Some(search::parse(text).unwrap()), ..first(10) };
    for (listing, keeps) in [
        (Listing { order: ordered("displayName", Model::Beta), ..first(10) }, true),
        (filtered("phones/any(p:p/number eq '+1 732 555 0017')"), true),
        (filtered("emailAddresses/any(e:e/address eq 'n17@example.org')"), true),
        (searched("n17 s17"), true),
        (searched("\"n17@example.org\""), true),
        (Listing { order: ordered("displayName", Model::Beta), ..searched("n17") }, true),
        (filtered("lastModifiedDateTime ge 2999-01-01"), false),
    ] {
        assert_eq!(kept_plans(&o, &listing).await, if keeps { 7 } else { 0 }, "{listing:?}");
    }
}
