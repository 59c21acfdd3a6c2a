//! The transaction as a write sees it: begun when first needed, undoable job by job, committed for sure or for sure not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::{Row, Session};
use crate::store::db::faults;
use crate::store::db::opened::Opened;
use crate::store::db::statement::Statement;
use crate::store::tables::quota::Limits;
use crate::store::write::procedures::{self, Call};

/// How long a lost connection's commit is looked for. Longer than a fail-over should take, shorter than clients wait.
const RESOLVE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(250);

/// How a writer's connections are made.
#[derive(Clone)]
pub(in crate::store) enum Connector {
    Sqlite(Box<SqliteConnectOptions>, Arc<Opened>),
    Postgres(Arc<Cluster>),
}

impl Connector {
    async fn connect(&self) -> Result<Session, Error> {
        match self {
            Self::Sqlite(options, opened) => {
                opened.look()?;
                let mut session = Session::open(options).await?;
                session.script(procedures::sqlite_views().of_sqlite()).await?;
                opened.has_log()?;
                Ok(session)
            }
            Self::Postgres(cluster) => cluster.primary(Use::Write).await,
        }
    }

    /// The lane that writes to a mailbox go by.
    pub(in crate::store) fn lane(&self, mailbox: Option<i64>) -> Option<i64> {
        mailbox.filter(|_| matches!(self, Self::Postgres(_)))
    }
}

/// What a write sees: the transaction, and one time for everything it writes.
#[expect(clippy::struct_excessive_bools, reason = "these are independent facts, not one state")]
pub(in crate::store) struct Tx {
    session: Session,
    connector: Connector,
    /// The mailbox that everything in the transaction belongs to, where each has a lane of its own.
    mailbox: Option<i64>,
    now: i64,
    /// The transaction is open.
    begun: bool,
    /// The batch is one job.
    single_job: bool,
    /// The savepoint `job` is open.
    savepoint: bool,
    /// The current job called a procedure outside it, which cannot be undone by itself.
    unprotected: bool,
    /// A job met a fault of ours: whatever this connection remembers (a schema as it was, say) is not trusted further.
    reconnect: bool,
    /// What the transaction has written so far.
    marker: CommitMarker,
    /// The same when the savepoint was opened.
    marker_before: CommitMarker,
    /// The id of what the current job has made, for the audit log.
    made: Option<String>,
    /// The store is closing, and nobody can wait long.
    closing: Arc<AtomicBool>,
    /// How much a mailbox may hold.
    limits: Limits,
}

/// What a transaction has written, and by what it can be told that its commit happened.
///
/// That is the last row which nobody changes once it is there. Any other row may have been written by another process
/// since, and then says nothing of this transaction. The number of the transaction would not do instead: a standby that
/// became the primary gives a number that it has not heard of to another transaction.
#[derive(Debug, Clone, Copy)]
enum CommitMarker {
    Nothing,
    /// Something that cannot be told from what others write.
    Untraceable,
    /// An entry of the change log.
    Change {
        mailbox: i64,
        /// Not known where the answer that tells it was lost.
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

/// What became of a commit.
enum CommitOutcome {
    /// It happened. This is the number of the entry by which that is known, if it is one of the change log.
    Happened(i64),
    /// It certainly did not.
    Undone(Error),
}

/// What a procedure answered.
enum Called {
    Rows(Vec<Row>),
    /// Its answer was lost; the last of its numbers is this.
    UpTo(i64),
}

impl Tx {
    /// A connection to write on.
    pub(in crate::store) async fn connect(
        connector: &Connector,
        closing: &Arc<AtomicBool>,
        limits: Limits,
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
            made: None,
            closing: Arc::clone(closing),
            limits,
        })
    }

    /// Makes ready for a batch of so many jobs, all of one lane.
    pub(in crate::store) fn next_batch(&mut self, mailbox: Option<i64>, jobs: usize) {
        self.mailbox = mailbox;
        self.single_job = jobs == 1;
        self.marker = CommitMarker::Nothing;
    }

    /// Makes ready for the next job of the batch.
    pub(in crate::store) fn next_job(&mut self) {
        self.now = clock::now();
        self.unprotected = false;
        self.made = None;
    }

    /// How much a mailbox may hold.
    pub(in crate::store) fn limits(&self) -> Limits {
        self.limits
    }

    /// The time of this write, UTC microseconds.
    pub(in crate::store) fn now(&self) -> i64 {
        self.now
    }

