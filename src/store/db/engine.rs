//! Sessions of either engine. Storage functions use these and `statement`, never the driver; `faults` classifies
//! the driver's errors.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
pub(in crate::store) use sqlx::sqlite::SqliteSynchronous as SqliteSync;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::domain::error::Error;
use crate::metrics::list::{FAULTS, INTERRUPTED};
use crate::store::db::faults;
pub(in crate::store) use crate::store::db::file_options::{
    BUSY_TIMEOUT, plain_options, sqlite_options, sqlite_options_as_is, without_checkpoints,
};
pub(in crate::store) use crate::store::db::row::Row;
use crate::store::db::statement::Statement;
use crate::trace::slow::{self, Slow};

/// A connection that runs statements.
pub(in crate::store) struct Session {
    connection: EngineConnection,
    /// The first failure of the database itself; it may have ended the transaction.
    broken: Option<Error>,
    /// PostgreSQL refuses further statements in this transaction until a rollback to a savepoint.
    aborted: bool,
    /// Time without an answer after which a PostgreSQL server counts as lost.
    timeout: Option<Duration>,
    /// Time limit of a session that only reads.
    deadline: Option<ReadDeadline>,
    /// Whether a snapshot is open, see [`Session::begin_snapshot`].
    snapshot: bool,
    /// Whether a statement was started and has not ended. If its caller was dropped, it may still run.
    busy: bool,
    /// A question that is sent with the next statement.
    side_question: SideQuestion,
    /// The server process.
    pub(in crate::store) backend: Backend,
    /// Time of the last use.
    used: Instant,
}

/// See [`Session::ask_with_next_row`].
enum SideQuestion {
    Nothing,
    Asked(Statement<'static>, usize),
    Answered(Vec<Option<bool>>),
}

/// Time limit of a read, which may be several statements.
struct ReadDeadline {
    time: Duration,
    end: Instant,
    /// When SQLite stops the statement: at the end, or at once if the caller was dropped.
    stop: Arc<Mutex<Instant>>,
}

impl ReadDeadline {
    fn new(time: Duration) -> Self {
        let end = Instant::now() + time;
        Self { time, end, stop: Arc::new(Mutex::new(end)) }
    }

    /// Starts the time again.
    fn restart(&mut self) {
        self.end = Instant::now() + self.time;
        self.stop_at(self.end);
    }

    fn stop_at(&self, time: Instant) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Whether a statement of SQLite goes on.
    fn keep_running(&self) -> impl FnMut() -> bool + Send + 'static {
        let stop = Arc::clone(&self.stop);
        move || Instant::now() < *stop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The process of a PostgreSQL server that serves a session.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Backend {
    pub(in crate::store) pid: i64,
    /// Its start time, because the system reuses process ids.
    pub(in crate::store) start: String,
    /// The term of the primary, see `Cluster::term`.
    pub(in crate::store) term: usize,
}

/// Tolerance between the server's and this process's clock for the duration of a statement.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(10);

/// Virtual machine steps between two checks of the time limit in SQLite: a few tenths of a millisecond.
const CHECK_INTERVAL: i32 = 10_000;

/// Maximum idle time of a session: firewalls and proxies drop idle connections.
const MAX_IDLE: Duration = Duration::from_mins(5);

enum EngineConnection {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

impl Session {
    fn new(connection: EngineConnection) -> Self {
        let (backend, used) = (Backend::default(), Instant::now());
        let (timeout, deadline, side_question) = (None, None, SideQuestion::Nothing);
        let (broken, aborted, snapshot, busy) = (None, false, false, false);
        Self { connection, broken, aborted, timeout, deadline, snapshot, busy, side_question, backend, used }
    }

