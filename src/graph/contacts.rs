//! `…/contacts` and `…/contacts/{id}`.

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Contact, DEFAULT_FOLDER};
use crate::domain::error::{Error, Kind};
use crate::domain::handling::Handling;
use crate::domain::query::search::Search;
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::exports;
use crate::graph::idempotency;
use crate::graph::json::contact::read::{self, Purpose};
use crate::graph::json::contact::select::Selection;
use crate::graph::json::contact::write::ContactJson;
use crate::graph::json::extended;
use crate::graph::keys::{parse_id, quoted};
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::odata::expand;
use crate::odata::filter::{self, Model};
use crate::odata::page::PageToken;
use crate::odata::query::Query;
use crate::odata::search;
use crate::odata::shape::Shape;
use crate::store::{IdempotencyKey, Listing, Page};

/// `GET …/contacts`: of the folder, or of the whole mailbox.
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let (select, expand) = (selection(call, &query)?, expand::of_contacts(&query, call.handling())?);
    let options = printed(select.as_ref(), &extended::expand_names(&expand));
    let listing = Listing { expand, ..listing(call, path, &query)? };
    let (page, next) = page_of_listing(call, mailbox, &query, listing).await?;
    let context_of = |options| context(call, mailbox, path, options, "");
    let (context, context_prefix) = (call.annotated.then(|| context_of(&options)), context(call, mailbox, &[], "", ""));
    let (shape, select, annotated) = (call.shape(), select.as_ref(), call.annotated);
    let json = |contact| ContactJson {
        contact,
        shape,
        select,
        context: None,
        context_prefix: Some(&context_prefix),
        annotated,
    };
    let value = page.contacts.iter().map(json).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// A page of contacts, and the link to the next.
pub(crate) async fn page(
    call: &Call<'_>,
    mailbox: &Mailbox,
    path: &[String],
    query: &Query,
) -> Result<(Page, Option<String>), Error> {
    page_of_listing(call, mailbox, query, listing(call, path, query)?).await
}

