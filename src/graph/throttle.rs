//! Graph's own limits, to test clients against (`--throttle graph`). Exactly the first request beyond a limit is
//! refused. Windows are fixed, begin with a first request, and follow the clock, which a test may stop. docs/graph.md,
//! "Throttling".

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::domain::error::{Error, Limit};
use crate::domain::user::UserName;
use crate::http::authenticate::{Caller, Who};
use crate::http::bounded_map::BoundedMap;
use crate::odata::address::{Owner, Resource};

/// Limits of one app on one mailbox, in fixed windows that begin with a first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Requests of one app to one mailbox in a window.
    pub requests: u64,
    /// Length of the window.
    pub window: Duration,
    /// Concurrent requests of one app to one mailbox.
    pub at_once: u32,
    /// Bytes that one app sends to one mailbox in a window.
    pub upload: u64,
    /// Length of the window.
    pub upload_window: Duration,
    /// Requests of one app in a second.
    pub app_requests: u64,
}

impl MailboxLimits {
    /// The limits that Graph documents for Outlook and for all services.
    pub fn of_graph() -> Self {
        Self {
            requests: 10_000,
            window: Duration::from_mins(10),
            at_once: 4,
            upload: 15 << 20,
            upload_window: Duration::from_secs(30),
            app_requests: 2_000,
        }
    }
}

/// Maximum number of apps, and of mailboxes of apps, that are remembered.
const MAX_REMEMBERED: usize = 20_000;

/// An app: the bearer of a token.
type App = [u8; 32];
type MailboxKey = (App, String);

/// Counts requests against Graph's limits.
pub(crate) struct Throttle {
    limits: MailboxLimits,
    apps: Mutex<BoundedMap<App, FixedWindow>>,
    mailboxes: Mutex<BoundedMap<MailboxKey, Usage>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct FixedWindow {
    /// UTC microseconds.
    began: Option<i64>,
    used: u64,
}

impl FixedWindow {
    /// Counts `amount` in the window. `now` is in UTC microseconds, here and below. A clock that was set back begins a
    /// new window.
    ///
    /// # Errors
    /// How long until the next window begins, if this one is exhausted.
    fn take(&mut self, now: i64, length: Duration, max: u64, amount: u64) -> Result<(), Duration> {
        let micros = clock::micros(length);
        let began = match self.began {
            Some(began) if (0..micros).contains(&now.saturating_sub(began)) => began,
            _ => {
                *self = Self { began: Some(now), used: 0 };
                now
            }
        };
        if self.used + amount > max {
            let passed = u64::try_from(now.saturating_sub(began)).unwrap_or_default();
            return Err(length.saturating_sub(Duration::from_micros(passed)));
        }
        self.used += amount;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    requests: FixedWindow,
    upload: FixedWindow,
    running: u32,
}

/// One of the concurrent requests of an app to a mailbox, until this is dropped.
pub(crate) struct MailboxPermit {
    throttle: Arc<Throttle>,
    mailbox: MailboxKey,
}

impl Drop for MailboxPermit {
    fn drop(&mut self) {
        let mut mailboxes = self.throttle.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = mailboxes.get_mut(&self.mailbox) {
            used.running = used.running.saturating_sub(1);
        }
    }
}

/// The key of a call's mailbox, the same for all its names.
pub(crate) fn mailbox(caller: &Caller, resource: &Resource) -> Option<String> {
    let requested = match (resource, &caller.who) {
        (Resource::Owned(Owner::Me, _), Who::User(user)) => &user.id,
        (Resource::Owned(Owner::User(requested), _), _) => requested,
        _ => return None,
    };
    Some(UserName::of_address(requested).map_or_else(|| requested.clone(), |name| name.key()))
}

impl Throttle {
    pub(crate) fn new(limits: MailboxLimits) -> Self {
        Self {
            limits,
            apps: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
            mailboxes: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
        }
    }

    /// Counts a request of an app, and to its mailbox if there is one.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn request(&self, now: i64, app: App, mailbox: Option<&str>) -> Result<(), Error> {
        let limits = &self.limits;
        {
            let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
            let window = apps.entry(app, |_| false);
            let taken = window.take(now, Duration::from_secs(1), limits.app_requests, 1);
            taken.map_err(|wait| Error::Throttled(Limit::App, wait))?;
        }
        let Some(mailbox) = mailbox else { return Ok(()) };
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let used = mailboxes.entry((app, mailbox.to_owned()), is_running);
        let taken = used.requests.take(now, limits.window, limits.requests, 1);
        taken.map_err(|wait| Error::Throttled(Limit::MailboxRequests, wait))
    }