    /// The number of a new mailbox, where `last` is the greatest there is. A process may still remember a user that a
    /// fail-over or a restored backup took away, so on PostgreSQL no number is given twice even then: it is the time.
    pub(in crate::store) fn new_mailbox(&self, last: i64) -> i64 {
        if self.is_postgres() { self.now.max(last + 1) } else { last + 1 }
    }

    /// A new id, later than all before it: ids are in the order of writes.
    pub(in crate::store) fn new_id() -> Uuid {
        clock::new_id()
    }

    /// Whether each mailbox has a lane of its own: then a statement is for one mailbox.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        self.session.is_postgres()
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.begun {
            return Ok(());
        }
        match self.session.begin(self.mailbox).await {
            // The connection was lost while nothing was asked of it, and nothing was done yet.
            Err(error) if self.is_postgres() && faults::is_lost(&error) => {
                self.session = self.connector.connect().await?;
                self.session.begin(self.mailbox).await?;
            }
            begun => begun?,
        }
        self.begun = true;
        Ok(())
    }

    /// The open transaction, for reads: what they see stays so until the commit.
    pub(in crate::store) async fn reading(&mut self) -> Result<&mut Session, Error> {
        self.begin().await?;
        // There even a read that fails would take the neighbours along.
        if self.is_postgres() && !self.single_job {
            self.open_savepoint().await?;
        }
        Ok(&mut self.session)
    }

    /// Makes what follows undoable as one.
    pub(in crate::store) async fn open_savepoint(&mut self) -> Result<(), Error> {
        self.begin().await?;
        if !self.savepoint {
            self.session.execute(Statement::new("savepoint job")).await?;
            self.savepoint = true;
            self.marker_before = self.marker;
        }
        Ok(())
    }

    /// Whether the next call is a transaction by itself: it is all that the whole batch has done so far.
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

    /// Writes something beside what a job is for, which fails for a fault of the database only: the job then fails with all
    /// that share its transaction, and needs no savepoint for it.
    pub(in crate::store) async fn note(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        self.reading().await?.execute(statement).await?;
        self.has_written();
        self.unprotected |= !self.savepoint;
        Ok(())
    }

    /// Remembers the id of what the job makes, or of whom it is about: the audit log has it.
    pub(in crate::store) fn has_made(&mut self, id: String) {
        self.made = Some(id);
    }

    /// The id of what the job has made, if it is something new.
    pub(in crate::store) fn made(&self) -> Option<&str> {
        self.made.as_deref()
    }

    /// Calls one of `procedures` and answers its numbers, one for each contact. Being one statement, it is atomic without
    /// a savepoint, and without a transaction around it where it is all that the whole batch does; a job that goes on
    /// after it opens a savepoint first.
    pub(in crate::store) async fn call(
        &mut self,
        Call { statement, mailbox, last, count }: Call<'_>,
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

    /// Runs a statement that is a transaction by itself. Where its connection was lost and it has not happened, it is
    /// tried once more.
    async fn call_autocommit(&mut self, statement: Statement<'_>) -> Result<Called, Error> {
        let mut again = false;
        loop {
            let error = match self.session.rows(statement.clone()).await {
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

    /// Remembers that the change log has an entry of this transaction.
    pub(in crate::store) fn mark_change(&mut self, mailbox: i64, seq: Option<i64>, contact: Option<Uuid>) {
        self.marker = CommitMarker::Change { mailbox, seq, contact, time: self.now };
    }

    /// Remembers that the audit log has an entry of this transaction.
    pub(in crate::store) fn mark_audit_entry(&mut self, mailbox: i64, id: Uuid) {
        self.marker = CommitMarker::AuditEntry { mailbox, id };
    }

    /// Why the transaction may be gone, so that nothing more can be tried in it.
    pub(in crate::store) fn broken(&self) -> Option<&Error> {
        self.session.broken()
    }

    /// Whether the transaction may be gone.
    pub(in crate::store) fn is_broken(&self) -> bool {
        self.broken().is_some()
    }

    /// Undoes what was done since the savepoint was opened. An error means that the transaction is gone.
    pub(in crate::store) async fn undo(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint) {
            if let Err(error) = self.session.undo_to_savepoint().await {
                return Err(self.session.give_up(Error::unavailable(error)));
            }
            self.marker = self.marker_before;
        }
        Ok(())
    }

    /// Keeps what was done since the savepoint was opened, unless the transaction fails later.
    pub(in crate::store) async fn keep(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint)
            && let Err(error) = self.session.execute(Statement::new("release savepoint job")).await
        {
            return Err(self.session.give_up(Error::unavailable(error)));
        }
        Ok(())
    }

    /// Settles a job: keeps it, or undoes it. An error means that the transaction is gone, or may be: the database could
    /// not do what the job asked, and which of its errors end a transaction is not ours to guess.
    pub(in crate::store) async fn finish_job(&mut self, failed: Option<&Error>) -> Result<(), Error> {
        self.reconnect |= matches!(failed, Some(Error::Internal(_)));
        if let Some(error) = self.session.broken() {
            // Whatever the job made of it.
            return Err(error.clone());
        }
        match failed {
            Some(_) if self.unprotected => Err(Error::internal("a job failed after it had written")),
            Some(_) => self.undo().await,
            None if self.session.is_aborted() && self.begun => Err(Error::internal("a job went on after a failure")),
            None => self.keep().await,
        }
    }

    /// Ends the transaction. Where nothing in it is to be kept, nothing is.
    pub(in crate::store) async fn end(&mut self, keep: bool) -> Result<(), Error> {
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        if !keep {
            return self.session.execute(Statement::new("rollback")).await;
        }
        match self.session.execute(Statement::new("commit")).await {
            Ok(()) => Ok(()),
            Err(error) => match self.resolve_commit(error).await? {
                CommitOutcome::Happened(_) => Ok(()),
                CommitOutcome::Undone(error) => Err(error),
            },
        }
    }

    /// Whether the connection is as good as new.
    pub(in crate::store) fn is_trusted(&self) -> bool {
        !self.reconnect && !self.is_broken()
    }

    /// Whether the connection, which was not used for a while, should not be used again.
    pub(in crate::store) fn is_stale(&self) -> bool {
        match &self.connector {
            Connector::Sqlite(..) => false,
            Connector::Postgres(cluster) => !cluster.is_current(&self.session) || self.session.is_old(),
        }
    }

    /// Sees that what is written goes to the files that others find.
    ///
    /// # Errors
    /// [`Error::Unavailable`]
    pub(in crate::store) fn check_files(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened) => opened.look(),
            Connector::Postgres(_) => Ok(()),
        }
    }

    /// The same after a commit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where nobody will find what was written, and [`Error::Internal`] where its file may come back.
    pub(in crate::store) fn check_files_again(&self) -> Result<(), Error> {
        match &self.connector {
            Connector::Sqlite(_, opened) => opened.look().map_err(|error| match error {
                Error::Unavailable(cause) if !opened.is_lost() => Error::Internal(cause),
                error => error,
            }),
            Connector::Postgres(_) => Ok(()),
        }
    }

    pub(in crate::store) async fn close(self) {
        if let Connector::Sqlite(_, opened) = &self.connector {
            opened.has_no_log();
        }
        self.session.close().await;
    }

    /// Finds out whether a commit happened whose answer is an error.
    ///
    /// Most errors tell that it did not. Where a connection to PostgreSQL was lost, what the transaction left is looked
    /// for on whichever server is the primary now, once the transaction can no longer be under way.
    ///
    /// # Errors
    /// The error itself where it is a fault of ours, and [`Error::Internal`] when nobody can tell: that is not "try
    /// again", for a client that did would store its contact twice.
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
        tracing::warn!(%cause, "a connection was lost around a commit; looking whether it happened");
        let started = Instant::now();
        while started.elapsed() < RESOLVE && !self.closing.load(Ordering::Acquire) {
            match self.look().await {
                Ok(Some(number)) => {
                    tracing::info!("the commit happened");
                    return Ok(CommitOutcome::Happened(number));
                }
                Ok(None) => {
                    tracing::info!("the commit did not happen");
                    return Ok(undone);
                }
                Err(error) => tracing::debug!(%error, "not to be seen yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        Err(self.session.give_up(unknown))
    }

    /// Looks for what the transaction left on a new connection, which becomes this transaction's.
    async fn look(&mut self) -> Result<Option<i64>, Error> {
        let mut session = self.connector.connect().await?;
        // The lost connection may still hold a message that the server has not read.
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
        // Holding a row was a write. So this waits for a synchronous standby, which then has the change as well.
        session.execute(Statement::new("commit")).await?;
        self.session = session;
        Ok(found)
    }
}
