//! `GET /healthz`: whether a row can be read. Concurrent requests share one check.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::domain::error::Error;

/// The last check, and the requests that it answers.
pub(crate) struct Health {
    requests: AtomicU64,
    /// The number of the last request that the check answers, and the outcome of the check.
    last: Mutex<(u64, Result<(), Error>)>,
}

impl Default for Health {
    fn default() -> Self {
        Self { requests: AtomicU64::new(0), last: Mutex::new((0, Ok(()))) }
    }
}

impl Health {
    /// The outcome of a `read` that began after this request.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) async fn check(&self, read: impl AsyncFnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last = self.last.lock().await;
        if last.0 < number {
            let requests = self.requests.load(Ordering::Relaxed);
            *last = (requests, read().await);
        }
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn requests_during_a_check_share_the_next_one() {
        let (health, checks) = (Health::default(), Cell::new(0));
        let read = async || {
            checks.set(checks.get() + 1);
            let number = checks.get();
            tokio::task::yield_now().await;
            if number == 2 { Err(Error::unavailable("the check failed")) } else { Ok(()) }
        };
        let answers = join_all((0..100).map(|_| health.check(read))).await;
        // The first check began before the other requests.
        assert_eq!(checks.get(), 2);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(health.check(read).await.is_ok());
        assert_eq!(checks.get(), 3);
    }
}
