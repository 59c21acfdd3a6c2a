//! Where a page of a list ends: what the next page starts behind.

use uuid::Uuid;

/// The place behind a contact in a list. It has no row count, so contacts that are created or deleted meanwhile shift nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The contacts shown last, the last one first. There is more than one only if a key is cut.
    pub shown: Vec<Anchor>,
    /// The sort keys of the last contact.
    pub keys: Vec<KeyValue>,
}

/// A contact that was shown, and a hash of its sort keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The contact's id.
    pub id: Uuid,
    /// Meaningless if no key is cut.
    pub hash: u64,
}

/// The value of a sort key, in sort order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    /// Sorts first.
    Null,
    /// A number, a time or a Boolean.
    Number(i64),
    /// A whole text.
    Text(String),
    /// The start of a text that is too long for a token.
    Cut(String),
}

/// The position after a row of a list that `store::sorted` sorts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceCursor {
    /// Hashes of the positions of the rows shown last, the last one first. Empty if no key of the last row is cut.
    pub shown: Vec<u64>,
    /// The position of the last row: sort keys, creation time and id.
    pub place: Vec<KeyValue>,
}
