//! Parts of a contact, for reads that need few of them.

use crate::domain::contact::Text;

/// A property of a contact, or a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub enum ContactPart {
    /// A text property.
    Text(Text),
    Birthday,
    WeddingAnniversary,
    Emails,
    Phones,
    Addresses,
    Websites,
    Categories,
    ImAddresses,
    Children,
}
