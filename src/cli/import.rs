//! `contactd import`: imports files of contacts into a mailbox, lists imports, and undoes them.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use encoding_rs::Encoding;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::arguments::{AnyDatabase, any_name};
use crate::cli::output::{Form, print_json, print_line, reason, time};
use crate::cli::to_json;
use crate::domain::error::Error;
use crate::domain::import::{ImportProgress, Run, Undone};
use crate::domain::user::User;
use crate::formats::charset::encoding_named;
use crate::formats::csv::dates::DateOrder;
use crate::formats::detect::{ColumnMap, FileFormat, ReadOptions};
use crate::graph::json::contact::file::GraphFile;
use crate::store::Store;
use crate::transfer::folder_named;
use crate::transfer::import::{self, ImportJob, ImportListener};
use crate::transfer::reading::{ByteSource, ReadRecord, ReadingSettings};

/// Maximum number of unchanged contacts that are shown.
const SHOWN: usize = 15;

/// Options of `contactd import`.
#[derive(Debug, Args)]
#[command(after_help = "\
The format is detected from the file's content: vCard 2.1, 3.0 or 4.0, CSV of Google, Outlook, Thunderbird, Yahoo and \
LinkedIn, LDIF, JSContact, or contacts of Microsoft Graph as JSON; each may be compressed with gzip. An import can be \
repeated: unchanged contacts are not written, and contacts that are not in the file stay. The database may be served \
meanwhile. docs/import-export.md says how to export from each program, and which property each field becomes.")]
pub struct ImportArgs {
    #[command(flatten)]
    at: AnyDatabase,

    /// The files; - is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["list", "undo"])]
    files: Vec<PathBuf>,

    /// The user whose mailbox receives them
    #[arg(long, value_parser = any_name, value_name = "NAME", required_unless_present_any = ["list", "undo"])]
    user: Option<String>,

    /// The folder for new contacts, by id or name; by default the mailbox's default folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,

    /// The format, if it cannot be detected: vcard, csv-google, csv-outlook, csv-thunderbird, csv-yahoo, csv-linkedin,
    /// csv, ldif, jscontact or graph
    #[arg(long, value_parser = format, value_name = "FORMAT")]
    format: Option<FileFormat>,

    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,

    /// File for the whole report, as JSON, with a line for each record
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// File for the refused records as they are in the file, so that they can be repaired and imported again
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,

    /// Order of dates in CSV if it cannot be detected: dmy or mdy
    #[arg(long, value_parser = order, value_name = "ORDER")]
    date_order: Option<DateOrder>,

    /// Character set of CSV, if the detected one is wrong: windows-1252, shift_jis, utf-8 and so on, by the names that
    /// web pages use
    #[arg(long, value_parser = encoding, value_name = "NAME")]
    encoding: Option<&'static Encoding>,

    /// Property of a column in CSV of another program: Column=property, for instance Cell=phone/mobile. Can be repeated
    #[arg(long, value_name = "COLUMN=PROPERTY")]
    map: Vec<String>,

    /// Find contacts that have no id of their own by their first e-mail address
    #[arg(long = "match", value_parser = ["email"], value_name = "email")]
    matching: Option<String>,

    /// Continue an interrupted import of the same file
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,

    /// List the imports of the user, or of all users
    #[arg(long, conflicts_with_all = ["files", "undo"])]
    list: bool,

    /// Undo an import: contacts it created go to the trash, contacts it changed are restored, and contacts changed
    /// since then stay as they are
    #[arg(long, value_name = "IMPORT", conflicts_with = "files")]
    undo: Option<Uuid>,

    #[command(flatten)]
    form: Form,
}

fn format(text: &str) -> Result<FileFormat, String> {
    FileFormat::parse(text).ok_or_else(|| "expected one of the formats in --help".to_owned())
}

fn encoding(text: &str) -> Result<&'static Encoding, String> {
    encoding_named(text).ok_or_else(|| "unknown character set".to_owned())
}

fn order(text: &str) -> Result<DateOrder, String> {
    DateOrder::parse(text).ok_or_else(|| "expected dmy or mdy".to_owned())
}

/// Runs `contactd import`.
///
/// # Errors
/// One line that says why.
pub async fn run(config: ImportArgs) -> Result<(), String> {
    config
        .at
        .with_store(async |store: &Store| {
            let user = match &config.user {
                Some(name) => Some(owner(store, name).await?),
                None => None,
            };
            match (&user, config.undo) {
                (_, Some(run)) => undo(store, run, user.as_ref(), config.form.is_json()).await,
                (user, None) if config.list => list(store, user.as_ref(), config.form).await,
                (Some(user), None) => import_files(store, user, &config).await,
                (None, None) => Err("--user: name the user".to_owned()),
            }
        })
        .await
}

