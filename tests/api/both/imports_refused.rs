//! Bodies of `$import` and of cards that are too large, too slow or endless are refused without waiting for the rest, and
//! leave nothing behind.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use contactd::http::Settings;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::corpus::import;
use super::imports::cards;
use crate::app::{Setup, TestApp};
use crate::wire::content_length;

const IMPORT: &str = "POST /me/contacts/$import";
const PUT: &str = "PUT /dav/addressbooks/ann/contacts/a.vcf";
/// Maximum file size in these tests, in bytes.
const MAX_FILE_SIZE: usize = 100_000;

/// A server with this timeout. With a long one, an answer that waits for the rest of a body does not arrive in time.
fn server(body_timeout: Duration) -> TestApp {
    let settings = Settings { max_import: MAX_FILE_SIZE as u64, body_timeout, ..Settings::default() };
    TestApp::with(Setup { settings, ..Setup::default() })
}

fn patient() -> TestApp {
    server(Duration::from_mins(10))
}

/// Sends a request whose body may be incomplete. The connection stays open.
fn send(app: &TestApp, call: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // `ann:ann`: with `--dev` user and password are equal.
    let authorization = if call == PUT { "Basic YW5uOmFubg==" } else { "Bearer ann" };
    let head = format!("{call} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n{headers}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Reads the answer to the end of its body by `Content-Length`, or to the end of the connection.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && content_length(head).is_some_and(|length| body.len() >= length)
        {
            return text;
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece) {
            Ok(0) => return text,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&piece[..read])),
            Err(error) => panic!("{error} after {text:?}"),
        }
    }
}

#[track_caller]
fn assert_refused(mut stream: TcpStream, status: u16, part: &str) {
    let answer = answer(&mut stream);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(part), "{answer}");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Asserts that nothing was stored and that a new import is accepted.
fn assert_nothing_stored(app: &TestApp) {
    assert_eq!(app.count("select count(*) from contacts"), 0);
    assert_eq!(app.count("select count(*) from imports"), 0);
    let (_, last) = import(&app.user("ann"), "/me/contacts/$import", cards(0..1).as_bytes());
    assert_eq!(last["counts"]["created"], 1);
}

#[test]
fn a_file_over_the_limit_is_refused_before_the_rest_arrives() {
    let app = patient();
    let large = cards(0..1_000);
    assert!(large.len() > MAX_FILE_SIZE);
    // By its declared length before any of it is read; without a length, as soon as too much has arrived.
    assert_refused(
        send(&app, IMPORT, &format!("Content-Length: {}", MAX_FILE_SIZE + 1), b"BEGIN:VCARD\r\n"),
        413,
        "RequestEntityTooLarge",
    );
    let over_limit = &large.as_bytes()[..=MAX_FILE_SIZE];
    assert_refused(send(&app, IMPORT, "Transfer-Encoding: chunked", &chunk(over_limit)), 413, "RequestEntityTooLarge");
    // By its decompressed size, and as a form.
    let small = packed(large.as_bytes());
    assert!(small.len() < MAX_FILE_SIZE);
    let gzip = format!("Content-Encoding: gzip\r\nContent-Length: {}", small.len());
    assert_refused(send(&app, IMPORT, &gzip, &small), 413, "RequestEntityTooLarge");
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked";
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.vcf\"\r\n\r\n";
    assert_refused(
        send(&app, IMPORT, form, &chunk(&[part.as_bytes(), over_limit].concat())),
        413,
        "RequestEntityTooLarge",
    );
    let packed_part = [&chunk(&[part.as_bytes(), &small, b"\r\n--x--\r\n"].concat())[..], b"0\r\n\r\n"].concat();
    assert_refused(send(&app, IMPORT, form, &packed_part), 413, "RequestEntityTooLarge");
    assert_nothing_stored(&app);
}

