//! Limits of a request that are checked before the database is used, and the accepted encodings of a body.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

fn aliases(count: usize) -> String {
    (0..count).fold(String::new(), |all, i| all + &format!("&@{i}"))
}

fn get(id: &str, url: &str) -> Value {
    json!({"id": id, "method": "GET", "url": url})
}

#[test]
fn a_query_has_at_most_a_hundred_options_and_a_hundred_aliases() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let own = |count: usize| (0..count).fold(String::new(), |all, i| all + &format!("&own{i}=1"));
    for (query, status) in [
        (format!("{}&{}", own(100), aliases(100)), 200),
        (own(101), 400),
        (aliases(101), 400),
        (aliases(10_000), 400),
        ("&".repeat(999), 200),
        ("&".repeat(1_000), 400),
        (format!("&@a={}", "x".repeat(8_191)), 200),
        (format!("&@a={}", "x".repeat(8_192)), 400),
        (format!("&@a={}&@b={0}", "x".repeat(5_000)), 400),
        ("&@a=1&@A=2".into(), 400),
    ] {
        let answer = ann.get(&format!("/me/contacts?{query}"));
        assert_eq!(answer.status, status, "{query:.40}: {:.200}", String::from_utf8_lossy(&answer.body));
        if status == 400 {
            assert_eq!(answer.error().1, "BadRequest");
        }
        let inside = format!("/me/contactFolders/contacts?$expand=contacts($top=5;$count=true){query}");
        let expected = if query == own(100) + "&" + &aliases(100) { 400 } else { status };
        assert_eq!(ann.get(&inside).status, expected, "{query:.40}");
    }
}

#[test]
fn a_batch_step_has_the_url_limits_of_a_request() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let too_many = format!("/me?{}", aliases(150_000));
    let refused = ann.post("/v1.0/$batch", json!({"requests": [get("1", "/me"), get("2", &too_many)]}));
    assert_eq!(refused.error(), (400, "BadRequest".into(), "requests/1/url".into()));
    assert_eq!(refused.message(), format!("The url of a step has at most 65534 bytes, not {}.", too_many.len()));
    let steps: Vec<_> = (0..4).map(|id| get(&id.to_string(), &too_many[..60_000])).collect();
    let answers = ann.post("/v1.0/$batch", json!({"requests": steps})).json(200);
    for answer in answers["responses"].as_array().unwrap() {
        assert_eq!(answer["status"], 400);
        let message = "The query string has more than 100 options or parameter aliases.";
        assert_eq!(answer["body"]["error"]["message"], message);
    }
    let long = "/me?a=".to_owned() + &"b".repeat(4 << 20);
    assert_eq!(ann.post("/v1.0/$batch", json!({"requests": [get("1", &long[..4_000_000])]})).status, 400);
}

#[test]
fn creates_with_long_bodies_are_stored_in_their_order_with_the_short_ones() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let sizes = [10, 70_000, 10, 30_000, 40_000, 10, 200_000, 10];
    let step = |(i, size): (usize, &usize)| {
        json!({"id": i.to_string(), "method": "POST", "url": "/me/contacts", "headers": {"Content-Type": "application/json"},
            "body": {"surname": i.to_string(), "personalNotes": "x".repeat(*size)}})
    };
    let steps: Vec<_> = sizes.iter().enumerate().map(step).collect();
    let answers = ann.post("/beta/$batch", json!({"requests": steps})).json(200);
    assert!(answers["responses"].as_array().unwrap().iter().all(|answer| answer["status"] == 201), "{answers:.500}");
    let page = ann.get("/beta/me/contacts?$top=20&$select=surname").json(200);
    let order = page["value"].as_array().unwrap().iter().map(|one| one["surname"].as_str().unwrap());
    assert_eq!(order.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn unsupported_batch_steps_and_subscription_list_options_are_named() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let answers = ann.post("/v1.0/$batch", json!({"requests": [get("1", "/healthz")]})).json(200);
    let answer = &answers["responses"][0];
    assert_eq!((&answer["status"], &answer["body"]["error"]["code"]), (&json!(400), &json!("BadRequest")));
    assert_eq!(
        answer["body"]["error"]["message"],
        "'/healthz' cannot be a step of a batch: send it as a separate request."
    );
    for (option, name) in
        [("$top=5", "$top"), ("%24skip=1", "$skip"), ("filter=true", "$filter"), ("$select=id", "$select")]
    {
        let refused = ann.get(&format!("/v1.0/subscriptions?{option}"));
        assert_eq!(refused.error(), (400, "BadRequest".into(), name.into()));
        assert!(refused.message().contains("does not apply to subscriptions"), "{}", refused.message());
    }
    ann.get("/v1.0/subscriptions?mine=1&$format=json").json(200);
}

