//! What a front end asks of the store, whatever its syntax.
#[cfg(test)]
pub(crate) mod eval;
pub mod typed;