    /// A connection to PostgreSQL. A statement that takes longer than `timeout` ends the session. The server's own statement
    /// timeout should be shorter, so that only a hanging server, or a commit that waits for a standby, ends it.
    pub(in crate::store) fn postgres(connection: PgConnection, timeout: Option<Duration>) -> Self {
        Self { timeout, ..Self::new(EngineConnection::Postgres(Box::new(connection))) }
    }

    /// Makes this a session that only reads, whose server cancels statements after `time`.
    pub(in crate::store) fn read_only(self, time: Duration) -> Self {
        Self { deadline: Some(ReadDeadline::new(time)), ..self }
    }

    /// A reader of a SQLite file with a time limit. After it the running statement is stopped, and later ones fail.
    pub(in crate::store) async fn reader(options: &SqliteConnectOptions, time: Duration) -> Result<Self, Error> {
        let mut session = Self::open(options).await?;
        session.script(READER).await?;
        session.set_time_limit(time).await?;
        Ok(session)
    }

    /// Sets a time limit for a connection to a SQLite file.
    pub(in crate::store) async fn set_time_limit(&mut self, time: Duration) -> Result<(), Error> {
        if let EngineConnection::Sqlite(connection) = &mut self.connection {
            let deadline = ReadDeadline::new(time);
            connection.lock_handle().await?.set_progress_handler(CHECK_INTERVAL, deadline.keep_running());
            self.deadline = Some(deadline);
        }
        Ok(())
    }

    /// Makes the next [`Session::row`] answer a question too, which saves a call to the database. The question is a statement
    /// with one row of this many booleans. Returns whether that is supported: only SQLite does, where a call changes threads.
    pub(in crate::store) fn ask_with_next_row(&mut self, question: Statement<'static>, booleans: usize) -> bool {
        let is_supported = !self.is_postgres();
        if is_supported {
            self.side_question = SideQuestion::Asked(question, booleans);
        }
        is_supported
    }

    /// The answer; `None` if no row was found.
    pub(in crate::store) fn take_side_answers(&mut self) -> Option<Vec<Option<bool>>> {
        match std::mem::replace(&mut self.side_question, SideQuestion::Nothing) {
            SideQuestion::Answered(booleans) => Some(booleans),
            SideQuestion::Nothing | SideQuestion::Asked(..) => None,
        }
    }

    /// Makes the session ready for another read, whose time limit starts now.
    pub(in crate::store) fn restart(&mut self) {
        self.side_question = SideQuestion::Nothing;
        self.restart_time_limit();
    }

    /// Starts the time limit of a session that only reads again.
    pub(in crate::store) fn restart_time_limit(&mut self) {
        if let Some(deadline) = &mut self.deadline {
            deadline.restart();
        }
    }

    /// Makes all further reads see one snapshot, until [`Session::reset`]. It costs a call to the database, so a single
    /// statement goes without. In a transaction that writes it does nothing: its reads are consistent anyway.
    pub(in crate::store) async fn begin_snapshot(&mut self) -> Result<(), Error> {
        if self.deadline.is_none() || self.snapshot {
            return Ok(());
        }
        // Set before the statement is sent: if the caller is dropped meanwhile, it may have begun.
        self.snapshot = true;
        let begin = Statement::per_engine("begin", "begin isolation level repeatable read, read only");
        self.execute(begin).await
    }

    /// Whether [`Session::reset`] is needed before another read may use it.
    pub(in crate::store) fn needs_reset(&self) -> bool {
        self.broken.is_none() && (self.snapshot || self.busy)
    }

    /// Ends the snapshot of a session that only reads, and the statement of a dropped caller.
    pub(in crate::store) async fn reset(&mut self) -> Result<(), Error> {
        self.restart_time_limit();
        if let Some(deadline) = self.deadline.as_ref().filter(|_| self.busy) {
            deadline.stop_at(Instant::now());
        }
        let text = if std::mem::take(&mut self.snapshot) { "rollback" } else { "select 1" };
        self.script(text).await
    }

