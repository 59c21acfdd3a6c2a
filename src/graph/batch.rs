//! `POST /$batch`: several calls in one request, each with its own answer, by the same routes and rights as a single
//! request.
//!
//! Steps run in the order in which they are listed, after those that they depend on. Consecutive creates of the same
//! kind run together and share a commit. docs/graph.md, "Batches".

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::TryStreamExt as _;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::{self, IdOwner};
use crate::domain::error::Error;
use crate::domain::plain::shorten;
use crate::graph::authorize::Need;
use crate::graph::batch_steps::{self, BatchStep, encode_for_request_line, refused};
use crate::graph::call::Call;
use crate::graph::dispatch;
use crate::graph::front_end::subject;
use crate::graph::keys::own_path;
use crate::graph::routes::{self, Route};
use crate::graph::throttle::{MailboxPermit, mailbox};
use crate::graph::{error, service};
use crate::http::RequestIds;
use crate::http::answer::{Answer, Body};
use crate::http::authenticate::Caller;
use crate::http::blocking::{SHORT, run_blocking};
use crate::http::front_end::{RequestHead, RequestSource};
use crate::http::inspect::{self, InspectedRequest};
use crate::http::limits::Permit;
use crate::metrics::calls;
use crate::odata::address::{Address, Item, Resource};
use crate::odata::query::Query;

/// Bytes of answers after which further reads of a batch are refused.
const MAX_ANSWER: usize = 16 << 20;

/// A step's answer.
#[derive(Serialize)]
struct StepAnswer<'a> {
    id: &'a str,
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Answers<'a> {
    responses: Vec<StepAnswer<'a>>,
}

/// `POST /$batch`.
///
/// # Errors
/// 400 if the batch as a whole is invalid, see [`batch_steps::read`].
pub(crate) async fn perform(
    call: &Call<'_>,
    route: &Route,
    caller: &Caller,
    permit: &Permit,
    body: &[u8],
) -> Result<Answer, Error> {
    Query::check_format_only(call.query)?;
    // So that an empty batch is refused too.
    call.api.unguarded.with_actor(call.actor(caller)).check_access().await?;
    let (steps, dependencies) = batch_steps::read(body, call.graph.settings.batch_limit).await?;
    let creates = steps.iter().map(|step| create(call, step)).collect();
    let batch = Batch { call, caller, permit, creates, steps, dependencies, slots: RefCell::default() };
    let answered = batch.perform().await?;
    let answer = Answer::json(200, &Answers { responses: answered.into_iter().flatten().collect() })?;
    dispatch::preferences_applied(call, route, answer)
}

/// How a step that creates a contact reaches the writer. Consecutive steps of one kind run together and arrive in
/// order; steps of different kinds do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CreateKind {
    /// Together with others.
    Gathered,
    /// Alone, with its `Idempotency-Key`.
    Keyed,
}

/// The kind of a step that creates a contact and can run with others.
fn create(call: &Call<'_>, sent: &BatchStep) -> Option<CreateKind> {
    let (method, (path, _), headers) = (sent.method().ok()?, address(call, &sent.url).ok()?, sent.headers().ok()?);
    let head =
        RequestHead { method: &method, path: &path, query: "", headers: &headers, source: RequestSource::default() };
    let step = Call::new(call.graph, call.api, head).ok()?;
    if method != Method::POST {
        return None;
    }
    match &step.address.resource {
        Resource::Owned(_, Item::Contacts(_) | Item::ContactsRef(_)) if step.idempotency_key.is_some() => {
            Some(CreateKind::Keyed)
        }
        // The path to the last folder is checked first.
        Resource::Owned(_, Item::Contacts(path) | Item::ContactsRef(path)) if path.len() > 1 => None,
        Resource::Owned(_, Item::Contacts(_) | Item::ContactsRef(_)) => Some(CreateKind::Gathered),
        _ => None,
    }
}

