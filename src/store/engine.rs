//! The one seam to the database driver: statements, rows and sessions, on either engine. Storage functions are written
//! against these; where the engines need different texts, a statement carries both.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::error::DatabaseError as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow, PgSeverity};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteError, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Encode, Executor, Postgres, Row as _, Sqlite, Type,
};
use uuid::Uuid;

use crate::error::Error;

/// A value a statement is given. Null has a type too: PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'q> {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<Cow<'q, str>>),
    Uuid(Option<Uuid>),
}

macro_rules! value_from {
    ($($kind:ident $type:ty),*) => {$(
        impl<'q> From<$type> for Value<'q> {
            fn from(value: $type) -> Self {
                Self::$kind(Some(value.into()))
            }
        }
        impl<'q> From<Option<$type>> for Value<'q> {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value.map(Into::into))
            }
        }
    )*};
}
value_from!(Int i64, Bool bool, Text &'q str, Text &'q String, Text String, Uuid Uuid);

/// What a column can be read as.
pub(super) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}
impl<T> Column for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

/// A statement with its values. Its text uses `$1..$n`, which both engines take.
#[derive(Clone)]
pub(super) struct Statement<'q> {
    sqlite: Cow<'static, str>,
    postgres: Cow<'static, str>,
    values: Vec<Value<'q>>,
}

/// A statement, or a part of one, that is put together as it is needed: of texts that are ours, and of values, which are
/// bound in the order in which they come. There is no way to put any other text in.
#[derive(Debug, Clone, Default)]
pub(super) struct Sql {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(&'static str),
    Twin(&'static str, &'static str),
    Value(Value<'static>),
}

impl Sql {
    pub(super) fn new(text: &'static str) -> Self {
        Self::default().text(text)
    }

    /// A value and nothing else.
    pub(super) fn of(value: impl Into<Value<'static>>) -> Self {
        Self::default().value(value)
    }

    pub(super) fn text(mut self, text: &'static str) -> Self {
        self.pieces.push(Piece::Text(text));
        self
    }

    pub(super) fn twin(mut self, sqlite: &'static str, postgres: &'static str) -> Self {
        self.pieces.push(Piece::Twin(sqlite, postgres));
        self
    }

    pub(super) fn value(mut self, value: impl Into<Value<'static>>) -> Self {
        self.pieces.push(Piece::Value(value.into()));
        self
    }

    pub(super) fn parenthesized(self) -> Self {
        Self::new("(").then(self).text(")")
    }

    pub(super) fn then(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }
}

impl From<Sql> for Statement<'static> {
    fn from(sql: Sql) -> Self {
        let (mut sqlite, mut postgres, mut values) = (String::new(), String::new(), Vec::new());
        for piece in sql.pieces {
            match piece {
                Piece::Text(text) => {
                    sqlite += text;
                    postgres += text;
                }
                Piece::Twin(of_sqlite, of_postgres) => {
                    sqlite += of_sqlite;
                    postgres += of_postgres;
                }
                Piece::Value(value) => {
                    values.push(value);
                    let placeholder = format!("${}", values.len());
                    sqlite += &placeholder;
                    postgres += &placeholder;
                }
            }
        }
        Self { sqlite: sqlite.into(), postgres: postgres.into(), values }
    }
}

impl<'q> Statement<'q> {
    /// One text for both engines.
    pub(super) fn new(sql: &'static str) -> Self {
        Self::twin(sql, sql)
    }

    /// A text for each engine, with the same values.
    pub(super) fn twin(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite: sqlite.into(), postgres: postgres.into(), values: Vec::new() }
    }

    pub(super) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// SQLite takes a missing value for null without a word, so every statement a debug build runs is counted.
    fn checked(sql: Cow<'static, str>, values: &[Value<'_>]) -> AssertSqlSafe<Cow<'static, str>> {
        debug_assert_eq!(placeholders(&sql), values.len(), "values bound to: {sql}");
        // It is ours, or put together by `Sql` of texts that are.
        AssertSqlSafe(sql)
    }

    fn of_sqlite(self) -> Query<'q, Sqlite, SqliteArguments> {
        bound(sqlx::query(Self::checked(self.sqlite, &self.values)), self.values)
    }

    fn of_postgres(self) -> Query<'q, Postgres, PgArguments> {
        bound(sqlx::query(Self::checked(self.postgres, &self.values)), self.values)
    }
}

fn bound<'q, DB>(query: Query<'q, DB, DB::Arguments>, values: Vec<Value<'q>>) -> Query<'q, DB, DB::Arguments>
where
    DB: sqlx::Database,
    Option<i64>: Encode<'q, DB> + Type<DB>,
    Option<bool>: Encode<'q, DB> + Type<DB>,
    Option<Cow<'q, str>>: Encode<'q, DB> + Type<DB>,
    Option<Uuid>: Encode<'q, DB> + Type<DB>,
{
    values.into_iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Uuid(value) => query.bind(value),
    })
}

