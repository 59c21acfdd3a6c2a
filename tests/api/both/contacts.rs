//! Properties of contacts are returned as sent, alone and together, after create and after PATCH.

use serde_json::{Value, json};

use crate::app::{SEED_REQUEST, TestApp};
use crate::expected::{contact, empty_contact, settled};

const TEXTS: [&str; 22] = [
    "fileAs",
    "displayName",
    "givenName",
    "initials",
    "middleName",
    "nickName",
    "surname",
    "title",
    "yomiGivenName",
    "yomiSurname",
    "yomiCompanyName",
    "generation",
    "jobTitle",
    "companyName",
    "department",
    "officeLocation",
    "profession",
    "assistantName",
    "manager",
    "spouseName",
    "personalNotes",
    "gender",
];

/// Text that is easily damaged: every plane, combining and right-to-left marks, quotes, wildcards, JSON and SQL.
const DIFFICULT_TEXTS: [&str; 14] = [
    "Ann",
    " spaces  kept\t\r\n",
    "O'Neil \"q\" \\ / %_*?",
    "e\u{301} é İıß ﬁ",
    "日本語 한국어",
    "\u{10000}𝒳😀👩‍👩‍👧",
    "\u{20000}\u{2a6d6}",
    "\u{30000}",
    "\u{e0001}\u{e007f}",
    "\u{f0000}\u{ffffd}\u{100000}\u{10fffd}",
    "\u{feff}\u{200f}\u{202e}\u{fffd}\u{ffff}",
    "\u{1}\u{1f}\u{7f}\u{85}\u{2028}",
    "[\"json\", {\"a\": null}]",
    "'); drop table contacts; --",
];

fn typed(kind: &str, mut members: Value) -> Value {
    members["@odata.type"] = json!(format!("microsoft.graph.{kind}"));
    members
}

fn time(members: Value) -> Value {
    typed("dateTimeTimeZone", members)
}

/// `(property, as sent, as answered)` for everything but plain text.
fn values() -> Vec<(&'static str, Value, Value)> {
    let same = |name, value: Value| (name, value.clone(), value);
    let mut values = vec![
        same("birthday", json!("2017-01-01T00:03:13.7306563+03:00")),
        same("birthday", json!("0001-01-01t00:00z")),
        same("birthday", json!("9999-12-31T23:59:59.123456789012-14:00")),
        ("birthday", json!("1604-02-29"), json!("1604-02-29T11:59:00Z")),
        same("birthday", json!(null)),
        same("weddingAnniversary", json!("2001-06-30")),
        same("weddingAnniversary", json!("Date")),
        same("weddingAnniversary", json!("")),
        same("weddingAnniversary", json!(null)),
        same("isFavorite", json!(true)),
        same("isFavorite", json!(false)),
        same("isFavorite", json!(null)),
        same("categories", json!(["b", "a", "b", "", "A"])),
        same("imAddresses", json!(["b", "a", "[]", ""])),
        same("children", json!(["Zoë", "Ann", "123", "null"])),
        same("categories", json!([])),
        ("imAddresses", json!(null), json!([])),
        ("children", json!(null), json!([])),
        ("emailAddresses", json!(null), json!([])),
        ("phones", json!([]), json!([])),
        (
            "emailAddresses",
            json!([{"address": "a@x", "type": "WORK"}, {"name": "N", "address": null}, {}, {"name": "", "address": "", "type": "Club", "otherLabel": "L"}]),
            json!([
                typed("typedEmailAddress", json!({"name": "a@x", "address": "a@x", "type": "work"})),
                typed("typedEmailAddress", json!({"name": "N"})),
                typed("typedEmailAddress", json!({})),
                typed("typedEmailAddress", json!({"name": "", "address": "", "type": "Club", "otherLabel": "L"})),
            ]),
        ),
        (
            "phones",
            json!([{"type": "pager", "number": "1"}, {"type": "home", "number": "2"}, {"TYPE": "HomeFax"}, {"number": null, "@odata.type": "x"}]),
            json!([
                typed("phone", json!({"type": "pager", "number": "1"})),
                typed("phone", json!({"type": "home", "number": "2"})),
                typed("phone", json!({"type": "homeFax"})),
                typed("phone", json!({})),
            ]),
        ),
        (
            "postalAddresses",
            json!([
                {"type": "home", "postOfficeBox": "12", "street": "1 Elm\nApt 2", "city": "Oslo", "state": "", "countryOrRegion": "Norway", "postalCode": "0150"},
                {"city": "Bergen", "type": null},
            ]),
            json!([
                typed(
                    "physicalAddress",
                    json!({"type": "home", "postOfficeBox": "12", "street": "1 Elm\nApt 2", "city": "Oslo", "state": "", "countryOrRegion": "Norway", "postalCode": "0150"})
                ),
                typed("physicalAddress", json!({"city": "Bergen"})),
            ]),
        ),
        (
            "websites",
            json!([{"type": "blog", "address": "https://x/y?z", "displayName": "Blog"}, {"type": "x"}]),
            json!([
                typed("website", json!({"type": "blog", "address": "https://x/y?z", "displayName": "Blog"})),
                typed("website", json!({"type": "x"})),
            ]),
        ),
    ];
    values.extend(flags());
    values
}

