//! The stored contact and its rules: the union of what both published shapes can express (docs/graph.md, "The contact").
//! [`patch`] is what a request changes.

pub mod expand;
pub mod parts;
pub mod patch;
pub mod slots;
pub mod tags;

use uuid::Uuid;

use crate::domain::contact::expand::Expanded;
use crate::domain::etag;

/// The id of every mailbox's default folder, which is also its well-known name in Graph.
pub const DEFAULT_FOLDER: &str = "contacts";

/// Whether an id is the default folder's in another letter case. It then means the default folder, unless some folder has
/// exactly this id.
pub fn is_default_otherwise(id: &str) -> bool {
    id != DEFAULT_FOLDER && id.eq_ignore_ascii_case(DEFAULT_FOLDER)
}
/// Longest folder id, in characters.
pub const MAX_FOLDER_ID: usize = 255;
/// Longest string of a contact, in characters. A longer one is refused, never cut.
pub const MAX_TEXT: usize = 4_096;
/// Longest `personalNotes`, in characters.
const MAX_NOTES: usize = 1_048_576;
/// Most entries of one collection.
pub const MAX_ENTRIES: usize = 100;

/// Parses a contact id: a UUID in lower case, 36 characters. Ids are case-sensitive (docs/graph.md, decision 9).
pub fn parse_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}

macro_rules! texts {
    ($($variant:ident $json:literal,)*) => {
        /// The plain text properties, in the order of the schema's columns.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the property of its name")]
        pub enum Text { $($variant,)* }

        impl Text {
            /// Every text property, in column order.
            pub const ALL: [Self; [$($json),*].len()] = [$(Self::$variant,)*];

            /// The property's name in JSON.
            pub const fn json(self) -> &'static str {
                match self { $(Self::$variant => $json,)* }
            }
        }
    };
}

texts! {
    FileAs "fileAs",
    DisplayName "displayName",
    GivenName "givenName",
    Initials "initials",
    MiddleName "middleName",
    NickName "nickName",
    Surname "surname",
    Title "title",
    YomiGivenName "yomiGivenName",
    YomiSurname "yomiSurname",
    YomiCompanyName "yomiCompanyName",
    Generation "generation",
    JobTitle "jobTitle",
    CompanyName "companyName",
    Department "department",
    OfficeLocation "officeLocation",
    Profession "profession",
    AssistantName "assistantName",
    Manager "manager",
    SpouseName "spouseName",
    PersonalNotes "personalNotes",
    Gender "gender",
}

impl Text {
    /// Longest value, in characters.
    pub const fn max(self) -> usize {
        match self {
            Self::PersonalNotes => MAX_NOTES,
            _ => MAX_TEXT,
        }
    }

    /// The value an unset property reads as: Graph answers `""` for these two and `null` for all others.
    pub const fn unset(self) -> Option<&'static str> {
        match self {
            Self::FileAs | Self::PersonalNotes => Some(""),
            _ => None,
        }
    }
}

/// A member of a complex type: its JSON name and, for an enumeration, the members Graph knows.
pub struct Member {
    /// The name in JSON.
    pub json: &'static str,
    /// Empty for plain text.
    pub members: &'static [&'static str],
}

/// A complex type whose members are all nullable text.
pub trait Complex: Default {
    /// The type's name, as in `@odata.type`.
    const TYPE: &'static str;
    /// The members, in the order they are shown and stored.
    const MEMBERS: &'static [Member];
    /// The value of `MEMBERS[i]`.
    fn member(&self, i: usize) -> Option<&str>;
    /// Sets the value of `MEMBERS[i]`.
    fn set(&mut self, i: usize, value: Option<String>);
}

