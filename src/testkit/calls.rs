//! The table of calls of the control plane. docs/testing.md has a row for each (a test compares).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::error::{Error, Kind};
use crate::http::Api;
use crate::http::answer::Answer;
use crate::testkit::control::json as read;
use crate::testkit::faults::FaultSpec;
use crate::testkit::journal::{JournalFilter, JournalPage};
use crate::testkit::span::DurationMicros;
use crate::testkit::{Kit, clock, har, inboxes, seeding, snapshot_files, states};

/// A call.
pub(crate) struct KitCall {
    pub(crate) method: &'static str,
    /// The path below the control plane.
    pub(crate) path: &'static str,
    pub(crate) handler: KitHandler,
}

type KitHandler = for<'a> fn(KitRequest<'a>) -> LocalBoxFuture<'a, Result<Answer, Error>>;

/// The parameter of handlers.
pub(crate) struct KitRequest<'a> {
    pub(crate) kit: &'a Arc<Kit>,
    pub(crate) api: &'a Api,
    /// The value of the path's `{…}`.
    pub(crate) key: &'a str,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Path and query, as sent.
    pub(crate) url: String,
    /// Scheme, host and mount, as the client named them.
    pub(crate) root: String,
    /// The value of `Accept`.
    pub(crate) accept: String,
}

const fn call(method: &'static str, path: &'static str, handler: KitHandler) -> KitCall {
    KitCall { method, path, handler }
}

/// The calls.
pub(crate) const CALLS: &[KitCall] = &[
    call("GET", "/", |request| Box::pin(status(request))),
    call("POST", "/reset", |request| Box::pin(states::reset(request))),
    call("GET", "/snapshots", |request| Box::pin(states::list(request))),
    call("PUT", "/snapshots/{name}", |request| Box::pin(states::save(request))),
    call("GET", "/snapshots/{name}", |request| Box::pin(states::get(request))),
    call("DELETE", "/snapshots/{name}", |request| Box::pin(async move { states::remove(&request) })),
    call("GET", "/snapshots/{name}/$value", |request| Box::pin(snapshot_files::download(request))),
    call("PUT", "/snapshots/{name}/$value", |request| Box::pin(snapshot_files::upload(request))),
    call("POST", "/snapshots/{name}/restore", |request| Box::pin(states::restore(request))),
    call("POST", "/users/{name}/copy", |request| Box::pin(states::copy(request))),
    call("POST", "/seed", |request| Box::pin(seeding::seed(request))),
    call("GET", "/clock", |request| Box::pin(async move { clock::get(&request) })),
    call("PUT", "/clock", |request| Box::pin(async move { clock::put(&request) })),
    call("POST", "/clock/advance", |request| Box::pin(clock::advance(request))),
    call("POST", "/settle", |request| Box::pin(clock::settle(request))),
    call("GET", "/inboxes", |request| Box::pin(async move { inboxes::list(&request) })),
    call("POST", "/inboxes/{name}", |request| Box::pin(async move { inboxes::create(&request) })),
    call("GET", "/inboxes/{name}", |request| Box::pin(async move { inboxes::get(&request) })),
    call("DELETE", "/inboxes/{name}", |request| Box::pin(async move { inboxes::empty(&request) })),
    call("POST", "/inboxes/{name}/wait", |request| Box::pin(inboxes::wait(request))),
    call("POST", "/inboxes/{name}/notifications", |request| Box::pin(inboxes::receive(request))),
    call("POST", "/faults", |request| Box::pin(async move { add_fault(&request) })),
    call("GET", "/faults", |request| Box::pin(async move { faults(&request) })),
    call("DELETE", "/faults", |request| Box::pin(async move { clear_faults(&request) })),
    call("GET", "/faults/{id}", |request| Box::pin(async move { fault(&request) })),
    call("DELETE", "/faults/{id}", |request| Box::pin(async move { remove_fault(&request) })),
    call("GET", "/requests", |request| Box::pin(async move { requests(&request) })),
    call("GET", "/requests/count", |request| Box::pin(async move { count_requests(&request) })),
    call("DELETE", "/requests", |request| Box::pin(async move { clear_requests(&request) })),
    call("POST", "/requests/wait", |request| Box::pin(wait_for_requests(request))),
];

/// Default and maximum number of requests of a page.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// Default and maximum time of a wait.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
pub(crate) const MAX_WAIT: Duration = Duration::from_mins(10);
/// Maximum number of near misses in an answer.
const MAX_NEAR_MISSES: usize = 10;

impl KitRequest<'_> {
    /// The users that the call applies to; empty for all.
    fn users(&self) -> Vec<String> {
        self.options.get("user").cloned().into_iter().collect()
    }

    /// # Errors
    /// 400 for an option that is not in `known`.
    pub(crate) fn allow_options(&self, known: &[&str]) -> Result<(), Error> {
        let unknown = self.options.keys().find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Error::invalid(
                Kind::Query,
                name,
                format!("'{name}' is not an option of this call. Supported options: {known}."),
            ))
        })
    }
}

