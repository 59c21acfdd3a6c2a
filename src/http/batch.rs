//! `POST /$batch`: several calls in one, each answered for itself, by the same routes and rights as if it had come alone.
//!
//! Steps go in the order they are listed, but behind those they depend on. Creates that follow each other and go the same
//! way go together, and so share a commit. docs/graph.md, "Batches".

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::poll_fn;
use std::time::Instant;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::access::Caller;
use super::answer::{Answer, Body};
use super::body::Taken;
use super::call::{Call, Reached};
use super::contacts_ref::own_path;
use super::endpoint::{Endpoint, Need};
use super::limits::Visit;
use super::throttle::Slot;
use super::{Ids, contacts, error, service, throttle};
use crate::error::{Error, Kind};
use crate::odata::address::{Address, Item, Resource};
use crate::odata::json::shorten;

/// How many bytes the answers of a batch may have before no more is read for it.
const MAX_ANSWER: usize = 16 << 20;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    requests: Vec<Sent<'a>>,
}

/// A step, as sent. Members that are none of these are ignored.
#[derive(Deserialize)]
struct Sent<'a> {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default, rename = "dependsOn")]
    depends_on: Option<Vec<String>>,
}

/// A step's answer.
#[derive(Serialize)]
struct Answered<'a> {
    id: &'a str,
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Answers<'a> {
    responses: Vec<Answered<'a>>,
}

/// `POST /$batch`.
///
/// # Errors
/// 400 where the whole cannot be carried out: it is no batch, has too many steps, or an id twice, or dependencies that
/// cannot be met.
pub(super) async fn perform(call: &Call<'_>, caller: &Caller, visit: &Visit, body: &[u8]) -> Result<Answer, Error> {
    // One without a step is refused like any other.
    call.api.unguarded.acting(call.actor(caller)).permits().await?;
    contacts::parse(body)?;
    let Envelope { requests: steps } = serde_json::from_slice(body).map_err(|why| {
        let message = format!(
            "The batch cannot be read: {why}. It is an object with 'requests', an array of steps that have 'id', 'method' and 'url'."
        );
        refused("requests", message)
    })?;
    let limit = call.api.settings.batch_limit;
    if steps.len() > limit {
        let message = format!("Number of batch request steps exceeds the maximum value of {limit}.");
        return Err(Error::invalid(Kind::Steps, "requests", message));
    }
    let before = dependencies(&steps)?;
    let creates = steps.iter().map(|step| create(call, step)).collect();
    let batch = Batch { call, caller, visit, creates, steps, before, slots: RefCell::default() };
    let answered = batch.perform().await?;
    Answer::json(200, &Answers { responses: answered.into_iter().flatten().collect() })
}

fn refused(target: &str, message: impl Into<String>) -> Error {
    Error::invalid(Kind::Query, target, message)
}

/// The steps that each step waits for.
///
/// # Errors
/// 400 for an id that is empty or there twice, in any letter case, one that nobody has, and a circle.
fn dependencies(steps: &[Sent<'_>]) -> Result<Vec<Vec<usize>>, Error> {
    let at = |id: &str| steps.iter().position(|step| step.id.eq_ignore_ascii_case(id));
    let mut before = Vec::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        let id = shorten(&step.id);
        if step.id.is_empty() || at(&step.id) != Some(i) {
            return Err(refused(
                &format!("requests/{i}/id"),
                format!("The id '{id}' of a step must be there once, and not be empty."),
            ));
        }
        let named = step.depends_on.iter().flatten().map(|id| {
            let missing = || {
                let message = format!("The step '{}' that is depended on is not in the batch.", shorten(id));
                refused(&format!("requests/{i}/dependsOn"), message)
            };
            at(id).ok_or_else(missing)
        });
        before.push(named.collect::<Result<Vec<_>, _>>()?);
    }
    // What waits for nothing is done first, and so on: in a circle all wait.
    let mut done = vec![false; steps.len()];
    while let Some(next) = (0..steps.len()).find(|i| !done[*i] && before[*i].iter().all(|step| done[*step])) {
        done[next] = true;
    }
    match done.iter().position(|done| !done) {
        Some(i) => Err(refused(&format!("requests/{i}/dependsOn"), "Steps wait for each other in a circle.")),
        None => Ok(before),
    }
}

/// How a step that creates a contact goes to the writer. Those of one way that follow each other go together: they get
/// there in their order, and those of another do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Create {
    /// Gathered with others.
    Gathered,
    /// By itself, with its key.
    Keyed,
}

/// How a step goes, if it creates a contact and can go with others.
fn create(call: &Call<'_>, sent: &Sent<'_>) -> Option<Create> {
    let (method, (path, _), headers) = (method(sent).ok()?, address(call, &sent.url).ok()?, headers(sent).ok()?);
    let step = Call::new(call.api, &method, &path, None, &headers, Reached::default()).ok()?;
    if !matches!(step.endpoint(), Ok(Endpoint::CreateContact | Endpoint::AddContact)) {
        return None;
    }
    match &step.address.resource {
        _ if step.idempotency_key.is_some() => Some(Create::Keyed),
        // The way to the last folder is looked at first.
        Resource::Owned(_, Item::Contacts(path) | Item::ContactsRef(path)) if path.len() > 1 => None,
        _ => Some(Create::Gathered),
    }
}

