//! `…/contacts` and `…/contacts/{id}`.

use uuid::Uuid;

use super::answer::{Answer, List};
use super::call::{Call, Mailbox, POSITION};
use crate::contact::read::{self, Purpose};
use crate::contact::select::Selection;
use crate::contact::write::Shown;
use crate::contact::{self, Contact, DEFAULT_FOLDER, Shape};
use crate::error::{Error, Kind};
use crate::odata::filter::{self, Model};
use crate::odata::json::Json;
use crate::odata::page::{PageToken, size};
use crate::odata::percent_encode;
use crate::odata::query::Query;
use crate::store::Listing;

/// `GET …/contacts`: of the folder, or of the whole mailbox.
pub(super) async fn list(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let token = query.skip_token.as_deref().map(PageToken::parse).transpose()?;
    // The size a walk began with stays, since the client's `$top` is repeated but not what it preferred.
    let size = size(token.as_ref().map(|token| token.size), query.top, call.prefer.max_page_size);
    let listing = Listing {
        size,
        skip: query.skip.unwrap_or(0),
        after: token.map(|token| token.after),
        count: query.count.unwrap_or(false),
        ..listing(call, mailbox, path, &query).await?
    };
    let select = selection(call, &query)?;
    // Further pages are never older than the first.
    let position = call.position.filter(|_| listing.after.is_none());
    let page = call.api.store.contacts(mailbox.user.mailbox, &listing, position).await?;
    let next = page.next.map(|after| {
        let token = PageToken { after, size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    let context = call.annotated.then(|| context(call, mailbox, path, &printed(select.as_ref()), ""));
    let (shape, select) = (call.shape(), select.as_ref());
    let shown = |contact| Shown { contact, shape, select, context: None, annotated: call.annotated };
    let value = page.contacts.iter().map(shown).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// `GET …/contacts/$count`: a number and nothing else. What does not change it is ignored.
pub(super) async fn count(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let listing = listing(call, mailbox, path, &query).await?;
    let count = call.api.store.count(mailbox.user.mailbox, &listing, call.position).await?;
    Answer::number(count)
}

/// What is listed: which folder, and what the options ask for in the names of the shape that is spoken.
async fn listing(call: &Call<'_>, mailbox: &Mailbox, path: &[String], query: &Query) -> Result<Listing, Error> {
    let model = match call.shape() {
        Shape::Beta => Model::Beta,
        Shape::V1 => Model::V1,
    };
    let (aliases, handling) = (&query.aliases, call.handling());
    let filter = query.filter.as_deref().map(|text| filter::filter(text, aliases, model, handling)).transpose()?;
    let order = query.order_by.as_deref().map(|text| filter::order(text, aliases, model, handling)).transpose()?;
    let folder = match path {
        // Lists of the mailbox: all folders in the seed's shape, the default one in v1.0 (docs/graph.md, decision 10).
        [] => (model == Model::V1).then(|| DEFAULT_FOLDER.to_owned()),
        path => Some(call.api.store.folder(mailbox.user.mailbox, path).await?.id),
    };
    Ok(Listing { folder, filter, order: order.unwrap_or_default(), ..Listing::default() })
}

/// `POST …/contacts`.
pub(super) async fn create(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder: &[String],
    body: &[u8],
) -> Result<Answer, Error> {
    create_from(call, mailbox, folder, parse(body)?).await
}

/// What both ways to create do with the body.
pub(super) async fn create_from(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder: &[String],
    body: Json,
) -> Result<Answer, Error> {
    let new = read::read(call.shape(), body, call.handling(), Purpose::Create)?;
    let contact = match folder {
        [] => call.api.store.insert(mailbox.user.mailbox, new).await?,
        folder => call.api.store.insert_in(mailbox.user.mailbox, folder, new).await?,
    };
    let location = call.link(&format!("/users('{}')/contacts('{}')", percent_encode(&mailbox.asked), contact.id));
    let answer = written(call, mailbox, 201, &contact)?;
    let answer = if answer.body.is_none() { answer.header("OData-EntityId", &location)? } else { answer };
    answer.header("Location", &location)
}

/// `GET …/contacts/{id}`.
pub(super) async fn get(call: &Call<'_>, mailbox: &Mailbox, folder: &[String], id: &str) -> Result<Answer, Error> {
    let select = selection(call, &Query::of_one(call.query)?)?;
    let contact = call.api.store.contact(mailbox.user.mailbox, folder, parse_id(id)?).await?;
    if call.expected.unchanged(&contact.version_token()) {
        return Answer::empty(304)?.header("ETag", &contact.etag());
    }
    shown(call, mailbox, 200, &contact, select.as_ref())
}

/// `PATCH …/contacts/{id}`.
pub(super) async fn update(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder: &[String],
    id: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let patch = read::read(call.shape(), parse(body)?, call.handling(), Purpose::Update)?;
    let contact = call.api.store.update(mailbox.user.mailbox, folder, id, patch, call.expected.clone()).await?;
    written(call, mailbox, 200, &contact)
}

/// `DELETE …/contacts/{id}`.
pub(super) async fn delete(call: &Call<'_>, mailbox: &Mailbox, folder: &[String], id: &str) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let position = call.api.store.delete(mailbox.user.mailbox, folder, id, call.expected.clone()).await?;
    Answer::empty(204)?.header(POSITION, &position.to_string())
}

/// A JSON body.
pub(super) fn parse(body: &[u8]) -> Result<Json, Error> {
    Json::read(body).map_err(|why| {
        Error::invalid(Kind::Json, "", format!("The body cannot be read as JSON, it was unable to deserialize: {why}."))
    })
}

pub(super) fn parse_id(id: &str) -> Result<Uuid, Error> {
    contact::parse_id(id).ok_or(Error::MalformedId)
}

/// A contact after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, mailbox: &Mailbox, status: u16, contact: &Contact) -> Result<Answer, Error> {
    let answer = match call.prefer.minimal {
        Some(true) => Answer::empty(204)?.header("ETag", &contact.etag()),
        _ => shown(call, mailbox, status, contact, None),
    };
    answer?.header(POSITION, &contact.version.to_string())
}

fn shown(
    call: &Call<'_>,
    mailbox: &Mailbox,
    status: u16,
    contact: &Contact,
    select: Option<&Selection>,
) -> Result<Answer, Error> {
    let context = context(call, mailbox, &[], &printed(select), "/$entity");
    let shown = Shown { contact, shape: call.shape(), select, context: Some(&context), annotated: call.annotated };
    Answer::json(status, &shown)?.header("ETag", &contact.etag())
}

fn selection(call: &Call<'_>, query: &Query) -> Result<Option<Selection>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| Selection::parse(text, call.shape()))
}

fn printed(select: Option<&Selection>) -> String {
    select.map(Selection::print).unwrap_or_default()
}

/// Of a folder's list the folder is named, of a contact its mailbox only, where it can always be found.
fn context(call: &Call<'_>, mailbox: &Mailbox, path: &[String], select: &str, end: &str) -> String {
    let folder = path.last().map(|id| format!("/contactFolders('{}')", quoted(id))).unwrap_or_default();
    call.link(&format!("/$metadata#users('{}'){folder}/contacts{select}{end}", quoted(&mailbox.asked)))
}

/// A key as it stands between the quotes of an address.
pub(super) fn quoted(key: &str) -> String {
    percent_encode(&key.replace('\'', "''"))
}
