//! Pages of contacts, filtered and in any order.
//!
//! A page begins behind the last contact of the one before: behind its sort keys and, where those are the same, its id.
//! So a contact that is there throughout a walk, and whose keys do not change, comes exactly once, whatever is written
//! meanwhile. The keys travel in the page's token, which must stay short: of a long text only the beginning does. Then
//! the token names the last contacts shown, with a hash of their keys, and the walk goes on behind the last of them whose
//! keys are still the same, leaving out those that were shown behind it. Should the keys of all of them have changed, it
//! goes on where the beginning of the key begins: what shares it may come again, but nothing is left out.

use std::borrow::Cow;

use uuid::Uuid;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::Expand;
use crate::domain::error::Error;
use crate::domain::query::cursor::{Anchor, Cursor, KeyValue};
use crate::domain::query::search::Search;
use crate::domain::query::typed::{Condition, Order};
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Sql;
use crate::store::jobs::emptying;
use crate::store::query::search::Ways;
use crate::store::query::{filter, search, sort};
use crate::store::tables::contacts::{COLUMNS, read, select_columns};
use crate::store::tables::{extended, folders};

/// About how many bytes of JSON a page may be, unless its first contact is larger.
const MAX_PAGE_BYTES: i64 = 4 << 20;
/// How many bytes of texts a cursor holds; its keys share them.
const MAX_TEXT: usize = 480;
/// The names of sort keys in SQL. There are never more.
const KEYS: [&str; 8] = ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"];

/// What is listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Contacts of this folder only.
    pub folder: Option<String>,
    /// The path of ids that leads to the folder, if it is to be looked at: else there is none.
    pub within: Vec<String>,
    /// Those that were deleted, and no others.
    pub deleted: bool,
    /// Contacts for which this is true.
    pub filter: Option<Condition>,
    /// Contacts that this finds.
    pub search: Option<Search>,
    /// Sorted by these, and then by creation.
    pub order: Vec<Order>,
    /// Contacts on a page at most; fewer where they are so large that a page would pass some 4 MiB.
    pub size: u16,
    /// How many are left out first.
    pub skip: i64,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Whether [`Page::count`] is wanted.
    pub count: bool,
    /// What is shown with each; a page then also ends early where that is too much.
    pub expand: Expand,
}

impl Listing {
    fn takes_several_reads(&self) -> bool {
        let is_cut = self.after.as_ref().is_some_and(|cursor| sort::is_cut(&cursor.keys));
        self.count || is_cut || self.search.is_some() || !self.within.is_empty() || !self.expand.is_empty()
    }

    /// The same of the folder that the path leads to, whose id may be another than the path's last: the default folder
    /// has several names.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the path leads nowhere.
    async fn located(&self, session: &mut Session, mailbox: i64) -> Result<Cow<'_, Self>, Error> {
        if self.within.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let folder = Some(folders::get(session, mailbox, &self.within).await?.id);
        let is_same = self.folder == folder;
        Ok(if is_same { Cow::Borrowed(self) } else { Cow::Owned(Self { folder, ..self.clone() }) })
    }
}

/// A page of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Never empty while there is more.
    pub contacts: Vec<Contact>,
    /// Where the next page begins, if others follow.
    pub next: Option<Cursor>,
    /// How many there are on all pages, where that was asked.
    pub count: Option<i64>,
}

