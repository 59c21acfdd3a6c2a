//! HTTP itself: sizes, types, encodings, and clients that disconnect, are slow or send garbage. No HTTP library would send these
//! requests, so the tests use raw sockets.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use contactd::http::{MAX_BODY, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::app::{SEED_REQUEST, Setup, TestApp};

const HEAD: &str =
    "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\n";

/// Sends bytes and reads the answer until the server closes the connection or sends nothing for 10 seconds.
fn raw(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn assert_error(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("{{\"error\":{{\"code\":\"{code}\"")), "{answer}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A contact of exactly this many bytes.
fn body_of(size: usize) -> String {
    let empty = json!({"personalNotes": "", "@odata.padding": ""}).to_string();
    json!({"personalNotes": "x", "@odata.padding": "x".repeat(size - empty.len() - 1)}).to_string()
}

#[test]
fn a_body_may_have_four_mebibytes_and_no_byte_more() {
    let app = TestApp::new();
    let ann = app.user("ann");
    assert_eq!(body_of(MAX_BODY).len(), MAX_BODY);
    assert_eq!(ann.post("/me/contacts", body_of(MAX_BODY)).status, 201);
    assert_error(
        &raw(&app, format!("{HEAD}Content-Length: {}\r\n\r\n{}", MAX_BODY + 1, body_of(MAX_BODY + 1)).as_bytes()),
        413,
        "RequestEntityTooLarge",
    );
    // With `Content-Length` it is refused at once, before any byte of the body arrives.
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream, "{HEAD}Content-Length: 99999999999\r\n\r\n").unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    // Without it, the body is refused when it exceeds the limit.
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    assert_error(
        &raw(&app, format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(5)).as_bytes()),
        413,
        "RequestEntityTooLarge",
    );
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn a_gzip_body_is_understood_within_the_same_limit() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let packed = ann.with("Content-Encoding", "gzip");
    let post = |body: Vec<u8>| packed.send("POST", "/me/contacts/$ref", Some(body));
    assert_eq!(post(gzip(SEED_REQUEST.as_bytes())).json(201)["givenName"], "Given Name value");
    let (first, second) = SEED_REQUEST.split_at(100);
    assert_eq!(post([gzip(first.as_bytes()), gzip(second.as_bytes())].concat()).status, 201);
    assert_eq!(ann.with("Content-Encoding", "X-GZIP").send("POST", "/me/contacts", Some(gzip(b"{}"))).status, 201);
    assert_eq!(ann.with("Content-Encoding", "identity").post("/me/contacts", "{}").status, 201);
    assert_eq!(post(gzip(body_of(MAX_BODY).as_bytes())).status, 201);
    // A gzip bomb: 64 KiB that decompress to 64 MiB.
    let bomb = gzip(&vec![b' '; 64 << 20]);
    for body in [gzip(body_of(MAX_BODY + 1).as_bytes()), bomb] {
        assert_eq!(post(body).error(), (413, "RequestEntityTooLarge".into(), String::new()));
    }
    let mut cut = gzip(SEED_REQUEST.as_bytes());
    cut.truncate(cut.len() / 2);
    let mut torn = gzip(SEED_REQUEST.as_bytes());
    torn[20] ^= 0xff;
    for body in [cut, torn, b"{}".to_vec(), gzip(b"{")] {
        assert_eq!(post(body).error(), (400, "UnableToDeserializePostBody".into(), String::new()));
    }
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "nonsense"] {
        let answer = ann.with("Content-Encoding", encoding).post("/me/contacts", "{}");
        assert_eq!(answer.error(), (415, "notSupported".into(), String::new()), "{encoding}");
    }
    assert_eq!(app.count("select count(*) from contacts"), 5);
}

