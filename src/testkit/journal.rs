//! The request journal: requests and their answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock;
use crate::domain::date;
use crate::domain::secret;
use crate::http::answer::{Answer, Body};
use crate::http::inspect::InspectedRequest;
use crate::metrics::kinds;
use crate::testkit::matching::{is_path, is_user};

/// Maximum number of entries, and of their bytes.
const MAX_ENTRIES: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;
/// Maximum size of a body in the journal.
const MAX_BODY: usize = 64 << 10;
/// Approximate size of an entry without its texts.
const ENTRY_OVERHEAD: usize = 512;

/// A request and its answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JournalEntry {
    pub(crate) number: u64,
    pub(crate) time: String,
    pub(crate) duration_micros: u64,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) route: String,
    pub(crate) user: Option<String>,
    token: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Box<RawValue>>,
    pub(crate) status: u16,
    pub(crate) answer_headers: BTreeMap<String, String>,
    pub(crate) answer: Option<Box<RawValue>>,
    fault: Option<String>,
    batch: Option<StepBatch>,
}

/// The batch of a step.
#[derive(Debug, Serialize)]
struct StepBatch {
    number: u64,
    id: String,
}

/// A filter for entries. All given criteria must match.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JournalFilter {
    pub(crate) user: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
    /// The lowest number.
    #[serde(default)]
    pub(crate) since: u64,
}

/// A request that matches all criteria except one.
#[derive(Debug, Serialize)]
pub(crate) struct NearMiss {
    /// The criterion.
    differs: String,
    expected: String,
    found: Option<String>,
    #[serde(serialize_with = "serialize_entry")]
    request: Arc<JournalEntry>,
}

fn serialize_entry<S: Serializer>(entry: &Arc<JournalEntry>, serializer: S) -> Result<S::Ok, S::Error> {
    entry.as_ref().serialize(serializer)
}

/// Found entries. They are not converted to JSON values, which would sort the members of bodies.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JournalPage {
    #[serde(serialize_with = "serialize_entries")]
    pub(crate) value: Vec<Arc<JournalEntry>>,
    /// The number after the last entry that was examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) near_misses: Option<Vec<NearMiss>>,
}

fn serialize_entries<S: Serializer>(entries: &[Arc<JournalEntry>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter().map(Arc::as_ref))
}

/// The journal. Cheap to share.
#[derive(Default)]
pub(crate) struct Journal {
    kept: Mutex<JournalEntries>,
    recorded: Notify,
}

#[derive(Default)]
struct JournalEntries {
    entries: VecDeque<(usize, Arc<JournalEntry>)>,
    bytes: usize,
    last: u64,
    /// Steps of unfinished batches.
    steps: HashMap<Uuid, BTreeMap<usize, JournalEntry>>,
}

impl JournalEntries {
    fn add(&mut self, mut entry: JournalEntry, batch: Option<u64>) -> u64 {
        self.last += 1;
        entry.number = self.last;
        if let (Some(batch), Some(number)) = (&mut entry.batch, batch) {
            batch.number = number;
        }
        let size = entry.size();
        self.bytes += size;
        self.entries.push_back((size, Arc::new(entry)));
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some((size, _)) = self.entries.pop_front() else { break };
            self.bytes -= size;
        }
        self.last
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, JournalEntries> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and its steps. A step waits for its batch.
    pub(crate) fn record(
        &self,
        inspected: &InspectedRequest<'_>,
        took: Duration,
        answer: &Answer,
        fault: Option<&str>,
    ) {
        let entry = JournalEntry::of(inspected, took, answer, fault);
        let mut kept = self.lock();
        if let Some((place, _)) = inspected.step {
            kept.steps.entry(inspected.request).or_default().insert(place, entry);
            return;
        }
        let steps = kept.steps.remove(&inspected.request).unwrap_or_default();
        let number = kept.add(entry, None);
        for step in steps.into_values() {
            kept.add(step, Some(number));
        }
        drop(kept);
        self.recorded.notify_waiters();
    }

    /// Drops the steps of a request that has ended without being recorded.
    pub(crate) fn forget(&self, request: Uuid) {
        self.lock().steps.remove(&request);
    }

    /// The first matching entries.
    pub(crate) fn find(&self, filter: &JournalFilter, max: usize) -> JournalPage {
        let kept = self.lock();
        let entries = kept.entries.iter().map(|(_, entry)| entry);
        let mut found: Vec<_> = entries.filter(|entry| filter.matches(entry)).take(max + 1).cloned().collect();
        let next = if found.len() > max { found[max].number } else { kept.last + 1 };
        found.truncate(max);
        JournalPage { value: found, next: Some(next), ..JournalPage::default() }
    }

    /// The number of matching entries.
    pub(crate) fn count(&self, filter: &JournalFilter) -> usize {
        self.lock().entries.iter().filter(|(_, entry)| filter.matches(entry)).count()
    }

    /// Removes the matching entries. Numbers continue.
    pub(crate) fn remove(&self, filter: &JournalFilter) {
        let mut kept = self.lock();
        kept.entries.retain(|(_, entry)| !filter.matches(entry));
        kept.bytes = kept.entries.iter().map(|(size, _)| size).sum();
    }

