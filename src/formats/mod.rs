//! Detects, reads and writes files of contacts in formats other than vCard (docs/import-export.md). Pure: no I/O and no
//! SQL. Readers turn bytes into records; writers turn contacts into bytes.

pub mod aside;
mod cards;
pub mod charset;
pub mod csv;
pub mod detect;
mod draft;
pub mod jscontact;
pub mod json;
mod ldif;
pub mod reader;
pub mod report;
mod unread;
pub mod write;
