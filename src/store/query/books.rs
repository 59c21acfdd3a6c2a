//! Folders as address books: lists and look-ups of their cards.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::domain::card::{self, Card};
use crate::domain::contact::{Contact, DEFAULT_FOLDER, Text, is_default_otherwise};
use crate::domain::error::Error;
use crate::domain::folder::Folder;
use crate::domain::sync::Watermark;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::jobs::emptying;
use crate::store::tables::{card_rows, cards, contacts, folders};

/// The folders of a mailbox, `$1`, that are not deleted, each with the last entry of its cards in the change log.
macro_rules! select_books {
    ($rest:literal) => {
        concat!(
            "
select f.id, f.parent_folder_id, f.display_name, f.version, f.created_date_time, f.last_modified_date_time,
    (select l.seq from changes l /* indexed by changes_by_folder */
        where l.mailbox = f.mailbox and l.folder_id = f.id and l.contact_id is not null order by l.seq desc limit 1),
    (select l.changed_date_time from changes l /* indexed by changes_by_folder */
        where l.mailbox = f.mailbox and l.folder_id = f.id and l.contact_id is not null order by l.seq desc limit 1)
from folders f where f.mailbox = $1 and f.deleted_date_time is null ",
            $rest
        )
    };
}

/// Approximate number of bytes of cards in one read.
pub(in crate::store) const MAX_READ: i64 = 4 << 20;

/// A folder and its current watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The folder.
    pub folder: Folder,
    /// The names of its parent folders, the outermost first, without the default folder.
    pub path: Vec<String>,
    /// Its last change.
    pub moment: Watermark,
}

/// An entry in a list of cards. The card is a contact's or a group's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCard {
    /// The contact's id, or the group's own.
    pub id: Uuid,
    /// The last segment of its address.
    pub name: String,
    /// The number of the last change of contact, photo or card, and its time in UTC microseconds.
    pub version: i64,
    /// See `version`.
    pub last_modified_date_time: i64,
    /// UTC microseconds.
    pub created_date_time: i64,
    /// The contact's `displayName`.
    pub display_name: Option<String>,
    /// Approximate size of contact, photo and card, in bytes.
    pub size: i64,
}

/// A card with everything it is rendered from.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeCard {
    /// Its entry in lists.
    pub member: ListedCard,
    /// The contact; `None` for a group.
    pub contact: Option<Contact>,
    /// The version of the photo, and its bytes. A removed photo has a version and no bytes.
    pub photo: Option<(i64, Option<Vec<u8>>)>,
    /// The card that is stored with it.
    pub card: Option<Card>,
}

impl Store {
    /// All folders of a mailbox as address books, by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn books(&self, mailbox: i64) -> Result<Vec<Book>, Error> {
        let read = async |session: &mut Session| {
            let text = select_books!("order by f.id");
            let rows = session.rows(Statement::hinted(text).bind(mailbox)).await?;
            let all = rows.iter().map(folder_and_moment).collect::<Result<Vec<_>, Error>>()?;
            let by_id: HashMap<_, _> = all.iter().map(|(folder, _)| (folder.id.as_str(), folder)).collect();
            let book = |(folder, moment): &(Folder, Watermark)| Book {
                folder: folder.clone(),
                path: path(&by_id, folder),
                moment: *moment,
            };
            Ok(all.iter().map(book).collect())
        };
        self.read_expensive(Some(mailbox), read).await
    }

    /// A folder as an address book.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn book(&self, mailbox: i64, id: &str) -> Result<Book, Error> {
        let read = async |session: &mut Session| {
            let (folder, moment) = find_book(session, mailbox, id).await?;
            if is_inside_another(&folder) {
                session.begin_snapshot().await?;
                return book(session, mailbox, id).await;
            }
            Ok(Book { folder, path: Vec::new(), moment })
        };
        self.read(read).await
    }

    /// The id of a folder, and whether it has a stored card with this name.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub async fn folder_with_card(&self, mailbox: i64, folder: &str, name: &str) -> Result<(String, bool), Error> {
        let text = "
select f.id, exists (
    select 1 from cards k /* indexed by cards_by_name */
    where k.mailbox = f.mailbox and k.folder_id = f.id and k.name = $3 and k.deleted_date_time is null)
