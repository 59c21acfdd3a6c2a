//! Creates over HTTP beside a plain loop that stores the same rows: `cargo bench`.
//!
//! The loop is what one would write by hand: rusqlite, prepared statements, one transaction a contact, the same schema
//! and the same durability (WAL, synchronous=FULL). The server is the release binary in a process of its own; its
//! client here is a bare socket, since any HTTP library would be measured along with it. All kinds take turns, and
//! what counts is the ratio to the loop of the same round: the machine's disk and neighbours change by the minute.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contactd::store::{Database, Options, Store};
use rusqlite::{Connection, params};
use uuid::Uuid;

const ROUNDS: usize = 5;
/// How long one kind runs in a round.
const SPAN: Duration = Duration::from_millis(1_500);

/// One contact: two e-mails, two phones, an address, a website and a flag.
const BODY: &str = r##"{"@odata.type":"#microsoft.graph.contact","givenName":"Ann","surname":"Lee","jobTitle":"Engineer","companyName":"Acme","birthday":"1974-07-22T00:00:00Z","emailAddresses":[{"address":"ann@example.org","name":"Ann Lee","type":"work"},{"address":"ann@example.com","name":"Ann","type":"personal"}],"phones":[{"type":"business","number":"+1 732 555 0102"},{"type":"mobile","number":"+1 732 555 0103"}],"postalAddresses":[{"type":"home","street":"1 Elm","city":"Oslo","countryOrRegion":"Norway","postalCode":"0150"}],"websites":[{"type":"blog","address":"https://example.org/ann"}],"flag":{"flagStatus":"flagged","startDateTime":{"dateTime":"2024-01-01T00:00:00","timeZone":"UTC"}}}"##;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kinds: [(&str, usize); 3] = [("1 connection", 1), ("16 connections", 16), ("64 connections", 64)];
    let mut plain = Vec::new();
    let mut http = vec![Vec::new(); kinds.len()];
    for round in 0..ROUNDS {
        let database = folder.path().join(format!("plain{round}.db"));
        plain.push(plain_loop(&database));
        let database = folder.path().join(format!("server{round}.db"));
        let server = Server::start(&database);
        for ((_, connections), rates) in kinds.iter().zip(&mut http) {
            rates.push(server.creates(*connections));
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `work` for the span: how often a second.
fn rate(mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < SPAN {
        work();
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// The rows that one create of `BODY` writes, by hand.
fn plain_loop(database: &Path) -> f64 {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(&Database::File(database.into()), Options::default()).await.unwrap();
        store.user(&contactd::user::UserName::parse("ann").unwrap()).await.unwrap();
        store.close().await;
    });
    let connection = Connection::open(database).unwrap();
    connection
        .execute_batch(
            "pragma journal_mode=wal; pragma synchronous=full; pragma foreign_keys=on; pragma temp_store=memory",
        )
        .unwrap();
    let prepare = |sql: &str| connection.prepare(sql).unwrap();
    let mut begin = prepare("begin immediate");
    let mut commit = prepare("commit");
    let mut bump = prepare("update mailboxes set seq = seq + 1 where id = 1 returning seq");
    let mut change = prepare("insert into changes values (1, ?1, 'contacts', ?2, false, ?3)");
    let mut contact = prepare(
        "insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time, size,
            display_name_derived, display_name, given_name, surname, job_title, company_name, birthday, birthday_instant,
            display_name_key, given_name_key, surname_key, company_name_key)
         values (1, ?1, 'contacts', ?2, ?3, ?3, 400, true, 'Ann Lee', 'Ann', 'Lee', 'Engineer', 'Acme',
            '1974-07-22T00:00:00Z', 143683200000000, 'ann lee', 'ann', 'lee', 'acme')",
    );
    let mut email = prepare("insert into emails values (1, ?1, ?2, ?3, ?4, ?4, ?5, null)");
    let mut phone = prepare("insert into phones values (1, ?1, ?2, ?3, ?4)");
    let mut address =
        prepare("insert into addresses values (1, ?1, 0, 'home', null, '1 Elm', 'Oslo', null, 'Norway', '0150')");
    let mut website = prepare("insert into websites values (1, ?1, 0, 'blog', 'https://example.org/ann', null)");
    let mut flag =
        prepare("insert into flags values (1, ?1, 'flagged', null, null, null, null, '2024-01-01T00:00:00', 'UTC')");
    let mut now = 0_i64;
    rate(|| {
        now += 1;
        let id = Uuid::now_v7();
        let id = id.as_bytes().as_slice();
        begin.execute([]).unwrap();
        let seq: i64 = bump.query_row([], |row| row.get(0)).unwrap();
        change.execute(params![seq, id, now]).unwrap();
        contact.execute(params![id, seq, now]).unwrap();
        email.execute(params![id, 0, "Ann Lee", "ann@example.org", "work"]).unwrap();
        email.execute(params![id, 1, "Ann", "ann@example.com", "personal"]).unwrap();
        phone.execute(params![id, 0, "business", "+1 732 555 0102"]).unwrap();
        phone.execute(params![id, 1, "mobile", "+1 732 555 0103"]).unwrap();
        address.execute(params![id]).unwrap();
        website.execute(params![id]).unwrap();
        flag.execute(params![id]).unwrap();
        commit.execute([]).unwrap();
    })
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(database: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_contactd"))
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log-level", "off", "--database"])
            .arg(database)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("contactd listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    fn creates(&self, connections: usize) -> f64 {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..connections)
                .map(|_| {
                    let mut client = Client::connect(&self.address);
                    scope.spawn(move || rate(|| client.create()))
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let head =
            "POST /me/contacts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nContent-Type: application/json";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()).into_bytes();
        Self { stream, request, answer: vec![0; 64 << 10] }
    }

    fn create(&mut self) {
        self.stream.write_all(&self.request).unwrap();
        let mut read = 0;
        loop {
            read += self.stream.read(&mut self.answer[read..]).unwrap();
            let text = &self.answer[..read];
            if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(&text[..end]).unwrap();
                assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
                let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                if read == end + 4 + length.parse::<usize>().unwrap() {
                    return;
                }
            }
        }
    }
}