/// See [`crate::store::Store::contacts`].
pub(in crate::store) async fn page(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<Page, Error> {
    if listing.takes_several_reads() {
        session.begin_snapshot().await?;
    }
    let listing = &*listing.located(session, mailbox).await?;
    let after = match &listing.after {
        Some(cursor) => Some(After::find(session, mailbox, listing, cursor).await?),
        None => None,
    };
    let ways = search::ways(session, mailbox, listing.search.as_ref()).await?;
    let rows = session.rows(select_page(mailbox, listing, &ways, after.as_ref()).into()).await?;
    let found = rows.first().map_or(Ok(0), |row| row.get::<i64>(COLUMNS))?;
    let size = usize::from(listing.size);
    let mut contacts = rows.iter().take(size).map(read).collect::<Result<Vec<_>, _>>()?;
    extended::read_along(session, mailbox, &mut contacts, &listing.expand).await?;
    let more = usize::try_from(found).unwrap_or_default() > contacts.len();
    let next = if more { cursor(listing, &contacts, &rows)? } else { None };
    let count = if listing.count { Some(count_all(session, mailbox, listing).await?) } else { None };
    Ok(Page { contacts, next, count })
}

/// The statement of a first page.
#[cfg(test)]
pub(in crate::store) fn select(mailbox: i64, listing: &Listing) -> Sql {
    select_page(mailbox, listing, &Ways::default(), None)
}

/// How many contacts there are on all pages.
pub(in crate::store) async fn count(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<i64, Error> {
    if listing.takes_several_reads() {
        session.begin_snapshot().await?;
    }
    let listing = listing.located(session, mailbox).await?;
    count_all(session, mailbox, &listing).await
}

async fn count_all(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<i64, Error> {
    let ways = search::ways(session, mailbox, listing.search.as_ref()).await?;
    let scope = scope(mailbox, listing, &ways);
    let statement = Sql::new("select count(*)").then(source(listing)).text(" where ").then(scope);
    let row = session.row(statement.into()).await?;
    row.ok_or_else(|| Error::internal("count() answered nothing"))?.get(0)
}

/// Where contacts `c` are looked for. SQLite, which knows nothing of how many there are, would rather read the mailbox than
/// the folder or the trash; where a condition may find those of a folder sooner, that is left to it.
fn source(listing: &Listing) -> Sql {
    let source = Sql::new(" from contacts c");
    if listing.deleted {
        return source.per_engine(" indexed by contacts_deleted", "");
    }
    let alone = listing.folder.is_some() && listing.filter.is_none() && listing.search.is_none();
    if alone { source.per_engine(" indexed by contacts_by_folder", "") } else { source }
}

/// What a contact `c` must be to be listed.
fn scope(mailbox: i64, listing: &Listing, ways: &Ways) -> Sql {
    let scope = Sql::new("c.mailbox = ").value(mailbox);
    let mut scope =
        scope.text(if listing.deleted { " and c.deleted_date_time > 0" } else { " and c.deleted_date_time is null" });
    if listing.folder.is_none() && !listing.deleted {
        scope = scope.then(emptying::is_in_none(mailbox));
    }
    if let Some(folder) = &listing.folder {
        scope = scope.text(" and c.parent_folder_id = ").value(folder.clone());
    }
    let conditions = [
        listing.search.as_ref().map(|search| search::condition(mailbox, search, ways)),
        listing.filter.as_ref().map(|condition| filter::condition(mailbox, condition)),
    ];
    conditions.into_iter().flatten().fold(scope, |scope, condition| scope.text(" and ").then(condition))
}

/// The sort keys of a contact `c`, each with its name.
fn keys(mailbox: i64, listing: &Listing) -> Sql {
    listing.order.iter().zip(KEYS).fold(Sql::default(), |all, (order, name)| {
        all.text(", ").then(sort::key(mailbox, order)).text(" as ").text(name)
    })
}

/// `order by …`, null being the least.
fn order(listing: &Listing) -> Sql {
    let by_keys = listing.order.iter().zip(KEYS).fold(Sql::new(" order by "), |all, (order, name)| {
        all.text(name).text(if order.descending { " desc nulls last, " } else { " asc nulls first, " })
    });
    by_keys.text("id")
}

/// `, k1, k2`
fn names(listing: &Listing) -> Sql {
    listing.order.iter().zip(KEYS).fold(Sql::default(), |all, (_, name)| all.text(", ").text(name))
}

/// The page's rows: the columns of `read`, how many there are with the one behind, and the keys.
fn select_page(mailbox: i64, listing: &Listing, ways: &Ways, after: Option<&After>) -> Sql {
    // One more than asked tells whether there is more.
    let limit = i64::from(listing.size) + 1;
    let keyed = Sql::new("with keyed as (select c.id, c.size").then(keys(mailbox, listing));
    let keyed = keyed.then(source(listing)).text(" where ").then(scope(mailbox, listing, ways));
    let keyed = match after {
        // What can be told of the row itself is told there, so that its key serves.
        Some(after) if listing.order.is_empty() => keyed.text(" and c.id > ").value(after.id),
        _ => keyed,
    };
    let found = keyed.text("), found as (select id, size").then(names(listing)).text(" from keyed");
    let found = match after {
        Some(after) if !listing.order.is_empty() => found.text(" where ").then(after.condition(listing)),
        _ => found,
    };
    let found = found.then(order(listing)).text(" limit ").value(limit).text(" offset ").value(listing.skip);
    let measured = found.text("), measured as (select id").then(names(listing)).text(", row_number() over (");
    let measured = measured.then(order(listing)).text(") as place, sum(size) over (").then(order(listing));
    let measured = measured.text(" rows unbounded preceding) - size as before, count(*) over () as count from found)");
    let keys = listing.order.iter().zip(KEYS).fold(Sql::default(), |all, (_, name)| all.text(", m.").text(name));
    let page = measured.then(select_columns()).text(", m.count").then(keys);
    let page = page.text(" from measured m join contacts c on c.mailbox = ").value(mailbox).text(" and c.id = m.id");
    let page = page.text(" left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id where m.before < ");
    page.value(MAX_PAGE_BYTES).text(" order by m.place")
}

/// The keys of a row, from a column on.
fn values(listing: &Listing, row: &Row, from: usize) -> Result<Vec<KeyValue>, Error> {
    sort::values(&listing.order, row, from)
}

fn cursor(listing: &Listing, contacts: &[Contact], rows: &[Row]) -> Result<Option<Cursor>, Error> {
    let Some(last) = rows.get(..contacts.len()).and_then(<[Row]>::last) else { return Ok(None) };
    let texts = listing.order.iter().filter(|order| sort::is_text(order)).count();
    let keys: Vec<_> = values(listing, last, COLUMNS + 1)?
        .into_iter()
        .map(|value| sort::cut(value, MAX_TEXT / texts.max(1)))
        .collect();
    let is_cut = sort::is_cut(&keys);
    let anchor = |(contact, row): (&Contact, &Row)| {
        Ok(Anchor { id: contact.id, hash: if is_cut { sort::hash(&values(listing, row, COLUMNS + 1)?) } else { 0 } })
    };
    let of_page = contacts.iter().zip(rows).rev().map(anchor);
    // A page may have fewer than are to be known again.
    let before = listing.after.iter().flat_map(|cursor| &cursor.shown).copied().map(Ok);
    let shown = of_page.chain(before).take(if is_cut { sort::MAX_ANCHORS } else { 1 });
    Ok(Some(Cursor { shown: shown.collect::<Result<_, Error>>()?, keys }))
}

/// The place a page begins behind.
struct After {
    id: Uuid,
    keys: Vec<KeyValue>,
    /// Contacts that were shown and may be found again.
    shown: Vec<Uuid>,
}

impl After {
    /// The place a cursor names.
    ///
    /// # Errors
    /// 400 where it is not one of this listing.
    async fn find(session: &mut Session, mailbox: i64, listing: &Listing, cursor: &Cursor) -> Result<Self, Error> {
        let fits = sort::fits(&listing.order, &cursor.keys);
        let Some(last) = cursor.shown.first().filter(|_| fits) else { return Err(sort::of_another_order()) };
        let mut shown = Vec::new();
        if sort::is_cut(&cursor.keys) {
            for anchor in &cursor.shown {
                // Deleted ones keep their keys.
                let select =
                    Sql::new("select 1").then(keys(mailbox, listing)).text(" from contacts c where c.mailbox = ");
                let select = select.value(mailbox).text(" and c.id = ").value(anchor.id);
                if let Some(row) = session.row(select.into()).await? {
                    let keys = values(listing, &row, 1)?;
                    if sort::hash(&keys) == anchor.hash {
                        return Ok(Self { id: anchor.id, keys, shown });
                    }
                }
                shown.push(anchor.id);
            }
        }
        Ok(Self { id: last.id, keys: cursor.keys.clone(), shown })
    }

    /// That a row of `keyed` comes behind.
    fn condition(&self, listing: &Listing) -> Sql {
        let orders: Vec<_> = listing.order.iter().zip(KEYS).zip(&self.keys).collect();
        // The last key is the id, unless one before it is known by its beginning only.
        let mut behind = Sql::new("id > ").value(self.id);
        for ((order, name), value) in orders.into_iter().rev() {
            let key = || Sql::new("(").text(name);
            let bound = |value: &KeyValue| match value {
                KeyValue::Number(number) => Sql::of(*number),
                KeyValue::Text(text) | KeyValue::Cut(text) => Sql::of(text.clone()),
                KeyValue::Null => Sql::default(),
            };
            behind = match (value, order.descending) {
                (KeyValue::Null, false) => key().text(" is not null or ").then(behind).text(")"),
                (KeyValue::Null, true) => key().text(" is null and ").then(behind).text(")"),
                (KeyValue::Cut(_), false) => key().text(" >= ").then(bound(value)).text(")"),
                (KeyValue::Cut(text), true) => {
                    let all_with_it = Sql::of(text.clone() + "\u{10ffff}");
                    key().text(" <= ").then(all_with_it).text(" or ").text(name).text(" is null)")
                }
                (value, false) => {
                    let from = key().text(" >= ").then(bound(value)).text(" and (").text(name).text(" > ");
                    from.then(bound(value)).text(" or ").then(behind).text("))")
                }
                (value, true) => {
                    let less = key().text(" < ").then(bound(value)).text(" or ").text(name).text(" is null or ");
                    less.text(name).text(" = ").then(bound(value)).text(" and ").then(behind).text(")")
                }
            };
        }
        if self.shown.is_empty() {
            return behind;
        }
        let shown = self.shown.iter().map(|id| Sql::new(" and id <> ").value(*id));
        shown.fold(behind.parenthesized(), Sql::then)
    }
}