/// The highest `$n` of a text.
fn placeholders(sql: &str) -> usize {
    let number = |rest: &str| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().unwrap_or(0)
    };
    sql.split('$').skip(1).map(number).max().unwrap_or(0)
}

/// A row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column, counted from 0.
    pub(super) fn get<T: Column>(&self, column: usize) -> Result<T, Error> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        Ok(value?)
    }
}

/// A connection to run statements on.
pub(super) struct Session {
    connection: Connection,
    /// The first failure that was the database's own and not the statement's; a transaction may have ended with it.
    broken: Option<Error>,
    /// PostgreSQL takes no more statements in this transaction until it goes back to a savepoint.
    aborted: bool,
    /// How long a PostgreSQL server may say nothing before it is taken for gone.
    patience: Option<Duration>,
    /// What serves it there.
    pub(super) backend: Backend,
    /// When it was last used.
    used: Instant,
}

/// The process of a PostgreSQL server that serves a session.
#[derive(Debug, Clone, Default)]
pub(super) struct Backend {
    pub(super) pid: i64,
    /// When it began; the number alone may be another's later.
    pub(super) start: String,
    /// Under which primary, see `Cluster::reign`.
    pub(super) reign: usize,
}

/// How long a session may be unused: what lies between may have forgotten it by then.
const MAX_IDLE: Duration = Duration::from_mins(5);

enum Connection {
    Sqlite(SqliteConnection),
    /// One of SQLite's readers.
    SqlitePooled(PoolConnection<Sqlite>),
    Postgres(Box<PgConnection>),
}

impl From<PoolConnection<Sqlite>> for Session {
    fn from(connection: PoolConnection<Sqlite>) -> Self {
        Self::new(Connection::SqlitePooled(connection))
    }
}

impl Session {
    fn new(connection: Connection) -> Self {
        let (backend, used) = (Backend::default(), Instant::now());
        Self { connection, broken: None, aborted: false, patience: None, backend, used }
    }

    /// A connection to PostgreSQL. A statement that takes longer than `patience` ends the session: let the server itself
    /// end what takes long, so that only what hangs does. A commit that waits for a standby is such a thing.
    pub(super) fn postgres(connection: PgConnection, patience: Option<Duration>) -> Self {
        Self { patience, ..Self::new(Connection::Postgres(Box::new(connection))) }
    }

    /// A connection of its own to a SQLite file that exists.
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        Ok(Self::new(Connection::Sqlite(SqliteConnection::connect_with(options).await?)))
    }

    /// Whether this is PostgreSQL, where others write beside us and a failed statement aborts its transaction.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.connection, Connection::Postgres(_))
    }

    /// Why the session must not be used again, if so.
    pub(super) fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Whether the open transaction can only be undone.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Whether it was not used for so long that it should not be.
    pub(super) fn is_old(&self) -> bool {
        self.used.elapsed() > MAX_IDLE
    }

    /// Ends the process that served another session, if it is on this server and still there.
    pub(super) async fn end_backend(&mut self, other: &Self) -> Result<(), Error> {
        let text = "
select pg_terminate_backend(pid, 2000) from pg_stat_activity where pid = $1 and backend_start::text = $2";
        let statement = Statement::new(text).bind(other.backend.pid).bind(&other.backend.start);
        let ended: bool = self.row(statement).await?.map_or(Ok(true), |row| row.get(0))?;
        if ended { Ok(()) } else { Err(Error::unavailable("the process of the lost connection does not end")) }
    }

    /// Marks the session as broken, whatever was known of it before, and answers the error.
    pub(super) fn give_up(&mut self, error: Error) -> Error {
        self.broken = Some(error.clone());
        error
    }

    fn noted<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, Error> {
        self.used = Instant::now();
        done.map_err(|error| {
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
    pub(super) async fn begin(&mut self, mailbox: Option<i64>) -> Result<(), Error> {
        self.execute(Statement::twin("begin immediate", "begin")).await?;
        self.aborted = false;
        if let Some(mailbox) = mailbox.filter(|_| self.is_postgres()) {
            let lock = "select seq from mailboxes where id = $1 for update";
            self.execute(Statement::new(lock).bind(mailbox)).await?;
        }
        Ok(())
    }

    /// Undoes what was done since the savepoint of this name, and releases it.
    pub(super) async fn undo_to_savepoint(&mut self) -> Result<(), Error> {
        self.script("rollback to savepoint job; release savepoint job").await?;
        self.aborted = false;
        Ok(())
    }

    /// Runs a text of several statements without values.
    pub(super) async fn script(&mut self, text: &str) -> Result<(), Error> {
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => connection.execute(text()).await.map(drop),
            Connection::SqlitePooled(connection) => connection.execute(text()).await.map(drop),
            Connection::Postgres(connection) => in_time(self.patience, connection.execute(text())).await.map(drop),
        };
        self.noted(done)
    }

    /// The rows of a text without values that is not ours.
    pub(super) async fn rows_of_text(&mut self, text: &str) -> Result<Vec<Row>, Error> {
        let text = || sqlx::raw_sql(AssertSqlSafe(text));
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => connection.fetch_all(text()).await.map(of_sqlite),
            Connection::SqlitePooled(connection) => connection.fetch_all(text()).await.map(of_sqlite),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.fetch_all(text())).await.map(of_postgres)
            }
        };
        self.noted(rows)
    }

    /// All rows.
    pub(super) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        let rows = match &mut self.connection {
            Connection::Sqlite(connection) => connection.fetch_all(statement.of_sqlite()).await.map(of_sqlite),
            Connection::SqlitePooled(connection) => connection.fetch_all(statement.of_sqlite()).await.map(of_sqlite),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.fetch_all(statement.of_postgres())).await.map(of_postgres)
            }
        };
        self.noted(rows)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, Error> {
        // Not the driver's `fetch_optional`, which stops the statement at its first row.
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Runs a statement for its effect.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        let done = match &mut self.connection {
            Connection::Sqlite(connection) => connection.execute(statement.of_sqlite()).await.map(drop),
            Connection::SqlitePooled(connection) => connection.execute(statement.of_sqlite()).await.map(drop),
            Connection::Postgres(connection) => {
                in_time(self.patience, connection.execute(statement.of_postgres())).await.map(drop)
            }
        };
        self.noted(done)
    }

    /// Ends the session. A pooled connection goes back to its pool instead.
    pub(super) async fn close(self) {
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
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How a SQLite file is opened that is to be left as it is.
pub(super) fn plain_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}

