//! OpenID Connect: tokens that another program gave out, an identity provider, and signed. contactd checks them by the
//! provider's public keys and asks it for nothing else (docs/graph.md, "Users").

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
use crate::oidc::issuer::Issuer;
use crate::oidc::keys::KeySet;
use crate::oidc::token::{Expected, MAX_TOKEN, SKEW, UnverifiedToken};

/// Most verified tokens that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Whose tokens are taken.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The issuer's name, exactly as in its tokens: a URL of https, or of http on this machine.
    pub issuer: String,
    /// For whom a token must be: one of these, at least one.
    pub audiences: Vec<String>,
    /// The claim whose names users are found by: the issuer lets nobody choose there what they are called.
    pub name_claim: Option<String>,
    /// Authorities to trust besides those of the web, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long keys are kept.
    pub times: Times,
}

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// After this the keys are asked for again: so long a key that was withdrawn may be used.
    pub fresh: Duration,
    /// So long they are used, since they were had, if the issuer cannot be asked.
    pub stale: Duration,
    /// So long nobody can make us ask again.
    pub pause: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { fresh: Duration::from_mins(5), stale: Duration::from_hours(1), pause: Duration::from_secs(10) }
    }
}

impl std::str::FromStr for Times {
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

/// What a token says that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who gave it out.
    pub issuer: String,
    /// Whom it is about: the issuer's own name for them, which never becomes another's.
    pub subject: String,
    /// What it permits, by the names the issuer has for it: a user's `scp` and `scope`, an application's `roles`.
    pub scopes: Vec<String>,
    /// Whether an application speaks for itself and for no user: it says `idtyp: app`; or says nothing of it, has `roles`
    /// and neither `scp` nor `scope`, not even an empty one, nor a person's name, and is about the client it was given to.
    pub is_application: bool,
    /// The user's name, to be shown.
    pub display_name: Option<String>,
    /// What the issuer calls the user to people (`preferred_username`, `upn` or `email`), for the operator to see. Nobody is
    /// found by it.
    pub claimed_name: Option<String>,
    /// The name in the claim that the operator trusts.
    pub trusted: Option<Trusted>,
    /// When it was given out, in Unix seconds; where it does not say, now.
    pub issued: i64,
    /// When it ends, in Unix seconds.
    pub expires: i64,
}

