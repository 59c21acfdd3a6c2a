//! Both engines beside each other, and PostgreSQL under one and two contactd processes: `cargo bench --bench engines`.
//! PostgreSQL must be installed (`tests/run` does it); the bench starts a server of its own.
//!
//! 64 connections create contacts in one mailbox, in 64 or in 10,000, or read pages of 100 in one or 64. The plain loops use the
//! driver directly on one connection, one transaction per contact. All kinds take turns, and the result is the ratio to the
//! SQLite row of the same round.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;
#[path = "../tests/api/postgres.rs"]
mod postgres;

use std::time::Duration;

use load::figures::Figures;
use load::{Client, Server, median, plain_postgres, plain_sqlite, together};
use postgres::Postgres;

const ROUNDS: usize = 3;
/// Duration of one kind in a round.
const SPAN: Duration = Duration::from_millis(1_500);
const CONNECTIONS: usize = 64;
const MAILBOXES: [usize; 3] = [1, CONNECTIONS, 10_000];

/// The rates of one kind, by number of mailboxes and round.
#[derive(Default, Clone)]
struct Kind {
    creates: [Vec<f64>; 3],
    /// Not with 10,000 mailboxes, which would need a million contacts.
    reads: [Vec<f64>; 2],
}

impl Kind {
    /// One round on fresh processes, which share a database.
    fn measure(&mut self, servers: &[Server]) {
        let address = |i: usize| servers[i % servers.len()].address.as_str();
        for (at, mailboxes) in MAILBOXES.into_iter().enumerate() {
            // With two processes, both serve connections of each mailbox.
            let user = |i: usize| format!("m{mailboxes}-{}", (i / servers.len()) % mailboxes);
            let users = |i: usize| {
                (0..mailboxes.div_ceil(CONNECTIONS)).map(|turn| user(i + turn * CONNECTIONS)).collect::<Vec<_>>()
            };
            if mailboxes > CONNECTIONS {
                create_each(mailboxes.div_ceil(CONNECTIONS), |i| Client::creates_in_turn(address(i), &users(i)));
            }
            let creates = together(SPAN, CONNECTIONS, |i| Client::creates_in_turn(address(i), &users(i)));
            self.creates[at].push(creates);
            let Some(reads) = self.reads.get_mut(at) else { continue };
            // Every mailbox has a full page.
            for i in 0..mailboxes {
                let mut client = Client::creates(address(0), &user(i * servers.len()));
                (0..100).for_each(|_| {
                    client.call();
                });
            }
            reads.push(together(SPAN, CONNECTIONS, |i| Client::reads(address(i), &user(i))));
        }
    }
}

/// Creates a contact of each user of each connection, which creates the users.
fn create_each(turns: usize, client: impl Fn(usize) -> Client) {
    std::thread::scope(|scope| {
        for i in 0..CONNECTIONS {
            let mut client = client(i);
            scope.spawn(move || {
                for _ in 0..turns {
                    client.call();
                }
            });
        }
    });
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Postgres::shared();
    let mut kinds = [Kind::default(), Kind::default(), Kind::default()];
    let mut plain = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        plain[0].push(plain_sqlite(SPAN, &folder.path().join(format!("plain{round}.db"))));
        plain[1].push(plain_postgres(SPAN, &server.schema().url));
        let file = folder.path().join(format!("server{round}.db"));
        kinds[0].measure(&[Server::for_tests(file.to_str().unwrap())]);
        for processes in [1, 2] {
            let schema = server.schema();
            let servers: Vec<_> = (0..processes).map(|_| Server::for_tests(&schema.url)).collect();
            kinds[processes].measure(&servers);
        }
    }
    let cores = std::thread::available_parallelism().unwrap();
    println!(
        "per second over HTTP, {CONNECTIONS} connections, median of {ROUNDS} rounds of {SPAN:?} each, and the ratio"
    );
    println!("to SQLite. The {cores} cores are shared by contactd, PostgreSQL and this client, all at work at once.");
    let row = |name: &str, values: &[Vec<f64>], base: &[Vec<f64>]| {
        let columns = values.iter().zip(base).map(|(values, base)| {
            let ratios = values.iter().zip(base).map(|(value, base)| value / base).collect();
            format!("{:>10.0}{:>7.2}", median(values.clone()), median(ratios))
        });
        println!("{name:<34}{}", columns.collect::<String>());
    };
    let names = ["SQLite", "PostgreSQL", "PostgreSQL, 2 contactd processes"];
    println!("\n{:<34}{:>17}{:>17}{:>17}", "creates", "1 mailbox", "64 mailboxes", "10,000 mailboxes");
    for (name, kind) in names.iter().zip(&kinds) {
        row(name, &kind.creates, &kinds[0].creates);
    }
    for (name, rates) in ["plain loop on SQLite", "plain loop on PostgreSQL"].iter().zip(plain) {
        row(name, &[rates], &kinds[0].creates[..1]);
    }
    println!("\n{:<34}{:>17}{:>17}", "pages of 100", "1 mailbox", "64 mailboxes");
    for (name, kind) in names.iter().zip(&kinds) {
        row(name, &kind.reads, &kinds[0].reads);
    }
    let mut figures =
        Figures::new("engines", "Per second over HTTP at 64 connections, PostgreSQL beside SQLite; more is better");
    for (name, kind) in names.iter().zip(&kinds).skip(1) {
        for (at, mailboxes) in MAILBOXES.iter().enumerate() {
            let row_name = |what: &str| format!("{name}: {what}, mailboxes: {mailboxes}");
            figures.add(&row_name("creates"), "/s", &kind.creates[at], ("SQLite", &kinds[0].creates[at]));
            if let Some(reads) = kind.reads.get(at) {
                figures.add(&row_name("pages of 100"), "/s", reads, ("SQLite", &kinds[0].reads[at]));
            }
        }
    }
    figures.keep();
}
