//! `…/contacts/$ref`: the seed's page. A body that is a contact is created. A bare reference adds nothing, since
//! contacts are contained in their mailbox: it is answered by whether it names a contact of this owner.

use super::answer::Answer;
use super::call::{Call, Mailbox};
use super::contacts;
use crate::contact::{self, read};
use crate::error::{Error, Kind};
use crate::odata::address::{Address, Item, Resource};
use crate::odata::json::Json;
use crate::user::Principal;

/// `POST …/contacts/$ref`.
pub(super) async fn add(
    call: &Call<'_>,
    caller: &Principal,
    mailbox: &Mailbox,
    folder: &[String],
    body: &[u8],
) -> Result<Answer, Error> {
    let body = contacts::parse(body)?;
    let Some(reference) = read::bare_reference(&body) else {
        return contacts::create_from(call, mailbox, folder, body).await;
    };
    let refused = || {
        let message =
            "The reference must be the address of a contact of this mailbox; contacts of others cannot be added.";
        Error::invalid(Kind::Request, "@odata.id", message)
    };
    let Json::Text(reference) = reference else { return Err(refused()) };
    let path = own_path(call, reference).ok_or_else(refused)?;
    let Ok(Address { resource: Resource::Owned(owner, Item::Contact(within, id)), .. }) = Address::parse(&path) else {
        return Err(refused());
    };
    let id = contact::parse_id(&id).ok_or_else(refused)?;
    let owner = call.mailbox(caller, &owner).await.map_err(|error| match error {
        Error::UnknownUser(_) | Error::NoMe => refused(),
        error => error,
    })?;
    if owner.user.mailbox != mailbox.user.mailbox {
        return Err(refused());
    }
    call.api.store.contact(mailbox.user.mailbox, &within, id).await?;
    Answer::empty(204)
}

/// The path of a reference below the API's root: relative to the service, or on this server under the name the client
/// used, or on the host that clients of Graph write whatever they are pointed at.
fn own_path(call: &Call<'_>, reference: &str) -> Option<String> {
    let reference = reference.split(['?', '#']).next().unwrap_or_default();
    let path = match reference.split_once("://") {
        Some(_) => reference
            .strip_prefix(call.root())
            .or_else(|| reference.strip_prefix("https://graph.microsoft.com"))
            .filter(|path| path.starts_with('/'))?,
        None => reference,
    };
    Some(format!("/{path}"))
}
