//! Folders of contacts. A create may name a folder that does not exist; then it is created, even if another folder has
//! the same display name. A folder that is created by a folder route has a name that is unique in its parent.

use uuid::Uuid;

use crate::domain::contact::{DEFAULT_FOLDER, is_default_otherwise};
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::fold::fold;
use crate::domain::folder::{Folder, FolderPatch, ROOT};
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::extended::{self, ExtendedOwner};
use crate::store::tables::{cards, changes, counts};
use crate::store::write::tx::Tx;

/// Maximum depth of folders below the default one.
const MAX_DEPTH: i64 = 100;
/// Maximum number of ids in a path: the first may be the default folder.
const MAX_PATH: usize = 101;

macro_rules! select_folders {
    ($from:literal) => {
        concat!(
            "select f.id, f.parent_folder_id, f.display_name, f.version, f.created_date_time, f.last_modified_date_time
from folders f ",
            $from
        )
    };
}

/// The columns that `select_folders!` begins with.
pub(in crate::store) fn read(row: &Row) -> Result<Folder, Error> {
    Ok(Folder {
        id: row.get(0)?,
        parent_folder_id: row.get(1)?,
        display_name: row.get(2)?,
        version: row.get(3)?,
        created_date_time: row.get(4)?,
        last_modified_date_time: row.get(5)?,
    })
}

/// Whether the mailbox has this folder, not deleted.
pub(in crate::store) async fn exists(session: &mut Session, mailbox: i64, id: &str) -> Result<bool, Error> {
    let text = "select 1 from folders where mailbox = $1 and id = $2 and deleted_date_time is null";
    Ok(session.row(Statement::new(text).bind(mailbox).bind(id)).await?.is_some())
}

/// Whether the folder has other folders inside it.
pub(in crate::store) async fn has_folders(session: &mut Session, mailbox: i64, id: &str) -> Result<bool, Error> {
    let text = "
select 1 from folders where mailbox = $1 and parent_folder_id = $2 and deleted_date_time is null limit 1";
    Ok(session.row(Statement::new(text).bind(mailbox).bind(id)).await?.is_some())
}

/// The id of the folder that this id stands for, if it exists: the default folder has several ids.
pub(in crate::store) async fn resolve_id(
    session: &mut Session,
    mailbox: i64,
    id: &str,
) -> Result<Option<String>, Error> {
    if exists(session, mailbox, id).await? {
        return Ok(Some(id.to_owned()));
    }
    Ok(is_default_otherwise(id).then(|| DEFAULT_FOLDER.to_owned()))
}

/// The folder at the end of a path of ids. Each must be inside the one before it. The first may be anywhere.
///
/// # Errors
/// [`Error::NotFound`] if one does not exist or is not inside the one before it.
pub(in crate::store) async fn get(session: &mut Session, mailbox: i64, path: &[String]) -> Result<Folder, Error> {
    let text = select_folders!("where f.mailbox = $1 and f.id = $2 and f.deleted_date_time is null");
    if path.len() > 1 {
        session.begin_snapshot().await?;
    }
    let mut found: Option<Folder> = None;
    for id in path.iter().take(MAX_PATH) {
        let mut row = session.row(Statement::new(text).bind(mailbox).bind(id)).await?;
        if row.is_none() && is_default_otherwise(id) {
            row = session.row(Statement::new(text).bind(mailbox).bind(DEFAULT_FOLDER)).await?;
        }
        let folder = read(&row.ok_or(Error::NotFound)?)?;
        if found.is_some_and(|parent| folder.parent_folder_id.as_ref() != Some(&parent.id)) {
            return Err(Error::NotFound);
        }
        found = Some(folder);
    }
    found.filter(|_| path.len() <= MAX_PATH).ok_or(Error::NotFound)
}

/// The folder with this name inside another; the oldest if there are several.
///
/// # Errors
/// [`Error::NotFound`]
pub(in crate::store) async fn child_named(
    session: &mut Session,
    mailbox: i64,
    parent: &str,
    name: &str,
) -> Result<Folder, Error> {
    let text = select_folders!(
        "where f.mailbox = $1 and f.parent_folder_id = $2 and f.display_name = $3 and f.deleted_date_time is null
order by f.created_date_time, f.id limit 1"
    );
    let row = session.row(Statement::new(text).bind(mailbox).bind(parent).bind(name)).await?;
    read(&row.ok_or(Error::NotFound)?)
}

/// Creates the default folder of a mailbox.
pub(in crate::store) async fn create_default(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    write(tx, mailbox, DEFAULT_FOLDER, "Contacts", None).await.map(drop)
}

