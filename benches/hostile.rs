//! How an attack affects other users: `cargo bench --bench hostile`.
//!
//! One attacker at a time, with the token of a user or without any, has 500 connections to a server at its defaults and does
//! the most harmful requests known on all of them. Meanwhile two users list contacts, one at another address and one at the
//! attacker's own. What counts is the median of their lists, as a ratio to the calm one of the same run, and that nothing is 5xx for them.
//! `HOSTILE_SECONDS` says how long each attack goes on (10 unless it is set), `HOSTILE_ONLY` which is run.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contactd::domain::contact::Text;
use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::scopes::Scopes;
use contactd::domain::secret;
use contactd::domain::user::{Principal, UserName};
use contactd::store::{Database, NewToken, Options, Store};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

const CONNECTIONS: usize = 500;
const CONTACTS: usize = 20_000;
/// Contacts of a mebibyte each.
const LARGE: usize = 8;
/// Limit: how many times the calm median the lists may take.
const MAX_RATIO: f64 = 20.0;
const CALM: Duration = Duration::from_secs(2);
const USERS: [&str; 3] = ["mallory", "ann", "bob"];

fn token(user: &str) -> String {
    format!("token-of-{user}")
}

/// Creates users with a token and contacts. Returns the ids of the first user's large contacts.
fn fill(database: &Database) -> Vec<String> {
    actix_web::rt::System::new().block_on(async {
        let store = Store::open(database, Options::default()).await.unwrap();
        let mut large = Vec::new();
        for user in USERS {
            let name = UserName::parse(user).unwrap();
            let mailbox = store.user(&name).await.unwrap().mailbox;
            for from in (0..CONTACTS).step_by(500) {
                let named = |i| {
                    let mut patch = ContactPatch::default();
                    patch.texts[Text::DisplayName as usize] = Some(Some(format!("Person {i} of everybody")));
                    patch.texts[Text::PersonalNotes as usize] = Some(Some(format!("met in {}", i % 100)));
                    patch
                };
                store.insert_many(mailbox, (from..from + 500).map(named).collect()).await.unwrap();
            }
            for i in 0..LARGE {
                let mut patch = ContactPatch::default();
                patch.texts[Text::PersonalNotes as usize] = Some(Some("x".repeat((1 << 20) - i)));
                let made = store.insert(mailbox, patch).await.unwrap();
                if user == USERS[0] {
                    large.push(made.id.to_string());
                }
            }
            let digest = secret::hex(&secret::digest(&token(user)));
            let bearer = Principal::User(name);
            let token = NewToken { bearer, digest, name: None, scopes: Scopes::all(false), expires: None };
            store.create_token(token).await.unwrap();
        }
        store.close().await;
        large
    })
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server with its defaults. Its log goes to a file.
    fn start(folder: &std::path::Path) -> Self {
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_contactd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database", folder.join("contacts.db").to_str().unwrap()])
            .stderr(Stdio::from(File::create(&log).unwrap()))
            .spawn()
            .unwrap();
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into() };
        while server.address.port() == 0 {
            std::thread::sleep(Duration::from_millis(10));
            let text = std::fs::read_to_string(&log).unwrap();
            let told = text.lines().find_map(|line| line.strip_prefix("contactd listening on http://"));
            server.address = told.map_or(server.address, |address| address.parse().unwrap());
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ports of outgoing connections. The client chooses ports itself, because the kernel's search for a free port would
/// cost it more than the server.
const ATTACKER_ADDRESS: &str = "127.0.0.1";

/// A connection from an address of the loopback network.
fn connect(server: SocketAddr, from: &str) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    if from != ATTACKER_ADDRESS {
        socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into())?;
    }
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Reads one answer. Returns its status.
fn status(stream: &mut TcpStream) -> std::io::Result<u16> {
    let (mut head, mut buffer, mut whole) = (Vec::new(), vec![0; 64 << 10], None);
    let mut read = 0;
    while whole.is_none_or(|whole| read < whole) {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        read += count;
        if whole.is_none() {
            head.extend_from_slice(&buffer[..count]);
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&head[..end]).to_lowercase();
                let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                whole = Some(end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()));
            }
        }
    }
    Ok(String::from_utf8_lossy(&head[9..12]).parse().unwrap_or(0))
}

fn request(line: &str, token: &str, more: &str) -> Vec<u8> {
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{token}{more}\r\n").into_bytes()
}

fn with_body(line: &str, token: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let more = format!("Content-Type: application/json\r\n{encoding}Content-Length: {}\r\n", body.len());
    [request(line, token, &more).as_slice(), body].concat()
}

/// The latencies and failures of a user.
#[derive(Default)]
struct UserStats {
    millis: Vec<f64>,
    failed: u32,
    refused: u32,
    broken: u32,
}

impl UserStats {
    fn median(&self) -> f64 {
        let mut sorted = self.millis.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
    }
}

