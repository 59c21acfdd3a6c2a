//! The end of a page of a list, after which the next page begins.

use uuid::Uuid;

/// The position after a row of a list. It is not a row count, so rows that are created or deleted meanwhile do not
/// shift pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The rows shown last, the last one first. There are several only if a key is cut, and none if no key is cut and
    /// the rows have no UUID.
    pub shown: Vec<Anchor>,
    /// The sort keys of the last row, and its ties.
    pub keys: Vec<KeyValue>,
}

/// A row that was shown, and a hash of its sort keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its id; nil where the rows are not identified by a UUID.
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
    /// An id, which a cursor has in its anchors.
    Id(Uuid),
}
