//! Replaces a SQLite file with a copy. If the process is killed at any point, either the old database or the copy is there,
//! complete:
//!
//! 1. The copy is written to a new file in a private folder, synced and checked.
//! 2. The old files get second names (hard links), or are copied if links are not possible. So the old database is kept.
//! 3. The new file is renamed to `FILE.restoring`. Until here nothing has changed; from here on the copy counts, and the next
//!    process finishes the restore ([`finish`]).
//! 4. The files beside the old one are removed, and the new one gets its name. If the old file is a mount point and cannot
//!    be replaced, its bytes are overwritten. Last, `FILE.restoring` is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::domain::date;
use crate::store::db::check::{self, Verify};
use crate::store::db::faults::OpenError;
use crate::store::db::files::{
    SIDE_FILE_SUFFIXES, create_private, folder_of, rename_to_new, resolve_links, sync_folder_of, with_suffix,
};
use crate::store::db::lock::Lock;
use crate::store::db::scratch::{COPY_PREFIX, Scratch};

/// Suffix of the copy that is to replace a file.
const RESTORING: &str = ".restoring";

/// Replaces a database, whose lock this process holds, with a copy. Returns the new names of the old files.
///
/// # Errors
/// The copy is damaged or in use, or the target cannot be written.
pub async fn restore(copy: &Path, database: &Path, lock: &Lock) -> Result<Vec<PathBuf>, OpenError> {
    restore_by(copy, database, lock, &mut RealSteps).await
}

/// The changes to files. Tests interrupt them.
pub(in crate::store) trait RestoreSteps {
    /// Called before each change.
    fn next(&mut self) -> Result<(), IoError>;
    /// Renames a file over another one.
    fn replace(&mut self, new: &Path, old: &Path) -> Result<(), IoError>;
    /// Creates a hard link.
    fn link(&mut self, old: &Path, kept: &Path) -> Result<(), IoError>;
}

pub(in crate::store) struct RealSteps;

