//! The log and the traces of the real program: which requests and statements are logged, where a client's trace is passed
//! on, and that malformed input is never an error.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use serde_json::{Value, json};

use crate::app::{Client, SEED_REQUEST};
use crate::notifications::subscribe;
use crate::program::{Place, Program, contactd};
use crate::receiver::{Behaviour, Receiver, until};

const STOP: Duration = Duration::from_mins(1);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn serve(place: &Place, arguments: &[&str]) -> Command {
    let database = place.database();
    let command_line =
        ["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--database", database.to_str().unwrap()];
    contactd(&[&command_line[..], arguments].concat())
}

fn traced(client: &Client) -> Client {
    client.with("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01")).with("tracestate", "vendor=1, other=a b")
}

/// The lines of the log so far that are JSON.
fn lines(server: &Program) -> Vec<Value> {
    server.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The lines with this message.
fn lines_with_message(server: &Program, message: &str) -> Vec<Value> {
    lines(server).into_iter().filter(|line| line["message"] == message).collect()
}

/// The header of a request as it was received.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

#[test]
fn a_trace_is_logged_and_sent_with_notifications() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let server = Program::start(serve(
        &place,
        &[
            "--dev",
            "--log-level",
            "debug",
            "--allow-notification-target",
            "127.0.0.1",
            "--notification-times",
            "1500,4000,20",
        ],
    ));
    let ann = server.user("ann");
    subscribe(&traced(&ann), &receiver.url("/hook"));
    let created = traced(&ann).post("/me/contacts/$ref", SEED_REQUEST);
    receiver.wait("/hook", 1);
    // The validation request and the notification are both parts of the trace, each with its own span.
    let got = receiver.requests();
    let parents: Vec<_> = got.iter().map(|got| header(&got.head, "traceparent").unwrap()).collect();
    assert_eq!(parents.len(), 2);
    assert!(parents.iter().all(|parent| parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01")));
    assert!(got.iter().all(|got| header(&got.head, "tracestate") == Some("vendor=1,other=a b")), "{got:?}");
    let spans: Vec<_> = parents.iter().map(|parent| parent.split('-').nth(2).unwrap()).collect();
    until(|| !lines_with_message(&server, "a notification was sent").is_empty());
    let sent = lines_with_message(&server, "a notification was sent").remove(0);
    let request = created.header("request-id");
    assert_eq!(
        (&sent["trace_id"], &sent["span_id"], &sent["request_id"]),
        (&json!(TRACE), &json!(spans[1]), &json!(request))
    );
    let line_of =
        |request: &str| lines_with_message(&server, "request").into_iter().find(|line| line["request_id"] == request);
    until(|| line_of(&request).is_some());
    let logged = line_of(&request).unwrap();
    assert_eq!(logged["trace_id"], TRACE);
    assert!(logged["span_id"].as_str().is_some_and(|span| !spans.contains(&span)), "{logged}");
    // A request without a trace, or with an invalid one, is passed on without a trace.
    for client in [ann.clone(), ann.with("traceparent", "evil"), traced(&traced(&ann))] {
        let request = client.post("/me/contacts/$ref", SEED_REQUEST).header("request-id");
        until(|| line_of(&request).is_some());
        let logged = line_of(&request).unwrap();
        assert_eq!((logged.get("trace_id"), logged.get("span_id")), (None, None));
    }
    receiver.wait("/hook", 4);
    assert!(receiver.requests()[2..].iter().all(|got| header(&got.head, "traceparent").is_none()));
    assert!(!server.log().contains("evil"));
    // An update and a delete are changes too.
    let path = format!("/me/contacts/{}", created.json(201)["id"].as_str().unwrap());
    traced(&ann).patch(&path, json!({"title": "x"})).json(200);
    receiver.wait("/hook", 5);
    traced(&ann).delete(&path).empty(204);
    receiver.wait("/hook", 6);
    let last: Vec<_> = receiver.requests().into_iter().rev().take(2).collect();
    assert!(last.iter().all(|got| header(&got.head, "traceparent").is_some_and(|parent| parent.contains(TRACE))));
}

#[test]
fn a_trace_is_sent_to_the_identity_provider() {
    let (place, provider) = (Place::new(), Receiver::new());
    // The provider has no keys.
    provider.set(Behaviour::Refuses(500));
    let issuer = provider.url("");
    let server = Program::start(serve(&place, &["--oidc-issuer", &issuer, "--oidc-audience", "api://contactd"]));
    assert_eq!(traced(&server.user(&forged(&issuer))).get("/me").status, 503);
    let got = provider.requests();
    let parent = header(&got[0].head, "traceparent").unwrap();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && !parent.contains("00f067aa0ba902b7"), "{parent}");
}

/// A token of an issuer with an invalid signature.
pub fn forged(issuer: &str) -> String {
    forged_for(issuer, 600)
}

/// The same with an expiry in this many seconds.
pub fn forged_for(issuer: &str, seconds: i64) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let end = Utc::now().timestamp() + seconds;
    let claims = json!({
        "iss": issuer, "aud": "api://contactd", "sub": "ann", "iat": end - 600, "exp": end, "scp": "Contacts.ReadWrite",
    });
    format!("{}.{}.{}", encode(json!({"alg": "RS256", "kid": "none", "typ": "JWT"})), encode(claims), "AAAA")
}

