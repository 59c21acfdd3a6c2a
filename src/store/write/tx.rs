//! The transaction of a batch of writes. It begins when it is first needed, and each job can be undone on its own. What
//! happens when a commit fails is in `commit`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use uuid::Uuid;

use crate::clock::{self, IdOwner};
use crate::domain::error::Error;
use crate::metrics::list::COMMIT;
use crate::store::db::engine::Session;
use crate::store::db::faults;
use crate::store::db::statement::Statement;
use crate::store::write::call::{MailboxRoom, ProcedureCall};
use crate::store::write::commit::{CommitMarker, CommitOutcome, ProcedureResult};
use crate::store::write::connector::Connector;

/// The transaction of a write, and the time of everything that it writes.
#[expect(clippy::struct_excessive_bools, reason = "these are independent facts, not one state")]
pub(in crate::store) struct Tx {
    pub(super) session: Session,
    pub(super) connector: Connector,
    /// The mailbox of all writes in the transaction, if each mailbox has a lane.
    pub(super) mailbox: Option<i64>,
    now: i64,
    /// The transaction is open.
    begun: bool,
    /// The batch has one job.
    single_job: bool,
    /// The savepoint `job` is open.
    savepoint: bool,
    /// The current job has written outside a savepoint, so it cannot be undone separately.
    unprotected: bool,
    /// A job failed with an internal error: the state of the connection, for instance a cached schema, may be wrong.
    reconnect: bool,
    /// Proof of the writes so far.
    pub(super) marker: CommitMarker,
    /// The same at the time of the savepoint.
    marker_before: CommitMarker,
    /// The id of the item that the current job has created, for the audit log.
    created: Option<String>,
    /// The last change that the current job has made: the mailbox and the number.
    changed: Option<(i64, i64)>,
    /// The store is closing, so waits are cut short.
    pub(super) closing: Arc<AtomicBool>,
    /// How much a mailbox may hold.
    limits: MailboxRoom,
}

impl Tx {
    /// Opens a connection for writing.
    pub(in crate::store) async fn connect(
        connector: &Connector,
        closing: &Arc<AtomicBool>,
        limits: MailboxRoom,
    ) -> Result<Self, Error> {
        Ok(Self::on(connector.connect().await?, connector, closing, limits))
    }

    /// Uses a connection.
    pub(in crate::store) fn on(
        session: Session,
        connector: &Connector,
        closing: &Arc<AtomicBool>,
        limits: MailboxRoom,
    ) -> Self {
        Self {
            session,
            connector: connector.clone(),
            mailbox: None,
            now: 0,
            begun: false,
            single_job: false,
            savepoint: false,
            unprotected: false,
            reconnect: false,
            marker: CommitMarker::Nothing,
            marker_before: CommitMarker::Nothing,
            created: None,
            changed: None,
            closing: Arc::clone(closing),
            limits,
        }
    }

    /// Prepares for a batch of jobs of one lane.
    pub(in crate::store) fn begin_batch(&mut self, mailbox: Option<i64>, jobs: usize) {
        self.mailbox = mailbox;
        self.single_job = jobs == 1;
        self.marker = CommitMarker::Nothing;
    }

    /// Prepares for the next job of the batch.
    pub(in crate::store) fn begin_job(&mut self) {
        self.now = clock::now_of_write();
        self.unprotected = false;
        self.created = None;
        self.changed = None;
    }

    /// How much a mailbox may hold.
    pub(in crate::store) fn limits(&self) -> MailboxRoom {
        self.limits
    }

    /// The time of this write, UTC microseconds.
    pub(in crate::store) fn now(&self) -> i64 {
        self.now
    }

    /// The number of a new mailbox, if `last` is the greatest one. On PostgreSQL it is the time, so that no number is used
    /// twice: a process may still cache a user that a fail-over or a restored backup has removed.
    pub(in crate::store) fn new_mailbox(&self, last: i64) -> i64 {
        if self.is_postgres() { self.now.max(last + 1) } else { last + 1 }
    }

