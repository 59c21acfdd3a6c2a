//! Upgrades of the schema: the pending steps, the backup of a SQLite file, and a trial on a copy that measures the duration.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::permission;
use crate::store::db::backup::Copy;
use crate::store::db::check::Verify;
use crate::store::db::cluster::Cluster;
use crate::store::db::database::Database;
use crate::store::db::engine::plain_options;
use crate::store::db::faults::OpenError;
use crate::store::db::files::{resolve_links, with_suffix};
use crate::store::db::lock::Lock;
use crate::store::db::migrate::{self, OpenFailure, Pending};
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::{pooler, restore};

/// A finished upgrade.
#[derive(Debug, Clone)]
pub struct Upgraded {
    /// Its steps.
    pub pending: Pending,
    /// The copy of the file from before the upgrade.
    pub backup: Option<PathBuf>,
    /// Its duration, with the copy.
    pub took: Duration,
}

/// A trial upgrade on a copy of a SQLite file.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsed {
    /// Its duration, without the copy.
    pub took: Duration,
    /// The size of the file, in bytes, before and after.
    pub bytes: (u64, u64),
}

/// The pending upgrade of a database. Nothing is changed.
///
/// # Errors
/// There is not a database, or it has no schema, or one that cannot be upgraded.
pub async fn pending(database: &Database) -> Result<Pending, OpenError> {
    match database {
        Database::Temporary => Err(OpenError::new(":memory:", "only the process that created it can open it")),
        Database::Postgres(address) => {
            let found = migrate::pending_in_postgres(&Cluster::new(address)).await;
            found.map_err(|why| OpenError::new(address, why))
        }
        Database::File(path) => {
            let file = resolve_links(path);
            let _opened = register(&file).map_err(|why| OpenError::new(path.display(), why))?;
            let found = migrate::pending_in_sqlite(&plain_options(&file)).await;
            found.map_err(|why| OpenError::new(path.display(), why))
        }
    }
}

/// Upgrades a copy of a SQLite file, and removes it.
///
/// # Errors
/// The file is damaged, there is no room for a copy beside it, or the upgrade fails.
pub async fn rehearse(path: &Path) -> Result<Rehearsed, OpenError> {
    let refused = |why: String| OpenError::new(path.display(), why);
    let file = resolve_links(path);
    let _opened = register(&file).map_err(refused)?;
    let copy = Copy::make(&file, &file, Verify::Quick).await?;
    let size = || std::fs::metadata(&copy.file).map_or(0, |file| file.len());
    let before = size();
    let begun = Instant::now();
    migrate::upgrade_sqlite(&copy.file).await.map_err(refused)?;
    Ok(Rehearsed { took: begun.elapsed(), bytes: (before, size()) })
}

/// Upgrades a database. `lock` is the lock of a SQLite file, which no server uses meanwhile.
///
/// # Errors
/// As [`pending`]; the file cannot be written, no backup can be made of it, or a migration fails. Nothing is changed then.
pub async fn upgrade(database: &Database, lock: Option<&Lock>, backs_up: bool) -> Result<Upgraded, OpenError> {
    let begun = Instant::now();
    if let (Database::File(path), Some(lock)) = (database, lock) {
        restore::finish(&resolve_links(path), lock)
            .map_err(|error| OpenError::from_line(permission::reason(path, &error)))?;
    }
    let pending = pending(database).await?;
    let mut backup = None;
    match database {
        _ if pending.migrations.is_empty() => {}
        Database::Temporary => {}
        Database::Postgres(address) => {
            let (cluster, refused) = (Cluster::new(address), |why: String| OpenError::new(address, why));
            pooler::check(&cluster).await.map_err(refused)?;
            migrate::upgrade_postgres(&cluster).await.map_err(refused)?;
        }
        Database::File(path) => {
            let file = resolve_links(path);
            permission::writable(&file).map_err(|error| OpenError::from_line(permission::reason(path, &error)))?;
            let refused = |why: String| OpenError::new(path.display(), why);
            let _opened = register(&file).map_err(refused)?;
            backup = upgrade_file(&file, backs_up).await.map_err(refused)?;
        }
    }
    Ok(Upgraded { pending, backup, took: begun.elapsed() })
}

fn register(file: &Path) -> Result<std::sync::Arc<OpenedDatabase>, OpenFailure> {
    if std::fs::metadata(file).is_ok_and(|file| file.len() == 0) {
        return Err("the file is empty and is not a database".to_owned());
    }
    OpenedDatabase::register(file)
}

/// Upgrades a SQLite file that this process has registered, if it has an older schema. A file with users is copied before,
/// unless the options say otherwise. Returns the path of the copy.
pub(in crate::store) async fn upgrade_file(file: &Path, backs_up: bool) -> Result<Option<PathBuf>, OpenFailure> {
    // A file that is not a database of contactd is not copied.
    let pending = migrate::pending_in_sqlite(&plain_options(file)).await.ok();
    let older = pending.filter(|pending| backs_up && pending.has_data && !pending.migrations.is_empty());
    let backup = match older {
        Some(pending) => Some(back_up(file, pending.from).await?),
        None => None,
    };
    migrate::upgrade_sqlite(file).await?;
    Ok(backup)
}

/// Copies a file to a name with its schema version, and replaces an earlier copy, so that repeated starts do not fill the disk.
async fn back_up(file: &Path, schema: i64) -> Result<PathBuf, OpenFailure> {
    let failed = |why: String| {
        format!(
            "no backup can be made before its schema is upgraded: {why}; --no-backup-before-upgrade upgrades without one"
        )
    };
    let target = with_suffix(file, &format!(".schema-{schema}"));
    let copy = Copy::make(file, &target, Verify::Quick).await.map_err(|error| failed(error.to_string()))?;
    copy.replace(&target).map_err(|error| failed(permission::reason(&target, &error)))?;
    tracing::info!(backup = %target.display(), "the database was backed up before the upgrade of its schema");
    Ok(target)
}
