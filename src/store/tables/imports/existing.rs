//! Finds the contacts of a file in the mailbox: by what they were imported as, by the UID of the card, by the id and,
//! if that is asked for, by an e-mail address. The statements name the index of their keys, because SQLite has no statistics and
//! would read the whole mailbox.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::import::Incoming;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;

/// A contact of the mailbox that a file has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExistingContact {
    pub(super) id: Uuid,
    /// The hash of what it was imported as; empty if that is not known.
    pub(super) hash: Vec<u8>,
}

/// The contact of the mailbox for each contact of the file.
pub(super) async fn find_all(
    session: &mut Session,
    mailbox: i64,
    batch: &[Incoming],
) -> Result<Vec<Option<ExistingContact>>, Error> {
    let keys: Vec<_> = batch.iter().map(|one| one.key.clone()).collect();
    let by_key = imported(session, mailbox, &keys).await?;
    let mut found: Vec<_> = batch.iter().map(|one| by_key.get(&one.key).cloned()).collect();
    let missing = |found: &[Option<ExistingContact>]| found.iter().any(Option::is_none);
    if missing(&found) {
        let rest = || batch.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(one, _)| one);
        let by_uid =
            of_cards(session, mailbox, rest().filter(|one| one.uid.is_some()).map(|one| one.key.clone())).await?;
        let existing_ids = of_ids(session, mailbox, rest().filter_map(|one| one.id)).await?;
        let by_email = of_emails(session, mailbox, rest().filter_map(|one| one.email.clone())).await?;
        for (one, found) in batch.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            let id = by_uid.get(&one.key).copied();
            let id = id.or_else(|| one.id.filter(|id| existing_ids.contains(id)));
            let id = id.or_else(|| by_email.get(one.email.as_ref()?).copied());
            *found = id.map(|id| ExistingContact { id, hash: Vec::new() });
        }
    }
    Ok(found)
}

/// Existing contacts that were imported under these keys.
pub(super) async fn imported(
    session: &mut Session,
    mailbox: i64,
    keys: &[String],
) -> Result<HashMap<String, ExistingContact>, Error> {
    let select = Sql::new("select i.uid_key, i.contact_id, i.hash from imported i")
        .per_engine(" indexed by imported_by_key", "");
    let select = select.text(" join contacts c on c.mailbox = i.mailbox and c.id = i.contact_id where i.mailbox = ");
    let select = select.value(mailbox).text(" and i.uid_key in ").then(Sql::among_texts(keys));
    let select = select.then(is_existing(mailbox)).text(" order by i.contact_id");
    let rows = session.rows(select.into()).await?;
    rows.iter().map(|row| Ok((row.get(0)?, ExistingContact { id: row.get(1)?, hash: row.get(2)? }))).collect()
}

fn is_existing(mailbox: i64) -> Sql {
    Sql::new(" and c.deleted_date_time is null").then(emptying::is_in_none(mailbox))
}

/// The contacts whose cards have these keys.
pub(super) async fn of_cards(
    session: &mut Session,
    mailbox: i64,
    keys: impl Iterator<Item = String>,
) -> Result<HashMap<String, Uuid>, Error> {
    let select = Sql::new("select k.uid_key, k.contact_id from cards k").per_engine(" indexed by cards_by_uid", "");
    let select = select.text(" join contacts c on c.mailbox = k.mailbox and c.id = k.contact_id");
    let select = select.text(" where k.deleted_date_time is null and k.mailbox = ");
    by_keys(session, mailbox, keys, select, [" and k.uid_key in ", " order by k.contact_id"]).await
}

/// The contacts among these that exist.
async fn of_ids(session: &mut Session, mailbox: i64, ids: impl Iterator<Item = Uuid>) -> Result<HashSet<Uuid>, Error> {
    let ids: Vec<_> = ids.collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let select = Sql::new("select c.id from contacts c where c.mailbox = ").value(mailbox).text(" and c.id in ");
    let rows = session.rows(select.then(Sql::among(&ids)).then(is_existing(mailbox)).into()).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The first contact with each of these addresses.
async fn of_emails(
    session: &mut Session,
    mailbox: i64,
    keys: impl Iterator<Item = String>,
) -> Result<HashMap<String, Uuid>, Error> {
    let select =
        Sql::new("select e.address_key, e.contact_id from emails e").per_engine(" indexed by emails_by_address", "");
    let select = select.text(" join contacts c on c.mailbox = e.mailbox and c.id = e.contact_id where e.mailbox = ");
    // The map keeps the last one, which is the oldest.
    by_keys(session, mailbox, keys, select, [" and e.address_key in ", " order by e.contact_id desc"]).await
}

/// Existing contacts by key: `select`, the mailbox, and a condition on the key.
async fn by_keys(
    session: &mut Session,
    mailbox: i64,
    keys: impl Iterator<Item = String>,
    select: Sql,
    [key, order]: [&'static str; 2],
) -> Result<HashMap<String, Uuid>, Error> {
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let select = select.value(mailbox).text(key).then(Sql::among_texts(&keys));
    pairs(&session.rows(select.then(is_existing(mailbox)).text(order).into()).await?)
}

fn pairs(rows: &[Row]) -> Result<HashMap<String, Uuid>, Error> {
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// The photos of some contacts: their versions and sizes.
pub(in crate::store) async fn photos(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (i64, i64)>, Error> {
    let select =
        Sql::new("select contact_id, version, size from photos where deleted_date_time is null and mailbox = ");
    let select = select.value(mailbox).text(" and contact_id in ").then(Sql::among(ids));
    let rows = session.rows(select.into()).await?;
    rows.iter().map(|row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).collect()
}

/// The bytes of a contact's photo.
pub(in crate::store) async fn photo_bytes(session: &mut Session, mailbox: i64, id: Uuid) -> Result<Vec<u8>, Error> {
    let text = "select bytes from photo_chunks where mailbox = $1 and contact_id = $2 order by pos";
    let rows = session.rows(Statement::new(text).bind(mailbox).bind(id)).await?;
    let chunks = rows.iter().map(|row| row.get::<Vec<u8>>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(chunks.concat())
}

/// The owners of the cards with these keys, by key and folder.
pub(super) async fn card_owners(
    session: &mut Session,
    mailbox: i64,
    keys: impl Iterator<Item = String>,
) -> Result<HashMap<(String, String), Uuid>, Error> {
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let select =
        Sql::new("select uid_key, folder_id, contact_id from cards").per_engine(" indexed by cards_by_uid", "");
    let select = select
        .text(" where deleted_date_time is null and mailbox = ")
        .value(mailbox)
        .text(" and uid_key in ")
        .then(Sql::among_texts(&keys));
    let rows = session.rows(select.into()).await?;
    rows.iter().map(|row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).collect()
}
