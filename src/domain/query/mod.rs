//! Queries that front ends send to the store: filters, orders, searches and cursors, independent of any syntax.
pub mod cursor;
#[cfg(test)]
pub(crate) mod eval;
pub mod search;
pub mod typed;
