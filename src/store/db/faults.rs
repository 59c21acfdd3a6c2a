//! Classifies the driver's errors: whether the store is unavailable, whether a failed commit may have happened, and what
//! the operator is told.

use std::fmt::{self, Display, Formatter};

use sqlx::error::{DatabaseError as _, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::sqlite::SqliteError;

use crate::domain::error::Error;
use crate::metrics::list::Fault;

/// The message of the database, without the driver's text around it.
pub(in crate::store) fn message(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// The same for an error of the store.
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

/// Whether a SQLite file is damaged, or is not a database.
pub(in crate::store) fn is_damage(error: &Error) -> bool {
    let (Error::Unavailable(cause) | Error::Internal(cause)) = error else { return false };
    let code = cause.downcast_ref::<sqlx::Error>().and_then(sqlite_code);
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether another connection held a lock.
pub(in crate::store) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a statement was canceled, by its time limit or by an operator.
pub(in crate::store) fn is_canceled(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| code & 0xff == 9)
        || postgres_error(error).is_some_and(|error| error.code() == "57014")
}

/// The cause where two sessions were seen in one server process.
pub(in crate::store) const SHARED: &str = "sessions share a server process";

/// Whether a session found another's prepared statement, or missed its own: it shares a server process.
pub(in crate::store) fn is_of_pooler(error: &Error) -> bool {
    let (Error::Unavailable(cause) | Error::Internal(cause)) = error else { return false };
    let error = cause.downcast_ref().and_then(postgres_error);
    let is_statement_pooling = |error: &PgDatabaseError| error.message().contains("in statement pooling mode");
    cause.to_string() == SHARED
        || error.is_some_and(|error| matches!(error.code(), "42P05" | "26000") || is_statement_pooling(error))
}

/// Whether a statement violated a not-null constraint.
pub(in crate::store) fn is_missing_value(error: &Error) -> bool {
    is_of_kind(error, &ErrorKind::NotNullViolation)
}

/// Whether a statement violated a unique index.
pub(in crate::store) fn is_duplicate(error: &Error) -> bool {
    is_of_kind(error, &ErrorKind::UniqueViolation)
}

fn is_of_kind(error: &Error, kind: &ErrorKind) -> bool {
    let Error::Internal(cause) = error else { return false };
    let error = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.kind() == *kind)
}

/// Whether the connection was lost, rather than the statement refused.
pub(in crate::store) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Unavailable(cause) if may_have_committed(&**cause))
}

const IOERR_WRITE: u32 = 0x030a;

/// Whether a commit that failed with this error may have happened.
pub(in crate::store) fn may_have_committed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    // An error of the driver itself says nothing about the commit.
    let Some(error) = error.downcast_ref::<sqlx::Error>() else { return true };
    if let Some(error) = postgres_error(error) {
        // An ordinary error has rolled back the transaction, except the codes for an unknown outcome. A fatal error ends the
        // session in an unknown state.
        return error.severity() != PgSeverity::Error || matches!(error.code(), "40003" | "08007");
    }
    // NOMEM or IOERR, for instance of fsync. Not IOERR_WRITE: then the frame that commits was not written completely.
    sqlite_code(error).is_none_or(|code| matches!(code & 0xff, 7 | 10) && code != IOERR_WRITE)
}

/// How the database failed, for the metrics; `None` if it has only refused the statement.
pub(in crate::store) fn kind(error: &sqlx::Error) -> Option<Fault> {
    if let Some(code) = sqlite_code(error) {
        // BUSY, LOCKED; IOERR; FULL; CORRUPT, NOTADB; NOMEM, READONLY, CANTOPEN, PROTOCOL.
        return match code & 0xff {
            5 | 6 => Some(Fault::Busy),
            10 => Some(Fault::Io),
            13 => Some(Fault::Full),
            11 | 26 => Some(Fault::Corrupt),
            7 | 8 | 14 | 15 => Some(Fault::Other),
            _ => None,
        };
    }
    if let Some(error) = postgres_error(error) {
        let class = error.code().get(..2).unwrap_or_default();
        return match (error.code(), class) {
            ("XX001" | "XX002", _) => Some(Fault::Corrupt),
            ("53100", _) => Some(Fault::Full),
            ("55P03", _) | (_, "40") => Some(Fault::Busy),
            ("57014", _) => None,
            (_, "58") => Some(Fault::Io),
            (_, "08" | "57") => Some(Fault::Lost),
            (_, "28" | "3D" | "53") => Some(Fault::Other),
            _ => None,
        };
    }
    is_unavailable(error).then_some(Fault::Lost)
}

/// Whether the database is unavailable and has not executed the statement. Other errors are bugs of this program.
fn is_unavailable(error: &sqlx::Error) -> bool {
    if let Some(code) = sqlite_code(error) {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
        return matches!(code & 0xff, 5..=11 | 13..=15 | 26);
    }
    if let Some(error) = postgres_error(error) {
        // Classes: connection, authentication, no such database, rollback (serialization, deadlock), resources, operator
        // (shutdown, statement timeout), system. Codes: lock not available, read-only server, corruption.
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

/// Why a store cannot be opened or copied, as one line for the operator.
#[derive(Debug)]
pub struct OpenError {
    reason: String,
    is_fault: bool,
}

impl OpenError {
    /// A whole line.
    pub(in crate::store) fn from_line(reason: String) -> Self {
        Self { reason, is_fault: false }
    }

    /// `PLACE: REASON`
    pub(in crate::store) fn new(place: impl Display, reason: impl Display) -> Self {
        Self::from_line(format!("{place}: {reason}"))
    }

    /// The same where the data itself is at fault.
    pub(in crate::store) fn faulty(place: impl Display, reason: impl Display) -> Self {
        Self { is_fault: true, ..Self::new(place, reason) }
    }

    /// Whether the data itself is at fault.
    pub fn is_fault(&self) -> bool {
        self.is_fault
    }

    /// The same with an error of the database as the reason.
    pub(in crate::store) fn of(place: impl Display, error: &Error) -> Self {
        Self::new(place, reason(error))
    }
}

impl Display for OpenError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for OpenError {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) { Self::Unavailable(std::sync::Arc::new(error)) } else { Self::internal(error) }
    }
}
