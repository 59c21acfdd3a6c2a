//! CardDAV as a front end of the edge: the head of a request, its row in the table, and how callers sign in.

use std::net::IpAddr;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};

use super::error::{self, Fail};
use super::href::{DavPlace, Hrefs};
use super::routes::{self, DavCall, DavRoute};
use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Scheme, Who};
use crate::http::authorize::{Mailbox, Need};
use crate::http::body::BodyUse;
use crate::http::front_end::{Counted, FrontEnd, RequestHead, RequestSource};
use crate::http::inspect::CallSubject;
use crate::http::limits::{Permit, RequestClass};
use crate::http::{Api, RequestIds};
use crate::store::Actor;

/// Settings of CardDAV.
#[derive(Debug, Clone, Default)]
pub struct DavSettings {
    /// Whether passwords are accepted over plain HTTP from other machines.
    pub plain_basic: bool,
}

/// The CardDAV front end.
pub(crate) struct Dav(DavSettings);

/// A call and its row in the table, or the error if it has none.
pub(crate) struct RoutedDavCall<'a> {
    call: DavCall<'a>,
    row: Result<&'static DavRoute, Error>,
}

impl Dav {
    pub(crate) fn new(settings: DavSettings) -> Self {
        Self(settings)
    }

    /// Refuses passwords over a connection that others could read, before the client is asked for one.
    fn check_transport(&self, head: &RequestHead<'_>) -> Result<(), Error> {
        let RequestSource { root, address, .. } = &head.source;
        let is_local = |address: &str| {
            address == crate::http::client::UNIX_ADDRESS
                || address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
        };
        let is_safe = root.starts_with("https://") || address.as_deref().is_none_or(is_local);
        let sent = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_bearer = sent.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        if is_safe || is_bearer || self.0.plain_basic {
            return Ok(());
        }
        Err(Error::Denied(
            "This connection is not encrypted, so passwords are not accepted. Use https, directly or through a proxy \
             (--trust-forwarded), or start the server with --allow-plain-basic.",
        ))
    }
}

impl FrontEnd for Dav {
    type Routed<'a> = RoutedDavCall<'a>;

    const SCHEMES: &'static [Scheme] = &[Scheme::Basic, Scheme::Bearer];
    const HEADERS: &'static [(&'static str, &'static str)] = &[];

    fn has_path(&self, path: &str) -> bool {
        matches!(DavPlace::parse(path), Ok(Some(_)))
    }

