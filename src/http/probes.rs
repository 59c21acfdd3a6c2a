//! `GET /livez` and `GET /readyz` for Kubernetes: whether the process answers, and whether it should get requests. They
//! need no token, count against no limit, and do not wait for the database connections of clients' requests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use tokio::sync::Mutex;

use crate::http::Api;
use crate::http::connections::ConnectionExchange;
use crate::http::mount::Mounted;
use crate::store::{Finding, Store};

/// Time for which a result is reused, so that probes cost nothing.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Time limit for a check.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Whether the server is ready for requests. Clones share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Default)]
struct ReadinessState {
    store: OnceLock<Store>,
    is_draining: AtomicBool,
    /// The last findings, and their time.
    last: Mutex<Option<(Instant, Vec<Finding>)>>,
}

impl Readiness {
    /// Marks the server as not ready, because it stops soon.
    pub fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Release);
    }

    /// Sets the store to check. Until then the server is not ready.
    pub(crate) fn watch(&self, store: &Store) {
        // A second API with the same settings keeps the store of the first.
        let _ = self.0.store.set(store.clone());
    }

    /// The store, once it is open.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.0.store.get()
    }

    /// The findings, at most a second old.
    pub(crate) async fn findings(&self) -> Vec<Finding> {
        let mut last = self.0.last.lock().await;
        let found = match &*last {
            Some((when, found)) if when.elapsed() < MAX_AGE => found.clone(),
            _ => {
                let found = self.check().await;
                last.insert((Instant::now(), found)).1.clone()
            }
        };
        let drained = self.0.is_draining.load(Ordering::Acquire).then(|| finding("shutdown", Err("is stopping")));
        drained.into_iter().chain(found).collect()
    }

    async fn check(&self) -> Vec<Finding> {
        let Some(store) = self.0.store.get() else {
            return vec![finding("store", Err("is not open yet"))];
        };
        let found = tokio::time::timeout(TIMEOUT, store.readiness()).await;
        found.unwrap_or_else(|_| vec![finding("store", Err("does not respond"))])
    }
}

fn finding(what: &'static str, found: Result<&str, &str>) -> Finding {
    Finding { what, found: found.map(str::to_owned).map_err(str::to_owned) }
}

/// A probe.
#[derive(Clone, Copy)]
pub(crate) enum Probe {
    Livez,
    Readyz,
}

impl Probe {
    /// The segment of its path.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }

    /// Its answer. A `verbose` answer has a line for each check; the answer of a failed check always has them.
    pub(crate) async fn answer(self, request: &HttpRequest, readiness: &Readiness) -> HttpResponse {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish();
        }
        let verbose = request.uri().query().unwrap_or_default().split('&').any(|option| {
            let name = option.split('=').next().unwrap_or_default();
            name == "verbose"
        });
        let findings = match self {
            Self::Livez => vec![finding("process", Ok("ok"))],
            Self::Readyz => readiness.findings().await,
        };
        let passed = findings.iter().all(|finding| finding.found.is_ok());
        let body = if passed && !verbose { "ok".to_owned() } else { verbose_text(self.name(), &findings, passed) };
        if !passed {
            tracing::debug!(probe = self.name(), "not ready");
        }
        let mut response = if passed { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
        response
            .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(body)
    }
}

/// A line for each check, in the format of Kubernetes.
fn verbose_text(name: &str, findings: &[Finding], passed: bool) -> String {
    let mut text = String::new();
    for Finding { what, found } in findings {
        let (sign, words) = match found {
            Ok(words) => ('+', words),
            Err(words) => ('-', words),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "[{sign}]{what} {words}");
    }
    let _ = writeln!(text, "{name} check {}", if passed { "passed" } else { "failed" });
    text
}

impl Mounted for Probe {
    fn has_path(&self, path: &str) -> bool {
        path.trim_matches('/').eq_ignore_ascii_case(self.name())
    }

    fn serve(
        self: Arc<Self>,
        request: HttpRequest,
        _: web::Payload,
        api: web::Data<Api>,
    ) -> LocalBoxFuture<'static, HttpResponse> {
        Box::pin(async move {
            let _exchange = ConnectionExchange::begin(&request);
            // The path may have the mount and the prefix of a proxy in front.
            let last = request.uri().path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            if last.eq_ignore_ascii_case(self.name()) {
                self.answer(&request, &api.settings.readiness).await
            } else {
                HttpResponse::NotFound().finish()
            }
        })
    }
}
