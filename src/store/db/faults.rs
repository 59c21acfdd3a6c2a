//! What the driver's errors mean to us: whether the store cannot do it now, whether a commit may have happened all the
//! same, and what an operator is told.

use sqlx::error::DatabaseError as _;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::sqlite::SqliteError;

use crate::domain::error::Error;

/// What the database itself says, without the driver's words around it.
pub(in crate::store) fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The same of an error of ours.
pub(in crate::store) fn reason(error: &Error) -> String {
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

/// Whether a SQLite file is damaged, or is none.
pub(in crate::store) fn is_damage(error: &Error) -> bool {
    let (Error::Unavailable(cause) | Error::Internal(cause)) = error else { return false };
    let code = cause.downcast_ref::<sqlx::Error>().and_then(sqlite_code);
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether another connection was in the way.
pub(in crate::store) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a statement was stopped: because its time was over, or because somebody wanted that.
pub(in crate::store) fn is_stopped(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| code & 0xff == 9)
        || postgres_error(error).is_some_and(|error| error.code() == "57014")
}

/// Whether a statement found nothing for a column that must have a value.
pub(in crate::store) fn lacks_value(error: &Error) -> bool {
    let Error::Internal(cause) = error else { return false };
    let error = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.kind() == sqlx::error::ErrorKind::NotNullViolation)
}

/// Whether the connection is gone with the error, and not just what was asked refused.
pub(in crate::store) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Unavailable(cause) if may_have_committed(&**cause))
}

const IOERR_WRITE: u32 = 0x030a;

/// Whether a commit that failed so may have happened all the same.
pub(in crate::store) fn may_have_committed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
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
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
        return matches!(code & 0xff, 5..=11 | 13..=15 | 26);
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