    /// A connection to an existing SQLite file, outside of pools.
    pub(in crate::store) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        Ok(Self::new(EngineConnection::Sqlite(SqliteConnection::connect_with(options).await?)))
    }

    /// Whether this is PostgreSQL, where other processes write at the same time and a failed statement aborts its transaction.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        matches!(self.connection, EngineConnection::Postgres(_))
    }

    /// The error after which the session must not be used again.
    pub(in crate::store) fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Whether the open transaction can only be rolled back.
    pub(in crate::store) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Whether it was idle for too long to be used again.
    pub(in crate::store) fn is_idle_too_long(&self) -> bool {
        self.used.elapsed() > MAX_IDLE
    }

    /// Ends the server process of another session, if it runs on this server.
    pub(in crate::store) async fn end_backend(&mut self, other: &Self) -> Result<(), Error> {
        let text = "
select pg_terminate_backend(pid, 2000) from pg_stat_activity where pid = $1 and backend_start::text = $2";
        let statement = Statement::new(text).bind(other.backend.pid).bind(&other.backend.start);
        let ended: bool = self.row(statement).await?.map_or(Ok(true), |row| row.get(0))?;
        if ended { Ok(()) } else { Err(Error::unavailable("the server process of the lost connection does not end")) }
    }

    /// Marks the session as broken and returns the error.
    pub(in crate::store) fn mark_broken(&mut self, error: Error) -> Error {
        self.broken = Some(error.clone());
        error
    }

    /// Begins a statement. Returns the time.
    ///
    /// # Errors
    /// [`Error::Inefficient`] if the time limit is over.
    fn begin_statement(&mut self) -> Result<Instant, Error> {
        let now = Instant::now();
        if self.deadline.as_ref().is_some_and(|deadline| deadline.end <= now) {
            return Err(Error::Inefficient);
        }
        self.busy = true;
        Ok(now)
    }

    /// Records the end of a statement, and converts its error.
    fn finish_statement<T>(&mut self, begun: Instant, done: Result<T, sqlx::Error>) -> Result<T, Error> {
        self.used = Instant::now();
        self.busy = false;
        done.map_err(|error| {
            if faults::is_canceled(&error) {
                // An operator can cancel a statement too; only one at its time limit counts as too expensive.
                let is_late = |deadline: &ReadDeadline| {
                    deadline.end <= self.used || deadline.time <= self.used.duration_since(begun) + CLOCK_TOLERANCE
                };
                // The connection is still usable.
                if self.deadline.as_ref().is_some_and(is_late) {
                    INTERRUPTED.increment();
                    return Error::Inefficient;
                }
            }
            if let Some(fault) = faults::kind(&error) {
                FAULTS.increment(fault);
            }
            let error = Error::from(error);
            self.aborted = self.is_postgres();
            if matches!(error, Error::Unavailable(_)) {
                self.mark_broken(error.clone());
            }
            error
        })
    }

    /// Begins a transaction that writes. On PostgreSQL, where other processes write too, it locks the mailbox's row first, so
    /// that writers of a mailbox are serialized: what one reads stays true until its commit, and change numbers are in
    /// the order of commits.
    pub(in crate::store) async fn begin(&mut self, mailbox: Option<i64>) -> Result<(), Error> {
        self.execute(Statement::per_engine("begin immediate", "begin")).await?;
        self.aborted = false;
        if let Some(mailbox) = mailbox.filter(|_| self.is_postgres()) {
            let lock = "select seq from mailboxes where id = $1 for update";
            self.execute(Statement::new(lock).bind(mailbox)).await?;
        }
        Ok(())
    }

    /// Rolls back to the savepoint `job`, and releases it.
    pub(in crate::store) async fn undo_to_savepoint(&mut self) -> Result<(), Error> {
        self.script("rollback to savepoint job; release savepoint job").await?;
        self.aborted = false;
        Ok(())
    }

