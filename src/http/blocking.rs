//! Work that would block the event loop for too long, on blocking threads. At most as many run at once as there are
//! processors; others wait. The limits on requests bound each piece of work.

use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock;
use crate::domain::error::Error;

/// Bytes that are parsed or compressed on the event loop itself, which takes less than a millisecond.
pub(crate) const SHORT: usize = 64 << 10;

static PERMITS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))));

/// A permit to work on a blocking thread.
pub(crate) struct BlockingPermit(OwnedSemaphorePermit);

/// Waits for a turn and runs `work`.
///
/// # Errors
/// [`Error::Internal`] if it panics.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    BlockingPermit::acquire().await?.run(work).await
}

impl BlockingPermit {
    /// Waits for a turn.
    ///
    /// # Errors
    /// None: the semaphore is never closed.
    pub(crate) async fn acquire() -> Result<Self, Error> {
        Arc::clone(&PERMITS).acquire_owned().await.map(Self).map_err(Error::internal)
    }

    /// A turn, if one is free.
    pub(crate) fn try_acquire() -> Option<Self> {
        Arc::clone(&PERMITS).try_acquire_owned().ok().map(Self)
    }

    /// Does `work`. The turn is returned when the work ends, even if the caller was dropped.
    ///
    /// # Errors
    /// [`Error::Internal`] if it panics.
    pub(crate) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let Self(turn) = self;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(clock::inherited(work)).await.map_err(Error::internal)
    }
}
