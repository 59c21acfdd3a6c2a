//! The list of front ends. It is outside of `http` and of the front ends, because `http` knows none of them.

use std::sync::Arc;

use crate::dav::front_end::{Dav, DavSettings};
use crate::graph::settings::{Graph, GraphSettings};
#[cfg(feature = "docs")]
use crate::graph::viewer::{self, Viewer};
use crate::http::authenticate::Access;
use crate::http::mount::{FrontEnds, Mount, Mounted};
use crate::http::probes::Probe;
use crate::http::{Api, Settings};
use crate::notify::Inside;
use crate::store::Store;
use crate::testkit::{self, Kit, KitMount, Watch};

/// The front ends besides Graph, and the settings of each.
#[derive(Debug, Clone)]
pub struct FrontEndSettings {
    /// The Graph facade.
    pub graph: GraphSettings,
    /// CardDAV, below `/dav/`; not served if `None`.
    pub carddav: Option<DavSettings>,
    /// Whether `/docs` is served: a page that shows the API and makes calls. It needs the feature `docs`.
    pub docs: bool,
}

impl Default for FrontEndSettings {
    fn default() -> Self {
        GraphSettings::default().into()
    }
}

impl From<GraphSettings> for FrontEndSettings {
    fn from(graph: GraphSettings) -> Self {
        Self { graph, carddav: Some(DavSettings::default()), docs: false }
    }
}

impl Api {
    /// An API that answers from `store` to the callers that `access` knows.
    pub fn new(store: Store, access: Access, settings: Settings) -> Self {
        Self::with(store, access, settings, FrontEndSettings::default())
    }

    /// The same with settings of the front ends, or only of the Graph facade.
    pub fn with(store: Store, access: Access, settings: Settings, front_ends: impl Into<FrontEndSettings>) -> Self {
        let front_ends = front_ends.into();
        let others = others(&front_ends);
        let front_ends = FrontEnds::new(Graph::new(front_ends.graph), others);
        Self::with_front_ends(store, access, settings, front_ends)
    }

    /// The same for tests: every token NAME is the user NAME ([`Access::development`]), and anyone who can connect can control it
    /// below `/_contactd` (docs/testing.md). Set [`Settings::hosts`], or any web page can call.
    pub fn for_tests(store: Store, settings: Settings, front_ends: impl Into<FrontEndSettings>) -> Self {
        let front_ends = front_ends.into();
        let kit = Arc::<Kit>::default();
        if let Some(notifier) = &settings.notifier {
            notifier.set_inside(Arc::clone(&kit.inboxes) as Arc<dyn Inside>);
        }
        let mut others = others(&front_ends);
        others.push((Mount::Segment(testkit::SEGMENT), Arc::new(KitMount(Arc::clone(&kit)))));
        others.push((Mount::Tenant(testkit::TENANT), Arc::new(KitMount(Arc::new(testkit::Tokens)))));
        let front_ends = FrontEnds::new(Graph::new(front_ends.graph), others);
        let api = Self::with_front_ends(store, Access::development(), settings, front_ends);
        Self { inspector: Some(Arc::new(Watch(kit))), ..api }
    }
}

/// The front ends besides Graph.
fn others(settings: &FrontEndSettings) -> Vec<(Mount, Arc<dyn Mounted>)> {
    let mut others: Vec<(Mount, Arc<dyn Mounted>)> = vec![
        (Mount::Segment(Probe::Livez.name()), Arc::new(Probe::Livez)),
        (Mount::Segment(Probe::Readyz.name()), Arc::new(Probe::Readyz)),
    ];
    #[cfg(feature = "docs")]
    if settings.docs {
        others.push((Mount::Segment(viewer::SEGMENT), Arc::new(Viewer)));
    }
    if let Some(settings) = &settings.carddav {
        let dav: Arc<dyn Mounted> = Arc::new(Dav::new(settings.clone()));
        others.push((Mount::Segment("dav"), Arc::clone(&dav)));
        others.push((Mount::Segments(&[".well-known", "carddav"]), Arc::clone(&dav)));
        // Clients that only know the server's name begin here. GET belongs to Graph.
        others.push((Mount::Root(&["OPTIONS", "PROPFIND"]), dav));
    }
    others
}
