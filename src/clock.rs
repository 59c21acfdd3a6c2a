//! The only source of time, ids and random numbers.

use chrono::Utc;
use uuid::Uuid;

/// UTC microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}

/// A UUIDv7, greater than all others this process made, even within one millisecond.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// 244 random bits, in hexadecimal.
pub(crate) fn new_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
