//! 50 tests with a mailbox each, run in parallel against contactd and against a stub that answers constants:
//! `cargo bench --bench suite`. The limit is twice the time of the stub.
//!
//! Each test opens a connection, does a few creates, lists, reads, changes and deletes. The stub is a bare actix server, which
//! reads the same requests and answers at once with bodies of the same size. Both run in processes of their own and take turns.
//!
//! First the tests run as a suite does, with Vitest and the official SDK (`suite.test.js`), if `tests/run` has installed them.
//! Then without runner and SDK, whose time hides that of the servers; there each test also requests and meets a fault.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench panics where it is wrong")]

#[path = "../load/mod.rs"]
mod load;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use load::figures::Figures;
use load::{Server, median};
use serde_json::Value;
use ureq::Agent;

const TESTS: usize = 50;
const ROUNDS: usize = 15;
const VITEST_ROUNDS: usize = 7;
/// Number of tests at once, as on a small machine.
const AT_ONCE: usize = 4;
/// Limit for the time against contactd, as a multiple of the time against the stub.
const LIMIT: f64 = 2.0;
/// The argument that starts this program as the stub.
const STUB: &str = "stub";
/// A contact that is created.
const NEW_CONTACT: &str = r#"{"givenName":"Ann","surname":"Lee","jobTitle":"Engineer","companyName":"Acme","businessPhones":["+1 732 555 0102"],"mobilePhone":"+1 732 555 0103","emailAddresses":[{"name":"Ann Lee","address":"ann@example.org"}],"homeAddress":{"street":"1 Elm","city":"Oslo","countryOrRegion":"Norway","postalCode":"0150"}}"#;

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == STUB) {
        return stub();
    }
    let contactd = Server::for_tests(":memory:");
    let child = Command::new(std::env::current_exe().unwrap()).arg(STUB).stderr(Stdio::piped()).spawn().unwrap();
    let stub = Server::of(child);
    println!("milliseconds for {TESTS} tests with a mailbox each, {AT_ONCE} at once, medians of interleaved rounds");
    let mut figures =
        Figures::new("suite", "50 tests with a mailbox each beside the same against a stub; less is better");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/recipes/vitest/node_modules");
    if modules.join("vitest").exists() {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).unwrap();
        std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
        std::fs::write(folder.path().join("suite.test.js"), include_str!("suite.test.js")).unwrap();
        let run = |address: &str, round| with_vitest(folder.path(), address, round);
        compare(&mut figures, "with Vitest and the official SDK", VITEST_ROUNDS, [&contactd, &stub], run);
    } else {
        println!("without Vitest, which tests/run installs");
    }
    compare(&mut figures, "without runner and SDK", ROUNDS, [&contactd, &stub], suite);
    figures.keep();
}

/// Runs the tests against both servers in turn.
fn compare(
    figures: &mut Figures,
    name: &str,
    rounds: usize,
    [contactd, stub]: [&Server; 2],
    run: impl Fn(&str, usize) -> f64,
) {
    // A first run, to warm up the connections and caches of both.
    run(&contactd.address, 0);
    run(&stub.address, 0);
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        own.push(run(&contactd.address, round));
        others.push(run(&stub.address, round));
    }
    let ratio = median(own.iter().zip(&others).map(|(own, other)| own / other).collect());
    println!(
        "{name}, {rounds} rounds; the limit of {LIMIT} times is {}",
        if ratio <= LIMIT { "met" } else { "missed" }
    );
    println!("  {:<34}{:>10.1}{:>8.2}", "a stub that answers constants", median(others.clone()), 1.0);
    println!("  {:<34}{:>10.1}{:>8.2}", "contactd", median(own.clone()), ratio);
    figures.add(&format!("{TESTS} tests {name}"), "ms", &own, ("a stub that answers constants", &others));
}

/// Milliseconds from the first test's start to the last one's end, as Vitest reports them.
fn with_vitest(folder: &Path, address: &str, round: usize) -> f64 {
    let mut vitest = Command::new("node");
    vitest.args(["node_modules/vitest/vitest.mjs", "run", "--reporter=json", &format!("--maxConcurrency={AT_ONCE}")]);
    vitest.env("SERVER", format!("http://{address}")).env("ROUND", round.to_string());
    vitest.env("TESTS", TESTS.to_string()).env("NEW_CONTACT", NEW_CONTACT);
    let done = vitest.current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["numPassedTests"], TESTS);
    let file = &report["testResults"][0];
    file["endTime"].as_f64().unwrap() - file["startTime"].as_f64().unwrap()
}

/// Milliseconds of all tests.
fn suite(address: &str, round: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= TESTS {
                        return;
                    }
                    test(address, &format!("test-{round}-{number}"));
                }
            });
        }
    });
    started.elapsed().as_secs_f64() * 1_000.0
}

/// One test, with its own user.
fn test(address: &str, user: &str) {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_mins(1)));
    let agent: Agent = config.build().into();
    let send = |method: &str, path: &str, body: Option<&str>| -> (u16, Value) {
        let request = ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
        let request = request.header("Authorization", format!("Bearer {user}"));
        let mut answer = match body {
            Some(body) => {
                agent.run(request.header("Content-Type", "application/json").body(body.to_owned()).unwrap()).unwrap()
            }
            None => agent.run(request.body(()).unwrap()).unwrap(),
        };
        let body = answer.body_mut().read_to_vec().unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    };
    let contacts = "/v1.0/me/contacts";
    let fault = format!(r#"{{"match": {{"user": "{user}", "method": "POST"}}, "answer": {{"status": 429}}}}"#);
    send("POST", "/_contactd/faults", Some(&fault));
    send("POST", contacts, Some(NEW_CONTACT));
    let mut last = String::new();
    for _ in 0..3 {
        let (status, made) = send("POST", contacts, Some(NEW_CONTACT));
        assert_eq!(status, 201);
        made["id"].as_str().unwrap().clone_into(&mut last);
    }
    let contact_path = format!("{contacts}/{last}");
    assert!(send("GET", contacts, None).1["value"].is_array());
    assert_eq!(send("GET", &contact_path, None).0, 200);
    assert_eq!(send("PATCH", &contact_path, Some(r#"{"jobTitle": "Engineer"}"#)).0, 200);
    assert_eq!(send("DELETE", &contact_path, None).0, 204);
    send("GET", &format!("/_contactd/requests?user={user}"), None);
}

/// Answers constants.
async fn constant(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    drop(body);
    let json =
        |mut answer: actix_web::HttpResponseBuilder, body: String| answer.content_type("application/json").body(body);
    let contact = format!("{{\"id\":\"0197b1a0-0000-7000-8000-000000000001\",{}", &NEW_CONTACT[1..]);
    match request.method().as_str() {
        "POST" => json(HttpResponse::Created(), contact),
        "DELETE" => HttpResponse::NoContent().finish(),
        "GET" if request.path().ends_with("/contacts") => {
            json(HttpResponse::Ok(), format!("{{\"value\":[{contact},{contact},{contact}]}}"))
        }
        _ => json(HttpResponse::Ok(), contact),
    }
}

fn stub() {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(|| App::new().default_service(web::to(constant))).disable_signals();
        let server = server.bind("127.0.0.1:0").unwrap();
        eprintln!("stub listening on http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}
