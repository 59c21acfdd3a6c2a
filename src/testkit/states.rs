//! Whole states of the store: reset, snapshots, and copies of mailboxes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::RwLockWriteGuard;

use crate::clock::{self, IdCounts, Mode};
use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::domain::user::UserName;
use crate::http::answer::Answer;
use crate::store::{KeptState, Store};
use crate::testkit::Kit;
use crate::testkit::calls::KitRequest;
use crate::testkit::control::json as read;
use crate::testkit::journal::JournalFilter;
use crate::testkit::matching::is_user;

/// Maximum number of snapshots.
const MAX_SNAPSHOTS: usize = 100;
/// The name of the state right after the start.
const BASELINE: &str = "baseline";
/// The name of the empty state.
const EMPTY: &str = "empty";
/// Time limit for requests in progress to end.
const DRAIN: Duration = Duration::from_secs(5);

/// A saved state.
pub(crate) struct SavedState {
    name: String,
    created: i64,
    /// The users in it; all if `None`.
    pub(super) users: Option<Vec<String>>,
    pub(super) kept: Arc<KeptState>,
    clock: Mode,
    counts: IdCounts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SavedStateJson<'a> {
    name: &'a str,
    created_date_time: String,
    users: Vec<String>,
    contacts: usize,
    bytes: usize,
}

impl SavedState {
    fn to_json(&self) -> SavedStateJson<'_> {
        let (contacts, bytes) = self.kept.size();
        let users = self.users.clone().unwrap_or_else(|| self.kept.names());
        SavedStateJson { name: &self.name, created_date_time: date::print(self.created), users, contacts, bytes }
    }
}

impl Kit {
    /// Waits until no request is in progress, and holds back new ones.
    ///
    /// # Errors
    /// [`Error::Busy`]
    async fn pause_requests(&self) -> Result<RwLockWriteGuard<'_, ()>, Error> {
        tokio::time::timeout(DRAIN, self.gate.write()).await.map_err(|_| Error::Busy)
    }

    pub(super) fn snapshot(&self, name: &str) -> Result<Arc<SavedState>, Error> {
        self.snapshots().get(name).cloned().ok_or(Error::NotFound)
    }
}

/// Saves the initial state.
///
/// # Errors
/// Those of the database.
pub(crate) async fn begin(kit: &Kit, store: &Store) -> Result<(), Error> {
    if store.totals().await?.0 == 0 {
        return Ok(());
    }
    match store.save_state().await {
        Ok(kept) => drop(kit.snapshots().insert(BASELINE.to_owned(), snapshot_of(BASELINE, None, kept))),
        Err(Error::Quota(why)) => {
            tracing::warn!(why, "the initial state cannot be saved, so a reset cannot return to it");
            kit.lacks_baseline.store(true, Ordering::Release);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    #[serde(default)]
    users: Vec<String>,
    to: Option<String>,
}

/// `POST /reset`
pub(crate) async fn reset(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    let Reset { users, to } = read(&request.body)?;
    let (kit, store) = (request.kit, &request.api.unguarded);
    let baseline = kit.snapshot(BASELINE).ok();
    let target = match to.as_deref() {
        None | Some(BASELINE) if kit.lacks_baseline.load(Ordering::Acquire) => {
            return Err(Error::Denied(
                "The initial state was too large to be saved. Reset to a snapshot, or to 'empty'.",
            ));
        }
        None | Some(BASELINE) => baseline.clone(),
        Some(EMPTY) => None,
        Some(name) => Some(kit.snapshot(name).map_err(|_| {
            Error::invalid(Kind::Body, "to", "'to' must be 'baseline', 'empty' or the name of a snapshot.")
        })?),
    };
    let _paused = kit.pause_requests().await?;
    let kept = target.as_ref().map(|snapshot| Arc::clone(&snapshot.kept));
    let counts = target.as_ref().map(|snapshot| snapshot.counts.clone()).unwrap_or_default();
    if users.is_empty() {
        store.restore_state(kept).await?;
        kit.faults().clear(&[]);
        kit.journal.remove(&JournalFilter::default());
        kit.inboxes.clear();
        clock::set(target.or(baseline).map_or_else(kit_clock, |snapshot| snapshot.clock));
        clock::set_counts(&counts, |_| true);
    } else {
        store.restore_users(users.clone(), kept).await?;
        kit.faults().clear(&users);
        for user in &users {
            kit.journal.remove(&JournalFilter { user: Some(user.clone()), ..JournalFilter::default() });
        }
        clock::set_counts(&counts, |name| users.iter().any(|user| is_user(user, name)));
    }
    Answer::empty(204)
}

/// The mode of the clock at the start.
fn kit_clock() -> Mode {
    clock::seeded().map_or(Mode::System, |_| Mode::Frozen { now: super::clock::DETERMINISTIC, tick: 0 })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    users: Option<Vec<String>>,
}

/// `PUT /snapshots/{name}`
pub(crate) async fn save(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    check_name(request.key)?;
    let Save { users } = read(&request.body)?;
    let paused = request.kit.pause_requests().await?;
    let snapshot = snapshot_of(request.key, users, request.api.unguarded.save_state().await?);
    drop(paused);
    insert(&request, &snapshot)
}

/// Checks that a snapshot can have a name.
///
/// # Errors
/// 400 with the names that are allowed.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !fits || name == BASELINE || name == EMPTY {
        let message = "A snapshot must have a name of 1 to 64 characters A-Z, a-z, 0-9, '.', '_' and '-', but not 'baseline' or 'empty'.";
        return Err(Error::invalid(Kind::Request, "name", message));
    }
    Ok(())
}

