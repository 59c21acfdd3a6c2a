//! Accepted picture formats and sizes of photos, and that photos are served unchanged with a safe media type.

use std::io::Write as _;
use std::net::TcpStream;

use contactd::http::MAX_BODY;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;

use crate::app::{Answer, Client, TestApp};

/// Minimal complete pictures of one pixel.
pub const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\x01\0H\0H\0\0\xff\xdb\0C\0\
    \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
    \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
    \xff\xc2\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\
    \xff\xc4\0\x14\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xda\0\x08\x01\x01\0\x01?\x10";
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x04\0\0\0\xb5\x1c\x0c\x02\
    \0\0\0\x0bIDATx\xdacd`\0\0\0\x06\0\x020\x81\xd0/\0\0\0\0IEND\xaeB`\x82";
pub const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";
const VP8: &[u8] = b"RIFF\"\0\0\0WEBPVP8 \x16\0\0\x000\x01\0\x9d\x01*\x01\0\x01\0\x0e\xc0\xfe%\xa4\0\x03p\0\0\0\0";
const VP8L: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";
const VP8X: &[u8] =
    b"RIFFJ\0\0\0WEBPVP8X\n\0\0\0\x10\0\0\0\0\0\0\0\0\0ALPH\x0c\0\0\0\x11\x07\x10\x11\xfd\x0fDD\xff\x03\0\0\
    VP8 \x18\0\0\0\x14\x01\0\x9d\x01*\x01\0\x01\0\0\0\xfe\0\0\r\xc0\0\xfe\xe6\xb5\0\0\0";

/// One of each format, and of each variant of WebP.
pub const WHOLE: [&[u8]; 6] = [JPEG, PNG, GIF, VP8, VP8L, VP8X];

pub const CHUNK: usize = 256 << 10;
pub const GONE: (u16, &str) = (404, "ErrorItemNotFound");

/// A GIF with this screen size and total number of bytes.
pub fn gif(width: u16, height: u16, size: usize, filled: u8) -> Vec<u8> {
    let mut bytes = GIF.to_vec();
    bytes[6..8].copy_from_slice(&width.to_le_bytes());
    bytes[8..10].copy_from_slice(&height.to_le_bytes());
    bytes.resize(size, filled);
    bytes
}

pub fn photo_of(client: &Client) -> String {
    format!("/me/contacts/{}/photo", client.post("/me/contacts", json!({"title": "x"})).id())
}

pub fn put(client: &Client, photo: &str, bytes: &[u8]) -> Answer {
    client.send("PUT", &format!("{photo}/$value"), Some(bytes.to_vec()))
}

pub fn value(client: &Client, photo: &str) -> Answer {
    client.get(&format!("{photo}/$value"))
}

#[track_caller]
pub fn assert_error(answer: &Answer, (status, code): (u16, &str)) {
    assert_eq!(answer.error(), (status, code.to_owned(), String::new()), "{}", answer.message());
}

/// Asserts the bytes of the photo, and headers that keep browsers from executing it.
#[track_caller]
pub fn assert_is(answer: &Answer, bytes: &[u8], content_type: &str) {
    assert_eq!(answer.status, 200);
    for (name, expected) in [
        ("content-type", content_type),
        ("content-length", &bytes.len().to_string()),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "private, no-cache"),
    ] {
        assert_eq!(answer.header(name), expected, "{name}");
    }
    assert!(answer.body == bytes, "{} of {} bytes", answer.body.len(), bytes.len());
}

#[test]
fn a_photo_is_returned_unchanged_whatever_its_content_type() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let pictures = [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (VP8, "image/webp"),
        (VP8L, "image/webp"),
        (VP8X, "image/webp"),
    ];
    for (method, declared) in [
        ("PUT", "image/jpeg"),
        ("PATCH", "image/jpeg"),
        ("PUT", "image/png"),
        ("PUT", "application/octet-stream"),
        ("PUT", "application/json"),
        ("PATCH", "text/html; charset=utf-8"),
        ("PUT", "image/svg+xml"),
        ("PUT", "nonsense"),
    ] {
        let photo = photo_of(&ann);
        for (bytes, content_type) in pictures {
            let client = ann.with("Content-Type", declared);
            let answer = client.send(method, &format!("{photo}/$value"), Some(bytes.to_vec()));
            let shown = answer.json(200);
            assert_eq!(shown["@odata.mediaContentType"], content_type, "{method} {declared}");
            assert_eq!(shown["@odata.mediaEtag"], answer.header("etag"));
            assert_eq!(ann.get(&photo).json(200), shown);
            let read = ann.with("Accept", "application/octet-stream, application/json").get(&format!("{photo}/$value"));
            assert_is(&read, bytes, content_type);
            assert_eq!(read.header("etag"), answer.header("etag"));
        }
    }
    // A client without a `Content-Type`.
    let photo = photo_of(&ann);
    let mut stream = TcpStream::connect(&app.address).unwrap();
    write!(stream, "PUT {photo}/%24VALUE HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", PNG.len()).unwrap();
    stream.write_all(PNG).unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_is(&value(&ann, &photo), PNG, "image/png");
}