from folders f where f.mailbox = $1 and f.id = $2 and f.deleted_date_time is null";
        let read = async |session: &mut Session| {
            let find = |folder| Statement::hinted(text).bind(mailbox).bind(folder).bind(name);
            let mut row = session.row(find(folder)).await?;
            if row.is_none() && is_default_otherwise(folder) {
                row = session.row(find(DEFAULT_FOLDER)).await?;
            }
            let row = row.ok_or(Error::NotFound)?;
            Ok((row.get(0)?, row.get(1)?))
        };
        self.read(read).await
    }

    /// The cards of a folder after the given one, by id: either those of contacts or those of groups.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members(
        &self,
        mailbox: i64,
        folder: &str,
        groups: bool,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ListedCard>, Error> {
        let read = async |session: &mut Session| {
            let rows =
                session.packed_rows(cards_after(mailbox, folder, groups, after, limit), MEMBER_COLUMNS, &[0]).await?;
            rows.iter().map(member).collect()
        };
        self.read_expensive(Some(mailbox), read).await
    }

    /// The card with this name in a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn member(&self, mailbox: i64, folder: &str, name: &str) -> Result<ListedCard, Error> {
        let read = async |session: &mut Session| {
            let found = members_named(session, mailbox, folder, &[name.to_owned()]).await?;
            found.into_iter().next().ok_or(Error::NotFound)
        };
        self.read(read).await
    }

    /// The cards with these names in a folder. Names without a card are skipped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members_named(&self, mailbox: i64, folder: &str, names: &[String]) -> Result<Vec<ListedCard>, Error> {
        let read = async |session: &mut Session| members_named(session, mailbox, folder, names).await;
        self.read_expensive(Some(mailbox), read).await
    }

    /// The first of these cards with everything they are rendered from, up to some megabytes, and how many that were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn whole_cards(&self, mailbox: i64, members: &[ListedCard]) -> Result<(Vec<WholeCard>, usize), Error> {
        let mut bytes = 0;
        let fitting = members.iter().take_while(|member| {
            let fits = bytes == 0 || bytes + member.size <= MAX_READ;
            bytes += member.size.max(1);
            fits
        });
        let members: Vec<_> = fitting.collect();
        let read = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let ids: Vec<_> = members.iter().map(|member| member.id).collect();
            read_whole_cards(session, mailbox, &ids).await
        };
        let mut found = self.read_expensive(Some(mailbox), read).await?;
        let whole = members.iter().filter_map(|member| found.remove(&member.id)).collect();
        Ok((whole, members.len()))
    }
}

/// The statement for the cards of a folder after the given one, as rows for [`member`].
pub(in crate::store) fn cards_after(
    mailbox: i64,
    folder: &str,
    groups: bool,
    after: Option<Uuid>,
    limit: i64,
) -> Statement<'static> {
    let select = if groups { select_groups(mailbox, folder) } else { select_contacts(mailbox, folder) };
    let id = if groups { " and k.contact_id > " } else { " and c.id > " };
    let order = if groups { " order by k.contact_id limit " } else { " order by c.id limit " };
    select.text(id).value(after.unwrap_or_default()).text(order).value(limit).into()
}

/// See [`Store::book`].
pub(in crate::store) async fn book(session: &mut Session, mailbox: i64, id: &str) -> Result<Book, Error> {
    let (folder, moment) = find_book(session, mailbox, id).await?;
    let (mut parent_id, mut path) =
        (folder.parent_folder_id.clone().filter(|_| is_inside_another(&folder)), Vec::new());
    while let Some(id) = parent_id.take() {
        let parent = folders::get(session, mailbox, &[id]).await?;
        if !parent.is_default() && path.len() < 100 {
            path.insert(0, parent.display_name);
            parent_id = parent.parent_folder_id;
        }
    }
    Ok(Book { folder, path, moment })
}

/// Whether the folder is inside one that is not the default folder.
fn is_inside_another(folder: &Folder) -> bool {
    folder.parent_folder_id.as_deref().is_some_and(|parent| parent != DEFAULT_FOLDER)
}

/// A folder and its current watermark.
async fn find_book(session: &mut Session, mailbox: i64, id: &str) -> Result<(Folder, Watermark), Error> {
    let text = select_books!("and f.id = $2");
    let mut row = session.row(Statement::hinted(text).bind(mailbox).bind(id)).await?;
    if row.is_none() && is_default_otherwise(id) {
        row = session.row(Statement::hinted(text).bind(mailbox).bind(DEFAULT_FOLDER)).await?;
    }
    folder_and_moment(&row.ok_or(Error::NotFound)?)
}

