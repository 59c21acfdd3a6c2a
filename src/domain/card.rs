//! The stored vCard of a contact, as a client or an import sent it, or of a group, which has no contact. The text is
//! stored byte for byte (docs/carddav.md), except the base64 of a photo, which is stored separately.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{etag, secret};

/// Longest name of a card, in characters.
pub const MAX_NAME: usize = 255;

/// A version of vCard that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardVersion {
    /// RFC 2426.
    V3,
    /// RFC 6350.
    V4,
}

impl CardVersion {
    /// As in the card.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.0",
            Self::V4 => "4.0",
        }
    }

    /// The version of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::V3, Self::V4].into_iter().find(|version| version.name() == name)
    }
}

/// Maximum number of bytes of a UID that is compared itself: PostgreSQL's indexes have no room for long values.
const MAX_UID_KEY: usize = 1_000;

/// The form in which UIDs are compared: without letter case and without `urn:uuid:` in front. Of a long one it is a hash.
pub fn uid_key(uid: &str) -> String {
    let key = whole_uid_key(uid);
    if key.len() <= MAX_UID_KEY { key } else { format!("sha256:{}", secret::hex(&Sha256::digest(key))) }
}

/// The same without a hash, as earlier versions stored it.
fn whole_uid_key(uid: &str) -> String {
    let uid = uid.trim();
    let scheme = uid.get(..9).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:uuid:"));
    if scheme { &uid[9..] } else { uid }.to_lowercase()
}

/// The name of a card that no client has named.
pub fn own_name(id: Uuid) -> String {
    format!("{id}.vcf")
}

/// The contact whose card has this name if no client has named it.
pub fn id_of_name(name: &str) -> Option<Uuid> {
    crate::domain::contact::parse_id(name.strip_suffix(".vcf")?)
}

/// A card to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCard {
    /// The last segment of its address. Without one it is `<id>.vcf`.
    pub name: Option<String>,
    /// The UID as written.
    pub uid: Option<String>,
    /// Whether it is a group's.
    pub is_group: bool,
    /// The version of the text.
    pub version: CardVersion,
    /// The whole card; without one only name and UID are kept.
    pub text: Option<String>,
}

/// The position of a photo's base64 in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoPlace {
    /// In bytes from the beginning.
    pub at: usize,
    /// How many characters of base64 stood in the first line.
    pub first: usize,
    /// How many stood in each line after it.
    pub width: usize,
    /// The line break between the lines.
    pub line_break: String,
}

/// A stored card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The contact's id, or the group's own.
    pub id: Uuid,
    /// The folder it is in.
    pub folder_id: String,
    /// The last segment of its address, decoded.
    pub name: String,
    /// The UID as written.
    pub uid: Option<String>,
    /// The UID in the form in which it is compared. If another card of the folder has the UID, it is an id, which is
    /// shown as the UID.
    pub uid_key: String,
    /// Whether it is a group's.
    pub is_group: bool,
    /// The version of the text.
    pub vcard: CardVersion,
    /// The text without the photo; `None` where only name and UID are kept.
    pub text: Option<String>,
    /// The position of the removed photo.
    pub photo: Option<PhotoPlace>,
    /// The version of the contact that the text shows.
    pub contact_version: i64,
    /// The version of the photo that the text shows.
    pub photo_version: Option<i64>,
    /// The mailbox's number of its last write.
    pub version: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Card {
    /// The UID it is shown with: its own, if no other card of the folder had it before.
    pub fn shown_uid(&self) -> &str {
        self.uid.as_deref().filter(|_| self.has_own_uid()).unwrap_or(&self.uid_key)
    }

    /// Whether it is shown with the UID of its text, if that has one. Otherwise the text is not what clients are to get.
    pub fn has_own_uid(&self) -> bool {
        self.uid.as_deref().is_none_or(|uid| uid_key(uid) == self.uid_key || whole_uid_key(uid) == self.uid_key)
    }

    /// The text with the photo back in its place: the same bytes as were sent, if the photo has not changed since.
    pub fn whole_text(&self, photo: Option<&[u8]>) -> Option<String> {
        let text = self.text.as_ref()?;
        match (&self.photo, photo) {
            (Some(place), Some(photo)) => Some(place.filled(text, photo)),
            _ => Some(text.clone()),
        }
    }

    /// The version token of a card whose contact and photo have these versions and times: that of the newest of them.
    pub fn version_token(card: Option<&Self>, others: &[(i64, i64)]) -> String {
        let own = card.map(|card| (card.version, card.last_modified_date_time));
        let (version, time) = own.into_iter().chain(others.iter().copied()).max().unwrap_or_default();
        etag::token(time, version)
    }
}

impl PhotoPlace {
    /// Cuts the base64 of a photo out of a card's text, if it can be put back byte for byte.
    pub fn cut(text: &str, photo: &[u8]) -> Option<(String, Self)> {
        let mut start = 0;
        while start < text.len() {
            let end = end_of_line(text, start);
            if let Some(at) = base64_start(&text[start..end]).map(|at| start + at) {
                let sent = text[at..end].trim_end_matches(['\r', '\n']);
                let place = Self::measured(at, sent)?;
                if place.lines(&STANDARD.encode(photo)) == sent {
                    return Some(([&text[..at], &text[at + sent.len()..]].concat(), place));
                }
            }
            start = end;
        }
        None
    }

