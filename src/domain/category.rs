//! The category: a name to which a mailbox gives a colour. The categories of a contact are plain names, which need not be
//! among these.

use uuid::Uuid;

use crate::domain::etag;

/// Longest display name, in characters.
pub const MAX_NAME: usize = 255;

/// The colours. The first one is the default. Clients know them by number and choose the shade.
pub const COLORS: [&str; 26] = [
    "none", "preset0", "preset1", "preset2", "preset3", "preset4", "preset5", "preset6", "preset7", "preset8",
    "preset9", "preset10", "preset11", "preset12", "preset13", "preset14", "preset15", "preset16", "preset17",
    "preset18", "preset19", "preset20", "preset21", "preset22", "preset23", "preset24",
];

/// A category as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Greater than the ids of all categories created before.
    pub id: Uuid,
    /// As written; unique in the mailbox, ignoring letter case.
    pub display_name: String,
    /// One of [`COLORS`].
    pub color: String,
    /// The number of its last change in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Category {
    /// The version token, as [`crate::domain::contact::Contact::version_token`].
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }
}

/// The changes of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CategoryPatch {
    /// Never blank.
    pub display_name: Option<String>,
    /// One of [`COLORS`]; null in a body means the first.
    pub color: Option<&'static str>,
}