#[test]
fn an_unsupported_file_is_refused_before_the_rest_arrives() {
    let app = patient();
    // More of them than imports may run at once, so that none may remain open.
    let junk = "x,y\r\n".repeat(MAX_FILE_SIZE / 5);
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked";
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n\r\n";
    for _ in 0..10 {
        // A second file in the form, of which some data arrives.
        let second = format!("{part}{}\r\n{part}{junk}", cards(0..0));
        let mut pieces = Vec::new();
        second.as_bytes().chunks(4_000).for_each(|piece| pieces.extend(chunk(piece)));
        assert_refused(send(&app, IMPORT, form, &pieces), 400, "");
        // A body that is not gzip.
        let gzip = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked";
        assert_refused(send(&app, IMPORT, gzip, &chunk(junk.as_bytes())), 400, "not valid gzip");
    }
    assert_nothing_stored(&app);
}

#[test]
fn an_import_does_not_wait_for_bytes_after_the_last_part_of_a_form() {
    let app = patient();
    let file = cards(0..3);
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked";
    let whole =
        format!("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.vcf\"\r\n\r\n{file}\r\n--x--\r\n");
    let mut body = chunk(whole.as_bytes());
    (0..20).for_each(|_| body.extend(chunk(&[b' '; 4_000])));
    body.extend(b"0\r\n\r\n");
    let mut stream = send(&app, IMPORT, &format!("{form}\r\nConnection: close"), &body);
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"created\":3"), "{answer}");
}

#[test]
fn a_file_that_exceeds_the_limit_during_upload_ends_with_an_error_and_keeps_committed_contacts() {
    const LIMIT: usize = 3 << 20;
    let settings = Settings { max_import: LIMIT as u64, body_timeout: Duration::from_mins(10), ..Settings::default() };
    let app = TestApp::with(Setup { settings, ..Setup::default() });
    let note = "x".repeat(30_000);
    let file = cards(0..150).replace("X-KEEP:", &format!("NOTE:{note}"));
    assert!(file.len() > LIMIT);
    let mut body = Vec::new();
    file.as_bytes()[..=LIMIT].chunks(50_000).for_each(|piece| body.extend(chunk(piece)));
    let mut stream = send(&app, IMPORT, "Transfer-Encoding: chunked", &body);
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let line = answer.lines().rfind(|line| line.starts_with("{\"error\"")).unwrap();
    let report: Value = serde_json::from_str(line).unwrap();
    assert_eq!(report["error"]["code"], "RequestEntityTooLarge");
    assert!(!answer.ends_with("0\r\n\r\n"), "it ends as if it were whole");
    let created = answer.matches("\"created\"").count();
    assert!((50..150).contains(&created), "{created}");
    assert_eq!(app.count("select count(*) from contacts"), i64::try_from(created).unwrap());
}

#[test]
fn a_stalled_upload_times_out() {
    let app = server(Duration::from_millis(300));
    let chunked = "Transfer-Encoding: chunked";
    for (headers, body) in [
        ("Content-Length: 5000", Vec::new()),
        ("Content-Length: 5000", b"BEGIN:VCARD\r\nFN:a".to_vec()),
        (chunked, chunk(cards(0..5).as_bytes())),
        ("Content-Encoding: gzip\r\nTransfer-Encoding: chunked", chunk(&packed(cards(0..50).as_bytes())[..100])),
        (
            "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked",
            chunk(b"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.vcf\"\r\n\r\nBEGIN"),
        ),
    ] {
        assert_refused(send(&app, IMPORT, headers, &body), 408, "RequestTimeout");
    }
    assert_refused(
        send(&app, PUT, "Content-Type: text/vcard\r\nContent-Length: 500", b"BEGIN:VCARD\r\n"),
        408,
        "<D:error",
    );
    assert_nothing_stored(&app);
}

#[test]
fn a_card_over_the_limit_is_refused_before_the_rest_arrives() {
    let app = patient();
    let large = 9 << 20;
    assert_refused(send(&app, PUT, &format!("Content-Length: {large}"), b"BEGIN:VCARD\r\n"), 403, "max-resource-size");
    let packed = packed(&vec![b' '; large]);
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}", packed.len());
    assert_refused(send(&app, PUT, &headers, &packed), 403, "max-resource-size");
    let mut stream = send(&app, PUT, "Transfer-Encoding: chunked", b"");
    let piece = chunk(&vec![b' '; 1 << 20]);
    // The server closes the connection early, possibly while the client still sends.
    let _ = (0..9).try_for_each(|_| stream.write_all(&piece));
    assert_refused(stream, 403, "max-resource-size");
    assert_nothing_stored(&app);
}
