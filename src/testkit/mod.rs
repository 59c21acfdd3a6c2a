//! The control plane for tests, below `/_contactd` on servers that accept every caller, and nowhere else
//! (docs/testing.md).

mod calls;
mod control;
mod faults;
mod journal;
mod matching;
mod span;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::http::answer::Answer;
use crate::http::inspect::{Asked, Inspector, Strike};
use crate::testkit::faults::Faults;
use crate::testkit::journal::Journal;

/// The first segment of its paths.
pub(crate) const SEGMENT: &str = "_contactd";

/// The kit of one server.
#[derive(Default)]
pub(crate) struct Kit {
    faults: Mutex<Faults>,
    journal: Journal,
}

impl Kit {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the edge tells the kit.
pub(crate) struct Watch(pub(crate) Arc<Kit>);

impl Inspector for Watch {
    fn strike(&self, asked: &Asked<'_>) -> Option<Strike> {
        self.0.faults().strike(asked)
    }

    fn record(&self, asked: &Asked<'_>, took: Duration, answer: &Answer, fault: Option<&str>) {
        self.0.journal.record(asked, took, answer, fault);
    }

    fn forget(&self, request: Uuid) {
        self.0.journal.forget(request);
    }
}
