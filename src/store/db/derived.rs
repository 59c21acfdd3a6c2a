//! Recomputes derived data of contacts after its rule changed: the keys in `folded` and the search words.

use uuid::Uuid;

use crate::domain::contact::{Contact, tags};
use crate::domain::error::Error;
use crate::domain::extended::Comparable;
use crate::domain::fold::{FOLDING, fold};
use crate::domain::phone;
use crate::domain::words;
use crate::store::db::engine::Session;
use crate::store::db::migrate::Progress;
use crate::store::db::statement::{Sql, Statement};
use crate::store::query::search;
use crate::store::tables::{contacts, folded};

/// `store.folding` of a database that a copy into it has not finished.
pub(in crate::store) const UNFINISHED: i64 = 0;

/// Contacts that are read and written at once.
const CHUNK: i64 = 50;

/// Recomputes keys and words if they were made by an older rule.
pub(in crate::store) async fn recompute(session: &mut Session, progress: &Progress) -> Result<(), Error> {
    let Some(row) = session.row(Statement::new("select folding from store where id = 1")).await? else { return Ok(()) };
    if !(UNFINISHED + 1..FOLDING).contains(&row.get::<i64>(0)?) {
        return Ok(());
    }
    session.execute(Statement::new("delete from folded")).await?;
    let mut last = FIRST;
    while let Some(chunk) = next(session, &mut last).await? {
        write_keys(session, &chunk).await?;
        progress.add(chunk.len());
    }
    recompute_words(session).await?;
    session.execute(Statement::new("update store set folding = $1").bind(FOLDING)).await
}

/// Computes the numbers and dates of stored extended property values, once. Values under an id that is now a view on a
/// contact's property are moved to a named id.
pub(in crate::store) async fn read_values(session: &mut Session) -> Result<(), Error> {
    for table in ["single_values", "multi_values", "folder_single_values", "folder_multi_values"] {
        let select = Sql::new("select distinct value from ").text(table);
        let select =
            select.text(" where length(value) <= 64 and substr(value, 1, 1) in ('-', '+', '.', '0', '1', '2', '3',");
        let mut read = Vec::new();
        for row in session.rows(select.text(" '4', '5', '6', '7', '8', '9')").into()).await? {
            let text: String = row.get(0)?;
            let Comparable { number, millionths, instant } = Comparable::of(&text);
            read.push((text, number, millionths, instant));
        }
        let json = serde_json::to_string(&read).map_err(Error::internal)?;
        let update = Sql::new("with read as materialized (select value ->> 0 as value, ").per_engine(
            "value ->> 1 as a, value ->> 2 as b, value ->> 3 as c from json_each(",
            "(value ->> 1)::bigint as a, (value ->> 2)::bigint as b, (value ->> 3)::bigint as c from jsonb_array_elements(",
        );
        let update =
            update.value(json).per_engine("))", "::text::jsonb) as sent (value))").text(" update ").text(table);
        let update =
            update.text(" set value_number = read.a, value_millionths = read.b, value_instant = read.c from read");
        session.execute(update.text(" where read.value = ").text(table).text(".value").into()).await?;
    }
    for row in session.rows(Statement::new("select distinct id_key from single_values")).await? {
        let key: String = row.get(0)?;
        if tags::view(&key).is_none() {
            continue;
        }
        let (_, property) = key.split_once(' ').unwrap_or_default();
        let update = Statement::new("update single_values set id = $1, id_key = $2 where id_key = $3");
        let (id, id_key) = (
            format!("String {NAMED_NAMESPACE} Name kept {property}"),
            format!("string {NAMED_NAMESPACE} name kept {property}"),
        );
        session.execute(update.bind(id).bind(id_key).bind(key)).await?;
    }
    Ok(())
}

/// Rows that get a key at once.
const ROWS: i64 = 2_000;

