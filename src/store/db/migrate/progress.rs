//! Logs the progress of an upgrade.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

/// Interval between log lines of a long step.
const EVERY: Duration = Duration::from_secs(5);

/// The current step of an upgrade.
#[derive(Debug, Default)]
pub(in crate::store) struct Progress {
    step: Mutex<String>,
    rows: AtomicU64,
}

impl Progress {
    /// Begins the next step.
    pub(in crate::store) fn begin(&self, step: &str) {
        step.clone_into(&mut self.step.lock().unwrap_or_else(PoisonError::into_inner));
        self.rows.store(0, Ordering::Relaxed);
    }

    /// Adds finished rows.
    pub(in crate::store) fn add(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Does some work, and logs the progress every few seconds.
    pub(in crate::store) async fn log_while<T>(&self, work: impl Future<Output = T>) -> T {
        self.log_every(EVERY, work, |step, rows, seconds| {
            tracing::info!(step, rows, seconds, "still upgrading the schema");
        })
        .await
    }

    async fn log_every<T>(&self, every: Duration, work: impl Future<Output = T>, log: impl Fn(&str, u64, u64)) -> T {
        let begun = Instant::now();
        let mut work = pin!(work);
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first comes at once.
        tick.tick().await;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = tick.tick() => {
                    let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    log(&step, self.rows.load(Ordering::Relaxed), begun.elapsed().as_secs());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[actix_web::test]
    async fn long_work_reports_its_step_and_rows() {
        let progress = Progress::default();
        let (log, logged) = oneshot::channel();
        let log = Mutex::new(Some(log));
        progress.begin("names");
        progress.add(7);
        let note = |step: &str, rows, _| {
            if let Some(log) = log.lock().unwrap().take() {
                let _ = log.send((step.to_owned(), rows));
            }
        };
        let done = progress.log_every(Duration::from_millis(1), logged, note).await;
        assert_eq!(done.unwrap(), ("names".to_owned(), 7));
    }
}