struct Batch<'a> {
    call: &'a Call<'a>,
    caller: &'a Caller,
    permit: &'a Permit,
    steps: Vec<BatchStep>,
    /// For each step, the steps that it depends on.
    dependencies: Vec<Vec<usize>>,
    creates: Vec<Option<CreateKind>>,
    /// The permits of running steps, by mailbox: together they count as one request.
    slots: RefCell<BTreeMap<String, MailboxPermit>>,
}

type StepAnswers<'a> = Vec<Option<StepAnswer<'a>>>;

impl Batch<'_> {
    async fn perform(&self) -> Result<StepAnswers<'_>, Error> {
        let mut answered: StepAnswers<'_> = self.steps.iter().map(|_| None).collect();
        let mut bytes = 0;
        loop {
            // Refused steps never wait, so without this all of them would run before other requests.
            tokio::task::yield_now().await;
            let run = self.next_steps(&answered);
            if run.is_empty() {
                return Ok(answered);
            }
            let is_full = bytes > MAX_ANSWER;
            if run.len() > 1 {
                self.load_owners(&run).await;
            }
            let answers = {
                let failed = |i: &usize| answered[*i].as_ref().is_some_and(|answered| answered.status >= 400);
                let step = |i: &usize| self.step(*i, self.dependencies[*i].iter().any(failed), is_full);
                // Creates that are submitted in the first poll share a commit.
                let mut write_gate = Some(self.call.api.unguarded.gather());
                let mut step_futures = join_all(run.iter().map(step));
                poll_fn(|context| {
                    let polled = step_futures.poll_unpin(context);
                    write_gate = None;
                    polled
                })
                .await
            };
            self.slots.borrow_mut().clear();
            for (i, answer) in run.into_iter().zip(answers) {
                let sent = &self.steps[i];
                let ids = || self.ids(&sent.headers().unwrap_or_default());
                let mut answer = answer.unwrap_or_else(|error| {
                    let answer = error::answer(&error, &ids());
                    self.log(sent, &answer, &error);
                    answer
                });
                if sent.method().is_ok_and(|method| method == Method::HEAD) {
                    answer.body = None;
                }
                let mut json = step_answer(&sent.id, answer).await?;
                let size = |json: &StepAnswer<'_>| json.body.as_ref().map_or(0, |body| body.get().len());
                if let Err(full) = self.count_answer(sent, size(&json)) {
                    json = self::step_answer(&sent.id, error::answer(&full, &ids())).await?;
                }
                self.count(sent, json.status);
                bytes += size(&json);
                answered[i] = Some(json);
            }
        }
    }

    /// The first step that is ready, and if it is a create the steps after it that are of the same kind, unless they
    /// are long.
    fn next_steps(&self, answered: &StepAnswers<'_>) -> Vec<usize> {
        let is_ready = |i: &usize| self.dependencies[*i].iter().all(|dependency| answered[*dependency].is_some());
        let mut remaining = (0..self.steps.len()).filter(|i| answered[*i].is_none());
        let Some(first) = remaining.by_ref().find(is_ready) else { return Vec::new() };
        let create_kind = self.creates[first];
        // They are parsed in one poll, to keep their order, so that must not take long.
        let mut free_bytes = SHORT.checked_sub(self.steps[first].length());
        let following = remaining.take_while(|i| {
            free_bytes = free_bytes.and_then(|free_bytes| free_bytes.checked_sub(self.steps[*i].length()));
            create_kind.is_some() && self.creates[*i] == create_kind && is_ready(i) && free_bytes.is_some()
        });
        std::iter::once(first).chain(following).collect()
    }

    /// Loads the owners of the steps into the cache, so that all of them reach the writer in the first poll, in their
    /// order.
    async fn load_owners(&self, run: &[usize]) {
        for i in run {
            let address = address(self.call, &self.steps[*i].url).and_then(|(path, _)| Address::parse(&path));
            if let Ok(Address { resource: Resource::Owned(owner, _), .. }) = address {
                // The step itself reports the error.
                let _ = self.call.mailbox(self.caller, &owner, Need::Token).await;
            }
        }
    }

    async fn step(&self, i: usize, has_failed_before: bool, is_full: bool) -> Result<Answer, Error> {
        if has_failed_before {
            return Err(Error::Dependency);
        }
        self.permit.count_step()?;
        let (outer, sent) = (self.call, &self.steps[i]);
        let (method, headers, (path, query)) = (sent.method()?, sent.headers()?, address(outer, &sent.url)?);
        let query = encode_for_request_line(query);
        let head = RequestHead {
            method: &method,
            path: &path,
            query: &query,
            headers: &headers,
            source: outer.source().clone(),
        };
        let call = Call::new(outer.graph, outer.api, head)?;
        match call.address.resource {
            Resource::Batch => return Err(refused("url", "A batch cannot be a step of another batch.")),
            Resource::Service => {
                routes::find(&call)?;
                Query::check_format_only(&query)?;
                return service::document(&call);
            }
            Resource::Health => {
                return Err(refused("url", "'/healthz' cannot be a step of a batch: send it as a separate request."));
            }
            Resource::OpenApi => {
                return Err(refused(
                    "url",
                    "'/openapi.json' cannot be a step of a batch: send it as a separate request.",
                ));
            }
            Resource::Metadata => return Err(refused("url", "The response to a step cannot be XML.")),
            Resource::Owned(_, Item::ContactsImport(_) | Item::ContactsExport(_)) => {
                return Err(refused("url", "Imports and exports cannot be steps of a batch."));
            }
            _ => {}
        }
        let route = routes::find(&call)?;
        let body = sent.body(route.body, &headers).await?;
        if is_full && matches!(method, Method::GET | Method::HEAD) {
            return Err(Error::TooMuch);
        }
        self.count_graph_limits(&call, body.len())?;
        let work = dispatch::perform(&call, route, self.caller, &body);
        let Some(inspector) = outer.api.inspector.as_deref() else { return work.await };
        let (subject, token, begun) = (subject(&call.address, self.caller), self.caller.name(), Instant::now());
        let url = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let inspected = InspectedRequest {
            method: method.as_str(),
            url: &url,
            route: call.address.pattern(),
            subject: &subject,
            headers: &headers,
            body: &body,
            token: Some(&token),
            root: &outer.source().root,
            request: outer.source().request,
            step: Some((i, &sent.id)),
        };
        let (answer, fault_effect) = inspect::perform(inspector, &inspected, work).await;
        let answer = answer.unwrap_or_else(|error| error::answer(&error, &self.ids(&headers)));
        inspector.record(&inspected, begun.elapsed(), &answer, fault_effect.as_ref().map(|(fault, _)| fault.as_str()));
        Ok(answer)
    }

    /// Counts a step like a request, if it names a call.
    fn count(&self, sent: &BatchStep, status: u16) {
        let address = address(self.call, &sent.url).and_then(|(path, _)| Address::parse(&path));
        let (Ok(method), Ok(address)) = (sent.method(), address) else { return };
        let name = (method.as_str(), address.pattern());
        if let Some((method, route)) = routes::names().find(|known| *known == name) {
            calls::answered(method, route, calls::CallOrigin::Batch, status);
        }
    }

    /// The ids of a step, which has no credential of its own.
    fn ids(&self, headers: &HeaderMap) -> RequestIds {
        RequestIds::of_request(clock::new_id(IdOwner::Caller(&self.caller.name())), headers)
    }

    /// Logs a refused step: the log line of the batch does not say so.
    fn log(&self, sent: &BatchStep, answer: &Answer, error: &Error) {
        let address = address(self.call, &sent.url).and_then(|(path, _)| Address::parse(&path));
        let route = address.as_ref().map_or("", Address::pattern);
        let (request_id, status, code) = (self.call.source().request, answer.status.as_u16(), error::code(error));
        if !self.call.api.settings.log_requests.has(status, Duration::ZERO) {
            return;
        }
        tracing::info!(%request_id, route, status, code, "a step of a batch was refused");
    }

    /// Counts the answer of a step while it is in memory. The answer of a read can still be refused.
    fn count_answer(&self, sent: &BatchStep, bytes: usize) -> Result<(), Error> {
        if sent.method().is_ok_and(|method| method == Method::GET) {
            return self.permit.count_memory(bytes);
        }
        self.permit.count_memory_of_write(bytes);
        Ok(())
    }

    /// Counts a step as Graph does, where its limits apply.
    fn count_graph_limits(&self, call: &Call<'_>, bytes: usize) -> Result<(), Error> {
        let Some((throttle, app)) = self.call.graph.throttle.as_ref().zip(self.permit.limit_key()) else {
            return Ok(());
        };
        let (now, mailbox) = (clock::now(), mailbox(self.caller, &call.address.resource));
        throttle.request(now, app, mailbox.as_deref())?;
        let Some(mailbox) = mailbox else { return Ok(()) };
        if let Entry::Vacant(slot) = self.slots.borrow_mut().entry(mailbox.clone()) {
            slot.insert(throttle.begin(app, &mailbox)?);
        }
        throttle.upload(now, app, &mailbox, bytes)
    }
}

