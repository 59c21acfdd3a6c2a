//! Lists whose order an index has, so that a page reads only as many rows as it shows. An index begins with the folder
//! (`indexes`), so a list of a mailbox merges the lists of its folders. A page after the first one merges the ranges of
//! the index after its position.

use crate::domain::error::Error;
use crate::domain::query::typed::{Condition, EntryList, EntryTable};
use crate::store::db::engine::Session;
use crate::store::db::statement::Sql;
use crate::store::jobs::emptying;
use crate::store::query::filter;
use crate::store::query::indexes::{BY_FOLDER, Index, IndexKey};
use crate::store::query::listing::{self, Listing};
use crate::store::query::pager::{After, Keyset};
use crate::store::tables::counts;

/// Maximum number of folders whose lists are merged. If more folders of a mailbox have contacts, its lists are sorted
/// instead.
const MAX_FOLDERS: usize = 32;

/// How a list is read in its order.
pub(in crate::store) enum Walk<'l> {
    /// By an index of contacts, in these folders.
    Contacts(&'static Index, Vec<String>),
    /// By an index of entries, in the order of their contacts: the entries of this list for which `body` is true.
    /// `rest` is the rest of the filter.
    Entries { list: EntryList, body: &'l Condition, hint: &'static str, rest: Vec<&'l Condition> },
}

/// Whether the folders of a mailbox must be known.
pub(in crate::store) fn needs_folders(listing: &Listing) -> bool {
    listing.folder.is_none() && index(listing).is_some()
}

/// The index of contacts that has the list's order.
fn index(listing: &Listing) -> Option<&'static Index> {
    if listing.deleted || listing.search.is_some() {
        return None;
    }
    let conjuncts = listing.filter.as_ref().map(filter::conjuncts).unwrap_or_default();
    let entry_index_applies = conjuncts.iter().any(|condition| filter::equal_entry(condition).is_some());
    let texts = || conjuncts.iter().filter_map(|condition| filter::equal_text(condition));
    match listing.order.as_slice() {
        [] if conjuncts.is_empty() => listing.folder.is_some().then_some(&BY_FOLDER),
        [] if entry_index_applies => None,
        [] => texts().find_map(Index::of_text),
        order => {
            let is_bounded =
                |key: &IndexKey| conjuncts.iter().any(|condition| filter::bounded_key(condition) == Some(*key));
            let unbounded = || Index::of_order(order, false);
            let index = if conjuncts.is_empty() { unbounded() } else { Index::of_order(order, true) }?;
            let first = index.keys.first()?;
            let has_other_equal_text = || texts().any(|text| IndexKey::Text(text) != *first);
            let is_best = conjuncts.is_empty() || is_bounded(first) && !entry_index_applies && !has_other_equal_text();
            is_best.then_some(index)
        }
    }
}

/// How a list can be read in its order, if at all.
pub(in crate::store) async fn of<'l>(
    session: &mut Session,
    mailbox: i64,
    listing: &'l Listing,
) -> Result<Option<Walk<'l>>, Error> {
    let Some(index) = index(listing) else { return Ok(entries(listing)) };
    let folders = if let Some(folder) = &listing.folder {
        vec![folder.clone()]
    } else {
        let limit = i64::try_from(MAX_FOLDERS + 1).map_err(Error::internal)?;
        counts::folders_with_contacts(session, mailbox, limit).await?
    };
    let fits = (1..=MAX_FOLDERS).contains(&folders.len());
    Ok(fits.then_some(Walk::Contacts(index, folders)))
}

fn entries(listing: &Listing) -> Option<Walk<'_>> {
    if listing.deleted || listing.search.is_some() || !listing.order.is_empty() {
        return None;
    }
    let conjuncts = filter::conjuncts(listing.filter.as_ref()?);
    let found = conjuncts.iter().enumerate().filter_map(|(i, condition)| Some((i, filter::equal_entry(condition)?)));
    // An e-mail address selects fewer contacts than a category.
    let (i, (list, body, hint)) = found.min_by_key(|(_, (list, ..))| list.table == EntryTable::Categories)?;
    let rest = conjuncts.iter().enumerate().filter(|(other, _)| *other != i).map(|(_, condition)| *condition).collect();
    Some(Walk::Entries { list, body, hint, rest })
}

/// The rows of a page, in their order: `size`, and the names of the keyset.
pub(in crate::store) struct IndexPage<'q> {
    pub(in crate::store) mailbox: i64,
    pub(in crate::store) listing: &'q Listing,
    pub(in crate::store) keyset: Keyset<'q>,
    pub(in crate::store) after: Option<&'q After>,
}