    /// A new id of something in a mailbox. Ids are in the order of writes.
    pub(in crate::store) fn new_id(mailbox: i64) -> Uuid {
        clock::new_id(IdOwner::Mailbox(mailbox))
    }
    /// A new id of what no client sees.
    pub(in crate::store) fn internal_id() -> Uuid {
        clock::new_id(IdOwner::Nobody)
    }

    /// Whether this is PostgreSQL, where each mailbox has a lane.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        self.session.is_postgres()
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.begun {
            return Ok(());
        }
        match self.session.begin(self.mailbox).await {
            // The connection was lost while idle, and nothing was done yet.
            Err(error) if self.is_postgres() && faults::is_lost(&error) => {
                self.session = self.connector.connect().await?;
                self.session.begin(self.mailbox).await?;
            }
            begun => begun?,
        }
        self.begun = true;
        Ok(())
    }

    /// The open transaction, for reads. What they see stays true until the commit.
    pub(in crate::store) async fn reader(&mut self) -> Result<&mut Session, Error> {
        self.begin().await?;
        // On PostgreSQL even a failing read aborts the transaction of all jobs.
        if self.is_postgres() && !self.single_job {
            self.open_savepoint().await?;
        }
        Ok(&mut self.session)
    }

    /// Opens the savepoint of the job, if it is not open.
    pub(in crate::store) async fn open_savepoint(&mut self) -> Result<(), Error> {
        self.begin().await?;
        if !self.savepoint {
            self.session.execute(Statement::new("savepoint job")).await?;
            self.savepoint = true;
            self.marker_before = self.marker;
        }
        Ok(())
    }

    /// Whether the next statement is its own transaction: the batch has one job, which has done nothing yet.
    pub(in crate::store) fn is_autocommit(&self) -> bool {
        self.single_job && !self.begun
    }

    /// Runs a statement that changes something.
    pub(in crate::store) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        self.open_savepoint().await?;
        self.record_write();
        self.session.execute(statement).await
    }

    fn record_write(&mut self) {
        if matches!(self.marker, CommitMarker::Nothing) {
            self.marker = CommitMarker::Untraceable;
        }
    }

    /// Writes an additional row, such as an audit entry. It fails only if the database does; then the whole batch fails, so it
    /// needs no savepoint.
    pub(in crate::store) async fn execute_extra(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        self.reader().await?.execute(statement).await?;
        self.record_write();
        self.unprotected |= !self.savepoint;
        Ok(())
    }

    /// Records the id of the item or user that the job creates or is about, for the audit log.
    pub(in crate::store) fn set_created(&mut self, id: String) {
        self.created = Some(id);
    }

    /// The id that was recorded.
    pub(in crate::store) fn created(&self) -> Option<&str> {
        self.created.as_deref()
    }

    /// Calls one of `procedures` and returns a change number for each contact. It is one statement, so it is atomic without a
    /// savepoint, and also without a transaction if the batch does nothing else.
    pub(in crate::store) async fn call_procedure(
        &mut self,
        ProcedureCall { statement, mailbox, last, count }: ProcedureCall<'_>,
    ) -> Result<Vec<i64>, Error> {
        let rows = if self.is_autocommit() {
            self.mark_change(mailbox, None, Some(last));
            match self.call_autocommit(statement).await? {
                ProcedureResult::Rows(rows) => rows,
                ProcedureResult::UpTo(number) => {
                    let count = i64::try_from(count).unwrap_or_default();
                    return Ok((number - count + 1..=number).collect());
                }
            }
        } else {
            self.reader().await?.rows(statement).await?
        };
        let numbers = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<i64>, _>>()?;
        if numbers.len() != count {
            return Err(Error::internal("not every contact was written"));
        }
        self.mark_change(mailbox, numbers.last().copied(), Some(last));
        self.unprotected |= !self.savepoint;
        Ok(numbers)
    }

    /// Records a change log entry of this transaction as proof of its commit.
    pub(in crate::store) fn mark_change(&mut self, mailbox: i64, seq: Option<i64>, contact: Option<Uuid>) {
        self.marker = CommitMarker::Change { mailbox, seq, contact, time: self.now };
        self.changed = seq.map(|seq| (mailbox, seq)).or(self.changed);
    }

    /// The last change that the current job has made: the mailbox and the number.
    pub(in crate::store) fn changed(&self) -> Option<(i64, i64)> {
        self.changed
    }

    /// Records an audit log entry of this transaction as proof of its commit.
    pub(in crate::store) fn mark_audit_entry(&mut self, mailbox: i64, id: Uuid) {
        self.marker = CommitMarker::AuditEntry { mailbox, id };
    }

    /// The error after which the transaction may have ended, so that nothing more can be done in it.
    pub(in crate::store) fn broken(&self) -> Option<&Error> {
        self.session.broken()
    }

    /// Whether the transaction may have ended.
    pub(in crate::store) fn is_broken(&self) -> bool {
        self.broken().is_some()
    }

    /// Rolls back to the savepoint, if it is open. An error means that the transaction has ended.
    pub(in crate::store) async fn undo(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint) {
            if let Err(error) = self.session.undo_to_savepoint().await {
                return Err(self.session.mark_broken(Error::unavailable(error)));
            }
            self.marker = self.marker_before;
        }
        Ok(())
    }

    /// Releases the savepoint, if it is open.
    pub(in crate::store) async fn keep(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint)
            && let Err(error) = self.session.execute(Statement::new("release savepoint job")).await
        {
            return Err(self.session.mark_broken(Error::unavailable(error)));
        }
        Ok(())
    }

    /// Ends a job: keeps or undoes its writes. An error means that the transaction may have ended: the database failed, and it is
    /// not known which of its errors end a transaction.
    pub(in crate::store) async fn finish_job(&mut self, failed: Option<&Error>) -> Result<(), Error> {
        self.reconnect |= matches!(failed, Some(Error::Internal(_)));
        if let Some(error) = self.session.broken() {
            // Even if the job has handled the error.
            return Err(error.clone());
        }
        match failed {
            // A batch without another job is rolled back.
            Some(_) if self.unprotected && !self.single_job => {
                Err(Error::internal("a job failed after it had written"))
            }
            Some(_) => self.undo().await,
            None if self.session.is_aborted() && self.begun => Err(Error::internal("a job went on after a failure")),
            None => self.keep().await,
        }
    }

    /// Rolls the transaction back, if one was begun.
    pub(in crate::store) async fn roll_back(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        self.session.execute(Statement::new("rollback")).await
    }

    /// Commits the transaction, if one was begun.
    pub(in crate::store) async fn commit(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        let committing = self.session.execute(Statement::new("commit"));
        match COMMIT.timed(committing).await {
            Ok(()) => Ok(()),
            Err(error) => match self.resolve_commit(error).await? {
                CommitOutcome::Happened(_) => Ok(()),
                CommitOutcome::Undone(error) => Err(error),
            },
        }
    }

    /// Whether the connection can be reused.
    pub(in crate::store) fn is_reusable(&self) -> bool {
        !self.reconnect && !self.is_broken()
    }

    /// Whether the idle connection should be replaced: it is too old, or to a former primary.
    pub(in crate::store) fn is_stale(&self) -> bool {
        match &self.connector {
            Connector::Sqlite(..) => false,
            Connector::Postgres(cluster) => !cluster.is_current(&self.session) || self.session.is_idle_too_long(),
        }
    }

    /// Checks that writes go to the files that the paths name.
    ///
    /// # Errors
    /// [`Error::Unavailable`]
    pub(in crate::store) fn check_files(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened, _) => opened.check_paths(),
            Connector::Postgres(_) => Ok(()),
        }
    }

    /// The same check after a commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the write is certainly lost, [`Error::Internal`] if its file may be put back.
    pub(in crate::store) fn check_files_again(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened, _) => opened.check_paths().map_err(|error| match error {
                Error::Unavailable(cause) if !opened.is_lost() => Error::Internal(cause),
                error => error,
            }),
            Connector::Postgres(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn close(self) {
        if let Connector::Sqlite(_, opened, _) = &self.connector {
            opened.expect_no_log();
        }
        self.session.close().await;
    }
}