    /// The widths of a value's lines.
    fn measured(at: usize, sent: &str) -> Option<Self> {
        let is_end = |c: char| matches!(c, '\r' | '\n');
        let first = sent.find(is_end).unwrap_or(sent.len());
        let rest = &sent[first..];
        let blank = rest.find([' ', '\t']).map_or(rest.len(), |blank| blank + 1);
        let (line_break, rest) = rest.split_at_checked(blank)?;
        let width = rest.find(is_end).unwrap_or(rest.len());
        Some(Self { at, first, width, line_break: line_break.to_owned() })
    }

    fn filled(&self, text: &str, photo: &[u8]) -> String {
        let Some((before, after)) = text.split_at_checked(self.at) else { return text.to_owned() };
        [before, &self.lines(&STANDARD.encode(photo)), after].concat()
    }

    /// Base64 in lines.
    fn lines(&self, base64: &str) -> String {
        let (first, mut rest) = base64.split_at(self.first.min(base64.len()));
        let mut lines = String::with_capacity(base64.len() + base64.len() / 16);
        lines.push_str(first);
        while !rest.is_empty() {
            let (line, after) = rest.split_at(if self.width == 0 { rest.len() } else { self.width.min(rest.len()) });
            lines.push_str(&self.line_break);
            lines.push_str(line);
            rest = after;
        }
        lines
    }
}

/// The end of the content line that begins at `start`, after its continuations and its line break.
fn end_of_line(text: &str, start: usize) -> usize {
    let mut end = start;
    while let Some(found) = text[end..].find('\n') {
        end += found + 1;
        if !text[end..].starts_with([' ', '\t']) {
            return end;
        }
    }
    text.len()
}

/// The start of the base64 in a `PHOTO` line.
fn base64_start(line: &str) -> Option<usize> {
    let name_end = line.find([';', ':'])?;
    let name = &line[..name_end];
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    if !name.eq_ignore_ascii_case("PHOTO") {
        return None;
    }
    let mut quoted = false;
    let colon = line.char_indices().skip_while(|(at, _)| *at < name_end).find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let value = colon?.0 + 1;
    // A `data:` URI has its base64 after the comma.
    let is_data = line.get(value..value + 5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if is_data { Some(value + line[value..].find(',')? + 1) } else { Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_compared_without_case_and_scheme() {
        let key = "4b1e0f9c-0000-4000-8000-0000000000aa";
        for uid in [key, "URN:UUID:4B1E0F9C-0000-4000-8000-0000000000AA", " 4B1E0F9C-0000-4000-8000-0000000000aa\r\n"] {
            assert_eq!(uid_key(uid), key);
        }
        for uid in ["urn:uuid", "ä", "urn:uuié:", "", &"x".repeat(1_000)] {
            assert_eq!(uid_key(uid), uid);
        }
        let long = "X".repeat(1_001);
        assert_eq!(uid_key(&format!("urn:uuid:{long}")), uid_key(&long.to_lowercase()));
        assert_eq!((uid_key(&long).len(), uid_key(&long) == uid_key(&"y".repeat(1_001))), (71, false));
    }

    #[test]
    fn a_card_is_shown_with_its_own_uid_unless_another_had_it_before() {
        let long = "X".repeat(2_000);
        let own = [uid_key(&long), long.to_lowercase()];
        for (uid_key, has_own_uid) in own.map(|key| (key, true)).into_iter().chain([("id".to_owned(), false)]) {
            let card = Card {
                id: Uuid::nil(),
                folder_id: String::new(),
                name: String::new(),
                uid: Some(long.clone()),
                uid_key,
                is_group: false,
                vcard: CardVersion::V3,
                text: None,
                photo: None,
                contact_version: 0,
                photo_version: None,
                version: 0,
                last_modified_date_time: 0,
            };
            assert_eq!(card.shown_uid() == long, has_own_uid, "{}", card.uid_key);
        }
    }

    #[test]
    fn a_photo_is_cut_out_and_put_back_byte_for_byte() {
        let photo: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let base64 = STANDARD.encode(&photo);
        let (head, rest) = base64.split_at(40);
        let folded = |text: &str, width: usize, line_break: &str| {
            let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
            [line_break, &lines.join(line_break)].concat()
        };
        let (tabs, folded) = (folded(&base64, 60, "\n\t"), folded(rest, 74, "\r\n "));
        for line in [
            format!("PHOTO;ENCODING=b;TYPE=JPEG:{head}{folded}\r\n"),
            format!("item1.photo;X=\"a:b\":data:image/jpeg;base64,{base64}\r\n"),
            format!("PHOTO;ENCODING=b:{tabs}\n"),
            format!("PHOTO:{base64}"),
        ] {
            let text = format!("BEGIN:VCARD\r\nNOTE:PHOTO:é\r\n x\r\n{line}");
            let (rest, place) = PhotoPlace::cut(&text, &photo).unwrap();
            assert!(rest.len() < 200, "{rest}");
            assert_eq!(place.filled(&rest, &photo), text);
        }
    }

    #[test]
    fn a_photo_that_cannot_be_put_back_is_not_cut_out() {
        let photo = [7; 300];
        let base64 = STANDARD.encode(photo);
        let (a, b) = base64.split_at(100);
        let (b, c) = b.split_at(50);
        for text in [
            format!("PHOTO:{a}\r\n {b}\r\n {c}\r\n"),
            format!("PHOTO:{a}\r\n {b}\n {c}\r\n"),
            format!("PHOTO:{}=\r\n", &base64[1..]),
            format!("LOGO:{base64}\r\n"),
            "PHOTO\r\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(PhotoPlace::cut(&text, &photo), None, "{text}");
        }
    }
}
