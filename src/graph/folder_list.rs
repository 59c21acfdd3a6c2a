//! The options of a list of folders.

use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::graph::contacts::search;
use crate::graph::json::folder;
use crate::odata::entity;
use crate::odata::filter::Model;
use crate::odata::query::Query;
use crate::store::{FolderListing, Sorting};

/// The filter, search and order of a list.
///
/// # Errors
/// 400 if they cannot be read.
pub(crate) fn listing(call: &Call<'_>, query: &Query) -> Result<FolderListing, Error> {
    let filter = call.condition(query, Model::Folder)?;
    let order = call.order(query, Model::Folder)?.unwrap_or_default();
    let search = search(call, query, false)?;
    Ok(FolderListing { filter, search, by: Sorting { order, ..Sorting::default() }, ..FolderListing::default() })
}

pub(crate) fn selection(call: &Call<'_>, query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query
        .select
        .as_deref()
        .map_or(Ok(None), |text| entity::select(text, "contactFolder", folder::properties(call.shape())))
}
