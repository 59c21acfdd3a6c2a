//! The edge of the real program: the request log, the warnings about proxies, and what it lets
//! web pages do in development.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::Answer;
use crate::program::{Program, contactd};
use crate::receiver::until;

/// Starts a server with a user `ann`. Returns the server and her token.
fn start(folder: &Path, arguments: &[&str]) -> (Program, String) {
    let database = folder.join("contacts.db");
    let run = |arguments: &[&str]| {
        let output = contactd(arguments).env("CONTACTD_DATABASE", &database).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"];
    let mut command = contactd(&[&serve, arguments].concat());
    command.env("CONTACTD_DATABASE", &database);
    let server = Program::start(command);
    run(&["user", "add", "ann"]);
    (server, run(&["token", "create", "--user", "ann"]))
}

/// The log events with this message.
fn events(server: &Program, message: &str) -> Vec<Value> {
    let log = server.log();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["message"] == message).collect()
}

/// Waits for the log line of a request.
fn line_of(server: &Program, answer: &Answer) -> Value {
    let id = answer.header("request-id");
    let find = || events(server, "request").into_iter().find(|event| event["request_id"] == id.as_str());
    until(|| find().is_some());
    find().unwrap()
}

#[test]
fn the_log_has_client_addresses_token_names_and_reasons_for_refusals() {
    let folder = tempfile::tempdir().unwrap();
    let (server, token) = start(folder.path(), &["--trust-forwarded"]);
    let (ann, stranger) = (server.user(&token), server.user("").with("X-Forwarded-For", "203.0.113.9"));
    let listed = contactd(&["token", "list"]).env("CONTACTD_DATABASE", folder.path().join("contacts.db")).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    for (answer, expected) in [
        (ann.get("/me"), json!({"address": "127.0.0.1", "status": 200, "route": "/{user}", "code": null})),
        (ann.get("/me/contacts?$top=x"), json!({"address": "127.0.0.1", "status": 400, "code": "BadRequest"})),
        (ann.get("/users/bob"), json!({"status": 404, "code": "Request_ResourceNotFound"})),
        (ann.get("/healthz"), json!({"address": "127.0.0.1", "status": 200, "level": "DEBUG", "token": null})),
        (stranger.get("/me"), json!({"address": "203.0.113.9", "status": 401, "token": null})),
        (
            stranger.get("/nothing"),
            json!({"address": "203.0.113.9", "status": 404, "code": "ResourceNotFound", "token": null}),
        ),
    ] {
        let line = line_of(&server, &answer);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name}: {line}");
        }
        if expected.get("token").is_none() {
            assert!(listed.contains(line["token"].as_str().unwrap()), "{line}");
        }
    }
    // Refused steps of a batch have their own lines.
    let steps = ["/me", "/me/contacts?$top=x"].map(|url| json!({"id": url, "method": "GET", "url": url}));
    let batch = ann.post("/$batch", json!({"requests": steps}));
    assert_eq!(line_of(&server, &batch)["status"], 200);
    let refused = events(&server, "a step of a batch was refused");
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["status"], &refused[0]["code"]), (&json!(400), &json!("BadRequest")));
    assert_eq!(refused[0]["request_id"], batch.header("request-id").as_str());
}

#[test]
fn the_log_has_no_client_addresses_if_they_are_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let (server, token) = start(folder.path(), &["--log-addresses", "off"]);
    let line = line_of(&server, &server.user(&token).get("/me"));
    assert_eq!((&line["address"], &line["status"]), (&Value::Null, &json!(200)));
    assert!(line["token"].is_string(), "{line}");
    garbage(&server, b"GARBAGE\r\n\r\n");
    until(|| !events(&server, "a connection was dropped").is_empty());
    assert!(!server.log().contains("127.0.0.1\""), "{}", server.log());
}

/// Sends bytes that are not HTTP, and reads the answer.
fn garbage(server: &Program, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_no_http_is_logged_with_its_address_and_is_no_error_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (server, token) = start(folder.path(), &[]);
    let too_long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(140_000));
    let sent: [&[u8]; 5] = [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"t3 12.2.1\n\n",
        too_long.as_bytes(),
    ];
    for (i, bytes) in sent.into_iter().enumerate() {
        let answer = garbage(&server, bytes);
        assert!(answer.starts_with("HTTP/1.1 4"), "{i}: {answer}");
        until(|| events(&server, "a connection was dropped").len() == i + 1);
    }
    for event in events(&server, "a connection was dropped") {
        assert_eq!((&event["level"], &event["address"]), (&json!("INFO"), &json!("127.0.0.1")), "{event}");
        assert!(event["reason"].is_string(), "{event}");
    }
    server.user(&token).get("/me").json(200);
    assert!(!server.log().contains("\"ERROR\"") && !server.log().contains("actix_http"), "{}", server.log());
}

/// The number of warnings about a proxy.
fn warnings(server: &Program) -> usize {
    server.log().lines().filter(|line| line.contains("\"WARN\"") && line.contains("--trust-forwarded")).count()
}

#[test]
fn an_untrusted_proxy_causes_one_warning() {
    for (flags, expected) in [
        (&[][..], 1),
        (&["--trust-forwarded"], 0),
        (&["--public-url", "https://contacts.example"], 1),
        (&["--public-url", "https://contacts.example", "--trust-forwarded"], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (server, token) = start(folder.path(), flags);
        for header in ["X-Forwarded-For", "Forwarded"] {
            let answer = server.user(&token).with(header, "for=192.0.2.1").get("/me");
            line_of(&server, &answer);
        }
        assert_eq!(warnings(&server), expected, "{flags:?}: {}", server.log());
    }
    // A proxy that passes a client's own header is recognised and not trusted.
    let folder = tempfile::tempdir().unwrap();
    let (server, token) = start(folder.path(), &["--trust-forwarded"]);
    let ann = server.user(&token).with("X-Forwarded-For", "192.0.2.1").with("Forwarded", "for=192.0.2.2");
    for _ in 0..2 {
        assert_eq!(line_of(&server, &ann.get("/me"))["address"], "127.0.0.1");
    }
    assert_eq!(server.log().matches("contradict each other").count(), 1, "{}", server.log());
}

#[test]
fn in_development_a_page_whose_name_is_pointed_here_reaches_nothing() {
    let serve = [
        "serve",
        "--dev",
        "--listen",
        "localhost:0",
        "--database",
        ":memory:",
        "--log-format",
        "json",
        "--log-level",
        "info",
    ];
    let ask = |server: &Program, host: &str| {
        let head =
            "Authorization: Bearer ann\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2";
        garbage(server, format!("POST /me/contacts HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n{{}}").as_bytes())
    };
    for (flags, hosts, status) in [
        (&[][..], &["localhost", "127.0.0.1", "[::1]:80"][..], "201"),
        (&[], &["evil.example", "127.0.0.1.evil.example"], "403"),
        (&["--public-url", "https://contacts.example/x"], &["contacts.example", "localhost"], "201"),
        (&["--public-url", "https://contacts.example/x"], &["evil.example"], "403"),
        (&["--dev-allow-remote"], &["evil.example"], "201"),
    ] {
        let server = Program::start(contactd(&[&serve, flags].concat()));
        for host in hosts {
            let answer = ask(&server, host);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{flags:?} {host}: {answer}");
        }
        let expected = if status == "201" { hosts.len() } else { 0 };
        let count = server.user("ann").get("/me/contacts/$count").body;
        assert_eq!(String::from_utf8_lossy(&count), expected.to_string());
    }
}
