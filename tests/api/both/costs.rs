//! Expensive queries are stopped, and others are not affected.

use std::time::Duration;

use contactd::store::Options;
use serde_json::{Value, json};

use crate::app::{Answer, Client, Setup, TestApp};

/// Every combination of e-mail address, phone, chat address and website: a hundred million for one contact.
pub const COSTLY_FILTER: &str = "emailAddresses/any(e:phones/any(p:imAddresses/any(i:websites/any(w:concat(e/address,p/number) eq concat(i,w/address)))))";

fn limited(time: Duration) -> Setup {
    Setup { options: Options { query_timeout: time, ..Options::default() }, ..Setup::default() }
}

/// A contact with 100 entries in each collection.
pub fn large() -> Value {
    let hundred = |entry_of: &dyn Fn(usize) -> Value| (0..100).map(entry_of).collect::<Vec<_>>();
    json!({
        "emailAddresses": hundred(&|i| json!({"address": format!("{i}@example.org"), "name": "x".repeat(100)})),
        "phones": hundred(&|i| json!({"number": i.to_string(), "type": "other"})),
        "imAddresses": hundred(&|i| json!(format!("sip:{i}"))),
        "websites": hundred(&|i| json!({"address": format!("https://{i}.example"), "type": "other"})),
    })
}

#[track_caller]
fn assert_stopped(answer: &Answer) {
    assert_eq!(answer.error(), (400, "InefficientFilter".into(), String::new()), "{}", answer.message());
    assert!(answer.message().starts_with("The restriction or sort order is too complex for this operation"));
}

pub fn encoded(text: &str) -> String {
    text.replace(' ', "%20")
}

#[test]
fn what_costs_too_much_is_stopped_wherever_it_is_asked_and_the_connection_serves_on() {
    let app = TestApp::with(limited(Duration::from_millis(300)));
    let ann = app.user("ann");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "x"})).id();
    let inside = format!("/me/contactFolders/{folder}");
    ann.post(&format!("{inside}/contacts"), large()).json(201);
    let costly = encoded(COSTLY_FILTER);
    for path in [
        format!("/me/contacts?$filter={costly}"),
        format!("/me/contacts/$count?$filter={costly}"),
        format!("/me/contacts?$search=example&$filter={costly}"),
        format!("/me/contacts?$orderby={costly}"),
        format!("/me/contacts/$ref?$filter={costly}"),
        format!("{inside}/contacts?$filter={costly}"),
        format!("{inside}?$expand=contacts($filter={costly})"),
        format!("/me/contactFolders?$expand=contacts($filter={costly})"),
        format!(
            "/v1.0{inside}/contacts?$filter={}",
            encoded("emailAddresses/any(e:imAddresses/any(i:")
                + &encoded("emailAddresses/any(f:imAddresses/any(j:concat(e/address,i) eq concat(j,f/address)))))")
        ),
    ] {
        assert_stopped(&ann.get(&path));
        // More requests than database connections.
        for _ in 0..6 {
            assert_eq!(ann.get("/me/contacts").json(200)["value"].as_array().unwrap().len(), 1, "after {path}");
        }
    }
    let step = json!({"id": "1", "method": "GET", "url": format!("/me/contacts?$filter={COSTLY_FILTER}")});
    let answer = ann.post("/$batch", json!({"requests": [step]})).json(200);
    assert_eq!(answer["responses"][0]["status"], 400, "{answer}");
    assert_eq!(answer["responses"][0]["body"]["error"]["code"], "InefficientFilter", "{answer}");
}

#[test]
fn a_delta_page_that_costs_too_much_is_stopped_and_can_be_retried() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let expensive_contact = large();
    for _ in 0..40 {
        ann.post("/me/contacts", &expensive_contact).json(201);
    }
    let app = app.restarted_with(limited(Duration::from_millis(1)));
    assert_stopped(&app.user("ann").get("/me/contacts/delta?$top=1000"));
    let app = app.restarted();
    let page = app.user("ann").get("/me/contacts/delta?$top=1000").json(200);
    assert_eq!(page["value"].as_array().unwrap().len(), 40);
}

#[test]
fn others_are_served_while_one_asks_what_costs_much_and_nobodys_writes_are_stopped() {
    let app = TestApp::with(limited(Duration::from_secs(1)));
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    ann.post("/me/contacts", large()).json(201);
    let path = format!("/me/contacts?$filter={}", encoded(COSTLY_FILTER));
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| ann.get(&path))).collect();
        let assert_serves = |client: &Client| {
            client.post("/me/contacts", large()).json(201);
            client.get("/me").json(200);
        };
        while asking.iter().any(|handle| !handle.is_finished()) {
            assert_serves(&ann);
            assert_serves(&bob);
            bob.get("/me/contacts?$filter=surname%20eq%20null&$count=true&$top=1").json(200);
        }
        for handle in asking {
            assert_stopped(&handle.join().unwrap());
        }
    });
}
