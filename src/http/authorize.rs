//! Authorization: the mailbox of a call, and what its caller may do with it (docs/graph.md, "Permissions").

use crate::domain::error::Error;
use crate::domain::scopes::Scopes;
use crate::domain::user::{User, UserName};
use crate::http::Api;
use crate::http::authenticate::{Caller, Who};
use crate::http::front_end::RequestSource;
use crate::store::{Actor, Store};

/// The right that a call needs.
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
    /// To share it, which only an application that may list users can do.
    Share,
    /// To remove a share.
    Unshare,
}

impl Caller {
    /// The caller of a request as an actor, for the store and the audit log. `action` is the method and the pattern of
    /// the path.
    pub(crate) fn actor(&self, source: &RequestSource, action: String) -> Actor {
        let user = match &self.who {
            Who::User(user) => Some(user.mailbox),
            Who::App(_) => None,
        };
        Actor {
            name: self.name(),
            token: self.token,
            user,
            mailbox: None,
            requested_owner: String::new(),
            address: source.address.clone(),
            request: Some(source.request),
            action,
            item: None,
        }
    }
}

impl Api {
    /// The mailbox of a user (without a name, the caller's own) for a caller with the right `need`. The store acts as
    /// `actor`.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] for a user who does not exist or whom the caller may not see; [`Error::NoMe`] if an
    /// application names none; [`Error::Denied`] if the token does not permit the call.
    pub(crate) async fn mailbox(
        &self,
        caller: &Caller,
        requested_owner: Option<&str>,
        need: Need,
        actor: Actor,
    ) -> Result<Mailbox, Error> {
        let store = &self.unguarded;
        let (user, rights) = match (&caller.who, requested_owner) {
            (Who::App(_), None) => return Err(Error::NoMe),
            (Who::App(_), Some(requested_owner)) => {
                let rights = AccessRights::as_application(caller.scopes);
                rights.check(need)?;
                (
                    self.user(requested_owner).await?.ok_or_else(|| Error::UnknownUser(requested_owner.to_owned()))?,
                    rights,
                )
            }
            (Who::User(own), requested_owner)
                if requested_owner.is_none_or(|requested_owner| own.is_called(requested_owner)) =>
            {
                (own.clone(), AccessRights::as_owner(caller.scopes))
            }
            (Who::User(own), requested_owner) => {
                let requested_owner = requested_owner.unwrap_or_default();
                // For a token without shared scopes, other users do not exist.
                let share = if caller.scopes.may_read_shared() {
                    store.shared_with(own.mailbox, requested_owner).await?
                } else {
                    None
                };
                let share = share.ok_or_else(|| Error::UnknownUser(requested_owner.to_owned()))?;
                (share.user, AccessRights::as_guest(share.can_write && caller.scopes.may_write_shared()))
            }
        };
        rights.check(need)?;
        let requested_owner = requested_owner.map_or_else(|| user.id.clone(), str::to_owned);
        let actor = Actor { mailbox: Some(user.mailbox), requested_owner: requested_owner.clone(), ..actor };
        Ok(Mailbox { store: store.with_actor(actor), requested_owner, may_write: rights.write, user })
    }

    /// The user of this name or id. Creates it if the operator has named it and its mailbox is created at first use.
    pub(crate) async fn user(&self, name_or_id: &str) -> Result<Option<User>, Error> {
        if let Some(user) = self.unguarded.find_user_called(name_or_id).await? {
            return Ok(Some(user));
        }
        match UserName::of_address(name_or_id).and_then(|name| self.access.named_user(&name)) {
            Some(named) => self.unguarded.user(&named).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The rights of a caller on a mailbox.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub(crate) struct AccessRights {
    read: bool,
    write: bool,
    see_shares: bool,
    share: bool,
    unshare: bool,
}

impl AccessRights {
    fn as_application(scopes: Scopes) -> Self {
        let (read, share) = (scopes.may_read(), scopes.may_share());
        Self { read, write: scopes.may_write(), see_shares: read || share, share, unshare: share }
    }

    pub(crate) fn as_owner(scopes: Scopes) -> Self {
        let (read, write) = (scopes.may_read(), scopes.may_write());
        Self { read, write, see_shares: read, share: false, unshare: write }
    }

    /// For a mailbox that another user shares.
    fn as_guest(write: bool) -> Self {
        Self { read: true, write, see_shares: false, share: false, unshare: false }
    }

    /// # Errors
    /// [`Error::Denied`]
    pub(crate) fn check(self, need: Need) -> Result<(), Error> {
        let (is_allowed, why) = match need {
            Need::Open | Need::Token => return Ok(()),
            Need::Read => (self.read, "The token does not permit reading contacts, which requires Contacts.Read."),
            Need::Write => {
                (self.write, "The token does not permit writing contacts here, which requires Contacts.ReadWrite.")
            }
            Need::Users => (false, "The token does not permit listing users, which requires User.Read.All."),
            Need::SeeShares => (self.see_shares, "Only the owner of a mailbox may see with whom it is shared."),
            Need::Share => (self.share, "Only an application with User.ReadWrite.All may share mailboxes."),
            Need::Unshare => (self.unshare, "Only the owner of a mailbox may end a share, with Contacts.ReadWrite."),
        };
        if is_allowed { Ok(()) } else { Err(Error::Denied(why)) }
    }
}

/// A mailbox and how the request named its owner.
pub(crate) struct Mailbox {
    pub(crate) user: User,
    /// The store with the rights of the caller on this mailbox.
    pub(crate) store: Store,
    /// Whether the caller may write to it, by token and share.
    pub(crate) may_write: bool,
    /// The user as in the request, or the id for `/me`: for contexts and links.
    pub(crate) requested_owner: String,
}