/// Why nothing is known of a token's bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// It is not to be taken, and why. For the log: who made it up should not be told.
    Refused(&'static str),
    /// It cannot be told, since the issuer's keys cannot be had.
    Unavailable(&'static str),
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(reason) | Self::Unavailable(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for Unverified {}

/// Whether a text has the form of a token: three parts of base64url. No token of contactd's own has a full stop.
pub fn is_token(text: &str) -> bool {
    text.split('.').count() == 3 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Verifies tokens of one issuer. Clones share it.
#[derive(Clone)]
pub struct Provider(Arc<Shared>);

struct Shared {
    issuer: Issuer,
    audiences: Vec<String>,
    name_claim: Option<String>,
    times: Times,
    state: Mutex<KeyCache>,
}

#[derive(Default)]
struct KeyCache {
    keys: Option<FetchedKeys>,
    /// When they were last asked for, whatever came of it.
    asked: Option<Instant>,
    /// Whether nothing came of it.
    failing: bool,
    /// Closed when what is under way has ended.
    asking: Option<watch::Receiver<()>>,
    /// Tokens that were verified, by their SHA-256.
    verified: HashMap<[u8; 32], CachedToken>,
}

#[derive(Clone)]
struct FetchedKeys {
    keys: Arc<KeySet>,
    at: Instant,
}

struct CachedToken {
    verified: Verified,
    /// The key that signed it.
    key: [u8; 32],
}

impl Provider {
    /// Asks for nothing yet.
    ///
    /// # Errors
    /// One line: what of the settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { issuer, audiences, name_claim, ca_file, times } = settings;
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err("--oidc-issuer needs --oidc-audience: for whom its tokens must be".to_owned());
        }
        if name_claim.as_ref().is_some_and(|claim| claim.is_empty() || !plain::is_plain(claim)) {
            return Err("--oidc-name-claim names no claim".to_owned());
        }
        let issuer = Issuer::new(issuer, ca_file.as_deref())?;
        Ok(Self(Arc::new(Shared { issuer, audiences, name_claim, times, state: Mutex::default() })))
    }

    /// The issuer, and the claim of its tokens that is trusted for names, if one is.
    pub fn trusted(&self) -> Option<(String, String)> {
        self.0.name_claim.clone().map(|claim| (self.0.issuer.name.clone(), claim))
    }

    /// What a token says, if it is the issuer's, for us, and of now.
    ///
    /// # Errors
    /// [`Unverified::Refused`] if not, and [`Unverified::Unavailable`] if that cannot be told.
    pub async fn verify(&self, text: &str) -> Result<Verified, Unverified> {
        if text.len() > MAX_TOKEN {
            return Err(Unverified::Refused("it is too long"));
        }
        let now = clock::now() / 1_000_000;
        let digest = Sha256::digest(text).into();
        if let Some(verified) = self.0.state().fresh(self.0.times).and_then(|state| state.remembered(&digest, now)) {
            return Ok(verified);
        }
        // All that can be told without a key: what fails here makes nobody ask the issuer.
        let token = UnverifiedToken::read(text).map_err(Unverified::Refused)?;
        let Shared { issuer, audiences, name_claim, .. } = &*self.0;
        let expected = Expected { issuer: &issuer.name, audiences, name_claim: name_claim.as_deref() };
        let claims = token.claims(&expected, now).map_err(Unverified::Refused)?;
        let mut keys = self.keys().await?;
        if let Some(verified) = self.0.state().remembered(&digest, now) {
            return Ok(verified);
        }
        if !keys.knows(&token) {
            keys = self.newer(keys).await;
        }
        let Some(key) = keys.signer(&token) else { return Err(Unverified::Refused("no key of the issuer signed it")) };
        self.0.state().remember(digest, CachedToken { verified: claims.clone(), key: key.fingerprint }, now);
        Ok(claims)
    }

    /// Keys to go by, which are not too old.
    async fn keys(&self) -> Result<Arc<KeySet>, Unverified> {
        let asking = {
            let mut state = self.0.state();
            let had = state.keys.as_ref().filter(|had| had.at.elapsed() < self.0.times.stale).cloned();
            if let Some(had) = had.as_ref().filter(|had| had.at.elapsed() < self.0.times.fresh) {
                return Ok(Arc::clone(&had.keys));
            }
            let asking = self.ask(&mut state);
            match had {
                // Whoever has keys does not wait for an issuer that fails.
                Some(had) if state.failing => return Ok(had.keys),
                _ => asking,
            }
        };
        wait(asking).await;
        let state = self.0.state();
        let had = state.keys.as_ref().filter(|had| had.at.elapsed() < self.0.times.stale);
        had.map(|had| Arc::clone(&had.keys)).ok_or(Unverified::Unavailable("the issuer's keys cannot be had"))
    }

    /// Keys that came after these, as far as they may be asked for.
    async fn newer(&self, than: Arc<KeySet>) -> Arc<KeySet> {
        let current =
            |state: &KeyCache| state.keys.as_ref().map_or_else(|| Arc::clone(&than), |had| Arc::clone(&had.keys));
        let asking = {
            let mut state = self.0.state();
            let current = current(&state);
            if !Arc::ptr_eq(&current, &than) {
                return current;
            }
            self.ask(&mut state)
        };
        wait(asking).await;
        current(&self.0.state())
    }

    /// Has the keys asked for unless that was done just now, by a task of its own: a client that goes away must not undo it.
    /// Answers what to wait for.
    fn ask(&self, state: &mut KeyCache) -> Option<watch::Receiver<()>> {
        // One whose task was lost has ended too.
        if let Some(asking) = state.asking.as_ref().filter(|asking| asking.has_changed().is_ok()) {
            return Some(asking.clone());
        }
        if state.asked.is_some_and(|asked| asked.elapsed() < self.0.times.pause) {
            return None;
        }
        let (done, asking) = watch::channel(());
        state.asked = Some(Instant::now());
        state.asking = Some(asking.clone());
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let at = Instant::now();
            let keys = shared.issuer.keys().await;
            shared.state().take(keys, at);
            drop(done);
        });
        Some(asking)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.0.issuer.name)
    }
}

async fn wait(asking: Option<watch::Receiver<()>>) {
    if let Some(mut asking) = asking {
        // Nothing is ever sent.
        let _ = asking.changed().await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, KeyCache> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyCache {
    /// This, if its keys need not be asked for again.
    fn fresh(&self, times: Times) -> Option<&Self> {
        self.keys.as_ref().is_some_and(|had| had.at.elapsed() < times.fresh).then_some(self)
    }

    fn remembered(&self, digest: &[u8; 32], now: i64) -> Option<Verified> {
        let found = self.verified.get(digest).filter(|found| found.verified.expires + SKEW > now);
        found.map(|found| found.verified.clone())
    }

    fn remember(&mut self, digest: [u8; 32], new: CachedToken, now: i64) {
        // It may have been withdrawn while the token was looked at.
        if !self.keys.as_ref().is_some_and(|had| had.keys.has(&new.key)) {
            return;
        }
        if self.verified.len() >= MAX_REMEMBERED {
            self.verified.retain(|_, known| known.verified.expires + SKEW > now);
        }
        if self.verified.len() >= MAX_REMEMBERED {
            self.verified.clear();
        }
        self.verified.insert(digest, new);
    }

    /// Takes what came of asking.
    fn take(&mut self, keys: Result<KeySet, String>, at: Instant) {
        match keys {
            Ok(keys) => {
                self.verified.retain(|_, known| keys.has(&known.key));
                self.keys = Some(FetchedKeys { keys: Arc::new(keys), at });
                self.failing = false;
            }
            Err(reason) => {
                // Once, however long it lasts.
                if !self.failing {
                    tracing::warn!(reason, "the identity provider's keys cannot be had");
                }
                self.failing = true;
            }
        }
    }
}
