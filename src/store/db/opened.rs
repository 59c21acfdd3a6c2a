//! A SQLite file that this process has open: whether it may be opened, and whether its names still mean the same files.
//!
//! SQLite takes a `-wal` for that of whatever file it lies beside. So that is looked at before SQLite is: see [`log`].
//! And it goes on writing to files that were removed or replaced, of which nothing is left at the next start. So each
//! commit looks whether its files are still there, before it and after it.

use std::fs::{self, File};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::error::Error;
use crate::store::db::files::beside;
use crate::store::db::log::{self, Header};

/// Which file it is, whatever its name: device and inode. No other file has the same while it is open.
type Identity = (u64, u64);

/// The files that this process has open. A file must not be read besides SQLite and then closed while SQLite has it open:
/// the system drops all locks of a process on a file when it closes the file once.
static OPEN: Mutex<Vec<(Identity, Arc<File>)>> = Mutex::new(Vec::new());

/// A file that is open, for as long as this lives.
pub(in crate::store) struct Opened {
    path: PathBuf,
    log: PathBuf,
    identity: Identity,
    /// Dropped before the last of `OPEN` is.
    file: Arc<File>,
    /// What is there while SQLite has it open: which log, and what the file says of itself.
    expected: Mutex<Option<(Identity, Header)>>,
    /// Whether the files were found to be others.
    gone: AtomicBool,
}

impl Opened {
    /// Sees that a file may be opened by SQLite, before that touches it.
    ///
    /// # Errors
    /// One line: it cannot be read, it is no database, or the log beside it is another's.
    pub(in crate::store) fn enter(path: &Path) -> Result<Arc<Self>, String> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = fs::metadata(path).map_err(|error| missing(&error))?;
        if !metadata.is_file() {
            return Err("it is no file".to_owned());
        }
        let identity = identity(&metadata);
        let known = open.iter().find(|(other, _)| *other == identity).map(|(_, file)| Arc::clone(file));
        let file = if let Some(file) = known {
            file
        } else {
            let file = File::open(path).map_err(|error| error.to_string())?;
            log::belongs(path, &file)?;
            Arc::new(file)
        };
        open.push((identity, Arc::clone(&file)));
        Ok(Arc::new(Self {
            path: path.to_owned(),
            log: beside(path, "-wal"),
            identity,
            file,
            expected: Mutex::new(None),
            gone: AtomicBool::new(false),
        }))
    }

    /// Takes the log that is there for the file's own: SQLite has just opened it.
    ///
    /// # Errors
    /// As [`Opened::look`].
    pub(in crate::store) fn has_log(&self) -> Result<(), Error> {
        self.has_no_log();
        self.look()?;
        let header = self.header().map_err(Error::unavailable)?;
        if !header.has_log {
            return Ok(());
        }
        let log = fs::metadata(&self.log).map_err(Error::unavailable)?;
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some((identity(&log), header));
        Ok(())
    }

    /// Expects no log any more: SQLite, which may be about to close the file, takes it away then.
    pub(in crate::store) fn has_no_log(&self) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Its name.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files were found to be others when that was looked at last.
    pub(in crate::store) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Sees that the names still mean the files that are open. It costs three calls of the system.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the server goes on in files that nobody will find again.
    pub(in crate::store) fn look(&self) -> Result<(), Error> {
        let why = self.why_gone();
        if self.gone.swap(why.is_some(), Ordering::AcqRel) != why.is_some() {
            let database = self.path.display();
            if let Some(why) = why {
                tracing::error!(%database, why, "nothing is written any more: stop, put the files right, start again");
            } else {
                tracing::warn!(%database, "the files are those that are open again");
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
        // Another file may have been written over this one, which stays the same file then.
        match self.header() {
            Ok(now) if now == header => None,
            _ => Some("the database file was written over under the running server"),
        }
    }

    /// What the file says of itself now.
    pub(in crate::store) fn header(&self) -> Result<Header, IoError> {
        Header::read(&self.file)
    }

    /// Whether what was written to the file can never be found again.
    pub(in crate::store) fn is_lost(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(identity, _)| *identity == self.identity) {
            open.swap_remove(at);
        }
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn missing(error: &IoError) -> String {
    if error.kind() == ErrorKind::NotFound { "there is no such file".to_owned() } else { error.to_string() }
}
