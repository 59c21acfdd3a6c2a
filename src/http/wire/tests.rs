use actix_http::h1::{Codec, Message, MessageType};
use actix_web::web::BytesMut;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::codec::Decoder as _;

use crate::http::wire::*;

fn read(pieces: &[&[u8]]) -> (Vec<u8>, HeadState) {
    let mut requests = Requests::default();
    let mut read = Vec::new();
    for piece in pieces {
        read.extend(requests.encoded(piece).unwrap_or_else(|| piece.to_vec()));
    }
    (read, requests.at)
}

const RAW: &str = "GET /é?$search=\"a{}\" HTTP/1.1\r\nHost: é\"\r\n\r\n";
const ENCODED: &str = "GET /%C3%A9?$search=%22a%7B%7D%22 HTTP/1.1\r\nHost: é\"\r\n\r\n";

/// Requests whose bodies look like requests, as they are sent and as they are read.
fn requests() -> Vec<(String, String)> {
    let same = |text: String| (text.clone(), text);
    let (length, long) = (RAW.len(), "é".repeat(200));
    vec![
        (RAW.into(), ENCODED.into()),
        (format!("\r\n\n{RAW}"), format!("\r\n\n{ENCODED}")),
        ("HEAD http://é\"/é?\"é HTTP/1.0\n\n".into(), "HEAD http://é\"/é?%22%C3%A9 HTTP/1.0\n\n".into()),
        same(format!("POST /a HTTP/1.1\r\ncontent-LENGTH:  {length} \r\nUser-Agent: {long}\r\n\r\n{RAW}")),
        same(format!("PUT /a HTTP/1.1\nHost:x\nContent-Length: 00{length}\n\n{RAW}")),
        same(format!(
            "PATCH /b HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n{length:x}\r\n{RAW}\r\n001\r\n\"\r\n0\r\n\r\n"
        )),
        same("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".into()),
        same("OPTIONS * HTTP/1.1\r\n\r\n".into()),
    ]
}

#[test]
fn only_targets_are_encoded() {
    for (sent, expected) in requests() {
        let (found, at) = read(&[sent.as_bytes()]);
        assert_eq!((String::from_utf8_lossy(&found).as_ref(), at), (expected.as_str(), HeadState::Method), "{sent}");
    }
    assert_eq!(read(&[b"GET /<`>\xff HTTP/1.1\r\n\r\n"]).0, b"GET /%3C%60%3E%FF HTTP/1.1\r\n\r\n");
    let mut requests = Requests::default();
    assert_eq!(requests.encoded(b"GET /a?b='c' HTTP/1.1\r\n\r\n"), None, "nothing is copied where nothing is changed");
}

#[test]
fn after_an_unusual_request_nothing_is_changed() {
    for head in [
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET  /a HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET\r\n",
        " / HTTP/1.1\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\n\r\n",
        "GET /a\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        let sent = format!("{head}{RAW}");
        assert_eq!(read(&[sent.as_bytes()]), (sent.clone().into_bytes(), HeadState::Blind), "{head}");
    }
    let zeros = "0".repeat(MAX_LINE);
    for long in [
        format!("POST / HTTP/1.1\r\nContent-Length: {zeros}1\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}\r5\r\n"),
        format!("{zeros}0 / HTTP/1.1\r\n"),
    ] {
        assert_eq!(read(&[long.as_bytes()]).1, HeadState::Blind, "{long}");
    }
}

#[test]
fn encoded_bytes_beyond_the_buffer_are_read_next() {
    let (sent, expected): (String, String) = requests().into_iter().unzip();
    actix_web::rt::System::new().block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(sent.as_bytes()).await.unwrap();
        drop(client);
        let (mut wire, mut found, mut buffer) = (Wire::new(server), Vec::new(), [0; 7]);
        loop {
            let read = wire.read(&mut buffer).await.unwrap();
            if read == 0 {
                break;
            }
            found.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(String::from_utf8_lossy(&found), expected);
    });
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_pieces(
        order in proptest::collection::vec(0_usize..8, 1..6),
        cuts in proptest::collection::vec(any::<Index>(), 0..20),
    ) {
        let all = requests();
        let sent: String = order.iter().map(|i| all[*i].0.as_str()).collect();
        let expected: String = order.iter().map(|i| all[*i].1.as_str()).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(sent.len())).collect();
        cuts.extend([0, sent.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &sent.as_bytes()[ends[0]..ends[1]]).collect();
        let (found, at) = read(&pieces);
        prop_assert_eq!((String::from_utf8(found).unwrap(), at), (expected, HeadState::Method));
    }
}

