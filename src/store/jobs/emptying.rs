//! What is in a folder that was deleted. Where that is much it is marked in pieces, each a transaction of its own, so that no
//! other writer waits for long: the folder's row says since when it is not there, whoever reads leaves out what is in it, and
//! the log tells of each contact when its turn comes. Should that be interrupted, the next purge goes on.

use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::changes;
use crate::store::write::tx::Tx;

/// Marks contacts as deleted at `$2` that the log's entries behind `$3` are of.
pub(in crate::store) const MARK_CONTACTS: &str = "
update contacts set deleted_date_time = $2, last_modified_date_time = $2, version = l.seq
from changes l where l.mailbox = $1 and l.seq > $3 and contacts.mailbox = $1 and contacts.id = l.contact_id";

/// Most contacts that one transaction marks.
pub(in crate::store) const PIECE: i64 = 500;

/// ` and …`: that a contact `c` is not in such a folder.
pub(in crate::store) fn is_in_none(mailbox: i64) -> Sql {
    let folders =
        " and c.parent_folder_id not in (select e.id from folders e where e.emptying is not null and e.mailbox = ";
    Sql::new(folders).value(mailbox).text(")")
}

impl Store {
    /// Marks all that is in deleted folders. It goes on when its caller has left.
    pub(in crate::store) async fn empty_folders(&self, mailbox: i64) {
        let store = self.itself();
        let emptying = tokio::spawn(async move {
            while store.write(Some(mailbox), async move |tx: &mut Tx| some(tx, mailbox).await).await? {}
            Ok::<_, Error>(())
        });
        match emptying.await {
            Ok(Ok(())) => {}
            // They are gone for everybody; the next purge goes on.
            Ok(Err(error)) => tracing::warn!(%error, "what was in a deleted folder could not be marked yet"),
            Err(error) => tracing::warn!(%error, "what was in a deleted folder could not be marked yet"),
        }
    }
}

/// Has what is in these folders, which were deleted by the log's entries behind `before`, marked as deleted at `time` later.
pub(in crate::store) async fn begin(tx: &mut Tx, mailbox: i64, before: i64, time: i64) -> Result<(), Error> {
    let text = "
update folders set emptying = $3
where mailbox = $1 and id in (select folder_id from changes where mailbox = $1 and seq > $2 and contact_id is null)";
    tx.execute(Statement::new(text).bind(mailbox).bind(before).bind(time)).await
}

/// Marks some of what is in deleted folders. Answers whether there may be more.
pub(in crate::store) async fn some(tx: &mut Tx, mailbox: i64) -> Result<bool, Error> {
    let text = "select id, emptying from folders where mailbox = $1 and emptying is not null order by id limit 1";
    let Some(row) = tx.reading().await?.row(Statement::new(text).bind(mailbox)).await? else { return Ok(false) };
    mark(tx, mailbox, row.get(0)?, row.get(1)?).await?;
    Ok(true)
}

/// Marks all that is in a folder, before it is made anew.
pub(in crate::store) async fn all_in(tx: &mut Tx, mailbox: i64, folder: &str) -> Result<(), Error> {
    let text = "select emptying from folders where mailbox = $1 and id = $2 and emptying is not null";
    loop {
        let statement = Statement::new(text).bind(mailbox).bind(folder);
        let Some(row) = tx.reading().await?.row(statement).await? else { return Ok(()) };
        mark(tx, mailbox, folder.to_owned(), row.get(0)?).await?;
    }
}

/// A piece of a folder, or that nothing is left.
async fn mark(tx: &mut Tx, mailbox: i64, folder: String, time: i64) -> Result<(), Error> {
    let (before, now) = (changes::last(tx, mailbox).await?, tx.now());
    let log = "
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
select $1, $4 + row_number() over (order by id), $2, id, true, $3
from (
    select id from contacts where mailbox = $1 and parent_folder_id = $2 and deleted_date_time is null order by id limit $5
) as piece";
    let statement = Statement::new(log).bind(mailbox).bind(folder.as_str()).bind(now).bind(before);
    tx.execute(statement.bind(PIECE)).await?;
    let last = changes::logged(tx, mailbox, before).await?;
    if last == before {
        let text = "update folders set emptying = null where mailbox = $1 and id = $2";
        return tx.execute(Statement::new(text).bind(mailbox).bind(folder.as_str())).await;
    }
    tx.execute(Statement::new(MARK_CONTACTS).bind(mailbox).bind(time).bind(before)).await?;
    changes::catch_up(tx, mailbox, last).await
}
