//! Resets, restores, copies of mailboxes and seeds by the control plane for tests, each beside a limit measured in the same run:
//! `cargo bench --bench states`.
//!
//! A restore of the whole store is compared with a plain copy of the file, one of a mailbox with `Store::insert_many` of its
//! contacts, and a seed with `insert_many` of the same contacts, built before. The goals are in milliseconds.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a bench panics where it is wrong")]

use std::path::Path;
use std::time::Instant;

use actix_web::dev::{Service, ServiceResponse};
use actix_web::{App, test};
use contactd::GraphSettings;
use contactd::domain::user::UserName;
use contactd::http::{Api, Settings};
use contactd::seed::{Generator, MIXED};
use contactd::store::{Database, Options, Store};
use serde_json::{Value, json};

const ROUNDS: usize = 15;
/// Number of contacts in the store, and in one mailbox.
const STORE_CONTACTS: u64 = 1_000;
const MAILBOX_CONTACTS: u64 = 100;

async fn control_millis<S, B, E>(app: &S, method: &str, path: &str, body: Value) -> f64
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = E>,
    B: actix_web::body::MessageBody,
    E: std::fmt::Debug,
{
    let request = test::TestRequest::with_uri(&format!("/_contactd{path}")).method(method.parse().unwrap());
    let request = request.insert_header(("Host", "localhost")).set_json(body).to_request();
    let started = Instant::now();
    let response = test::call_service(app, request).await;
    let took = started.elapsed();
    assert!(response.status().is_success(), "{method} {path}: {}", response.status());
    took.as_secs_f64() * 1_000.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print_row(name: &str, figures: Vec<f64>, limit: &str, limits: Vec<f64>, goal: &str) {
    let ratio = median(figures.iter().zip(&limits).map(|(figure, limit)| figure / limit).collect());
    println!("{name:<46}{:>8.1} ms{ratio:>8.2}  {limit} ({:.1} ms)  {goal}", median(figures), median(limits));
}

async fn inserted(folder: &Path, round: usize, count: u64) -> f64 {
    let path = folder.join(format!("insert-{count}-{round}.db"));
    let store = Store::open(&Database::File(path), Options::default()).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    let generator = Generator::new(1, MIXED).unwrap();
    let ready: Vec<_> = (0..count).map(|number| generator.contact(number)).collect();
    let started = Instant::now();
    let mut rest = ready;
    while !rest.is_empty() {
        let batch = rest.drain(..rest.len().min(500)).collect();
        store.insert_many(mailbox, batch).await.unwrap();
    }
    let took = started.elapsed();
    store.close().await;
    took.as_secs_f64() * 1_000.0
}

fn copied(file: &Path, folder: &Path) -> f64 {
    let target = folder.join("copied.db");
    let started = Instant::now();
    std::fs::copy(file, &target).unwrap();
    std::fs::File::open(&target).unwrap().sync_all().unwrap();
    started.elapsed().as_secs_f64() * 1_000.0
}

#[actix_web::main]
async fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("contacts.db");
    let store = Store::open(&Database::File(file.clone()), Options::default()).await.unwrap();
    let api = Api::for_tests(store.clone(), Settings::default(), GraphSettings::default());
    let app = test::init_service(App::new().service(api.service(""))).await;
    for number in 0..STORE_CONTACTS / MAILBOX_CONTACTS {
        control_millis(
            &app,
            "POST",
            "/seed",
            json!({"user": format!("u{number}"), "count": MAILBOX_CONTACTS, "seed": number}),
        )
        .await;
    }
    let saved = control_millis(&app, "PUT", "/snapshots/one", json!({})).await;
    let mut figures: [Vec<f64>; 8] = Default::default();
    for round in 0..ROUNDS {
        control_millis(&app, "POST", "/seed", json!({"user": "u0", "count": 10, "seed": 99})).await;
        figures[0].push(control_millis(&app, "POST", "/snapshots/one/restore", json!({})).await);
        figures[1].push(copied(&file, folder.path()));
        figures[2].push(control_millis(&app, "POST", "/snapshots/one/restore", json!({"users": ["u0"]})).await);
        figures[3].push(inserted(folder.path(), round, MAILBOX_CONTACTS).await);
        figures[4].push(control_millis(&app, "POST", "/users/copy/copy", json!({"from": "u1", "replace": true})).await);
        figures[5].push(control_millis(&app, "POST", "/reset", json!({"to": "empty"})).await);
        figures[6].push(control_millis(&app, "POST", "/seed", json!({"user": "all", "count": STORE_CONTACTS})).await);
        figures[7].push(inserted(folder.path(), round, STORE_CONTACTS).await);
        control_millis(&app, "POST", "/snapshots/one/restore", json!({})).await;
    }
    let [whole, file_copy, mailbox, inserts, copy, empty, seeded, many] = figures;
    println!("medians of {ROUNDS} rounds; {STORE_CONTACTS} contacts in the store, {MAILBOX_CONTACTS} in each mailbox");
    print_row("restore of the whole store", whole, "copy of the file", file_copy.clone(), "goal 30 ms");
    print_row("restore of a mailbox", mailbox, "insert_many of its contacts", inserts.clone(), "goal 20 ms");
    print_row("copy of a mailbox", copy, "insert_many of its contacts", inserts, "goal 20 ms");
    print_row("reset to nothing", empty, "copy of the file", file_copy, "");
    print_row("seed of 1,000 contacts", seeded, "insert_many of ready-made ones", many, "goal 1.25 times");
    println!("the snapshot took {saved:.1} ms");
    store.close().await;
}
