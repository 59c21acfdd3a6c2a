//! Refusals and their errors. Every refusal leaves nothing behind.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Answer, SEED_REQUEST, TestApp};

const BODY: &str = "RequestBodyRead";
const JSON: &str = "UnableToDeserializePostBody";
const LIMIT: &str = "ErrorPropertyValidationFailure";

/// Sends each body as a create and as a PATCH, by both ways to create, and asserts that nothing was stored.
fn assert_refused(cases: &[(Vec<u8>, &str, &str)]) {
    let app = TestApp::new();
    let ann = app.user("ann");
    let start = ann.post("/me/contacts", json!({"title": "kept"}));
    let path = format!("/me/contacts/{}", start.id());
    for (body, code, target) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
        for handling in ["lenient", "strict"] {
            let ann = ann.with("Prefer", &format!("handling={handling}"));
            for (method, path) in
                [("POST", "/me/contacts"), ("POST", "/beta/me/contacts/$ref"), ("PATCH", path.as_str())]
            {
                let answer = ann.send(method, path, Some(body.clone()));
                assert_eq!(answer.error(), (400, (*code).into(), (*target).into()), "{method} {path}: {shown}");
                let detailed = answer.json(400)["error"].get("details").map(|details| details[0]["target"].clone());
                assert_eq!(detailed, (!target.is_empty()).then(|| json!(target)), "{shown}");
            }
        }
    }
    assert_eq!(ann.get(&path).body, start.body);
    assert_eq!(app.count("select count(*) from contacts"), 1);
    assert_eq!(app.count("select count(*) from folders"), 1);
}

