//! `Idempotency-Key`: a create is executed once, however often it is sent.

use serde_json::{Value, json};

use super::concurrency::at_once;
use crate::app::{Answer, SEED_REQUEST, TestApp};

/// The parts of an answer that a repeat must have too.
fn repeatable_parts(answer: &Answer) -> (u16, [String; 4], String) {
    let headers = ["location", "etag", "contactd-position", "content-type"].map(|name| answer.header(name));
    (answer.status, headers, String::from_utf8(answer.body.clone()).unwrap())
}

fn assert_reused(answer: &Answer) {
    assert_eq!(answer.error(), (422, "ErrorIdempotencyKeyReused".into(), String::new()));
}

#[test]
fn a_repeated_create_gets_the_same_answer_and_creates_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann").with("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    let work = app.user("ann").post("/me/contactFolders", json!({"displayName": "Work"})).id();
    for (key, path, body) in [
        ("1", "/me/contacts", "{\"givenName\": \"Ann\"}"),
        ("2", "/me/contacts/$ref", SEED_REQUEST),
        ("\"3\"", &format!("/v1.0/me/contactFolders/{work}/contacts"), "{\"givenName\": \"Ann\"}"),
        ("4", "/me/contactFolders", "{\"displayName\": \"Play\"}"),
        (&"~".repeat(255), &format!("/beta/me/contactFolders/{work}/childFolders"), "{\"displayName\": \"Play\"}"),
    ] {
        let client = app.user("ann").with("Idempotency-Key", key);
        let first = client.post(path, body);
        assert_eq!(first.status, 201);
        let state =
            app.sql("select sum(seq), (select count(*) from contacts), (select count(*) from folders) from mailboxes");
        for _ in 0..3 {
            assert_eq!(repeatable_parts(&client.post(path, body)), repeatable_parts(&first));
        }
        let minimal = client.with("Prefer", "return=minimal").post(path, body);
        minimal.empty(204);
        assert_eq!(minimal.header("location"), first.header("location"));
        // Another body, another path.
        assert_reused(&client.post(path, format!("{body} ")));
        assert_reused(&client.post("/users/ann/contacts", body));
        assert_reused(&client.post("/me/contactFolders", "{\"displayName\": \"x\"}"));
        assert_eq!(
            app.sql("select sum(seq), (select count(*) from contacts), (select count(*) from folders) from mailboxes"),
            state
        );
    }
    // Keys are separate per user.
    assert_eq!(app.user("bob").with("Idempotency-Key", "1").post("/me/contacts", "{}").status, 201);
    assert_eq!(ann.post("/me/contacts", "{}").status, 201);
    assert_eq!(app.count("select count(*) from idempotency_keys"), 7);
}

#[test]
fn one_of_concurrent_repeats_creates_the_contact_and_all_get_the_same_answer() {
    let app = TestApp::new();
    for round in 0..5 {
        let client = app.user("ann").with("Idempotency-Key", &format!("key-{round}"));
        let answers = at_once(12, |_| client.clone().post("/me/contacts/$ref", SEED_REQUEST));
        for answer in &answers {
            assert_eq!((answer.status, repeatable_parts(answer)), (201, repeatable_parts(&answers[0])));
        }
        let folders = at_once(6, |_| {
            let client = app.user("ann").with("Idempotency-Key", &format!("folder-{round}"));
            client.post("/me/contactFolders", json!({"displayName": format!("Folder {round}")}))
        });
        assert!(
            folders
                .iter()
                .all(|answer| answer.status == 201 && repeatable_parts(answer) == repeatable_parts(&folders[0]))
        );
        // One of several different bodies wins, and nothing of the others is written.
        let client = app.user("ann").with("Idempotency-Key", &format!("other-{round}"));
        let answers = at_once(6, |i| client.clone().post("/me/contacts", json!({"title": i})));
        assert_eq!(answers.iter().filter(|answer| answer.status == 400).count(), 6, "a number is no title");
        let answers = at_once(6, |i| client.clone().post("/me/contacts", json!({"title": i.to_string()})));
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        answers.iter().filter(|answer| answer.status != 201).for_each(assert_reused);
        assert_eq!(app.count("select count(*) from contacts"), 2 * (round + 1));
    }
    assert_eq!(app.count("select count(*) from changes"), app.count("select sum(seq) from mailboxes"));
}

#[test]
fn a_refused_create_does_not_use_its_key() {
    let app = TestApp::new();
    let client = app.user("ann").with("Idempotency-Key", "k");
    assert_eq!(client.post("/me/contacts", "{\"nope\": 1}").error().0, 400);
    assert_eq!(client.post("/me/contactFolders/nowhere/contacts", "{}").error().0, 404);
    assert_eq!(client.post("/me/contactFolders", json!({"displayName": ""})).error().0, 400);
    assert_eq!(app.count("select count(*) from idempotency_keys"), 0);
    let id = client.post("/me/contacts", "{}").id();
    // A bare reference creates nothing, so it uses no key.
    client.post("/me/contacts/$ref", json!({"@odata.id": format!("/me/contacts/{id}")})).empty(204);
    // Other calls ignore the header.
    assert_eq!(client.patch(&format!("/me/contacts/{id}"), json!({"title": "x"})).status, 200);
    assert_eq!(client.get("/me/contacts").status, 200);
    assert_eq!(app.count("select count(*) from idempotency_keys"), 1);
}

