//! The seam to the database driver: rows and sessions, on either engine. Storage functions are written against these and
//! against `statement`; `faults` tells what the driver's errors mean.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Executor, Postgres, Row as _, Sqlite, Type};

use crate::domain::error::Error;
use crate::store::db::faults;
use crate::store::db::opened::Opened;
use crate::store::db::statement::Statement;

/// What a column can be read as.
pub(in crate::store) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}
impl<T> Column for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

/// A row of an answer.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column, counted from 0.
    pub(in crate::store) fn get<T: Column>(&self, column: usize) -> Result<T, Error> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        Ok(value?)
    }
}

/// A connection to run statements on.
pub(in crate::store) struct Session {
    connection: Connection,
    /// The first failure that was the database's own and not the statement's; a transaction may have ended with it.
    broken: Option<Error>,
    /// PostgreSQL takes no more statements in this transaction until it goes back to a savepoint.
    aborted: bool,
    /// How long a PostgreSQL server may say nothing before it is taken for gone.
    patience: Option<Duration>,
    /// Of a session that only reads: how long a question may be worked on, and until when this one.
    asking: Option<Asking>,
    /// Whether all that is read is of one moment, see [`Session::begin_snapshot`].
    snapshot: bool,
    /// Whether a statement is under way: where nobody waits for it any more, it may still run.
    busy: bool,
    /// What serves it there.
    pub(in crate::store) backend: Backend,
    /// When it was last used.
    used: Instant,
}

/// What limits a question.
struct Asking {
    time: Duration,
    end: Instant,
    /// Set when nobody waits for what runs; SQLite then stops it.
    stop: Arc<AtomicBool>,
}

impl Asking {
    fn new(time: Duration) -> Self {
        Self { time, end: Instant::now() + time, stop: Arc::default() }
    }
}

/// The process of a PostgreSQL server that serves a session.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Backend {
    pub(in crate::store) pid: i64,
    /// When it began; the number alone may be another's later.
    pub(in crate::store) start: String,
    /// Under which primary, see `Cluster::term`.
    pub(in crate::store) term: usize,
}

/// By how much a server's clock may run ahead of ours while a statement is worked on.
const CLOCKS: Duration = Duration::from_millis(10);

/// After how many steps of its machine SQLite is asked whether to go on: some tenths of a millisecond.
const OPERATIONS: i32 = 10_000;

/// How long a session may be unused: what lies between may have forgotten it by then.
const MAX_IDLE: Duration = Duration::from_mins(5);

enum Connection {
    Sqlite(SqliteConnection),
    /// One of SQLite's readers.
    SqlitePooled(PoolConnection<Sqlite>),
    Postgres(Box<PgConnection>),
}

impl Session {
    fn new(connection: Connection) -> Self {
        let (backend, used) = (Backend::default(), Instant::now());
        let (patience, asking) = (None, None);
        Self { connection, broken: None, aborted: false, patience, asking, snapshot: false, busy: false, backend, used }
    }

    /// A connection to PostgreSQL. A statement that takes longer than `patience` ends the session: let the server itself
    /// end what takes long, so that only what hangs does. A commit that waits for a standby is such a thing.
    pub(in crate::store) fn postgres(connection: PgConnection, patience: Option<Duration>) -> Self {
        Self { patience, ..Self::new(Connection::Postgres(Box::new(connection))) }
    }

    /// The same of a session that only reads, whose server stops what takes longer than `time`.
    pub(in crate::store) fn asking(self, time: Duration) -> Self {
        Self { asking: Some(Asking::new(time)), ..self }
    }

    /// One of SQLite's readers, for `time`: what still runs on it then is stopped, and so is what is begun later.
    pub(in crate::store) async fn reader(
        mut connection: PoolConnection<Sqlite>,
        time: Duration,
    ) -> Result<Self, Error> {
        let asking = Asking::new(time);
        let (end, stop) = (asking.end, Arc::clone(&asking.stop));
        let goes_on = move || Instant::now() < end && !stop.load(Ordering::Relaxed);
        connection.lock_handle().await?.set_progress_handler(OPERATIONS, goes_on);
        Ok(Self { asking: Some(asking), ..Self::new(Connection::SqlitePooled(connection)) })
    }

    /// Stops what still runs on a connection of its own to a SQLite file after `time`.
    pub(in crate::store) async fn stop_after(&mut self, time: Duration) -> Result<(), Error> {
        if let Connection::Sqlite(connection) = &mut self.connection {
            let asking = Asking::new(time);
            let end = asking.end;
            connection.lock_handle().await?.set_progress_handler(OPERATIONS, move || Instant::now() < end);
            self.asking = Some(asking);
        }
        Ok(())
    }

    /// Begins another question on a session that only reads: its time starts now.
    pub(in crate::store) fn restart_time_limit(&mut self) {
        self.asking = self.asking.as_ref().map(|asking| Asking::new(asking.time));
    }

