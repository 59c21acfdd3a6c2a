//! Change notifications: subscribers confirm where they are told, and are told what the change log says
//! (docs/graph.md, "Subscriptions"). How far each was told is in the database, so nothing hangs on this process.

mod deliver;
mod post;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::client::Refused;
use crate::error::{Error, Kind};
use crate::odata::percent_encode;
use post::{MAX_BODY, Poster};
pub use target::Allowed;
use target::Targets;

/// Most confirmations that are waited for at once.
const MAX_HANDSHAKES: usize = 64;

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
    handshakes: Semaphore,
}

impl Notifier {
    /// # Errors
    /// One line: the file of authorities cannot be read.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { allowed, ca_file, times } = settings;
        let poster = Poster::new(Targets(allowed), ca_file.as_deref(), times.answer)?;
        Ok(Self(Arc::new(Shared { poster, times, handshakes: Semaphore::new(MAX_HANDSHAKES) })))
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
    /// 400 that names `property`; [`Error::Unavailable`] where too many are asked at once.
    pub async fn confirm(&self, property: &str, url: &str, id: Uuid) -> Result<(), Error> {
        let _place = self.0.handshakes.try_acquire().map_err(Error::unavailable)?;
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
        Err(unfit(property, &Refused(reason)))
    }
}

fn unfit(property: &str, reason: &Refused) -> Error {
    let message = format!("Subscription validation request failed. '{property}' names {reason}.");
    Error::invalid(Kind::Endpoint, property, message)
}
