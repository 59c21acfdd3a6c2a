//! One binary for all integration tests. Most drive the API over a real socket, served from this process on a fresh
//! database (`app`). Tests of the process drive the real program (`program`).
//! Tests in `both` run on SQLite, or with TEST_ENGINE=postgres on PostgreSQL; `tests/run` does
//! both.

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
mod contract;
mod expected;
mod identity;
mod postgres;
mod program;
mod receiver;
mod storm;
mod walk;
mod wire;

mod both;
mod causes;
mod checkpoints;
mod cluster;
mod commands;
mod copying;
mod crash;
mod database_files;
mod deceit;
mod documented_in_rust;
mod documents;
mod edge;
mod engines;
mod entra;
mod faults;
mod fuzz;
mod golden;
mod hostile;
mod importing;
mod label_values;
mod lifetime;
mod listening;
mod lost_answers;
mod measured;
mod memory;
mod notifications;
mod operating;
mod option_errors;
mod packages;
mod plans;
mod poolers;
mod printed;
mod probing;
mod recipes;
mod replicated;
mod running;
mod same_answers;
mod seeding;
mod settings;
mod signing_in;
mod starting;
mod stopped_clock;
mod testing;
mod tls;
mod traced;
mod unencoded;
mod upgrading;
mod upkeep;
mod viewing;
