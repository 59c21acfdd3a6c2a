//! Open extensions of contacts. A write takes the mailbox's next number as the version. It has no entry in the change
//! log, because the contact does not change. Extensions of a new contact belong to the contact's own write.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::contact::expand::ExpandSelection;
use crate::domain::error::{Error, Kind};
use crate::domain::etag::Preconditions;
use crate::domain::extension::{
    Extension, ExtensionMember, ExtensionPatch, MAX_ALL_BYTES, MAX_EXTENSIONS, NewExtension,
};
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::{changes, folders, quota};
use crate::store::write::tx::Tx;

impl Store {
    /// The extensions of a contact, in the order of creation. The contact is in the folder at the end of a path of ids
    /// or, without one, in any folder.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the contact does not exist or is deleted.
    pub async fn extensions(
        &self,
        mailbox: i64,
        folder_path: &[String],
        id: Uuid,
        ids: &ExpandSelection,
    ) -> Result<Vec<Extension>, Error> {
        let read = async |session: &mut Session| {
            session.begin_snapshot().await?;
            folders::check_contact(session, mailbox, folder_path, id).await?;
            of_contact(session, mailbox, id, ids).await
        };
        self.read(read).await
    }

    /// Adds an extension to a contact. The contact does not change: its version stays, and the change log has no entry.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact, [`Error::ExtensionExists`] for a name that it has, [`Error::Quota`] if it
    /// has too many extensions or too much in them.
    pub async fn create_extension(
        &self,
        mailbox: i64,
        folder_path: &[String],
        id: Uuid,
        new: NewExtension,
    ) -> Result<Extension, Error> {
        let folder_path = folder_path.to_vec();
        self.write(Some(mailbox), async move |tx| create(tx, mailbox, &folder_path, id, new).await).await
    }

    /// Changes the named members of an extension. Without any, the version stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact and the extension, [`Error::Stale`] when a precondition fails, 400 for
    /// another name or if it becomes too large, [`Error::Quota`] as with [`Store::create_extension`].
    pub async fn update_extension(
        &self,
        mailbox: i64,
        folder_path: &[String],
        (id, name): (Uuid, String),
        patch: ExtensionPatch,
        expected: Preconditions,
    ) -> Result<Extension, Error> {
        let folder_path = folder_path.to_vec();
        let work = async move |tx: &mut Tx| update(tx, mailbox, &folder_path, (id, &name), patch, &expected).await;
        self.write(Some(mailbox), work).await
    }

    /// Removes an extension. Returns the number of the write.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact and the extension, [`Error::Stale`] when a precondition fails.
    pub async fn delete_extension(
        &self,
        mailbox: i64,
        folder_path: &[String],
        (id, name): (Uuid, String),
        expected: Preconditions,
    ) -> Result<i64, Error> {
        let folder_path = folder_path.to_vec();
        let work = async move |tx: &mut Tx| delete(tx, mailbox, &folder_path, (id, &name), &expected).await;
        self.write(Some(mailbox), work).await
    }
}

/// The extensions of some contacts with these names.
pub(in crate::store) fn from(mailbox: i64, contacts: &[Uuid], ids: &ExpandSelection) -> Sql {
    let join = " from extensions e left join extension_members m
    on m.mailbox = e.mailbox and m.contact_id = e.contact_id and m.extension_pos = e.pos
where e.mailbox = ";
    let from = Sql::new(join).value(mailbox).text(" and e.contact_id in ").then(Sql::among(contacts));
    match ids {
        ExpandSelection::All => from,
        ExpandSelection::These(names) => from.text(" and e.name in ").then(Sql::among_texts(names)),
    }
}

/// The extensions of some contacts, each contact's in order.
pub(in crate::store) async fn of(
    session: &mut Session,
    mailbox: i64,
    contacts: &[Uuid],
    ids: &ExpandSelection,
) -> Result<HashMap<Uuid, Vec<Extension>>, Error> {
    let select = Sql::new("select e.contact_id, e.name, e.version, e.last_modified_date_time, m.name, m.value");
    let select = select.then(from(mailbox, contacts, ids)).text(" order by e.contact_id, e.pos, m.pos");
    let mut found: HashMap<Uuid, Vec<Extension>> = HashMap::new();
    for row in session.rows(select.into()).await? {
        let of_contact = found.entry(row.get(0)?).or_default();
        let name: String = row.get(1)?;
        if of_contact.last().is_none_or(|last| last.name != name) {
            let (version, last_modified_date_time) = (row.get(2)?, row.get(3)?);
            of_contact.push(Extension { name, members: Vec::new(), version, last_modified_date_time });
        }
        if let (Some(last), Some(member)) = (of_contact.last_mut(), row.get::<Option<String>>(4)?) {
            last.members.push((member, row.get(5)?));
        }
    }
    Ok(found)
}

