//! An export: the contacts of one snapshot, page by page, as a file. Only two pages and one photo are in memory.

use futures_util::future::try_join;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::domain::query::cursor::Cursor;
use crate::formats::json::graph::GraphJson;
use crate::formats::write::LeftOut;
use crate::store::{ExportPage, Exported, Listing, Store};
use crate::transfer::encode::{Encoder, ExportFormat};

/// Number of contacts that are read at once.
const PAGE: u16 = 100;
/// Number of contacts that are encoded before the read of the next page is continued.
const YIELD_AFTER: usize = 10;
/// Approximate number of bytes that are written at once.
const PIECE: usize = 64 << 10;
/// Maximum size of a photo that iCloud accepts, in bytes.
const SMALL: u64 = 224_000;

/// The photos to export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Photos {
    /// None.
    None,
    /// Those that iCloud accepts, up to 224 KB.
    Small,
    /// All.
    #[default]
    All,
}

/// The parameters of an export.
#[derive(Clone)]
pub struct Export {
    /// The mailbox.
    pub mailbox: i64,
    /// Its contacts.
    pub listing: Listing,
    /// The format of the file.
    pub format: ExportFormat,
    /// The photos that it has.
    pub photos: Photos,
    /// Whether CSV cells that a spreadsheet would run as formulas get an apostrophe in front.
    pub guard: bool,
    /// Whether vCards also have values from files of other formats that no property holds.
    pub aside: bool,
    /// Whether CSV for Outlook is written in windows-1252, for its old versions.
    pub latin: bool,
    /// Maximum number of contacts in a file.
    pub split: Option<u64>,
    /// The writer for Graph's JSON.
    pub graph: &'static dyn GraphJson,
}

/// The summary of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Contacts.
    pub contacts: u64,
    /// Groups, which are cards of their own.
    pub groups: u64,
    /// Photos that [`Photos::Small`] left out.
    pub photos_left_out: u64,
    /// Values that the format has no place for.
    pub left_out: LeftOut,
    /// Characters that the encoding does not have: they are written as `?`.
    pub replaced: u64,
}

/// The output of an export.
pub trait ExportOutput {
    /// Whether bytes were sent already, which cannot be taken back.
    fn has_begun(&self) -> bool;

    /// Writes bytes.
    ///
    /// # Errors
    /// An error ends the export.
    fn put(&mut self, bytes: Vec<u8>) -> impl Future<Output = Result<(), Error>>;

    /// Ends a file and begins the next.
    ///
    /// # Errors
    /// An error ends the export.
    fn next_file(&mut self) -> impl Future<Output = Result<(), Error>>;
}

/// Exports contacts from one snapshot.
///
/// # Errors
/// Those of the store and of the output. The written file is then incomplete.
pub async fn run(store: &Store, export: &Export, output: &mut impl ExportOutput) -> Result<Summary, Error> {
    let output = Mutex::new(output);
    let all = async |store: &Store| {
        let mut output = output.lock().await;
        if output.has_begun() {
            // The snapshot was lost, and the rest would be from another one.
            return Err(Error::unavailable("the connection to the database was lost"));
        }
        let mut exporting = Exporting { store, export, summary: Summary::default(), piece: Vec::new() };
        exporting.all(&mut **output).await?;
        Ok(exporting.summary)
    };
    store.in_snapshot(export.mailbox, all).await
}

/// One contact as a file.
///
/// # Errors
/// Those of the store.
pub async fn export_one(store: &Store, export: &Export, contact: Contact) -> Result<Vec<u8>, Error> {
    let exported = store.contact_to_export(export.mailbox, contact).await?;
    let mut exporting = Exporting { store, export, summary: Summary::default(), piece: Vec::new() };
    let mut encoder = Encoder::new(export);
    encoder.measure(&exported);
    encoder.begin(&mut exporting.piece);
    exporting.add(&mut encoder, &exported).await?;
    encoder.end(&mut exporting.piece);
    Ok(exporting.piece)
}

async fn read_page(store: &Store, export: &Export, after: Option<Cursor>) -> Result<ExportPage, Error> {
    let listing = Listing { after, size: PAGE, ..export.listing.clone() };
    store.contacts_to_export(export.mailbox, &listing).await
}

struct Exporting<'a> {
    store: &'a Store,
    export: &'a Export,
    summary: Summary,
    piece: Vec<u8>,
}

