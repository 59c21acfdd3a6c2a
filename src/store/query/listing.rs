//! Pages of contacts, filtered and in any order (see `pager`).

use std::borrow::Cow;

use crate::domain::contact::Contact;
use crate::domain::contact::expand::Expand;
use crate::domain::error::Error;
use crate::domain::query::cursor::Cursor;
use crate::domain::query::search::Search;
use crate::domain::query::typed::{Condition, Order};
use crate::metrics::list::Query;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Sql;
use crate::store::jobs::emptying;
use crate::store::query::pager::{self, After, Keyset, Tie};
use crate::store::query::search::PrefixExpansions;
use crate::store::query::walk::{self, IndexPage};
use crate::store::query::{filter, search};
use crate::store::tables::contacts::{COLUMNS, read, select_columns};
use crate::store::tables::{counts, expanded, folders};

/// Approximate maximum size of a page as JSON, in bytes, unless its first contact is larger.
const MAX_PAGE_BYTES: i64 = 4 << 20;
/// Maximum number of bytes of text in a cursor, for all its keys together.
const MAX_TEXT: usize = 480;

/// A request for a list of contacts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Only contacts of this folder.
    pub folder: Option<String>,
    /// The path of ids that leads to the folder, if it must be checked; else empty.
    pub path: Vec<String>,
    /// Only deleted contacts; otherwise only contacts that are not deleted.
    pub deleted: bool,
    /// Only contacts for which this is true.
    pub filter: Option<Condition>,
    /// Only contacts that this search finds.
    pub search: Option<Search>,
    /// Sorted by these, and then by creation.
    pub order: Vec<Order>,
    /// Maximum number of contacts on a page. A page ends early at about 4 MiB.
    pub size: u16,
    /// Number of entries to skip.
    pub skip: i64,
    /// The end of the page before.
    pub after: Option<Cursor>,
    /// Whether [`Page::count`] is wanted.
    pub count: bool,
    /// The expansions of each contact. A page also ends early if that is too large.
    pub expand: Expand,
}

impl Listing {
    /// The metric that times a page of this list.
    pub(in crate::store) fn metric(&self) -> Query {
        match &self.search {
            Some(_) => Query::Search,
            None if !self.expand.is_empty() => Query::Expand,
            None => Query::Page,
        }
    }

    fn takes_several_reads(&self) -> bool {
        let is_cut = self.after.as_ref().is_some_and(|cursor| pager::is_cut(&cursor.keys));
        let is_looked_up = self.search.is_some() || walk::needs_folders(self);
        self.count || is_cut || is_looked_up || !self.path.is_empty() || !self.expand.is_empty()
    }

    /// The same with the id of the folder at the end of the path. The default folder has several names, so the path's
    /// last id may differ.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the path leads nowhere.
    async fn with_folder_id(&self, session: &mut Session, mailbox: i64) -> Result<Cow<'_, Self>, Error> {
        if self.path.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let folder = Some(folders::get(session, mailbox, &self.path).await?.id);
        let is_same = self.folder == folder;
        Ok(if is_same { Cow::Borrowed(self) } else { Cow::Owned(Self { folder, ..self.clone() }) })
    }
}

/// A page of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Never empty while there is more.
    pub contacts: Vec<Contact>,
    /// The beginning of the next page, if there is one.
    pub next: Option<Cursor>,
    /// The number of entries on all pages, if it was asked for.
    pub count: Option<i64>,
}

/// The columns of a page after those of the contact: the number of rows, the row's place, and its keys.
const COUNT: usize = COLUMNS;
const PLACE: usize = COLUMNS + 1;
const KEYS: usize = COLUMNS + 2;

