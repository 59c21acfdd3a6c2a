//! Folders of contacts. A contact may name a folder that does not exist: it is then made, whatever others are called.

use super::changes;
use super::engine::{Session, Statement};
use super::tx::Tx;
use crate::contact::DEFAULT_FOLDER;
use crate::error::Error;
use crate::fold::fold;

/// Whether the mailbox has this folder, not deleted.
pub(super) async fn exists(session: &mut Session, mailbox: i64, id: &str) -> Result<bool, Error> {
    let text = "select 1 from folders where mailbox = $1 and id = $2 and deleted_date_time is null";
    Ok(session.row(Statement::new(text).bind(mailbox).bind(id)).await?.is_some())
}

/// Makes a mailbox's default folder.
pub(super) async fn create_default(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    write(tx, mailbox, DEFAULT_FOLDER, "Contacts", None).await
}

/// The folder a new contact names: unknown or deleted, it is made (anew) inside the default folder, id and display
/// name as sent (docs/graph.md, "Folders").
///
/// # Errors
/// [`Error::Quota`] when it is unknown and the mailbox has `max` folders already, deleted ones counted.
pub(super) async fn ensure(tx: &mut Tx, mailbox: i64, id: &str, max: i64) -> Result<(), Error> {
    if exists(tx.reading().await?, mailbox, id).await? {
        return Ok(());
    }
    let text = "select count(*), count(*) filter (where id = $2) from folders where mailbox = $1";
    let row = tx.reading().await?.row(Statement::new(text).bind(mailbox).bind(id)).await?.ok_or(Error::NotFound)?;
    if row.get::<i64>(0)? >= max && row.get::<i64>(1)? == 0 {
        return Err(Error::Quota(format!("A mailbox has at most {max} folders.")));
    }
    write(tx, mailbox, id, id, Some(DEFAULT_FOLDER)).await
}

async fn write(tx: &mut Tx, mailbox: i64, id: &str, display_name: &str, parent: Option<&str>) -> Result<(), Error> {
    let version = changes::record(tx, mailbox, id, None, false).await?;
    let text = "
insert into folders
    (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time)
values ($1, $2, $3, $4, $5, $6, $7, $7)
on conflict (mailbox, id) do update
set parent_folder_id = excluded.parent_folder_id, display_name = excluded.display_name,
    display_name_key = excluded.display_name_key, version = excluded.version,
    created_date_time = excluded.created_date_time, last_modified_date_time = excluded.last_modified_date_time,
    deleted_date_time = null";
    let statement = Statement::new(text)
        .bind(mailbox)
        .bind(id)
        .bind(parent)
        .bind(display_name)
        .bind(fold(display_name))
        .bind(version)
        .bind(tx.now());
    tx.execute(statement).await
}
