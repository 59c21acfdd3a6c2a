//! Folders of this process alone, which end with it: under a name that nobody can foresee, and open to nobody else. One
//! whose process was killed is taken away by the next that makes one in the same place.

use std::fs::{self, File, Permissions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::store::db::files::create_private;

/// The file in each that its process holds a lock on while it lives.
const LOCK: &str = "lock";
/// The same before it is locked.
const UNLOCKED: &str = "unlocked";

/// A folder that goes away with this.
pub(in crate::store) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one in a folder, its name beginning so, and takes those away that were left behind there.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn new_in(parent: &Path, prefix: &str) -> Result<Self, IoError> {
        sweep(parent, prefix);
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)?;
        // Whoever finds the file under its name finds it locked.
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

/// Takes folders away that were certainly ours and whose processes have ended. What cannot be taken away stays.
fn sweep(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) && is_dead(&entry.path()).unwrap_or(false) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(folder = %entry.path().display(), "a killed process had left it behind: removed");
                }
                // Another process was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(folder = %entry.path().display(), %error, "left behind, and not to be removed");
                }
            }
        }
    }
}

fn is_dead(folder: &Path) -> Result<bool, IoError> {
    let (of_folder, lock) = (fs::symlink_metadata(folder)?, folder.join(LOCK));
    let ours = |metadata: &fs::Metadata| metadata.uid() == rustix::process::geteuid().as_raw();
    if !of_folder.is_dir() || !ours(&of_folder) || of_folder.mode() & 0o077 != 0 {
        return Ok(false);
    }
    let of_lock = fs::symlink_metadata(&lock)?;
    Ok(of_lock.is_file() && ours(&of_lock) && File::open(lock)?.try_lock().is_ok())
}
