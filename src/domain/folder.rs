//! The folder of contacts.

use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::etag;
use crate::domain::extended::{ExtendedChanges, MultiValue, SingleValue};
use crate::domain::words::{self, Word};

/// The id shown as the parent of the default folder: the mailbox itself, which no route serves.
pub const ROOT: &str = "msgfolderroot";
/// Longest display name, in characters.
pub const MAX_NAME: usize = 255;

/// A folder as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Any text up to 255 characters; a UUID if the folder was made by a folder route.
    pub id: String,
    /// `None` for the default folder.
    pub parent_folder_id: Option<String>,
    /// As written.
    pub display_name: String,
    /// The number of its last change in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub created_date_time: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Folder {
    /// The version token, as [`crate::domain::contact::Contact::version_token`].
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// The words a search finds it by.
    pub(crate) fn words(&self) -> Vec<Word> {
        words::of_folder(&self.display_name)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }

    /// Whether it is the mailbox's default folder.
    pub fn is_default(&self) -> bool {
        self.id == DEFAULT_FOLDER
    }
}

/// The changes of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderPatch {
    /// Never empty.
    pub display_name: Option<String>,
    /// The folder to move it into.
    pub parent_folder_id: Option<String>,
    /// Extended properties.
    pub single_values: ExtendedChanges<SingleValue>,
    /// Extended properties with lists.
    pub multi_values: ExtendedChanges<MultiValue>,
}
