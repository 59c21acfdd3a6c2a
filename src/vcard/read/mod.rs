//! Reads a contact from the lines of a card. Nothing is dropped: each line has an outcome, or says nothing about the
//! person.

mod collections;
mod names;
mod photo;
mod record;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use collections::number;
pub(crate) use names::scheme;
pub use photo::MAX_PHOTO;
pub use record::{MAX_ASIDE, read};

use crate::domain::contact::{Address, Email, Flag, MAX_ENTRIES, Phone, Text, Website};
use crate::vcard::line::Line;
use crate::vcard::record::Fate;
use crate::vcard::text::Tidy;
use crate::vcard::{PRODUCT, labels};

/// The origin of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardOrigin {
    /// A program that exports files. Google's special meanings of `myContacts`, `starred` and `* ` apply.
    File,
    /// A CardDAV client, or a stored card.
    CardDav,
}

/// A value and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromLine<T> {
    /// The index of the line.
    pub line: usize,
    /// The value.
    pub value: T,
}

/// The content of a card's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    /// Indexed by [`Text`]. `personalNotes` has the line of the first note.
    pub texts: [Option<FromLine<String>>; Text::ALL.len()],
    /// FN equals what other lines imply.
    pub derived: bool,
    /// A DateTimeOffset.
    pub birthday: Option<FromLine<String>>,
    /// A day.
    pub wedding_anniversary: Option<FromLine<String>>,
    /// `isFavorite`
    pub is_favorite: Option<FromLine<bool>>,
    /// `flag`
    pub flag: Option<FromLine<Flag>>,
    /// By preference, then as written.
    pub emails: Vec<FromLine<Email>>,
    /// By preference, then as written.
    pub phones: Vec<FromLine<Phone>>,
    /// As written.
    pub addresses: Vec<FromLine<Address>>,
    /// As written.
    pub websites: Vec<FromLine<Website>>,
    /// As written.
    pub im_addresses: Vec<FromLine<String>>,
    /// As written.
    pub children: Vec<FromLine<String>>,
    /// As written.
    pub categories: Vec<FromLine<String>>,
    /// The photo's bytes.
    pub photo: Option<FromLine<Vec<u8>>>,
    /// UID as written.
    pub uid: Option<FromLine<String>>,
    /// The card is a group.
    pub is_group: bool,
    /// The identities of a group's members, as written.
    pub members: Vec<String>,
    /// The outcome of each line. `None`: it says nothing about the person.
    pub fates: Vec<Option<Fate>>,
    /// Whether Google's `myContacts` was left out of the categories.
    pub my_contacts: bool,
    /// Lines of categories that differ in the contact, because of Google's special meanings.
    pub adapted: Vec<usize>,
    /// Lines that repeat an entry, each with the line of the first.
    pub duplicates: Vec<(usize, usize)>,
    /// Values above a limit.
    pub over: OverLimit,
}

/// Values of a card that are longer or larger than a contact's may be. They stay in the card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OverLimit {
    /// Indexed by [`Text`].
    pub texts: [bool; Text::ALL.len()],
    /// How many entries.
    pub emails: usize,
    /// The same.
    pub phones: usize,
    /// The same.
    pub addresses: usize,
    /// The same.
    pub websites: usize,
    /// The same.
    pub im_addresses: usize,
    /// The same.
    pub children: usize,
    /// The same.
    pub categories: usize,
    /// Whether there is a photo.
    pub photo: bool,
}

impl Projection {
    /// Reads lines.
    pub fn of(lines: &[Line<'_>], source: CardOrigin) -> Self {
        let own = lines.iter().any(|line| line.is("PRODID") && line.value.starts_with(PRODUCT));
        let exact = own && source == CardOrigin::File;
        let mut reader = CardLines {
            lines,
            labels: labels_of(lines),
            tidy: if exact { Tidy::No } else { Tidy::Yes },
            exact,
            google: source == CardOrigin::File && !exact,
            notes: 0,
            out: Self { fates: vec![None; lines.len()], ..Self::default() },
            ranks: Ranks::default(),
        };
        for (i, line) in lines.iter().enumerate() {
            reader.line(i, line);
        }
        reader.finish();
        reader.out
    }
}

/// The line of the label of each group.
pub(crate) fn labels_of(lines: &[Line<'_>]) -> BTreeMap<String, usize> {
    let mut labels = BTreeMap::new();
    for (i, line) in lines.iter().enumerate() {
        if let Some(group) = line.group.filter(|_| line.is("X-ABLABEL")) {
            labels.entry(group.to_ascii_lowercase()).or_insert(i);
        }
    }
    labels
}

/// The preference of each entry.
#[derive(Debug, Default)]
struct Ranks {
    emails: Vec<u32>,
    phones: Vec<u32>,
}

struct CardLines<'a> {
    lines: &'a [Line<'a>],
    labels: BTreeMap<String, usize>,
    tidy: Tidy,
    /// This program wrote the card: every value is exact.
    exact: bool,
    google: bool,
    /// Characters of `personalNotes` so far.
    notes: usize,
    out: Projection,
    ranks: Ranks,
}

const MAPPED: Option<Fate> = Some(Fate::Mapped);
const ASIDE: Option<Fate> = Some(Fate::Aside(None));
const TOO_LONG: Option<Fate> = Some(Fate::Aside(Some("too long")));
const TOO_MANY: Option<Fate> = Some(Fate::Aside(Some("too many")));

impl<'a> CardLines<'a> {
    fn line(&mut self, i: usize, line: &Line<'a>) {
        let mut buffer = [0_u8; 40];
        let Some(name) = buffer.get_mut(..line.name.len()) else {
            self.out.fates[i] = if line.value.trim().is_empty() { None } else { ASIDE };
            return;
        };
        name.copy_from_slice(line.name.as_bytes());
        name.make_ascii_uppercase();
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.out.fates[i] = self.property(i, line, name);
    }

