//! What is taken of one caller: requests a second and at once, bytes in memory, and tokens that are not known.
//! docs/graph.md, "Throttling".
//!
//! Whoever is refused here has had nothing done: clients repeat what is answered 429 or 503.
//!
//! Until the token of a request is known it counts against its address, and then against its token and against all that
//! are under way. So strangers never hold what those who are known need: neither those elsewhere nor those at the same
//! address, of whom a proxy may have many.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::error::{Error, Limit};
use crate::domain::secret::Digest;
use crate::http::authenticate::Credential;
use crate::http::bounded_map::BoundedMap;
use crate::http::client::Client;
use crate::http::paced::PIECE;

/// What is taken of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of one token, and ten times as many at once; 0 is as many as come.
    pub rate: u32,
    /// The same of one address.
    pub rate_address: u32,
    /// Requests under way at once, of those whose token is known.
    pub requests: u32,
    /// Those of one token; and those of one address whose tokens are not known yet.
    pub requests_each: u32,
    /// Bytes of bodies and answers that are held in memory at once.
    pub buffered: usize,
    /// Those of one token.
    pub buffered_each: usize,
    /// Limits of one app on one mailbox, which a front end applies besides where its protocol has such.
    pub mailbox: Option<MailboxLimits>,
    /// Whether the proxy that connects says whose address it is (`X-Forwarded-For`, `Forwarded`).
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
            mailbox: None,
            forwarded: false,
        }
    }
}

/// Limits of one app on one mailbox, in fixed windows that begin with a first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Requests of one app to one mailbox in a window.
    pub requests: u64,
    /// Length of that window.
    pub window: Duration,
    /// Concurrent requests of one app to one mailbox.
    pub at_once: u32,
    /// Bytes that one app sends to one mailbox in a window.
    pub upload: u64,
    /// Length of that window.
    pub upload_window: Duration,
    /// Requests of one app in a second.
    pub app_requests: u64,
}

/// For how many seconds a caller may save up requests.
const SAVED: u32 = 10;
/// Tokens of one address that are not known: so many a second, and so many at once.
const GUESSES: u32 = 10;
const GUESSES_SAVED: u32 = 1_000;
/// Most addresses, and most tokens, that are remembered.
const MOST: usize = 20_000;
/// So many bytes of a request are not counted: as many are on their way anyway, and what is small is always served.
const UNCOUNTED: usize = PIECE as usize;

/// Requests that are saved up, as the time at which there would be as many as there may be.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// When it would be full after one was taken.
    ///
    /// # Errors
    /// How long until there is one.
    fn after(self, now: Instant, rate: u32, saved: u32) -> Result<Instant, Duration> {
        let each = Duration::from_secs(1) / rate.max(1);
        let full = self.0.map_or(now, |full| full.max(now)) + each;
        let ahead = full.saturating_duration_since(now);
        ahead.checked_sub(each * saved).filter(|wait| !wait.is_zero()).map_or(Ok(full), Err)
    }

    /// Takes one; where the rate is 0 there are always more.
    fn take(&mut self, now: Instant, rate: u32) -> Result<(), Duration> {
        if rate > 0 {
            self.0 = Some(self.after(now, rate, rate.saturating_mul(SAVED))?);
        }
        Ok(())
    }
}

/// So much that is long to work on is done at once for one token: batches, and bodies that are long or packed. What else comes
/// of it waits, so that there is time for others between.
const LONG_AT_ONCE: usize = 2;
/// So many requests of one token are worked on at once, for the same reason; they share commits, which is why they are many.
/// A read counts for several: what it waits for are connections to the database, of which there are few.
const AT_ONCE: usize = 64;
const READ: u32 = 4;
/// How long it waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is remembered of an address.
#[derive(Debug, Clone, Copy, Default)]
struct Address {
    requests: Bucket,
    guesses: Bucket,
    /// Requests under way whose token is not known yet.
    asking: u32,
}

fn is_asking(address: &Address) -> bool {
    address.asking > 0
}

/// What is remembered of a token.
#[derive(Debug, Default)]
struct Token {
    requests: Bucket,
    running: u32,
    own: Arc<PerToken>,
}

/// What all requests of one token share.
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

fn is_running(token: &Token) -> bool {
    token.running > 0
}

