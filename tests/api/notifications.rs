//! Change notifications of the real program: after a crash, from two processes, and over https.

use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::app::Client;
use crate::postgres::Postgres;
use crate::program::{Program, contactd, fails};
use crate::receiver::{Behaviour, Receiver, ca_file, until};

/// A server that may notify loopback addresses. All times are short except the lease.
fn serve(database: &str) -> Command {
    contactd(&[
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--database",
        database,
        "--allow-notification-target",
        "127.0.0.1,localhost:1",
        "--notification-times",
        "1500,4000,20",
    ])
}

/// Subscribes to a user's contacts.
pub fn subscribe(client: &Client, url: &str) -> String {
    let end = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let terms = json!({
        "changeType": "created,updated,deleted", "notificationUrl": url, "resource": "me/contacts", "expirationDateTime": end,
    });
    client.post("/subscriptions", terms).json(201)["id"].as_str().unwrap().to_owned()
}

fn ids(notifications: &[Value]) -> Vec<String> {
    notifications.iter().map(|told| told["resourceData"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that each contact was notified at least once, the first time in order.
fn assert_told(receiver: &Receiver, made: &[String]) {
    let mut notified_ids = ids(&receiver.notifications("/"));
    let mut first = Vec::new();
    notified_ids.retain(|id| {
        !first.contains(id) && {
            first.push(id.clone());
            true
        }
    });
    assert_eq!(notified_ids, made);
}

#[test]
fn the_next_process_sends_the_notifications_of_a_killed_one() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::new());
    let database = folder.path().join("contacts.db");
    let path = |database: &Path| database.to_str().unwrap().to_owned();
    let mut server = Program::start(serve(&path(&database)));
    let ann = server.user("ann");
    let id = subscribe(&ann, &receiver.url("/"));
    receiver.set(Behaviour::Silent);
    let mut made = vec![ann.post("/me/contacts", "{}").id()];
    until(|| !receiver.bodies("/").is_empty());
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    receiver.set(Behaviour::Accepts);
    let mut server = Program::start(serve(&path(&database)));
    let ann = server.user("ann");
    made.push(ann.post("/me/contacts", "{}").id());
    until(|| ids(&receiver.notifications("/")).last() == made.last());
    assert_told(&receiver, &made);
    // A process that stops releases its leases.
    receiver.set(Behaviour::Silent);
    let seen = receiver.bodies("/").len();
    made.push(ann.post("/me/contacts", "{}").id());
    until(|| receiver.bodies("/").len() > seen);
    server.signal("TERM");
    assert_eq!(server.ended(std::time::Duration::from_mins(1)).code(), Some(0));
    let rows = rusqlite::Connection::open(&database).unwrap();
    let leases = "select count(*) from subscriptions where lease_owner is not null";
    assert_eq!(rows.query_row(leases, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    receiver.set(Behaviour::Accepts);
    let server = Program::start(serve(&path(&database)));
    until(|| {
        let deliveries = server.user("ann").get(&format!("/subscriptions/{id}/deliveries")).json(200);
        deliveries["value"].as_array().unwrap().last().unwrap()["status"] == 202
            && ids(&receiver.notifications("/")).last() == made.last()
    });
    assert_told(&receiver, &made);
}

#[test]
fn one_of_two_processes_notifies_and_the_other_takes_over_when_it_is_killed() {
    let (schema, receiver) = (Postgres::shared().schema(), Receiver::new());
    let mut servers = [Program::start(serve(&schema.url)), Program::start(serve(&schema.url))];
    let id = subscribe(&servers[0].user("ann"), &receiver.url("/"));
    let mut made: Vec<String> = Vec::new();
    for i in 0..40 {
        made.push(servers[i % 2].user("ann").post("/me/contacts", "{}").id());
    }
    let notifications = receiver.wait("/", 40);
    assert_eq!(ids(&notifications), made, "each once, whichever process wrote it");

    // The process that holds the lease is killed while it waits for an answer.
    receiver.set(Behaviour::Silent);
    let seen = receiver.bodies("/").len();
    made.push(servers[0].user("ann").post("/me/contacts", "{}").id());
    until(|| receiver.bodies("/").len() > seen);
    let holder = "select count(*) from subscriptions where lease_owner is not null";
    until(|| schema.query(holder) == "1");
    let lease = schema.query("select lease_owner from subscriptions");
    servers[0].child.kill().unwrap();
    servers[0].child.wait().unwrap();
    receiver.set(Behaviour::Accepts);
    made.push(servers[1].user("ann").post("/me/contacts", "{}").id());
    until(|| ids(&receiver.notifications("/")).last() == made.last());
    assert_told(&receiver, &made);
    assert!(!lease.is_empty());
    until(|| schema.query(holder) == "0");
    let deliveries = servers[1].user("ann").get(&format!("/subscriptions/{id}/deliveries")).json(200);
    assert_eq!(deliveries["value"].as_array().unwrap().last().unwrap()["status"], 202);
    assert!(servers.iter().all(|server| !server.log().contains("panicked")));
}

#[test]
fn a_configured_certificate_authority_is_trusted() {
    let receiver = Receiver::with_tls();
    let arguments = [
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--database",
        ":memory:",
        "--allow-notification-target",
        "localhost",
        "--allow-notification-target",
        "127.0.0.1",
    ];
    let url = format!("https://localhost:{}/", receiver.port);
    let ca = ca_file();
    let trusting = Program::start(contactd(&[&arguments[..], &["--ca-file", ca.to_str().unwrap()]].concat()));
    let ann = trusting.user("ann");
    subscribe(&ann, &url);
    let made = ann.post("/me/contacts", "{}").id();
    assert_eq!(ids(&receiver.wait("/", 1)), [made]);
    let stranger = Program::start(contactd(&arguments));
    let end = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let terms = |url: &str| json!({"changeType": "created", "notificationUrl": url, "resource": "me/contacts", "expirationDateTime": end});
    let requests_before = receiver.requests().len();
    for (server, url, why) in [
        (&stranger, url.clone(), "a host without a trusted certificate"),
        // The certificate has another name.
        (&trusting, format!("https://127.0.0.1:{}/", receiver.port), "a host without a trusted certificate"),
        (&trusting, format!("http://localhost:{}/", receiver.port), "HTTP"),
    ] {
        let refused = server.user("ann").post("/subscriptions", terms(&url));
        assert_eq!(refused.error(), (400, "ValidationError".into(), "notificationUrl".into()), "{url}");
        assert!(refused.message().contains(why), "{}", refused.message());
    }
    assert_eq!(receiver.requests().len(), requests_before);
    for bad in ["no/such/file", "Cargo.toml"] {
        let (code, text) = fails(contactd(&["serve", "--dev", "--ca-file", bad]));
        assert!(code == 1 && text.contains("--ca-file") && !text.contains("panicked"), "{text}");
    }
    for (flag, bad) in [("--allow-notification-target", "http://x"), ("--notification-times", "1,1,1")] {
        let (code, text) = fails(contactd(&["serve", "--dev", flag, bad]));
        assert!(code == 2 && text.contains("expected"), "{text}");
    }
}
