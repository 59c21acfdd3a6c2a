//! Imports and exports of files, for the command line and HTTP. A thread reads a file (`reading`), its contacts are
//! committed by hundreds (`import`), and the outcome of each is reported (`told`). An export reads one snapshot
//! (`export`). `seeding` writes made-up contacts.

pub mod encode;
pub mod export;
pub mod identity;
pub mod import;
#[cfg(test)]
mod mapping;
pub mod output;
pub mod reading;
pub mod seeding;

use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::error::Error;
use crate::store::Store;

/// The id of a folder, given its id, or its name if its parent is the default folder.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn folder_named(store: &Store, mailbox: i64, name: &str) -> Result<String, Error> {
    match store.folder(mailbox, &[name.to_owned()]).await {
        Err(Error::NotFound) => {}
        found => return found.map(|folder| folder.id),
    }
    store.child_named(mailbox, DEFAULT_FOLDER, name).await.map(|folder| folder.id)
}
