//! The REST facade. actix-web is named here and below only: this file is its edge, which turns a request of actix into
//! a `Call` and an `Answer` back; what lies between knows nothing of connections.

pub(crate) mod answer;
pub(crate) mod aside;
pub(crate) mod body;
pub(crate) mod bounded_map;
pub(crate) mod client;
pub mod conditional;
pub(crate) mod cors;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod limits;
pub mod listen;
pub(crate) mod logged;
pub(crate) mod origin;
pub(crate) mod paced;
pub(crate) mod packed;
pub mod tls;
mod wire;

pub mod authenticate;
pub mod connections;
pub mod serving;

use crate::graph::error;
use crate::graph::service;
use crate::graph::throttle;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Scope, web};
use futures_util::FutureExt as _;
use futures_util::stream::{self, TryStreamExt as _};
use uuid::Uuid;

use crate::clock;
use crate::domain::error::{Error, Limit};
use crate::graph::call::{Call, Reached};
use crate::graph::routes::Endpoint;
use crate::graph::throttle::MailboxPermit;
use crate::http::answer::{Answer, Body};
use crate::http::authenticate::{Access, Caller, Who};
use crate::http::client::Client;
use crate::http::connections::Exchange;
pub use crate::http::cors::WebOrigin;
use crate::http::health::Health;
pub use crate::http::limits::Limits;
use crate::http::limits::{Admission, Permit, RequestClass};
pub use crate::http::logged::Strangers;
use crate::http::paced::Paced;
use crate::notify::Notifier;
use crate::odata::address::Resource;
use crate::odata::format;
use crate::odata::prefer::Handling;
use crate::store::Store;

/// Largest request body in bytes, as sent and unpacked.
pub const MAX_BODY: usize = 4 << 20;

/// The API over a store. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// For what the program does of itself. What a caller asks for goes to [`authorize::Mailbox::store`], or to one that acts
    /// for them.
    pub(crate) unguarded: Store,
    pub(crate) access: Access,
    pub(crate) settings: Settings,
    pub(crate) admission: Arc<Admission>,
    pub(crate) warned: Arc<AtomicBool>,
    pub(crate) health: Arc<Health>,
}

/// How the API behaves where a request does not say.
#[derive(Clone)]
pub struct Settings {
    /// What to do with what Graph would refuse.
    pub handling: Handling,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// Most steps of a batch.
    pub batch_limit: usize,
    /// How long a delta token holds.
    pub keep_changes: Duration,
    /// What is taken of one client.
    pub limits: Limits,
    /// Where links begin; else where the request says it was sent.
    pub origin: Origin,
    /// The hosts, as `HOST` or `HOST:PORT`, that requests may name besides this machine (`localhost`, `127.0.0.1`, `[::1]`);
    /// any if `None`. Whoever lets everybody in ([`Access::development`]) says so, else any web page can call.
    pub hosts: Option<Vec<String>>,
    /// The origins whose web pages may call from a browser (CORS); none if empty.
    pub cors: Vec<WebOrigin>,
    /// Whether the log of requests has the addresses of clients.
    pub log_addresses: bool,
    /// By whom subscribers are asked to confirm. Without it there are no subscriptions; who gives it also has it
    /// [`Notifier::deliver`].
    pub notifier: Option<Notifier>,
}

/// How long changes are kept where nobody says otherwise: 90 days.
const KEEP_CHANGES: Duration = Duration::from_hours(90 * 24);

