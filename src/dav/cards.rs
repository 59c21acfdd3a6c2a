//! Cards: GET, HEAD, PUT and DELETE.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::books::{self, CardTarget};
use super::card::{self, SentCard};
use super::error::Fail;
use super::headers::{self, AcceptedVersion, DavPrefer, If};
use super::href::DavPlace;
use super::properties;
use super::propfind::{CLASSES, run_blocking_if_large};
use super::routes::Request;
use super::token;
use crate::domain::card::{CardVersion, MAX_NAME};
use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::http::blocking::{SHORT, run_blocking};
use crate::store::{PutCard, WholeCard};

/// `GET` and `HEAD`: the card as it is stored, or in the requested version.
pub(crate) async fn get(request: &Request<'_>) -> Result<Answer, Fail> {
    let accepted = headers::accepted(request.call.head.headers)?;
    let (folder, name) = (books::folder(request).await?, request.call.place.name().unwrap_or_default());
    let (store, mailbox) = (&request.mailbox.store, request.mailbox.user.mailbox);
    let member = store.member(mailbox, &folder.id, name).await?;
    let tag = token::tag(&member);
    if headers::preconditions(request.call.head.headers).unchanged(&tag) {
        return Ok(Answer::empty(304)?.header("ETag", &token::quoted(&tag))?);
    }
    let (mut wholes, _) = store.whole_cards(mailbox, std::slice::from_ref(&member)).await?;
    let whole = wholes.pop().ok_or(Error::NotFound)?;
    let version = if let AcceptedVersion::Version(version) = accepted { Some(version) } else { None };
    let render = move || (card::render(&whole, version), token::tag(&whole.member));
    let (text, tag) = run_blocking_if_large(&[member], render).await?;
    Ok(card_answer(200, text, &tag, version)?)
}

/// The answer with a card.
fn card_answer(status: u16, text: String, tag: &str, version: Option<CardVersion>) -> Result<Answer, Error> {
    let media_type = if version == Some(CardVersion::V4) {
        "text/vcard; charset=utf-8; version=4.0"
    } else {
        "text/vcard; charset=utf-8"
    };
    let answer = Answer { body: Some(text.into_bytes().into()), ..Answer::empty(status)? };
    let answer = answer.header("Content-Type", media_type)?.header("ETag", &token::quoted(tag))?;
    answer.header("Cache-Control", "no-cache")?.header("Vary", "Accept, Authorization")?.header("DAV", CLASSES)
}

/// Whether a new card may have this name.
pub(crate) fn may_be_named(name: &str) -> bool {
    let is_bad = |c: char| c == '/' || c.is_control();
    !name.contains(is_bad) && !matches!(name, "." | "..") && name.chars().count() <= MAX_NAME
}

