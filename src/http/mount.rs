//! The front ends and the paths that they answer.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;

use crate::http::front_end::FrontEnd;
use crate::http::{Api, edge, serving};
use crate::metrics::calls;

/// A front end of any kind.
pub(crate) trait Mounted: Send + Sync {
    fn has_path(&self, path: &str) -> bool;

    /// Its calls, for the metrics: method and route.
    fn calls(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// Answers a request. This is the only boxed future on the way to a handler.
    fn serve(
        self: Arc<Self>,
        request: HttpRequest,
        payload: web::Payload,
        api: web::Data<Api>,
    ) -> LocalBoxFuture<'static, HttpResponse>;
}

impl<F: FrontEnd> Mounted for F {
    fn has_path(&self, path: &str) -> bool {
        FrontEnd::has_path(self, path)
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

/// Where a front end is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Below this first segment, in any letter case.
    Segment(&'static str),
    /// Below these first segments.
    Segments(&'static [&'static str]),
    /// At `/` itself, for these methods.
    Root(&'static [&'static str]),
    /// At these paths below any first segment, where this server uses TLS.
    Tenant(&'static [&'static str]),
}

/// The front ends, by the first segments of the path. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FrontEnds {
    root: Arc<dyn Mounted>,
    others: Vec<(Mount, Arc<dyn Mounted>)>,
}

impl FrontEnds {
    /// `root` answers everything that none of the others is mounted for.
    pub(crate) fn new(root: impl FrontEnd, others: Vec<(Mount, Arc<dyn Mounted>)>) -> Self {
        Self { root: Arc::new(root), others }
    }

    /// Makes the metrics of all calls, so that they exist before the first request.
    pub(crate) fn register(&self) {
        let all = self.others.iter().map(|(_, front_end)| front_end).chain([&self.root]);
        all.for_each(|front_end| calls::register(front_end.calls()));
        // Requests that are not a known call.
        calls::register([("GET", "unknown")]);
    }

    /// The front end of a path, for requests of this method. The preflight of a browser for `/` goes to the root front
    /// end.
    pub(crate) fn of(&self, request: &HttpRequest, path: &str) -> &Arc<dyn Mounted> {
        let method = request.method().as_str();
        let is_preflight = method == "OPTIONS" && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let begins = |segments: &[&str]| {
            let mut path = path.split('/').filter(|segment| !segment.is_empty());
            segments.iter().all(|segment| path.next().is_some_and(|sent| sent.eq_ignore_ascii_case(segment)))
        };
        let found = self.others.iter().find(|(mount, _)| match mount {
            Mount::Segment(segment) => begins(&[*segment]),
            Mount::Segments(segments) => begins(segments),
            Mount::Tenant(paths) => {
                let below = path.trim_start_matches('/').split_once('/').map_or("", |(_, below)| below);
                serving::is_secure(request) && paths.iter().any(|path| path.eq_ignore_ascii_case(below))
            }
            Mount::Root(methods) => path.bytes().all(|byte| byte == b'/') && methods.contains(&method) && !is_preflight,
        });
        found.map_or(&self.root, |(_, front_end)| front_end)
    }
}
