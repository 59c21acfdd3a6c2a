//! Change notifications: subscribers confirm where they are told, and are told what the change log says
//! (docs/graph.md, "Subscriptions"). How far each was told is in the database, so nothing hangs on this process.

mod deliver;
mod post;
mod target;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::client::CallError;
use crate::domain::error::{Error, Kind, Limit};
use crate::notify::post::{MAX_BODY, Poster};
pub use crate::notify::target::Allowed;
use crate::notify::target::Targets;
use crate::percent::percent_encode;

/// Most confirmations that are waited for at once, and of one creator: hosts that are slow to confirm must not turn away
/// the subscriptions of others.
const MAX_HANDSHAKES: usize = 128;
const MAX_HANDSHAKES_OF_CREATOR: usize = 4;

/// How subscribers are reached.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Hosts that may be called by http, and where they are not public.
    pub allowed: Vec<Allowed>,
    /// Authorities to trust besides those of the web, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How patiently.
    pub times: Times,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For an answer, all in all.
    pub answer: Duration,
    /// For a process that delivers and says no more. Longer than an attempt can take.
    pub lease: Duration,
    /// Before the second attempt; longer and longer before the others.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), lease: Duration::from_secs(30), retry: Duration::from_secs(10) }
    }
}

impl std::str::FromStr for Times {
    type Err = String;

    /// `ANSWER,LEASE,RETRY` in milliseconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
        match parts.as_deref() {
            Ok([answer, lease, retry]) if 0 < *answer && answer < lease && *retry > 0 => Ok(Self {
                answer: Duration::from_millis(*answer),
                lease: Duration::from_millis(*lease),
                retry: Duration::from_millis(*retry),
            }),
            _ => Err("expected ANSWER,LEASE,RETRY in milliseconds, LEASE above ANSWER".to_owned()),
        }
    }
}

/// Asks subscribers to confirm, and tells them. Clones share it.
#[derive(Clone)]
pub struct Notifier(Arc<Shared>);

struct Shared {
    poster: Poster,
    times: Times,
    /// Of each creator who has any, how many are waited for.
    handshakes: Mutex<HashMap<String, usize>>,
}

/// A confirmation that is waited for, until it is dropped.
struct Handshake<'a> {
    shared: &'a Shared,
    creator: &'a str,
}

impl<'a> Handshake<'a> {
    /// # Errors
    /// [`Error::Throttled`] where too many of the creator's are waited for, [`Error::Unavailable`] where too many of all.
    fn begin(shared: &'a Shared, creator: &'a str) -> Result<Self, Error> {
        let mut handshakes = shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_creator = handshakes.get(creator).copied().unwrap_or(0);
        if of_creator >= MAX_HANDSHAKES_OF_CREATOR {
            return Err(Error::Throttled(Limit::Confirmations, Duration::ZERO));
        }
        if handshakes.values().sum::<usize>() >= MAX_HANDSHAKES {
            return Err(Error::unavailable("too many subscriptions wait to be confirmed"));
        }
        handshakes.insert(creator.to_owned(), of_creator + 1);
        Ok(Self { shared, creator })
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let mut handshakes = self.shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = handshakes.get(self.creator).and_then(|count| count.checked_sub(1)).filter(|left| *left > 0)
        {
            handshakes.insert(self.creator.to_owned(), left);
        } else {
            handshakes.remove(self.creator);
        }
    }
}

impl Notifier {
    /// # Errors
    /// One line: the file of authorities cannot be read.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { allowed, ca_file, times } = settings;
        let poster = Poster::new(Targets(allowed), ca_file.as_deref(), times.answer)?;
        Ok(Self(Arc::new(Shared { poster, times, handshakes: Mutex::default() })))
    }

    /// Sees that a URL may be called, as far as can be told from its text.
    ///
    /// # Errors
    /// 400 that names `property`.
    pub fn check(&self, property: &str, url: &str) -> Result<(), Error> {
        self.0.poster.read(url).map(drop).map_err(|reason| unfit(property, &reason))
    }

    /// Sees that whoever is at a URL wants to be told: it must send back a token that it is sent.
    ///
    /// # Errors
    /// 400 that names `property`; [`Error::Throttled`] and [`Error::Unavailable`] where too many are asked at once.
    pub async fn confirm(&self, property: &str, url: &str, id: Uuid, creator: &str) -> Result<(), Error> {
        let _place = Handshake::begin(&self.0, creator)?;
        let mut target = self.0.poster.read(url).map_err(|reason| unfit(property, &reason))?;
        // With characters that have to be encoded, so that a receiver that does not decode is found out.
        let token = format!("Validation: contactd asks whether notifications are wanted here, {id}");
        let separator = if target.path.contains('?') { '&' } else { '?' };
        target.path = format!("{}{separator}validationToken={}", target.path, percent_encode(&token));
        let answer = self.0.poster.ask(&target).await.map_err(|reason| unfit(property, &reason))?;
        let media_type = answer.content_type.split(';').next().unwrap_or_default().trim();
        let reason = if answer.status != 200 {
            format!("a host that answers {} and not 200", answer.status)
        } else if !media_type.eq_ignore_ascii_case("text/plain") {
            "a host whose answer is not text/plain".to_owned()
        } else if answer.body.is_none() {
            format!("a host whose answer breaks off, or has more than {MAX_BODY} bytes")
        } else if answer.body.is_none_or(|body| body != token.as_bytes()) {
            "a host that does not answer with the validationToken, decoded, and nothing else".to_owned()
        } else {
            return Ok(());
        };
        Err(unfit(property, &CallError(reason)))
    }
}

fn unfit(property: &str, reason: &CallError) -> Error {
    let message = format!("Subscription validation request failed. '{property}' names {reason}.");
    Error::invalid(Kind::Endpoint, property, message)
}
