//! A connection that is leased to a read. Whoever reads may be done with a transaction open, or go away in the middle of a
//! statement, which then still runs: the turn ends, and the connection is another's, when that has ended too.

use deadpool::managed::Object;
use tokio::runtime::Handle;

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::readers::Connections;
use crate::store::db::turns::Turn;

/// A connection, and the turn at it.
pub(in crate::store) struct LeasedSession {
    /// There is one until this is dropped.
    of: Option<PooledSession>,
    turn: Turn,
}

/// Whose it is.
pub(in crate::store) enum PooledSession {
    Sqlite(Session),
    Postgres(Object<Connections>),
}

impl PooledSession {
    fn session(&mut self) -> &mut Session {
        match self {
            Self::Sqlite(session) => session,
            Self::Postgres(object) => object,
        }
    }
}

impl LeasedSession {
    pub(in crate::store) fn new(of: PooledSession, turn: Turn) -> Self {
        Self { of: Some(of), turn }
    }

    /// The connection.
    ///
    /// # Errors
    /// None while it is leased.
    pub(in crate::store) fn session(&mut self) -> Result<&mut Session, Error> {
        self.of.as_mut().map(PooledSession::session).ok_or_else(|| Error::internal("the connection was given back"))
    }
}

impl Drop for LeasedSession {
    fn drop(&mut self) {
        let Some(mut of) = self.of.take() else { return };
        // Without a runtime there is nobody left to whom it could matter.
        if of.session().needs_reset()
            && let Ok(runtime) = Handle::try_current()
        {
            let turn = std::mem::take(&mut self.turn);
            runtime.spawn(async move {
                // A connection that fails is not used again.
                let _ = of.session().reset().await;
                drop((of, turn));
            });
        }
    }
}
