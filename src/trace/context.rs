//! The trace that a client's request belongs to: the headers `traceparent` and `tracestate` of W3C Trace Context
//! (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

use crate::clock;

/// Maximum length of a `tracestate` that is passed on, in bytes, and maximum number of its entries: the limits that the
/// specification requires of every implementation.
const MAX_STATE: usize = 512;
const MAX_ENTRIES: usize = 32;
/// The flags that are passed on: sampled, and random trace id.
const FLAGS: u8 = 0b11;
/// The flag of a trace that is recorded.
#[cfg(feature = "otlp")]
const SAMPLED: u8 = 0b1;

/// A trace, and this server's span in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    /// The parent span.
    parent: Option<u64>,
    /// The id of this span.
    span: u64,
    flags: u8,
    state: Option<String>,
}

/// The id of a trace, as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceId(u128);

/// The id of a span, as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanId(u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Trace {
    /// The trace of a request with these headers, each as often as it was sent. `None` unless there is exactly one
    /// `traceparent`, which can be read. A `tracestate` that cannot be read is left out.
    pub(crate) fn read<'a>(
        mut parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let (id, parent, flags) = parse(parents.next()?)?;
        if parents.next().is_some() {
            return None;
        }
        Some(Self { id, parent: Some(parent), span: clock::new_span_id(), flags: flags & FLAGS, state: state(states) })
    }

    /// A new trace, which is recorded.
    #[cfg(feature = "otlp")]
    pub(crate) fn new(id: u128) -> Self {
        Self { id, parent: None, span: clock::new_span_id(), flags: SAMPLED, state: None }
    }

    /// A child span.
    pub(crate) fn child(&self) -> Self {
        Self { parent: Some(self.span), span: clock::new_span_id(), ..self.clone() }
    }

    /// The id of the trace.
    pub(crate) fn id(&self) -> TraceId {
        TraceId(self.id)
    }

    /// The id of this span.
    pub(crate) fn span(&self) -> SpanId {
        SpanId(self.span)
    }

    /// The `traceparent` header for outgoing calls.
    pub(crate) fn header(&self) -> String {
        format!("00-{}-{}-{:02x}", self.id(), self.span(), self.flags)
    }

    /// The `tracestate` header for outgoing calls.
    pub(crate) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

#[cfg(feature = "otlp")]
impl Trace {
    /// The ids of the trace, of this span, and of the parent span.
    pub(crate) fn numbers(&self) -> (u128, u64, Option<u64>) {
        (self.id, self.span, self.parent)
    }

    /// Whether it is recorded.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same, recorded or not.
    pub(crate) fn sampled(self, is_sampled: bool) -> Self {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }
}

/// The trace id, the span id and the flags of a `traceparent`.
fn parse(sent: &[u8]) -> Option<(u128, u64, u8)> {
    let text = std::str::from_utf8(sent).ok()?.trim_matches([' ', '\t']);
    let mut parts = text.split('-');
    let mut next = |length: usize| {
        let is_hex = |text: &&str| text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(is_hex)
    };
    let (version, id, parent, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    // A later version may append fields.
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    Some((id, parent, u8::from_str_radix(flags, 16).ok()?))
}

/// Joins the lines of `tracestate`. `None` if they cannot be read or exceed a limit.
fn state<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let lines = lines.map(|line| std::str::from_utf8(line).ok()).collect::<Option<Vec<_>>>()?;
    let entries = lines.iter().flat_map(|line| line.split(',')).map(|entry| entry.trim_matches([' ', '\t']));
    let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
    let is_valid = |entry: &&str| {
        let (key, value) = entry.split_once('=').unwrap_or_default();
        let is_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
        !key.is_empty() && key.bytes().all(is_key) && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
    };
    let text = entries.join(",");
    let is_valid_list =
        (1..=MAX_ENTRIES).contains(&entries.len()) && entries.iter().all(is_valid) && text.len() <= MAX_STATE;
    is_valid_list.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(parents: &[&str], states: &[&str]) -> Option<Trace> {
        Trace::read(parents.iter().map(|text| text.as_bytes()), states.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn a_trace_continues_with_a_new_span() {
        let trace = read(&[PARENT], &["a=1, b@c=x y", "", "d=2"]).unwrap();
        assert_eq!(trace.id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(trace.header(), format!("00-{}-{}-01", trace.id(), trace.span()));
        assert_ne!(trace.header(), PARENT);
        assert_eq!(trace.state(), Some("a=1,b@c=x y,d=2"));
        let child = trace.child();
        assert_eq!((child.parent, child.id, child.state()), (Some(trace.span), trace.id, trace.state()));
        assert_ne!(child.span, trace.span);
        // Unknown flags are not passed on.
        let later = read(&[" cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe-more "], &[]).unwrap();
        assert!(later.header().ends_with("-02"), "{}", later.header());
    }

    #[test]
    fn invalid_headers_are_ignored() {
        for bad in [
            "",
            "x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "é",
        ] {
            assert_eq!(read(&[bad], &[]), None, "{bad}");
        }
        assert_eq!(read(&[PARENT, PARENT], &[]), None);
        assert_eq!(read(&[], &["a=1"]), None);
        let long = format!("a={}", "x".repeat(511));
        let many = vec!["a=1"; 33].join(",");
        for bad in ["a", "A=1", "=1", "a=1=2", "a=\u{7f}", "a=é", &long, &many, ""] {
            assert_eq!(read(&[PARENT], &[bad]).unwrap().state(), None, "{bad}");
        }
    }
}
