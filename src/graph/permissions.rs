//! `…/contactPermissions`: the users with whom a mailbox is shared. Graph has this for calendars and not for contacts;
//! the format is the same (docs/graph.md, "Shared mailboxes").

use serde::Serialize;

use crate::domain::error::{Error, Kind};
use crate::domain::user::User;
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::keys::quoted;
use crate::graph::list::List;
use crate::graph::write_answers;
use crate::http::answer::Answer;
use crate::json::Json;
use crate::odata::entity;
use crate::store::Share;

/// The members of `role`.
pub(crate) const ROLES: [&str; 2] = ["read", "write"];
/// Maximum length of an address in characters.
const MAX_ADDRESS: usize = 255;

#[derive(Serialize)]
struct PermissionJson<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    id: &'a str,
    role: &'static str,
    #[serde(rename = "emailAddress")]
    email_address: EmailAddress<'a>,
}

#[derive(Serialize)]
struct EmailAddress<'a> {
    name: &'a str,
    address: &'a str,
}

impl<'a> PermissionJson<'a> {
    fn new(share: &'a Share, context: Option<String>) -> Self {
        let email_address = EmailAddress { name: &share.user.display_name, address: &share.user.mail };
        Self { context, id: &share.user.id, role: ROLES[usize::from(share.can_write)], email_address }
    }
}

/// The members of a body.
#[derive(Default)]
struct PermissionPatch {
    address: Option<String>,
    can_write: Option<bool>,
}

/// `GET …/contactPermissions`
pub(crate) async fn list(call: &Call<'_>, mailbox: &Mailbox) -> Result<Answer, Error> {
    let shares = mailbox.store.shares(mailbox.user.mailbox).await?;
    let context = call.annotated.then(|| context(call, mailbox, ""));
    let value = shares.iter().map(|share| PermissionJson::new(share, None)).collect();
    Answer::json(200, &List { context, count: None, next: None, value })
}

/// `POST …/contactPermissions`
///
/// # Errors
/// [`Error::UnknownUser`], and 400 for the owner.
pub(crate) async fn create(call: &Call<'_>, mailbox: &Mailbox, body: &[u8]) -> Result<Answer, Error> {
    let sent = body::json(body, read).await?;
    let address = sent.address.ok_or_else(|| missing("emailAddress/address", "a user's principal name"))?;
    let can_write = sent.can_write.ok_or_else(|| missing("role", "read or write"))?;
    let guest = user(call, &address).await?;
    if guest.mailbox == mailbox.user.mailbox {
        let message = "A mailbox cannot be shared with its owner.";
        return Err(Error::invalid(Kind::Request, "emailAddress/address", message));
    }
    let share = mailbox.store.share(mailbox.user.mailbox, guest, can_write).await?;
    let location =
        format!("/users('{}')/contactPermissions('{}')", quoted(&mailbox.requested_owner), quoted(&share.user.id));
    write_answers::created(call, &share, &location, || to_answer(call, mailbox, &share))
}

/// `GET …/contactPermissions/{id}`
///
/// # Errors
/// [`Error::NotFound`] for a user with whom the mailbox is not shared.
pub(crate) async fn get(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    to_answer(call, mailbox, &find(mailbox, id).await?)
}

/// `PATCH …/contactPermissions/{id}`: another role.
///
/// # Errors
/// As [`get`].
pub(crate) async fn update(call: &Call<'_>, mailbox: &Mailbox, id: &str, body: &[u8]) -> Result<Answer, Error> {
    let sent = body::json(body, read).await?;
    if sent.address.is_some() {
        let message = "The user of a permission cannot be changed: delete the permission, and create another.";
        return Err(Error::invalid(Kind::ReadOnly, "emailAddress", message));
    }
    let share = find(mailbox, id).await?;
    let share = match sent.can_write {
        Some(can_write) => mailbox.store.change_share(mailbox.user.mailbox, share.user, can_write).await?,
        None => share,
    };
    write_answers::updated(call, &share, || to_answer(call, mailbox, &share))
}

/// `DELETE …/contactPermissions/{id}`
///
/// # Errors
/// As [`get`].
pub(crate) async fn delete(_: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Answer, Error> {
    let share = find(mailbox, id).await?;
    mailbox.store.unshare(mailbox.user.mailbox, share.user).await?;
    Answer::empty(204)
}

fn to_answer(call: &Call<'_>, mailbox: &Mailbox, share: &Share) -> Result<Answer, Error> {
    Answer::json(200, &PermissionJson::new(share, call.annotated.then(|| context(call, mailbox, "/$entity"))))
}

fn context(call: &Call<'_>, mailbox: &Mailbox, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/contactPermissions{end}", quoted(&mailbox.requested_owner)))
}

async fn find(mailbox: &Mailbox, id: &str) -> Result<Share, Error> {
    let shares = mailbox.store.shares(mailbox.user.mailbox).await?;
    shares.into_iter().find(|share| share.user.is_called(id)).ok_or(Error::NotFound)
}

/// The user of this address.
async fn user(call: &Call<'_>, address: &str) -> Result<User, Error> {
    call.api.user(address).await?.ok_or_else(|| Error::UnknownUser(address.to_owned()))
}

fn read(body: Json) -> Result<PermissionPatch, Error> {
    let mut sent = PermissionPatch::default();
    for (name, value) in entity::members(body, "contactPermission", &["id", "role", "emailAddress"])? {
        match name {
            "role" => {
                let role = entity::text(name, value, MAX_ADDRESS)?.ok_or_else(|| missing(name, "read or write"))?;
                sent.can_write = Some(entity::one_of(name, &role, &ROLES)? == ROLES[1]);
            }
            "emailAddress" => {
                for (member, value) in entity::members(value, "emailAddress", &["name", "address"])? {
                    if member == "address" {
                        sent.address = entity::text("emailAddress/address", value, MAX_ADDRESS)?;
                    }
                }
            }
            // Read-only.
            _ => {}
        }
    }
    Ok(sent)
}

fn missing(place: &str, what: &str) -> Error {
    Error::invalid(Kind::Body, place, format!("'{place}' is missing: it must be {what}."))
}