/// Folds the names that are not plain ASCII, which SQL cannot.
pub(in crate::store) async fn fold_names(session: &mut Session, progress: &Progress) -> Result<(), Error> {
    let select = "
select mailbox, id, nick_name, file_as from contacts
where (mailbox, id) > ($1, $2) and (octet_length(nick_name) <> length(nick_name) or octet_length(file_as) <> length(file_as))
order by mailbox, id limit $3";
    let update = Statement::per_engine(
        "
update contacts set nick_name_key = value ->> 2, file_as_key = value ->> 3
from json_each($1) where contacts.mailbox = value ->> 0 and contacts.id = unhex(value ->> 1)",
        "
update contacts set nick_name_key = value ->> 2, file_as_key = value ->> 3
from jsonb_array_elements($1::text::jsonb) as sent (value)
where contacts.mailbox = (value ->> 0)::bigint and contacts.id = (value ->> 1)::uuid",
    );
    let mut last = FIRST;
    loop {
        let statement = Statement::new(select).bind(last.0).bind(last.1).bind(ROWS);
        let mut sent = Vec::new();
        for row in session.rows(statement).await? {
            last = (row.get(0)?, row.get(1)?);
            let (nick, file_as) = (row.get::<Option<String>>(2)?, row.get::<Option<String>>(3)?);
            let id = last.1.as_simple().to_string();
            sent.push((last.0, id, nick.as_deref().map(fold), fold(&file_as.unwrap_or_default())));
        }
        if sent.is_empty() {
            return Ok(());
        }
        session.execute(update.clone().bind(serde_json::to_string(&sent).map_err(Error::internal)?)).await?;
        progress.add(sent.len());
    }
}

/// Makes the keys of all phone numbers.
pub(in crate::store) async fn compute_number_keys(session: &mut Session, progress: &Progress) -> Result<(), Error> {
    let select = "
select mailbox, contact_id, pos, number from phones
where (mailbox, contact_id, pos) > ($1, $2, $3) and number is not null order by mailbox, contact_id, pos limit $4";
    let update = Statement::per_engine(
        "
update phones set number_key = value ->> 3
from json_each($1) where phones.mailbox = value ->> 0 and phones.contact_id = unhex(value ->> 1) and phones.pos = value ->> 2",
        "
update phones set number_key = value ->> 3
from jsonb_array_elements($1::text::jsonb) as sent (value)
where phones.mailbox = (value ->> 0)::bigint and phones.contact_id = (value ->> 1)::uuid
    and phones.pos = (value ->> 2)::bigint",
    );
    let mut last = (FIRST.0, FIRST.1, -1_i64);
    loop {
        let statement = Statement::new(select).bind(last.0).bind(last.1).bind(last.2).bind(ROWS);
        let mut sent = Vec::new();
        for row in session.rows(statement).await? {
            last = (row.get(0)?, row.get(1)?, row.get(2)?);
            sent.push((last.0, last.1.as_simple().to_string(), last.2, phone::key(&row.get::<String>(3)?)));
        }
        if sent.is_empty() {
            return Ok(());
        }
        session.execute(update.clone().bind(serde_json::to_string(&sent).map_err(Error::internal)?)).await?;
        progress.add(sent.len());
    }
}

/// The namespace of the named ids.
const NAMED_NAMESPACE: &str = "{00020329-0000-0000-c000-000000000046}";

/// Recomputes the search words of all contacts.
pub(in crate::store) async fn recompute_words(session: &mut Session) -> Result<(), Error> {
    let empty = Statement::per_engine("insert into words (words) values ('delete-all')", "delete from words");
    session.execute(empty).await?;
    session.execute(Statement::per_engine("delete from searched", "select 1")).await?;
    let mut last = FIRST;
    while let Some(chunk) = next(session, &mut last).await? {
        write_words(session, &chunk).await?;
    }
    Ok(())
}