    fn read<'a>(&'a self, api: &'a Api, head: RequestHead<'a>) -> Result<RoutedDavCall<'a>, Error> {
        let place = DavPlace::parse(head.path)?.ok_or_else(|| Error::NoSegment(head.path.to_owned()))?;
        if place != DavPlace::WellKnown {
            self.check_transport(&head)?;
        }
        let row = routes::find(head.method, &place);
        // Browsers send preflights without credentials, and the edge answers them.
        let is_preflight =
            *head.method == Method::OPTIONS && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let row = if is_preflight { Err(Error::MethodNotAllowed(routes::allowed(&place))) } else { row };
        let hrefs = Hrefs::new(&head.source.root);
        Ok(RoutedDavCall { call: DavCall { api, head, place, hrefs }, row })
    }

    fn route(routed: &RoutedDavCall<'_>) -> &'static str {
        routes::pattern(&routed.call.place)
    }

    fn subject(routed: &RoutedDavCall<'_>, caller: &Caller) -> Option<CallSubject> {
        let place = &routed.call.place;
        let user = place.shared().or(place.user()).map_or_else(|| caller.name(), str::to_owned);
        Some(CallSubject { path: Hrefs::default().of(place), user: Some(user) })
    }

    fn calls() -> Vec<(&'static str, &'static str)> {
        routes::names().collect()
    }

    fn class(_: &RoutedDavCall<'_>) -> RequestClass {
        RequestClass::Request
    }

    fn is_read(routed: &RoutedDavCall<'_>, _: &Method) -> bool {
        routed.row.as_ref().is_ok_and(|row| row.need != Need::Write)
    }

    fn body(routed: &RoutedDavCall<'_>) -> Result<BodyUse, Error> {
        routed.row.clone().map(|row| row.body)
    }

    fn answer_without_caller(routed: &RoutedDavCall<'_>) -> Option<Result<Answer, Error>> {
        if routed.call.place != DavPlace::WellKnown {
            return None;
        }
        // A path is correct behind every proxy, unlike a whole URL. The status is 301, because 303 would turn a
        // PROPFIND into a GET.
        let to = routed.call.hrefs.of(&DavPlace::Start);
        Some(Answer::empty(301).and_then(|answer| answer.header("Location", &to)))
    }

    fn count_call(&self, _: &RoutedDavCall<'_>, _: &Caller, _: &Permit) -> Result<Counted, Error> {
        Ok(None)
    }

    fn count_body(&self, _: &RoutedDavCall<'_>, _: &Caller, _: &Permit, _: usize) -> Result<(), Error> {
        Ok(())
    }

    async fn perform(routed: &Self::Routed<'_>, caller: &Caller, _: &Permit, body: &[u8]) -> Result<Answer, Error> {
        let row = routed.row.clone()?;
        let call = &routed.call;
        let Who::User(user) = &caller.who else {
            return Err(Error::Denied(
                "CardDAV is for users, because an application has no address books of its own. Applications can use /v1.0.",
            ));
        };
        let mailbox = match mailbox(call, caller, row.need).await {
            Err(Error::Denied(why)) if row.need == Need::Write => return needs_privilege(call, row, why),
            mailbox => mailbox?,
        };
        let request = routes::Request { call, caller, user, mailbox: &mailbox, body };
        match (row.handler)(&request).await {
            Ok(answer) => Ok(answer),
            Err(Fail::Error(Error::Denied(why))) if row.need == Need::Write => needs_privilege(call, row, why),
            Err(fail) => fail.answer(),
        }
    }

    fn error(error: &Error, ids: &RequestIds) -> Answer {
        error::answer(error, ids)
    }

    fn code(error: &Error) -> &'static str {
        error::code(error)
    }

    fn media_type(_: &str, _: &str, _: &HeaderMap) -> &'static str {
        "application/xml; charset=utf-8"
    }
}

/// The mailbox of a call: that of the address, which may be a shared one in the caller's home.
async fn mailbox(call: &DavCall<'_>, caller: &Caller, need: Need) -> Result<Mailbox, Error> {
    let actor = actor(call, caller);
    let requested_user = call.place.user();
    let own = call
        .api
        .mailbox(caller, requested_user, if call.place.shared().is_some() { Need::Read } else { need }, actor.clone())
        .await?;
    match call.place.shared() {
        // Shared mailboxes are in the caller's own home only.
        Some(owner) if matches!(&caller.who, Who::User(user) if user.mailbox == own.user.mailbox) => {
            call.api.mailbox(caller, Some(owner), need, actor).await
        }
        Some(_) => Err(Error::NotFound),
        None => Ok(own),
    }
}

/// The actor, for the store and the audit log.
pub(super) fn actor(call: &DavCall<'_>, caller: &Caller) -> Actor {
    caller.actor(&call.head.source, format!("{} {}", call.head.method, routes::pattern(&call.place)))
}

/// The answer to a write that the caller may not make (RFC 3744, section 7.1.1). Clients then drop their change.
fn needs_privilege(call: &DavCall<'_>, row: &DavRoute, why: &str) -> Result<Answer, Error> {
    let href = super::properties::href(&call.hrefs.of(&call.place));
    let privilege = row.privilege;
    let element = format!(
        "<D:need-privileges><D:resource>{href}<D:privilege><D:{privilege}/></D:privilege></D:resource></D:need-privileges>"
    );
    error::body(403, &element, why)
}