#[test]
fn an_invalid_idempotency_key_is_refused() {
    let app = TestApp::new();
    for key in ["", "a b", "é", &"x".repeat(256)] {
        for (path, body) in [
            ("/me/contacts", json!({})),
            ("/me/contacts/$ref", json!({"title": "x"})),
            ("/me/contactFolders", json!({"displayName": "x"})),
        ] {
            let answer = app.user("ann").with("Idempotency-Key", key).post(path, body);
            assert_eq!(answer.error(), (400, "ErrorInvalidRequest".into(), "Idempotency-Key".into()), "{key}");
        }
    }
    assert_eq!(app.count("select count(*) from contacts") + app.count("select count(*) from folders"), 1);
}

#[test]
fn a_repeat_shows_the_current_state_of_its_contact() {
    let app = TestApp::new();
    let client = app.user("ann").with("Idempotency-Key", "k");
    let first = client.post("/me/contacts", "{}");
    let path = format!("/me/contacts/{}", first.id());
    let patched = client.patch(&path, json!({"title": "x"}));
    let again = client.post("/me/contacts", "{}");
    assert_eq!((again.json(201), again.header("etag")), (patched.json(200), patched.header("etag")));
    assert_eq!(again.header("location"), first.header("location"));
    for gone in [client.delete(&path), client.delete(&path.replace("contacts", "deletedContacts"))] {
        gone.empty(204);
        assert_eq!(client.post("/me/contacts", "{}").error().0, 404);
    }
    let folder = app.user("ann").with("Idempotency-Key", "f");
    let made = folder.post("/me/contactFolders", json!({"displayName": "F"})).id();
    folder.delete(&format!("/me/contactFolders/{made}")).empty(204);
    assert_eq!(folder.post("/me/contactFolders", json!({"displayName": "F"})).error().0, 404);
    assert_eq!(app.count("select count(*) from contacts"), 0);
    assert_eq!(app.count("select count(*) from folders where deleted_date_time is null"), 1);
}

#[test]
fn a_key_is_remembered_for_a_day_and_across_a_restart() {
    let app = TestApp::new();
    let first = app.user("ann").with("Idempotency-Key", "k").post("/me/contacts", "{}");
    let app = app.restarted();
    let client = app.user("ann").with("Idempotency-Key", "k");
    let again = client.post("/me/contacts", "{}");
    let settled = |answer: &Answer| {
        let mut body: Value = answer.json(201);
        body["@odata.context"].take();
        (body, answer.header("etag"), answer.header("contactd-position"))
    };
    assert_eq!(settled(&again), settled(&first));
    let age = |hours: i64| {
        format!("update idempotency_keys set created_date_time = created_date_time - {hours} * 3600000000")
    };
    app.sql(&age(23));
    assert_reused(&client.post("/me/contacts", "{\"title\": \"x\"}"));
    app.sql(&age(1));
    assert_ne!(client.post("/me/contacts", "{\"title\": \"x\"}").id(), first.id());
    assert_eq!(app.count("select count(*) from contacts"), 2);
    assert_eq!(app.count("select count(*) from idempotency_keys"), 1);
}

#[test]
fn the_number_of_keys_per_mailbox_is_limited() {
    let app = TestApp::new();
    let ann = app.user("ann");
    assert_eq!(ann.with("Idempotency-Key", "first").post("/me/contacts", "{}").status, 201);
    app.sql(
        "with recursive n (n) as (select 1 union all select n + 1 from n where n < 9999)
         insert into idempotency_keys select mailbox, 'key' || n, request, item_id, created_date_time
         from idempotency_keys cross join n",
    );
    assert_eq!(app.count("select count(*) from idempotency_keys"), 10_000);
    let full = ann.with("Idempotency-Key", "another");
    assert_eq!(full.post("/me/contacts", "{}").error().0, 403);
    assert_eq!(full.post("/me/contacts", "{}").error().1, "quotaLimitReached");
    assert_eq!(app.count("select count(*) from contacts"), 1);
    // Known keys still work, and creates without a key too.
    assert_eq!(ann.with("Idempotency-Key", "key7").post("/me/contacts", "{}").status, 201);
    assert_eq!(ann.post("/me/contacts", "{}").status, 201);
    assert_eq!(app.user("bob").with("Idempotency-Key", "another").post("/me/contacts", "{}").status, 201);
    app.sql("update idempotency_keys set created_date_time = 1");
    assert_eq!(full.post("/me/contacts", "{}").status, 201);
    assert_eq!(app.count("select count(*) from idempotency_keys where created_date_time > 1"), 1);
}
