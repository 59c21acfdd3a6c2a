//! Detects the format of a file from its first bytes, never from its name (docs/import-export.md, "Detection").

use encoding_rs::Encoding;

use crate::formats::csv::dates::DateOrder;
use crate::formats::csv::target::{ColumnTarget, normalize};

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the format of its name")]
pub enum FileFormat {
    VCard,
    CsvGoogle,
    CsvOutlook,
    CsvThunderbird,
    CsvYahoo,
    CsvLinkedIn,
    /// CSV of another program, with a map of its columns.
    Csv,
    Ldif,
    JsContact,
    /// Contacts of Microsoft Graph as JSON, in either shape: a list, an array, or one object on each line.
    Graph,
}

impl FileFormat {
    /// Every format, with the names that `--format` accepts. Reports use the first.
    pub const NAMES: &[(Self, &[&str])] = &[
        (Self::VCard, &["vcard"]),
        (Self::CsvGoogle, &["csv-google"]),
        (Self::CsvOutlook, &["csv-outlook"]),
        (Self::CsvThunderbird, &["csv-thunderbird"]),
        (Self::CsvYahoo, &["csv-yahoo"]),
        (Self::CsvLinkedIn, &["csv-linkedin"]),
        (Self::Csv, &["csv"]),
        (Self::Ldif, &["ldif"]),
        (Self::JsContact, &["jscontact"]),
        (Self::Graph, &["graph", "ndjson"]),
    ];

    /// The format with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(format, _)| *format)
    }

    /// Its name in reports, which is also the dialect of values that are kept aside.
    pub fn name(self) -> &'static str {
        match self {
            Self::VCard => "vcard",
            Self::CsvGoogle => "csv-google",
            Self::CsvOutlook => "csv-outlook",
            Self::CsvThunderbird => "csv-thunderbird",
            Self::CsvYahoo => "csv-yahoo",
            Self::CsvLinkedIn => "csv-linkedin",
            Self::Csv => "csv",
            Self::Ldif => "ldif",
            Self::JsContact => "jscontact",
            Self::Graph => "graph",
        }
    }

    /// The program whose dialect it is: the name without `csv-`.
    pub fn dialect(self) -> Option<&'static str> {
        match self {
            Self::VCard | Self::Csv => None,
            other => Some(other.name().trim_start_matches("csv-")),
        }
    }

    /// Whether it is CSV of any program.
    pub(crate) fn is_csv(self) -> bool {
        self.name().starts_with("csv")
    }
}

/// The meaning of columns of a CSV file, from `--map 'Column=property'`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap(Vec<(String, ColumnTarget)>);

impl ColumnMap {
    /// Adds entries like `Surname=surname,Cell=phone/mobile`.
    ///
    /// # Errors
    /// The fault of an entry, with the known properties.
    pub fn add(&mut self, entries: &str) -> Result<(), String> {
        for entry in entries.split(',') {
            let (column, property) =
                entry.rsplit_once('=').ok_or_else(|| format!("'{entry}' is not of the form 'Column=property'."))?;
            let target = ColumnTarget::parse(property.trim()).ok_or_else(|| {
                format!(
                    "'{}' is not a property that a column can hold. Use one of the text properties like givenName, and \
                     email/1, email/1/name, phone/mobile, address/home/city, website/work, im, birthday, \
                     weddingAnniversary, categories, children, isFavorite and aside.",
                    property.trim()
                )
            })?;
            self.0.push((normalize(column), target));
        }
        Ok(())
    }

    /// The normalized names of its columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(column, _)| column.as_str())
    }

    /// The meaning of the column with this normalized name.
    pub(crate) fn target(&self, column: &str) -> Option<ColumnTarget> {
        self.0.iter().find(|(known, _)| known == column).map(|(_, target)| *target)
    }
}

/// The user's options for a file.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The format, instead of the detected one.
    pub format: Option<FileFormat>,
    /// The meaning of columns.
    pub map: ColumnMap,
    /// The order of day and month.
    pub date_order: Option<DateOrder>,
    /// How the characters of CSV are written. A byte order mark overrules it.
    pub encoding: Option<&'static Encoding>,
}

/// A detected file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The format.
    pub format: FileFormat,
    /// The language or the age of the dialect: `de`, `old`.
    pub variant: Option<&'static str>,
    /// The encoding: `utf-8`, `utf-16le`, `cp1252`.
    pub encoding: Option<&'static str>,
    /// The separator of cells.
    pub separator: Option<char>,
    /// The order of day and month in dates.
    pub date_order: Option<DateOrder>,
    /// The reasons, one sentence each.
    pub why: Vec<String>,
}

/// A file that is not recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unrecognised {
    /// The encoding.
    pub encoding: &'static str,
    /// The separator with the most cells.
    pub separator: Option<char>,
    /// The cells of the first row.
    pub headers: Vec<String>,
    /// The program with the most similar columns.
    pub nearest: Option<FileFormat>,
    /// The kind of file, if it is known.
    pub sentence: Option<&'static str>,
}

