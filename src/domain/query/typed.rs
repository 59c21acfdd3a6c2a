//! A filter whose names and types are settled. Every text in it stands for its folded form, since folding goes character by
//! character: comparing, searching, cutting and joining folded texts answers the same as folding at the end would. Numbers,
//! days (since 1970), times (microseconds of the day) and instants (microseconds since 1970) are all whole numbers.
//!
//! A condition is true, false or null. Comparing with `eq` is never null.

use crate::domain::contact::{Address, Complex, Email, Phone, Text, Website};

/// Something to be true of a contact, or of whatever else the model describes.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Condition {
    Constant(Option<bool>),
    IsFavorite,
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    /// Whether two conditions are the same, null included.
    Same(Box<Self>, Box<Self>),
    CompareText(Comparison, TextValue, TextValue),
    CompareNumber(Comparison, NumberValue, NumberValue),
    /// Whether it is one of these, or null where that is among them.
    InTexts(TextValue, Vec<String>, bool),
    InNumbers(NumberValue, Vec<i64>, bool),
    /// Whether an id is this one, by exact case.
    IsId(Id, Option<String>),
    Find(Find, TextValue, TextValue),
    /// Whether the value of the range variable's extended property is `true` or `false`; else null.
    Truth(usize, Table),
    /// Whether some entry fits, or is there at all. Its entry is the variable of its depth.
    Any(List, Option<Box<Self>>),
    /// Whether every entry fits.
    All(List, Box<Self>),
}

/// All but `ne`, which is not `eq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum Comparison {
    Eq,
    Gt,
    Ge,
    Lt,
    Le,
}

/// Where one text is looked for in another.
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
    /// From a place on, counted from 0, and how many characters; less than 0 is taken for 0.
    Substring(Box<Self>, Box<NumberValue>, Option<Box<NumberValue>>),
    Trim(Box<Self>),
    /// The value of the range variable's extended property, if that is a GUID.
    Guid(usize, Table),
}

/// A whole number, or null.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum NumberValue {
    Constant(Option<i64>),
    Moment(Moment),
    /// The value of the range variable's extended property, if that is such a number.
    Cast(Cast, usize, Table),
    Negate(Box<Self>),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
    Length(TextValue),
    /// The place from 0, or -1.
    IndexOf(TextValue, TextValue),
    Count(List),
    /// Of a day.
    Calendar(Calendar, Box<Self>),
    /// The day of an instant, in UTC.
    DayOf(Box<Self>),
    /// The time of day of an instant, in UTC.
    TimeOf(Box<Self>),
    /// Of a time of day: how many whole units of so many microseconds, modulo the second number.
    Clock(Box<Self>, i64, i64),
}

/// What the value of an extended property is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// A whole number from one to another.
    Whole(i64, i64),
    /// A number in millionths.
    Millionths,
    /// A time.
    Instant,
}

/// An operator on numbers; dividing by 0 is null, and goes towards 0.
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

/// A text property of the contact itself (or folder, category, user), or a member of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// A plain text property.
    Text(Text),
    /// `flag/flagStatus`
    FlagStatus,
    /// A time or zone of `flag`, in the order of the columns.
    FlagTime(usize),
    /// The `displayName` of a folder or category.
    Name,
    /// A category's `color`
    Color,
    /// `displayName`, `userPrincipalName` or `mail` of a user, in this order.
    User(usize),
    /// A member of the n-th entry of a list.
    Entry(List, usize, usize),
    /// A member of the entry of the range variable of this depth, from 0.
    Variable(usize, Table, usize),
    /// The same where the entry is shown as just this member, and as `""` where it has none.
    Item(usize, Table, usize),
}

/// A property that is a day or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub enum Moment {
    /// An instant, in whole seconds, as it is shown.
    Created,
    LastModified,
    /// The same with its fraction of a second, as it is stored.
    CreatedExactly,
    LastModifiedExactly,
    /// An instant.
    Birthday,
    /// A day; text that is no date is null.
    WeddingAnniversary,
}

impl Moment {
    /// The same with its fraction of a second, where it is shown without.
    #[must_use]
    pub fn exactly(self) -> Self {
        match self {
            Self::Created => Self::CreatedExactly,
            Self::LastModified => Self::LastModifiedExactly,
            other => other,
        }
    }
}

/// A property that names something.
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
    /// Of the entry of the range variable of this depth: an extension's or an extended property's. It is compared with
    /// what two ids have in common that are the same.
    Entry(usize, Table),
}

/// The tables of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the table of its name")]
pub enum Table {
    Emails,
    Phones,
    Addresses,
    Websites,
    Categories,
    ImAddresses,
    Children,
    Extensions,
    /// Extended properties with one value.
    SingleValues(Of),
    /// Those with a list.
    Multi(Of),
    /// Such a list. It is always that of a range variable.
    MultiValues(Of),
}

/// What extended properties are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum Of {
    Contact,
    Folder,
}

impl Table {
    /// The members of an entry in the order of its type; `None` where an entry is just a text.
    pub fn members(self) -> Option<&'static [crate::domain::contact::Member]> {
        match self {
            Self::Emails => Some(Email::MEMBERS),
            Self::Phones => Some(Phone::MEMBERS),
            Self::Addresses => Some(Address::MEMBERS),
            Self::Websites => Some(Website::MEMBERS),
            // They have members, which are not all texts.
            Self::Extensions | Self::SingleValues(_) | Self::Multi(_) => Some(&[]),
            Self::Categories | Self::ImAddresses | Self::Children | Self::MultiValues(_) => None,
        }
    }
}

/// The entries of a table, or those of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    /// Where they are.
    pub table: Table,
    /// Their `type`, exactly.
    pub of_type: Option<&'static str>,
    /// The member an entry is, where the list is one of texts.
    pub member: Option<usize>,
    /// The depth of the range variable whose list it is.
    pub within: Option<usize>,
}

/// A sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What is sorted by.
    pub key: Key,
    /// From the greatest to the least, null last.
    pub descending: bool,
}

/// The kinds of sort keys.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the kind of its name")]
pub enum Key {
    Text(TextValue),
    Number(NumberValue),
    /// False before true.
    Condition(Condition),
    Id(Id),
}
