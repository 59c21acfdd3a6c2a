//! The number of contacts in a folder that are not deleted. It is stored in the folder's row and updated in the
//! transaction of each write, so that a list is counted without reading it. The number of a mailbox is the sum of its
//! folders.

use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;
use crate::store::write::tx::Tx;

/// Adds to the number of contacts in a folder; a negative number subtracts. The frequent writes do this themselves
/// (`procedures`).
pub(in crate::store) async fn count(tx: &mut Tx, mailbox: i64, folder: &str, contacts: i64) -> Result<(), Error> {
    let text = "update folders set contacts = contacts + $3 where mailbox = $1 and id = $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(folder).bind(contacts)).await
}

/// Subtracts the contacts that log entries after `$2` deleted from their folders.
const SUBTRACT_DELETED: &str = "
update folders set contacts = folders.contacts - l.n
from (
    select folder_id, count(*) as n from changes
    where mailbox = $1 and seq > $2 and contact_id is not null and removed group by folder_id
) l
where folders.mailbox = $1 and folders.id = l.folder_id";

/// Marks the contacts of log entries after `last` as deleted at `time`.
pub(in crate::store) async fn mark_contacts(tx: &mut Tx, mailbox: i64, time: i64, last: i64) -> Result<(), Error> {
    tx.execute(Statement::new(MARK_CONTACTS).bind(mailbox).bind(time).bind(last)).await?;
    tx.execute(Statement::new(SUBTRACT_DELETED).bind(mailbox).bind(last)).await
}

/// The same for `$2` and `$3`.
const MARK_CONTACTS: &str = "
update contacts set deleted_date_time = $2, last_modified_date_time = $2, version = l.seq
from changes l where l.mailbox = $1 and l.seq > $3 and contacts.mailbox = $1 and contacts.id = l.contact_id";

/// The number of contacts in a folder, or in all folders of a mailbox. Folders that are being emptied do not count.
pub(in crate::store) async fn contacts(
    session: &mut Session,
    mailbox: i64,
    folder: Option<&str>,
) -> Result<i64, Error> {
    let sum = Statement::per_engine(
        "select coalesce(sum(contacts), 0) from folders where mailbox = $1 and (id = $2 or $2 is null and emptying is null)",
        "select coalesce(sum(contacts), 0)::bigint from folders
where mailbox = $1 and (id = $2::text or $2::text is null and emptying is null)",
    );
    session.count(sum.bind(mailbox).bind(folder)).await
}

/// The folders with contacts, at most `limit`, without those that are being emptied.
pub(in crate::store) async fn folders_with_contacts(
    session: &mut Session,
    mailbox: i64,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let text = "
select id from folders where mailbox = $1 and contacts > 0 and emptying is null order by id limit $2";
    let rows = session.rows(Statement::new(text).bind(mailbox).bind(limit)).await?;
    rows.iter().map(|row| row.get(0)).collect()
}
