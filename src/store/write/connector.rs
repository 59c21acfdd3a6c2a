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
    pub(super) async fn connect(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite(options, opened, views) => {
                opened.check_paths()?;
                let mut session = Session::open(options).await?;
                session.script(views.of_sqlite()).await?;
                opened.record_log()?;
                Ok(session)
            }
            Self::Postgres(cluster) => cluster.primary(Use::Write).await,
        }
    }

    /// The lane of a mailbox.
    pub(in crate::store) fn lane(&self, mailbox: Option<i64>) -> Option<i64> {
        mailbox.filter(|_| matches!(self, Self::Postgres(_)))
    }
}
