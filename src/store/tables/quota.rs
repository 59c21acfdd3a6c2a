//! The quota of a mailbox. Its usage is stored in its row and updated in the transaction of each write: by the frequent
//! writes themselves (`procedures`), for all others here. Deleted contacts count until they are purged.

use uuid::Uuid;

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::write::call::MailboxRoom;
use crate::store::write::tx::Tx;

/// Adds to the usage; negative numbers subtract.
pub(in crate::store) async fn count(tx: &mut Tx, mailbox: i64, contacts: i64, bytes: i64) -> Result<(), Error> {
    if (contacts, bytes) == (0, 0) {
        return Ok(());
    }
    let text = "update mailboxes set contacts = contacts + $2, bytes = bytes + $3 where id = $1";
    tx.execute(Statement::new(text).bind(mailbox).bind(contacts).bind(bytes)).await
}

/// Adds to the usage of bytes; a negative number subtracts.
///
/// # Errors
/// [`Error::Quota`] if it grows above the mailbox's limit.
pub(in crate::store) async fn grow(tx: &mut Tx, mailbox: i64, bytes: i64) -> Result<(), Error> {
    count(tx, mailbox, 0, bytes).await?;
    if bytes > 0 { check_room(tx, mailbox, 0, 0).await } else { Ok(()) }
}

/// Checks that there is room for more contacts and bytes.
///
/// # Errors
/// [`Error::Quota`]
pub(in crate::store) async fn check_room(tx: &mut Tx, mailbox: i64, contacts: i64, bytes: i64) -> Result<(), Error> {
    let limits = tx.limits();
    let statement = Statement::new("select contacts, bytes from mailboxes where id = $1").bind(mailbox);
    let row = tx.reader().await?.row(statement).await?;
    let row = row.ok_or_else(|| Error::internal("the mailbox is gone"))?;
    if contacts > 0 && row.get::<i64>(0)?.saturating_add(contacts) > limits.contacts {
        let max = limits.contacts;
        let message =
            format!("A mailbox holds at most {max} contacts; deleted ones count until they are deleted permanently.");
        return Err(Error::Quota(message));
    }
    if row.get::<i64>(1)?.saturating_add(bytes) > limits.bytes { Err(too_large(limits)) } else { Ok(()) }
}

/// The message for a mailbox that would hold too many bytes.
pub(in crate::store) fn too_large(limits: MailboxRoom) -> Error {
    Error::Quota(format!(
        "A mailbox holds at most {} bytes of contacts, photos and extensions; deleted ones count until they are deleted permanently.",
        limits.bytes
    ))
}

/// The number of these contacts, and their size in bytes with everything that belongs to them.
pub(in crate::store) async fn of_contacts(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<(i64, i64), Error> {
    let select = |what: &'static str, contact: &'static str| {
        Sql::new("select ").text(what).text(" where mailbox = ").value(mailbox).text(" and ").text(contact).text(" in ")
    };
    let mut parts = select("1 as n, size as bytes from contacts", "id").then(Sql::among(ids));
    for what in [
        "0, size from photos",
        "0, octet_length(name) + octet_length(value) from extension_members",
        "0, octet_length(id) + octet_length(value) from single_values",
        "0, octet_length(id) from multi_value_properties",
        "0, octet_length(value) from multi_values",
        "0, octet_length(text) from card_texts",
    ] {
        let select = if what.contains("photos") {
            select(what, "deleted_date_time is null and contact_id")
        } else {
            select(what, "contact_id")
        };
        parts = parts.text(" union all ").then(select).then(Sql::among(ids));
    }
    let sums = "select coalesce(sum(n), 0), ";
    let sums = Sql::default().per_engine(sums, "select coalesce(sum(n), 0)::bigint, ");
    let sums = sums.per_engine("coalesce(sum(bytes), 0) from (", "coalesce(sum(bytes), 0)::bigint from (");
    let row = session.single_row(sums.then(parts).text(") as parts")).await?;
    Ok((row.get(0)?, row.get(1)?))
}

/// The bytes of a folder's properties that clients set.
pub(in crate::store) async fn of_folder(session: &mut Session, mailbox: i64, folder: &str) -> Result<i64, Error> {
    let text = "
select (select coalesce(sum(octet_length(id) + octet_length(value)), 0) from folder_single_values
        where mailbox = $1 and folder_id = $2)
    + (select coalesce(sum(octet_length(id)), 0) from folder_multi_value_properties where mailbox = $1 and folder_id = $2)
    + (select coalesce(sum(octet_length(value)), 0) from folder_multi_values where mailbox = $1 and folder_id = $2)
    + (select coalesce(sum(octet_length(value)), 0) from dav_properties where mailbox = $1 and folder_id = $2)";
    session.count(Statement::new(text).bind(mailbox).bind(folder)).await
}

/// A sum of lengths as it is counted.
pub(in crate::store) fn bytes(lengths: impl IntoIterator<Item = usize>) -> i64 {
    i64::try_from(lengths.into_iter().sum::<usize>()).unwrap_or(i64::MAX)
}

/// Lets one process at a time continue from here until its commit, so that counts stay correct. It locks a row that
/// exists in every database.
pub(in crate::store) async fn lock_counts(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(Statement::new("update store set epoch = epoch where id = 1")).await
}
