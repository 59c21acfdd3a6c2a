//! Authorization of Graph's calls: the mailbox of each call, and its caller (docs/graph.md, "Permissions").

use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::http::authenticate::{Caller, Who};
use crate::http::authorize::AccessRights;
pub(crate) use crate::http::authorize::{Mailbox, Need};
use crate::odata::address::Owner;
use crate::store::Actor;

/// Checks a call that concerns no mailbox.
///
/// # Errors
/// [`Error::Denied`]
pub(crate) fn check(caller: &Caller, need: Need) -> Result<(), Error> {
    match (need, &caller.who) {
        (Need::Users, Who::App(_)) if caller.scopes.may_list_users() => Ok(()),
        (Need::Users, Who::User(_)) => Err(Error::Denied("Only an application may list users; a user is at /me.")),
        _ => AccessRights::as_owner(caller.scopes).check(need),
    }
}

impl Call<'_> {
    /// The mailbox of an owner, for a caller who may do this with it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] for a user who does not exist or whom the caller may not see; [`Error::Denied`] if the
    /// token does not permit the call.
    pub(crate) async fn mailbox(&self, caller: &Caller, owner: &Owner, need: Need) -> Result<Mailbox, Error> {
        let requested = match owner {
            Owner::Me => None,
            Owner::User(requested) => Some(requested.as_str()),
        };
        self.api.mailbox(caller, requested, need, self.actor(caller)).await
    }

    /// The actor, for the store and the audit log.
    pub(crate) fn actor(&self, caller: &Caller) -> Actor {
        let actor = caller.actor(self.source(), format!("{} {}", self.method(), self.address.pattern()));
        Actor { item: self.address.item().map(str::to_owned), ..actor }
    }
}
