//! `…/contactFolders` and the folders below them.

use super::answer::{Answer, List};
use super::call::{Call, Mailbox, POSITION};
use super::contacts::{parse, quoted};
use crate::contact::{DEFAULT_FOLDER, Shape};
use crate::error::{Error, Kind};
use crate::folder::{self, Folder, Shown};
use crate::odata::entity;
use crate::odata::filter::{self, Model};
use crate::odata::page::{FolderToken, size};
use crate::odata::query::Query;

/// `GET …/contactFolders`, `GET …/childFolders`, in the order in which they were made. The first is of the folders inside
/// the default one, which only the seed's shape lists along with them.
pub(super) async fn list(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let select = selection(call, &query)?;
    let token = query.skip_token.as_deref().map(FolderToken::parse).transpose()?;
    let size = size(token.as_ref().map(|token| token.size), query.top, call.prefer.max_page_size);
    let folders = found(call, mailbox, path, &query).await?;
    let behind = |folder: &Folder| {
        let shown = token.as_ref();
        shown.is_none_or(|shown| (folder.created_date_time, &folder.id) > (shown.created, &shown.id))
    };
    let skip = usize::try_from(query.skip.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut rest = folders.iter().filter(|folder| behind(folder)).skip(skip).peekable();
    let page: Vec<_> = rest.by_ref().take(usize::from(size)).collect();
    let next = page.last().filter(|_| rest.peek().is_some()).map(|last| {
        let token = FolderToken { created: last.created_date_time, id: last.id.clone(), size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    let shape = call.shape();
    let shown = |folder| Shown { folder, shape, select: select.as_deref(), context: None, annotated: call.annotated };
    let context = call.annotated.then(|| {
        let below = path.last().map_or(String::new(), |id| format!("('{}')/childFolders", quoted(id)));
        let select = entity::printed(select.as_deref());
        call.link(&format!("/$metadata#users('{}')/contactFolders{below}{select}", quoted(&mailbox.asked)))
    });
    let count = query.count.unwrap_or(false).then(|| i64::try_from(folders.len()).unwrap_or(i64::MAX));
    Answer::json(200, &List { context, count, next, value: page.into_iter().map(shown).collect() })
}

/// `GET …/contactFolders/$count`: a number and nothing else.
pub(super) async fn count(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let folders = found(call, mailbox, path, &Query::parse(call.query)?).await?;
    Answer::number(i64::try_from(folders.len()).unwrap_or(i64::MAX))
}

/// The folders of all pages.
async fn found(call: &Call<'_>, mailbox: &Mailbox, path: &[String], query: &Query) -> Result<Vec<Folder>, Error> {
    if query.order_by.is_some() {
        return Err(Error::NotImplemented("'$orderby' on folders".to_owned()));
    }
    let read = |text| filter::filter(text, &query.aliases, Model::Folder, call.handling());
    let condition = query.filter.as_deref().map(read).transpose()?;
    let default = [DEFAULT_FOLDER.to_owned()];
    let (parent, and_itself) =
        if path.is_empty() { (&default[..], call.shape() == Shape::Beta) } else { (path, false) };
    call.api.store.folders(mailbox.user.mailbox, parent, and_itself, condition.as_ref()).await
}

/// `POST …/contactFolders`, which goes into the default folder, and `POST …/childFolders`.
pub(super) async fn create(call: &Call<'_>, mailbox: &Mailbox, path: &[String], body: &[u8]) -> Result<Answer, Error> {
    let sent = folder::read(parse(body)?)?;
    let name = sent.display_name.ok_or_else(|| {
        Error::invalid(Kind::Body, "displayName", "'displayName' is missing: a folder must have a name.")
    })?;
    let default = [DEFAULT_FOLDER.to_owned()];
    let path = if path.is_empty() { &default } else { path };
    let folder = call.api.store.create_folder(mailbox.user.mailbox, path, name).await?;
    let id = quoted(&folder.id);
    let location = call.link(&format!("/users('{}')/contactFolders('{id}')", quoted(&mailbox.asked)));
    written(call, mailbox, 201, &folder)?.header("Location", &location)
}

/// `GET …/contactFolders/{id}`.
pub(super) async fn get(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let select = selection(call, &Query::of_one(call.query)?)?;
    let folder = call.api.store.folder(mailbox.user.mailbox, path).await?;
    if call.expected.unchanged(&folder.version_token()) {
        return Answer::empty(304)?.header("ETag", &folder.etag());
    }
    shown(call, mailbox, 200, &folder, select.as_deref())
}

/// `PATCH …/contactFolders/{id}`: a new name, another place.
pub(super) async fn update(call: &Call<'_>, mailbox: &Mailbox, path: &[String], body: &[u8]) -> Result<Answer, Error> {
    let sent = folder::read(parse(body)?)?;
    let folder = call.api.store.update_folder(mailbox.user.mailbox, path, sent, call.expected.clone()).await?;
    written(call, mailbox, 200, &folder)
}

/// `DELETE …/contactFolders/{id}`, with everything inside.
pub(super) async fn delete(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let position = call.api.store.delete_folder(mailbox.user.mailbox, path, call.expected.clone()).await?;
    Answer::empty(204)?.header(POSITION, &position.to_string())
}

fn selection(call: &Call<'_>, query: &Query) -> Result<Option<Vec<&'static str>>, Error> {
    query
        .select
        .as_deref()
        .map_or(Ok(None), |text| entity::select(text, "contactFolder", folder::properties(call.shape())))
}

/// A folder after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, mailbox: &Mailbox, status: u16, folder: &Folder) -> Result<Answer, Error> {
    let answer = match call.prefer.minimal {
        Some(true) => Answer::empty(204)?.header("ETag", &folder.etag()),
        _ => shown(call, mailbox, status, folder, None),
    };
    answer?.header(POSITION, &folder.version.to_string())
}

fn shown(
    call: &Call<'_>,
    mailbox: &Mailbox,
    status: u16,
    folder: &Folder,
    select: Option<&[&'static str]>,
) -> Result<Answer, Error> {
    let names = entity::printed(select);
    let context = call.link(&format!("/$metadata#users('{}')/contactFolders{names}/$entity", quoted(&mailbox.asked)));
    let (shape, annotated) = (call.shape(), call.annotated);
    Answer::json(status, &Shown { folder, shape, select, context: Some(&context), annotated })?
        .header("ETag", &folder.etag())
}