/// The extensions of one contact, also of a deleted one.
pub(in crate::store) async fn of_contact(
    session: &mut Session,
    mailbox: i64,
    id: Uuid,
    ids: &ExpandSelection,
) -> Result<Vec<Extension>, Error> {
    Ok(of(session, mailbox, &[id], ids).await?.remove(&id).unwrap_or_default())
}

/// Adds extensions to a contact that is written with this version.
pub(in crate::store) async fn insert(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    version: i64,
    first: i64,
    new: &[NewExtension],
) -> Result<(), Error> {
    quota::grow(tx, mailbox, new.iter().map(|new| size(&new.members)).sum()).await?;
    for (pos, NewExtension { name, members }) in (first..).zip(new) {
        let text = "
insert into extensions (mailbox, contact_id, pos, name, version, last_modified_date_time) values ($1, $2, $3, $4, $5, $6)";
        let statement = Statement::new(text).bind(mailbox).bind(id).bind(pos).bind(name).bind(version);
        tx.execute(statement.bind(tx.now())).await?;
        insert_members(tx, mailbox, id, pos, members).await?;
    }
    Ok(())
}

/// The size of members as they are counted.
pub(in crate::store) fn size(members: &[ExtensionMember]) -> i64 {
    quota::bytes(members.iter().map(|(name, value)| name.len() + value.len()))
}

async fn insert_members(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    pos: i64,
    members: &[ExtensionMember],
) -> Result<(), Error> {
    let json = serde_json::to_string(members).map_err(Error::internal)?;
    let insert =
        Sql::new("insert into extension_members (mailbox, contact_id, extension_pos, pos, name, value) select ");
    let insert = insert.value(mailbox).text(", ").value(id).text(", ").value(pos);
    let insert = insert.per_engine(
        ", key, value ->> 0, value ->> 1 from json_each(",
        ", n - 1, entry ->> 0, entry ->> 1 from jsonb_array_elements(",
    );
    tx.execute(insert.value(json).per_engine(")", "::text::jsonb) with ordinality as sent (entry, n)").into()).await
}

pub(in crate::store) async fn create(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    id: Uuid,
    new: NewExtension,
) -> Result<Extension, Error> {
    folders::check_contact(tx.reader().await?, mailbox, folder_path, id).await?;
    let ExtensionPosition { count, next, known } = position(tx, mailbox, id, &new.name).await?;
    if known.is_some() {
        return Err(Error::ExtensionExists);
    }
    check_room(count)?;
    let version = take_number(tx, mailbox, id).await?;
    insert(tx, mailbox, id, version, next, std::slice::from_ref(&new)).await?;
    check_size(tx, mailbox, id).await?;
    let NewExtension { name, members } = new;
    Ok(Extension { name, members, version, last_modified_date_time: tx.now() })
}

pub(in crate::store) async fn update(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    (id, name): (Uuid, &str),
    patch: ExtensionPatch,
    expected: &Preconditions,
) -> Result<Extension, Error> {
    let (pos, mut extension) = find(tx, mailbox, folder_path, id, name).await?;
    expected.check(&extension.version_token())?;
    if patch.name.as_ref().is_some_and(|name| *name != extension.name) {
        let message = "'extensionName' cannot be changed: create another extension, and delete this one.";
        return Err(Error::invalid(Kind::ReadOnly, "extensionName", message));
    }
    if patch.members.is_empty() {
        return Ok(extension);
    }
    let before = size(&extension.members);
    extension.members = patch.applied_to(extension.members)?;
    quota::grow(tx, mailbox, size(&extension.members) - before).await?;
    extension.version = take_number(tx, mailbox, id).await?;
    extension.last_modified_date_time = tx.now();
    rewrite(tx, mailbox, id, pos, extension.version, &extension.members).await?;
    Ok(extension)
}

/// Replaces the members of an extension.
async fn rewrite(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    pos: i64,
    version: i64,
    members: &[ExtensionMember],
) -> Result<(), Error> {
    let text = "
update extensions set version = $4, last_modified_date_time = $5 where mailbox = $1 and contact_id = $2 and pos = $3";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(pos).bind(version).bind(tx.now());
    tx.execute(statement).await?;
    let text = "delete from extension_members where mailbox = $1 and contact_id = $2 and extension_pos = $3";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(pos)).await?;
    insert_members(tx, mailbox, id, pos, members).await?;
    check_size(tx, mailbox, id).await
}

