//! Access to mailboxes by token.

use contactd::http::authenticate::Access;
use serde_json::json;

use crate::app::{Setup, TestApp};

#[test]
fn every_path_needs_a_known_token() {
    let app = TestApp::new();
    let stranger = app.user("");
    let id = app.user("ann").post("/me/contacts", "{}").id();
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        "Basic ann",
        "ann",
        "Bearer a b",
        "Bearer app:",
        &format!("Bearer {}", "x".repeat(65)),
    ] {
        let client =
            if authorization.is_empty() { stranger.clone() } else { stranger.with("Authorization", authorization) };
        for (method, path) in [
            ("GET", "/me"),
            ("GET", "/users/ann"),
            ("GET", "/me/contacts"),
            ("POST", "/me/contacts"),
            ("POST", "/me/contacts/$ref"),
            ("GET", "/v1.0/me/contacts"),
            ("PATCH", &format!("/me/contacts/{id}")),
            ("DELETE", &format!("/users/ann/contacts/{id}")),
        ] {
            let answer = client.send(method, path, None);
            assert_eq!(
                answer.error(),
                (401, "InvalidAuthenticationToken".into(), String::new()),
                "{authorization:?} {path}"
            );
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(app.user("").with("Authorization", "bEARER ann").get("/me").status, 200);
    assert_eq!(app.count("select count(*) from contacts where deleted_date_time is null"), 1);
}

#[test]
fn two_users_never_see_each_other() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let created = ann.post("/me/contacts", json!({"title": "ann's", "parentFolderId": "f"}));
    let id = created.id();
    bob.post("/me/contacts", json!({"title": "bob's", "parentFolderId": "f"}));
    let path = format!("/me/contacts/{id}");
    let unknown = "/me/contacts/01890000-0000-7000-8000-000000000000";
    for (own, none) in [
        (bob.get(&path), bob.get(unknown)),
        (bob.patch(&path, json!({"title": "x"})), bob.patch(unknown, "{}")),
        (bob.delete(&path), bob.delete(unknown)),
    ] {
        assert_eq!(own.error(), (404, "ErrorItemNotFound".into(), String::new()));
        assert_eq!(own.message(), none.message());
    }
    for user in ["ann", "ann@localhost", "nobody", "b%20b", "%C3%A9"] {
        for path in
            [format!("/users/{user}"), format!("/users/{user}/contacts"), format!("/users/{user}/contacts/{id}")]
        {
            let answer = bob.get(&path);
            assert_eq!(answer.error(), (404, "Request_ResourceNotFound".into(), String::new()), "{path}");
        }
        assert_eq!(bob.post(&format!("/users/{user}/contacts/$ref"), "{}").error().0, 404);
        assert_eq!(bob.delete(&format!("/users/{user}/contacts/{id}")).error().0, 404);
    }
    assert_eq!(ann.get(&path).body, created.body);
    for (client, title) in [(&ann, "ann's"), (&bob, "bob's")] {
        let list = client.get("/me/contacts").json(200);
        let titles: Vec<_> = list["value"].as_array().unwrap().iter().map(|contact| contact["title"].clone()).collect();
        assert_eq!(titles, [title]);
    }
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn an_application_opens_every_mailbox_and_has_no_mailbox() {
    let app = TestApp::new();
    let sync = app.user("app:sync");
    for path in ["/me", "/me/contacts", "/users/me-token-to-replace/contacts"] {
        assert_eq!(sync.get(path).error(), (400, "BadRequest".into(), String::new()), "{path}");
    }
    let id = sync.post("/users/ann/contacts", json!({"title": "x"})).id();
    assert_eq!(app.user("ann").get(&format!("/me/contacts/{id}")).json(200)["title"], "x");
    assert_eq!(sync.get(&format!("/users/ann@localhost/contacts/{id}")).status, 200);
    assert_eq!(sync.get(&format!("/users/bob/contacts/{id}")).error().0, 404);
    assert_eq!(sync.get("/users/not%20a%20name").error(), (404, "Request_ResourceNotFound".into(), String::new()));
    assert_eq!(app.count("select count(*) from users"), 2);
}

#[test]
fn named_tokens_open_the_mailbox_of_their_user() {
    let access = Access::tokens("ann=s3cret-a,bob=s3cret-b,app:sync=s3cret-s").unwrap();
    let app = TestApp::with(Setup { access: Some(access), ..Setup::default() });
    for unknown in ["ann", "app:sync", "s3cret", "s3cret-a,"] {
        assert_eq!(app.user(unknown).get("/me").error().0, 401, "{unknown}");
    }
    assert_eq!(app.user("s3cret-a").get("/me").json(200)["id"], "ann");
    let sync = app.user("s3cret-s");
    // The user's name is spelled as by the operator, whatever spelling the first request uses.
    assert_eq!(sync.get("/users/BOB@LocalHost").json(200)["id"], "bob");
    assert_eq!(sync.get("/users/bob").json(200)["userPrincipalName"], "bob@localhost");
    // With configured tokens, an application opens mailboxes of existing and configured users, and creates no others.
    assert_eq!(sync.get("/users/carol").error().0, 404);
    assert_eq!(app.count("select count(*) from users"), 2);
}
