//! Files of other programs, without a store: results of reading, no silent loss, round trips, and
//! robustness against any input.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "this is a test: it panics where it is wrong"
)]

mod broken;
mod corpus;
mod counted;
mod dialects;
mod limits;
mod round;