/// The same for any listing.
pub(crate) async fn page_of_listing(
    call: &Call<'_>,
    mailbox: &Mailbox,
    query: &Query,
    listing: Listing,
) -> Result<(Page, Option<String>), Error> {
    let token = query.skip_token.as_deref().map(PageToken::parse).transpose()?;
    let size = call.page_size(token.as_ref().map(|token| token.size), query);
    let listing = Listing {
        size,
        skip: query.skip.unwrap_or(0),
        after: token.map(|token| token.after),
        count: query.count.unwrap_or(false),
        ..listing
    };
    // Later pages never show an earlier state than the first.
    let position = call.position.filter(|_| listing.after.is_none());
    let mut page = mailbox.store.contacts(mailbox.user.mailbox, &listing, position).await?;
    let next = page.next.take().map(|after| {
        let token = PageToken { after, size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    Ok((page, next))
}

/// `GET …/contacts/$count`. Options that do not affect the number are ignored.
pub(crate) async fn count(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let listing = listing(call, path, &query)?;
    let count = mailbox.store.count(mailbox.user.mailbox, &listing, call.position).await?;
    Answer::number(count)
}

/// The folder and the options of a list, with the property names of the request's shape.
pub(crate) fn listing(call: &Call<'_>, path: &[String], query: &Query) -> Result<Listing, Error> {
    let model = match call.shape() {
        Shape::Beta => Model::Beta,
        Shape::V1 => Model::V1,
    };
    let (aliases, handling, region) = (&query.aliases, call.handling(), call.api.settings.phone_region);
    let filter =
        query.filter.as_deref().map(|text| filter::filter_in(region, text, aliases, model, handling)).transpose()?;
    let order = query.order_by.as_deref().map(|text| filter::order(text, aliases, model, handling)).transpose()?;
    let folder = match path {
        // Lists of the mailbox: all folders in the beta shape, the default one in v1.0 (docs/graph.md, decision 10).
        [] => (model == Model::V1).then(|| DEFAULT_FOLDER.to_owned()),
        path => path.last().cloned(),
    };
    let search = search(call, query, path.is_empty())?;
    let (path, order) = (path.to_vec(), order.unwrap_or_default());
    Ok(Listing { folder, path, filter, search, order, ..Listing::default() })
}

/// `$search`. Graph has it only for the contacts of a mailbox, and without `$filter` and `$orderby`.
pub(crate) fn search(call: &Call<'_>, query: &Query, is_mailbox: bool) -> Result<Option<Search>, Error> {
    let Some(text) = &query.search else { return Ok(None) };
    if call.handling() == Handling::Strict {
        let why = match (is_mailbox, query.filter.is_some(), query.order_by.is_some()) {
            (false, ..) => "'$search' applies to the contacts of a mailbox only.",
            (_, true, _) => "'$search' cannot be used with '$filter'.",
            (_, _, true) => "'$search' cannot be used with '$orderby'.",
            _ => return search::parse(text).map(Some),
        };
        return Err(Error::invalid(Kind::Options, "$search", why));
    }
    search::parse(text).map(Some)
}

/// `POST …/contacts`.
pub(crate) async fn create(call: &Call<'_>, mailbox: &Mailbox, path: &[String], body: &[u8]) -> Result<Answer, Error> {
    let (shape, handling) = (call.shape(), call.handling());
    let new = body::json(body, move |body| read::read(shape, body, handling, Purpose::Create)).await?;
    create_from(call, mailbox, path, new, idempotency::key(call, body)?).await
}

/// Creates a contact, for `POST …/contacts` and `POST …/contacts/$ref`.
pub(crate) async fn create_from(
    call: &Call<'_>,
    mailbox: &Mailbox,
    path: &[String],
    new: ContactPatch,
    key: Option<IdempotencyKey>,
) -> Result<Answer, Error> {
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    let contact = match (path, key) {
        (path, Some(key)) => store.insert_once(number, path, new, key).await?,
        ([], None) => store.insert(number, new).await?,
        (path, None) => store.insert_in(number, path, new).await?,
    };
    let location = format!("/users('{}')/contacts('{}')", quoted(&mailbox.requested_owner), contact.id);
    write_answers::created(call, &contact, &location, || to_answer(call, mailbox, &contact, None))
}

/// `GET …/contacts/{id}`.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, path: &[String], id: &str) -> Result<Answer, Error> {
    let query = Query::parse_for_entity(call.query)?;
    let (select, expand) = (selection(call, &query)?, expand::of_contacts(&query, call.handling())?);
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    let contact = store.contact_with(number, path, parse_id(id)?, &expand).await?;
    // The contact's version does not cover its extensions.
    if expand.is_empty() && call.expected.unchanged(&contact.version_token()) {
        return Answer::empty(304)?.header("ETag", &contact.etag());
    }
    if let Some(file) = exports::contact_as_file(call, mailbox, &contact).await? {
        return Ok(file);
    }
    to_answer(call, mailbox, &contact, select.as_ref())
}

/// `PATCH …/contacts/{id}`.
pub(crate) async fn update(
    call: &Call<'_>,
    mailbox: &Mailbox,
    folder_path: &[String],
    id: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let (shape, handling) = (call.shape(), call.handling());
    let patch = body::json(body, move |body| read::read(shape, body, handling, Purpose::Update)).await?;
    let contact = mailbox.store.update(mailbox.user.mailbox, folder_path, id, patch, call.expected.clone()).await?;
    write_answers::updated(call, &contact, || to_answer(call, mailbox, &contact, None))
}

/// `DELETE …/contacts/{id}`.
pub(crate) async fn delete(call: &Call<'_>, mailbox: &Mailbox, path: &[String], id: &str) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let position = mailbox.store.delete(mailbox.user.mailbox, path, id, call.expected.clone()).await?;
    write_answers::deleted(position)
}

pub(crate) fn to_answer(
    call: &Call<'_>,
    mailbox: &Mailbox,
    contact: &Contact,
    select: Option<&Selection>,
) -> Result<Answer, Error> {
    let expanded = contact.expanded.as_ref().map(|expanded| extended::expanded_names(expanded)).unwrap_or_default();
    let context_prefix = context(call, mailbox, &[], "", "");
    let context = context(call, mailbox, &[], &printed(select, &expanded), "/$entity");
    let (shape, context_prefix, annotated) = (call.shape(), Some(context_prefix.as_str()), call.annotated);
    let json = ContactJson { contact, shape, select, context: Some(&context), context_prefix, annotated };
    Answer::json(200, &json)?.header("ETag", &contact.etag())
}

pub(crate) fn selection(call: &Call<'_>, query: &Query) -> Result<Option<Selection>, Error> {
    query.select.as_deref().map_or(Ok(None), |text| Selection::parse(text, call.shape()))
}

/// The selected and expanded properties as a context lists them.
pub(crate) fn printed(select: Option<&Selection>, expanded: &[String]) -> String {
    let selected = select.map(Selection::print).unwrap_or_default();
    let names = selected.trim_start_matches('(').strip_suffix(')').into_iter().filter(|names| !names.is_empty());
    let names: Vec<_> = names.chain(expanded.iter().map(String::as_str)).collect();
    if names.is_empty() { String::new() } else { format!("({})", names.join(",")) }
}

/// The context of a list names its folder, that of a contact only its mailbox.
fn context(call: &Call<'_>, mailbox: &Mailbox, path: &[String], select: &str, end: &str) -> String {
    let folder = path.last().map(|id| format!("/contactFolders('{}')", quoted(id))).unwrap_or_default();
    call.link(&format!("/$metadata#users('{}'){folder}/contacts{select}{end}", quoted(&mailbox.requested_owner)))
}