fn bodies(cases: &[(Value, &'static str, &'static str)]) -> Vec<(Vec<u8>, &'static str, &'static str)> {
    cases.iter().map(|(body, code, target)| (body.to_string().into_bytes(), *code, *target)).collect()
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let deep = format!("{{\"title\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let cases: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"{",
        b"{\"title\":}",
        b"{'title':'x'}",
        b"{\"title\":\"x\",}",
        b"{\"title\":\"x\"} {}",
        b"{\"title\":\"\xff\xfe\"}",
        b"{\"title\":\"\xc0\xaf\"}",
        b"{\"title\":\"\xed\xa0\x80\"}",
        b"{\"title\":\"\\ud83d\"}",
        b"{\"title\":\"\\udc00x\"}",
        b"{\"title\":\"a\\u0000b\"}",
        b"{\"ti\\u0000tle\":\"x\"}",
        b"{\"title\":\"a\0b\"}",
        b"{\"title\":1e}",
        b"{\"title\":-.5}",
        b"{\"title\":NaN}",
        b"{\"title\":01}",
        b"{\"title\":\"x\",\"title\":\"y\"}",
        b"{\"title\":\"x\",\"TITLE\":\"y\"}",
        b"{\"phones\":[{\"number\":\"1\",\"Number\":\"2\"}]}",
        b"{\"@odata.type\":\"a\",\"@ODATA.type\":\"b\"}",
        b"{\"x@odata.bind\":{\"a\":1,\"a\":2}}",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"{\"title\":tru}",
        deep.as_bytes(),
    ];
    assert_refused(&cases.into_iter().map(|body| (body.to_vec(), JSON, "")).collect::<Vec<_>>());
}

#[test]
fn a_json_body_that_is_no_contact_is_refused() {
    assert_refused(&bodies(&[
        (json!([]), BODY, ""),
        (json!(null), BODY, ""),
        (json!("x"), BODY, ""),
        (json!(1), BODY, ""),
        (json!([{}]), BODY, ""),
    ]));
    // A number of any size is refused where a text is expected.
    assert_refused(&[(b"{\"title\":1e999}".to_vec(), BODY, "title"), (b"{\"title\":-1E+400}".to_vec(), BODY, "title")]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    assert_refused(&bodies(&[
        (json!({"jobTitle": 1}), BODY, "jobTitle"),
        (json!({"JOBTITLE": true}), BODY, "jobTitle"),
        (json!({"displayName": {}}), BODY, "displayName"),
        (json!({"personalNotes": ["x"]}), BODY, "personalNotes"),
        (json!({"isFavorite": "true"}), BODY, "isFavorite"),
        (json!({"isFavorite": 1}), BODY, "isFavorite"),
        (json!({"birthday": 0}), BODY, "birthday"),
        (json!({"weddingAnniversary": 0}), BODY, "weddingAnniversary"),
        (json!({"parentFolderId": 1}), BODY, "parentFolderId"),
        (json!({"changeKey": {}}), BODY, "changeKey"),
        (json!({"id": 1}), BODY, "id"),
        (json!({"createdDateTime": []}), BODY, "createdDateTime"),
        (json!({"categories": "x"}), BODY, "categories"),
        (json!({"categories": ["x", 1]}), BODY, "categories/1"),
        (json!({"imAddresses": [null]}), BODY, "imAddresses/0"),
        (json!({"children": {"0": "x"}}), BODY, "children"),
        (json!({"emailAddresses": {"address": "x"}}), BODY, "emailAddresses"),
        (json!({"emailAddresses": ["x"]}), BODY, "emailAddresses/0"),
        (json!({"emailAddresses": [{}, null]}), BODY, "emailAddresses/1"),
        (json!({"emailAddresses": [{"address": 1}]}), BODY, "emailAddresses/0/address"),
        (json!({"emailAddresses": [{"type": 1}]}), BODY, "emailAddresses/0/type"),
        (json!({"phones": [{"number": 5_550_100}]}), BODY, "phones/0/number"),
        (json!({"postalAddresses": [{"postalCode": 150}]}), BODY, "postalAddresses/0/postalCode"),
        (json!({"websites": [[]]}), BODY, "websites/0"),
        (json!({"flag": "flagged"}), BODY, "flag"),
        (json!({"flag": {"flagStatus": 2}}), BODY, "flag/flagStatus"),
        (json!({"flag": {"dueDateTime": "2024-01-01"}}), BODY, "flag/dueDateTime"),
        (json!({"flag": {"startDateTime": {"dateTime": 5}}}), BODY, "flag/startDateTime/dateTime"),
    ]));
}

#[test]
fn an_invalid_birthday_is_refused() {
    let texts = [
        "",
        "Date",
        "22.07.1974",
        "1974-07-22T00:00:00",
        "1974-13-01",
        "1974-02-30",
        "1974-07-22T25:00:00Z",
        " 1974-07-22",
        "19740722",
    ];
    assert_refused(&texts.map(|text| (json!({"birthday": text}).to_string().into_bytes(), BODY, "birthday")));
}

#[test]
fn an_unknown_property_is_refused() {
    assert_refused(&bodies(&[
        (json!({"nope": 1}), BODY, "nope"),
        (json!({"display_name": "x"}), BODY, "display_name"),
        (json!({"emailAddresses": [{"email": "x"}]}), BODY, "emailAddresses/0/email"),
        (json!({"phones": [{"language": "x"}]}), BODY, "phones/0/language"),
        (json!({"websites": [{"name": "x"}]}), BODY, "websites/0/name"),
        (json!({"flag": {"status": "x"}}), BODY, "flag/status"),
        (json!({"flag": {"startDateTime": {"date": "x"}}}), BODY, "flag/startDateTime/date"),
        (json!({"photo": {}}), BODY, "photo"),
        (json!({"singleValueExtendedProperty": []}), BODY, "singleValueExtendedProperty"),
        (json!({"businessPhones": ["1"]}), BODY, "businessPhones"),
    ]));
}

#[test]
fn the_error_for_a_property_of_the_other_shape_names_its_counterpart() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (name, counterpart) in [
        ("businessPhones", "'phones' with type 'business'"),
        ("homePhones", "'phones' with type 'home'"),
        ("MobilePhone", "'phones' with type 'mobile'"),
        ("homeAddress", "'postalAddresses' with type 'home'"),
        ("businessHomePage", "'websites' with type 'work'"),
        ("primaryEmailAddress", "'emailAddresses'"),
    ] {
        let answer = ann.post("/me/contacts", json!({name: null}));
        assert_eq!(answer.error(), (400, BODY.into(), name.into()));
        let message = answer.message();
        assert!(
            message.starts_with(&format!("The property '{name}' does not exist on type 'microsoft.graph.contact'.")),
            "{message}"
        );
        assert!(message.contains(counterpart), "{message}");
    }
}

#[test]
fn a_value_over_its_limit_is_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    // At the limit everything is kept, counted in characters.
    let fits =
        json!({"title": "😀".repeat(4096), "personalNotes": "x".repeat(1_048_576), "parentFolderId": "ä".repeat(255)});
    let created = ann.post("/me/contacts", &fits).json(201);
    for name in ["title", "personalNotes", "parentFolderId"] {
        assert_eq!(created[name], fits[name]);
    }
    let (long, entries) = ("é".repeat(4097), vec![json!({}); 101]);
    assert_refused(&bodies(&[
        (json!({"title": long}), LIMIT, "title"),
        (json!({"personalNotes": "x".repeat(1_048_577)}), LIMIT, "personalNotes"),
        (json!({"parentFolderId": "x".repeat(256)}), LIMIT, "parentFolderId"),
        (json!({"changeKey": long}), LIMIT, "changeKey"),
        (json!({"weddingAnniversary": long}), LIMIT, "weddingAnniversary"),
        (json!({"categories": ["", long]}), LIMIT, "categories/1"),
        (json!({"imAddresses": [long]}), LIMIT, "imAddresses/0"),
        (json!({"emailAddresses": [{"type": long}]}), LIMIT, "emailAddresses/0/type"),
        (json!({"flag": {"flagStatus": long}}), LIMIT, "flag/flagStatus"),
        (json!({"flag": {"dueDateTime": {"timeZone": long}}}), LIMIT, "flag/dueDateTime/timeZone"),
        (json!({"children": vec!["x"; 101]}), LIMIT, "children"),
        (json!({"emailAddresses": entries}), LIMIT, "emailAddresses"),
        (json!({"phones": entries}), LIMIT, "phones"),
        (json!({"postalAddresses": entries}), LIMIT, "postalAddresses"),
        (json!({"websites": entries}), LIMIT, "websites"),
    ]));
}

