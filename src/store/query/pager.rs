//! Pages of a list in any order, by keyset.
//!
//! A page begins after the last row of the page before: after its sort keys and, among equal keys, after the columns
//! that tell rows apart. So a row that exists during the whole walk and whose keys do not change comes exactly once,
//! whatever else is written. The keys are in the page's token. The token must stay short, so it has only the beginning
//! of a long text. Then the cursor has anchors: the rows shown last, each with a hash of its keys. The walk resumes
//! after the newest anchor whose keys are still the same. If the keys of all anchors have changed, it resumes at the
//! first row with the same beginning of the key: rows with that beginning may come again, but none is left out.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::error::{Error, Kind};
use crate::domain::query::cursor::{Anchor, Cursor, KeyValue};
use crate::domain::query::typed::{Key, Order};
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Sql;
use crate::store::query::filter;

/// Maximum number of anchors of a cursor.
const MAX_ANCHORS: usize = 4;
/// The names of sort keys in SQL, as many as there can be.
const KEYS: [&str; 8] = ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"];
const TIES: [&str; 2] = ["t1", "t2"];

/// A column of the row `c` that distinguishes rows with the same sort keys. It is never null.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Tie {
    Number(&'static str),
    Text(&'static str),
    /// The last tie. An anchor is found by it.
    Id(&'static str),
}

/// The order of the rows `c` of a list: sort keys, then ties, in the order of creation.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Keyset<'o> {
    /// The mailbox whose keys are looked up; 0 for users.
    pub(in crate::store) mailbox: i64,
    pub(in crate::store) order: &'o [Order],
    pub(in crate::store) ties: &'static [Tie],
    /// Whether rows with equal keys come in reverse order of creation if the last key descends, so that an index read
    /// backwards has this order.
    pub(in crate::store) follow_last_key: bool,
    /// Maximum number of bytes of text in a cursor.
    pub(in crate::store) max_text: usize,
}

/// The sort keys and ties of a row.
pub(in crate::store) type RowPosition = Vec<KeyValue>;

/// The row after which a page begins.
pub(in crate::store) struct After {
    place: RowPosition,
    /// Rows that were shown and may be found again.
    shown: Vec<Uuid>,
}

impl Keyset<'_> {
    /// `, … as k1, … as t1`: the keys and ties of a row `c`.
    pub(in crate::store) fn columns(self) -> Sql {
        let keys = self.order.iter().zip(KEYS).fold(Sql::default(), |all, (order, name)| {
            let key = match &order.key {
                Key::Text(text) => filter::text(self.mailbox, text).per_engine("", " collate \"C\""),
                Key::Number(number) => filter::number(self.mailbox, number),
                Key::Condition(condition) => filter::truth(self.mailbox, condition),
                Key::Id(id) => filter::id_text(*id),
            };
            all.text(", ").then(key).text(" as ").text(name)
        });
        self.ties.iter().zip(TIES).fold(keys, |all, (tie, name)| {
            let (Tie::Number(column) | Tie::Text(column) | Tie::Id(column)) = *tie;
            all.text(", ").text(column).text(" as ").text(name)
        })
    }

    fn all_names(self) -> impl Iterator<Item = &'static str> {
        KEYS.into_iter().take(self.order.len()).chain(TIES.into_iter().take(self.ties.len()))
    }

    /// `, k1, k2, t1`, each with a prefix.
    pub(in crate::store) fn names(self, prefix: &'static str) -> Sql {
        self.all_names().fold(Sql::default(), |all, name| all.text(", ").text(prefix).text(name))
    }

    /// `order by …`, with null first.
    pub(in crate::store) fn order_by(self) -> Sql {
        let keys = self.order.iter().zip(KEYS).map(|(order, name)| {
            Sql::new(name).text(if order.descending { " desc nulls last" } else { " asc nulls first" })
        });
        let direction = if self.ties_descend() { " desc" } else { "" };
        let ties = TIES.into_iter().take(self.ties.len()).map(|name| Sql::new(name).text(direction));
        Sql::new(" order by ").then(Sql::list(keys.chain(ties)))
    }

    fn ties_descend(self) -> bool {
        self.follow_last_key && self.order.last().is_some_and(|order| order.descending)
    }

    /// The position of a row; `from` is the column of its first key.
    pub(in crate::store) fn place(self, row: &Row, from: usize) -> Result<RowPosition, Error> {
        let key = |(i, order): (usize, &Order)| {
            Ok(match &order.key {
                Key::Text(_) | Key::Id(_) => {
                    row.get::<Option<String>>(from + i)?.map_or(KeyValue::Null, KeyValue::Text)
                }
                Key::Number(_) => row.get::<Option<i64>>(from + i)?.map_or(KeyValue::Null, KeyValue::Number),
                Key::Condition(_) => {
                    let truth = row.get::<Option<i32>>(from + i)?;
                    truth.map_or(KeyValue::Null, |truth| KeyValue::Number(truth.into()))
                }
            })
        };
        let tie = |(i, tie): (usize, &Tie)| {
            let column = from + self.order.len() + i;
            Ok(match tie {
                Tie::Number(_) => KeyValue::Number(row.get(column)?),
                Tie::Text(_) => KeyValue::Text(row.get(column)?),
                Tie::Id(_) => KeyValue::Id(row.get(column)?),
            })
        };
        self.order.iter().enumerate().map(key).chain(self.ties.iter().enumerate().map(tie)).collect()
    }

    /// The cursor after the last of the given positions, which came after the cursor `before`.
    pub(in crate::store) fn cursor(self, places: &[RowPosition], before: Option<&Cursor>) -> Option<Cursor> {
        cursor(places, before.map(|before| before.shown.as_slice()).unwrap_or_default(), self.max_text)
    }

    /// The position of a cursor in the rows ` from … where …`.
    ///
    /// # Errors
    /// 400 if the cursor is of another order.
    pub(in crate::store) async fn find(
        self,
        session: &mut Session,
        from: &Sql,
        cursor: &Cursor,
    ) -> Result<After, Error> {
        let mut place = cursor.keys.clone();
        let by_id = match self.ties.last() {
            Some(Tie::Id(id)) => Some(*id),
            _ => None,
        };
        if let (Some(_), Some(last)) = (by_id, cursor.shown.first()) {
            place.push(KeyValue::Id(last.id));
        }
        if !self.fits(&place) {
            return Err(Error::invalid(
                Kind::Query,
                "$skiptoken",
                "The token belongs to another sort order. Use nextLinks unchanged.",
            ));
        }
        let mut shown = Vec::new();
        if !is_cut(&cursor.keys) {
            return Ok(After { place, shown });
        }
        // Deleted rows keep their keys.
        let select = || Sql::new("select 1").then(self.columns()).then(from.clone());
        if let Some(id) = by_id {
            for anchor in &cursor.shown {
                let select = select().text(" and ").text(id).text(" = ").value(anchor.id);
                let row = session.row(select.into()).await?;
                match row.map(|row| self.place(&row, 1)).transpose()? {
                    Some(place) if hash(&place) == anchor.hash => return Ok(After { place, shown }),
                    _ => shown.push(anchor.id),
                }
            }
        } else {
            let rows = session.rows(select().into()).await?;
            let places = rows.iter().map(|row| self.place(row, 1)).collect::<Result<Vec<_>, _>>()?;
            let hashes: Vec<_> = places.iter().map(|place| hash(place)).collect();
            for anchor in &cursor.shown {
                if let Some((_, place)) = hashes.iter().zip(&places).find(|(hash, _)| **hash == anchor.hash) {
                    return Ok(After { place: place.clone(), shown });
                }
            }
        }
        Ok(After { place, shown })
    }

    /// Whether a position fits this order.
    fn fits(self, place: &[KeyValue]) -> bool {
        let keys = self.order.iter().map(|order| match order.key {
            Key::Text(_) | Key::Id(_) => (true, Tie::Text("")),
            Key::Number(_) | Key::Condition(_) => (true, Tie::Number("")),
        });
        let kinds = keys.chain(self.ties.iter().map(|tie| (false, *tie)));
        let fits = |((nullable, kind), value): ((bool, Tie), &KeyValue)| match value {
            KeyValue::Null => nullable,
            KeyValue::Number(_) => matches!(kind, Tie::Number(_)),
            KeyValue::Text(_) | KeyValue::Cut(_) => matches!(kind, Tie::Text(_)),
            KeyValue::Id(_) => matches!(kind, Tie::Id(_)),
        };
        self.order.len() + self.ties.len() == place.len() && kinds.zip(place).all(fits)
    }

    /// The condition that a row with named keys comes after a position.
    pub(in crate::store) fn after_position(self, after: &After) -> Sql {
        let descending = |i: usize| self.order.get(i).map_or(self.ties_descend(), |order| order.descending);
        let keys: Vec<_> = self.all_names().zip(&after.place).enumerate().collect();
        let mut later_keys: Option<Sql> = None;
        for (i, (name, value)) in keys.into_iter().rev() {
            let key = || Sql::new("(").text(name);
            let rest = |word: &'static str| match &later_keys {
                Some(later_keys) => Sql::new(word).then(later_keys.clone()),
                None => Sql::default(),
            };
            later_keys = Some(match (value, descending(i)) {
                (KeyValue::Null, false) => key().text(" is not null").then(rest(" or ")).text(")"),
                (KeyValue::Null, true) => key().text(" is null").then(rest(" and ")).text(")"),
                // A key that is known only by its beginning cannot order rows any further.
                (KeyValue::Cut(_), false) => key().text(" >= ").then(bound(value)).text(")"),
                (KeyValue::Cut(text), true) => {
                    let prefix_end = Sql::of(text.clone() + "\u{10ffff}");
                    key().text(" <= ").then(prefix_end).text(" or ").text(name).text(" is null)")
                }
                (value, descending) if later_keys.is_none() => {
                    key().text(if descending { " < " } else { " > " }).then(bound(value)).text(")")
                }
                (value, false) => {
                    let from = key().text(" >= ").then(bound(value)).text(" and (").text(name).text(" > ");
                    from.then(bound(value)).then(rest(" or ")).text("))")
                }
                (value, true) => {
                    let less = key().text(" < ").then(bound(value)).text(" or ").text(name).text(" is null or ");
                    less.text(name).text(" = ").then(bound(value)).then(rest(" and ")).text(")")
                }
            });
        }
        let later_keys = later_keys.unwrap_or_default();
        // Only lists with an id have anchors; the id is the last tie.
        let id = self.ties.len().checked_sub(1).and_then(|last| TIES.get(last)).copied().unwrap_or_default();
        after
            .shown
            .iter()
            .fold(later_keys, |later_keys, shown| later_keys.text(" and ").text(id).text(" <> ").value(*shown))
    }
}

