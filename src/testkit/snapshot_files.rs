//! Snapshots as SQLite files, which can be stored with tests and restored later, also on another engine.

use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::domain::error::{Error, Kind};
use crate::http::answer::Answer;
use crate::http::blocking::run_blocking;
use crate::store::{Database, Options, Store};
use crate::testkit::calls::KitRequest;
use crate::testkit::states::{check_name, insert, snapshot_of};

/// The media type of a SQLite file.
const MEDIA_TYPE: &str = "application/vnd.sqlite3";
/// The first bytes of a SQLite file (<https://www.sqlite.org/fileformat.html>, section 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A file in a temporary folder, which is removed when this is dropped.
struct TemporaryFile {
    file: PathBuf,
    _folder: TempDir,
}

impl TemporaryFile {
    fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("contactd-snapshot-").tempdir()?;
        Ok(Self { file: folder.path().join("contacts.db"), _folder: folder })
    }

    async fn open(&self) -> Result<Store, crate::store::OpenError> {
        Store::open(&Database::File(self.file.clone()), Options::default()).await
    }
}

/// `GET /snapshots/{name}/$value`
pub(crate) async fn download(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    let snapshot = request.kit.snapshot(request.key).await?;
    let scratch = TemporaryFile::new().map_err(Error::internal)?;
    let store = scratch.open().await.map_err(Error::internal)?;
    let done = match snapshot.users.clone() {
        Some(users) => store.restore_users(users, Some(snapshot.kept.clone())).await,
        None => store.restore_state(Some(snapshot.kept.clone())).await,
    };
    // Closing the store moves the write-ahead log into the file.
    store.close().await;
    done?;
    let read = move || std::fs::read(&scratch.file);
    let bytes = run_blocking(read).await?.map_err(Error::internal)?;
    Answer { body: Some(bytes.into()), ..Answer::empty(200)? }.header("Content-Type", MEDIA_TYPE)
}

/// `PUT /snapshots/{name}/$value`
pub(crate) async fn upload(request: KitRequest<'_>) -> Result<Answer, Error> {
    request.allow_options(&[])?;
    check_name(request.key)?;
    let refused = |why: String| Error::invalid(Kind::Request, "", why);
    if !request.body.starts_with(MAGIC) {
        return Err(refused("The body must be a SQLite file, as GET of the same address returns it.".to_owned()));
    }
    let scratch = TemporaryFile::new().map_err(Error::internal)?;
    let (file, body) = (scratch.file.clone(), request.body.clone());
    run_blocking(move || std::fs::write(file, body)).await?.map_err(Error::internal)?;
    let store = scratch.open().await.map_err(|error| {
        // The path of the temporary file does not help the client.
        let why = error.to_string().replace(&scratch.file.display().to_string(), "the file");
        refused(format!("The body is not a database of contactd that can be read: {why}."))
    })?;
    let kept = store.save_state().await;
    store.close().await;
    insert(&request, &snapshot_of(request.key, None, kept?))
}
