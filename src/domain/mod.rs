//! What contactd keeps, and its rules: no I/O, no clock but `clock.rs`, no syntax of any front end.
pub mod category;
pub mod contact;
pub mod error;
pub mod etag;
pub mod extended;
pub mod extension;
pub(crate) mod fold;
pub mod folder;
pub mod photo;
pub mod plain;
pub mod query;
pub mod scopes;
pub mod secret;
pub mod subscription;
pub mod sync;
pub mod user;
pub(crate) mod words;
