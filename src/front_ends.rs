//! The list of front ends. It is outside of `http` and of the front ends, because `http` knows none of them.

use std::sync::Arc;

use crate::dav::front_end::Dav;
use crate::graph::settings::{Graph, GraphSettings};
use crate::graph::viewer::{self, Viewer};
use crate::http::authenticate::Access;
use crate::http::mount::{FrontEnds, Mount, Mounted};
use crate::http::probes::Probe;
use crate::http::{Api, Settings};
use crate::store::Store;
use crate::testkit::{self, Kit, Watch};

impl Api {
    /// An API that answers from `store` to the callers that `access` knows.
    pub fn new(store: Store, access: Access, settings: Settings) -> Self {
        Self::with(store, access, settings, GraphSettings::default())
    }

    /// The same with settings of the Graph facade.
    pub fn with(store: Store, access: Access, settings: Settings, graph: GraphSettings) -> Self {
        let front_ends = FrontEnds::new(Graph::new(graph), others(&settings));
        Self::with_front_ends(store, access, settings, front_ends)
    }

    /// The same for tests: every token NAME is the user NAME ([`Access::development`]), and anyone who can connect can control it
    /// below `/_contactd` (docs/testing.md). Set [`Settings::hosts`], or any web page can call.
    pub fn for_tests(store: Store, settings: Settings, graph: GraphSettings) -> Self {
        let kit = Arc::<Kit>::default();
        let mut others = others(&settings);
        others.push((Mount::Segment(testkit::SEGMENT), Arc::clone(&kit) as Arc<dyn Mounted>));
        let front_ends = FrontEnds::new(Graph::new(graph), others);
        let api = Self::with_front_ends(store, Access::development(), settings, front_ends);
        Self { inspector: Some(Arc::new(Watch(kit))), ..api }
    }
}

/// The front ends besides Graph.
fn others(settings: &Settings) -> Vec<(Mount, Arc<dyn Mounted>)> {
    let mut others: Vec<(Mount, Arc<dyn Mounted>)> = vec![
        (Mount::Segment(Probe::Livez.name()), Arc::new(Probe::Livez)),
        (Mount::Segment(Probe::Readyz.name()), Arc::new(Probe::Readyz)),
    ];
    if settings.docs {
        others.push((Mount::Segment(viewer::SEGMENT), Arc::new(Viewer)));
    }
    if settings.carddav {
        let dav: Arc<dyn Mounted> = Arc::new(Dav::new(settings));
        others.push((Mount::Segment("dav"), Arc::clone(&dav)));
        others.push((Mount::Segments(&[".well-known", "carddav"]), Arc::clone(&dav)));
        // Clients that only know the server's name begin here. GET belongs to Graph.
        others.push((Mount::Root(&["OPTIONS", "PROPFIND"]), dav));
    }
    others
}
