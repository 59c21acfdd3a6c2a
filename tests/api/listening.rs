//! Listening: several addresses, both address families, and a Unix socket.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::app::Client;
use crate::program::{Program, contactd, fails};
use crate::receiver::until;

const STOP: Duration = Duration::from_secs(8);

fn serve(listen: &[&str]) -> Command {
    let mut command = contactd(&["serve", "--dev", "--database", ":memory:"]);
    for place in listen {
        command.args(["--listen", place]);
    }
    command
}

/// All addresses that a server announces.
fn announced(server: &Program, number: usize) -> Vec<String> {
    loop {
        let log = server.log();
        let lines: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("contactd listening on ")).collect();
        if lines.len() >= number {
            return lines.into_iter().map(str::to_owned).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The answer to a request over a Unix socket.
fn ask(path: &Path, method: &str, target: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_listen_address_is_served_and_announced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let socket = format!("unix:{}", path.display());
    let by_flags = serve(&["127.0.0.1:0", "127.0.0.2:0", &socket]);
    let mut by_variable = serve(&[]);
    by_variable.env("CONTACTD_LISTEN", format!("127.0.0.1:0 127.0.0.2:0,{socket}"));
    for command in [by_flags, by_variable] {
        let server = Program::start(command);
        let places = announced(&server, 3);
        assert!(places[0].starts_with("http://127.0.0.1:") && places[1].starts_with("http://127.0.0.2:"), "{places:?}");
        assert_eq!(places[2], socket);
        for place in &places[..2] {
            let ann = Client::new(place.strip_prefix("http://").unwrap(), "ann");
            assert_eq!(ann.get("/me").status, 200, "{place}");
        }
        assert!(ask(&path, "GET", "/me", "").starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn localhost_and_a_port_alone_mean_both_families() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for (listen, v4, v6) in [("localhost:0", "127.0.0.1", "[::1]"), (":0", "0.0.0.0", "[::]")] {
        let mut command = serve(&[listen]);
        command.arg("--dev-allow-remote");
        let server = Program::start(command);
        let places = announced(&server, 1 + usize::from(has_ipv6));
        let port = places[0].rsplit_once(':').unwrap().1.to_owned();
        let expected = [Some(v4), has_ipv6.then_some(v6)].into_iter().flatten();
        assert_eq!(places, expected.map(|host| format!("http://{host}:{port}")).collect::<Vec<_>>());
        for host in [Some("127.0.0.1"), has_ipv6.then_some("[::1]")].into_iter().flatten() {
            assert_eq!(Client::new(&format!("{host}:{port}"), "ann").get("/me").status, 200, "{listen} by {host}");
        }
        let health = contactd(&["health", "--listen", &listen.replace(":0", &format!(":{port}"))]).output().unwrap();
        assert_eq!(String::from_utf8(health.stdout).unwrap(), format!("127.0.0.1:{port} is healthy\n"));
    }
    let (code, text) = fails(serve(&[":0"]));
    assert!(code == 1 && text.contains("listens on loopback only, not on :0"), "{text}");
}

#[test]
fn a_unix_socket_is_open_to_its_group_and_removed_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let socket = format!("unix:{}", path.display());
    let database = folder.path().join("contacts.db");
    let serve = || contactd(&["serve", "--dev", "--listen", &socket, "--database", database.to_str().unwrap()]);
    let killed = Program::start(serve());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    drop(killed);
    assert!(path.exists(), "a killed server leaves its socket behind");
    let mut server = Program::start(serve());
    assert_eq!(server.origin, socket);
    let (code, text) = fails(contactd(&["serve", "--dev", "--listen", &socket, "--database", ":memory:"]));
    assert_eq!((code, text), (1, format!("contactd: --listen {socket}: another process listens there\n")));
    assert!(ask(&path, "POST", "/me/contacts", "{\"title\": \"x\"}").starts_with("HTTP/1.1 201 Created\r\n"));
    let audit = contactd(&["audit", "--database", database.to_str().unwrap()]).output().unwrap();
    let audit = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.contains("\tann\tunix\tPOST /{user}/contacts\tann\t"), "{audit}");
    let health = contactd(&["health", "--listen", &socket]).output().unwrap();
    assert_eq!(String::from_utf8(health.stdout).unwrap(), format!("{socket} is healthy\n"));
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0), "{}", server.log());
    assert!(!path.exists());
    let (code, text) = fails(contactd(&["health", "--listen", &socket]));
    assert!(code == 2 && text.starts_with(&format!("contactd: {socket}: ")), "{text}");
}

#[test]
fn all_clients_of_a_unix_socket_count_as_one_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let mut command = serve(&["127.0.0.1:0", &format!("unix:{}", path.display())]);
    command.args(["--rate-limit-address", "1"]);
    let server = Program::start(command);
    let status = || ask(&path, "GET", "/me", "")[9..12].to_owned();
    assert_eq!(status(), "200");
    until(|| status() == "429");
    assert_eq!(server.user("ann").get("/me").status, 200, "another address has its own");
}

#[test]
fn tls_on_a_unix_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let mut command = serve(&[&format!("unix:{}", path.display())]);
    command.arg("--tls").env("XDG_DATA_HOME", folder.path());
    let (code, text) = fails(command);
    let expected = "contactd: --listen unix:PATH is served without TLS, so it cannot be combined with a certificate\n";
    assert_eq!((code, text.as_str(), path.exists()), (1, expected, false));
}
