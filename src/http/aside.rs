//! Work that may take longer than the event loop may stand still: on threads of its own, as many at once as there are
//! processors, so that it takes no more of them than the loops do. What waits, waits for its turn; each piece is bounded by
//! the limits of what a client may send.

use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::error::Error;

/// How many bytes are read or packed on the event loop itself: less than a millisecond's work.
pub(crate) const SHORT: usize = 64 << 10;

static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))));

/// The right to work on a thread, until the work is done.
pub(crate) struct Turn(OwnedSemaphorePermit);

/// Does `work` when its turn comes.
///
/// # Errors
/// [`Error::Internal`] where it panics.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    Turn::wait().await?.work(work).await
}

impl Turn {
    /// Waits for a turn.
    ///
    /// # Errors
    /// None: there are turns for ever.
    pub(crate) async fn wait() -> Result<Self, Error> {
        Arc::clone(&TURNS).acquire_owned().await.map(Self).map_err(Error::internal)
    }

    /// A turn, if there is one now.
    pub(crate) fn now() -> Option<Self> {
        Arc::clone(&TURNS).try_acquire_owned().ok().map(Self)
    }

    /// Does `work`. The turn is given back when that is done, even if nobody waits for it any more.
    ///
    /// # Errors
    /// [`Error::Internal`] where it panics.
    pub(crate) async fn work<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let Self(turn) = self;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}
