//! A program without the feature: nothing is exported.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::trace::spans::RequestOutcome;
use crate::trace::{Current, Trace};

/// The start time of a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since;

impl Since {
    pub(crate) fn now() -> Self {
        Self
    }
}

/// A piece of work, which ends when this is dropped.
pub(crate) struct Span;

pub(crate) fn span(_: &'static str) -> Span {
    Span
}

/// The trace of a request: the one that its client has sent.
pub(crate) fn begin(_: Uuid, sent: Option<Trace>) -> Option<Trace> {
    sent
}

pub(crate) fn export_request(_: &Current, _: Since, _: &RequestOutcome<'_>) {}

pub(crate) fn export_wait(_: Option<&Arc<Current>>, _: Since) {}

pub(crate) fn export_commit<'a>(_: impl Iterator<Item = &'a Arc<Current>>, _: Since) {}

pub(crate) fn export_notification(_: &Current, _: Since, _: Option<u16>) {}

/// The exporter of spans, until it is dropped.
pub(crate) struct Exporter;

#[expect(clippy::unnecessary_wraps, reason = "the exporter of the feature may not start")]
pub(crate) fn start(_: Option<&Path>) -> Result<Exporter, String> {
    Ok(Exporter)
}