#[test]
fn slow_statements_are_logged_with_their_operation_and_without_values() {
    let place = Place::new();
    let server = Program::start(serve(&place, &["--dev", "--slow-query", "1ms", "--log-level", "debug"]));
    let ann = server.user("ann");
    ann.post("/me/contacts", json!({"surname": "VALUE-zq"})).json(201);
    // The writer waits for the write lock of another process.
    let other = rusqlite::Connection::open(place.database()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let request = std::thread::scope(|scope| {
        let create = scope.spawn(|| traced(&ann).post("/me/contacts", json!({"surname": "VALUE-zq"})));
        std::thread::sleep(Duration::from_millis(500));
        other.execute_batch("rollback").unwrap();
        create.join().unwrap().header("request-id")
    });
    let of_request = || lines_with_message(&server, "slow").into_iter().find(|line| line["request_id"] == request);
    until(|| of_request().is_some());
    let slow = of_request().unwrap();
    assert_eq!(
        (&slow["level"], &slow["kind"], &slow["route"]),
        (&json!("WARN"), &json!("write"), &json!("/{user}/contacts"))
    );
    assert_eq!((&slow["trace_id"], &slow["interrupted"]), (&json!(TRACE), &json!(false)));
    assert!(slow["millis"].is_u64(), "{slow}");
    assert!(slow["statement"].as_str().is_some_and(|text| text.len() > 10 && !text.contains('\n')), "{slow}");
    // A read that scans many contacts.
    let contact = json!({"surname": "VALUE-zq"});
    let requests: Vec<_> = (0..20)
        .map(|id| json!({"id": id.to_string(), "method": "POST", "url": "/me/contacts", "body": contact, "headers": {"Content-Type": "application/json"}}))
        .collect();
    until(|| {
        ann.post("/$batch", json!({"requests": requests})).json(200);
        ann.get("/me/contacts?$filter=contains(personalNotes,'VALUE-zq')&$top=1").json(200);
        lines_with_message(&server, "slow").iter().any(|line| line["kind"] == "page")
    });
    let slow = lines_with_message(&server, "slow").into_iter().find(|line| line["kind"] == "page").unwrap();
    assert!(slow["statement"].as_str().is_some_and(|text| text.contains("select ") && text.contains('$')), "{slow}");
    until(|| {
        lines_with_message(&server, "plan of a slow statement")
            .iter()
            .any(|line| line["plan"].as_str().unwrap().contains("SEARCH c "))
    });
    assert!(!server.log().contains("zq"), "{}", server.log());
}

#[test]
fn statements_are_slow_from_500_ms_by_default_and_never_with_0() {
    let place = Place::new();
    let server = Program::start(serve(&place, &["--dev"]));
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).json(201);
    server.user("ann").get("/me/contacts").json(200);
    let slow = lines_with_message(&server, "slow");
    assert!(slow.iter().all(|line| line["millis"].as_u64().unwrap() >= 500), "{slow:?}");
    let place = Place::new();
    let off = Program::start(serve(&place, &["--dev", "--slow-query", "0"]));
    off.user("ann").post("/me/contacts/$ref", SEED_REQUEST).json(201);
    assert_eq!(lines_with_message(&off, "slow"), Vec::<Value>::new());
}