impl Settings {
    /// What changed before this (UTC microseconds) may no longer be in the log.
    pub(crate) fn kept_since(&self) -> i64 {
        clock::now().saturating_sub(i64::try_from(self.keep_changes.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Where the links in answers begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// The address the client used, by the request's `Host`.
    #[default]
    Host,
    /// The same, by what a proxy in front says of it: `X-Forwarded-Proto`, `X-Forwarded-Host`, `X-Forwarded-Port`,
    /// `X-Forwarded-Prefix`, or `Forwarded` (RFC 7239). Only for a server that none but the proxy can reach, since a client could send them too.
    Forwarded,
    /// Always this: scheme, host and, if the proxy serves below one, prefix, without a slash at the end. Whether the proxy
    /// takes the prefix away or not, the same is served.
    Public(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handling: Handling::Lenient,
            body_timeout: Duration::from_secs(30),
            keep_changes: KEEP_CHANGES,
            batch_limit: 20,
            limits: Limits::default(),
            origin: Origin::Host,
            hosts: None,
            cors: Vec::new(),
            log_addresses: true,
            notifier: None,
        }
    }
}

impl Api {
    /// An API that answers from `store` whoever `access` knows.
    pub fn new(store: Store, access: Access, settings: Settings) -> Self {
        let admission = Arc::new(Admission::new(settings.limits));
        Self { unguarded: store, access, settings, admission, warned: Arc::default(), health: Arc::default() }
    }

    /// The API as a part of an actix application, below `prefix` (`""`, or like `/graph`; it must not need
    /// percent-encoding). It takes every path there, in every tolerated spelling.
    pub fn service(&self, prefix: &str) -> Scope {
        web::scope(prefix).app_data(web::Data::new(self.clone())).default_service(web::to(serve))
    }
}

/// The ids by which a request is known in answers and in the log.
pub(crate) struct Ids {
    pub(crate) request: String,
    pub(crate) id: Uuid,
    /// The client's own, if it sent a usable one.
    pub(crate) client: String,
}

impl Ids {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let id = clock::new_id();
        let request = id.to_string();
        let sent = headers.get("client-request-id").and_then(|value| value.to_str().ok());
        let client = sent.filter(|id| (1..=128).contains(&id.len())).unwrap_or(&request).to_owned();
        Self { request, id, client }
    }
}

/// What a request holds until its answer is taken.
#[derive(Default)]
pub(crate) struct Held {
    permit: Option<Permit>,
    slot: Option<MailboxPermit>,
    exchange: Exchange,
}

impl Held {
    /// Gives back what others may need, but for the memory that the answer takes.
    fn give_back(&mut self) {
        self.slot = None;
        if let Some(permit) = &mut self.permit {
            permit.leave();
        }
        self.exchange.waits();
    }
}

/// What the log tells of a request.
#[derive(Default)]
struct Told {
    route: &'static str,
    address: Option<String>,
    /// The id of a stored token.
    token: Option<Uuid>,
    /// Of an error.
    code: Option<&'static str>,
}

async fn serve(request: HttpRequest, mut payload: web::Payload, api: web::Data<Api>) -> HttpResponse {
    let started = Instant::now();
    let ids = Ids::of(request.headers());
    let address = client::shown(&request, api.settings.limits.forwarded);
    let mut told = Told { address, ..Told::default() };
    let mut held = Held { exchange: Exchange::begin(&request), ..Held::default() };
    let answer = answer(&request, &mut payload, &api, &ids, &mut told, &mut held).await;
    let answer = cors::preflight(&request, &api.settings.cors, answer);
    told.code = answer.as_ref().err().map(error::code);
    let answer = answer.unwrap_or_else(|error| error::answer(&error, &ids));
    let answer = packed::pack(request.headers(), answer).await;
    let answer = answer.unwrap_or_else(|error| error::answer(&error, &ids));
    if !held.permit.as_ref().is_some_and(Permit::is_of_somebody) {
        // However slowly a stranger takes an answer, it holds nothing.
        held = Held::default();
    }
    {
        let mut rest = pin!(body::finish(request.headers(), &mut payload));
        if rest.as_mut().now_or_never().is_none() {
            held.give_back();
            rest.await;
        }
    }
    log(&request, &api.settings, &told, &answer, &ids, started.elapsed());
    respond(answer, ids, &request, &api.settings, held)
}

/// One line a request, without anything a client wrote.
fn log(request: &HttpRequest, settings: &Settings, told: &Told, answer: &Answer, ids: &Ids, took: Duration) {
    let method = match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PATCH | Method::PUT | Method::DELETE | Method::OPTIONS => {
            request.method().as_str()
        }
        _ => "other",
    };
    let Told { route, code, .. } = *told;
    let address = told.address.as_deref().filter(|_| settings.log_addresses);
    let token = told.token.map(tracing::field::display);
    let status = answer.status.as_u16();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if route == "/healthz" && answer.status.is_success() {
        tracing::debug!(request_id = ids.request, address, token, method, route, status, code, micros, "request");
    } else {
        tracing::info!(request_id = ids.request, address, token, method, route, status, code, micros, "request");
    }
}