fn flags() -> Vec<(&'static str, Value, Value)> {
    let unset_flag = empty_contact()["flag"].clone();
    let none = || time(json!({}));
    vec![
        (
            "flag",
            json!({"flagStatus": "FLAGGED", "startDateTime": {"dateTime": "2024-01-01T00:00:00", "timeZone": "UTC"}, "dueDateTime": {"dateTime": "2024-01-05T00:00:00"}}),
            typed(
                "followupFlag",
                json!({
                    "flagStatus": "flagged",
                    "startDateTime": time(json!({"dateTime": "2024-01-01T00:00:00", "timeZone": "UTC"})),
                    "dueDateTime": time(json!({"dateTime": "2024-01-05T00:00:00"})),
                    "completedDateTime": none(),
                }),
            ),
        ),
        (
            "flag",
            json!({"completedDateTime": {"timeZone": "Pacific Standard Time"}}),
            typed(
                "followupFlag",
                json!({
                    "completedDateTime": time(json!({"timeZone": "Pacific Standard Time"})), "startDateTime": none(), "dueDateTime": none(),
                }),
            ),
        ),
        (
            "flag",
            json!({"flagStatus": "complete", "dueDateTime": null}),
            typed(
                "followupFlag",
                json!({
                    "flagStatus": "complete", "completedDateTime": none(), "startDateTime": none(), "dueDateTime": none(),
                }),
            ),
        ),
        ("flag", json!({}), unset_flag.clone()),
        ("flag", unset_flag.clone(), unset_flag.clone()),
        ("flag", json!({"startDateTime": {"@odata.type": "microsoft.graph.dateTimeTimeZone"}}), unset_flag.clone()),
        ("flag", json!(null), unset_flag),
    ]
}

/// The expected contact with only this text property: the display name is derived from a name.
fn expected_alone(name: &str, value: &str) -> Value {
    let mut expected = contact(json!({name: value}));
    if ["givenName", "surname", "companyName"].contains(&name) && !value.is_empty() {
        expected["displayName"] = json!(value);
    }
    expected
}

