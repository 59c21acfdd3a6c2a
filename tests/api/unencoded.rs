//! URLs with quotes and non-ASCII letters that the client has not percent-encoded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Program, contactd};
use crate::tls::DevCert;

const TEST_TIMEOUT: Duration = Duration::from_mins(2);
const SEARCH: &str = "GET /v1.0/me/contacts?$search=\"émile\"&$select=surname";
const FILTER: &str = "GET /me/contacts?$filter=givenName%20eq%20'Émile'&$select=surname";

fn serve(listen: &str) -> Program {
    Program::start(contactd(&["serve", "--dev", "--listen", listen, "--database", ":memory:"]))
}

fn connect(server: &Program) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream
}

/// A request of ann's.
fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A create with `Content-Length` or in chunks.
fn create(surname: &str, is_chunked: bool) -> Vec<u8> {
    // Text in a body that looks like a request line is not one.
    let notes = "\r\nGET /me/contacts?$search=\"é\" HTTP/1.1\r\nContent-Length: 7\r\n\r\n";
    let body = json!({"givenName": "Émile", "surname": surname, "personalNotes": notes}).to_string();
    let kind = "Content-Type: application/json\r\n";
    if !is_chunked {
        let headers = format!("{kind}Content-Length: {}\r\n", body.len());
        return request("POST /me/contacts?\"é\"", &headers, body.as_bytes());
    }
    let (one, two) = body.as_bytes().split_at(20);
    let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let body = [chunk(one), chunk(two), b"0\r\n\r\n".to_vec()].concat();
    request("POST /me/contacts?\"é\"", &format!("{kind}Transfer-Encoding: chunked\r\n"), &body)
}

/// Reads one answer from an open connection: its status, head and body.
fn answer(stream: &mut impl Read) -> (u16, String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split_once("\r\ncontent-length: ").map_or("0", |(_, rest)| rest.split_once('\r').unwrap().0);
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head[9..12].parse().unwrap(), head, body)
}

