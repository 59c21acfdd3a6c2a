//! The context of the running task: the request, and the trace that the request belongs to. The log, the writer and
//! calls to others take it from here, so that it need not be handed through every function. It is below all rooms.

mod change_causes;
mod context;
pub(crate) mod slow;
pub(crate) mod spans;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use crate::metrics::kinds::{Label as _, Timed};
use crate::metrics::list::{QUERIES, Query};
pub(crate) use crate::trace::change_causes::Carried;
pub(crate) use crate::trace::context::Trace;

tokio::task_local! {
    static CURRENT: Option<Arc<Current>>;
}

/// The request that a task works for.
#[derive(Debug)]
pub(crate) struct Current {
    /// The request's id in answers and in the log.
    pub(crate) request: Uuid,
    /// The trace, where the client has sent one.
    pub(crate) trace: Option<Trace>,
    route: OnceLock<&'static str>,
    /// The kind of the running read: the index of a [`Query`] plus one, or 0 if nothing is read.
    reads: AtomicU8,
}

impl Current {
    pub(crate) fn new(request: Uuid, trace: Option<Trace>) -> Arc<Self> {
        Arc::new(Self { request, trace, route: OnceLock::new(), reads: AtomicU8::new(0) })
    }

    /// The context of later work that it causes, such as a notification.
    pub(crate) fn for_later_work(&self) -> Arc<Self> {
        Self::new(self.request, self.trace.as_ref().map(Trace::child))
    }

    /// Records the route.
    pub(crate) fn set_route(&self, route: &'static str) {
        let _ = self.route.set(route);
    }

    pub(crate) fn route(&self) -> Option<&'static str> {
        self.route.get().copied()
    }

    /// The kind of the running read.
    fn kind(&self) -> Option<&'static str> {
        let index = usize::from(self.reads.load(Ordering::Relaxed)).checked_sub(1)?;
        Query::VALUES.get(index).copied()
    }
}

/// The request that the running task works for.
pub(crate) fn current() -> Option<Arc<Current>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `work` in the context of a request.
pub(crate) fn within<F: Future>(current: Option<Arc<Current>>, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current, work)
}

/// Begins a read. Until the returned value is dropped, its time is measured, and slow statements are logged with its
/// kind.
pub(crate) fn question(kind: Query) -> Question {
    let current = current();
    if let Some(current) = &current {
        current.reads.store(u8::try_from(kind.index() + 1).unwrap_or_default(), Ordering::Relaxed);
    }
    let span = spans::span(Query::VALUES.get(kind.index()).copied().unwrap_or_default());
    Question { _timed: QUERIES.time(kind), _span: span, current }
}

/// A running read of the database. See [`question`].
pub(crate) struct Question {
    _timed: Timed<'static>,
    _span: spans::Span,
    current: Option<Arc<Current>>,
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(current) = &self.current {
            current.reads.store(0, Ordering::Relaxed);
        }
    }
}