#[test]
fn every_text_property_comes_back_as_sent_whatever_it_holds() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("/me/contacts/{}", ann.post("/me/contacts", "{}").id());
    for name in TEXTS {
        for text in DIFFICULT_TEXTS.iter().chain(&[""]) {
            let expected = expected_alone(name, text);
            let created = ann.post("/me/contacts", json!({name: text}));
            assert_eq!(settled(created.json(201)), expected, "{name} {text:?}");
            assert_eq!(ann.get(&format!("/me/contacts/{}", created.id())).body, created.body);
            assert_eq!(settled(ann.patch(&path, json!({name: text})).json(200)), expected, "{name} {text:?}");
            assert_eq!(settled(ann.get(&path).json(200)), expected, "{name} {text:?}");
        }
        // Null unsets a property, which reads differently from the empty text of most properties.
        assert_eq!(settled(ann.patch(&path, json!({name: null})).json(200)), empty_contact(), "{name}");
        assert_eq!(settled(ann.post("/me/contacts", json!({name: null})).json(201)), empty_contact(), "{name}");
    }
}

#[test]
fn every_other_property_comes_back_as_the_reference_says() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = format!("/me/contacts/{}", ann.post("/me/contacts", "{}").id());
    for (name, sent, answered) in values() {
        let mut expected = contact(json!({name: answered}));
        if let Some(address) = answered.as_array().and_then(|a| a.iter().find_map(|e| e["address"].as_str()))
            && name == "emailAddresses"
        {
            expected["displayName"] = json!(address);
        }
        let created = ann.post("/me/contacts", json!({name: sent}));
        assert_eq!(settled(created.json(201)), expected, "{name} {sent}");
        assert_eq!(ann.get(&format!("/me/contacts/{}", created.id())).body, created.body);
        assert_eq!(settled(ann.patch(&path, json!({name: sent})).json(200)), expected, "{name} {sent}");
        assert_eq!(settled(ann.get(&path).json(200)), expected, "{name} {sent}");
        assert_eq!(settled(ann.patch(&path, json!({name: null})).json(200)), empty_contact(), "{name}");
    }
}

#[test]
fn all_properties_of_one_contact_are_returned() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let (mut sent, mut expected) = (json!({}), empty_contact());
    for (i, name) in TEXTS.iter().enumerate() {
        let text = format!("{i}{}", DIFFICULT_TEXTS[i % DIFFICULT_TEXTS.len()]);
        sent[name] = json!(text);
        expected[name] = json!(text);
    }
    for (name, value, answered) in values() {
        if value.is_null() || expected[name] != empty_contact()[name] {
            continue;
        }
        sent[name] = value;
        expected[name] = answered;
    }
    let created = ann.post("/me/contacts", &sent);
    assert_eq!(settled(created.json(201)), expected);
    assert_eq!(ann.get(&format!("/me/contacts/{}", created.id())).body, created.body);
    let other = ann.post("/me/contacts", "{}").id();
    assert_eq!(settled(ann.patch(&format!("/me/contacts/{other}"), &sent).json(200)), expected);
    // A change of one property leaves every other as it is.
    expected["nickName"] = json!("Annie");
    let patched = ann.patch(&format!("/me/contacts/{other}"), json!({"nickName": "Annie"}));
    assert_eq!(settled(patched.json(200)), expected);
    assert_eq!(settled(ann.get(&format!("/me/contacts/{other}")).json(200)), expected);
}

#[test]
fn arrays_keep_their_order_up_to_their_cap() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let names: Vec<_> = (0..100).rev().map(|i| format!("{}", i * 37 % 100)).collect();
    let body = json!({
        "categories": names, "imAddresses": names, "children": names,
        "emailAddresses": names.iter().map(|n| json!({"address": n})).collect::<Vec<_>>(),
        "phones": names.iter().map(|n| json!({"number": n})).collect::<Vec<_>>(),
        "postalAddresses": names.iter().map(|n| json!({"city": n})).collect::<Vec<_>>(),
        "websites": names.iter().map(|n| json!({"address": n})).collect::<Vec<_>>(),
    });
    let id = ann.post("/me/contacts", body).id();
    let read = ann.get(&format!("/me/contacts/{id}")).json(200);
    let list = ann.get("/me/contacts").json(200);
    for contact in [&read, &list["value"][0]] {
        for name in ["categories", "imAddresses", "children"] {
            assert_eq!(contact[name], json!(names), "{name}");
        }
        for (name, member) in
            [("emailAddresses", "address"), ("phones", "number"), ("postalAddresses", "city"), ("websites", "address")]
        {
            let order: Vec<_> =
                contact[name].as_array().unwrap().iter().map(|entry| entry[member].as_str().unwrap()).collect();
            assert_eq!(order, names, "{name}");
        }
    }
}

