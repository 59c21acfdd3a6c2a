//! `contactd::testing`, as the tests of a Rust program use it.

use std::net::TcpStream;

use contactd::testing::Server;
use serde_json::json;

#[test]
fn a_test_server_starts_in_one_line_and_stops_when_dropped() {
    let server = Server::start();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let ann = server.user("ann");
    let made = ann.call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"})));
    assert_eq!((made.status, &made.json()["givenName"]), (201, &json!("Ann")));
    assert_eq!(made.header("Content-Type").unwrap().split(';').next(), Some("application/json"));
    assert_eq!(server.user("bob").call("GET", "/me/contacts", None).json()["value"], json!([]));
    assert_eq!(server.requests().len(), 2);
    server.user("bob").copy_of("ann");
    assert_eq!(server.user("bob").call("GET", "/me/contacts", None).json()["value"][0]["givenName"], "Ann");
    server.reset();
    assert_eq!(server.control("GET", "", None)["contacts"], 0);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_documented_rust_code_runs() {
    let page = include_str!("../../docs/testing.md");
    let code = page.split("\n```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(code, include_str!("documented_in_rust.rs"));
}

#[test]
fn two_test_servers_in_one_process_are_isolated_and_strict() {
    let (one, other) = (Server::start(), Server::start());
    assert_eq!(one.user("ann").call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"}))).status, 201);
    assert_eq!(other.user("ann").call("GET", "/me/contacts", None).json()["value"], json!([]));
    assert_eq!(one.user("ann").call("GET", "/me/contacts?$unknown=1", None).status, 400);
}

#[test]
fn test_servers_in_one_process_have_separate_clocks_and_ids() {
    let made = |server: &Server, user: &str| {
        let made = server.user(user).call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"}))).json();
        ["id", "createdDateTime"].map(|name| made[name].as_str().unwrap().to_owned())
    };
    // In each server the first user has the same mailbox.
    let (one, two, other) = (Server::deterministic(), Server::deterministic(), Server::start());
    let [first, time] = made(&one, "ann");
    let [of_other, time_of_other] = made(&other, "bob");
    assert_eq!(made(&two, "ann"), [first.clone(), time.clone()]);
    assert_eq!(time, "2026-01-01T00:00:00Z");
    assert_ne!(time_of_other, time);
    assert_ne!(of_other, first);
    assert_eq!(made(&one, "ann"), made(&two, "ann"));
    one.advance("P1D");
    assert_eq!(made(&two, "ann")[1], time);
}

#[test]
fn a_fault_affects_one_user_and_an_answer_can_be_lost() {
    let server = Server::start();
    let ann = server.user("ann");
    let fault = ann.fault(json!({"match": {"method": "POST"}, "when": "after", "connection": "close"}));
    assert_eq!((&fault["match"]["user"], &fault["remaining"]), (&json!("ann"), &json!(1)));
    let contact = json!({"givenName": "Ann"});
    let create = |key: &str| ann.try_call("POST", "/me/contacts", Some(&contact), &[("Idempotency-Key", key)]);
    assert_eq!(server.user("bob").call("POST", "/me/contacts", Some(&contact)).status, 201);
    assert!(create("one").is_err(), "it is stored, and nobody is told");
    assert_eq!(create("one").unwrap().status, 201);
    assert_eq!(ann.call("GET", "/me/contacts/$count", None).text(), "1");
    ann.fault(json!({"times": null, "answer": {"status": 500}}));
    assert_eq!(ann.call("GET", "/me/contacts", None).status, 500);
    ann.clear_faults();
    assert_eq!(ann.call("GET", "/me/contacts", None).status, 200);
    let statuses: Vec<_> = ann.requests().iter().map(|request| request["status"].clone()).collect();
    assert_eq!(statuses, [201, 201, 200, 500, 200]);
}

#[test]
fn an_inbox_receives_notifications() {
    let server = Server::start();
    let ann = server.user("ann");
    let inbox = server.inbox("hooks");
    let end = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let terms = json!({"changeType": "created", "notificationUrl": inbox.url, "resource": "me/contacts", "expirationDateTime": end});
    assert_eq!(ann.call("POST", "/subscriptions", Some(&terms)).status, 201);
    inbox.answers(json!({"answers": [{"status": 503}]}));
    ann.call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"})));
    let posts = inbox.posts();
    assert_eq!((&posts[0]["status"], &posts[0]["body"]["value"][0]["changeType"]), (&json!(503), &json!("created")));
    inbox.clear();
    assert!(inbox.posts().is_empty());
}

#[test]
fn a_test_server_of_the_binary_has_its_own_clock() {
    let server = Server::of_program(env!("CARGO_BIN_EXE_contactd"), &["--deterministic", "1"]);
    assert_eq!(server.clock()["now"], "2026-01-01T00:00:00Z");
    let ann = server.user("ann");
    let made = ann.call("POST", "/me/contacts", Some(&json!({"givenName": "Ann"}))).json();
    assert_eq!(made["createdDateTime"], "2026-01-01T00:00:00Z");
    ann.call("DELETE", &format!("/me/contacts/{}", made["id"].as_str().unwrap()), None);
    assert_eq!(server.advance("P31D")["purged"], 1);
    assert_ne!(Server::start().clock()["mode"], "frozen");
}

#[test]
#[should_panic(expected = "contactd: POST /faults: 400")]
fn a_refused_call_panics_with_the_reason() {
    Server::start().fault(json!({}));
}
