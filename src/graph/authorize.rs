//! Authorization: the mailbox of a call, and what its caller may do with it (docs/graph.md, "Permissions").

use crate::domain::error::Error;
use crate::domain::scopes::Scopes;
use crate::domain::user::{User, UserName};
use crate::graph::call::Call;
use crate::http::authenticate::{Caller, Who};
use crate::odata::address::Owner;
use crate::store::{Actor, Store};

/// What a call needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: not even a token.
    Open,
    /// A valid token.
    Token,
    /// To read what is in a mailbox.
    Read,
    /// To write to it.
    Write,
    /// To list users.
    Users,
    /// To see whom a mailbox is shared with.
    SeeShares,
    /// To share it, which takes an application that may list users.
    Share,
    /// To take that back.
    Unshare,
}

/// Checks a call that concerns no mailbox.
///
/// # Errors
/// [`Error::Denied`]
pub(crate) fn check(caller: &Caller, need: Need) -> Result<(), Error> {
    match (need, &caller.who) {
        (Need::Users, Who::App(_)) if caller.scopes.may_list_users() => Ok(()),
        (Need::Users, Who::User(_)) => Err(Error::Denied("Only an application may list users; a user is at /me.")),
        _ => May::as_owner(caller.scopes).check(need),
    }
}

impl Call<'_> {
    /// The mailbox of an owner, for a caller who may do this with it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] for a user who does not exist or whom the caller may not see; [`Error::Denied`] if the token
    /// does not permit the call.
    pub(crate) async fn mailbox(&self, caller: &Caller, owner: &Owner, need: Need) -> Result<Mailbox, Error> {
        let store = &self.api.unguarded;
        let user = match (&caller.who, owner) {
            (Who::App(_), Owner::Me) => return Err(Error::NoMe),
            (Who::App(_), Owner::User(asked)) => {
                May::as_application(caller.scopes).check(need)?;
                self.user(asked).await?.ok_or_else(|| Error::UnknownUser(asked.clone()))?
            }
            (Who::User(own), owner) if is(own, owner) => {
                May::as_owner(caller.scopes).check(need)?;
                own.clone()
            }
            (Who::User(own), Owner::User(asked)) => {
                // For a token without shared scopes, other users do not exist.
                let share =
                    if caller.scopes.may_read_shared() { store.shared_with(own.mailbox, asked).await? } else { None };
                let share = share.ok_or_else(|| Error::UnknownUser(asked.clone()))?;
                May::as_guest(share.can_write && caller.scopes.may_write_shared()).check(need)?;
                share.user
            }
            (Who::User(_), Owner::Me) => return Err(Error::internal("one's own mailbox is one's own")),
        };
        let asked = match owner {
            Owner::Me => user.id.clone(),
            Owner::User(asked) => asked.clone(),
        };
        let actor = Actor { mailbox: Some(user.mailbox), asked: asked.clone(), ..self.actor(caller) };
        Ok(Mailbox { store: store.acting(actor), asked, user })
    }

    /// The user of this name or id. Creates it if the operator has named it and its mailbox is created at first use.
    pub(crate) async fn user(&self, called: &str) -> Result<Option<User>, Error> {
        let store = &self.api.unguarded;
        if let Some(user) = store.find_user_called(called).await? {
            return Ok(Some(user));
        }
        match UserName::of_address(called).and_then(|name| self.api.access.named(&name)) {
            Some(named) => store.user(&named).await.map(Some),
            None => Ok(None),
        }
    }

    /// Who does what, for the store and the audit log.
    pub(crate) fn actor(&self, caller: &Caller) -> Actor {
        let user = match &caller.who {
            Who::User(user) => Some(user.mailbox),
            Who::App(_) => None,
        };
        Actor {
            name: caller.name(),
            token: caller.token,
            user,
            mailbox: None,
            asked: String::new(),
            address: self.source().address.clone(),
            request: Some(self.source().request),
            action: format!("{} {}", self.method(), self.address.pattern()),
            item: self.address.item().map(str::to_owned),
        }
    }
}

/// What a caller may do with a mailbox.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
struct May {
    read: bool,
    write: bool,
    see_shares: bool,
    share: bool,
    unshare: bool,
}

impl May {
    fn as_application(scopes: Scopes) -> Self {
        let (read, share) = (scopes.may_read(), scopes.may_share());
        Self { read, write: scopes.may_write(), see_shares: read || share, share, unshare: share }
    }

    fn as_owner(scopes: Scopes) -> Self {
        let (read, write) = (scopes.may_read(), scopes.may_write());
        Self { read, write, see_shares: read, share: false, unshare: write }
    }

    /// For a mailbox that another user shares.
    fn as_guest(write: bool) -> Self {
        Self { read: true, write, see_shares: false, share: false, unshare: false }
    }

    /// # Errors
    /// [`Error::Denied`]
    fn check(self, need: Need) -> Result<(), Error> {
        let (may, why) = match need {
            Need::Open | Need::Token => return Ok(()),
            Need::Read => (self.read, "The token does not permit reading contacts, which takes Contacts.Read."),
            Need::Write => {
                (self.write, "The token does not permit writing contacts here, which takes Contacts.ReadWrite.")
            }
            Need::Users => (false, "The token does not permit listing users, which takes User.Read.All."),
            Need::SeeShares => (self.see_shares, "Only its owner may see whom a mailbox is shared with."),
            Need::Share => (self.share, "Only an application with User.ReadWrite.All may share mailboxes."),
            Need::Unshare => (self.unshare, "Only its owner may end a share, with Contacts.ReadWrite."),
        };
        if may { Ok(()) } else { Err(Error::Denied(why)) }
    }
}

/// Whether an owner is this user.
fn is(user: &User, owner: &Owner) -> bool {
    match owner {
        Owner::Me => true,
        Owner::User(asked) => user.is_called(asked),
    }
}

/// A mailbox and how the request named its owner.
pub(crate) struct Mailbox {
    pub(crate) user: User,
    /// The store with the rights of the caller on this mailbox.
    pub(crate) store: Store,
    /// The user as in the request, or the id for `/me`: for contexts and links.
    pub(crate) asked: String,
}