    /// Begins a request to a mailbox.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn begin(self: &Arc<Self>, app: App, mailbox: &str) -> Result<MailboxPermit, Error> {
        let mailbox = (app, mailbox.to_owned());
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let used = mailboxes.entry(mailbox.clone(), is_running);
        if used.running >= self.limits.at_once {
            return Err(Error::Throttled(Limit::MailboxConcurrency, Duration::ZERO));
        }
        used.running += 1;
        Ok(MailboxPermit { throttle: Arc::clone(self), mailbox })
    }

    /// Counts bytes that are sent to a mailbox.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    pub(crate) fn upload(&self, now: i64, app: App, mailbox: &str, bytes: usize) -> Result<(), Error> {
        let limits = &self.limits;
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let used = mailboxes.entry((app, mailbox.to_owned()), is_running);
        let taken = used.upload.take(now, limits.upload_window, limits.upload, bytes as u64);
        taken.map_err(|wait| Error::Throttled(Limit::MailboxUpload, wait))
    }
}

fn is_running(used: &Usage) -> bool {
    used.running > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: App = [1; 32];
    const START: i64 = 1_800_000_000_000_000;
    /// A millisecond.
    const MILLI: i64 = 1_000;

    fn limit(done: Result<(), Error>) -> Option<(Limit, Duration)> {
        match done {
            Ok(()) => None,
            Err(Error::Throttled(limit, wait)) => Some((limit, wait)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn requests_to_a_mailbox_are_limited_in_a_window() {
        let (throttle, start) = (Throttle::new(MailboxLimits::of_graph()), START);
        // Twenty requests a second, so that no other limit is reached.
        let at = |i: i64| start + i * 50 * MILLI;
        for i in 0..10_000 {
            assert_eq!(limit(throttle.request(at(i), APP, Some("ann"))), None, "{i}");
        }
        let refused = limit(throttle.request(at(10_000), APP, Some("ann")));
        assert_eq!(refused, Some((Limit::MailboxRequests, Duration::from_secs(100))));
        // Another mailbox of the app, and another app, have their own windows.
        assert_eq!(limit(throttle.request(at(10_000), APP, Some("bob"))), None);
        assert_eq!(limit(throttle.request(at(10_000), [2; 32], Some("ann"))), None);
        let end = start + 600_000 * MILLI;
        assert!(limit(throttle.request(end - MILLI, APP, Some("ann"))).is_some());
        assert_eq!(limit(throttle.request(end, APP, Some("ann"))), None);
        // The clock is set back.
        assert_eq!(limit(throttle.request(start, APP, Some("ann"))), None);
    }

    #[test]
    fn requests_of_an_app_are_limited_over_all_mailboxes() {
        let (throttle, start) = (Throttle::new(MailboxLimits::of_graph()), START);
        for i in 0..2_000 {
            assert_eq!(limit(throttle.request(start, APP, Some(&i.to_string()))), None);
        }
        let refused = limit(throttle.request(start + 400 * MILLI, APP, None));
        assert_eq!(refused, Some((Limit::App, Duration::from_millis(600))));
        assert_eq!(limit(throttle.request(start + 1_000 * MILLI, APP, None)), None);
    }

    #[test]
    fn concurrent_requests_to_a_mailbox_are_limited() {
        let throttle = Arc::new(Throttle::new(MailboxLimits::of_graph()));
        let mut slots: Vec<_> = (0..4).map(|_| throttle.begin(APP, "ann").unwrap()).collect();
        for _ in 0..2 {
            let refused = throttle.begin(APP, "ann").map(drop);
            assert_eq!(limit(refused), Some((Limit::MailboxConcurrency, Duration::ZERO)));
        }
        slots.push(throttle.begin(APP, "bob").unwrap());
        slots.remove(0);
        slots.push(throttle.begin(APP, "ann").unwrap());
        assert!(throttle.begin(APP, "ann").is_err());
    }

    #[test]
    fn uploads_to_a_mailbox_are_limited_in_a_window() {
        let (throttle, start) = (Throttle::new(MailboxLimits::of_graph()), START);
        for bytes in [4 << 20, 4 << 20, 4 << 20, 3 << 20] {
            assert_eq!(limit(throttle.upload(start, APP, "ann", bytes)), None);
        }
        let refused = limit(throttle.upload(start + 1_000 * MILLI, APP, "ann", 1));
        assert_eq!(refused, Some((Limit::MailboxUpload, Duration::from_secs(29))));
        assert_eq!(limit(throttle.upload(start + 1_000 * MILLI, APP, "ann", 0)), None);
        assert_eq!(limit(throttle.upload(start + 30_000 * MILLI, APP, "ann", 4 << 20)), None);
    }
}