    /// Runs a text of several statements, without values.
    pub(in crate::store) async fn script(&mut self, text: &str) -> Result<(), Error> {
        let begun = self.begin_statement()?;
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let done = match &mut self.connection {
            EngineConnection::Sqlite(connection) => connection.execute(text()).await.map(drop),
            EngineConnection::Postgres(connection) => in_time(self.timeout, connection.execute(text())).await.map(drop),
        };
        self.finish_statement(begun, done)
    }

    /// The same on SQLite only; on PostgreSQL it does nothing.
    pub(in crate::store) async fn script_on_sqlite(&mut self, text: &str) -> Result<(), Error> {
        if self.is_postgres() { Ok(()) } else { self.script(text).await }
    }

    /// The row of a statement that always answers one, such as `select count(*)`.
    pub(in crate::store) async fn single_row(&mut self, statement: impl Into<Statement<'_>>) -> Result<Row, Error> {
        self.row(statement.into()).await?.ok_or_else(|| Error::internal("a query of one row answered none"))
    }

    /// The number that an aggregate returns.
    pub(in crate::store) async fn count(&mut self, statement: impl Into<Statement<'_>>) -> Result<i64, Error> {
        self.single_row(statement).await?.get(0)
    }

    /// The rows of a text of refinery's, without values.
    pub(in crate::store) async fn rows_of_script(&mut self, text: &str) -> Result<Vec<Row>, Error> {
        let begun = self.begin_statement()?;
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let rows = match &mut self.connection {
            EngineConnection::Sqlite(connection) => connection.fetch_all(text()).await.map(rows),
            EngineConnection::Postgres(connection) => {
                in_time(self.timeout, connection.fetch_all(text())).await.map(rows)
            }
        };
        self.finish_statement(begun, rows)
    }

    /// All rows.
    pub(in crate::store) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        #[cfg(test)]
        if self.deadline.is_some() {
            crate::store::tests::between::statement().await;
        }
        let (logged_text, begun) = (self.loggable_text(&statement), self.begin_statement()?);
        let rows = match &mut self.connection {
            EngineConnection::Sqlite(connection) => connection.fetch_all(statement.into_sqlite()).await.map(rows),
            EngineConnection::Postgres(connection) => {
                in_time(self.timeout, connection.fetch_all(statement.into_postgres())).await.map(rows)
            }
        };
        let rows = self.finish_statement(begun, rows);
        self.log_if_slow(logged_text, begun, rows.as_ref().map(Vec::len)).await;
        rows
    }

    /// All rows on SQLite; on PostgreSQL none.
    pub(in crate::store) async fn rows_on_sqlite(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        if self.is_postgres() { Ok(Vec::new()) } else { self.rows(statement).await }
    }

    /// The first row, if there is one.
    pub(in crate::store) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, Error> {
        if self.deadline.is_none() || self.is_postgres() {
            // Not with the driver's `fetch_optional`: it stops the statement at the first row.
            return Ok(self.rows(statement).await?.into_iter().next());
        }
        #[cfg(test)]
        crate::store::tests::between::statement().await;
        let (logged_text, begun) = (self.loggable_text(&statement), self.begin_statement()?);
        let (statement, answers) = match std::mem::replace(&mut self.side_question, SideQuestion::Nothing) {
            SideQuestion::Asked(question, booleans) if statement.can_answer() => {
                (statement.answering(question), booleans)
            }
            other => {
                self.side_question = other;
                (statement, 0)
            }
        };
        let row = match &mut self.connection {
            EngineConnection::Sqlite(connection) => connection.fetch_optional(statement.into_sqlite()).await,
            EngineConnection::Postgres(_) => Ok(None),
        };
        let row = self.finish_statement(begun, row);
        self.log_if_slow(logged_text, begun, row.as_ref().map(|row| usize::from(row.is_some()))).await;
        let Some(row) = row?.map(Row::from) else { return Ok(None) };
        if answers == 0 {
            return Ok(Some(row));
        }
        self.side_question =
            SideQuestion::Answered((0..answers).map(|column| row.get(column)).collect::<Result<_, _>>()?);
        Ok(Some(row.without(answers)))
    }

