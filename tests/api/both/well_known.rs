//! The default folder by its well-known name in any letter case; its answer sent back; and the depth of folders.

use contactd::percent::percent_encode;
use serde_json::{Value, json};

use super::subscriptions::{start, subscribe};
use crate::app::{Client, TestApp};
use crate::receiver::Receiver;

const SPELLINGS: [&str; 3] = ["Contacts", "CONTACTS", "cOntacts"];

fn values(client: &Client, path: &str, name: &str) -> Vec<String> {
    let list = client.get(path).json(200)["value"].clone();
    list.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_default_folder_id_matches_in_any_letter_case_in_every_path() {
    let (app, receiver) = (start(), Receiver::new());
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    for name in SPELLINGS {
        let folder = format!("/me/contactFolders/{name}");
        assert_eq!(ann.get(&folder).json(200)["id"], "contacts");
        assert_eq!(ann.get(&format!("/v1.0/me/contactFolders('{name}')")).json(200)["id"], "contacts");
        assert_eq!(values(&ann, &format!("{folder}/childFolders"), "id"), [work.as_str()]);
        assert_eq!(ann.get(&format!("{folder}/childFolders/$count")).body, b"1");
        assert_eq!(ann.get(&format!("{folder}/childFolders/{work}")).status, 200);
        // Contacts are created in it, alone, with a key, and in a batch, and found below it.
        let body = json!({"title": name});
        let created = [
            ann.post(&format!("{folder}/contacts"), &body),
            ann.post(&format!("/v1.0{folder}/contacts/$ref"), &body),
            ann.with("Idempotency-Key", name).post(&format!("{folder}/contacts"), &body),
        ];
        let steps = [1, 2].map(
            |id| json!({"id": id.to_string(), "method": "POST", "url": format!("{folder}/contacts"), "body": body}),
        );
        let batch = ann.post("/$batch", json!({"requests": steps})).json(200);
        let bodies = created.iter().map(|answer| answer.json(201));
        let bodies: Vec<_> = bodies.chain([0, 1].map(|step| batch["responses"][step]["body"].clone())).collect();
        assert!(bodies.iter().all(|body| body["parentFolderId"] == "contacts"), "{bodies:?}");
        let id = bodies[0]["id"].as_str().unwrap();
        let contact_path = format!("{folder}/contacts/{id}");
        assert_eq!(ann.get(&contact_path).status, 200);
        assert_eq!(ann.patch(&contact_path, json!({"nickName": "W"})).json(200)["nickName"], "W");
        assert_eq!(ann.get(&format!("{folder}/contacts/$count")).body, ann.get("/v1.0/me/contacts/$count").body);
        assert_eq!(ann.get(&format!("{folder}/contacts/$ref")).status, 200);
        // Delta, to the end of the round.
        let round = ann.get(&format!("{folder}/contacts/delta")).json(200);
        let link = round["@odata.deltaLink"].as_str().unwrap();
        ann.delete(&contact_path).empty(204);
        assert_eq!(values(&ann, link, "id"), [id]);
        subscribe(&ann, &format!("{}/contacts", &folder[1..]), &receiver.url("/"));
        for refused in [ann.patch(&folder, json!({"displayName": "x"})), ann.delete(&folder)] {
            assert_eq!(refused.error(), (403, "ErrorDeleteDistinguishedFolder".into(), String::new()));
        }
    }
    assert_eq!(app.sql("select distinct folder_id from subscriptions"), "contacts");
    assert_eq!(app.count("select count(*) from folders"), 2);
}

#[test]
fn the_default_folder_id_matches_in_any_letter_case_in_bodies_and_filters() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let work = ann.post("/me/contactFolders", json!({"displayName": "Work"})).id();
    let inner = ann.post(&format!("/me/contactFolders/{work}/childFolders"), json!({"displayName": "Inner"})).id();
    for name in SPELLINGS {
        let created = ann.post("/me/contacts", json!({"parentFolderId": name}));
        assert_eq!(created.json(201)["parentFolderId"], "contacts");
        let path = format!("/me/contacts/{}", created.id());
        let moved = |to: &str| ann.patch(&path, json!({"parentFolderId": to})).json(200)["parentFolderId"].clone();
        assert_eq!([moved(&work), moved(name), moved(name)], [json!(work), json!("contacts"), json!("contacts")]);
        let folder = format!("/me/contactFolders/{inner}");
        let moved = |to: &str| ann.patch(&folder, json!({"parentFolderId": to})).json(200)["parentFolderId"].clone();
        assert_eq!([moved(name), moved(&work)], [json!("contacts"), json!(work)]);
        for (path, filter, found) in [
            ("/me/contacts", format!("parentFolderId eq '{name}'"), 1),
            ("/me/contacts", format!("parentFolderId in ('x','{name}')"), 1),
            ("/me/contacts", format!("parentFolderId ne '{name}'"), 0),
            ("/me/contactFolders", format!("id eq '{name}'"), 1),
            ("/me/contactFolders", format!("parentFolderId eq '{name}'"), 1),
        ] {
            let list = values(&ann, &format!("{path}?$filter={}", percent_encode(&filter)), "id");
            assert_eq!(list.len(), found, "{filter}: {list:?}");
        }
        ann.delete(&path).empty(204);
    }
    for (filter, found) in [
        ("parentFolderId eq 'msgfolderroot'", vec!["contacts"]),
        ("parentFolderId eq 'MsgFolderRoot'", vec!["contacts"]),
        ("parentFolderId in ('msgfolderroot')", vec!["contacts"]),
        ("parentFolderId ne 'msgfolderroot'", vec![work.as_str()]),
    ] {
        let path = format!("/me/contactFolders?$filter={}", percent_encode(filter));
        assert_eq!(values(&ann, &path, "id"), found, "{filter}");
    }
    // An id that a folder has means that folder, whatever it looks like.
    app.sql(
        "insert into folders (mailbox, id, parent_folder_id, display_name, display_name_key, version,
             created_date_time, last_modified_date_time)
         select id, 'CONTACTS', 'contacts', 'Old', 'old', 0, 0, 0 from mailboxes",
    );
    assert_eq!(ann.get("/me/contactFolders/CONTACTS").json(200)["displayName"], "Old");
    assert_eq!(ann.post("/me/contacts", json!({"parentFolderId": "CONTACTS"})).json(201)["parentFolderId"], "CONTACTS");
    assert_eq!(ann.get("/me/contactFolders/Contacts").json(200)["displayName"], "Contacts");
}

