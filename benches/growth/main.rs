//! How the work of each reader grows with its input: `cargo bench --bench growth`, on Linux.
//!
//! A server at its defaults is sent each kind of input at a sixteenth, an eighth, a quarter, a half and all of its limit.
//! The result is the processor time of its threads per request, because the clock depends on the load of the machine. If the
//! input doubles, the time may double, but not quadruple. The time of the event loops is shown separately, because other
//! requests wait for them. `GROWTH_ONLY` selects the rows.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod issuer;
mod rows;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, read_dir, read_to_string};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use issuer::{AUDIENCE, ISSUER};
use rows::Row;

const SIZES: usize = 5;
/// Number of measurements; the smallest one counts.
const ROUNDS: usize = 5;
/// How often a row above the limit is measured again.
const REPEATS: usize = 3;
/// A request is repeated until it has taken this processor time, in microseconds.
const MIN_PROCESSOR_TIME: f64 = 10_000.0;
/// Limit: how many times the work an input of four times the size may take. 4 is linear, 16 is quadratic. Two doublings count
/// together, since a limit that begins to matter at some size is a step, and not growth.
const MAX_RATIO: f64 = 8.0;
/// Costs below this, in microseconds, cannot be told from the cost of the request itself.
const NEGLIGIBLE: f64 = 1_000.0;
const USER: &str = "ann";
const SECRET: &str = "a-secret-of-the-bench";

/// The server's processor time in microseconds: of all threads, and of the event loops.
#[derive(Clone, Copy)]
struct Spent {
    all: f64,
    on_loop: f64,
}

struct Server {
    child: Child,
    address: SocketAddr,
    /// The last known time of each thread.
    known: HashMap<OsString, f64>,
    spent: Spent,
}

impl Server {
    fn start(folder: &std::path::Path) -> Self {
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_contactd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"])
            .args(["--database", folder.join("contacts.db").to_str().unwrap()])
            .args(["--oidc-issuer", &ISSUER.url, "--oidc-audience", AUDIENCE])
            .env("CONTACTD_TOKENS", format!("{USER}={SECRET}"))
            .stderr(Stdio::from(File::create(&log).unwrap()))
            .spawn()
            .unwrap();
        let spent = Spent { all: 0.0, on_loop: 0.0 };
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), known: HashMap::new(), spent };
        while server.address.port() == 0 {
            std::thread::sleep(Duration::from_millis(10));
            let text = read_to_string(&log).unwrap();
            let told = text.lines().find_map(|line| line.strip_prefix("contactd listening on http://"));
            server.address = told.map_or(server.address, |address| address.parse().unwrap());
        }
        server
    }

    /// The time since the first call. The system forgets the time of threads that have ended.
    fn spent(&mut self) -> Spent {
        for task in read_dir(format!("/proc/{}/task", self.child.id())).unwrap() {
            let task = task.unwrap().path();
            let (Ok(name), Ok(times)) = (read_to_string(task.join("comm")), read_to_string(task.join("schedstat")))
            else {
                continue;
            };
            let micros = times.split(' ').next().unwrap().parse::<f64>().unwrap() / 1_000.0;
            let before = self.known.insert(task.file_name().unwrap().to_owned(), micros).unwrap_or(0.0);
            let more = if micros < before { micros } else { micros - before };
            self.spent.all += more;
            if name.starts_with("actix-rt") {
                self.spent.on_loop += more;
            }
        }
        self.spent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    server: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    /// Sends a request and reads the answer. Returns its status; 0 if the connection was closed without one.
    fn send(&mut self, request: &[u8]) -> u16 {
        let mut stream = self.stream.take().unwrap_or_else(|| TcpStream::connect(self.server).unwrap());
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        // The server may close the connection of a request that it refuses before the client has sent the body.
        let sent = stream.write_all(request);
        match answer(&mut stream) {
            Ok((status, goes_on)) => {
                self.stream = Some(stream).filter(|_| goes_on && sent.is_ok());
                status
            }
            Err(error) => {
                let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(kinds.contains(&error.kind()), "{error}");
                0
            }
        }
    }
}

/// The status of an answer, and whether the connection stays open.
fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, bool)> {
    let (mut read, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => read.extend_from_slice(&buffer[..more]),
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    let mut remaining = (end + 4 + length).saturating_sub(read.len());
    while remaining > 0 {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => remaining -= more.min(remaining),
        }
    }
    Ok((head[9..12].parse().unwrap(), !head.contains("connection: close")))
}

/// The cost of a row at each size, and the status of its answer.
struct Measured {
    spent: [Spent; SIZES],
    status: u16,
}

fn measure(server: &mut Server, row: &Row) -> Measured {
    let mut client = Client { server: server.address, stream: None };
    let requests = std::array::from_fn::<_, SIZES, _>(|i| (row.of)(row.most >> (SIZES - 1 - i)));
    let mut least = [Spent { all: f64::INFINITY, on_loop: f64::INFINITY }; SIZES];
    let mut status = 0;
    for _ in 0..ROUNDS {
        for (request, least) in requests.iter().zip(&mut least) {
            let (before, mut times) = (server.spent(), 0.0);
            let spent = loop {
                status = client.send(request);
                assert!(status < 500 || status == 503, "{}: {status}", row.name);
                times += 1.0;
                let now = server.spent();
                let spent =
                    Spent { all: (now.all - before.all) / times, on_loop: (now.on_loop - before.on_loop) / times };
                if spent.all * times >= MIN_PROCESSOR_TIME {
                    break spent;
                }
            };
            least.all = least.all.min(spent.all);
            least.on_loop = least.on_loop.min(spent.on_loop);
        }
    }
    Measured { spent: least, status }
}

impl Measured {
    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.spent.windows(2).map(|two| two[1].all / two[0].all)
    }

    /// Whether the cost grows faster than the input.
    fn is_over(&self) -> bool {
        let [.., quarter, _, whole] = self.spent.map(|spent| spent.all);
        whole > NEGLIGIBLE && whole / quarter > MAX_RATIO
    }
}

fn main() {
    let only = std::env::var("GROWTH_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    println!(
        "what one request costs the server's processors at its limit, in ms: in all, and of that on event loops. The ratio of\n\
         the costs of an input and of half of it, from an eighth of the limit to all of it.\n"
    );
    println!("{:44} {:>9} {:>6} {:>9} {:>9}  ratios", "", "limit", "status", "in all", "on loops");
    let mut failed_rows = Vec::new();
    for row in rows::rows().iter().filter(|row| row.name.contains(&only)) {
        let mut measured = measure(&mut server, row);
        for _ in 0..REPEATS {
            if measured.is_over() {
                measured = measure(&mut server, row);
            }
        }
        let most = measured.spent[SIZES - 1];
        let ratios = measured.ratios().map(|ratio| format!("{ratio:5.2}")).collect::<Vec<_>>().concat();
        println!(
            "{:44} {:9} {:6} {:9.2} {:9.2} {ratios} {}",
            row.name,
            row.most,
            measured.status,
            most.all / 1_000.0,
            most.on_loop / 1_000.0,
            if measured.is_over() { "grows faster than its input" } else { "" }
        );
        failed_rows.extend(measured.is_over().then_some(row.name));
    }
    assert!(failed_rows.is_empty(), "these grow faster than their input: {failed_rows:#?}");
}