    /// All rows of this many columns; those of `ids` are UUIDs. SQLite packs the rows into one, because the driver sends rows
    /// between threads one by one, and each value is an allocation.
    pub(in crate::store) async fn packed_rows(
        &mut self,
        statement: Statement<'_>,
        columns: usize,
        ids: &[usize],
    ) -> Result<Vec<Row>, Error> {
        if self.is_postgres() {
            return self.rows(statement).await;
        }
        let packed: Option<String> = self.single_row(statement.packed(columns, ids)).await?.get(0)?;
        packed.map_or_else(|| Ok(Vec::new()), |packed| Row::unpacked(&packed))
    }

    /// Runs a statement without reading its rows.
    pub(in crate::store) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        let (logged_text, begun) = (self.loggable_text(&statement), self.begin_statement()?);
        let done = match &mut self.connection {
            EngineConnection::Sqlite(connection) => connection.execute(statement.into_sqlite()).await.map(drop),
            EngineConnection::Postgres(connection) => {
                in_time(self.timeout, connection.execute(statement.into_postgres())).await.map(drop)
            }
        };
        let done = self.finish_statement(begun, done);
        self.log_if_slow(logged_text, begun, done.as_ref().map(|()| 0)).await;
        done
    }

    /// The text of a statement, if it may be logged.
    fn loggable_text(&self, statement: &Statement<'_>) -> Option<Cow<'static, str>> {
        slow::is_watching().then(|| statement.text(self.is_postgres()))
    }

    /// Logs a statement if it was slow, at debug with SQLite's plan of it.
    async fn log_if_slow(
        &mut self,
        logged_text: Option<Cow<'static, str>>,
        begun: Instant,
        ended: Result<usize, &Error>,
    ) {
        let took = self.used.saturating_duration_since(begun);
        let Some(text) = logged_text.filter(|_| slow::is_slow(took)) else { return };
        let (rows, interrupted) = (ended.ok(), matches!(ended, Err(Error::Inefficient)));
        slow::log(&Slow { text: &text, took, rows, interrupted, writes: self.deadline.is_none() });
        if self.is_postgres() || rows.is_none() || !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let plan = Box::pin(async { self.rows_of_script(&Statement::explained(&text)).await }).await;
        // A statement such as a commit has no plan.
        if let Ok(plan) = plan.and_then(|rows| rows.iter().map(|row| row.get(3)).collect::<Result<Vec<String>, _>>()) {
            slow::log_plan(&text, &plan);
        }
    }

    /// Ends the session.
    pub(in crate::store) async fn close(self) {
        let closed = match self.connection {
            EngineConnection::Sqlite(connection) => connection.close().await,
            EngineConnection::Postgres(connection) if self.broken.is_none() => {
                in_time(self.timeout, connection.close()).await
            }
            // A lost connection cannot be closed cleanly.
            EngineConnection::Postgres(_) => Ok(()),
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "closing the database failed");
        }
    }
}

fn rows<R: Into<Row>>(rows: Vec<R>) -> Vec<Row> {
    rows.into_iter().map(Into::into).collect()
}

async fn in_time<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not respond"));
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(late())),
        None => work.await,
    }
}

/// Setup of a reader: `terms` lists each position of each word of the full-text index, and the reader cannot write. A page of
/// contacts in the order of their names reads up to 1,000 pages of a large file, which have room in a cache of 8 MB.
const READER: &str = "
create virtual table temp.terms using fts5vocab(main, words, instance);
pragma cache_size = -8000;
pragma query_only = on";

/// Number of readers of a SQLite file: four for expensive reads (see `turns`), and two for all others.
pub(in crate::store) const SQLITE_READERS: usize = 6;
