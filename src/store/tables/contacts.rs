//! Reads and writes of contacts.

use std::sync::LazyLock;

use uuid::Uuid;

use crate::domain::contact::expand::Expanded;
use crate::domain::contact::patch::{ContactAdditions, ContactPatch};
use crate::domain::contact::{Complex, Contact, Properties, Text};
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::extension::{Extension, NewExtension};
use crate::domain::words;
use crate::store::db::engine::{Row, Session};
use crate::store::db::faults;
use crate::store::db::statement::{Sql, Texts};
use crate::store::jobs::emptying;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::columns::{self, PLAIN};
use crate::store::tables::extended::{self, ExtendedOwner};
use crate::store::tables::schema::{COLLECTIONS, FLAGS};
use crate::store::tables::table::Table;
use crate::store::tables::{cards, changes, counts, extensions, folders, quota};
use crate::store::write::call::ProcedureCall;
use crate::store::write::procedures;
use crate::store::write::rows::ContactWrite;
use crate::store::write::tx::Tx;

/// Approximate maximum size of the JSON of one call, in bytes.
const MAX_CALL_BYTES: usize = 1 << 20;

static SELECT: LazyLock<Texts> = LazyLock::new(|| select().texts());

/// A contact's columns that are read first.
const OWN: [&str; 6] =
    ["id", "parent_folder_id", "version", "created_date_time", "last_modified_date_time", "change_key"];

/// The names of a contact's own columns, in the order in which they are read.
fn own_columns() -> impl Iterator<Item = &'static str> {
    let properties = PLAIN.iter().copied().chain(Text::ALL.into_iter().map(columns::of_text));
    OWN.into_iter().chain(properties.map(|column| column.name))
}

/// The number of columns that [`read`] reads. The column before the flag's own says whether there is a flag.
pub(in crate::store) const COLUMNS: usize =
    OWN.len() + PLAIN.len() + Text::ALL.len() + COLLECTIONS.len() + 1 + FLAGS.values.len();

/// A contact and its children in one row: the children as JSON, made from their rows as the query runs. The engines'
/// functions for JSON differ.
fn select() -> Sql {
    let flag = FLAGS.values.iter().map(|column| Sql::new("f.").text(column.name));
    let own = own_columns().map(|name| Sql::new("c.").text(name));
    let all = own.chain(COLLECTIONS.into_iter().map(collection)).chain([Sql::new("f.mailbox")]).chain(flag);
    Sql::new("select ").then(Sql::list(all))
}

/// The entries of a collection of the contact `c` as JSON.
pub(in crate::store) fn collection(table: &Table) -> Sql {
    let columns = Sql::list(table.values.iter().map(|column| Sql::new("x.").text(column.name)));
    let entry = match table.values {
        [_] => columns,
        _ => Sql::default().per_engine("json_array(", "json_build_array(").then(columns).text(")"),
    };
    // SQLite reads the rows in this order; an order in the aggregate would sort them again.
    let list = Sql::new("(select ").per_engine("json_group_array(", "json_agg(").then(entry);
    let list = list.per_engine(") from (select x.* from ", " order by x.pos)::text from ").text(table.name);
    let of_contact = " x where x.mailbox = c.mailbox and x.contact_id = c.id";
    list.text(of_contact).per_engine(" order by x.pos) x)", ")")
}

/// The columns that `read` reads, from contacts `c` with their flags `f`.
pub(in crate::store) fn select_columns() -> Sql {
    Sql::prepared(&SELECT)
}

/// The contact with this id, in the folder at the end of a path or, without one, in any folder of the mailbox.
///
/// # Errors
/// [`Error::NotFound`], also when it is deleted or in another folder.
pub(in crate::store) async fn get(
    session: &mut Session,
    mailbox: i64,
    folder_path: &[String],
    id: Uuid,
) -> Result<Contact, Error> {
    if !folder_path.is_empty() {
        session.begin_snapshot().await?;
    }
    let not_deleted = Sql::new(" and c.deleted_date_time is null").then(emptying::is_in_none(mailbox));
    let contact = find(session, mailbox, id, not_deleted).await?;
    if !folder_path.is_empty() && folders::get(session, mailbox, folder_path).await?.id != contact.parent_folder_id {
        return Err(Error::NotFound);
    }
    Ok(contact)
}

/// The contact with this id and in this state.
///
/// # Errors
/// [`Error::NotFound`]
pub(in crate::store) async fn find(
    session: &mut Session,
    mailbox: i64,
    id: Uuid,
    state: Sql,
) -> Result<Contact, Error> {
    let from = "
from contacts c left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id
where c.mailbox = ";
    let statement = select_columns().text(from).value(mailbox).text(" and c.id = ").value(id).then(state);
    read(&session.row(statement.into()).await?.ok_or(Error::NotFound)?)
}

