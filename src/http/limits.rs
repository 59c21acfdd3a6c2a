//! What is taken of one caller: requests a second and at once, by token and by address, and tokens that are not known.
//! docs/graph.md, "Throttling".
//!
//! Whoever is refused here has had nothing done: clients repeat what is answered 429 or 503.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderMap;

use super::access::bearer_token;
use super::client::Client;
use super::seen::Seen;
use super::throttle::{Graph, Throttle};
use crate::error::{Error, Limit};
use crate::secret::{self, Digest};

/// What is taken of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of one token, and ten times as many at once; 0 is as many as come.
    pub rate: u32,
    /// The same of one address.
    pub rate_address: u32,
    /// Requests under way at once.
    pub requests: u32,
    /// Those of one token, and those of one address.
    pub requests_each: u32,
    /// Graph's own limits, where they apply too.
    pub graph: Option<Graph>,
    /// Whether the proxy that connects says whose address it is (`X-Forwarded-For`, `Forwarded`).
    pub forwarded: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: 0, rate_address: 0, requests: 1_000, requests_each: 250, graph: None, forwarded: false }
    }
}

/// For how many seconds a caller may save up requests.
const SAVED: u32 = 10;
/// Tokens of one address that are not known: so many a second, and so many at once.
const GUESSES: u32 = 10;
const GUESSES_SAVED: u32 = 1_000;
/// Most addresses, and most tokens, that are remembered.
const MOST: usize = 20_000;

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

/// What is remembered of an address, or of a token.
#[derive(Debug, Clone, Copy, Default)]
struct Caller {
    requests: Bucket,
    guesses: Bucket,
    running: u32,
}

fn is_running(caller: &Caller) -> bool {
    caller.running > 0
}

/// Counts what callers have.
pub(super) struct Gate {
    limits: Limits,
    running: AtomicU32,
    addresses: Mutex<Seen<Client, Caller>>,
    /// Those that were found to be known.
    tokens: Mutex<Seen<Digest, Caller>>,
    pub(super) graph: Option<Arc<Throttle>>,
}

/// What a request is to the gate before it is known who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Any.
    Request,
    /// Its steps are counted instead.
    Batch,
    /// Whether the server is well: it is told also while it takes nothing else on.
    Health,
}

/// A request that was let in, until it is dropped.
pub(super) struct Visit {
    gate: Arc<Gate>,
    client: Option<Client>,
    token: Option<Digest>,
    is_counted: bool,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: AtomicU32::new(0),
            addresses: Mutex::new(Seen::new(MOST)),
            tokens: Mutex::new(Seen::new(MOST)),
            graph: limits.graph.map(|graph| Arc::new(Throttle::new(graph))),
        }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// [`Error::Throttled`], [`Error::Busy`]
    pub(super) fn enter(self: &Arc<Self>, client: Option<Client>, door: Door) -> Result<Visit, Error> {
        let mut visit = Visit { gate: Arc::clone(self), client: None, token: None, is_counted: false };
        if let Some(client) = client {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let caller = addresses.entry(client, is_running);
            if door != Door::Batch {
                let taken = caller.requests.take(Instant::now(), self.limits.rate_address);
                taken.map_err(|wait| Error::Throttled(Limit::Address, wait))?;
            }
            if door != Door::Health {
                self.begin(caller)?;
                visit.client = Some(client);
            }
        }
        if door != Door::Health {
            visit.is_counted = true;
            if self.running.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
                return Err(Error::Busy);
            }
        }
        Ok(visit)
    }

    fn begin(&self, caller: &mut Caller) -> Result<(), Error> {
        if caller.running >= self.limits.requests_each {
            return Err(Error::Throttled(Limit::AtOnce, Duration::ZERO));
        }
        caller.running += 1;
        Ok(())
    }
}

