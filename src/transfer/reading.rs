//! The thread that reads a file: it unpacks, recognises, reads and hashes the file, and sends the records in small
//! pieces. Only a few pieces are in memory.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::clock;
use crate::domain::error::{Error, Kind};
use crate::domain::import::{Incoming, IncomingGroup};
use crate::domain::secret;
use crate::formats::detect::{Detected, FileFormat, ReadOptions};
use crate::formats::json::graph::GraphJson;
use crate::formats::reader::FileReader;
use crate::transfer::identity::{self, Matching};
use crate::transfer::output::ReportLine;
use crate::vcard::record::{FileRecord, GroupRecord, RecordContent};

/// Number of bytes of a file in its hash.
const HEAD: u64 = 64 << 10;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Maximum number of records of a piece, and of its bytes.
const RECORDS: usize = 100;
const BYTES: usize = 1 << 20;
/// Maximum number of waiting pieces.
const WAITING: usize = 5;
/// Maximum number of members of all groups of a file, and of names that refer to them.
const MAX_MEMBERS: usize = 200_000;
/// Maximum number of bytes of all groups of a file: of their cards, and of their names and members.
const MAX_GROUPS: usize = 16 << 20;

/// A file, as bytes.
pub type ByteSource = Box<dyn Read + Send>;

/// How a file is read.
#[derive(Clone)]
pub struct ReadingSettings {
    /// The user's options.
    pub options: ReadOptions,
    /// Contacts without an identity are found by their first e-mail address.
    pub match_email: bool,
    /// Maximum number of unpacked bytes.
    pub max: Option<u64>,
    /// It must be compressed.
    pub is_gzip: bool,
    /// Whether the bytes of refused records are needed.
    pub keeps_refused: bool,
    /// The reader for Graph's JSON.
    pub graph: &'static dyn GraphJson,
}

impl ReadingSettings {
    /// With these options, and without a limit of size.
    pub fn new(options: ReadOptions, graph: &'static dyn GraphJson) -> Self {
        Self { options, match_email: false, max: None, is_gzip: false, keeps_refused: false, graph }
    }
}

/// A record of a file.
pub struct ReadRecord {
    /// Its line in the report.
    pub line: ReportLine,
    /// The contact, if it is one.
    pub contact: Option<Incoming>,
    /// The bytes of a record that is or may be refused, if they are needed.
    pub raw: Vec<u8>,
}

/// A group of a file: its members become contacts with a category.
pub struct ContactGroup {
    /// The category.
    pub name: String,
    /// The folded identities of the members.
    pub members: Vec<String>,
    /// Its card, of a file of cards.
    pub card: Option<IncomingGroup>,
}

/// The messages of the thread, in this order: one head, pieces, the end.
pub enum ReadPart {
    /// The detected file.
    Head {
        /// The SHA-256 of its first 64 KiB, in hexadecimal.
        head: String,
        /// The detected format.
        detected: Box<Detected>,
        /// The beginning of a file of refused records.
        preface: Vec<u8>,
    },
    /// Some records.
    Piece {
        /// The records.
        records: Vec<ReadRecord>,
        /// Number of bytes of the file up to here.
        bytes: u64,
    },
    /// The file has ended.
    End {
        /// Its groups.
        groups: Vec<ContactGroup>,
        /// Further notes for the report.
        notes: Vec<String>,
    },
    /// The rest cannot be read.
    Failed(Error),
}

/// Reads a file. The thread ends with the file, or when the receiver is dropped.
///
/// # Errors
/// [`Error::Unavailable`] if no thread can be started.
pub fn begin(file: ByteSource, settings: ReadingSettings) -> Result<mpsc::Receiver<ReadPart>, Error> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let work = move || {
        let mut reading = Reading::new(settings, sender);
        if let Err(error) = reading.all(file) {
            // The receiver may be gone.
            let _ = reading.sender.blocking_send(ReadPart::Failed(error));
        }
    };
    std::thread::Builder::new()
        .name("contactd-import".to_owned())
        .spawn(clock::inherited(work))
        .map_err(Error::unavailable)?;
    Ok(receiver)
}

