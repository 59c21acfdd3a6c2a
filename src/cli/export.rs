//! `contactd export`: writes the contacts of a mailbox to files that other programs can read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::cli::arguments::{AnyDatabase, any_name};
use crate::cli::import::owner;
use crate::cli::output::reason;
use crate::domain::error::Error;
use crate::domain::handling::Handling;
use crate::graph::json::contact::file::GraphFile;
use crate::odata::filter::{self, Aliases, Model};
use crate::store::{Listing, Store};
use crate::transfer::encode::ExportFormat;
use crate::transfer::export::{self, Export as Asked, ExportOutput, Photos, Summary};
use crate::transfer::folder_named;

/// Options of `contactd export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is a snapshot: it does not contain writes during the export. It gets its name when it is complete. \
docs/import-export.md has the formats that each program can import.")]
pub struct ExportArgs {
    #[command(flatten)]
    at: AnyDatabase,

    /// The user whose contacts are exported
    #[arg(long, value_parser = any_name, value_name = "NAME")]
    user: String,

    /// vcard3, vcard4, csv-google, csv-outlook, jscontact or ndjson
    #[arg(long, value_parser = format, value_name = "FORMAT", default_value = "vcard3")]
    format: ExportFormat,

    /// The file; by default standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Maximum number of contacts in a file; the files are named FILE-0001 and so on
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N", requires = "to")]
    split: Option<u64>,

    /// Only the contacts of this folder, by id or name
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,

    /// Only contacts for which this is true, as in $filter with the names of the beta shape
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,

    /// Photos to export; small leaves out those above 224 KB, which iCloud does not accept
    #[arg(long, value_enum, default_value_t)]
    photos: WhichPhotos,

    /// Character set of csv-outlook; old versions of Outlook read windows-1252. Characters that it does not have become
    /// ? and are counted
    #[arg(long, value_enum, default_value_t)]
    encoding: Encoding,

    /// Do not put an apostrophe before cells of CSV that a spreadsheet would run
    #[arg(long)]
    no_guard: bool,

    /// Also write data that is kept aside from imported files of other formats into vCards
    #[arg(long)]
    aside: bool,

    /// Print the report as JSON, on standard error, because standard output may be the file
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum WhichPhotos {
    None,
    Small,
    #[default]
    All,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Encoding {
    #[default]
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "windows-1252")]
    Windows1252,
}

fn format(text: &str) -> Result<ExportFormat, String> {
    ExportFormat::parse(text)
        .ok_or_else(|| format!("expected {}", ExportFormat::ALL.map(ExportFormat::name).join(", ")))
}

/// Runs `contactd export`.
///
/// # Errors
/// One line that says why. No incomplete file is left.
pub async fn run(config: ExportArgs) -> Result<(), String> {
    config
        .at
        .with_store(async |store: &Store| {
            let user = owner(store, &config.user).await?;
            let store = store.with_operator(user.mailbox, "export");
            let options = export_options(&store, &config, user.mailbox).await?;
            let mut files = ExportFiles::new(config.to.as_deref(), config.split.is_some())?;
            let summary = export::run(&store, &options, &mut files).await.map_err(|error| files.explained(error))?;
            files.finish()?;
            print_summary(&summary, config.json);
            Ok(())
        })
        .await
}

async fn export_options(store: &Store, config: &ExportArgs, mailbox: i64) -> Result<Asked, String> {
    let folder = match &config.folder {
        Some(name) => Some(folder_named(store, mailbox, name).await.map_err(|error| match error {
            Error::NotFound => format!("--folder: there is no folder '{name}'"),
            error => reason(error),
        })?),
        None => None,
    };
    let read = |text: &String| filter::filter(text, &Aliases::default(), Model::Beta, Handling::Lenient);
    let filter = config.filter.as_ref().map(read).transpose().map_err(|error| format!("--filter: {error}"))?;
    let photos = match config.photos {
        WhichPhotos::None => Photos::None,
        WhichPhotos::Small => Photos::Small,
        WhichPhotos::All => Photos::All,
    };
    let listing = Listing { folder, filter, ..Listing::default() };
    let (format, guard, aside, split) = (config.format, !config.no_guard, config.aside, config.split);
    let latin = config.encoding == Encoding::Windows1252;
    if latin && format != ExportFormat::CsvOutlook {
        return Err("--encoding windows-1252: only csv-outlook is written in it".to_owned());
    }
    Ok(Asked { mailbox, listing, format, photos, guard, aside, latin, split, graph: &GraphFile })
}

