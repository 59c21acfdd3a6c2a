//! Creates over HTTP beside a plain loop that stores the same rows, in a SQLite file: `cargo bench --bench creates`.
//!
//! The loop uses rusqlite directly: prepared statements, one transaction per contact, the same schema
//! and the same durability (WAL, synchronous=FULL). All kinds take turns, and the result is the ratio to the loop of the
//! same round, because the load on the machine changes.
//!
//! The cost of the rights check and the audit log is measured without HTTP: the same creates by the program itself, and on
//! behalf of a user with a stored token.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::time::Duration;

use load::figures::Figures;
use load::{Client, Server, by_library, median, plain_sqlite, together};

const ROUNDS: usize = 5;
/// Duration of one kind in a round.
const SPAN: Duration = Duration::from_millis(1_500);

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kinds: [(&str, usize); 3] = [("1 connection", 1), ("16 connections", 16), ("64 connections", 64)];
    let mut plain = Vec::new();
    let mut http = vec![Vec::new(); kinds.len()];
    let mut rights = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let database = folder.path().join(format!("plain{round}.db"));
        plain.push(plain_sqlite(SPAN, &database));
        for (guarded, rates) in [false, true].into_iter().zip(&mut rights) {
            let database = folder.path().join(format!("rights{guarded}{round}.db"));
            rates.push(by_library(SPAN, &database, guarded));
        }
        let database = folder.path().join(format!("server{round}.db"));
        let server = Server::start(database.to_str().unwrap(), &["ann"]);
        for ((_, connections), rates) in kinds.iter().zip(&mut http) {
            rates.push(together(SPAN, *connections, |_| Client::creates(&server.address, "ann")));
        }
    }
    println!(
        "creates per second, median of {ROUNDS} interleaved rounds of {SPAN:?} each, and the ratio to the plain loop"
    );
    println!("{:<34}{:>10.0}{:>8.2}", "plain loop, rusqlite", median(plain.clone()), 1.0);
    let mut figures = Figures::new("creates", "Creates per second beside a plain loop on SQLite; more is better");
    for ((name, _), rates) in kinds.iter().zip(http) {
        figures.add(&format!("over HTTP, {name}"), "/s", &rates, ("the plain loop", &plain));
        let ratios = rates.iter().zip(&plain).map(|(rate, plain)| rate / plain).collect();
        println!("{:<34}{:>10.0}{:>8.2}", format!("contactd over HTTP, {name}"), median(rates), median(ratios));
    }
    let [before, after] = rights;
    figures.add("by the library, with rights and the audit log", "/s", &after, ("without", &before));
    figures.keep();
    let ratios = after.iter().zip(&before).map(|(after, before)| after / before).collect();
    println!("\nthe same by the library, 16 at a time, and the ratio to the first");
    println!("{:<34}{:>10.0}{:>8.2}", "no rights looked at", median(before), 1.0);
    println!("{:<34}{:>10.0}{:>8.2}", "rights, and the audit log", median(after), median(ratios));
}
