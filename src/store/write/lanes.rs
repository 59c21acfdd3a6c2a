//! Queues of waiting writes, one per lane. Lanes take turns.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::error::Error;
use crate::metrics::list::{QUEUED, WRITES, Write};
use crate::store::write::job::Job;

/// Maximum number of writes in one commit.
const MAX_BATCH: usize = 256;
/// Maximum number of waiting writes; further callers block.
const MAX_WAITING: usize = 4_096;
/// Time limit for a write to wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The mailbox of a write; `None` for writes outside of mailboxes, and for all writes on SQLite.
pub(in crate::store) type Lane = Option<i64>;

/// A write that was handed in.
pub(in crate::store) struct SubmittedWrite {
    pub(in crate::store) lane: Lane,
    pub(in crate::store) since: Queued,
    pub(in crate::store) job: Box<dyn Job>,
}

/// When a write was handed in. It counts as waiting until this is dropped.
pub(in crate::store) struct Queued(Instant);

impl Queued {
    pub(in crate::store) fn now() -> Self {
        QUEUED.add(1);
        Self(Instant::now())
    }

    /// Time since it was handed in.
    pub(in crate::store) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        QUEUED.add(-1);
    }
}

/// A write and when it was handed in.
pub(in crate::store) type WaitingWrite = (Queued, Box<dyn Job>);

#[derive(Default)]
pub(in crate::store) struct Lanes {
    queues: HashMap<Lane, Queue>,
    /// Lanes with waiting writes that are not running, each once.
    ready: VecDeque<Lane>,
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<WaitingWrite>,
    /// The lane is in `ready`, or running.
    is_scheduled: bool,
}

impl Lanes {
    pub(in crate::store) fn is_full(&self) -> bool {
        self.waiting >= MAX_WAITING
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(in crate::store) fn push(&mut self, SubmittedWrite { lane, since, job }: SubmittedWrite) {
        let queue = self.queues.entry(lane).or_default();
        if !queue.is_scheduled {
            queue.is_scheduled = true;
            self.ready.push_back(lane);
        }
        queue.jobs.push_back((since, job));
        self.waiting += 1;
    }

    /// The next lane with waiting writes, and a batch of them. The lane is running until [`Lanes::finish`].
    pub(in crate::store) fn take(&mut self) -> Option<(Lane, Vec<WaitingWrite>)> {
        while let Some(lane) = self.ready.pop_front() {
            let Entry::Occupied(mut queue) = self.queues.entry(lane) else { continue };
            let count = queue.get().jobs.len().min(MAX_BATCH);
            if count == 0 {
                // All its writes have expired.
                queue.remove();
                continue;
            }
            self.waiting -= count;
            return Some((lane, queue.get_mut().jobs.drain(..count).collect()));
        }
        None
    }

    /// Ends the lane's batch. `rest` are its writes that were not begun; they stay first in the lane.
    pub(in crate::store) fn finish(&mut self, lane: Lane, rest: Vec<WaitingWrite>) {
        if let Entry::Occupied(mut queue) = self.queues.entry(lane) {
            self.waiting += rest.len();
            for waiting in rest.into_iter().rev() {
                queue.get_mut().jobs.push_front(waiting);
            }
            if queue.get().jobs.is_empty() {
                queue.remove();
            } else {
                self.ready.push_back(lane);
            }
        }
    }

    /// Fails writes that have waited too long, for instance because the server is unreachable.
    pub(in crate::store) fn expire(&mut self) {
        for queue in self.queues.values_mut() {
            while queue.jobs.front().is_some_and(|(since, _)| since.elapsed() > MAX_WAIT) {
                if let Some((_, job)) = queue.jobs.pop_front() {
                    self.waiting -= 1;
                    WRITES.increment(Write::GaveUp);
                    job.fail(&Error::unavailable("other writes took too long"));
                }
            }
        }
    }
}
