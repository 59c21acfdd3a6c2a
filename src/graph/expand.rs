//! `$expand` on folders: the first page of the contacts or folders inside each. Its nextLink is that of the list
//! itself.

use crate::domain::contact::expand::ExpandSelection;
use crate::domain::error::Error;
use crate::domain::folder::Folder;
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::contacts;
use crate::graph::folder_list;
use crate::graph::json::contact::select::Selection;
use crate::graph::json::folder::{ExpandedEntries, FolderExpansion};
use crate::graph::keys::quoted;
use crate::odata::entity;
use crate::odata::expand::{self, ExpandItem, ExpandSource, Navigation};
use crate::odata::page::PageToken;
use crate::odata::query::Query;
use crate::store::{FolderListing, Listing, Sorting, Store};

/// A navigation to expand in folders.
pub(crate) struct Expansion {
    navigation: Navigation,
    options: Query,
    kind: ExpansionKind,
}

enum ExpansionKind {
    Contacts(Listing, Option<Selection>),
    Folders(FolderListing, Option<Vec<&'static str>>),
    SingleValues(ExpandSelection),
    MultiValues(ExpandSelection),
}

impl Expansion {
    /// Reads the `$expand` of a request for folders.
    ///
    /// # Errors
    /// Those of [`expand::parse`], and those of a list with such options.
    pub(crate) fn read(call: &Call<'_>, query: &Query) -> Result<Vec<Self>, Error> {
        let mut expansions = Vec::new();
        let Some(text) = &query.expand else { return Ok(expansions) };
        for ExpandItem { navigation, options } in expand::parse(text, &query.aliases, ExpandSource::Folder)? {
            let kind = ExpansionKind::read(call, navigation, &options)
                .map_err(|error| expand::within(navigation.name(), error))?;
            expansions.push(Self { navigation, options, kind });
        }
        Ok(expansions)
    }

    /// The first page of a folder's expansion, from the snapshot that the folder was read from.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn first_page(
        &self,
        call: &Call<'_>,
        mailbox: &Mailbox,
        store: &Store,
        folder: &Folder,
    ) -> Result<FolderExpansion<'_>, Error> {
        let number = mailbox.user.mailbox;
        let (owner, id, name) = (quoted(&mailbox.requested_owner), quoted(&folder.id), self.navigation.name());
        let (entries, count, next) = match &self.kind {
            ExpansionKind::Contacts(listing, select) => {
                let listing = Listing { folder: Some(folder.id.clone()), ..listing.clone() };
                let page = store.contacts(number, &listing, call.position).await?;
                let next = page.next.map(|after| PageToken { after, size: listing.size }.print());
                (ExpandedEntries::Contacts(page.contacts, select.as_ref()), page.count, next)
            }
            ExpansionKind::Folders(listing, select) => {
                let page = store.folders(number, std::slice::from_ref(&folder.id), listing).await?;
                let after = page.more.then(|| page.after(page.value.len()));
                let next = after.map(|after| PageToken { after, size: listing.by.size }.print());
                (ExpandedEntries::Folders(page.value, select.as_deref()), page.count, next)
            }
            ExpansionKind::SingleValues(ids) => {
                (ExpandedEntries::SingleValues(store.folder_properties(number, &folder.id, ids).await?), None, None)
            }
            ExpansionKind::MultiValues(ids) => {
                (ExpandedEntries::MultiValues(store.folder_properties(number, &folder.id, ids).await?), None, None)
            }
        };
        let context = || call.link(&format!("/$metadata#users('{owner}')/contactFolders('{id}')/{}", self.selected()));
        let list = || call.link(&format!("/users('{owner}')/contactFolders('{id}')/{name}"));
        let next = next.map(|token| format!("{}?{}", list(), self.options.with_token(&token)));
        Ok(FolderExpansion { name, context: call.annotated.then(context), count, next, entries })
    }

    /// Its form in a context: `contacts(surname)`.
    pub(crate) fn print(&self) -> String {
        let selected = self.selected();
        if selected.ends_with(')') { selected } else { selected + "()" }
    }

    fn selected(&self) -> String {
        let select = match &self.kind {
            ExpansionKind::Contacts(_, select) => contacts::printed(select.as_ref(), &[]),
            ExpansionKind::Folders(_, select) => entity::printed(select.as_deref()),
            ExpansionKind::SingleValues(_) | ExpansionKind::MultiValues(_) => String::new(),
        };
        format!("{}{select}", self.navigation.name())
    }
}

impl ExpansionKind {
    fn read(call: &Call<'_>, navigation: Navigation, options: &Query) -> Result<Self, Error> {
        let (size, skip) = (call.page_size(None, options), options.skip.unwrap_or(0));
        Ok(match navigation {
            Navigation::Contacts => {
                let listing = contacts::listing(call, &[], options)?;
                let count = options.count.unwrap_or(false);
                Self::Contacts(Listing { size, skip, count, ..listing }, contacts::selection(call, options)?)
            }
            Navigation::SingleValues => Self::SingleValues(expand::ids(navigation, options)?),
            Navigation::MultiValues => Self::MultiValues(expand::ids(navigation, options)?),
            // Extensions cannot occur: folders have none, and parsing refuses them.
            Navigation::ChildFolders | Navigation::Extensions => {
                let mut listing = folder_list::listing(call, options)?;
                listing.by = Sorting { size, skip, count: options.count.unwrap_or(false), ..listing.by };
                Self::Folders(listing, folder_list::selection(call, options)?)
            }
        })
    }
}
