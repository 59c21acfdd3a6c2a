//! Inboxes: receivers of change notifications inside the server, so that a test of subscriptions needs no web server of
//! its own.
//!
//! The server delivers its own notifications to an inbox without a connection, so they need no trusted certificate and
//! no allowed target. The address also answers over HTTP, as any receiver does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::client::HttpAnswer;
use crate::clock;
use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::http::answer::Answer;
use crate::notify::Inside;
use crate::testkit::SEGMENT;
use crate::testkit::calls::{KitRequest, MAX_WAIT, WAIT};
use crate::testkit::control::{json as read, options};
use crate::testkit::journal::body_json;
use crate::testkit::span::DurationMicros;

/// Maximum number of inboxes.
const MAX_INBOXES: usize = 100;
/// Maximum number of notifications in an inbox, and of their bytes.
const MAX_POSTS: usize = 1_000;
const MAX_BYTES: usize = 2 << 20;
/// Maximum size of a body in bytes. Of a longer body, only the length and the digest are kept.
const MAX_BODY: usize = 1 << 20;
/// Approximate size of a notification without its texts.
const POST_OVERHEAD: usize = 128;
/// Maximum number of server addresses of an inbox.
const MAX_ROOTS: usize = 8;
/// Maximum number of answers in a sequence.
const MAX_ANSWERS: usize = 1_000;
/// Maximum delay.
const MAX_DELAY: Duration = Duration::from_mins(10);
/// The path below an inbox that receives notifications.
const NOTIFICATIONS: &str = "/notifications";
/// The option that asks a receiver to confirm a subscription.
const TOKEN: &str = "validationToken";

/// How an inbox answers.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InboxSpec {
    /// The answer to notifications after the end of `answers`.
    #[serde(default)]
    answer: InboxAnswer,
    /// The answers to the next notifications, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answers: Vec<InboxAnswer>,
    /// Delay before each answer, by the real clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<DurationMicros>,
    /// Whether it confirms subscriptions.
    #[serde(default = "default_confirms")]
    confirms: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct InboxAnswer {
    status: u16,
}

impl Default for InboxAnswer {
    fn default() -> Self {
        Self { status: 202 }
    }
}

fn default_confirms() -> bool {
    true
}

impl InboxSpec {
    fn check(&self) -> Result<(), Error> {
        let refused = |target: &str, message: &str| Err(Error::invalid(Kind::Body, target, message));
        if self.answers.len() > MAX_ANSWERS {
            return refused("answers", "'answers' must be a list of at most 1000 responses.");
        }
        if self.delay.is_some_and(|delay| delay.duration() > MAX_DELAY) {
            return refused("delay", "A delay must be at most ten minutes: PT10M.");
        }
        let is_status = |answer: &InboxAnswer| (200..=599).contains(&answer.status);
        if !is_status(&self.answer) {
            return refused("answer/status", "A status must be a number from 200 to 599.");
        }
        match self.answers.iter().position(|answer| !is_status(answer)) {
            Some(index) => refused(&format!("answers/{index}/status"), "A status must be a number from 200 to 599."),
            None => Ok(()),
        }
    }
}

/// A notification that was posted.
#[derive(Debug, Serialize)]
struct Post {
    number: u64,
    time: String,
    /// Path and query, as sent.
    url: String,
    body: Option<Box<RawValue>>,
    /// The status of the answer.
    status: u16,
}

struct InboxState {
    /// The addresses of the server under which it was created, the latest first.
    roots: Vec<String>,
    spec: InboxSpec,
    /// Number of answers of the sequence that were used.
    answers_given: usize,
    confirmed: u64,
    last_number: u64,
    posts: VecDeque<(usize, Arc<Post>)>,
    bytes: usize,
}

/// The answer of an inbox, and its delay.
struct Reply {
    status: u16,
    /// The token of a confirmation.
    token: Option<String>,
    delay: Duration,
}

/// An inbox as JSON. It is not converted to JSON values, which would sort the members of bodies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InboxJson {
    name: String,
    notification_url: String,
    #[serde(flatten)]
    spec: InboxSpec,
    confirmed: u64,
    #[serde(serialize_with = "serialize_posts")]
    value: Vec<Arc<Post>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
}

