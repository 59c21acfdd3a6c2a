//! Whether the names and the UIDs of cards that are stored with new contacts are free.

use std::collections::HashSet;

use serde_json::json;

use crate::domain::card;
use crate::domain::contact::{DEFAULT_FOLDER, parse_id};
use crate::domain::error::Error;
use crate::store::db::statement::Sql;
use crate::store::tables::new_contacts::New;
use crate::store::tables::table::ColumnType;
use crate::store::write::rows::ContactWrite;
use crate::store::write::tx::Tx;

/// The name and the UID key of a card that is to be stored in a folder; `None` where it gets its contact's.
pub(in crate::store) struct CardNames {
    mailbox: i64,
    folder: String,
    name: Option<String>,
    uid_key: Option<String>,
}

impl CardNames {
    /// Those of a create with a card.
    pub(in crate::store) fn of_new(New { mailbox, folder, card, .. }: &New) -> Option<Self> {
        let card = card.as_ref()?;
        Some(Self {
            mailbox: *mailbox,
            folder: folder.clone().unwrap_or_else(|| DEFAULT_FOLDER.to_owned()),
            name: card.name.clone(),
            uid_key: card.uid.as_deref().map(card::uid_key),
        })
    }

    /// The same when its contact has an id.
    pub(in crate::store) fn of_write(ContactWrite { mailbox, card, .. }: &ContactWrite) -> Option<Self> {
        let card = card.as_ref()?;
        let (name, uid_key) = (Some(card.name.clone()), Some(card.uid_key.clone()));
        Some(Self { mailbox: *mailbox, folder: card.folder_id.clone(), name, uid_key })
    }
}

/// For each card whether another has, or may have, its name or its UID: one of the folder, or an earlier one of these. A contact
/// without a stored card has a name and a UID made of its id.
pub(in crate::store) async fn find_taken(tx: &mut Tx, new: &[Option<CardNames>]) -> Result<Vec<bool>, Error> {
    let mut is_taken = vec![false; new.len()];
    let (mut names, mut uid_keys) = (HashSet::new(), HashSet::new());
    let mut rows = Vec::new();
    for (position, names_of_card) in new.iter().enumerate() {
        let Some(CardNames { mailbox, folder, name, uid_key }) = names_of_card else { continue };
        let hexadecimal = |id: uuid::Uuid| id.as_simple().to_string();
        let id_of_name = name.as_deref().and_then(card::id_of_name).map(hexadecimal);
        let id_of_uid = uid_key.as_deref().and_then(parse_id).map(hexadecimal);
        rows.push(json!([position, mailbox, folder, name, uid_key, id_of_name, id_of_uid]));
        let has_new_name = name.is_none() || names.insert((mailbox, folder, name));
        let has_new_uid = uid_key.is_none() || uid_keys.insert((mailbox, folder, uid_key));
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
    let select = select.per_engine(" from jsonb_each(", " from jsonb_array_elements(").value(rows);
    let select = select.per_engine(") s", "::text::jsonb) as s (value)").text(" where ");
    let select = select.then(cards(" and k.name = ", 3)).text(" or ").then(cards(" and k.uid_key = ", 4));
    let select =
        select.text(" or (select c.id from contacts c where c.mailbox = ").then(mailbox()).text(" and c.id in (");
    let ids = [5, 6].map(|at| sent(ColumnType::Id, at));
    select.then(Sql::list(ids)).text(") limit 1) is not null")
}
