//! vCards and contacts: the one place that knows how a card and a contact correspond (docs/import-export.md). Import, export and
//! CardDAV use it. Pure: no I/O and no SQL.

pub mod record;
