//! Writes a contact as a card of version 3.0 or 4.0 (docs/import-export.md): with standard properties if possible, else
//! with Apple's, which Google, Nextcloud and DAVx5 read too, else with `X-CONTACTD-` properties.

pub(crate) mod entries;
pub mod named;
pub(crate) mod single;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::contact::Properties;
use crate::domain::photo::{PhotoFormat, Picture};
use crate::vcard::{Audience, PRODUCT, Version, text};

/// The content of a card.
#[derive(Debug, Clone, Copy)]
pub struct CardContent<'a> {
    /// The contact.
    pub properties: &'a Properties,
    /// Its identity: the UID that it came with, else its id.
    pub uid: &'a str,
    /// The bytes of its photo.
    pub photo: Option<&'a [u8]>,
    /// UTC microseconds, for REV.
    pub last_modified: Option<i64>,
}

/// The part of a contact that a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    DisplayName,
    Name,
    NickName,
    YomiGivenName,
    YomiSurname,
    YomiCompany,
    Organisation,
    JobTitle,
    Profession,
    Emails,
    Phones,
    Addresses,
    Websites,
    ImAddresses,
    Birthday,
    Anniversary,
    Spouse,
    Manager,
    Assistant,
    Children,
    Categories,
    Notes,
    Gender,
    FileAs,
    Initials,
    OfficeLocation,
    Favorite,
    Flag,
    Photo,
}

/// A line in our form. It gets a group if it has a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewLine {
    pub class: Class,
    /// Name and parameters.
    pub head: String,
    /// The value, escaped.
    pub value: String,
    /// The label, not escaped.
    pub label: Option<String>,
}

impl NewLine {
    pub(crate) fn new(class: Class, head: impl Into<String>, value: impl Into<String>) -> Self {
        Self { class, head: head.into(), value: value.into(), label: None }
    }

    /// A line whose value is one text.
    pub(crate) fn text(class: Class, head: &str, value: &str, audience: Audience) -> Self {
        let mut line = Self::new(class, head, text::escaped(value));
        line.breaks(&[value], audience);
        line
    }

    pub(crate) fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a parameter.
    pub(crate) fn param(&mut self, name: &str, value: &str) {
        self.head.push(';');
        self.head.push_str(name);
        self.head.push('=');
        crate::vcard::line::write_param(value, &mut self.head);
    }

    /// Adds a parameter with the line breaks of the texts if there is a CR among them, because a card has only `\n`.
    pub(crate) fn breaks(&mut self, texts: &[&str], audience: Audience) {
        if audience == Audience::Export && texts.iter().any(|text| text.contains('\r')) {
            let breaks = breaks(texts);
            self.param("X-CONTACTD-BREAKS", &breaks);
        }
    }

    /// Appends the line and the line of its label, folded. `group` is the number of its group.
    pub(crate) fn push(&self, group: &mut FreeGroups, audience: Audience, out: &mut String) {
        let Some(label) = &self.label else {
            return fold(&format!("{}:{}", self.head, self.value), out);
        };
        let number = group.take();
        fold(&format!("item{number}.{}:{}", self.head, self.value), out);
        let label = Self::text(self.class, "X-ABLabel", label, audience);
        fold(&format!("item{number}.{}:{}", label.head, label.value), out);
    }
}

/// One letter for each line break of the texts: `r` is CR, `b` CRLF, `n` LF. The last letter repeats.
fn breaks(texts: &[&str]) -> String {
    let mut letters = String::new();
    for text in texts {
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\r' => letters.push(if bytes.get(at + 1) == Some(&b'\n') { 'b' } else { 'r' }),
                b'\n' if at == 0 || bytes[at - 1] != b'\r' => letters.push('n'),
                _ => {}
            }
        }
    }
    while letters.len() > 1 && letters.as_bytes()[letters.len() - 1] == letters.as_bytes()[letters.len() - 2] {
        letters.pop();
    }
    letters
}

/// The free group numbers, from `item1` on.
#[derive(Debug, Clone, Default)]
pub(crate) struct FreeGroups {
    taken: std::collections::BTreeSet<u64>,
    last: u64,
}

impl FreeGroups {
    /// Marks a group as used.
    pub(crate) fn used(&mut self, group: &str) {
        let number = group.get(..4).filter(|item| item.eq_ignore_ascii_case("item"));
        self.taken.extend(number.and_then(|_| group[4..].parse::<u64>().ok()));
    }

    pub(crate) fn take(&mut self) -> u64 {
        self.last += 1;
        while self.taken.contains(&self.last) {
            self.last += 1;
        }
        self.last
    }
}