    /// Reads a property, given its name in upper case.
    fn property(&mut self, i: usize, line: &Line<'a>, name: &str) -> Option<Fate> {
        match name {
            "BEGIN" | "END" | "VERSION" | "PRODID" | "REV" | "PROFILE" | "CALSCALE" | "X-ABLABEL" => None,
            "EMAIL" => self.email(i, line),
            "TEL" | "X-MS-TEL" => self.phone(i, line),
            "ADR" => self.address(i, line),
            "LABEL" => {
                if line.value.trim().is_empty() {
                    None
                } else {
                    ASIDE
                }
            }
            "URL" => self.website(i, line),
            "IMPP" | "X-AIM" | "X-JABBER" | "X-MSN" | "X-SKYPE" | "X-SKYPE-USERNAME" | "X-YAHOO" | "X-ICQ"
            | "X-GTALK" | "X-GOOGLE-TALK" | "X-QQ" | "X-MS-IMADDRESS" => self.im_address(i, line, name),
            "CATEGORIES" => self.categories(i, line),
            "PHOTO" => self.photo(i, line),
            "UID" => self.uid(i, line),
            "KIND" | "X-ADDRESSBOOKSERVER-KIND" => self.kind(line),
            "MEMBER" | "X-ADDRESSBOOKSERVER-MEMBER" => self.member(line),
            _ => self.single(i, line, name),
        }
    }

    fn uid(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let uid = line.value.trim();
        if uid.is_empty() {
            return None;
        }
        if self.out.uid.is_some() {
            return ASIDE;
        }
        self.out.uid = Some(FromLine { line: i, value: crate::vcard::text::unescape(uid).into_owned() });
        MAPPED
    }

    fn kind(&mut self, line: &Line<'a>) -> Option<Fate> {
        let kind = line.value.trim();
        if kind.is_empty() || kind.eq_ignore_ascii_case("individual") {
            return None;
        }
        if kind.eq_ignore_ascii_case("group") {
            self.out.is_group = true;
            return MAPPED;
        }
        ASIDE
    }

    fn member(&mut self, line: &Line<'a>) -> Option<Fate> {
        let member = line.value.trim();
        if member.is_empty() {
            return None;
        }
        self.out.members.push(member.to_owned());
        ASIDE
    }

    /// A parameter of our own, if this program wrote the card.
    fn own_param(&self, line: &Line<'a>, name: &str) -> Option<Cow<'a, str>> {
        if self.exact { line.param(name) } else { None }
    }

    /// The label of a line's group.
    fn label_line(&self, line: &Line<'a>) -> Option<&'a Line<'a>> {
        let group = line.group?;
        if self.labels.is_empty() {
            return None;
        }
        self.labels.get(&group.to_ascii_lowercase()).map(|at| &self.lines[*at])
    }

    /// The label of a line's group, still escaped.
    fn label(&self, line: &Line<'a>) -> Option<&'a str> {
        self.label_line(line).map(|label| label.value)
    }

    /// Adds an entry unless it exists already or there is no room.
    fn add<T: PartialEq>(
        exact: bool,
        list: &mut Vec<FromLine<T>>,
        duplicates: &mut Vec<(usize, usize)>,
        line: usize,
        value: T,
    ) -> (bool, Option<Fate>) {
        if list.len() >= MAX_ENTRIES {
            return (false, TOO_MANY);
        }
        if !exact && let Some(first) = list.iter().find(|entry| entry.value == value) {
            duplicates.push((line, first.line));
            return (false, MAPPED);
        }
        list.push(FromLine { line, value });
        (true, MAPPED)
    }

    fn finish(&mut self) {
        by_rank(&mut self.out.emails, &self.ranks.emails);
        by_rank(&mut self.out.phones, &self.ranks.phones);
        for i in 0..self.lines.len() {
            if self.lines[i].is("LABEL") && self.out.fates[i].is_some() {
                self.out.fates[i] = self.address_label(i);
            }
        }
        self.label_fates();
        if self.out.is_group {
            let member = |line: &Line<'_>| line.is("MEMBER") || line.is("X-ADDRESSBOOKSERVER-MEMBER");
            for (fate, line) in self.out.fates.iter_mut().zip(self.lines) {
                if fate.is_some() && member(line) {
                    *fate = MAPPED;
                }
            }
        }
    }

    /// A label is used with the lines of its group. It is kept aside if they are, or if it has none.
    fn label_fates(&mut self) {
        let used: Vec<&str> = if self.labels.is_empty() {
            Vec::new()
        } else {
            let kept = |fate: &Option<Fate>| matches!(fate, Some(Fate::Mapped | Fate::Partial));
            let lines = self.lines.iter().zip(&self.out.fates).filter(|(_, fate)| kept(fate));
            lines.filter_map(|(line, _)| line.group).collect()
        };
        let used: std::collections::BTreeSet<String> = used.into_iter().map(str::to_ascii_lowercase).collect();
        for (fate, line) in self.out.fates.iter_mut().zip(self.lines) {
            if line.is("X-ABLABEL") && !labels::readable(line.value).is_empty() {
                let used = line.group.is_some_and(|group| used.contains(&group.to_ascii_lowercase()));
                *fate = if used { MAPPED } else { ASIDE };
            }
        }
    }
}

/// Sorts entries by preference; the sort is stable.
fn by_rank<T>(entries: &mut Vec<FromLine<T>>, ranks: &[u32]) {
    if ranks.is_sorted() {
        return;
    }
    let mut ranked: Vec<_> = ranks.iter().copied().zip(std::mem::take(entries)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    entries.extend(ranked.into_iter().map(|(_, entry)| entry));
}