/// The user of this name or id.
pub(crate) async fn owner(store: &Store, name: &str) -> Result<User, String> {
    let found = store.find_user_called(name).await.map_err(reason)?;
    found.ok_or_else(|| format!("there is no user '{name}'"))
}

async fn import_files(store: &Store, user: &User, config: &ImportArgs) -> Result<(), String> {
    let store = store.with_operator(user.mailbox, "import");
    let folder = match &config.folder {
        Some(name) => Some(folder_named(&store, user.mailbox, name).await.map_err(|error| match error {
            Error::NotFound => format!("--folder: there is no folder '{name}'"),
            error => reason(error),
        })?),
        None => None,
    };
    let mut map = ColumnMap::default();
    config.map.iter().try_for_each(|entry| map.add(entry)).map_err(|error| format!("--map: {error}"))?;
    let options = ReadOptions { format: config.format, map, date_order: config.date_order, encoding: config.encoding };
    let keeps_refused = config.refused.is_some();
    let match_email = config.matching.is_some();
    let settings = ReadingSettings { match_email, keeps_refused, ..ReadingSettings::new(options, &GraphFile) };
    let mut output = ReportFiles::new(config)?;
    let mut reports = Vec::new();
    for path in &config.files {
        let name = path.display().to_string();
        let (file, size) = open(path)?;
        let job = ImportJob {
            folder: folder.clone(),
            size,
            dry_run: config.dry_run,
            resume: config.resume,
            ..ImportJob::new(user.mailbox, name.clone(), settings.clone())
        };
        output.begin(size)?;
        let done = import::run(&store, job, file, &mut output).await;
        output.bar.finish_and_clear();
        let totals = done.map_err(|error| format!("{name}: {}", explained(&error, &output)))?;
        output.end(&totals.json(&name))?;
        if config.form.is_json() {
            reports.push(totals.json(&name));
        } else {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "{}", totals.report.text(&name));
            if let Some(run) = totals.run {
                let _ = writeln!(out, "  undo it with: contactd import --undo {run}");
            }
        }
    }
    output.close()?;
    if config.form.is_json() {
        print_json(&json!({"files": reports}));
    }
    Ok(())
}

/// An error, and how to continue if contacts were imported before it.
fn explained(error: &Error, output: &ReportFiles) -> String {
    let why = reason(error.clone());
    match output.settled {
        0 => why,
        settled => {
            format!(
                "{why}. {settled} records were imported before that; run the same command with --resume to continue"
            )
        }
    }
}

/// A file, and its size if it has one.
fn open(path: &Path) -> Result<(ByteSource, Option<u64>), String> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("{}: it is a folder", path.display()));
    }
    Ok((Box::new(file.take(u64::MAX)), metadata.is_file().then_some(metadata.len())))
}

/// The files for the report and the refused records.
struct ReportFiles {
    bar: ProgressBar,
    report: Option<BufWriter<File>>,
    refused: Option<BufWriter<File>>,
    preface: Vec<u8>,
    /// The number of files in the report, and of records of the last one.
    files: usize,
    records: usize,
    settled: u64,
}

impl ReportFiles {
    fn new(config: &ImportArgs) -> Result<Self, String> {
        let create = |path: &Option<PathBuf>| {
            let create = |path: &PathBuf| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
            path.as_ref().map(create).transpose().map(|file| file.map(BufWriter::new))
        };
        let (report, refused) = (create(&config.report)?, create(&config.refused)?);
        Ok(Self { bar: ProgressBar::hidden(), report, refused, preface: Vec::new(), files: 0, records: 0, settled: 0 })
    }

    fn begin(&mut self, size: Option<u64>) -> Result<(), String> {
        self.settled = 0;
        self.records = 0;
        self.bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match size {
            Some(_) => "{bar:40} {percent:>3}% {msg}, {eta} to go",
            None => "{spinner} {bytes}, {msg}",
        };
        self.bar.set_style(ProgressStyle::with_template(template).map_err(|error| error.to_string())?);
        let begin = if self.files == 0 { "{\"files\":[\n{\"records\":[" } else { ",\n{\"records\":[" };
        self.files += 1;
        self.write_report(begin)
    }

