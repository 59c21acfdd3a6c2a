//! Start-up time, compared with a bare actix server that is started in turn: `cargo bench --bench start`.
//!
//! It measures the time from the start of the process to its ready line, and to the answer of the first create, which also
//! creates a user and a mailbox. The limit for the ready line is 8 ms on an idle machine.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

mod load;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use actix_web::{App, HttpServer, web};
use load::figures::Figures;
use load::{Client, median};

const STARTS: usize = 20;
/// Limit for the time to the ready line, in milliseconds.
const LIMIT: f64 = 8.0;
/// The argument that starts this program as the bare server.
const HELLO: &str = "hello";

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == HELLO) {
        return hello();
    }
    let (mut ready, mut answered) = (Vec::new(), Vec::new());
    let (mut bare, mut bare_answered) = (Vec::new(), Vec::new());
    // The first start of each reads the program from the disk.
    for round in 0..=STARTS {
        let (own, others) = (start(contactd(), Client::creates), start(bare_server(), Client::creates));
        if round > 0 {
            ready.push(own.0);
            answered.push(own.1);
            bare.push(others.0);
            bare_answered.push(others.1);
        }
    }
    println!("milliseconds from the start of the process, median of {STARTS} interleaved starts each");
    println!("{:<34}{:>10}{:>16}", "", "ready", "first answer");
    let row = |name: &str, ready: &[f64], answered: &[f64]| {
        println!("{name:<34}{:>10.2}{:>16.2}", median(ready.to_vec()), median(answered.to_vec()));
    };
    row("an actix hello", &bare, &bare_answered);
    row("contactd --dev, :memory:", &ready, &answered);
    let met = if median(ready.clone()) <= LIMIT { "met" } else { "missed" };
    println!("\nthe limit of {LIMIT} ms to the ready line is {met}");
    let mut figures = Figures::new("start", "Start of a server for tests beside an actix hello; less is better");
    figures.add("to the ready line", "ms", &ready, ("an actix hello", &bare));
    figures.add("to the first answer", "ms", &answered, ("an actix hello", &bare_answered));
    figures.keep();
}

/// Started like the helpers for test suites do. `CONTACTD_PROGRAM` names another build, to compare with.
fn contactd() -> Command {
    let program = std::env::var("CONTACTD_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_contactd").to_owned());
    let mut command = Command::new(program);
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--stop-with-stdin"]);
    command
}

fn bare_server() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(HELLO);
    command
}

/// Milliseconds to the ready line, and to the first answer.
fn start(mut command: Command, client: impl Fn(&str, &str) -> Client) -> (f64, f64) {
    let started = Instant::now();
    let millis = || started.elapsed().as_secs_f64() * 1_000.0;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let ready = millis();
    let address = line.trim().split_once(" listening on http://").unwrap().1;
    client(address, "ann").call();
    let answered = millis();
    child.kill().unwrap();
    child.wait().unwrap();
    (ready, answered)
}

/// A server that answers a constant, with a ready line like contactd's.
fn hello() {
    actix_web::rt::System::new().block_on(async {
        let answer = async || actix_web::HttpResponse::Created().body("hello");
        let server = HttpServer::new(move || App::new().default_service(web::to(answer))).disable_signals();
        let server = server.bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        eprintln!("hello listening on http://{address}");
        running.await.unwrap();
    });
}
