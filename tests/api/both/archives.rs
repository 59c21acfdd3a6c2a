//! Exports of the control plane for tests in standard formats: the journal as an HTTP archive, snapshots as SQLite files.

use serde_json::{Value, json};

use super::dav::{BOOK, basic, propfind, put};
use crate::app::{Answer, Client, Setup, TestApp};

fn controlled() -> TestApp {
    TestApp::with(Setup { controlled: true, ..Setup::default() })
}

fn control(app: &TestApp, method: &str, path: &str, body: Option<Vec<u8>>) -> Answer {
    Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), body)
}

fn names(client: &Client) -> Vec<Value> {
    let list = client.get("/v1.0/me/contacts?$select=givenName&$orderby=givenName").json(200);
    list["value"].as_array().unwrap().iter().map(|contact| contact["givenName"].clone()).collect()
}

#[test]
fn the_journal_is_available_as_an_http_archive() {
    let app = controlled();
    let ann = app.user("ann");
    ann.post("/v1.0/me/contacts", json!({"givenName": "Ann"})).json(201);
    ann.get("/v1.0/me/contacts?$select=id").json(200);
    let client = Client::new(&app.address, "").with("Accept", "application/har+json");
    let answer = client.get("/_contactd/requests");
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/har+json"));
    let archive: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(archive["log"]["version"], "1.2");
    let [entry, list] = &archive["log"]["entries"].as_array().unwrap()[..] else { panic!("{archive}") };
    assert_eq!(list["request"]["url"], format!("http://{}/v1.0/me/contacts?$select=id", app.address));
    assert_eq!(list["request"]["queryString"], json!([{"name": "$select", "value": "id"}]));
    assert!(list["request"]["postData"].is_null());
    let (request, response) = (&entry["request"], &entry["response"]);
    assert_eq!(request["postData"], json!({"mimeType": "application/json", "text": "{\"givenName\":\"Ann\"}"}));
    assert_eq!((&response["status"], &response["statusText"]), (&json!(201), &json!("Created")));
    assert!(response["content"]["text"].as_str().unwrap().contains("\"id\""), "{response}");
    assert!(entry["time"].as_f64().unwrap() > 0.0);
    // Every member that the format requires.
    for (of, members) in [
        (entry, &["startedDateTime", "time", "request", "response", "cache", "timings"][..]),
        (request, &["method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"]),
        (
            response,
            &[
                "status",
                "statusText",
                "httpVersion",
                "cookies",
                "headers",
                "content",
                "redirectURL",
                "headersSize",
                "bodySize",
            ],
        ),
    ] {
        assert!(members.iter().all(|member| !of[*member].is_null()), "{of}");
    }
}

#[test]
fn carddav_calls_are_in_the_journal_with_one_path_and_the_mailbox_owner() {
    let app = controlled();
    let ann = basic(&app, "ann");
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:x\r\nFN:Ann\r\nN:;Ann;;;\r\nEND:VCARD\r\n";
    let spelled = BOOK.replace("/dav", "//dav").replace("ann/", "%61nn/");
    assert_eq!(propfind(&ann, spelled.trim_end_matches("s/"), "0", "<D:resourcetype/>").status, 404);
    assert_eq!(propfind(&ann, spelled.trim_end_matches('/'), "0", "<D:resourcetype/>").status, 207);
    assert_eq!(put(&ann, &format!("{}%78.vcf", BOOK.replace("contacts", "%63ontacts")), &[], card).status, 201);
    let found = control(&app, "GET", &format!("/requests?path={BOOK}**"), None).json(200);
    let paths: Vec<_> = found["value"].as_array().unwrap().iter().map(|entry| &entry["path"]).collect();
    assert_eq!(paths, [BOOK, &format!("{BOOK}x.vcf")]);
    let entry = &found["value"][1];
    assert_eq!(
        (&entry["url"], &entry["user"], &entry["token"]),
        (&json!("/dav/addressbooks/ann/%63ontacts/%78.vcf"), &json!("ann"), &json!("ann"))
    );
    // A fault matches this path too.
    let fault = json!({"match": {"user": "ann", "path": format!("{BOOK}*")}, "answer": {"status": 503}});
    control(&app, "POST", "/faults", Some(fault.to_string().into_bytes())).json(201);
    assert_eq!(put(&ann, &format!("{BOOK}%79.vcf"), &[], card).status, 503);
}

#[test]
fn a_snapshot_is_exported_to_a_file_and_imported_again() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let made = ann.post("/v1.0/me/contacts", json!({"givenName": "Ann", "surname": "Lee"})).json(201);
    bob.post("/v1.0/me/contacts", json!({"givenName": "Bob"})).json(201);
    control(&app, "PUT", "/snapshots/a", None).json(201);
    let file = control(&app, "GET", "/snapshots/a/$value", None);
    assert_eq!((file.status, file.header("content-type").as_str()), (200, "application/vnd.sqlite3"));
    assert!(file.body.starts_with(b"SQLite format 3\0"));
    for (path, user) in [("/me", &ann), ("/me", &bob)] {
        user.post(&format!("{path}/contacts"), "{}").json(201);
    }
    let imported = control(&app, "PUT", "/snapshots/b/$value", Some(file.body.clone())).json(201);
    assert_eq!(
        (&imported["name"], &imported["contacts"], &imported["users"]),
        (&json!("b"), &json!(2), &json!(["ann", "bob"]))
    );
    control(&app, "POST", "/snapshots/b/restore", None).empty(204);
    assert_eq!((names(&ann), names(&bob)), (vec![json!("Ann")], vec![json!("Bob")]));
    let found = ann.get("/v1.0/me/contacts?$search=%22lee%22").json(200);
    assert_eq!((&found["value"][0]["id"], &found["value"][0]["@odata.etag"]), (&made["id"], &made["@odata.etag"]));
    assert_eq!(ann.post("/me/contacts", "{}").status, 201, "it can be written to");
    // Another server imports it, and a server can be started on it.
    let other = controlled();
    control(&other, "PUT", "/snapshots/a/$value", Some(file.body.clone())).json(201);
    control(&other, "POST", "/snapshots/a/restore", None).empty(204);
    assert_eq!(names(&other.user("bob")), [json!("Bob")]);
}

#[test]
fn a_snapshot_file_of_some_users_has_only_these_and_invalid_files_are_refused() {
    let app = controlled();
    for user in ["ann", "bob"] {
        app.user(user).post("/me/contacts", "{}").json(201);
    }
    control(&app, "PUT", "/snapshots/a", Some(br#"{"users": ["bob"]}"#.to_vec())).json(201);
    let file = control(&app, "GET", "/snapshots/a/$value", None).body;
    let imported = control(&app, "PUT", "/snapshots/b/$value", Some(file)).json(201);
    assert_eq!((&imported["contacts"], &imported["users"]), (&json!(1), &json!(["bob"])));
    for (path, body, expected) in [
        ("/snapshots/c/$value", &b"{}"[..], (400, "ErrorInvalidRequest", "")),
        ("/snapshots/c/$value", b"SQLite format 3\0 and nothing more", (400, "ErrorInvalidRequest", "")),
        ("/snapshots/baseline/$value", b"SQLite format 3\0", (400, "ErrorInvalidRequest", "name")),
    ] {
        let (status, code, target) = control(&app, "PUT", path, Some(body.to_vec())).error();
        assert_eq!((status, code.as_str(), target.as_str()), expected, "{path}");
    }
    assert_eq!(control(&app, "GET", "/snapshots/c/$value", None).status, 404);
}
