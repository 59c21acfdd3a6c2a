//! Files of other programs, without a store: what is read, that nothing is dropped, that written files read the same, and
//! that no input breaks a reader.

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