impl Keyset<'_> {
    /// The given columns in place of [`Self::columns`], with the same names.
    pub(in crate::store) fn named(self, columns: &[Sql]) -> Sql {
        let named = columns.iter().zip(self.all_names());
        named.fold(Sql::default(), |all, (column, name)| all.text(", ").then(column.clone()).text(" as ").text(name))
    }

    /// The rows after a position as ranges of an index on these columns, one condition for each range. The last column
    /// distinguishes rows, and all keys ascend or all descend. `None` if a key is known only by its beginning.
    pub(in crate::store) fn ranges(self, columns: &[Sql], after: &After) -> Option<Vec<Sql>> {
        let is_whole = after.shown.is_empty() && !is_cut(&after.place) && columns.len() == after.place.len();
        is_whole.then(|| ranges(columns, &after.place, self.ties_descend()))
    }
}

/// The rows after these values. Only the last value is never null.
fn ranges(columns: &[Sql], values: &[KeyValue], descend: bool) -> Vec<Sql> {
    let ([column, later_columns @ ..], [value, later_values @ ..]) = (columns, values) else { return Vec::new() };
    let later_ranges = ranges(later_columns, later_values, descend).into_iter();
    let is_null = column.clone().text(" is null");
    if *value == KeyValue::Null {
        let greater = (!descend).then(|| column.clone().text(" is not null"));
        return later_ranges.map(|range| is_null.clone().text(" and ").then(range)).chain(greater).collect();
    }
    let is_whole = !later_values.contains(&KeyValue::Null);
    let count = if is_whole { columns.len() } else { 1 };
    let row = |of: &mut dyn Iterator<Item = Sql>| Sql::list(of.take(count)).parenthesized();
    let beyond = row(&mut columns.iter().cloned()).text(if descend { " < " } else { " > " });
    let beyond = beyond.then(row(&mut values.iter().map(bound)));
    // With `=` PostgreSQL would not see that the index has these rows in order.
    let at_least = column.clone().text(" >= ").then(bound(value)).text(" and ");
    let between = at_least.then(column.clone()).text(" <= ").then(bound(value));
    let equal = Sql::engine_specific(column.clone().text(" = ").then(bound(value)), between).text(" and ");
    let nulls = (descend && !later_columns.is_empty()).then_some(is_null);
    // The comparison of whole rows already covers the first of these.
    let later_ranges = later_ranges.skip(usize::from(is_whole)).map(|range| equal.clone().then(range));
    [beyond].into_iter().chain(nulls).chain(later_ranges).collect()
}

