//! Backups of a SQLite file.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::store::db::check::{self, Verify};
use crate::store::db::engine::{Session, plain_options};
use crate::store::db::faults::OpenError;
use crate::store::db::files::{
    SIDE_FILE_SUFFIXES, create_private, folder_of, rename_to_new, resolve_links, sync_folder_of, with_suffix,
};
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::scratch::{COPY_PREFIX, Scratch};
use crate::store::db::statement::Statement;

/// Copies a SQLite file, which may be in use, to a new file as one snapshot. The copy is made in a private folder, synced,
/// checked as `verify` says, and then renamed, so that a file with the target's name is always complete.
///
/// # Errors
/// The source is not a database or damaged; the target exists, cannot be written, or lies beside the log of another database.
pub async fn backup(source: &Path, target: &Path, verify: Verify) -> Result<(), OpenError> {
    let of_source = |why: String| OpenError::new(source.display(), why);
    if !source.is_file() {
        return Err(of_source("there is no such file".to_owned()));
    }
    let of_target = |why: String| OpenError::new(target.display(), why);
    let target = resolve_links(target);
    if target.symlink_metadata().is_ok() {
        return Err(of_target("it already exists".to_owned()));
    }
    if let Some(leftover) = SIDE_FILE_SUFFIXES
        .map(|suffix| with_suffix(&target, suffix))
        .into_iter()
        .find(|file| file.symlink_metadata().is_ok())
    {
        let leftover = leftover.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(of_target(format!(
            "{leftover} of an earlier database is there and would damage the copy when it is opened: use contactd restore \
             to put a copy in place, or move {leftover} away"
        )));
    }
    let path = resolve_links(source);
    let _opened = OpenedDatabase::register(&path).map_err(of_source)?;
    let copy = Copy::make(&path, &target, verify).await?;
    rename_to_new(&copy.file, &target).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => of_target("it already exists".to_owned()),
        _ => of_target(error.to_string()),
    })
}

/// A checked copy of a SQLite file, in a private folder beside the target. Dropping this removes it.
pub(in crate::store) struct Copy {
    pub(in crate::store) file: PathBuf,
    _folder: Scratch,
}

impl Copy {
    /// Copies a file, which this process has open, as one snapshot.
    ///
    /// # Errors
    /// The source is damaged, or there is no room beside the target.
    pub(in crate::store) async fn make(source: &Path, target: &Path, verify: Verify) -> Result<Self, OpenError> {
        let of_target = |why: String| OpenError::new(target.display(), why);
        let folder = Scratch::new_in(folder_of(target), COPY_PREFIX).map_err(|error| of_target(error.to_string()))?;
        let file = folder.file("copy.db");
        copy_to(source, &file).await?;
        let faults = check::check_copy(&file, verify).await.map_err(of_target)?;
        if let Some(first) = faults.first() {
            let count = faults.len();
            let why = format!("its copy has {count} faults and was not kept (contactd check lists them); {first}");
            return Err(OpenError::faulty(source.display(), why));
        }
        Ok(Self { file, _folder: folder })
    }

    /// Renames it to the target, and replaces a file there.
    ///
    /// # Errors
    /// Those of the system.
    pub(in crate::store) fn replace(self, target: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.file, target)?;
        sync_folder_of(target)
    }
}

async fn copy_to(source: &Path, copy: &Path) -> Result<(), OpenError> {
    let of_copy = |error: std::io::Error| OpenError::new(copy.display(), error);
    create_private(copy).map_err(of_copy)?;
    let name = copy.to_str().ok_or_else(|| OpenError::new(copy.display(), "its name is not UTF-8"))?.to_owned();
    let mut session =
        Session::open(&plain_options(source)).await.map_err(|error| OpenError::of(source.display(), &error))?;
    let copied = session.execute(Statement::new("vacuum into $1").bind(name)).await;
    session.close().await;
    copied.map_err(|error| OpenError::of(copy.display(), &error))?;
    File::open(copy).and_then(|file| file.sync_all()).map_err(of_copy)
}