#[test]
fn a_body_must_say_that_it_is_json() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for accepted in [
        "application/json",
        "APPLICATION/JSON; charset=utf-8",
        "application/json;odata.metadata=minimal;odata.streaming=False;IEEE754Compatible=False",
    ] {
        assert_eq!(ann.with("Content-Type", accepted).post("/me/contacts", "{}").status, 201, "{accepted}");
    }
    let path = format!("/me/contacts/{}", ann.post("/me/contacts", "{}").id());
    for refused in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/xml",
        "json",
        "multipart/form-data; boundary=x",
    ] {
        for (method, path) in [("POST", "/me/contacts"), ("POST", "/me/contacts/$ref"), ("PATCH", path.as_str())] {
            let answer = ann.with("Content-Type", refused).send(method, path, Some(b"{}".to_vec()));
            assert_eq!(answer.error(), (415, "notSupported".into(), String::new()), "{refused}");
        }
    }
    assert_error(&raw(&app, b"POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"), 415, "notSupported");
    // If no body is expected, its type is ignored.
    let typed = ann.with("Content-Type", "application/json;odata.metadata=minimal");
    assert_eq!((typed.get(&path).status, typed.delete(&path).status), (200, 204));
    assert_eq!(app.count("select count(*) from contacts"), 4);
}

#[test]
fn a_body_that_breaks_off_is_not_stored() {
    let app = TestApp::new();
    for length in [1, 20, 1000, SEED_REQUEST.len() - 1] {
        let answer = raw(
            &app,
            format!("{HEAD}Content-Length: {}\r\n\r\n{}", SEED_REQUEST.len(), &SEED_REQUEST[..length]).as_bytes(),
        );
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n", &SEED_REQUEST[..length]);
        let answer = raw(&app, chunked.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(app.user("ann").post("/me/contacts", "{}").status, 201);
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn a_body_that_dawdles_is_given_up_and_others_are_served_meanwhile() {
    let settings = Settings { body_timeout: Duration::from_millis(500), ..Settings::default() };
    let app = TestApp::with(Setup { settings, ..Setup::default() });
    let mut dawdlers: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(&app.address).unwrap();
            write!(stream, "{HEAD}Content-Length: 10\r\n\r\n{{").unwrap();
            stream
        })
        .collect();
    assert_eq!(app.user("ann").post("/me/contacts", "{}").status, 201);
    for stream in &mut dawdlers {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).unwrap();
        assert_error(&String::from_utf8_lossy(&answer[..read]), 408, "RequestTimeout");
    }
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn nonsense_instead_of_http_is_refused_and_the_server_goes_on() {
    let app = TestApp::new();
    let long = "x".repeat(200_000);
    let requests: Vec<(Vec<u8>, &[u16])> = vec![
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(), &[400]),
        (b"GET\r\n\r\n".to_vec(), &[400]),
        (b"GET /me HTTP/9.9\r\n\r\n".to_vec(), &[400]),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400]),
        (b"GET /me HTTP/1.1\r\nHost : x\r\n\r\n".to_vec(), &[400]),
        (b"GET /me HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n".to_vec(), &[400]),
        (b"GET /me HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n".to_vec(), &[400]),
        (format!("{HEAD}Content-Length: x\r\n\r\n{{}}").into_bytes(), &[400]),
        (format!("{HEAD}Content-Length: -1\r\n\r\n{{}}").into_bytes(), &[400]),
        (format!("{HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}").into_bytes(), &[400]),
        (format!("{HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}").into_bytes(), &[400]),
        (format!("{HEAD}Transfer-Encoding: nonsense\r\n\r\n{{}}").into_bytes(), &[400]),
        (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n").into_bytes(), &[400]),
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(), &[400, 404, 414, 431]),
        (format!("GET /me HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n").into_bytes(), &[400, 431]),
        (format!("GET /me HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1000)).into_bytes(), &[400, 431]),
    ];
    for (request, expected) in requests {
        let answer = raw(&app, &request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        assert!(expected.contains(&status), "{shown}: {answer}");
        assert_eq!(app.user("ann").get("/me").status, 200);
    }
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn old_and_odd_but_legal_http_is_served() {
    let app = TestApp::new();
    let get = "Authorization: Bearer ann\r\nConnection: close\r\n\r\n";
    for request in [
        format!("GET /me HTTP/1.0\r\n{get}"),
        format!("GET /me? HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{get}"),
        format!("GET http://x/me HTTP/1.1\r\nHost: localhost\r\n{get}"),
    ] {
        assert!(raw(&app, request.as_bytes()).starts_with("HTTP/1."), "{request}");
        let answer = raw(&app, request.as_bytes());
        assert!(answer.contains(" 200 OK"), "{request}: {answer}");
    }
    let expect = format!("{HEAD}Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    let answer = raw(&app, expect.as_bytes());
    assert!(answer.contains("HTTP/1.1 201 Created"), "{answer}");
}
