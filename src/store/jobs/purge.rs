//! Purges expired data: deleted items, idempotency keys, and entries of the change log and the audit log. A purge runs on its
//! own thread soon after the store is opened and then every hour, in small transactions through the writer, so that other writes do
//! not wait long. Several processes may purge at the same time.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{self, Mode};
use crate::domain::error::Error;
use crate::metrics::list::{PURGE_SUCCESS, PURGED, Purged};
use crate::store::db::engine::Row;
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::tables::contacts::{self, select_columns};
use crate::store::tables::{cards, dav_properties, idempotency, quota, trash};
use crate::store::write::tx::Tx;
use crate::store::{OpenError, Options, SharedStore, Store};

/// Time until the first purge, so that it does not delay the start and the first requests.
const FIRST: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_hours(1);
/// Maximum number of contacts that a transaction removes, and their approximate size in bytes.
const MAX_CONTACTS: i64 = 200;
const MAX_BYTES: i64 = 4 << 20;
/// The same for folders. It is small, because for each the database checks that no contact is in it.
const MAX_FOLDERS: i64 = 5;
/// The same for entries of the change log.
const MAX_CHANGES: i64 = 5_000;
/// Tolerance for differences between the clocks of processes, in microseconds: a day.
const CLOCK_TOLERANCE: i64 = 24 * 60 * 60 * 1_000_000;
/// Lifetime of a sync token of CardDAV, in microseconds: 400 days.
const SYNC_TOKEN_LIFETIME: i64 = 400 * CLOCK_TOLERANCE;
/// Number of mailboxes that are checked at once.
const MAILBOXES: i64 = 500;

/// Dropping this stops the purges.
pub(in crate::store) type PurgeHandle = Sender<()>;

impl Store {
    /// Starts the purges, if the options ask for any.
    pub(in crate::store) fn start_purges(&self) -> Result<(), OpenError> {
        let Options { keep_deleted, keep_changes, keep_audit, .. } = self.shared.options;
        if keep_deleted.is_none() && keep_changes.is_none() && keep_audit.is_none() {
            return Ok(());
        }
        let (running, stop) = mpsc::channel();
        let shared = Arc::downgrade(&self.shared);
        let work = move || {
            // It waits only for the writer's answers, which needs no I/O driver.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
            let mut wait = FIRST;
            while stop.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                // Nothing becomes due while the clock of a test is stopped, and a write may move it. Whoever advances it purges.
                if clock::mode() == Mode::System {
                    runtime.block_on(purge(&shared, keep_deleted, keep_changes, keep_audit));
                }
                wait = EVERY;
            }
        };
        let thread = std::thread::Builder::new().name("contactd-purge".to_owned()).spawn(clock::inherited(work));
        thread.map_err(|error| OpenError::from_line(format!("no thread: {error}")))?;
        *self.shared.purging.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }

    /// Purges what is due by now.
    pub(crate) async fn purge_now(&self) {
        let Options { keep_deleted, keep_changes, keep_audit, .. } = self.shared.options;
        purge(&Arc::downgrade(&self.shared), keep_deleted, keep_changes, keep_audit).await;
    }

    /// Removes the content of a mailbox whose user is removed.
    pub(in crate::store) async fn empty_mailbox(&self, mailbox: i64) -> Result<(), Error> {
        let mark = async move |tx: &mut Tx| mark_contacts(tx, mailbox).await;
        while self.write(Some(mailbox), mark).await? {}
        let rest = async move |tx: &mut Tx| {
            for text in EMPTY {
                tx.execute(Statement::new(text).bind(mailbox)).await?;
            }
            Ok(())
        };
        self.write(Some(mailbox), rest).await?;
        self.purge_mailbox(mailbox, trash::PERMANENTLY).await?;
        self.forget_imports(mailbox).await?;
        while self.write(Some(mailbox), async move |tx| remove_changes(tx, mailbox, i64::MAX).await).await? {}
        while self.write(Some(mailbox), async move |tx| remove_kept(tx, mailbox, i64::MAX, true).await).await? {}
        self.write(Some(mailbox), async move |tx| cards::forget_names(tx, mailbox, i64::MAX).await).await
    }

    /// Removes the items of a mailbox that were deleted at `until` or before.
    pub(in crate::store) async fn purge_mailbox(&self, mailbox: i64, until: i64) -> Result<(), Error> {
        while self.write(Some(mailbox), async move |tx| emptying::mark_some(tx, mailbox).await).await? {}
        let contacts = async move |tx: &mut Tx| remove_contacts(tx, mailbox, until).await;
        while self.write(Some(mailbox), contacts).await? {}
        while self.write(Some(mailbox), async move |tx| cards::remove_groups(tx, mailbox, until).await).await? {}
        while self.write(Some(mailbox), async move |tx| trash::move_out_of_folders(tx, mailbox).await).await? {}
        let folders = async move |tx: &mut Tx| remove_folders(tx, mailbox, until).await;
        while self.write(Some(mailbox), folders).await? {}
        Ok(())
    }
}

