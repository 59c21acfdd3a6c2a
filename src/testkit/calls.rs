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
    /// The media types that the client takes.
    pub(crate) accept: String,
}

const fn call(method: &'static str, path: &'static str, handler: KitHandler) -> KitCall {
    KitCall { method, path, handler }
}

/// The calls.
pub(crate) const CALLS: &[KitCall] = &[
    call("GET", "/", |asking| Box::pin(status(asking))),
    call("POST", "/reset", |asking| Box::pin(states::reset(asking))),
    call("GET", "/snapshots", |asking| Box::pin(async move { states::all(&asking) })),
    call("PUT", "/snapshots/{name}", |asking| Box::pin(states::save(asking))),
    call("GET", "/snapshots/{name}", |asking| Box::pin(async move { states::one(&asking) })),
    call("DELETE", "/snapshots/{name}", |asking| Box::pin(async move { states::remove(&asking) })),
    call("GET", "/snapshots/{name}/$value", |asking| Box::pin(snapshot_files::download(asking))),
    call("PUT", "/snapshots/{name}/$value", |asking| Box::pin(snapshot_files::upload(asking))),
    call("POST", "/snapshots/{name}/restore", |asking| Box::pin(states::restore(asking))),
    call("POST", "/users/{name}/copy", |asking| Box::pin(states::copy(asking))),
    call("POST", "/seed", |asking| Box::pin(seeding::seed(asking))),
    call("GET", "/clock", |asking| Box::pin(async move { clock::get(&asking) })),
    call("PUT", "/clock", |asking| Box::pin(async move { clock::put(&asking) })),
    call("POST", "/clock/advance", |asking| Box::pin(clock::advance(asking))),
    call("POST", "/settle", |asking| Box::pin(clock::settle(asking))),
    call("GET", "/inboxes", |asking| Box::pin(async move { inboxes::list(&asking) })),
    call("POST", "/inboxes/{name}", |asking| Box::pin(async move { inboxes::make(&asking) })),
    call("GET", "/inboxes/{name}", |asking| Box::pin(async move { inboxes::get(&asking) })),
    call("DELETE", "/inboxes/{name}", |asking| Box::pin(async move { inboxes::empty(&asking) })),
    call("POST", "/inboxes/{name}/wait", |asking| Box::pin(inboxes::wait(asking))),
    call("POST", "/inboxes/{name}/notifications", |asking| Box::pin(inboxes::receive(asking))),
    call("POST", "/faults", |asking| Box::pin(async move { add_fault(&asking) })),
    call("GET", "/faults", |asking| Box::pin(async move { faults(&asking) })),
    call("DELETE", "/faults", |asking| Box::pin(async move { clear_faults(&asking) })),
    call("GET", "/faults/{id}", |asking| Box::pin(async move { fault(&asking) })),
    call("DELETE", "/faults/{id}", |asking| Box::pin(async move { remove_fault(&asking) })),
    call("GET", "/requests", |asking| Box::pin(async move { requests(&asking) })),
    call("GET", "/requests/count", |asking| Box::pin(async move { count_requests(&asking) })),
    call("DELETE", "/requests", |asking| Box::pin(async move { clear_requests(&asking) })),
    call("POST", "/requests/wait", |asking| Box::pin(wait_for_requests(asking))),
];

/// Default and maximum number of requests of a page.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// Default and maximum time of a wait.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
pub(crate) const MAX_WAIT: Duration = Duration::from_mins(10);
/// Maximum number of near misses in an answer.
const MISSES: usize = 10;

impl KitRequest<'_> {
    /// The users that the call is about; empty for all.
    fn users(&self) -> Vec<String> {
        self.options.get("user").cloned().into_iter().collect()
    }

    /// # Errors
    /// 400 for any other option.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Error> {
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

