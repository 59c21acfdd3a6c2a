//! The changes of a folder since a watermark, from the change log as far as it goes back, and from the rows themselves.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::domain::card;
use crate::domain::error::Error;
use crate::domain::sync::Watermark;
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::query::books::{ListedCard, members_of, read_watermark};

/// Number of cards that are looked up at once.
const BLOCK: usize = 1_000;

/// The changes of a folder since a watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookChanges {
    /// The ids of existing cards that are new or changed, in the order of their last change. [`Store::members_until`] reads
    /// the cards.
    pub changed: Vec<Uuid>,
    /// Names that no longer exist.
    pub removed: Vec<String>,
    /// The watermark after these changes.
    pub moment: Watermark,
    /// The mailbox's last number when they were read.
    pub last: i64,
    /// Whether there are more changes.
    pub more: bool,
}

impl Store {
    /// The changes of a folder since a watermark; without one, all existing cards. At most `limit` changed and removed
    /// ones together. The log may no longer have changes before `kept_since` (UTC microseconds).
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder, [`Error::OutOfSync`] for a watermark of another history.
    pub async fn book_changes(
        &self,
        mailbox: i64,
        folder: &str,
        since: Option<Watermark>,
        limit: i64,
        kept_since: i64,
    ) -> Result<BookChanges, Error> {
        let read = async |session: &mut Session| {
            session.begin_snapshot().await?;
            if let Some(then) = since {
                check_watermark(session, mailbox, then, kept_since).await?;
            }
            let now = read_watermark(session, mailbox, folder).await?;
            changes(session, mailbox, folder, (since, now), limit, kept_since).await
        };
        self.read_expensive(Some(mailbox), read).await
    }

    /// The cards with these ids, in their order, without those that are no longer in the folder or have changed after the
    /// mailbox's number `last`. So they are as they were then, although they are read later: what is left out comes with the
    /// changes after `last`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members_until(
        &self,
        mailbox: i64,
        folder: &str,
        ids: &[Uuid],
        last: i64,
    ) -> Result<Vec<ListedCard>, Error> {
        let read = async |session: &mut Session| {
            let mut found = members_of(session, mailbox, folder, ids).await?;
            Ok(ids.iter().filter_map(|id| found.remove(id)).filter(|member| member.version <= last).collect())
        };
        self.read_expensive(Some(mailbox), read).await
    }
}

/// Checks that the watermark belongs to this mailbox's history: the log has the same entry, or the entry is so old that
/// it may have been purged.
async fn check_watermark(
    session: &mut Session,
    mailbox: i64,
    watermark: Watermark,
    kept_since: i64,
) -> Result<(), Error> {
    let text = "
select m.seq, c.changed_date_time from mailboxes m left join changes c on c.mailbox = m.id and c.seq = $2 where m.id = $1";
    let row = session.row(Statement::new(text).bind(mailbox).bind(watermark.seq)).await?;
    let row = row.ok_or_else(|| Error::internal("the mailbox is gone"))?;
    let entry_matches = match row.get::<Option<i64>>(1)? {
        Some(time) => time == watermark.entry.1,
        None => watermark == Watermark::default() || watermark.entry.1 < kept_since,
    };
    if entry_matches && row.get::<i64>(0)? >= watermark.seq {
        return Ok(());
    }
    Err(Error::OutOfSync("The token belongs to another history of changes, or is ahead of this one.", String::new()))
}

