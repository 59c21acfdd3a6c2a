//! The delivery loop. Each subscription is served by one process at a time, one delivery after the other, and progress is
//! stored after each delivery. So delivery is at least once and in order.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::oneshot;
use tracing::field::display;
use uuid::Uuid;

use crate::client::CallError;
use crate::clock::{self, IdOwner};
use crate::domain::error::Error;
use crate::domain::subscription::{Delivery, Lifecycle, Notice};
use crate::metrics::list::{NOTIFICATION_DELAY, NOTIFICATIONS, Notified};
use crate::notify::{Notifier, notice};
use crate::store::{Attempts, Due, LeasedSubscription, Store};
use crate::trace;
use crate::trace::spans::{self, Since};

/// Poll interval: other processes write too, and retries become due.
const POLL: Duration = Duration::from_secs(1);
/// How long writes are collected before the next poll.
const COLLECT_TIME: Duration = Duration::from_millis(50);
/// Most subscriptions in progress, in total and per creator, so that a slow receiver does not block others.
const MAX_IN_PROGRESS: usize = 256;
const MAX_PER_CREATOR: usize = 4;
/// Delays before the retries, in units of [`super::DeliveryTimes::retry`]: 10 s, 30 s, 1, 3, 10 and 30 minutes, and three
/// times an hour; about 4 hours in total.
const RETRY_DELAYS: [i64; 9] = [1, 3, 6, 18, 60, 180, 360, 360, 360];
/// How long before its expiration a subscriber is reminded, in microseconds.
const REMINDER_TIME: i64 = 15 * 60 * 1_000_000;

impl Notifier {
    /// Delivers until `stop` is sent or dropped.
    pub async fn deliver(&self, store: &Store, stop: oneshot::Receiver<()>) {
        let holder = clock::new_id(IdOwner::Nobody);
        let mut stop = pin!(stop);
        let mut in_progress: HashSet<Due> = HashSet::new();
        let mut deliveries = FuturesUnordered::new();
        let mut failing = false;
        loop {
            let mut read = pin!(store.due_subscriptions(REMINDER_TIME));
            // Deliveries hold connections for reads. They have to go on while this read waits for one.
            let due = loop {
                tokio::select! {
                    biased;
                    due = &mut read => break due,
                    Some((due, done)) = deliveries.next() => {
                        end(&mut in_progress, &due, done);
                    }
                }
            };
            if let (Err(error), false) = (&due, failing) {
                tracing::warn!(%error, "cannot read which subscriptions are due");
            }
            failing = due.is_err();
            let mut has_waiting = false;
            let mut counts_by_creator: HashMap<String, usize> = HashMap::new();
            for due in &in_progress {
                *counts_by_creator.entry(due.creator.clone()).or_default() += 1;
            }
            for due in due.unwrap_or_default() {
                let creator_count = counts_by_creator.entry(due.creator.clone()).or_default();
                if in_progress.len() >= MAX_IN_PROGRESS || *creator_count >= MAX_PER_CREATOR {
                    has_waiting = true;
                } else if in_progress.insert(due.clone()) {
                    *creator_count += 1;
                    deliveries.push(async move {
                        let done = self.deliver_due(store, holder, &due).await;
                        (due, done)
                    });
                }
            }
            let poll = POLL.min(self.0.times.retry);
            let mut pause = pin!(async {
                tokio::select! {
                    () = store.wait_for_write() => tokio::time::sleep(COLLECT_TIME).await,
                    () = tokio::time::sleep(poll) => {}
                }
            });
            let stopped = loop {
                tokio::select! {
                    biased;
                    _ = &mut stop => break true,
                    Some((due, done)) = deliveries.next() => {
                        if end(&mut in_progress, &due, done) && has_waiting {
                            break false;
                        }
                    }
                    () = &mut pause => break false,
                }
            };
            if stopped {
                break;
            }
        }
        // An interrupted delivery is repeated by the next process.
        drop(deliveries);
        if let Err(error) = store.release_leases(holder).await {
            tracing::warn!(%error, "cannot release leases; they will expire");
        }
    }

    async fn deliver_due(&self, store: &Store, holder: Uuid, due: &Due) -> Result<(), Error> {
        while self.deliver_once(store, holder, due).await? {}
        Ok(())
    }

    /// Makes one delivery. Returns whether there may be more to do.
    async fn deliver_once(&self, store: &Store, holder: Uuid, due: &Due) -> Result<bool, Error> {
        let lease = clock::micros(self.0.times.lease);
        let Some(mut leased) = store.lease(due, holder, lease).await? else { return Ok(false) };
        let now = clock::now();
        let end = leased.end;
        if end <= now {
            self.post_lifecycle(&leased, Lifecycle::SubscriptionRemoved).await?;
            store.remove_ended(&leased, holder).await?;
            return Ok(false);
        }
        let progress = &mut leased.progress;
        if leased.subscription.terms.lifecycle_notification_url.is_some()
            && end - REMINDER_TIME <= now
            && progress.reminded_of != Some(end)
        {
            progress.reminded_of = Some(end);
            // A pending `missed` event is more important.
            if progress.event.is_none() {
                progress.event = Some(Lifecycle::ReauthorizationRequired);
                progress.event_attempts = Attempts { failed: 0, next: now };
            }
        }
        let (more, delivery) = match progress.event {
            Some(event) if progress.event_attempts.next <= now => (true, self.lifecycle(&mut leased, event).await?),
            _ if progress.attempts.next <= now => self.notifications(store, &mut leased).await?,
            _ => (false, None),
        };
        store.end_lease(&leased, holder, delivery).await?;
        Ok(more)
    }

