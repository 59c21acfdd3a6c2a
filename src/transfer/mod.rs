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

use crate::domain::error::Error;
use crate::store::{FolderListing, Sorting, Store};

/// The id of a folder, given its id, or its name if its parent is the default folder.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn folder_named(store: &Store, mailbox: i64, name: &str) -> Result<String, Error> {
    match store.folder(mailbox, &[name.to_owned()]).await {
        Err(Error::NotFound) => {}
        found => return found.map(|folder| folder.id),
    }
    let by = Sorting { size: 1_000, ..Sorting::default() };
    let listing = FolderListing { by, ..FolderListing::default() };
    let page = store.folders(mailbox, &[], &listing).await?;
    let found = page.value.into_iter().find(|folder| folder.display_name == name);
    found.map(|folder| folder.id).ok_or(Error::NotFound)
}
