//! The formats for exports, and the encoding of contacts.

use std::borrow::Cow;

use crate::domain::card::{Card, CardVersion};
use crate::domain::contact::Properties;
use crate::formats::csv::dates::DateOrder;
use crate::formats::json::graph::GraphJson;
use crate::formats::write::{
    ContactToWrite, GoogleColumns, GoogleWriter, LeftOut, OutlookWriter, jscontact, latin, ndjson,
};
use crate::store::Exported;
use crate::transfer::export::Export;
use crate::vcard::Audience;
use crate::vcard::render::{KeptCard, render, without_aside};
use crate::vcard::write::CardContent;

/// A format for exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the format of its name")]
pub enum ExportFormat {
    VCard3,
    VCard4,
    CsvGoogle,
    CsvOutlook,
    JsContact,
    Ndjson,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::VCard3, Self::VCard4, Self::CsvGoogle, Self::CsvOutlook, Self::JsContact, Self::Ndjson];

    /// Its name on the command line and in a query string.
    pub fn name(self) -> &'static str {
        match self {
            Self::VCard3 => "vcard3",
            Self::VCard4 => "vcard4",
            Self::CsvGoogle => "csv-google",
            Self::CsvOutlook => "csv-outlook",
            Self::JsContact => "jscontact",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The `Content-Type` of a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::VCard3 => "text/vcard; charset=utf-8",
            Self::VCard4 => "text/vcard; charset=utf-8; version=4.0",
            Self::CsvGoogle | Self::CsvOutlook => "text/csv; charset=utf-8; header=present",
            Self::JsContact => "application/jscontact+json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The format for a media range of `Accept`, which is in lower case and without blanks and quotes.
    pub fn accepts(range: &str) -> Option<Self> {
        let mut parts = range.split(';');
        let version = |parts: std::str::Split<'_, char>| parts.clone().any(|parameter| parameter == "version=4.0");
        match parts.next()? {
            "text/vcard" | "text/x-vcard" | "text/directory" if version(parts.clone()) => Some(Self::VCard4),
            "text/vcard" | "text/x-vcard" | "text/directory" => Some(Self::VCard3),
            "text/csv" => Some(Self::CsvGoogle),
            "application/jscontact+json" => Some(Self::JsContact),
            "application/x-ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The extension of the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::VCard3 | Self::VCard4 => "vcf",
            Self::CsvGoogle | Self::CsvOutlook => "csv",
            Self::JsContact => "json",
            Self::Ndjson => "ndjson",
        }
    }

    /// Whether the format has photos.
    pub(super) fn has_photos(self) -> bool {
        matches!(self, Self::VCard3 | Self::VCard4 | Self::JsContact)
    }
}

/// Turns contacts into the bytes of a file.
pub(super) struct Encoder {
    kind: FormatEncoder,
    aside: bool,
    /// Whether the encoding is windows-1252, and the number of characters that it lacks and that were replaced.
    latin: bool,
    pub(super) replaced: u64,
}

enum FormatEncoder {
    VCard(CardVersion),
    Google(GoogleColumns, bool),
    GoogleRows(GoogleWriter),
    Outlook(OutlookWriter),
    /// Whether a contact is written already.
    JsContact(bool),
    Ndjson(&'static dyn GraphJson),
}

/// Spreadsheets on Windows recognise UTF-8 by it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl Encoder {
    pub(super) fn new(export: &Export) -> Self {
        let kind = match export.format {
            ExportFormat::VCard3 => FormatEncoder::VCard(CardVersion::V3),
            ExportFormat::VCard4 => FormatEncoder::VCard(CardVersion::V4),
            ExportFormat::CsvGoogle => FormatEncoder::Google(GoogleColumns::default(), export.guard),
            // Outlook reads dates in the short form of Windows, which is usually the English one.
            ExportFormat::CsvOutlook => FormatEncoder::Outlook(OutlookWriter::new(DateOrder::MonthFirst, export.guard)),
            ExportFormat::JsContact => FormatEncoder::JsContact(false),
            ExportFormat::Ndjson => FormatEncoder::Ndjson(export.graph),
        };
        Self { kind, aside: export.aside, latin: export.latin, replaced: 0 }
    }

    /// Whether all contacts must be measured before it begins.
    pub(super) fn measures(&self) -> bool {
        matches!(self.kind, FormatEncoder::Google(..))
    }