/// Stores a snapshot, and replaces one of this name.
///
/// # Errors
/// 400 if there are too many.
pub(super) fn insert(request: &KitRequest<'_>, snapshot: &Arc<SavedState>) -> Result<Answer, Error> {
    let mut snapshots = request.kit.snapshots();
    if snapshots.len() >= MAX_SNAPSHOTS && !snapshots.contains_key(request.key) {
        return Err(Error::invalid(Kind::Limit, "", format!("At most {MAX_SNAPSHOTS} snapshots are allowed.")));
    }
    let replaced = snapshots.insert(request.key.to_owned(), Arc::clone(snapshot)).is_some();
    Answer::json(if replaced { 200 } else { 201 }, &snapshot.to_json())
}

/// A state with the current clock and ids.
pub(super) fn snapshot_of(name: &str, users: Option<Vec<String>>, kept: KeptState) -> Arc<SavedState> {
    let (clock, counts) = (clock::mode(), clock::counts());
    Arc::new(SavedState { name: name.to_owned(), created: clock::now(), users, kept: Arc::new(kept), clock, counts })
}

/// `GET /snapshots`
pub(crate) fn list(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    let snapshots: Vec<_> = request.kit.snapshots().values().cloned().collect();
    let shown: Vec<_> = snapshots.iter().map(|snapshot| snapshot.to_json()).collect();
    Answer::json(200, &json!({"value": shown}))
}

/// `GET /snapshots/{name}`
pub(crate) fn get(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    Answer::json(200, &request.kit.snapshot(request.key)?.to_json())
}

/// `DELETE /snapshots/{name}`
pub(crate) fn remove(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    if request.key == BASELINE {
        return Err(Error::Denied("The baseline is the server's own."));
    }
    request.kit.snapshots().remove(request.key).ok_or(Error::NotFound)?;
    Answer::empty(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    users: Option<Vec<String>>,
    clock: Option<KeepClock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum KeepClock {
    Keep,
}

/// `POST /snapshots/{name}/restore`
pub(crate) async fn restore(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    let RestoreBody { users, clock } = read(&request.body)?;
    let (kit, store) = (request.kit, &request.api.unguarded);
    let snapshot = kit.snapshot(request.key)?;
    let _paused = kit.pause_requests().await?;
    let kept = Some(Arc::clone(&snapshot.kept));
    if let Some(users) = users.or_else(|| snapshot.users.clone()) {
        store.restore_users(users.clone(), kept).await?;
        clock::set_counts(&snapshot.counts, |name| users.iter().any(|user| is_user(user, name)));
    } else {
        store.restore_state(kept).await?;
        clock::set_counts(&snapshot.counts, |_| true);
    }
    if clock.is_none() {
        clock::set(snapshot.clock);
    }
    Answer::empty(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CopyBody {
    from: String,
    #[serde(default)]
    replace: bool,
}

/// `POST /users/{name}/copy`
pub(crate) async fn copy(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.only(&[])?;
    let CopyBody { from, replace } = read(&request.body)?;
    let store = &request.api.unguarded;
    let name = |text: &str, target: &str| {
        UserName::parse(text)
            .ok_or_else(|| Error::invalid(Kind::Body, target, format!("'{target}' must be the name of a user.")))
    };
    let (from_name, to_name) = (name(&from, "from")?, name(request.key, "name")?);
    let from = store.find_user(&from_name).await?.ok_or_else(|| Error::UnknownUser(from.clone()))?;
    let _paused = request.kit.pause_requests().await?;
    let to = store.user(&to_name).await?;
    if to.mailbox == from.mailbox {
        return Err(Error::invalid(Kind::Body, "from", "A mailbox cannot be copied to itself."));
    }
    if !replace && store.has_contacts(to.mailbox).await? {
        return Err(Error::FolderExists);
    }
    let (contacts, folders) = store.copy_mailbox(from.mailbox, to.mailbox).await?;
    Answer::json(201, &json!({"user": to.id, "contacts": contacts, "folders": folders}))
}
