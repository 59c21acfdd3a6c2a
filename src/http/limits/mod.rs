//! Per-caller limits: requests per second, concurrent requests, bytes in memory, and unknown tokens. docs/graph.md,
//! "Throttling".
//!
//! A rejected request had no effect, so clients can repeat it after 429 or 503.
//!
//! Until its token is verified a request counts against its address, and then against its token and the total. So clients
//! without a valid token never use up what others need, elsewhere or at the same address, which a proxy may share among
//! many.

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

/// Seconds of unused requests that a caller may save up.
const SAVED: u32 = 10;
/// Unknown tokens of one address: per second, and as a burst.
const GUESSES: u32 = 10;
const GUESSES_SAVED: u32 = 1_000;
/// Maximum number of addresses, and of tokens, that are remembered.
const MOST: usize = 20_000;
/// Bytes of a request that are not counted: as many are in transit anyway, and a small request is always served.
const UNCOUNTED: usize = PIECE as usize;

/// A token bucket, as the time at which it will be full.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// When it will be full if one is taken.
    ///
    /// # Errors
    /// How long until there is one.
    fn after(self, now: Instant, rate: u32, saved: u32) -> Result<Instant, Duration> {
        let each = Duration::from_secs(1) / rate.max(1);
        let full = self.0.map_or(now, |full| full.max(now)) + each;
        let ahead = full.saturating_duration_since(now);
        ahead.checked_sub(each * saved).filter(|wait| !wait.is_zero()).map_or(Ok(full), Err)
    }

    /// Takes one; a rate of 0 is unlimited.
    fn take(&mut self, now: Instant, rate: u32) -> Result<(), Duration> {
        if rate > 0 {
            self.0 = Some(self.after(now, rate, rate.saturating_mul(SAVED))?);
        }
        Ok(())
    }
}

/// Long requests of one token that run at once: batches, and bodies that are long or compressed. Others of the token wait,
/// so that other callers get their share.
const LONG_AT_ONCE: usize = 2;
/// Requests of one token that run at once, for the same reason. They are many because writes share commits. A read counts
/// for several, because it uses one of a few database connections.
const AT_ONCE: usize = 64;
const READ: u32 = 4;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of an address.
#[derive(Debug, Clone, Copy, Default)]
struct AddressState {
    requests: Bucket,
    guesses: Bucket,
    /// Running requests whose token is not verified yet.
    asking: u32,
}

fn is_asking(address: &AddressState) -> bool {
    address.asking > 0
}

/// The state of a token.
#[derive(Debug, Default)]
struct TokenState {
    requests: Bucket,
    running: u32,
    own: Arc<PerToken>,
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
        let turns = |most| Arc::new(Semaphore::new(most));
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
    pub(crate) suspects: Semaphore,
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
    shown: Option<Digest>,
    is_asking: bool,
    /// The key by which the caller is counted, once known.
    token: Option<Digest>,
    is_running: bool,
    /// Bytes in memory, and those of them that were counted.
    bytes: Cell<usize>,
    counted: Cell<usize>,
    own: Option<Arc<PerToken>>,
    turn: Cell<Option<OwnedSemaphorePermit>>,
    long: Cell<Option<OwnedSemaphorePermit>>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: AtomicU32::new(0),
            buffered: AtomicUsize::new(0),
            addresses: Mutex::new(BoundedMap::new(MOST)),
            tokens: Mutex::new(BoundedMap::new(MOST)),
            suspects: Semaphore::new(1),
        }
    }

    /// Admits a request.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: Option<Client>,
        credential: Option<Credential<'_>>,
        class: RequestClass,
    ) -> Result<Permit, Error> {
        let mut permit = Permit {
            admission: Arc::clone(self),
            client,
            shown: credential.map(Credential::digest),
            is_asking: false,
            token: None,
            is_running: false,
            bytes: Cell::default(),
            counted: Cell::default(),
            own: None,
            turn: Cell::default(),
            long: Cell::default(),
        };
        let Some(client) = client else { return Ok(permit) };
        let was_known = permit.was_known();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let address = addresses.entry(client, is_asking);
        if class != RequestClass::Batch {
            let taken = address.requests.take(Instant::now(), self.limits.rate_address);
            taken.map_err(|wait| Error::Throttled(Limit::Address, wait))?;
        }
        if class != RequestClass::Health && !was_known {
            if address.asking >= self.limits.requests_each {
                return Err(Error::Throttled(Limit::AtOnce, Duration::ZERO));
            }
            address.asking += 1;
            permit.is_asking = true;
        }
        drop(addresses);
        Ok(permit)
    }
}

impl Permit {
    /// Whether the token was valid before.
    fn was_known(&self) -> bool {
        let Some(shown) = &self.shown else { return false };
        let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.known(shown).is_some()
    }

    /// How long the address has to wait, if it has sent too many unknown tokens and this one was not valid before. The token
    /// is still looked up: it may be valid.
    pub(crate) fn suspected(&self, now: Instant) -> Option<Duration> {
        let guesses = {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.known(&self.client?)?.guesses
        };
        let wait = guesses.after(now, GUESSES, GUESSES_SAVED).err()?;
        (self.shown.is_some() && !self.was_known()).then_some(wait)
    }

