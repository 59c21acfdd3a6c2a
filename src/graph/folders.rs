//! `…/contactFolders` and the folders below them.

use std::mem;

use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::error::{Error, Kind};
use crate::domain::folder::Folder;
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::expand::Expansion;
use crate::graph::folder_list::{listing, selection};
use crate::graph::idempotency;
use crate::graph::json::folder::{self, FolderExpansion, FolderJson};
use crate::graph::keys::quoted;
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::odata::query::Query;
use crate::odata::shape::Shape;
use crate::store::{FolderListing, SortedPage, Sorting, Store};

/// Folders on a page with `$expand`, at most: each costs another list.
const MAX_EXPANDED: u16 = 20;
/// Approximate size of such a page in bytes of JSON, unless its first folder alone is larger.
const MAX_EXPANDED_BYTES: usize = 4 << 20;

/// `GET …/contactFolders`, `GET …/childFolders`, by creation unless `$orderby` says otherwise. The first lists the
/// folders inside the default folder; only the beta shape lists the default folder too.
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let view = FolderView::read(call, &query)?;
    let mut listing = listing(call, &query)?;
    let sorting = call.sorting(&query, mem::take(&mut listing.by.order))?;
    let size = if view.expansions.is_empty() { sorting.size } else { sorting.size.min(MAX_EXPANDED) };
    listing.by = Sorting { size, ..sorting };
    let read = async |store: &Store| {
        let page = read_page(call, mailbox, store, path, &listing).await?;
        let expanded = view.expand_all(call, mailbox, store, &page.value).await?;
        Ok((page, expanded))
    };
    let (page, expanded) = match view.expansions.as_slice() {
        [] => read(&mailbox.store).await?,
        _ => mailbox.store.in_snapshot(mailbox.user.mailbox, read).await?,
    };
    let next = call.next_link(&query, &page, expanded.len(), size);
    let context = call.annotated.then(|| {
        let below = path.last().map_or(String::new(), |id| format!("('{}')/childFolders", quoted(id)));
        let (owner, names) = (quoted(&mailbox.requested_owner), view.print());
        call.link(&format!("/$metadata#users('{owner}')/contactFolders{below}{names}"))
    });
    let value =
        page.value.iter().zip(&expanded).map(|(folder, expanded)| view.to_json(call, folder, expanded, None)).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// `GET …/contactFolders/$count`
pub(crate) async fn count(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let mut listing = listing(call, &Query::parse(call.query)?)?;
    listing.by.count = true;
    let page = read_page(call, mailbox, &mailbox.store, path, &listing).await?;
    Answer::number(page.count.unwrap_or_default())
}

async fn read_page(
    call: &Call<'_>,
    mailbox: &Mailbox,
    store: &Store,
    path: &[String],
    listing: &FolderListing,
) -> Result<SortedPage<Folder>, Error> {
    let default = [DEFAULT_FOLDER.to_owned()];
    let (path, and_itself) = if path.is_empty() { (&default[..], call.shape() == Shape::Beta) } else { (path, false) };
    store.folders(mailbox.user.mailbox, path, &FolderListing { and_itself, ..listing.clone() }).await
}

/// `$select` and `$expand` of a request for folders.
#[derive(Default)]
struct FolderView {
    select: Option<Vec<&'static str>>,
    expansions: Vec<Expansion>,
}

impl FolderView {
    fn read(call: &Call<'_>, query: &Query) -> Result<Self, Error> {
        Ok(Self { select: selection(call, query)?, expansions: Expansion::read(call, query)? })
    }

