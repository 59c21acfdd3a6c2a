//! A second connection to a SQLite file, for a write that the writer's own connection is not fit for.

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::write::connector::Connector;
use crate::store::write::tx::Tx;

impl Tx {
    /// A connection that does not look after references between tables, so that whole tables are emptied and filled at once.
    /// It belongs to a job that has the writer to itself and writes nothing by the writer's own connection. `None` on
    /// PostgreSQL, and where the job shares its transaction with others.
    pub(in crate::store) async fn beside(&self) -> Result<Option<Session>, Error> {
        match &self.connector {
            Connector::Sqlite(options, opened, _) if self.is_autocommit() => {
                opened.look()?;
                Session::open(&options.as_ref().clone().foreign_keys(false)).await.map(Some)
            }
            Connector::Sqlite(..) | Connector::Postgres(_) => Ok(None),
        }
    }
}
