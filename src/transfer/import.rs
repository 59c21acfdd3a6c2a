//! An import. The contacts from the reading thread are committed by hundreds, and each commit is reported. Committed
//! contacts stay even if the import fails later; importing the same file again completes it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::import::{Effect, ImportProgress, ImportSource, Imported, Incoming, MAX_BATCH, Run};
use crate::formats::detect::Detected;
use crate::formats::report::Report;
use crate::store::Store;
use crate::transfer::output::Totals;
use crate::transfer::reading::{self, ByteSource, ContactGroup, ReadPart, ReadRecord, ReadingSettings};

/// How long a contact waits for others in its commit, and the maximum size of a commit in bytes.
const MAX_WAIT: Duration = Duration::from_secs(1);
const MAX_BYTES: usize = 4 << 20;

/// The parameters of an import.
#[derive(Clone)]
pub struct ImportJob {
    /// The mailbox.
    pub mailbox: i64,
    /// The folder of new contacts; `None` for the default folder.
    pub folder: Option<String>,
    /// The file's name, for people.
    pub name: String,
    /// Its size in bytes, if it is known.
    pub size: Option<u64>,
    /// Nothing is written.
    pub dry_run: bool,
    /// Skips what an interrupted import of the same file has read.
    pub resume: bool,
    /// How the file is read.
    pub settings: ReadingSettings,
}

impl ImportJob {
    /// An import of a whole file into the default folder.
    pub fn new(mailbox: i64, name: String, settings: ReadingSettings) -> Self {
        Self { mailbox, folder: None, name, size: None, dry_run: false, resume: false, settings }
    }
}

/// Receives the progress of an import.
pub trait ImportListener {
    /// The file is recognised. `run` is the stored import, unless it is a dry run. `preface` is the beginning of a file
    /// of refused records.
    ///
    /// # Errors
    /// An error ends the import.
    fn begins(&mut self, run: Option<&Run>, preface: Vec<u8>) -> impl Future<Output = Result<(), Error>>;

    /// The outcome of records is final: contacts are committed.
    ///
    /// # Errors
    /// An error ends the import.
    fn settled(&mut self, records: &[ReadRecord], progress: ImportProgress) -> impl Future<Output = Result<(), Error>>;
}

/// Imports a file.
///
/// # Errors
/// Those of the file, of the store and of the listener. Committed contacts stay.
pub async fn run(
    store: &Store,
    job: ImportJob,
    file: ByteSource,
    listener: &mut impl ImportListener,
) -> Result<Totals, Error> {
    let mut parts = reading::begin(file, job.settings.clone())?;
    let (head, detected, preface) = match parts.recv().await {
        Some(ReadPart::Head { head, detected, preface }) => (head, detected, preface),
        Some(ReadPart::Failed(error)) => return Err(error),
        _ => return Err(Error::internal("the file was not read")),
    };
    let run = if job.dry_run { None } else { Some(begin_or_continue(store, &job, head, &detected).await?) };
    listener.begins(run.as_ref(), preface).await?;
    let passed = run.as_ref().map_or(0, |run| run.records);
    let progress = ImportProgress { records: 0, bytes: 0, refused: 0, is_finished: false };
    let report = Report { detected: Some(*detected), ..Report::default() };
    let totals = Totals { report, run: run.as_ref().map(|run| run.id) };
    let mut importing = Importing {
        store,
        mailbox: job.mailbox,
        run: run.map(|run| run.id),
        passed,
        progress,
        waiting: Vec::new(),
        contacts: 0,
        size: 0,
        seen: HashMap::new(),
        totals,
    };
    importing.all(&mut parts, listener).await?;
    Ok(importing.totals)
}

/// The import that is continued, or a new one.
async fn begin_or_continue(store: &Store, job: &ImportJob, head: String, detected: &Detected) -> Result<Run, Error> {
    if job.resume
        && let Some(run) = store.broken_off_import(job.mailbox, job.size, &head).await?
    {
        return Ok(run);
    }
    let source =
        ImportSource { name: job.name.clone(), size: job.size, head, format: detected.format.name().to_owned() };
    store.begin_import(job.mailbox, source, job.folder.as_deref()).await
}

struct Importing<'a> {
    store: &'a Store,
    mailbox: i64,
    run: Option<Uuid>,
    /// Number of records of an earlier part of the import.
    passed: u64,
    progress: ImportProgress,
    waiting: Vec<ReadRecord>,
    contacts: usize,
    size: usize,
    /// In a dry run: the hashes of keys, and of the last content with each key.
    seen: HashMap<u64, u64>,
    totals: Totals,
}

