//! SQLite's files as files: their names, who may read them, and how one is made.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Error as IoError;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::store::db::engine::{Session, plain_options};
use crate::store::db::statement::Statement;

/// What SQLite names files beside a database: its log, the log's index, and what it undoes a write with that was cut off.
pub(in crate::store) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes an empty file that only its owner can read; SQLite gives the files beside it the same mode.
///
/// # Errors
/// There is something of that name, or it cannot be made.
pub(in crate::store) fn create_private(path: &Path) -> Result<File, IoError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a file of the same file system a name that nothing has yet. That is in the folder for good when this returns.
///
/// # Errors
/// That there is something of that name, and those of the system.
pub(in crate::store) fn name(file: &Path, name: &Path) -> Result<(), IoError> {
    match rustix::fs::renameat_with(CWD, file, CWD, name, RenameFlags::NOREPLACE) {
        // Not every file system knows it. A second name is refused where there is one, too.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(file, name).and_then(|()| fs::remove_file(file))?;
        }
        named => named?,
    }
    sync_folder_of(name)
}

/// Sees that the names in a file's folder are on the disk.
pub(in crate::store) fn sync_folder_of(path: &Path) -> Result<(), IoError> {
    File::open(folder_of(path))?.sync_all()
}

/// Whether anybody but its owner and group may read a file, or write to it.
pub(in crate::store) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o006 != 0)
}

/// Moves what is left of the write-ahead log into a file that is closed. A reader whose runtime ended before it could go
/// back to its pool closes a moment later than the rest, and SQLite moves the log only for the last one.
pub(in crate::store) async fn move_log_into_file(path: &Path) {
    let log = beside(path, "-wal");
    for _ in 0..25 {
        if !log.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Ok(mut session) = Session::open(&plain_options(path)).await {
            // Only a connection that has read the log moves it.
            let _ = session.row(Statement::new("select count(*) from sqlite_master")).await;
            session.close().await;
        }
    }
}

/// The file a path means, through links, so that one file has one lock and one log.
pub(in crate::store) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        // Not there yet: then its folder, and its name in it.
        match (folder_of(path).canonicalize(), path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            _ => path.to_owned(),
        }
    })
}

/// A file beside another, by what its name ends with.
pub(in crate::store) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The folder that a path is in.
pub(in crate::store) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
