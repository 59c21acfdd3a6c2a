//! A SQLite file that this process has open: checks before it is opened, and later that its paths still name the same files.
//!
//! SQLite applies a `-wal` to the file that it lies beside, even if it belongs to another one. So the log is checked before
//! SQLite opens the file, see [`wal`]. And SQLite keeps writing to files that were removed or replaced; such writes are lost at
//! the next start. So the files are checked before and after each commit.

use std::fs::{self, File};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::error::Error;
use crate::store::db::files::with_suffix;
use crate::store::db::wal::{self, Header};

/// Device and inode: unique among the files while it is open.
type FileIdentity = (u64, u64);

/// The files that this process has open. While SQLite has a file open, no other handle on it may be closed: the system
/// releases all locks of a process on a file when the process closes any handle on it.
static OPEN: Mutex<Vec<(FileIdentity, Arc<File>)>> = Mutex::new(Vec::new());

/// An open file. Dropping this closes it.
pub(in crate::store) struct OpenedDatabase {
    path: PathBuf,
    log: PathBuf,
    identity: FileIdentity,
    /// Shared with `OPEN`, which drops the last one.
    file: Arc<File>,
    /// The log and the header of the file that are expected while SQLite has it open.
    expected: Mutex<Option<(FileIdentity, Header)>>,
    /// Whether the last check found other files.
    gone: AtomicBool,
}

impl OpenedDatabase {
    /// Checks that SQLite may open a file.
    ///
    /// # Errors
    /// One line: it cannot be read, is not a database, or the log beside it belongs to another file.
    pub(in crate::store) fn register(path: &Path) -> Result<Arc<Self>, String> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = fs::metadata(path).map_err(|error| missing(&error))?;
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        let identity = identity(&metadata);
        let already_open = open.iter().find(|(other, _)| *other == identity).map(|(_, file)| Arc::clone(file));
        let file = if let Some(file) = already_open {
            file
        } else {
            let file = File::open(path).map_err(|error| error.to_string())?;
            wal::check_belongs(path, &file)?;
            Arc::new(file)
        };
        open.push((identity, Arc::clone(&file)));
        Ok(Arc::new(Self {
            path: path.to_owned(),
            log: with_suffix(path, "-wal"),
            identity,
            file,
            expected: Mutex::new(None),
            gone: AtomicBool::new(false),
        }))
    }

    /// Records the log as the file's own. SQLite has just opened it.
    ///
    /// # Errors
    /// As [`OpenedDatabase::check_paths`].
    pub(in crate::store) fn record_log(&self) -> Result<(), Error> {
        self.expect_no_log();
        self.check_paths()?;
        let header = self.header().map_err(Error::unavailable)?;
        if !header.has_log {
            return Ok(());
        }
        let log = fs::metadata(&self.log).map_err(Error::unavailable)?;
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some((identity(&log), header));
        Ok(())
    }

    /// No longer expects a log: SQLite removes it when it closes the file.
    pub(in crate::store) fn expect_no_log(&self) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The path of the file.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last check found other files.
    pub(in crate::store) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Checks that the paths still name the open files. It costs three system calls.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: writes would go to files that the next start does not find.
    pub(in crate::store) fn check_paths(&self) -> Result<(), Error> {
        let why = self.why_gone();
        if self.gone.swap(why.is_some(), Ordering::AcqRel) != why.is_some() {
            let database = self.path.display();
            if let Some(why) = why {
                tracing::error!(%database, why, "writes are rejected: stop the server, put the files back, and start it again");
            } else {
                tracing::warn!(%database, "the open files are in place again; writes are accepted");
            }
        }
        why.map_or(Ok(()), |why| Err(Error::unavailable(why)))
    }

    fn why_gone(&self) -> Option<&'static str> {
        match fs::metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => {}
            Ok(_) => return Some("the database file was replaced under the running server"),
            Err(_) => return Some("the database file was removed under the running server"),
        }
        let expected = *self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, header) = expected?;
        match fs::metadata(&self.log) {
            Ok(metadata) if identity(&metadata) == log => {}
            Ok(_) => return Some("the database's -wal was replaced under the running server"),
            Err(_) => return Some("the database's -wal was removed under the running server"),
        }
        // The file may have been overwritten in place, with the same inode.
        match self.header() {
            Ok(now) if now == header => None,
            _ => Some("the database file was overwritten under the running server"),
        }
    }

    /// The current header of the file.
    pub(in crate::store) fn header(&self) -> Result<Header, IoError> {
        Header::read(&self.file)
    }

    /// Whether the file no longer has a name, so that writes to it are lost.
    pub(in crate::store) fn is_lost(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

impl Drop for OpenedDatabase {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(identity, _)| *identity == self.identity) {
            open.swap_remove(at);
        }
    }
}

fn identity(metadata: &fs::Metadata) -> FileIdentity {
    (metadata.dev(), metadata.ino())
}

fn missing(error: &IoError) -> String {
    if error.kind() == ErrorKind::NotFound { "there is no such file".to_owned() } else { error.to_string() }
}
