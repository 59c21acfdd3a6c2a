//! The transaction of a batch of writes: begun when first needed, undone job by job, with a known outcome of the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use crate::clock::{self, IdOwner};
use crate::domain::error::Error;
use crate::metrics::list::{COMMIT, LOOKUPS, Lookup};
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::{Row, Session};
use crate::store::db::faults;
use crate::store::db::opened::Opened;
use crate::store::db::statement::{Statement, Texts};
use crate::store::write::call::{MailboxRoom, ProcedureCall};

/// Time limit for finding out the outcome of a commit after a lost connection: longer than a fail-over, shorter than client
/// timeouts.
const RESOLVE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(250);

/// Opens the writer's connections.
#[derive(Clone)]
pub(in crate::store) enum Connector {
    /// Each connection is given the views first (`procedures`).
    Sqlite(Box<SqliteConnectOptions>, Arc<Opened>, Texts),
    Postgres(Arc<Cluster>),
}

impl Connector {
    async fn connect(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite(options, opened, views) => {
                opened.look()?;
                let mut session = Session::open(options).await?;
                session.script(views.of_sqlite()).await?;
                opened.has_log()?;
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

/// The transaction of a write, and the time of everything that it writes.
#[expect(clippy::struct_excessive_bools, reason = "these are independent facts, not one state")]
pub(in crate::store) struct Tx {
    session: Session,
    connector: Connector,
    /// The mailbox of all writes in the transaction, if each mailbox has a lane.
    mailbox: Option<i64>,
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
    marker: CommitMarker,
    /// The same at the time of the savepoint.
    marker_before: CommitMarker,
    /// The id of the item that the current job has created, for the audit log.
    created: Option<String>,
    /// The store is closing, so waits are cut short.
    closing: Arc<AtomicBool>,
    /// How much a mailbox may hold.
    limits: MailboxRoom,
}

/// A row that proves that the commit of a transaction happened.
/// It is the last row written that is never changed. Other rows may have been overwritten by another process since. The
/// transaction id was rejected as proof: a promoted standby may reuse an id that it has not replayed.
#[derive(Debug, Clone, Copy)]
enum CommitMarker {
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
enum CommitOutcome {
    /// It happened. The value is the number of the change log entry that proves it, or 0.
    Happened(i64),
    /// It did not happen.
    Undone(Error),
}

/// The result of a procedure.
enum Called {
    Rows(Vec<Row>),
    /// The answer was lost; this is the last of its numbers.
    UpTo(i64),
}

impl Tx {
    /// Opens a connection for writing.
    pub(in crate::store) async fn connect(
        connector: &Connector,
        closing: &Arc<AtomicBool>,
        limits: MailboxRoom,
    ) -> Result<Self, Error> {
        Ok(Self {
            session: connector.connect().await?,
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
            closing: Arc::clone(closing),
            limits,
        })
    }

    /// Prepares for a batch of jobs of one lane.
    pub(in crate::store) fn next_batch(&mut self, mailbox: Option<i64>, jobs: usize) {
        self.mailbox = mailbox;
        self.single_job = jobs == 1;
        self.marker = CommitMarker::Nothing;
    }

    /// Prepares for the next job of the batch.
    pub(in crate::store) fn next_job(&mut self) {
        self.now = clock::now_of_write();
        self.unprotected = false;
        self.created = None;
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
    pub(in crate::store) fn own_id() -> Uuid {
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
    pub(in crate::store) async fn reading(&mut self) -> Result<&mut Session, Error> {
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
        self.has_written();
        self.session.execute(statement).await
    }

    fn has_written(&mut self) {
        if matches!(self.marker, CommitMarker::Nothing) {
            self.marker = CommitMarker::Untraceable;
        }
    }

    /// Writes an additional row, such as an audit entry. It fails only if the database does; then the whole batch fails, so it
    /// needs no savepoint.
    pub(in crate::store) async fn note(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        self.reading().await?.execute(statement).await?;
        self.has_written();
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
    pub(in crate::store) async fn call(
        &mut self,
        ProcedureCall { statement, mailbox, last, count }: ProcedureCall<'_>,
    ) -> Result<Vec<i64>, Error> {
        let rows = if self.is_autocommit() {
            self.mark_change(mailbox, None, Some(last));
            match self.call_autocommit(statement).await? {
                Called::Rows(rows) => rows,
                Called::UpTo(number) => {
                    let count = i64::try_from(count).unwrap_or_default();
                    return Ok((number - count + 1..=number).collect());
                }
            }
        } else {
            self.reading().await?.rows(statement).await?
        };
        let numbers = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<i64>, _>>()?;
        if numbers.len() != count {
            return Err(Error::internal("not every contact was written"));
        }
        self.mark_change(mailbox, numbers.last().copied(), Some(last));
        self.unprotected |= !self.savepoint;
        Ok(numbers)
    }

    /// Runs a statement as its own transaction. If the connection is lost and the commit did not happen, it is tried again
    /// once.
    async fn call_autocommit(&mut self, statement: Statement<'_>) -> Result<Called, Error> {
        let mut again = false;
        loop {
            let error = match COMMIT.timed(self.session.rows(statement.clone())).await {
                Ok(rows) => return Ok(Called::Rows(rows)),
                Err(error) => error,
            };
            match self.resolve_commit(error).await? {
                CommitOutcome::Happened(number) => return Ok(Called::UpTo(number)),
                CommitOutcome::Undone(error) if again || self.is_broken() => return Err(error),
                CommitOutcome::Undone(_) => again = true,
            }
        }
    }

    /// Records a change log entry of this transaction as proof of its commit.
    pub(in crate::store) fn mark_change(&mut self, mailbox: i64, seq: Option<i64>, contact: Option<Uuid>) {
        self.marker = CommitMarker::Change { mailbox, seq, contact, time: self.now };
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
                return Err(self.session.give_up(Error::unavailable(error)));
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
            return Err(self.session.give_up(Error::unavailable(error)));
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
            Some(_) if self.unprotected => Err(Error::internal("a job failed after it had written")),
            Some(_) => self.undo().await,
            None if self.session.is_aborted() && self.begun => Err(Error::internal("a job went on after a failure")),
            None => self.keep().await,
        }
    }

    /// Commits the transaction, or rolls it back without `keep`.
    pub(in crate::store) async fn end(&mut self, keep: bool) -> Result<(), Error> {
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        if !keep {
            return self.session.execute(Statement::new("rollback")).await;
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
    pub(in crate::store) fn is_trusted(&self) -> bool {
        !self.reconnect && !self.is_broken()
    }

    /// Whether the idle connection should be replaced: it is too old, or to a former primary.
    pub(in crate::store) fn is_stale(&self) -> bool {
        match &self.connector {
            Connector::Sqlite(..) => false,
            Connector::Postgres(cluster) => !cluster.is_current(&self.session) || self.session.is_old(),
        }
    }

    /// Checks that writes go to the files that the paths name.
    ///
    /// # Errors
    /// [`Error::Unavailable`]
    pub(in crate::store) fn check_files(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened, _) => opened.look(),
            Connector::Postgres(_) => Ok(()),
        }
    }

    /// The same check after a commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the write is certainly lost, [`Error::Internal`] if its file may be put back.
    pub(in crate::store) fn check_files_again(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened, _) => opened.look().map_err(|error| match error {
                Error::Unavailable(cause) if !opened.is_lost() => Error::Internal(cause),
                error => error,
            }),
            Connector::Postgres(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn close(self) {
        if let Connector::Sqlite(_, opened, _) = &self.connector {
            opened.has_no_log();
        }
        self.session.close().await;
    }

    /// Finds out whether a commit happened that ended in an error.
    ///
    /// Most errors mean that it did not. If a connection to PostgreSQL was lost, the marker is looked up on the current primary,
    /// after the server process of the lost connection has ended.
    ///
    /// # Errors
    /// The error itself if it is internal, and [`Error::Internal`] if the outcome is unknown. It is not
    /// [`Error::Unavailable`], because a client that retries would store its contact twice.
    async fn resolve_commit(&mut self, error: Error) -> Result<CommitOutcome, Error> {
        let Error::Unavailable(cause) = error else { return Err(error) };
        let undone = CommitOutcome::Undone(Error::Unavailable(Arc::clone(&cause)));
        if !faults::may_have_committed(&*cause) {
            return Ok(undone);
        }
        let unknown = Error::Internal(Arc::clone(&cause));
        if !self.is_postgres() {
            return Err(self.session.give_up(unknown));
        }
        match self.marker {
            CommitMarker::Nothing => return Ok(undone),
            CommitMarker::Untraceable => return Err(self.session.give_up(unknown)),
            CommitMarker::Change { .. } | CommitMarker::AuditEntry { .. } => {}
        }
        tracing::warn!(%cause, "the connection was lost during a commit; checking whether it happened");
        let started = Instant::now();
        while started.elapsed() < RESOLVE && !self.closing.load(Ordering::Acquire) {
            match self.look().await {
                Ok(Some(number)) => {
                    LOOKUPS.one(Lookup::Found);
                    tracing::info!("the commit happened");
                    return Ok(CommitOutcome::Happened(number));
                }
                Ok(None) => {
                    LOOKUPS.one(Lookup::Absent);
                    tracing::info!("the commit did not happen");
                    return Ok(undone);
                }
                Err(error) => tracing::debug!(%error, "the outcome is not known yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        LOOKUPS.one(Lookup::Unknown);
        Err(self.session.give_up(unknown))
    }

    /// Looks up the marker on a new connection, which replaces the lost one.
    async fn look(&mut self) -> Result<Option<i64>, Error> {
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
