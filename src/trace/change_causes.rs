//! The request that made a change, for the trace of its notifications. Only the process that answered the request knows
//! it, and only for the last changes. Without it, a notification is sent all the same, and belongs to no trace.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::trace::Current;

/// Maximum number of remembered changes.
const MAX_REMEMBERED: usize = 4_096;

/// A change: the mailbox, and the number.
type MailboxChange = (i64, i64);

/// The last changes that were made in a trace.
#[derive(Debug, Default)]
pub(crate) struct Carried(Mutex<RememberedCauses>);

#[derive(Debug, Default)]
struct RememberedCauses {
    causes: HashMap<MailboxChange, Arc<Current>>,
    /// Oldest first.
    order: VecDeque<MailboxChange>,
}

impl Carried {
    /// Remembers the request that made a change, if it belongs to a trace.
    pub(crate) fn remember(&self, change: MailboxChange, cause: Arc<Current>) {
        if cause.trace.is_none() {
            return;
        }
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.causes.insert(change, cause).is_none() {
            remembered.order.push_back(change);
        }
        while remembered.order.len() > MAX_REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.causes.remove(&oldest);
        }
    }

    /// The request that made the last of these changes, if it is known.
    pub(crate) fn cause(&self, mailbox: i64, numbers: impl DoubleEndedIterator<Item = i64>) -> Option<Arc<Current>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.causes.is_empty() {
            return None;
        }
        numbers.rev().find_map(|number| remembered.causes.get(&(mailbox, number)).cloned())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::trace::Trace;

    #[test]
    fn only_the_latest_changes_are_remembered() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::read([parent.as_bytes()].into_iter(), [].into_iter());
        let current = |trace| Current::new(Uuid::nil(), trace);
        let carried = Carried::default();
        carried.remember((1, 1), current(None));
        assert!(carried.cause(1, 1..=1).is_none());
        for number in 1..=4_098 {
            carried.remember((1, number), current(trace.clone()));
        }
        assert!(carried.cause(1, 1..=2).is_none() && carried.cause(2, 3..=4_098).is_none());
        assert!(carried.cause(1, 1..=3).is_some() && carried.cause(1, 4_098..=5_000).is_some());
    }
}
