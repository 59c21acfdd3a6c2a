//! One binary for all integration tests. Most drive the API over a real socket, served from this process on a fresh
//! database (`app`); those about running drive the real program (`program`). A module is named after what it is about.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "this is a test: it panics where it is wrong, and asks the clock to check the server's"
)]

mod app;
mod expected;
mod program;

mod access;
mod concurrency;
mod conditions;
mod contacts;
mod contacts_ref;
mod crash;
mod embedding;
mod faults;
mod folders;
mod limits;
mod model;
mod paging;
mod paths;
mod refusals;
mod running;
