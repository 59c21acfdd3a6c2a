//! The meanings of columns, as in the header tables and in `--map`.

use crate::domain::contact::Text;

/// The part of an address that a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPart {
    /// Its line, from 0 to 2.
    Street(usize),
    City,
    State,
    PostalCode,
    Country,
    PoBox,
}

/// The part of a date that a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Year,
    Month,
    Day,
}

/// The member of an e-mail address that a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmailPart {
    Address,
    Name,
    /// Outlook's kind of address: `SMTP` or `EX`.
    Kind,
}

/// The kinds of postal addresses that columns are grouped by.
pub(crate) const ADDRESSES: [&str; 3] = ["business", "home", "other"];
/// Maximum number of e-mail addresses in columns.
pub(crate) const EMAILS: usize = 9;

/// The meaning of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnTarget {
    Text(Text),
    /// The number of the e-mail address, from 0.
    Email(usize, EmailPart),
    /// Its type, and whether the column's name says more than the type.
    Phone(&'static str, bool),
    /// The kind, as an index of [`ADDRESSES`].
    Address(usize, AddressPart),
    Website(&'static str),
    /// The scheme of the service, or none.
    Im(&'static str),
    Birthday,
    BirthdayPart(DatePart),
    Anniversary,
    Categories,
    Children,
    Favorite,
    /// Groups of Google: categories, and two groups with a special meaning.
    Labels,
    Aside,
    /// Kept aside, unless it is the default that the program writes into every row.
    UnlessDefault,
}

impl ColumnTarget {
    /// Parses a word: the name of a text property, `email/2`, `email/2/name`, `phone/mobile`, `address/home/city`,
    /// `website/work`, `im`, `im/skype`, `birthday`, `birthday/year`, `weddingAnniversary`, `categories`, `children`,
    /// `isFavorite`, `aside`. Letter case is ignored.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        if let Some(text) = Text::ALL.into_iter().find(|text| text.json().eq_ignore_ascii_case(word)) {
            return Some(Self::Text(text));
        }
        let lower = word.to_ascii_lowercase();
        let mut parts = lower.split('/');
        let (name, first, second) = (parts.next()?, parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        Some(match (name, first, second) {
            ("email", place, part) => Self::email(place.unwrap_or("1"), part)?,
            ("phone", Some(kind), None) => Self::Phone(one_of(PHONES, kind)?, false),
            ("phone", Some(kind), Some("partial")) => Self::Phone(one_of(PHONES, kind)?, true),
            ("address", Some(kind), Some(part)) => Self::Address(place_of(kind)?, Self::part(part)?),
            ("website", Some(kind), None) => Self::Website(one_of(WEBSITES, kind)?),
            ("im", None, None) => Self::Im(""),
            ("im", Some(scheme), None) => Self::Im(one_of(SCHEMES, scheme)?),
            ("birthday", None, None) => Self::Birthday,
            ("birthday", Some("year"), None) => Self::BirthdayPart(DatePart::Year),
            ("birthday", Some("month"), None) => Self::BirthdayPart(DatePart::Month),
            ("birthday", Some("day"), None) => Self::BirthdayPart(DatePart::Day),
            ("weddinganniversary", None, None) => Self::Anniversary,
            ("categories", None, None) => Self::Categories,
            ("children", None, None) => Self::Children,
            ("isfavorite", None, None) => Self::Favorite,
            ("labels", None, None) => Self::Labels,
            ("aside", None, None) => Self::Aside,
            ("unlessdefault", None, None) => Self::UnlessDefault,
            _ => return None,
        })
    }

    fn email(place: &str, part: Option<&str>) -> Option<Self> {
        let place = place.parse::<usize>().ok().filter(|place| (1..=EMAILS).contains(place))?;
        let part = match part {
            None => EmailPart::Address,
            Some("name") => EmailPart::Name,
            Some("kind") => EmailPart::Kind,
            Some(_) => return None,
        };
        Some(Self::Email(place - 1, part))
    }

    fn part(part: &str) -> Option<AddressPart> {
        Some(match part {
            "street" => AddressPart::Street(0),
            "street2" => AddressPart::Street(1),
            "street3" => AddressPart::Street(2),
            "city" => AddressPart::City,
            "state" => AddressPart::State,
            "postalcode" => AddressPart::PostalCode,
            "countryorregion" => AddressPart::Country,
            "postofficebox" => AddressPart::PoBox,
            _ => return None,
        })
    }
}

const PHONES: &[&str] =
    &["home", "business", "mobile", "other", "assistant", "homeFax", "businessFax", "otherFax", "pager", "radio"];
const WEBSITES: &[&str] = &["other", "home", "work", "blog", "profile"];
const SCHEMES: &[&str] = &["aim", "xmpp", "msnim", "skype", "ymsgr", "icq", "gtalk", "qq", "sip"];

fn one_of(words: &'static [&'static str], word: &str) -> Option<&'static str> {
    words.iter().find(|known| known.eq_ignore_ascii_case(word)).copied()
}

fn place_of(kind: &str) -> Option<usize> {
    ADDRESSES.iter().position(|known| *known == kind)
}

/// The normalized form of a header: without case, byte order mark and repeated blanks, with a plain apostrophe.
pub(crate) fn normalize(header: &str) -> String {
    let plain: String = header
        .chars()
        .filter(|c| *c != '\u{feff}')
        .map(|c| match c {
            '\u{2019}' => '\'',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    plain.to_lowercase().split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
