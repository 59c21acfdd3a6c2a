//! COPY and MOVE of cards (RFC 4918, sections 9.8 and 9.9).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::books::CardTarget;
use super::cards::{may_be_named, uid_taken};
use super::error::Fail;
use super::headers::{self, If};
use super::href::DavPlace;
use super::routes::Request;
use super::token;
use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::store::WholeCard;

/// `COPY`
pub(crate) async fn copy(request: &Request<'_>) -> Result<Answer, Fail> {
    transfer(request, true).await
}

/// `MOVE`
pub(crate) async fn relocate(request: &Request<'_>) -> Result<Answer, Fail> {
    transfer(request, false).await
}

/// `COPY` and `MOVE` of a collection, which are not supported.
pub(crate) async fn refuse_collection(_: &Request<'_>) -> Result<Answer, Fail> {
    let message = "Address books cannot be moved or copied.";
    std::future::ready(Err(Fail::new(403, "<C:addressbook-collection-location-ok/>", message))).await
}

/// The folder and the name in the header `Destination`, in the same mailbox.
fn destination(request: &Request<'_>) -> Result<(String, String), Fail> {
    let call = request.call;
    let Some(sent) = headers::text(call.head.headers, "destination") else {
        return Err(Fail::bad("The Destination header is missing."));
    };
    let wrong_destination = || {
        Fail::new(
            403,
            "<C:addressbook-collection-location-ok/>",
            "A card can only be moved or copied to an address book of the same mailbox.",
        )
    };
    let place = call.hrefs.read(&sent).ok_or_else(wrong_destination)?;
    let DavPlace::Card(user, ..) = &place else { return Err(wrong_destination()) };
    let is_same = match (place.shared(), call.place.shared()) {
        (Some(owner), _) => request.user.is_called(user) && request.mailbox.user.is_called(owner),
        (None, _) => request.mailbox.user.is_called(user),
    };
    match (place.folder(), place.name()) {
        (Some(folder), Some(name)) if is_same => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(wrong_destination()),
    }
}

async fn transfer(request: &Request<'_>, copy: bool) -> Result<Answer, Fail> {
    let (call, mailbox) = (request.call, request.mailbox);
    let (folder, name) = destination(request)?;
    let CardTarget { book, name: source_name, .. } = CardTarget::find(request).await?;
    let may_replace =
        headers::text(call.head.headers, "overwrite").is_none_or(|value| !value.trim().eq_ignore_ascii_case("f"));
    let to = match mailbox.store.book(mailbox.user.mailbox, &folder).await {
        Err(Error::NotFound) => return Err(Fail::new(409, "", "There is no such address book at the destination.")),
        to => to?,
    };
    let is_same_book = to.folder.id == book.folder.id;
    if is_same_book && source_name == name {
        return Err(Fail::new(403, "", "Source and destination are the same."));
    }
    if !may_be_named(&name) {
        return Err(Fail::new(
            403,
            "",
            "A card cannot have this name: at most 255 characters, without / and control characters.",
        ));
    }
    let book_token = token::print(call.api.unguarded.history(), mailbox.user.mailbox, &book, book.moment);
    let (expected, conditions) = (headers::preconditions(call.head.headers), If::read(request, &book_token)?);
    let is_missing = Arc::new(AtomicBool::new(true));
    let found = Arc::clone(&is_missing);
    let check = move |whole: &WholeCard, existing: Option<&WholeCard>| {
        found.store(false, Ordering::Relaxed);
        let tag = token::tag(&whole.member);
        expected.check(&tag)?;
        conditions.check(Some(&tag))?;
        if existing.is_some() && !may_replace { Err(Error::Stale) } else { Ok(()) }
    };
    let (from, to_place) = ((book.folder.id.as_str(), source_name.as_str()), (to.folder.id.as_str(), name.as_str()));
    match mailbox.store.transfer_card(mailbox.user.mailbox, from, to_place, copy, Box::new(check)).await {
        Ok(true) => Ok(Answer::empty(201)?),
        Ok(false) => Ok(Answer::empty(204)?),
        Err(Error::UidTaken(other)) => Err(uid_taken(request, &to.folder.id, other)),
        Err(Error::NotFound) if !is_missing.load(Ordering::Relaxed) => {
            Err(Fail::new(409, "", "There is no such address book at the destination."))
        }
        Err(error) => Err(error.into()),
    }
}