/// Lists contacts until the end, and reconnects if the connection is closed.
fn list(server: SocketAddr, from: &str, user: &str, over: impl Fn() -> bool) -> UserStats {
    let list = request("GET /me/contacts?$top=50", &token(user), "");
    let mut seen = UserStats::default();
    let mut stream = None;
    while !over() {
        let started = Instant::now();
        let answered = stream.take().map_or_else(|| connect(server, from), Ok).and_then(|mut connection: TcpStream| {
            connection.write_all(&list)?;
            status(&mut connection).map(|status| (status, connection))
        });
        match answered {
            Ok((200, connection)) => {
                seen.millis.push(started.elapsed().as_secs_f64() * 1_000.0);
                stream = Some(connection);
            }
            Ok((500.., connection)) => {
                seen.failed += 1;
                stream = Some(connection);
            }
            Ok((_, connection)) => {
                seen.refused += 1;
                stream = Some(connection);
            }
            Err(_) => seen.broken += 1,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    seen
}

/// Measures both users at once.
fn lists(server: SocketAddr, over: impl Fn() -> bool + Sync) -> [UserStats; 2] {
    std::thread::scope(|scope| {
        let elsewhere = scope.spawn(|| list(server, "127.0.0.2", "ann", &over));
        let here = scope.spawn(|| list(server, ATTACKER_ADDRESS, "bob", &over));
        [elsewhere.join().unwrap(), here.join().unwrap()]
    })
}

/// The work of one of the attacker's connections.
#[derive(Clone)]
enum Attack {
    /// Sends this repeatedly, and reads the answers.
    Asks(Vec<Vec<u8>>),
    /// Sends this once, and then one byte per second.
    Sends(Vec<u8>),
    /// Sends this once, and reads this many bytes of the answer per second.
    Takes(Vec<u8>, usize),
    /// Sends invalid tokens.
    Guesses,
    /// Connects, sends this, and reconnects when it is answered or closed.
    Connects(Vec<u8>),
}

/// Does it over one connection, and reconnects if it is closed. Returns the number of answers and new connections.
fn attack(server: SocketAddr, does: &Attack, number: usize, over: &AtomicBool) -> u64 {
    let (mut done, mut stream) = (0_u64, None);
    while !over.load(Ordering::Relaxed) {
        let connection = stream.take().map_or_else(|| connect(server, ATTACKER_ADDRESS), Ok);
        let kept = connection.and_then(|mut connection: TcpStream| {
            match does {
                Attack::Asks(requests) => {
                    connection.write_all(&requests[(number + usize::try_from(done).unwrap()) % requests.len()])?;
                    status(&mut connection)?;
                }
                Attack::Guesses => {
                    connection.write_all(&request("GET /me", &format!("guess-{number}-{done}"), ""))?;
                    status(&mut connection)?;
                }
                Attack::Sends(head) => {
                    connection.write_all(head)?;
                    while !over.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_secs(1));
                        connection.write_all(b" ")?;
                    }
                }
                Attack::Takes(request, bytes) => {
                    connection.write_all(request)?;
                    let mut buffer = vec![0; *bytes];
                    while !over.load(Ordering::Relaxed) && connection.read(&mut buffer)? > 0 {
                        std::thread::sleep(Duration::from_secs(1));
                    }
                }
                Attack::Connects(bytes) => {
                    connection.write_all(bytes)?;
                    let _ = connection.read(&mut [0; 4096])?;
                    // Closes without TIME_WAIT, because the kernel has a limited number of ports.
                    socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO))?;
                    done += 1;
                    return Err(ErrorKind::Other.into());
                }
            }
            done += 1;
            Ok(connection)
        });
        match kept {
            Ok(connection) => stream = Some(connection),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    done
}

