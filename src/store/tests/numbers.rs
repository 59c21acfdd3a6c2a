//! Numbers of phones are found by their digits, and in a region as they are dialled there.

mod both {
    use crate::domain::handling::Handling;
    use crate::odata::filter::{Aliases, Model, filter_in};
    use crate::store::tests::filters::both::{agree, whole};
    use crate::store::tests::*;

    #[actix_web::test]
    async fn the_database_finds_the_numbers_that_the_evaluator_does() {
        let (o, contacts) = whole().await;
        for text in [
            "phones/any(p:p/number eq 'ANN')",
            "phones/any(p:p/number eq '(1)0')",
            "phones/any(p:p/number ne '1-0')",
            "phones/any(p:'9' eq p/number and p/type eq 'pager')",
            "phones/any(p:p/number in ('1 0','É'))",
            "phones/any(p:p/number in ('10',null))",
            "phones/any(p:p/number eq null)",
            "phones/all(p:p/number eq '')",
            "not phones/any(p:p/number eq '(9)')",
            "true eq phones/any(p:p/number eq '9')",
            "emailAddresses/any(e:phones/any(p:p/number eq '+9' and e/name ne null))",
        ] {
            agree(&o, &contacts, text, Model::Beta).await;
        }
        for text in [
            "mobilePhone eq '+1-0'",
            "mobilePhone eq ''",
            "mobilePhone eq null",
            "not (mobilePhone in ('9','x'))",
            "homePhones/any(p:p eq '1 0' or mobilePhone eq p)",
            "homePhones/any(p:p eq '1 0' or mobilePhone eq '9')",
            "businessPhones/any(p:p eq '')",
            "businessPhones/all(p:p eq '9')",
        ] {
            agree(&o, &contacts, text, Model::V1).await;
        }
        assert!(agree(&o, &contacts, "phones/any(p:p/number eq '(+9)')", Model::Beta).await > 0);
    }

    #[actix_web::test]
    async fn a_number_is_found_as_others_write_it() {
        let o = opened().await;
        for number in ["+49 30 901820", "(030) 90 18-20", "0049/30/901820", "+1 201 555 0123", "030901820 ext"] {
            let phone = Phone { kind: Some("mobile".to_owned()), number: Some(number.to_owned()) };
            let patch = ContactPatch { phones: Some(vec![phone.clone(), phone]), ..titled("x") };
            o.store.insert(o.mailbox, patch).await.unwrap();
        }
        let germany = Some("DE".parse().unwrap());
        for (region, handling, number, expected) in [
            (None, Handling::Lenient, "+4930901820", 1),
            (None, Handling::Lenient, "030-901820", 1),
            (None, Handling::Strict, "+4930901820", 0),
            (None, Handling::Strict, "+49 30 901820", 1),
            (None, Handling::Strict, "030901820 EXT", 1),
            (germany, Handling::Lenient, "030 901820", 3),
            (germany, Handling::Lenient, "+49 (0)30 901820", 3),
            (germany, Handling::Lenient, "001 201 555-0123", 1),
            (germany, Handling::Strict, "030 901820", 0),
        ] {
            for (text, model) in [
                (format!("phones/any(p:p/number eq '{number}')"), Model::Beta),
                (format!("mobilePhone eq '{number}'"), Model::V1),
            ] {
                let condition = filter_in(region, &text, &Aliases::default(), model, handling).unwrap();
                let listing = Listing { filter: Some(condition), count: true, ..first(10) };
                let page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
                assert_eq!((page.contacts.len(), page.count), (expected, i64::try_from(expected).ok()), "{text}");
            }
        }
    }
}