impl Visit {
    /// Whether the token of a request may be looked at: one that was known before always, any other unless too many of
    /// the address were not.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(super) fn may_ask(&self, headers: &HeaderMap) -> Result<(), Error> {
        let Some(client) = self.client else { return Ok(()) };
        let guesses = {
            let mut addresses = self.gate.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.known(&client).map_or(Bucket::default(), |caller| caller.guesses)
        };
        let Err(wait) = guesses.after(Instant::now(), GUESSES, GUESSES_SAVED) else { return Ok(()) };
        let Some(token) = bearer(headers) else { return Ok(()) };
        let mut tokens = self.gate.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.known(&token).is_some() { Ok(()) } else { Err(Error::Throttled(Limit::Guesses, wait)) }
    }

    /// Notes that the token of a request is not known.
    pub(super) fn is_unknown(&self, headers: &HeaderMap) {
        if let (Some(client), Some(_)) = (self.client, bearer(headers)) {
            let mut addresses = self.gate.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let guesses = &mut addresses.entry(client, is_running).guesses;
            if let Ok(full) = guesses.after(Instant::now(), GUESSES, GUESSES_SAVED) {
                guesses.0 = Some(full);
            }
        }
    }

    /// Counts a request against its token, which is known.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(super) fn is_known(&mut self, headers: &HeaderMap, door: Door) -> Result<(), Error> {
        let Some(token) = bearer(headers) else { return Ok(()) };
        let mut tokens = self.gate.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = tokens.entry(token, is_running);
        if door != Door::Batch {
            let counted = caller.requests.take(Instant::now(), self.gate.limits.rate);
            counted.map_err(|wait| Error::Throttled(Limit::Token, wait))?;
        }
        self.gate.begin(caller)?;
        self.token = Some(token);
        Ok(())
    }

    /// Counts a step of a batch, which is as a request.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(super) fn step(&self) -> Result<(), Error> {
        let (now, limits) = (Instant::now(), &self.gate.limits);
        if let Some(client) = self.client.filter(|_| limits.rate_address > 0) {
            let mut addresses = self.gate.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = addresses.entry(client, is_running).requests.take(now, limits.rate_address);
            taken.map_err(|wait| Error::Throttled(Limit::Address, wait))?;
        }
        if let Some(token) = self.token.filter(|_| limits.rate > 0) {
            let mut tokens = self.gate.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = tokens.entry(token, is_running).requests.take(now, limits.rate);
            taken.map_err(|wait| Error::Throttled(Limit::Token, wait))?;
        }
        Ok(())
    }

    /// Graph's limits, where they apply, and the app that they count.
    pub(super) fn graph(&self) -> Option<(&Arc<Throttle>, Digest)> {
        self.gate.graph.as_ref().zip(self.token)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.is_counted {
            self.gate.running.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(client) = &self.client {
            let mut addresses = self.gate.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(caller) = addresses.known(client) {
                caller.running = caller.running.saturating_sub(1);
            }
        }
        if let Some(token) = &self.token {
            let mut tokens = self.gate.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(caller) = tokens.known(token) {
                caller.running = caller.running.saturating_sub(1);
            }
        }
    }
}

