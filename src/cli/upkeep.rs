//! `contactd backup`, `restore` and `check`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::arguments::{AnyDatabase, SqliteDatabase};
use crate::cli::output::print_line;
use crate::domain::plain::printed;
use crate::store::{self, Lock, Verify};

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
}

/// Options of `contactd restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first. The backup is checked completely before anything is changed. The old files stay beside the database, \
under the names that are printed. If the command is interrupted, either the old or the new database is there, complete; \
contactd serve finishes what was begun. Use pg_restore for PostgreSQL.")]
pub struct RestoreArgs {
    /// The backup, as contactd backup makes it
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    #[command(flatten)]
    at: SqliteDatabase,
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
}

/// Exit status of `contactd check` if there are faults.
const FAULTS: u8 = 3;

/// Backs up a SQLite file.
///
/// # Errors
/// One line that says why.
pub async fn backup(config: &BackupArgs) -> Result<(), String> {
    let path = config.at.file("pg_dump")?;
    store::backup(&path, &config.to, config.verify).await.map_err(|error| error.to_string())?;
    print_line(&format!("{} is a copy of {}", config.to.display(), path.display()));
    Ok(())
}

/// Replaces a SQLite file with a backup.
///
/// # Errors
/// One line that says why.
pub async fn restore(config: &RestoreArgs) -> Result<(), String> {
    let path = config.at.file("pg_restore")?;
    if !config.from.is_file() {
        return Err(format!("{}: there is no such file", config.from.display()));
    }
    let lock = Lock::take(&path)?;
    let kept = store::restore(&config.from, &path, &lock).await.map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{} is restored from {}", path.display(), config.from.display());
    for file in kept {
        let _ = writeln!(out, "the old file is kept: {}", file.display());
    }
    Ok(())
}

/// Checks a database for faults.
///
/// # Errors
/// One line: the check could not run.
pub async fn check(config: &CheckArgs) -> Result<ExitCode, String> {
    let verify = if config.quick { Verify::Quick } else { Verify::Full };
    let faults = store::check(&config.at.get()?, verify).await.map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    if faults.is_empty() {
        let _ = writeln!(out, "no faults");
        return Ok(ExitCode::SUCCESS);
    }
    for fault in faults {
        let _ = writeln!(out, "{}", printed(&fault));
    }
    Ok(ExitCode::from(FAULTS))
}
