//! The cards stored with contacts, and those of groups (docs/carddav.md). The card's row moves with its contact to
//! another folder, to the trash and back, in the same transaction. When a card loses its name, a deleted row without a
//! contact keeps the name, so that clients learn that it is gone.

use serde::Serialize;
use uuid::Uuid;

use crate::domain::card::{self, Card, CardVersion, NewCard, PhotoPlace};
use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::schema::{CARD_TEXTS, CARDS};
use crate::store::tables::table::Table;
use crate::store::tables::{card_rows, changes, quota};
use crate::store::write::tx::Tx;

/// Maximum size of a piece of text in bytes.
const PIECE: usize = 256 << 10;

/// A card, with the contact or group it belongs to.
#[derive(Debug, Clone)]
pub(in crate::store) struct StoredCard {
    /// The contact's id, or the group's own.
    pub(in crate::store) id: Uuid,
    /// The folder.
    pub(in crate::store) folder: String,
    /// The versions of the contact and of its photo as written with the card; the mailbox's number of the write for a group.
    pub(in crate::store) contact_version: i64,
    pub(in crate::store) photo: Option<(i64, Vec<u8>)>,
    /// Its name must be free in the folder ([`free_name_and_uid`]), or the contact's own.
    pub(in crate::store) card: NewCard,
    /// The same for the UID key. `None`: the key of the card's UID.
    pub(in crate::store) uid_key: Option<String>,
    /// The mailbox's number of this write.
    pub(in crate::store) version: i64,
}

/// Stores cards. Each replaces the one its contact has. This takes two statements, and one for the earlier cards.
///
/// # Errors
/// [`Error::Quota`] if they grow and there is no room.
pub(in crate::store) async fn put(tx: &mut Tx, mailbox: i64, kept: Vec<StoredCard>) -> Result<Vec<Card>, Error> {
    let ids: Vec<_> = kept.iter().map(|kept| kept.id).collect();
    let before = clear_texts(tx, mailbox, &ids).await?;
    store(tx, mailbox, kept, before).await
}

/// The same for contacts that have no card.
pub(in crate::store) async fn insert_new(tx: &mut Tx, mailbox: i64, new: Vec<StoredCard>) -> Result<Vec<Card>, Error> {
    store(tx, mailbox, new, 0).await
}

/// Stores cards whose earlier texts had `before` bytes.
async fn store(tx: &mut Tx, mailbox: i64, kept: Vec<StoredCard>, before: i64) -> Result<Vec<Card>, Error> {
    let now = tx.now();
    let cards: Vec<_> = kept.into_iter().map(|kept| stored_card(kept, now)).collect();
    let bytes = quota::bytes(cards.iter().filter_map(|card| card.text.as_ref()).map(String::len));
    quota::grow(tx, mailbox, bytes - before).await?;
    insert(tx, mailbox, &CARDS, &cards.iter().map(row).collect::<Vec<_>>()).await?;
    insert(tx, mailbox, &CARD_TEXTS, &cards.iter().flat_map(pieces).collect::<Vec<_>>()).await?;
    Ok(cards)
}

/// The card of a contact that is about to be created. Without a UID it gets the contact's id. Its versions are missing.
pub(in crate::store) fn of_new(contact: &Contact, mut card: NewCard) -> Card {
    card.uid.get_or_insert_with(|| contact.id.to_string());
    let (id, folder) = (contact.id, contact.parent_folder_id.clone());
    let kept = StoredCard { id, folder, contact_version: 0, photo: None, card, uid_key: None, version: 0 };
    stored_card(kept, contact.last_modified_date_time)
}

