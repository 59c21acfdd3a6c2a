//! Answers compressed by gzip on request.

use std::io::Read as _;

use contactd::http::Settings;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::pictures::{gif, photo_of, put, value};
use crate::app::{Answer, Client, Setup, TestApp};

fn unpacked(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let mut body = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut body).unwrap();
    body
}

fn contacts(client: &Client, count: usize, notes: usize) {
    let step = |id: usize| {
        json!({"id": id.to_string(), "method": "POST", "url": "/me/contacts",
            "headers": {"Content-Type": "application/json"}, "body": {"personalNotes": "x".repeat(notes)}})
    };
    for _ in 0..count / 20 {
        client.post("/v1.0/$batch", json!({"requests": (0..20).map(step).collect::<Vec<_>>()})).json(200);
    }
}

#[test]
fn a_long_answer_is_compressed_on_request_and_has_vary() {
    let app = TestApp::new();
    let ann = app.user("ann");
    contacts(&ann, 40, 10_000);
    let asks = ann.with("Accept-Encoding", "gzip, deflate, br");
    // Small ones are compressed on the event loop, others on another thread.
    for path in
        ["/v1.0/me/contacts", "/me/contacts?$top=3", "/v1.0/me/contacts?$top=40", "/$metadata", "/v1.0/$metadata"]
    {
        let plain = ann.get(path);
        assert_eq!((plain.status, plain.header("content-encoding").as_str()), (200, ""), "{path}");
        assert_eq!(plain.header("vary"), "Accept-Encoding", "{path}");
        let compressed = asks.get(path);
        assert_eq!((compressed.status, compressed.header("vary")), (200, "Accept-Encoding".into()), "{path}");
        assert_eq!(compressed.header("content-type"), plain.header("content-type"), "{path}");
        assert!(compressed.body.len() * 2 < plain.body.len(), "{path}");
        assert_eq!(unpacked(&compressed), plain.body, "{path}");
        let head = asks.send("HEAD", path, None);
        for name in ["content-length", "content-encoding", "vary", "content-type"] {
            assert_eq!(head.header(name), compressed.header(name), "{path} {name}");
        }
        head.empty(200);
        assert_eq!(ann.with("Accept-Encoding", "gzip;q=0, identity").get(path).body, plain.body, "{path}");
    }
}

#[test]
fn short_answers_and_pictures_are_not_compressed() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let asks = ann.with("Accept-Encoding", "gzip");
    let id = ann.post("/me/contacts", json!({"surname": "Lee"})).id();
    let photo = photo_of(&ann);
    let picture = gif(10, 10, 100_000, 0);
    assert_eq!(put(&ann, &photo, &picture).status, 200);
    assert_eq!(value(&asks, &photo).body, picture);
    let value = format!("{photo}/$value");
    for path in [&format!("/me/contacts/{id}"), "/me/contacts/$count", &photo, &value, "/me/nothing"] {
        let answer = asks.get(path);
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), Default::default(), "{path}");
        assert_eq!(answer.body.len().to_string(), answer.header("content-length"), "{path}");
    }
}

#[test]
fn compression_does_not_change_the_etag() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let asks = ann.with("Accept-Encoding", "gzip");
    let id = ann.post("/me/contacts", json!({"personalNotes": "x".repeat(5_000)})).id();
    let path = format!("/v1.0/me/contacts/{id}");
    let compressed = asks.get(&path);
    let read: Value = serde_json::from_slice(&unpacked(&compressed)).unwrap();
    assert_eq!((&read, compressed.header("etag")), (&ann.get(&path).json(200), ann.get(&path).header("etag")));
    asks.with("If-None-Match", &compressed.header("etag")).get(&path).empty(304);
    let changed = asks.with("If-Match", &compressed.header("etag")).patch(&path, json!({"surname": "Lee"}));
    assert_eq!((changed.status, unpacked(&changed).is_empty()), (200, false));
}

#[test]
fn vary_names_origin_and_accept_encoding_for_allowed_origins() {
    let cors = vec!["https://a.example".parse().unwrap()];
    let app = TestApp::with(Setup { settings: Settings { cors, ..Settings::default() }, ..Setup::default() });
    contacts(&app.user("ann"), 20, 1_000);
    let ann = app.user("ann").with("Origin", "https://a.example").with("Accept-Encoding", "gzip");
    let answer = ann.get("/v1.0/me/contacts");
    let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(vary.join(", "), "Origin, Accept-Encoding");
    assert!(unpacked(&answer).len() > 10_000);
}
