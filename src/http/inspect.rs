//! The interface of a test kit, which inspects requests and can answer in place of the server. Without a kit, a request
//! costs one check.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use futures_util::future::LocalBoxFuture;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::store::Store;

/// A request, or a step of a batch.
pub(crate) struct InspectedRequest<'a> {
    pub(crate) method: &'a str,
    /// Path and query, as sent, below the mount.
    pub(crate) url: &'a str,
    pub(crate) route: &'a str,
    pub(crate) subject: &'a CallSubject,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The name of the caller, if it is known.
    pub(crate) token: Option<&'a str>,
    /// Scheme, host and mount.
    pub(crate) root: &'a str,
    /// The id of the request; for a step, of the batch's request.
    pub(crate) request: Uuid,
    /// The index of the step in its batch, and its id.
    pub(crate) step: Option<(usize, &'a str)>,
}

/// The subject of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallSubject {
    /// The canonical path.
    pub(crate) path: String,
    /// The owner of the mailbox.
    pub(crate) user: Option<String>,
}

/// A fault that applies to a request.
pub(crate) struct AppliedFault {
    /// Its id.
    pub(crate) fault: String,
    /// The delay before the answer.
    pub(crate) delay: Duration,
    /// Whether the call is performed and only its answer is lost.
    pub(crate) is_after: bool,
    /// The answer that replaces the real one.
    pub(crate) answer: Option<Answer>,
    pub(crate) cut: Option<Cut>,
}

/// How a connection fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// With a TCP reset, and no answer.
    Reset,
    /// Without an answer.
    Close,
    /// After this many bytes of the body, before its end.
    Truncate(usize),
    /// It stays open after the head of the answer, and nothing follows.
    Stall,
}

/// A test kit.
pub(crate) trait Inspector: Send + Sync {
    /// Saves the initial state, to which a reset returns.
    fn begin<'a>(&'a self, store: &'a Store) -> LocalBoxFuture<'a, Result<(), Error>>;

    /// Requests hold it shared; work that replaces the whole store holds it exclusively.
    fn pause_lock(&self) -> &RwLock<()>;

    /// The fault that applies to a request.
    fn fault_for(&self, inspected: &InspectedRequest<'_>) -> Option<AppliedFault>;

    /// Records a request in the journal. A step of a batch is recorded with its batch.
    fn record(&self, inspected: &InspectedRequest<'_>, took: Duration, answer: &Answer, fault: Option<&str>);

    /// Called when a request has ended, also if the client left.
    fn forget(&self, request: Uuid);
}

/// Performs the call, unless a fault prevents it. Returns the fault's id and its effect on the connection.
pub(crate) async fn perform(
    inspector: &dyn Inspector,
    inspected: &InspectedRequest<'_>,
    work: impl Future<Output = Result<Answer, Error>>,
) -> (Result<Answer, Error>, Option<(String, Option<Cut>)>) {
    let Some(AppliedFault { fault, delay, is_after, answer, cut }) = inspector.fault_for(inspected) else {
        return (work.await, None);
    };
    let answered = match (is_after, answer) {
        (false, Some(answer)) => {
            tokio::time::sleep(delay).await;
            Ok(answer)
        }
        (_, answer) => {
            let done = work.await;
            tokio::time::sleep(delay).await;
            answer.map_or(done, Ok)
        }
    };
    (answered, Some((fault, cut)))
}

/// Notifies the kit when a request ends.
pub(crate) struct Watched<'a> {
    pub(crate) inspector: &'a dyn Inspector,
    pub(crate) request: Uuid,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.inspector.forget(self.request);
    }
}
