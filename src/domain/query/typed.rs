//! A filter after name and type checks. Every text in it is folded. Folding goes character by character, so comparing,
//! searching, cutting and joining folded texts gives the same result as folding afterwards. Numbers, days (since 1970),
//! times (microseconds of the day) and instants (microseconds since 1970) are whole numbers.
//!
//! A condition is true, false or null. A comparison with `eq` is never null.

use crate::domain::contact::{Address, Complex, Email, Phone, Text, Website};

/// A condition on a contact, folder, category or user.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Condition {
    Constant(Option<bool>),
    IsFavorite,
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    /// Whether both conditions have the same value, null included.
    Same(Box<Self>, Box<Self>),
    CompareText(Comparison, TextValue, TextValue),
    CompareNumber(Comparison, NumberValue, NumberValue),
    /// Whether the value is in the list, or is null if the flag is set.
    InTexts(TextValue, Vec<String>, bool),
    InNumbers(NumberValue, Vec<i64>, bool),
    /// Whether an id is this one, case-sensitively.
    IsId(Id, Option<String>),
    Find(Find, TextValue, TextValue),
    /// Whether the value of the range variable's extended property is `true` or `false`; null for other values.
    Truth(usize, EntryTable),
    /// Whether some entry matches, or exists. The entry is bound to the variable of its depth.
    Any(EntryList, Option<Box<Self>>),
    /// Whether every entry matches.
    All(EntryList, Box<Self>),
}

/// All comparisons except `ne`, which is `not eq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Comparison {
    Eq,
    Gt,
    Ge,
    Lt,
    Le,
}

/// Where one text is searched in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum Find {
    Contains,
    StartsWith,
    EndsWith,
}

/// A text, folded, or null.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum TextValue {
    Constant(Option<String>),
    Property(Property),
    Concat(Box<Self>, Box<Self>),
    /// The part from an index (from 0), of a length. Negative numbers count as 0.
    Substring(Box<Self>, Box<NumberValue>, Option<Box<NumberValue>>),
    Trim(Box<Self>),
    /// The value of the range variable's extended property, if it is a GUID.
    Guid(usize, EntryTable),
}

/// A whole number, or null.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum NumberValue {
    Constant(Option<i64>),
    TimeProperty(TimeProperty),
    /// The value of the range variable's extended property, if it converts.
    Cast(Cast, usize, EntryTable),
    Negate(Box<Self>),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
    Length(TextValue),
    /// The index from 0, or -1.
    IndexOf(TextValue, TextValue),
    Count(EntryList),
    /// A part of a day.
    Calendar(Calendar, Box<Self>),
    /// The day of an instant, in UTC.
    DayOf(Box<Self>),
    /// The time of day of an instant, in UTC.
    TimeOf(Box<Self>),
    /// A part of a time of day: divided by a number of microseconds, modulo the second number.
    Clock(Box<Self>, i64, i64),
}

/// The target of a cast of an extended property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// A whole number in a range.
    Whole(i64, i64),
    /// A number in millionths.
    Millionths,
    /// A time.
    Instant,
}

/// An operator on numbers. Division by 0 is null; other divisions round towards 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum Calendar {
    Year,
    Month,
    Day,
}

/// A text property of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub enum UserText {
    DisplayName,
    UserPrincipalName,
    Mail,
}

/// A text property of a contact, folder, category or user, or a member of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// A plain text property.
    Text(Text),
    /// `flag/flagStatus`
    FlagStatus,
    /// A time or zone of `flag`, by column.
    FlagTime(usize),
    /// The `displayName` of a folder or category.
    Name,
    /// A category's `color`
    Color,
    /// A text of a user.
    User(UserText),
    /// A member of the n-th entry of a list: list, index, member.
    Entry(EntryList, usize, usize),
    /// A member of the entry bound to the range variable of this depth, from 0.
    Variable(usize, EntryTable, usize),
    /// As `Variable`, for an entry that is shown as just this member; a missing one reads as `""`.
    Item(usize, EntryTable, usize),
}

/// A property that is a day or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub enum TimeProperty {
    /// In whole seconds, as shown.
    Created,
    LastModified,
    /// In microseconds, as stored.
    CreatedExactly,
    LastModifiedExactly,
    /// An instant.
    Birthday,
    /// A day; null if the text is not a date.
    WeddingAnniversary,
}

impl TimeProperty {
    /// The variant in microseconds of a time that is shown in seconds.
    #[must_use]
    pub fn exactly(self) -> Self {
        match self {
            Self::Created => Self::CreatedExactly,
            Self::LastModified => Self::LastModifiedExactly,
            other => other,
        }
    }
}

/// A property that is an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub enum Id {
    Contact,
    ChangeKey,
    ParentFolder,
    Folder,
    /// A folder's own `parentFolderId`
    FolderParent,
    Category,
    User,
    /// The id of the entry bound to the range variable of this depth: of an extension or extended property. Compared in
    /// normalized form.
    Entry(usize, EntryTable),
}

/// The tables of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the table of its name")]
pub enum EntryTable {
    Emails,
    Phones,
    Addresses,
    Websites,
    Categories,
    ImAddresses,
    Children,
    Extensions,
    /// Extended properties with one value.
    SingleValues(ExtendedOf),
    /// Extended properties with lists.
    Multi(ExtendedOf),
    /// The values of such a list. It always belongs to a range variable.
    MultiValues(ExtendedOf),
}

/// The owners of extended properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum ExtendedOf {
    Contact,
    Folder,
}

impl EntryTable {
    /// The members of an entry in the order of its type; `None` if an entry is just a text.
    pub fn members(self) -> Option<&'static [crate::domain::contact::Member]> {
        match self {
            Self::Emails => Some(Email::MEMBERS),
            Self::Phones => Some(Phone::MEMBERS),
            Self::Addresses => Some(Address::MEMBERS),
            Self::Websites => Some(Website::MEMBERS),
            // They have members that are not all texts, so none is listed.
            Self::Extensions | Self::SingleValues(_) | Self::Multi(_) => Some(&[]),
            Self::Categories | Self::ImAddresses | Self::Children | Self::MultiValues(_) => None,
        }
    }
}

/// The member of a phone that is its number.
pub const NUMBER: usize = 1;
/// The column after the members of a phone: the key of its number ([`crate::domain::phone::key`]).
pub const NUMBER_KEY: usize = 2;

/// The entries of a table, or those of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryList {
    /// The table.
    pub table: EntryTable,
    /// Their `type`, case-sensitively.
    pub of_type: Option<&'static str>,
    /// The member that stands for an entry in a list of texts.
    pub member: Option<usize>,
    /// The depth of the range variable that the list belongs to.
    pub within: Option<usize>,
}

/// A sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The value.
    pub key: Key,
    /// Descending, null last.
    pub descending: bool,
}

/// The types of sort keys.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the kind of its name")]
pub enum Key {
    Text(TextValue),
    Number(NumberValue),
    /// False before true.
    Condition(Condition),
    Id(Id),
}
