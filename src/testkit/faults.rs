//! Injected faults: the effect, the requests that it applies to, and how often.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize};

use crate::clock;
use crate::domain::error::{Error, Kind};
use crate::graph::error;
use crate::http::RequestIds;
use crate::http::answer::Answer;
use crate::http::inspect::{AppliedFault, Cut, InspectedRequest};
use crate::testkit::matching::RequestMatch;
use crate::testkit::span::DurationMicros;

/// Maximum number of faults.
const MAX_FAULTS: usize = 1_000;
/// Maximum number of answers in a sequence.
const MAX_ANSWERS: usize = 1_000;
/// Maximum delay.
const MAX_DELAY: Duration = Duration::from_mins(10);

/// A fault as requested.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FaultSpec {
    #[serde(default, rename = "match")]
    matches: RequestMatch,
    #[serde(default)]
    after: u64,
    /// Absent: once, or once for each answer. `null`: until it is deleted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    times: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<DurationMicros>,
    #[serde(default)]
    when: FaultTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<AnswerSpec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<DurationMicros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<ConnectionSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle: Option<Quota>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta_token: Option<DeltaTokenFault>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum FaultTime {
    #[default]
    Before,
    After,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnswerSpec {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<RetryAfter>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum RetryAfter {
    Seconds(u64),
    Date(String),
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum ConnectionSpec {
    Reset,
    Close,
    Stall,
    Truncate { bytes: usize },
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    requests: u64,
    per: DurationMicros,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum DeltaTokenFault {
    Expired,
}

/// A fault and its counters.
struct InjectedFault {
    id: String,
    spec: FaultSpec,
    /// Number of matches that passed.
    passed: u64,
    hits: u64,
    ends: Option<Instant>,
    /// The current window of its quota: its start, and the number of requests in it.
    window: (i64, u64),
}

/// A fault as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FaultJson {
    id: String,
    hits: u64,
    remaining: Option<u64>,
    #[serde(flatten)]
    spec: FaultSpec,
}

/// The faults, in the order of creation.
#[derive(Default)]
pub(crate) struct Faults {
    faults: Vec<InjectedFault>,
    last_id: u64,
}

impl FaultSpec {
    fn check(&self) -> Result<(), Error> {
        let refused = |target: &str, message: &str| Err(Error::invalid(Kind::Body, target, message));
        if self.answer.is_some() && self.answers.is_some() {
            return refused("answers", "A fault can have 'answer' or 'answers', not both.");
        }
        if self.answers.as_ref().is_some_and(|answers| !(1..=MAX_ANSWERS).contains(&answers.len())) {
            return refused("answers", "'answers' must be a list of 1 to 1000 responses.");
        }
        if self.delay.is_some_and(|delay| delay.duration() > MAX_DELAY) {
            return refused("delay", "A delay must be at most ten minutes: PT10M.");
        }
        if self.throttle.is_some_and(|quota| quota.per.0 < 1) {
            return refused("throttle/per", "A quota needs a duration, like PT10S.");
        }
        let effects = [
            self.answer.is_some() || self.answers.is_some() || self.connection.is_some() || self.delay.is_some(),
            self.throttle.is_some(),
            self.delta_token.is_some(),
        ];
        match effects.iter().filter(|effect| **effect).count() {
            0 => {
                return refused(
                    "",
                    "A fault needs an effect: 'answer', 'answers', 'delay', 'connection', 'throttle' or 'deltaToken'.",
                );
            }
            1 => {}
            _ => {
                return refused(
                    "",
                    "'throttle' and 'deltaToken' cannot be combined with other effects: they have their own responses.",
                );
            }
        }
        for (target, answer) in self
            .answers
            .iter()
            .flatten()
            .map(|answer| ("answers", answer))
            .chain(self.answer.iter().map(|answer| ("answer", answer)))
        {
            if !(200..=599).contains(&answer.status) {
                return refused(&format!("{target}/status"), "A status must be a number from 200 to 599.");
            }
            answer.headers()?;
        }
        self.matches.check("match")
    }

    /// Maximum number of requests that it applies to.
    fn max(&self) -> Option<u64> {
        match self.times {
            Some(times) => times,
            None if self.throttle.is_some() => None,
            None => Some(self.answers.as_ref().map_or(1, |answers| answers.len() as u64)),
        }
    }
}

impl AnswerSpec {
    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let refused = |name: &str| {
            Error::invalid(Kind::Body, format!("answer/headers/{name}"), format!("'{name}' is not a response header."))
        };
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let read = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value).ok());
            headers.push(read.ok_or_else(|| refused(name))?);
        }
        match &self.retry_after {
            Some(RetryAfter::Seconds(seconds)) => headers.push((header::RETRY_AFTER, (*seconds).into())),
            Some(RetryAfter::Date(date)) => {
                headers.push((header::RETRY_AFTER, HeaderValue::from_str(date).map_err(|_| refused("retryAfter"))?));
            }
            None => {}
        }
        Ok(headers)
    }

    fn answer(&self, inspected: &InspectedRequest<'_>) -> Option<Answer> {
        let status = StatusCode::from_u16(self.status).ok()?;
        let code = self.code.as_deref().unwrap_or_else(|| code_of(status));
        let message = self.message.as_deref().unwrap_or("A fault that a test asked for.");
        let mut answer =
            error::for_test(status, code, message, &RequestIds::of_request(inspected.request, inspected.headers));
        if status.is_success() {
            answer.body = None;
        }
        answer.headers.extend(self.headers().ok()?);
        Some(answer)
    }
}

