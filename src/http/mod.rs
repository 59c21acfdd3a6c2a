//! The edge, for every front end: listener, admission, authentication, bodies, origin, CORS, request log. It knows no
//! front end: a front end implements `front_end::FrontEnd` and is listed in `src/front_ends.rs`.

pub(crate) mod answer;
pub(crate) mod authorize;
pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod bounded_map;
pub(crate) mod client;
pub(crate) mod compression;
pub mod conditional;
pub(crate) mod cors;
pub(crate) mod edge;
pub(crate) mod framework_log;
pub(crate) mod front_end;
pub(crate) mod health;
pub(crate) mod held;
pub(crate) mod host;
pub(crate) mod inspect;
pub(crate) mod limits;
pub mod listen;
pub(crate) mod monitoring;
pub(crate) mod mount;
pub(crate) mod origin;
pub(crate) mod paced;
pub mod probes;
pub(crate) mod request_log;
pub(crate) mod request_metrics;
pub(crate) mod streamed;
pub mod tls;
mod wire;

pub mod authenticate;
pub mod connections;
pub mod serving;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{Scope, web};
use uuid::Uuid;

use crate::clock::{self, IdOwner};
use crate::domain::error::Error;
use crate::domain::phone::Region;
use crate::domain::plain::printed;
use crate::http::authenticate::Access;
pub use crate::http::cors::WebOrigin;
pub use crate::http::framework_log::Strangers;
use crate::http::health::Health;
use crate::http::inspect::Inspector;
use crate::http::limits::Admission;
pub use crate::http::limits::Limits;
use crate::http::mount::FrontEnds;
pub use crate::http::probes::Readiness;
pub use crate::http::request_log::LogRequests;
use crate::notify::Notifier;
use crate::store::Store;

/// Maximum size of a request body in bytes, as sent and unpacked.
pub const MAX_BODY: usize = 4 << 20;

/// Default of [`Settings::max_import`].
pub const MAX_IMPORT: u64 = 1 << 30;

/// Default of [`Settings::max_snapshots`].
pub const MAX_SNAPSHOTS: u64 = 4 << 30;

/// The API over a store. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The store without checks of rights, for work of the program itself. A call uses [`Store::with_actor`], which
    /// checks the rights of its caller.
    pub(crate) unguarded: Store,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    pub(crate) front_ends: FrontEnds,
    pub(crate) admission: Arc<Admission>,
    pub(crate) warned: Arc<AtomicBool>,
    /// The mailboxes with a running import.
    pub(crate) importing: Arc<Mutex<Vec<i64>>>,
    pub(crate) health: Arc<Health>,
    /// The test kit.
    pub(crate) inspector: Option<Arc<dyn Inspector>>,
}

/// Settings of the API that every front end shares.
#[derive(Clone)]
pub struct Settings {
    /// The region in which phone numbers are also found as they are dialled there.
    pub phone_region: Option<Region>,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// Maximum size of a file to import, in bytes, as sent and unpacked.
    pub max_import: u64,
    /// Maximum size of all snapshots together that the control plane for tests saves, in bytes.
    pub max_snapshots: u64,
    /// How long a delta link stays valid.
    pub keep_changes: Duration,
    /// Limits per caller and in total.
    pub limits: Limits,
    /// The origin of links.
    pub origin: Origin,
    /// The hosts, as `HOST` or `HOST:PORT`, that requests may name besides this machine (`localhost`, `127.0.0.1`,
    /// `[::1]`); any if `None`. Set it with [`Access::development`], or any web page can call.
    pub hosts: Option<Vec<String>>,
    /// Origins whose web pages may call from a browser (CORS); none if empty.
    pub cors: Vec<WebOrigin>,
    /// Whether the request log shows the addresses of clients.
    pub log_addresses: bool,
    /// The requests that are logged.
    pub log_requests: LogRequests,
    /// Confirms subscriptions and delivers notifications; without it no subscription is offered. Its owner must also
    /// run [`Notifier::deliver`].
    pub notifier: Option<Notifier>,
    /// The state that `/readyz` reports.
    pub readiness: Readiness,
}

/// Default of [`Settings::keep_changes`].
const KEEP_CHANGES: Duration = Duration::from_hours(90 * 24);

impl Settings {
    /// Changes before this time (UTC microseconds) may have been purged.
    pub(crate) fn kept_since(&self) -> i64 {
        clock::now().saturating_sub(clock::micros(self.keep_changes))
    }
}

/// The origin of the links in answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// The address the client used, by the request's `Host`.
    #[default]
    Host,
    /// The same as a proxy in front reports it: `X-Forwarded-Proto`, `X-Forwarded-Host`, `X-Forwarded-Port`,
    /// `X-Forwarded-Prefix`, or `Forwarded` (RFC 7239). Only for a server that only the proxy can reach, since a client
    /// could send these headers too.
    Forwarded,
    /// Always this: scheme, host and optionally a prefix, without a slash at the end. Requests may come with the prefix
    /// or without.
    Public(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            phone_region: None,
            body_timeout: Duration::from_secs(30),
            keep_changes: KEEP_CHANGES,
            max_import: MAX_IMPORT,
            max_snapshots: MAX_SNAPSHOTS,
            limits: Limits::default(),
            origin: Origin::Host,
            hosts: None,
            cors: Vec::new(),
            log_addresses: true,
            log_requests: LogRequests::All,
            notifier: None,
            readiness: Readiness::default(),
        }
    }
}

impl Api {
    pub(crate) fn with_front_ends(store: Store, access: Access, settings: Settings, front_ends: FrontEnds) -> Self {
        let admission = Arc::new(Admission::new(settings.limits));
        let (warned, importing, health) = Default::default();
        settings.readiness.watch(&store);
        front_ends.register();
        Self { unguarded: store, access, settings, front_ends, admission, warned, importing, health, inspector: None }
    }

    /// The API as a scope of an actix application, below `prefix` (`""`, or like `/graph`; it must not need
    /// percent-encoding). It handles every path there.
    pub fn service(&self, prefix: &str) -> Scope {
        web::scope(prefix).app_data(web::Data::new(self.clone())).default_service(web::to(edge::dispatch))
    }
}

/// The ids of a request in answers and in the log.
pub(crate) struct RequestIds {
    pub(crate) request: String,
    pub(crate) id: Uuid,
    /// The client's own, if it sent a usable one.
    pub(crate) client: String,
}

impl RequestIds {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let credential = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self::of_request(clock::new_id(IdOwner::Request(credential)), headers)
    }

    /// Logs the cause of an error that the operator can do something about.
    pub(crate) fn log(&self, error: &Error) {
        // The message of a database may contain values that a client sent.
        let cause = |cause: &dyn std::fmt::Display| printed(&cause.to_string());
        match error {
            Error::Internal(why) => {
                tracing::error!(request_id = self.request, cause = cause(why), "a call failed");
            }
            Error::Unavailable(why) => {
                tracing::warn!(request_id = self.request, cause = cause(why), "something is unavailable");
            }
            _ => {}
        }
    }

    /// The ids of a request that has its id already.
    pub(crate) fn of_request(id: Uuid, headers: &HeaderMap) -> Self {
        let request = id.to_string();
        let sent = headers.get("client-request-id").and_then(|value| value.to_str().ok());
        let client = sent.filter(|id| (1..=128).contains(&id.len())).unwrap_or(&request).to_owned();
        Self { request, id, client }
    }
}