    async fn lifecycle(&self, leased: &mut LeasedSubscription, event: Lifecycle) -> Result<Option<Delivery>, Error> {
        let attempted = clock::now();
        let Some(answer) = self.post_lifecycle(leased, event).await? else {
            leased.progress.event = None;
            return Ok(None);
        };
        let delivery = delivery(attempted, event.name(), leased.progress.event_attempts, &answer, &[]);
        leased.progress.event_attempts =
            match (is_accepted(&answer), self.next_attempts(leased.progress.event_attempts)) {
                (false, Some(next)) => next,
                // Delivered or given up.
                (_, next) => {
                    leased.progress.event = None;
                    next.unwrap_or(leased.progress.event_attempts)
                }
            };
        Ok(Some(delivery))
    }

    /// `None` if there is no URL for lifecycle events.
    async fn post_lifecycle(
        &self,
        leased: &LeasedSubscription,
        event: Lifecycle,
    ) -> Result<Option<Result<u16, CallError>>, Error> {
        let Some(url) = &leased.subscription.terms.lifecycle_notification_url else { return Ok(None) };
        self.post(leased, url, notice::lifecycle_notification(&leased.subscription, event)).await.map(Some)
    }

    async fn notifications(
        &self,
        store: &Store,
        leased: &mut LeasedSubscription,
    ) -> Result<(bool, Option<Delivery>), Error> {
        let batch = store.notices(leased).await?;
        let more = batch.up_to < batch.last;
        let mut notices = batch.notices;
        notices.retain(|notice| leased.subscription.terms.change_types.contains(&notice.change));
        if notices.is_empty() {
            leased.progress.delivered = batch.up_to;
            return Ok((more, None));
        }
        let attempted = clock::now();
        let body = notice::notifications(&leased.subscription, &leased.user, &notices);
        let cause = store.cause(leased.subscription.mailbox, notices.iter().map(|notice| notice.seq));
        let post = self.post(leased, &leased.subscription.terms.notification_url, body);
        let answer = trace::within(cause.map(|cause| cause.for_later_work()), post).await?;
        let progress = &mut leased.progress;
        let delivery = delivery(attempted, "notifications", progress.attempts, &answer, &notices);
        let now = clock::now();
        if is_accepted(&answer) {
            for notice in &notices {
                NOTIFICATION_DELAY.observe(u64::try_from(now - notice.changed_date_time).unwrap_or_default());
            }
            progress.delivered = batch.up_to;
            progress.attempts = Attempts { failed: 0, next: now };
            return Ok((more, Some(delivery)));
        }
        if let Some(next) = self.next_attempts(progress.attempts) {
            progress.attempts = next;
        } else {
            // A subscriber that missed changes has to read everything again anyway.
            NOTIFICATIONS.increment(Notified::Dropped);
            progress.delivered = batch.last;
            progress.attempts = Attempts { failed: 0, next: now };
            progress.event = Some(Lifecycle::Missed);
            progress.event_attempts = Attempts { failed: 0, next: now };
        }
        Ok((false, Some(delivery)))
    }

    /// Returns the status of any answer.
    ///
    /// # Errors
    /// Nothing was sent, because the lease could expire before the answer arrives. Deliveries of another process could then
    /// overtake this one.
    async fn post(
        &self,
        leased: &LeasedSubscription,
        url: &str,
        body: String,
    ) -> Result<Result<u16, CallError>, Error> {
        if clock::now() + clock::micros(self.0.times.answer) > leased.until {
            return Err(Error::unavailable("the database took too long"));
        }
        let since = Since::now();
        let answer = match self.0.poster.read(url) {
            Ok(target) => self.0.poster.post_json(&target, body).await,
            Err(refused) => Err(refused),
        };
        if let Some(current) = trace::current() {
            spans::export_notification(&current, since, answer.as_ref().ok().copied());
            let trace = current.trace.as_ref();
            let (trace_id, span_id) =
                (trace.map(|trace| display(trace.id())), trace.map(|trace| display(trace.span())));
            let (request_id, status) = (display(current.request), answer.as_ref().ok());
            tracing::debug!(request_id, trace_id, span_id, status, "a notification was sent");
        }
        NOTIFICATIONS.increment(match &answer {
            Ok(_) if is_accepted(&answer) => Notified::Taken,
            Ok(_) => Notified::Refused,
            Err(_) => Notified::Failed,
        });
        Ok(answer)
    }

    /// The attempts after one more failure; `None` if it was the last one.
    fn next_attempts(&self, attempts: Attempts) -> Option<Attempts> {
        let wait = usize::try_from(attempts.failed).ok().and_then(|failed| RETRY_DELAYS.get(failed))?;
        Some(Attempts { failed: attempts.failed + 1, next: clock::now() + wait * clock::micros(self.0.times.retry) })
    }
}

/// Ends a delivery. Returns whether there is room for another one now; after an error it is left for the next poll.
fn end(in_progress: &mut HashSet<Due>, due: &Due, done: Result<(), Error>) -> bool {
    in_progress.remove(due);
    done.inspect_err(|error| tracing::debug!(%error, "a delivery is postponed")).is_ok()
}

fn is_accepted(answer: &Result<u16, CallError>) -> bool {
    answer.as_ref().is_ok_and(|status| (200..300).contains(status))
}

fn delivery(
    attempt_date_time: i64,
    about: &str,
    attempts: Attempts,
    answer: &Result<u16, CallError>,
    notices: &[Notice],
) -> Delivery {
    Delivery {
        attempt_date_time,
        about: about.to_owned(),
        attempt: attempts.failed + 1,
        notifications: i64::try_from(notices.len()).unwrap_or_default(),
        changes: notices.first().zip(notices.last()).map(|(first, last)| (first.seq, last.seq)),
        status: answer.as_ref().ok().map(|status| i64::from(*status)),
        error: answer.as_ref().err().map(ToString::to_string),
    }
}