/// Graph's code for a status.
fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "InvalidAuthenticationToken",
        403 => "ErrorAccessDenied",
        404 => "ErrorItemNotFound",
        409 => "ErrorFolderExists",
        410 => "SyncStateNotFound",
        412 => "ErrorIrresolvableConflict",
        429 => "ApplicationThrottled",
        500 => "generalException",
        503 => "serviceNotAvailable",
        504 => "gatewayTimeout",
        _ => "BadRequest",
    }
}

impl InjectedFault {
    fn to_json(&self) -> FaultJson {
        let remaining = self.spec.max().map(|max| max.saturating_sub(self.hits));
        FaultJson { id: self.id.clone(), hits: self.hits, remaining, spec: self.spec.clone() }
    }

    /// Applies the fault to a request that it matches. `None` if it does not apply.
    fn apply(&mut self, inspected: &InspectedRequest<'_>) -> Option<AppliedFault> {
        let is_delta = || inspected.url.to_ascii_lowercase().replace("%24", "$").contains("$deltatoken=");
        if self.spec.delta_token.is_some() && !is_delta() {
            return None;
        }
        if self.passed < self.spec.after {
            self.passed += 1;
            return None;
        }
        let answer = match (&self.spec.throttle, &self.spec.delta_token) {
            (Some(quota), _) => Some(throttled_answer(*quota, &mut self.window, inspected)?),
            (None, Some(_)) => Some(expired_token_answer(inspected)),
            (None, None) => {
                let next_answer = self.spec.answers.as_ref().map(|answers| {
                    let index = usize::try_from(self.hits).unwrap_or(usize::MAX) % answers.len().max(1);
                    &answers[index]
                });
                next_answer.or(self.spec.answer.as_ref()).and_then(|answer| answer.answer(inspected))
            }
        };
        self.hits += 1;
        let cut = self.spec.connection.filter(|_| inspected.step.is_none()).map(|connection| match connection {
            ConnectionSpec::Reset => Cut::Reset,
            ConnectionSpec::Close => Cut::Close,
            ConnectionSpec::Stall => Cut::Stall,
            ConnectionSpec::Truncate { bytes } => Cut::Truncate(bytes),
        });
        let is_after = self.spec.when == FaultTime::After;
        // A connection that fails before the work still needs an answer that can be lost.
        let answer = match answer {
            None if cut.is_some() && !is_after => {
                let no_answer =
                    AnswerSpec { status: 503, code: None, message: None, retry_after: None, headers: BTreeMap::new() };
                no_answer.answer(inspected)
            }
            answer => answer,
        };
        let delay = self.spec.delay.map_or(Duration::ZERO, DurationMicros::duration);
        Some(AppliedFault { fault: self.id.clone(), delay, is_after, answer, cut })
    }
}