/// The folder a new contact names. An unknown or deleted one is created inside the default folder, id and display
/// name as sent (docs/graph.md, "Folders").
///
/// # Errors
/// [`Error::Quota`] if it is unknown and the mailbox has `max` folders already, including deleted ones.
pub(in crate::store) async fn ensure(tx: &mut Tx, mailbox: i64, id: &str, max: i64) -> Result<(), Error> {
    if exists(tx.reader().await?, mailbox, id).await? {
        return Ok(());
    }
    check_room(tx, mailbox, id, max).await?;
    write(tx, mailbox, id, id, Some(DEFAULT_FOLDER)).await.map(drop)
}

/// Creates a folder inside another.
///
/// # Errors
/// [`Error::NotFound`] for the parent, [`Error::FolderExists`] if the parent has a folder of this name,
/// [`Error::Quota`] if the mailbox has `max` folders already, the folder would be too deep, or it would have too many
/// extended properties.
pub(in crate::store) async fn create(
    tx: &mut Tx,
    mailbox: i64,
    parent: &[String],
    new: FolderPatch,
    max: i64,
) -> Result<Folder, Error> {
    let parent = get(tx.reader().await?, mailbox, parent).await?.id;
    let name = new.display_name.unwrap_or_default();
    check_depth(tx, mailbox, None, &parent).await?;
    check_name(tx, mailbox, &parent, &name, "").await?;
    let id = Tx::new_id(mailbox).to_string();
    check_room(tx, mailbox, &id, max).await?;
    let version = write(tx, mailbox, &id, &name, Some(&parent)).await?;
    extended::change(tx, mailbox, ExtendedOwner::Folder(&id), new.single_values).await?;
    extended::change(tx, mailbox, ExtendedOwner::Folder(&id), new.multi_values).await?;
    tx.set_created(id.clone());
    Ok(Folder {
        id,
        parent_folder_id: Some(parent),
        display_name: name,
        version,
        created_date_time: tx.now(),
        last_modified_date_time: tx.now(),
    })
}

/// Creates a folder with this id in the default folder.
///
/// # Errors
/// As [`create`], and [`Error::FolderExists`] if the id is taken.
pub(in crate::store) async fn create_with_id(
    tx: &mut Tx,
    mailbox: i64,
    id: &str,
    name: &str,
    max: i64,
) -> Result<(), Error> {
    if resolve_id(tx.reader().await?, mailbox, id).await?.is_some() {
        return Err(Error::FolderExists);
    }
    check_name(tx, mailbox, DEFAULT_FOLDER, name, id).await?;
    check_room(tx, mailbox, id, max).await?;
    write(tx, mailbox, id, name, Some(DEFAULT_FOLDER)).await?;
    tx.set_created(id.to_owned());
    Ok(())
}

/// Renames a folder, moves it into another, or changes its extended properties.
///
/// # Errors
/// [`Error::NotFound`] for the folder or the target, [`Error::FolderExists`] if the target has a folder of this name,
/// [`Error::DefaultFolder`] for the default folder, [`Error::Cycle`] into itself, [`Error::Quota`] if it would be too
/// deep, [`Error::Stale`] when a precondition fails.
pub(in crate::store) async fn update(
    tx: &mut Tx,
    mailbox: i64,
    path: &[String],
    changes: FolderPatch,
    expected: &Preconditions,
) -> Result<Folder, Error> {
    let mut folder = get(tx.reader().await?, mailbox, path).await?;
    expected.check(&folder.version_token())?;
    let parent = match changes.parent_folder_id {
        // Answers show the default folder's parent as the root.
        Some(id) if folder.is_default() && id.eq_ignore_ascii_case(ROOT) => None,
        Some(id) if is_default_otherwise(&id) => resolve_id(tx.reader().await?, mailbox, &id).await?,
        Some(id) => Some(id),
        None => folder.parent_folder_id.clone(),
    };
    let name = changes.display_name.unwrap_or_else(|| folder.display_name.clone());
    let has_properties = !(changes.single_values.is_empty() && changes.multi_values.is_empty());
    extended::change(tx, mailbox, ExtendedOwner::Folder(&folder.id), changes.single_values).await?;
    extended::change(tx, mailbox, ExtendedOwner::Folder(&folder.id), changes.multi_values).await?;
    if parent == folder.parent_folder_id && name == folder.display_name {
        if !has_properties {
            return Ok(folder);
        }
        folder.version = changes::record(tx, mailbox, &folder.id, None, ChangeKind::Written).await?;
        folder.last_modified_date_time = tx.now();
        let text = "
update folders set version = $3, last_modified_date_time = $4 where mailbox = $1 and id = $2";
        let statement = Statement::new(text).bind(mailbox).bind(&folder.id).bind(folder.version);
        tx.execute(statement.bind(tx.now())).await?;
        return Ok(folder);
    }
    let Some(parent) = parent.filter(|_| !folder.is_default()) else { return Err(Error::DefaultFolder) };
    if Some(&parent) != folder.parent_folder_id.as_ref() {
        check_depth(tx, mailbox, Some(&folder.id), &parent).await?;
    }
    check_name(tx, mailbox, &parent, &name, &folder.id).await?;
    folder.version = changes::record(tx, mailbox, &folder.id, None, ChangeKind::Written).await?;
    folder.last_modified_date_time = tx.now();
    let text = "
update folders
set display_name = $3, display_name_key = $4, parent_folder_id = $5, version = $6, last_modified_date_time = $7
where mailbox = $1 and id = $2";
    let statement = Statement::new(text).bind(mailbox).bind(&folder.id).bind(&name).bind(fold(&name)).bind(&parent);
    tx.execute(statement.bind(folder.version).bind(tx.now())).await?;
    Ok(Folder { parent_folder_id: Some(parent), display_name: name, ..folder })
}

