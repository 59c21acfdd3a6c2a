//! The log of requests: one line for each, without anything a client wrote but the id of its trace.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use tracing::field::display;
use uuid::Uuid;

use crate::http::answer::Answer;
use crate::http::request_metrics::method_of;
use crate::http::serving::is_secure;
use crate::http::{RequestIds, Settings};
use crate::metrics::kinds;
use crate::trace::spans::RequestOutcome;
use crate::trace::{Current, Trace, slow};

/// The requests that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogRequests {
    /// All.
    #[default]
    All,
    /// Those that take as long as --slow-query says, and errors.
    Slow,
    /// Those that are answered with a status of 400 or more.
    Errors,
    /// None.
    None,
}

/// The facts of a request for the log, besides its answer.
#[derive(Default)]
pub(crate) struct LogEntry {
    pub(crate) route: &'static str,
    pub(crate) address: Option<String>,
    /// The id of a stored token.
    pub(crate) token: Option<Uuid>,
    /// Of an error.
    pub(crate) code: Option<&'static str>,
}

impl LogRequests {
    /// Whether a request is logged.
    pub(crate) fn has(self, status: u16, took: Duration) -> bool {
        match self {
            Self::All => true,
            Self::Slow => status >= 400 || slow::is_slow(took),
            Self::Errors => status >= 400,
            Self::None => false,
        }
    }
}

/// The trace of a request, if its client has sent one.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let lines = |name| headers.get_all(name).map(HeaderValue::as_bytes);
    Trace::read(lines("traceparent"), lines("tracestate"))
}

/// Logs a request.
pub(crate) fn log(
    request: &HttpRequest,
    settings: &Settings,
    entry: &LogEntry,
    answer: &Answer,
    (ids, current): (&RequestIds, &Current),
    took: Duration,
) {
    let LogEntry { route, code, .. } = *entry;
    let status = answer.status.as_u16();
    if !settings.log_requests.has(status, took) {
        return;
    }
    let (request_id, method) = (&ids.request, method_of(request));
    let address = entry.address.as_deref().filter(|_| settings.log_addresses);
    let token = entry.token.map(display);
    let trace = current.trace.as_ref();
    let (trace_id, span_id) = (trace.map(|trace| display(trace.id())), trace.map(|trace| display(trace.span())));
    let micros = kinds::micros(took);
    if route == "/healthz" && answer.status.is_success() {
        tracing::debug!(request_id, trace_id, span_id, address, token, method, route, status, code, micros, "request");
    } else {
        tracing::info!(request_id, trace_id, span_id, address, token, method, route, status, code, micros, "request");
    }
}

/// The facts of a request for its span.
pub(crate) fn request_outcome<'a>(request: &'a HttpRequest, entry: &LogEntry, answer: &Answer) -> RequestOutcome<'a> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    RequestOutcome {
        method: method_of(request),
        route: entry.route,
        status: answer.status.as_u16(),
        code: entry.code,
        is_secure: is_secure(request),
        host,
    }
}
