//! A second connection to a SQLite file, for writes that need other settings than the writer's connection.

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::write::connector::Connector;
use crate::store::write::tx::Tx;

impl Tx {
    /// A connection without checks of foreign keys, so that whole tables are emptied and filled at once. It is for a job that
    /// is alone in its batch and writes nothing through the writer's connection. `None` on PostgreSQL, and if the job shares
    /// its transaction with others.
    pub(in crate::store) async fn bulk_session(&self) -> Result<Option<Session>, Error> {
        match &self.connector {
            Connector::Sqlite(options, opened, _) if self.is_autocommit() => {
                opened.check_paths()?;
                Session::open(&options.as_ref().clone().foreign_keys(false)).await.map(Some)
            }
            Connector::Sqlite(..) | Connector::Postgres(_) => Ok(None),
        }
    }
}
