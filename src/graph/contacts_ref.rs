//! `…/contacts/$ref`: contacts as references. `POST` creates a contact from a body that is one. A bare reference adds
//! nothing, since contacts are contained in their mailbox: the answer says whether it names a contact of this owner.

use serde::Serialize;

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{self, Contact};
use crate::domain::error::{Error, Kind};
use crate::graph::authorize::{Mailbox, Need};
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::contacts;
use crate::graph::idempotency;
use crate::graph::json::contact::read::{self, Purpose};
use crate::graph::keys::{own_path, quoted};
use crate::graph::list::List;
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::json::Json;
use crate::odata::address::{Address, Item, Resource};
use crate::odata::query::Query;

/// `GET …/contacts/$ref`: contacts as references (OData JSON format, section 14).
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox, path: &[String]) -> Result<Answer, Error> {
    let query = Query::parse(call.query)?;
    for (name, given) in [("$select", query.select.is_some()), ("$expand", query.expand.is_some())] {
        if given {
            let message = format!("The query option '{name}' does not apply to references, which have no properties.");
            return Err(Error::invalid(Kind::Query, name, message));
        }
    }
    let (page, next) = contacts::page(call, mailbox, path, &query).await?;
    let owner = quoted(&mailbox.requested_owner);
    let reference =
        |contact: &Contact| Reference { id: call.link(&format!("/users('{owner}')/contacts('{}')", contact.id)) };
    let value = page.contacts.iter().map(reference).collect();
    let context = call.annotated.then(|| call.link("/$metadata#Collection($ref)"));
    Answer::json(200, &List { context, count: page.count, next, value })
}

/// A reference. It consists of an annotation only, which is therefore shown even without annotations.
#[derive(Serialize)]
struct Reference {
    #[serde(rename = "@odata.id")]
    id: String,
}

/// The content of a body.
enum AddedContact {
    Reference(Json),
    Contact(Box<ContactPatch>),
}

/// `POST …/contacts/$ref`.
pub(crate) async fn add(
    call: &Call<'_>,
    mailbox: &Mailbox,
    caller: &Caller,
    path: &[String],
    body: &[u8],
) -> Result<Answer, Error> {
    let (key, shape, handling) = (idempotency::key(call, body)?, call.shape(), call.handling());
    let sent = body::json(body, move |body| match read::bare_reference(&body) {
        Some(reference) => Ok(AddedContact::Reference(reference.clone())),
        None => read::read(shape, body, handling, Purpose::Create).map(|new| AddedContact::Contact(Box::new(new))),
    });
    let reference = match sent.await? {
        AddedContact::Reference(reference) => reference,
        AddedContact::Contact(new) => return contacts::create_from(call, mailbox, path, *new, key).await,
    };
    let refused = || {
        let message =
            "The reference must be the address of a contact of this mailbox; contacts of others cannot be added.";
        Error::invalid(Kind::Request, "@odata.id", message)
    };
    let Json::Text(reference) = reference else { return Err(refused()) };
    let path = own_path(call, &reference).ok_or_else(refused)?;
    let Ok(Address { resource: Resource::Owned(owner, Item::Contact(folder_path, id)), .. }) = Address::parse(&path)
    else {
        return Err(refused());
    };
    let id = contact::parse_id(&id).ok_or_else(refused)?;
    let owner = call.mailbox(caller, &owner, Need::Read).await.map_err(|error| match error {
        Error::UnknownUser(_) | Error::NoMe => refused(),
        error => error,
    })?;
    if owner.user.mailbox != mailbox.user.mailbox {
        return Err(refused());
    }
    mailbox.store.contact(mailbox.user.mailbox, &folder_path, id).await?;
    Answer::empty(204)
}
