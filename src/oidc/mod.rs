//! OpenID Connect: verifies tokens issued and signed by an identity provider, with the provider's public keys. Nothing else
//! is requested from the provider (docs/graph.md, "Users").

mod issuer;
mod keys;
mod token;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::clock;
use crate::domain::plain;
use crate::domain::user::Trusted;
use crate::metrics::list::{Done, KEY_FETCHES, KEYS_AGE};
use crate::oidc::issuer::Issuer;
use crate::oidc::keys::KeySet;
pub(crate) use crate::oidc::token::EXPIRED;
use crate::oidc::token::{Expected, MAX_TOKEN, SKEW, UnverifiedToken};
use crate::trace;

/// Most verified tokens in the cache.
const MAX_CACHED_TOKENS: usize = 10_000;

/// The issuer whose tokens are accepted.
#[derive(Debug, Clone, Default)]
pub struct OidcSettings {
    /// The issuer's name, exactly as in its tokens: an https URL, or an http URL on this machine.
    pub issuer: String,
    /// Accepted audiences; at least one.
    pub audiences: Vec<String>,
    /// The claim with the names that users are looked up by. The issuer must not let users choose its value.
    pub name_claim: Option<String>,
    /// Additional certificate authorities, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long keys are cached.
    pub times: KeyTimes,
}

/// Cache times of keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyTimes {
    /// Keys are fetched again after this time. A revoked key may be used for as long.
    pub fresh: Duration,
    /// Keys are used for this time after they were fetched, if the issuer is unreachable.
    pub stale: Duration,
    /// Minimum time between two fetches.
    pub pause: Duration,
}

impl Default for KeyTimes {
    fn default() -> Self {
        Self { fresh: Duration::from_mins(5), stale: Duration::from_hours(1), pause: Duration::from_secs(10) }
    }
}

impl std::str::FromStr for KeyTimes {
    type Err = String;