/// The changes of a folder between a watermark and now.
async fn changes(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    (since, now): (Option<Watermark>, Watermark),
    limit: i64,
    kept_since: i64,
) -> Result<BookChanges, Error> {
    let after = since.unwrap_or_default().seq;
    let select_in_folder = |text: &'static str, folder_column: &'static str| {
        Sql::new(text).value(mailbox).text(folder_column).value(folder.to_owned())
    };
    // The log is complete from there on if no later entry is old enough to be purged.
    let is_complete = since.is_some_and(|then| then.entry.1 >= kept_since);
    let mut items = Vec::new();
    if since.is_some() {
        let log =
            "select l.contact_id as id, l.seq as seq from changes l where l.contact_id is not null and l.mailbox = ";
        let log = select_in_folder(log, " and l.folder_id = ").text(" and l.seq > ").value(after);
        // For removed cards, the log keeps the entries. An existing card has the time of its change in its own row.
        items.push(if is_complete { log } else { log.text(" and l.removed") });
        let names =
            "select k.contact_id, k.version from cards k where k.deleted_date_time is not null and k.mailbox = ";
        items.push(select_in_folder(names, " and k.folder_id = ").text(" and k.version > ").value(after));
    }
    if !is_complete {
        let contacts =
            "select c.id as id, c.version as seq from contacts c where c.deleted_date_time is null and c.mailbox = ";
        items.push(select_in_folder(contacts, " and c.parent_folder_id = ").text(" and c.version > ").value(after));
        let photos =
            "select c.id, p.version from photos p join contacts c on c.mailbox = p.mailbox and c.id = p.contact_id
where c.deleted_date_time is null and c.mailbox = ";
        items.push(select_in_folder(photos, " and c.parent_folder_id = ").text(" and p.version > ").value(after));
        let cards = "select k.contact_id, k.version from cards k where k.deleted_date_time is null and k.mailbox = ";
        items.push(select_in_folder(cards, " and k.folder_id = ").text(" and k.version > ").value(after));
    }
    let mut items = items.into_iter();
    let first = items.next().unwrap_or_default();
    let items = items.fold(first, |union, item| union.text(" union all ").then(item));
    let select = Sql::new("select id, max(seq) from (").then(items).text(") as items group by id order by 2 limit ");
    let rows = session.rows(select.value(limit.saturating_add(1)).into()).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|found| found > limit);
    let taken = usize::try_from(limit).unwrap_or(usize::MAX);
    let items = rows.iter().take(taken).map(|row| Ok((row.get(0)?, row.get(1)?)));
    let items = items.collect::<Result<Vec<(Uuid, i64)>, Error>>()?;
    drop(rows);
    let (mut changed, mut absent) = (Vec::new(), Vec::new());
    for block in items.chunks(BLOCK) {
        let ids: Vec<_> = block.iter().map(|(id, _)| *id).collect();
        let present = ids_of(session, mailbox, folder, &ids).await?;
        let (still_present, gone): (Vec<Uuid>, Vec<Uuid>) = ids.into_iter().partition(|id| present.contains(id));
        changed.extend(still_present);
        absent.extend(gone);
    }
    // In the first round a client knows no cards, so none can be gone.
    let removed = if since.is_some() { removed_names(session, mailbox, folder, &absent).await? } else { Vec::new() };
    let moment = match items.last().filter(|_| more) {
        Some((id, seq)) => watermark_of(session, mailbox, folder, (*id, *seq)).await?,
        None => Watermark {
            seq: now.seq.max(after),
            entry: if now.seq >= after { now.entry } else { since.unwrap_or_default().entry },
        },
    };
    let text = "select seq from mailboxes where id = $1";
    let last = session.count(Statement::new(text).bind(mailbox)).await?;
    Ok(BookChanges { changed, removed, moment, last, more })
}

/// Those of the given ids whose cards are in the folder.
async fn ids_of(session: &mut Session, mailbox: i64, folder: &str, ids: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
    let contacts =
        Sql::new("select c.id from contacts c where c.deleted_date_time is null and c.mailbox = ").value(mailbox);
    let contacts =
        contacts.text(" and c.parent_folder_id = ").value(folder.to_owned()).then(emptying::is_in_none(mailbox));
    let groups =
        Sql::new("select k.contact_id from cards k where k.is_group and k.deleted_date_time is null and k.mailbox = ");
    let groups = groups.value(mailbox).text(" and k.folder_id = ").value(folder.to_owned());
    let mut found = HashSet::new();
    for select in [contacts.text(" and c.id in "), groups.text(" and k.contact_id in ")] {
        for row in &session.rows(select.then(Sql::among(ids)).into()).await? {
            found.insert(row.get(0)?);
        }
    }
    Ok(found)
}

/// The watermark of a card's change, from the log or from the row that was written then.
async fn watermark_of(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    (id, seq): (Uuid, i64),
) -> Result<Watermark, Error> {
    let text = "select changed_date_time from changes where mailbox = $1 and seq = $2";
    let row = session.row(Statement::new(text).bind(mailbox).bind(seq)).await?;
    let time = if let Some(row) = row {
        row.get(0)?
    } else {
        let member = members_of(session, mailbox, folder, &[id]).await?.remove(&id);
        member.filter(|member| member.version == seq).map_or(0, |member| member.last_modified_date_time)
    };
    Ok(Watermark { seq, entry: (seq, time) })
}

/// The names of removed cards, without those that another card has now.
async fn removed_names(session: &mut Session, mailbox: i64, folder: &str, ids: &[Uuid]) -> Result<Vec<String>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = Sql::new("select contact_id, name from cards where mailbox = ").value(mailbox);
    let select = select.text(" and folder_id = ").value(folder.to_owned()).text(" and contact_id in ");
    let mut names: HashMap<Uuid, String> = HashMap::new();
    for row in &session.rows(select.then(Sql::among(ids)).into()).await? {
        names.insert(row.get(0)?, row.get(1)?);
    }
    let mut removed: Vec<_> = ids.iter().map(|id| names.remove(id).unwrap_or_else(|| card::own_name(*id))).collect();
    let mut seen = HashSet::new();
    removed.retain(|name| seen.insert(name.clone()));
    let select = Sql::new("select name from cards where deleted_date_time is null and mailbox = ").value(mailbox);
    let select = select.text(" and folder_id = ").value(folder.to_owned()).text(" and name in ");
    let mut taken = HashSet::new();
    for row in &session.rows(select.then(Sql::among_texts(&removed)).into()).await? {
        taken.insert(row.get::<String>(0)?);
    }
    removed.retain(|name| !taken.contains(name));
    Ok(removed)
}