/// The token of a request, as it is told apart from others: not by how it is written down.
fn bearer(headers: &HeaderMap) -> Option<Digest> {
    bearer_token(headers).map(secret::digest)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use actix_web::http::header;

    use super::*;

    fn enter(gate: &Arc<Gate>, from: &str, door: Door) -> Result<Visit, Error> {
        gate.enter(Some(Client::from(from.parse::<IpAddr>().unwrap())), door)
    }

    fn token(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {text}").parse().unwrap());
        headers
    }

    fn limit<T>(done: Result<T, Error>) -> Option<Limit> {
        match done {
            Ok(_) => None,
            Err(Error::Throttled(limit, _)) => Some(limit),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_bucket_gives_ten_seconds_at_once_and_then_as_many_a_second() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        for _ in 0..20 {
            bucket.take(start, 2).unwrap();
        }
        assert_eq!(bucket.take(start, 2), Err(Duration::from_millis(500)));
        let later = start + Duration::from_secs(1);
        assert_eq!([bucket.take(later, 2), bucket.take(later, 2)], [Ok(()), Ok(())]);
        assert_eq!(bucket.take(later, 2), Err(Duration::from_millis(500)));
        // It never holds more than ten seconds of it.
        let much_later = start + Duration::from_hours(1);
        for _ in 0..20 {
            bucket.take(much_later, 2).unwrap();
        }
        assert!(bucket.take(much_later, 2).is_err());
        for _ in 0..1_000 {
            bucket.take(start, 0).unwrap();
        }
    }

    #[test]
    fn what_ends_is_not_counted_any_more_however_it_ends() {
        let gate = Arc::new(Gate::new(Limits { requests: 3, requests_each: 2, ..Limits::default() }));
        let mut held: Vec<_> = (0..2).map(|_| enter(&gate, "192.0.2.1", Door::Request).unwrap()).collect();
        assert_eq!(limit(enter(&gate, "192.0.2.1", Door::Request)), Some(Limit::AtOnce));
        held.push(enter(&gate, "192.0.2.2", Door::Request).unwrap());
        for _ in 0..5 {
            assert!(matches!(enter(&gate, "192.0.2.3", Door::Request), Err(Error::Busy)));
        }
        // Whether it is well can always be asked.
        held.push(enter(&gate, "192.0.2.3", Door::Health).unwrap());
        held.clear();
        let count = |visits: Vec<Visit>| visits.len();
        let three = ["192.0.2.1", "192.0.2.1", "192.0.2.3"].map(|from| enter(&gate, from, Door::Request).unwrap());
        assert_eq!(count(three.into()), 3);
        assert_eq!(gate.running.load(Ordering::Relaxed), 0);
        // By token as well, wherever from.
        let mut visits: Vec<_> =
            (1..=3).map(|i| enter(&gate, &format!("192.0.2.{i}"), Door::Request).unwrap()).collect();
        let known: Vec<_> = visits.iter_mut().map(|visit| limit(visit.is_known(&token("a"), Door::Request))).collect();
        assert_eq!(known, [None, None, Some(Limit::AtOnce)]);
        visits.remove(0);
        assert_eq!(limit(visits[1].is_known(&token("a"), Door::Request)), None);
    }

    #[test]
    fn who_guesses_is_stopped_and_who_was_known_at_the_same_address_is_not() {
        let gate = Arc::new(Gate::new(Limits::default()));
        let mut visit = enter(&gate, "2001:db8::1", Door::Request).unwrap();
        visit.is_known(&token("known"), Door::Request).unwrap();
        for i in 0..GUESSES_SAVED {
            visit.may_ask(&token(&i.to_string())).unwrap();
            visit.is_unknown(&token(&i.to_string()));
        }
        let next = enter(&gate, "2001:db8::2", Door::Request).unwrap();
        assert_eq!(limit(next.may_ask(&token("another"))), Some(Limit::Guesses));
        assert_eq!(limit(next.may_ask(&token("known"))), None);
        let elsewhere = enter(&gate, "2001:db8:0:1::1", Door::Request).unwrap();
        assert_eq!(limit(elsewhere.may_ask(&token("another"))), None);
    }

    #[test]
    fn strangers_and_their_tokens_do_not_fill_the_memory() {
        let gate = Arc::new(Gate::new(Limits { rate_address: 1, ..Limits::default() }));
        for i in 0..50_000_u32 {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(i));
            let visit = gate.enter(Some(Client::from(from)), Door::Request).unwrap();
            visit.is_unknown(&token(&i.to_string()));
        }
        assert!(gate.addresses.lock().unwrap().len() <= MOST);
        assert_eq!(gate.tokens.lock().unwrap().len(), 0);
    }
}