    /// `FRESH,STALE,PAUSE` in milliseconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
        match parts.as_deref() {
            Ok([fresh, stale, pause]) if fresh <= stale => Ok(Self {
                fresh: Duration::from_millis(*fresh),
                stale: Duration::from_millis(*stale),
                pause: Duration::from_millis(*pause),
            }),
            _ => Err("expected FRESH,STALE,PAUSE in milliseconds, STALE not below FRESH".to_owned()),
        }
    }
}

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The issuer.
    pub issuer: String,
    /// The issuer's id of the user, never reused.
    pub subject: String,
    /// The permissions, by the issuer's names: `scp` and `scope` of a user, `roles` of an application.
    pub scopes: Vec<String>,
    /// Whether the token belongs to an application itself. It has `idtyp: app`; or it has no `idtyp`, has `roles`, neither
    /// `scp` nor `scope` (not even empty), no personal name, and its subject is the client.
    pub is_application: bool,
    /// The user's display name.
    pub display_name: Option<String>,
    /// The name the issuer shows to people (`preferred_username`, `upn` or `email`), for the operator. It is not used for
    /// lookups.
    pub claimed_name: Option<String>,
    /// The name in the claim that the operator trusts.
    pub trusted: Option<Trusted>,
    /// When it was issued, in Unix seconds; the current time if the token does not say.
    pub issued: i64,
    /// When it expires, in Unix seconds.
    pub expires: i64,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// It is invalid: the reason, for the log only, since it would help forgers.
    Refused(&'static str),
    /// It cannot be verified, because the issuer's keys are unavailable.
    Unavailable(&'static str),
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(reason) | Self::Unavailable(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for Unverified {}

/// Whether a text has the form of a JWT: three parts of base64url. Tokens of contactd contain no full stop.
pub fn is_token(text: &str) -> bool {
    text.split('.').count() == 3 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Verifies tokens of one issuer. Clones share the cache.
#[derive(Clone)]
pub struct Provider(Arc<ProviderState>);

struct ProviderState {
    issuer: Issuer,
    audiences: Vec<String>,
    name_claim: Option<String>,
    times: KeyTimes,
    state: Mutex<KeyCache>,
}

#[derive(Default)]
struct KeyCache {
    keys: Option<FetchedKeys>,
    /// When the last fetch began.
    last_fetch: Option<Instant>,
    /// Whether the last fetch failed.
    failing: bool,
    /// Closes when the current fetch ends.
    fetch_end: Option<watch::Receiver<()>>,
    /// Verified tokens, by their SHA-256.
    verified: HashMap<[u8; 32], VerifiedToken>,
}

#[derive(Clone)]
struct FetchedKeys {
    keys: Arc<KeySet>,
    at: Instant,
}

struct VerifiedToken {
    verified: Verified,
    /// The key that signed it.
    key: [u8; 32],
}

impl Provider {
    /// Fetches nothing yet.
    ///
    /// # Errors
    /// One line: which setting is invalid.
    pub fn new(settings: OidcSettings) -> Result<Self, String> {
        let OidcSettings { issuer, audiences, name_claim, ca_file, times } = settings;
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err("--oidc-issuer needs --oidc-audience, the audience of its tokens".to_owned());
        }
        if name_claim.as_ref().is_some_and(|claim| claim.is_empty() || !plain::is_plain(claim)) {
            return Err("--oidc-name-claim is not the name of a claim".to_owned());
        }
        let issuer = Issuer::new(issuer, ca_file.as_deref())?;
        Ok(Self(Arc::new(ProviderState { issuer, audiences, name_claim, times, state: Mutex::default() })))
    }

    /// The issuer and the trusted name claim, if there is one.
    pub fn trusted(&self) -> Option<(String, String)> {
        self.0.name_claim.clone().map(|claim| (self.0.issuer.name.clone(), claim))
    }

    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// [`Unverified::Refused`] if it is invalid, [`Unverified::Unavailable`] if the keys cannot be fetched.
    pub async fn verify(&self, text: &str) -> Result<Verified, Unverified> {
        if text.len() > MAX_TOKEN {
            return Err(Unverified::Refused("it is too long"));
        }
        let now = clock::now() / 1_000_000;
        let digest = Sha256::digest(text).into();
        if let Some(verified) = self.0.state().fresh(self.0.times).and_then(|state| state.cached(&digest, now)) {
            return Ok(verified);
        }
        // Checks that need no key come first, so that an invalid token causes no fetch.
        let token = UnverifiedToken::read(text).map_err(Unverified::Refused)?;
        let ProviderState { issuer, audiences, name_claim, .. } = &*self.0;
        let expected = Expected { issuer: &issuer.name, audiences, name_claim: name_claim.as_deref() };
        let claims = token.claims(&expected, now).map_err(Unverified::Refused)?;
        let mut keys = self.keys().await?;
        if let Some(verified) = self.0.state().cached(&digest, now) {
            return Ok(verified);
        }
        if !keys.knows(&token) {
            keys = self.fetch_newer(keys).await;
        }
        let Some(key) = keys.signer(&token) else { return Err(Unverified::Refused("no key of the issuer signed it")) };
        self.0.state().cache(digest, VerifiedToken { verified: claims.clone(), key: key.fingerprint }, now);
        Ok(claims)
    }

    /// Keys that are not stale.
    async fn keys(&self) -> Result<Arc<KeySet>, Unverified> {
        let fetch_end = {
            let mut state = self.0.state();
            let cached = state.keys.as_ref().filter(|cached| cached.at.elapsed() < self.0.times.stale).cloned();
            if let Some(cached) = cached.as_ref().filter(|cached| cached.at.elapsed() < self.0.times.fresh) {
                return Ok(Arc::clone(&cached.keys));
            }
            let fetch_end = self.start_fetch(&mut state);
            match cached {
                // With cached keys, do not wait for a failing issuer.
                Some(cached) if state.failing => return Ok(cached.keys),
                _ => fetch_end,
            }
        };
        wait(fetch_end).await;
        let state = self.0.state();
        let cached = state.keys.as_ref().filter(|cached| cached.at.elapsed() < self.0.times.stale);
        cached
            .map(|cached| Arc::clone(&cached.keys))
            .ok_or(Unverified::Unavailable("the issuer's keys are unavailable"))
    }

    /// Keys newer than these, if they may be fetched.
    async fn fetch_newer(&self, old: Arc<KeySet>) -> Arc<KeySet> {
        let current =
            |state: &KeyCache| state.keys.as_ref().map_or_else(|| Arc::clone(&old), |cached| Arc::clone(&cached.keys));
        let fetch_end = {
            let mut state = self.0.state();
            let current = current(&state);
            if !Arc::ptr_eq(&current, &old) {
                return current;
            }
            self.start_fetch(&mut state)
        };
        wait(fetch_end).await;
        current(&self.0.state())
    }

    /// Fetches the keys unless that was done just now. It runs in its own task, so that a client that disconnects does not
    /// cancel it. Returns what to wait for.
    fn start_fetch(&self, state: &mut KeyCache) -> Option<watch::Receiver<()>> {
        // A channel whose task was lost is closed too.
        if let Some(fetch_end) = state.fetch_end.as_ref().filter(|fetch_end| fetch_end.has_changed().is_ok()) {
            return Some(fetch_end.clone());
        }
        if state.last_fetch.is_some_and(|last| last.elapsed() < self.0.times.pause) {
            return None;
        }
        let (done, fetch_end) = watch::channel(());
        state.last_fetch = Some(Instant::now());
        state.fetch_end = Some(fetch_end.clone());
        let shared = Arc::clone(&self.0);
        let fetch = async move {
            let at = Instant::now();
            let keys = shared.issuer.keys().await;
            shared.state().store_keys(keys, at);
            drop(done);
        };
        // For the request that needs them first.
        tokio::spawn(trace::within(trace::current(), fetch));
        Some(fetch_end)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.0.issuer.name)
    }
}

async fn wait(fetch_end: Option<watch::Receiver<()>>) {
    if let Some(mut fetch_end) = fetch_end {
        // Nothing is ever sent; only the end counts.
        let _ = fetch_end.changed().await;
    }
}

impl ProviderState {
    fn state(&self) -> MutexGuard<'_, KeyCache> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyCache {
    /// `Some` while its keys are fresh.
    fn fresh(&self, times: KeyTimes) -> Option<&Self> {
        self.keys.as_ref().is_some_and(|cached| cached.at.elapsed() < times.fresh).then_some(self)
    }

    fn cached(&self, digest: &[u8; 32], now: i64) -> Option<Verified> {
        let found = self.verified.get(digest).filter(|found| found.verified.expires + SKEW > now);
        found.map(|found| found.verified.clone())
    }

    fn cache(&mut self, digest: [u8; 32], new: VerifiedToken, now: i64) {
        // The key may have been revoked during verification.
        if !self.keys.as_ref().is_some_and(|cached| cached.keys.has(&new.key)) {
            return;
        }
        if self.verified.len() >= MAX_CACHED_TOKENS {
            self.verified.retain(|_, known| known.verified.expires + SKEW > now);
        }
        if self.verified.len() >= MAX_CACHED_TOKENS {
            self.verified.clear();
        }
        self.verified.insert(digest, new);
    }

    /// Stores the result of a fetch.
    fn store_keys(&mut self, keys: Result<KeySet, String>, at: Instant) {
        match keys {
            Ok(keys) => {
                self.verified.retain(|_, known| keys.has(&known.key));
                self.keys = Some(FetchedKeys { keys: Arc::new(keys), at });
                self.failing = false;
                KEYS_AGE.since(at);
                KEY_FETCHES.increment(Done::Ok);
            }
            Err(reason) => {
                // Log once per outage.
                if !self.failing {
                    tracing::warn!(reason, "cannot fetch the identity provider's keys");
                }
                self.failing = true;
                KEY_FETCHES.increment(Done::Failed);
            }
        }
    }
}
