//! vCards and contacts: the one place that knows how a card and a contact correspond (docs/import-export.md). Import, export and
//! CardDAV use it. Pure: no I/O and no SQL.
//!
//! A file goes through [`split::Cards`], which finds its cards, and [`read::read`], which makes a [`record::Record`] of each.
//! [`write::write`] makes a card of a contact. [`render::render`] is the card that is kept beside a contact, with what the contact
//! says now, [`put::put`] what a client's card changes of it, [`convert::convert`] the card in the other version.

pub(crate) mod card;
pub mod charset;
pub mod convert;
pub mod dates;
pub(crate) mod edit;
pub mod file;
pub mod labels;
pub mod line;
pub(crate) mod merge;
pub mod put;
pub mod read;
pub mod record;
pub mod render;
pub mod split;
pub mod text;
pub mod write;

pub use crate::domain::card::CardVersion as Version;

/// Whom a card is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A file. It says everything; what no standard has a property for is in `X-CONTACTD-` ones.
    Export,
    /// CardDAV clients. It says what these know; the rest is theirs to leave alone.
    CardDav,
}

/// Begins the PRODID of what this program writes. The version is left out, so that exports can be compared.
pub const PRODUCT: &str = "-//contactd//contactd//EN";
