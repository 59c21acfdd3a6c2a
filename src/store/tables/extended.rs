//! Extended properties of contacts and folders. They are written in the owner's transaction.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::contact::expand::ExpandSelection;
use crate::domain::error::Error;
use crate::domain::extended::{
    Comparable, ExtendedChanges, ExtendedProperty, ExtendedValue, MultiValue, SingleValue, applied,
};
use crate::domain::fold::fold;
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::Sql;
use crate::store::tables::schema::{
    FOLDER_MULTI_VALUE_PROPERTIES, FOLDER_MULTI_VALUES, FOLDER_SINGLE_VALUES, MULTI_VALUE_PROPERTIES, MULTI_VALUES,
    SINGLE_VALUES,
};
use crate::store::tables::table::Table;
use crate::store::tables::{dav_properties, quota};
use crate::store::write::tx::Tx;

/// The owner of the properties.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum ExtendedOwner<'a> {
    Contacts(&'a [Uuid]),
    Folder(&'a str),
}

impl Store {
    /// The extended properties of a folder, whatever its state.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn folder_properties<V: ExtendedValue>(
        &self,
        mailbox: i64,
        folder: &str,
        ids: &ExpandSelection,
    ) -> Result<Vec<ExtendedProperty<V>>, Error> {
        let read = async |session: &mut Session| of_owner(session, mailbox, ExtendedOwner::Folder(folder), ids).await;
        self.read(read).await
    }
}

impl ExtendedOwner<'_> {
    /// The table of the properties, the table of their values if these are lists, and the column of the owner.
    fn tables<V: ExtendedValue>(self) -> (&'static Table, Option<&'static Table>, &'static str) {
        match (self, V::IS_LIST) {
            (Self::Contacts(_), false) => (&SINGLE_VALUES, None, "contact_id"),
            (Self::Contacts(_), true) => (&MULTI_VALUE_PROPERTIES, Some(&MULTI_VALUES), "contact_id"),
            (Self::Folder(_), false) => (&FOLDER_SINGLE_VALUES, None, "folder_id"),
            (Self::Folder(_), true) => (&FOLDER_MULTI_VALUE_PROPERTIES, Some(&FOLDER_MULTI_VALUES), "folder_id"),
        }
    }

    fn key(self) -> Sql {
        match self {
            Self::Contacts(ids) => Sql::among(ids),
            Self::Folder(id) => Sql::new("(").value(id.to_owned()).text(")"),
        }
    }
}

/// ` from … where …`: properties `e` with their values `m`.
pub(in crate::store) fn from<V: ExtendedValue>(mailbox: i64, owner: ExtendedOwner<'_>, ids: &ExpandSelection) -> Sql {
    let (table, values, column) = owner.tables::<V>();
    let from = Sql::new(" from ").text(table.name).text(" e ");
    let from = match values {
        // A property with a single value has the value in its own row.
        None => from.text("join ").text(table.name).text(" m on m.mailbox = e.mailbox and m.").text(column),
        Some(values) => {
            from.text("left join ").text(values.name).text(" m on m.mailbox = e.mailbox and m.").text(column)
        }
    };
    let from = from.text(" = e.").text(column).text(" and m.pos = e.pos where e.mailbox = ").value(mailbox);
    let from = from.text(" and e.").text(column).text(" in ").then(owner.key());
    match ids {
        ExpandSelection::All => from,
        ExpandSelection::These(keys) => from.text(" and e.id_key in ").then(Sql::among_texts(keys)),
    }
}

/// The properties of some contacts, each contact's in order.
pub(in crate::store) async fn of<V: ExtendedValue>(
    session: &mut Session,
    mailbox: i64,
    contacts: &[Uuid],
    ids: &ExpandSelection,
) -> Result<HashMap<Uuid, Vec<ExtendedProperty<V>>>, Error> {
    let owner = ExtendedOwner::Contacts(contacts);
    let select = Sql::new("select e.pos, e.id, e.id_key, m.value, e.contact_id").then(from::<V>(mailbox, owner, ids));
    let rows = session.rows(select.text(" order by e.contact_id, e.pos").text(order::<V>()).into()).await?;
    let mut found: HashMap<Uuid, Vec<ExtendedProperty<V>>> = HashMap::new();
    for rows in rows.chunk_by(|a, b| (a.get::<Uuid>(4).ok(), a.get::<i64>(0).ok()) == (b.get(4).ok(), b.get(0).ok())) {
        if let Some(first) = rows.first() {
            found.entry(first.get(4)?).or_default().push(property(rows)?);
        }
    }
    Ok(found)
}

/// The properties of one.
async fn of_owner<V: ExtendedValue>(
    session: &mut Session,
    mailbox: i64,
    owner: ExtendedOwner<'_>,
    ids: &ExpandSelection,
) -> Result<Vec<ExtendedProperty<V>>, Error> {
    let select = Sql::new("select e.pos, e.id, e.id_key, m.value").then(from::<V>(mailbox, owner, ids));
    let rows = session.rows(select.text(" order by e.pos").text(order::<V>()).into()).await?;
    rows.chunk_by(|a, b| a.get::<i64>(0).ok() == b.get(0).ok()).map(property).collect()
}

