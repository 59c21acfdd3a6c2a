//! From the row of a call to its answer: rights, query options, the handler, and the preferences that were applied.

use crate::domain::error::Error;
use crate::domain::handling::Handling;
use crate::graph::authorize::{self, Mailbox};
use crate::graph::call::Call;
use crate::graph::routes::{Handler, Offered, Route, RouteOptions, RouteRequest};
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::odata::address::{Owner, Resource};
use crate::odata::query::Query;

/// Performs the call.
///
/// # Errors
/// Every error that a call can end with.
pub(crate) async fn perform(call: &Call<'_>, route: &Route, caller: &Caller, body: &[u8]) -> Result<Answer, Error> {
    if route.offered == Offered::Notified && call.api.settings.notifier.is_none() {
        return Err(Error::NotImplemented("A subscription".to_owned()));
    }
    if matches!(route.options, RouteOptions::Plain | RouteOptions::Return) {
        Query::check_format_only(call.query)?;
    }
    let (path, id, name) = call.address.resource.keys();
    let request = RouteRequest { call, caller, path, id, name, body };
    let answer = match (&route.handler, &call.address.resource) {
        (Handler::Mailbox(handler), Resource::Owned(owner, _)) => {
            let mailbox = call.mailbox(caller, owner, route.need).await?;
            let answer = handler(&request, &mailbox).await;
            match (&answer, owner) {
                (Err(Error::UnknownUser(_)), Owner::User(requested_owner)) => {
                    match recreated_mailbox(&request, route, requested_owner, &mailbox).await? {
                        Some(mailbox) => handler(&request, &mailbox).await?,
                        None => answer?,
                    }
                }
                _ => answer?,
            }
        }
        (Handler::Caller(handler), _) => {
            authorize::check(caller, route.need)?;
            handler(&request).await?
        }
        _ => return Err(Error::internal(format!("{} {} has no handler for a caller", route.method, route.address))),
    };
    preferences_applied(call, route, answer)
}

/// The mailbox as in the database, if the cached user was removed and added again. Nothing was done for the cached
/// user.
async fn recreated_mailbox(
    request: &RouteRequest<'_>,
    route: &Route,
    requested_owner: &str,
    known: &Mailbox,
) -> Result<Option<Mailbox>, Error> {
    request.call.api.unguarded.forget_user(requested_owner);
    let owner = Owner::User(requested_owner.to_owned());
    let current = request.call.mailbox(request.caller, &owner, route.need).await?;
    Ok((current.user.mailbox != known.user.mailbox).then_some(current))
}

/// Lists the preferences that were followed in `Preference-Applied` (RFC 7240, section 3).
pub(crate) fn preferences_applied(call: &Call<'_>, route: &Route, answer: Answer) -> Result<Answer, Error> {
    let (prefer, mut applied) = (&call.prefer, Vec::new());
    match prefer.handling {
        Some(Handling::Lenient) => applied.push("handling=lenient".to_owned()),
        Some(Handling::Strict) => applied.push("handling=strict".to_owned()),
        None => {}
    }
    // The preference counts only if it was followed: a bare reference has no representation.
    let returned = prefer.minimal.filter(|minimal| *minimal == answer.body.is_none());
    match returned.filter(|_| route.options == RouteOptions::Return) {
        Some(true) => applied.push("return=minimal".to_owned()),
        Some(false) => applied.push("return=representation".to_owned()),
        None => {}
    }
    if prefer.immutable_id {
        applied.push("IdType=\"ImmutableId\"".to_owned());
    }
    if let Some(size) = prefer.max_page_size.filter(|_| route.options == RouteOptions::Pages) {
        applied.push(format!("odata.maxpagesize={size}"));
    }
    if applied.is_empty() { Ok(answer) } else { answer.header("Preference-Applied", &applied.join(", ")) }
}
