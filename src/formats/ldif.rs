//! LDIF (RFC 2849) of Thunderbird, SOGo and ldapsearch. URLs (`attribute:< url`) are never read.

use std::mem;
use std::ops::Range;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::domain::contact::{Address, Email, Text};
use crate::domain::photo::Picture;
use crate::formats::charset::Charset;
use crate::formats::csv::dates;
use crate::formats::detect::{Detected, FileFormat};
use crate::formats::draft::{Draft, MAX_PHOTO, clean_line, clean_lines};
use crate::formats::unread::Unread;
use crate::vcard::record::{
    Fate, FileRecord, GroupRecord, Position, PropertyOutcome, RecordContent, RecordPhoto, Refusal, SAYS_NOTHING,
};

/// Maximum size of an entry, in bytes. A larger one is skipped and refused.
const MAX_ENTRY: usize = 8 << 20;
/// Maximum number of lines of an entry.
const MAX_LINES: usize = 50_000;
/// The name of lines that are not attributes.
const JUNK: &str = "(lines that are not LDIF)";

/// Reads the entries of an LDIF file.
#[derive(Debug)]
pub(crate) struct LdifReader {
    charset: Charset,
    unread: Unread,
    line: u64,
    /// The bytes and the beginning of the current entry.
    raw: Vec<u8>,
    begins: u64,
    too_large: bool,
    /// Whether the entry has a line that is neither a comment nor the version.
    has_lines: bool,
    /// Number of lines of the current entry.
    lines: usize,
    number: u64,
}

impl LdifReader {
    /// A reader for a file that begins with these bytes.
    pub(crate) fn new(sample: &[u8]) -> Self {
        Self {
            charset: Charset::guess(sample),
            unread: Unread::default(),
            line: 1,
            raw: Vec::new(),
            begins: 1,
            too_large: false,
            has_lines: false,
            lines: 0,
            number: 0,
        }
    }

    /// The detected file.
    pub(crate) fn detected(&self, encoding: Option<&'static str>) -> Detected {
        Detected {
            format: FileFormat::Ldif,
            variant: None,
            encoding: Some(encoding.unwrap_or(self.charset.name())),
            separator: None,
            date_order: None,
            why: vec!["it begins as LDIF".to_owned()],
        }
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.push(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.unread.finish();
    }

    /// The next complete entry.
    pub(crate) fn next_item(&mut self) -> Option<FileRecord> {
        while let Some(line) = self.next_line() {
            let line = &self.unread.bytes[line];
            if line.trim_ascii().is_empty() {
                if let Some(item) = self.entry() {
                    return Some(item);
                }
                self.begins = self.line;
                continue;
            }
            let says = !line.starts_with(b"#") && !is_version(line) && !line.starts_with(b" ");
            self.has_lines |= says;
            self.lines += 1;
            if self.raw.len() + line.len() > MAX_ENTRY || self.lines > MAX_LINES {
                self.too_large = true;
                self.raw.clear();
            }
            if !self.too_large {
                self.raw.extend_from_slice(line);
            }
        }
        if self.unread.ended { self.entry() } else { None }
    }

    /// The next line, with its end. A line that is too long is returned in pieces.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let rest = &self.unread.bytes[self.unread.scanned..];
        let end = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(at) => self.unread.scanned + at,
            None if self.unread.bytes.len() - self.unread.start > MAX_ENTRY
                || self.unread.ended && self.unread.bytes.len() > self.unread.start =>
            {
                return Some(self.unread.take(self.unread.bytes.len()));
            }
            None => {
                self.unread.scanned = self.unread.bytes.len();
                return None;
            }
        };
        let Some(after) = self.unread.after(end) else {
            self.unread.scanned = end;
            return None;
        };
        self.line += 1;
        Some(self.unread.take(after))
    }

    /// The entry that ends here, if there is one.
    fn entry(&mut self) -> Option<FileRecord> {
        let raw = mem::take(&mut self.raw);
        let too_large = mem::take(&mut self.too_large);
        self.lines = 0;
        if !mem::take(&mut self.has_lines) && !too_large {
            return None;
        }
        self.number += 1;
        let position = Position { unit: "record", number: self.number, line: self.begins };
        self.begins = self.line;
        let found = if too_large {
            let detail = Some("The entry has more than 8 MiB, or more than 50,000 lines.".to_owned());
            RecordContent::Refused(Refusal { reason: "too large", detail })
        } else {
            read(&raw, self.charset)
        };
        Some(FileRecord { position, raw, found })
    }
}

