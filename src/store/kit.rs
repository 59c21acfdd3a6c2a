//! Queries of the control plane for tests.

use crate::clock;
use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;
use crate::store::jobs::leases;
use crate::store::{Store, StoreLocation};

/// Numbers of items that a change of the clock affects.
pub(crate) struct Standing {
    /// Contacts in the trash, and those that are due for the purge.
    pub(crate) deleted: i64,
    /// Tokens that expire.
    pub(crate) expiring: i64,
    pub(crate) subscriptions: i64,
}

impl Store {
    /// The number of users, and of contacts that are not deleted.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn totals(&self) -> Result<(i64, i64), Error> {
        let count = async |session: &mut Session| {
            let statement = Statement::per_engine(
                "select (select count(*) from users), (select coalesce(sum(contacts), 0) from folders where emptying is null)",
                "select (select count(*) from users), (
    select coalesce(sum(contacts), 0)::bigint from folders where emptying is null)",
            );
            session.single_row(statement).await
        };
        let row = self.read_essential(count).await?;
        Ok((row.get(0)?, row.get(1)?))
    }

    /// Whether a mailbox has contacts that are not deleted.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn has_contacts(&self, mailbox: i64) -> Result<bool, Error> {
        let text = "select count(*) from contacts where mailbox = $1 and deleted_date_time is null";
        let count = async |session: &mut Session| session.count(Statement::new(text).bind(mailbox)).await;
        Ok(self.read_essential(count).await? > 0)
    }

    /// The items that a change of the clock from `now` to `then` affects.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn standing(&self, now: i64, then: i64) -> Result<Standing, Error> {
        let text = "
select (select count(*) from contacts where deleted_date_time is not null),
    (select count(*) from tokens where revoked_date_time is null and expiration_date_time > $1 and expiration_date_time <= $2),
    (select count(*) from subscriptions)";
        let read = async |session: &mut Session| session.single_row(Statement::new(text).bind(now).bind(then)).await;
        let row = self.read_essential(read).await?;
        Ok(Standing { deleted: row.get(0)?, expiring: row.get(1)?, subscriptions: row.get(2)? })
    }

    /// The number of subscriptions with notifications that are due now, or being delivered.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn undelivered(&self) -> Result<i64, Error> {
        let text = "select count(*) from subscriptions where coalesce(lease_until_date_time, 0) > $1";
        let read = async |session: &mut Session| {
            // One that is leased between the two counts would be in neither.
            session.begin_snapshot().await?;
            let leased = session.count(Statement::new(text).bind(clock::now())).await?;
            // 0: reminders that are due soon are not included.
            let due = leases::due(session, 0).await?.len();
            Ok(leased + i64::try_from(due).unwrap_or(i64::MAX))
        };
        self.read_essential(read).await
    }

    /// Starts the search for due notifications at once.
    pub(crate) fn wake(&self) {
        self.shared.written.notify_one();
    }

    /// The name of the engine.
    pub(crate) fn engine(&self) -> &'static str {
        match self.shared.location {
            StoreLocation::File(_) => "sqlite",
            StoreLocation::Cluster(_) => "postgres",
        }
    }
}
