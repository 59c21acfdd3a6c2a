//! Per-caller limits: requests per second, concurrent requests, bytes in memory, and unknown tokens. docs/graph.md,
//! "Throttling".
//!
//! A rejected request had no effect, so clients can repeat it after 429 or 503.
//!
//! Until its token is verified a request counts against its address, and then against its token and the total. So
//! clients without a valid token never use up what others need, elsewhere or at the same address, which a proxy may
//! share among many.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::error::{Error, Limit};
use crate::domain::secret::Digest;
use crate::http::answer::PIECE;
use crate::http::authenticate::Credential;
use crate::http::bounded_map::BoundedMap;
use crate::http::client::Client;

/// Limits per caller and in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second of one token, with bursts of ten times as many; 0: unlimited.
    pub rate: u32,
    /// The same for one address.
    pub rate_address: u32,
    /// Concurrent requests with a valid token, in total.
    pub requests: u32,
    /// Concurrent requests of one token; and of one address while their tokens are not verified.
    pub requests_each: u32,
    /// Bytes of bodies and answers in memory, in total.
    pub buffered: usize,
    /// Bytes of bodies and answers in memory, of one token.
    pub buffered_each: usize,
    /// Whether to trust the client address that a proxy names (`X-Forwarded-For`, `Forwarded`).
    pub forwarded: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate: 0,
            rate_address: 0,
            requests: 1_000,
            requests_each: 250,
            buffered: 256 << 20,
            buffered_each: 64 << 20,
            forwarded: false,
        }
    }
}

/// Seconds of unused requests that a caller may accumulate for a burst.
const BURST_SECONDS: u32 = 10;
/// Unknown tokens of one address: per second, and as a burst.
const GUESSES: u32 = 10;
const GUESSES_BURST: u32 = 1_000;
/// Maximum number of addresses, and of tokens, that are remembered.
const MAX_REMEMBERED: usize = 20_000;
/// Bytes of a request that are not counted: as many are in transit anyway, and a small request is always served.
const UNCOUNTED: usize = PIECE as usize;

/// A token bucket, as the time at which it will be full.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// The time at which the bucket will be full if one token is taken.
    ///
    /// # Errors
    /// How long until a token is available.
    fn after(self, now: Instant, rate: u32, burst: u32) -> Result<Instant, Duration> {
        let interval = Duration::from_secs(1) / rate.max(1);
        let full = self.0.map_or(now, |full| full.max(now)) + interval;
        let ahead = full.saturating_duration_since(now);
        ahead.checked_sub(interval * burst).filter(|wait| !wait.is_zero()).map_or(Ok(full), Err)
    }

    /// Takes a token. A rate of 0 is unlimited.
    fn take(&mut self, now: Instant, rate: u32) -> Result<(), Duration> {
        if rate > 0 {
            self.0 = Some(self.after(now, rate, rate.saturating_mul(BURST_SECONDS))?);
        }
        Ok(())
    }
}

/// Long requests of one token that run at once: batches, and bodies that are long or compressed. Others of the token
/// wait, so that other callers get their share.
const LONG_AT_ONCE: usize = 2;
/// Turns of one token: requests that run at once, for the same reason. They are many because writes share commits. A
/// read takes several turns, because it uses one of a few database connections.
const AT_ONCE: usize = 64;
const READ_TURNS: u32 = 4;
/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of an address.
#[derive(Debug, Clone, Copy, Default)]
struct AddressState {
    requests: Bucket,
    guesses: Bucket,
    /// Running requests whose token is not verified yet.
    unverified: u32,
}

fn is_unverified(address: &AddressState) -> bool {
    address.unverified > 0
}

/// The state of a token.
#[derive(Debug, Default)]
struct TokenState {
    requests: Bucket,
    running: u32,
    per_token: Arc<PerToken>,
}

/// Shared by all requests of one token.
#[derive(Debug)]
struct PerToken {
    buffered: AtomicUsize,
    turns: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Default for PerToken {
    fn default() -> Self {
        let turns = |max| Arc::new(Semaphore::new(max));
        Self { buffered: AtomicUsize::new(0), turns: turns(AT_ONCE), long: turns(LONG_AT_ONCE) }
    }
}

fn is_running(token: &TokenState) -> bool {
    token.running > 0
}

/// Admits requests within the limits.
pub(crate) struct Admission {
    limits: Limits,
    running: AtomicU32,
    buffered: AtomicUsize,
    addresses: Mutex<BoundedMap<Client, AddressState>>,
    /// Tokens that were valid.
    tokens: Mutex<BoundedMap<Digest, TokenState>>,
    /// Held while a token is looked up for an address that has sent too many unknown ones.
    pub(crate) guess_lookups: Semaphore,
}

/// How admission counts a request before its caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Any request.
    Request,
    /// A batch: its steps are counted instead.
    Batch,
    /// The health check, which is answered even when the server admits nothing else.
    Health,
}

