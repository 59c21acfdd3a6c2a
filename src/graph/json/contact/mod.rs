//! The two published JSON shapes of the contact.
pub(crate) mod beta;
pub mod read;
pub mod select;
pub(crate) mod v1;
pub mod write;