/// The card as it is stored.
fn stored_card(
    StoredCard { id, folder, contact_version, photo, card, uid_key, version }: StoredCard,
    now: i64,
) -> Card {
    let NewCard { name, uid, is_group, version: vcard, text } = card;
    let (photo_version, bytes) = photo.unzip();
    let (text, place) = match (text, bytes) {
        (Some(text), Some(bytes)) if !bytes.is_empty() => match PhotoPlace::cut(&text, &bytes) {
            Some((text, place)) => (Some(text), Some(place)),
            None => (Some(text), None),
        },
        (text, _) => (text, None),
    };
    Card {
        id,
        folder_id: folder,
        name: name.unwrap_or_else(|| card::own_name(id)),
        uid_key: uid_key.or_else(|| uid.as_deref().map(card::uid_key)).unwrap_or_else(|| id.to_string()),
        uid,
        is_group,
        vcard,
        text,
        photo: place,
        contact_version,
        photo_version,
        version,
        last_modified_date_time: now,
    }
}

/// The values of a card after the mailbox, in the order of the columns, with ids in hexadecimal.
fn row(card: &Card) -> impl Serialize {
    let place = card.photo.as_ref();
    (
        card.id.as_simple(),
        &card.folder_id,
        &card.name,
        &card.uid,
        &card.uid_key,
        card.is_group,
        card.vcard.name(),
        card.contact_version,
        card.photo_version,
        place.map(|place| place.at),
        place.map(|place| place.first),
        place.map(|place| place.width),
        place.map(|place| &place.line_break),
        card.version,
        card.last_modified_date_time,
        None::<i64>,
    )
}

/// The pieces of a card's text, each a row.
fn pieces(card: &Card) -> impl Iterator<Item = impl Serialize> {
    let pieces = pieces_of(card.text.as_deref().unwrap_or_default());
    pieces.into_iter().enumerate().map(|(at, piece)| (card.id.as_simple(), at, piece))
}

/// The pieces in which a text is stored.
pub(in crate::store) fn pieces_of(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, behind) = text.split_at(text.floor_char_boundary(PIECE));
        pieces.push(piece);
        text = behind;
    }
    pieces
}

/// Writes rows of one of the two tables. A row has the values after the mailbox.
async fn insert(tx: &mut Tx, mailbox: i64, table: &'static Table, rows: &[impl Serialize]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = Sql::list(table.columns().map(|column| Sql::new(column.name)));
    let values = table.columns().skip(1).enumerate();
    let values = Sql::list(values.map(|(at, column)| column.kind.of_json(Sql::new("value ->> ").number(at))));
    let statement = Sql::new("insert into ").text(table.name).text(" (").then(columns).text(") select ").value(mailbox);
    let statement = statement.text(", ").then(values);
    let rows = serde_json::to_string(rows).map_err(Error::internal)?;
    let statement = statement.per_engine(" from jsonb_each(", " from jsonb_array_elements(").value(rows);
    let statement = statement.per_engine(")", "::text::jsonb) as sent (value)");
    // Pieces of text were removed before.
    let statement = if table.name == CARDS.name {
        let set = table.values.iter().map(|column| Sql::new(column.name).text(" = excluded.").text(column.name));
        statement.text(" where true on conflict (mailbox, contact_id) do update set ").then(Sql::list(set))
    } else {
        statement
    };
    tx.execute(statement.into()).await
}

/// Removes the texts of some cards. Returns how many bytes they had.
async fn clear_texts(tx: &mut Tx, mailbox: i64, ids: &[Uuid]) -> Result<i64, Error> {
    let of = |what: &'static str| {
        Sql::new(what)
            .text(" from card_texts where mailbox = ")
            .value(mailbox)
            .text(" and contact_id in ")
            .then(Sql::among(ids))
    };
    let count = Sql::new("select ")
        .per_engine("coalesce(sum(octet_length(text)), 0)", "coalesce(sum(octet_length(text)), 0)::bigint");
    let bytes = tx.reader().await?.count(Statement::from(count.then(of("")))).await?;
    if bytes > 0 {
        tx.execute(of("delete").into()).await?;
    }
    Ok(bytes)
}

