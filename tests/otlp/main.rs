//! The feature `otlp`: what the real program exports to a receiver of spans. Run it by
//! `cargo test --features otlp-test --test otlp`.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    dead_code,
    reason = "this is a test: it panics where it is wrong"
)]

#[path = "../api/app.rs"]
mod app;
#[path = "../api/contract.rs"]
mod contract;
#[path = "../api/postgres.rs"]
mod postgres;
#[path = "../api/program.rs"]
mod program;
#[path = "../api/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;

use crate::app::{Client, SEED_REQUEST};
use crate::program::{Place, Program, serve_dev};
use crate::wire::read_message;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A receiver of spans: HTTP on this machine.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, heads) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let receiver = Self { port, got: Arc::clone(&got), heads: Arc::clone(&heads) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                receive(stream.unwrap(), &got, &heads);
            }
        });
        receiver
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let resources = got.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans, once there is one with this name.
    fn wait(&self, name: &str) -> Vec<Span> {
        until(|| self.spans().iter().any(|span| span.name == name));
        self.spans()
    }
}

fn receive(stream: TcpStream, got: &Mutex<Vec<ExportTraceServiceRequest>>, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let Ok((head, body)) = read_message(&mut reader) else { return };
    got.lock().unwrap().push(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    heads.lock().unwrap().push(head.to_lowercase());
    let _ = reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_mins(1), "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn exporting(place: &Place, endpoint: &str) -> Command {
    let mut command = serve_dev(&place.database());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command
}

fn traced(client: &Client, flags: &str) -> Client {
    client.with("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn text(span: &Span, name: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_and_its_commit_are_one_trace_and_no_span_holds_client_data() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let mut command = exporting(&place, &format!("http://127.0.0.1:{}", receiver.port));
    command
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret");
    let server = Program::start(command);
    let created = traced(&server.user("ann"), "01").post("/me/contacts/$ref?mine=QUERY-zq", SEED_REQUEST);
    assert_eq!(created.status, 201);
    let name = "POST /{user}/contacts/$ref";
    let spans = receiver.wait(name);
    let request = spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, PARENT));
    assert_eq!(request.kind, SpanKind::Server as i32);
    for (attribute, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/{user}/contacts/$ref"),
        ("http.response.status_code", "201"),
        ("url.scheme", "http"),
        ("contactd.request_id", &created.header("request-id")),
    ] {
        assert_eq!(text(request, attribute).as_deref(), Some(value), "{request:?}");
    }
    let below: HashSet<_> = spans
        .iter()
        .filter(|span| span.trace_id == request.trace_id && span.parent_span_id == request.span_id)
        .map(|span| span.name.as_str())
        .collect();
    assert!(["read body", "wait for writer", "commit"].iter().all(|name| below.contains(name)), "{below:?}");
    assert!(
        spans.iter().all(|span| span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano)
    );
    let got = receiver.got.lock().unwrap().clone();
    let resource = format!("{:?}", got[0].resource_spans[0].resource);
    for part in ["service.name", "\"contactd\"", "service.version", "deployment.environment.name"] {
        assert!(resource.contains(part), "{resource}");
    }
    let heads = receiver.heads.lock().unwrap().clone();
    assert!(heads[0].starts_with("post /v1/traces http/1.1\r\n") && heads[0].contains("x-key: secret"), "{heads:?}");
    assert!(heads[0].contains("content-type: application/x-protobuf"), "{heads:?}");
    let exported = format!("{got:?}");
    assert!(!exported.contains("zq") && !exported.contains("Pavel") && !exported.contains("url.query"), "{exported}");
}

#[test]
fn a_request_without_a_trace_starts_one_and_a_commit_links_to_all_its_requests() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let mut server = Program::start(exporting(&place, &format!("http://127.0.0.1:{}", receiver.port)));
    let ann = server.user("ann");
    let created = ann.post("/me/contacts", json!({"givenName": "x"}));
    let spans = receiver.wait("POST /{user}/contacts");
    let request = spans.iter().find(|span| span.name == "POST /{user}/contacts").unwrap();
    // The span id equals the request id, so that each can be found by the other.
    assert_eq!(hex(&request.trace_id), created.header("request-id").replace('-', ""));
    assert!(request.parent_span_id.is_empty() || request.parent_span_id.iter().all(|byte| *byte == 0));
    ann.get("/me/contacts?$top=1").json(200);
    let spans = receiver.wait("GET /{user}/contacts");
    let list = spans.iter().find(|span| span.name == "GET /{user}/contacts").unwrap();
    assert!(spans.iter().any(|span| span.name == "page" && span.parent_span_id == list.span_id), "{spans:?}");
    // Writes that wait for another process share a commit.
    let other = rusqlite::Connection::open(place.database()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| server.user("ann").post("/me/contacts", json!({})).json(201));
        }
        std::thread::sleep(Duration::from_millis(500));
        other.execute_batch("rollback").unwrap();
    });
    until(|| receiver.spans().iter().any(|span| span.name == "commit" && !span.links.is_empty()));
    // The remaining spans are exported when the server stops.
    ann.get("/me").json(200);
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_mins(1)).code(), Some(0));
    assert!(receiver.spans().iter().any(|span| span.name == "GET /{user}"), "{:?}", receiver.spans());
}

#[test]
fn unsampled_spans_are_not_exported_and_an_unreachable_receiver_delays_nothing() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let endpoint = format!("http://127.0.0.1:{}", receiver.port);
    let server = Program::start(exporting(&place, &endpoint));
    let ann = server.user("ann");
    traced(&ann, "00").post("/me/contacts", json!({})).json(201);
    ann.get("/me").json(200);
    let spans = receiver.wait("GET /{user}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE), "{spans:?}");
    drop(server);
    for (name, value) in [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_SDK_DISABLED", "true")] {
        let mut command = exporting(&place, &endpoint);
        command.env(name, value);
        let before = receiver.spans().len();
        let mut server = Program::start(command);
        traced(&server.user("ann"), "01").get("/me").json(200);
        server.signal("TERM");
        server.ended(Duration::from_mins(1));
        assert_eq!(receiver.spans().len(), before, "{name}");
    }
    let mut invalid = exporting(&place, &endpoint);
    invalid.env("OTEL_TRACES_SAMPLER", "sometimes");
    let (status, message) = program::fails(invalid);
    assert!(status == 1 && message.contains("OTEL_TRACES_SAMPLER: expected always_on"), "{message}");
    // No receiver listens there.
    let mut server = Program::start(exporting(&place, "http://127.0.0.1:1"));
    for _ in 0..20 {
        server.user("ann").post("/me/contacts", json!({})).json(201);
    }
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_secs(20)).code(), Some(0));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