    /// The rest of a file's report, as the members of an object.
    fn end(&mut self, report: &Value) -> Result<(), String> {
        let text = report.to_string();
        self.write_report(&format!("],{}", text.strip_prefix('{').unwrap_or("}")))
    }

    fn close(mut self) -> Result<(), String> {
        self.write_report("]}\n")?;
        for file in [&mut self.report, &mut self.refused].into_iter().flatten() {
            file.flush().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn write_report(&mut self, text: &str) -> Result<(), String> {
        match &mut self.report {
            Some(file) => file.write_all(text.as_bytes()).map_err(|error| format!("--report: {error}")),
            None => Ok(()),
        }
    }
}

impl ImportListener for ReportFiles {
    async fn begins(&mut self, _: Option<&Run>, preface: Vec<u8>) -> Result<(), Error> {
        self.preface = preface;
        Ok(())
    }

    async fn settled(&mut self, records: &[ReadRecord], progress: ImportProgress) -> Result<(), Error> {
        self.bar.set_position(progress.bytes);
        self.bar.set_message(format!("{} records", progress.records));
        self.settled = progress.records;
        for record in records {
            if self.report.is_some() {
                let comma = if self.records == 0 { "\n" } else { ",\n" };
                self.records += 1;
                let line = format!("{comma}{}", record.line.json()?);
                self.write_report(&line).map_err(Error::unavailable)?;
            }
            if let Some(refused) = self.refused.as_mut().filter(|_| record.line.is_refused()) {
                let preface = std::mem::take(&mut self.preface);
                refused
                    .write_all(&preface)
                    .and_then(|()| refused.write_all(&record.raw))
                    .map_err(Error::unavailable)?;
            }
        }
        Ok(())
    }
}

async fn list(store: &Store, user: Option<&User>, form: Form) -> Result<(), String> {
    let runs = store.imports(user.map(|user| user.mailbox)).await.map_err(reason)?;
    let accounts = store.accounts().await.map_err(reason)?;
    let name = |mailbox: i64| {
        let account = accounts.iter().find(|account| account.user.mailbox == mailbox);
        account.map(|account| account.user.id.as_str())
    };
    let rows = runs.iter().map(|run| {
        let (counts, user) = (run.counts, name(run.mailbox));
        let fields = vec![
            run.id.to_string(),
            time(Some(run.started)),
            user.unwrap_or("-").to_owned(),
            run.source.name.clone(),
            run.source.format.clone(),
            counts.created.to_string(),
            counts.updated.to_string(),
            counts.unchanged.to_string(),
            counts.refused.to_string(),
            to_json::import_state(run).to_owned(),
        ];
        (fields, to_json::import(run, user))
    });
    let heads = ["ID", "STARTED", "USER", "FILE", "FORMAT", "CREATED", "UPDATED", "UNCHANGED", "REFUSED", "STATE"];
    form.print_list(&heads, &rows.collect::<Vec<_>>());
    Ok(())
}

async fn undo(store: &Store, id: Uuid, user: Option<&User>, as_json: bool) -> Result<(), String> {
    let unknown = || format!("there is no import {id}; contactd import --list shows those that can be undone");
    let run = store.import_run(id).await.map_err(|error| match error {
        Error::NotFound => unknown(),
        error => reason(error),
    })?;
    if user.is_some_and(|user| user.mailbox != run.mailbox) {
        return Err(unknown());
    }
    let store = store.with_operator(run.mailbox, "import undo");
    let bar = ProgressBar::no_length();
    let (mut removed, mut restored, mut gone, mut left) = (0_u64, 0_u64, 0_u64, Vec::new());
    let mut after = Uuid::nil();
    loop {
        let batch = store.undo_import(run.mailbox, id, after).await.map_err(reason)?;
        let Some((last, _)) = batch.last() else { break };
        after = *last;
        for (contact, undone) in &batch {
            match undone {
                Undone::Removed => removed += 1,
                Undone::Restored => restored += 1,
                Undone::Gone => gone += 1,
                Undone::Changed => left.push(contact.to_string()),
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if as_json {
        let object = json!({"import": id, "removed": removed, "restored": restored, "gone": gone, "left": left});
        print_json(&object);
        return Ok(());
    }
    print_line(&format!("{removed} removed, {restored} restored, {gone} deleted before, {} left", left.len()));
    if !left.is_empty() {
        print_line("left as they are, because they were changed after the import:");
        left.iter().take(SHOWN).for_each(|id| print_line(&format!("  {id}")));
    }
    if left.len() > SHOWN {
        print_line(&format!("  and {} more; --json lists them all", left.len() - SHOWN));
    }
    Ok(())
}