/// The contact or group whose card has this name in the folder.
pub(in crate::store) async fn by_name(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    name: &str,
) -> Result<Option<Uuid>, Error> {
    let text = "
select contact_id from cards where mailbox = $1 and folder_id = $2 and name = $3 and deleted_date_time is null";
    let statement = Statement::new(text).bind(mailbox).bind(folder).bind(name);
    if let Some(row) = session.row(statement).await? {
        return row.get(0).map(Some);
    }
    match card::id_of_name(name) {
        Some(id) => unnamed(session, mailbox, folder, id).await,
        None => Ok(None),
    }
}

/// The contact or group whose card has this UID in the folder.
pub(in crate::store) async fn by_uid(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    uid: &str,
) -> Result<Option<Uuid>, Error> {
    let key = card::uid_key(uid);
    let text = "
select contact_id from cards where mailbox = $1 and uid_key = $2 and folder_id = $3 and deleted_date_time is null";
    let statement = Statement::new(text).bind(mailbox).bind(key.as_str()).bind(folder);
    if let Some(row) = session.row(statement).await? {
        return row.get(0).map(Some);
    }
    match crate::domain::contact::parse_id(&key) {
        Some(id) => unnamed(session, mailbox, folder, id).await,
        None => Ok(None),
    }
}

/// The contact with this id, if it is in the folder and has no stored card.
async fn unnamed(session: &mut Session, mailbox: i64, folder: &str, id: Uuid) -> Result<Option<Uuid>, Error> {
    let text = "
select c.id from contacts c
where c.mailbox = $1 and c.id = $2 and c.parent_folder_id = $3 and c.deleted_date_time is null
    and not exists (select 1 from cards k where k.mailbox = $1 and k.contact_id = $2 and k.deleted_date_time is null)";
    let row = session.row(Statement::new(text).bind(mailbox).bind(id).bind(folder)).await?;
    row.map(|row| row.get(0)).transpose()
}

/// A free name and UID key for a card that comes into a folder: its own, else its id, else new ones.
pub(in crate::store) async fn free_name_and_uid(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    id: Uuid,
    (name, uid_key): (String, String),
) -> Result<(String, String), Error> {
    let others = |found: Option<Uuid>| found.is_some_and(|found| found != id);
    let fresh = Tx::new_id(mailbox);
    let (mut free_name, mut free_key) = (card::own_name(fresh), fresh.to_string());
    for candidate in [name, card::own_name(id)] {
        if !others(by_name(tx.reader().await?, mailbox, folder, &candidate).await?) {
            free_name = candidate;
            break;
        }
    }
    for candidate in [uid_key, id.to_string()] {
        if !others(by_uid(tx.reader().await?, mailbox, folder, &candidate).await?) {
            free_key = candidate;
            break;
        }
    }
    Ok((free_name, free_key))
}

/// Moves the card of a contact to the contact's new folder, with the change `seq`. If its name or UID is taken there,
/// it gets a new one.
pub(in crate::store) async fn move_card(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    (from, to): (&str, &str),
    seq: i64,
) -> Result<(), Error> {
    let text = "
select name, uid_key from cards where mailbox = $1 and contact_id = $2 and deleted_date_time is null";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id)).await?;
    let Some(row) = row else { return assign_name(tx, mailbox, id, to, seq).await };
    let (name, uid_key): (String, String) = (row.get(0)?, row.get(1)?);
    let (new_name, uid_key) = free_name_and_uid(tx, mailbox, to, id, (name.clone(), uid_key)).await?;
    let text = "
update cards set folder_id = $3, name = $4, uid_key = $5, version = $6, last_modified_date_time = $7
where mailbox = $1 and contact_id = $2";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(to).bind(new_name).bind(uid_key).bind(seq);
    tx.execute(statement.bind(tx.now())).await?;
    record_lost_name(tx, mailbox, from, &name).await
}