/// One purge. The next one repeats what fails.
pub(in crate::store) async fn purge(
    shared: &Weak<SharedStore>,
    keep_deleted: Option<Duration>,
    keep_changes: Option<Duration>,
    keep_audit: Option<Duration>,
) {
    let before = |keep: Option<Duration>| {
        let keep = keep.map_or(i64::MAX, clock::micros);
        clock::now().saturating_sub(keep)
    };
    let until = before(keep_deleted).max(trash::PERMANENTLY);
    // A delta token refers to entries that are older than itself, by the clock of any process.
    let changes = before(keep_changes).saturating_sub(CLOCK_TOLERANCE);
    // Recent entries prove commits whose answer was lost.
    let entries = before(keep_audit.map(|keep| keep.max(EVERY)));
    let mut last = 0;
    // The store may be closed between two steps.
    while let Some(store) = shared.upgrade().map(|shared| Store { shared, actor: None, snapshot: None }) {
        match purge_some(&store, until, changes, last).await {
            Ok(Some(next)) => last = next,
            Ok(None) => break,
            // The store was closed meanwhile.
            Err(_) if store.writer().is_err() => return,
            Err(error) => {
                tracing::warn!(%error, "purging deleted items failed; the next purge tries again");
                return;
            }
        }
    }
    while let Some(store) = shared.upgrade().map(|shared| Store { shared, actor: None, snapshot: None }) {
        match store.forget_audit_entries(entries).await {
            Ok(true) => {}
            Ok(false) => return PURGE_SUCCESS.set(clock::now() / 1_000_000),
            Err(_) if store.writer().is_err() => return,
            Err(error) => {
                return tracing::warn!(%error, "purging the audit log failed; the next purge tries again");
            }
        }
    }
}

/// Purges the next mailboxes after `last`. Returns the last of them.
async fn purge_some(store: &Store, until: i64, changes: i64, last: i64) -> Result<Option<i64>, Error> {
    let mailboxes = store.write(None, async move |tx| find_expired(tx, until, changes, last).await).await?;
    let next = mailboxes.last().map(|(mailbox, ..)| *mailbox);
    for (mailbox, due, orphaned) in mailboxes {
        if orphaned {
            store.empty_mailbox(mailbox).await?;
        }
        if orphaned || !due {
            continue;
        }
        store.purge_mailbox(mailbox, until).await?;
        while store.write(Some(mailbox), async move |tx| remove_changes(tx, mailbox, changes).await).await? {}
        let kept = kept_until(changes);
        while store.write(Some(mailbox), async move |tx| remove_kept(tx, mailbox, kept, false).await).await? {}
        store.write(Some(mailbox), async move |tx| idempotency::purge(tx, mailbox).await).await?;
    }
    Ok(next)
}

/// Until when entries that are kept for CardDAV have expired, given the same of all others.
fn kept_until(changes: i64) -> i64 {
    changes.min(clock::now() - SYNC_TOKEN_LIFETIME)
}

/// Further content of a mailbox whose user is removed. Folders are only marked, because they must be empty to be removed.
const EMPTY: [&str; 5] = [
    "delete from dav_properties where mailbox = $1",
    "update cards set deleted_date_time = 0 where mailbox = $1 and is_group",
    "update folders set deleted_date_time = 0 where mailbox = $1",
    "delete from master_categories where mailbox = $1",
    "delete from idempotency_keys where mailbox = $1",
];

