//! Spans by OTLP (HTTP, protobuf), configured by the variables of OpenTelemetry's specification alone. Spans are
//! exported by a thread of its own from a bounded queue: a slow or unreachable receiver delays no request.

mod send;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SamplingDecision, ShouldSample as _, SpanData, SpanEvents, SpanLinks,
    SpanProcessor as _,
};
use uuid::Uuid;

use crate::clock;
use crate::trace::spans::RequestOutcome;
use crate::trace::spans::otlp::send::Sender;
use crate::trace::{Current, Trace, current};

/// Time limit for exporting the rest when the server stops.
const FLUSH: Duration = Duration::from_secs(2);
/// Maximum number of spans that a commit is linked to: no more writes share a commit.
const MAX_LINKS: usize = 256;

static EXPORTING: OnceLock<ExporterState> = OnceLock::new();

struct ExporterState {
    processor: BatchSpanProcessor,
    sampling: Sampling,
}

/// The sampler (`OTEL_TRACES_SAMPLER`).
struct Sampling {
    /// Whether a trace that a client began is recorded if and only if the client records it.
    follows_parent: bool,
    sampler: Sampler,
}

/// The start time of a span, in UTC microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since(i64);

impl Since {
    pub(crate) fn now() -> Self {
        Self(clock::now())
    }
}

/// A piece of work, which ends when this is dropped.
pub(crate) struct Span {
    name: &'static str,
    since: Since,
    current: Option<Arc<Current>>,
}

/// Begins a span in the trace of the running task's request.
pub(crate) fn span(name: &'static str) -> Span {
    Span { name, since: Since::now(), current: EXPORTING.get().and_then(|_| current()) }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(current) = &self.current {
            export_child(current, self.name, self.since, Vec::new());
        }
    }
}

/// The trace of a request: the one that its client has sent, or a new one whose id is the request's.
pub(crate) fn begin(request: Uuid, sent: Option<Trace>) -> Option<Trace> {
    let Some(exporting) = EXPORTING.get() else { return sent };
    let trace = sent.unwrap_or_else(|| Trace::new(request.as_u128()));
    let (id, _, parent) = trace.numbers();
    let is_sampled = match parent {
        Some(_) if exporting.sampling.follows_parent => trace.is_sampled(),
        _ => exporting.sampling.samples(id),
    };
    // The log does not show a new trace that is not recorded.
    (parent.is_some() || is_sampled).then(|| trace.sampled(is_sampled))
}

/// Exports the span of an answered request.
pub(crate) fn export_request(current: &Current, since: Since, answered: &RequestOutcome<'_>) {
    let Some(trace) = &current.trace else { return };
    let RequestOutcome { method, route, status, code, is_secure, host } = *answered;
    let (_, span, parent) = trace.numbers();
    let name = if route.is_empty() { method.to_owned() } else { format!("{method} {route}") };
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("url.scheme", if is_secure { "https" } else { "http" }),
        KeyValue::new("server.address", host.to_owned()),
        KeyValue::new("contactd.request_id", current.request.to_string()),
    ];
    if !route.is_empty() {
        attributes.push(KeyValue::new("http.route", route));
    }
    let is_error = status >= 500;
    if let Some(code) = code.filter(|_| is_error) {
        attributes.push(KeyValue::new("error.type", code));
    }
    let status = if is_error { Status::error("") } else { Status::Unset };
    let ids = SpanIds { trace, span, parent, is_remote: parent.is_some(), kind: SpanKind::Server };
    export(&ids, name, since, attributes, SpanLinks::default(), status);
}

/// Exports the time for which a write waited for the writer.
pub(crate) fn export_wait(cause: Option<&Arc<Current>>, since: Since) {
    if let Some(current) = cause {
        export_child(current, "wait for writer", since, Vec::new());
    }
}

/// Exports a commit. It belongs to the trace of the first write and is linked to the others.
pub(crate) fn export_commit<'a>(causes: impl Iterator<Item = &'a Arc<Current>>, since: Since) {
    if EXPORTING.get().is_none() {
        return;
    }
    let mut causes = causes.filter(|current| current.trace.as_ref().is_some_and(Trace::is_sampled));
    let Some(first) = causes.next() else { return };
    let linked = causes.filter(|other| other.request != first.request).take(MAX_LINKS);
    let link = |other: &Arc<Current>| {
        let (id, span, _) = other.trace.as_ref()?.numbers();
        Some(Link::with_context(context(id, span)))
    };
    export_child(first, "commit", since, linked.filter_map(link).collect());
}