async fn status(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let KitRequest { kit, api, .. } = request;
    let (users, contacts) = api.unguarded.totals().await?;
    let (faults, requests) = (kit.faults().all().len(), kit.journal.len());
    let engine = api.unguarded.engine();
    let version = env!("CARGO_PKG_VERSION");
    Answer::json(
        200,
        &json!({
            "version": version, "engine": engine, "deterministic": crate::clock::seeded(), "clock": clock::to_json(),
            "users": users, "contacts": contacts, "requests": requests, "faults": faults,
            "snapshots": kit.names()
        }),
    )
}

fn add_fault(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let spec: FaultSpec = read(&request.body)?;
    let created = request.kit.faults().add(spec)?;
    Answer::json(201, &created)
}

fn faults(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    Answer::json(200, &json!({"value": request.kit.faults().all()}))
}

fn clear_faults(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&["user"])?;
    request.kit.faults().clear(&request.users());
    Answer::empty(204)
}

fn fault(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let fault = request.kit.faults().get(request.key)?;
    Answer::json(200, &fault)
}

fn remove_fault(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    request.kit.faults().remove(request.key)?;
    Answer::empty(204)
}

/// The filter in the options, and the maximum number of entries.
fn filter(request: &KitRequest<'_>) -> Result<(JournalFilter, usize), Error> {
    let mut members = Map::new();
    let mut max = DEFAULT_PAGE;
    for (name, value) in &request.options {
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| Error::invalid(Kind::Query, name, format!("'{name}' must be a number, not '{value}'.")))
        };
        match name.as_str() {
            "top" => {
                let top = usize::try_from(number()?).unwrap_or(usize::MAX);
                if !(1..=MAX_PAGE).contains(&top) {
                    return Err(Error::invalid(Kind::Query, "top", "'top' must be from 1 to 1000."));
                }
                max = top;
            }
            "since" | "status" => drop(members.insert(name.clone(), number()?.into())),
            _ => drop(members.insert(name.clone(), Value::String(value.clone()))),
        }
    }
    request.allow_options(&["user", "method", "path", "route", "status", "since", "top"])?;
    let filter = serde_json::from_value(Value::Object(members));
    Ok((filter.map_err(|error| Error::invalid(Kind::Query, "status", error.to_string()))?, max))
}

fn requests(request: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, max) = filter(request)?;
    let found = request.kit.journal.find(&filter, max);
    if har::is_requested(&request.accept) {
        let archive = har::archive(found.value.iter().map(Arc::as_ref), &request.root);
        return Answer::json(200, &archive)?.header("Content-Type", har::MEDIA_TYPE);
    }
    Answer::json(200, &found)
}

fn count_requests(request: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, _) = filter(request)?;
    Answer::json(200, &json!({"count": request.kit.journal.count(&filter)}))
}

fn clear_requests(request: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, _) = filter(request)?;
    request.kit.journal.remove(&filter);
    Answer::empty(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalWait {
    #[serde(default, rename = "match")]
    filter: JournalFilter,
    #[serde(default = "default_count")]
    count: usize,
    timeout: Option<DurationMicros>,
}

fn default_count() -> usize {
    1
}

async fn wait_for_requests(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let JournalWait { filter, count, timeout } = read(&request.body)?;
    if count > MAX_PAGE {
        return Err(Error::invalid(Kind::Body, "count", "'count' must be at most 1000."));
    }
    let timeout = timeout.map_or(WAIT, DurationMicros::duration);
    if timeout > MAX_WAIT {
        return Err(Error::invalid(Kind::Body, "timeout", "'timeout' must be at most ten minutes: PT10M."));
    }
    let journal = &request.kit.journal;
    let arrived = journal.wait(&filter, count, timeout).await;
    let found = journal.find(&filter, MAX_PAGE);
    if arrived {
        return Answer::json(200, &found);
    }
    let message = format!("{} of {count} requests arrived in time.", found.value.len());
    let error = Some(json!({"code": "timeout", "message": message}));
    let near_misses = Some(journal.near_misses(&filter, MAX_NEAR_MISSES));
    Answer::json(StatusCode::REQUEST_TIMEOUT.as_u16(), &JournalPage { error, near_misses, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_a_row_for_each_call() {
        let page = include_str!("../../docs/testing.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(call, _)| call));
        let documented: Vec<_> = rows.filter(|call| call.contains(" /_contactd")).collect();
        let calls: Vec<_> = CALLS.iter().map(|call| format!("{} /_contactd{}", call.method, call.path)).collect();
        assert_eq!(documented, calls);
    }
}