/// The lines of a contact in our form and order, without its photo.
pub(crate) fn lines(properties: &Properties, version: Version, audience: Audience) -> Vec<NewLine> {
    let mut out = Vec::with_capacity(24);
    single::names(properties, audience, &mut out);
    entries::emails(properties, version, audience, &mut out);
    entries::phones(properties, version, audience, &mut out);
    entries::addresses(properties, version, audience, &mut out);
    entries::websites(properties, version, audience, &mut out);
    entries::im_addresses(properties, audience, &mut out);
    single::dates(properties, version, audience, &mut out);
    entries::related(properties, version, audience, &mut out);
    entries::categories(properties, audience, &mut out);
    single::others(properties, version, audience, &mut out);
    out
}

/// Writes a card. Lines end in CRLF.
///
/// The same contact always gives the same card. With [`Audience::Export`] every property comes back when the card is
/// read, except those that docs/import-export.md lists.
pub fn write(shown: &CardContent<'_>, version: Version, audience: Audience) -> String {
    let mut out = String::with_capacity(512 + shown.photo.map_or(0, |photo| photo.len() / 2 * 3));
    for line in ["BEGIN:VCARD", &format!("VERSION:{}", version.name()), &format!("PRODID:{PRODUCT}")] {
        fold(line, &mut out);
    }
    fold(&format!("UID:{}", text::escaped(&uid(shown.uid, version, audience))), &mut out);
    let mut groups = FreeGroups::default();
    for line in lines(shown.properties, version, audience) {
        line.push(&mut groups, audience, &mut out);
    }
    if let Some(photo) = shown.photo {
        photo_line(photo, version).push(&mut groups, audience, &mut out);
    }
    if let Some(last_modified) = shown.last_modified {
        fold(&format!("REV:{}", rev(last_modified)), &mut out);
    }
    out.push_str("END:VCARD\r\n");
    out
}

/// UTC microseconds as `20260105T101500Z`.
pub(crate) fn rev(micros: i64) -> String {
    crate::domain::date::print(micros).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// The UID of a card: in files of 4.0 a UUID is a URI.
fn uid(uid: &str, version: Version, audience: Audience) -> String {
    if version == Version::V4 && audience == Audience::Export && uuid::Uuid::try_parse(uid).is_ok() && uid.len() == 36 {
        return format!("urn:uuid:{uid}");
    }
    uid.to_owned()
}

/// The PHOTO of a contact.
pub(crate) fn photo_line(photo: &[u8], version: Version) -> NewLine {
    let (head, begin) = photo_head(photo, version);
    let mut value = String::with_capacity(begin.len() + photo.len() / 3 * 4 + 4);
    value.push_str(&begin);
    STANDARD.encode_string(photo, &mut value);
    NewLine::new(Class::Photo, head, value)
}

/// The head of a photo's line, and the beginning of its value.
fn photo_head(photo: &[u8], version: Version) -> (String, String) {
    let format = Picture::recognize(photo).map_or(PhotoFormat::Jpeg, |picture| picture.format);
    match version {
        Version::V3 => {
            let kind = format.content_type().trim_start_matches("image/").to_ascii_uppercase();
            (format!("PHOTO;ENCODING=b;TYPE={kind}"), String::new())
        }
        Version::V4 => ("PHOTO".to_owned(), format!("data:{};base64,", format.content_type())),
    }
}

/// Longest physical line, in bytes without its end (RFC 6350, 3.2).
pub(crate) const FOLD: usize = 75;

/// Appends a line, folded at 75 bytes and never inside a character, ended by CRLF.
pub fn fold(line: &str, out: &mut String) {
    let mut rest = line;
    let mut room = FOLD;
    while rest.len() > room {
        let mut end = room;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        out.push_str(&rest[..end]);
        out.push_str("\r\n ");
        rest = &rest[end..];
        room = FOLD - 1;
    }
    out.push_str(rest);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_folded_outside_characters() {
        let mut out = String::new();
        fold(&format!("{}🎻🎻", "a".repeat(74)), &mut out);
        assert_eq!(out, format!("{}\r\n 🎻🎻\r\n", "a".repeat(74)));
    }

    #[test]
    fn line_breaks_have_letters() {
        assert_eq!(breaks(&["a\r\nb\r\nc"]), "b");
        assert_eq!(breaks(&["a\rb\nc", "\r\n"]), "rnb");
    }

    proptest! {
        #[test]
        fn a_folded_line_is_the_line(line in "\\PC{0,300}") {
            let mut out = String::new();
            fold(&line, &mut out);
            prop_assert!(out.split("\r\n").all(|physical| physical.len() <= FOLD));
            prop_assert_eq!(out.replace("\r\n ", ""), format!("{line}\r\n"));
        }
    }
}
