//! kill -9 in the middle of a write storm. Time budget: 60 seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::SEED_REQUEST;
use crate::program::{Program, serve_dev};
use crate::storm::Answers;

/// The tables of a contact, and the number of rows for each contact that the test writes.
const CHILDREN: [(&str, i64); 8] = [
    ("emails", 1),
    ("phones", 1),
    ("addresses", 1),
    ("websites", 1),
    ("flags", 1),
    ("categories", 1),
    ("im_addresses", 1),
    ("children", 1),
];

#[test]
fn after_ten_kills_every_acknowledged_contact_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let mut answered: BTreeMap<String, ExpectedState> = BTreeMap::new();
    for round in 0..10 {
        let mut server = Program::start(serve_dev(&database));
        let ann = server.user("ann");
        for (id, last) in &answered {
            let answer = ann.get(&format!("/me/contacts/{id}"));
            match last {
                ExpectedState::Gone => assert_eq!(answer.status, 404, "{id} is back after it was deleted"),
                ExpectedState::Exists => assert_eq!(answer.status, 200),
                ExpectedState::Open => assert!([200, 404].contains(&answer.status)),
                ExpectedState::Is(last) => {
                    let mut read = answer.json(200);
                    read["@odata.context"] = last["@odata.context"].clone();
                    assert_eq!(read, *last, "round {round}");
                }
            }
        }
        let answers = Answers::default();
        let storm: Vec<Vec<(String, ExpectedState)>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..12)
                .map(|client| {
                    let (ann, answers) = (server.user("ann"), &answers);
                    scope.spawn(move || write_until_it_dies(&ann, client, answers))
                })
                .collect();
            answers.wait_for(11, Duration::from_millis(60 + 35 * round));
            server.child.kill().unwrap();
            server.ended(Duration::from_mins(1));
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        answered.extend(storm.into_iter().flatten());
        let rows = rusqlite::Connection::open(&database).unwrap();
        let number = |sql: &str| rows.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(rows.query_row("pragma integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
        let contacts = number("select count(*) from contacts");
        for (table, each) in CHILDREN {
            assert_eq!(number(&format!("select count(*) from {table}")), contacts * each, "half a contact in {table}");
        }
        assert_eq!(
            number("select coalesce(max(seq), 0) from changes"),
            number("select coalesce(sum(seq), 0) from mailboxes")
        );
        assert_eq!(
            number(
                "select count(*) from contacts where not exists (select 1 from changes where seq = version and contact_id = id)"
            ),
            0
        );
    }
    assert!(answered.len() > 100, "a storm of {} writes proves little", answered.len());
}

#[test]
fn a_create_with_a_key_is_executed_once_despite_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let mut answered: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..6 {
        let mut server = Program::start(serve_dev(&database));
        let address = server.address.clone();
        let answers = Answers::default();
        // Each client retries with the key whose answer it has not received, as an SDK does.
        let storm: Vec<Vec<(String, String)>> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|client| {
                    let (address, answered, answers) = (address.clone(), &answered, &answers);
                    scope.spawn(move || {
                        let mut done = Vec::new();
                        for i in 0.. {
                            let key = format!("{client}-{i}");
                            let ann = crate::app::Client::new(&address, "ann").with("Idempotency-Key", &key);
                            let Ok(answer) = ann.try_send("POST", "/me/contacts/$ref", Some(SEED_REQUEST.into()))
                            else {
                                break;
                            };
                            let id = answer.id();
                            match answered.get(&key) {
                                Some(earlier) => assert_eq!(earlier, &id, "round {round}: {key}"),
                                None => answers.add(),
                            }
                            done.push((key, id));
                        }
                        done
                    })
                })
                .collect();
            answers.wait_for(10, Duration::from_millis(150 + 60 * round));
            server.child.kill().unwrap();
            server.ended(Duration::from_mins(1));
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        answered.extend(storm.into_iter().flatten());
        let rows = rusqlite::Connection::open(&database).unwrap();
        let number = |sql: &str| rows.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let keys = number("select count(*) from idempotency_keys");
        assert_eq!(number("select count(*) from contacts"), keys);
        // An answer may be lost, but not an acknowledged write.
        assert!((0..=8).contains(&(keys - i64::try_from(answered.len()).unwrap())), "{keys} keys");
    }
    assert!(answered.len() > 50, "a storm of {} writes proves little", answered.len());
}

/// The expected state of a contact.
enum ExpectedState {
    /// It exists as answered.
    Is(Value),
    /// It exists. The answer to a change did not arrive.
    Exists,
    /// It was deleted.
    Gone,
    /// The answer to its deletion did not arrive.
    Open,
}

/// Creates, changes and deletes contacts until the server ends.
fn write_until_it_dies(ann: &crate::app::Client, client: usize, answers: &Answers) -> Vec<(String, ExpectedState)> {
    let mut answered = Vec::new();
    for i in 0.. {
        let Ok(created) = ann.try_send("POST", "/me/contacts/$ref", Some(SEED_REQUEST.into())) else { break };
        let path = format!("/me/contacts/{}", created.id());
        if i % 4 == 1 {
            match ann.try_send("PATCH", &path, Some(json!({"title": format!("{client}-{i}")}).to_string().into())) {
                Ok(patched) => answered.push((patched.id(), ExpectedState::Is(patched.json(200)))),
                Err(_) => answered.push((created.id(), ExpectedState::Exists)),
            }
        } else if i % 4 == 3 {
            match ann.try_send("DELETE", &path, None) {
                Ok(deleted) => {
                    deleted.empty(204);
                    answered.push((created.id(), ExpectedState::Gone));
                }
                Err(_) => answered.push((created.id(), ExpectedState::Open)),
            }
        } else {
            answered.push((created.id(), ExpectedState::Is(created.json(201))));
        }
        answers.add();
    }
    answered
}
