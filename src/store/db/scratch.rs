//! Temporary folders of one process, with a random name and mode 0700. If the process is killed, the next process that
//! creates one in the same place removes the folder.

use std::fs::{self, File, Permissions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::store::db::files::create_private;

/// Prefix of folders in which a copy of a database is made.
pub(in crate::store) const COPY_PREFIX: &str = ".contactd-copy-";
/// Prefix of folders in which a new database is made.
pub(in crate::store) const NEW_PREFIX: &str = ".contactd-new-";

/// The file that the process of a folder keeps locked.
const LOCK: &str = "lock";
/// Its name before it is locked.
const UNLOCKED: &str = "unlocked";

/// A folder that is removed when this is dropped.
pub(in crate::store) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Creates a folder with this prefix, and removes those of killed processes.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn new_in(parent: &Path, prefix: &str) -> Result<Self, IoError> {
        sweep(parent, prefix);
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)?;
        // Renamed after locking: no process finds it under its name without the lock.
        let unlocked = folder.path().join(UNLOCKED);
        let lock = create_private(&unlocked)?;
        lock.try_lock().map_err(IoError::from)?;
        fs::rename(unlocked, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// A file in it.
    pub(in crate::store) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Removes folders that are certainly from this program and whose processes have ended. Errors are logged.
fn sweep(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) && is_dead(&entry.path()).unwrap_or(false) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(folder = %entry.path().display(), "removed the temporary folder of a killed process");
                }
                // Another process removed it first.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(folder = %entry.path().display(), %error, "the temporary folder of a killed process cannot be removed");
                }
            }
        }
    }
}

fn is_dead(folder: &Path) -> Result<bool, IoError> {
    let (folder_metadata, lock) = (fs::symlink_metadata(folder)?, folder.join(LOCK));
    let is_ours = |metadata: &fs::Metadata| metadata.uid() == rustix::process::geteuid().as_raw();
    if !folder_metadata.is_dir() || !is_ours(&folder_metadata) || folder_metadata.mode() & 0o077 != 0 {
        return Ok(false);
    }
    let lock_metadata = fs::symlink_metadata(&lock)?;
    Ok(lock_metadata.is_file() && is_ours(&lock_metadata) && File::open(lock)?.try_lock().is_ok())
}
