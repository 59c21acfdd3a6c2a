//! Requests by call. A call is a method and a pattern of the tables of calls, so its names are the program's own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::metrics::kinds::{Buckets, head, micros};
use crate::metrics::list::{IN_FLIGHT, RESPONSE_BYTES, TIMES};

/// Statuses for which each call has a series from the start.
const STATUSES: [u16; 14] = [200, 201, 204, 304, 400, 401, 403, 404, 409, 412, 429, 500, 501, 503];
/// Statuses whose series appear with their first answer. 0 stands for all statuses that are not listed.
const OTHER_STATUSES: [u16; 13] = [202, 206, 207, 405, 406, 408, 410, 413, 415, 422, 424, 507, 0];

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOrigin {
    /// A request of its own.
    Http,
    /// A step of a batch.
    Batch,
}

/// The counters of a call.
struct Figures {
    http: [AtomicU64; STATUSES.len() + OTHER_STATUSES.len()],
    batch: [AtomicU64; STATUSES.len() + OTHER_STATUSES.len()],
    durations: Buckets,
}

impl Default for Figures {
    fn default() -> Self {
        let zeros = || [const { AtomicU64::new(0) }; STATUSES.len() + OTHER_STATUSES.len()];
        Self { http: zeros(), batch: zeros(), durations: Buckets::new(TIMES, 1_000_000) }
    }
}

/// A method and a route pattern.
type CallKey = (&'static str, &'static str);

/// Calls are added and never removed. The tables of calls bound their number.
static CALLS: LazyLock<RwLock<HashMap<CallKey, &'static Figures>>> = LazyLock::new(RwLock::default);

/// Makes the series of calls, so that they exist before the first request.
pub(crate) fn register(calls: impl IntoIterator<Item = CallKey>) {
    for call in calls {
        figures(call);
    }
}

fn figures(call: CallKey) -> &'static Figures {
    let found = CALLS.read().unwrap_or_else(PoisonError::into_inner).get(&call).copied();
    found.unwrap_or_else(|| {
        let mut calls = CALLS.write().unwrap_or_else(PoisonError::into_inner);
        calls.entry(call).or_insert_with(|| Box::leak(Box::default()))
    })
}

/// Counts an answer.
pub(crate) fn answered(method: &'static str, route: &'static str, origin: CallOrigin, status: u16) {
    figures((method, route)).count(origin, status);
}

impl Figures {
    fn count(&self, origin: CallOrigin, status: u16) {
        let mut statuses = STATUSES.iter().chain(&OTHER_STATUSES);
        let index = statuses.position(|known| *known == status).unwrap_or(STATUSES.len() + OTHER_STATUSES.len() - 1);
        let counters = if origin == CallOrigin::Http { &self.http } else { &self.batch };
        if let Some(counter) = counters.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A request, until its answer is sent or the client is gone.
pub(crate) struct CountedExchange {
    started: Instant,
    figures: Option<&'static Figures>,
    bytes: u64,
}

impl CountedExchange {
    pub(crate) fn begin() -> Self {
        IN_FLIGHT.add(1);
        Self { started: Instant::now(), figures: None, bytes: 0 }
    }

    /// The head of the answer is known.
    pub(crate) fn set_status(&mut self, method: &'static str, route: &'static str, status: u16) {
        // A request that is not a known call.
        let figures = figures((method, if route.is_empty() { "unknown" } else { route }));
        figures.count(CallOrigin::Http, status);
        self.figures = Some(figures);
    }

    /// Counts bytes of the body.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Time since the head arrived.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for CountedExchange {
    fn drop(&mut self) {
        IN_FLIGHT.add(-1);
        RESPONSE_BYTES.add(self.bytes);
        if let Some(figures) = self.figures {
            figures.durations.observe(micros(self.elapsed()));
        }
    }
}

/// Writes the metrics of all calls.
pub(crate) fn write(out: &mut String) {
    let calls = CALLS.read().unwrap_or_else(PoisonError::into_inner);
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|((method, route), _)| (*route, *method));
    let name = "contactd_http_requests_total";
    head(out, name, "Requests by call and status; steps of batches have the source batch.", "counter");
    for ((method, route), figures) in &calls {
        for (source, counters) in [("http", &figures.http), ("batch", &figures.batch)] {
            for (index, (status, count)) in STATUSES.iter().chain(&OTHER_STATUSES).zip(counters).enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count == 0 && (index >= STATUSES.len() || source == "batch" && !route.starts_with("/{user}")) {
                    continue;
                }
                let _ = match status {
                    0 => write!(out, "{name}{{route=\"{method} {route}\",source=\"{source}\",status=\"other\"}}"),
                    _ => write!(out, "{name}{{route=\"{method} {route}\",source=\"{source}\",status=\"{status}\"}}"),
                };
                let _ = writeln!(out, " {count}");
            }
        }
    }
    let name = "contactd_http_request_duration_seconds";
    head(out, name, "Time from the head of a request to the last byte of its response.", "histogram");
    for ((method, route), figures) in &calls {
        figures.durations.write(out, name, &format!("route=\"{method} {route}\","));
    }
}