    /// Makes room for a contact.
    pub(super) fn measure(&mut self, exported: &Exported) {
        if let FormatEncoder::Google(columns, _) = &mut self.kind {
            let card = card_of(exported, None);
            columns.measure(&ContactToWrite { contact: &exported.contact, card: card.as_deref(), photo: None });
        }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        if let FormatEncoder::Google(columns, guard) = &mut self.kind {
            self.kind = FormatEncoder::GoogleRows(GoogleWriter::new(std::mem::take(columns), *guard));
        }
        match &mut self.kind {
            FormatEncoder::GoogleRows(writer) => out.extend(writer.header().into_bytes()),
            FormatEncoder::Outlook(writer) => {
                if !self.latin {
                    out.extend(BYTE_ORDER_MARK.as_bytes());
                }
                out.extend(writer.header().into_bytes());
            }
            FormatEncoder::JsContact(has_some) => {
                *has_some = false;
                out.push(b'[');
            }
            FormatEncoder::VCard(_) | FormatEncoder::Google(..) | FormatEncoder::Ndjson(_) => {}
        }
    }

    /// Adds a contact.
    pub(super) fn add(&mut self, exported: &Exported, photo: Option<&[u8]>, out: &mut Vec<u8>) {
        let card = card_of(exported, photo);
        let source = ContactToWrite { contact: &exported.contact, card: card.as_deref(), photo };
        match &mut self.kind {
            FormatEncoder::VCard(version) => {
                let card = vcard(exported, card.as_deref(), photo, *version);
                let shown = if self.aside { Cow::Borrowed(card.as_str()) } else { without_aside(&card) };
                out.extend(shown.as_bytes());
            }
            FormatEncoder::GoogleRows(writer) => out.extend(writer.row(&source).into_bytes()),
            FormatEncoder::Outlook(writer) => {
                let row = writer.row(&source);
                out.extend(if self.latin { latin(&row, &mut self.replaced) } else { row.into_bytes() });
            }
            FormatEncoder::JsContact(has_some) => {
                out.extend(if std::mem::replace(has_some, true) { b",\n".as_slice() } else { b"\n" });
                out.extend(jscontact::jscontact(&source).into_bytes());
            }
            FormatEncoder::Ndjson(graph) => out.extend(ndjson(&source, *graph).into_bytes()),
            FormatEncoder::Google(..) => {}
        }
    }

    /// Whether the format has groups.
    pub(super) fn has_groups(&self) -> bool {
        matches!(self.kind, FormatEncoder::VCard(_))
    }

    /// Adds the card of a group.
    pub(super) fn add_group(&self, card: &Card, out: &mut Vec<u8>) {
        let (FormatEncoder::VCard(version), Some(text)) = (&self.kind, &card.text) else { return };
        let properties = Properties::default();
        let shown = CardContent { properties: &properties, uid: card.shown_uid(), photo: None, last_modified: None };
        let kept = KeptCard { text, contact_current: true, photo_current: true };
        out.extend(render(&shown, Some(kept), Some(*version), Audience::Export).into_bytes());
    }

    /// Ends a file.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        if matches!(self.kind, FormatEncoder::JsContact(_)) {
            out.extend(b"\n]\n");
        }
    }

    /// The values that the format had no place for, by property.
    pub(super) fn left_out(&self) -> Option<&LeftOut> {
        match &self.kind {
            FormatEncoder::GoogleRows(writer) => Some(&writer.left_out),
            FormatEncoder::Outlook(writer) => Some(&writer.left_out),
            FormatEncoder::VCard(_)
            | FormatEncoder::Google(..)
            | FormatEncoder::JsContact(_)
            | FormatEncoder::Ndjson(_) => None,
        }
    }
}

/// The stored card of a contact. Some cards have only the identity.
fn card_of(exported: &Exported, photo: Option<&[u8]>) -> Option<String> {
    let card = exported.card.as_ref()?;
    let identity = || format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{}\r\nEND:VCARD\r\n", card.shown_uid());
    Some(card.whole_text(photo).unwrap_or_else(identity))
}

/// A contact as a card: the stored one, updated, or one in our form.
fn vcard(exported: &Exported, card: Option<&str>, photo: Option<&[u8]>, version: CardVersion) -> String {
    let Exported { contact, card: kept, photo: known, .. } = exported;
    let own = contact.id.to_string();
    let uid = kept.as_ref().map_or(own.as_str(), |kept| kept.shown_uid());
    let last_modified = Some(contact.last_modified_date_time);
    let shown = CardContent { properties: &contact.properties, uid, photo, last_modified };
    let kept = kept.as_ref().filter(|kept| kept.text.is_some()).zip(card).map(|(kept, text)| KeptCard {
        text,
        contact_current: kept.contact_version == contact.version && kept.has_own_uid(),
        // A photo that is left out differs from the card's.
        photo_current: kept.photo_version == known.map(|(version, _)| version) && known.is_some() == photo.is_some(),
    });
    render(&shown, kept, Some(version), Audience::Export)
}