#[track_caller]
fn json_of(stream: &mut impl Read, status: u16) -> Value {
    let (found, head, body) = answer(stream);
    assert_eq!(found, status, "{head}{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// The surnames of a list.
#[track_caller]
fn surnames(stream: &mut impl Read) -> Vec<String> {
    let list = json_of(stream, 200);
    list["value"].as_array().unwrap().iter().map(|one| one["surname"].as_str().unwrap().to_owned()).collect()
}

/// Sends requests of all kinds on one connection, and checks the answers.
fn assert_unencoded_accepted<S: Read + Write>(mut stream: S) {
    stream.write_all(&create("one", false)).unwrap();
    assert_eq!(json_of(&mut stream, 201)["surname"], "one");
    for line in [SEARCH, FILTER] {
        stream.write_all(&request(line, "", b"")).unwrap();
        assert_eq!(surnames(&mut stream), ["one"], "{line}");
    }
    // Pipelined, without waiting for answers.
    let pipelined = [
        create("two", true),
        request(FILTER, "", b""),
        create("three", false),
        request(SEARCH, "Content-Length: 9\r\n", "GET /é?\"".as_bytes()),
        request(FILTER, "", b""),
    ];
    stream.write_all(&pipelined.concat()).unwrap();
    assert_eq!(json_of(&mut stream, 201)["surname"], "two");
    assert_eq!(surnames(&mut stream).len(), 2);
    json_of(&mut stream, 201);
    assert_eq!(surnames(&mut stream).len(), 3);
    assert_eq!(surnames(&mut stream).len(), 3);
}

#[test]
fn unencoded_quotes_and_non_ascii_letters_are_accepted() {
    assert_unencoded_accepted(connect(&serve("127.0.0.1:0")));
}

#[test]
fn unencoded_targets_are_accepted_over_tls_and_a_unix_socket() {
    let dev = DevCert::new();
    let server = dev.serve();
    assert_unencoded_accepted(dev.stream(&server));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let _server = serve(&format!("unix:{}", path.display()));
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    assert_unencoded_accepted(stream);
}

#[test]
fn an_unencoded_target_sent_byte_by_byte_is_accepted() {
    let server = serve("127.0.0.1:0");
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    for byte in [create("one", true), request(SEARCH, "", b"")].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    json_of(&mut stream, 201);
    assert_eq!(surnames(&mut stream), ["one"]);
}

#[test]
fn every_method_accepts_unencoded_paths() {
    let server = serve("127.0.0.1:0");
    let mut stream = connect(&server);
    let body = "{\"surname\": \"é\"}";
    for method in ["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"] {
        let line = format!("{method} /users/ann/contactFolders/é\"<x>`/contacts('é')?$select=\"é\"");
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        stream.write_all(&request(&line, &headers, body.as_bytes())).unwrap();
        let (status, head, body) = answer(&mut stream);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!((400..500).contains(&status) && body["error"]["code"].is_string(), "{method}: {head}{body}");
    }
    let id = server.user("ann").post("/me/contacts", json!({"givenName": "Émile", "surname": "one"})).id();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(&request(&format!("PATCH /me/contacts/{id}?\"é\""), &headers, body.as_bytes())).unwrap();
    assert_eq!(json_of(&mut stream, 200)["surname"], "é");
    let head = SEARCH.replace("GET ", "HEAD ");
    stream.write_all(&request(&head, "Connection: close\r\n", b"")).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn other_illegal_characters_in_a_query_are_accepted_or_refused_in_graphs_shape() {
    let server = serve("127.0.0.1:0");
    server.user("ann").post("/me/contacts", json!({"surname": "<a>{b}|\\^`\"c"})).json(201);
    let mut stream = connect(&server);
    let line = "GET /me/contacts?$filter=surname%20eq%20'<a>{b}|\\^`\"c'&$select=surname";
    stream.write_all(&request(line, "", b"")).unwrap();
    assert_eq!(surnames(&mut stream), ["<a>{b}|\\^`\"c"]);
    // Invalid UTF-8.
    let mut broken = request("GET /me/contacts?$search=\"\x01\"", "", b"");
    let place = broken.iter().position(|byte| *byte == 1).unwrap();
    broken[place] = 0xff;
    stream.write_all(&broken).unwrap();
    assert_eq!(json_of(&mut stream, 400)["error"]["code"], "BadRequest");
    // A next link has only characters that a URL allows.
    server.user("ann").post("/me/contacts", json!({"surname": "<a>{b}|\\^`\"c"})).json(201);
    stream.write_all(&request(&format!("{line}&$top=1"), "", b"")).unwrap();
    let next = json_of(&mut stream, 200)["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>`{}|\\^".contains(&byte)), "{next}");
    let next = next.strip_prefix("http://localhost").unwrap();
    stream.write_all(&request(&format!("GET {next}"), "", b"")).unwrap();
    assert_eq!(surnames(&mut stream).len(), 1);
}

#[test]
fn blanks_and_control_characters_in_a_target_close_the_connection() {
    let server = serve("127.0.0.1:0");
    for target in
        ["?$search=\"a b\"", "?$search=\"a\tb\"", "?$search=\"\x01\"", "?$search=\"\x7f\"", "?\"é\rb", "?\"é\0"]
    {
        let mut stream = connect(&server);
        stream.write_all(&request(&format!("GET /me/contacts{target}"), "", b"")).unwrap();
        stream.write_all(&request(SEARCH, "", b"")).unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n") && text.matches("HTTP/1.1").count() == 1, "{text}");
    }
}

#[test]
fn a_target_that_is_too_long_after_encoding_is_refused() {
    let server = serve("127.0.0.1:0");
    // 65,534 bytes, as the framework counts them.
    for (letters, status) in [(10_000, 200), (11_000, 400), (60_000, 431)] {
        let mut stream = connect(&server);
        let line = format!("GET /me/contacts?a=\"{}\"", "é".repeat(letters));
        stream.write_all(&request(&line, "Connection: close\r\n", b"")).unwrap();
        assert_eq!(answer(&mut stream).0, status, "{letters}");
    }
}

#[test]
fn after_a_chunk_trailer_unencoded_targets_are_refused() {
    let server = serve("127.0.0.1:0");
    let mut stream = connect(&server);
    // The framework accepts a trailer field. The server stops parsing there, so unencoded targets of later requests are refused.
    let created = String::from_utf8(create("one", true)).unwrap();
    let created = created.strip_suffix("\r\n").unwrap().to_owned() + "A: \"é\"\r\n\r\n";
    stream.write_all(created.as_bytes()).unwrap();
    json_of(&mut stream, 201);
    stream.write_all(&request("GET /me", "", b"")).unwrap();
    json_of(&mut stream, 200);
    stream.write_all(&request(SEARCH, "", b"")).unwrap();
    assert_eq!(answer(&mut stream).0, 400);
}