    /// Lets all that is read from here on be of one moment, until [`Session::reset`]. It costs a call to the database, so
    /// whoever reads one statement leaves it out. In a transaction that writes all is of one moment anyway.
    pub(in crate::store) async fn begin_snapshot(&mut self) -> Result<(), Error> {
        if self.asking.is_none() || self.snapshot {
            return Ok(());
        }
        // Before it is sent: whoever goes away meanwhile may have begun it.
        self.snapshot = true;
        let begin = Statement::per_engine("begin", "begin isolation level repeatable read, read only");
        self.execute(begin).await
    }

    /// Whether something has to be done before another may use it.
    pub(in crate::store) fn needs_reset(&self) -> bool {
        self.broken.is_none() && (self.snapshot || self.busy)
    }

    /// Ends what was begun on a session that only reads, and waits for what nobody waits for any more.
    pub(in crate::store) async fn reset(&mut self) -> Result<(), Error> {
        if let Some(asking) = &self.asking {
            asking.stop.store(self.busy, Ordering::Relaxed);
        }
        self.restart_time_limit();
        let end = if std::mem::take(&mut self.snapshot) { "rollback" } else { "select 1" };
        self.script(end).await
    }

    /// A connection of its own to a SQLite file that exists.
    pub(in crate::store) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        Ok(Self::new(Connection::Sqlite(SqliteConnection::connect_with(options).await?)))
    }

    /// Whether this is PostgreSQL, where others write beside us and a failed statement aborts its transaction.
    pub(in crate::store) fn is_postgres(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// Why the session must not be used again, if so.
    pub(in crate::store) fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Whether the open transaction can only be undone.
    pub(in crate::store) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Whether it was not used for so long that it should not be.
    pub(in crate::store) fn is_old(&self) -> bool {
        self.used.elapsed() > MAX_IDLE
    }

    /// Ends the process that served another session, if it is on this server and still there.
    pub(in crate::store) async fn end_backend(&mut self, other: &Self) -> Result<(), Error> {
        let text = "
select pg_terminate_backend(pid, 2000) from pg_stat_activity where pid = $1 and backend_start::text = $2";
        let statement = Statement::new(text).bind(other.backend.pid).bind(&other.backend.start);
        let ended: bool = self.row(statement).await?.map_or(Ok(true), |row| row.get(0))?;
        if ended { Ok(()) } else { Err(Error::unavailable("the process of the lost connection does not end")) }
    }

    /// Marks the session as broken, whatever was known of it before, and answers the error.
    pub(in crate::store) fn give_up(&mut self, error: Error) -> Error {
        self.broken = Some(error.clone());
        error
    }

    /// Begins a statement. Answers when that was.
    ///
    /// # Errors
    /// [`Error::Inefficient`] when the question's time is over: it may be many statements.
    fn begin_statement(&mut self) -> Result<Instant, Error> {
        let now = Instant::now();
        if self.asking.as_ref().is_some_and(|asking| asking.end <= now) {
            return Err(Error::Inefficient);
        }
        self.busy = true;
        Ok(now)
    }

    fn noted<T>(&mut self, begun: Instant, done: Result<T, sqlx::Error>) -> Result<T, Error> {
        self.used = Instant::now();
        self.busy = false;
        done.map_err(|error| {
            if faults::is_stopped(&error) {
                // Also by others: an operator may cancel any statement, and that says nothing of what it costs.
                let is_late = |asking: &Asking| {
                    asking.end <= self.used || asking.time <= self.used.duration_since(begun) + CLOCKS
                };
                // Nothing is wrong with the connection.
                if self.asking.as_ref().is_some_and(is_late) {
                    return Error::Inefficient;
                }
            }
            let error = Error::from(error);
            self.aborted = self.is_postgres();
            if matches!(error, Error::Unavailable(_)) {
                self.give_up(error.clone());
            }
            error
        })
    }

    /// Begins a transaction that writes. On PostgreSQL, where other processes write too, it holds the mailbox from the
    /// start: its writers take turns, so that what one reads stays so until its commit, and the order of the mailbox's
    /// numbers is the order of commits.
    pub(in crate::store) async fn begin(&mut self, mailbox: Option<i64>) -> Result<(), Error> {
        self.execute(Statement::per_engine("begin immediate", "begin")).await?;
        self.aborted = false;
        if let Some(mailbox) = mailbox.filter(|_| self.is_postgres()) {
            let lock = "select seq from mailboxes where id = $1 for update";
            self.execute(Statement::new(lock).bind(mailbox)).await?;
        }
        Ok(())
    }

    /// Undoes what was done since the savepoint of this name, and releases it.
    pub(in crate::store) async fn undo_to_savepoint(&mut self) -> Result<(), Error> {
        self.script("rollback to savepoint job; release savepoint job").await?;
        self.aborted = false;
        Ok(())
    }

    /// Runs a text of several statements without values.
    pub(in crate::store) async fn script(&mut self, text: &str) -> Result<(), Error> {
        let begun = self.begin_statement()?;
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => connection.execute(text()).await.map(drop),
            Connection::SqlitePooled(connection) => connection.execute(text()).await.map(drop),
            Connection::Postgres(connection) => in_time(self.patience, connection.execute(text())).await.map(drop),
        };
        self.noted(begun, done)
    }

    /// The same of what only SQLite is asked.
    pub(in crate::store) async fn script_of_sqlite(&mut self, text: &str) -> Result<(), Error> {
        if self.is_postgres() { Ok(()) } else { self.script(text).await }
    }

    /// The rows of a text without values that is not ours.
    pub(in crate::store) async fn rows_of_text(&mut self, text: &str) -> Result<Vec<Row>, Error> {
        let begun = self.begin_statement()?;
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => connection.fetch_all(text()).await.map(of_sqlite),
            Connection::SqlitePooled(connection) => connection.fetch_all(text()).await.map(of_sqlite),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.fetch_all(text())).await.map(of_postgres)
            }
        };
        self.noted(begun, rows)
    }

    /// All rows.
    pub(in crate::store) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        #[cfg(test)]
        if self.asking.is_some() {
            crate::store::tests::between::statement().await;
        }
        let begun = self.begin_statement()?;
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => connection.fetch_all(statement.of_sqlite()).await.map(of_sqlite),
            Connection::SqlitePooled(connection) => connection.fetch_all(statement.of_sqlite()).await.map(of_sqlite),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.fetch_all(statement.of_postgres())).await.map(of_postgres)
            }
        };
        self.noted(begun, rows)
    }

    /// All rows of what only SQLite is asked; of PostgreSQL none.
    pub(in crate::store) async fn rows_of_sqlite(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        if self.is_postgres() { Ok(Vec::new()) } else { self.rows(statement).await }
    }

    /// The first row, if there is one.
    pub(in crate::store) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, Error> {
        // Not the driver's `fetch_optional`, which stops the statement at its first row.
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Runs a statement for its effect.
    pub(in crate::store) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        let begun = self.begin_statement()?;
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => connection.execute(statement.of_sqlite()).await.map(drop),
            Connection::SqlitePooled(connection) => connection.execute(statement.of_sqlite()).await.map(drop),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.execute(statement.of_postgres())).await.map(drop)
            }
        };
        self.noted(begun, done)
    }

    /// Ends the session. A pooled connection goes back to its pool instead.
    pub(in crate::store) async fn close(self) {
        let closed = match self.connection {
            Connection::Sqlite(connection) => connection.close().await,
            Connection::Postgres(connection) if self.broken.is_none() => {
                in_time(self.patience, connection.close()).await
            }
            // A server that is gone need not be told.
            Connection::SqlitePooled(_) | Connection::Postgres(_) => Ok(()),
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "closing the database");
        }
    }
}

