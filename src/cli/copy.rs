//! `contactd copy`: one database into another, for instance out of a file and into PostgreSQL.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::config::Copy;
use crate::store::{self, Database, Lock, Step, Target};

/// Copies, with a progress bar on a terminal, and says on standard output what was copied.
///
/// # Errors
/// One line, as [`store::copy`].
pub async fn run(config: &Copy) -> Result<(), String> {
    let (from, to) = (config.from.database("--from")?, config.to.database("--to")?);
    if let Database::File(path) = &from
        && !path.exists()
    {
        return Err(format!("{}: there is no such file", path.display()));
    }
    // Whoever serves a file meanwhile would write what is not copied any more.
    let locks = [&from, &to].into_iter().filter_map(|database| match database {
        Database::File(path) if path.exists() || *database == to => Some(Lock::take(path)),
        _ => None,
    });
    let locks = locks.collect::<Result<Vec<_>, _>>()?;
    let target = match (config.resume, config.overwrite) {
        (true, _) => Target::Resumed,
        (_, true) => Target::Overwritten,
        _ => Target::Empty,
    };
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{bar:40} {percent:>3}% {pos}/{len} rows, {eta} to go");
    bar.set_style(style.map_err(|error| error.to_string())?);
    let copied = store::copy(&from, &to, target, |step| match step {
        Step::Total(rows) => bar.set_length(2 * rows),
        Step::Rows(rows) => bar.inc(rows),
    });
    let copied = copied.await;
    drop(locks);
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    for table in copied.map_err(|error| error.to_string())? {
        let _ = writeln!(out, "{:<13} {:>10} rows  {}", table.table, table.rows, table.hash);
    }
    let _ = writeln!(out, "copied, counted and hashed on both sides: they are the same");
    Ok(())
}