fn steps(step: &serde_json::Value) -> Vec<u8> {
    let steps = (0..20).map(|i| {
        let mut step = step.clone();
        step["id"] = json!(i.to_string());
        step
    });
    json!({"requests": steps.collect::<Vec<_>>()}).to_string().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All attacks by name; those with a user's token first.
fn attacks(large: &[String]) -> Vec<(&'static str, Attack)> {
    let own = &token(USERS[0]);
    let get = |path: &str| request(&format!("GET {path}"), own, "");
    let post = |path: &str, body: &[u8]| with_body(&format!("POST {path}"), own, "", body);
    let announced =
        |line: &str, token: &str| request(line, token, "Content-Type: application/json\r\nContent-Length: 60000\r\n");
    let costly = [
        "/me/contacts?$filter=contains(personalNotes,'nowhere')%20or%20endswith(displayName,'nobody')&$count=true",
        "/me/contacts?$orderby=personalNotes%20desc,displayName&$top=1000",
        "/me/contacts?$search=%22everybody%22&$top=1000",
        "/me/contacts?$skip=19000&$top=1000",
        "/me/contacts/delta",
    ];
    let step = json!({"method": "GET", "url": costly[0]});
    let big = json!({"method": "GET", "url": format!("/me/contacts/{}", large[0])});
    let aliases = (0..60_000).fold("/me?".to_owned(), |url, i| format!("{url}@{i}&"));
    let alias = json!({"requests": [{"id": "1", "method": "GET", "url": aliases}]}).to_string();
    let members = (0..49_990).fold(String::new(), |text, i| format!("{text}\"m{i}\":1,"));
    let members = format!("{{{members}\"surname\":\"x\"}}");
    let empty = gzip(b"").repeat(100_000);
    let notes = json!({"personalNotes": "word ".repeat(200_000)}).to_string();
    let zipped = |body: &[u8]| with_body("POST /me/contacts", own, "Content-Encoding: gzip\r\n", body);
    let slow = request("POST /me/contacts", own, "Content-Type: application/json\r\nContent-Length: 4000000\r\n");
    vec![
        ("a token: slow bodies", Attack::Sends(slow)),
        ("a token: large responses read slowly", Attack::Takes(post("/$batch", &steps(&big)), 64 << 10)),
        ("a token: expensive queries", Attack::Asks(costly.map(get).into())),
        ("a token: batches of expensive steps", Attack::Asks(vec![post("/$batch", &steps(&step))])),
        ("a token: urls of 60,000 aliases", Attack::Asks(vec![post("/$batch", alias.as_bytes())])),
        ("a token: bodies of 49,991 members", Attack::Asks(vec![post("/me/contacts", members.as_bytes())])),
        ("a token: gzip of 100,000 empty members", Attack::Asks(vec![zipped(&empty)])),
        ("a token: gzip of 4 MiB of spaces", Attack::Asks(vec![zipped(&gzip(&b" ".repeat(4 << 20)))])),
        ("a token: contacts of a megabyte", Attack::Asks(vec![post("/me/contacts", notes.as_bytes())])),
        ("a token: small reads", Attack::Asks(vec![get("/me")])),
        ("a token: small creates", Attack::Asks(vec![post("/me/contacts", b"{\"surname\":\"x\"}")])),
        ("a token: bodies announced, not sent", Attack::Takes(announced("GET /me/contacts?$top=1000", own), 1)),
        ("no token: bodies announced, not sent", Attack::Connects(announced("POST /me/contacts", ""))),
        ("no token: guesses", Attack::Guesses),
        ("no token: small requests", Attack::Asks(vec![request("GET /me", "", ""), request("GET /nothing", "", "")])),
        ("no token: /healthz", Attack::Asks(vec![request("GET /healthz", "", "")])),
        ("no token: $metadata read slowly", Attack::Takes(request("GET /$metadata", "", ""), 1)),
        ("no token: slow heads", Attack::Sends(b"GET /me HTTP/1.1\r\nHost: ".to_vec())),
        (
            "no token: unlimited connections",
            Attack::Connects(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n".to_vec()),
        ),
        ("no token: not HTTP", Attack::Connects(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec())),
    ]
}

fn main() {
    let seconds = std::env::var("HOSTILE_SECONDS").map_or(10, |text| text.parse().unwrap());
    let only = std::env::var("HOSTILE_ONLY").unwrap_or_default();
    let span = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let large = fill(&Database::File(folder.path().join("contacts.db")));
    let server = Server::start(folder.path());
    let address = server.address;
    println!(
        "median of a list of 50 of {CONTACTS} contacts in ms, while one attacker has {CONNECTIONS} connections for {seconds} s: of a\n\
         user at another address and of one at the attacker's, and the ratio to the calm one. For both together: answers\n\
         that were 5xx, that were 4xx, and connections that broke; and what the attacker had done.\n"
    );
    println!(
        "{:40} {:>7} {:>14} {:>14} {:>5} {:>5} {:>6} {:>9}",
        "", "calm", "elsewhere", "beside", "5xx", "4xx", "broken", "attacks"
    );
    let mut failed_attacks = Vec::new();
    for (name, does) in attacks(&large).into_iter().filter(|(name, _)| name.contains(&only)) {
        let started = Instant::now();
        let calm = lists(address, || started.elapsed() >= CALM);
        let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let under = std::thread::scope(|scope| {
            for number in 0..CONNECTIONS {
                let (does, over, done) = (&does, &over, &done);
                let work = move || done.fetch_add(attack(address, does, number, over), Ordering::Relaxed);
                std::thread::Builder::new().stack_size(512 << 10).spawn_scoped(scope, work).unwrap();
            }
            let started = Instant::now();
            let under = lists(address, || started.elapsed() >= span);
            over.store(true, Ordering::Relaxed);
            under
        });
        let calm = f64::midpoint(calm[0].median(), calm[1].median());
        let ratios = [&under[0], &under[1]].map(|seen| (seen.median(), seen.median() / calm));
        let sum = |count: fn(&UserStats) -> u32| under.iter().map(count).sum::<u32>();
        let failed = sum(|seen| seen.failed);
        let [elsewhere, beside] = ratios.map(|(median, ratio)| format!("{median:8.2} {ratio:5.1}"));
        println!(
            "{name:40} {calm:7.2} {elsewhere:>14} {beside:>14} {failed:5} {:5} {:6} {:9}",
            sum(|seen| seen.refused),
            sum(|seen| seen.broken),
            done.load(Ordering::Relaxed)
        );
        if failed > 0 || ratios.iter().any(|(_, ratio)| *ratio >= MAX_RATIO) {
            failed_attacks.push(name);
        }
    }
    assert!(failed_attacks.is_empty(), "others notice too much of: {failed_attacks:?}");
}