    /// The expansions of as many folders, from the first on, as fit into a page of reasonable size.
    async fn expand_all(
        &self,
        call: &Call<'_>,
        mailbox: &Mailbox,
        store: &Store,
        folders: &[Folder],
    ) -> Result<Vec<Vec<FolderExpansion<'_>>>, Error> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for folder in folders {
            if bytes > MAX_EXPANDED_BYTES {
                break;
            }
            let expanded = self.expand(call, mailbox, store, folder).await?;
            if !expanded.is_empty() {
                bytes +=
                    serde_json::to_vec(&self.to_json(call, folder, &expanded, None)).map_err(Error::internal)?.len();
            }
            all.push(expanded);
        }
        Ok(all)
    }

    /// The expansions of a folder.
    async fn expand(
        &self,
        call: &Call<'_>,
        mailbox: &Mailbox,
        store: &Store,
        folder: &Folder,
    ) -> Result<Vec<FolderExpansion<'_>>, Error> {
        let mut expanded = Vec::new();
        for expansion in &self.expansions {
            expanded.push(expansion.first_page(call, mailbox, store, folder).await?);
        }
        Ok(expanded)
    }

    fn to_json<'a>(
        &'a self,
        call: &Call<'_>,
        folder: &'a Folder,
        expanded: &'a [FolderExpansion<'a>],
        context: Option<&'a str>,
    ) -> FolderJson<'a> {
        let (shape, annotated) = (call.shape(), call.annotated);
        FolderJson { folder, shape, select: self.select.as_deref(), expansions: expanded, context, annotated }
    }

    /// Its form in a context: `(displayName,contacts(surname))`.
    fn print(&self) -> String {
        let names = self.select.iter().flatten().map(|name| (*name).to_owned());
        let names: Vec<_> = names.chain(self.expansions.iter().map(Expansion::print)).collect();
        if names.is_empty() { String::new() } else { format!("({})", names.join(",")) }
    }
}

/// `POST …/contactFolders`, which creates inside the default folder, and `POST …/childFolders`.
pub(crate) async fn create(call: &Call<'_>, mailbox: &Mailbox, path: &[String], body: &[u8]) -> Result<Answer, Error> {
    let handling = call.handling();
    let sent = body::json(body, move |body| folder::read(body, handling)).await?;
    if sent.display_name.is_none() {
        let message = "'displayName' is missing: a folder must have a name.";
        return Err(Error::invalid(Kind::Body, "displayName", message));
    }
    let default = [DEFAULT_FOLDER.to_owned()];
    let path = if path.is_empty() { &default } else { path };
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    let folder = match idempotency::key(call, body)? {
        Some(key) => store.create_folder_once(number, path, sent, key).await?,
        None => store.create_folder(number, path, sent).await?,
    };
    let id = quoted(&folder.id);
    let location = format!("/users('{}')/contactFolders('{id}')", quoted(&mailbox.requested_owner));
    write_answers::created(call, &folder, &location, || to_answer(call, mailbox, &folder, &FolderView::default(), &[]))
}

/// `GET …/contactFolders/{id}`.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let view = FolderView::read(call, &Query::parse_for_entity(call.query)?)?;
    let number = mailbox.user.mailbox;
    if !view.expansions.is_empty() {
        let read = async |store: &Store| {
            let folder = store.folder(number, path).await?;
            let expanded = view.expand(call, mailbox, store, &folder).await?;
            Ok((folder, expanded))
        };
        let (folder, expanded) = mailbox.store.in_snapshot(number, read).await?;
        return to_answer(call, mailbox, &folder, &view, &expanded);
    }
    let folder = mailbox.store.folder(number, path).await?;
    // The folder's version does not cover its contents.
    if call.expected.unchanged(&folder.version_token()) {
        return Answer::empty(304)?.header("ETag", &folder.etag());
    }
    to_answer(call, mailbox, &folder, &view, &[])
}

/// `PATCH …/contactFolders/{id}`: a new name, another place.
pub(crate) async fn update(call: &Call<'_>, mailbox: &Mailbox, path: &[String], body: &[u8]) -> Result<Answer, Error> {
    let handling = call.handling();
    let sent = body::json(body, move |body| folder::read(body, handling)).await?;
    let folder = mailbox.store.update_folder(mailbox.user.mailbox, path, sent, call.expected.clone()).await?;
    write_answers::updated(call, &folder, || to_answer(call, mailbox, &folder, &FolderView::default(), &[]))
}

/// `DELETE …/contactFolders/{id}`, with everything inside.
pub(crate) async fn delete(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let position = mailbox.store.delete_folder(mailbox.user.mailbox, path, call.expected.clone()).await?;
    write_answers::deleted(position)
}

fn to_answer(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder: &Folder,
    view: &FolderView,
    expanded: &[FolderExpansion<'_>],
) -> Result<Answer, Error> {
    let (owner, names) = (quoted(&mailbox.requested_owner), view.print());
    let context = call.link(&format!("/$metadata#users('{owner}')/contactFolders{names}/$entity"));
    Answer::json(200, &view.to_json(call, folder, expanded, Some(&context)))?.header("ETag", &folder.etag())
}
