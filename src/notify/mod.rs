//! Change notifications: receivers confirm a subscription, and then get the changes from the change log (docs/graph.md,
//! "Subscriptions"). Progress is stored in the database, so any process can continue.

mod deliver;
mod notice;
mod post;
mod target;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::client::CallError;
use crate::domain::error::{Error, Kind, Limit};
pub(crate) use crate::notify::post::Inside;
use crate::notify::post::{MAX_BODY, Poster};
pub use crate::notify::target::Allowed;
use crate::notify::target::Targets;
use crate::percent::percent_encode;

/// Most pending confirmations, in total and per creator, so that slow hosts do not block others.
const MAX_HANDSHAKES: usize = 128;
const MAX_HANDSHAKES_PER_CREATOR: usize = 4;

/// Settings of delivery.
#[derive(Debug, Clone, Default)]
pub struct NotifierSettings {
    /// Hosts that may be called over http or at a private address.
    pub allowed: Vec<Allowed>,
    /// Additional certificate authorities, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Time limits.
    pub times: DeliveryTimes,
}

/// Time limits and delays.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryTimes {
    /// Time limit of a request, from name resolution to the end of the answer.
    pub answer: Duration,
    /// After this time another process takes over from one that stopped responding. Longer than one attempt.
    pub lease: Duration,
    /// Delay before the first retry; later ones are longer.
    pub retry: Duration,
}

impl Default for DeliveryTimes {
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), lease: Duration::from_secs(30), retry: Duration::from_secs(10) }
    }
}

impl std::str::FromStr for DeliveryTimes {
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

/// Confirms and serves subscriptions. Clones share their state.
#[derive(Clone)]
pub struct Notifier(Arc<NotifierState>);

struct NotifierState {
    poster: Poster,
    times: DeliveryTimes,
    /// Pending confirmations by creator.
    handshakes: Mutex<HashMap<String, usize>>,
}

/// A pending confirmation, until it is dropped.
struct Handshake<'a> {
    shared: &'a NotifierState,
    creator: &'a str,
}

impl<'a> Handshake<'a> {
    /// # Errors
    /// [`Error::Throttled`] if the creator has too many pending, [`Error::Unavailable`] if there are too many in total.
    fn begin(shared: &'a NotifierState, creator: &'a str) -> Result<Self, Error> {
        let mut handshakes = shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = handshakes.get(creator).copied().unwrap_or(0);
        if pending >= MAX_HANDSHAKES_PER_CREATOR {
            return Err(Error::Throttled(Limit::Confirmations, Duration::ZERO));
        }
        if handshakes.values().sum::<usize>() >= MAX_HANDSHAKES {
            return Err(Error::unavailable("too many subscriptions wait to be confirmed"));
        }
        handshakes.insert(creator.to_owned(), pending + 1);
        Ok(Self { shared, creator })
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let mut handshakes = self.shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remaining) =
            handshakes.get(self.creator).and_then(|count| count.checked_sub(1)).filter(|remaining| *remaining > 0)
        {
            handshakes.insert(self.creator.to_owned(), remaining);
        } else {
            handshakes.remove(self.creator);
        }
    }
}

impl Notifier {
    /// # Errors
    /// One line: the file of certificate authorities cannot be read.
    pub fn new(settings: NotifierSettings) -> Result<Self, String> {
        let NotifierSettings { allowed, ca_file, times } = settings;
        let poster = Poster::new(Targets(allowed), ca_file.as_deref(), times.answer)?;
        Ok(Self(Arc::new(NotifierState { poster, times, handshakes: Mutex::default() })))
    }

    /// Delivers to a receiver in this process too, whose URLs need no permission. The first one stays.
    pub(crate) fn set_inside(&self, inside: Arc<dyn Inside>) {
        self.0.poster.set_inside(inside);
    }

    /// Checks that a URL may be called, as far as its text shows.
    ///
    /// # Errors
    /// 400 that names `property`.
    pub fn check(&self, property: &str, url: &str) -> Result<(), Error> {
        self.0.poster.read(url).map(drop).map_err(|reason| invalid_url(property, &reason))
    }

    /// Checks that the receiver at a URL wants notifications: it must echo a token.
    ///
    /// # Errors
    /// 400 that names `property`; [`Error::Throttled`] and [`Error::Unavailable`] if there are too many pending
    /// confirmations.
    pub async fn confirm(&self, property: &str, url: &str, id: Uuid, creator: &str) -> Result<(), Error> {
        let _handshake = Handshake::begin(&self.0, creator)?;
        let mut target = self.0.poster.read(url).map_err(|reason| invalid_url(property, &reason))?;
        // The token needs encoding, so that a receiver that does not decode it fails.
        let token = format!("Validation: contactd asks whether notifications are wanted here, {id}");
        let separator = if target.path.contains('?') { '&' } else { '?' };
        target.path = format!("{}{separator}validationToken={}", target.path, percent_encode(&token));
        let answer = self.0.poster.post_empty(&target).await.map_err(|reason| invalid_url(property, &reason))?;
        let media_type = answer.content_type.split(';').next().unwrap_or_default().trim();
        let reason = if answer.status != 200 {
            format!("a host that responds with {} and not 200", answer.status)
        } else if !media_type.eq_ignore_ascii_case("text/plain") {
            "a host whose response is not text/plain".to_owned()
        } else if answer.body.is_none() {
            format!("a host whose response is incomplete, or has more than {MAX_BODY} bytes")
        } else if answer.body.is_none_or(|body| body != token.as_bytes()) {
            "a host that does not respond with exactly the decoded validationToken".to_owned()
        } else {
            return Ok(());
        };
        Err(invalid_url(property, &CallError(reason)))
    }
}

fn invalid_url(property: &str, reason: &CallError) -> Error {
    let message = format!("Subscription validation request failed. '{property}' names {reason}.");
    Error::invalid(Kind::Endpoint, property, message)
}