impl RestoreSteps for RealSteps {
    fn next(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn replace(&mut self, new: &Path, old: &Path) -> Result<(), IoError> {
        fs::rename(new, old)
    }

    fn link(&mut self, old: &Path, kept: &Path) -> Result<(), IoError> {
        fs::hard_link(old, kept)
    }
}

pub(in crate::store) async fn restore_by(
    copy: &Path,
    database: &Path,
    lock: &Lock,
    steps: &mut impl RestoreSteps,
) -> Result<Vec<PathBuf>, OpenError> {
    let of_copy = |why: String| OpenError::new(copy.display(), why);
    let of_target = |error: IoError| OpenError::new(database.display(), error);
    let target = resolve_links(database);
    finish_by(&target, lock, steps).map_err(of_target)?;
    let source = open_copy(copy, &target).map_err(of_copy)?;

    let scratch = Scratch::new_in(folder_of(&target), COPY_PREFIX).map_err(of_target)?;
    let new = scratch.file("restored.db");
    copy_bytes(&source, &new).map_err(|error| of_copy(error.to_string()))?;
    let faults = check::check_copy(&new, Verify::Full).await.map_err(of_copy)?;
    if let Some(first) = faults.first() {
        let why = format!("it is damaged ({} faults, the first: {first}); nothing was changed", faults.len());
        return Err(OpenError::faulty(copy.display(), why));
    }
    copy_owner_and_mode(&target, &new).map_err(of_target)?;

    let kept = keep(&target, steps).map_err(of_target)?;
    let renamed = steps.next().and_then(|()| rename_to_new(&new, &with_suffix(&target, RESTORING)));
    renamed.and_then(|()| finish_by(&target, lock, steps)).map_err(of_target)?;
    Ok(kept)
}

/// Finishes a restore that was interrupted after step 3. Does nothing if there is none.
///
/// # Errors
/// Those of the system.
pub(in crate::store) fn finish(database: &Path, lock: &Lock) -> Result<(), IoError> {
    finish_by(database, lock, &mut RealSteps)
}

fn finish_by(database: &Path, _lock: &Lock, steps: &mut impl RestoreSteps) -> Result<(), IoError> {
    let new = with_suffix(database, RESTORING);
    if !is_unfinished(database) {
        return Ok(());
    }
    for suffix in SIDE_FILE_SUFFIXES {
        steps.next()?;
        match fs::remove_file(with_suffix(database, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // The removal of the log is durable before the file is replaced: beside the new file it would be a foreign log.
    sync_folder_of(database)?;
    steps.next()?;
    if steps.replace(&new, database).is_err() {
        overwrite(&new, database, steps)?;
        steps.next()?;
        fs::remove_file(&new)?;
    }
    sync_folder_of(database)
}

/// Whether a restore was interrupted after step 3.
pub(in crate::store) fn is_unfinished(database: &Path) -> bool {
    with_suffix(database, RESTORING).symlink_metadata().is_ok_and(|file| file.is_file())
}

/// The copy, opened, if it is a file that is not in use.
fn open_copy(copy: &Path, target: &Path) -> Result<File, String> {
    let metadata = fs::metadata(copy).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if fs::metadata(target).is_ok_and(|exists| (exists.dev(), exists.ino()) == (metadata.dev(), metadata.ino())) {
        return Err("it is the database itself".to_owned());
    }
    for suffix in ["-wal", "-journal"] {
        if fs::metadata(with_suffix(&resolve_links(copy), suffix)).is_ok_and(|file| file.len() > 0) {
            let name = copy.file_name().unwrap_or_default().to_string_lossy();
            return Err(format!(
                "{name}{suffix} lies beside it, so it is in use or was not closed: make a copy of it with contactd backup"
            ));
        }
    }
    File::open(copy).map_err(|error| error.to_string())
}

fn copy_bytes(mut from: &File, to: &Path) -> Result<(), IoError> {
    let mut to = create_private(to)?;
    std::io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// Gives a new file the owner and the mode of the file that it replaces.
fn copy_owner_and_mode(old: &Path, new: &Path) -> Result<(), IoError> {
    let old = match fs::metadata(old) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        old => old?,
    };
    let new = File::open(new)?;
    let current = new.metadata()?;
    if (current.uid(), current.gid()) != (old.uid(), old.gid()) {
        fchown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())?;
    new.sync_all()
}

/// Keeps the old files under new names. The index of the log (`-shm`) is left out; SQLite rebuilds it.
fn keep(database: &Path, steps: &mut impl RestoreSteps) -> Result<Vec<PathBuf>, IoError> {
    const KEPT: [&str; 3] = ["", "-wal", "-journal"];
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    let now = date::print(clock::now()).replace(['-', ':'], "");
    let kept =
        |n: u32| with_suffix(database, &if n == 1 { format!(".before-{now}") } else { format!(".before-{now}-{n}") });
    let free = |n: &u32| !KEPT.iter().any(|suffix| exists(&with_suffix(&kept(*n), suffix)));
    let kept = kept((1..=u32::MAX).find(free).unwrap_or_default());
    let mut names = Vec::new();
    for suffix in KEPT {
        let (old, kept) = (with_suffix(database, suffix), with_suffix(&kept, suffix));
        if exists(&old) {
            steps.next()?;
            keep_file(&old, &kept, steps)?;
            names.push(kept);
        }
    }
    sync_folder_of(database)?;
    Ok(names)
}

fn keep_file(old: &Path, kept: &Path, steps: &mut impl RestoreSteps) -> Result<(), IoError> {
    match steps.link(old, kept) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // A mount point, or a file system without hard links: the file will be overwritten.
            if fs::metadata(old)?.nlink() > 1 {
                return Err(IoError::other(OTHER_NAMES));
            }
            copy_bytes(&File::open(old)?, kept)
        }
        linked => linked,
    }
}

const OTHER_NAMES: &str = "it has other hard links, whose content would be overwritten";

/// Overwrites a file with the bytes of another, and keeps its inode.
fn overwrite(new: &Path, database: &Path, steps: &mut impl RestoreSteps) -> Result<(), IoError> {
    let mut from = File::open(new)?;
    if fs::metadata(database)?.nlink() > 1 {
        return Err(IoError::other(OTHER_NAMES));
    }
    let mut to = OpenOptions::new().write(true).truncate(true).open(database)?;
    steps.next()?;
    std::io::copy(&mut from, &mut to)?;
    steps.next()?;
    to.sync_all()
}