/// How a SQLite file is opened: every commit is in the file before it is answered (WAL, synchronous=FULL), savepoints
/// need no temporary file, and a page of 100 contacts crosses the driver's channel without a stall.
pub(super) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    plain_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("temp_store", "memory")
        .row_buffer_size(1_024)
}

/// SQLite's readers: connections that cannot write, opened when first needed.
pub(super) fn sqlite_readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(sqlite_options(path).pragma("query_only", "on"))
}

/// What the database itself says, without the driver's words around it.
pub(super) fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The same of an error of ours.
pub(super) fn reason(error: &Error) -> String {
    let cause = match error {
        Error::Unavailable(cause) | Error::Internal(cause) => cause.downcast_ref().map(message),
        _ => None,
    };
    cause.unwrap_or_else(|| error.to_string())
}

/// SQLite's extended result code; the low byte is the primary one.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error: &SqliteError = error.as_database_error()?.try_downcast_ref()?;
    error.code()?.parse().ok()
}

fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Whether another connection was in the way.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a statement found nothing for a column that must have a value.
pub(super) fn lacks_value(error: &Error) -> bool {
    let Error::Internal(cause) = error else { return false };
    let error = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.kind() == sqlx::error::ErrorKind::NotNullViolation)
}

/// Whether the connection is gone with the error, and not just what was asked refused.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Unavailable(cause) if may_have_committed(&**cause))
}

const IOERR_WRITE: u32 = 0x030a;

/// Whether a commit that failed so may have happened all the same.
pub(super) fn may_have_committed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    // An error that is not the database's is the driver's own, and tells nothing.
    let Some(error) = error.downcast_ref::<sqlx::Error>() else { return true };
    if let Some(error) = postgres_error(error) {
        // An ordinary error has undone everything, unless it says that it does not know; a fatal one ends the session in
        // whatever state it was.
        return error.severity() != PgSeverity::Error || matches!(error.code(), "40003" | "08007");
    }
    // Out of memory or an I/O error, the sync's for one. Not IOERR_WRITE, when the frame that makes it a commit was not
    // written whole.
    sqlite_code(error).is_none_or(|code| matches!(code & 0xff, 7 | 10) && code != IOERR_WRITE)
}

/// Whether the store cannot do it now and has not done it; anything else is a fault of ours.
fn is_unavailable(error: &sqlx::Error) -> bool {
    if let Some(code) = sqlite_code(error) {
        // BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
        return matches!(code & 0xff, 5..=8 | 10 | 11 | 13..=15 | 26);
    }
    if let Some(error) = postgres_error(error) {
        // Connections, sign-in, no such database, rolled back (serialization, deadlock), resources, operator (shutdown,
        // statement timeout), system; a lock that could not be had; a server that takes no writes; corruption.
        let class = error.code().get(..2).unwrap_or_default();
        return matches!(class, "08" | "28" | "3D" | "40" | "53" | "57" | "58")
            || matches!(error.code(), "55P03" | "25006" | "XX001" | "XX002")
            || error.severity() != PgSeverity::Error;
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) { Self::Unavailable(std::sync::Arc::new(error)) } else { Self::internal(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_the_highest() {
        assert_eq!(placeholders("select 1"), 0);
        assert_eq!(placeholders("select $1, $12, $2"), 12);
    }

    #[test]
    #[should_panic(expected = "values bound to")]
    fn a_statement_short_of_a_value_does_not_run() {
        let _ = Statement::new("select $1, $2").bind(1_i64).of_sqlite();
    }
}