impl IndexPage<'_> {
    /// `None` if the page's position is only known in part, so that it has no place in the index.
    pub(in crate::store) fn rows(&self, walk: &Walk<'_>) -> Option<Sql> {
        let rows = match walk {
            Walk::Contacts(index, folders) => self.of_contacts(index, folders)?,
            Walk::Entries { list, body, hint, rest } => {
                let rows = self.of_entries(*list, body, hint, rest)?;
                if rest.is_empty() {
                    // The index of the entries is the best plan for all values, since it also has the order.
                    let order = self.keyset.order_by();
                    return Some(rows.limited_for_all_values(order, listing::limit(self.listing), self.listing.skip));
                }
                rows
            }
        };
        Some(listing::limited(self.listing, &self.keyset, rows))
    }

    fn of_contacts(&self, index: &Index, folders: &[String]) -> Option<Sql> {
        // Plain columns, so that PostgreSQL recognizes the index's order.
        let keys = index.keys.iter().take(self.listing.order.len()).map(|key| key.column("c."));
        let columns: Vec<_> = keys.chain([Sql::new("c.id")]).collect();
        let ranges = match self.after {
            None => vec![None],
            Some(after) => self.keyset.ranges(&columns, after)?.into_iter().map(Some).collect(),
        };
        let folder_ranges = || folders.iter().flat_map(|folder| ranges.iter().map(move |range| (folder, range)));
        let union = |branches: &mut dyn Iterator<Item = Sql>| {
            branches.reduce(|union, branch| union.text(" union all ").then(branch)).unwrap_or_default()
        };
        let sqlite_branches = &mut folder_ranges()
            .map(|(folder, range)| self.branch(index, folder, &columns, range.iter().cloned().collect()));
        // PostgreSQL merges sorted inputs only if each has its own order and limit.
        let max = listing::limit(self.listing).saturating_add(self.listing.skip);
        let parts = index.parts("c.");
        let is_single = parts.len() * folders.len() * ranges.len() == 1;
        let postgres_branches = &mut parts
            .iter()
            .flat_map(|part| folder_ranges().map(move |folder_range| (part, folder_range)))
            .map(|(part, (folder, range))| {
                let conditions = range.iter().chain([part]).cloned().collect();
                let rows = self.branch(index, folder, &columns, conditions);
                if is_single {
                    return rows;
                }
                let order = self.keyset.order_by();
                if listing::has_conditions(self.listing) {
                    return rows.then(order).text(" limit ").value(max).parenthesized();
                }
                rows.limited_roughly(order, max).parenthesized()
            });
        Some(Sql::engine_specific(union(sqlite_branches), union(postgres_branches)))
    }

    /// The contacts of a folder for which the conditions are true.
    fn branch(&self, index: &Index, folder: &str, columns: &[Sql], conditions: Vec<Sql>) -> Sql {
        let rows = Sql::new("select c.size as size").then(self.keyset.named(columns)).text(" from contacts c");
        let rows = rows.per_engine(index.hint, "").text(" where c.mailbox = ").value(self.mailbox);
        let rows = rows.text(" and c.deleted_date_time is null and c.parent_folder_id = ").value(folder.to_owned());
        let filter_condition =
            self.listing.filter.as_ref().map(|filter| filter::condition_without_indexes(self.mailbox, filter));
        filter_condition.into_iter().chain(conditions).fold(rows, |rows, condition| rows.text(" and ").then(condition))
    }

    /// A contact may have several of these entries.
    fn of_entries(&self, list: EntryList, body: &Condition, hint: &'static str, rest: &[&Condition]) -> Option<Sql> {
        let contact = Sql::new("x1.contact_id");
        let ranges = match self.after {
            None => Vec::new(),
            Some(after) => self.keyset.ranges(std::slice::from_ref(&contact), after)?,
        };
        let rows = Sql::new("select ").per_engine("", "distinct on (x1.contact_id) ").text("c.size as size, ");
        let rows = rows.then(contact).text(" as t1 from ").text(filter::table(list.table)).text(" x1");
        // SQLite keeps the order of a cross join.
        let rows = rows.per_engine(hint, "").per_engine(" cross join ", " join ");
        let rows = rows.text("contacts c on c.mailbox = x1.mailbox and c.id = x1.contact_id where x1.mailbox = ");
        let rows = rows.value(self.mailbox).then(filter::entries(self.mailbox, list, body));
        let rows = rows.text(" and c.deleted_date_time is null");
        let rows = match &self.listing.folder {
            Some(folder) => rows.text(" and c.parent_folder_id = ").value(folder.clone()),
            None => rows.then(emptying::is_in_none(self.mailbox)),
        };
        let rest = rest.iter().map(|condition| filter::condition_without_indexes(self.mailbox, condition));
        let rows = ranges.into_iter().chain(rest).fold(rows, |rows, condition| rows.text(" and ").then(condition));
        Some(rows.per_engine(" group by x1.contact_id", ""))
    }
}
