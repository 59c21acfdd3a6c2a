//! Seeds by the control plane: documents, and generated contacts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pictures::gif;
use crate::app::{Answer, Client, Setup, TestApp};

fn controlled() -> TestApp {
    TestApp::with(Setup { controlled: true, ..Setup::default() })
}

fn seed(app: &TestApp, body: &Value) -> Answer {
    Client::new(&app.address, "").post("/_contactd/seed", body)
}

fn names(answer: &Value) -> Vec<&str> {
    answer["value"].as_array().unwrap().iter().map(|contact| contact["displayName"].as_str().unwrap()).collect()
}

#[test]
fn a_seed_document_creates_users_with_all_their_data() {
    let app = controlled();
    let picture = gif(2, 3, 100, 7);
    let document = json!({
        "users": [
            {"id": "ann", "displayName": "Ann Lee",
                "folders": [{"displayName": "Friends", "contacts": [{"givenName": "Bea"}, {"givenName": "Cy"}]},
                    {"displayName": "Empty"}],
                "contacts": [
                    {"id": "x", "givenName": "Dora", "emailAddresses": [{"address": "d@example.org", "name": "Dora"}],
                        "mobilePhone": "+1 555 0100", "createdDateTime": "2001-01-01T00:00:00Z", "changeKey": "x",
                        "photo": STANDARD.encode(&picture),
                        "singleValueExtendedProperties": [{"id": "Double 0x9", "value": "1.50"}],
                        "extensions": [{"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "org.example.x",
                            "a": 1.50}]},
                    {"givenName": "Erik", "phones": [{"type": "pager", "number": "1"}], "gender": "x", "photo": null}],
                "categories": [{"displayName": "Red", "color": "preset0"}, {"displayName": "Plain"}]},
            {"id": "bob"}],
        "shares": [{"of": "ann", "with": "bob", "write": true}]});
    let made = seed(&app, &document).json(201);
    let [ann, bob] = &made["users"].as_array().unwrap()[..] else { panic!("{made}") };
    assert_eq!((&ann["id"], ann["folders"].as_array().unwrap().len()), (&json!("ann"), 2));
    assert_eq!(bob, &json!({"id": "bob", "folders": [], "contacts": [], "categories": []}));
    let user = app.user("ann");
    assert_eq!(user.get("/v1.0/me").json(200)["displayName"], "Ann Lee");
    let folder = ann["folders"][0]["id"].as_str().unwrap();
    let list = user.get(&format!("/v1.0/me/contactFolders/{folder}/contacts?$orderby=id")).json(200);
    assert_eq!(names(&list), ["Bea", "Cy"]);
    assert_eq!(ann["folders"][0]["contacts"][1], list["value"][1]["id"]);
    let dora = ann["contacts"][0].as_str().unwrap();
    let expand = "extensions,singleValueExtendedProperties($filter=id eq 'Double 0x9')".replace(' ', "%20");
    let shown = user.get(&format!("/v1.0/me/contacts/{dora}?$expand={expand}"));
    assert!(shown.text().contains("\"a\":1.5"), "{}", shown.text());
    let shown = shown.json(200);
    assert_eq!((&shown["mobilePhone"], &shown["parentFolderId"]), (&json!("+1 555 0100"), &json!("contacts")));
    assert_eq!(shown["singleValueExtendedProperties"][0]["value"], "1.50");
    assert_eq!(user.get(&format!("/me/contacts/{dora}/photo/$value")).body, picture);
    let categories = user.get("/v1.0/me/outlook/masterCategories").json(200);
    assert_eq!(categories["value"][0]["id"], ann["categories"][0]);
    assert_eq!(categories["value"][1]["color"], "none");
    // Bob writes to ann's mailbox.
    assert_eq!(app.user("bob").post("/v1.0/users/ann/contacts", json!({"givenName": "By Bob"})).status, 201);
    // Existing data stays, and the seed is added.
    let addition = json!({"users": [{"id": "ANN", "contacts": [{"givenName": "Fay"}]}]});
    assert_eq!(seed(&app, &addition).json(201)["users"][0]["id"], "ann");
    assert_eq!(user.get("/v1.0/me/contacts/$count").text(), "4");
    // A seed can be part of a snapshot.
    assert_eq!(app.faults(), Vec::<String>::new());
}