fn serialize_posts<S: serde::Serializer>(posts: &[Arc<Post>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(posts.iter().map(Arc::as_ref))
}

/// The inboxes of a server.
#[derive(Default)]
pub(crate) struct Inboxes {
    by_name: Mutex<BTreeMap<String, InboxState>>,
    posted: Notify,
}

impl InboxState {
    fn new(spec: InboxSpec) -> Self {
        let (roots, posts) = Default::default();
        Self { roots, spec, answers_given: 0, confirmed: 0, last_number: 0, posts, bytes: 0 }
    }

    fn to_json(&self, name: &str) -> InboxJson {
        let posts = self.posts.iter().map(|(_, post)| Arc::clone(post));
        InboxJson {
            name: name.to_owned(),
            notification_url: self.roots.first().map_or_else(String::new, |root| url(root, name)),
            spec: self.spec.clone(),
            confirmed: self.confirmed,
            value: posts.collect(),
            error: None,
        }
    }

    fn add_post(&mut self, url: &str, body: &[u8]) -> u16 {
        let status = self.spec.answers.get(self.answers_given).unwrap_or(&self.spec.answer).status;
        self.answers_given = self.answers_given.saturating_add(1);
        self.last_number += 1;
        let body = body_json(body, MAX_BODY);
        let size = POST_OVERHEAD + url.len() + body.as_ref().map_or(0, |body| body.get().len());
        let time = date::print(clock::now());
        let post = Post { number: self.last_number, time, url: url.to_owned(), body, status };
        self.bytes += size;
        self.posts.push_back((size, Arc::new(post)));
        while self.posts.len() > MAX_POSTS || self.bytes > MAX_BYTES {
            let Some((size, _)) = self.posts.pop_front() else { break };
            self.bytes -= size;
        }
        status
    }
}

/// The address of an inbox.
fn url(root: &str, name: &str) -> String {
    format!("{root}/{SEGMENT}/inboxes/{name}{NOTIFICATIONS}")
}

impl Inboxes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, InboxState>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all inboxes.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The name of the inbox at an address.
    fn find_by_address(&self, address: &str) -> Option<String> {
        let url = address.split_once('?').map_or(address, |(url, _)| url);
        let (root, name) = url.strip_suffix(NOTIFICATIONS)?.rsplit_once('/')?;
        let root = root.strip_suffix("/inboxes")?.strip_suffix(SEGMENT)?.strip_suffix('/')?;
        let inboxes = self.lock();
        inboxes.get(name).filter(|inbox| inbox.roots.iter().any(|known| known == root)).map(|_| name.to_owned())
    }

    /// Stores a notification; `None` if there is no such inbox.
    fn post(&self, name: &str, url: &str, token: Option<&String>, body: &[u8]) -> Option<Reply> {
        let mut inboxes = self.lock();
        let inbox = inboxes.get_mut(name)?;
        let delay = inbox.spec.delay.map_or(Duration::ZERO, DurationMicros::duration);
        let Some(token) = token else {
            let status = inbox.add_post(url, body);
            drop(inboxes);
            self.posted.notify_waiters();
            return Some(Reply { status, token: None, delay });
        };
        if !inbox.spec.confirms {
            return Some(Reply { status: 400, token: None, delay });
        }
        inbox.confirmed += 1;
        Some(Reply { status: 200, token: Some(token.clone()), delay })
    }

    fn count(&self, name: &str) -> Result<usize, Error> {
        self.lock().get(name).map(|inbox| inbox.posts.len()).ok_or(Error::NotFound)
    }

    /// Waits until an inbox has `count` notifications. Returns whether it has.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    async fn wait(&self, name: &str, count: usize, timeout: Duration) -> Result<bool, Error> {
        let end = Instant::now() + timeout;
        loop {
            // Registered before the check, so that a notification in between is not missed.
            let mut posted = std::pin::pin!(self.posted.notified());
            posted.as_mut().enable();
            if self.count(name)? >= count {
                return Ok(true);
            }
            if tokio::time::timeout_at(end.into(), posted).await.is_err() {
                return Ok(self.count(name)? >= count);
            }
        }
    }
}

impl Inside for Inboxes {
    fn has(&self, url: &str) -> bool {
        self.find_by_address(url).is_some()
    }

    fn post<'a>(&'a self, url: &'a str, body: String) -> BoxFuture<'a, Option<HttpAnswer>> {
        Box::pin(async move {
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let token = options(query).unwrap_or_default().remove(TOKEN);
            let path = url.find("://").and_then(|end| url[end + 3..].find('/').map(|slash| &url[end + 3 + slash..]));
            let reply =
                Self::post(self, &self.find_by_address(url)?, path.unwrap_or(url), token.as_ref(), body.as_bytes())?;
            tokio::time::sleep(reply.delay).await;
            Some(HttpAnswer {
                status: reply.status,
                content_type: "text/plain".to_owned(),
                body: Some(reply.token.unwrap_or_default().into()),
            })
        })
    }
}

/// `POST /inboxes/{name}`
pub(crate) fn create(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let name = request.key;
    let is_valid =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !is_valid {
        let message = "An inbox must have a name of 1 to 64 characters A-Z, a-z, 0-9, '.', '_' and '-'.";
        return Err(Error::invalid(Kind::Request, "name", message));
    }
    let spec: InboxSpec = read(&request.body)?;
    spec.check()?;
    let mut inboxes = request.kit.inboxes.lock();
    let is_new = !inboxes.contains_key(name);
    if is_new && inboxes.len() >= MAX_INBOXES {
        return Err(Error::invalid(Kind::Limit, "", format!("At most {MAX_INBOXES} inboxes are allowed.")));
    }
    let inbox = inboxes.entry(name.to_owned()).or_insert_with(|| InboxState::new(spec.clone()));
    (inbox.spec, inbox.answers_given) = (spec, 0);
    inbox.roots.retain(|root| *root != request.root);
    inbox.roots.insert(0, request.root.clone());
    inbox.roots.truncate(MAX_ROOTS);
    Answer::json(if is_new { 201 } else { 200 }, &inbox.to_json(name))
}