fn is_version(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"version:"))
}

/// An attribute of an entry.
struct LdifAttribute {
    /// In lower case, without options.
    name: String,
    value: AttributeValue,
}

enum AttributeValue {
    Text(String),
    /// Base64 that is not text.
    Bytes(Vec<u8>),
    /// A line that is not an attribute, or has invalid base64.
    Junk(String),
}

/// The attributes of an entry, with continued lines joined.
fn attributes(raw: &[u8], charset: Charset) -> Vec<LdifAttribute> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in raw.split(|byte| *byte == b'\n').flat_map(|line| line.split(|byte| *byte == b'\r')) {
        match (line, lines.last_mut()) {
            ([b' ', rest @ ..], Some(last)) => last.extend_from_slice(rest),
            ([], _) => {}
            _ => lines.push(line.to_vec()),
        }
    }
    let says = |line: &Vec<u8>| !line.starts_with(b"#") && !is_version(line);
    lines.into_iter().filter(says).map(|line| attribute(&line, charset)).collect()
}

fn attribute(line: &[u8], charset: Charset) -> LdifAttribute {
    let junk = |line: &[u8]| LdifAttribute {
        name: String::new(),
        value: AttributeValue::Junk(charset.text(line).into_owned()),
    };
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return junk(line) };
    let (name, value) = (charset.text(&line[..colon]), &line[colon + 1..]);
    let name = name.split(';').next().unwrap_or_default().trim().to_lowercase();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !is_name(&name) || value.starts_with(b"<") {
        return junk(line);
    }
    let Some(coded) = value.strip_prefix(b":") else {
        return LdifAttribute { name, value: AttributeValue::Text(charset.text(value).trim().to_owned()) };
    };
    let coded: Vec<u8> = coded.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match BASE64_STANDARD.decode(&coded) {
        Ok(bytes) if name == "jpegphoto" => LdifAttribute { name, value: AttributeValue::Bytes(bytes) },
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => LdifAttribute { name, value: AttributeValue::Text(text) },
            // Text in a code page never has a NUL.
            Err(wrong) if !wrong.as_bytes().contains(&0) => {
                let text = charset.text(wrong.as_bytes()).into_owned();
                LdifAttribute { name, value: AttributeValue::Text(text) }
            }
            Err(wrong) => LdifAttribute { name, value: AttributeValue::Bytes(wrong.into_bytes()) },
        },
        Err(_) => junk(line),
    }
}

/// The texts of an attribute.
fn texts<'a>(attributes: &'a [LdifAttribute], wanted: &str) -> Vec<&'a str> {
    let of = attributes.iter().filter(|attribute| attribute.name == wanted);
    let text = |attribute: &'a LdifAttribute| match &attribute.value {
        AttributeValue::Text(text) => Some(text.as_str()),
        AttributeValue::Bytes(_) | AttributeValue::Junk(_) => None,
    };
    of.filter_map(text).collect()
}

fn read(raw: &[u8], charset: Charset) -> RecordContent {
    let attributes = attributes(raw, charset);
    let texts = |wanted: &str| texts(&attributes, wanted);
    if let Some(kind) = texts("changetype").first().filter(|kind| !kind.eq_ignore_ascii_case("add")) {
        let detail = Some(format!("The entry is a change of the type '{kind}', not a contact."));
        return RecordContent::Refused(Refusal { reason: "changetype", detail });
    }
    let is_group = |class: &&str| class.to_lowercase().starts_with("groupof");
    if texts("objectclass").iter().any(is_group) {
        return group(&attributes);
    }
    let mut draft = Draft::new(FileFormat::Ldif.name());
    draft.alias = texts("dn").first().map(|dn| (*dn).to_owned());
    draft.uid = texts("entryuuid").first().map(|id| (*id).to_owned());
    let mut parts = CollectedAttributes::default();
    for attribute in &attributes {
        map_attribute(&mut draft, &mut parts, attribute);
    }
    parts.finish(&mut draft);
    draft.finish()
}