/// A folder and its watermark from a row of `select_books!`.
fn folder_and_moment(row: &Row) -> Result<(Folder, Watermark), Error> {
    let last: (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let moment = match last {
        (Some(seq), Some(time)) => Watermark { seq, entry: (seq, time) },
        _ => Watermark::default(),
    };
    Ok((folders::read(row)?, moment))
}

fn path(by_id: &HashMap<&str, &Folder>, folder: &Folder) -> Vec<String> {
    let (mut path, mut parent_id) = (Vec::new(), folder.parent_folder_id.as_deref());
    while let Some(parent) = parent_id.and_then(|id| by_id.get(id)).filter(|parent| !parent.is_default()) {
        path.insert(0, parent.display_name.clone());
        parent_id = parent.parent_folder_id.as_deref().filter(|_| path.len() < 100);
    }
    path
}

/// The last change of a folder's cards.
pub(in crate::store) async fn read_watermark(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
) -> Result<Watermark, Error> {
    let text = "
select seq, changed_date_time from changes /* indexed by changes_by_folder */
where mailbox = $1 and folder_id = $2 and contact_id is not null order by seq desc limit 1";
    let row = session.row(Statement::hinted(text).bind(mailbox).bind(folder)).await?;
    let Some(row) = row else { return Ok(Watermark::default()) };
    let seq = row.get(0)?;
    Ok(Watermark { seq, entry: (seq, row.get(1)?) })
}

/// The greatest version of contact, photo and card, and its time.
const NEWEST: &str = "
    case when coalesce(k.version, 0) >= coalesce(p.version, 0) and coalesce(k.version, 0) >= c.version then k.version
        when coalesce(p.version, 0) >= c.version then p.version else c.version end,
    case when coalesce(k.version, 0) >= coalesce(p.version, 0) and coalesce(k.version, 0) >= c.version
        then k.last_modified_date_time
        when coalesce(p.version, 0) >= c.version then p.last_modified_date_time else c.last_modified_date_time end";

const FROM_CONTACTS: &str = "
from contacts c
    left join photos p on p.mailbox = c.mailbox and p.contact_id = c.id
    left join cards k on k.mailbox = c.mailbox and k.contact_id = c.id and k.deleted_date_time is null
where c.deleted_date_time is null and c.mailbox = ";

/// The number of columns that [`member`] reads.
pub(in crate::store) const MEMBER_COLUMNS: usize = 8;

/// The start of a statement: the contacts of a folder as members.
fn select_contacts(mailbox: i64, folder: &str) -> Sql {
    let select = Sql::new("select c.id, k.name, ").text(NEWEST).text(
        ", c.created_date_time, c.display_name, case when p.deleted_date_time is null then coalesce(p.size, 0) else 0 end,
    c.size
    + coalesce((select sum(octet_length(t.text)) from card_texts t where t.mailbox = k.mailbox and t.contact_id = k.contact_id), 0)",
    );
    let select = select.text(FROM_CONTACTS).value(mailbox).text(" and c.parent_folder_id = ").value(folder.to_owned());
    select.then(emptying::is_in_none(mailbox))
}

/// The same for groups.
fn select_groups(mailbox: i64, folder: &str) -> Sql {
    let select = "select k.contact_id, k.name, k.version, k.last_modified_date_time, k.last_modified_date_time, null,
    cast(0 as bigint),
    coalesce((select sum(octet_length(t.text)) from card_texts t where t.mailbox = k.mailbox and t.contact_id = k.contact_id), 0)
from cards k where k.is_group and k.deleted_date_time is null and k.mailbox = ";
    Sql::new(select).value(mailbox).text(" and k.folder_id = ").value(folder.to_owned())
}

/// An entry from a row. The last two columns are the size of the photo, and that of contact and card.
pub(in crate::store) fn member(row: &Row) -> Result<ListedCard, Error> {
    let id = row.get(0)?;
    let name: Option<String> = row.get(1)?;
    Ok(ListedCard {
        id,
        name: name.unwrap_or_else(|| card::own_name(id)),
        version: row.get(2)?,
        last_modified_date_time: row.get(3)?,
        created_date_time: row.get(4)?,
        display_name: row.get(5)?,
        size: row.get::<i64>(6)? + row.get::<i64>(7)?,
    })
}

/// The given members that are in the folder.
pub(in crate::store) async fn members_of(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, ListedCard>, Error> {
    members_among(session, mailbox, folder, Sql::among(ids)).await
}

/// The members with these names in the folder.
async fn members_named(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    names: &[String],
) -> Result<Vec<ListedCard>, Error> {
    let cards = Sql::new("select contact_id from cards").per_engine(" indexed by cards_by_name", "");
    let cards = cards
        .text(" where deleted_date_time is null and mailbox = ")
        .value(mailbox)
        .text(" and folder_id = ")
        .value(folder.to_owned())
        .text(" and name in ")
        .then(Sql::among_texts(names));
    let ids: Vec<_> = names.iter().filter_map(|name| card::id_of_name(name)).collect();
    let ids = cards.text(" union all select * from ").then(Sql::among(&ids)).text(" as ids");
    let mut found = members_among(session, mailbox, folder, ids.parenthesized()).await?;
    // The name of a contact's card may differ from its id.
    let requested_names: HashSet<_> = names.iter().collect();
    found.retain(|_, member| requested_names.contains(&member.name));
    Ok(found.into_values().collect())
}

/// The members with the ids that a statement returns.
async fn members_among(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    ids: Sql,
) -> Result<HashMap<Uuid, ListedCard>, Error> {
    let contacts = select_contacts(mailbox, folder).text(" and c.id in ").then(ids.clone());
    let groups = select_groups(mailbox, folder).text(" and k.contact_id in ").then(ids);
    let both = contacts.text(" union all ").then(groups);
    let rows = session.packed_rows(both.into(), MEMBER_COLUMNS, &[0]).await?;
    rows.iter().map(|row| member(row).map(|member| (member.id, member))).collect()
}

/// Cards with everything they are rendered from.
async fn read_whole_cards(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, WholeCard>, Error> {
    let contacts = contacts::by_ids(session, mailbox, ids).await?;
    let mut contacts: HashMap<_, _> = contacts.into_iter().map(|contact| (contact.id, contact)).collect();
    let mut photos = photos(session, mailbox, ids).await?;
    let mut stored_cards = card_rows::of(session, mailbox, ids).await?;
    let mut found = HashMap::new();
    for id in ids {
        let (contact, card) = (contacts.remove(id), stored_cards.remove(id));
        if contact.is_none() && !card.as_ref().is_some_and(|card| card.is_group) {
            continue;
        }
        let photo = photos.remove(id);
        found.insert(*id, whole(*id, contact, photo, card));
    }
    Ok(found)
}

/// A card of these parts. Of a photo they are the version, the time and the bytes.
pub(in crate::store) fn whole(
    id: Uuid,
    contact: Option<Contact>,
    photo: Option<(i64, i64, Option<Vec<u8>>)>,
    card: Option<Card>,
) -> WholeCard {
    let versions = [
        contact.as_ref().map(|contact| (contact.version, contact.last_modified_date_time)),
        photo.as_ref().map(|(version, time, _)| (*version, *time)),
        card.as_ref().map(|card| (card.version, card.last_modified_date_time)),
    ];
    let (version, time) = versions.into_iter().flatten().max().unwrap_or_default();
    let display_name = contact.as_ref().and_then(|contact| contact.properties.text(Text::DisplayName));
    let member = ListedCard {
        id,
        name: card.as_ref().map_or_else(|| card::own_name(id), |card| card.name.clone()),
        version,
        last_modified_date_time: time,
        created_date_time: contact.as_ref().map_or(time, |contact| contact.created_date_time),
        display_name: display_name.map(str::to_owned),
        size: 0,
    };
    WholeCard { member, contact, photo: photo.map(|(version, _, bytes)| (version, bytes)), card }
}

/// The photos of some contacts: version, time, and the bytes of those that exist.
async fn photos(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (i64, i64, Option<Vec<u8>>)>, Error> {
    let select = Sql::new(
        "select p.contact_id, p.version, p.last_modified_date_time, p.deleted_date_time is null from photos p where p.mailbox = ",
    );
    let rows = session.rows(select.value(mailbox).text(" and p.contact_id in ").then(Sql::among(ids)).into()).await?;
    let mut photos = HashMap::new();
    for row in &rows {
        let bytes = row.get::<bool>(3)?.then(Vec::new);
        photos.insert(row.get::<Uuid>(0)?, (row.get(1)?, row.get(2)?, bytes));
    }
    if !photos.is_empty() {
        let select = Sql::new("select b.contact_id, b.bytes from photo_chunks b where b.mailbox = ").value(mailbox);
        let select = select.text(" and b.contact_id in ").then(Sql::among(ids)).text(" order by b.contact_id, b.pos");
        for row in &session.rows(select.into()).await? {
            if let Some((_, _, Some(bytes))) = photos.get_mut(&row.get::<Uuid>(0)?) {
                bytes.extend(row.get::<Vec<u8>>(1)?);
            }
        }
    }
    Ok(photos)
}

/// A card with everything it is rendered from, by its name.
pub(in crate::store) async fn whole_named(
    session: &mut Session,
    mailbox: i64,
    folder: &str,
    name: &str,
) -> Result<Option<WholeCard>, Error> {
    match cards::by_name(session, mailbox, folder, name).await? {
        Some(id) => Ok(read_whole_cards(session, mailbox, &[id]).await?.remove(&id)),
        None => Ok(None),
    }
}