/// A message that both readers can follow to its end.
fn plain() -> impl Strategy<Value = String> {
    select(vec![
        "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\nGET /a HTTP/1.1\nHost: x\n\n",
        "POST /a HTTP/1.0\r\nContent-Length: 26\r\n\r\nGET /b?c HTTP/1.1\r\nA: b\r\n\r",
        "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ])
    .prop_map(str::to_owned)
}

/// A valid or invalid message with parts that the two readers could interpret differently.
fn message() -> impl Strategy<Value = String> {
    let line = select(vec![
        "GET /a?b HTTP/1.1\r\n",
        "GET /a HTTP/1.1\n",
        "POST /a?b HTTP/1.1\r\n",
        "PUT /a HTTP/1.1\r\n",
        "POST /a HTTP/1.0\r\n",
        "\r\n\nDELETE http://x/a?b HTTP/1.1\r\n",
        "CONNECT /a HTTP/1.1\r\n",
    ]);
    let header = select(vec![
        "Content-Length: 0\r\n",
        "Content-Length: 3\r\n",
        "content-length:\t026 \r\n",
        "Content-Length: 3\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length : 3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length:\r\n 3\r\n",
        "Content_Length: 3\r\n",
        "X: y\rContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding:CHUNKED\t\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Connection: close, transfer-encoding\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        "Expect: 100-continue\r\n",
        "X: é\"\r\n",
        "X\r\n",
    ]);
    let body = select(vec![
        "",
        "",
        "abc",
        "3\r\nabc\r\n",
        "1a\r\nGET /b?c HTTP/1.1\r\nA: b\r\n\r\n",
        "GET /bc?d HTTP/1.1\r\nA:b\r\n\r\n",
        "3\nabc\n",
        "3 ;x=\"y\"\r\nabc\r\n",
        "3;x\r\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n\r\n",
        "00000\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\n",
        "0;x\r\n\r\n",
    ]);
    let headers = proptest::collection::vec(header, 0..3);
    let bodies = proptest::collection::vec(body, 0..4);
    (line, headers, select(vec!["\r\n", "\r\n", "\n"]), bodies).prop_map(|(line, headers, end, bodies)| {
        format!("{line}Host: x\r\n{}{end}{}", headers.concat(), bodies.concat())
    })
}

/// How the framework reads bytes: where messages end, and from where on it refuses everything.
fn messages(bytes: &[u8]) -> (Vec<usize>, usize) {
    let (mut codec, mut left) = (Codec::default(), BytesMut::from(bytes));
    let mut ends = vec![0];
    loop {
        let before = bytes.len() - left.len();
        let message = codec.decode(&mut left);
        let read = bytes.len() - left.len();
        match message {
            Ok(Some(Message::Item(_))) if matches!(codec.message_type(), MessageType::None) => ends.push(read),
            Ok(Some(Message::Chunk(None))) => ends.push(read),
            Ok(Some(_)) => {}
            Ok(None) => return (ends, usize::MAX),
            Err(_) => return (ends, before),
        }
    }
}

#[test]
fn targets_are_found_where_the_framework_finds_them() {
    let change = (any::<Index>(), 0_u8..8);
    let all =
        (proptest::collection::vec(prop_oneof![plain(), message()], 1..6), proptest::collection::vec(change, 0..2));
    let mut runner = TestRunner::new(Config { cases: 20_000, ..Config::default() });
    let (mut agreed, mut later) = (0, 0);
    actix_web::rt::System::new().block_on(async {
        let counted = std::cell::Cell::new((0, 0));
        let ran = runner.run(&all, |(messages_sent, changes)| {
            let mut bytes = messages_sent.concat().into_bytes();
            for (position, change) in changes {
                let position = position.index(bytes.len());
                match change {
                    0..4 => drop(bytes.remove(position)),
                    4 => bytes.insert(position, b'\n'),
                    5 => bytes.insert(position, b'\r'),
                    6 => bytes.insert(position, b' '),
                    _ => bytes.insert(position, b'0'),
                }
            }
            let (ends, refused) = messages(&bytes);
            let mut requests = Requests::default();
            for (i, byte) in bytes.iter().enumerate() {
                if requests.at == HeadState::Path && i < refused {
                    let begin = ends.iter().rev().find(|end| **end <= i).copied().unwrap_or_default();
                    let line = bytes[begin..i].trim_ascii_start();
                    prop_assert!(!line.contains(&b'\n'), "{} at {i}", bytes.escape_ascii());
                    let (agreed, later) = counted.get();
                    counted.set((agreed + 1, later + usize::from(begin > 0)));
                }
                let _ = requests.encoded(&[*byte]);
            }
            Ok(())
        });
        (agreed, later) = counted.get();
        ran.unwrap();
    });
    assert!(later > 20_000 && agreed > later, "{agreed} and {later} are too few cases");
}
