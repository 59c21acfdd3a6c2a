//! Which front end answers which path.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;

use crate::http::front_end::FrontEnd;
use crate::http::{Api, edge};
use crate::metrics::calls;

/// A front end of any kind.
pub(crate) trait Mounted: Send + Sync {
    fn knows(&self, path: &str) -> bool;

    /// Its calls, for the metrics: method and route.
    fn calls(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Answers a request. In a box, which is the only one on the way to a handler.
    fn serve(
        self: Arc<Self>,
        request: HttpRequest,
        payload: web::Payload,
        api: web::Data<Api>,
    ) -> LocalBoxFuture<'static, HttpResponse>;
}

impl<F: FrontEnd> Mounted for F {
    fn knows(&self, path: &str) -> bool {
        FrontEnd::knows(self, path)
    }

    fn calls(&self) -> Vec<(&'static str, &'static str)> {
        F::calls()
    }

    fn serve(
        self: Arc<Self>,
        request: HttpRequest,
        payload: web::Payload,
        api: web::Data<Api>,
    ) -> LocalBoxFuture<'static, HttpResponse> {
        Box::pin(edge::serve(self, request, payload, api))
    }
}

/// The front ends, by the first segment of the path. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FrontEnds {
    root: Arc<dyn Mounted>,
    below: Vec<(&'static str, Arc<dyn Mounted>)>,
}

impl FrontEnds {
    /// `root` answers every path whose first segment is none of those `below` it.
    pub(crate) fn new(root: impl FrontEnd, below: Vec<(&'static str, Arc<dyn Mounted>)>) -> Self {
        Self { root: Arc::new(root), below }
    }

    /// Makes the metrics of all calls, so that they exist before the first request.
    pub(crate) fn announce(&self) {
        let all = self.below.iter().map(|(_, front_end)| front_end).chain([&self.root]);
        all.for_each(|front_end| calls::announce(front_end.calls()));
        // What names no call.
        calls::announce([("GET", "unknown")]);
    }

    /// The front end of a path.
    pub(crate) fn of(&self, path: &str) -> &Arc<dyn Mounted> {
        let first = path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default();
        let found = self.below.iter().find(|(segment, _)| segment.eq_ignore_ascii_case(first));
        found.map_or(&self.root, |(_, front_end)| front_end)
    }
}