macro_rules! complex {
    ($(#[$doc:meta])* $name:ident $type:literal { $($field:ident $json:literal $members:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is the member of its name")]
        pub struct $name { $(pub $field: Option<String>,)* }

        impl Complex for $name {
            const TYPE: &'static str = $type;
            const MEMBERS: &'static [Member] = &[$(Member { json: $json, members: $members },)*];

            fn member(&self, i: usize) -> Option<&str> {
                [$(self.$field.as_deref(),)*].get(i).copied().flatten()
            }

            fn set(&mut self, i: usize, value: Option<String>) {
                if let Some(field) = [$(&mut self.$field,)*].get_mut(i) {
                    **field = value;
                }
            }
        }
    };
}

complex! {
    /// An entry of `emailAddresses`; any text is an address.
    Email "microsoft.graph.typedEmailAddress" {
        name "name" &[],
        address "address" &[],
        kind "type" &["unknown", "work", "personal", "main", "other"],
        other_label "otherLabel" &[],
    }
}

impl Email {
    /// Uses the address as the name if there is no name, as Graph does.
    pub fn name_by_address(&mut self) {
        if self.name.is_none() {
            self.name.clone_from(&self.address);
        }
    }
}

complex! {
    /// An entry of `phones`.
    Phone "microsoft.graph.phone" {
        kind "type" &[
            "home", "business", "mobile", "other", "assistant", "homeFax", "businessFax", "otherFax", "pager", "radio",
        ],
        number "number" &[],
    }
}

complex! {
    /// An entry of `postalAddresses`.
    Address "microsoft.graph.physicalAddress" {
        kind "type" &["unknown", "home", "business", "other"],
        post_office_box "postOfficeBox" &[],
        street "street" &[],
        city "city" &[],
        state "state" &[],
        country_or_region "countryOrRegion" &[],
        postal_code "postalCode" &[],
    }
}

complex! {
    /// An entry of `websites`.
    Website "microsoft.graph.website" {
        kind "type" &["other", "home", "work", "blog", "profile"],
        address "address" &[],
        display_name "displayName" &[],
    }
}

complex! {
    /// A wall-clock time and its zone; `flag` has three. Stored as written.
    DateTimeTimeZone "microsoft.graph.dateTimeTimeZone" {
        date_time "dateTime" &[],
        time_zone "timeZone" &[],
    }
}

/// The type of `flag`.
pub const FLAG_TYPE: &str = "microsoft.graph.followupFlag";
/// The members of `flag`.
pub const FLAG_MEMBERS: &[&str] = &["completedDateTime", "dueDateTime", "startDateTime", "flagStatus"];
/// The members of `flagStatus`.
pub const FLAG_STATUS: &[&str] = &["notFlagged", "complete", "flagged"];

/// `flag`: a follow-up mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the member of its name")]
pub struct Flag {
    pub status: Option<String>,
    pub completed: DateTimeTimeZone,
    pub due: DateTimeTimeZone,
    pub start: DateTimeTimeZone,
}

impl Flag {
    /// Whether it is empty, or equals the JSON of an unset flag. A client that sends back what it read must not set a
    /// flag.
    pub fn is_unset(&self) -> bool {
        let shown = Self { status: Some(FLAG_STATUS[0].to_owned()), ..Self::default() };
        *self == Self::default() || *self == shown
    }
}

/// The properties that a client can set, except the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Indexed by [`Text`].
    pub texts: [Option<String>; Text::ALL.len()],
    /// True while `displayName` is derived from other properties.
    pub display_name_derived: bool,
    /// A DateTimeOffset as the client wrote it.
    pub birthday: Option<String>,
    /// Any text. Only a date can be sorted or filtered by.
    pub wedding_anniversary: Option<String>,
    /// `isFavorite`.
    pub is_favorite: Option<bool>,
    /// `None` if it was never set.
    pub flag: Option<Flag>,
    /// Names of categories.
    pub categories: Vec<String>,
    /// `imAddresses`.
    pub im_addresses: Vec<String>,
    /// Names of children.
    pub children: Vec<String>,
    /// `emailAddresses`.
    pub emails: Vec<Email>,
    /// `phones`.
    pub phones: Vec<Phone>,
    /// `postalAddresses`.
    pub addresses: Vec<Address>,
    /// `websites`.
    pub websites: Vec<Website>,
}

impl Properties {
    /// The value of a text property.
    pub fn text(&self, text: Text) -> Option<&str> {
        self.texts[text as usize].as_deref()
    }

    /// Approximate size of its values in JSON, in bytes, member names included.
    fn size(&self) -> usize {
        let lists = [&self.categories, &self.im_addresses, &self.children];
        let texts = self.texts.iter().flatten().chain(lists.into_iter().flatten());
        let texts = texts.chain(&self.birthday).chain(&self.wedding_anniversary);
        let mut size = texts.map(|text| json_size(text)).sum::<usize>();
        size += entries_size(&self.emails) + entries_size(&self.phones);
        size += entries_size(&self.addresses) + entries_size(&self.websites);
        if let Some(Flag { status, completed, due, start }) = &self.flag {
            size += status.as_deref().map_or(0, json_size);
            size += [completed, due, start].map(|time| entries_size(std::slice::from_ref(time))).iter().sum::<usize>();
        }
        size
    }
}

/// Size of a text in JSON, in bytes: a control character takes six, a quote two.
fn json_size(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

fn entries_size<T: Complex>(entries: &[T]) -> usize {
    let members = |entry: &T| (0..T::MEMBERS.len()).filter_map(|i| entry.member(i)).map(json_size).sum::<usize>();
    entries.iter().map(|entry| 64 + members(entry)).sum()
}

/// A contact as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// UUIDv7, never changed.
    pub id: Uuid,
    /// The folder it is in.
    pub parent_folder_id: String,
    /// The number of its last change in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub created_date_time: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
    /// The `changeKey` sent by the client that created it, until the next write.
    pub sent_change_key: Option<String>,
    /// The properties that a client can set.
    pub properties: Properties,
    /// Extensions and extended properties, if they were asked for.
    pub expanded: Option<Box<Expanded>>,
}

impl Contact {
    /// The version token: unique for each state of the contact.
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// Approximate size in JSON, in bytes.
    pub fn size(&self) -> usize {
        let key = self.sent_change_key.as_deref().map_or(0, json_size);
        1_536 + key + json_size(&self.parent_folder_id) + self.properties.size()
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }
}
