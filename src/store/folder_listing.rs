//! Pages of folders, filtered and in any order. A mailbox has few: all of them are read, and put in order here.
//!
//! A page begins behind the place of the last folder of the one before: its sort keys, when it was made, and its id. So a
//! folder that is there throughout a walk, and whose keys do not change, comes exactly once. The token holds the place; of
//! one that is too long for a link it holds the beginning, and hashes of the places of the last folders shown. The walk goes
//! on behind the last of these that is still somewhere in the mailbox, be it deleted. Should all of them have changed, it
//! goes on where the beginning begins: what shares it may come again, but nothing is left out.

use std::cmp::Ordering;

use super::engine::{Row, Session};
use super::statement::Sql;
use super::{filter, folders, sort};
use crate::error::Error;
use crate::folder::Folder;
use crate::odata::filter::typed::{Condition, Order};
use crate::odata::page::{FolderCursor, KeyValue};
use crate::odata::search::Search;

/// How many bytes of texts a cursor holds: one longest name and a UUID.
const MAX_TEXT: usize = 1_060;
/// The columns before the sort keys.
const COLUMNS: usize = 6;

/// Which folders are listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FolderListing {
    /// Besides those inside the folder, itself.
    pub and_itself: bool,
    /// Folders for which this is true.
    pub filter: Option<Condition>,
    /// Folders that this finds.
    pub search: Option<Search>,
    /// Sorted by these, and then by creation.
    pub order: Vec<Order>,
    /// Folders on a page at most.
    pub size: u16,
    /// How many are left out first.
    pub skip: i64,
    /// Where the page before ended.
    pub after: Option<FolderCursor>,
}

/// Sort keys, when it was made, and the id.
type Place = Vec<KeyValue>;

/// A page of folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderPage {
    /// Never empty while there is more.
    pub folders: Vec<Folder>,
    /// Whether others follow.
    pub more: bool,
    /// How many there are on all pages.
    pub count: i64,
    places: Vec<Place>,
    /// What was shown before.
    before: Vec<u64>,
}

impl FolderPage {
    /// Where the next page begins if only so many of these folders are shown.
    pub fn after(&self, shown: usize) -> FolderCursor {
        let places = self.places.get(..shown).unwrap_or(&self.places);
        let mut left = MAX_TEXT;
        let cut = |value: &KeyValue| {
            let value = sort::cut(value.clone(), left);
            if let KeyValue::Text(text) | KeyValue::Cut(text) = &value {
                left -= text.len();
            }
            value
        };
        let place: Place = places.iter().rev().take(1).flatten().map(cut).collect();
        let hashes = places.iter().rev().map(|place| sort::hash(place)).chain(self.before.iter().copied());
        let shown = if sort::is_cut(&place) { hashes.take(sort::MAX_ANCHORS).collect() } else { Vec::new() };
        FolderCursor { shown, place }
    }
}

/// See [`super::Store::folders`].
pub(super) async fn page(
    session: &mut Session,
    mailbox: i64,
    path: &[String],
    listing: &FolderListing,
) -> Result<FolderPage, Error> {
    let order = &listing.order;
    let parent = folders::get(session, mailbox, path).await?.id;
    let after = match &listing.after {
        Some(cursor) => Some(find(session, mailbox, order, cursor).await?),
        None => None,
    };
    let rows = session.rows(select(mailbox, order).then(scope(mailbox, parent, listing)).into()).await?;
    let listed = |row: &Row| Ok((place(order, row)?, folders::read(row)?));
    let mut found = rows.iter().map(listed).collect::<Result<Vec<_>, Error>>()?;
    if let Some(search) = &listing.search {
        found.retain(|(_, folder)| search.matches(&folder.words()));
    }
    found.sort_by(|(left, _), (right, _)| compare(order, left, right));
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let is_behind = |place: &Place| after.as_ref().is_none_or(|after| compare(order, place, after).is_gt());
    let skip = usize::try_from(listing.skip).unwrap_or(usize::MAX);
    let mut rest = found.into_iter().filter(|(place, _)| is_behind(place)).skip(skip);
    let (places, folders) = rest.by_ref().take(listing.size.into()).unzip();
    let before = listing.after.as_ref().map(|cursor| cursor.shown.clone()).unwrap_or_default();
    Ok(FolderPage { folders, more: rest.next().is_some(), count, places, before })
}

/// All folders of the mailbox. Of a key that is put together of several texts 1,024 characters count; it could else be as
/// long as the longest `$orderby` makes it, for each folder.
fn select(mailbox: i64, order: &[Order]) -> Sql {
    let columns = "
select c.id, c.parent_folder_id, c.display_name, c.version, c.created_date_time, c.last_modified_date_time";
    let key = |order: &Order| {
        let key = sort::key(mailbox, order);
        if sort::is_text(order) { Sql::new("substr(").then(key).text(", 1, 1024)") } else { key }
    };
    let keys = order.iter().fold(Sql::new(columns), |all, order| all.text(", ").then(key(order)));
    keys.text(" from folders c where c.mailbox = ").value(mailbox)
}

/// Those of them that are listed.
fn scope(mailbox: i64, parent: String, listing: &FolderListing) -> Sql {
    let scope = Sql::new(" and c.deleted_date_time is null and (c.parent_folder_id = ").value(parent.clone());
    let scope = if listing.and_itself { scope.text(" or c.id = ").value(parent) } else { scope }.text(")");
    match &listing.filter {
        Some(condition) => scope.text(" and ").then(filter::condition(mailbox, condition)),
        None => scope,
    }
}

fn place(order: &[Order], row: &Row) -> Result<Place, Error> {
    let mut place = sort::values(order, row, COLUMNS)?;
    place.extend([KeyValue::Number(row.get(4)?), KeyValue::Text(row.get(0)?)]);
    Ok(place)
}

/// How a folder's place is to another, of which only the beginning may be known: what shares that counts as behind it.
fn compare(order: &[Order], own: &[KeyValue], other: &[KeyValue]) -> Ordering {
    for (i, (own, other)) in own.iter().zip(other).enumerate() {
        let ordering = match (own, other) {
            (KeyValue::Text(own), KeyValue::Cut(other)) if own.starts_with(other) => return Ordering::Greater,
            (KeyValue::Text(own), KeyValue::Cut(other)) => own.cmp(other),
            (own, other) => own.cmp(other),
        };
        if ordering.is_ne() {
            return if order.get(i).is_some_and(|order| order.descending) { ordering.reverse() } else { ordering };
        }
    }
    Ordering::Equal
}

/// The place a cursor names.
///
/// # Errors
/// 400 where it is not one of this order.
async fn find(session: &mut Session, mailbox: i64, order: &[Order], cursor: &FolderCursor) -> Result<Place, Error> {
    let fits = match cursor.place.as_slice() {
        [keys @ .., KeyValue::Number(_), KeyValue::Text(_) | KeyValue::Cut(_)] => sort::fits(order, keys),
        _ => false,
    };
    if !fits {
        return Err(sort::of_another_order());
    }
    if sort::is_cut(&cursor.place) {
        let rows = session.rows(select(mailbox, order).into()).await?;
        let places = rows.iter().map(|row| place(order, row)).collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<_> = places.iter().map(|place| sort::hash(place)).collect();
        for shown in &cursor.shown {
            if let Some((_, place)) = hashes.iter().zip(&places).find(|(hash, _)| *hash == shown) {
                return Ok(place.clone());
            }
        }
    }
    Ok(cursor.place.clone())
}
