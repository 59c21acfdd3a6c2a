//! A write that waits for its turn.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::domain::error::Error;
use crate::store::write::tx::Tx;
use crate::trace::Current;

/// Answers a job's caller with its own result, or with the error of the batch.
pub(in crate::store) type SendAnswer = Box<dyn FnOnce(Option<&Error>)>;

/// A job that ran: its error, and the answer to send after the commit.
pub(in crate::store) struct Finished {
    pub(in crate::store) error: Option<Error>,
    pub(in crate::store) answer: SendAnswer,
    /// The changes that it made, each with why, as far as that is to be remembered.
    pub(in crate::store) changes: Vec<ChangeCause>,
}

/// A change, by mailbox and number, and why it was made.
pub(in crate::store) type ChangeCause = ((i64, i64), Arc<Current>);

/// A write.
pub(in crate::store) trait Job: Send {
    /// Whether the caller still waits.
    fn has_waiter(&self) -> bool;
    fn run(self: Box<Self>, tx: &mut Tx) -> LocalBoxFuture<'_, Finished>;
    fn fail(self: Box<Self>, error: &Error);
}
