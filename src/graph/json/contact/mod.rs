//! The two published JSON shapes of the contact.
pub(crate) mod beta;
pub mod file;
pub(crate) mod members;
pub mod read;
pub(crate) mod reader;
pub mod select;
pub(crate) mod v1;
pub mod write;
