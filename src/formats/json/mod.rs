//! JSON: contacts of Microsoft Graph in either shape, and JSContact. A file is an array, a saved list, or one object on
//! each line.

pub mod graph;
mod values;

use std::collections::VecDeque;

use crate::formats::detect::{Detected, FileFormat};
use crate::formats::draft::{Draft, unset_derived_name};
use crate::formats::jscontact;
use crate::formats::json::graph::{GraphContact, GraphJson};
use crate::formats::json::values::{JsonPiece, MAX_VALUE, Values};
use crate::json::Json;
use crate::vcard::record::{Fate, FileRecord, RecordContent, Refusal};

/// Reads the records of a JSON file.
pub(crate) struct JsonReader {
    values: Values,
    format: FileFormat,
    graph: &'static dyn GraphJson,
    /// Records that are ready. If the last one is broken, it waits for the rest of its bytes.
    ready: VecDeque<FileRecord>,
    broken: bool,
    ended: bool,
}

impl JsonReader {
    /// A reader for a file that begins with these bytes, which are pushed later.
    pub(crate) fn new(format: FileFormat, sample: &[u8], graph: &'static dyn GraphJson) -> Self {
        Self { values: Values::new(sample), format, graph, ready: VecDeque::new(), broken: false, ended: false }
    }

    /// The detected file.
    pub(crate) fn detected(&self, encoding: Option<&'static str>) -> Detected {
        let why = match self.format {
            FileFormat::JsContact => "it is JSON with '@type': 'Card'",
            _ => "it is JSON without '@type': 'Card'",
        };
        Detected {
            format: self.format,
            variant: None,
            encoding: Some(encoding.unwrap_or("utf-8")),
            separator: None,
            date_order: None,
            why: vec![why.to_owned()],
        }
    }

    /// Further notes for the report.
    pub(crate) fn notes(&self) -> Vec<String> {
        let around = String::from_utf8_lossy(self.values.surrounding_bytes());
        let more = around.contains("@odata.nextLink");
        let note = "The file is one page of a list: it has an '@odata.nextLink', and the contacts of the next pages are not in it.";
        more.then(|| note.to_owned()).into_iter().collect()
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.values.push(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.values.finish();
        self.ended = true;
    }

    /// The next record that is complete.
    pub(crate) fn next_item(&mut self) -> Option<FileRecord> {
        loop {
            if self.ready.len() > usize::from(self.broken) {
                return self.ready.pop_front();
            }
            let Some(mut piece) = self.values.next_piece() else {
                return if self.ended { self.ready.pop_front() } else { None };
            };
            if piece.rest {
                self.append(&piece.raw);
                continue;
            }
            let value = value(&piece, self.format);
            if matches!(value, Err(Refusal { reason: "not JSON", .. })) {
                self.values.give_back(&mut piece);
            }
            // Bytes after a broken record that do not begin another one belong to it.
            let rest = self.broken && !piece.raw.starts_with(b"{") && piece.position.unit == "item";
            if rest {
                self.append(&piece.raw);
                continue;
            }
            self.broken = matches!(value, Err(Refusal { reason: "not JSON", .. })) && piece.position.unit == "item";
            let found = match value {
                Ok(Json::Object(members)) => {
                    self.values.learn(&piece.raw);
                    self.object(members)
                }
                Ok(other) => {
                    let detail = Some(format!("A contact is a JSON object, not {}.", other.kind()));
                    RecordContent::Refused(Refusal { reason: "not an object", detail })
                }
                Err(refusal) => RecordContent::Refused(refusal),
            };
            self.ready.push_back(FileRecord { position: piece.position, raw: piece.raw, found });
        }
    }

    /// Adds to the bytes of the broken record.
    fn append(&mut self, bytes: &[u8]) {
        let Some(FileRecord { raw, found, .. }) = self.ready.back_mut().filter(|_| self.broken) else { return };
        if raw.len() + bytes.len() <= MAX_VALUE {
            raw.extend_from_slice(bytes);
        } else {
            raw.clear();
            *found = RecordContent::Refused(too_large());
        }
    }

    fn object(&self, members: Vec<(String, Json)>) -> RecordContent {
        if self.format == FileFormat::JsContact {
            return jscontact::read::card(&members);
        }
        let contact = match self.graph.read(members) {
            Ok(contact) => contact,
            Err(refusal) => return RecordContent::Refused(refusal),
        };
        let GraphContact { patch, id, members } = contact;
        let mut draft = Draft::new(self.format.name());
        draft.patch = patch;
        draft.uid = id;
        for (name, fate, json) in members {
            match (fate, json) {
                (Fate::Partial, Some(json)) => draft.keep_rest(&name, &json, ""),
                (Fate::Aside(why), Some(json)) => draft.keep(&name, &json, why),
                (fate, _) => draft.note(&name, fate),
            }
        }
        if unset_derived_name(&mut draft.patch).is_none() {
            return RecordContent::Refused(Refusal { reason: "empty", detail: None });
        }
        draft.finish()
    }
}

fn too_large() -> Refusal {
    Refusal { reason: "too large", detail: Some("The record has more than 8 MiB.".to_owned()) }
}

/// The value of a record.
fn value(piece: &JsonPiece, format: FileFormat) -> Result<Json, Refusal> {
    if piece.too_large {
        return Err(too_large());
    }
    let raw = piece.raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&piece.raw);
    let read = if format == FileFormat::JsContact { Json::read_case_sensitive(raw) } else { Json::read(raw) };
    read.map_err(|why| {
        let reason = if why.contains("recursion limit") { "too deep" } else { "not JSON" };
        Refusal { reason, detail: Some(why) }
    })
}
