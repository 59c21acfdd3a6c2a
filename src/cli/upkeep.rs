//! `contactd backup`, `restore` and `check`: copies of a database, and whether it is sound.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::config::Place;
use crate::domain::plain::printed;
use crate::store::{self, Database, Lock, Verify};

/// Options of `contactd backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The SQLite file to copy (pg_dump does it for PostgreSQL)
    #[arg(long, env = "CONTACTD_DATABASE", default_value = "contacts.db", value_name = "FILE", hide_env_values = true)]
    pub database: Place,

    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// How much of the copy is looked at before it gets its name
    #[arg(long, value_enum, default_value_t)]
    pub verify: Verify,
}

/// Options of `contactd restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first. The copy is looked at whole before anything is changed. What was there stays beside the database, \
under the names that are printed. Whatever interrupts it leaves the old database or the new one, whole; contactd serve goes \
on with what was begun.")]
pub struct Restore {
    /// The copy, as contactd backup makes it
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,

    /// The SQLite file whose place it takes
    #[arg(long, env = "CONTACTD_DATABASE", default_value = "contacts.db", value_name = "FILE", hide_env_values = true)]
    pub database: Place,
}

/// Options of `contactd check`.
#[derive(Debug, Args)]
#[command(after_help = "\
It prints a line for each fault. Exit status: 0 none, 1 it could not look, 2 it was called wrongly, 3 there are faults.")]
pub struct Check {
    /// The database: a SQLite file, or a postgres:// address
    #[arg(
        long,
        env = "CONTACTD_DATABASE",
        default_value = "contacts.db",
        value_name = "FILE|URL",
        hide_env_values = true
    )]
    pub database: Place,

    /// Look at the file's structure and the counters only, which takes a fraction of the time
    #[arg(long)]
    pub quick: bool,
}

/// What `contactd check` ends with where there are faults.
const FAULTS: u8 = 3;

/// Copies a SQLite file.
///
/// # Errors
/// One line, as with all of these.
pub async fn backup(config: &Backup) -> Result<(), String> {
    match &config.database.database("--database")? {
        Database::File(path) => {
            store::backup(path, &config.to, config.verify).await.map_err(|error| error.to_string())?;
            let copied = format!("{} is a copy of {}", config.to.display(), path.display());
            let _ = writeln!(std::io::stdout(), "{}", printed(&copied));
            Ok(())
        }
        Database::Temporary => Err(":memory:: it is of one process alone and cannot be copied".to_owned()),
        Database::Postgres(address) => Err(format!("{address}: PostgreSQL's own pg_dump makes its backups")),
    }
}

/// Puts a copy in a database's place.
///
/// # Errors
/// One line.
pub async fn restore(config: &Restore) -> Result<(), String> {
    let path = match config.database.database("--database")? {
        Database::File(path) => path,
        Database::Temporary => return Err("--database :memory:: it is of one process alone".to_owned()),
        Database::Postgres(address) => return Err(format!("{address}: PostgreSQL's own pg_restore does that")),
    };
    if !config.from.is_file() {
        return Err(format!("{}: there is no such file", config.from.display()));
    }
    let lock = Lock::take(&path)?;
    let kept = store::restore(&config.from, &path, &lock).await.map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{} is restored from {}", path.display(), config.from.display());
    for file in kept {
        let _ = writeln!(out, "what was there is kept: {}", file.display());
    }
    Ok(())
}

/// Looks for faults.
///
/// # Errors
/// One line: it could not look.
pub async fn check(config: &Check) -> Result<ExitCode, String> {
    let database = config.database.database("--database")?;
    let verify = if config.quick { Verify::Quick } else { Verify::Full };
    let faults = store::check(&database, verify).await.map_err(|error| error.to_string())?;
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
