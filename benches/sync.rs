//! The cost of delta rounds and batches: `cargo bench --bench sync`.
//!
//! A round of delta after one change, in a mailbox of 1,000 contacts and in one of 100,000; and 20 creates in one batch beside
//! 20 one after the other. All kinds take turns, and the result is the ratio within a round.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::time::Instant;

use contactd::domain::contact::Text;
use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::user::UserName;
use contactd::store::{Database, Options, Store};
use load::figures::Figures;
use load::{Server, median};
use serde_json::{Value, json};

const ROUNDS: usize = 200;
const SIZES: [usize; 2] = [1_000, 100_000];
const STEPS: usize = 20;

fn fill(database: &Database, size: usize) {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(database, Options::default()).await.unwrap();
        let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
        for from in (0..size).step_by(500) {
            let named = |i| {
                let mut patch = ContactPatch::default();
                patch.texts[Text::DisplayName as usize] = Some(Some(format!("Person {i}")));
                patch
            };
            store.insert_many(mailbox, (from..from + 500).map(named).collect()).await.unwrap();
        }
        store.close().await;
    });
}

struct Client {
    agent: ureq::Agent,
    root: String,
}

impl Client {
    fn send(&self, method: &str, url: &str, body: Option<&Value>) -> Value {
        let url = if url.starts_with("http") { url.to_owned() } else { format!("{}{url}", self.root) };
        let request = ureq::http::Request::builder().method(method).uri(url).header("Authorization", "Bearer ann");
        let response = match body {
            None => self.agent.run(request.body(()).unwrap()),
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).unwrap())
            }
        };
        response.unwrap().into_body().read_json().unwrap()
    }
}

/// Its duration in microseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let done = work();
    (started.elapsed().as_secs_f64() * 1e6, done)
}

fn row(name: &str, micros: &[f64], base: &[f64]) {
    let ratios = micros.iter().zip(base).map(|(micros, base)| micros / base).collect();
    println!("{name:<44}{:>10.0}{:>8.2}", median(micros.to_vec()), median(ratios));
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let place = |i: usize| folder.path().join(format!("{i}.db")).to_str().unwrap().to_owned();
    for (i, size) in SIZES.iter().enumerate() {
        fill(&place(i).parse().unwrap(), *size);
    }
    let servers: Vec<_> = (0..SIZES.len()).map(|i| Server::start(&place(i), &["ann"])).collect();
    let clients: Vec<_> = servers
        .iter()
        .map(|server| Client { agent: ureq::agent(), root: format!("http://{}", server.address) })
        .collect();
    let mut followed: Vec<_> = clients
        .iter()
        .map(|client| {
            let id = client.send("GET", "/me/contacts?$top=1&$select=id", None)["value"][0]["id"].clone();
            let now = client.send("GET", "/me/contacts/delta?$deltatoken=latest", None)["@odata.deltaLink"].clone();
            (id.as_str().unwrap().to_owned(), now.as_str().unwrap().to_owned())
        })
        .collect();
    let mut rounds = [Vec::new(), Vec::new()];
    let (mut batches, mut singles) = (Vec::new(), Vec::new());
    let create = json!({"displayName": "Ann Lee"});
    let steps: Vec<_> = (0..STEPS)
        .map(|i| json!({"id": i.to_string(), "method": "POST", "url": "/me/contacts", "body": create}))
        .collect();
    let batch = json!({"requests": steps});
    for i in 0..ROUNDS {
        for (at, (client, (id, link))) in clients.iter().zip(&mut followed).enumerate() {
            client.send("PATCH", &format!("/me/contacts/{id}"), Some(&json!({"jobTitle": i.to_string()})));
            let (micros, page) = timed(|| client.send("GET", link, None));
            assert_eq!(page["value"].as_array().unwrap().len(), 1);
            page["@odata.deltaLink"].as_str().unwrap().clone_into(link);
            rounds[at].push(micros);
        }
        if i.is_multiple_of(4) {
            batches.push(timed(|| clients[0].send("POST", "/$batch", Some(&batch))).0);
            let one_by_one = || {
                for _ in 0..STEPS {
                    clients[0].send("POST", "/me/contacts", Some(&create));
                }
            };
            singles.push(timed(one_by_one).0);
            // The next round needs one change again.
            let now = clients[0].send("GET", "/me/contacts/delta?$deltatoken=latest", None)["@odata.deltaLink"].clone();
            now.as_str().unwrap().clone_into(&mut followed[0].1);
        }
    }
    let mut figures = Figures::new("sync", "Delta and batches, microseconds; less is better");
    let (small, large) = (&rounds[0], &rounds[1]);
    figures.add("a delta round in 100,000 contacts", "µs", large, ("in 1,000", small));
    figures.add("20 creates in a batch", "µs", &batches, ("one after the other", &singles));
    figures.keep();
    println!("microseconds over HTTP, median of {ROUNDS} interleaved rounds, and the ratio");
    row(&format!("a delta round after one change, {}", SIZES[0]), &rounds[0], &rounds[0]);
    row(&format!("a delta round after one change, {}", SIZES[1]), &rounds[1], &rounds[0]);
    row("20 creates one after the other", &singles, &singles);
    row("20 creates in a batch", &batches, &singles);
}
