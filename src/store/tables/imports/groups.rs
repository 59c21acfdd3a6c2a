//! The cards of a file's groups. They are stored like groups of CardDAV clients, and are not contacts.

use uuid::Uuid;

use crate::domain::card::{self, Card, NewCard};
use crate::domain::error::Error;
use crate::domain::import::{Effect, IncomingGroup, Undone};
use crate::store::db::statement::Statement;
use crate::store::tables::card_rows;
use crate::store::tables::cards::{self, StoredCard};
use crate::store::tables::changes;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::imports::{batch, folder_of};
use crate::store::write::tx::Tx;

/// See [`crate::store::Store::import_group`].
pub(super) async fn import_group(tx: &mut Tx, mailbox: i64, run: Uuid, group: IncomingGroup) -> Result<Effect, Error> {
    tx.open_savepoint().await?;
    let IncomingGroup { uid, text } = group;
    let key = card::uid_key(&uid);
    let before = find_by_key(tx, mailbox, &key).await?;
    if before.as_ref().is_some_and(|before| before.text.as_ref() == Some(&text)) {
        return Ok(Effect::Unchanged);
    }
    let folder = match &before {
        Some(before) => before.folder_id.clone(),
        None => folder_of(tx, mailbox, run).await?,
    };
    let id = before.as_ref().map_or_else(|| Tx::new_id(mailbox), |before| before.id);
    let (name, uid_key) = match &before {
        Some(before) => (before.name.clone(), before.uid_key.clone()),
        None => cards::free_name_and_uid(tx, mailbox, &folder, id, (card::own_name(id), key)).await?,
    };
    let version = changes::record_card(tx, mailbox, &folder, id, ChangeKind::Written).await?;
    record_state(tx, mailbox, run, id, before.as_ref(), version).await?;
    let version_of_text = batch::version_of(&text);
    let card = NewCard { name: Some(name), uid: Some(uid), is_group: true, version: version_of_text, text: Some(text) };
    write(tx, mailbox, (id, folder), card, uid_key, version).await?;
    tx.set_created(run.to_string());
    Ok(if before.is_some() { Effect::Updated } else { Effect::Created })
}

/// The group with this UID key, wherever it is.
async fn find_by_key(tx: &mut Tx, mailbox: i64, key: &str) -> Result<Option<Card>, Error> {
    let text = "
select contact_id from cards
where mailbox = $1 and uid_key = $2 and is_group and deleted_date_time is null order by contact_id limit 1";
    let session = tx.reader().await?;
    let Some(row) = session.row(Statement::new(text).bind(mailbox).bind(key)).await? else { return Ok(None) };
    let id: Uuid = row.get(0)?;
    Ok(card_rows::of(session, mailbox, &[id]).await?.remove(&id))
}

async fn write(
    tx: &mut Tx,
    mailbox: i64,
    (id, folder): (Uuid, String),
    card: NewCard,
    uid_key: String,
    version: i64,
) -> Result<(), Error> {
    let kept = StoredCard { id, folder, contact_version: 0, photo: None, card, uid_key: Some(uid_key), version };
    cards::put(tx, mailbox, vec![kept]).await.map(drop)
}

/// Records the state of a group before and after an import.
async fn record_state(
    tx: &mut Tx,
    mailbox: i64,
    run: Uuid,
    id: Uuid,
    before: Option<&Card>,
    version: i64,
) -> Result<(), Error> {
    let text = "
insert into import_contacts (mailbox, import_id, contact_id, created, version) values ($1, $2, $3, $4, $5)
on conflict (mailbox, import_id, contact_id) do update set version = excluded.version";
    let statement = Statement::new(text).bind(mailbox).bind(run).bind(id).bind(before.is_none()).bind(version);
    tx.execute(statement).await?;
    let Some(before) = before else { return Ok(()) };
    let text = "
insert into import_befores (mailbox, import_id, contact_id, contact, card)
select $1, $2, $3, '', $4
where exists (
    select 1 from import_contacts where mailbox = $1 and import_id = $2 and contact_id = $3 and created = false)
on conflict (mailbox, import_id, contact_id) do nothing";
    tx.execute(Statement::new(text).bind(mailbox).bind(run).bind(id).bind(before.text.clone())).await
}

/// Undoes the change of a group by an import, unless the group has changed since.
pub(super) async fn undo(tx: &mut Tx, mailbox: i64, run: Uuid, id: Uuid, created: bool) -> Result<Undone, Error> {
    let Some(card) = card_rows::of(tx.reader().await?, mailbox, &[id]).await?.remove(&id) else {
        return Ok(Undone::Gone);
    };
    let kind = if created { ChangeKind::Removed } else { ChangeKind::Written };
    let version = changes::record_card(tx, mailbox, &card.folder_id, id, kind).await?;
    if created {
        cards::mark_deleted(tx, mailbox, id, version).await?;
        return Ok(Undone::Removed);
    }
    let text = "select card from import_befores where mailbox = $1 and import_id = $2 and contact_id = $3";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(run).bind(id)).await?;
    let text: Option<String> = row.ok_or_else(|| Error::internal("what an import has changed is not known"))?.get(0)?;
    let vcard = text.as_deref().map_or(card.vcard, batch::version_of);
    let before = NewCard { name: Some(card.name), uid: card.uid, is_group: true, version: vcard, text };
    write(tx, mailbox, (id, card.folder_id), before, card.uid_key, version).await?;
    Ok(Undone::Restored)
}
