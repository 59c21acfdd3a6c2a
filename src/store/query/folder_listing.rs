//! Pages of folders, filtered and in any order (see `pager`).

use crate::domain::error::Error;
use crate::domain::folder::Folder;
use crate::domain::query::search::Search;
use crate::domain::query::typed::Condition;
use crate::store::db::engine::Session;
use crate::store::db::statement::Sql;
use crate::store::query::filter;
use crate::store::query::pager::{PagedRows, SortedPage, Sorting, Tie};
use crate::store::tables::folders;

/// A request for a list of folders.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FolderListing {
    /// Whether the parent itself is listed too.
    pub and_itself: bool,
    /// Only folders for which this is true.
    pub filter: Option<Condition>,
    /// Only folders that this search finds.
    pub search: Option<Search>,
    /// The order, and the part of the list.
    pub by: Sorting,
}

/// See [`crate::store::Store::folders`].
pub(in crate::store) async fn page(
    session: &mut Session,
    mailbox: i64,
    path: &[String],
    listing: &FolderListing,
) -> Result<SortedPage<Folder>, Error> {
    session.begin_snapshot().await?;
    let parent = folders::get(session, mailbox, path).await?.id;
    let rows = PagedRows {
        mailbox,
        select: "
select c.id, c.parent_folder_id, c.display_name, c.version, c.created_date_time, c.last_modified_date_time",
        columns: 6,
        from: Sql::new(" from folders c where c.mailbox = ").value(mailbox),
        read: folders::read,
        ties: &[Tie::Number("c.created_date_time"), Tie::Text("c.id")],
    };
    let mut scope = scope(mailbox, parent, listing);
    if let Some(search) = &listing.search {
        // The words of folders are not indexed, because a mailbox has few folders.
        let folders = session.rows(Sql::new(rows.select).then(rows.from.clone()).then(scope.clone()).into()).await?;
        let folders = folders.iter().map(folders::read).collect::<Result<Vec<_>, _>>()?;
        let found = folders.into_iter().filter(|folder| search.matches(&folder.words())).map(|folder| folder.id);
        scope = scope.text(" and c.id in ").then(Sql::among_texts(&found.collect::<Vec<_>>()));
    }
    rows.page(session, scope, &listing.by).await
}

/// The condition for folders in the list.
fn scope(mailbox: i64, parent: String, listing: &FolderListing) -> Sql {
    let scope = Sql::new(" and c.deleted_date_time is null and (c.parent_folder_id = ").value(parent.clone());
    let scope = if listing.and_itself { scope.text(" or c.id = ").value(parent) } else { scope }.text(")");
    match &listing.filter {
        Some(condition) => scope.text(" and ").then(filter::condition(mailbox, condition)),
        None => scope,
    }
}
