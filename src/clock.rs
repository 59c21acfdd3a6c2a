//! The only source of time, ids and random numbers.
//!
//! Tests can stop the clock, and have ids made from a seed (docs/testing.md). A server for tests inside a process has a clock of its own.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::Utc;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// Means that the clock runs.
const RUNNING: i64 = i64::MIN;

/// A clock with its source of ids. The process has one, and so has each server for tests inside it.
pub(crate) struct Clock {
    /// The time of the stopped clock.
    stopped: AtomicI64,
    /// By how much the stopped clock advances after each write.
    tick: AtomicI64,
    /// Number of ids that were made while the clock was stopped.
    made: AtomicU64,
    /// The seed of ids, if they are not random.
    seed: OnceLock<Seed>,
}

static PROCESS: Clock = Clock::new();

thread_local! {
    static CURRENT: Cell<&'static Clock> = const { Cell::new(&PROCESS) };
}

impl Clock {
    const fn new() -> Self {
        Self {
            stopped: AtomicI64::new(RUNNING),
            tick: AtomicI64::new(0),
            made: AtomicU64::new(0),
            seed: OnceLock::new(),
        }
    }

    /// A further clock. Its memory, some hundred bytes, stays for as long as the process runs.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn another() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }

    /// The clock of this thread.
    pub(crate) fn current() -> &'static Self {
        CURRENT.get()
    }

    /// Gives this thread the clock. The threads of a server have that of the thread that starts it.
    pub(crate) fn enter(&'static self) {
        CURRENT.set(self);
    }
}

/// Work for another thread, which gets the clock of this one.
pub(crate) fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let clock = Clock::current();
    move || {
        clock.enter();
        work()
    }
}

struct Seed {
    number: u64,
    names: Mutex<IdNames>,
}

/// The number of ids of each owner, and the owners of mailboxes.
#[derive(Default)]
struct IdNames {
    counts: HashMap<String, u64>,
    owners: HashMap<i64, String>,
}

/// The number of ids of each owner.
pub(crate) type IdCounts = HashMap<String, u64>;

/// The mode of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    System,
    /// Stopped at a time, in UTC microseconds since 1970. It advances by `tick` after each write.
    Frozen {
        now: i64,
        tick: i64,
    },
}

/// The owner of a new id. If ids come from a seed, those of one owner do not depend on other owners.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IdOwner<'a> {
    /// No client sees it.
    Nobody,
    /// The owner of a mailbox.
    Mailbox(i64),
    /// A caller, by name.
    Caller(&'a str),
    /// A request with this credential.
    Request(&'a str),
}

/// UTC microseconds since 1970.
pub(crate) fn now() -> i64 {
    match Clock::current().stopped.load(Ordering::Acquire) {
        RUNNING => system_now(),
        stopped => stopped,
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> i64 {
    Utc::now().timestamp_micros()
}

/// The same for a write, after which a stopped clock may advance.
pub(crate) fn now_of_write() -> i64 {
    let clock = Clock::current();
    let tick = clock.tick.load(Ordering::Acquire);
    let moved = |stopped| (stopped != RUNNING && tick > 0).then_some(stopped + tick);
    match clock.stopped.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved) {
        Ok(before) => before,
        Err(_) => now(),
    }
}

/// The mode of the clock.
pub(crate) fn mode() -> Mode {
    let clock = Clock::current();
    match clock.stopped.load(Ordering::Acquire) {
        RUNNING => Mode::System,
        now => Mode::Frozen { now, tick: clock.tick.load(Ordering::Acquire) },
    }
}

/// Sets the clock.
pub(crate) fn set(mode: Mode) {
    let (stopped, tick) = match mode {
        Mode::System => (RUNNING, 0),
        Mode::Frozen { now, tick } => (now, tick),
    };
    let clock = Clock::current();
    clock.tick.store(tick, Ordering::Release);
    clock.stopped.store(stopped, Ordering::Release);
}

/// From now on ids are made from a seed.
pub(crate) fn seed(number: u64) {
    let _ = Clock::current().seed.set(Seed { number, names: Mutex::default() });
}

/// The seed.
pub(crate) fn seeded() -> Option<u64> {
    current_seed().map(|seed| seed.number)
}

fn current_seed() -> Option<&'static Seed> {
    Clock::current().seed.get()
}

/// Records the owner of a mailbox. The mailbox's number depends on the order of users and is not used for ids.
pub(crate) fn introduce(mailbox: i64, owner: &str) {
    if let Some(seed) = current_seed() {
        seed.names().owners.insert(mailbox, owner.to_ascii_lowercase());
    }
}

/// The number of ids of each owner.
pub(crate) fn counts() -> IdCounts {
    current_seed().map(|seed| seed.names().counts.clone()).unwrap_or_default()
}

/// Restores earlier counts, only of owners whose names satisfy a condition.
pub(crate) fn set_counts(counts: &IdCounts, includes: impl Fn(&str) -> bool) {
    let Some(seed) = current_seed() else { return };
    let mut names = seed.names();
    let is_included = |key: &str| key.split_once(' ').is_some_and(|(_, name)| includes(name));
    names.counts.retain(|key, _| !is_included(key));
    names.counts.extend(counts.iter().filter(|(key, _)| is_included(key)).map(|(key, count)| (key.clone(), *count)));
}

impl Seed {
    fn names(&self) -> MutexGuard<'_, IdNames> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bytes of an owner, and their number.
    fn next(&self, key: &str) -> (u64, [u8; 32]) {
        let mut names = self.names();
        let count = names.counts.entry(key.to_owned()).or_default();
        *count += 1;
        let text = format!("{} {key} {count}", self.number);
        (*count, Sha256::digest(text.as_bytes()).into())
    }
}

impl IdOwner<'_> {
    fn key(self, seed: &Seed) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Mailbox(mailbox) => {
                format!("mailbox {}", seed.names().owners.get(&mailbox).map_or("", String::as_str))
            }
            Self::Caller(name) => format!("caller {}", name.to_ascii_lowercase()),
            Self::Request(token) => format!("request {}", token.to_ascii_lowercase()),
        }
    }
}

