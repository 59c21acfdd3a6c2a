//! Lock against a second server on the same SQLite file. It is on a separate file, because closing any handle on the
//! database itself would release SQLite's locks. Most commands work beside a running server and do not take it.
//!
//! The file also records the last run of a server on the database (see `log`).

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{Error as IoError, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::permission;
use crate::store::db::files::{resolve_links, with_suffix};

/// Maximum number of bytes that are read from the file.
const MAX_BYTES: u64 = 256;

/// A lock of a database. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Why a lock is not taken, as one line for the operator.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it.
    Held(String),
    /// The file of the lock cannot be written.
    Failed(String),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Held(reason) | Self::Failed(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for LockError {}

impl Lock {
    /// Takes the lock of a SQLite file, which need not exist yet.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire(database: &Path) -> Result<Self, LockError> {
        let path = with_suffix(&resolve_links(database), ".lock");
        let reason = |error: IoError| LockError::Failed(permission::reason(&path, &error));
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o644);
        // A symbolic link is not followed: another user could have prepared it.
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file = options.custom_flags(flags).open(&path).map_err(reason)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = read(&file);
                let holder = text.lines().next().unwrap_or_default();
                let why = format!("{}: another contactd serves it (process {holder})", database.display());
                return Err(LockError::Held(why));
            }
            Err(TryLockError::Error(error)) => return Err(reason(error)),
        }
        let lock = Self { file, path: path.clone() };
        lock.record_runs(&runs_in(&read(&lock.file))).map_err(reason)?;
        Ok(lock)
    }

    /// Records the run in which the database is served; while it changes, the old and the new one.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn record_runs(&self, runs: &[u32]) -> Result<(), IoError> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        let runs = runs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        writeln!(file, "{}\nrun {runs}", std::process::id())?;
        file.sync_all()
    }
}

impl Lock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The runs that the last server of a database recorded; none if they are not known.
pub(in crate::store) fn runs(database: &Path) -> Vec<u32> {
    let file = fs::symlink_metadata(with_suffix(database, ".lock"));
    if !file.is_ok_and(|file| file.is_file()) {
        return Vec::new();
    }
    File::open(with_suffix(database, ".lock")).map(|file| runs_in(&read(&file))).unwrap_or_default()
}

fn runs_in(text: &str) -> Vec<u32> {
    let line = text.lines().nth(1).and_then(|line| line.strip_prefix("run "));
    line.unwrap_or_default().split(' ').filter_map(|run| run.parse().ok()).collect()
}

fn read(mut file: &File) -> String {
    let mut text = String::new();
    // A file that is not text gives an empty text.
    let _ = file.rewind().and_then(|()| file.take(MAX_BYTES).read_to_string(&mut text));
    text
}
