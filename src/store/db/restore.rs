//! A copy put in the place of a SQLite file. Whatever kills it leaves what was there or the copy, whole:
//!
//! 1. The copy's bytes go into a new file in a folder of our own, are synced, and checked there.
//! 2. What is there gets second names, or is copied where it cannot have any: so it stays, as a database that can be opened.
//! 3. The new file is named `FILE.restoring`. Up to here nothing was changed; from here on the copy counts, and whoever comes
//!    next goes on ([`finish`]).
//! 4. What is beside the old file is taken away, the new one gets its name. Where it cannot, since the file is mounted by
//!    itself, its bytes are written over the old one's. At last `FILE.restoring` is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::domain::date;
use crate::store::OpenError;
use crate::store::db::backup::PREFIX;
use crate::store::db::check::{self, Verify};
use crate::store::db::files::{BESIDE, beside, create_private, folder_of, name, real, sync_folder_of};
use crate::store::db::lock::Lock;
use crate::store::db::scratch::Scratch;

/// What the name of a copy ends with that is to take a file's place.
const RESTORING: &str = ".restoring";

/// Puts a copy in the place of a database, of which this process has the lock. Answers where the files are now that were
/// there before.
///
/// # Errors
/// A copy that is damaged or still in use, or a place that cannot be written to.
pub async fn restore(copy: &Path, database: &Path, lock: &Lock) -> Result<Vec<PathBuf>, OpenError> {
    restore_by(copy, database, lock, &mut Real).await
}

/// What is done to files, which a test breaks off.
pub(in crate::store) trait Steps {
    /// Another change begins.
    fn next(&mut self) -> Result<(), IoError>;
    /// Gives a file the name of another, which is gone then.
    fn replace(&mut self, new: &Path, old: &Path) -> Result<(), IoError>;
    /// Gives a file a second name.
    fn link(&mut self, old: &Path, kept: &Path) -> Result<(), IoError>;
}

pub(in crate::store) struct Real;

impl Steps for Real {
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
    steps: &mut impl Steps,
) -> Result<Vec<PathBuf>, OpenError> {
    let of_copy = |why: String| OpenError::new(copy.display(), why);
    let of_target = |error: IoError| OpenError::new(database.display(), error);
    let target = real(database);
    finish_by(&target, lock, steps).map_err(of_target)?;
    let source = usable(copy, &target).map_err(of_copy)?;

    let scratch = Scratch::new_in(folder_of(&target), PREFIX).map_err(of_target)?;
    let new = scratch.file("restored.db");
    copy_bytes(&source, &new).map_err(|error| of_copy(error.to_string()))?;
    let faults = check::copy(&new, Verify::Full).await.map_err(of_copy)?;
    if let Some(first) = faults.first() {
        return Err(of_copy(format!(
            "it is damaged ({} faults, the first: {first}): nothing was changed",
            faults.len()
        )));
    }
    like(&target, &new).map_err(of_target)?;

    let kept = keep(&target, steps).map_err(of_target)?;
    let settled = steps.next().and_then(|()| name(&new, &beside(&target, RESTORING)));
    settled.and_then(|()| finish_by(&target, lock, steps)).map_err(of_target)?;
    Ok(kept)
}

/// Goes on with a restore that was interrupted once it was settled. Where there is none, it does nothing.
///
/// # Errors
/// Those of the system.
pub(in crate::store) fn finish(database: &Path, lock: &Lock) -> Result<(), IoError> {
    finish_by(database, lock, &mut Real)
}

fn finish_by(database: &Path, _lock: &Lock, steps: &mut impl Steps) -> Result<(), IoError> {
    let new = beside(database, RESTORING);
    if !is_unfinished(database) {
        return Ok(());
    }
    for end in BESIDE {
        steps.next()?;
        match fs::remove_file(beside(database, end)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // The log is gone for good before the file is another: beside that it would be a stranger's.
    sync_folder_of(database)?;
    steps.next()?;
    if steps.replace(&new, database).is_err() {
        write_over(&new, database, steps)?;
        steps.next()?;
        fs::remove_file(&new)?;
    }
    sync_folder_of(database)
}

/// Whether a restore was interrupted after it was settled.
pub(in crate::store) fn is_unfinished(database: &Path) -> bool {
    beside(database, RESTORING).symlink_metadata().is_ok_and(|file| file.is_file())
}

/// The copy, open, if it is a file by itself.
fn usable(copy: &Path, target: &Path) -> Result<File, String> {
    let metadata = fs::metadata(copy).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if fs::metadata(target).is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino())) {
        return Err("it is the database itself".to_owned());
    }
    for end in ["-wal", "-journal"] {
        if fs::metadata(beside(&real(copy), end)).is_ok_and(|file| file.len() > 0) {
            let name = copy.file_name().unwrap_or_default().to_string_lossy();
            return Err(format!(
                "{name}{end} lies beside it, so it is in use, or was not closed: make a copy of it with contactd backup"
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

/// Gives a new file the owner and the mode of the one whose place it takes.
fn like(old: &Path, new: &Path) -> Result<(), IoError> {
    let old = match fs::metadata(old) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        old => old?,
    };
    let new = File::open(new)?;
    let now = new.metadata()?;
    if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
        fchown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())?;
    new.sync_all()
}

/// Keeps what is there under other names, which nothing has had before. SQLite makes the index of a log (`-shm`) anew.
fn keep(database: &Path, steps: &mut impl Steps) -> Result<Vec<PathBuf>, IoError> {
    const KEPT: [&str; 3] = ["", "-wal", "-journal"];
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let now = date::print(clock::now()).replace(['-', ':'], "");
    let kept = |n: u32| beside(database, &if n == 1 { format!(".before-{now}") } else { format!(".before-{now}-{n}") });
    let free = |n: &u32| !KEPT.iter().any(|end| there(&beside(&kept(*n), end)));
    let kept = kept((1..=u32::MAX).find(free).unwrap_or_default());
    let mut names = Vec::new();
    for end in KEPT {
        let (old, kept) = (beside(database, end), beside(&kept, end));
        if there(&old) {
            steps.next()?;
            keep_one(&old, &kept, steps)?;
            names.push(kept);
        }
    }
    sync_folder_of(database)?;
    Ok(names)
}

fn keep_one(old: &Path, kept: &Path, steps: &mut impl Steps) -> Result<(), IoError> {
    match steps.link(old, kept) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // A file that is mounted by itself, or a file system without second names: the file will be written over.
            if fs::metadata(old)?.nlink() > 1 {
                return Err(IoError::other(OTHER_NAMES));
            }
            copy_bytes(&File::open(old)?, kept)
        }
        linked => linked,
    }
}

const OTHER_NAMES: &str = "it has other names (hard links), and what they name would be written over";

/// Writes one file's bytes over another's, which stays the file it is.
fn write_over(new: &Path, database: &Path, steps: &mut impl Steps) -> Result<(), IoError> {
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