/// Computes the search words of the contacts of a mailbox that has none yet.
pub(in crate::store) async fn compute_words_of(session: &mut Session, mailbox: i64) -> Result<(), Error> {
    let mut last = (mailbox, Uuid::nil());
    while let Some(mut chunk) = next(session, &mut last).await? {
        let read_count = chunk.len();
        chunk.retain(|(owner, _)| *owner == mailbox);
        write_words(session, &chunk).await?;
        if chunk.len() < read_count {
            break;
        }
    }
    Ok(())
}

/// A position before all contacts.
const FIRST: (i64, Uuid) = (0, Uuid::nil());

/// The next contacts after a position.
async fn next(session: &mut Session, last: &mut (i64, Uuid)) -> Result<Option<Vec<(i64, Contact)>>, Error> {
    let chunk = contacts::next_of_any_mailbox(session, *last, CHUNK).await?;
    let Some((mailbox, contact)) = chunk.last() else { return Ok(None) };
    *last = (*mailbox, contact.id);
    Ok(Some(chunk))
}

async fn write_keys(session: &mut Session, contacts: &[(i64, Contact)]) -> Result<(), Error> {
    let mut rows = Vec::new();
    for (mailbox, contact) in contacts {
        for (pos, (property, entry, key)) in folded::of(&contact.properties).into_iter().enumerate() {
            rows.push((mailbox, contact.id.as_simple(), pos, property, entry, key));
        }
    }
    let insert = Sql::new("insert into folded (mailbox, contact_id, pos, property, entry, key) select ").per_engine(
        "value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(",
        "(value ->> 0)::bigint, (value ->> 1)::uuid, (value ->> 2)::bigint, value ->> 3, (value ->> 4)::bigint, value ->> 5
from jsonb_array_elements(",
    );
    let json = serde_json::to_string(&rows).map_err(Error::internal)?;
    session.execute(insert.value(json).per_engine(")", "::text::jsonb) as rows (value)").into()).await
}

async fn write_words(session: &mut Session, contacts: &[(i64, Contact)]) -> Result<(), Error> {
    let id = |contact: &Contact| contact.id.as_simple().to_string();
    let (mut texts, mut vectors) = (Vec::new(), Vec::new());
    for (mailbox, contact) in contacts {
        let words = words::of_contact(&contact.properties);
        texts.push((mailbox, id(contact), search::texts(*mailbox, &words)));
        vectors.push((mailbox, id(contact), search::vectors(*mailbox, &words)));
    }
    let texts = serde_json::to_string(&texts).map_err(Error::internal)?;
    let vectors = serde_json::to_string(&vectors).map_err(Error::internal)?;
    let number =
        Sql::new("insert into searched (mailbox, contact_id) select value ->> 0, unhex(value ->> 1) from json_each(");
    session.execute(Sql::engine_specific(number.value(texts.clone()).text(")"), Sql::new("select 1")).into()).await?;
    let index = Sql::new(
        "
insert into words (rowid, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16)
select row, value -> 2 ->> 0, value -> 2 ->> 1, value -> 2 ->> 2, value -> 2 ->> 3, value -> 2 ->> 4, value -> 2 ->> 5,
    value -> 2 ->> 6, value -> 2 ->> 7, value -> 2 ->> 8, value -> 2 ->> 9, value -> 2 ->> 10, value -> 2 ->> 11,
    value -> 2 ->> 12, value -> 2 ->> 13, value -> 2 ->> 14, value -> 2 ->> 15, value -> 2 ->> 16
from json_each(",
    );
    let index = index.value(texts).text(") join searched on mailbox = value ->> 0 and contact_id = unhex(value ->> 1)");
    let insert = Sql::new(
        "
insert into words (mailbox, contact_id, words, places)
select (value ->> 0)::bigint, (value ->> 1)::uuid, (value -> 2 ->> 0)::tsvector, (value -> 2 ->> 1)::tsvector
from jsonb_array_elements(",
    );
    let insert = insert.value(vectors).text("::text::jsonb) as rows (value)");
    session.execute(Sql::engine_specific(index, insert).into()).await
}