#[test]
fn an_error_in_a_seed_document_is_located_and_nothing_is_written() {
    let app = controlled();
    let ann =
        |contacts: Value| json!({"users": [{"id": "bob", "contacts": [{}]}, {"id": "ann", "contacts": contacts}]});
    let duplicate_names = json!({"users": [{"id": "ann", "folders": [{"displayName": "A"}, {"displayName": "a"}]}]});
    for (body, expected) in [
        (json!({}), (400, "")),
        (json!({"user": "ann"}), (400, "")),
        (json!({"users": [], "count": 1}), (400, "")),
        (json!({"users": [{"displayName": "x"}]}), (400, "users[0]")),
        (json!({"users": [{"id": "a b"}]}), (400, "users/0/id")),
        (json!({"users": [{"id": "ann", "displayName": ""}]}), (400, "users/0/displayName")),
        (json!({"users": [{"id": "ann", "contact": []}]}), (400, "users[0]/contact")),
        (ann(json!(["x"])), (400, "users/1/contacts/0")),
        (ann(json!([{"givenName": 1}])), (400, "users/1/contacts/0")),
        (ann(json!([{}, {"givenname2": "x"}])), (400, "users/1/contacts/1/givenname2")),
        (ann(json!([{"emailAddresses": [{"address": "x", "more": 1}]}])), (400, "users/1/contacts/0/emailAddresses")),
        (ann(json!([{"givenName": "x".repeat(5_000)}])), (400, "users/1/contacts/0/givenName")),
        (ann(json!([{"photo": "?"}])), (400, "users/1/contacts/0/photo")),
        (ann(json!([{"photo": STANDARD.encode("text")}])), (400, "users/1/contacts/0/photo")),
        (ann(json!([{"photo": 1}])), (400, "users/1/contacts/0/photo")),
        (json!({"users": [{"id": "ann", "folders": [{"displayName": " "}]}]}), (400, "users/0/folders/0/displayName")),
        (json!({"users": [{"id": "ann", "categories": [{"color": "preset1"}]}]}), (400, "users/0/categories/0")),
        (
            json!({"users": [{"id": "ann", "categories": [{"displayName": "x", "color": "red"}]}]}),
            (400, "users/0/categories/0/color"),
        ),
        (json!({"shares": [{"of": "ann", "with": "ANN"}]}), (400, "shares/0/with")),
        (json!({"users": [{"id": "ann"}], "shares": [{"of": "ann", "with": "nobody"}]}), (404, "")),
        (duplicate_names, (409, "")),
        (json!({"user": "ann", "count": 0}), (400, "count")),
        (json!({"user": "ann", "count": 100_001}), (400, "count")),
        (json!({"user": "ann", "count": 1, "photos": 1.5}), (400, "photos")),
        (json!({"user": "ann", "count": 1, "photos": -0.1}), (400, "photos")),
        (json!({"user": "ann", "count": 1, "locale": "xx"}), (400, "locale")),
        (json!({"user": "a b", "count": 1}), (400, "user")),
        (json!({"user": "ann", "count": 1, "more": 1}), (400, "more")),
    ] {
        let (status, _, target) = seed(&app, &body).error();
        assert_eq!((status, target.as_str()), expected, "{body}");
    }
    assert_eq!(app.count("select count(*) from users"), 0);
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn the_same_seed_numbers_create_the_same_contacts() {
    let app = controlled();
    let list = |user: &str| {
        let listed = app.user(user).get("/me/contacts?$top=400&$orderby=id").json(200);
        let mut contacts = listed["value"].as_array().unwrap().clone();
        for contact in &mut contacts {
            let contact = contact.as_object_mut().unwrap();
            for own in ["id", "@odata.etag", "changeKey", "createdDateTime", "lastModifiedDateTime"] {
                contact.remove(own);
            }
        }
        contacts
    };
    for (user, count) in [("ann", 300), ("bob", 300), ("cy", 120)] {
        let made = seed(&app, &json!({"user": user, "count": count, "seed": 42, "photos": 0.1})).json(201);
        let ids = made["users"][0]["contacts"].as_array().unwrap();
        assert_eq!(ids.len(), count);
        let first = app.user(user).get(&format!("/me/contacts/{}", ids[0].as_str().unwrap())).json(200);
        assert_eq!(first["displayName"], list(user)[0]["displayName"]);
    }
    assert_eq!(list("ann"), list("bob"));
    assert_eq!(list("cy"), list("ann")[..120], "a smaller number are the first ones");
    let photos = app.count("select count(*) from photos");
    assert!((40..120).contains(&photos), "{photos}");
    seed(&app, &json!({"user": "dora", "count": 120, "seed": 43})).json(201);
    assert_ne!(list("dora"), list("cy"));
    assert_eq!(app.faults(), Vec::<String>::new());
    // Generated contacts are found like any others.
    seed(&app, &json!({"user": "erik", "count": 50, "locale": "el"})).json(201);
    let found = app.user("erik").get("/me/contacts?$filter=startswith(displayName,'%CE%93')").json(200);
    let found = names(&found);
    assert!(!found.is_empty() && found.iter().all(|name| name.starts_with('Γ')), "{found:?}");
}

#[test]
fn a_reset_removes_a_seed_and_a_snapshot_keeps_it() {
    let app = controlled();
    seed(&app, &json!({"user": "ann", "count": 10})).json(201);
    let control = |path: &str, method: &str| {
        Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), Some(b"{}".to_vec()))
    };
    assert_eq!(control("/snapshots/seeded", "PUT").status, 201);
    let before = app.user("ann").get("/me/contacts").json(200);
    control("/reset", "POST").empty(204);
    assert_eq!(app.user("ann").get("/me/contacts").json(200)["value"], json!([]));
    control("/snapshots/seeded/restore", "POST").empty(204);
    assert_eq!(app.user("ann").get("/me/contacts").json(200), before);
}
