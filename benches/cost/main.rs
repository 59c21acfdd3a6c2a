//! The cost of a call on the server: `cargo bench --bench cost` (Linux, SQLite).
//!
//! User and system processor time of the server process per call, at several numbers of connections.
//! Beside each call is its limit, measured in the same run: the same rows with rusqlite, or an actix server that
//! answers with as many bytes. Processor time is steadier than rates on a machine that others use. All kinds take turns.
//!
//! Then the server's memory, and the bytes of a contact in the file, by table and index.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]
#![allow(clippy::cast_precision_loss, reason = "these are small numbers")]

mod limits;
#[path = "../load/mod.rs"]
mod load;

use std::path::Path;
use std::time::Duration;

use limits::Rows;
use load::figures::Figures;
use load::{BODY, Client, Server, counted, median};
use rusqlite::Connection;

const ROUNDS: usize = 3;
/// Duration of one kind in a round.
const SPAN: Duration = Duration::from_millis(1_500);
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// A small contact: a name, an e-mail address and a phone number.
const SMALL: &str = r#"{"givenName":"Ann","surname":"Lee","emailAddresses":[{"address":"ann@example.org","name":"Ann Lee"}],"businessPhones":["+1 732 555 0102"]}"#;

/// A call, and the owner of its mailbox.
#[derive(Clone)]
struct Call {
    name: &'static str,
    user: &'static str,
    path: String,
    body: Option<&'static str>,
    connections: &'static [usize],
}

impl Call {
    fn client(&self, address: &str) -> Client {
        match self.body {
            Some(body) => Client::posts(address, self.user, &self.path, body),
            None => Client::gets(address, self.user, &self.path),
        }
    }

    /// Processor time of a call in microseconds, by number of connections.
    fn cost(&self, server: &Server) -> Vec<f64> {
        let cost = |connections: &usize| {
            let before = server.processor();
            let calls = counted(SPAN, *connections, |_| self.client(&server.address));
            (server.processor() - before) / calls
        };
        self.connections.iter().map(cost).collect()
    }
}

/// Measurements by round.
#[derive(Default)]
struct Measured(Vec<Vec<f64>>);

