//! One reader for every format. It detects the format from the first bytes and yields records as they are complete.

use std::mem;

use crate::formats::cards::CardReader;
use crate::formats::charset::{Start, Widened};
use crate::formats::csv::CsvReader;
use crate::formats::csv::layout::CsvLayout;
use crate::formats::detect::{self, Detected, FileFormat, ReadOptions, Unrecognised};
use crate::formats::json::JsonReader;
use crate::formats::json::graph::GraphJson;
use crate::formats::ldif::LdifReader;
use crate::vcard::record::{FileRecord, Position, RecordContent, Refusal};

/// Number of bytes that are collected before the format is decided. The order of dates and the code page are guessed
/// from them.
const SAMPLE: usize = 1 << 20;

/// Reads a file in pieces: call [`FileReader::push`] with bytes, take records with [`FileReader::next_item`], and call
/// [`FileReader::finish`] at the end. It holds at most one record, the bytes pushed last, and 1 MiB at the beginning.
pub struct FileReader {
    options: ReadOptions,
    graph: &'static dyn GraphJson,
    state: ReaderState,
    wide: Option<Widened>,
    /// The encoding, if the first bytes show it.
    encoding: Option<&'static str>,
    started: bool,
    finished: bool,
}

enum ReaderState {
    /// Collects bytes in UTF-8 or a code page until there are enough.
    Sampling(Vec<u8>),
    Unrecognised(Option<FileRecord>),
    VCard(Box<CardReader>),
    Csv(Box<CsvReader>),
    Ldif(Box<LdifReader>),
    Json(Box<JsonReader>),
}

impl FileReader {
    /// A reader with the user's options and a reader for Graph's JSON.
    pub fn new(options: ReadOptions, graph: &'static dyn GraphJson) -> Self {
        Self {
            options,
            graph,
            state: ReaderState::Sampling(Vec::new()),
            wide: None,
            encoding: None,
            started: false,
            finished: false,
        }
    }

    /// Adds bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.take(bytes, false);
    }

    /// Marks the end of the file.
    pub fn finish(&mut self) {
        if mem::replace(&mut self.finished, true) {
            return;
        }
        self.take(&[], true);
        if let ReaderState::Sampling(_) = self.state {
            self.decide(true);
        }
        match &mut self.state {
            ReaderState::Sampling(_) | ReaderState::Unrecognised(_) => {}
            ReaderState::VCard(reader) => reader.finish(),
            ReaderState::Csv(reader) => reader.finish(),
            ReaderState::Ldif(reader) => reader.finish(),
            ReaderState::Json(reader) => reader.finish(),
        }
    }

    /// The next complete record; `None` if more bytes are needed.
    pub fn next_item(&mut self) -> Option<FileRecord> {
        match &mut self.state {
            ReaderState::Sampling(_) => None,
            ReaderState::Unrecognised(item) => item.take(),
            ReaderState::VCard(reader) => reader.next_item(),
            ReaderState::Csv(reader) => reader.next_item(),
            ReaderState::Ldif(reader) => reader.next_item(),
            ReaderState::Json(reader) => reader.next_item(),
        }
    }

    /// The detected file, once it is decided.
    pub fn detected(&self) -> Option<Detected> {
        match &self.state {
            ReaderState::Sampling(_) | ReaderState::Unrecognised(_) => None,
            ReaderState::VCard(reader) => Some(reader.detected(self.encoding)),
            ReaderState::Csv(reader) => Some(reader.detected(self.encoding)),
            ReaderState::Ldif(reader) => Some(reader.detected(self.encoding)),
            ReaderState::Json(reader) => Some(reader.detected(self.encoding)),
        }
    }

    /// Further notes for the report, at the end of the file.
    pub fn notes(&self) -> Vec<String> {
        match &self.state {
            ReaderState::VCard(reader) => reader.notes(),
            ReaderState::Csv(reader) => reader.notes(),
            ReaderState::Json(reader) => reader.notes(),
            ReaderState::Sampling(_) | ReaderState::Unrecognised(_) | ReaderState::Ldif(_) => Vec::new(),
        }
    }

    /// The beginning of a file of refused records: the header row of CSV.
    pub fn preface(&self) -> &[u8] {
        match &self.state {
            ReaderState::Csv(reader) => reader.header(),
            _ => &[],
        }
    }

    fn take(&mut self, bytes: &[u8], last: bool) {
        let mut bytes = bytes;
        let held;
        if !self.started {
            let ReaderState::Sampling(first) = &mut self.state else { return };
            first.extend_from_slice(bytes);
            if first.len() < 64 && !last {
                return;
            }
            held = mem::take(first);
            self.started = true;
            let start = Start::of(&held);
            self.encoding = start.name;
            if start.name.is_some() {
                self.options.encoding = None;
            }
            self.wide = start.wide.map(Widened::new);
            bytes = &held[start.skip..];
        }
        let mut widened = Vec::new();
        if let Some(wide) = &mut self.wide {
            wide.push(bytes, last, &mut widened);
            bytes = &widened;
        }
        match &mut self.state {
            ReaderState::Sampling(sample) => {
                sample.extend_from_slice(bytes);
                if sample.len() >= SAMPLE {
                    self.decide(false);
                }
            }
            ReaderState::Unrecognised(_) => {}
            ReaderState::VCard(reader) => reader.push(bytes),
            ReaderState::Csv(reader) => reader.push(bytes),
            ReaderState::Ldif(reader) => reader.push(bytes),
            ReaderState::Json(reader) => reader.push(bytes),
        }
    }

    /// Chooses the reader from the first bytes, and passes the bytes to it.
    fn decide(&mut self, whole: bool) {
        let ReaderState::Sampling(sample) = &mut self.state else { return };
        let sample = mem::take(sample);
        if sample.trim_ascii().is_empty() {
            let empty = refused(&Unrecognised::unsupported("The file is empty."));
            self.state = ReaderState::Unrecognised(Some(empty));
            return;
        }
        let format = self.options.format.map_or_else(|| detect::family(&sample), Ok);
        let state = match format {
            Ok(format) if !format.is_csv() && self.options.encoding.is_some() => {
                let message = "An encoding can be given for CSV only: files of the other formats state it.";
                Err(Unrecognised::unsupported(message))
            }
            Ok(format) if format.is_csv() => CsvLayout::find(&sample, &self.options).map(|layout| {
                let mut reader = CsvReader::new(layout);
                reader.push(&sample);
                ReaderState::Csv(Box::new(reader))
            }),
            Ok(FileFormat::VCard) => Ok(ReaderState::VCard(Box::new(CardReader::new(&sample, whole)))),
            Ok(FileFormat::Ldif) => {
                let mut reader = LdifReader::new(&sample);
                reader.push(&sample);
                Ok(ReaderState::Ldif(Box::new(reader)))
            }
            Ok(format) => {
                let mut reader = JsonReader::new(format, &sample, self.graph);
                reader.push(&sample);
                Ok(ReaderState::Json(Box::new(reader)))
            }
            Err(unrecognised) => Err(unrecognised),
        };
        self.state = state.unwrap_or_else(|unrecognised| ReaderState::Unrecognised(Some(refused(&unrecognised))));
    }
}

/// The refusal of a whole file.
fn refused(unrecognised: &Unrecognised) -> FileRecord {
    let refusal = Refusal { reason: "not recognised", detail: Some(unrecognised.message()) };
    FileRecord {
        position: Position { unit: "line", number: 1, line: 1 },
        raw: Vec::new(),
        found: RecordContent::Refused(refusal),
    }
}
