//! Lists: pages and their next links.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

fn ids(page: &Value) -> Vec<String> {
    page["value"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap().to_owned()).collect()
}

/// Follows next links to the end. Each page but the last is full, and the last has no link.
fn walk(client: &Client, path: &str, size: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let page = client.get(&path).json(200);
        let page_ids = ids(&page);
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
        assert!(page_ids.len() == size || (next.is_none() && page_ids.len() < size), "{path}: {}", page_ids.len());
        found.extend(page_ids);
    }
    found
}

fn create(client: &Client, count: usize) -> Vec<String> {
    (0..count).map(|i| client.post("/me/contacts", json!({"title": i.to_string()})).id()).collect()
}

#[test]
fn a_list_has_ten_contacts_per_page_in_creation_order() {
    let app = TestApp::new();
    let ann = app.user("ann");
    assert_eq!(ann.get("/me/contacts").json(200)["value"], json!([]));
    let created = create(&ann, 25);
    let page = ann.get("/me/contacts").json(200);
    assert_eq!(ids(&page), created[..10]);
    assert_eq!(walk(&ann, "/me/contacts", 10), created);
    for (path, size) in [
        ("/beta/me/contacts?$top=1", 1),
        ("/users/ann/contacts/?%24top=7", 7),
        ("/Me/Contacts?top=25", 25),
        ("/me/contacts?$top=1001", 1000),
    ] {
        assert_eq!(walk(&ann, path, size), created, "{path}");
    }
    assert_eq!(walk(&ann, "/me/contacts?$skip=20", 10), created[20..]);
    assert_eq!(walk(&ann, "/me/contacts?$skip=3&$top=4", 4), created[3..]);
    assert_eq!(ids(&ann.get("/me/contacts?$skip=99999999999999999999").json(200)), Vec::<String>::new());
}

#[test]
fn a_next_link_is_the_request_url_with_a_token() {
    let app = TestApp::new();
    let ann = app.user("ann");
    create(&ann, 3);
    for (path, start) in [
        ("/Me/contacts?$top=2", "/Me/contacts?$top=2&$skiptoken="),
        (
            "/users('ann')/contacts/?%24top=2&mine={1}&$skip=0",
            "/users('ann')/contacts/?%24top=2&mine=%7B1%7D&$skiptoken=",
        ),
        (
            "/beta/users/me-token-to-replace/contacts?top=2",
            "/beta/users/me-token-to-replace/contacts?top=2&$skiptoken=",
        ),
    ] {
        let link = ann.send("GET", &path.replace('{', "%7B").replace('}', "%7D"), None).json(200)["@odata.nextLink"]
            .as_str()
            .unwrap()
            .to_owned();
        let token = link.strip_prefix(&format!("http://{}{start}", app.address)).unwrap_or_else(|| panic!("{link}"));
        assert!(
            token.len() == 26 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{link}"
        );
        assert_eq!(ids(&ann.get(&link).json(200)).len(), 1);
        // A token gives no access: in another mailbox it is only a position.
        let foreign = app.user("bob").get(&format!("/me/contacts?$skiptoken={token}")).json(200);
        assert_eq!(foreign["value"], json!([]));
    }
}

#[test]
fn a_token_opens_no_other_mailbox() {
    let app = TestApp::new();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    create(&ann, 3);
    let own = create(&bob, 3);
    let page = ann.get("/me/contacts?$top=1").json(200);
    let next = page["@odata.nextLink"].as_str().unwrap();
    // A forged token only sets the contact after which the page starts.
    let found = ids(&bob.get(next).json(200));
    assert!(found.iter().all(|id| own.contains(id)), "{found:?}");
    let users = next.replace("/me/", "/users/ann/");
    assert_eq!(bob.get(&users).status, 404);
}

