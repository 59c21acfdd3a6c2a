//! Calls that freeze and advance the clock, and complete the work that becomes due.

use std::time::{Duration, Instant};

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::{self, Mode};
use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::http::Api;
use crate::http::answer::Answer;
use crate::testkit::calls::KitRequest;
use crate::testkit::control::json as read;
use crate::testkit::span::DurationMicros;

/// The frozen time of a deterministic server: 2026-01-01T00:00:00Z.
pub(crate) const DETERMINISTIC: i64 = 1_767_225_600_000_000;
/// The latest time of a clock: the end of the year 9999.
const MAX_TIME: i64 = 253_402_300_799_999_999;
/// Default and maximum time for completing the work that is due.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_SETTLE_TIMEOUT: Duration = Duration::from_mins(10);
/// Pause between two checks.
const POLL: Duration = Duration::from_millis(10);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Setting {
    mode: ModeName,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<DurationMicros>,
}

#[derive(Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum ModeName {
    System,
    Frozen,
}

/// The clock as JSON.
pub(crate) fn to_json() -> Value {
    let now = date::print(clock::now());
    match clock::mode() {
        Mode::System => json!({"mode": "system", "now": now}),
        Mode::Frozen { tick, .. } => json!({"mode": "frozen", "now": now, "tick": DurationMicros(tick)}),
    }
}

/// `GET /clock`
pub(crate) fn get(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    Answer::json(200, &to_json())
}

fn refused(target: &str, message: &str) -> Error {
    Error::invalid(Kind::Body, target, message)
}

fn parse_time(text: &str, target: &str) -> Result<i64, Error> {
    let read = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_micros());
    let in_range = read.ok().filter(|micros| (0..=MAX_TIME).contains(micros));
    in_range.ok_or_else(|| refused(target, "Expected a time like 2026-01-01T00:00:00Z, from 1970 on."))
}

/// `PUT /clock`
pub(crate) fn put(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let Setting { mode, now, tick } = read(&request.body)?;
    if mode == ModeName::System {
        if now.is_some() || tick.is_some() {
            return Err(refused("mode", "'now' and 'tick' apply to a frozen clock only."));
        }
        if let Mode::Frozen { now, .. } = clock::mode() {
            clock::set(Mode::System);
            if clock::now() < now {
                clock::set(Mode::Frozen { now, tick: 0 });
                return Err(refused("mode", "The clock is in the future. Only reset and restore can set it back."));
            }
        }
        return Answer::json(200, &to_json());
    }
    let frozen_at = match clock::mode() {
        Mode::Frozen { now, .. } => Some(now),
        // The first freeze may set any time.
        Mode::System => None,
    };
    let now = now.map_or(Ok(clock::now()), |now| parse_time(&now, "now"))?;
    if frozen_at.is_some_and(|frozen_at| now < frozen_at) {
        return Err(refused("now", "Only reset and restore can set the clock back."));
    }
    clock::set(Mode::Frozen { now, tick: tick.map_or(0, |tick| tick.0) });
    Answer::json(200, &to_json())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by: Option<DurationMicros>,
    to: Option<String>,
}

/// `POST /clock/advance`: answers when everything that became due is done.
pub(crate) async fn advance(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let Advance { by, to } = read(&request.body)?;
    let Mode::Frozen { now, tick } = clock::mode() else {
        return Err(refused("", "Only a frozen clock can be advanced: PUT /_contactd/clock freezes it."));
    };
    let target_time = match (by, to) {
        (Some(by), None) => now.saturating_add(by.0),
        (None, Some(to)) => parse_time(&to, "to")?,
        _ => return Err(refused("", "Expected 'by', a duration like P31D, or 'to', a time.")),
    };
    if !(now..=MAX_TIME).contains(&target_time) {
        return Err(refused("to", "The clock can only be advanced, up to the year 9999."));
    }
    let store = &request.api.unguarded;
    let before = store.standing(now, target_time).await?;
    clock::set(Mode::Frozen { now: target_time, tick });
    store.purge_now().await;
    if !is_settled(request.api, SETTLE_TIMEOUT).await? {
        return Err(Error::unavailable("what became due was not done in time"));
    }
    let after = store.standing(now, target_time).await?;
    let done = json!({
        "purged": before.deleted.saturating_sub(after.deleted),
        "tokensExpired": before.expiring,
        "subscriptionsEnded": before.subscriptions.saturating_sub(after.subscriptions),
    });
    Answer::json(200, &json!({"now": date::print(clock::now()), "done": done}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    timeout: Option<DurationMicros>,
}

/// `POST /settle`: answers when nothing is pending.
pub(crate) async fn settle(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let Settle { timeout } = read(&request.body)?;
    let timeout = timeout.map_or(SETTLE_TIMEOUT, DurationMicros::duration);
    if timeout > MAX_SETTLE_TIMEOUT {
        return Err(refused("timeout", "'timeout' must be at most ten minutes: PT10M."));
    }
    request.api.unguarded.purge_now().await;
    if is_settled(request.api, timeout).await? {
        return Answer::empty(204);
    }
    let undelivered_count = request.api.unguarded.undelivered().await?;
    let error = json!({"code": "timeout", "message": format!("{undelivered_count} subscriptions have undelivered notifications.")});
    Answer::json(408, &json!({"error": error}))
}

/// Waits until no notification is due.
async fn is_settled(api: &Api, timeout: Duration) -> Result<bool, Error> {
    let begun = Instant::now();
    api.unguarded.wake();
    while api.settings.notifier.is_some() && api.unguarded.undelivered().await? > 0 {
        if begun.elapsed() > timeout {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(true)
}
