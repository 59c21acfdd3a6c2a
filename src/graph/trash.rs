//! `…/permanentDelete`, and `…/deletedContacts`: deleted contacts until they are purged.

use serde::Serialize;

use crate::domain::contact::Contact;
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::handling::Handling;
use crate::graph::authorize::Mailbox;
use crate::graph::call::Call;
use crate::graph::contacts::{self, printed, selection};
use crate::graph::json::contact::select::Selection;
use crate::graph::json::contact::write::ContactJson;
use crate::graph::json::extended;
use crate::graph::keys::{parse_id, quoted};
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::odata::expand;
use crate::odata::filter::{self, Aliases, Model};
use crate::odata::query::Query;
use crate::store::Listing;

/// A contact and when it was deleted, which is its last modification.
#[derive(Serialize)]
struct DeletedContact<'a> {
    #[serde(flatten)]
    contact: ContactJson<'a>,
    #[serde(rename = "deletedDateTime")]
    time: String,
}

/// `GET …/deletedContacts`: of all folders, the last deleted first unless `$orderby` says otherwise.
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let (select, expand) = (selection(call, &query)?, expand::of_contacts(&query, call.handling())?);
    let options = printed(select.as_ref(), &extended::expand_names(&expand));
    let mut listing = Listing { expand, ..listing(call, &query)? };
    if listing.order.is_empty() {
        let latest = "lastModifiedDateTime desc";
        listing.order = filter::order(latest, &Aliases::default(), Model::Beta, Handling::Lenient)?;
    }
    let (page, next) = contacts::page_of_listing(call, mailbox, &query, listing).await?;
    let context_prefix = context(call, mailbox, "", "");
    let context = call.annotated.then(|| context(call, mailbox, &options, ""));
    let value =
        page.contacts.iter().map(|contact| to_json(call, contact, select.as_ref(), None, &context_prefix)).collect();
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// `GET …/deletedContacts/$count`
pub(crate) async fn count(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let listing = listing(call, &Query::parse(call.query)?)?;
    Answer::number(mailbox.store.count(mailbox.user.mailbox, &listing, call.position).await?)
}

fn listing(call: &Call<'_>, query: &Query) -> Result<Listing, Error> {
    Ok(Listing { folder: None, deleted: true, ..contacts::listing(call, &[], query)? })
}

/// `GET …/deletedContacts/{id}`
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let query = Query::parse_for_entity(call.query)?;
    let (select, expand) = (selection(call, &query)?, expand::of_contacts(&query, call.handling())?);
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    let contact = store.deleted_contact(number, parse_id(id)?, &expand).await?;
    if expand.is_empty() && call.expected.unchanged(&contact.version_token()) {
        return Answer::empty(304)?.header("ETag", &contact.etag());
    }
    let context_prefix = context(call, mailbox, "", "");
    let context = context(call, mailbox, &printed(select.as_ref(), &extended::expand_names(&expand)), "/$entity");
    Answer::json(200, &to_json(call, &contact, select.as_ref(), Some(&context), &context_prefix))?
        .header("ETag", &contact.etag())
}

/// `POST …/deletedContacts/{id}/restore`
pub(crate) async fn restore(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let contact = mailbox.store.restore(mailbox.user.mailbox, parse_id(id)?, call.expected.clone()).await?;
    write_answers::updated(call, &contact, || contacts::to_answer(call, mailbox, &contact, None))
}

/// `DELETE …/deletedContacts/{id}`: permanently.
pub(crate) async fn delete(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    write_answers::deleted(store.delete_from_trash(number, parse_id(id)?, call.expected.clone()).await?)
}

/// `POST …/contacts/{id}/permanentDelete`
pub(crate) async fn permanent_delete(
    call: &Call<'_>,
    mailbox: &Mailbox,
    path: &[String],
    id: &str,
) -> Result<Answer, Error> {
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    write_answers::deleted(store.delete_permanently(number, path, parse_id(id)?, call.expected.clone()).await?)
}

/// `POST …/contactFolders/{id}/permanentDelete`, with everything inside.
pub(crate) async fn permanent_delete_folder(
    call: &Call<'_>,
    mailbox: &Mailbox,
    path: &[String],
) -> Result<Answer, Error> {
    write_answers::deleted(
        mailbox.store.delete_folder_permanently(mailbox.user.mailbox, path, call.expected.clone()).await?,
    )
}

fn to_json<'a>(
    call: &Call<'_>,
    contact: &'a Contact,
    select: Option<&'a Selection>,
    context: Option<&'a str>,
    context_prefix: &'a str,
) -> DeletedContact<'a> {
    let (shape, context_prefix, annotated) = (call.shape(), Some(context_prefix), call.annotated);
    let json = ContactJson { contact, shape, select, context, context_prefix, annotated };
    DeletedContact { contact: json, time: date::print(contact.last_modified_date_time) }
}

fn context(call: &Call<'_>, mailbox: &Mailbox, select: &str, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/deletedContacts{select}{end}", quoted(&mailbox.requested_owner)))
}
