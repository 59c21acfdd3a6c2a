//! Whose mailbox a call is about, and whether its caller may do that with it (docs/graph.md, "Permissions").

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

/// Whether a caller may do what is of no mailbox.
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
    /// Whose mailbox is meant, for a caller who may do this with it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], the same for one that does not exist and one that is not the caller's to see;
    /// [`Error::Denied`] where the token does not permit it.
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
                // To a token that permits nothing of others', they do not exist.
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

    /// The user who is called so, made where the operator has named them and a mailbox is made at first use.
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

    /// On whose behalf the call is carried out.
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

    /// With what another user shares.
    fn as_guest(write: bool) -> Self {
        Self { read: true, write, see_shares: false, share: false, unshare: false }
    }

    /// # Errors
    /// [`Error::Denied`]
    fn check(self, need: Need) -> Result<(), Error> {
        let (may, why) = match need {
            Need::Open | Need::Token => return Ok(()),
            Need::Read => (self.read, "The token does not permit reading contacts: that is Contacts.Read."),
            Need::Write => (self.write, "The token does not permit writing contacts here: that is Contacts.ReadWrite."),
            Need::Users => (false, "The token does not permit listing users: that is User.Read.All."),
            Need::SeeShares => (self.see_shares, "Whom a mailbox is shared with is its owner's to see."),
            Need::Share => (self.share, "Only an application with User.ReadWrite.All may share mailboxes."),
            Need::Unshare => (self.unshare, "A share is its owner's to take back, with Contacts.ReadWrite."),
        };
        if may { Ok(()) } else { Err(Error::Denied(why)) }
    }
}

/// Whether a user is who is meant.
fn is(user: &User, owner: &Owner) -> bool {
    match owner {
        Owner::Me => true,
        Owner::User(asked) => user.is_called(asked),
    }
}

/// A mailbox and how the request named its owner.
pub(crate) struct Mailbox {
    pub(crate) user: User,
    /// The store as the caller may use it, on this mailbox.
    pub(crate) store: Store,
    /// The user as asked, or the id for `/me`: what stands in contexts and links.
    pub(crate) asked: String,
}