/// A UUIDv7, greater than all others this process made, even within one millisecond. From a seed, it is greater than the others
/// of the same owner.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn new_id(owner: IdOwner<'_>) -> Uuid {
    let seed = current_seed();
    let Mode::Frozen { now, .. } = mode() else {
        return seed.map_or_else(Uuid::now_v7, |seed| from_seed(seed, system_now(), owner));
    };
    seed.map_or_else(
        || numbered(now, Clock::current().made.fetch_add(1, Ordering::Relaxed), *Uuid::new_v4().as_bytes()),
        |seed| from_seed(seed, now, owner),
    )
}

fn from_seed(seed: &Seed, now: i64, owner: IdOwner<'_>) -> Uuid {
    let (count, bytes) = seed.next(&owner.key(seed));
    let mut half = [0; 16];
    half.copy_from_slice(&bytes[..16]);
    numbered(now, count, half)
}

/// A UUIDv7 of a time in UTC microseconds, with a number in front of the remaining random bits.
fn numbered(now: i64, number: u64, random: [u8; 16]) -> Uuid {
    let bits = |shift: u32, mask: u64| u8::try_from((number >> shift) & mask).unwrap_or_default();
    // The builder overwrites the upper bits of the first byte and of the third, by the version and the variant.
    let mut bytes = [0; 10];
    bytes[..5].copy_from_slice(&[bits(30, 0xf), bits(22, 0xff), bits(16, 0x3f), bits(8, 0xff), bits(0, 0xff)]);
    bytes[5..].copy_from_slice(&random[..5]);
    Builder::from_unix_timestamp_millis(now.max(0).unsigned_abs() / 1_000, &bytes).into_uuid()
}

/// A period in microseconds.
pub(crate) fn micros(period: Duration) -> i64 {
    i64::try_from(period.as_micros()).unwrap_or(i64::MAX)
}

/// A time in UTC microseconds as the system's.
pub(crate) fn system_time(micros: i64) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_micros(micros.max(0).unsigned_abs())
}

/// The id of a part of a trace: random, and never 0.
pub(crate) fn new_span_id() -> u64 {
    // After its time an id is random, and has a bit that is always set.
    u64::try_from(new_id(IdOwner::Nobody).as_u128() & u128::from(u64::MAX)).unwrap_or(1)
}

/// The id of the database's history.
pub(crate) fn new_epoch() -> Uuid {
    new_id(IdOwner::Caller("epoch"))
}

/// 244 random bits, in hexadecimal.
pub(crate) fn new_secret() -> String {
    if let Some(seed) = current_seed() {
        let (_, bytes) = seed.next("secret");
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    }
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_another_thread_has_the_clock_of_its_server() {
        let frozen = Mode::Frozen { now: 5, tick: 0 };
        let server = move || {
            Clock::another().enter();
            set(frozen);
            let other = std::thread::spawn(mode).join().unwrap();
            (std::thread::spawn(inherited(mode)).join().unwrap(), other)
        };
        assert_eq!(std::thread::spawn(server).join().unwrap(), (frozen, Mode::System));
    }

    #[test]
    fn an_id_with_a_number_follows_those_before_it() {
        let at = 1_767_225_600_000_000;
        let ids: Vec<_> = [0, 1, 255, 256, 65_535, 65_536, 4_194_303, 4_194_304, 1 << 30, (1 << 34) - 1]
            .map(|number| numbered(at, number, [0xff; 16]))
            .into();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(ids[0].to_string(), "019b76da-a800-7000-8000-00ffffffffff");
        assert!(numbered(at + 1_000, 0, [0; 16]) > *ids.last().unwrap());
    }
}