/// The state of the thread.
struct Reading {
    settings: ReadingSettings,
    sender: mpsc::Sender<ReadPart>,
    records: Vec<ReadRecord>,
    size: usize,
    bytes: u64,
    matching: Matching,
    groups: Vec<GroupRecord>,
    members: usize,
    /// Bytes of their cards, and of their names and members.
    card_bytes: usize,
    name_bytes: usize,
    /// Number of skipped groups, and of skipped cards of groups.
    passed_over: (u64, u64),
    /// The keys of records that groups refer to by another name, by the hash of that name.
    aliases: HashMap<u64, String>,
}

/// The receiver was dropped.
struct Unwanted;

impl Reading {
    fn new(settings: ReadingSettings, sender: mpsc::Sender<ReadPart>) -> Self {
        let matching = Matching { by_email: settings.match_email, keeps_photo: false };
        let (records, groups, aliases, passed_over) = Default::default();
        let (size, bytes, members, card_bytes, name_bytes) = (0, 0, 0, 0, 0);
        Self {
            settings,
            sender,
            records,
            size,
            bytes,
            matching,
            groups,
            members,
            card_bytes,
            name_bytes,
            passed_over,
            aliases,
        }
    }

    fn all(&mut self, mut file: ByteSource) -> Result<(), Error> {
        let mut head = Vec::new();
        file.by_ref().take(HEAD).read_to_end(&mut head).map_err(failed)?;
        let hash = secret::hex(&Sha256::digest(&head));
        let is_gzip = head.starts_with(b"\x1f\x8b");
        if self.settings.is_gzip && !is_gzip {
            return Err(Error::invalid(Kind::Request, "", "The body is not valid gzip."));
        }
        let file: ByteSource = Box::new(io::Cursor::new(head).chain(file));
        let mut file: ByteSource = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { file };
        let mut reader = FileReader::new(self.settings.options.clone(), self.settings.graph);
        let mut chunk = vec![0; CHUNK];
        let mut head = Some(hash);
        loop {
            let read = match file.read(&mut chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            self.bytes += read as u64;
            if let Some(max) = self.settings.max.filter(|max| self.bytes > *max) {
                return Err(Error::TooLarge(usize::try_from(max).unwrap_or(usize::MAX)));
            }
            if read == 0 {
                reader.finish();
            } else {
                reader.push(&chunk[..read]);
            }
            let handed = self.take_all(&mut reader, &mut head)?;
            if handed.is_err() {
                return Ok(());
            }
            if read == 0 {
                let mut notes = reader.notes();
                notes.extend(self.notes());
                let end = ReadPart::End { groups: self.groups(), notes };
                let _ = self.hand(end);
                return Ok(());
            }
        }
    }

    /// Sends the complete records. The inner error means that the receiver was dropped.
    fn take_all(&mut self, reader: &mut FileReader, head: &mut Option<String>) -> Result<Result<(), Unwanted>, Error> {
        if head.is_some()
            && let Some(detected) = reader.detected()
        {
            self.matching.keeps_photo = !has_photos(detected.format);
            let (head, preface) = (head.take().unwrap_or_default(), reader.preface().to_vec());
            if self.hand(ReadPart::Head { head, detected: Box::new(detected), preface }).is_err() {
                return Ok(Err(Unwanted));
            }
        }
        while let Some(item) = reader.next_item() {
            if head.is_some()
                && let RecordContent::Refused(refusal) = &item.found
            {
                let why = refusal.detail.as_deref().unwrap_or_default();
                return Err(Error::invalid(Kind::Request, "", format!("The file is not recognised. {why}")));
            }
            self.take(item);
            if (self.records.len() >= RECORDS || self.size >= BYTES) && self.hand_records().is_err() {
                return Ok(Err(Unwanted));
            }
        }
        // The next bytes may come late, so these records are sent first.
        if self.sender.capacity() == WAITING {
            return Ok(self.hand_records());
        }
        Ok(Ok(()))
    }

    fn take(&mut self, item: FileRecord) {
        let FileRecord { position, raw, found } = item;
        match found {
            RecordContent::Contact(mut record) => {
                let outcomes = std::mem::take(&mut record.outcomes);
                let alias = record.alias.take();
                let contact = identity::incoming(*record, &outcomes, self.matching);
                if let Some(alias) = alias.filter(|_| self.aliases.len() < MAX_MEMBERS) {
                    self.aliases.insert(hash_of(&alias), contact.key.clone());
                }
                // The store may refuse it: see `Effect::Refused`.
                let raw = if self.settings.keeps_refused && contact.added.is_some() { raw } else { Vec::new() };
                self.size += contact.size() + 64 * outcomes.len() + raw.len();
                let line = ReportLine::contact(position, outcomes);
                self.records.push(ReadRecord { line, contact: Some(contact), raw });
            }
            RecordContent::Group(mut group) => {
                let outcomes = std::mem::take(&mut group.outcomes);
                self.records.push(ReadRecord {
                    line: ReportLine::group(position, outcomes),
                    contact: None,
                    raw: Vec::new(),
                });
                let names = group.members.iter().chain(&group.uid).map(String::len).sum::<usize>() + group.name.len();
                if self.members + group.members.len() >= MAX_MEMBERS || self.name_bytes + names > MAX_GROUPS {
                    self.passed_over.0 += 1;
                    return;
                }
                self.members += group.members.len() + 1;
                self.name_bytes += names;
                self.card_bytes += group.card.as_ref().map_or(0, String::len);
                if self.card_bytes > MAX_GROUPS {
                    self.passed_over.1 += u64::from(group.card.take().is_some());
                }
                self.groups.push(*group);
            }
            RecordContent::Refused(refusal) => {
                let raw = if self.settings.keeps_refused { raw } else { Vec::new() };
                self.size += raw.len();
                self.records.push(ReadRecord { line: ReportLine::refused(position, refusal), contact: None, raw });
            }
        }
    }

    fn hand_records(&mut self) -> Result<(), Unwanted> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.size = 0;
        let (records, bytes) = (std::mem::take(&mut self.records), self.bytes);
        self.hand(ReadPart::Piece { records, bytes })
    }

