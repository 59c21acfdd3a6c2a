//! What holds off a second server on the same SQLite file: a lock on a file of its own beside it, since closing any handle
//! on the database itself would drop SQLite's locks. Other commands of the program do work beside a running server.
//!
//! The file also says which run of a server was the last on the database (`log`).

use std::fs::{self, File, TryLockError};
use std::io::{Error as IoError, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::permission;
use crate::store::db::files::{beside, real};

/// Most bytes that are read of such a file.
const MAX_BYTES: u64 = 256;

/// A database that is served, or changed, by this process alone. It ends with this.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a SQLite file, which need not be there yet.
    ///
    /// # Errors
    /// One line: another process has it, or the file beside the database cannot be written.
    pub fn take(database: &Path) -> Result<Self, String> {
        let path = beside(&real(database), ".lock");
        let reason = |error: IoError| permission::reason(&path, &error);
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o644);
        // Nothing that somebody else has prepared there is followed and written to.
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file = options.custom_flags(flags).open(&path).map_err(reason)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = read(&file);
                let holder = text.lines().next().unwrap_or_default();
                return Err(format!("{}: another contactd serves it (process {holder})", database.display()));
            }
            Err(TryLockError::Error(error)) => return Err(reason(error)),
        }
        let lock = Self { file, path: path.clone() };
        lock.note(&runs_in(&read(&lock.file))).map_err(reason)?;
        Ok(lock)
    }

    /// Writes down in which run the database is served; while that changes, which two it may be.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn note(&self, runs: &[u32]) -> Result<(), IoError> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        let runs = runs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        writeln!(file, "{}\nrun {runs}", std::process::id())?;
        file.sync_all()
    }
}

impl Lock {
    /// The file that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The runs that a database may be of, as its last server wrote them down; none where that is not known.
pub(in crate::store) fn runs(database: &Path) -> Vec<u32> {
    let file = fs::symlink_metadata(beside(database, ".lock"));
    if !file.is_ok_and(|file| file.is_file()) {
        return Vec::new();
    }
    File::open(beside(database, ".lock")).map(|file| runs_in(&read(&file))).unwrap_or_default()
}

fn runs_in(text: &str) -> Vec<u32> {
    let line = text.lines().nth(1).and_then(|line| line.strip_prefix("run "));
    line.unwrap_or_default().split(' ').filter_map(|run| run.parse().ok()).collect()
}

fn read(mut file: &File) -> String {
    let mut text = String::new();
    // What is no text tells nothing.
    let _ = file.rewind().and_then(|()| file.take(MAX_BYTES).read_to_string(&mut text));
    text
}
