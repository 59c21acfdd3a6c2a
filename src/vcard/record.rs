//! What a reader finds in one record of a file: a card, a CSV row, an LDIF entry, a JSON object.

use crate::domain::contact::patch::ContactPatch;

/// Where a record stands in its file. Numbers begin at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// What is counted: `card`, `row`, `record`, `item` or `line`.
    pub unit: &'static str,
    /// The record's number in that count.
    pub number: u64,
    /// The physical line where the record begins.
    pub line: u64,
}

/// What became of one property, column or member of a record. The name is upper case for vCard, as in the header for CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyOutcome {
    /// The name.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
}

/// What becomes of a property: nothing is dropped without one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A property of the contact holds it.
    Mapped,
    /// A property of the contact holds a part; the card keeps the whole.
    Partial,
    /// No property of the contact holds it; the card keeps it. The reason, where there is more to say: `too long`, `too many`.
    Aside(Option<&'static str>),
    /// Left out on purpose, with the reason.
    Ignored(&'static str),
    /// Cannot be kept at all, with the reason: `too large`, `too much`.
    Lost(&'static str),
}

/// The reason of [`Fate::Ignored`] for what says nothing about the person, like `VERSION`, or a default that a program writes into
/// every record. A report counts it and does not list it for each contact.
pub const SAYS_NOTHING: &str = "says nothing";

/// The reason of [`Fate::Aside`] for a part that is kept because its value is: the label of a custom field. A report counts it and
/// does not list it for each contact.
pub const WITH_ITS_VALUE: &str = "with its value";

/// A photo of a record. Its format is read from its first bytes when it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPhoto {
    /// The picture's bytes, at most 4 MiB.
    pub bytes: Vec<u8>,
}

/// A contact as a record describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Every property that the record speaks of. An import replaces the whole contact by it.
    pub patch: ContactPatch,
    /// The photo.
    pub photo: Option<RecordPhoto>,
    /// The identity as written: UID, `id`, `entryUUID`. Identities are compared without `urn:uuid:` and without case.
    pub uid: Option<String>,
    /// Another name by which a group of the same file refers to it: the `dn` of LDIF. It is no identity.
    pub alias: Option<String>,
    /// What became of each property, in the record's order.
    pub outcomes: Vec<PropertyOutcome>,
    /// The card to keep beside the contact: vCard 3.0 or 4.0 as UTF-8 with CRLF. `None` if nothing is kept aside and the record
    /// was no card. The photo is in it, too.
    pub card: Option<String>,
    /// Lines of the record that are neither a property nor a part of one. They are left out, and counted.
    pub junk_lines: u64,
}

/// A group card or distribution list: its name becomes a category of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRecord {
    /// The group's name.
    pub name: String,
    /// The members' identities as written; of LDIF their `dn`, which is the members' [`Record::alias`].
    pub members: Vec<String>,
    /// The group's own identity.
    pub uid: Option<String>,
    /// The card, as in [`Record`].
    pub card: Option<String>,
    /// What became of each property.
    pub outcomes: Vec<PropertyOutcome>,
}

/// Why a record is no contact: `unterminated`, `empty`, `not JSON`, `not an object`, `wrong type`, `too deep`, `removed`,
/// `unclosed quote`, `not recognised`, `no Card`, `changetype`, `too large`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of the reasons above.
    pub reason: &'static str,
    /// More for a person, if there is more to say.
    pub detail: Option<String>,
}

/// What came out of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordContent {
    /// A contact.
    Contact(Box<Record>),
    /// A group.
    Group(Box<GroupRecord>),
    /// Nothing: it is refused.
    Refused(Refusal),
}

/// One record with its place and its bytes as they stood in the file, so that a refused one can be written out and mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Where it stands.
    pub position: Position,
    /// The bytes as they came.
    pub raw: Vec<u8>,
    /// What it is.
    pub found: RecordContent,
}