/// `GET /inboxes`
pub(crate) fn list(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let inboxes = request.kit.inboxes.lock();
    let names: Vec<_> = inboxes.iter().map(|(name, inbox)| json!({"name": name, "count": inbox.posts.len()})).collect();
    Answer::json(200, &json!({"value": names}))
}

/// `GET /inboxes/{name}`
pub(crate) fn get(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let inboxes = request.kit.inboxes.lock();
    let inbox = inboxes.get(request.key).ok_or(Error::NotFound)?;
    Answer::json(200, &inbox.to_json(request.key))
}

/// `DELETE /inboxes/{name}`: removes its notifications; its subscriptions stay.
pub(crate) fn empty(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let mut inboxes = request.kit.inboxes.lock();
    let inbox = inboxes.get_mut(request.key).ok_or(Error::NotFound)?;
    inbox.posts.clear();
    inbox.bytes = 0;
    Answer::empty(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboxWait {
    #[serde(default = "default_count")]
    count: usize,
    timeout: Option<DurationMicros>,
}

fn default_count() -> usize {
    1
}

/// `POST /inboxes/{name}/wait`
pub(crate) async fn wait(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let InboxWait { count, timeout } = read(&request.body)?;
    if count > MAX_POSTS {
        return Err(Error::invalid(Kind::Body, "count", "'count' must be at most 1000."));
    }
    let timeout = timeout.map_or(WAIT, DurationMicros::duration);
    if timeout > MAX_WAIT {
        return Err(Error::invalid(Kind::Body, "timeout", "'timeout' must be at most ten minutes: PT10M."));
    }
    let inboxes = &request.kit.inboxes;
    let arrived = inboxes.wait(request.key, count, timeout).await?;
    let inboxes = inboxes.lock();
    let json = inboxes.get(request.key).ok_or(Error::NotFound)?.to_json(request.key);
    if arrived {
        return Answer::json(200, &json);
    }
    let message = format!("{} of {count} notifications arrived in time.", json.value.len());
    Answer::json(408, &InboxJson { error: Some(json!({"code": "timeout", "message": message})), ..json })
}

/// `POST /inboxes/{name}/notifications`: receives a notification over HTTP.
pub(crate) async fn receive(request: KitRequest<'_>) -> Result<Answer, Error> {
    let token = request.options.get(TOKEN);
    let reply = request.kit.inboxes.post(request.key, &request.url, token, &request.body).ok_or(Error::NotFound)?;
    tokio::time::sleep(reply.delay).await;
    let answer = Answer::empty(reply.status)?;
    let Some(token) = reply.token else { return Ok(answer) };
    Answer { body: Some(token.into_bytes().into()), ..answer }.header("Content-Type", "text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_found_by_the_addresses_it_was_created_at() {
        let inboxes = Inboxes::default();
        let spec = || serde_json::from_str("{}").unwrap();
        let roots = vec!["http://localhost:1".to_owned(), "https://[::1]:1/graph".to_owned()];
        inboxes.lock().insert("a".to_owned(), InboxState { roots, ..InboxState::new(spec()) });
        for (address, name) in [
            ("http://localhost:1/_contactd/inboxes/a/notifications", Some("a")),
            ("http://localhost:1/_contactd/inboxes/a/notifications?x=/y", Some("a")),
            ("https://[::1]:1/graph/_contactd/inboxes/a/notifications", Some("a")),
            ("http://localhost:1/_contactd/inboxes/b/notifications", None),
            ("http://localhost:1/_contactd/inboxes/a", None),
            ("http://localhost:2/_contactd/inboxes/a/notifications", None),
            ("https://localhost:1/_contactd/inboxes/a/notifications", None),
            ("http://localhost:1/x_contactd/inboxes/a/notifications", None),
            ("http://10.0.0.1/?http://localhost:1/_contactd/inboxes/a/notifications", None),
            ("", None),
        ] {
            assert_eq!(inboxes.find_by_address(address).as_deref(), name, "{address}");
        }
    }

    #[test]
    fn an_inbox_keeps_the_latest_notifications_within_its_limits() {
        let mut inbox = InboxState::new(serde_json::from_str("{}").unwrap());
        for _ in 0..MAX_POSTS + 5 {
            inbox.add_post("/", b"{}");
        }
        assert_eq!((inbox.posts.len(), inbox.posts[0].1.number), (MAX_POSTS, 6));
        let large = format!("\"{}\"", "x".repeat(MAX_BODY - 2));
        for _ in 0..5 {
            inbox.add_post("/", large.as_bytes());
        }
        assert!(inbox.bytes <= MAX_BYTES && inbox.posts.len() <= 2, "{} {}", inbox.bytes, inbox.posts.len());
    }
}