/// The contacts with these ids that are not deleted.
pub(in crate::store) async fn by_ids(session: &mut Session, mailbox: i64, ids: &[Uuid]) -> Result<Vec<Contact>, Error> {
    let from = "
from contacts c left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id
where c.deleted_date_time is null and c.mailbox = ";
    let mut contacts = Vec::with_capacity(ids.len());
    // All rows of a statement are one value, which SQLite limits to 1 GB.
    for ids in ids.chunks(100) {
        let select = select_columns().text(from).value(mailbox).text(" and c.id in ").then(Sql::among(ids));
        let rows = session.packed_rows(select.into(), COLUMNS, &[0]).await?;
        for row in &rows {
            contacts.push(read(row)?);
        }
    }
    Ok(contacts)
}

/// The contacts after one, up to a limit, of any mailbox, deleted ones too.
pub(in crate::store) async fn next_of_any_mailbox(
    session: &mut Session,
    (mailbox, id): (i64, Uuid),
    limit: i64,
) -> Result<Vec<(i64, Contact)>, Error> {
    let from = ", c.mailbox
from contacts c left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id
where (c.mailbox, c.id) > (";
    let select =
        select_columns().text(from).value(mailbox).text(", ").value(id).text(") order by c.mailbox, c.id limit ");
    let rows = session.rows(select.value(limit).into()).await?;
    rows.iter().map(|row| Ok((row.get(COLUMNS)?, read(row)?))).collect()
}

/// Replaces the properties of contacts.
///
/// # Errors
/// [`Error::Quota`] if one grows and there is no room.
pub(in crate::store) async fn overwrite(
    tx: &mut Tx,
    mailbox: i64,
    contacts: Vec<(Contact, Properties)>,
) -> Result<Vec<Contact>, Error> {
    let now = tx.now();
    let written = |(mut contact, properties): (Contact, Properties)| {
        let words = Some(words::of_contact(&contact.properties));
        contact.sent_change_key = None;
        contact.last_modified_date_time = now;
        contact.properties = properties;
        ContactWrite { mailbox, contact, words, actor: None, card: None }
    };
    let contacts: Vec<_> = contacts.into_iter().map(written).collect();
    match write(tx, procedures::update, &contacts).await {
        Err(error) if faults::is_missing_value(&error) => Err(quota::too_large(tx.limits())),
        versions => Ok(with_versions(contacts, versions?)),
    }
}

/// Writes the extensions and extended properties of a contact that was just written. Returns the contact with the new
/// extensions.
pub(in crate::store) async fn write_additions(
    tx: &mut Tx,
    mailbox: i64,
    contact: &mut Contact,
    added: ContactAdditions,
) -> Result<(), Error> {
    let ContactAdditions { extensions, single_values, multi_values } = added;
    let ids = [contact.id];
    extended::change(tx, mailbox, ExtendedOwner::Contacts(&ids), single_values).await?;
    extended::change(tx, mailbox, ExtendedOwner::Contacts(&ids), multi_values).await?;
    if extensions.is_empty() {
        return Ok(());
    }
    extensions::insert(tx, mailbox, contact.id, contact.version, 0, &extensions).await?;
    let (version, last_modified_date_time) = (contact.version, tx.now());
    let extension = |NewExtension { name, members }| Extension { name, members, version, last_modified_date_time };
    let extensions = Some(extensions.into_iter().map(extension).collect());
    contact.expanded = Some(Box::new(Expanded { extensions, ..Expanded::default() }));
    Ok(())
}

/// Applies a patch; an empty one leaves the contact as it is.
///
/// # Errors
/// [`Error::NotFound`] for the contact or the target folder, [`Error::Stale`] when a precondition fails,
/// [`Error::Quota`] if it grows and there is no room.
pub(in crate::store) async fn update(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    id: Uuid,
    mut patch: ContactPatch,
    expected: &Preconditions,
) -> Result<Contact, Error> {
    let mut contact = get(tx.reader().await?, mailbox, folder_path, id).await?;
    expected.check(&contact.version_token())?;
    if patch.is_empty() {
        return Ok(contact);
    }
    if let Some(folder) = patch.parent_folder_id.clone().filter(|folder| *folder != contact.parent_folder_id) {
        let folder = folders::resolve_id(tx.reader().await?, mailbox, &folder).await?.ok_or(Error::NotFound)?;
        if folder != contact.parent_folder_id {
            let seq = changes::record(tx, mailbox, &contact.parent_folder_id, Some(id), ChangeKind::Removed).await?;
            cards::move_card(tx, mailbox, id, (&contact.parent_folder_id, &folder), seq).await?;
            counts::count(tx, mailbox, &contact.parent_folder_id, -1).await?;
            counts::count(tx, mailbox, &folder, 1).await?;
            contact.parent_folder_id = folder;
        }
    }
    contact.sent_change_key = None;
    contact.last_modified_date_time = tx.now();
    let words = words::of_contact(&contact.properties);
    let added = patch.added.take();
    if added.is_some() {
        tx.open_savepoint().await?;
    }
    patch.apply_to(&mut contact.properties);
    let contact = [ContactWrite { mailbox, contact, words: Some(words), actor: None, card: None }];
    let versions = match write(tx, procedures::update, &contact).await {
        Err(error) if faults::is_missing_value(&error) => return Err(quota::too_large(tx.limits())),
        versions => versions?,
    };
    let mut contact = with_versions(contact, versions).pop().ok_or_else(|| Error::internal("nothing was written"))?;
    if let Some(added) = added {
        write_additions(tx, mailbox, &mut contact, *added).await?;
    }
    Ok(contact)
}

/// Marks the contact as deleted. Returns the number of that change.
///
/// # Errors
/// As [`update`].
pub(in crate::store) async fn delete(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    id: Uuid,
    expected: &Preconditions,
) -> Result<i64, Error> {
    let contact = get(tx.reader().await?, mailbox, folder_path, id).await?;
    expected.check(&contact.version_token())?;
    let (now, folder) = (tx.now(), contact.parent_folder_id);
    let numbers = tx.call_procedure(procedures::delete(mailbox, id, now, folder)).await?;
    let seq = numbers.last().copied().ok_or_else(|| Error::internal("nothing was written"))?;
    cards::mark_deleted(tx, mailbox, id, seq).await?;
    Ok(seq)
}

/// A statement for some contacts.
type Procedure = fn(&Tx, &[ContactWrite]) -> Result<ProcedureCall<'static>, Error>;

/// Calls a procedure with contacts, in parts so that the parameter stays small. Returns the versions.
pub(super) async fn write(tx: &mut Tx, procedure: Procedure, mut contacts: &[ContactWrite]) -> Result<Vec<i64>, Error> {
    let mut versions = Vec::with_capacity(contacts.len());
    while !contacts.is_empty() {
        let (batch, rest) = contacts.split_at(count_fitting(contacts));
        if !rest.is_empty() {
            tx.open_savepoint().await?;
        }
        versions.extend(tx.call_procedure(procedure(tx, batch)?).await?);
        contacts = rest;
    }
    Ok(versions)
}

/// The contacts with the versions they were written as.
pub(super) fn with_versions(contacts: impl IntoIterator<Item = ContactWrite>, versions: Vec<i64>) -> Vec<Contact> {
    contacts.into_iter().zip(versions).map(|(written, version)| Contact { version, ..written.contact }).collect()
}

/// How many of the contacts fit into one call.
pub(super) fn count_fitting(contacts: &[ContactWrite]) -> usize {
    let mut size = 0;
    let fitting = contacts.iter().take_while(|written| {
        let fits = size < MAX_CALL_BYTES;
        size += self::size(written);
        fits
    });
    fitting.count()
}

/// The size of a contact and its card in bytes, as the quota counts it.
pub(super) fn size(written: &ContactWrite) -> usize {
    let text = written.card.as_ref().and_then(|card| card.text.as_ref());
    written.contact.size() + text.map_or(0, String::len)
}

/// A contact from a row of [`select_columns`].
pub(in crate::store) fn read(row: &Row) -> Result<Contact, Error> {
    let mut next = 0..;
    let mut column = || next.next().unwrap_or_default();
    let id = row.get(column())?;
    let parent_folder_id = row.get(column())?;
    let version = row.get(column())?;
    let created_date_time = row.get(column())?;
    let last_modified_date_time = row.get(column())?;
    let sent_change_key = row.get(column())?;
    let mut p = Properties::default();
    columns::read_plain(row, &mut column, &mut p)?;
    for text in &mut p.texts {
        *text = row.get(column())?;
    }
    p.emails = entries(row, column())?;
    p.phones = entries(row, column())?;
    p.addresses = entries(row, column())?;
    p.websites = entries(row, column())?;
    p.categories = parse(row, column())?;
    p.im_addresses = parse(row, column())?;
    p.children = parse(row, column())?;
    if row.get::<Option<i64>>(column())?.is_some() {
        p.flag = Some(columns::read_flag(row, &mut column)?);
    }
    Ok(Contact {
        id,
        parent_folder_id,
        version,
        created_date_time,
        last_modified_date_time,
        sent_change_key,
        properties: p,
        expanded: None,
    })
}

/// The entries of a collection whose entries have members.
pub(in crate::store) fn entries<T: Complex>(row: &Row, column: usize) -> Result<Vec<T>, Error> {
    let entries = parse::<Vec<Option<String>>>(row, column)?.into_iter().map(|members| {
        let mut entry = T::default();
        members.into_iter().enumerate().for_each(|(i, value)| entry.set(i, value));
        entry
    });
    Ok(entries.collect())
}

/// The entries of a collection of texts.
pub(in crate::store) fn parse<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<Vec<T>, Error> {
    // PostgreSQL's aggregate of no rows is null.
    let json: Option<String> = row.get(column)?;
    json.map_or_else(|| Ok(Vec::new()), |json| serde_json::from_str(&json).map_err(Error::internal))
}
