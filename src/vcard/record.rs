//! A record of a file as a reader returns it: a card, a CSV row, an LDIF entry, or a JSON object.

use crate::domain::contact::patch::ContactPatch;

/// The place of a record in its file. Numbers begin at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The unit: `card`, `row`, `record`, `item` or `line`.
    pub unit: &'static str,
    /// The record's number in this unit.
    pub number: u64,
    /// The physical line where the record begins.
    pub line: u64,
}

/// The outcome of one property, column or member of a record. The name is upper case for vCard, as in the header for
/// CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyOutcome {
    /// The name.
    pub name: String,
    /// Its outcome.
    pub fate: Fate,
}

/// The outcome of a property. No property is dropped without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A property of the contact holds it.
    Mapped,
    /// A property of the contact holds a part; the card keeps the whole.
    Partial,
    /// No property of the contact holds it; the card keeps it. The reason, if there is one: `too long`, `too many`.
    Aside(Option<&'static str>),
    /// Left out on purpose, with the reason.
    Ignored(&'static str),
    /// Cannot be kept at all, with the reason: `too large`, `too much`.
    Lost(&'static str),
}

/// The reason of [`Fate::Ignored`] for what says nothing about the person, such as `VERSION`, or a default that a
/// program writes into every record. A report counts it but does not list it for each contact.
pub const SAYS_NOTHING: &str = "says nothing";

/// The reason of [`Fate::Aside`] for a part that is kept with its value, such as the label of a custom field. A report
/// counts it but does not list it for each contact.
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
    /// Every property of the record. An import replaces the whole contact with it.
    pub patch: ContactPatch,
    /// The photo.
    pub photo: Option<RecordPhoto>,
    /// The identity as written: UID, `id`, `entryUUID`. Identities are compared without `urn:uuid:` and without case.
    pub uid: Option<String>,
    /// Another name by which a group of the same file refers to it: the `dn` of LDIF. It is not an identity.
    pub alias: Option<String>,
    /// The outcome of each property, in the record's order.
    pub outcomes: Vec<PropertyOutcome>,
    /// The card to store with the contact: vCard 3.0 or 4.0 as UTF-8 with CRLF, including the photo. `None` if the
    /// record was not a card and nothing is kept aside.
    pub card: Option<String>,
    /// Number of lines that are neither a property nor a part of one. They are left out.
    pub junk_lines: u64,
}

/// A group card or distribution list: its name becomes a category of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRecord {
    /// The group's name.
    pub name: String,
    /// The members' identities as written. In LDIF these are their `dn`s, the members' [`Record::alias`].
    pub members: Vec<String>,
    /// The group's own identity.
    pub uid: Option<String>,
    /// The card, as in [`Record`].
    pub card: Option<String>,
    /// The outcome of each property.
    pub outcomes: Vec<PropertyOutcome>,
}

/// Why a record is not a contact: `unterminated`, `empty`, `not JSON`, `not an object`, `wrong type`, `too deep`,
/// `removed`, `unclosed quote`, `not recognised`, `no Card`, `changetype`, `too large`; or, when it is stored, `too much`: its
/// contact would be over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of the reasons above.
    pub reason: &'static str,
    /// More detail for a person.
    pub detail: Option<String>,
}

/// The result of reading one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordContent {
    /// A contact.
    Contact(Box<Record>),
    /// A group.
    Group(Box<GroupRecord>),
    /// It is refused.
    Refused(Refusal),
}

/// One record with its place and its bytes in the file, so that a refused one can be written out and repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Its place.
    pub position: Position,
    /// Its bytes in the file.
    pub raw: Vec<u8>,
    /// Its content.
    pub found: RecordContent,
}
