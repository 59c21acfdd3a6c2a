//! The program: flags, start and stop, the commands of the operator.
pub mod admin;
pub mod audit;
pub mod config;
pub mod copy;
pub(crate) mod first_start;
pub mod health;
pub mod limits;
pub mod serve;
pub mod upkeep;
