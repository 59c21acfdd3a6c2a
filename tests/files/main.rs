//! Files of the programs that people come from, without a store: what is read of them, that nothing is dropped, that what is
//! written reads the same, and that no bytes break a reader.

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