#[test]
fn a_preferred_page_size_holds_for_the_whole_walk() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = create(&ann, 7);
    let preferring = ann.with("Prefer", "odata.maxpagesize=3");
    let first = preferring.get("/me/contacts");
    assert_eq!(first.header("preference-applied"), "odata.maxpagesize=3");
    assert_eq!(ids(&first.json(200)), created[..3]);
    assert_eq!(walk(&ann, first.json(200)["@odata.nextLink"].as_str().unwrap(), 3), created[3..]);
    assert_eq!(ids(&preferring.get("/me/contacts?$top=2").json(200)), created[..2]);
    let both = preferring.get("/me/contacts?$top=5").json(200);
    assert_eq!(ids(&both), created[..3]);
    assert_eq!(walk(&ann, both["@odata.nextLink"].as_str().unwrap(), 3), created[3..]);
}

#[test]
fn deleted_contacts_leave_no_gap_in_a_page() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let created = create(&ann, 30);
    for id in created.iter().step_by(2) {
        ann.delete(&format!("/me/contacts/{id}")).empty(204);
    }
    let remaining: Vec<_> = created.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(walk(&ann, "/me/contacts?$top=5", 5), remaining);
}

#[test]
fn a_walk_sees_each_contact_once_while_others_are_written() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let stay = create(&ann, 60);
    let leave = create(&ann, 20);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (i, id) in leave.iter().enumerate() {
                ann.post("/me/contacts", "{}");
                ann.patch(&format!("/me/contacts/{}", stay[i * 3]), json!({"title": "changed"}));
                ann.delete(&format!("/me/contacts/{id}"));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut walks = 0;
        while !stop.load(Ordering::Relaxed) || walks == 0 {
            let mut found = Vec::new();
            let mut next = Some("/me/contacts?$top=3".to_owned());
            while let Some(path) = next {
                let page = ann.get(&path).json(200);
                next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
                assert!(next.is_none() || !ids(&page).is_empty());
                found.extend(ids(&page));
            }
            let distinct: BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "a contact came twice");
            assert!(stay.iter().all(|id| distinct.contains(id)), "a contact was missed");
            walks += 1;
        }
    });
}

#[test]
fn a_page_of_large_contacts_ends_early_and_its_next_link_continues() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let notes = "x".repeat(1_048_576);
    let created: Vec<_> = (0..12).map(|_| ann.post("/me/contacts", json!({"personalNotes": notes})).id()).collect();
    let first = ann.get("/me/contacts?$top=1000");
    assert!(first.body.len() < 5 << 20, "{}", first.body.len());
    let (mut found, mut next) = (ids(&first.json(200)), first.json(200)["@odata.nextLink"].as_str().map(str::to_owned));
    assert!((1..12).contains(&found.len()));
    while let Some(link) = next {
        let page = ann.get(&link).json(200);
        assert!(!ids(&page).is_empty());
        found.extend(ids(&page));
        next = page.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned());
    }
    assert_eq!(found, created);
}

#[test]
fn page_sizes_count_characters_as_escaped_in_json() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let text = "\u{1}".repeat(4096);
    let time = json!({"dateTime": text, "timeZone": text});
    let body = json!({
        "flag": {"flagStatus": text, "completedDateTime": time, "dueDateTime": time, "startDateTime": time},
        "weddingAnniversary": text, "changeKey": text, "parentFolderId": "\"".repeat(255),
    });
    for _ in 0..40 {
        assert_eq!(ann.post("/me/contacts", &body).status, 201);
    }
    let page = ann.get("/me/contacts?$top=1000");
    assert!(page.body.len() < 5 << 20 && page.json(200)["@odata.nextLink"].is_string(), "{}", page.body.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pages_of_any_size_visit_each_contact_once_in_order(count in 0_usize..23, size in 1_usize..25, skip in 0_usize..25) {
        let app = TestApp::new();
        let ann = app.user("ann");
        let created = create(&ann, count);
        let expected = created.get(skip..).unwrap_or_default();
        prop_assert_eq!(walk(&ann, &format!("/me/contacts?$top={size}&$skip={skip}"), size), expected);
    }
}