fn send(client: &Client, path: &str, body: &[u8]) -> crate::app::Answer {
    client.send("POST", path, Some(body.to_vec()))
}

#[test]
fn a_gzip_body_of_very_many_members_is_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let packing = ann.with("Content-Encoding", "gzip");
    for empty in [17, 200_000] {
        let body = [packed(b"").repeat(empty), packed(br#"{"surname":"Lee"}"#)].concat();
        let refused = send(&packing, "/me/contacts", &body);
        assert_eq!(refused.error(), (400, "UnableToDeserializePostBody".into(), String::new()));
        assert_eq!(refused.message(), "The gzip body has more than 16 members.");
    }
    assert_eq!(app.count("select count(*) from contacts"), 0);
    let body = [packed(b"").repeat(15), packed(br#"{"surname":"Lee"}"#)].concat();
    assert_eq!(send(&packing, "/me/contacts", &body).json(201)["surname"], "Lee");
}

#[test]
fn a_byte_order_mark_is_skipped_and_other_encodings_than_utf_8_are_refused_by_their_names() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    assert_eq!(send(&ann, "/me/contacts", &marked(r#"{"surname":"Lée"}"#)).json(201)["surname"], "Lée");
    let batch = json!({"requests": [get("1", "/me/contacts/$count")]}).to_string();
    assert_eq!(send(&ann, "/$batch", &marked(&batch)).json(200)["responses"][0]["body"], 1);
    let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    let utf_32 = |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
    let text = r#"{"surname":"Lee"}"#;
    for (body, name) in [
        (utf_16(text, u16::to_le_bytes), "UTF-16"),
        (utf_16(text, u16::to_be_bytes), "UTF-16"),
        (utf_16(&format!("\u{feff}{text}"), u16::to_le_bytes), "UTF-16"),
        (utf_16(&format!("\u{feff}{text}"), u16::to_be_bytes), "UTF-16"),
        (utf_32(text), "UTF-32"),
        (utf_32(&format!("\u{feff}{text}")), "UTF-32"),
    ] {
        for path in ["/me/contacts", "/me/contacts/$ref", "/v1.0/me/contactFolders", "/$batch"] {
            let refused = send(&ann, path, &body);
            assert_eq!(refused.error(), (400, "UnableToDeserializePostBody".into(), String::new()), "{path}");
            assert_eq!(refused.message(), format!("The body is {name}. JSON must be sent as UTF-8."));
        }
    }
    // Only one byte order mark is skipped.
    assert_eq!(send(&ann, "/me/contacts", &marked("\u{feff}{}")).status, 400);
    assert_eq!(app.count("select count(*) from contacts"), 1);
}

#[test]
fn a_body_with_very_many_members_and_a_very_deep_one_are_read_or_refused() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let mut wide = String::from("{\"surname\":\"Lee\"");
    (0..49_990).for_each(|i| write!(wide, ",\"m{i}@odata.type\":\"x\"").unwrap());
    assert_eq!(ann.post("/me/contacts", wide + "}").json(201)["surname"], "Lee");
    let deep = "[".repeat(1 << 20);
    assert_eq!(ann.post("/me/contacts", deep).error().1, "UnableToDeserializePostBody");
    assert_eq!(app.count("select count(*) from contacts"), 1);
}
