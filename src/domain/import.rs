//! The data of an import: what it passes to the store, and the results.

use uuid::Uuid;

use crate::domain::contact::Properties;
use crate::domain::contact::patch::ContactAdditions;
use crate::domain::photo::Picture;

/// Most contacts of one commit.
pub const MAX_BATCH: usize = 500;

/// A contact as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its folded identity, or the hash of its content if it has no identity.
    pub key: String,
    /// The identity as it was written, if it came with one.
    pub uid: Option<String>,
    /// The identity as an id, if it has that form: it may be the id of a contact of the mailbox.
    pub id: Option<Uuid>,
    /// The folded e-mail address for finding the contact if nothing else does.
    pub email: Option<String>,
    /// The hash of its properties, photo and card.
    pub hash: [u8; 16],
    /// All its properties.
    pub properties: Properties,
    /// Extensions and extended properties to set; others of an existing contact stay.
    pub added: Option<Box<ContactAdditions>>,
    /// Its photo.
    pub photo: Option<(Picture, Vec<u8>)>,
    /// Whether the file's format has no photos, so that the contact's photo stays.
    pub keeps_photo: bool,
    /// The card to store with it.
    pub card: Option<String>,
    /// Whether the card has data that no property has.
    pub keeps: bool,
}

impl Incoming {
    /// Approximate size in memory, in bytes.
    pub fn size(&self) -> usize {
        let photo = self.photo.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let added = self.added.as_ref().map_or(0, |added| added.size());
        1_024 + photo + added + self.card.as_ref().map_or(0, String::len)
    }
}

/// The card of a group of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingGroup {
    /// Its identity.
    pub uid: String,
    /// The card, which has that UID.
    pub text: String,
}

/// The effect of a contact of a file on the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    Created,
    /// It existed and was different.
    Updated,
    /// It existed and was the same: nothing was written.
    Unchanged,
    /// The contact would be over a limit with it: nothing was written.
    Refused,
}

impl Effect {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// A contact of a file, once it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The contact; `None` if a dry run would create it, or if it is refused.
    pub id: Option<Uuid>,
    /// The effect.
    pub effect: Effect,
    /// Why it is refused.
    pub refusal: Option<String>,
}

impl Imported {
    /// A contact that is not refused.
    pub fn new(id: Option<Uuid>, effect: Effect) -> Self {
        Self { id, effect, refusal: None }
    }

    /// A contact that is refused.
    pub fn refused(why: String) -> Self {
        Self { id: None, effect: Effect::Refused, refusal: Some(why) }
    }
}

/// The number of contacts by effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectCounts {
    /// New contacts.
    pub created: u64,
    /// Contacts that were changed.
    pub updated: u64,
    /// Contacts that were the same.
    pub unchanged: u64,
    /// Records that are not contacts.
    pub refused: u64,
}

impl EffectCounts {
    /// Counts one more.
    pub fn add(&mut self, effect: Effect) {
        match effect {
            Effect::Created => self.created += 1,
            Effect::Updated => self.updated += 1,
            Effect::Unchanged => self.unchanged += 1,
            Effect::Refused => self.refused += 1,
        }
    }
}

/// Identifies a file when an import of it is continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSource {
    /// Its name, for people.
    pub name: String,
    /// Its size in bytes; a stream has none.
    pub size: Option<u64>,
    /// The SHA-256 of its first 64 KiB, in hexadecimal.
    pub head: String,
    /// The detected format.
    pub format: String,
}

/// An import and its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The mailbox that it fills.
    pub mailbox: i64,
    /// The file.
    pub source: ImportSource,
    /// The folder of new contacts.
    pub folder: String,
    /// UTC microseconds.
    pub started: i64,
    /// UTC microseconds; `None` if it was interrupted.
    pub finished: Option<i64>,
    /// UTC microseconds.
    pub undone: Option<i64>,
    /// Number of records up to the last commit.
    pub records: u64,
    /// Number of bytes of the file up to the last commit.
    pub bytes: u64,
    /// The numbers of effects.
    pub counts: EffectCounts,
}

/// The progress of an import at a commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Records that were read, from the first on.
    pub records: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records of this commit that were refused.
    pub refused: u64,
    /// Whether the file ends here.
    pub is_finished: bool,
}

/// The effect of undoing an import on a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// The import had created it; it is in the trash now.
    Removed,
    /// The import had changed it: it is as it was.
    Restored,
    /// Somebody has changed it since: it stays as it is.
    Changed,
    /// It is deleted: nothing was left to do.
    Gone,
}
