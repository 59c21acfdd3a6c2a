//! How the writer connects to the database.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::Session;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::statement::Texts;

/// Opens the writer's connections.
#[derive(Clone)]
pub(in crate::store) enum Connector {
    /// Each connection is given the views first (`procedures`).
    Sqlite(Box<SqliteConnectOptions>, Arc<OpenedDatabase>, Texts),
    Postgres(Arc<Cluster>),
}

impl Connector {
    /// Opens a connection for all writes.
    pub(super) async fn connect(&self) -> Result<Session, Error> {
        let mut session = self.connect_unprepared().await?;
        self.prepare(&mut session).await?;
        Ok(session)
    }

    /// Opens a connection that calls none of `procedures` until it is prepared.
    pub(super) async fn connect_unprepared(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite(options, opened, _) => {
                opened.check_paths()?;
                Session::open(options).await
            }
            Self::Postgres(cluster) => cluster.primary(Use::Write).await,
        }
    }

    /// Prepares a new connection for all writes.
    pub(super) async fn prepare(&self, session: &mut Session) -> Result<(), Error> {
        match self {
            Self::Sqlite(_, opened, views) => {
                session.script(views.of_sqlite()).await?;
                opened.record_log()
            }
            Self::Postgres(_) => Ok(()),
        }
    }

    /// The lane of a mailbox.
    pub(in crate::store) fn lane(&self, mailbox: Option<i64>) -> Option<i64> {
        mailbox.filter(|_| matches!(self, Self::Postgres(_)))
    }
}