/// The path and the query of a step, whose url is relative to the batch's version, has a version itself, or is
/// absolute. The path is encoded for a request line; the query is not yet.
fn address<'u>(call: &Call<'_>, url: &'u str) -> Result<(String, &'u str), Error> {
    let url = url.split('#').next().unwrap_or_default();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = own_path(call, path).ok_or_else(|| {
        refused(
            "url",
            format!("'{}' is not an address of this server. It may be relative, like '/me/contacts'.", shorten(url)),
        )
    })?;
    let first = path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let has_version = ["v1.0", "beta"].iter().any(|version| first.eq_ignore_ascii_case(version));
    let prefix = if has_version { "" } else { call.address.version.prefix() };
    Ok((encode_for_request_line(&format!("{prefix}{path}")), query))
}

async fn step_answer(id: &str, answer: Answer) -> Result<StepAnswer<'_>, Error> {
    let mut headers: BTreeMap<_, _> = BTreeMap::new();
    for (name, value) in &answer.headers {
        headers.insert(canonical_case(name).to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let media = headers.get("Content-Type").map_or("application/json", String::as_str).to_owned();
    let body = match answer.body {
        None => None,
        Some(body) => {
            let bytes = match body {
                Body::Bytes(bytes) => bytes,
                Body::Static(bytes) => bytes.to_vec(),
                Body::Chunks(_, chunks) | Body::Stream(chunks) => chunks.try_concat().await?,
            };
            let json = match media.split(';').next().unwrap_or_default() {
                // A number is JSON too.
                "application/json" | "text/plain" => String::from_utf8(bytes).map_err(Error::internal)?,
                _ => format!("\"{}\"", STANDARD.encode(bytes)),
            };
            let is_short = json.len() <= SHORT;
            headers.entry("Content-Type".to_owned()).or_insert(media);
            let read = move || RawValue::from_string(json).map_err(Error::internal);
            Some(if is_short { read()? } else { run_blocking(read).await?? })
        }
    };
    Ok(StepAnswer { id, status: answer.status.as_u16(), headers, body })
}

/// The usual letter case of a header, for clients that compare names exactly.
fn canonical_case(name: &HeaderName) -> &str {
    match name.as_str() {
        "allow" => "Allow",
        "content-type" => "Content-Type",
        "etag" => "ETag",
        "location" => "Location",
        "odata-entityid" => "OData-EntityId",
        "preference-applied" => "Preference-Applied",
        "retry-after" => "Retry-After",
        other => other,
    }
}
