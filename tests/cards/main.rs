//! Cards and contacts, without a server: the corpus against its expectations, round trips, files that are broken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets what it does not expect fails"
)]

mod corpus;
mod hostile;
mod kept;
mod round;
mod second;
mod shape;
mod traps;
