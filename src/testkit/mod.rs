//! The control plane for tests, below `/_contactd` on servers that accept every caller, and nowhere else
//! (docs/testing.md).

mod calls;
mod clock;
mod control;
mod faults;
mod har;
mod inboxes;
mod journal;
mod matching;
#[cfg(feature = "testing")]
mod running;
mod seeding;
mod snapshot_files;
mod span;
mod states;
mod tokens;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::http::inspect::{AppliedFault, InspectedRequest, Inspector};
use crate::store::Store;
use crate::testkit::faults::Faults;
use crate::testkit::inboxes::Inboxes;
use crate::testkit::journal::Journal;
use crate::testkit::states::{InitialState, SavedState};

pub(crate) use crate::testkit::clock::DETERMINISTIC;
pub(crate) use crate::testkit::control::KitMount;
#[cfg(feature = "testing")]
pub(crate) use crate::testkit::running::RunningServer;
pub(crate) use crate::testkit::seeding::seed_file;
pub(crate) use crate::testkit::tokens::{TENANT, Tokens};

/// The first segment of its paths.
pub(crate) const SEGMENT: &str = "_contactd";

/// The state of the control plane of one server.
#[derive(Default)]
pub(crate) struct Kit {
    faults: Mutex<Faults>,
    journal: Journal,
    pub(crate) inboxes: Arc<Inboxes>,
    snapshots: Mutex<BTreeMap<String, Arc<SavedState>>>,
    gate: RwLock<()>,
    /// The initial state, while it is read.
    initial: tokio::sync::Mutex<Option<InitialState>>,
    /// Why the initial state is not available, if it could not be saved.
    lacks_baseline: OnceLock<&'static str>,
}

impl Kit {
    fn snapshots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SavedState>>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kit as the edge uses it.
pub(crate) struct Watch(pub(crate) Arc<Kit>);

impl Inspector for Watch {
    fn begin<'a>(&'a self, store: &'a Store) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(states::begin(&self.0, store))
    }

    fn pause_lock(&self) -> &RwLock<()> {
        &self.0.gate
    }

    fn fault_for(&self, inspected: &InspectedRequest<'_>) -> Option<AppliedFault> {
        self.0.faults().fault_for(inspected)
    }

    fn record(&self, inspected: &InspectedRequest<'_>, took: Duration, answer: &Answer, fault: Option<&str>) {
        self.0.journal.record(inspected, took, answer, fault);
    }

    fn forget(&self, request: Uuid) {
        self.0.journal.forget(request);
    }
}
