//! Folders, as far as a contact implies them.

use contactd::store::Options;
use serde_json::json;

use crate::app::{SEED_REQUEST, Setup, TestApp};

const SEED_FOLDER: &str = "Parent Folder Id value";

#[test]
fn a_contact_without_a_folder_is_in_the_default_one() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for body in [
        json!({}),
        json!({"parentFolderId": null}),
        json!({"parentFolderId": ""}),
        json!({"parentFolderId": "contacts"}),
    ] {
        assert_eq!(ann.post("/me/contacts", body).json(201)["parentFolderId"], "contacts");
    }
    assert_eq!(app.count("select count(*) from folders"), 1);
}

#[test]
fn an_unknown_folder_is_made_with_id_and_name_as_sent() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for folder in ["Work", "work", "a/b?c#d%20'e'", " ", "日本", "msgfolderroot"] {
        for _ in 0..2 {
            assert_eq!(ann.post("/me/contacts", json!({"parentFolderId": folder})).json(201)["parentFolderId"], folder);
        }
        let quoted = folder.replace('\'', "''");
        let made = format!("select display_name, parent_folder_id from folders where id = '{quoted}'");
        assert_eq!(app.sql(&made), format!("{folder}|contacts"));
    }
    assert_eq!(app.count("select count(*) from folders"), 7);
}

#[test]
fn the_pages_folder_collides_with_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let posted = || assert_eq!(ann.post("/me/contacts/$ref", SEED_REQUEST).json(201)["parentFolderId"], SEED_FOLDER);
    ann.get("/me");
    // Another folder has its name, and one has its name beside it as id.
    app.sql(&format!(
            "insert into folders (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time)
             values (1, 'x', 'contacts', '{SEED_FOLDER}', 'parent folder id value', 0, 0, 0), (1, 'parent folder id value', 'contacts', '{SEED_FOLDER}', '', 0, 0, 0)"
        ));
    posted();
    // A folder has its id and another name: it is used as it is.
    app.sql(&format!("update folders set display_name = 'Renamed' where id = '{SEED_FOLDER}'"));
    posted();
    assert_eq!(
        app.count(&format!("select count(*) from folders where id = '{SEED_FOLDER}' and display_name = 'Renamed'")),
        1
    );
    // It was deleted: it is made anew, and its own contacts of before stay what they are.
    app.sql(&format!("update folders set deleted_date_time = 1, parent_folder_id = 'x' where id = '{SEED_FOLDER}'"));
    posted();
    let anew = format!(
        "select count(*) from folders where id = '{SEED_FOLDER}' and display_name = id and parent_folder_id = 'contacts' and deleted_date_time is null"
    );
    assert_eq!(app.count(&anew), 1);
}

#[test]
fn folders_are_capped_and_those_that_exist_go_on() {
    let app = TestApp::with(Setup { options: Options { max_folders: 3, ..Options::default() }, ..Setup::default() });
    let ann = app.user("ann");
    let post = |folder: &str| ann.post("/me/contacts", json!({"parentFolderId": folder}));
    assert_eq!((post("a").status, post("b").status), (201, 201));
    assert_eq!(post("c").error(), (403, "quotaLimitReached".into(), String::new()));
    assert_eq!(post("c").message(), "A mailbox has at most 3 folders.");
    assert_eq!((post("a").status, post("contacts").status), (201, 201));
    app.sql("update folders set deleted_date_time = 1 where id = 'b'");
    assert_eq!((post("c").status, post("b").status), (403, 201));
    assert_eq!(app.user("bob").post("/me/contacts", json!({"parentFolderId": "c"})).status, 201);
    assert_eq!(app.count("select count(*) from contacts"), 6);
}

#[test]
fn a_patch_moves_to_a_folder_that_exists() {
    let app = TestApp::new();
    let ann = app.user("ann");
    ann.post("/me/contacts", json!({"parentFolderId": "work"}));
    let created = ann.post("/me/contacts", "{}");
    let path = format!("/me/contacts/{}", created.id());
    let moved = ann.patch(&path, json!({"parentFolderId": "work"}));
    assert_eq!(moved.json(200)["parentFolderId"], "work");
    assert_ne!(moved.header("etag"), created.header("etag"));
    for unknown in ["nowhere", "Work"] {
        let answer = ann.patch(&path, json!({"parentFolderId": unknown, "title": "x"}));
        assert_eq!(answer.error(), (404, "ErrorItemNotFound".into(), String::new()));
    }
    // Naming none, or the one it is in, moves nothing.
    for same in [json!(null), json!("")] {
        assert_eq!(ann.patch(&path, json!({"parentFolderId": same})).body, moved.body);
    }
    let again = ann.patch(&path, json!({"parentFolderId": "work", "title": "y"})).json(200);
    assert_eq!((&again["parentFolderId"], &again["title"]), (&json!("work"), &json!("y")));
    assert_eq!(app.count("select count(*) from changes where removed"), 1);
}
