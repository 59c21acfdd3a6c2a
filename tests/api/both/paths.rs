//! Paths: served, known to Graph but not served here, and unknown.

use serde_json::json;

use crate::app::TestApp;

#[test]
fn an_unknown_path_is_a_404_that_names_the_unknown_segment() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (path, segment) in [
        ("/docs\\api/me/contacts", "docs\\api"),
        ("/contacts", "contacts"),
        ("/me/contact", "contact"),
        ("/v2.0/me", "v2.0"),
        ("/me/contacts/x/y", "y"),
        ("/beta/v1.0/me", "v1.0"),
        ("/favicon.ico", "favicon.ico"),
        ("/healthz/x", "x"),
    ] {
        for client in [&ann, &app.user("")] {
            for method in ["GET", "POST"] {
                let answer = client.send(method, path, (method == "POST").then(|| b"{}".to_vec()));
                assert_eq!(answer.error(), (404, "ResourceNotFound".into(), String::new()), "{path}");
                assert_eq!(answer.message(), format!("Resource not found for the segment '{segment}'."));
            }
        }
    }
}

#[test]
fn an_unsupported_method_is_a_405_with_the_allowed_methods() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    let contact = format!("/me/contacts/{id}");
    for (path, method, allow) in [
        ("/me", "POST", "GET"),
        ("/users/ann", "DELETE", "GET"),
        ("/healthz", "POST", "GET"),
        ("/me/contacts", "PATCH", "GET, POST"),
        ("/beta/me/contacts", "DELETE", "GET, POST"),
        ("/me/contacts", "OPTIONS", "GET, POST"),
        ("/me/contacts", "FROBNICATE", "GET, POST"),
        (&contact, "PUT", "GET, PATCH, DELETE"),
        (&contact, "POST", "GET, PATCH, DELETE"),
        (&format!("{contact}/permanentDelete"), "GET", "POST"),
        ("/me/contactFolders/contacts/permanentDelete", "DELETE", "POST"),
        ("/me/deletedContacts", "POST", "GET"),
        ("/me/deletedContacts/$count", "DELETE", "GET"),
        (&contact.replace("contacts", "deletedContacts"), "PATCH", "GET, DELETE"),
        (&format!("{contact}/restore").replace("contacts", "deletedContacts"), "GET", "POST"),
    ] {
        let answer = ann.send(method, path, None);
        assert_eq!(answer.error(), (405, "methodNotAllowed".into(), String::new()), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_eq!(ann.get(&contact).status, 200);
}

#[test]
fn a_search_of_categories_answers_501() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let path = "/me/outlook/masterCategories?$search=x";
    assert_eq!(ann.get(path).error(), (501, "NotImplemented".into(), String::new()));
}

#[test]
fn every_option_that_cannot_be_honoured_is_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", "{}").id();
    for option in [
        "$deltatoken=x",
        "$top=0",
        "$top=-1",
        "$top=ten",
        "$skip=-1",
        "$skip=",
        "$top=1&top=2",
        "$nope=1",
        "$skiptoken=x",
        "$top=%FF",
        "$top=1%00",
    ] {
        assert_eq!(ann.get(&format!("/me/contacts?{option}")).error().0, 400, "{option}");
    }
    for option in ["$top=1", "$skip=0", "$nope=1"] {
        assert_eq!(ann.get(&format!("/me/contacts/{id}?{option}")).error().0, 400, "{option}");
        assert_eq!(ann.post(&format!("/me/contacts?{option}"), "{}").error().0, 400, "{option}");
    }
    // Options that are not OData's are ignored.
    assert_eq!(ann.get("/me/contacts?mine=1&&other").status, 200);
    assert_eq!(ann.get("/me/contacts?").status, 200);
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn the_service_describes_itself_to_anybody() {
    let app = TestApp::new();
    let stranger = app.user("");
    for (path, root) in [("/", ""), ("/v1.0/", "/v1.0"), ("/beta", "/beta")] {
        let expected = json!({
            "@odata.context": format!("http://{}{root}/$metadata", app.address),
            "value": [
                {"name": "me", "kind": "Singleton", "url": "me"},
                {"name": "users", "kind": "EntitySet", "url": "users"},
                {"name": "subscriptions", "kind": "EntitySet", "url": "subscriptions"},
            ],
        });
        assert_eq!(stranger.get(path).json(200), expected, "{path}");
    }
    for (path, own, other) in [
        ("/v1.0/$metadata", "mobilePhone", "weddingAnniversary"),
        ("/%24metadata", "weddingAnniversary", "mobilePhone"),
    ] {
        let answer = stranger.get(path);
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/xml"));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.starts_with("<?xml") && text.contains(own) && !text.contains(other), "{path}");
    }
    assert_eq!(stranger.post("/v1.0/$metadata", "{}").error().0, 405);
    assert_eq!(stranger.post("/", "{}").header("allow"), "GET");
}

#[test]
fn a_user_is_shown() {
    let app = TestApp::new();
    let root = format!("http://{}", app.address);
    let shown = |prefix: &str, id: &str, upn: &str| json!({"@odata.context": format!("{root}{prefix}/$metadata#users/$entity"), "id": id, "displayName": id, "userPrincipalName": upn, "mail": upn});
    let ann = app.user("Ann");
    for path in ["/me", "/users/ann", "/users/ANN@LOCALHOST", "/users('Ann')", "/users/me-token-to-replace", "/me/"] {
        assert_eq!(ann.get(path).json(200), shown("", "Ann", "Ann@localhost"), "{path}");
    }
    let bob = app.user("bob@example.org");
    assert_eq!(bob.get("/beta/me").json(200), shown("/beta", "bob@example.org", "bob@example.org"));
    // All spellings of the name are the same user.
    assert_eq!(app.user("ann@localhost").get("/me").json(200), shown("", "Ann", "Ann@localhost"));
    assert_eq!(app.user("ANN").get("/me").json(200), shown("", "Ann", "Ann@localhost"));
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn a_user_of_the_longest_name_is_found_by_the_principal_name_that_is_shown() {
    let app = TestApp::new();
    let name = "a".repeat(64);
    let user = app.user(&name);
    let shown = user.get("/me").json(200)["userPrincipalName"].as_str().unwrap().to_owned();
    assert_eq!(user.get(&format!("/users/{shown}")).json(200)["id"], name.as_str());
    assert_eq!(app.user("app:sync").get(&format!("/users/{shown}")).json(200)["id"], name.as_str());
    assert_eq!(app.user("").with("Authorization", &format!("Bearer {shown}")).get("/me").error().0, 401);
}

#[test]
fn head_answers_like_get_without_the_body() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", "{}");
    for path in ["/me", "/me/contacts", "/healthz", &format!("/me/contacts/{}", created.id())] {
        let (head, get) = (ann.send("HEAD", path, None), ann.get(path));
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, get.header("etag")), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
    assert_eq!(ann.send("HEAD", "/me/contacts/$ref", None).status, 200);
    assert_eq!(ann.send("HEAD", "/me/contacts/delta", None).status, 200);
    assert_eq!(ann.send("HEAD", "/me/contacts/x/extensions", None).status, 400);
}

#[test]
fn health_needs_no_token_and_reads_the_store() {
    let app = TestApp::new();
    assert_eq!(app.user("").get("/healthz").json(200), json!({"status": "ok"}));
    app.sql("alter table store rename to gone");
    assert_eq!(app.user("").get("/healthz").error().0, 500);
}
