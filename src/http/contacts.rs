//! `…/contacts` and `…/contacts/{id}`.

use serde::Serialize;
use uuid::Uuid;

use super::answer::Answer;
use super::call::{Call, Mailbox, POSITION};
use crate::contact::beta::{self, Purpose, Shown};
use crate::contact::patch::Patch;
use crate::contact::{self, Contact};
use crate::error::{Error, Kind};
use crate::odata::json::Json;
use crate::odata::page::{DEFAULT_SIZE, MAX_SIZE, PageToken};
use crate::odata::percent_encode;
use crate::odata::query::Query;

/// `GET …/contacts`: all folders, in creation order.
pub(super) async fn list(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    let token = query.skip_token.as_deref().map(PageToken::parse).transpose()?;
    // The size a walk began with stays, since the client's `$top` is repeated but not what it preferred.
    let asked = token.map(|token| i64::from(token.size)).or(query.top).unwrap_or(i64::from(DEFAULT_SIZE));
    let size = asked.min(call.prefer.max_page_size.unwrap_or(i64::MAX));
    let size = u16::try_from(size).unwrap_or(MAX_SIZE).min(MAX_SIZE);
    let after = token.map_or(Uuid::nil(), |token| token.after);
    let skip = query.skip.unwrap_or(0);
    let page = call.api.store.contacts(mailbox.user.mailbox, after, skip, size, call.position).await?;
    let next = page.contacts.last().filter(|_| page.more).map(|last| {
        let token = PageToken { after: last.id, size };
        format!("{}?{}", call.own_link(), query.with_token(&token.print()))
    });
    let context = call.annotated.then(|| context(call, mailbox, ""));
    let shown = |contact| Shown { contact, context: None, annotated: call.annotated };
    Answer::json(200, &List { context, next, value: page.contacts.iter().map(shown).collect() })
}

/// `POST …/contacts`.
pub(super) async fn create(call: &Call<'_>, mailbox: &Mailbox, body: &[u8]) -> Result<Answer, Error> {
    create_from(call, mailbox, parse(body)?).await
}

/// What both ways to create do with the body.
pub(super) async fn create_from(call: &Call<'_>, mailbox: &Mailbox, body: Json) -> Result<Answer, Error> {
    let new = beta::read(body, call.handling(), Purpose::Create)?;
    let contact = call.api.store.insert(mailbox.user.mailbox, new).await?;
    let location = call.link(&format!("/users('{}')/contacts('{}')", percent_encode(&mailbox.asked), contact.id));
    let answer = written(call, mailbox, 201, &contact)?;
    let answer = if answer.body.is_none() { answer.header("OData-EntityId", &location)? } else { answer };
    answer.header("Location", &location)
}

/// `GET …/contacts/{id}`.
pub(super) async fn get(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let contact = call.api.store.contact(mailbox.user.mailbox, parse_id(id)?).await?;
    if call.expected.unchanged(&contact.version_token()) {
        return Answer::empty(304)?.header("ETag", &contact.etag());
    }
    shown(call, mailbox, 200, &contact)
}

/// `PATCH …/contacts/{id}`.
pub(super) async fn update(call: &Call<'_>, mailbox: &Mailbox, id: &str, body: &[u8]) -> Result<Answer, Error> {
    let id = parse_id(id)?;
    let patch: Patch = beta::read(parse(body)?, call.handling(), Purpose::Update)?;
    let contact = call.api.store.update(mailbox.user.mailbox, id, patch, call.expected.clone()).await?;
    written(call, mailbox, 200, &contact)
}

/// `DELETE …/contacts/{id}`.
pub(super) async fn delete(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let position = call.api.store.delete(mailbox.user.mailbox, parse_id(id)?, call.expected.clone()).await?;
    Answer::empty(204)?.header(POSITION, &position.to_string())
}

/// A JSON body.
pub(super) fn parse(body: &[u8]) -> Result<Json, Error> {
    Json::read(body).map_err(|why| {
        Error::invalid(Kind::Json, "", format!("The body cannot be read as JSON, it was unable to deserialize: {why}."))
    })
}

fn parse_id(id: &str) -> Result<Uuid, Error> {
    contact::parse_id(id).ok_or(Error::MalformedId)
}

/// A contact after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, mailbox: &Mailbox, status: u16, contact: &Contact) -> Result<Answer, Error> {
    let answer = match call.prefer.minimal {
        Some(true) => Answer::empty(204)?.header("ETag", &contact.etag()),
        _ => shown(call, mailbox, status, contact),
    };
    answer?.header(POSITION, &contact.version.to_string())
}

fn shown(call: &Call<'_>, mailbox: &Mailbox, status: u16, contact: &Contact) -> Result<Answer, Error> {
    let context = context(call, mailbox, "/$entity");
    let shown = Shown { contact, context: Some(&context), annotated: call.annotated };
    Answer::json(status, &shown)?.header("ETag", &contact.etag())
}

fn context(call: &Call<'_>, mailbox: &Mailbox, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/contacts{end}", percent_encode(&mailbox.asked)))
}

#[derive(Serialize)]
struct List<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    value: Vec<Shown<'a>>,
}
