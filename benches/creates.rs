//! Creates over HTTP beside a plain loop that stores the same rows, in a SQLite file: `cargo bench --bench creates`.
//!
//! The loop is what one would write by hand: rusqlite, prepared statements, one transaction a contact, the same schema
//! and the same durability (WAL, synchronous=FULL). All kinds take turns, and what counts is the ratio to the loop of the
//! same round: the machine's disk and neighbours change by the minute.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::time::Duration;

use load::{Client, Server, median, plain_sqlite, together};

const ROUNDS: usize = 5;
/// How long one kind runs in a round.
const SPAN: Duration = Duration::from_millis(1_500);

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kinds: [(&str, usize); 3] = [("1 connection", 1), ("16 connections", 16), ("64 connections", 64)];
    let mut plain = Vec::new();
    let mut http = vec![Vec::new(); kinds.len()];
    for round in 0..ROUNDS {
        let database = folder.path().join(format!("plain{round}.db"));
        plain.push(plain_sqlite(SPAN, &database));
        let database = folder.path().join(format!("server{round}.db"));
        let server = Server::start(database.to_str().unwrap());
        for ((_, connections), rates) in kinds.iter().zip(&mut http) {
            rates.push(together(SPAN, *connections, |_| Client::creates(&server.address, "ann")));
        }
    }
    println!(
        "creates per second, median of {ROUNDS} interleaved rounds of {SPAN:?} each, and the ratio to the plain loop"
    );
    println!("{:<34}{:>10.0}{:>8.2}", "plain loop, rusqlite", median(plain.clone()), 1.0);
    for ((name, _), rates) in kinds.iter().zip(http) {
        let ratios = rates.iter().zip(&plain).map(|(rate, plain)| rate / plain).collect();
        println!("{:<34}{:>10.0}{:>8.2}", format!("contactd over HTTP, {name}"), median(rates), median(ratios));
    }
}
