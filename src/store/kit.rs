//! What the kit for tests asks of the store.

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;
use crate::store::{Store, StoreLocation};

impl Store {
    /// The number of users, and of contacts that are not deleted.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn totals(&self) -> Result<(i64, i64), Error> {
        let text =
            "select (select count(*) from users), (select count(*) from contacts where deleted_date_time is null)";
        let count = async |session: &mut Session| session.one(Statement::new(text)).await;
        let row = self.read_vital(count).await?;
        Ok((row.get(0)?, row.get(1)?))
    }

    /// The name of the engine.
    pub(crate) fn engine(&self) -> &'static str {
        match self.shared.location {
            StoreLocation::File(_) => "sqlite",
            StoreLocation::Cluster(_) => "postgres",
        }
    }
}
