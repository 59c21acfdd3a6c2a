//! Notifications to send: entries of the change log as a subscriber sees them.

use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::subscription::{ChangeType, Notice, Subject};
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;

/// Maximum number of log entries in one read, and maximum number of notices from them.
const MAX_ENTRIES: i64 = 10_000;
const MAX_NOTICES: i64 = 100;

/// A part of the log.
#[derive(Debug)]
pub(crate) struct NoticeBatch {
    /// In the order of the changes.
    pub(crate) notices: Vec<Notice>,
    /// The last number that was read.
    pub(crate) up_to: i64,
    /// The last number of the log.
    pub(crate) last: i64,
}

/// The entries of the log after a number.
pub(in crate::store) async fn read(
    session: &mut Session,
    mailbox: i64,
    subject: &Subject,
    after: i64,
) -> Result<NoticeBatch, Error> {
    // Numbers are in the order of commits, so all entries up to this one are visible.
    session.begin_snapshot().await?;
    let statement = Statement::new("select seq from mailboxes where id = $1").bind(mailbox);
    let last = session.row(statement).await?.map_or(Ok(after), |row| row.get(0))?;
    let up_to = last.min(after.saturating_add(MAX_ENTRIES));
    let notices = match subject {
        Subject::Contacts => contact_notices(session, mailbox, None, after, up_to).await?,
        Subject::ContactsOf(folder) => contact_notices(session, mailbox, Some(folder), after, up_to).await?,
        Subject::Folders => folder_notices(session, mailbox, after, up_to).await?,
    };
    let is_full = i64::try_from(notices.len()).is_ok_and(|count| count >= MAX_NOTICES);
    let up_to = notices.last().filter(|_| is_full).map_or(up_to, |notice| notice.seq);
    Ok(NoticeBatch { notices, up_to, last })
}

/// Notices of contacts, in one folder or in all.
///
/// The entry with the time of a contact's creation is its creation; for a contact that was deleted permanently, the
/// first entry is. A move leaves two entries in a row: removed from one folder, and changed in another. That is deleted
/// in the one folder, created in the other, and updated for the mailbox. A restored contact leaves two entries in one
/// folder, and is created.
async fn contact_notices(
    session: &mut Session,
    mailbox: i64,
    folder: Option<&str>,
    after: i64,
    up_to: i64,
) -> Result<Vec<Notice>, Error> {
    let text = "
select c.seq, c.contact_id, c.changed_date_time, c.removed,
    coalesce(k.created_date_time = c.changed_date_time, not exists (
        select 1 from changes e where e.mailbox = c.mailbox and e.contact_id = c.contact_id and e.seq < c.seq and not e.of_card))
        or coalesce(b.folder_id = c.folder_id, false),
    b.seq is not null
from changes c
    left join contacts k on k.mailbox = c.mailbox and k.id = c.contact_id
    left join changes b on b.mailbox = c.mailbox and b.seq = c.seq - 1 and b.contact_id = c.contact_id and b.removed
        and b.changed_date_time = c.changed_date_time
    left join changes a on a.mailbox = c.mailbox and a.seq = c.seq + 1 and a.contact_id = c.contact_id and not a.removed
        and a.changed_date_time = c.changed_date_time
where c.mailbox = $1 and c.seq > $2 and c.seq <= $3 and c.contact_id is not null and not c.of_card
    and (c.folder_id = $4 and not coalesce(c.removed and a.folder_id = c.folder_id, false)
        or $4 is null and not (c.removed and a.seq is not null))
order by c.seq limit $5";
    let statement = Statement::new(text).bind(mailbox).bind(after).bind(up_to).bind(folder).bind(MAX_NOTICES);
    let rows = session.rows(statement).await?;
    let notices = rows.iter().map(|row| {
        let (removed, is_new, follows_removal): (bool, bool, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let change = match (removed, is_new || follows_removal && folder.is_some()) {
            (true, _) => ChangeType::Deleted,
            (false, true) => ChangeType::Created,
            (false, false) => ChangeType::Updated,
        };
        let id = row.get::<Uuid>(1)?.to_string();
        Ok(Notice { seq: row.get(0)?, change, id, changed_date_time: row.get(2)? })
    });
    notices.collect()
}

/// Notices of folders. A deleted folder may be created again, so its row only describes the last creation; the log has
/// the earlier ones.
async fn folder_notices(session: &mut Session, mailbox: i64, after: i64, up_to: i64) -> Result<Vec<Notice>, Error> {
    let text = "
select c.seq, c.folder_id, c.changed_date_time, c.removed,
    case when k.created_date_time <= c.changed_date_time then k.created_date_time = c.changed_date_time else coalesce((
        select e.removed from changes e
        where e.mailbox = c.mailbox and e.folder_id = c.folder_id and e.contact_id is null and e.seq < c.seq
        order by e.seq desc limit 1), true) end
from changes c left join folders k on k.mailbox = c.mailbox and k.id = c.folder_id
where c.mailbox = $1 and c.seq > $2 and c.seq <= $3 and c.contact_id is null
order by c.seq limit $4";
    let rows = session.rows(Statement::new(text).bind(mailbox).bind(after).bind(up_to).bind(MAX_NOTICES)).await?;
    let notices = rows.iter().map(|row| {
        let change = match (row.get(3)?, row.get(4)?) {
            (true, _) => ChangeType::Deleted,
            (false, true) => ChangeType::Created,
            (false, false) => ChangeType::Updated,
        };
        Ok(Notice { seq: row.get(0)?, change, id: row.get(1)?, changed_date_time: row.get(2)? })
    });
    notices.collect()
}
