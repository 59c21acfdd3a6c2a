//! Spans: pieces of work in the trace that a request belongs to, for OpenTelemetry (docs/operating.md, "Logs and
//! traces"). They are exported by the feature `otlp`; without it these functions do nothing.

#[cfg(not(feature = "otlp"))]
mod disabled;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub(crate) use crate::trace::spans::disabled::*;
#[cfg(feature = "otlp")]
pub(crate) use crate::trace::spans::otlp::*;

/// The facts of a request, once it is answered.
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter reads it"))]
pub(crate) struct RequestOutcome<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    /// The code of an error.
    pub(crate) code: Option<&'static str>,
    pub(crate) is_secure: bool,
    /// The host that the client asked for.
    pub(crate) host: &'a str,
}
