//! The list of front ends. It stands outside of `http`, which knows none of them, and of each of them.

use std::sync::Arc;

use crate::graph::front_end::Graph;
use crate::http::authenticate::Access;
use crate::http::mount::FrontEnds;
use crate::http::probes::Probe;
use crate::http::{Api, Settings};
use crate::store::Store;

impl Api {
    /// An API that answers from `store` to the callers that `access` knows.
    pub fn new(store: Store, access: Access, settings: Settings) -> Self {
        let front_ends = FrontEnds::new(
            Graph::new(&settings),
            vec![(Probe::Livez.name(), Arc::new(Probe::Livez)), (Probe::Readyz.name(), Arc::new(Probe::Readyz))],
        );
        Self::with_front_ends(store, access, settings, front_ends)
    }
}
