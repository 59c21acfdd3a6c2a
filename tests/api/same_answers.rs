//! The clock that tests control, and servers with repeatable answers. Both belong to a process, so each test runs the program.

use serde_json::{Value, json};

use crate::app::{Answer, Client};
use crate::postgres::Postgres;
use crate::program::{Program, contactd, fails};

fn start(database: &str, flags: &[&str]) -> Program {
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", database];
    Program::start(contactd(&[&serve, flags].concat()))
}

fn control(server: &Program, method: &str, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    Client::new(&server.address, "").send(method, &format!("/_contactd{path}"), body)
}

const USERS: [&str; 8] = ["ann", "bob", "cy", "dora", "erik", "fay", "gus", "hal"];
/// Number of calls in a round, and of each user. All users together make more than 500 calls.
const STEPS: usize = 14;
const CALLS: usize = 63;

/// Sends one of many kinds of call, and returns the complete answer without the address.
fn step(server: &Program, user: &str, number: usize, last: &mut Vec<Value>) -> String {
    let client = server.user(user);
    let (round, number) = (number / STEPS, number % STEPS);
    let id_of = |last: &[Value], i: usize| last[round * STEPS + i]["id"].as_str().unwrap_or("none").to_owned();
    let answer = match number {
        0 => client
            .post("/v1.0/me/contacts", json!({"givenName": user, "emailAddresses": [{"address": "a@example.org"}]})),
        1 => client.post("/me/contacts/$ref", json!({"givenName": "Second"})),
        2 => client.post("/v1.0/me/contactFolders", json!({"displayName": format!("Friends {round}")})),
        3 => {
            client.post(&format!("/v1.0/me/contactFolders/{}/contacts", id_of(last, 2)), json!({"givenName": "Third"}))
        }
        4 => client.post(
            "/v1.0/me/outlook/masterCategories",
            json!({"displayName": format!("Red {round}"), "color": "preset0"}),
        ),
        5 => client.patch(&format!("/v1.0/me/contacts/{}", id_of(last, 0)), json!({"surname": "Changed"})),
        6 => client.get("/v1.0/me/contacts?$top=1"),
        7 => client.get("/v1.0/me/contacts/delta"),
        8 => client.get("/v1.0/me/contacts/none"),
        9 => client.delete(&format!("/v1.0/me/contacts/{}", id_of(last, 3))),
        10 => {
            let body = json!({"givenName": "Step"});
            let headers = json!({"Content-Type": "application/json"});
            let create =
                |id: &str| json!({"id": id, "method": "POST", "url": "/me/contacts", "headers": headers, "body": body});
            client.post(
                "/v1.0/$batch",
                json!({"requests": [create("1"), create("2"), {"id": "3", "method": "GET", "url": "/me/contacts/x"}]}),
            )
        }
        11 => client.get("/v1.0/me"),
        12 => client.get("/v1.0/me/deletedContacts"),
        _ => client.get("/v1.0/me/contacts?$orderby=givenName&$count=true"),
    };
    last.push(serde_json::from_slice(&answer.body).unwrap_or_default());
    let mut headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    headers.sort();
    let text = format!("{}\n{}\n{}", answer.status, headers.concat(), String::from_utf8(answer.body).unwrap());
    text.replace(&server.origin, "{base}")
}

/// The answers to each user, in one of three orders of the calls.
fn answers(server: &Program, order: usize) -> Vec<Vec<String>> {
    let alone = |user: &str| {
        let mut last = Vec::new();
        (0..CALLS).map(|number| step(server, user, number, &mut last)).collect::<Vec<_>>()
    };
    match order {
        0 => USERS.iter().map(|user| alone(user)).collect(),
        1 => {
            let mut all_answers: Vec<(Vec<String>, Vec<Value>)> = USERS.iter().map(|_| Default::default()).collect();
            for number in 0..CALLS {
                for (user, (answers, last)) in USERS.iter().zip(&mut all_answers).rev() {
                    answers.push(step(server, user, number, last));
                }
            }
            all_answers.into_iter().map(|(answers, _)| answers).collect()
        }
        _ => std::thread::scope(|scope| {
            let running: Vec<_> = USERS.iter().map(|user| scope.spawn(|| alone(user))).collect();
            running.into_iter().map(|user| user.join().unwrap()).collect()
        }),
    }
}

/// Compares single answers, which gives a better message.
#[track_caller]
fn assert_same(found: &[Vec<String>], expected: &[Vec<String>]) {
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!(found, expected);
    }
}

