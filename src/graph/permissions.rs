//! `…/contactPermissions`: who else may see a mailbox. Graph has this of calendars and not of contacts; it is written as
//! there (docs/graph.md, "Shared mailboxes").

use serde::Serialize;

use crate::domain::error::{Error, Kind};
use crate::domain::user::User;
use crate::graph::authorize::Mailbox;
use crate::graph::body;
use crate::graph::call::Call;
use crate::graph::contacts::quoted;
use crate::http::answer::{Answer, List};
use crate::odata::entity;
use crate::odata::json::Json;
use crate::odata::query::Query;
use crate::store::Share;

const ROLES: [&str; 2] = ["read", "write"];
/// Longest address that is read, in characters.
const MAX_ADDRESS: usize = 255;

/// What a call does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    List,
    Create,
    Get,
    Update,
    Delete,
}

#[derive(Serialize)]
struct Shown<'a> {
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

impl<'a> Shown<'a> {
    fn of(share: &'a Share, context: Option<String>) -> Self {
        let email_address = EmailAddress { name: &share.user.display_name, address: &share.user.mail };
        Self { context, id: &share.user.id, role: ROLES[usize::from(share.can_write)], email_address }
    }
}

/// What a body says.
#[derive(Default)]
struct Sent {
    address: Option<String>,
    can_write: Option<bool>,
}

/// Does it.
///
/// # Errors
/// [`Error::NotFound`] for a user with whom the mailbox is not shared, [`Error::UnknownUser`] for none at all.
pub(crate) async fn perform(
    call: &Call<'_>,
    what: Does,
    mailbox: &Mailbox,
    id: &str,
    body: &[u8],
) -> Result<Answer, Error> {
    let (store, number) = (&mailbox.store, mailbox.user.mailbox);
    match what {
        Does::List => {
            Query::none(call.query)?;
            let shares = store.shares(number).await?;
            let context = call.annotated.then(|| context(call, mailbox, ""));
            let value = shares.iter().map(|share| Shown::of(share, None)).collect();
            Answer::json(200, &List { context, count: None, next: None, value })
        }
        Does::Create => {
            let sent = body::json(body, read).await?;
            let address = sent.address.ok_or_else(|| missing("emailAddress/address", "a user's principal name"))?;
            let can_write = sent.can_write.ok_or_else(|| missing("role", "read or write"))?;
            let with = user(call, &address).await?;
            if with.mailbox == number {
                let message = "A mailbox is its owner's anyway.";
                return Err(Error::invalid(Kind::Request, "emailAddress/address", message));
            }
            let share = store.share(number, with, can_write).await?;
            let path = format!("/users('{}')/contactPermissions('{}')", quoted(&mailbox.asked), quoted(&share.user.id));
            written(call, mailbox, 201, &share)?.made_at(&call.link(&path))
        }
        Does::Get => shown(call, mailbox, 200, &find(call, mailbox, id).await?),
        Does::Update => {
            let sent = body::json(body, read).await?;
            if sent.address.is_some() {
                let message = "The user of a permission is fixed: delete it, and create another.";
                return Err(Error::invalid(Kind::ReadOnly, "emailAddress", message));
            }
            let share = find(call, mailbox, id).await?;
            let share = match sent.can_write {
                Some(can_write) => store.change_share(number, share.user, can_write).await?,
                None => share,
            };
            written(call, mailbox, 200, &share)
        }
        Does::Delete => {
            let share = find(call, mailbox, id).await?;
            store.unshare(number, share.user).await?;
            Answer::empty(204)
        }
    }
}

/// A permission after a write, or nothing where the client prefers that.
fn written(call: &Call<'_>, mailbox: &Mailbox, status: u16, share: &Share) -> Result<Answer, Error> {
    match call.prefer.minimal {
        Some(true) => Answer::empty(204),
        _ => shown(call, mailbox, status, share),
    }
}

fn shown(call: &Call<'_>, mailbox: &Mailbox, status: u16, share: &Share) -> Result<Answer, Error> {
    Answer::json(status, &Shown::of(share, call.annotated.then(|| context(call, mailbox, "/$entity"))))
}

fn context(call: &Call<'_>, mailbox: &Mailbox, end: &str) -> String {
    call.link(&format!("/$metadata#users('{}')/contactPermissions{end}", quoted(&mailbox.asked)))
}

async fn find(call: &Call<'_>, mailbox: &Mailbox, id: &str) -> Result<Share, Error> {
    Query::none(call.query)?;
    let shares = mailbox.store.shares(mailbox.user.mailbox).await?;
    shares.into_iter().find(|share| share.user.is_called(id)).ok_or(Error::NotFound)
}

/// The user who is named, made where a mailbox is made at first use.
async fn user(call: &Call<'_>, address: &str) -> Result<User, Error> {
    call.user(address).await?.ok_or_else(|| Error::UnknownUser(address.to_owned()))
}

fn read(body: Json) -> Result<Sent, Error> {
    let mut sent = Sent::default();
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
            // The server's.
            _ => {}
        }
    }
    Ok(sent)
}

fn missing(place: &str, what: &str) -> Error {
    Error::invalid(Kind::Body, place, format!("'{place}' is missing: it must be {what}."))
}