impl Exporting<'_> {
    async fn all(&mut self, output: &mut impl ExportOutput) -> Result<(), Error> {
        let mut encoder = Encoder::new(self.export);
        if encoder.measures() {
            let mut after = None;
            loop {
                let mut page = read_page(self.store, self.export, after).await?;
                after = page.next.take();
                for exported in page.contacts() {
                    encoder.measure(&self.whole(exported?).await?);
                }
                if after.is_none() {
                    break;
                }
            }
        }
        encoder.begin(&mut self.piece);
        let mut in_file = 0;
        let (store, export) = (self.store, self.export);
        let mut page = read_page(store, export, None).await?;
        loop {
            // The next page is read while this one is encoded.
            let after = page.next.take();
            let reading = async {
                match after {
                    Some(after) => read_page(store, export, Some(after)).await.map(Some),
                    None => Ok(None),
                }
            };
            let encoding = async {
                for (position, exported) in page.contacts().enumerate() {
                    self.room(&mut encoder, &mut in_file, output).await?;
                    let exported = self.whole(exported?).await?;
                    self.add(&mut encoder, &exported).await?;
                    if position % YIELD_AFTER == YIELD_AFTER - 1 {
                        tokio::task::yield_now().await;
                    }
                }
                Ok::<_, Error>(())
            };
            let (read, ()) = try_join(reading, encoding).await?;
            match read {
                Some(read) => page = read,
                None => break,
            }
        }
        let Listing { filter, search, .. } = &self.export.listing;
        if encoder.has_groups() && filter.is_none() && search.is_none() {
            self.groups(&mut encoder, &mut in_file, output).await?;
        }
        encoder.end(&mut self.piece);
        self.summary.replaced = encoder.replaced;
        self.summary.left_out = encoder.left_out().cloned().unwrap_or_default();
        output.put(std::mem::take(&mut self.piece)).await
    }

    /// The contact with the text of its card, which is not read with the page if it is large.
    async fn whole(&self, mut exported: Exported) -> Result<Exported, Error> {
        if exported.lacks_card_text {
            exported.card = self.store.card(self.export.mailbox, exported.contact.id).await?;
            exported.lacks_card_text = false;
        }
        Ok(exported)
    }

    /// Adds the cards of groups.
    async fn groups(
        &mut self,
        encoder: &mut Encoder,
        in_file: &mut u64,
        output: &mut impl ExportOutput,
    ) -> Result<(), Error> {
        let Export { mailbox, ref listing, .. } = *self.export;
        let mut after = Uuid::nil();
        loop {
            let page = self.store.groups_to_export(mailbox, listing.folder.as_deref(), after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for id in page {
                let Some(card) = self.store.card(mailbox, id).await? else { continue };
                self.room(encoder, in_file, output).await?;
                encoder.add_group(&card, &mut self.piece);
                self.summary.groups += 1;
            }
        }
    }

    /// Prepares for one more record: begins the next file if this one is full, or writes the collected bytes.
    async fn room(
        &mut self,
        encoder: &mut Encoder,
        in_file: &mut u64,
        output: &mut impl ExportOutput,
    ) -> Result<(), Error> {
        if self.export.split == Some(*in_file) {
            encoder.end(&mut self.piece);
            output.put(std::mem::take(&mut self.piece)).await?;
            output.next_file().await?;
            encoder.begin(&mut self.piece);
            *in_file = 0;
        } else if self.piece.len() >= PIECE {
            output.put(std::mem::take(&mut self.piece)).await?;
        }
        *in_file += 1;
        Ok(())
    }

    /// Adds a contact, with its photo if requested.
    async fn add(&mut self, encoder: &mut Encoder, exported: &Exported) -> Result<(), Error> {
        let Export { mailbox, format, photos, .. } = *self.export;
        let mut photo = None;
        if let Some((_, size)) = exported.photo.filter(|_| format.has_photos() && photos != Photos::None) {
            if photos == Photos::Small && size > SMALL {
                self.summary.photos_left_out += 1;
            } else {
                photo = Some(self.store.photo_to_export(mailbox, exported.contact.id).await?);
            }
        }
        encoder.add(exported, photo.as_deref(), &mut self.piece);
        self.summary.contacts += 1;
        Ok(())
    }
}