/// Marks a folder as deleted at `time`, with all folders and contacts inside it. Returns the number of the last change,
/// and whether everything is marked: a large folder is left to [`emptying`].
///
/// # Errors
/// [`Error::NotFound`], [`Error::DefaultFolder`] for the default one, [`Error::Stale`] when a precondition fails.
pub(in crate::store) async fn delete(
    tx: &mut Tx,
    mailbox: i64,
    path: &[String],
    expected: &Preconditions,
    time: i64,
) -> Result<(i64, bool), Error> {
    let folder = get(tx.reader().await?, mailbox, path).await?;
    expected.check(&folder.version_token())?;
    if folder.is_default() {
        return Err(Error::DefaultFolder);
    }
    // Contacts first, then folders, numbered in the order of their keys. The new log entries then say what must be
    // marked.
    let now = tx.now();
    let before = changes::last_number(tx, mailbox).await?;
    let statement = Statement::hinted(MANY_CONTACTS).bind(mailbox).bind(folder.id.as_str()).bind(emptying::PIECE);
    let is_large = tx.reader().await?.row(statement).await?.is_some();
    let log = |text, last| Statement::hinted(text).bind(mailbox).bind(folder.id.as_str()).bind(now).bind(last);
    if !is_large {
        tx.execute(log(LOG_CONTACTS, before)).await?;
        counts::mark_contacts(tx, mailbox, time, before).await?;
    }
    let last = changes::last_logged(tx, mailbox, before).await?;
    tx.execute(log(LOG_FOLDERS, last)).await?;
    tx.execute(Statement::new(MARK_FOLDERS).bind(mailbox).bind(time).bind(last)).await?;
    let last = changes::last_logged(tx, mailbox, before).await?;
    changes::catch_up(tx, mailbox, last).await?;
    cards::mark_deleted_since(tx, mailbox, before).await?;
    cards::delete_groups_since(tx, mailbox, before).await?;
    if is_large {
        emptying::begin(tx, mailbox, before, time).await?;
    }
    Ok((last, !is_large))
}

/// The folder `$2` and those inside it, to any depth.
macro_rules! tree {
    () => {
        "
with recursive tree (id) as (
    select id from folders where mailbox = $1 and id = $2 and deleted_date_time is null
    union all
    select f.id from folders f join tree on f.parent_folder_id = tree.id
    where f.mailbox = $1 and f.deleted_date_time is null
)"
    };
}

/// One row if there are more than `$3` contacts.
const MANY_CONTACTS: &str = concat!(
    tree!(),
    "
select 1 from contacts c /* indexed by contacts_by_folder */
where c.mailbox = $1 and c.deleted_date_time is null and c.parent_folder_id in (select id from tree)
limit 1 offset $3"
);

const LOG_CONTACTS: &str = concat!(
    "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)",
    tree!(),
    "
select $1, $4 + row_number() over (order by c.id), c.parent_folder_id, c.id, true, $3
from contacts c /* indexed by contacts_by_folder */
where c.mailbox = $1 and c.deleted_date_time is null and c.parent_folder_id in (select id from tree)"
);

const LOG_FOLDERS: &str = concat!(
    "insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)",
    tree!(),
    "
select $1, $4 + row_number() over (order by id), id, null, true, $3 from tree"
);

const MARK_FOLDERS: &str = "
update folders set deleted_date_time = $2, last_modified_date_time = $2, version = l.seq
from changes l where l.mailbox = $1 and l.seq > $3 and folders.mailbox = $1 and folders.id = l.folder_id";

