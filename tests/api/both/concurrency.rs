//! Many clients at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::{Answer, SEED_REQUEST, TestApp};

/// Runs `work` on this many threads, each with its number.
pub fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|i| scope.spawn(move || work(i))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn three_hundred_concurrent_creates_are_all_stored_completely() {
    let app = TestApp::new();
    let created: Vec<(String, String)> = at_once(30, |i| {
        let ann = app.user(if i % 3 == 0 { "bob" } else { "ann" });
        let post = |j| {
            let name = format!("{i}-{j}");
            let body = SEED_REQUEST
                .replace(" value\"", &format!(" {name}\""))
                .replace(&format!("Parent Folder Id {name}"), &format!("folder {}", j % 3));
            (ann.post("/me/contacts/$ref", body).id(), name)
        };
        (0..10).map(post).collect::<Vec<_>>()
    })
    .concat();
    let ids: BTreeSet<_> = created.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 300);
    let mut found = 0;
    for user in ["ann", "bob"] {
        let list = app.user(user).get("/me/contacts?$top=1000").json(200);
        for contact in list["value"].as_array().unwrap() {
            let (_, name) = created.iter().find(|(id, _)| contact["id"] == **id).unwrap();
            let mut expected: Value =
                serde_json::from_str(&SEED_REQUEST.replace(" value\"", &format!(" {name}\""))).unwrap();
            expected["parentFolderId"] = contact["parentFolderId"].clone();
            for (property, value) in expected.as_object().unwrap() {
                assert_eq!(contact[property], *value, "{property}");
            }
            found += 1;
        }
    }
    assert_eq!(found, 300);
    assert_eq!(app.count("select count(*) from folders"), 8);
    // Numbering has no gap and no repeat.
    assert_eq!(app.count("select count(*) from changes"), app.count("select sum(seq) from mailboxes"));
    assert_eq!(app.count("select count(*) from contacts c join changes l on l.mailbox = c.mailbox and l.seq = c.version and l.contact_id = c.id"), 300);
}

#[test]
fn exactly_one_of_concurrent_patches_with_the_same_etag_succeeds() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = ann.post("/me/contacts", "{}");
    let path = format!("/me/contacts/{}", created.id());
    let mut etag = created.header("etag");
    for round in 0..10 {
        let answers = at_once(8, |i| {
            app.user("ann").with("If-Match", &etag).patch(&path, json!({"title": format!("{round}-{i}")}))
        });
        let (won, lost): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|answer| answer.error().0 == 412));
        assert_eq!(ann.get(&path).body, won[0].body);
        etag = won[0].header("etag");
    }
}

#[test]
fn concurrent_first_calls_create_one_user() {
    let app = TestApp::new();
    at_once(16, |i| {
        assert_eq!(app.user(if i % 2 == 0 { "Ann" } else { "ann@localhost" }).post("/me/contacts", "{}").status, 201);
    });
    assert_eq!(app.count("select count(*) from users"), 1);
    assert_eq!(app.count("select count(*) from contacts"), 16);
}

#[test]
fn concurrent_deletes_delete_once() {
    let app = TestApp::new();
    let path = format!("/me/contacts/{}", app.user("ann").post("/me/contacts", "{}").id());
    let answers = at_once(8, |_| app.user("ann").delete(&path).status);
    assert_eq!(answers.iter().filter(|status| **status == 204).count(), 1);
    assert_eq!(answers.iter().filter(|status| **status == 404).count(), 7);
}