#[test]
fn member_names_match_in_any_case_and_annotations_mean_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let body = json!({
        "@odata.type": "#Microsoft.Graph.CONTACT", "@odata.context": 5, "birthday@odata.type": "#DateTimeOffset", "emailAddresses@odata.type": "x",
        "surName": "Lee", "GIVENNAME": "Ann", "ImAddresses": ["x"], "flag": {"@odata.type": "#microsoft.graph.followupFlag", "FlagStatus": "Flagged"},
    });
    let created = ann.post("/me/contacts", body).json(201);
    assert_eq!(
        (&created["surname"], &created["givenName"], &created["imAddresses"]),
        (&json!("Lee"), &json!("Ann"), &json!(["x"]))
    );
    assert_eq!(created["flag"]["flagStatus"], "flagged");
}

#[test]
fn server_owned_properties_in_a_body_are_ignored() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let body = json!({"id": "mine", "createdDateTime": "1999-01-01T00:00:00Z", "lastModifiedDateTime": null, "@odata.etag": "W/\"x\""});
    let created = ann.post("/me/contacts", &body);
    assert_eq!(settled(created.json(201)), empty_contact());
    let path = format!("/me/contacts/{}", created.id());
    assert_eq!(ann.patch(&path, json!({"id": "x", "changeKey": "x"})).body, created.body);
}

#[test]
fn a_sent_change_key_is_kept_for_the_first_version_and_the_etag_stays_legal() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for key in ["Change Key value", "\"quoted\" , \\ ", "ключ", ""] {
        let created = ann.post("/me/contacts", json!({"changeKey": key}));
        let body = created.json(201);
        assert_eq!(body["changeKey"], key);
        let etag = created.header("etag");
        assert!(
            etag.starts_with("W/\"")
                && etag.bytes().skip(3).take(24).all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        );
        let path = format!("/me/contacts/{}", created.id());
        assert_eq!(ann.get(&path).json(200)["changeKey"], key);
        let patched = ann.with("If-Match", &etag).patch(&path, json!({"title": "Dr."}));
        assert_eq!(settled(patched.json(200)), contact(json!({"title": "Dr."})));
        assert_ne!(patched.header("etag"), etag);
    }
    let strict =
        ann.with("Prefer", "handling=strict").post("/me/contacts", json!({"changeKey": "x", "parentFolderId": "y"}));
    assert_eq!(settled(strict.json(201)), empty_contact());
    assert_eq!(app.count("select count(*) from folders"), 1);
}

#[test]
fn the_display_name_follows_its_parts_until_it_is_set_by_hand() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", json!({"givenName": "Ann", "surname": "Lee"}));
    let path = format!("/me/contacts/{}", created.id());
    assert_eq!(created.json(201)["displayName"], "Ann Lee");
    let app = app.restarted();
    let ann = app.user("ann");
    assert_eq!(ann.patch(&path, json!({"surname": "May"})).json(200)["displayName"], "Ann May");
    assert_eq!(ann.patch(&path, json!({"displayName": "Ann May"})).json(200)["displayName"], "Ann May");
    assert_eq!(ann.patch(&path, json!({"surname": "Roe"})).json(200)["displayName"], "Ann May");
    assert_eq!(ann.patch(&path, json!({"displayName": null})).json(200)["displayName"], "Ann Roe");
}