impl Measured {
    /// One of them in each round.
    fn of(&self, at: usize) -> Vec<f64> {
        self.0.iter().map(|round| round[at]).collect()
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--hello") {
        return limits::serve_hello(arguments[at + 1].parse().unwrap());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let database = folder.path().join("server.db");
    let server = Server::start(database.to_str().unwrap(), &["small", "seed", "creator"]);
    std::thread::sleep(Duration::from_secs(1));
    let idle = server.resident();
    let create = |user, path: &str, body| Client::posts(&server.address, user, path, body);
    for (user, path, body) in [("small", "/v1.0/me/contacts", SMALL), ("seed", "/me/contacts", BODY)] {
        let mut client = create(user, path, body);
        (0..200).for_each(|_| {
            client.call();
        });
    }
    let answer = create("seed", "/me/contacts", BODY).call().to_vec();
    let made: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let get = format!("/me/contacts/{}", made["id"].as_str().unwrap());
    let page = "/me/contacts?$top=100".to_owned();
    let call =
        |name, user, path: &str, body| Call { name, user, path: path.to_owned(), body, connections: &CONNECTIONS };
    let calls = [
        call("create of a contact like the seed's", "creator", "/me/contacts", Some(BODY)),
        call("create of a small contact, /v1.0", "creator", "/v1.0/me/contacts", Some(SMALL)),
        call("a contact by its id", "seed", &get, None),
        call("a page of 100 small contacts", "small", &page, None),
        call("a page of 100 like the seed's", "seed", &page, None),
        call("/healthz", "seed", "/healthz", None),
    ];
    let hello = limits::hello(answer.len());
    let greeting = Call { connections: &CONNECTIONS, ..call("hello", "", "/", None) };
    let mut costs: Vec<_> = calls.iter().map(|_| Measured::default()).collect();
    let mut hellos = Measured::default();
    let mut by_hand = Measured::default();
    let (mut bytes, mut after) = ([0, 0], 0.0);
    for _ in 0..ROUNDS {
        for (call, costs) in calls.iter().zip(&mut costs) {
            costs.0.push(call.cost(&server));
        }
        hellos.0.push(greeting.cost(&hello));
        let mut round = Vec::new();
        for rows in [(true, false), (true, true), (false, false), (false, true)] {
            let (seed, all) = rows;
            round.push(limits::create(folder.path(), Rows { seed, all }, 40));
        }
        for (i, user) in ["small", "seed"].iter().enumerate() {
            let (cost, size) = limits::page(&database, mailbox(&database, user), 1_000);
            round.push(cost);
            bytes[i] = size;
        }
        by_hand.0.push(round);
        after = server.resident();
    }
    let mut figures =
        Figures::new("cost", "Processor microseconds of the server per call, beside the limit; less is better");
    print(&calls, &costs, &hellos, &by_hand, &mut figures);
    println!("\na page by hand has {} bytes of small contacts, {} of the seed's", bytes[0], bytes[1]);
    let created = count(&database, "select count(*) from contacts");
    let (idle, after) = (idle / 1e6, after / 1e6);
    println!("\nresident memory of the server in MB: {idle:.1} idle, {after:.1} after {created} creates");
    figures.add("resident memory, idle", "MB", &[idle], ("15 MB", &[15.0]));
    figures.add(&format!("resident memory after {created} creates"), "MB", &[after], ("40 MB", &[40.0]));
    drop(server);
    for (name, path, body) in [("the seed's", "/me/contacts", BODY), ("the small one", "/v1.0/me/contacts", SMALL)] {
        let size = sizes(folder.path(), name, path, body);
        let json = f64::from(u32::try_from(body.len()).unwrap());
        figures.add(&format!("bytes in the file, a contact like {name}"), "B", &[size], ("its JSON", &[json]));
    }
    figures.keep();
}

fn print(calls: &[Call], costs: &[Measured], hellos: &Measured, by_hand: &Measured, figures: &mut Figures) {
    println!("processor microseconds of the server per call, median of {ROUNDS} interleaved rounds of {SPAN:?} each,");
    println!("at so many connections, and the ratio to the limit at the largest number\n");
    println!("{:<38}{:>8}{:>8}{:>8}{:>12}{:>8}", "", 1, 16, 64, "the limit", "ratio");
    let limit = |name, at| (name, by_hand.of(at));
    let hello = || ("an actix hello", hellos.of(2));
    let limits = [
        vec![limit("its tables' rows by hand", 0), limit("all its rows by hand", 1)],
        vec![limit("its tables' rows by hand", 2), limit("all its rows by hand", 3)],
        vec![hello()],
        vec![limit("SQL and serde by hand", 4)],
        vec![limit("SQL and serde by hand", 5)],
        vec![hello()],
    ];
    for ((call, costs), limits) in calls.iter().zip(costs).zip(limits) {
        print!("{:<38}", call.name);
        for (i, connections) in CONNECTIONS.iter().enumerate() {
            print!("{:>8.0}", median(costs.of(i)));
            let (name, rounds) = &limits[0];
            figures.add(&format!("{}, {connections} at once", call.name), "µs", &costs.of(i), (name, rounds));
        }
        for (i, (name, rounds)) in limits.iter().enumerate() {
            let indent = if i == 0 { 0 } else { 62 };
            let limit = median(rounds.clone());
            println!("{:indent$}{limit:>12.0}{:>8.1}  {name}", "", median(costs.of(2)) / limit);
        }
        if let Some((name, rounds)) = limits.get(1) {
            figures.add(&format!("{}, 64 at once", call.name), "µs", &costs.of(2), (name, rounds));
        }
    }
    print!("{:<38}", "an actix hello of a contact's size");
    (0..CONNECTIONS.len()).for_each(|i| print!("{:>8.0}", median(hellos.of(i))));
    println!();
}

fn mailbox(database: &Path, user: &str) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row("select mailbox from users where id = ?1", [user], |row| row.get(0)).unwrap()
}

fn count(database: &Path, sql: &str) -> i64 {
    Connection::open(database).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Prints and returns the bytes of a contact in the file, by table and index.
fn sizes(folder: &Path, name: &str, path: &str, body: &str) -> f64 {
    let database = folder.join("sizes.db");
    let server = Server::start(database.to_str().unwrap(), &["ann"]);
    let made = counted(Duration::from_secs(4), 64, |_| Client::posts(&server.address, "ann", path, body));
    drop(server);
    let connection = Connection::open(&database).unwrap();
    let sql = "select name, sum(pgsize) as size from dbstat group by name order by size desc";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, f64)> = rows.map(Result::unwrap).collect();
    let total: f64 = rows.iter().map(|(_, size)| size).sum();
    println!("\nbytes in the file per contact like {name}, of {made}: {:.0}", total / made);
    for (name, size) in rows.iter().filter(|(_, size)| size / made >= 1.0) {
        println!("  {name:<36}{:>8.0}", size / made);
    }
    drop(statement);
    drop(connection);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("sizes.db{suffix}")));
    }
    total / made
}
