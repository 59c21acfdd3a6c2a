//! Filters: a database answers what the plain Rust of `domain::query::eval` does, on contacts that are awkward
//! to compare.

pub(super) mod both {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, TestRng, TestRunner};

    use crate::domain::contact::Contact;
    use crate::domain::contact::expand::{Expand, ExpandSelection};
    use crate::domain::handling::Handling;
    use crate::domain::query::eval;
    use crate::odata::filter::{Aliases, Model, filter};
    use crate::store::tests::awkward::{MULTI, SINGLE, filled, texts};
    use crate::store::tests::constants::constants;
    use crate::store::tests::*;

    pub(in crate::store::tests) fn parsed(text: &str, model: Model) -> crate::domain::query::typed::Condition {
        filter(text, &Aliases::default(), model, Handling::Lenient).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The awkward contacts, with their extensions and extended properties.
    pub(in crate::store::tests) async fn whole() -> (Opened, Vec<Contact>) {
        let (o, contacts) = filled().await;
        let all = || Some(ExpandSelection::All);
        let expand = Expand { extensions: all(), single: all(), multi: all(), ..Expand::default() };
        let page = o.store.contacts(o.mailbox, &Listing { expand, ..first(1_000) }, None).await.unwrap();
        assert_eq!(page.contacts.len(), contacts.len());
        (o, page.contacts)
    }

    /// Compares the database with the evaluator. Returns the number of matches.
    pub(in crate::store::tests) async fn agree(o: &Opened, contacts: &[Contact], text: &str, model: Model) -> usize {
        let condition = parsed(text, model);
        let fits = |contact: &&Contact| eval::EvaluatedContact::new(contact).condition(&condition) == Some(true);
        let expected: Vec<_> = contacts.iter().filter(fits).map(|contact| contact.id).collect();
        let listing = Listing { filter: Some(condition), count: true, ..first(1_000) };
        let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let found: Vec<_> = page.contacts.iter().map(|contact| contact.id).collect();
        if found != expected {
            let odd = contacts.iter().find(|c| found.contains(&c.id) != expected.contains(&c.id)).unwrap();
            let truth = eval::EvaluatedContact::new(odd).condition(&parsed(text, model));
            panic!("{text}: {truth:?} for {odd:?}");
        }
        assert_eq!(page.count, Some(i64::try_from(expected.len()).unwrap()), "{text}");
        expected.len()
    }

    /// Filters of every operator and function.
    const FIXED: &[&str] = &[
        "surname eq null",
        "surname ne null",
        "null eq null",
        "null gt 1",
        "surname gt null",
        "not (surname gt 'k')",
        "surname eq givenName",
        "surname ne givenName",
        "not (surname eq givenName)",
        "surname lt nickName",
        "isFavorite",
        "not isFavorite",
        "isFavorite eq true",
        "isFavorite ne true",
        "isFavorite eq null",
        "(surname gt 'k') eq (nickName gt 'k')",
        "(surname gt 'k') eq null",
        "true eq categories/any(c:c eq 'É')",
        "null eq categories/any(c:c eq 'É')",
        "false ne categories/all(c:c gt 'É')",
        "categories/any(c:c eq 'É') eq emailAddresses/any(e:e/address eq 'ann')",
        "startswith(displayName,'a') eq categories/any(c:startswith(c,'a'))",
        "not (displayName eq 'ann') eq (displayName in ('ann','b'))",
        "true eq (lastModifiedDateTime ge 2020-01-01)",
        "true eq extensions/any(f:f/id eq 'org.a')",
        "true eq not multiValueExtendedProperties/any(p:true eq p/value/any(v:v eq 'É'))",
        "not (not categories/any(c:c eq 'É'))",
        "isFavorite eq (isFavorite eq null)",
        "true",
        "false",
        "null",
        "true and null",
        "false or null",
        "not null",
        "fileAs eq ''",
        "fileAs eq null",
        "personalNotes ne ''",
        "surname in ('ANN','ä',null)",
        "surname in (null)",
        "not (surname in ('ann','É'))",
        "displayName in ('ANN','ß')",
        "not (displayName in ('ANN','ß',null))",
        "length(surname) in (1,3,null)",
        "not (length(surname) in (1,3))",
        "length(surname) eq 1",
        "length(concat(surname,nickName)) gt 2",
        "indexof(surname,'n') eq 1",
        "indexof(surname,'') eq 0",
        "indexof(surname,nickName) ge 0",
        "substring(surname,1) eq 'nn'",
        "substring(surname,0,1) eq 'a'",
        "substring(surname,-1,2) eq 'an'",
        "substring(surname,9,-1) eq ''",
        "substring(surname,length(nickName)) eq ''",
        "substring(surname,null) eq null",
        "substring(surname,9223372036854775807,9223372036854775807) eq ''",
        "trim(surname) eq 'x'",
        "trim(title) eq ''",
        "tolower(surname) eq 'ANN'",
        "toupper(surname) eq 'ı'",
        "concat(surname,nickName) eq concat(nickName,surname)",
        "concat(surname,null) eq null",
        "birthday gt 1974-07-22T11:58:59Z",
        "birthday eq 1974-07-22T11:59:00Z",
        "birthday ge 1974-07-22",
        "birthday eq null",
        "birthday ne 2000-02-29T12:30:00Z",
        "year(birthday) eq 1604",
        "year(birthday) eq 10000",
        "year(birthday) lt 1",
        "month(birthday) eq 3",
        "day(birthday) in (1,29)",
        "hour(birthday) eq 12",
        "minute(birthday) gt 29",
        "second(birthday) eq 59",
        "fractionalseconds(birthday) gt 0.7",
        "fractionalseconds(birthday) eq 0",
        "fractionalseconds(birthday) in (0.999999,0.0)",
        "date(birthday) eq 2016-12-31",
        "time(birthday) lt 12:00",
        "time(birthday) eq 12:30:00.0",
        "hour(time(birthday)) eq 11",
        "weddingAnniversary eq 2001-06-30",
        "weddingAnniversary lt 1970-01-01",
        "weddingAnniversary eq null",
        "year(weddingAnniversary) eq 1600",
        "month(weddingAnniversary) eq 2",
        "day(weddingAnniversary) eq 31",
        "weddingAnniversary lt birthday",
        "weddingAnniversary ge 2001-06-30T00:00:00Z",
        "weddingAnniversary in (2001-06-30,1600-02-29)",
        "emailAddresses/$count gt 1",
        "emailAddresses/$count add phones/$count eq 3",
        "1 add 2 mul 3 eq 7",
        "length(surname) sub 5 lt -2",
        "7 div 2 eq 3",
        "-7 div 2 eq -3",
        "-7 mod 2 eq -1",
        "7 mod -2 eq 1",
        "length(surname) div (length(nickName) sub 1) ge 1",
        "length(surname) mod length(title) eq 0",
        "-length(surname) lt -2",
        "length(surname) gt 2.5",
        "2 lt 2.000001",
        "length(surname) eq 1.0",
        "emailAddresses/any()",
        "not emailAddresses/any()",
        "emailAddresses/any(e:e/address eq 'ANN')",
        "emailAddresses/any(e:e/address eq null)",
        "emailAddresses/all(e:e/address ne null)",
        "emailAddresses/all(e:e/address gt 'k')",
        "not emailAddresses/any(e:e/address gt 'k')",
        "emailAddresses/any(e:e/address in ('ann','É'))",
        "emailAddresses/any(e:startswith(e/address,'a'))",
        "emailAddresses/any(e:endswith(e/address,'N') and e/type eq 'WORK')",
        "emailAddresses/any(e:e/type eq 'ändere' or contains(e/otherLabel,'s'))",
        "emailAddresses/any(e:e/type eq microsoft.graph.emailType'Work')",
        "emailAddresses/any(e:phones/any(p:p/number eq e/address))",
        "emailAddresses/any(e:phones/all(p:p/number ne e/address and $it/surname ne e/name))",
        "emailAddresses/any(e:emailAddresses/any(f:f/name eq e/address))",
        "emailAddresses/any(e:e/address eq 'a' and surname eq 'x') or emailAddresses/any(e:e/name eq surname)",
        "phones/any(p:p/type eq 'mobile' and p/number gt 'k')",
        "postalAddresses/any(a:a/city eq 'É')",
        "websites/any(w:w/displayName eq 'ss' or w/address eq 'ß')",
        "categories/any(c:c eq 'É')",
        "categories/any(c:startswith(c,'PÉPÉ'))",
        "categories/all(c:length(c) gt 1)",
        "imAddresses/any(i:i eq 'σ')",
        "children/any(c:c eq surname)",
        "children/all(c:contains(c,'k'))",
        "flag/flagStatus eq 'NOTFLAGGED'",
        "flag/flagStatus ne 'flagged'",
        "flag/flagStatus eq null",
        "flag/flagStatus eq 'straße'",
        "flag/dueDateTime/timeZone eq 'é'",
        "flag/startDateTime/dateTime eq null",
        "parentFolderId eq 'Äpfel'",
        "parentFolderId eq 'äpfel'",
        "parentFolderId ne 'contacts'",
        "id eq 'x'",
        "id ne null",
        "changeKey eq 'x'",
        "changeKey ne null",
        "createdDateTime ge 2001-01-01",
        "createdDateTime lt 2001-01-01T00:00:00Z",
        "2001-01-01 le lastModifiedDateTime",
        "lastModifiedDateTime eq createdDateTime",
        "year(createdDateTime) gt 2000",
        "fractionalseconds(createdDateTime) eq 0.0",
        "birthday lt 1974-07-22T11:59:00.5Z",
        "lastModifiedDateTime gt null",
        "extensions/any()",
        "extensions/$count eq 2",
        "extensions/any(f:f/id eq 'org.a')",
        "extensions/any(f:f/id eq 'Microsoft.OutlookServices.OpenTypeExtension.org.A')",
        "extensions/any(f:f/id ne 'org.a')",
        "extensions/all(f:f/extensionName in ('org.a','microsoft.graph.openTypeExtension.org.b'))",
        "not extensions/any(f:f/id eq 'org.a') and extensions/any(f:f/id eq 'org.b' or f/id eq 'org.A')",
        "extensions/any(f:f/id eq null)",
        "extensions/any(f:f/id eq 'org.a' and surname gt 'k')",
        "singleValueExtendedProperties/any()",
        "singleValueExtendedProperties/$count ge 3",
        "singleValueExtendedProperties/any(p:p/value eq 'É')",
        "singleValueExtendedProperties/any(p:p/value eq surname)",
        "singleValueExtendedProperties/all(p:p/value gt 'k')",
        "singleValueExtendedProperties/any(p:p/id eq 'INTEGER 0X00003001')",
        "singleValueExtendedProperties/any(p:p/id ne 'integer 0x3001' and length(p/value) gt 2)",
        "multiValueExtendedProperties/any(p:p/value/any())",
        "multiValueExtendedProperties/any(p:not p/value/any())",
        "multiValueExtendedProperties/any(p:p/value/$count eq 2)",
        "multiValueExtendedProperties/all(p:p/value/all(v:v gt 'k'))",
        "multiValueExtendedProperties/any(p:p/value/any(v:v eq 'É'))",
        "multiValueExtendedProperties/any(p:p/value/any(v:v eq surname) or p/id eq 'BINARYARRAY 0x3001')",
        "multiValueExtendedProperties/any(p:p/value/any(v:emailAddresses/any(e:e/address eq v)))",
        "multiValueExtendedProperties/any(p:p/value/any(v:p/value/any(w:w gt v)))",
        "singleValueExtendedProperties/any(s:multiValueExtendedProperties/any(m:m/value/any(v:v eq s/value)))",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Int32) ge 9)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Int16) eq null)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Int64) in (9,10))",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Double) lt 9.5)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.DateTimeOffset) gt 2000-01-01)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Date) eq null)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Boolean))",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Guid) ne null)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.Guid) eq 66f5a359-4659-4830-9070-00047ec6ac6e)",
        "singleValueExtendedProperties/any(p:cast(p/value,Edm.String) eq '9')",
        "multiValueExtendedProperties/any(p:p/value/any(v:cast(v,Edm.Int32) lt 10))",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x3A11' and p/value eq 'ann')",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x3A11' and p/value ne 'ann')",
        "not singleValueExtendedProperties/any(p:p/id eq 'String 0x3A11')",
        "true eq singleValueExtendedProperties/any(p:p/id in ('String 0x1A','String 0x3A1C') and contains(p/value,'I'))",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x3A08' and p/value ge 'a')",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x1000' and p/value lt 'b')",
        "singleValueExtendedProperties/any(p:p/id ne 'String 0x3001' and length(p/value) gt 2)",
        "singleValueExtendedProperties/any(p:emailAddresses/any(e:p/id eq 'String 0x3A11' and e/name eq p/value))",
        "singleValueExtendedProperties/any(p:p/id eq 'String {00062004-0000-0000-c000-000000000046} Id 0x8083' and              p/value eq 'ann' and categories/any(c:c ge 'a'))",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x3A11' and cast(p/value,Edm.Int32) eq null)",
        "singleValueExtendedProperties/any(p:p/id eq 'String 0x3A11' or p/id eq 'Integer 0x3001')",
        "'a' lt 'B'",
        "'ä' gt 'Z'",
        "'' eq ''",
        "null in (null)",
    ];

    /// The same with the names of v1.0.
    const FIXED_V1: &[&str] = &[
        "homePhones/any(p:p eq 'ann')",
        "businessPhones/any(p:p eq '')",
        "homePhones/$count gt 0",
        "homePhones/all(p:p gt 'b')",
        "mobilePhone eq null",
        "mobilePhone gt 'É'",
        "homeAddress/city eq 'é'",
        "businessAddress/street ne null",
        "otherAddress/city eq null",
        "startswith(businessHomePage,'a')",
        "primaryEmailAddress/address eq 'ann'",
        "secondaryEmailAddress/name eq null",
        "tertiaryEmailAddress/address gt 'a'",
        "surname eq mobilePhone",
    ];

    /// Every comparison of properties with every text.
    fn of_texts(filters: &mut Vec<String>) {
        for text in texts() {
            let quoted = text.replace('\'', "''");
            for (property, other) in [("displayName", "nickName"), ("title", "surname")] {
                for comparison in ["eq", "ne", "gt", "ge", "lt", "le"] {
                    filters.push(format!("{property} {comparison} '{quoted}'"));
                }
                for function in ["contains", "startswith", "endswith"] {
                    filters.push(format!("{function}({property},'{quoted}')"));
                    filters.push(format!("not {function}({other},'{quoted}')"));
                    filters.push(format!("{function}('{quoted}',{property})"));
                }
            }
            filters.push(format!("emailAddresses/any(e:e/address eq '{quoted}' and e/name ne null)"));
            filters.push(format!("categories/any(c:c ge '{quoted}')"));
        }
    }

    /// The same for extended properties.
    fn of_extended_properties(filters: &mut Vec<String>) {
        for (i, text) in texts().iter().enumerate() {
            let quoted = text.replace('\'', "''");
            let single = SINGLE[i % SINGLE.len()];
            let of_it = |condition: String| {
                format!("singleValueExtendedProperties/any(ep: ep/id eq '{single}' and {condition})")
            };
            for comparison in ["eq", "ne", "gt", "le"] {
                filters.push(of_it(format!("ep/value {comparison} '{quoted}'")));
            }
            for function in ["contains", "startswith", "endswith"] {
                filters.push(of_it(format!("{function}(ep/value,'{quoted}')")));
                filters.push(of_it(format!("not {function}(ep/value,'{quoted}')")));
            }
            filters.push(of_it(format!("ep/value in ('{quoted}','ann',null)")));
            let multi = MULTI[i % MULTI.len()].replace('\'', "''");
            for condition in
                [format!("v eq '{quoted}'"), format!("startswith(v,'{quoted}')"), format!("v ge '{quoted}'")]
            {
                for (lambda, and) in [("any", "and"), ("all", "and"), ("any", "or")] {
                    filters.push(format!(
                        "multiValueExtendedProperties/any(ep: ep/id eq '{multi}' {and} ep/value/{lambda}(v: {condition}))"
                    ));
                }
            }
        }
    }

    /// Every comparison with a contact's id and times, whole and by fractions of a second.
    fn of_contacts(filters: &mut Vec<String>, contacts: &[&Contact]) {
        for contact in contacts {
            let seconds = crate::domain::date::print(contact.last_modified_date_time);
            filters.push(format!("id eq '{}'", contact.id));
            filters.push(format!("id in ('{}','x')", contact.id));
            filters.push(format!("changeKey eq '{}'", contact.version_token()));
            for comparison in ["eq", "ne", "gt", "ge", "lt", "le"] {
                filters.push(format!("lastModifiedDateTime {comparison} {seconds}"));
                filters.push(format!("{} {comparison} createdDateTime", seconds.replace('Z', ".5Z")));
                let micros = contact.last_modified_date_time.rem_euclid(1_000_000);
                for fraction in [format!("{micros:06}"), format!("{:03}", micros / 1_000), "0".to_owned()] {
                    let exact = seconds.replace('Z', &format!(".{fraction}Z"));
                    let time = &exact[11..exact.len() - 1];
                    filters.push(format!("lastModifiedDateTime {comparison} {exact}"));
                    filters.push(format!("{exact} {comparison} createdDateTime"));
                    filters.push(format!("true eq (lastModifiedDateTime {comparison} {exact})"));
                    filters.push(format!("time(createdDateTime) {comparison} {time}"));
                    filters.push(format!("lastModifiedDateTime in ({exact},{seconds},null)"));
                }
            }
        }
    }

    #[actix_web::test]
    async fn every_operator_and_function_answers_as_the_evaluator_does() {
        let (o, contacts) = whole().await;
        let mut filters: Vec<String> = FIXED.iter().map(|text| (*text).to_owned()).collect();
        of_texts(&mut filters);
        of_extended_properties(&mut filters);
        of_contacts(&mut filters, &[&contacts[3], &contacts[4]]);
        for text in &filters {
            agree(&o, &contacts, text, Model::Beta).await;
        }
        for text in FIXED_V1 {
            agree(&o, &contacts, text, Model::V1).await;
        }
        assert_eq!(agree(&o, &contacts, "displayName eq 'ANN'", Model::Beta).await, 3);
        assert_eq!(agree(&o, &contacts, "startswith(displayName,'a')", Model::Beta).await, 10);
    }

    fn literal() -> impl Strategy<Value = String> {
        proptest::sample::select(texts()).prop_map(|text| format!("'{}'", text.replace('\'', "''")))
    }

    /// A text expression; in a lambda some of its properties are the entry's.
    pub(in crate::store::tests) fn text(variable: &'static [&'static str]) -> BoxedStrategy<String> {
        let own = vec![
            "surname",
            "nickName",
            "displayName",
            "fileAs",
            "title",
            "flag/flagStatus",
            "flag/dueDateTime/timeZone",
            "companyName",
        ];
        let names = [own, variable.to_vec()].concat();
        let leaf = prop_oneof![4 => proptest::sample::select(names), 1 => Just("null")].prop_map(str::to_owned);
        let leaf = prop_oneof![3 => leaf, 2 => literal()];
        leaf.prop_recursive(2, 6, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("concat({a},{b})")),
                (inner.clone(), -1..4_i64).prop_map(|(a, i)| format!("substring({a},{i})")),
                (inner.clone(), 0..3_i64, -1..4_i64).prop_map(|(a, i, n)| format!("substring({a},{i},{n})")),
                inner.clone().prop_map(|a| format!("trim({a})")),
                inner.prop_map(|a| format!("toupper({a})")),
            ]
        })
        .boxed()
    }

    pub(in crate::store::tests) fn number(variable: &'static [&'static str]) -> BoxedStrategy<String> {
        let leaf = prop_oneof![
            (-3..5_i64).prop_map(|number| number.to_string()),
            text(variable).prop_map(|text| format!("length({text})")),
            (text(variable), text(variable)).prop_map(|(a, b)| format!("indexof({a},{b})")),
            proptest::sample::select(vec![
                "emailAddresses/$count",
                "year(birthday)",
                "month(weddingAnniversary)",
                "day(birthday)",
                "hour(birthday)",
                "second(birthday)"
            ])
            .prop_map(str::to_owned),
        ];
        let op = proptest::sample::select(vec!["add", "sub", "mul", "div", "mod"]);
        leaf.prop_recursive(2, 4, 2, move |inner| {
            (inner.clone(), op.clone(), inner).prop_map(|(a, op, b)| format!("({a}) {op} ({b})"))
        })
        .boxed()
    }

    fn condition(variable: &'static [&'static str]) -> BoxedStrategy<String> {
        let comparison = || proptest::sample::select(vec!["eq", "ne", "gt", "ge", "lt", "le"]);
        let find = proptest::sample::select(vec!["contains", "startswith", "endswith"]);
        let moments = proptest::sample::select(vec![
            "birthday gt 1974-07-22",
            "birthday le 2017-01-01T00:00:00Z",
            "weddingAnniversary ne 2001-06-30",
            "isFavorite",
            "isFavorite eq false",
            "createdDateTime gt 2020-01-01",
            "parentFolderId eq 'contacts'",
            "lastModifiedDateTime ge 2020-01-01T00:00:00Z",
            "categories/any(z:z eq 'É')",
            "emailAddresses/any(z:startswith(z/address,'a'))",
            "extensions/any(z:z/id eq 'org.a')",
            "children/all(z:z gt 'k')",
            "displayName eq 'ann'",
            "displayName in ('ann','ß')",
            "startswith(displayName,'a')",
            "true",
            "false",
            "null",
        ]);
        let leaf = prop_oneof![
            4 => (text(variable), comparison(), text(variable)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            2 => (find, text(variable), text(variable)).prop_map(|(name, a, b)| format!("{name}({a},{b})")),
            2 => (number(variable), comparison(), number(variable)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            1 => (text(variable), literal(), literal()).prop_map(|(a, b, c)| format!("{a} in ({b},{c},null)")),
            2 => moments.prop_map(str::to_owned),
            1 => proptest::sample::select(constants()),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) eq ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) ne ({b})")),
                (inner.clone(), any::<bool>()).prop_map(|(a, truth)| format!("{truth} eq ({a})")),
                inner.prop_map(|a| format!("not ({a})")),
            ]
        })
        .boxed()
    }

    fn any_condition() -> impl Strategy<Value = String> {
        let lambda = proptest::sample::select(vec!["any", "all"]);
        let emails = (lambda.clone(), condition(&["e/address", "e/name", "e/type"]));
        let categories = (lambda.clone(), condition(&["c"]));
        let nested = (
            condition(&["e/address", "e/name"]),
            lambda.clone(),
            condition(&["e/address", "p/number"]),
            lambda.clone(),
        );
        let part = prop_oneof![
            3 => condition(&[]),
            2 => emails.prop_map(|(name, body)| format!("emailAddresses/{name}(e:{body})")),
            1 => categories.prop_map(|(name, body)| format!("categories/{name}(c:{body})")),
            1 => nested.prop_map(|(own, inner, body, outer)| {
                format!("emailAddresses/{outer}(e:({own}) or phones/{inner}(p:{body}))")
            }),
        ];
        (part.clone(), proptest::sample::select(vec!["and", "or"]), part, any::<bool>())
            .prop_map(|(a, op, b, not)| format!("{}(({a}) {op} ({b}))", if not { "not " } else { "" }))
            .prop_filter("too large a number", |text| {
                filter(text, &Aliases::default(), Model::Beta, Handling::Lenient).is_ok()
            })
    }

    pub(in crate::store::tests) fn runner() -> TestRunner {
        let config = Config::default();
        TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm))
    }

    #[actix_web::test]
    async fn random_filters_answer_as_the_evaluator_does() {
        let (o, contacts) = whole().await;
        let (mut runner, filters) = (runner(), any_condition());
        let mut found = 0;
        for _ in 0..400 {
            let text = filters.new_tree(&mut runner).unwrap().current();
            found += agree(&o, &contacts, &text, Model::Beta).await;
        }
        assert!(found > 400, "{found}");
    }
}