/// Sets an extension of a contact that is written with this version, or removes it.
pub(in crate::store) async fn put(
    tx: &mut Tx,
    mailbox: i64,
    (id, version): (Uuid, i64),
    name: String,
    members: Option<Vec<ExtensionMember>>,
) -> Result<(), Error> {
    let ExtensionPosition { count, next, known } = position(tx, mailbox, id, &name).await?;
    let Some(pos) = known else {
        let Some(members) = members else { return Ok(()) };
        check_room(count)?;
        insert(tx, mailbox, id, version, next, &[NewExtension { name, members }]).await?;
        return check_size(tx, mailbox, id).await;
    };
    let stored = of_contact(tx.reader().await?, mailbox, id, &ExpandSelection::These(vec![name])).await?;
    let before = stored.iter().map(|extension| size(&extension.members)).sum::<i64>();
    let Some(members) = members else { return remove(tx, mailbox, id, pos, before).await };
    quota::grow(tx, mailbox, size(&members) - before).await?;
    rewrite(tx, mailbox, id, pos, version, &members).await
}

/// The position of an extension of a contact, or of a new one.
struct ExtensionPosition {
    /// The number of the contact's extensions.
    count: i64,
    /// The position of a new one.
    next: i64,
    /// The position of the one with the name.
    known: Option<i64>,
}

async fn position(tx: &mut Tx, mailbox: i64, id: Uuid, name: &str) -> Result<ExtensionPosition, Error> {
    let text = "
select count(*), coalesce(max(pos) + 1, 0), max(pos) filter (where name = $3)
from extensions where mailbox = $1 and contact_id = $2";
    let row = tx.reader().await?.single_row(Statement::new(text).bind(mailbox).bind(id).bind(name)).await?;
    Ok(ExtensionPosition { count: row.get(0)?, next: row.get(1)?, known: row.get(2)? })
}

/// # Errors
/// [`Error::Quota`] if a contact with so many extensions has no room for another.
pub(in crate::store) fn check_room(count: i64) -> Result<(), Error> {
    if usize::try_from(count).is_ok_and(|count| count >= MAX_EXTENSIONS) {
        return Err(Error::Quota(format!("A contact has at most {MAX_EXTENSIONS} extensions.")));
    }
    Ok(())
}

pub(in crate::store) async fn delete(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    (id, name): (Uuid, &str),
    expected: &Preconditions,
) -> Result<i64, Error> {
    let (pos, extension) = find(tx, mailbox, folder_path, id, name).await?;
    expected.check(&extension.version_token())?;
    let number = take_number(tx, mailbox, id).await?;
    remove(tx, mailbox, id, pos, size(&extension.members)).await?;
    Ok(number)
}

/// Removes an extension whose members have this many bytes.
async fn remove(tx: &mut Tx, mailbox: i64, id: Uuid, pos: i64, bytes: i64) -> Result<(), Error> {
    quota::count(tx, mailbox, 0, -bytes).await?;
    // Its members are removed by their foreign key.
    let text = "delete from extensions where mailbox = $1 and contact_id = $2 and pos = $3";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(pos)).await
}

/// An extension, and its position among those of the contact.
async fn find(
    tx: &mut Tx,
    mailbox: i64,
    folder_path: &[String],
    id: Uuid,
    name: &str,
) -> Result<(i64, Extension), Error> {
    folders::check_contact(tx.reader().await?, mailbox, folder_path, id).await?;
    let text = "select pos from extensions where mailbox = $1 and contact_id = $2 and name = $3";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id).bind(name)).await?;
    let pos = row.ok_or(Error::NotFound)?.get(0)?;
    let selection = ExpandSelection::These(vec![name.to_owned()]);
    let extension = of_contact(tx.reader().await?, mailbox, id, &selection).await?.pop();
    Ok((pos, extension.ok_or(Error::NotFound)?))
}

/// Takes the number of a write to a contact's extensions, and stores it.
async fn take_number(tx: &mut Tx, mailbox: i64, id: Uuid) -> Result<i64, Error> {
    let number = changes::next_number(tx, mailbox).await?;
    let text = "
insert into extension_writes (mailbox, contact_id, version, last_modified_date_time) values ($1, $2, $3, $4)
on conflict (mailbox, contact_id) do update
set version = excluded.version, last_modified_date_time = excluded.last_modified_date_time";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(number).bind(tx.now())).await?;
    Ok(number)
}

/// # Errors
/// [`Error::Quota`] if a contact's extensions are too large.
async fn check_size(tx: &mut Tx, mailbox: i64, id: Uuid) -> Result<(), Error> {
    let text = "
select coalesce(sum(octet_length(name) + octet_length(value)), 0) from extension_members
where mailbox = $1 and contact_id = $2";
    check_bytes(tx.reader().await?.count(Statement::new(text).bind(mailbox).bind(id)).await?)
}

/// # Errors
/// [`Error::Quota`] if all extensions of a contact cannot have so many bytes.
pub(in crate::store) fn check_bytes(size: i64) -> Result<(), Error> {
    if usize::try_from(size).is_ok_and(|size| size > MAX_ALL_BYTES) {
        return Err(Error::Quota(format!("The extensions of a contact have at most {MAX_ALL_BYTES} bytes of JSON.")));
    }
    Ok(())
}