/// Exports the sending of a notification.
pub(crate) fn export_notification(current: &Current, since: Since, status: Option<u16>) {
    let Some(trace) = &current.trace else { return };
    let (_, span, parent) = trace.numbers();
    let mut attributes = vec![KeyValue::new("http.request.method", "POST")];
    attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
    let is_taken = status.is_some_and(|status| (200..300).contains(&status));
    let status = if is_taken { Status::Unset } else { Status::error("") };
    let ids = SpanIds { trace, span, parent, is_remote: false, kind: SpanKind::Client };
    export(&ids, "POST notification".to_owned(), since, attributes, SpanLinks::default(), status);
}

/// Exports a span inside of a request's.
fn export_child(current: &Current, name: &'static str, since: Since, links: Vec<Link>) {
    let Some(trace) = &current.trace else { return };
    let (_, parent, _) = trace.numbers();
    let span = clock::new_span_id();
    let ids = SpanIds { trace, span, parent: Some(parent), is_remote: false, kind: SpanKind::Internal };
    let mut span_links = SpanLinks::default();
    span_links.links.extend(links);
    export(&ids, name.to_owned(), since, Vec::new(), span_links, Status::Unset);
}

/// The ids of a span.
struct SpanIds<'a> {
    trace: &'a Trace,
    span: u64,
    parent: Option<u64>,
    /// Whether the parent is of another program.
    is_remote: bool,
    kind: SpanKind,
}

fn context(id: u128, span: u64) -> SpanContext {
    let (id, span) = (TraceId::from_bytes(id.to_be_bytes()), SpanId::from_bytes(span.to_be_bytes()));
    SpanContext::new(id, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn export(
    ids: &SpanIds<'_>,
    name: String,
    Since(begun): Since,
    attributes: Vec<KeyValue>,
    links: SpanLinks,
    status: Status,
) {
    let Some(exporting) = EXPORTING.get().filter(|_| ids.trace.is_sampled()) else { return };
    let (id, ..) = ids.trace.numbers();
    let parent = ids.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_be_bytes()));
    exporting.processor.on_end(SpanData {
        span_context: context(id, ids.span),
        parent_span_id: parent,
        parent_span_is_remote: ids.is_remote,
        span_kind: ids.kind.clone(),
        name: name.into(),
        start_time: clock::system_time(begun),
        end_time: clock::system_time(clock::now()),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status,
        instrumentation_scope: InstrumentationScope::builder("contactd")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    });
}

/// The exporter of spans, until it is dropped.
pub(crate) struct Exporter(());

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Some(exporting) = EXPORTING.get()
            && let Err(error) = exporting.processor.shutdown_with_timeout(FLUSH)
        {
            tracing::warn!(%error, "not all spans were exported");
        }
    }
}

/// Starts the export, if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says where to. The
/// receiver's certificate is trusted as in other outgoing calls.
///
/// # Errors
/// One line: one of the variables cannot be used.
pub(crate) fn start(ca_file: Option<&Path>) -> Result<Exporter, String> {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if is_off || !(has("OTEL_EXPORTER_OTLP_ENDPOINT") || has("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
        return Ok(Exporter(()));
    }
    let sampling = Sampling::read()?;
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = exporter.with_http_client(Sender::new(ca_file)?).build();
    let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    let resource = Resource::builder();
    let resource = if has("OTEL_SERVICE_NAME") { resource } else { resource.with_service_name("contactd") };
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    processor.set_resource(&resource.with_attribute(version).build());
    let _ = EXPORTING.set(ExporterState { processor, sampling });
    tracing::info!("spans are exported by OTLP");
    Ok(Exporter(()))
}

impl Sampling {
    fn read() -> Result<Self, String> {
        let name = std::env::var("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let ratio = || {
            let text = std::env::var("OTEL_TRACES_SAMPLER_ARG").unwrap_or_default();
            let ratio = if text.is_empty() { Some(1.0) } else { text.parse().ok() };
            ratio
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or("OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1")
        };
        let (follows_parent, name) = match name.strip_prefix("parentbased_") {
            Some(name) => (true, name),
            None if name.is_empty() => (true, "always_on"),
            None => (false, &*name),
        };
        let sampler = match name {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
            _ => return Err("OTEL_TRACES_SAMPLER: expected always_on, always_off or traceidratio, or one of these behind parentbased_".to_owned()),
        };
        Ok(Self { follows_parent, sampler })
    }

    /// Whether a trace is recorded if the client has not decided it.
    fn samples(&self, id: u128) -> bool {
        let id = TraceId::from_bytes(id.to_be_bytes());
        let result = self.sampler.should_sample(None, id, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }
}
