//! Bodies of `$import` and of cards that are too large, too slow or never end: they are refused without waiting for their rest, and
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
/// Files may have so many bytes here.
const MOST: usize = 100_000;

/// An impatient or a patient server: where it is patient, an answer that waits for the rest of a body does not come in time.
fn server(body_timeout: Duration) -> TestApp {
    let settings = Settings { max_import: MOST as u64, body_timeout, ..Settings::default() };
    TestApp::with(Setup { settings, ..Setup::default() })
}

fn patient() -> TestApp {
    server(Duration::from_mins(10))
}

/// Sends a request whose body may not be whole. The connection stays open.
fn send(app: &TestApp, call: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // `ann:ann`, which tokens and passwords are alike under `--dev`.
    let who = if call == PUT { "Basic YW5uOmFubg==" } else { "Bearer ann" };
    let head = format!("{call} HTTP/1.1\r\nHost: x\r\nAuthorization: {who}\r\n{headers}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The answer up to the end of its body, which has a length, or up to where the connection breaks off.
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
fn is(mut stream: TcpStream, status: u16, part: &str) {
    let answer = answer(&mut stream);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(part), "{answer}");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// That nothing was stored, and that a next import is let in.
fn nothing_is_left(app: &TestApp) {
    assert_eq!(app.count("select count(*) from contacts"), 0);
    assert_eq!(app.count("select count(*) from imports"), 0);
    let (_, last) = import(&app.user("ann"), "/me/contacts/$import", cards(0..1).as_bytes());
    assert_eq!(last["counts"]["created"], 1);
}

#[test]
fn a_file_over_the_limit_is_refused_before_its_rest_has_come() {
    let app = patient();
    let large = cards(0..1_000);
    assert!(large.len() > MOST);
    // By its declared length, before any of it is read; and where no length is declared, as soon as too much has come.
    is(send(&app, IMPORT, &format!("Content-Length: {}", MOST + 1), b"BEGIN:VCARD\r\n"), 413, "RequestEntityTooLarge");
    let over = &large.as_bytes()[..=MOST];
    is(send(&app, IMPORT, "Transfer-Encoding: chunked", &chunk(over)), 413, "RequestEntityTooLarge");
    // By what it unpacks to, and as a form.
    let small = packed(large.as_bytes());
    assert!(small.len() < MOST);
    let gzip = format!("Content-Encoding: gzip\r\nContent-Length: {}", small.len());
    is(send(&app, IMPORT, &gzip, &small), 413, "RequestEntityTooLarge");
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked";
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.vcf\"\r\n\r\n";
    is(send(&app, IMPORT, form, &chunk(&[part.as_bytes(), over].concat())), 413, "RequestEntityTooLarge");
    let packed_part = [&chunk(&[part.as_bytes(), &small, b"\r\n--x--\r\n"].concat())[..], b"0\r\n\r\n"].concat();
    is(send(&app, IMPORT, form, &packed_part), 413, "RequestEntityTooLarge");
    nothing_is_left(&app);
}

#[test]
fn a_file_that_is_no_file_of_contacts_is_refused_before_its_rest_has_come() {
    let app = patient();
    // More of them than imports may run at once: none stays.
    let junk = "x,y\r\n".repeat(MOST / 5);
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked";
    let part = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n\r\n";
    for _ in 0..10 {
        // A second file in the form, of which more than a little comes.
        let second = format!("{part}{}\r\n{part}{junk}", cards(0..0));
        let mut pieces = Vec::new();
        second.as_bytes().chunks(4_000).for_each(|piece| pieces.extend(chunk(piece)));
        is(send(&app, IMPORT, form, &pieces), 400, "");
        // A body that is no gzip.
        let gzip = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked";
        is(send(&app, IMPORT, gzip, &chunk(junk.as_bytes())), 400, "not valid gzip");
    }
    nothing_is_left(&app);
}

#[test]
fn what_follows_the_last_part_of_a_form_is_not_waited_for() {
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
fn a_file_that_goes_over_the_limit_on_its_way_ends_with_the_error_and_keeps_what_was_committed() {
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
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!(told["error"]["code"], "RequestEntityTooLarge");
    assert!(!answer.ends_with("0\r\n\r\n"), "it ends as if it were whole");
    let created = answer.matches("\"created\"").count();
    assert!((50..150).contains(&created), "{created}");
    assert_eq!(app.count("select count(*) from contacts"), i64::try_from(created).unwrap());
}

#[test]
fn a_body_that_stalls_is_given_up() {
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
        is(send(&app, IMPORT, headers, &body), 408, "RequestTimeout");
    }
    is(send(&app, PUT, "Content-Type: text/vcard\r\nContent-Length: 500", b"BEGIN:VCARD\r\n"), 408, "<D:error");
    nothing_is_left(&app);
}

#[test]
fn a_card_over_the_limit_is_refused_before_its_rest_has_come() {
    let app = patient();
    let large = 9 << 20;
    is(send(&app, PUT, &format!("Content-Length: {large}"), b"BEGIN:VCARD\r\n"), 403, "max-resource-size");
    let packed = packed(&vec![b' '; large]);
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}", packed.len());
    is(send(&app, PUT, &headers, &packed), 403, "max-resource-size");
    let mut stream = send(&app, PUT, "Transfer-Encoding: chunked", b"");
    let piece = chunk(&vec![b' '; 1 << 20]);
    // The server closes when it has seen enough, and may do so while more is sent.
    let _ = (0..9).try_for_each(|_| stream.write_all(&piece));
    is(stream, 403, "max-resource-size");
    nothing_is_left(&app);
}
