//! The change log and the number every write of a mailbox takes from it.

use uuid::Uuid;

use super::engine::Statement;
use super::tx::Tx;
use crate::error::Error;

/// Records that something is, or is no longer, in a folder; without a contact it is the folder itself. Answers the
/// number. The hot writes of contacts do the same inside their procedure.
pub(super) async fn record(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    contact: Option<Uuid>,
    removed: bool,
) -> Result<i64, Error> {
    let now = tx.now();
    tx.execute(Statement::new("update mailboxes set seq = seq + 1 where id = $1").bind(mailbox)).await?;
    let text = "
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
select $1, seq, $2, $3, $4, $5 from mailboxes where id = $1";
    let statement = Statement::new(text).bind(mailbox).bind(folder).bind(contact).bind(removed).bind(now);
    tx.execute(statement).await?;
    let statement = Statement::new("select seq from mailboxes where id = $1").bind(mailbox);
    let row = tx.reading().await?.row(statement).await?;
    let seq = row.ok_or_else(|| Error::internal("the mailbox is gone"))?.get(0)?;
    tx.left_trace(mailbox, Some(seq), contact);
    Ok(seq)
}
