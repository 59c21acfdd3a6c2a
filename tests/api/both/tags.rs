//! MAPI tags as extended properties, which are views of the contact, as a mail gateway uses them.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

const SINGLE: &str = "singleValueExtendedProperties";
const MOBILE: &str = "String 0x3a1c";
const PAGER: &str = "String 0x3A21";
const WORK: &str = "String 0x3a08";
const STREET: &str = "String {00062004-0000-0000-c000-000000000046} Id 0x8045";
const EMAIL: &str = "String {00062004-0000-0000-c000-000000000046} Id 0x8083";
const CLASS: &str = "String 0x1a";
const FILE: &str = "String 0x10f3";

fn sent(values: &[(&str, Value)]) -> Value {
    values.iter().map(|(id, value)| json!({"id": id, "value": value})).collect()
}

/// The values of these ids, in the requested spelling.
fn by_tags(client: &Client, path: &str, ids: &[&str]) -> Value {
    let filter = ids.iter().map(|id| format!("id eq '{id}'")).collect::<Vec<_>>().join(" or ");
    let expand = percent_encode(&format!("{SINGLE}($filter={filter})"));
    client.get(&format!("{path}?$expand={expand}")).json(200)[SINGLE].clone()
}

fn found(client: &Client, condition: &str) -> Vec<String> {
    let filter = percent_encode(&format!("{SINGLE}/any(ep: {condition})"));
    let page = client.get(&format!("/v1.0/me/contacts?$filter={filter}&$select=id")).json(200);
    page["value"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn contacts_are_listed_read_and_written_by_mapi_tags() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let made = ann.post(
        "/v1.0/me/contactFolders/contacts/contacts",
        json!({"surname": "Lee", SINGLE: sent(&[
            (MOBILE, json!("+47 1")), (WORK, json!("+47 2")), (PAGER, json!("+47 3")), (STREET, json!("1 Elm")),
            (EMAIL, json!("lee@example.org")), ("String 0x3A06", json!("Ann")), (FILE, json!("ann.EML")),
            ("String 0x3A5A", json!("Norway")), ("String 0x3A09", Value::Null),
        ])}),
    );
    let created = made.json(201);
    assert_eq!((&created["mobilePhone"], &created["businessPhones"]), (&json!("+47 1"), &json!(["+47 2"])));
    assert_eq!(
        (&created["displayName"], &created["businessAddress"]),
        (&json!("Ann Lee"), &json!({"street": "1 Elm"}))
    );
    assert_eq!(created["homeAddress"], json!({"countryOrRegion": "Norway"}));
    assert_eq!(created["emailAddresses"], json!([{"name": "lee@example.org", "address": "lee@example.org"}]));
    assert_eq!(app.count("select count(*) from single_values"), 1, "only what is no view is kept beside the contact");
    let contact_path = format!("/v1.0/me/contacts/{}", made.id());
    let beta = ann.get(&format!("/me/contacts/{}", made.id())).json(200);
    let pager = json!({"@odata.type": "microsoft.graph.phone", "type": "pager", "number": "+47 3"});
    assert!(beta["phones"].as_array().unwrap().contains(&pager), "{beta}");
    // Properties without a value are left out; ids are returned as sent.
    let values =
        by_tags(&ann, &contact_path, &[MOBILE, "String 0x3A1C001F", PAGER, CLASS, FILE, "String 0x3A09", EMAIL]);
    let expected = sent(&[
        (FILE, json!("ann.EML")),
        (MOBILE, json!("+47 1")),
        ("String 0x3A1C001F", json!("+47 1")),
        (PAGER, json!("+47 3")),
        (CLASS, json!("IPM.Contact")),
        (EMAIL, json!("lee@example.org")),
    ]);
    assert_eq!(values, expected);
    assert_eq!(
        ann.get(&format!("{contact_path}?$expand={SINGLE}")).json(200)[SINGLE],
        sent(&[(FILE, json!("ann.EML"))])
    );
    // A value written by the property is read by the tag, and the reverse.
    ann.patch(&contact_path, json!({"mobilePhone": "+47 9", "businessPhones": []})).json(200);
    assert_eq!(by_tags(&ann, &contact_path, &[MOBILE, WORK]), sent(&[(MOBILE, json!("+47 9"))]));
    let other = ann.post("/me/contacts", json!({"surname": "Roe"})).id();
    assert_eq!(found(&ann, &format!("ep/id eq '{CLASS}' and ep/value eq 'IPM.Contact'")), [made.id(), other.clone()]);
    assert_eq!(found(&ann, &format!("ep/id eq '{CLASS}' and ep/value ne 'IPM.Contact'")), Vec::<String>::new());
    assert_eq!(found(&ann, &format!("ep/id eq '{MOBILE}' and ep/value eq '+47 9'")), [made.id()]);
    assert_eq!(found(&ann, &format!("ep/id eq '{MOBILE}'")), [made.id()]);
    assert_eq!(found(&ann, "ep/id eq 'String 0x3A11' and startswith(ep/value,'r')"), [other]);
    let changed = ann.patch(&contact_path, json!({SINGLE: sent(&[(MOBILE, Value::Null), (WORK, json!("+47 4"))])}));
    assert_eq!(changed.json(200)["mobilePhone"], Value::Null);
    assert_eq!(changed.json(200)["businessPhones"], json!(["+47 4"]));
    assert_ne!(changed.header("etag"), made.header("etag"));
    assert_eq!(by_tags(&ann, &contact_path, &[MOBILE, WORK]), sent(&[(WORK, json!("+47 4"))]));
    // The search follows.
    assert_eq!(ann.get("/v1.0/me/contacts?$search=474").json(200)["value"].as_array().unwrap().len(), 1);
}

#[test]
fn conflicting_and_invalid_writes_by_mapi_tags_are_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let contact_path = format!("/v1.0/me/contacts/{}", ann.post("/me/contacts", json!({"surname": "Lee"})).id());
    let before = ann.get(&contact_path).json(200);
    for (mut body, values, code, named) in [
        (json!({}), sent(&[(CLASS, json!("IPM.Note"))]), "RequestBodyRead", "always 'IPM.Contact'"),
        (json!({}), sent(&[(CLASS, Value::Null)]), "RequestBodyRead", "always 'IPM.Contact'"),
        (json!({"mobilePhone": "1"}), sent(&[(MOBILE, json!("2"))]), "RequestBodyRead", "send only one of the two"),
        (
            json!({"surname": "x"}),
            sent(&[("String 0x3A11", Value::Null)]),
            "RequestBodyRead",
            "send only one of the two",
        ),
        (json!({"emailAddresses": []}), sent(&[(EMAIL, json!("x"))]), "RequestBodyRead", "send only one of the two"),
        (
            json!({}),
            sent(&[(MOBILE, json!("1")), ("String 0x3A1C001F", json!("2"))]),
            "RequestBodyRead",
            "send only one of the two",
        ),
        (json!({}), sent(&[(MOBILE, json!("x".repeat(4_097)))]), "ErrorPropertyValidationFailure", "4096 allowed"),
    ] {
        body[SINGLE] = values;
        let refused = ann.patch(&contact_path, &body);
        let (status, is, target) = refused.error();
        assert_eq!((status, is.as_str()), (400, code), "{body}");
        assert!(
            target.starts_with(&format!("{SINGLE}/")) && refused.message().contains(named),
            "{}",
            refused.message()
        );
        assert_eq!(ann.post("/v1.0/me/contacts", &body).status, 400);
        assert_eq!(ann.get(&contact_path).json(200), before);
    }
    // Equal values given twice count once.
    let alike = json!({"mobilePhone": "1", "surname": "Roe",
        SINGLE: sent(&[(MOBILE, json!("1")), ("String 0x3A11", json!("Roe")), (CLASS, json!("ipm.contact"))])});
    assert_eq!(ann.patch(&contact_path, alike).json(200)["mobilePhone"], "1");
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn extended_property_values_are_compared_as_the_type_of_their_cast() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = |kind: &str| format!("{kind} {{66f5a359-4659-4830-9070-00047ec6ac6e}} Name {kind}");
    let guid = "b9cf8971-7d55-4b73-9ffa-a584611b600b";
    let made = [
        ("9", "2024-01-01T00:00:00Z", "true"),
        ("10", "2025-01-01T01:00:00+01:00", "false"),
        ("-3", "2026-01-01", "True"),
    ];
    let made = made.map(|(number, time, truth)| {
        let values = sent(&[
            (&id("Integer"), json!(number)),
            (&id("SystemTime"), json!(time)),
            (&id("Boolean"), json!(truth)),
            (&id("CLSID"), json!(guid.to_uppercase())),
            (&id("Double"), json!(format!("{number}.5"))),
            (&id("String"), json!("x")),
        ]);
        ann.post("/me/contacts", json!({"givenName": number, SINGLE: values})).id()
    });
    for (kind, condition, expected) in [
        ("Integer", "cast(ep/value, Edm.Int32) eq 9", vec![0]),
        ("Integer", "cast(ep/value, Edm.Int32) ge 9", vec![0, 1]),
        ("Integer", "CAST(ep/value,edm.int64) lt 0", vec![2]),
        ("Integer", "cast(ep/value, Edm.Int32) add 1 eq 10", vec![0]),
        ("Integer", "cast(ep/value, Edm.Int32) eq null", vec![]),
        ("String", "cast(ep/value, Edm.Int32) eq null", vec![0, 1, 2]),
        ("Double", "cast(ep/value, Edm.Double) gt 9.25", vec![0, 1]),
        ("CLSID", &format!("cast(ep/value, Edm.Guid) eq ({guid})"), vec![0, 1, 2]),
        ("CLSID", &format!("cast(ep/value, Edm.Guid) ne {}", guid.to_uppercase()), vec![]),
        ("SystemTime", "cast(ep/value,Edm.DateTimeOffset) ge 2025-01-01T00:00:00Z", vec![1, 2]),
        ("SystemTime", "cast(ep/value,Edm.Date) eq 2026-01-01", vec![2]),
        ("Boolean", "cast(ep/value,Edm.Boolean) eq true", vec![0, 2]),
        ("Boolean", "not cast(ep/value,Edm.Boolean)", vec![1]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|i: usize| made[i].clone()).collect();
        let condition = format!("ep/id eq '{}' and {condition}", id(kind));
        // Lists with this prefix have only the default folder, which contains these contacts.
        assert_eq!(found(&ann, &condition), expected, "{condition}");
    }
    for (condition, named) in [
        ("cast(ep/value, Edm.Duration) eq 1", "Edm.Int32"),
        ("cast(ep/value) eq 1", "cast(ep/value, Edm.Int32)"),
        ("cast(surname, Edm.Int32) eq 1", "the value of an extended property"),
        ("cast(ep/value, 'Edm.Int32') eq 1", "Expected a type"),
        ("cast(ep/value, Edm.Guid) gt null", "cannot compare"),
    ] {
        let filter = percent_encode(&format!("{SINGLE}/any(ep: {condition})"));
        let refused = ann.get(&format!("/me/contacts?$filter={filter}"));
        assert_eq!(refused.error().0, 400);
        assert!(refused.message().contains(named), "{}", refused.message());
    }
}
