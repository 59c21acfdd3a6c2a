//! Compares the answers to every call with a recording, one file for both engines. `UPDATE_GOLDEN=1` records it again.

use std::path::Path;

use serde_json::json;

use crate::app::Client;
use crate::both::checklist::served_calls;
use crate::postgres::Postgres;
use crate::program::{Program, contactd};
use crate::receiver::Receiver;
use crate::walk::{Stop, calls, walk};

/// Longest body that is recorded.
const MAX_BODY: usize = 8_000;

/// The answers in readable form.
fn text(stops: &[Stop], replaced: &[(&str, &str)]) -> String {
    let stop = |(call, answer): &Stop| {
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            format!("{name}: {}\n", value.to_str().unwrap())
        };
        // The length of a text with the version changes with the version.
        let headers = answer.headers.iter().filter(|(name, _)| *name != "content-length");
        let headers = headers.filter(|(name, _)| *name != "etag" || answer.body.len() <= MAX_BODY);
        let mut headers: Vec<_> = headers.map(header).collect();
        headers.sort();
        let body = match String::from_utf8(answer.body.clone()) {
            Ok(body) if body.len() <= MAX_BODY => body.replace('\r', "\\r"),
            // The description of the API changes with the API.
            Ok(_) => "(a long text)".to_owned(),
            Err(_) => format!("({} bytes)", answer.body.len()),
        };
        format!("### {call}\n{}\n{}\n{body}\n\n", answer.status, headers.concat())
    };
    let text = stops.iter().map(stop).collect::<String>();
    replaced.iter().fold(text, |text, (of, by)| text.replace(of, by))
}

fn recorded(database: &str) -> (Vec<Stop>, String) {
    let receiver = Receiver::new();
    let hook = receiver.url("/hook");
    let server = Program::start(contactd(&[
        "serve",
        "--dev",
        "--deterministic",
        "7",
        "--public-url",
        "http://contacts.example",
        "--allow-notification-target",
        "127.0.0.1",
        "--listen",
        "127.0.0.1:0",
        "--database",
        database,
    ]));
    let client = |user: &str| Client::new(&server.address, user);
    client("bob").get("/v1.0/me").json(200);
    let stops = walk(client, "ann", "bob", (&hook, "2026-01-02T00:00:00Z"));
    let text = text(&stops, &[(&hook, "{hook}"), (env!("CARGO_PKG_VERSION"), "{version}")]);
    (stops, text)
}

#[test]
fn every_call_is_answered_as_recorded_on_both_engines() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/walk.txt");
    let (stops, found) = recorded(":memory:");
    let served = served_calls().into_iter().map(|(method, path)| format!("{method} {path}"));
    assert_eq!(calls(&stops), served.collect(), "the walk goes through all that is served");
    if std::env::var("UPDATE_GOLDEN").as_deref() == Ok("1") {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    let schema = Postgres::shared().schema();
    for (engine, found) in [("sqlite", found), ("postgres", recorded(&schema.url).1)] {
        // A comparison of single answers gives a better message.
        for (found, expected) in found.split("### ").zip(expected.split("### ")) {
            assert_eq!(found, expected, "{engine}");
        }
        assert_eq!(found.len(), expected.len(), "{engine}");
    }
}

#[test]
fn seeded_data_is_answered_alike_on_both_engines() {
    let schema = Postgres::shared().schema();
    let seen = [":memory:", &schema.url].map(|database| {
        let flags = ["serve", "--dev", "--deterministic", "7", "--public-url", "http://contacts.example"];
        let server =
            Program::start(contactd(&[&flags[..], &["--listen", "127.0.0.1:0", "--database", database]].concat()));
        let seed_request = json!({"user": "ann", "count": 150, "seed": 42, "photos": 0.1}).to_string();
        let made =
            Client::new(&server.address, "").send("POST", "/_contactd/seed", Some(seed_request.into_bytes())).text();
        let list = server.user("ann").get("/me/contacts?$top=150&$orderby=id").text();
        let found = server.user("ann").get("/me/contacts?$search=%22example%22&$top=10").text();
        (made, list, found)
    });
    assert!(seen[0].1.len() > 50_000, "{}", seen[0].1);
    assert_eq!(seen[0], seen[1]);
}
