//! Sessions that are leased to reads. A read may leave a transaction open, or be dropped while a statement still runs. The
//! turn ends, and the connection is reused, when that has ended too.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, RecycleError, RecycleResult};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Handle;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::Session;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::turns::Turn;

/// A session for one read, and its turn.
pub(in crate::store) struct LeasedSession {
    /// `None` only while this is dropped.
    object: Option<Object<ConnectionFactory>>,
    turn: Turn,
}

impl LeasedSession {
    /// Its time limit starts now.
    pub(in crate::store) fn new(mut object: Object<ConnectionFactory>, turn: Turn) -> Self {
        object.restart();
        Self { object: Some(object), turn }
    }

    /// The session.
    ///
    /// # Errors
    /// None until this is dropped.
    pub(in crate::store) fn session(&mut self) -> Result<&mut Session, Error> {
        self.object.as_deref_mut().ok_or_else(|| Error::internal("the connection was given back"))
    }
}

impl Drop for LeasedSession {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        // Without a runtime the program is ending, and no other read needs the connection.
        if object.needs_reset()
            && let Ok(runtime) = Handle::try_current()
        {
            let turn = std::mem::take(&mut self.turn);
            runtime.spawn(async move {
                // A connection that fails is not used again.
                let _ = object.reset().await;
                drop((object, turn));
            });
        }
    }
}

/// Creates the connections of a pool; the duration is the time limit for a read.
pub(in crate::store) enum ConnectionFactory {
    Sqlite(Box<SqliteConnectOptions>, Arc<OpenedDatabase>, Duration),
    Primary(Arc<Cluster>, Duration),
    Standby(Cluster, Duration),
}

impl Manager for ConnectionFactory {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite(options, opened, time) => {
                // The path may name another file by now.
                opened.check_paths()?;
                Session::reader(options, *time).await
            }
            Self::Primary(cluster, time) => cluster.primary(Use::Read(*time)).await,
            Self::Standby(cluster, time) => cluster.standby(*time).await,
        }
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        // A server's connection is not used after any error: its cached state, for instance of an older schema, may be wrong.
        let is_stale = match self {
            Self::Sqlite(..) => false,
            Self::Primary(cluster, _) => {
                session.is_aborted() || session.is_idle_too_long() || !cluster.is_current(session)
            }
            Self::Standby(..) => session.is_aborted() || session.is_idle_too_long(),
        };
        if session.broken().is_some() || is_stale {
            return Err(RecycleError::message("it is stale"));
        }
        Ok(())
    }
}