    fn hand(&mut self, part: ReadPart) -> Result<(), Unwanted> {
        if matches!(part, ReadPart::End { .. }) {
            self.hand_records()?;
        }
        self.sender.blocking_send(part).map_err(|_| Unwanted)
    }

    /// The groups with the keys of their members.
    fn groups(&mut self) -> Vec<ContactGroup> {
        let key = |member: &String| {
            let known = self.aliases.get(&hash_of(member)).cloned();
            known.unwrap_or_else(|| identity::key(member))
        };
        let group = |group: GroupRecord| ContactGroup {
            members: group.members.iter().map(key).collect(),
            card: group.card.map(|card| identity::group(group.uid, &group.name, card)),
            name: group.name,
        };
        std::mem::take(&mut self.groups).into_iter().map(group).collect()
    }

    /// Notes on skipped groups, for the report.
    fn notes(&self) -> Vec<String> {
        let (groups, cards) = self.passed_over;
        let notes = [
            (
                groups,
                format!("{groups} groups were skipped: all together have more than {MAX_MEMBERS} members or 16 MiB"),
            ),
            (cards, format!("the cards of {cards} groups were not kept: all together have more than 16 MiB")),
        ];
        notes.into_iter().filter(|(count, _)| *count > 0).map(|(_, note)| note).collect()
    }
}

/// Whether a format has photos. If not, the photos of the mailbox stay.
fn has_photos(format: FileFormat) -> bool {
    matches!(format, FileFormat::VCard | FileFormat::Ldif | FileFormat::JsContact)
}

fn hash_of(alias: &str) -> u64 {
    let digest = Sha256::digest(alias.trim().to_lowercase().as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The error for a file that cannot be read. An error that was wrapped is unwrapped.
fn failed(error: io::Error) -> Error {
    if error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).is_some() {
        let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
        return inner.map_or_else(|| Error::internal("an error was lost"), |inner| *inner);
    }
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::invalid(Kind::Request, "", "The file is compressed, and its end is not valid gzip.")
        }
        _ => Error::unavailable(error),
    }
}