/// Gives a contact without a stored card a name of its own if another card of the folder has its default name or UID.
async fn assign_name(tx: &mut Tx, mailbox: i64, id: Uuid, folder: &str, seq: i64) -> Result<(), Error> {
    let (own, key) = (card::own_name(id), id.to_string());
    let (name, uid_key) = free_name_and_uid(tx, mailbox, folder, id, (own.clone(), key.clone())).await?;
    if (&name, &uid_key) == (&own, &key) {
        return Ok(());
    }
    let card = NewCard { name: Some(name), uid: Some(uid_key), is_group: false, version: CardVersion::V3, text: None };
    let folder = folder.to_owned();
    let kept = StoredCard { id, folder, contact_version: 0, photo: None, card, uid_key: None, version: seq };
    put(tx, mailbox, vec![kept]).await.map(drop)
}

/// Renames a card, with the change `version`. Its `former` name is kept for clients that sync the folder.
pub(in crate::store) async fn rename(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    (folder, name): (&str, &str),
    former: Option<&str>,
    version: i64,
) -> Result<(), Error> {
    let text = "
update cards set name = $3, version = $4, last_modified_date_time = $5
where mailbox = $1 and contact_id = $2 and deleted_date_time is null";
    let is_kept = card_rows::of(tx.reader().await?, mailbox, &[id]).await?.contains_key(&id);
    if is_kept {
        let statement = Statement::new(text).bind(mailbox).bind(id).bind(name).bind(version);
        tx.execute(statement.bind(tx.now())).await?;
    } else {
        let (name, uid) = (Some(name.to_owned()), Some(id.to_string()));
        let card = NewCard { name, uid, is_group: false, version: CardVersion::V3, text: None };
        let folder = folder.to_owned();
        let kept = StoredCard { id, folder, contact_version: 0, photo: None, card, uid_key: None, version };
        put(tx, mailbox, vec![kept]).await?;
    }
    match former {
        Some(former) => record_lost_name(tx, mailbox, folder, former).await,
        None => Ok(()),
    }
}

/// Keeps a name that a card lost, for clients that sync the folder, as a change of its own: a page of changes may end
/// before it.
async fn record_lost_name(tx: &mut Tx, mailbox: i64, folder: &str, name: &str) -> Result<(), Error> {
    let id = Tx::new_id(mailbox);
    let seq = changes::record_card(tx, mailbox, folder, id, ChangeKind::Removed).await?;
    let text = "
insert into cards (mailbox, contact_id, folder_id, name, uid_key, is_group, vcard_version, contact_version, version,
    last_modified_date_time, deleted_date_time)
values ($1, $2, $3, $4, '', false, '3.0', 0, $5, $6, $6)";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(folder).bind(name).bind(seq);
    tx.execute(statement.bind(tx.now())).await
}

/// Marks the card of a contact or group as deleted, with the change `seq`.
pub(in crate::store) async fn mark_deleted(tx: &mut Tx, mailbox: i64, id: Uuid, seq: i64) -> Result<(), Error> {
    let now = tx.now();
    let text = "
update cards set deleted_date_time = $3, version = $4, last_modified_date_time = $3
where mailbox = $1 and contact_id = $2 and deleted_date_time is null";
    tx.execute_extra(Statement::new(text).bind(mailbox).bind(id).bind(now).bind(seq)).await
}

/// The same for the contacts that log entries after `before` deleted.
pub(in crate::store) async fn mark_deleted_since(tx: &mut Tx, mailbox: i64, before: i64) -> Result<(), Error> {
    let now = tx.now();
    let text = "
update cards set deleted_date_time = $2, last_modified_date_time = $2, version = l.seq
from changes l
where l.mailbox = $1 and l.seq > $3 and l.removed and cards.mailbox = $1 and cards.contact_id = l.contact_id
    and cards.deleted_date_time is null";
    tx.execute(Statement::new(text).bind(mailbox).bind(now).bind(before)).await
}

