//! Pages of what is sorted here and not by the database: folders, and categories and users in an order that is asked for. A
//! mailbox has few of them, and users are listed by applications alone: all rows are read, and put in order.
//!
//! A page begins behind the place of the last row of the one before: its sort keys, and what tells rows with the same keys
//! apart. So a row that is there throughout a walk, and whose keys do not change, comes exactly once. The token holds the
//! place; of one that is too long for a link it holds the beginning, and hashes of the places of the last rows shown. The walk
//! goes on behind the last of these that is still somewhere, be it deleted. Should all of them have changed, it goes on where
//! the beginning begins: what shares it may come again, but nothing is left out.

use std::cmp::Ordering;

use crate::domain::error::Error;
use crate::domain::query::cursor::{KeyValue, PlaceCursor};
use crate::domain::query::typed::Order;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Sql;
use crate::store::query::sort;

/// How many bytes of texts a cursor holds: one longest name and a UUID.
const MAX_TEXT: usize = 1_060;

/// In which order, and which part of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sorting {
    /// Sorted by these, and then by creation.
    pub order: Vec<Order>,
    /// How many on a page at most.
    pub size: u16,
    /// How many are left out first.
    pub skip: i64,
    /// Where the page before ended.
    pub after: Option<PlaceCursor>,
}

/// Sort keys, when it was made, and the id.
type Place = Vec<KeyValue>;

/// A page of such a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedPage<T> {
    /// Never empty while there is more.
    pub value: Vec<T>,
    /// Whether others follow.
    pub more: bool,
    /// How many there are on all pages.
    pub count: i64,
    places: Vec<Place>,
    /// What was shown before.
    before: Vec<u64>,
}

impl<T> Default for SortedPage<T> {
    fn default() -> Self {
        Self { value: Vec::new(), more: false, count: 0, places: Vec::new(), before: Vec::new() }
    }
}

impl<T> SortedPage<T> {
    /// Where the next page begins if only so many of these are shown.
    pub fn after(&self, shown: usize) -> PlaceCursor {
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
        PlaceCursor { shown, place }
    }
}

/// The rows `c` of a kind.
pub(in crate::store) struct Rows<T> {
    /// Whose keys are looked up, where they are somebody's.
    pub(in crate::store) mailbox: i64,
    /// `select …`
    pub(in crate::store) select: &'static str,
    /// How many columns that has.
    pub(in crate::store) columns: usize,
    /// ` from … where …`: all of them, deleted ones too.
    pub(in crate::store) from: Sql,
    pub(in crate::store) read: fn(&Row) -> Result<T, Error>,
    /// When it was made, as a number, and the id: what tells rows apart, in the order of their creation.
    pub(in crate::store) made: fn(&Row) -> Result<(i64, String), Error>,
}

impl<T> Rows<T> {
    /// A page of those that are in ` and …` and that `keep` keeps.
    ///
    /// # Errors
    /// 400 for a cursor of another order.
    pub(in crate::store) async fn page(
        &self,
        session: &mut Session,
        scope: Sql,
        by: &Sorting,
        keep: impl Fn(&T) -> bool,
    ) -> Result<SortedPage<T>, Error> {
        let order = &by.order;
        let after = match &by.after {
            Some(cursor) => {
                if sort::is_cut(&cursor.place) {
                    session.begin_snapshot().await?;
                }
                Some(self.find(session, order, cursor).await?)
            }
            None => None,
        };
        let rows = session.rows(self.select(order).then(scope).into()).await?;
        let listed = |row: &Row| Ok((self.place(order, row)?, (self.read)(row)?));
        let mut found = rows.iter().map(listed).collect::<Result<Vec<_>, Error>>()?;
        found.retain(|(_, one)| keep(one));
        found.sort_by(|(left, _), (right, _)| compare(order, left, right));
        let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let is_behind = |place: &Place| after.as_ref().is_none_or(|after| compare(order, place, after).is_gt());
        let skip = usize::try_from(by.skip).unwrap_or(usize::MAX);
        let mut rest = found.into_iter().filter(|(place, _)| is_behind(place)).skip(skip);
        let (places, value) = rest.by_ref().take(by.size.into()).unzip();
        let before = by.after.as_ref().map(|cursor| cursor.shown.clone()).unwrap_or_default();
        Ok(SortedPage { value, more: rest.next().is_some(), count, places, before })
    }

    /// Of a key that is put together of several texts 1,024 characters count; it could else be as long as the longest
    /// `$orderby` makes it, for each row.
    fn select(&self, order: &[Order]) -> Sql {
        let key = |order: &Order| {
            let key = sort::key(self.mailbox, order);
            if sort::is_text(order) { Sql::new("substr(").then(key).text(", 1, 1024)") } else { key }
        };
        let keys = order.iter().fold(Sql::new(self.select), |all, order| all.text(", ").then(key(order)));
        keys.then(self.from.clone())
    }

    fn place(&self, order: &[Order], row: &Row) -> Result<Place, Error> {
        let (number, id) = (self.made)(row)?;
        let mut place = sort::values(order, row, self.columns)?;
        place.extend([KeyValue::Number(number), KeyValue::Text(id)]);
        Ok(place)
    }

    /// The place a cursor names.
    ///
    /// # Errors
    /// 400 where it is not one of this order.
    async fn find(&self, session: &mut Session, order: &[Order], cursor: &PlaceCursor) -> Result<Place, Error> {
        let fits = match cursor.place.as_slice() {
            [keys @ .., KeyValue::Number(_), KeyValue::Text(_) | KeyValue::Cut(_)] => sort::fits(order, keys),
            _ => false,
        };
        if !fits {
            return Err(sort::of_another_order());
        }
        if sort::is_cut(&cursor.place) {
            let rows = session.rows(self.select(order).into()).await?;
            let places = rows.iter().map(|row| self.place(order, row)).collect::<Result<Vec<_>, _>>()?;
            let hashes: Vec<_> = places.iter().map(|place| sort::hash(place)).collect();
            for shown in &cursor.shown {
                if let Some((_, place)) = hashes.iter().zip(&places).find(|(hash, _)| *hash == shown) {
                    return Ok(place.clone());
                }
            }
        }
        Ok(cursor.place.clone())
    }
}

/// How a place is to another, of which only the beginning may be known: what shares that counts as behind it.
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
