//! A connection of the store's own for health and readiness. Clients' reads cannot use it up.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::{self, Session};
use crate::store::db::faults;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::statement::Statement;

/// Time limit for each statement.
const TIME: Duration = Duration::from_secs(1);
/// Time limit for a turn on the connection.
const WAIT: Duration = Duration::from_secs(5);

/// The connection, opened when first needed.
pub(in crate::store) struct ProbeConnection {
    target: ProbeTarget,
    session: Mutex<Option<Session>>,
    /// The time of the last count of rows.
    counted: std::sync::Mutex<Option<Instant>>,
}

/// The database that it connects to.
enum ProbeTarget {
    File(Arc<OpenedDatabase>),
    Cluster(Arc<Cluster>),
}

impl ProbeConnection {
    pub(in crate::store) fn file(opened: Arc<OpenedDatabase>) -> Self {
        Self { target: ProbeTarget::File(opened), session: Mutex::default(), counted: std::sync::Mutex::default() }
    }

    pub(in crate::store) fn cluster(cluster: Arc<Cluster>) -> Self {
        Self { target: ProbeTarget::Cluster(cluster), session: Mutex::default(), counted: std::sync::Mutex::default() }
    }

    /// Whether the last count of rows is older than this. The next call then returns false.
    pub(in crate::store) fn is_due(&self, now: Instant, every: Duration) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = counted.is_none_or(|last| now.saturating_duration_since(last) >= every);
        if is_due {
            *counted = Some(now);
        }
        is_due
    }

    /// Reads from the file, or from the server that accepts writes now. It is repeated once if the connection was lost.
    ///
    /// # Errors
    /// Those of `work`; [`Error::Unavailable`] if the database cannot be reached in time.
    pub(in crate::store) async fn read<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let late = |_| Error::unavailable("the database does not respond");
        let mut slot = tokio::time::timeout(WAIT, self.session.lock()).await.map_err(late)?;
        let was_open = slot.is_some();
        let mut session = match slot.take() {
            Some(session) if self.is_usable(&session) => session,
            _ => self.connect().await?,
        };
        let mut done = self.ask(&mut session, &work).await;
        if was_open && session.broken().is_some_and(faults::is_lost) {
            session = self.connect().await?;
            done = self.ask(&mut session, &work).await;
        }
        if done.is_ok() {
            *slot = Some(session);
        }
        done
    }

    async fn ask<T>(
        &self,
        session: &mut Session,
        work: &impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        session.restart();
        if let ProbeTarget::Cluster(_) = self.target {
            let standby: bool = session.single_row(Statement::new("select pg_is_in_recovery()")).await?.get(0)?;
            if standby {
                return Err(session.mark_broken(Error::unavailable("the server does not accept writes")));
            }
        }
        work(session).await
    }

    async fn connect(&self) -> Result<Session, Error> {
        match &self.target {
            ProbeTarget::File(opened) => {
                opened.check_paths()?;
                let mut session = Session::open(&engine::sqlite_options_as_is(opened.path())).await?;
                session.script("pragma query_only = on").await?;
                session.set_time_limit(TIME).await?;
                Ok(session)
            }
            ProbeTarget::Cluster(cluster) => cluster.primary(Use::Read(TIME)).await,
        }
    }

    fn is_usable(&self, session: &Session) -> bool {
        match &self.target {
            ProbeTarget::File(_) => true,
            ProbeTarget::Cluster(cluster) => cluster.is_current(session) && !session.is_idle_too_long(),
        }
    }

    /// Closes the connection.
    pub(in crate::store) async fn close(&self) {
        if let Ok(mut slot) = tokio::time::timeout(WAIT, self.session.lock()).await
            && let Some(session) = slot.take()
        {
            session.close().await;
        }
    }
}