impl Importing<'_> {
    async fn all(
        &mut self,
        parts: &mut mpsc::Receiver<ReadPart>,
        listener: &mut impl ImportListener,
    ) -> Result<(), Error> {
        let mut since: Option<Instant> = None;
        loop {
            let next = match since {
                // Waiting contacts are committed when their time is over, even if no more come.
                Some(since) => {
                    let rest = MAX_WAIT.saturating_sub(since.elapsed());
                    if let Ok(next) = tokio::time::timeout(rest, parts.recv()).await {
                        next
                    } else {
                        self.commit_waiting(listener).await?;
                        parts.recv().await
                    }
                }
                None => parts.recv().await,
            };
            match next {
                Some(ReadPart::Piece { records, bytes }) => {
                    for record in records {
                        self.take(record);
                        if self.contacts == MAX_BATCH || self.size >= MAX_BYTES || self.waiting.len() >= 2 * MAX_BATCH {
                            self.progress.bytes = bytes;
                            self.commit_waiting(listener).await?;
                        }
                    }
                    self.progress.bytes = bytes;
                }
                Some(ReadPart::End { groups, notes }) => {
                    self.commit_waiting(listener).await?;
                    self.totals.report.notes = notes;
                    self.add_groups(groups).await?;
                    return self.finish().await;
                }
                Some(ReadPart::Failed(error)) => {
                    self.commit_waiting(listener).await?;
                    return Err(error);
                }
                Some(ReadPart::Head { .. }) => return Err(Error::internal("the file began twice")),
                None => return Err(Error::internal("the reading of the file ended before the file")),
            }
            since = (!self.waiting.is_empty()).then(|| since.unwrap_or_else(Instant::now));
        }
    }

    fn take(&mut self, record: ReadRecord) {
        self.progress.records += 1;
        if self.progress.records <= self.passed {
            return;
        }
        self.contacts += usize::from(record.contact.is_some());
        self.size += record.contact.as_ref().map_or(0, Incoming::size) + record.raw.len();
        self.waiting.push(record);
    }

    /// Commits waiting contacts, and reports them.
    async fn commit_waiting(&mut self, listener: &mut impl ImportListener) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut records = std::mem::take(&mut self.waiting);
        (self.contacts, self.size) = (0, 0);
        let contacts: Vec<_> = records.iter_mut().filter_map(|record| record.contact.take()).collect();
        let refused = records.iter().filter(|record| record.line.is_refused()).count() as u64;
        let mut progress = ImportProgress { refused, ..self.progress };
        let done = match self.run {
            Some(run) => self.store.import(self.mailbox, run, contacts, progress).await?,
            None => self.preview(&contacts).await?,
        };
        let settled = records.iter_mut().filter(|record| record.line.is_contact()).zip(done);
        settled.for_each(|(record, done)| record.line.set_imported(done));
        // Some were refused by the store.
        progress.refused = records.iter().filter(|record| record.line.is_refused()).count() as u64;
        for record in &records {
            record.line.count(&mut self.totals.report);
        }
        listener.settled(&records, progress).await
    }

    /// The outcome that contacts would have. If the file has a contact twice, the second is compared with the first.
    async fn preview(&mut self, contacts: &[Incoming]) -> Result<Vec<Imported>, Error> {
        let mut done = self.store.would_import(self.mailbox, contacts).await?;
        for (contact, done) in contacts.iter().zip(&mut done) {
            if done.effect == Effect::Refused {
                continue;
            }
            let content = number(&contact.hash);
            if let Some(before) = self.seen.insert(number(&hash(&contact.key)), content) {
                done.effect = if before == content { Effect::Unchanged } else { Effect::Updated };
            }
        }
        Ok(done)
    }

    /// Gives the members of groups their category, and keeps the cards of the groups.
    async fn add_groups(&mut self, groups: Vec<ContactGroup>) -> Result<(), Error> {
        let Some(run) = self.run else { return Ok(()) };
        let mut missing = 0;
        for ContactGroup { name, members, card } in groups {
            for some in members.chunks(MAX_BATCH) {
                let (found, _) = self.store.import_category(self.mailbox, run, name.clone(), some.to_vec()).await?;
                missing += (some.len() as u64).saturating_sub(found);
            }
            if let Some(card) = card {
                self.store.import_group(self.mailbox, run, card).await?;
            }
        }
        if missing > 0 {
            self.totals
                .report
                .notes
                .push(format!("{missing} members of groups are not contacts of the file or the mailbox"));
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        let Some(run) = self.run else { return Ok(()) };
        let progress = ImportProgress { refused: 0, is_finished: true, ..self.progress };
        self.store.import(self.mailbox, run, Vec::new(), progress).await.map(drop)
    }
}

fn hash(text: &str) -> [u8; 32] {
    crate::domain::secret::digest(text)
}

fn number(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
