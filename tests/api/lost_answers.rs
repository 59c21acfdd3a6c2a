//! Faults of connections, as a client sees them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::Client;
use crate::program::{Program, contactd};

fn start() -> Program {
    Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]))
}

fn fault(server: &Program, fault: Value) {
    assert_eq!(Client::new(&server.address, "").post("/_contactd/faults", fault).status, 201);
}

/// The answer to a create, and how the connection ends. It waits at most a second.
fn create(server: &Program) -> (String, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let head = "POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\n";
    stream.write_all(format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (String::from_utf8(answer).unwrap(), None),
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) => return (String::from_utf8(answer).unwrap(), Some(error.kind())),
        }
    }
}

fn contacts(server: &Program) -> u64 {
    Client::new(&server.address, "").get("/_contactd").json(200)["contacts"].as_u64().unwrap()
}

#[test]
fn a_connection_fault_breaks_before_or_after_the_request_is_executed() {
    let server = start();
    for (when, stored) in [("before", 0), ("after", 1)] {
        let before = contacts(&server);
        fault(&server, json!({"when": when, "connection": "reset"}));
        assert_eq!(create(&server), (String::new(), Some(ErrorKind::ConnectionReset)), "{when}");
        fault(&server, json!({"when": when, "connection": "close"}));
        assert_eq!(create(&server), (String::new(), None), "{when}");
        assert_eq!(contacts(&server) - before, 2 * stored, "{when}");
    }
    let journal = Client::new(&server.address, "").get("/_contactd/requests").json(200);
    let statuses: Vec<_> = journal["value"].as_array().unwrap().iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(statuses, [503, 503, 201, 201]);
}

#[test]
fn an_answer_is_truncated_or_stalls() {
    let server = start();
    fault(&server, json!({"when": "after", "connection": {"truncate": {"bytes": 20}}}));
    let (answer, error) = create(&server);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    assert!(length.unwrap().parse::<usize>().unwrap() > 20, "{head}");
    assert_eq!((body.len(), error), (20, None), "{body}");
    fault(&server, json!({"when": "after", "connection": "stall"}));
    let (answer, error) = create(&server);
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(error, Some(ErrorKind::WouldBlock), "it stays open");
    assert_eq!(contacts(&server), 2);
    // The server still works.
    assert_eq!(create(&server).0.split(' ').nth(1), Some("201"));
}