/// Marks some contacts as permanently deleted. Returns whether there may be more.
async fn mark_contacts(tx: &mut Tx, mailbox: i64) -> Result<bool, Error> {
    let text = "
select id from contacts where mailbox = $1 and coalesce(deleted_date_time, 1) > 0 order by id limit $2";
    let rows = tx.reader().await?.rows(Statement::new(text).bind(mailbox).bind(MAX_CONTACTS)).await?;
    let Some(last) = rows.last() else { return Ok(false) };
    let last: Uuid = last.get(0)?;
    // The index of what is not deleted finds these, however many were marked before.
    let text = "
update folders set contacts = contacts - (
    select count(*) from contacts c
    where c.mailbox = $1 and c.parent_folder_id = folders.id and c.deleted_date_time is null and c.id <= $2)
where mailbox = $1 and contacts > 0";
    tx.execute(Statement::new(text).bind(mailbox).bind(last)).await?;
    let text = "update contacts set deleted_date_time = 0 where mailbox = $1 and id <= $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(last)).await?;
    Ok(true)
}

/// The next mailboxes after `last`, each with whether anything in it has expired, and whether its user is removed.
async fn find_expired(tx: &mut Tx, until: i64, changes: i64, last: i64) -> Result<Vec<(i64, bool, bool)>, Error> {
    let text = "
select id,
    exists (select 1 from contacts where mailbox = m.id and deleted_date_time <= $1)
    or exists (select 1 from folders where mailbox = m.id and deleted_date_time <= $1)
    or exists (select 1 from cards /* indexed by cards_gone */ where mailbox = m.id and is_group and deleted_date_time <= $1)
    or exists (select 1 from folders where mailbox = m.id and emptying is not null)
    or exists (select 1 from idempotency_keys where mailbox = m.id and created_date_time <= $2)
    or coalesce((
        select changed_date_time from changes where mailbox = m.id and seq > coalesce((
            select max(seq) from changes /* indexed by changes_kept */ where mailbox = m.id and kept), 0)
        order by seq limit 1) <= $5, false)
    or exists (
        select 1 from (
            select folder_id, seq, changed_date_time from changes /* indexed by changes_kept */
            where mailbox = m.id and kept order by seq limit 100) l
        where l.changed_date_time <= $6
            and (not exists (select 1 from folders f where f.mailbox = m.id and f.id = l.folder_id) or l.seq < (
                select max(e.seq) from changes e /* indexed by changes_by_folder */
                where e.mailbox = m.id and e.folder_id = l.folder_id and e.contact_id is not null))),
    not exists (select 1 from users where mailbox = m.id) and (
        exists (select 1 from folders where mailbox = m.id) or exists (select 1 from changes where mailbox = m.id))
from mailboxes m where id > $3 order by id limit $4";
    let expired_before = tx.now() - idempotency::LIFETIME;
    let statement = Statement::hinted(text).bind(until).bind(expired_before).bind(last).bind(MAILBOXES).bind(changes);
    let statement = statement.bind(kept_until(changes));
    let rows = tx.reader().await?.rows(statement).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// Removes the first expired contacts. Returns whether there may be more.
async fn remove_contacts(tx: &mut Tx, mailbox: i64, until: i64) -> Result<bool, Error> {
    let due = Sql::new("with due as (select id, size, deleted_date_time from contacts where mailbox = ").value(mailbox);
    let due = due.text(" and deleted_date_time <= ").value(until).text(" order by deleted_date_time, id limit ");
    let due = due.value(MAX_CONTACTS).text(
        "), measured as (
    select id, sum(size) over (order by deleted_date_time, id rows unbounded preceding) - size as before from due
)",
    );
    let select = due.then(select_columns()).text(" from measured m join contacts c on c.mailbox = ").value(mailbox);
    let select = select.text(" and c.id = m.id left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id");
    let select = select.text(" where m.before < ").value(MAX_BYTES);
    let rows = tx.reader().await?.rows(select.into()).await?;
    let contacts = rows.iter().map(contacts::read).collect::<Result<Vec<_>, _>>()?;
    if !contacts.is_empty() {
        trash::remove(tx, mailbox, &contacts).await?;
        PURGED.add(Purged::Contacts, contacts.len() as u64);
    }
    Ok(!contacts.is_empty())
}

