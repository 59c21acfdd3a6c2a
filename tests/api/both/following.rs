//! Several clients create, change, move and delete; others read delta. After every round a follower's copy equals the server's list.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

/// A client that keeps a copy of a list.
pub struct Follower {
    /// The client for the next request, possibly of another process.
    pub client: Client,
    list: String,
    /// The delta link, without its host.
    link: String,
    copy: BTreeMap<String, Value>,
}

impl Follower {
    pub fn new(client: &Client, list: &str) -> Self {
        Self { client: client.clone(), list: list.to_owned(), link: format!("{list}/delta"), copy: BTreeMap::new() }
    }

    /// Follows links to the end of the round, with this page size.
    pub fn round(&mut self, size: usize) {
        let client = self.client.with("Prefer", &format!("odata.maxpagesize={size}"));
        loop {
            let page = client.get(&self.link).json(200);
            for entry in page["value"].as_array().unwrap() {
                let id = entry["id"].as_str().unwrap().to_owned();
                if entry.get("@removed").is_some() {
                    self.copy.remove(&id)
                } else {
                    self.copy.insert(id, entry.clone())
                };
            }
            let [next, delta] =
                ["@odata.nextLink", "@odata.deltaLink"].map(|name| page.get(name).map(|link| link.as_str().unwrap()));
            assert!(next.is_some() != delta.is_some(), "{page}");
            let link = next.or(delta).unwrap().strip_prefix("http://").unwrap();
            link[link.find('/').unwrap()..].clone_into(&mut self.link);
            if delta.is_some() {
                return;
            }
        }
    }

    /// Asserts that the copy equals the server's list.
    pub fn check(&self) {
        let mut listed = BTreeMap::new();
        let mut link = format!("{}?$top=1000", self.list);
        loop {
            let page = self.client.get(&link).json(200);
            for contact in page["value"].as_array().unwrap() {
                listed.insert(contact["id"].as_str().unwrap().to_owned(), contact["@odata.etag"].clone());
            }
            match page.get("@odata.nextLink") {
                Some(next) => next.as_str().unwrap().clone_into(&mut link),
                None => break,
            }
        }
        let copy: BTreeMap<_, _> =
            self.copy.iter().map(|(id, contact)| (id.clone(), contact["@odata.etag"].clone())).collect();
        assert_eq!(copy, listed, "{}", self.list);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Change(Index),
    Move(Index, usize),
    Delete(Index),
    DeleteFolder,
    Round(Index, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Step::Create),
        2 => any::<Index>().prop_map(Step::Change),
        2 => (any::<Index>(), 0..3_usize).prop_map(|(i, folder)| Step::Move(i, folder)),
        2 => any::<Index>().prop_map(Step::Delete),
        1 => Just(Step::DeleteFolder),
        3 => (any::<Index>(), 1..6_usize).prop_map(|(i, size)| Step::Round(i, size)),
    ]
}

const FOLDERS: [&str; 3] = ["contacts", "Friends", "Gone"];

fn run(app: &TestApp, user: &str, steps: Vec<Step>) {
    let client = app.user(user);
    client.post("/me/contacts", json!({"parentFolderId": "Friends"}));
    let lists = [
        "/me/contacts",
        "/v1.0/me/contacts",
        "/me/contactFolders/Friends/contacts",
        "/beta/me/contactFolders/contacts/contacts",
    ];
    let mut followers: Vec<_> = lists.iter().map(|list| Follower::new(&client, list)).collect();
    for step in steps {
        let list_all =
            || client.get("/me/contacts?$top=1000&$select=id").json(200)["value"].as_array().unwrap().clone();
        let pick = |i: Index| {
            let list_all = list_all();
            (!list_all.is_empty()).then(|| format!("/me/contacts/{}", i.get(&list_all)["id"].as_str().unwrap()))
        };
        match step {
            Step::Create(folder) => {
                assert_eq!(client.post("/me/contacts", json!({"parentFolderId": FOLDERS[folder]})).status, 201);
            }
            Step::Change(i) => {
                pick(i).map(|path| client.patch(&path, json!({"jobTitle": "x"})).json(200));
            }
            Step::Move(i, folder) => {
                // The folder may be deleted, which is a 404.
                pick(i).map(|path| client.patch(&path, json!({"parentFolderId": FOLDERS[folder]})).status);
            }
            Step::Delete(i) => {
                pick(i).map(|path| client.delete(&path).status);
            }
            Step::DeleteFolder => {
                client.delete("/me/contactFolders/Gone");
            }
            Step::Round(i, size) => {
                let follower = &mut followers[i.index(lists.len())];
                follower.round(size);
                follower.check();
            }
        }
    }
    for follower in &mut followers {
        follower.round(3);
        follower.check();
    }
}

#[test]
fn after_every_delta_round_a_client_has_the_servers_state() {
    let app = TestApp::new();
    let number = AtomicUsize::new(0);
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&proptest::collection::vec(step(), 1..40), |steps| {
            let number = number.fetch_add(1, Ordering::SeqCst);
            run(&app, &format!("ann{number}"), steps);
            Ok(())
        })
        .unwrap();
}

#[test]
fn delta_misses_nothing_during_concurrent_writes() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|i| {
                let client = ann.clone();
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    for n in 0..60_usize {
                        ids.push(client.post("/me/contacts", json!({"displayName": format!("{i}-{n}")})).id());
                        let path = format!("/me/contacts/{}", ids[n * 7 % ids.len()]);
                        match n % 3 {
                            0 => client.patch(&path, json!({"parentFolderId": "contacts", "surname": "x"})).status,
                            1 => client.delete(&path).status,
                            _ => client.patch(&path, json!({"surname": "y"})).status,
                        };
                    }
                })
            })
            .collect();
        for size in [1, 3, 50] {
            let (client, done) = (ann.clone(), &done);
            scope.spawn(move || {
                let mut follower = Follower::new(&client, "/me/contacts");
                while !done.load(Ordering::SeqCst) {
                    follower.round(size);
                }
                follower.round(size);
                follower.check();
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(app.count("select count(*) - max(seq) from changes where folder_id = 'contacts'"), 0);
}
