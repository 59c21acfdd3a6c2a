//! The files of a SQLite database: names, permissions, creation.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Error as IoError;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// Suffixes of SQLite's files beside a database: the write-ahead log, its index, and the rollback journal.
pub(in crate::store) const SIDE_FILE_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Creates an empty file that only its owner can read. SQLite gives the files beside it the same mode.
///
/// # Errors
/// The name exists, or the file cannot be created.
pub(in crate::store) fn create_private(path: &Path) -> Result<File, IoError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Renames a file, within its file system, to a name that does not exist yet. The rename is durable when this returns.
///
/// # Errors
/// The name exists; and those of the system.
pub(in crate::store) fn rename_to_new(file: &Path, name: &Path) -> Result<(), IoError> {
    match rustix::fs::renameat_with(CWD, file, CWD, name, RenameFlags::NOREPLACE) {
        // Not every file system supports NOREPLACE. A hard link fails too if the name exists.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(file, name).and_then(|()| fs::remove_file(file))?;
        }
        named => named?,
    }
    sync_folder_of(name)
}

/// Syncs the folder of a file, so that its names are durable.
pub(in crate::store) fn sync_folder_of(path: &Path) -> Result<(), IoError> {
    File::open(folder_of(path))?.sync_all()
}

/// Whether users other than its owner and group may read or write a file.
pub(in crate::store) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o006 != 0)
}

/// The path with symbolic links resolved, so that one file has one lock and one log.
pub(in crate::store) fn resolve_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        // The file does not exist yet: resolve its folder.
        match (folder_of(path).canonicalize(), path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            _ => path.to_owned(),
        }
    })
}

/// The file beside another with this suffix.
pub(in crate::store) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a path.
pub(in crate::store) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