/// # Errors
/// [`Error::FolderExists`] if another folder than `own` in `parent` has the name, in any letter case.
async fn check_name(tx: &mut Tx, mailbox: i64, parent: &str, name: &str, own: &str) -> Result<(), Error> {
    let text = "
select 1 from folders
where mailbox = $1 and parent_folder_id = $2 and display_name_key = $3 and id <> $4 and deleted_date_time is null";
    let statement = Statement::new(text).bind(mailbox).bind(parent).bind(fold(name)).bind(own);
    match tx.reader().await?.row(statement).await? {
        Some(_) => Err(Error::FolderExists),
        None => Ok(()),
    }
}

/// Checks that a folder, with all folders inside it, fits inside another. `None` is a new folder.
///
/// # Errors
/// [`Error::NotFound`] if `parent` does not exist, [`Error::Cycle`] if it is `id` or inside it, [`Error::Quota`] if a
/// folder would be too deep.
async fn check_depth(tx: &mut Tx, mailbox: i64, id: Option<&str>, parent: &str) -> Result<(), Error> {
    let text = "
with recursive above (id, parent) as (
    select id, parent_folder_id from folders where mailbox = $1 and id = $2 and deleted_date_time is null
    union all
    select f.id, f.parent_folder_id from folders f join above on f.id = above.parent where f.mailbox = $1
)
select count(*), count(*) filter (where id = $3) from above";
    let row = tx.reader().await?.single_row(Statement::new(text).bind(mailbox).bind(parent).bind(id)).await?;
    // The default folder is among those above and does not count, so this is the depth of the folder itself.
    let depth: i64 = row.get(0)?;
    if depth == 0 {
        return Err(Error::NotFound);
    }
    if row.get::<i64>(1)? > 0 {
        return Err(Error::Cycle);
    }
    let text = "
with recursive below (id, depth) as (
    select id, cast(0 as bigint) from folders where mailbox = $1 and id = $2
    union all
    select f.id, below.depth + 1 from folders f join below on f.parent_folder_id = below.id
    where f.mailbox = $1 and f.deleted_date_time is null
)
select coalesce(max(depth), 0) from below";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id)).await?;
    let below: i64 = row.map_or(Ok(0), |row| row.get(0))?;
    if depth + below > MAX_DEPTH {
        return Err(Error::Quota(format!("Folders are at most {MAX_DEPTH} deep.")));
    }
    Ok(())
}

/// # Errors
/// [`Error::Quota`] if the mailbox has `max` folders, including deleted ones, and `id` is not among them.
async fn check_room(tx: &mut Tx, mailbox: i64, id: &str, max: i64) -> Result<(), Error> {
    let text = "select count(*), count(*) filter (where id = $2) from folders where mailbox = $1";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id)).await?.ok_or(Error::NotFound)?;
    if row.get::<i64>(0)? >= max && row.get::<i64>(1)? == 0 {
        return Err(Error::Quota(format!("A mailbox has at most {max} folders.")));
    }
    Ok(())
}

/// Writes a new folder, or a deleted one again. Returns its version.
async fn write(tx: &mut Tx, mailbox: i64, id: &str, display_name: &str, parent: Option<&str>) -> Result<i64, Error> {
    // A folder that is created again is a new folder.
    emptying::mark_all_in(tx, mailbox, id).await?;
    let version = changes::record(tx, mailbox, id, None, ChangeKind::Written).await?;
    let text = "
insert into folders
    (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time)
values ($1, $2, $3, $4, $5, $6, $7, $7)
on conflict (mailbox, id) do update
set parent_folder_id = excluded.parent_folder_id, display_name = excluded.display_name,
    display_name_key = excluded.display_name_key, version = excluded.version,
    created_date_time = excluded.created_date_time, last_modified_date_time = excluded.last_modified_date_time,
    deleted_date_time = null";
    let statement = Statement::new(text)
        .bind(mailbox)
        .bind(id)
        .bind(parent)
        .bind(display_name)
        .bind(fold(display_name))
        .bind(version)
        .bind(tx.now());
    tx.execute(statement).await?;
    extended::clear_folder(tx, mailbox, id).await?;
    Ok(version)
}

/// Checks that the contact with this id exists, without reading it.
///
/// # Errors
/// [`Error::NotFound`], also when it is deleted or in another folder.
pub(in crate::store) async fn check_contact(
    session: &mut Session,
    mailbox: i64,
    path: &[String],
    id: Uuid,
) -> Result<(), Error> {
    if !path.is_empty() {
        session.begin_snapshot().await?;
    }
    let select =
        Sql::new("select c.parent_folder_id from contacts c where c.deleted_date_time is null and c.mailbox = ");
    let select = select.value(mailbox).text(" and c.id = ").value(id).then(emptying::is_in_none(mailbox));
    let row = session.row(select.into()).await?.ok_or(Error::NotFound)?;
    if path.is_empty() || get(session, mailbox, path).await?.id == row.get::<String>(0)? {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}
