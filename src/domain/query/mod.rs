//! What a front end asks of the store, whatever its syntax.
pub mod cursor;
#[cfg(test)]
pub(crate) mod eval;
pub mod search;
pub mod typed;