/// The answer above a quota; `None` within it.
fn throttled_answer(quota: Quota, (begun, count): &mut (i64, u64), inspected: &InspectedRequest<'_>) -> Option<Answer> {
    let now = clock::now();
    if now.saturating_sub(*begun) >= quota.per.0 || now < *begun {
        (*begun, *count) = (now, 0);
    }
    *count += 1;
    if *count <= quota.requests {
        return None;
    }
    let wait = (*begun + quota.per.0 - now).max(1).unsigned_abs().div_ceil(1_000_000);
    let message = Some("Application is over the quota that a test set.".to_owned());
    let retry_after = Some(RetryAfter::Seconds(wait));
    AnswerSpec { status: 429, code: None, message, retry_after, headers: BTreeMap::new() }.answer(inspected)
}

/// The answer to an expired delta link.
fn expired_token_answer(inspected: &InspectedRequest<'_>) -> Answer {
    let path = inspected.url.split('?').next().unwrap_or_default();
    let ids = RequestIds::of_request(inspected.request, inspected.headers);
    let message = "The token is too old. Start over without a token: the Location header has the address.";
    let mut answer = error::for_test(StatusCode::GONE, "SyncStateNotFound", message, &ids);
    let start = HeaderValue::from_str(&format!("{}{path}", inspected.root));
    answer.headers.extend(start.map(|start| (header::LOCATION, start)));
    answer
}

impl Faults {
    /// Creates a fault.
    ///
    /// # Errors
    /// 400 that names the member.
    pub(crate) fn add(&mut self, spec: FaultSpec) -> Result<FaultJson, Error> {
        spec.check()?;
        self.drop_ended();
        if self.faults.len() >= MAX_FAULTS {
            return Err(Error::invalid(Kind::Limit, "", format!("At most {MAX_FAULTS} faults are allowed.")));
        }
        self.last_id += 1;
        let ends = spec.expires.and_then(|span| Instant::now().checked_add(span.duration()));
        let fault = InjectedFault { id: self.last_id.to_string(), spec, passed: 0, hits: 0, ends, window: (0, 0) };
        let json = fault.to_json();
        self.faults.push(fault);
        Ok(json)
    }

    /// The fault that applies to a request.
    pub(crate) fn fault_for(&mut self, inspected: &InspectedRequest<'_>) -> Option<AppliedFault> {
        self.drop_ended();
        let active = self.faults.iter_mut().filter(|fault| fault.spec.max().is_none_or(|max| fault.hits < max));
        let mut matching = active.filter(|fault| fault.spec.matches.matches(inspected));
        matching.find_map(|fault| fault.apply(inspected))
    }

    pub(crate) fn all(&mut self) -> Vec<FaultJson> {
        self.drop_ended();
        self.faults.iter().map(InjectedFault::to_json).collect()
    }

    /// # Errors
    /// [`Error::NotFound`]
    pub(crate) fn get(&mut self, id: &str) -> Result<FaultJson, Error> {
        self.drop_ended();
        self.faults.iter().find(|fault| fault.id == id).map(InjectedFault::to_json).ok_or(Error::NotFound)
    }

    /// # Errors
    /// [`Error::NotFound`]
    pub(crate) fn remove(&mut self, id: &str) -> Result<(), Error> {
        let index = self.faults.iter().position(|fault| fault.id == id).ok_or(Error::NotFound)?;
        self.faults.remove(index);
        Ok(())
    }

    /// Removes all faults, or only those of some users.
    pub(crate) fn clear(&mut self, users: &[String]) {
        self.faults.retain(|fault| !users.is_empty() && !fault.spec.matches.is_for_any(users));
    }

    /// Faults with a time limit end, so that a crashed test leaves none.
    fn drop_ended(&mut self) {
        let now = Instant::now();
        self.faults.retain(|fault| fault.ends.is_none_or(|ends| ends > now));
    }
}
