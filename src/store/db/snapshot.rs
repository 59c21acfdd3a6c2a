//! Several reads of one snapshot.

use tokio::sync::Mutex;

use crate::clock;
use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::faults;
use crate::store::db::leased::LeasedSession;
use crate::store::tables::rights::{self, AccessKind};

/// The session whose transaction is the snapshot.
pub(in crate::store) struct Snapshot(pub(in crate::store) Mutex<LeasedSession>);

impl Store {
    /// Runs several reads in one snapshot and one turn for expensive reads. `work` gets a store that can only read.
    ///
    /// # Errors
    /// Those of `work` and of [`Store::check_access`], and [`Error::Unavailable`] if no turn comes in time.
    pub async fn in_snapshot<T>(
        &self,
        mailbox: i64,
        work: impl AsyncFn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut is_retry = false;
        loop {
            let leased = self.shared.readers.acquire(self.expensive(Some(mailbox))).await?;
            let snapshot = std::sync::Arc::new(Snapshot(Mutex::new(leased)));
            let store = Self { snapshot: Some(std::sync::Arc::clone(&snapshot)), ..self.clone() };
            let done = match self.begin(&snapshot).await {
                Ok(()) => work(&store).await,
                Err(error) => Err(error),
            };
            let is_lost = snapshot.0.lock().await.session()?.broken().is_some_and(faults::is_lost);
            if is_retry || !is_lost {
                return done;
            }
            // The connection was stale. Reads can be repeated.
            self.shared.readers.forget();
            is_retry = true;
        }
    }

    /// Gives a snapshot the whole time limit of a read again. Its reads may together take as long as their caller does.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn restart_time_limit(&self) -> Result<(), Error> {
        if let Some(snapshot) = &self.snapshot {
            snapshot.0.lock().await.session()?.restart_time_limit();
        }
        Ok(())
    }

    async fn begin(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut leased = snapshot.0.lock().await;
        let session = leased.session()?;
        session.begin_snapshot().await?;
        match self.actor.as_deref() {
            Some(actor) => rights::check(session, actor, AccessKind::Read, clock::now()).await,
            None => Ok(()),
        }
    }
}
