//! Cards that are stored together with the contacts that are created for them.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;

use crate::domain::card::{self, Card, NewCard};
use crate::domain::contact::{Contact, DEFAULT_FOLDER, parse_id};
use crate::domain::error::Error;
use crate::store::db::statement::Sql;
use crate::store::tables::cards::{self, StoredCard};
use crate::store::tables::contacts::New;
use crate::store::tables::table::ColumnType;
use crate::store::write::tx::Tx;

/// For each create whether another card has, or may have, the name or the UID of its card: one of the folder, or one of an earlier
/// create. A contact without a stored card has a name and a UID made of its id.
pub(in crate::store) async fn find_taken(tx: &mut Tx, new: &[New]) -> Result<Vec<bool>, Error> {
    let mut is_taken = vec![false; new.len()];
    let (mut names, mut uid_keys) = (HashSet::new(), HashSet::new());
    let mut rows = Vec::new();
    for (position, (new, card)) in new.iter().enumerate().filter_map(|(at, new)| Some((at, (new, new.card.as_ref()?))))
    {
        let folder = new.folder.as_deref().unwrap_or(DEFAULT_FOLDER);
        let uid_key = card.uid.as_deref().map(card::uid_key);
        let hexadecimal = |id: uuid::Uuid| id.as_simple().to_string();
        let id_of_name = card.name.as_deref().and_then(card::id_of_name).map(hexadecimal);
        let id_of_uid = uid_key.as_deref().and_then(parse_id).map(hexadecimal);
        rows.push(json!([position, new.mailbox, folder, card.name, uid_key, id_of_name, id_of_uid]));
        let has_new_name = card.name.is_none() || names.insert((new.mailbox, folder, card.name.clone()));
        let has_new_uid = uid_key.is_none() || uid_keys.insert((new.mailbox, folder, uid_key));
        is_taken[position] = !has_new_name || !has_new_uid;
    }
    if rows.is_empty() {
        return Ok(is_taken);
    }
    let rows = serde_json::to_string(&rows).map_err(Error::internal)?;
    for row in &tx.reader().await?.rows(taken_among(rows).into()).await? {
        if let Some(is_taken) = usize::try_from(row.get::<i64>(0)?).ok().and_then(|position| is_taken.get_mut(position))
        {
            *is_taken = true;
        }
    }
    Ok(is_taken)
}

/// The statement for the positions of those whose name or UID is taken. Each part is a look-up by an index: as `exists`, PostgreSQL
/// might read the whole table for it.
fn taken_among(rows: String) -> Sql {
    let sent = |kind: ColumnType, at: usize| kind.of_json(Sql::new("s.value ->> ").number(at));
    let [mailbox, folder] = [(ColumnType::Int, 1), (ColumnType::Text, 2)].map(|(kind, at)| move || sent(kind, at));
    let cards = |column: &'static str, at: usize| {
        let select = Sql::new("(select k.contact_id from cards k where k.deleted_date_time is null and k.mailbox = ");
        let select = select.then(mailbox()).text(" and k.folder_id = ").then(folder()).text(column);
        select.then(sent(ColumnType::Text, at)).text(" limit 1) is not null")
    };
    let select = Sql::new("select ").then(sent(ColumnType::Int, 0));
    let select = select.per_engine(" from json_each(", " from jsonb_array_elements(").value(rows);
    let select = select.per_engine(") s", "::text::jsonb) as s (value)").text(" where ");
    let select = select.then(cards(" and k.name = ", 3)).text(" or ").then(cards(" and k.uid_key = ", 4));
    let select =
        select.text(" or (select c.id from contacts c where c.mailbox = ").then(mailbox()).text(" and c.id in (");
    let ids = [5, 6].map(|at| sent(ColumnType::Id, at));
    select.then(Sql::list(ids)).text(") limit 1) is not null")
}

/// Stores the cards of contacts that were just created. A card without a UID gets the contact's id.
///
/// # Errors
/// [`Error::Quota`] if there is no room.
pub(in crate::store) async fn insert(
    tx: &mut Tx,
    contacts: &[Contact],
    new: Vec<Option<(i64, NewCard)>>,
) -> Result<Vec<Option<Card>>, Error> {
    let mut stored: Vec<_> = new.iter().map(|_| None).collect();
    let mut by_mailbox: BTreeMap<i64, (Vec<usize>, Vec<StoredCard>)> = BTreeMap::new();
    for (position, (contact, new)) in contacts.iter().zip(new).enumerate() {
        let Some((mailbox, mut card)) = new else { continue };
        card.uid.get_or_insert_with(|| contact.id.to_string());
        let (positions, cards) = by_mailbox.entry(mailbox).or_default();
        positions.push(position);
        cards.push(StoredCard {
            id: contact.id,
            folder: contact.parent_folder_id.clone(),
            contact_version: contact.version,
            photo: None,
            card,
            uid_key: None,
            version: contact.version,
        });
    }
    for (mailbox, (positions, cards)) in by_mailbox {
        for (position, card) in positions.into_iter().zip(cards::insert_new(tx, mailbox, cards).await?) {
            stored[position] = Some(card);
        }
    }
    Ok(stored)
}