#[test]
fn answers_to_one_user_do_not_depend_on_other_users_on_both_engines() {
    let flags = ["--deterministic", "42"];
    let expected = answers(&start(":memory:", &flags), 0);
    assert!(expected[0][0].contains("date: Thu, 01 Jan 2026 00:00:00 GMT"), "{}", expected[0][0]);
    assert!(expected[0][0].contains("\"createdDateTime\":\"2026-01-01T00:00:00Z\""), "{}", expected[0][0]);
    for order in [1, 2] {
        assert_same(&answers(&start(":memory:", &flags), order), &expected);
    }
    for order in [0, 1, 2] {
        let schema = Postgres::shared().schema();
        assert_same(&answers(&start(&schema.url, &flags), order), &expected);
    }
    let server = start(":memory:", &flags);
    for order in [1, 2] {
        assert_same(&answers(&server, order), &expected);
        control(&server, "POST", "/reset", json!({})).empty(204);
    }
    let other = start(":memory:", &["--deterministic", "43"]);
    assert_ne!(step(&other, "ann", 0, &mut Vec::new()), expected[0][0]);
    let (code, text) = fails(contactd(&["serve", "--deterministic", "1", "--database", ":memory:"]));
    assert!(code == 1 && text.contains("needs --dev"), "{text}");
}

#[test]
fn advancing_a_stopped_clock_runs_the_work_that_is_due() {
    let server = start(":memory:", &[]);
    let ann = server.user("ann");
    let clock = |method: &str, path: &str, body: Value| control(&server, method, path, body);
    assert_eq!(clock("GET", "/clock", Value::Null).json(200)["mode"], "system");
    assert_eq!(clock("POST", "/clock/advance", json!({"by": "P1D"})).status, 400);
    let frozen = clock("PUT", "/clock", json!({"mode": "frozen", "now": "2027-03-01T12:00:00Z"})).json(200);
    assert_eq!(frozen, json!({"mode": "frozen", "now": "2027-03-01T12:00:00Z", "tick": "PT0S"}));
    let made = ann.post("/v1.0/me/contacts", json!({"givenName": "Ann"}));
    assert_eq!(made.header("date"), "Mon, 01 Mar 2027 12:00:00 GMT");
    assert_eq!(made.json(201)["createdDateTime"], "2027-03-01T12:00:00Z");
    let link = ann.get("/v1.0/me/contacts/delta").json(200)["@odata.deltaLink"].as_str().unwrap().to_owned();
    ann.delete(&format!("/v1.0/me/contacts/{}", made.id())).empty(204);
    let advance = |by: &str| clock("POST", "/clock/advance", json!({"by": by})).json(200);
    assert_eq!(
        advance("P29D"),
        json!({"now": "2027-03-30T12:00:00Z", "done": {"purged": 0, "tokensExpired": 0, "subscriptionsEnded": 0}})
    );
    assert_eq!(ann.get("/v1.0/me/deletedContacts").json(200)["value"].as_array().unwrap().len(), 1);
    assert_eq!(advance("P2D")["done"]["purged"], 1);
    assert_eq!(ann.get("/v1.0/me/deletedContacts").json(200)["value"], json!([]));
    assert_eq!(ann.get(&link).status, 200);
    advance("P100D");
    assert_eq!(ann.get(&link).error(), (410, "SyncStateNotFound".to_owned(), String::new()));
    for (body, target) in [
        (json!({"mode": "frozen", "now": "2027-03-01T12:00:00Z"}), "now"),
        (json!({"mode": "frozen", "now": "tomorrow"}), "now"),
        (json!({"mode": "system"}), "mode"),
        (json!({"mode": "slow"}), "mode"),
    ] {
        let (status, _, found) = clock("PUT", "/clock", body.clone()).error();
        assert_eq!((status, found.as_str()), (400, target), "{body}");
    }
    for body in [json!({}), json!({"by": "P1D", "to": "2029-01-01T00:00:00Z"}), json!({"to": "2027-01-01T00:00:00Z"})] {
        assert_eq!(clock("POST", "/clock/advance", body.clone()).status, 400, "{body}");
    }
    // With a ticking clock, writes have different times.
    clock("PUT", "/clock", json!({"mode": "frozen", "tick": "PT1S"})).json(200);
    let times: Vec<_> =
        (0..3).map(|_| ann.post("/v1.0/me/contacts", "{}").json(201)["createdDateTime"].clone()).collect();
    assert!(times[0].as_str() < times[1].as_str() && times[1].as_str() < times[2].as_str(), "{times:?}");
    clock("POST", "/settle", json!({})).empty(204);
    // A reset sets the clock back.
    clock("POST", "/reset", json!({})).empty(204);
    assert_eq!(clock("GET", "/clock", Value::Null).json(200)["mode"], "system");
}

#[test]
fn a_reset_restores_the_content_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let database = database.to_str().unwrap();
    drop({
        let server = start(database, &[]);
        server.user("ann").post("/v1.0/me/contacts", json!({"givenName": "First"})).json(201);
        server
    });
    let server = start(database, &[]);
    let ann = server.user("ann");
    let before = ann.get("/v1.0/me/contacts").json(200);
    assert_eq!(before["value"].as_array().unwrap().len(), 1);
    ann.post("/v1.0/me/contacts", json!({"givenName": "Second"})).json(201);
    control(&server, "POST", "/reset", json!({})).empty(204);
    assert_eq!(ann.get("/v1.0/me/contacts").json(200), before);
    control(&server, "POST", "/reset", json!({"to": "empty"})).empty(204);
    assert_eq!(ann.get("/v1.0/me/contacts").json(200)["value"], json!([]));
}
