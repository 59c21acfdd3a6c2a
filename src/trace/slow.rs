//! `--slow-query`: statements of the database that take long are logged, by their text, which has no values.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::kinds::micros;
use crate::trace::{self, Current};

/// Maximum length of the text of a statement in the log, in characters.
const MAX_TEXT: usize = 2_000;
/// The threshold while no statement is logged as slow.
const DISABLED: u64 = u64::MAX;

/// The time from which a statement is slow, in microseconds. It applies to the process, like the log.
static THRESHOLD: AtomicU64 = AtomicU64::new(DISABLED);

/// Sets the time from which a statement is slow. Zero disables the log of slow statements.
pub(crate) fn set_threshold(threshold: Duration) {
    THRESHOLD.store(if threshold.is_zero() { DISABLED } else { micros(threshold) }, Ordering::Relaxed);
}

/// Whether slow statements are logged.
pub(crate) fn is_watching() -> bool {
    THRESHOLD.load(Ordering::Relaxed) != DISABLED
}

/// Whether a statement that took this long is slow.
pub(crate) fn is_slow(took: Duration) -> bool {
    micros(took) >= THRESHOLD.load(Ordering::Relaxed)
}

/// The facts of a slow statement.
pub(crate) struct Slow<'a> {
    /// Its text, with `$1..$n` for values.
    pub(crate) text: &'a str,
    pub(crate) took: Duration,
    /// The number of its rows, if it returned rows.
    pub(crate) rows: Option<usize>,
    /// Whether it was stopped at `--query-timeout`.
    pub(crate) interrupted: bool,
    /// Whether the writer ran it.
    pub(crate) writes: bool,
}

/// Logs a statement.
pub(crate) fn log(slow: &Slow<'_>) {
    let current = trace::current();
    let current = current.as_deref();
    let kind = current.and_then(Current::kind);
    let kind = kind.unwrap_or(if slow.writes { "write" } else { "other" });
    let request_id = current.map(|current| tracing::field::display(current.request));
    let route = current.and_then(Current::route);
    let trace_id = current.and_then(|current| current.trace.as_ref()).map(|trace| tracing::field::display(trace.id()));
    let (statement, millis) = (on_one_line(slow.text), u64::try_from(slow.took.as_millis()).unwrap_or(u64::MAX));
    let (rows, interrupted) = (slow.rows.map(|rows| rows as u64), slow.interrupted);
    tracing::warn!(request_id, trace_id, route, kind, millis, rows, interrupted, statement = &*statement, "slow");
}

/// Logs the plan of a statement.
pub(crate) fn log_plan(text: &str, plan: &[String]) {
    let statement = on_one_line(text);
    tracing::debug!(plan = plan.join("; "), statement = &*statement, "plan of a slow statement");
}

/// A statement's text with single blanks, cut if it is long.
fn on_one_line(text: &str) -> Cow<'_, str> {
    let mut line = String::with_capacity(text.len().min(MAX_TEXT));
    for word in text.split_whitespace() {
        if line.len() + word.len() > MAX_TEXT {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_text_is_one_line_and_truncated() {
        assert_eq!(on_one_line("\nselect a\n    from  t\nwhere b = $1"), "select a from t where b = $1");
        let long = on_one_line(&"word ".repeat(1_000)).into_owned();
        assert!(long.len() < MAX_TEXT + 10 && long.ends_with("word …"), "{long}");
    }
}
