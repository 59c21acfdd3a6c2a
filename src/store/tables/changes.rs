//! The change log, and the number that each write of a mailbox takes.

use uuid::Uuid;

use crate::domain::error::Error;
use crate::store::db::statement::Statement;
use crate::store::write::tx::Tx;

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ChangeKind {
    /// Created or changed.
    Written,
    Removed,
}

/// Records that a contact, or the folder itself, was changed or removed. Returns the number. The frequent writes of
/// contacts do the same inside their procedure.
pub(in crate::store) async fn record(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    contact: Option<Uuid>,
    kind: ChangeKind,
) -> Result<i64, Error> {
    let (seq, now) = (next_number(tx, mailbox).await?, tx.now());
    let text = "
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time) values ($1, $2, $3, $4, $5, $6)";
    let statement = Statement::new(text).bind(mailbox).bind(seq).bind(folder).bind(contact);
    tx.execute(statement.bind(kind == ChangeKind::Removed).bind(now)).await?;
    tx.mark_change(mailbox, Some(seq), contact);
    Ok(seq)
}

/// Records a change that only the card of a contact or group shows: clients of Graph do not see it. Returns the number.
pub(in crate::store) async fn record_card(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    card: Uuid,
    kind: ChangeKind,
) -> Result<i64, Error> {
    let (seq, now) = (next_number(tx, mailbox).await?, tx.now());
    let text = "
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time, of_card)
values ($1, $2, $3, $4, $5, $6, true)";
    let statement = Statement::new(text).bind(mailbox).bind(seq).bind(folder).bind(card);
    tx.execute(statement.bind(kind == ChangeKind::Removed).bind(now)).await?;
    tx.mark_change(mailbox, Some(seq), Some(card));
    Ok(seq)
}

/// The same for a contact whose photo changed.
pub(in crate::store) async fn record_photo(tx: &mut Tx, mailbox: i64, contact: Uuid) -> Result<i64, Error> {
    let text = "select parent_folder_id from contacts where mailbox = $1 and id = $2";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(contact)).await?;
    let folder: String = row.ok_or(Error::NotFound)?.get(0)?;
    record_card(tx, mailbox, &folder, contact, ChangeKind::Written).await
}

/// Takes the mailbox's next number for a write.
pub(in crate::store) async fn next_number(tx: &mut Tx, mailbox: i64) -> Result<i64, Error> {
    tx.execute(Statement::new("update mailboxes set seq = seq + 1 where id = $1").bind(mailbox)).await?;
    last_number(tx, mailbox).await
}

/// The number of the mailbox's last change. Nobody else can take the next one before this transaction ends.
pub(in crate::store) async fn last_number(tx: &mut Tx, mailbox: i64) -> Result<i64, Error> {
    let statement = Statement::new("select seq from mailboxes where id = $1").bind(mailbox);
    tx.reader().await?.row(statement).await?.ok_or_else(|| Error::internal("the mailbox is gone"))?.get(0)
}

/// The number of the log's last entry, or `otherwise` if the log has no entry after that number.
pub(in crate::store) async fn last_logged(tx: &mut Tx, mailbox: i64, otherwise: i64) -> Result<i64, Error> {
    let text = "select coalesce(max(seq), $2) from changes where mailbox = $1 and seq > $2";
    tx.reader().await?.count(Statement::new(text).bind(mailbox).bind(otherwise)).await
}

/// Raises the mailbox's number to that of entries that were written to the log in one statement.
pub(in crate::store) async fn catch_up(tx: &mut Tx, mailbox: i64, seq: i64) -> Result<(), Error> {
    tx.execute(Statement::new("update mailboxes set seq = $2 where id = $1").bind(mailbox).bind(seq)).await?;
    tx.mark_change(mailbox, Some(seq), None);
    Ok(())
}