/// Reports the export on standard error, because standard output may be the file.
fn print_summary(summary: &Summary, as_json: bool) {
    let mut out = io::stderr().lock();
    if as_json {
        let counts = summary.left_out.counts().map(|(property, count)| (property.to_owned(), json!(count)));
        let left_out: Map<String, Value> = counts.collect();
        let json_value = json!({
            "contacts": summary.contacts,
            "groups": summary.groups,
            "photosLeftOut": summary.photos_left_out,
            "replaced": summary.replaced,
            "leftOut": left_out,
        });
        let _ = writeln!(out, "{json_value}");
        return;
    }
    let _ = writeln!(out, "{} contacts exported", summary.contacts);
    if summary.groups > 0 {
        let _ = writeln!(out, "{} groups exported", summary.groups);
    }
    if summary.photos_left_out > 0 {
        let _ = writeln!(out, "{} photos over 224 KB left out", summary.photos_left_out);
    }
    if summary.replaced > 0 {
        let _ = writeln!(out, "{} characters that windows-1252 does not have are written as ?", summary.replaced);
    }
    if !summary.left_out.is_empty() {
        let _ = writeln!(out, "{}", summary.left_out.text());
    }
}

/// The written files. Each has a temporary name until the end.
struct ExportFiles {
    to: Option<PathBuf>,
    split: bool,
    current: Option<BufWriter<Box<dyn Write>>>,
    written: Vec<(tempfile::TempPath, PathBuf)>,
    begun: bool,
    why: Option<String>,
}

impl ExportFiles {
    fn new(to: Option<&Path>, split: bool) -> Result<Self, String> {
        let (current, written, why) = Default::default();
        let mut files = Self { to: to.map(Path::to_owned), split, current, written, begun: false, why };
        files.open()?;
        Ok(files)
    }

    /// Begins the next file.
    fn open(&mut self) -> Result<(), String> {
        let Some(to) = &self.to else {
            self.current = Some(BufWriter::new(Box::new(io::stdout())));
            return Ok(());
        };
        let name = if self.split { numbered(to, self.written.len() + 1) } else { to.clone() };
        let failed = |error: io::Error| format!("{}: {error}", name.display());
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".contactd-export").tempfile_in(folder).map_err(failed)?;
        let (file, path) = file.into_parts();
        self.current = Some(BufWriter::new(Box::new(Synced(file))));
        self.written.push((path, name));
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.current.take().map_or(Ok(()), |mut file| file.flush())
    }

    /// Gives the files their names.
    fn finish(&mut self) -> Result<(), String> {
        self.close().map_err(|error| error.to_string())?;
        for (path, name) in self.written.drain(..) {
            path.persist(&name).map_err(|error| format!("{}: {}", name.display(), error.error))?;
        }
        Ok(())
    }

    /// An error of the store, or of the file that could not be written.
    fn explained(&mut self, error: Error) -> String {
        self.why.take().unwrap_or_else(|| reason(error))
    }

    fn failed(&mut self, why: String) -> Error {
        self.why = Some(why.clone());
        Error::unavailable(why)
    }
}

/// A file that is synced when it is flushed.
struct Synced(File);

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// `contacts.vcf` as `contacts-0001.vcf`.
fn numbered(name: &Path, number: usize) -> PathBuf {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let extension = name.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    name.with_file_name(format!("{stem}-{number:04}{extension}"))
}

impl ExportOutput for ExportFiles {
    fn has_begun(&self) -> bool {
        self.begun
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.begun = true;
        let Some(file) = &mut self.current else { return Err(Error::internal("no file is open")) };
        let written = file.write_all(&bytes);
        written.map_err(|error| self.failed(format!("the file cannot be written: {error}")))
    }

    async fn next_file(&mut self) -> Result<(), Error> {
        let closed = self.close().map_err(|error| error.to_string());
        let opened = closed.and_then(|()| self.open());
        opened.map_err(|why| self.failed(why))
    }
}
