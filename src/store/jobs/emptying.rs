//! Marks the contacts of deleted folders as deleted. Large folders are marked in several transactions, so that other writers
//! do not wait long. Until it is finished, `folders.emptying` has the time of the deletion, reads skip the folder's contacts,
//! and each contact gets its change log entry when it is marked. The next purge continues after an interruption.

use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::{cards, changes, counts};
use crate::store::write::tx::Tx;

/// Maximum number of contacts that a transaction marks.
pub(in crate::store) const PIECE: i64 = 500;

/// ` and …`: the contact `c` is not in such a folder.
pub(in crate::store) fn is_in_none(mailbox: i64) -> Sql {
    let folders =
        " and c.parent_folder_id not in (select e.id from folders e where e.emptying is not null and e.mailbox = ";
    Sql::new(folders).value(mailbox).text(")")
}

impl Store {
    /// Marks the contacts of deleted folders. It continues if its caller is dropped.
    pub(in crate::store) async fn empty_folders(&self, mailbox: i64) {
        let store = self.without_actor();
        let emptying = tokio::spawn(async move {
            while store.write(Some(mailbox), async move |tx: &mut Tx| mark_some(tx, mailbox).await).await? {}
            Ok::<_, Error>(())
        });
        match emptying.await {
            Ok(Ok(())) => {}
            // Reads skip them already; the next purge continues.
            Ok(Err(error)) => {
                tracing::warn!(%error, "marking the contacts of a deleted folder failed; the next purge continues");
            }
            Err(error) => {
                tracing::warn!(%error, "marking the contacts of a deleted folder failed; the next purge continues");
            }
        }
    }
}

/// Schedules the marking of contacts in the folders that were deleted by log entries after `before`. They count as deleted at
/// `time`.
pub(in crate::store) async fn begin(tx: &mut Tx, mailbox: i64, before: i64, time: i64) -> Result<(), Error> {
    let text = "
update folders set emptying = $3
where mailbox = $1 and id in (select folder_id from changes where mailbox = $1 and seq > $2 and contact_id is null)";
    tx.execute(Statement::new(text).bind(mailbox).bind(before).bind(time)).await
}

/// Marks some contacts of deleted folders. Returns whether there may be more.
pub(in crate::store) async fn mark_some(tx: &mut Tx, mailbox: i64) -> Result<bool, Error> {
    let text = "select id, emptying from folders where mailbox = $1 and emptying is not null order by id limit 1";
    let Some(row) = tx.reader().await?.row(Statement::new(text).bind(mailbox)).await? else { return Ok(false) };
    mark_batch(tx, mailbox, row.get(0)?, row.get(1)?).await?;
    Ok(true)
}

/// Marks all contacts of a folder, before it is created again.
pub(in crate::store) async fn mark_all_in(tx: &mut Tx, mailbox: i64, folder: &str) -> Result<(), Error> {
    let text = "select emptying from folders where mailbox = $1 and id = $2 and emptying is not null";
    loop {
        let statement = Statement::new(text).bind(mailbox).bind(folder);
        let Some(row) = tx.reader().await?.row(statement).await? else { return Ok(()) };
        mark_batch(tx, mailbox, folder.to_owned(), row.get(0)?).await?;
    }
}

/// Marks some contacts of a folder, or ends the marking if none are left.
async fn mark_batch(tx: &mut Tx, mailbox: i64, folder: String, time: i64) -> Result<(), Error> {
    let (before, now) = (changes::last_number(tx, mailbox).await?, tx.now());
    let log = "
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
select $1, $4 + row_number() over (order by id), $2, id, true, $3
from (
    select id from contacts /* indexed by contacts_by_folder */
    where mailbox = $1 and parent_folder_id = $2 and deleted_date_time is null order by id limit $5
) as piece";
    let statement = Statement::hinted(log).bind(mailbox).bind(folder.as_str()).bind(now).bind(before);
    tx.execute(statement.bind(PIECE)).await?;
    let last = changes::last_logged(tx, mailbox, before).await?;
    if last == before {
        let text = "update folders set emptying = null where mailbox = $1 and id = $2";
        return tx.execute(Statement::new(text).bind(mailbox).bind(folder.as_str())).await;
    }
    counts::mark_contacts(tx, mailbox, time, before).await?;
    cards::mark_deleted_since(tx, mailbox, before).await?;
    changes::catch_up(tx, mailbox, last).await
}
