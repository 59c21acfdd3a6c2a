//! The one seam to the database driver: statements, rows and sessions. Storage functions are written against these
//! and name no engine; a second engine becomes a second arm here, in `writer`, `migrate` and `procedures`.

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection, Decode, Encode, Executor, Row as _, Sqlite, Type};

use crate::error::Error;

/// What a statement can be given: a value both engines encode.
pub(super) trait Param<'q>: Encode<'q, Sqlite> + Type<Sqlite> + Send + 'q {}
impl<'q, T: Encode<'q, Sqlite> + Type<Sqlite> + Send + 'q> Param<'q> for T {}

/// What a column can be read as.
pub(super) trait Column: for<'r> Decode<'r, Sqlite> + Type<Sqlite> {}
impl<T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>> Column for T {}

/// A statement with its values. The text uses `$1..$n`, which both engines take.
pub(super) struct Statement<'q> {
    query: Query<'q, Sqlite, SqliteArguments>,
    sql: &'static str,
    bound: usize,
}

impl<'q> Statement<'q> {
    pub(super) fn new(sql: &'static str) -> Self {
        Self { query: sqlx::query(sql), sql, bound: 0 }
    }

    pub(super) fn bind<T: Param<'q>>(mut self, value: T) -> Self {
        self.query = self.query.bind(value);
        self.bound += 1;
        self
    }

    /// SQLite takes a missing value for null without a word, so every statement a debug build runs is counted.
    fn checked(self) -> Query<'q, Sqlite, SqliteArguments> {
        debug_assert_eq!(placeholders(self.sql), self.bound, "values bound to: {}", self.sql);
        self.query
    }
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
pub(super) struct Row(SqliteRow);

impl Row {
    /// The value of a column, counted from 0.
    pub(super) fn get<T: Column>(&self, column: usize) -> Result<T, Error> {
        Ok(self.0.try_get(column)?)
    }
}

/// A connection to run statements on.
pub(super) struct Session {
    connection: Held,
    /// The first failure that was the database's own and not the statement's; a transaction may have ended with it.
    broken: Option<Error>,
}

/// One of the readers' pool, or a connection of its own.
enum Held {
    Pooled(PoolConnection<Sqlite>),
    Own(SqliteConnection),
}

impl From<PoolConnection<Sqlite>> for Session {
    fn from(connection: PoolConnection<Sqlite>) -> Self {
        Self { connection: Held::Pooled(connection), broken: None }
    }
}

impl Session {
    /// A connection of its own to a SQLite file that exists.
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        let connection = SqliteConnection::connect_with(options).await?;
        Ok(Self { connection: Held::Own(connection), broken: None })
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.connection {
            Held::Pooled(connection) => connection,
            Held::Own(connection) => connection,
        }
    }

    /// Why the session must not be used again, if so.
    pub(super) fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Marks the session as broken, whatever was known of it before, and answers the error.
    pub(super) fn give_up(&mut self, error: Error) -> Error {
        self.broken = Some(error.clone());
        error
    }

    fn noted<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, Error> {
        done.map_err(|error| {
            let error = Error::from(error);
            if matches!(error, Error::Unavailable(_)) {
                self.give_up(error.clone());
            }
            error
        })
    }

    /// Runs a text of several statements without values.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<(), Error> {
        let done = self.connection().execute(sqlx::raw_sql(text)).await;
        self.noted(done).map(drop)
    }

    /// All rows.
    pub(super) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, Error> {
        let rows = self.connection().fetch_all(statement.checked()).await;
        Ok(self.noted(rows)?.into_iter().map(Row).collect())
    }

    /// The first row, if there is one.
    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, Error> {
        // Not the driver's `fetch_optional`, which stops the statement at its first row.
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Runs a statement for its effect.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        let done = self.connection().execute(statement.checked()).await;
        self.noted(done).map(drop)
    }

    /// Ends the session. A pooled connection goes back to its pool instead.
    pub(super) async fn close(self) {
        if let Held::Own(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "closing the database");
        }
    }
}

/// How long to wait for another process that writes.
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

/// The readers: connections that cannot write, opened when first needed.
pub(super) fn sqlite_readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(sqlite_options(path).pragma("query_only", "on"))
}

/// SQLite's extended result code; the low byte is the primary one.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// What the database itself says, without the driver's words around it.
pub(super) fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Whether another connection was in the way.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a commit that failed so may be in the log all the same: out of memory or an I/O error, the sync's for one.
/// Not IOERR_WRITE, when the frame that makes it a commit was not written whole.
pub(super) fn may_have_committed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    const IOERR_WRITE: u32 = 0x030a;
    let code = error.downcast_ref::<sqlx::Error>().map(sqlite_code);
    // An error that is not SQLite's is the driver's own, and tells nothing.
    code.is_none_or(|code| code.is_none_or(|code| matches!(code & 0xff, 7 | 10) && code != IOERR_WRITE))
}

/// Full disk, busy, I/O error, read-only or corrupt file, no free connection: the store cannot do it now and has not
/// done it. Anything else is a fault of ours.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
        let unavailable = matches!(sqlite_code(&error).map(|code| code & 0xff), Some(5..=8 | 10 | 11 | 13..=15 | 26))
            || matches!(
                error,
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed
            );
        if unavailable { Self::Unavailable(std::sync::Arc::new(error)) } else { Self::internal(error) }
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
        let _ = Statement::new("select $1, $2").bind(1_i64).checked();
    }
}
