//! Files with contacts in formats other than vCard: what they are, what they say, and how they are written
//! (docs/import-export.md). Pure: no I/O and no SQL. Readers get bytes and yield records; writers get contacts and make bytes.

pub mod aside;
mod cards;
mod charset;
pub mod csv;
pub mod detect;
mod draft;
pub mod jscontact;
pub mod json;
mod ldif;
pub mod reader;
pub mod report;
pub mod write;
