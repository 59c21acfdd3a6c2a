//! Whole states of the store: reset, snapshots, and copies of mailboxes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::RwLockWriteGuard;
use tokio::task::JoinHandle;

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
/// Why a reset cannot return to the initial state.
const TOO_LARGE: &str = "The initial state was too large to be saved. Reset to a snapshot, or to 'empty'.";
const UNREADABLE: &str = "The initial state could not be read. Reset to a snapshot, or to 'empty'.";
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

    fn bytes(&self) -> u64 {
        self.kept.size().1 as u64
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

    /// A snapshot. The initial state is waited for.
    pub(super) async fn snapshot(&self, name: &str) -> Result<Arc<SavedState>, Error> {
        if name == BASELINE {
            self.finish_initial().await;
        }
        self.snapshots().get(name).cloned().ok_or(Error::NotFound)
    }

    /// Waits until the initial state is read, and saves it.
    async fn finish_initial(&self) {
        let mut initial = self.initial.lock().await;
        let Some(reading) = initial.as_mut() else { return };
        // If this future is dropped meanwhile, another call waits for the state.
        let kept = (&mut reading.kept).await.unwrap_or_else(|error| Err(Error::internal(error)));
        let Some(InitialState { clock, counts, created, .. }) = initial.take() else { return };
        match kept {
            Ok(kept) => {
                let (name, kept) = (BASELINE.to_owned(), Arc::new(kept));
                let state = SavedState { name: name.clone(), created, users: None, kept, clock, counts };
                self.snapshots().insert(name, Arc::new(state));
            }
            Err(Error::Quota(_)) => self.lacks_initial(TOO_LARGE),
            Err(_) => self.lacks_initial(UNREADABLE),
        }
    }

    fn lacks_initial(&self, why: &'static str) {
        self.lacks_baseline.get_or_init(|| why);
    }

    /// The names of the snapshots, with that of the initial state while it is read.
    pub(super) fn names(&self) -> Vec<String> {
        let is_read = self.initial.try_lock().is_ok_and(|initial| initial.is_none());
        let mut names: Vec<_> = self.snapshots().keys().cloned().collect();
        if !is_read && !names.iter().any(|name| name == BASELINE) {
            names.push(BASELINE.to_owned());
            names.sort();
        }
        names
    }
}

/// The initial state while its rows are read.
pub(crate) struct InitialState {
    clock: Mode,
    counts: IdCounts,
    created: i64,
    kept: JoinHandle<Result<KeptState, Error>>,
}

/// Starts to save the current state as the initial one. The server does not wait until it is read.
///
/// # Errors
/// Those of the database.
pub(crate) async fn begin(kit: &Kit, store: &Store) -> Result<(), Error> {
    if store.totals().await?.0 == 0 {
        return Ok(());
    }
    let reading: BoxFuture<'static, Result<KeptState, Error>> = match store.save_state_later().await {
        Ok(reading) => reading,
        Err(error @ Error::Quota(_)) => Box::pin(std::future::ready(Err(error))),
        Err(error) => return Err(error),
    };
    let reading = async move {
        let kept = reading.await;
        if let Err(why) = &kept {
            tracing::warn!(%why, "the initial state cannot be saved, so a reset cannot return to it");
        }
        kept
    };
    let (clock, counts, created) = (clock::mode(), clock::counts(), clock::now());
    *kit.initial.lock().await = Some(InitialState { clock, counts, created, kept: tokio::spawn(reading) });
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
    request.allow_options(&[])?;
    let Reset { users, to } = read(&request.body)?;
    let (kit, store) = (request.kit, &request.api.unguarded);
    let baseline = kit.snapshot(BASELINE).await.ok();
    let target = match to.as_deref() {
        None | Some(BASELINE) => match kit.lacks_baseline.get() {
            Some(why) => return Err(Error::Denied(why)),
            None => baseline.clone(),
        },
        Some(EMPTY) => None,
        Some(name) => Some(kit.snapshot(name).await.map_err(|_| {
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
        clock::set(target.or(baseline).map_or_else(initial_clock_mode, |snapshot| snapshot.clock));
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
fn initial_clock_mode() -> Mode {
    clock::seeded().map_or(Mode::System, |_| Mode::Frozen { now: super::clock::DETERMINISTIC, tick: 0 })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    users: Option<Vec<String>>,
}

/// `PUT /snapshots/{name}`
pub(crate) async fn save(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
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
    let is_valid =
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !is_valid || name == BASELINE || name == EMPTY {
        let message = "A snapshot must have a name of 1 to 64 characters A-Z, a-z, 0-9, '.', '_' and '-', but not 'baseline' or 'empty'.";
        return Err(Error::invalid(Kind::Request, "name", message));
    }
    Ok(())
}

/// Stores a snapshot, and replaces one of this name.
///
/// # Errors
/// 400 if there are too many, or they are too large together.
pub(super) fn insert(request: &KitRequest<'_>, snapshot: &Arc<SavedState>) -> Result<Answer, Error> {
    let mut snapshots = request.kit.snapshots();
    if snapshots.len() >= MAX_SNAPSHOTS && !snapshots.contains_key(request.key) {
        return Err(Error::invalid(Kind::Limit, "", format!("At most {MAX_SNAPSHOTS} snapshots are allowed.")));
    }
    let others = snapshots.iter().filter(|(name, _)| *name != request.key && *name != BASELINE);
    let (size, others) = (snapshot.bytes(), others.map(|(_, other)| other.bytes()).sum::<u64>());
    let max_bytes = request.api.settings.max_snapshots;
    if size.saturating_add(others) > max_bytes {
        let message = format!(
            "At most {max_bytes} bytes are allowed for all snapshots together (--max-snapshot-bytes). This one has {size}, and the \
             others have {others}. Delete some, or raise the limit."
        );
        return Err(Error::invalid(Kind::Limit, "", message));
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
pub(crate) async fn list(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    request.kit.finish_initial().await;
    let snapshots: Vec<_> = request.kit.snapshots().values().cloned().collect();
    let shown: Vec<_> = snapshots.iter().map(|snapshot| snapshot.to_json()).collect();
    Answer::json(200, &json!({"value": shown}))
}

/// `GET /snapshots/{name}`
pub(crate) async fn get(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    Answer::json(200, &request.kit.snapshot(request.key).await?.to_json())
}

/// `DELETE /snapshots/{name}`
pub(crate) fn remove(request: &KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
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
    request.allow_options(&[])?;
    let RestoreBody { users, clock } = read(&request.body)?;
    let (kit, store) = (request.kit, &request.api.unguarded);
    let snapshot = kit.snapshot(request.key).await?;
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
    request.allow_options(&[])?;
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
