//! Maps vCards to contacts and back (docs/import-export.md). Import, export and CardDAV use it. Pure: no I/O and no
//! SQL.
//!
//! [`split::Cards`] finds the cards of a file, and [`read::read`] turns each into a [`record::Record`].
//! [`write::write`] writes a contact as a card. [`render::render`] updates a stored card from its contact. [`put::put`]
//! finds what a client's card changes of the contact. [`convert::convert`] converts a card to the other version.

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

/// The reader of a written card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A file. It has everything; what has no standard property is in `X-CONTACTD-` properties.
    Export,
    /// CardDAV clients. It has only what clients understand.
    CardDav,
}

/// The PRODID of cards from this program. It has no version, so that exports can be compared.
pub const PRODUCT: &str = "-//contactd//contactd//EN";
