//! Paths, query strings, headers and JSON bodies as values. No I/O, no SQL, no HTTP.

pub mod address;
mod codec;
pub mod delta;
pub mod entity;
pub mod expand;
pub mod filter;
pub mod format;
pub mod page;
pub mod prefer;
pub mod query;
pub mod search;
pub mod shape;