struct Batch<'a> {
    call: &'a Call<'a>,
    caller: &'a Caller,
    visit: &'a Visit,
    steps: Vec<Sent<'a>>,
    /// Of each step.
    before: Vec<Vec<usize>>,
    creates: Vec<Option<Create>>,
    /// Of those steps that are under way, by mailbox: together they count as one request.
    slots: RefCell<BTreeMap<String, Slot>>,
}

type Done<'a> = Vec<Option<Answered<'a>>>;

impl Batch<'_> {
    async fn perform(&self) -> Result<Done<'_>, Error> {
        let mut answered: Done<'_> = self.steps.iter().map(|_| None).collect();
        let mut bytes = 0;
        loop {
            let run = self.next(&answered);
            if run.is_empty() {
                return Ok(answered);
            }
            let is_full = bytes > MAX_ANSWER;
            if run.len() > 1 {
                self.meet_owners(&run).await;
            }
            let answers = {
                let failed = |i: &usize| answered[*i].as_ref().is_some_and(|answered| answered.status >= 400);
                let step = |i: &usize| self.step(*i, self.before[*i].iter().any(failed), is_full);
                // What is created in a first go shares a commit.
                let mut held = Some(self.call.api.unguarded.gather());
                let mut all = join_all(run.iter().map(step));
                poll_fn(|context| {
                    let polled = all.poll_unpin(context);
                    held = None;
                    polled
                })
                .await
            };
            self.slots.borrow_mut().clear();
            for (i, answer) in run.into_iter().zip(answers) {
                let sent = &self.steps[i];
                let ids = || Ids::of(&headers(sent).unwrap_or_default());
                let mut answer = answer.unwrap_or_else(|error| {
                    let answer = error::answer(&error, &ids());
                    self.log(sent, &answer, &error);
                    answer
                });
                if method(sent).is_ok_and(|method| method == Method::HEAD) {
                    answer.body = None;
                }
                let mut shown = shown(&sent.id, answer).await?;
                let size = |shown: &Answered<'_>| shown.body.as_ref().map_or(0, |body| body.get().len());
                if let Err(full) = self.hold(sent, size(&shown)) {
                    shown = self::shown(&sent.id, error::answer(&full, &ids())).await?;
                }
                bytes += size(&shown);
                answered[i] = Some(shown);
            }
        }
    }

    /// The first step whose turn it is, and if it is a create those behind it that go the same way.
    fn next(&self, answered: &Done<'_>) -> Vec<usize> {
        let is_ready = |i: &usize| self.before[*i].iter().all(|before| answered[*before].is_some());
        let mut left = (0..self.steps.len()).filter(|i| answered[*i].is_none());
        let Some(first) = left.by_ref().find(is_ready) else { return Vec::new() };
        let way = self.creates[first];
        let also = left.take_while(|i| way.is_some() && self.creates[*i] == way && is_ready(i));
        std::iter::once(first).chain(also).collect()
    }

    /// Whose mailboxes the steps are for is then known without asking the database, so that all of them get to the writer in
    /// a first go, and in their order.
    async fn meet_owners(&self, run: &[usize]) {
        for i in run {
            let address = address(self.call, &self.steps[*i].url).and_then(|(path, _)| Address::parse(&path));
            if let Ok(Address { resource: Resource::Owned(owner, _), .. }) = address {
                // What is wrong with it the step itself will tell.
                let _ = self.call.mailbox(self.caller, &owner, Need::Token).await;
            }
        }
    }

    async fn step(&self, i: usize, has_failed_before: bool, is_full: bool) -> Result<Answer, Error> {
        if has_failed_before {
            return Err(Error::Dependency);
        }
        self.visit.step()?;
        let (outer, sent) = (self.call, &self.steps[i]);
        let (method, headers, (path, query)) = (method(sent)?, headers(sent)?, address(outer, &sent.url)?);
        let call = Call::new(outer.api, &method, &path, Some(&query), &headers, outer.reached().clone())?;
        match call.address.resource {
            Resource::Batch => return Err(refused("url", "A batch cannot be a step of another.")),
            Resource::Service => return service::document(&call, &method),
            Resource::Metadata => return Err(refused("url", "A step's answer cannot be XML.")),
            _ => {}
        }
        let endpoint = call.endpoint()?;
        let mut body = body(endpoint.body(), &headers, sent.body)?;
        if is_full && matches!(method, Method::GET | Method::HEAD) {
            return Err(Error::TooMuch);
        }
        self.meets_graph(&call, body.len())?;
        call.perform(endpoint, self.caller, self.visit, &mut body).await
    }

    /// The batch itself is well, so its line in the log says nothing of this.
    fn log(&self, sent: &Sent<'_>, answer: &Answer, error: &Error) {
        let address = address(self.call, &sent.url).and_then(|(path, _)| Address::parse(&path));
        let route = address.as_ref().map_or("", Address::pattern);
        let (request_id, status, code) = (self.call.reached().request, answer.status.as_u16(), error::code(error));
        tracing::info!(%request_id, route, status, code, "a step of a batch was refused");
    }

    /// Counts what a step answers for as long as it is in memory. What has only been read can still be refused.
    fn hold(&self, sent: &Sent<'_>, bytes: usize) -> Result<(), Error> {
        if method(sent).is_ok_and(|method| method == Method::GET) {
            return self.visit.hold(bytes);
        }
        self.visit.hold_anyway(bytes);
        Ok(())
    }

    /// Counts a step as Graph does, where its limits apply.
    fn meets_graph(&self, call: &Call<'_>, bytes: usize) -> Result<(), Error> {
        let Some((graph, app)) = self.visit.graph() else { return Ok(()) };
        let (now, mailbox) = (Instant::now(), throttle::mailbox(self.caller, &call.address.resource));
        graph.request(now, app, mailbox.as_deref())?;
        let Some(mailbox) = mailbox else { return Ok(()) };
        if let Entry::Vacant(slot) = self.slots.borrow_mut().entry(mailbox.clone()) {
            slot.insert(graph.begin(app, &mailbox)?);
        }
        graph.upload(now, app, &mailbox, bytes)
    }
}