/// Removes the first expired entries of the change log. Returns whether there may be more.
async fn remove_changes(tx: &mut Tx, mailbox: i64, until: i64) -> Result<bool, Error> {
    let text = "
select max(seq), count(*) from (
    select seq, changed_date_time from changes
    where mailbox = $1 and seq > coalesce((
        select max(seq) from changes /* indexed by changes_kept */ where mailbox = $1 and kept), 0)
    order by seq limit $3
) first where changed_date_time <= $2";
    let statement = Statement::hinted(text).bind(mailbox).bind(until).bind(MAX_CHANGES);
    let row = tx.reader().await?.single_row(statement).await?;
    let (last, count): (Option<i64>, i64) = (row.get(0)?, row.get(1)?);
    let Some(last) = last else { return Ok(false) };
    let text = "
delete from changes
where mailbox = $1 and seq <= $2 and not kept and (contact_id is null or not removed and seq < (
    select max(e.seq) from changes e /* indexed by changes_by_folder */
    where e.mailbox = $1 and e.folder_id = changes.folder_id and e.contact_id is not null))";
    tx.execute(Statement::hinted(text).bind(mailbox).bind(last)).await?;
    let text = "update changes set kept = true where mailbox = $1 and seq <= $2 and not kept";
    tx.execute(Statement::new(text).bind(mailbox).bind(last)).await?;
    PURGED.add(Purged::Changes, u64::try_from(count).unwrap_or_default());
    Ok(true)
}

/// Removes the first expired entries that are kept for CardDAV. The last entry of each existing folder stays, because its number
/// is the folder's watermark. Returns whether there may be more.
async fn remove_kept(tx: &mut Tx, mailbox: i64, until: i64, even_last: bool) -> Result<bool, Error> {
    let text = "
select max(seq) from (
    select seq from changes l /* indexed by changes_kept */
    where mailbox = $1 and kept and changed_date_time <= $2 and ($4
        or not exists (select 1 from folders f where f.mailbox = $1 and f.id = l.folder_id) or seq < (
        select max(e.seq) from changes e /* indexed by changes_by_folder */
    where e.mailbox = $1 and e.folder_id = l.folder_id and e.contact_id is not null))
    order by seq limit $3
) first";
    let statement = Statement::hinted(text).bind(mailbox).bind(until).bind(MAX_CHANGES).bind(even_last);
    let row = tx.reader().await?.row(statement).await?;
    let Some(last) = row.map_or(Ok(None), |row| row.get::<Option<i64>>(0))? else { return Ok(false) };
    let text = "
delete from changes
where mailbox = $1 and seq <= $2 and kept and changed_date_time <= $3 and ($4
    or not exists (select 1 from folders f where f.mailbox = $1 and f.id = changes.folder_id) or seq < (
    select max(e.seq) from changes e /* indexed by changes_by_folder */
    where e.mailbox = $1 and e.folder_id = changes.folder_id and e.contact_id is not null))";
    tx.execute(Statement::hinted(text).bind(mailbox).bind(last).bind(until).bind(even_last)).await?;
    cards::forget_names(tx, mailbox, last).await?;
    Ok(true)
}

/// Removes the first expired folders that are empty. Returns whether there may be more, because parents become empty.
async fn remove_folders(tx: &mut Tx, mailbox: i64, until: i64) -> Result<bool, Error> {
    // Contacts in a deleted folder are deleted too.
    let text = "
select id from folders f
where mailbox = $1 and deleted_date_time <= $2 and emptying is null
    and not exists (select 1 from folders i where i.mailbox = $1 and i.parent_folder_id = f.id)
    and id not in (select parent_folder_id from contacts /* indexed by contacts_deleted */ where mailbox = $1 and deleted_date_time is not null)
limit $3";
    let statement = Statement::hinted(text).bind(mailbox).bind(until).bind(MAX_FOLDERS);
    let rows = tx.reader().await?.rows(statement).await?;
    let ids = rows.iter().map(|row: &Row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
    for id in &ids {
        let held = quota::of_folder(tx.reader().await?, mailbox, id).await?;
        quota::count(tx, mailbox, 0, -held).await?;
        dav_properties::clear(tx, mailbox, id).await?;
        let text = "delete from folders where mailbox = $1 and id = $2";
        tx.execute(Statement::new(text).bind(mailbox).bind(id)).await?;
    }
    PURGED.add(Purged::Folders, ids.len() as u64);
    Ok(!ids.is_empty())
}
