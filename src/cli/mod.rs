//! The program: its commands and flags, and the start and stop of the server.
pub mod admin;
pub mod arguments;
pub mod audit;
pub mod config;
pub mod copy;
pub mod exec;
pub(crate) mod first_start;
pub mod health;
pub(crate) mod lifetime;
pub mod limits;
pub(crate) mod monitored;
pub(crate) mod output;
pub mod phone;
pub mod serve;
pub mod serve_options;
pub mod upkeep;
