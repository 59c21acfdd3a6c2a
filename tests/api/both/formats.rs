//! `$format`, and what it does to `Accept`.

use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

/// The body, with any JSON media type.
fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert!(answer.header("content-type").starts_with("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn json_is_the_answer_for_every_accept_header_that_allows_it() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts?$format=json", "{}").id();
    let folder = ann.post("/me/contactFolders?format=application/json", json!({"displayName": "x"})).id();
    let category = ann.post("/me/outlook/masterCategories?$format=json", json!({"displayName": "x"})).id();
    for path in [
        "/",
        "/me",
        "/me/contacts",
        "/v1.0/me/contacts/$ref",
        "/v1.0/me/contactFolders",
        &format!("/me/contacts/{id}"),
        &format!("/v1.0/me/contactFolders/{folder}"),
        "/v1.0/me/outlook/masterCategories",
        &format!("/me/outlook/masterCategories/{category}"),
    ] {
        let plain = ann.get(path);
        let bare = ann.with("Accept", "application/json;odata.metadata=none").get(path);
        assert_ne!(body(&plain), body(&bare), "{path}");
        for (format, expected) in [
            ("json", &plain),
            ("JSON", &plain),
            ("application/json", &plain),
            ("application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false", &plain),
            ("application%2Fjson%3B%20charset%3Dutf-8;metadata=full", &plain),
            ("application/json;odata.metadata=none", &bare),
            ("Application/JSON;Metadata=None", &bare),
        ] {
            for accept in ["", "*/*", "text/html", "application/xml", "application/json;odata.metadata=none"] {
                let client = if accept.is_empty() { ann.clone() } else { ann.with("Accept", accept) };
                for name in ["$format", "%24FORMAT", "format"] {
                    let answer = client.get(&format!("{path}?{name}={format}"));
                    assert_eq!(body(&answer), body(expected), "{path} {format} {accept}");
                    if path.starts_with("/v1.0") {
                        let none = format.to_lowercase().contains("metadata=none");
                        assert_eq!(answer.header("content-type").contains("metadata=none"), none, "{format}");
                    }
                }
            }
        }
        // An `Accept` that cannot be met is answered with JSON, unless `$format` asks for something else.
        for accept in ["text/html", "application/xml", "image/png, text/*;q=0.5", "", "nonsense"] {
            assert_eq!(body(&ann.with("Accept", accept).get(path)), body(&plain), "{accept}");
        }
    }
}

#[test]
fn a_walk_keeps_its_format() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for _ in 0..3 {
        ann.post("/me/contacts", "{}");
    }
    let first = ann.get("/me/contacts?$format=application/json;odata.metadata=none&$top=2").json(200);
    let link = first["@odata.nextLink"].as_str().unwrap();
    assert!(link.contains("?$format=application/json;odata.metadata=none&$top=2&$skiptoken="), "{link}");
    let last = ann.get(link).json(200);
    assert!(last["value"][0].get("@odata.etag").is_none() && last.as_object().unwrap().len() == 1, "{last}");
    // Delta keeps it too, on every page and in every round.
    let mut page =
        ann.get("/me/contacts/delta?$format=application/json;odata.metadata=none&$top=2&$select=displayName").json(200);
    for (link, count) in [("nextLink", 2), ("deltaLink", 1), ("deltaLink", 0), ("deltaLink", 1)] {
        assert_eq!(page["value"].as_array().unwrap().len(), count, "{page}");
        assert!(page.get("@odata.context").is_none(), "{page}");
        assert!(page["value"].as_array().unwrap().iter().all(|one| one.as_object().unwrap().len() == 2), "{page}");
        if count == 0 {
            ann.post("/me/contacts", "{}");
        }
        page = ann.get(page[format!("@odata.{link}")].as_str().unwrap()).json(200);
    }
}

#[test]
fn another_format_is_not_acceptable_and_nothing_is_done() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"title": "x"})).id();
    let contact = format!("/me/contacts/{id}");
    for format in ["xml", "atom", "application/xml", "text/html", "", "json;x", "application/json;odata=verbose", "*/*"]
    {
        for path in [
            "/me",
            "/me/contacts",
            "/v1.0/me/contacts/$ref",
            "/me/contactFolders",
            "/me/outlook/masterCategories",
            "/users",
            &contact,
            "/",
        ] {
            let refused = ann.get(&format!("{path}?$format={format}"));
            assert_eq!(refused.error(), (406, "notSupported".into(), String::new()), "{path} {format}");
            let message = format!("The '$format' '{format}' is not supported here; use json or application/json");
            assert!(refused.message().starts_with(&message), "{}", refused.message());
        }
        assert_eq!(ann.post(&format!("/me/contacts?$format={format}"), "{}").error().0, 406);
        for (path, body) in
            [("outlook/masterCategories", json!({"displayName": "x"})), ("translateExchangeIds", json!({}))]
        {
            assert_eq!(ann.post(&format!("/me/{path}?$format={format}"), body).error().0, 406, "{path}");
        }
        assert_eq!(ann.patch(&format!("{contact}?$format={format}"), json!({"title": "y"})).error().0, 406);
        assert_eq!(ann.delete(&format!("{contact}?$format={format}")).error().0, 406);
    }
    assert_eq!(ann.get("/me/contacts?$format=json&format=json").error(), (400, "BadRequest".into(), "$format".into()));
    assert_eq!(app.sql("select title from contacts where deleted_date_time is null"), "x");
    assert_eq!(app.count("select count(*) from master_categories"), 0);
}

#[test]
fn answers_with_one_format_ignore_accept() {
    let app = TestApp::new();
    let (ann, sync) = (app.user("ann"), app.user("app:sync"));
    for format in ["json", "xml", "text/plain", "application/json;odata.metadata=none"] {
        for (client, path) in [
            (&ann, "/me/contacts/$count"),
            (&ann, "/me/contactFolders/$count"),
            (&ann, "/me/outlook/masterCategories/$count"),
            (&sync, "/users/$count"),
        ] {
            let answer = client.with("Accept", "application/json").get(&format!("{path}?$format={format}"));
            assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "text/plain"), "{path} {format}");
            assert!(answer.body == b"0" || answer.body == b"1");
        }
        assert_eq!(ann.get(&format!("/healthz?$format={format}")).status, 200);
    }
    for (format, status) in
        [("xml", 200), ("application%2Fxml", 200), ("XML", 200), ("json", 406), ("application/json", 406), ("", 406)]
    {
        for root in ["", "/v1.0", "/beta"] {
            let stranger = app.user("").with("Accept", "application/json");
            let answer = stranger.get(&format!("{root}/$metadata?$format={format}"));
            assert_eq!(answer.status, status, "{format}");
            if status == 200 {
                assert_eq!(answer.header("content-type"), "application/xml");
            } else {
                assert_eq!(answer.error(), (406, "notSupported".into(), String::new()));
                assert!(answer.message().ends_with("use xml or application/xml."), "{}", answer.message());
            }
        }
    }
}