#[test]
fn nothing_but_a_picture_is_taken() {
    let app = TestApp::new();
    let (none, kept) = (photo_of(&app.user("ann")), photo_of(&app.user("ann")));
    let ann = app.user("ann").with("Content-Type", "image/png");
    let etag = put(&ann, &kept, PNG).header("etag");
    let png = |side: u32, other: u32| [&PNG[..16], &side.to_be_bytes(), &other.to_be_bytes(), &PNG[24..]].concat();
    let unknown = (415, "notSupported");
    let broken = (400, "RequestBodyRead");
    let large = (400, "ErrorPropertyValidationFailure");
    let cases: Vec<(Vec<u8>, (u16, &str), &str)> = vec![
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".to_vec(), unknown, "SVG"),
        (b"<?xml version=\"1.0\"?><svg/>".to_vec(), unknown, "SVG"),
        (b"\xef\xbb\xbf<svg/>".to_vec(), unknown, "SVG"),
        (b"<!DOCTYPE html><script>alert(1)</script>".to_vec(), unknown, "HTML"),
        (b"GIF8<script>alert(1)</script>".to_vec(), unknown, "half a mark"),
        (b"\x89PNG<html>".to_vec(), unknown, "half a mark"),
        (b"RIFF\x24\0\0\0WAVEfmt ".to_vec(), unknown, "a sound"),
        (b"BM\x3e\0\0\0\0\0\0\0".to_vec(), unknown, "BMP"),
        (b"%PDF-1.7".to_vec(), unknown, "PDF"),
        (b"\0\0\0\x20ftypavif".to_vec(), unknown, "AVIF"),
        (b"{}".to_vec(), unknown, "JSON"),
        (b" ".to_vec(), unknown, "a blank"),
        ([b"\n", PNG].concat(), unknown, "not at its beginning"),
        (PNG[..20].to_vec(), broken, "cut off"),
        (JPEG[..30].to_vec(), broken, "cut off"),
        (GIF[..8].to_vec(), broken, "cut off"),
        (VP8[..22].to_vec(), broken, "cut off"),
        ([&JPEG[..3], &[0xff; 100][..]].concat(), broken, "no frame"),
        (png(0, 1), broken, "no width"),
        (png(1, u32::MAX), large, "too high"),
        (png(16_385, 1), large, "too wide"),
        (png(16_000, 16_000), large, "too much to decode"),
        (gif(u16::MAX, u16::MAX, 100, 0), large, "too much to decode"),
    ];
    for (bytes, refusal, what) in cases {
        for photo in [&none, &kept] {
            for method in ["PUT", "PATCH"] {
                let answer = ann.send(method, &format!("{photo}/$value"), Some(bytes.clone()));
                assert_eq!(answer.error(), (refusal.0, refusal.1.to_owned(), String::new()), "{what}");
            }
        }
    }
    assert_error(&ann.get(&none), GONE);
    assert_is(&value(&ann, &kept), PNG, "image/png");
    assert_eq!(ann.get(&kept).header("etag"), etag);
    assert_eq!(app.sql("select count(*) from photos"), "1");
    assert_eq!(app.sql("select count(*) from photo_chunks"), "1");
    let message = put(&ann, &none, b"<svg/>").message();
    assert!(message.contains("JPEG, PNG, GIF or WebP"), "{message}");
    let message = put(&ann, &none, &png(16_385, 7)).message();
    assert!(message.contains("16385 x 7") && message.contains("16384"), "{message}");
    assert_eq!(put(&ann, &none, &png(16_384, 6_000)).status, 200);
}

#[test]
fn a_picture_that_is_a_page_as_well_is_served_as_a_picture_alone() {
    let app = TestApp::new();
    let photo = photo_of(&app.user("ann"));
    let ann = app.user("ann").with("Content-Type", "text/html");
    for (mark, content_type) in [(GIF, "image/gif"), (PNG, "image/png"), (JPEG, "image/jpeg"), (VP8, "image/webp")] {
        let both = [mark, b"/*<html><svg onload=\"alert(1)\"><script>*/=1;alert(1)//</script></svg></html>"].concat();
        assert_eq!(put(&ann, &photo, &both).status, 200);
        assert_is(&ann.with("Accept", "text/html").get(&format!("{photo}/$value")), &both, content_type);
    }
}

#[test]
fn a_photo_may_have_four_mebibytes_and_no_byte_more() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let photo = photo_of(&ann);
    let largest = gif(1, 1, MAX_BODY, 7);
    assert_eq!(put(&ann, &photo, &largest).status, 200);
    assert_error(&put(&ann, &photo, &gif(1, 1, MAX_BODY + 1, 8)), (413, "RequestEntityTooLarge"));
    assert_is(&value(&ann, &photo), &largest, "image/gif");
    assert_eq!(app.sql("select count(*), max(pos), max(length(bytes)) from photo_chunks"), format!("16|15|{CHUNK}"));

    let packed = ann.with("Content-Encoding", "gzip");
    let pack = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    assert_error(&put(&packed, &photo, &pack(&gif(1, 1, 64 << 20, 0))), (413, "RequestEntityTooLarge"));
    assert_error(&put(&packed, &photo, GIF), (400, "UnableToDeserializePostBody"));
    assert_error(&put(&ann.with("Content-Encoding", "br"), &photo, GIF), (415, "notSupported"));
    assert_is(&value(&ann, &photo), &largest, "image/gif");
    assert_eq!(put(&packed, &photo, &pack(PNG)).status, 200);
    assert_is(&value(&ann, &photo), PNG, "image/png");
    assert_eq!(app.sql("select count(*), max(pos) from photo_chunks"), "1|0");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn bytes_after_the_picture_header_are_returned_unchanged(
        around in (0_usize..4, -2_isize..3),
        seed in proptest::collection::vec(any::<u8>(), 1..300),
    ) {
        let app = TestApp::new();
        let ann = app.user("ann");
        let photo = photo_of(&ann);
        let size = (around.0 * CHUNK).checked_add_signed(around.1).unwrap_or_default().max(GIF.len());
        let mut bytes = GIF.to_vec();
        bytes.extend(seed.iter().cycle().take(size - GIF.len()));
        prop_assert_eq!(put(&ann, &photo, &bytes).status, 200);
        let read = value(&ann, &photo);
        prop_assert!(read.status == 200 && read.body == bytes);
    }
}
