//! States of the store by the control plane for tests: reset, snapshots, copies of mailboxes.

use contactd::http::Settings;
use serde_json::{Value, json};

use crate::app::{Answer, Client, Setup, TestApp};
use crate::both::pictures::{gif, photo_of, put};

fn controlled() -> TestApp {
    TestApp::with(Setup { controlled: true, ..Setup::default() })
}

fn control(app: &TestApp, method: &str, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), body)
}

/// Fills a mailbox with one of everything.
fn fill(user: &Client, name: &str) -> String {
    let folder = user.post("/v1.0/me/contactFolders", json!({"displayName": "Friends"})).id();
    user.post(&format!("/v1.0/me/contactFolders/{folder}/childFolders"), json!({"displayName": "Close"})).json(201);
    user.post(&format!("/v1.0/me/contactFolders/{folder}/contacts"), json!({"givenName": name, "surname": "Friend"}))
        .json(201);
    user.post("/v1.0/me/outlook/masterCategories", json!({"displayName": "Red", "color": "preset0"})).json(201);
    let contact = json!({"givenName": name, "emailAddresses": [{"address": format!("{name}@example.org")}], "categories": ["Red"],
        "singleValueExtendedProperties": [{"id": "String {00020329-0000-0000-c000-000000000046} Name x", "value": "1"}],
        "extensions": [{"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "org.example.x", "a": 1}]});
    let made = user.post("/v1.0/me/contacts", contact);
    let id = made.id();
    let photo = photo_of(user);
    assert_eq!(put(user, &photo, &gif(2, 2, 100, 1)).status, 200);
    user.delete(&format!("/v1.0/me/contacts/{}", user.post("/v1.0/me/contacts", json!({"givenName": "Trash"})).id()))
        .empty(204);
    id
}

/// All visible data of a mailbox.
fn visible_data(user: &Client) -> Vec<Value> {
    let paths = [
        "/v1.0/me/contacts?$expand=extensions&$orderby=displayName",
        "/v1.0/me/contactFolders?$expand=contacts,childFolders",
        "/v1.0/me/outlook/masterCategories",
        "/v1.0/me/deletedContacts",
        "/v1.0/me/contacts?$search=%22ann%22",
    ];
    paths.iter().map(|path| user.get(path).json(200)).collect()
}

fn names(user: &Client) -> Vec<String> {
    let list = user.get("/v1.0/me/contacts?$select=givenName").json(200);
    let mut names: Vec<_> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| contact["givenName"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_reset_deletes_everything_and_all_writes_work_afterwards() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    for _ in 0..2 {
        fill(&ann, "ann");
        fill(&bob, "bob");
        control(&app, "POST", "/faults", json!({"times": null, "match": {"user": "cy"}, "answer": {"status": 500}}))
            .json(201);
        control(&app, "POST", "/reset", json!({})).empty(204);
        let description = control(&app, "GET", "", Value::Null).json(200);
        assert_eq!(
            (&description["users"], &description["contacts"], &description["requests"], &description["faults"]),
            (&json!(0), &json!(0), &json!(0), &json!(0))
        );
        assert_eq!(names(&ann), Vec::<String>::new());
        assert_eq!(ann.get("/v1.0/me/contacts?$search=%22ann%22").json(200)["value"], json!([]));
    }
}

#[test]
fn a_reset_of_one_user_changes_no_other_user() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    fill(&ann, "ann");
    fill(&bob, "bob");
    let before = visible_data(&bob);
    control(&app, "POST", "/reset", json!({"users": ["Ann"]})).empty(204);
    assert_eq!(names(&ann), Vec::<String>::new());
    assert_eq!(visible_data(&bob), before);
    assert_eq!(control(&app, "GET", "/requests/count?user=bob", Value::Null).json(200)["count"], 19);
    fill(&ann, "ann");
    assert!(names(&ann).contains(&"ann".to_owned()));
    let (status, _, target) = control(&app, "POST", "/reset", json!({"to": "nowhere"})).error();
    assert_eq!((status, target.as_str()), (400, "to"));
}

#[test]
fn a_snapshot_is_restored_as_it_was() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = fill(&ann, "ann");
    let before = visible_data(&ann);
    let made = control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    assert_eq!((&made["name"], &made["users"], &made["contacts"]), (&json!("one"), &json!(["ann"]), &json!(4)));
    let link = ann.get("/v1.0/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        ann.patch(&format!("/v1.0/me/contacts/{id}"), json!({"givenName": "Other"})).json(200);
        ann.post("/v1.0/me/contacts", json!({"givenName": "Later"})).json(201);
        let later = ann.get(&link).json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
        fill(&bob, "bob");
        control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
        assert_eq!(visible_data(&ann), before);
        assert_eq!(names(&bob), Vec::<String>::new());
        assert_eq!(ann.get(&link).status, 200, "the link is of the restored history");
        // Delta tokens of the old history are invalid, also after as many new changes.
        for _ in 0..2 {
            ann.post("/v1.0/me/contacts", json!({"givenName": "Anew"})).json(201);
        }
        assert_eq!(ann.get(&later).error().0, 410);
        control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
    }
    assert_eq!(control(&app, "PUT", "/snapshots/one", json!({})).status, 200, "it is replaced");
    assert_eq!(control(&app, "GET", "/snapshots", Value::Null).json(200)["value"].as_array().unwrap().len(), 1);
    control(&app, "DELETE", "/snapshots/one", Value::Null).empty(204);
    for (method, path) in [("GET", "/snapshots/one"), ("DELETE", "/snapshots/one"), ("POST", "/snapshots/one/restore")]
    {
        assert_eq!(control(&app, method, path, Value::Null).status, 404, "{method}");
    }
    for bad in ["baseline", "empty", "a%20b", &"x".repeat(65)] {
        assert_eq!(control(&app, "PUT", &format!("/snapshots/{bad}"), json!({})).status, 400, "{bad}");
    }
}

#[test]
fn the_total_size_of_snapshots_is_limited() {
    let app = controlled();
    fill(&app.user("ann"), "ann");
    let bytes = control(&app, "PUT", "/snapshots/one", json!({})).json(201)["bytes"].as_u64().unwrap();
    let most = bytes + bytes / 2;
    let settings = Settings { max_snapshots: most, ..Settings::default() };
    let app = app.restarted_with(Setup { controlled: true, settings, ..Setup::default() });
    control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    assert_eq!(control(&app, "PUT", "/snapshots/one", json!({})).status, 200, "the replaced one does not count");
    let refused = control(&app, "PUT", "/snapshots/two", json!({}));
    assert_eq!(refused.status, 400);
    let message = refused.message();
    assert!(
        message
            .contains(&format!("At most {most} bytes are allowed for all snapshots together (--max-snapshot-bytes)")),
        "{message}"
    );
    let names = |app: &TestApp| {
        let snapshots = control(app, "GET", "/snapshots", Value::Null).json(200);
        snapshots["value"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&app), ["one"]);
    let file = control(&app, "GET", "/snapshots/one/$value", Value::Null).body;
    let upload = |name: &str| {
        Client::new(&app.address, "").send("PUT", &format!("/_contactd/snapshots/{name}/$value"), Some(file.clone()))
    };
    assert_eq!(upload("three").status, 400);
    control(&app, "DELETE", "/snapshots/one", Value::Null).empty(204);
    control(&app, "PUT", "/snapshots/two", json!({})).json(201);
    assert_eq!(names(&app), ["two"]);
}

#[test]
fn a_restore_of_one_user_does_not_affect_another() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    fill(&ann, "ann");
    let before = visible_data(&ann);
    control(&app, "PUT", "/snapshots/one", json!({"users": ["ann"]})).json(201);
    // Another user gets the number of ann's mailbox before ann is restored.
    control(&app, "POST", "/reset", json!({"users": ["ann"]})).empty(204);
    fill(&bob, "bob");
    control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
    assert_eq!(visible_data(&ann), before);
    assert!(names(&bob).contains(&"bob".to_owned()));
    ann.post("/v1.0/me/contacts", json!({"givenName": "More"})).json(201);
}

#[test]
fn a_mailbox_is_copied_with_its_ids() {
    let app = controlled();
    let (template, one) = (app.user("template"), app.user("one"));
    let id = fill(&template, "ann");
    let copy_report = control(&app, "POST", "/users/one/copy", json!({"from": "template"})).json(201);
    assert_eq!((&copy_report["user"], &copy_report["contacts"]), (&json!("one"), &json!(4)));
    let normalized = |user: &Client| {
        visible_data(user).iter().map(|value| value.to_string().replace("template", "one")).collect::<Vec<_>>()
    };
    assert_eq!(normalized(&one), normalized(&template));
    one.patch(&format!("/v1.0/me/contacts/{id}"), json!({"givenName": "Mine"})).json(200);
    assert_eq!(template.get(&format!("/v1.0/me/contacts/{id}")).json(200)["givenName"], "ann");
    let copy = |name: &str, body: Value| control(&app, "POST", &format!("/users/{name}/copy"), body).status;
    assert_eq!(copy("one", json!({"from": "template"})), 409);
    assert_eq!(copy("one", json!({"from": "template", "replace": true})), 201);
    assert_eq!(normalized(&one), normalized(&template));
    assert_eq!(copy("one", json!({"from": "nobody"})), 404);
    assert_eq!(copy("one", json!({"from": "one", "replace": true})), 400);
    // Delta of the copy reports them.
    let link = one.get("/v1.0/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    one.post("/v1.0/me/contacts", json!({"givenName": "More"})).json(201);
    assert_eq!(one.get(&link).json(200)["value"].as_array().unwrap().len(), 1);
}

#[test]
fn writes_during_resets_and_restores_get_no_error_and_leave_no_mixed_state() {
    let app = controlled();
    let ann = app.user("ann");
    fill(&ann, "ann");
    let before = visible_data(&ann);
    control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let user = app.user(&format!("w{writer}"));
            scope.spawn(move || {
                for _ in 0..20 {
                    let status = user.post("/v1.0/me/contacts", json!({"givenName": "W"})).status;
                    assert!(status == 201 || status == 503, "{status}");
                }
            });
        }
        for _ in 0..3 {
            control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
            control(&app, "POST", "/users/copy/copy", json!({"from": "ann", "replace": true})).json(201);
        }
    });
    control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
    assert_eq!(visible_data(&ann), before);
    assert_eq!(control(&app, "GET", "", Value::Null).json(200)["users"], 1);
}
