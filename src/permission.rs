//! Explains to the operator why a file or folder cannot be used.

use std::fs::Metadata;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// `path: error`. For a permission error it also names this process's user and the owner of the nearest existing folder.
pub(crate) fn reason(path: &Path, error: &Error) -> String {
    let text = format!("{}: {error}", path.display());
    if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        return text;
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let text = format!("{text}; this process runs as user {user}, group {group}");
    let current_folder = Path::new(".");
    let mut folders =
        path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { current_folder } else { folder });
    let nearest = folders.find_map(|folder| Some((folder, folder.metadata().ok()?)));
    let describe = |what: &str, path: &Path, file: &Metadata| {
        let mode = file.mode() & 0o7777;
        format!("{what} {} belongs to user {}, group {}, mode {mode:04o}", path.display(), file.uid(), file.gid())
    };
    let file = path.metadata().ok().map(|file| describe("the file", path, &file));
    let folder = nearest.map(|(folder, found)| describe("the folder", folder, &found));
    [file, folder].into_iter().flatten().fold(text, |text, more| text + ", " + &more)
}

/// Whether this process may read and write an existing file. The file is not opened, since closing it would release the
/// locks that SQLite holds on it elsewhere in this process.
pub(crate) fn writable(path: &Path) -> Result<(), Error> {
    Ok(rustix::fs::access(path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_user_and_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let path = folder.path().join("missing/contacts.db");
        let denied = reason(&path, &Error::from(ErrorKind::PermissionDenied));
        let user = rustix::process::geteuid().as_raw();
        assert!(denied.starts_with(&format!("{}: permission denied; ", path.display())), "{denied}");
        assert!(denied.contains(&format!("this process runs as user {user}, group ")), "{denied}");
        let expected = format!(", the folder {} belongs to user {user}, ", folder.path().display());
        assert!(denied.contains(&expected) && denied.ends_with("mode 0700"), "{denied}");
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        std::fs::write(&path, "").unwrap();
        let denied = reason(&path, &Error::from(ErrorKind::PermissionDenied));
        assert!(denied.contains(&format!(", the file {} belongs to user {user}, ", path.display())), "{denied}");
        let other = reason(&path, &Error::from(ErrorKind::NotFound));
        assert_eq!(other, format!("{}: entity not found", path.display()));
    }
}