async fn status(asking: KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    let KitRequest { kit, api, .. } = asking;
    let (users, contacts) = api.unguarded.totals().await?;
    let (faults, requests) = (kit.faults().all().len(), kit.journal.len());
    let engine = api.unguarded.engine();
    let version = env!("CARGO_PKG_VERSION");
    Answer::json(
        200,
        &json!({
            "version": version, "engine": engine, "deterministic": crate::clock::seeded(), "clock": clock::shown(),
            "users": users, "contacts": contacts, "requests": requests, "faults": faults,
            "snapshots": kit.snapshots().keys().collect::<Vec<_>>()
        }),
    )
}

fn add_fault(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    let spec: FaultSpec = read(&asking.body)?;
    let made = asking.kit.faults().add(spec)?;
    Answer::json(201, &made)
}

fn faults(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    Answer::json(200, &json!({"value": asking.kit.faults().all()}))
}

fn clear_faults(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&["user"])?;
    asking.kit.faults().clear(&asking.users());
    Answer::empty(204)
}

fn fault(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    let fault = asking.kit.faults().one(asking.key)?;
    Answer::json(200, &fault)
}

fn remove_fault(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    asking.kit.faults().remove(asking.key)?;
    Answer::empty(204)
}

/// The filter in the options, and the maximum number of entries.
fn filter(asking: &KitRequest<'_>) -> Result<(JournalFilter, usize), Error> {
    let mut members = Map::new();
    let mut most = PAGE;
    for (name, value) in &asking.options {
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
                most = top;
            }
            "since" | "status" => drop(members.insert(name.clone(), number()?.into())),
            _ => drop(members.insert(name.clone(), Value::String(value.clone()))),
        }
    }
    asking.only(&["user", "method", "path", "route", "status", "since", "top"])?;
    let filter = serde_json::from_value(Value::Object(members));
    Ok((filter.map_err(|error| Error::invalid(Kind::Query, "status", error.to_string()))?, most))
}

fn requests(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, most) = filter(asking)?;
    let found = asking.kit.journal.find(&filter, most);
    if har::is_asked(&asking.accept) {
        let archive = har::archive(found.value.iter().map(Arc::as_ref), &asking.root);
        return Answer::json(200, &archive)?.header("Content-Type", har::MEDIA_TYPE);
    }
    Answer::json(200, &found)
}

fn count_requests(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, _) = filter(asking)?;
    Answer::json(200, &json!({"count": asking.kit.journal.count(&filter)}))
}

fn clear_requests(asking: &KitRequest<'_>) -> Result<Answer, Error> {
    let (filter, _) = filter(asking)?;
    asking.kit.journal.remove(&filter);
    Answer::empty(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalWait {
    #[serde(default, rename = "match")]
    filter: JournalFilter,
    #[serde(default = "one")]
    count: usize,
    timeout: Option<DurationMicros>,
}

fn one() -> usize {
    1
}

async fn wait_for_requests(asking: KitRequest<'_>) -> Result<Answer, Error> {
    asking.only(&[])?;
    let JournalWait { filter, count, timeout } = read(&asking.body)?;
    if count > MAX_PAGE {
        return Err(Error::invalid(Kind::Body, "count", "'count' must be at most 1000."));
    }
    let timeout = timeout.map_or(WAIT, DurationMicros::duration);
    if timeout > MAX_WAIT {
        return Err(Error::invalid(Kind::Body, "timeout", "'timeout' must be at most ten minutes: PT10M."));
    }
    let journal = &asking.kit.journal;
    let came = journal.wait(&filter, count, timeout).await;
    let found = journal.find(&filter, MAX_PAGE);
    if came {
        return Answer::json(200, &found);
    }
    let message = format!("{} of {count} requests arrived in time.", found.value.len());
    let error = Some(json!({"code": "timeout", "message": message}));
    let near_misses = Some(journal.near_misses(&filter, MISSES));
    Answer::json(StatusCode::REQUEST_TIMEOUT.as_u16(), &JournalPage { error, near_misses, ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_for_each_call() {
        let page = include_str!("../../docs/testing.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(call, _)| call));
        let documented: Vec<_> = rows.filter(|call| call.contains(" /_contactd")).collect();
        let calls: Vec<_> = CALLS.iter().map(|call| format!("{} /_contactd{}", call.method, call.path)).collect();
        assert_eq!(documented, calls);
    }
}
