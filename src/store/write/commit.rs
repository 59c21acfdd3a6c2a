//! The outcome of a commit, also when the connection is lost during it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::domain::error::Error;
use crate::metrics::list::{COMMIT, LOOKUPS, Lookup};
use crate::store::db::engine::Row;
use crate::store::db::faults;
use crate::store::db::statement::Statement;
use crate::store::write::tx::Tx;

/// Time limit for finding out the outcome of a commit after a lost connection: longer than a fail-over, shorter than client
/// timeouts.
const RESOLVE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(250);

/// A row that proves that the commit of a transaction happened: the last one written of those that never change. Other rows
/// may have been overwritten by another process since. The transaction id was rejected as proof: a promoted standby may reuse
/// an id that it has not replayed.
#[derive(Debug, Clone, Copy)]
pub(super) enum CommitMarker {
    Nothing,
    /// Writes without such a row.
    Untraceable,
    /// An entry of the change log.
    Change {
        mailbox: i64,
        /// `None` if the answer with the number was lost.
        seq: Option<i64>,
        contact: Option<Uuid>,
        time: i64,
    },
    /// An entry of the audit log.
    AuditEntry {
        mailbox: i64,
        id: Uuid,
    },
}

/// The outcome of a commit.
pub(super) enum CommitOutcome {
    /// It happened. The value is the number of the change log entry that proves it, or 0.
    Happened(i64),
    /// It did not happen.
    Undone(Error),
}

/// The result of a procedure.
pub(super) enum ProcedureResult {
    Rows(Vec<Row>),
    /// The answer was lost; this is the last of its numbers.
    UpTo(i64),
}

impl Tx {
    /// Runs a statement as its own transaction. If the connection is lost and the commit did not happen, it is tried again
    /// once.
    pub(super) async fn call_autocommit(&mut self, statement: Statement<'_>) -> Result<ProcedureResult, Error> {
        let mut is_retry = false;
        loop {
            let error = match COMMIT.timed(self.session.rows(statement.clone())).await {
                Ok(rows) => return Ok(ProcedureResult::Rows(rows)),
                Err(error) => error,
            };
            match self.resolve_commit(error).await? {
                CommitOutcome::Happened(number) => return Ok(ProcedureResult::UpTo(number)),
                CommitOutcome::Undone(error) if is_retry || self.is_broken() => return Err(error),
                CommitOutcome::Undone(_) => is_retry = true,
            }
        }
    }

    /// Finds out whether a commit happened that ended in an error.
    ///
    /// Most errors mean that it did not. If a connection to PostgreSQL was lost, the marker is looked up on the current primary,
    /// after the server process of the lost connection has ended.
    ///
    /// # Errors
    /// The error itself if it is internal, and [`Error::Internal`] if the outcome is unknown. It is not
    /// [`Error::Unavailable`], because a client that retries would store its contact twice.
    pub(super) async fn resolve_commit(&mut self, error: Error) -> Result<CommitOutcome, Error> {
        let Error::Unavailable(cause) = error else { return Err(error) };
        let undone = CommitOutcome::Undone(Error::Unavailable(Arc::clone(&cause)));
        if !faults::may_have_committed(&*cause) {
            return Ok(undone);
        }
        let unknown = Error::Internal(Arc::clone(&cause));
        if !self.is_postgres() {
            return Err(self.session.mark_broken(unknown));
        }
        match self.marker {
            CommitMarker::Nothing => return Ok(undone),
            CommitMarker::Untraceable => return Err(self.session.mark_broken(unknown)),
            CommitMarker::Change { .. } | CommitMarker::AuditEntry { .. } => {}
        }
        tracing::warn!(%cause, "the connection was lost during a commit; checking whether it happened");
        let started = Instant::now();
        while started.elapsed() < RESOLVE && !self.closing.load(Ordering::Acquire) {
            match self.find_marker().await {
                Ok(Some(number)) => {
                    LOOKUPS.increment(Lookup::Found);
                    tracing::info!("the commit happened");
                    return Ok(CommitOutcome::Happened(number));
                }
                Ok(None) => {
                    LOOKUPS.increment(Lookup::Absent);
                    tracing::info!("the commit did not happen");
                    return Ok(undone);
                }
                Err(error) => tracing::debug!(%error, "the outcome is not known yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        LOOKUPS.increment(Lookup::Unknown);
        Err(self.session.mark_broken(unknown))
    }

    /// Looks up the marker on a new connection, which replaces the lost one.
    async fn find_marker(&mut self) -> Result<Option<i64>, Error> {
        let mut session = self.connector.connect().await?;
        // The server may still have an unread message of the lost connection.
        session.end_backend(&self.session).await?;
        session.begin(self.mailbox).await?;
        if self.mailbox.is_none() {
            session.execute(Statement::new("select epoch from store where id = 1 for update")).await?;
        }
        let statement = match self.marker {
            CommitMarker::Nothing | CommitMarker::Untraceable => Statement::new("select 0 where false"),
            CommitMarker::Change { mailbox, seq, contact, time } => {
                let text = "
select min(seq) from changes
where mailbox = $1 and (seq = $2 or $2 is null) and (contact_id = $3 or $3 is null) and changed_date_time = $4";
                Statement::new(text).bind(mailbox).bind(seq).bind(contact).bind(time)
            }
            CommitMarker::AuditEntry { mailbox, id } => {
                Statement::new("select min(0::bigint) from audit where mailbox = $1 and id = $2").bind(mailbox).bind(id)
            }
        };
        let found = session.row(statement).await?.map_or(Ok(None), |row| row.get(0))?;
        // The row lock made this a writing transaction, so its commit waits for a synchronous standby, which then has the change.
        session.execute(Statement::new("commit")).await?;
        self.session = session;
        Ok(found)
    }
}