impl After {
    /// The last row's id, if the position has nothing else.
    pub(in crate::store) fn id(&self) -> Option<Uuid> {
        match self.place.as_slice() {
            [KeyValue::Id(id)] => Some(*id),
            _ => None,
        }
    }
}

fn bound(value: &KeyValue) -> Sql {
    match value {
        KeyValue::Number(number) => Sql::of(*number),
        KeyValue::Text(text) | KeyValue::Cut(text) => Sql::of(text.clone()),
        KeyValue::Id(id) => Sql::of(*id),
        KeyValue::Null => Sql::default(),
    }
}

fn cursor(places: &[RowPosition], before: &[Anchor], max_text: usize) -> Option<Cursor> {
    let last = places.last()?;
    let mut remaining = max_text;
    let keys = last.iter().filter(|key| !matches!(key, KeyValue::Id(_)));
    let keys: Vec<_> = keys.map(|key| cut(key, &mut remaining)).collect();
    let is_cut = is_cut(&keys);
    let anchor = |place: &RowPosition| Anchor {
        id: if let Some(KeyValue::Id(id)) = place.last() { *id } else { Uuid::nil() },
        hash: if is_cut { hash(place) } else { 0 },
    };
    // Without a cut key, only the id of the last row is needed.
    let max = if is_cut { MAX_ANCHORS } else { usize::from(keys.len() < last.len()) };
    // A page may have fewer rows than the cursor has anchors.
    let shown = places.iter().rev().map(anchor).chain(before.iter().copied()).take(max).collect();
    Some(Cursor { shown, keys })
}