#[test]
fn strict_handling_holds_graphs_own_limits_and_rules() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let strict = ann.with("Prefer", "handling=strict");
    let phone = |kind: &str| json!({"type": kind, "number": "1"});
    let time = json!({"dateTime": "2024-01-01T00:00:00", "timeZone": "UTC"});
    for (body, code, targets) in [
        (json!({"emailAddresses": [{}, {}, {}, {}]}), LIMIT, vec!["emailAddresses"]),
        (json!({"imAddresses": ["a", "b", "c", "d"]}), LIMIT, vec!["imAddresses"]),
        (json!({"phones": [phone("business"), phone("Business"), phone("business")]}), LIMIT, vec!["phones"]),
        (
            json!({"phones": [phone("home"), phone("home"), phone("home"), phone("x")]}),
            BODY,
            vec!["phones/3/type", "phones"],
        ),
        (json!({"flag": {"dueDateTime": time}}), BODY, vec!["flag/dueDateTime"]),
        (json!({"weddingAnniversary": "2001-06-31"}), BODY, vec!["weddingAnniversary"]),
    ] {
        let answer = strict.post("/me/contacts", &body);
        assert_eq!(answer.error(), (400, code.into(), targets[0].into()), "{body}");
        let details = answer.json(400)["error"]["details"].clone();
        let named: Vec<_> =
            details.as_array().unwrap().iter().map(|detail| detail["target"].as_str().unwrap()).collect();
        assert_eq!(named, targets, "{body}");
        assert_eq!(ann.post("/me/contacts", &body).status, 201, "{body}");
    }
    let fits = json!({
        "emailAddresses": [{}, {}, {}], "phones": [phone("business"), phone("business"), phone("home"), phone("pager")],
        "flag": {"flagStatus": "Flagged", "startDateTime": time, "dueDateTime": time}, "weddingAnniversary": "2001-06-30",
    });
    assert_eq!(strict.post("/me/contacts", fits).status, 201);
    let message = strict
        .post("/me/contacts", json!({"phones": [phone("business"), phone("business"), phone("business")]}))
        .message();
    assert_eq!(
        message,
        "The multi value property BusinessPhones has 3 entries, that exceeds the max allowed value of 2"
    );
}

