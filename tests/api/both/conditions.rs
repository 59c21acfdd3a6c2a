//! ETag, Location, preconditions, `client-request-id` and `Prefer`.

use serde_json::json;

use crate::app::{Answer, TestApp};

#[test]
fn an_answer_names_its_contact_and_its_version() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (prefix, owner, shown) in
        [("", "/me", "ann"), ("/beta", "/me", "ann"), ("/beta", "/users/ANN@localhost", "ANN%40localhost")]
    {
        let created = ann.post(&format!("{prefix}{owner}/contacts/$ref"), "{}");
        let body = created.json(201);
        let id = body["id"].as_str().unwrap();
        let root = format!("http://{}{prefix}", app.address);
        assert_eq!(created.header("location"), format!("{root}/users('{shown}')/contacts('{id}')"));
        assert_eq!(body["@odata.context"], format!("{root}/$metadata#users('{shown}')/contacts/$entity"));
        assert_eq!(created.header("etag"), body["@odata.etag"]);
        assert_eq!(created.header("odata-version"), "4.0");
        assert_eq!(
            ann.get(&created.header("location")).body,
            ann.get(&format!("{prefix}/users/{shown}/contacts/{id}")).body
        );
        let patched = ann.patch(&created.header("location"), json!({"title": "x"}));
        assert_eq!(patched.header("etag"), patched.json(200)["@odata.etag"]);
        assert_eq!(patched.header("location"), "");
        let listed = ann.get(&format!("{prefix}{owner}/contacts?$top=1000")).json(200);
        assert_eq!(listed["@odata.context"], format!("{root}/$metadata#users('{shown}')/contacts"));
        let last = listed["value"].as_array().unwrap().last().unwrap();
        assert_eq!(last["@odata.etag"], patched.header("etag"));
        assert_eq!(last.get("@odata.context"), None);
    }
}

#[test]
fn the_host_in_links_is_the_one_the_client_used() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Host", "graph.microsoft.com");
    let created = ann.post("/beta/me/contacts", "{}");
    assert!(created.header("location").starts_with("http://graph.microsoft.com/beta/users('ann')/"));
}

#[test]
fn a_write_with_if_match_succeeds_only_on_the_current_etag() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", json!({"title": "a"}));
    let path = format!("/me/contacts/{}", created.id());
    let old = created.header("etag");
    let current = ann.patch(&path, json!({"title": "b"})).header("etag");
    let before = ann.get(&path).body;
    let stale = (412, "ErrorIrresolvableConflict".into(), String::new());
    for (name, value) in
        [("If-Match", old.as_str()), ("If-Match", "\"x\", \"y\""), ("If-None-Match", &current), ("If-None-Match", "*")]
    {
        let ann = ann.with(name, value);
        assert_eq!(ann.patch(&path, json!({"title": "c"})).error(), stale, "{name}: {value}");
        assert_eq!(ann.patch(&path, "{}").error(), stale, "{name}: {value}");
        assert_eq!(ann.delete(&path).error(), stale, "{name}: {value}");
    }
    assert_eq!(ann.get(&path).body, before);
    let strong = current.trim_start_matches("W/").to_owned();
    let patched = ann.with("If-Match", &format!("\"x\", {strong}")).patch(&path, json!({"title": "d"}));
    assert_eq!(patched.json(200)["title"], "d");
    // Two headers are one list.
    let both = ann.with("If-Match", "\"x\"").with("If-Match", &patched.header("etag"));
    assert_eq!(both.patch(&path, json!({"title": "e"})).status, 200);
    assert_eq!(ann.with("If-Match", "*").patch(&path, json!({"title": "f"})).status, 200);
    let invalid = ann.with("If-Match", "not-quoted");
    assert_eq!(invalid.delete(&path).error(), (400, "ErrorInvalidRequest".into(), "If-Match".into()));
    ann.with("If-Match", "*").delete(&path).empty(204);
    assert_eq!(ann.with("If-Match", "*").delete(&path).status, 404);
}

#[test]
fn a_read_with_the_current_etag_gets_304() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", "{}");
    let (path, etag) = (format!("/me/contacts/{}", created.id()), created.header("etag"));
    for value in [etag.as_str(), etag.trim_start_matches("W/"), "*"] {
        let answer = ann.with("If-None-Match", value).get(&path);
        assert_eq!(answer.empty(304).header("etag"), etag);
    }
    assert_eq!(ann.with("If-None-Match", "\"x\"").get(&path).status, 200);
    ann.patch(&path, json!({"title": "x"}));
    assert_eq!(ann.with("If-None-Match", &etag).get(&path).status, 200);
}

#[test]
fn the_clients_request_id_is_echoed() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let own = ann.get("/me/contacts");
    assert_eq!(own.header("client-request-id"), own.header("request-id"));
    let ann = ann.with("client-request-id", "abc-1");
    assert_eq!(ann.get("/me").header("client-request-id"), "abc-1");
    let answer = ann.get("/me/contacts/x");
    assert_eq!(answer.header("client-request-id"), "abc-1");
    assert_ne!(answer.header("request-id"), "abc-1");
    answer.error();
    let long = app.user("ann").with("client-request-id", &"x".repeat(200)).get("/me");
    assert_eq!(long.header("client-request-id"), long.header("request-id"));
}

#[test]
fn return_minimal_is_honoured() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Prefer", "return=minimal");
    let created = ann.post("/beta/me/contacts", "{}");
    created.empty(204);
    assert_eq!(created.header("preference-applied"), "return=minimal");
    assert_eq!(created.header("odata-entityid"), created.header("location"));
    assert!(created.header("etag").starts_with("W/\""));
    let location = created.header("location");
    let patched = ann.patch(&location, json!({"title": "x"}));
    assert_eq!(patched.empty(204).header("preference-applied"), "return=minimal");
    assert_ne!(patched.header("etag"), created.header("etag"));
    let read = ann.get(&location);
    assert_eq!((read.json(200)["title"].as_str(), read.header("preference-applied")), (Some("x"), String::new()));
    let full =
        app.user("ann").with("Prefer", "return=representation, handling=lenient, foo").post("/me/contacts", "{}");
    assert_eq!(
        (full.status, full.header("preference-applied")),
        (201, "handling=lenient, return=representation".into())
    );
    let immutable = app.user("ann").with("Prefer", "IdType=\"ImmutableId\"").get(&location);
    assert_eq!(immutable.header("preference-applied"), "IdType=\"ImmutableId\"");
}

#[test]
fn a_write_answers_the_position_of_its_mailbox() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let position = |answer: &Answer| answer.header("contactd-position").parse::<i64>().unwrap();
    let created = ann.post("/me/contacts", "{}");
    let path = format!("/me/contacts/{}", created.id());
    let patched = ann.patch(&path, json!({"title": "x"}));
    let again = ann.post("/me/contacts", "{}");
    let deleted = ann.delete(&path);
    let positions = [&created, &patched, &again, &deleted].map(position);
    // The first number is that of the default folder.
    assert_eq!(positions, [2, 3, 4, 5]);
    let list = ann.with("Contactd-Position", "5").get("/me/contacts").json(200);
    assert_eq!(list["value"][0]["id"], again.id());
    for bad in ["", "x", "-1", "1.5", "99999999999999999999"] {
        let refused = ann.with("Contactd-Position", bad).get("/me/contacts").error();
        assert_eq!(refused, (400, "ErrorInvalidRequest".into(), "Contactd-Position".into()), "{bad}");
    }
}