/// Cuts a value to the remaining bytes, and subtracts its bytes from `remaining`.
fn cut(value: &KeyValue, remaining: &mut usize) -> KeyValue {
    let KeyValue::Text(text) = value else { return value.clone() };
    let kept = text.get(..text.floor_char_boundary(*remaining)).unwrap_or_default();
    *remaining -= kept.len();
    if kept.len() < text.len() { KeyValue::Cut(kept.to_owned()) } else { value.clone() }
}

/// Whether the anchors of a cursor must be looked up, which takes several reads.
pub(in crate::store) fn is_cut(keys: &[KeyValue]) -> bool {
    keys.iter().any(|key| matches!(key, KeyValue::Cut(_)))
}

/// Hash of keys too long for a token.
fn hash(keys: &[KeyValue]) -> u64 {
    let mut hash = Sha256::new();
    for key in keys {
        match key {
            KeyValue::Null => hash.update([0]),
            KeyValue::Number(number) => {
                hash.update([1]);
                hash.update(number.to_be_bytes());
            }
            KeyValue::Text(text) | KeyValue::Cut(text) => {
                hash.update([2]);
                hash.update(text.len().to_be_bytes());
                hash.update(text.as_bytes());
            }
            KeyValue::Id(id) => hash.update(id),
        }
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The order, and the part of the list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sorting {
    /// Sorted by these, and then by creation.
    pub order: Vec<Order>,
    /// Maximum number on a page.
    pub size: u16,
    /// Number of entries to skip.
    pub skip: i64,
    /// The end of the page before.
    pub after: Option<Cursor>,
    /// Whether [`SortedPage::count`] is wanted.
    pub count: bool,
}

/// A page of a list of folders, categories or users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedPage<T> {
    /// Never empty while there is more.
    pub value: Vec<T>,
    /// Whether there are more.
    pub more: bool,
    /// The number of entries on all pages, if it was asked for.
    pub count: Option<i64>,
    places: Vec<RowPosition>,
    /// The rows on earlier pages.
    before: Vec<Anchor>,
}

/// Maximum number of bytes of text in a cursor of such a list: the longest name and a UUID.
const MAX_TEXT: usize = 1_060;

impl<T> SortedPage<T> {
    /// The beginning of the next page if only this many rows are shown.
    pub fn after(&self, shown: usize) -> Cursor {
        cursor(self.places.get(..shown).unwrap_or(&self.places), &self.before, MAX_TEXT).unwrap_or_default()
    }
}

/// The rows `c` of a list of folders, categories or users.
pub(in crate::store) struct PagedRows<T> {
    pub(in crate::store) mailbox: i64,
    /// `select …`
    pub(in crate::store) select: &'static str,
    /// The number of its columns.
    pub(in crate::store) columns: usize,
    /// ` from … where …`: all rows, also deleted ones.
    pub(in crate::store) from: Sql,
    pub(in crate::store) ties: &'static [Tie],
    pub(in crate::store) read: fn(&Row) -> Result<T, Error>,
}

impl<T> PagedRows<T> {
    /// A page of the rows for which `scope` (` and …`) is true.
    ///
    /// # Errors
    /// 400 for a cursor of another order.
    pub(in crate::store) async fn page(
        &self,
        session: &mut Session,
        scope: Sql,
        by: &Sorting,
    ) -> Result<SortedPage<T>, Error> {
        if by.count || by.after.as_ref().is_some_and(|cursor| is_cut(&cursor.keys)) {
            session.begin_snapshot().await?;
        }
        let keyset = Keyset {
            mailbox: self.mailbox,
            order: &by.order,
            ties: self.ties,
            follow_last_key: false,
            max_text: MAX_TEXT,
        };
        let after = match &by.after {
            Some(cursor) => Some(keyset.find(session, &self.from, cursor).await?),
            None => None,
        };
        let listed = || self.from.clone().then(scope.clone());
        let count =
            if by.count { Some(session.count(Sql::new("select count(*)").then(listed())).await?) } else { None };
        let keyed = Sql::new("with keyed as (").text(self.select).then(keyset.columns()).then(listed());
        let page = keyed.text(") select * from keyed");
        let page = match &after {
            Some(after) => page.text(" where ").then(keyset.after_position(after)),
            None => page,
        };
        // One row more than the page, to know whether there are more.
        let limit = i64::from(by.size) + 1;
        let page = page.then(keyset.order_by()).text(" limit ").value(limit).text(" offset ").value(by.skip);
        let mut rows = session.rows(page.into()).await?;
        let more = rows.len() > usize::from(by.size);
        rows.truncate(by.size.into());
        let value = rows.iter().map(self.read).collect::<Result<_, _>>()?;
        let places = rows.iter().map(|row| keyset.place(row, self.columns)).collect::<Result<_, _>>()?;
        let before = by.after.as_ref().map(|cursor| cursor.shown.clone()).unwrap_or_default();
        Ok(SortedPage { value, more, count, places, before })
    }
}
