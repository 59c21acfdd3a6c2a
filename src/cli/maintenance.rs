//! `contactd backup`, `restore` and `check`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum as _};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::cli::arguments::{AnyDatabase, SqliteDatabase};
use crate::cli::output::{FAULTY, Failure, Form, print_json, print_line};
use crate::store::{self, Lock, Verify};
use crate::{clock, metrics, permission};

/// Options of `contactd backup`.
#[derive(Debug, Args)]
#[command(after_help = "Use pg_dump for PostgreSQL.")]
pub struct BackupArgs {
    #[command(flatten)]
    at: SqliteDatabase,

    /// The file to create; it must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    /// How thoroughly the copy is checked before it gets its name
    #[arg(long, value_enum, default_value_t)]
    verify: Verify,

    /// File for metrics of the backup, for Prometheus' node_exporter (its textfile collector reads *.prom)
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,

    #[command(flatten)]
    form: Form,
}

/// Options of `contactd restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first. The backup is checked completely before anything is changed. The old files stay beside the database, \
under the names that are printed. If the command is interrupted, either the old or the new database is complete, and the next \
contactd serve finishes the restore. Use pg_restore for PostgreSQL.")]
pub struct RestoreArgs {
    /// The backup, a file that contactd backup created
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    #[command(flatten)]
    at: SqliteDatabase,

    #[command(flatten)]
    form: Form,
}

/// Options of `contactd check`.
#[derive(Debug, Args)]
#[command(after_help = "\
It prints a line for each fault. Exit status: 0 no faults, 1 the check could not run, 2 wrong usage, 3 faults.")]
pub struct CheckArgs {
    #[command(flatten)]
    at: AnyDatabase,

    /// Check only the file's structure and the counters, in a fraction of the time
    #[arg(long)]
    quick: bool,

    #[command(flatten)]
    form: Form,
}

/// Backs up a SQLite file.
///
/// # Errors
/// One line that says why.
pub async fn backup(config: &BackupArgs) -> Result<(), Failure> {
    let begun = Instant::now();
    let path = config.at.file("pg_dump")?;
    store::backup(&path, &config.to, config.verify).await?;
    let (took, bytes) = (begun.elapsed(), fs::metadata(&config.to).map_or(0, |file| file.len()));
    if let Some(file) = &config.metrics_file {
        write_metrics(file, took, bytes)
            .map_err(|error| format!("--metrics-file {}", permission::reason(file, &error)))?;
    }
    let verified = config.verify.to_possible_value().map(|value| value.get_name().to_owned());
    let shown = json!({
        "database": path_json(&path),
        "copy": path_json(&config.to),
        "bytes": bytes,
        "verified": verified,
        "millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    config.form.print(&format!("{} is a copy of {}", config.to.display(), path.display()), &shown);
    Ok(())
}

/// Writes the figures of a backup to a file that replaces the old one as a whole, so that no reader sees a part of it.
fn write_metrics(file: &Path, took: Duration, bytes: u64) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(metrics::of_backup(clock::now() / 1_000_000, took, bytes).as_bytes())?;
    // node_exporter runs as another user.
    new.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    new.persist(file)?;
    Ok(())
}

fn path_json(path: &Path) -> Value {
    path.display().to_string().into()
}

/// Replaces a SQLite file with a backup.
///
/// # Errors
/// One line that says why.
pub async fn restore(config: &RestoreArgs) -> Result<(), Failure> {
    let path = config.at.file("pg_restore")?;
    if !config.from.is_file() {
        return Err(format!("{}: there is no such file", config.from.display()).into());
    }
    let lock = Lock::acquire(&path)?;
    let kept = store::restore(&config.from, &path, &lock).await?;
    if config.form.is_json() {
        let files: Vec<_> = kept.iter().map(|file| path_json(file)).collect();
        print_json(&json!({"database": path_json(&path), "from": path_json(&config.from), "kept": files}));
        return Ok(());
    }
    print_line(&format!("{} is restored from {}", path.display(), config.from.display()));
    for file in kept {
        print_line(&format!("the old file is kept: {}", file.display()));
    }
    Ok(())
}

/// Checks a database for faults.
///
/// # Errors
/// One line: the check could not run.
pub async fn check(config: &CheckArgs) -> Result<ExitCode, Failure> {
    let verify = if config.quick { Verify::Quick } else { Verify::Full };
    let faults = store::check(&config.at.get()?, verify).await?;
    if config.form.is_json() {
        print_json(&json!({"faults": faults}));
    } else if faults.is_empty() {
        print_line("no faults");
    }
    for fault in faults.iter().filter(|_| !config.form.is_json()) {
        print_line(fault);
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAULTY) })
}