#[test]
fn requests_are_logged_at_the_configured_level() {
    for (mode, expected) in [("all", vec![201, 404, 200]), ("slow", vec![404]), ("errors", vec![404]), ("none", vec![])]
    {
        let place = Place::new();
        let mut server = Program::start(serve(&place, &["--dev", "--log-requests", mode, "--slow-query", "3600s"]));
        let ann = server.user("ann");
        let missing = format!("/me/contacts/{}", uuid::Uuid::nil());
        ann.post("/me/contacts/$ref", SEED_REQUEST).json(201);
        ann.get(&missing).error();
        let step = json!({"id": "1", "method": "GET", "url": "/me/contacts"});
        ann.post("/$batch", json!({"requests": [step]})).json(200);
        server.signal("TERM");
        server.ended(STOP);
        let mut statuses: Vec<_> = lines(&server).iter().filter_map(|line| line["status"].as_u64()).collect();
        let mut expected = expected;
        statuses.sort_unstable();
        expected.sort_unstable();
        assert_eq!(statuses, expected, "{mode}: {}", server.log());
    }
}

#[test]
fn malformed_requests_and_connections_never_log_an_error() {
    let place = Place::new();
    let certificate = place.file("certificate");
    let plain = serve(&place, &["--dev", "--log-level", "debug", "--request-timeout", "1"]);
    let second_place = Place::new();
    let encrypted = ["--dev", "--tls", "--dev-cert-dir", certificate.to_str().unwrap(), "--log-level", "debug"];
    let (plain, encrypted) = (Program::start(plain), Program::start(serve(&second_place, &encrypted)));
    let head = "Host: localhost\r\nAuthorization: Bearer ann\r\n";
    let long = "x".repeat(200_000);
    let garbage: Vec<Vec<u8>> = vec![
        b"\0\xff\xfe garbage\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET".to_vec(),
        format!("GET /{long} HTTP/1.1\r\n{head}\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000)).into_bytes(),
        format!("GET /me HTTP/1.1\r\nAuthorization: Bearer {long}\r\n\r\n").into_bytes(),
        format!("GET /me HTTP/1.1\r\n{head}traceparent: \u{1}\r\n\r\n").into_bytes(),
        format!("POST /me/contacts HTTP/1.1\r\n{head}Content-Length: 5\r\n\r\n{{\"a\":").into_bytes(),
        format!("POST /me/contacts HTTP/1.1\r\n{head}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("POST /me/contacts HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        format!("POST /me/contacts HTTP/1.1\r\n{head}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz")
            .into_bytes(),
        format!(
            "POST /me/contacts HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n\u{c3}"
        )
        .into_bytes(),
        format!("POST /$batch HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 1\r\n\r\n[")
            .into_bytes(),
        format!("PROPFIND /dav/ HTTP/1.1\r\n{head}Content-Length: 5\r\n\r\n<a><b").into_bytes(),
        format!("REPORT /dav/ HTTP/1.1\r\n{head}Depth: x\r\nContent-Length: 3\r\n\r\n\0\0\0").into_bytes(),
        format!("POST /_contactd/faults HTTP/1.1\r\n{head}Content-Length: 1\r\n\r\n{{").into_bytes(),
        format!("GET /me/photo/$value HTTP/1.1\r\n{head}Range: bytes=9-1\r\nIf-Match: \"\r\n\r\n").into_bytes(),
        format!("GET /me/contacts?$filter=%ff%00((( HTTP/1.1\r\n{head}\r\n").into_bytes(),
        format!("GET /me/contacts?$skiptoken=%F0%9F HTTP/1.1\r\n{head}\r\n").into_bytes(),
        b"CONNECT x:1 HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for server in [&plain, &encrypted] {
        for bytes in &garbage {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            // The server may close the connection before everything is sent.
            let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
            let _ = stream.read_to_end(&mut Vec::new());
        }
        // A client that disconnects during its request.
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let _ = stream.write_all(format!("POST /me/contacts HTTP/1.1\r\n{head}Content-Length: 9\r\n\r\n{{").as_bytes());
    }
    plain.user("ann").post("/me/contacts/$ref", SEED_REQUEST).json(201);
    for mut server in [plain, encrypted] {
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0));
        let error_lines: Vec<_> =
            lines(&server).into_iter().filter(|line| line["level"] == "ERROR" || line["level"] == "WARN").collect();
        assert!(error_lines.is_empty(), "{error_lines:#?}");
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
}
