//! After each reset, restore and copy everything can be read and written. Meanwhile no request sees a row of another
//! state.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::checklist::served_calls;
use super::subscriptions::{after, set_up};
use crate::app::{Answer, Client, Setup, TestApp};
use crate::receiver::Receiver;
use crate::walk::{calls, walk};

/// Number of users that write while states change.
const WRITERS: usize = 16;
/// The number of state changes.
const CHANGES: usize = 4;

fn controlled() -> TestApp {
    TestApp::with(Setup { controlled: true, ..set_up() })
}

fn control(app: &TestApp, method: &str, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    Client::new(&app.address, "").send(method, &format!("/_contactd{path}"), body)
}

fn seed(app: &TestApp, user: &str, count: usize) {
    control(app, "POST", "/seed", json!({"user": user, "count": count, "photos": 0.2})).json(201);
}

/// Asserts that no row lacks an owner or is missing in a counter, and that the check finds no fault.
fn assert_sound(app: &TestApp) {
    assert_eq!(app.faults(), Vec::<String>::new());
    for table in ["contacts", "emails", "phones", "folders", "changes", "photos", "folded", "categories"] {
        let orphans = format!(
            "select count(*) from {table} x where not exists (select 1 from users u where u.mailbox = x.mailbox)"
        );
        assert_eq!(app.count(&orphans), 0, "{table}");
    }
}

/// The content of the tables, in an order that does not depend on the engine.
fn dump(app: &TestApp) -> Vec<String> {
    [
        "select id, mailbox, display_name from users order by mailbox",
        "select id, seq, contacts, bytes from mailboxes order by id",
        "select mailbox, id, display_name, contacts from folders order by mailbox, id",
        "select mailbox, display_name, file_as_key, version, size from contacts order by mailbox, version",
        "select mailbox, address, address_key, pos from emails order by mailbox, address, pos",
        "select mailbox, number, number_key, pos from phones order by mailbox, number, pos",
        "select mailbox, seq, removed from changes order by mailbox, seq",
        "select mailbox, size, version from photos order by mailbox, version",
        "select mailbox, count(*) from folded group by mailbox order by mailbox",
    ]
    .map(|sql| app.sql(sql))
    .into()
}

#[test]
fn every_call_works_after_a_reset_restore_and_copy() {
    let (app, receiver) = (controlled(), Receiver::new());
    let hook = receiver.url("/hook");
    let served = served_calls().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let through = |user: &str| {
        app.user("bob").get("/v1.0/me").json(200);
        let stops = walk(|token| app.user(token), user, "bob", (&hook, &after(3600)));
        assert_eq!(calls(&stops), served);
    };
    seed(&app, "ann", 30);
    control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    through("ann");
    for (path, body, status) in [
        ("/reset", json!({}), 204),
        ("/snapshots/one/restore", json!({}), 204),
        ("/reset", json!({"users": ["ann"]}), 204),
        ("/snapshots/one/restore", json!({"users": ["ann"]}), 204),
        ("/reset", json!({"to": "one"}), 204),
        ("/reset", json!({"users": ["ann"], "to": "one"}), 204),
    ] {
        assert_eq!(control(&app, "POST", path, body.clone()).status, status, "{path} {body}");
        assert_sound(&app);
        through("ann");
        assert_sound(&app);
    }
    control(&app, "POST", "/users/cy/copy", json!({"from": "ann"})).json(201);
    through("cy");
    control(&app, "POST", "/users/cy/copy", json!({"from": "ann", "replace": true})).json(201);
    through("cy");
    assert_sound(&app);
}

#[test]
fn a_reset_during_sixteen_writers_leaves_no_row_of_the_old_state() {
    let app = controlled();
    seed(&app, "ann", 60);
    seed(&app, "bob", 10);
    let before = dump(&app);
    control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    let (ended, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            // Some users write to mailboxes that change, some to others.
            let user = app.user(&["ann", "bob", "copy", "w"][writer % 4].replace('w', &format!("w{writer}")));
            let (ended, written) = (&ended, &written);
            scope.spawn(move || {
                while !ended.load(Ordering::SeqCst) {
                    let made = user.post("/v1.0/me/contacts", json!({"givenName": "W"}));
                    assert!(made.status == 201 || made.status == 503, "{}", made.status);
                    let list = user.get("/v1.0/me/contacts?$select=givenName&$top=5&$count=true");
                    assert!(list.status == 200 || list.status == 503, "{}", list.status);
                    written.fetch_add(usize::from(made.status == 201), Ordering::SeqCst);
                }
            });
        }
        for _ in 0..CHANGES {
            let enough = written.load(Ordering::SeqCst) + WRITERS;
            while written.load(Ordering::SeqCst) < enough {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            control(&app, "POST", "/users/copy/copy", json!({"from": "bob", "replace": true})).json(201);
            control(&app, "POST", "/snapshots/one/restore", json!({"users": ["ann"]})).empty(204);
            control(&app, "POST", "/reset", json!({"users": ["w3"]})).empty(204);
            control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
            control(&app, "POST", "/reset", json!({"to": "empty"})).empty(204);
            control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
        }
        ended.store(true, Ordering::SeqCst);
    });
    assert_sound(&app);
    control(&app, "POST", "/snapshots/one/restore", json!({})).empty(204);
    assert_eq!(dump(&app), before);
    assert_sound(&app);
    control(&app, "POST", "/reset", json!({})).empty(204);
    assert!(dump(&app).iter().all(String::is_empty), "{:?}", dump(&app));
    assert_sound(&app);
}

#[test]
fn a_restore_of_one_user_works_and_leaves_other_users_unchanged() {
    let app = controlled();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    seed(&app, "ann", 120);
    seed(&app, "bob", 20);
    let searched = |user: &Client| user.get("/me/contacts?$search=%22example%22&$top=200&$count=true").text();
    let (of_ann, of_bob) = (searched(&ann), searched(&bob));
    assert!(of_ann.len() > 10_000 && of_bob.len() > 1_000);
    control(&app, "PUT", "/snapshots/one", json!({})).json(201);
    // Ann is restored with another mailbox number.
    control(&app, "POST", "/reset", json!({"users": ["ann"]})).empty(204);
    seed(&app, "cy", 10);
    let of_cy = searched(&app.user("cy"));
    control(&app, "POST", "/snapshots/one/restore", json!({"users": ["Ann"]})).empty(204);
    assert_eq!(searched(&ann), of_ann);
    assert_eq!(searched(&bob), of_bob);
    assert_eq!(searched(&app.user("cy")), of_cy);
    control(&app, "POST", "/users/cy/copy", json!({"from": "ann", "replace": true})).json(201);
    assert_eq!(searched(&app.user("cy")).replace("'cy'", "'ann'").replace("/cy/", "/ann/"), of_ann);
    assert_eq!(searched(&ann), of_ann);
    assert_sound(&app);
}