/// Says once that limits and the log take the proxy for every client.
fn warn_of_proxy(request: &HttpRequest, api: &Api) {
    let trusted = api.settings.limits.forwarded;
    let told = match (trusted, &api.settings.origin) {
        (true, _) => client::contradicts(request.headers()),
        // That there is a proxy was known at the start, and said.
        (false, Origin::Public(_)) => false,
        (false, _) => client::tells(request.headers()),
    };
    if !told || api.warned.swap(true, Ordering::Relaxed) {
        return;
    }
    if trusted {
        tracing::warn!(
            "X-Forwarded-For and Forwarded contradict each other, so neither is believed: have the proxy take away the one it does not write"
        );
    } else {
        tracing::warn!(
            "a request tells by X-Forwarded-For or Forwarded from whom it is, which is not believed. If a proxy stands in front, all its \
             clients count as one address: --trust-forwarded takes theirs from it"
        );
    }
}

/// From the address to the answer. The body is read only for a caller who is known and a call that wants one.
async fn answer(
    request: &HttpRequest,
    payload: &mut web::Payload,
    api: &Api,
    ids: &Ids,
    told: &mut Told,
    held: &mut Held,
) -> Result<Answer, Error> {
    let (mount, path) = place(request, &api.settings.origin)?;
    if api.settings.hosts.as_ref().is_some_and(|hosts| !host::is_meant(request, hosts)) {
        return Err(Error::Denied(
            "This server lets everybody in, so it answers only what is sent to this machine by name (Host: localhost or a \
             loopback address); --dev-allow-remote permits other names.",
        ));
    }
    warn_of_proxy(request, api);
    let reached = Reached {
        root: origin::root(request, &api.settings.origin, mount),
        address: told.address.clone(),
        request: ids.id,
    };
    let call = Call::new(api, request.method(), path, request.uri().query(), request.headers(), reached)?;
    told.route = call.address.pattern();
    let endpoint = call.endpoint();
    let class = match (&call.address.resource, &endpoint) {
        (Resource::Health, _) => RequestClass::Health,
        (_, Ok(Endpoint::Batch)) => RequestClass::Batch,
        _ => RequestClass::Request,
    };
    let permit = held.permit.insert(api.admission.enter(
        Client::of(request, api.settings.limits.forwarded),
        request.headers(),
        class,
    )?);
    // What needs no token.
    match call.address.resource {
        Resource::Health => return health(api, request.method()).await,
        Resource::Service => return service::document(&call, request.method()),
        Resource::Metadata => return service::metadata(&call, request.method(), request.headers()),
        _ => {}
    }
    let endpoint = endpoint?;
    let caller = who(api, permit, request.headers()).await?;
    told.token = caller.token;
    permit.is_known(caller.counts_as, class)?;
    let mailbox = throttle::mailbox(&caller, &call.address.resource);
    if let Some((graph, app)) = permit.graph().filter(|_| class != RequestClass::Batch) {
        graph.request(Instant::now(), app, mailbox.as_deref())?;
        held.slot = mailbox.as_deref().map(|mailbox| graph.begin(app, mailbox)).transpose()?;
    }
    let body = body::read(endpoint.body(), request.headers(), payload, api.settings.body_timeout, permit).await?;
    if let (Some((graph, app)), Some(mailbox)) = (permit.graph(), &mailbox) {
        graph.upload(Instant::now(), app, mailbox, body.len())?;
    }
    if class == RequestClass::Batch {
        permit.is_long().await?;
    }
    permit.is_at_work(request.method() == Method::GET || request.method() == Method::HEAD).await?;
    // As large as the largest of all calls.
    let mut answer = Box::pin(call.perform(endpoint, &caller, permit, &body)).await;
    if let (Err(Error::Unauthorized | Error::UnknownUser(_)), Who::User(known)) = (&answer, &caller.who) {
        // Who was remembered may have been removed meanwhile, and be made anew. Nothing was done yet.
        api.unguarded.forget_user(&known.user_principal_name);
        api.unguarded.forget_user(&known.id);
        let anew = api.access.caller(&api.unguarded, request.headers(), None).await?;
        if matches!(&anew.who, Who::User(user) if user.mailbox != known.mailbox) {
            answer = Box::pin(call.perform(endpoint, &anew, permit, &body)).await;
        }
    }
    permit.is_done();
    let answer = answer?;
    if class != RequestClass::Batch {
        permit.release();
        hold(permit, &answer, request.method())?;
    }
    Ok(answer)
}