/// An admitted request, until this is dropped.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    client: Option<Client>,
    /// The digest of the credential.
    digest: Option<Digest>,
    is_unverified: bool,
    /// The key by which the caller is counted, once known.
    token: Option<Digest>,
    is_running: bool,
    /// Bytes in memory, and how many of them were counted.
    bytes: Cell<usize>,
    counted: Cell<usize>,
    per_token: Option<Arc<PerToken>>,
    turn: Cell<Option<OwnedSemaphorePermit>>,
    long: Cell<Option<OwnedSemaphorePermit>>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: AtomicU32::new(0),
            buffered: AtomicUsize::new(0),
            addresses: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
            tokens: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
            guess_lookups: Semaphore::new(1),
        }
    }

    /// Admits a request.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<Client>,
        credential: Option<Credential<'_>>,
        class: RequestClass,
    ) -> Result<Permit, Error> {
        let mut permit = Permit {
            admission: Arc::clone(self),
            client,
            digest: credential.map(Credential::digest),
            is_unverified: false,
            token: None,
            is_running: false,
            bytes: Cell::default(),
            counted: Cell::default(),
            per_token: None,
            turn: Cell::default(),
            long: Cell::default(),
        };
        let Some(client) = client else { return Ok(permit) };
        let was_known = permit.was_known();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let address = addresses.entry(client, is_unverified);
        if class != RequestClass::Batch {
            let taken = address.requests.take(Instant::now(), self.limits.rate_address);
            taken.map_err(|wait| Error::Throttled(Limit::Address, wait))?;
        }
        if class != RequestClass::Health && !was_known {
            if address.unverified >= self.limits.requests_each {
                return Err(Error::Throttled(Limit::AtOnce, Duration::ZERO));
            }
            address.unverified += 1;
            permit.is_unverified = true;
        }
        drop(addresses);
        Ok(permit)
    }
}

impl Permit {
    /// Whether the token was valid before.
    fn was_known(&self) -> bool {
        let Some(digest) = &self.digest else { return false };
        let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get_mut(digest).is_some()
    }

    /// How long the address has to wait, if it has sent too many unknown tokens and this one was not valid before. The
    /// token is still looked up: it may be valid.
    pub(crate) fn guess_delay(&self, now: Instant) -> Option<Duration> {
        let guesses = {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.get_mut(&self.client?)?.guesses
        };
        let wait = guesses.after(now, GUESSES, GUESSES_BURST).err()?;
        (self.digest.is_some() && !self.was_known()).then_some(wait)
    }