/// A list of members becomes a category of those entries.
fn group(attributes: &[LdifAttribute]) -> RecordContent {
    let first = |name: &str| texts(attributes, name).first().map(|text| clean_line(text));
    let Some(name) = first("cn").filter(|name| !name.is_empty()) else {
        return RecordContent::Refused(Refusal {
            reason: "empty",
            detail: Some("The list has no name (cn).".to_owned()),
        });
    };
    let members =
        ["member", "uniquemember"].into_iter().flat_map(|name| texts(attributes, name)).map(str::to_owned).collect();
    let mut outcomes = Vec::new();
    for attribute in attributes {
        let fate = match attribute.name.as_str() {
            "cn" | "member" | "uniquemember" | "entryuuid" => Fate::Mapped,
            "dn" | "objectclass" | "modifytimestamp" => Fate::Ignored(SAYS_NOTHING),
            _ => Fate::Ignored("a list has a name and members only"),
        };
        let name = if attribute.name.is_empty() { JUNK } else { &attribute.name };
        outcomes.push(PropertyOutcome { name: name.to_owned(), fate });
    }
    let uid = first("entryuuid");
    RecordContent::Group(Box::new(GroupRecord { name, members, uid, card: None, outcomes }))
}

/// Values that are assembled from several attributes.
#[derive(Default)]
struct CollectedAttributes {
    /// `mail`, and `mozillaSecondEmail`, which comes second in any order of lines.
    emails: [Vec<(String, String)>; 2],
    work: LdifAddress,
    home: LdifAddress,
    /// Year, month and day.
    birthday: [Option<(String, String)>; 3],
    junk: Vec<String>,
}

/// An address: street, its second line, box, city, state, code, country.
#[derive(Default)]
struct LdifAddress([Option<(String, String)>; 7]);