    /// Waits until there are `count` matching entries. Returns whether there are.
    pub(crate) async fn wait(&self, filter: &JournalFilter, count: usize, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        loop {
            // Registered before the check, so that an entry in between is not missed.
            let mut recorded = std::pin::pin!(self.recorded.notified());
            recorded.as_mut().enable();
            if self.count(filter) >= count {
                return true;
            }
            if tokio::time::timeout_at(end.into(), recorded).await.is_err() {
                return self.count(filter) >= count;
            }
        }
    }

    /// The last entries that match all criteria except one.
    pub(crate) fn near_misses(&self, filter: &JournalFilter, max: usize) -> Vec<NearMiss> {
        let kept = self.lock();
        let misses =
            kept.entries.iter().rev().filter(|(_, entry)| entry.number >= filter.since).filter_map(|(_, entry)| {
                let mut differences = filter.differences(entry).into_iter();
                let (differs, expected, found) = differences.next()?;
                let is_near = differences.next().is_none();
                is_near.then(|| NearMiss { differs, expected, found, request: Arc::clone(entry) })
            });
        misses.take(max).collect()
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }
}

impl JournalFilter {
    fn matches(&self, entry: &JournalEntry) -> bool {
        entry.number >= self.since && self.differences(entry).is_empty()
    }

    /// The criteria that an entry does not match: name, expected value, actual value.
    fn differences(&self, entry: &JournalEntry) -> Vec<(String, String, Option<String>)> {
        let mut differences = Vec::new();
        let mut check =
            |name: &str, expected: Option<&str>, found: Option<&str>, matches: &dyn Fn(&str, &str) -> bool| {
                let Some(expected) = expected else { return };
                if !found.is_some_and(|found| matches(expected, found)) {
                    differences.push((name.to_owned(), expected.to_owned(), found.map(str::to_owned)));
                }
            };
        let equals = |expected: &str, found: &str| expected == found;
        check("user", self.user.as_deref(), entry.user.as_deref(), &is_user);
        check("method", self.method.as_deref(), Some(&entry.method), &|expected, found| {
            expected.eq_ignore_ascii_case(found)
        });
        check("path", self.path.as_deref(), Some(&entry.path), &is_path);
        check("route", self.route.as_deref(), Some(&entry.route), &equals);
        let status = self.status.map(|status| status.to_string());
        check("status", status.as_deref(), Some(&entry.status.to_string()), &equals);
        for (name, value) in &self.header {
            let found = entry.headers.get(&name.to_ascii_lowercase()).map(String::as_str);
            check(&format!("header/{name}"), Some(value), found, &equals);
        }
        differences
    }
}

impl JournalEntry {
    fn of(inspected: &InspectedRequest<'_>, took: Duration, answer: &Answer, fault: Option<&str>) -> Self {
        // A token may be a secret even if every token is accepted, so only its name is shown.
        let headers = inspected.headers.iter().filter(|(name, _)| *name != "authorization");
        Self {
            number: 0,
            time: date::print(clock::now()),
            duration_micros: kinds::micros(took),
            method: inspected.method.to_owned(),
            url: inspected.url.to_owned(),
            path: inspected.subject.path.clone(),
            route: inspected.route.to_owned(),
            user: inspected.subject.user.clone(),
            token: inspected.token.map(str::to_owned),
            headers: header_values(headers),
            body: body_json(inspected.body, MAX_BODY),
            status: answer.status.as_u16(),
            answer_headers: header_values(answer.headers.iter().map(|(name, value)| (name, value))),
            answer: match &answer.body {
                None => None,
                Some(Body::Bytes(bytes)) => body_json(bytes, MAX_BODY),
                Some(Body::Static(bytes)) => body_json(bytes, MAX_BODY),
                Some(Body::Chunks(size, _)) => raw(&serde_json::json!({"bytes": size})),
                Some(Body::Stream(_)) => raw(&serde_json::json!({"streamed": true})),
            },
            fault: fault.map(str::to_owned),
            batch: inspected.step.map(|(_, id)| StepBatch { number: 0, id: id.to_owned() }),
        }
    }

    fn size(&self) -> usize {
        let bodies = self.body.iter().chain(&self.answer).map(|body| body.get().len());
        let headers = self.headers.iter().chain(&self.answer_headers).map(|(name, value)| name.len() + value.len());
        ENTRY_OVERHEAD + self.url.len() + self.path.len() + bodies.chain(headers).sum::<usize>()
    }
}

fn header_values<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> BTreeMap<String, String> {
    let mut header_values: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        // Repeated lines of a header are one list (RFC 9110, section 5.3).
        header_values
            .entry(name.as_str().to_owned())
            .and_modify(|list| list.extend([", ", &value]))
            .or_insert_with(|| value.to_string());
    }
    header_values
}

/// A body for the journal: JSON of up to `max` bytes as it is; anything else, and a longer body, as its length and
/// digest.
pub(crate) fn body_json(body: &[u8], max: usize) -> Option<Box<RawValue>> {
    if body.is_empty() {
        return None;
    }
    if body.len() <= max
        && let Ok(json) = serde_json::from_slice::<Box<RawValue>>(body)
    {
        return Some(json);
    }
    raw(&serde_json::json!({"bytes": body.len(), "sha256": secret::hex(&Sha256::digest(body))}))
}

fn raw(value: &serde_json::Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_string()).ok()
}
