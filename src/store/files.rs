//! SQLite's files as files: who may read them, and copies of them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::OpenError;
use super::engine::{Session, plain_options};
use super::statement::Statement;

/// Makes an empty file that only its owner can read, if there is none; SQLite gives the files beside it the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), IoError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done.map(drop),
    }
}

/// Moves what is left of the write-ahead log into a file that is closed. A reader whose runtime ended before it could go
/// back to its pool closes a moment later than the rest, and SQLite moves the log only for the last one.
pub(super) async fn settle(path: &Path) {
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

/// Copies a SQLite file that may be in use into a new file, complete as of one moment. The copy is synced and then
/// given its name, so a file of that name is always whole.
///
/// # Errors
/// A source that is no database, a target that exists or cannot be written.
pub async fn backup(source: &Path, target: &Path) -> Result<(), OpenError> {
    if !source.is_file() {
        return Err(OpenError::new(source.display(), "there is no such file"));
    }
    if target.exists() {
        return Err(OpenError::new(target.display(), "it exists already"));
    }
    let partial = beside(target, ".partial");
    let copied = copy(source, &partial).await;
    if copied.is_err() {
        for file in [&partial, &beside(&partial, "-journal")] {
            let _ = fs::remove_file(file);
        }
    }
    copied?;
    let named = fs::rename(&partial, target).and_then(|()| File::open(folder_of(target))?.sync_all());
    named.map_err(|error| OpenError::new(target.display(), error))
}

async fn copy(source: &Path, partial: &Path) -> Result<(), OpenError> {
    let _ = fs::remove_file(partial);
    create_private(partial).map_err(|error| OpenError::new(partial.display(), error))?;
    let name = partial.to_str().ok_or_else(|| OpenError::new(partial.display(), "its name is not UTF-8"))?.to_owned();
    let mut session =
        Session::open(&plain_options(source)).await.map_err(|error| OpenError::of(source.display(), &error))?;
    let copied = session.execute(Statement::new("vacuum into $1").bind(name)).await;
    session.close().await;
    copied.map_err(|error| OpenError::of(partial.display(), &error))?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(|error| OpenError::new(partial.display(), error))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