/// Counts what callers have.
pub(crate) struct Admission {
    limits: Limits,
    running: AtomicU32,
    buffered: AtomicUsize,
    addresses: Mutex<BoundedMap<Client, Address>>,
    /// Those that were found to be known.
    tokens: Mutex<BoundedMap<Digest, Token>>,
    /// Held while a token is looked up for an address that has sent too many that are not known.
    pub(crate) suspects: Semaphore,
}

/// What a request is to the admission before it is known who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    /// Any.
    Request,
    /// Its steps are counted instead.
    Batch,
    /// Whether the server is well: it is told also while it takes nothing else on.
    Health,
}

/// A request that was let in, until it is dropped.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    client: Option<Client>,
    /// The token that was shown, as it is told apart from others: not by how it is written down.
    shown: Option<Digest>,
    is_asking: bool,
    /// What it counts as once it is known.
    token: Option<Digest>,
    is_running: bool,
    /// Bytes in memory, and how many of them were counted.
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

    /// Lets a request in.
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
    /// Whether the token was found to be known before.
    fn was_known(&self) -> bool {
        let Some(shown) = &self.shown else { return false };
        let mut tokens = self.admission.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.known(shown).is_some()
    }

    /// How long the address has to wait, where it has sent too many tokens that are not known and shows another that was
    /// not known before. That is looked up all the same: it may be somebody's.
    pub(crate) fn suspected(&self, now: Instant) -> Option<Duration> {
        let guesses = {
            let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.known(&self.client?)?.guesses
        };
        let wait = guesses.after(now, GUESSES, GUESSES_SAVED).err()?;
        (self.shown.is_some() && !self.was_known()).then_some(wait)
    }

    /// Notes that the token of a request is not known.
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

    /// Counts a request, whose token is known, against whom that token is of.
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

    /// Whether it is known whose request it is.
    pub(crate) fn is_of_somebody(&self) -> bool {
        self.own.is_some()
    }

    /// Counts a step of a batch, which is as a request.
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

    /// What the caller's requests count as, once the caller is known.
    pub(crate) fn counts_as(&self) -> Option<Digest> {
        self.token
    }

    /// Counts bytes that are held in memory for the request from now on.
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

    /// The same for what was done already, and cannot be refused any more.
    pub(crate) fn hold_anyway(&self, bytes: usize) {
        let more = self.uncounted(bytes);
        if let Some(own) = self.own.as_deref().filter(|_| more > 0) {
            own.buffered.fetch_add(more, Ordering::Relaxed);
            self.admission.buffered.fetch_add(more, Ordering::Relaxed);
            self.counted.set(self.counted.get() + more);
        }
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// How many bytes more are to be counted, with so many more in memory.
    fn uncounted(&self, bytes: usize) -> usize {
        (self.bytes.get() + bytes).saturating_sub(UNCOUNTED + self.counted.get())
    }

    /// Nothing is held in memory for the request any more.
    pub(crate) fn release(&self) {
        let counted = self.counted.replace(0);
        self.bytes.set(0);
        if let Some(own) = self.own.as_deref().filter(|_| counted > 0) {
            own.buffered.fetch_sub(counted, Ordering::Relaxed);
            self.admission.buffered.fetch_sub(counted, Ordering::Relaxed);
        }
    }

    /// Waits until the request may be worked on, which it is until [`Permit::is_done`].
    ///
    /// # Errors
    /// [`Error::Throttled`] where others of its token take too long.
    pub(crate) async fn is_at_work(&self, reads: bool) -> Result<(), Error> {
        let Some(own) = self.own.as_deref() else { return Ok(()) };
        self.turn.set(Some(next(&own.turns, if reads { READ } else { 1 }).await?));
        Ok(())
    }

    /// The same for what is long to work on, if it has not waited already.
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

    /// The request is worked on no more.
    pub(crate) fn is_done(&self) {
        self.turn.take();
        self.long.take();
    }

    /// Gives the request's place back to others; what it holds in memory counts on.
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

/// Waits for turns.
async fn next(turns: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(turns).acquire_many_owned(count)).await;
    turn.map_err(|_| Error::Throttled(Limit::AtOnce, Duration::ZERO))?.map_err(Error::internal)
}

/// Adds to a number, unless it would be more than the most.
fn add_within(number: &AtomicUsize, more: usize, most: usize) -> Result<(), ()> {
    let add = |number: usize| number.checked_add(more).filter(|sum| *sum <= most);
    number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map(drop).map_err(drop)
}

#[cfg(test)]
mod tests;
