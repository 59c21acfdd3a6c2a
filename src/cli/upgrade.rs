//! `contactd upgrade`: upgrades the schema of a database, or shows what that would do.

use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};

use crate::cli::arguments::AnyDatabase;
use crate::cli::log;
use crate::cli::output::{Failure, Form};
use crate::cli::serve_options::{LogFormat, LogLevel};
use crate::store::{self, Database, Lock, Pending, Rehearsed, Upgraded};

/// Options of `contactd upgrade`.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the servers of the database first, unless the release notes allow them to run. An upgrade is one transaction: it \
happens completely or not at all. A SQLite file is copied first, to a file beside it whose name has the number of its schema \
(contacts.db.schema-23). For PostgreSQL, take a backup with pg_dump first. contactd serve also upgrades at start.")]
pub struct UpgradeArgs {
    #[command(flatten)]
    at: AnyDatabase,

    /// Only show what would be done; upgrades a copy of a SQLite file and shows how long that took
    #[arg(long)]
    dry_run: bool,

    /// Do not back up a SQLite file before its schema is upgraded
    #[arg(long = "no-backup-before-upgrade", env = "CONTACTD_NO_BACKUP_BEFORE_UPGRADE", value_parser = FalseyValueParser::new())]
    without_backup: bool,

    #[command(flatten)]
    form: Form,
}

/// Upgrades.
///
/// # Errors
/// One line that says why. Nothing was changed then.
pub async fn run(config: &UpgradeArgs) -> Result<(), Failure> {
    let database = config.at.get()?;
    if config.dry_run {
        return dry_run(&database, config.form).await;
    }
    // The log shows the progress.
    let _log = log::start(LogFormat::Text, LogLevel::Info);
    let lock = match &database {
        Database::File(path) if path.exists() => Some(Lock::acquire(path)?),
        _ => None,
    };
    let Upgraded { pending, backup, took } = store::upgrade(&database, lock.as_ref(), !config.without_backup).await?;
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let backup = backup.map(|backup| backup.display().to_string());
    let mut object = pending_json(&database, &pending);
    object["millis"] = millis.into();
    object["backup"] = backup.clone().into();
    let sentence = if pending.migrations.is_empty() {
        current(&database, &pending)
    } else {
        let kept = match (&database, backup) {
            (_, Some(backup)) => format!("; backup of the old file: {backup}"),
            _ => String::new(),
        };
        format!("{}: upgraded from schema {} to {} in {millis} ms{kept}", name(&database), pending.from, pending.to)
    };
    config.form.print(&sentence, &object);
    Ok(())
}

async fn dry_run(database: &Database, form: Form) -> Result<(), Failure> {
    let pending = store::pending(database).await?;
    let mut object = pending_json(database, &pending);
    if pending.migrations.is_empty() {
        form.print(&current(database, &pending), &object);
        return Ok(());
    }
    let Pending { from, to, contacts, .. } = pending;
    let names = pending.migrations.join(", ");
    let what = format!("{}: schema {from}, would be upgraded to {to} by {names}", name(database));
    let sentence = match database {
        Database::File(path) => {
            let Rehearsed { took, bytes: (before, after) } = store::rehearse(path).await?;
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            object["millis"] = millis.into();
            object["bytes"] = json!({"before": before, "after": after});
            format!(
                "{what}; on a copy with its {contacts} contacts this took {millis} ms and changed the size from {before} to \
                 {after} bytes"
            )
        }
        _ => format!("{what}; it has {contacts} contacts. Take a backup with pg_dump before"),
    };
    form.print(&sentence, &object);
    Ok(())
}

fn pending_json(database: &Database, pending: &Pending) -> Value {
    json!({
        "database": name(database),
        "from": pending.from,
        "to": pending.to,
        "migrations": pending.migrations,
        "contacts": pending.contacts,
    })
}

fn current(database: &Database, pending: &Pending) -> String {
    format!("{}: nothing to upgrade; the schema has version {}", name(database), pending.to)
}

/// The database, without a password.
fn name(database: &Database) -> String {
    match database {
        Database::File(path) => path.display().to_string(),
        Database::Temporary => ":memory:".to_owned(),
        Database::Postgres(address) => address.to_string(),
    }
}