/// Whose token a request shows. Of an address that has sent too many that are not known one is looked up at a time.
async fn who(api: &Api, permit: &Permit, headers: &HeaderMap) -> Result<Caller, Error> {
    let suspected = permit.suspected(Instant::now());
    let turn = suspected.map(|_| &api.admission.suspects);
    let caller = api.access.caller(&api.unguarded, headers, turn).await;
    if let Err(Error::Unauthorized) = caller {
        permit.is_unknown(Instant::now());
        if let Some(wait) = suspected {
            return Err(Error::Throttled(Limit::Guesses, wait));
        }
    }
    caller
}

/// Counts an answer for as long as it is in memory. What has only been read can still be refused.
fn hold(permit: &Permit, answer: &Answer, method: &Method) -> Result<(), Error> {
    let Some(Body::Bytes(bytes)) = &answer.body else { return Ok(()) };
    if method == Method::GET || method == Method::HEAD {
        return permit.hold(bytes.len());
    }
    permit.hold_anyway(bytes.len());
    Ok(())
}

/// `GET /healthz`: whether a row can be read.
async fn health(api: &Api, method: &Method) -> Result<Answer, Error> {
    only_get(method)?;
    api.health.ask(async || api.unguarded.check().await).await?;
    Answer::json(200, &serde_json::json!({"status": "ok"}))
}

/// Where the API is mounted, and the path below that.
fn place<'a>(request: &'a HttpRequest, origin: &Origin) -> Result<(&'a str, &'a str), Error> {
    let (mount, path) = split_mount(request)?;
    Ok((mount, if mount.is_empty() { origin::below(origin, path) } else { path }))
}

pub(crate) fn only_get(method: &Method) -> Result<(), Error> {
    if method == Method::GET || method == Method::HEAD { Ok(()) } else { Err(Error::MethodNotAllowed(vec!["GET"])) }
}

/// The path up to where the API is mounted, and the rest, both as sent.
fn split_mount(request: &HttpRequest) -> Result<(&str, &str), Error> {
    let path = request.uri().path();
    let matched = request.match_info().as_str().len() - request.match_info().unprocessed().len();
    let decoded = request.match_info().as_str().get(..matched).unwrap_or_default();
    path.strip_prefix(decoded).map(|rest| (&path[..matched], rest)).ok_or_else(|| Error::NoSegment(path.to_owned()))
}

/// The type of a JSON answer: the seed's is bare, Graph's says more (docs/graph.md, decision 18).
fn media_type(request: &HttpRequest, origin: &Origin) -> &'static str {
    let path = place(request, origin).map_or("", |(_, path)| path);
    let prefix = path.trim_start_matches('/').get(..4).unwrap_or_default();
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let annotated = format::is_annotated(request.uri().query().unwrap_or_default(), accept).unwrap_or(true);
    match (prefix.eq_ignore_ascii_case("v1.0"), annotated) {
        (false, _) => "application/json",
        (true, false) => {
            "application/json;odata.metadata=none;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
        }
        (true, true) => {
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
        }
    }
}

fn respond(answer: Answer, ids: Ids, request: &HttpRequest, settings: &Settings, held: Held) -> HttpResponse {
    let mut response = HttpResponse::build(answer.status);
    response.insert_header(("OData-Version", "4.0"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    // It is somebody's data, or tells of it. What is not says so itself.
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    for (name, value) in cors::headers(request, &settings.cors) {
        response.insert_header((name, value));
    }
    for (name, id) in [("request-id", &ids.request), ("client-request-id", &ids.client)] {
        if let Ok(value) = HeaderValue::from_str(id) {
            response.insert_header((name, value));
        }
    }
    let typed = answer.headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        // It may depend on more than one thing.
        if name == header::VARY {
            response.append_header((name, value));
        } else {
            response.insert_header((name, value));
        }
    }
    match answer.body {
        Some(Body::Bytes(body)) => {
            if !typed {
                response.content_type(media_type(request, &settings.origin));
            }
            response.body(Paced::bytes(body, held))
        }
        Some(Body::Static(body)) => response.body(Paced::bytes(body, held)),
        // The connection would read them all to send nothing.
        Some(Body::Chunks(size, _)) if request.method() == Method::HEAD => {
            response.body(SizedStream::new(size, stream::empty::<Result<_, Error>>()))
        }
        Some(Body::Chunks(size, chunks)) => {
            let broke_off = move |error: &Error| {
                tracing::warn!(request_id = ids.request, %error, "an answer broke off");
            };
            let chunks = chunks.map_ok(web::Bytes::from).inspect_err(broke_off);
            response.body(Paced::chunks(size, Box::pin(chunks), held))
        }
        None => response.finish(),
    }
}