/// `PUT`. The checks are in this order: name, type, text, conditions, UID, quota.
pub(crate) async fn put(request: &Request<'_>) -> Result<Answer, Fail> {
    let sent_headers = request.call.head.headers;
    let (store, mailbox) = (&request.mailbox.store, request.mailbox.user.mailbox);
    let name = request.call.place.name().unwrap_or_default();
    if !may_be_named(name) {
        return Err(Fail::new(
            403,
            "",
            "A card cannot have this name: at most 255 characters, without / and control characters.",
        ));
    }
    let found = store.folder_with_card(mailbox, request.call.place.folder().unwrap_or_default(), name).await;
    let (folder, exists) = match found {
        Err(Error::NotFound) => return Err(Fail::new(409, "", "There is no such address book.")),
        found => found?,
    };
    card::check_type(&headers::text(sent_headers, "content-type").unwrap_or_default())?;
    if sent_headers.contains_key("content-range") {
        return Err(Fail::bad("A card must be sent whole, without Content-Range."));
    }
    let sent = if request.body.len() <= SHORT {
        SentCard::read(request.body)?
    } else {
        let body = request.body.to_vec();
        run_blocking(move || SentCard::read(&body)).await??
    };
    let (expected, conditions) = (headers::preconditions(sent_headers), conditions(request).await?);
    let is_other_kind = Arc::new(AtomicBool::new(false));
    let other_kind = Arc::clone(&is_other_kind);
    let decide = move |existing: Option<&WholeCard>| {
        let tag = existing.map(|existing| token::tag(&existing.member));
        match &tag {
            Some(tag) => expected.check(tag)?,
            None => expected.check_absent()?,
        }
        conditions.check(tag.as_deref())?;
        if existing.is_some_and(|existing| existing.contact.is_none() != sent.is_group()) {
            other_kind.store(true, Ordering::Relaxed);
            return Err(Error::Stale);
        }
        Ok(sent.change(existing))
    };
    let new = if exists || request.body.len() > SHORT { None } else { decide(None).ok().flatten() };
    let created = match new {
        Some(new) => store.create_card(mailbox, &folder, name, new).await.transpose(),
        None => None,
    };
    let put = match created {
        Some(created) => created,
        None => store.put_card(mailbox, &folder, name, Box::new(decide)).await,
    };
    let put = match put {
        Ok(put) => put,
        Err(Error::Stale) if is_other_kind.load(Ordering::Relaxed) => {
            let message = "A contact's card cannot become a group's, nor a group's a contact's.";
            return Err(Fail::new(403, "<C:valid-address-data/>", message));
        }
        Err(Error::UidTaken(other)) => return Err(uid_taken(request, &folder, other)),
        Err(Error::NotFound) => return Err(Fail::new(409, "", "There is no such address book.")),
        Err(error) => return Err(error.into()),
    };
    let PutCard { created, whole } = put;
    let render = move || (card::render(&whole, None), token::tag(&whole.member));
    let (text, tag) = if request.body.len() <= SHORT { render() } else { run_blocking(render).await? };
    if DavPrefer::read(sent_headers).representation {
        let status = if created { 201 } else { 200 };
        return Ok(card_answer(status, text, &tag, None)?.header("Preference-Applied", "return=representation")?);
    }
    let answer = Answer::empty(if created { 201 } else { 204 })?;
    // A tag promises that a GET returns the same octets.
    if text.as_bytes() == request.body {
        return Ok(answer.header("ETag", &token::quoted(&tag))?);
    }
    Ok(answer)
}

/// The conditions of the header `If`. Only they need the state of the address book.
async fn conditions(request: &Request<'_>) -> Result<If, Fail> {
    if !request.call.head.headers.contains_key("if") {
        return Ok(If::read(request, "")?);
    }
    let CardTarget { book, .. } = CardTarget::find(request).await?;
    let token = token::print(request.call.api.unguarded.history(), request.mailbox.user.mailbox, &book, book.moment);
    Ok(If::read(request, &token)?)
}

/// The error if another card of the folder has the UID.
pub(crate) fn uid_taken(request: &Request<'_>, folder: &str, name: String) -> Fail {
    let (home, folder) = super::books::address_ids(request, folder);
    let href = properties::href(&request.call.hrefs.of(&DavPlace::Card(home, folder, name)));
    let element = format!("<C:no-uid-conflict>{href}</C:no-uid-conflict>");
    Fail::new(403, element, "Another card of this address book has the UID, or the card of this name has another UID.")
}

/// `DELETE`, like Graph's `DELETE` of a contact.
pub(crate) async fn delete(request: &Request<'_>) -> Result<Answer, Fail> {
    let (folder, name) = (books::folder(request).await?, request.call.place.name().unwrap_or_default());
    let (store, mailbox) = (&request.mailbox.store, request.mailbox.user.mailbox);
    let expected = headers::preconditions(request.call.head.headers);
    let conditions = conditions(request).await?;
    let check = move |whole: &WholeCard| {
        let tag = token::tag(&whole.member);
        expected.check(&tag)?;
        conditions.check(Some(&tag))
    };
    match store.delete_card(mailbox, &folder.id, name, Box::new(check)).await {
        Ok(()) => Ok(Answer::empty(204)?),
        Err(error) => Err(error.into()),
    }
}
