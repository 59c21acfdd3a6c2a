//! The writes that wait, each in its lane. Lanes take turns.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::error::Error;
use crate::store::write::writer::Job;

/// Most writes in one commit.
const MAX_BATCH: usize = 256;
/// Most writes that wait; further ones stay where they come from.
const MAX_WAITING: usize = 4_096;
/// How long a write may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What a write belongs to: a mailbox, or `None` for what is nobody's, and for everything where one lane is all.
pub(in crate::store) type Lane = Option<i64>;

/// A write that was handed in.
pub(in crate::store) struct Handed {
    pub(in crate::store) lane: Lane,
    pub(in crate::store) since: Instant,
    pub(in crate::store) job: Box<dyn Job>,
}

/// A write and when it was handed in.
pub(in crate::store) type Waiting = (Instant, Box<dyn Job>);

#[derive(Default)]
pub(in crate::store) struct Lanes {
    all: HashMap<Lane, Queue>,
    /// Lanes with writes that wait and none that runs, each once.
    ready: VecDeque<Lane>,
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Waiting>,
    /// It is in `ready`, or running.
    known: bool,
}

impl Lanes {
    pub(in crate::store) fn is_full(&self) -> bool {
        self.waiting >= MAX_WAITING
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(in crate::store) fn push(&mut self, Handed { lane, since, job }: Handed) {
        let queue = self.all.entry(lane).or_default();
        if !queue.known {
            queue.known = true;
            self.ready.push_back(lane);
        }
        queue.jobs.push_back((since, job));
        self.waiting += 1;
    }

    /// The next lane that has something to do, and what; it is then running until [`Lanes::done`].
    pub(in crate::store) fn take(&mut self) -> Option<(Lane, Vec<Waiting>)> {
        while let Some(lane) = self.ready.pop_front() {
            let Entry::Occupied(mut queue) = self.all.entry(lane) else { continue };
            let count = queue.get().jobs.len().min(MAX_BATCH);
            if count == 0 {
                // All that waited was refused meanwhile.
                queue.remove();
                continue;
            }
            self.waiting -= count;
            return Some((lane, queue.get_mut().jobs.drain(..count).collect()));
        }
        None
    }

    /// The lane's batch has ended; these of it are still to be done, before all others of the lane.
    pub(in crate::store) fn done(&mut self, lane: Lane, rest: Vec<Waiting>) {
        if let Entry::Occupied(mut queue) = self.all.entry(lane) {
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

    /// Fails what has waited for too long: a lane, or all of them, may be held up by a server that is not there.
    pub(in crate::store) fn expire(&mut self) {
        for queue in self.all.values_mut() {
            while queue.jobs.front().is_some_and(|(since, _)| since.elapsed() > MAX_WAIT) {
                if let Some((_, job)) = queue.jobs.pop_front() {
                    self.waiting -= 1;
                    job.fail(&Error::unavailable("other writes took too long"));
                }
            }
        }
    }
}