#[test]
fn sql_in_every_string_is_only_text() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for attack in [
        "'; delete from contacts; --",
        "\" or 1=1 --",
        "$1",
        "?1",
        ":a @b",
        "%' or '1'='1",
        "\\'; drop table emails; /*",
    ] {
        let body =
            SEED_REQUEST.replace(" value\"", &format!(" {}\"", attack.replace('\\', "\\\\").replace('"', "\\\"")));
        let created = ann.post("/me/contacts/$ref", &body);
        let sent: Value = serde_json::from_str(&body).unwrap();
        let read = ann.get(&format!("/me/contacts/{}", created.id())).json(200);
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(read[name], *value, "{name}");
        }
        let attack = percent_encode(attack);
        for path in [
            format!("/me/contacts/{attack}"),
            format!("/users/{attack}/contacts"),
            format!("/me/contacts?$skiptoken={attack}"),
        ] {
            assert!((400..500).contains(&ann.get(&path).error().0), "{path}");
        }
    }
    assert_eq!(app.count("select count(*) from contacts"), 7);
    assert_eq!(app.count("select count(*) from emails"), 7);
}

#[test]
fn malformed_and_unknown_ids_are_not_found() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let malformed =
        ["AAMkAGI1", "x", &id.to_uppercase(), &id.replace('-', ""), &format!("{{{id}}}"), &format!("{id}x"), "%20"]
            .map(str::to_owned);
    for id in malformed {
        let encoded = id.replace('{', "%7B").replace('}', "%7D");
        for answer in [
            ann.get(&format!("/me/contacts/{encoded}")),
            ann.patch(&format!("/me/contacts/{encoded}"), "{}"),
            ann.delete(&format!("/me/contacts/{encoded}")),
        ] {
            assert_eq!(answer.error(), (400, "ErrorInvalidIdMalformed".into(), String::new()), "{id}");
        }
    }
    for id in ["01890000-0000-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000"] {
        for answer in [
            ann.get(&format!("/me/contacts/{id}")),
            ann.patch(&format!("/me/contacts/{id}"), "{}"),
            ann.delete(&format!("/me/contacts/{id}")),
        ] {
            assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()), "{id}");
        }
    }
}

#[test]
fn a_storage_failure_is_a_500_without_details() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    app.sql("alter table phones rename column number to renamed");
    let bland = |answer: Answer| {
        assert_eq!(answer.error(), (500, "generalException".into(), String::new()));
        assert!(!String::from_utf8_lossy(&answer.body).contains("number"));
    };
    bland(ann.get(&format!("/me/contacts/{id}")));
    bland(ann.get("/me/contacts"));
    bland(ann.post("/me/contacts", "{}"));
    app.sql("alter table phones rename column renamed to number");
    assert_eq!(ann.get("/me/contacts").json(200)["value"].as_array().unwrap().len(), 1);
    assert_eq!(ann.post("/me/contacts", "{}").status, 201);
}