/// Deletes the groups in the folders that log entries after `before` deleted.
pub(in crate::store) async fn delete_groups_since(tx: &mut Tx, mailbox: i64, before: i64) -> Result<(), Error> {
    let now = tx.now();
    let text = "
update cards /* indexed by cards_by_name */
set deleted_date_time = $2, last_modified_date_time = $2, version = l.seq
from changes l
where l.mailbox = $1 and l.seq > $3 and l.removed and l.contact_id is null and cards.mailbox = $1 and cards.is_group
    and cards.folder_id = l.folder_id and cards.deleted_date_time is null";
    tx.execute(Statement::hinted(text).bind(mailbox).bind(now).bind(before)).await
}

/// Restores the card of a contact in this folder, with the change `seq`.
pub(in crate::store) async fn restore_card(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    folder: &str,
    seq: i64,
) -> Result<(), Error> {
    let text = "select name, uid, uid_key from cards where mailbox = $1 and contact_id = $2";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id)).await?;
    let Some(row) = row else { return assign_name(tx, mailbox, id, folder, seq).await };
    let (name, uid): (String, Option<String>) = (row.get(0)?, row.get(1)?);
    let uid_key = match uid {
        Some(uid) => card::uid_key(&uid),
        None => row.get(2)?,
    };
    let (name, uid_key) = free_name_and_uid(tx, mailbox, folder, id, (name, uid_key)).await?;
    let text = "
update cards set deleted_date_time = null, folder_id = $3, name = $4, uid_key = $5, version = $6, last_modified_date_time = $7
where mailbox = $1 and contact_id = $2";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(folder).bind(name).bind(uid_key).bind(seq);
    tx.execute(statement.bind(tx.now())).await
}

/// Removes the texts of removed contacts. The caller counts the mailbox's bytes. The names stay until the log forgets
/// them ([`forget_names`]), so that clients learn that they are gone.
pub(in crate::store) async fn remove_texts(tx: &mut Tx, mailbox: i64, ids: &[Uuid]) -> Result<(), Error> {
    let delete = Sql::new("delete from card_texts where mailbox = ").value(mailbox).text(" and contact_id in ");
    tx.execute(delete.then(Sql::among(ids)).into()).await?;
    let last = Sql::new("(select seq from mailboxes where id = ").value(mailbox).text(")");
    let update = Sql::new("update cards set deleted_date_time = ").value(tx.now()).text(", version = ").then(last);
    let update = update.text(" where deleted_date_time is null and mailbox = ").value(mailbox);
    tx.execute(update.text(" and contact_id in ").then(Sql::among(ids)).into()).await
}

/// Removes some of the groups that were deleted at `until` or before. Returns whether there may be more.
pub(in crate::store) async fn remove_groups(tx: &mut Tx, mailbox: i64, until: i64) -> Result<bool, Error> {
    let text = "
select contact_id from cards /* indexed by cards_gone */
where mailbox = $1 and is_group and deleted_date_time <= $2 limit 200";
    let rows = tx.reader().await?.rows(Statement::hinted(text).bind(mailbox).bind(until)).await?;
    let ids = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    if ids.is_empty() {
        return Ok(false);
    }
    let bytes = clear_texts(tx, mailbox, &ids).await?;
    quota::count(tx, mailbox, 0, -bytes).await?;
    // Only the name remains.
    let update =
        Sql::new("update cards set is_group = false where mailbox = ").value(mailbox).text(" and contact_id in ");
    tx.execute(update.then(Sql::among(&ids)).into()).await?;
    Ok(true)
}

/// Forgets the names that were lost with the change `last` or before, or with a folder that has no more entries in the log.
pub(in crate::store) async fn forget_names(tx: &mut Tx, mailbox: i64, last: i64) -> Result<(), Error> {
    let text = "
delete from cards /* indexed by cards_gone */
where mailbox = $1 and deleted_date_time is not null and not is_group
    and (version <= $2 or not exists (select 1 from folders f where f.mailbox = $1 and f.id = cards.folder_id)
        and not exists (select 1 from changes e where e.mailbox = $1 and e.folder_id = cards.folder_id))
    and not exists (select 1 from contacts c where c.mailbox = $1 and c.id = cards.contact_id)";
    tx.execute(Statement::hinted(text).bind(mailbox).bind(last)).await
}
