//! Writes: lanes, the writer, shared transactions.
pub(in crate::store) mod bulk_session;
pub(in crate::store) mod call;
mod commit;
pub(in crate::store) mod connector;
pub(in crate::store) mod creates;
pub(in crate::store) mod job;
pub(in crate::store) mod lanes;
pub(in crate::store) mod procedures;
pub(in crate::store) mod rows;
pub(in crate::store) mod tx;
pub(in crate::store) mod writer;