/// The meaning of an attribute.
enum AttributeMeaning {
    Text(Text),
    Email(usize),
    Phone(&'static str),
    Work(usize),
    Home(usize),
    Website(&'static str),
    Im(&'static str),
    Birthday(usize),
    Nothing,
    Identity,
    Photo,
    Aside,
}

fn meaning(name: &str) -> AttributeMeaning {
    match name {
        "cn" => AttributeMeaning::Text(Text::DisplayName),
        "givenname" => AttributeMeaning::Text(Text::GivenName),
        "sn" => AttributeMeaning::Text(Text::Surname),
        "mozillanickname" | "xmozillanickname" => AttributeMeaning::Text(Text::NickName),
        "initials" => AttributeMeaning::Text(Text::Initials),
        "title" => AttributeMeaning::Text(Text::JobTitle),
        "ou" | "department" | "departmentnumber" | "orgunit" => AttributeMeaning::Text(Text::Department),
        "o" | "company" => AttributeMeaning::Text(Text::CompanyName),
        "description" | "notes" => AttributeMeaning::Text(Text::PersonalNotes),
        "roomnumber" | "physicaldeliveryofficename" => AttributeMeaning::Text(Text::OfficeLocation),
        "mail" => AttributeMeaning::Email(0),
        "mozillasecondemail" => AttributeMeaning::Email(1),
        "telephonenumber" => AttributeMeaning::Phone("business"),
        "homephone" => AttributeMeaning::Phone("home"),
        "mobile" | "cellphone" => AttributeMeaning::Phone("mobile"),
        "facsimiletelephonenumber" | "fax" => AttributeMeaning::Phone("businessFax"),
        "pager" | "pagerphone" => AttributeMeaning::Phone("pager"),
        "street" | "streetaddress" => AttributeMeaning::Work(0),
        "mozillaworkstreet2" => AttributeMeaning::Work(1),
        "postofficebox" => AttributeMeaning::Work(2),
        "l" | "locality" => AttributeMeaning::Work(3),
        "st" | "region" => AttributeMeaning::Work(4),
        "postalcode" | "zip" => AttributeMeaning::Work(5),
        "c" | "countryname" => AttributeMeaning::Work(6),
        "mozillahomestreet" | "homepostaladdress" => AttributeMeaning::Home(0),
        "mozillahomestreet2" => AttributeMeaning::Home(1),
        "mozillahomelocalityname" => AttributeMeaning::Home(3),
        "mozillahomestate" => AttributeMeaning::Home(4),
        "mozillahomepostalcode" => AttributeMeaning::Home(5),
        "mozillahomecountryname" => AttributeMeaning::Home(6),
        "mozillaworkurl" | "workurl" => AttributeMeaning::Website("work"),
        "mozillahomeurl" | "homeurl" => AttributeMeaning::Website("home"),
        "nsaimid" | "nscpaimscreenname" => AttributeMeaning::Im("aim"),
        "birthyear" => AttributeMeaning::Birthday(0),
        "birthmonth" => AttributeMeaning::Birthday(1),
        "birthday" => AttributeMeaning::Birthday(2),
        "entryuuid" => AttributeMeaning::Identity,
        "jpegphoto" => AttributeMeaning::Photo,
        "objectclass" | "modifytimestamp" | "mozillausehtmlmail" | "dn" | "changetype" => AttributeMeaning::Nothing,
        _ => AttributeMeaning::Aside,
    }
}

/// Maps an attribute.
fn map_attribute(draft: &mut Draft, parts: &mut CollectedAttributes, attribute: &LdifAttribute) {
    let name = attribute.name.as_str();
    let text = match &attribute.value {
        AttributeValue::Junk(line) => return parts.junk.push(line.clone()),
        AttributeValue::Bytes(bytes) => return photo(draft, name, bytes),
        AttributeValue::Text(text) => clean_lines(text),
    };
    let cell = || Some((name.to_owned(), text.clone()));
    let meaning = meaning(name);
    if text.is_empty() || matches!(meaning, AttributeMeaning::Nothing) {
        return draft.note(name, Fate::Ignored(SAYS_NOTHING));
    }
    match meaning {
        AttributeMeaning::Text(property) => {
            let fate = draft.text(property, &text);
            draft.record(name, &text, fate);
        }
        AttributeMeaning::Email(place) => parts.emails[place].extend(cell()),
        AttributeMeaning::Phone(kind) => {
            let fate = draft.phone(kind, &text);
            draft.record(name, &text, fate);
        }
        AttributeMeaning::Website(kind) => {
            let fate = draft.website(kind, &text, None);
            draft.record(name, &text, fate);
        }
        AttributeMeaning::Im(scheme) => {
            let fate = draft.im(scheme, &text);
            draft.record(name, &text, fate);
        }
        AttributeMeaning::Work(at) if parts.work.0[at].is_none() => parts.work.0[at] = cell(),
        AttributeMeaning::Home(at) if parts.home.0[at].is_none() => parts.home.0[at] = cell(),
        AttributeMeaning::Birthday(at) if parts.birthday[at].is_none() => parts.birthday[at] = cell(),
        AttributeMeaning::Identity => draft.note(name, Fate::Mapped),
        _ => draft.keep(name, &text, None),
    }
}

/// Keeps a picture or other bytes aside as base64.
fn photo(draft: &mut Draft, name: &str, bytes: &[u8]) {
    if name == "jpegphoto" && draft.photo.is_none() && Picture::recognize(bytes).is_ok() {
        if bytes.len() > MAX_PHOTO {
            return draft.note(name, Fate::Lost("too large"));
        }
        draft.photo = Some(RecordPhoto { bytes: bytes.to_vec() });
        return draft.note(name, Fate::Mapped);
    }
    draft.keep(name, &BASE64_STANDARD.encode(bytes), Some("no text"));
}

impl CollectedAttributes {
    fn finish(self, draft: &mut Draft) {
        for (name, address) in self.emails.into_iter().flatten() {
            let fate = draft.email(Email { address: Some(clean_line(&address)), ..Email::default() });
            draft.record(&name, &address, fate);
        }
        self.work.finish(draft, "business");
        self.home.finish(draft, "home");
        let [year, month, day] = &self.birthday;
        let text = |part: &Option<(String, String)>| part.as_ref().map(|(_, text)| text.clone());
        let day = match (text(month), text(day)) {
            (Some(month), Some(day)) => dates::of_numbers(text(year).as_deref(), &month, &day),
            _ => None,
        };
        let fate = day.map_or(Fate::Aside(None), |day| draft.birthday(&day));
        for (name, text) in self.birthday.into_iter().flatten() {
            draft.record(&name, &text, fate);
        }
        if !self.junk.is_empty() {
            draft.keep_rest(JUNK, &self.junk.join("\n"), "");
        }
    }
}

impl LdifAddress {
    fn finish(self, draft: &mut Draft, kind: &str) {
        if self.0.iter().all(Option::is_none) {
            return;
        }
        let text = |at: usize| self.0[at].as_ref().map(|(_, text)| text.clone());
        let line = |at: usize| text(at).map(|text| clean_line(&text));
        let street = [text(0), text(1)].into_iter().flatten().collect::<Vec<_>>().join("\n");
        let fate = draft.address(Address {
            kind: Some(kind.to_owned()),
            post_office_box: line(2),
            street: Some(street).filter(|street| !street.is_empty()),
            city: line(3),
            state: line(4),
            postal_code: line(5),
            country_or_region: line(6),
        });
        for (name, text) in self.0.into_iter().flatten() {
            draft.record(&name, &text, fate);
        }
    }
}
