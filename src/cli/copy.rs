//! `contactd copy`: copies one database to another, for instance a file to PostgreSQL.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::arguments::DatabaseArg;
use crate::cli::output::{Failure, Form, print_line};
use crate::store::{self, CopyProgress, CopyTarget, Database, Lock};

/// Options of `contactd copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the servers of both databases: writes after the start of the copy are not copied. Both databases must have this \
program's schema; the target may also be empty. Each part is committed on arrival. At the end the rows of both sides are \
counted and hashed. No server opens the target until they are equal.")]
pub struct CopyArgs {
    /// Source: a SQLite file, or a postgres:// URL
    #[arg(long, value_name = "FILE|URL")]
    from: DatabaseArg,

    /// Target: a SQLite file, created if missing, or a postgres:// URL
    #[arg(long, value_name = "FILE|URL")]
    to: DatabaseArg,

    /// Continue an interrupted copy
    #[arg(long)]
    resume: bool,

    /// Delete the contents of the target first
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,

    #[command(flatten)]
    form: Form,
}

/// Copies, with a progress bar on a terminal, and prints the rows and the hash of each table.
///
/// # Errors
/// One line, as [`store::copy`].
pub async fn run(config: &CopyArgs) -> Result<(), Failure> {
    let (from, to) = (config.from.database("--from")?, config.to.database("--to")?);
    if let Database::File(path) = &from
        && !path.exists()
    {
        return Err(format!("{}: there is no such file", path.display()).into());
    }
    // A server of either file would write rows that are no longer copied.
    let locks = [&from, &to].into_iter().filter_map(|database| match database {
        Database::File(path) if path.exists() || *database == to => Some(Lock::acquire(path)),
        _ => None,
    });
    let locks = locks.collect::<Result<Vec<_>, _>>()?;
    let target = match (config.resume, config.overwrite) {
        (true, _) => CopyTarget::Resumed,
        (_, true) => CopyTarget::Overwritten,
        _ => CopyTarget::Empty,
    };
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{bar:40} {percent:>3}% {pos}/{len} rows, {eta} to go");
    bar.set_style(style.map_err(|error| error.to_string())?);
    let copied = store::copy(&from, &to, target, |step| match step {
        CopyProgress::Total(rows) => bar.set_length(2 * rows),
        CopyProgress::Rows(rows) => bar.inc(rows),
    });
    let copied = copied.await;
    drop(locks);
    bar.finish_and_clear();
    for table in copied? {
        let object = json!({"table": table.table, "rows": table.rows, "hash": table.hash});
        config.form.print(&format!("{:<13} {:>10} rows  {}", table.table, table.rows, table.hash), &object);
    }
    if !config.form.is_json() {
        print_line("copied; counts and hashes of both sides are equal");
    }
    Ok(())
}