#[test]
fn the_default_folder_accepts_its_own_answer_as_a_patch() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for root in ["", "/beta", "/v1.0"] {
        let path = format!("{root}/me/contactFolders/contacts");
        let read = ann.get(&path);
        let body: Value = read.json(200);
        let again = ann.with("If-Match", &read.header("etag")).patch(&path, &body);
        assert_eq!((again.json(200), again.header("etag")), (body.clone(), read.header("etag")));
        let mut other = body;
        other["displayName"] = json!("x");
        assert_eq!(ann.patch(&path, &other).error().0, 403);
        other["displayName"] = json!("Contacts");
        other["parentFolderId"] = json!("elsewhere");
        assert_eq!(ann.patch(&path, &other).error().0, 403);
        assert_eq!(ann.get(&path).header("etag"), read.header("etag"));
    }
}

#[test]
fn moves_and_creates_have_the_same_depth_limit() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let make = |parent: &str, name: &str| {
        ann.post(&format!("/me/contactFolders/{parent}/childFolders"), json!({"displayName": name}))
    };
    let moved = |id: &str, to: &str| ann.patch(&format!("/me/contactFolders/{id}"), json!({"parentFolderId": to}));
    let mut chain = vec!["contacts".to_owned()];
    for depth in 1..=100 {
        chain.push(make(&chain[depth - 1], "x").id());
    }
    let full = (403, "quotaLimitReached".into(), String::new());
    assert_eq!(make(&chain[100], "y").error(), full);
    // A folder, and a folder with a child.
    let (one, two) = (make("contacts", "one").id(), make("contacts", "two").id());
    let inner = make(&two, "inner").id();
    assert_eq!(moved(&one, &chain[100]).error(), full);
    assert_eq!(moved(&two, &chain[99]).error(), full);
    assert_eq!(moved(&inner, &two).status, 200);
    for (id, to) in [(&one, &chain[99]), (&two, &chain[98])] {
        assert_eq!(moved(id, to).json(200)["parentFolderId"], json!(to));
    }
    assert_eq!(moved(&chain[1], &chain[100]).error().0, 400);
    // The deepest folder is found by its whole path, with and without the default folder.
    for path in [&chain[..], &chain[1..]] {
        let path = format!("/me/contactFolders/{}", path.join("/childFolders/"));
        assert_eq!(ann.get(&path).json(200)["id"], json!(chain[100]));
        assert_eq!(ann.post(&format!("{path}/contacts"), "{}").json(201)["parentFolderId"], json!(chain[100]));
    }
    let parent = ann.get(&format!("/me/contactFolders/{}?$expand=childFolders", chain[99])).json(200);
    assert_eq!(parent["childFolders"].as_array().unwrap().len(), 2);
    assert_eq!(app.count("select count(*) from folders"), 104);
}