#[test]
fn an_answer_can_be_sent_back_unchanged() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let long = "x".repeat(4096);
    for body in [json!({}), json!({"givenName": long, "surname": long}), serde_json::from_str(SEED_REQUEST).unwrap()] {
        let created = ann.post("/me/contacts", body);
        let mut sent = created.json(201);
        let again = ann.patch(&format!("/me/contacts/{}", created.id()), &sent).json(200);
        for name in ["@odata.etag", "changeKey", "lastModifiedDateTime"] {
            sent[name] = again[name].clone();
        }
        assert_eq!(again, sent);
        assert_eq!(ann.post("/me/contacts/$ref", &sent).status, 201);
    }
}

#[test]
fn an_empty_patch_changes_nothing_and_any_other_makes_a_new_version() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", json!({"title": "Dr."}));
    let path = format!("/me/contacts/{}", created.id());
    let same = ann.patch(&path, "{}");
    assert_eq!((same.status, &same.body), (200, &created.body));
    let again = ann.patch(&path, json!({"title": "Dr."})).json(200);
    assert_ne!(again["changeKey"], created.json(201)["changeKey"]);
    assert_eq!(again["createdDateTime"], created.json(201)["createdDateTime"]);
}

#[test]
fn a_deleted_contact_is_hidden_and_kept_with_its_deletion_time() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"phones": [{"number": "1"}]})).id();
    let path = format!("/me/contacts/{id}");
    ann.delete(&path).empty(204);
    let not_found = (404, "ErrorItemNotFound".into(), String::new());
    assert_eq!(ann.get(&path).error(), not_found);
    assert_eq!(ann.delete(&path).error(), not_found);
    assert_eq!(ann.patch(&path, "{}").error(), not_found);
    assert_eq!(ann.get("/me/contacts").json(200)["value"], json!([]));
    assert_eq!(app.count("select count(*) from contacts where deleted_date_time is not null"), 1);
    assert_eq!(app.count("select count(*) from phones"), 1);
    let log = "select count(*) from changes where removed and contact_id = (select id from contacts) and seq = (select version from contacts)";
    assert_eq!(app.count(log), 1);
}

#[test]
fn every_write_is_numbered_in_the_change_log() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"parentFolderId": "f"})).id();
    ann.post("/me/contacts", json!({"parentFolderId": "g"}));
    ann.patch(&format!("/me/contacts/{id}"), json!({"title": "x"}));
    ann.patch(&format!("/me/contacts/{id}"), json!({"parentFolderId": "g"}));
    ann.patch(&format!("/me/contacts/{id}"), json!({}));
    ann.delete(&format!("/me/contacts/{id}"));
    let log = "
select seq, folder_id, case when contact_id is null then 'folder' else 'contact' end, case when removed then 'gone' end
from changes order by seq";
    assert_eq!(
        app.sql(log).lines().collect::<Vec<_>>(),
        [
            "1|contacts|folder|",
            "2|f|folder|",
            "3|f|contact|",
            "4|g|folder|",
            "5|g|contact|",
            "6|f|contact|",
            "7|f|contact|gone",
            "8|g|contact|",
            "9|g|contact|gone",
        ]
    );
    assert_eq!(app.count("select seq from mailboxes"), 9);
}

#[test]
fn odata_metadata_can_be_omitted() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Accept", "application/json; odata.metadata=none");
    let body = json!({"flag": {"flagStatus": "flagged"}, "phones": [{"number": "1"}]});
    let created = ann.post("/me/contacts", body);
    assert!(!String::from_utf8(created.body.clone()).unwrap().contains("@odata"));
    assert_eq!(created.json(201)["phones"], json!([{"number": "1"}]));
    ann.post("/me/contacts", "{}");
    let list = ann.get("/me/contacts?$top=1").json(200);
    let names: Vec<_> = list.as_object().unwrap().keys().collect();
    assert_eq!(names, ["@odata.nextLink", "value"]);
    assert!(!list["value"].to_string().contains("@odata"));
}
