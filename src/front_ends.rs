//! The list of front ends. It stands outside of `http`, which knows none of them, and of each of them.

use std::sync::Arc;

use crate::graph::front_end::Graph;
use crate::http::authenticate::Access;
use crate::http::mount::{FrontEnds, Mounted};
use crate::http::probes::Probe;
use crate::http::{Api, Settings};
use crate::store::Store;
use crate::testkit::{self, Kit, Watch};

impl Api {
    /// An API that answers from `store` to the callers that `access` knows.
    pub fn new(store: Store, access: Access, settings: Settings) -> Self {
        let front_ends = FrontEnds::new(Graph::new(&settings), below());
        Self::with_front_ends(store, access, settings, front_ends)
    }

    /// The same for tests: every token NAME is the user NAME ([`Access::development`]), and whoever reaches it can control it
    /// below `/_contactd` (docs/testing.md). Set [`Settings::hosts`], or any web page can call.
    pub fn for_tests(store: Store, settings: Settings) -> Self {
        let kit = Arc::<Kit>::default();
        let mut below = below();
        below.push((testkit::SEGMENT, Arc::clone(&kit) as Arc<dyn Mounted>));
        let front_ends = FrontEnds::new(Graph::new(&settings), below);
        let api = Self::with_front_ends(store, Access::development(), settings, front_ends);
        Self { inspector: Some(Arc::new(Watch(kit))), ..api }
    }
}

/// What answers below a first segment of its own.
fn below() -> Vec<(&'static str, Arc<dyn Mounted>)> {
    vec![(Probe::Livez.name(), Arc::new(Probe::Livez)), (Probe::Readyz.name(), Arc::new(Probe::Readyz))]
}