impl Unrecognised {
    /// A known kind of file that cannot be read.
    pub(crate) fn unsupported(sentence: &'static str) -> Self {
        Self { encoding: "utf-8", sentence: Some(sentence), ..Self::default() }
    }

    /// For a person: what was found, and what to do.
    pub fn message(&self) -> String {
        if let Some(sentence) = self.sentence {
            return sentence.to_owned();
        }
        let seen: Vec<&str> = self.headers.iter().map(String::as_str).take(12).collect();
        let near = match self.nearest {
            Some(format) => format!(" The nearest known format is {}.", format.name()),
            None => String::new(),
        };
        format!("The first row has the columns {}.{near} Assign them with --map 'Column=property'.", seen.join(", "))
    }
}

/// The family of formats, from the first bytes that are not blank.
pub(crate) fn family(sample: &[u8]) -> Result<FileFormat, Unrecognised> {
    let start = sample.trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word));
    Ok(match start.first() {
        _ if begins(b"BEGIN:VCARD") => FileFormat::VCard,
        Some(b'[' | b'{') => json(start)?,
        Some(b'<') => return Err(Unrecognised::unsupported(XML)),
        _ if is_ldif(start) => FileFormat::Ldif,
        _ if has_card(start) => FileFormat::VCard,
        _ => FileFormat::Csv,
    })
}

/// Whether a card begins in the first lines, possibly after mail headers.
fn has_card(start: &[u8]) -> bool {
    let first = &start[..start.len().min(16 << 10)];
    let is_begin = |line: &[u8]| line.get(..11).is_some_and(|line| line.eq_ignore_ascii_case(b"BEGIN:VCARD"));
    first.split(|byte| matches!(byte, b'\n' | b'\r')).take(30).any(is_begin)
}

const XML: &str = "This is XML. xCard and other XML formats are not read: export vCard instead.";
const JCARD: &str = "This is jCard. It is not read: export vCard or JSContact instead.";

/// Whether it is LDIF: the first line that is not a comment begins with `dn:` or is `version: 1`.
fn is_ldif(start: &[u8]) -> bool {
    let mut comment = false;
    for line in start.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
        comment = line.starts_with(b"#") || comment && line.starts_with(b" ");
        if !comment {
            let is = |word: &[u8]| line.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word));
            return is(b"dn:") || is(b"version:") && line.trim_ascii().ends_with(b"1");
        }
    }
    false
}

/// The format of a JSON file. A JSContact Card has `@type`.
fn json(start: &[u8]) -> Result<FileFormat, Unrecognised> {
    let text: Vec<u8> = start.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64 << 10).collect();
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    if text.starts_with(b"[\"vcard\"") || text.starts_with(b"[[\"vcard\"") {
        return Err(Unrecognised::unsupported(JCARD));
    }
    Ok(if has(b"\"@type\":\"Card\"") { FileFormat::JsContact } else { FileFormat::Graph })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_found_by_the_first_bytes() {
        let cases: [(&str, FileFormat); 11] = [
            ("\r\n begin:vcard\r\n", FileFormat::VCard),
            ("From: ann\n\nBEGIN:VCARD\n", FileFormat::VCard),
            ("[{\"@type\": \"Card\"}]", FileFormat::JsContact),
            ("{\"value\":[]}", FileFormat::Graph),
            ("{\"givenName\":\"Ann\"}\n", FileFormat::Graph),
            ("dn: cn=Ann\n", FileFormat::Ldif),
            ("DN:: Y249\n", FileFormat::Ldif),
            ("# a comment\n  that is folded\nversion: 1\n", FileFormat::Ldif),
            ("First Name,Last Name\n", FileFormat::Csv),
            ("version,dn\n", FileFormat::Csv),
            ("", FileFormat::Csv),
        ];
        for (text, format) in cases {
            assert_eq!(family(text.as_bytes()), Ok(format), "{text}");
        }
        assert!(family(b"[\"vcard\",[]]").unwrap_err().message().contains("jCard"));
        assert!(family(b"<?xml version='1.0'?>").unwrap_err().message().contains("XML"));
    }

    #[test]
    fn a_map_of_columns_says_what_is_wrong_with_it() {
        let mut map = ColumnMap::default();
        map.add("Last=surname, Cell = phone/mobile,A=B=email/2").unwrap();
        assert_eq!(map.columns().collect::<Vec<_>>(), ["last", "cell", "a=b"]);
        assert!(map.target("cell").is_some());
        assert_eq!(map.add("Last").unwrap_err(), "'Last' is not of the form 'Column=property'.");
        assert!(map.add("Last=familyName").unwrap_err().starts_with("'familyName' is not a property"));
    }
}