fn method(sent: &Sent<'_>) -> Result<Method, Error> {
    let unknown = |_| refused("method", format!("'{}' is no method.", shorten(&sent.method)));
    Method::from_bytes(sent.method.to_ascii_uppercase().as_bytes()).map_err(unknown)
}

/// A step's own headers: who calls is told by the batch.
fn headers(sent: &Sent<'_>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in sent.headers.iter().flatten() {
        let unusable = || refused("headers", format!("'{}' is no header that could be sent.", shorten(name)));
        let name = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
        if name != header::AUTHORIZATION {
            headers.append(name, HeaderValue::from_str(value).map_err(|_| unusable())?);
        }
    }
    Ok(headers)
}

/// The path and the query of a step: relative to the batch's version, or with one of its own, or the address as the client
/// would use it. What a request line could not hold is encoded.
fn address(call: &Call<'_>, url: &str) -> Result<(String, String), Error> {
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
    Ok((sendable(&format!("{prefix}{path}")), sendable(query)))
}

fn sendable(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => true,
        byte => !byte.is_ascii_graphic(),
    };
    text.bytes().map(|byte| if escape(byte) { format!("%{byte:02X}") } else { char::from(byte).to_string() }).collect()
}

/// The body as the call takes it: the JSON text as it was sent, or the bytes that are in base64.
fn body(taken: Taken, headers: &HeaderMap, sent: Option<&RawValue>) -> Result<Vec<u8>, Error> {
    let text = sent.map_or("", RawValue::get);
    match taken {
        Taken::Not => Ok(Vec::new()),
        Taken::Json => {
            let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let bare = declared.map(|value| value.split(';').next().unwrap_or_default().trim());
            if bare.is_some_and(|declared| !declared.eq_ignore_ascii_case("application/json")) {
                let message = "The body must be sent with Content-Type: application/json.";
                return Err(Error::UnsupportedMediaType(message.to_owned()));
            }
            Ok(text.as_bytes().to_vec())
        }
        Taken::Bytes if text.is_empty() || text == "null" => Ok(Vec::new()),
        Taken::Bytes => {
            let encoded: Option<String> = serde_json::from_str(text).ok();
            // Either alphabet, with or without the signs at the end.
            let plain = encoded.map(|text| text.trim_end_matches('=').replace('-', "+").replace('_', "/"));
            let bytes = plain.and_then(|text| STANDARD_NO_PAD.decode(text).ok());
            bytes.ok_or_else(|| refused("body", "The body of this step must be a string: the bytes in base64."))
        }
    }
}

async fn shown(id: &str, answer: Answer) -> Result<Answered<'_>, Error> {
    let mut headers: BTreeMap<_, _> = BTreeMap::new();
    for (name, value) in &answer.headers {
        headers.insert(named(name).to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let media = headers.get("Content-Type").map_or("application/json", String::as_str).to_owned();
    let body = match answer.body {
        None => None,
        Some(body) => {
            let bytes = match body {
                Body::Bytes(bytes) => bytes,
                Body::Static(text) => text.as_bytes().to_vec(),
                Body::Chunks(_, chunks) => chunks.try_concat().await?,
            };
            let json = match media.split(';').next().unwrap_or_default() {
                // A number on its own is JSON too.
                "application/json" | "text/plain" => String::from_utf8(bytes).map_err(Error::internal)?,
                _ => format!("\"{}\"", STANDARD.encode(bytes)),
            };
            headers.entry("Content-Type".to_owned()).or_insert(media);
            Some(RawValue::from_string(json).map_err(Error::internal)?)
        }
    };
    Ok(Answered { id, status: answer.status.as_u16(), headers, body })
}

/// A header as clients look for it, who may not know that letter case does not count.
fn named(name: &HeaderName) -> &str {
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