fn of_sqlite(rows: Vec<SqliteRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Sqlite).collect()
}

fn of_postgres(rows: Vec<PgRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Postgres).collect()
}

async fn in_time<T>(
    patience: Option<Duration>,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer"));
    match patience {
        Some(patience) => tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(late())),
        None => work.await,
    }
}

/// How long to wait for another process that writes to the same SQLite file.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How a SQLite file is opened that is to be left as it is.
pub(in crate::store) fn plain_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}

/// How a SQLite file is opened: every commit is in the file before it is answered (WAL, synchronous=FULL), savepoints
/// need no temporary file, and a page of 100 contacts crosses the driver's channel without a stall.
pub(in crate::store) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    sqlite_options_as_is(path).journal_mode(SqliteJournalMode::Wal)
}

/// The same of a file that keeps the journal it has.
pub(in crate::store) fn sqlite_options_as_is(path: &Path) -> SqliteConnectOptions {
    plain_options(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("temp_store", "memory")
        .row_buffer_size(1_024)
}

/// What a reader has of its own, and that it cannot write. `terms` has each place of each word of the full-text index.
const READER: &str = "
create virtual table temp.terms using fts5vocab(main, words, instance);
pragma query_only = on";

/// Most connections that read a SQLite file at once: four for what costs much (`turns`), and two that are kept from that.
pub(in crate::store) const SQLITE_READERS: u32 = 6;

/// SQLite's readers: connections that cannot write, opened when first needed.
pub(in crate::store) fn sqlite_readers(options: SqliteConnectOptions, opened: Arc<Opened>) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        // It would ask each time whether the file is still there.
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(move |connection, _| {
            let opened = Arc::clone(&opened);
            Box::pin(async move {
                // Another file may have the name by now.
                opened.look().map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?;
                connection.execute(READER).await.map(drop)
            })
        })
        .connect_lazy_with(options)
}
