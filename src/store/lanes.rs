//! The writes that wait, each in its lane. Lanes take turns.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::writer::Job;
use crate::error::Error;

/// Most writes in one commit.
const MAX_BATCH: usize = 256;
/// Most writes that wait; further ones stay where they come from.
const MAX_WAITING: usize = 4_096;
/// How long a write may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What a write belongs to: a mailbox, or `None` for what is nobody's, and for everything where one lane is all.
pub(super) type Lane = Option<i64>;

/// A write that was handed in.
pub(super) struct Handed {
    pub(super) lane: Lane,
    pub(super) since: Instant,
    pub(super) job: Box<dyn Job>,
}

#[derive(Default)]
pub(super) struct Lanes {
    all: HashMap<Lane, Waiting>,
    /// Lanes with writes that wait and none that runs.
    ready: VecDeque<Lane>,
    waiting: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Instant, Box<dyn Job>)>,
    running: bool,
}

impl Lanes {
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= MAX_WAITING
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn push(&mut self, Handed { lane, since, job }: Handed) {
        let waiting = self.all.entry(lane).or_default();
        if waiting.jobs.is_empty() && !waiting.running {
            self.ready.push_back(lane);
        }
        waiting.jobs.push_back((since, job));
        self.waiting += 1;
    }

    /// The next lane that has something to do, and what; it is then running until [`Lanes::done`].
    pub(super) fn take(&mut self) -> Option<(Lane, Vec<Box<dyn Job>>)> {
        while let Some(lane) = self.ready.pop_front() {
            if let Some(waiting) = self.all.get_mut(&lane) {
                let count = waiting.jobs.len().min(MAX_BATCH);
                if count > 0 {
                    waiting.running = true;
                    self.waiting -= count;
                    return Some((lane, waiting.jobs.drain(..count).map(|(_, job)| job).collect()));
                }
                self.all.remove(&lane);
            }
        }
        None
    }

    /// The lane's batch has ended.
    pub(super) fn done(&mut self, lane: Lane) {
        if let Entry::Occupied(mut waiting) = self.all.entry(lane) {
            if waiting.get().jobs.is_empty() {
                waiting.remove();
            } else {
                waiting.get_mut().running = false;
                self.ready.push_back(lane);
            }
        }
    }

    /// Fails what has waited for too long: a lane, or all of them, may be held up by a server that is not there.
    pub(super) fn expire(&mut self) {
        for waiting in self.all.values_mut() {
            while waiting.jobs.front().is_some_and(|(since, _)| since.elapsed() > MAX_WAIT) {
                if let Some((_, job)) = waiting.jobs.pop_front() {
                    self.waiting -= 1;
                    job.fail(&Error::unavailable("other writes took too long"));
                }
            }
        }
    }
}