fn order<V: ExtendedValue>() -> &'static str {
    if V::IS_LIST { ", m.entry" } else { "" }
}

/// A property from its rows: one for each value, or one without a value.
fn property<V: ExtendedValue>(rows: &[crate::store::db::engine::Row]) -> Result<ExtendedProperty<V>, Error> {
    let first = rows.first().ok_or_else(|| Error::internal("a property without rows"))?;
    let texts =
        rows.iter().filter_map(|row| row.get::<Option<String>>(3).transpose()).collect::<Result<Vec<_>, _>>()?;
    let value = V::try_from(texts).map_err(|_| Error::internal("a property has not one value"))?;
    Ok(ExtendedProperty { id: first.get(1)?, key: first.get(2)?, value })
}

/// Changes the named properties of an owner.
///
/// # Errors
/// [`Error::Quota`] if they become too many or too large.
pub(in crate::store) async fn change<V: ExtendedValue>(
    tx: &mut Tx,
    mailbox: i64,
    owner: ExtendedOwner<'_>,
    changes: ExtendedChanges<V>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let stored = of_owner::<V>(tx.reader().await?, mailbox, owner, &ExpandSelection::All).await?;
    let before = size(&stored);
    let properties = applied(stored, changes)?;
    quota::grow(tx, mailbox, size(&properties) - before).await?;
    clear::<V>(tx, mailbox, owner).await?;
    let (table, values, _) = owner.tables::<V>();
    let numbered = || (0_i64..).zip(&properties);
    let texts = |property: &ExtendedProperty<V>| property.value.texts().to_vec();
    let Some(values) = values else {
        let rows: Vec<_> = numbered()
            .flat_map(|(pos, p)| {
                texts(p).into_iter().map(move |text| {
                    let (text, folded, [number, millionths, instant]) = stored_value(text);
                    (pos, &p.id, &p.key, text, folded, number, millionths, instant)
                })
            })
            .collect();
        return insert(tx, mailbox, owner, table, &rows).await;
    };
    let rows: Vec<_> = numbered().map(|(pos, property)| (pos, &property.id, &property.key)).collect();
    insert(tx, mailbox, owner, table, &rows).await?;
    let rows: Vec<_> = numbered()
        .flat_map(|(pos, property)| {
            texts(property).into_iter().enumerate().map(move |(entry, text)| {
                let (text, folded, [number, millionths, instant]) = stored_value(text);
                (pos, entry, text, folded, number, millionths, instant)
            })
        })
        .collect();
    insert(tx, mailbox, owner, values, &rows).await
}

/// A value, with the forms in which it is compared.
fn stored_value(text: String) -> (String, String, [Option<i64>; 3]) {
    let (folded, Comparable { number, millionths, instant }) = (fold(&text), Comparable::of(&text));
    (text, folded, [number, millionths, instant])
}

/// The bytes that properties count for.
fn size<V: ExtendedValue>(properties: &[ExtendedProperty<V>]) -> i64 {
    let lengths = properties.iter().map(|p| p.id.len() + p.value.texts().iter().map(String::len).sum::<usize>());
    quota::bytes(lengths)
}

/// Inserts rows. A row has the values of the columns after the mailbox and the owner.
async fn insert<R: Serialize>(
    tx: &mut Tx,
    mailbox: i64,
    owner: ExtendedOwner<'_>,
    table: &'static Table,
    rows: &[R],
) -> Result<(), Error> {
    let rows = serde_json::to_string(rows).map_err(Error::internal)?;
    let columns = Sql::list(table.columns().map(|column| Sql::new(column.name)));
    let values = table.columns().skip(2).enumerate();
    let values = Sql::list(values.map(|(at, column)| column.kind.of_json(Sql::new("value ->> ").number(at))));
    let insert = Sql::new("insert into ").text(table.name).text(" (").then(columns).text(") select ").value(mailbox);
    let insert = insert.text(", ").then(owner.key()).text(", ").then(values);
    let insert = insert.per_engine(" from jsonb_each(", " from jsonb_array_elements(").value(rows);
    tx.execute(insert.per_engine(")", "::jsonb) as sent (value)").into()).await
}

/// Removes the properties of one kind. The values of lists are removed by their foreign key.
async fn clear<V: ExtendedValue>(tx: &mut Tx, mailbox: i64, owner: ExtendedOwner<'_>) -> Result<(), Error> {
    let (table, _, column) = owner.tables::<V>();
    let delete =
        Sql::new("delete from ").text(table.name).text(" where mailbox = ").value(mailbox).text(" and ").text(column);
    tx.execute(delete.text(" in ").then(owner.key()).into()).await
}

/// Removes all properties of a folder, also those of CardDAV clients.
pub(in crate::store) async fn clear_folder(tx: &mut Tx, mailbox: i64, folder: &str) -> Result<(), Error> {
    let (held, owner) = (quota::of_folder(tx.reader().await?, mailbox, folder).await?, ExtendedOwner::Folder(folder));
    quota::count(tx, mailbox, 0, -held).await?;
    dav_properties::clear(tx, mailbox, folder).await?;
    clear::<SingleValue>(tx, mailbox, owner).await?;
    clear::<MultiValue>(tx, mailbox, owner).await
}