    /// Records that the token of the request is unknown.
    pub(crate) fn record_unknown_token(&self, now: Instant) {
        let Some(digest) = &self.digest else { return };
        self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner).forget(digest);
        let Some(client) = self.client else { return };
        let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let guesses = &mut addresses.entry(client, is_unverified).guesses;
        if let Ok(full) = guesses.after(now, GUESSES, GUESSES_BURST) {
            guesses.0 = Some(full);
        }
    }

    /// Counts a request against its caller.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`]
    pub(crate) fn count_caller(&mut self, limit_key: Option<Digest>, class: RequestClass) -> Result<(), Error> {
        self.end_verification();
        let Some(digest) = self.digest else { return Ok(()) };
        let limit_key = limit_key.unwrap_or(digest);
        let admission = Arc::clone(&self.admission);
        let mut tokens = admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if limit_key != digest {
            tokens.entry(digest, is_running);
        }
        let token = tokens.entry(limit_key, is_running);
        if class != RequestClass::Batch {
            let counted = token.requests.take(Instant::now(), admission.limits.rate);
            counted.map_err(|wait| Error::Throttled(Limit::Token, wait))?;
        }
        if token.running >= admission.limits.requests_each {
            return Err(Error::Throttled(Limit::AtOnce, Duration::ZERO));
        }
        if admission.running.fetch_add(1, Ordering::Relaxed) >= admission.limits.requests {
            admission.running.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        token.running += 1;
        (self.token, self.is_running, self.per_token) = (Some(limit_key), true, Some(Arc::clone(&token.per_token)));
        Ok(())
    }

    /// Whether the caller is known.
    pub(crate) fn has_caller(&self) -> bool {
        self.per_token.is_some()
    }

    /// Counts a step of a batch like a request.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn count_step(&self) -> Result<(), Error> {
        let (now, limits) = (Instant::now(), &self.admission.limits);
        if let Some(client) = self.client.filter(|_| limits.rate_address > 0) {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = addresses.entry(client, is_unverified).requests.take(now, limits.rate_address);
            taken.map_err(|wait| Error::Throttled(Limit::Address, wait))?;
        }
        if let Some(token) = self.token.filter(|_| limits.rate > 0) {
            let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = tokens.entry(token, is_running).requests.take(now, limits.rate);
            taken.map_err(|wait| Error::Throttled(Limit::Token, wait))?;
        }
        Ok(())
    }

    /// The key by which the caller is counted, once known.
    pub(crate) fn limit_key(&self) -> Option<Digest> {
        self.token
    }

    /// Counts bytes that the request now holds in memory.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`]
    pub(crate) fn count_memory(&self, bytes: usize) -> Result<(), Error> {
        let added = self.uncounted(bytes);
        if let Some(per_token) = self.per_token.as_deref().filter(|_| added > 0) {
            let limits = &self.admission.limits;
            add_within(&per_token.buffered, added, limits.buffered_each)
                .map_err(|()| Error::Throttled(Limit::Buffered, Duration::ZERO))?;
            add_within(&self.admission.buffered, added, limits.buffered).map_err(|()| {
                per_token.buffered.fetch_sub(added, Ordering::Relaxed);
                Error::Busy
            })?;
            self.counted.set(self.counted.get() + added);
        }
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }

    /// The same for the answer of a write, which can no longer be refused.
    pub(crate) fn count_memory_of_write(&self, bytes: usize) {
        let added = self.uncounted(bytes);
        if let Some(per_token) = self.per_token.as_deref().filter(|_| added > 0) {
            per_token.buffered.fetch_add(added, Ordering::Relaxed);
            self.admission.buffered.fetch_add(added, Ordering::Relaxed);
            self.counted.set(self.counted.get() + added);
        }
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Bytes that must be counted in addition if the request holds `bytes` more.
    fn uncounted(&self, bytes: usize) -> usize {
        (self.bytes.get() + bytes).saturating_sub(UNCOUNTED + self.counted.get())
    }

    /// The request no longer holds anything in memory.
    pub(crate) fn release_memory(&self) {
        let counted = self.counted.replace(0);
        self.bytes.set(0);
        if let Some(per_token) = self.per_token.as_deref().filter(|_| counted > 0) {
            per_token.buffered.fetch_sub(counted, Ordering::Relaxed);
            self.admission.buffered.fetch_sub(counted, Ordering::Relaxed);
        }
    }

    /// Waits for a turn to run, which lasts until [`Permit::release_turns`].
    ///
    /// # Errors
    /// [`Error::Throttled`] if other requests of the token take too long.
    pub(crate) async fn acquire_turn(&self, reads: bool) -> Result<(), Error> {
        let Some(per_token) = self.per_token.as_deref() else { return Ok(()) };
        self.turn.set(Some(acquire_turns(&per_token.turns, if reads { READ_TURNS } else { 1 }).await?));
        Ok(())
    }

    /// The same for a long request, if it has no turn already.
    ///
    /// # Errors
    /// As [`Permit::acquire_turn`].
    pub(crate) async fn acquire_long_turn(&self) -> Result<(), Error> {
        let long = self.long.take();
        let Some(per_token) = self.per_token.as_deref().filter(|_| long.is_none()) else {
            self.long.set(long);
            return Ok(());
        };
        self.long.set(Some(acquire_turns(&per_token.long, 1).await?));
        Ok(())
    }

    /// Ends the turns of the request.
    pub(crate) fn release_turns(&self) {
        self.turn.take();
        self.long.take();
    }

    /// Ends the request for all limits but memory.
    pub(crate) fn finish(&mut self) {
        self.release_turns();
        self.end_verification();
        if std::mem::take(&mut self.is_running) {
            self.admission.running.fetch_sub(1, Ordering::Relaxed);
            if let Some(token) = &self.token {
                let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(token) = tokens.get_mut(token) {
                    token.running = token.running.saturating_sub(1);
                }
            }
        }
    }

    fn end_verification(&mut self) {
        if std::mem::take(&mut self.is_unverified)
            && let Some(client) = &self.client
        {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(address) = addresses.get_mut(client) {
                address.unverified = address.unverified.saturating_sub(1);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release_memory();
        self.finish();
    }
}

/// Waits for permits of a semaphore.
async fn acquire_turns(turns: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(turns).acquire_many_owned(count)).await;
    turn.map_err(|_| Error::Throttled(Limit::AtOnce, Duration::ZERO))?.map_err(Error::internal)
}

/// Adds to a number unless that exceeds `max`.
fn add_within(number: &AtomicUsize, added: usize, max: usize) -> Result<(), ()> {
    let add = |number: usize| number.checked_add(added).filter(|sum| *sum <= max);
    number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop).map_err(drop)
}

#[cfg(test)]
mod tests;