/// See [`crate::store::Store::contacts`].
pub(in crate::store) async fn page(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<Page, Error> {
    if listing.takes_several_reads() {
        session.begin_snapshot().await?;
    }
    let listing = &*listing.with_folder_id(session, mailbox).await?;
    let rows = sorted_rows(session, mailbox, listing).await?;
    let size = usize::from(listing.size);
    let mut contacts = rows.iter().take(size).map(read).collect::<Result<Vec<_>, _>>()?;
    expanded::expand_contacts(session, mailbox, &mut contacts, &listing.expand).await?;
    let next = next(mailbox, listing, &rows, contacts.len())?;
    let count = if listing.count { Some(count_all(session, mailbox, listing).await?) } else { None };
    Ok(Page { contacts, next, count })
}

/// The rows of a page, each read by [`read`], and the beginning of the next page. Nothing is expanded or counted.
pub(in crate::store) async fn unread_page(
    session: &mut Session,
    mailbox: i64,
    listing: &Listing,
) -> Result<(Vec<Row>, Option<Cursor>), Error> {
    session.begin_snapshot().await?;
    let listing = &*listing.with_folder_id(session, mailbox).await?;
    let mut rows = sorted_rows(session, mailbox, listing).await?;
    let next = next(mailbox, listing, &rows, rows.len().min(listing.size.into()))?;
    rows.truncate(listing.size.into());
    Ok((rows, next))
}

async fn sorted_rows(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<Vec<Row>, Error> {
    let statement = page_rows(session, mailbox, listing).await?;
    // The last column is the id again.
    let last = KEYS + listing.order.len();
    let mut rows = session.packed_rows(statement.into(), last + 1, &[0, last]).await?;
    // Sorting here is faster than in SQLite, which would sort whole rows.
    rows.sort_by_cached_key(|row| row.get::<i64>(PLACE).unwrap_or(i64::MAX));
    Ok(rows)
}

/// The beginning of the page after one of which the first `shown` contacts are shown.
fn next(mailbox: i64, listing: &Listing, rows: &[Row], shown: usize) -> Result<Option<Cursor>, Error> {
    let keyset = keyset(mailbox, listing);
    let found = rows.first().map_or(Ok(0), |row| row.get::<i64>(COUNT))?;
    let more = usize::try_from(found).unwrap_or_default() > shown;
    let shown = rows.iter().take(if more { shown } else { 0 });
    let places = shown.map(|row| keyset.place(row, KEYS)).collect::<Result<Vec<_>, _>>()?;
    Ok(keyset.cursor(&places, listing.after.as_ref()))
}

/// The number of contacts on all pages.
pub(in crate::store) async fn count(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<i64, Error> {
    if listing.takes_several_reads() {
        session.begin_snapshot().await?;
    }
    let listing = listing.with_folder_id(session, mailbox).await?;
    count_all(session, mailbox, &listing).await
}

async fn count_all(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<i64, Error> {
    if listing.filter.is_none() && listing.search.is_none() && !listing.deleted {
        return counts::contacts(session, mailbox, listing.folder.as_deref()).await;
    }
    let expansions = search::expansions(session, mailbox, listing.search.as_ref()).await?;
    let scope = scope(mailbox, listing, &expansions);
    let statement = Sql::new("select count(*)").then(source(listing)).text(" where ").then(scope);
    session.count(statement).await
}

/// The source of contacts `c`. The index is named because SQLite has no statistics and would read the mailbox instead
/// of the trash.
fn source(listing: &Listing) -> Sql {
    let source = Sql::new(" from contacts c");
    if listing.deleted { source.per_engine(" indexed by contacts_deleted", "") } else { source }
}

/// The condition for a contact `c` in the list.
fn scope(mailbox: i64, listing: &Listing, expansions: &PrefixExpansions) -> Sql {
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
        listing.search.as_ref().map(|search| search::condition(mailbox, search, expansions)),
        listing.filter.as_ref().map(|condition| {
            // Deleted contacts are in no index.
            let of_deleted = listing.deleted.then(|| filter::condition_without_indexes(mailbox, condition));
            of_deleted.unwrap_or_else(|| filter::condition_in(mailbox, listing.folder.as_deref(), condition))
        }),
    ];
    conditions.into_iter().flatten().fold(scope, |scope, condition| scope.text(" and ").then(condition))
}

fn keyset(mailbox: i64, listing: &Listing) -> Keyset<'_> {
    Keyset { mailbox, order: &listing.order, ties: &[Tie::Id("c.id")], follow_last_key: true, max_text: MAX_TEXT }
}

/// The statement that reads a page's rows.
pub(in crate::store) async fn page_rows(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<Sql, Error> {
    let found = page_in_order(session, mailbox, listing).await?;
    Ok(select_page(mailbox, listing, found))
}

/// The number of rows to read: one more than a page, to know whether there are more.
pub(in crate::store) fn limit(listing: &Listing) -> i64 {
    i64::from(listing.size) + 1
}

/// The rows of a page, of those in the order of the keyset.
pub(in crate::store) fn limited(listing: &Listing, keyset: &Keyset<'_>, rows: Sql) -> Sql {
    if has_conditions(listing) {
        return rows.limited(keyset.order_by(), limit(listing), listing.skip);
    }
    rows.limited_for_all_values(keyset.order_by(), limit(listing), listing.skip)
}

/// Whether the best plan depends on values.
pub(in crate::store) fn has_conditions(listing: &Listing) -> bool {
    listing.filter.is_some() || listing.search.as_ref().is_some_and(|search| !search::is_looked_up(search))
}

/// The rows of a page in their order: `size`, and the names of the keyset.
async fn page_in_order(session: &mut Session, mailbox: i64, listing: &Listing) -> Result<Sql, Error> {
    let keyset = keyset(mailbox, listing);
    let after = match &listing.after {
        Some(cursor) => {
            Some(keyset.find(session, &Sql::new(" from contacts c where c.mailbox = ").value(mailbox), cursor).await?)
        }
        None => None,
    };
    let after = after.as_ref();
    let walk = walk::of(session, mailbox, listing).await?;
    let found = IndexPage { mailbox, listing, keyset, after };
    if let Some(rows) = walk.and_then(|walk| found.rows(&walk)) {
        return Ok(rows);
    }
    let expansions = search::expansions(session, mailbox, listing.search.as_ref()).await?;
    Ok(sorted(mailbox, listing, &expansions, after))
}

/// The same for a list whose order no index has.
fn sorted(mailbox: i64, listing: &Listing, expansions: &PrefixExpansions, after: Option<&After>) -> Sql {
    let keyset = keyset(mailbox, listing);
    let keyed = Sql::new("select size").then(keyset.names("")).text(" from (select c.size as size");
    let keyed = keyed.then(keyset.columns());
    let keyed = keyed.then(source(listing)).text(" where ").then(scope(mailbox, listing, expansions));
    let keyed = match after.and_then(After::id) {
        // The condition is on the row's own id where possible, so that the primary key serves.
        Some(id) => keyed.text(" and c.id > ").value(id),
        None => keyed,
    };
    let found = keyed.text(") keyed");
    let found = match after {
        Some(after) if after.id().is_none() => found.text(" where ").then(keyset.after_position(after)),
        _ => found,
    };
    limited(listing, &keyset, found)
}

/// The page's rows in any order: the columns of `read`, the number of rows (with the one after the page), the row's
/// place, and the keys.
fn select_page(mailbox: i64, listing: &Listing, found: Sql) -> Sql {
    let keyset = keyset(mailbox, listing);
    let found = Sql::new("with found as (").then(found).text(")");
    let measured = found.text(", measured as (select row_number() over w as place, sum(size) over w - size as before");
    let measured = measured.text(", (select count(*) from found) as count").then(keyset.names("")).text(" from found");
    let measured = measured.text(" window w as (").then(keyset.order_by()).text(" rows unbounded preceding))");
    let page = measured.then(select_columns()).text(", m.count, m.place").then(keyset.names("m."));
    // SQLite keeps the order of a cross join. It would rather read the whole mailbox and look for each contact in the page.
    let page = page.text(" from measured m").per_engine(" cross join ", " join ");
    let page = page.text("contacts c on c.mailbox = ").value(mailbox).text(" and c.id = m.t1");
    let page = page.text(" left join flags f on f.mailbox = c.mailbox and f.contact_id = c.id where m.before < ");
    page.value(MAX_PAGE_BYTES)
}
