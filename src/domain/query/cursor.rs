//! Where a page of a list ends: what the next page starts behind.

use uuid::Uuid;

/// The place behind a contact in a list. It has no row count, so contacts that are created or deleted meanwhile shift nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The contacts shown last, the very last one first: more than one only where a key is cut.
    pub shown: Vec<Anchor>,
    /// The sort keys of the last.
    pub keys: Vec<KeyValue>,
}

/// A contact that was shown, and a hash of its sort keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its id.
    pub id: Uuid,
    /// Of no meaning where no key is cut.
    pub hash: u64,
}

/// The value of a sort key, in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    /// The least of all.
    Null,
    /// A number, a time or a truth.
    Number(i64),
    /// A text, whole.
    Text(String),
    /// The beginning of a text.
    Cut(String),
}

/// The place behind a row of a list that `store::sorted` puts in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceCursor {
    /// Hashes of the places of the rows shown last, the very last one first; none where its own is whole.
    pub shown: Vec<u64>,
    /// The place of the last: its sort keys, when it was made, and its id.
    pub place: Vec<KeyValue>,
}