    /// Records that the token of the request is unknown.
    pub(crate) fn is_unknown(&self, now: Instant) {
        let Some(shown) = &self.shown else { return };
        self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner).forget(shown);
        let Some(client) = self.client else { return };
        let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let guesses = &mut addresses.entry(client, is_asking).guesses;
        if let Ok(full) = guesses.after(now, GUESSES, GUESSES_SAVED) {
            guesses.0 = Some(full);
        }
    }

    /// Counts a request against its caller.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`]
    pub(crate) fn is_known(&mut self, counts_as: Option<Digest>, class: RequestClass) -> Result<(), Error> {
        self.ask_no_more();
        let Some(shown) = self.shown else { return Ok(()) };
        let counts_as = counts_as.unwrap_or(shown);
        let admission = Arc::clone(&self.admission);
        let mut tokens = admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if counts_as != shown {
            tokens.entry(shown, is_running);
        }
        let token = tokens.entry(counts_as, is_running);
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
        (self.token, self.is_running, self.own) = (Some(counts_as), true, Some(Arc::clone(&token.own)));
        Ok(())
    }

    /// Whether the caller is known.
    pub(crate) fn is_of_somebody(&self) -> bool {
        self.own.is_some()
    }

    /// Counts a step of a batch like a request.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn step(&self) -> Result<(), Error> {
        let (now, limits) = (Instant::now(), &self.admission.limits);
        if let Some(client) = self.client.filter(|_| limits.rate_address > 0) {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = addresses.entry(client, is_asking).requests.take(now, limits.rate_address);
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
    pub(crate) fn counts_as(&self) -> Option<Digest> {
        self.token
    }

    /// Counts bytes that the request now holds in memory.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`]
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), Error> {
        let more = self.uncounted(bytes);
        if let Some(own) = self.own.as_deref().filter(|_| more > 0) {
            let limits = &self.admission.limits;
            add_within(&own.buffered, more, limits.buffered_each)
                .map_err(|()| Error::Throttled(Limit::Buffered, Duration::ZERO))?;
            add_within(&self.admission.buffered, more, limits.buffered).map_err(|()| {
                own.buffered.fetch_sub(more, Ordering::Relaxed);
                Error::Busy
            })?;
            self.counted.set(self.counted.get() + more);
        }
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }

    /// The same for the answer of a write, which can no longer be refused.
    pub(crate) fn hold_anyway(&self, bytes: usize) {
        let more = self.uncounted(bytes);
        if let Some(own) = self.own.as_deref().filter(|_| more > 0) {
            own.buffered.fetch_add(more, Ordering::Relaxed);
            self.admission.buffered.fetch_add(more, Ordering::Relaxed);
            self.counted.set(self.counted.get() + more);
        }
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Bytes that are yet to be counted if so many more are in memory.
    fn uncounted(&self, bytes: usize) -> usize {
        (self.bytes.get() + bytes).saturating_sub(UNCOUNTED + self.counted.get())
    }

    /// The request holds nothing in memory any more.
    pub(crate) fn release(&self) {
        let counted = self.counted.replace(0);
        self.bytes.set(0);
        if let Some(own) = self.own.as_deref().filter(|_| counted > 0) {
            own.buffered.fetch_sub(counted, Ordering::Relaxed);
            self.admission.buffered.fetch_sub(counted, Ordering::Relaxed);
        }
    }

    /// Waits for a turn to run, which lasts until [`Permit::is_done`].
    ///
    /// # Errors
    /// [`Error::Throttled`] if other requests of the token take too long.
    pub(crate) async fn is_at_work(&self, reads: bool) -> Result<(), Error> {
        let Some(own) = self.own.as_deref() else { return Ok(()) };
        self.turn.set(Some(next(&own.turns, if reads { READ } else { 1 }).await?));
        Ok(())
    }

    /// The same for a long request, if it has no turn already.
    ///
    /// # Errors
    /// As [`Permit::is_at_work`].
    pub(crate) async fn is_long(&self) -> Result<(), Error> {
        let long = self.long.take();
        let Some(own) = self.own.as_deref().filter(|_| long.is_none()) else {
            self.long.set(long);
            return Ok(());
        };
        self.long.set(Some(next(&own.long, 1).await?));
        Ok(())
    }

    /// Ends the turns of the request.
    pub(crate) fn is_done(&self) {
        self.turn.take();
        self.long.take();
    }

    /// Ends the request for all limits but memory.
    pub(crate) fn leave(&mut self) {
        self.is_done();
        self.ask_no_more();
        if std::mem::take(&mut self.is_running) {
            self.admission.running.fetch_sub(1, Ordering::Relaxed);
            if let Some(token) = &self.token {
                let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(token) = tokens.known(token) {
                    token.running = token.running.saturating_sub(1);
                }
            }
        }
    }

    fn ask_no_more(&mut self) {
        if std::mem::take(&mut self.is_asking)
            && let Some(client) = &self.client
        {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(address) = addresses.known(client) {
                address.asking = address.asking.saturating_sub(1);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release();
        self.leave();
    }
}

/// Waits for permits of a semaphore.
async fn next(turns: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(turns).acquire_many_owned(count)).await;
    turn.map_err(|_| Error::Throttled(Limit::AtOnce, Duration::ZERO))?.map_err(Error::internal)
}

/// Adds to a number unless that exceeds `most`.
fn add_within(number: &AtomicUsize, more: usize, most: usize) -> Result<(), ()> {
    let add = |number: usize| number.checked_add(more).filter(|sum| *sum <= most);
    number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop).map_err(drop)
}

#[cfg(test)]
mod tests;
