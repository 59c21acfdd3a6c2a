//! Recomputed data after an upgrade.

pub(super) mod both {
    use crate::domain::contact::expand::{Expand, ExpandSelection};
    use crate::domain::contact::patch::ContactAdditions;
    use crate::domain::contact::tags;
    use crate::domain::extended::{PropertyId, SingleValue};
    use crate::domain::handling::Handling;
    use crate::odata::filter::{Aliases, Model, filter};
    use crate::store::db::derived;
    use crate::store::tests::*;

    #[actix_web::test]
    async fn properties_stored_by_tag_keep_their_name_and_can_be_cast() {
        let o = opened().await;
        let id = PropertyId::parse::<SingleValue>("String 0x9").unwrap();
        let added =
            ContactAdditions { single_values: vec![(id, Some(["7".to_owned()]))], ..ContactAdditions::default() };
        let patch = ContactPatch { added: Some(Box::new(added)), ..titled("a") };
        o.store.insert(o.mailbox, patch).await.unwrap();
        let upgraded = o.job(async |tx| {
            let older = "
update single_values set id = 'String 0x3A1C', id_key = 'string 0x3a1c', value_number = null, value_millionths = null";
            tx.execute(Statement::new(older)).await?;
            derived::read_values(tx.reader().await?).await
        });
        assert!(o.in_one_commit(vec![upgraded]).await.iter().all(Result::is_ok));
        let expand = Expand { single: Some(ExpandSelection::All), ..Expand::default() };
        let listing = Listing { expand, ..first(10) };
        let mut page = o.store.contacts(o.mailbox, &listing, None).await.unwrap();
        let shown = page.contacts.pop().unwrap().expanded.unwrap().single.unwrap();
        let kept = "String {00020329-0000-0000-c000-000000000046} Name kept 0x3a1c";
        assert_eq!((shown[0].id.as_str(), shown[0].value.as_slice()), (kept, ["7".to_owned()].as_slice()));
        assert_eq!(PropertyId::parse::<SingleValue>(kept).unwrap().key, shown[0].key);
        assert_eq!(tags::view(&shown[0].key), None);
        for (condition, count) in [
            (format!("p/id eq '{kept}' and cast(p/value,Edm.Int32) eq 7 and cast(p/value,Edm.Double) eq 7.0"), 1),
            ("p/id eq 'String 0x3A1C'".to_owned(), 0),
        ] {
            let text = format!("singleValueExtendedProperties/any(p:{condition})");
            let filter = Some(filter(&text, &Aliases::default(), Model::Beta, Handling::Lenient).unwrap());
            let page = o.store.contacts(o.mailbox, &Listing { filter, ..first(10) }, None).await.unwrap();
            assert_eq!(page.contacts.len(), count, "{condition}");
        }
    }
}
