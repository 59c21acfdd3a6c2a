//! The table of CardDAV's calls. Everything that depends on the call comes from here: `Allow`, the required rights,
//! whether a body is read, and the handler.

use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;

use super::error::Fail;
use super::href::{DavPlace, Hrefs};
use super::properties::MAX_CARD;
use super::{books, cards, collections, propfind, report, transfer};
use crate::domain::error::Error;
use crate::domain::user::User;
use crate::http::Api;
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::http::authorize::Mailbox;
use crate::http::authorize::Need::{self, Open, Read, Token, Write};
use crate::http::body::BodyUse::{self, Bytes, Not as NoBody, UpTo};
use crate::http::front_end::RequestHead;

/// A request after its head is read.
pub(crate) struct DavCall<'a> {
    pub(crate) api: &'a Api,
    pub(crate) head: RequestHead<'a>,
    pub(crate) place: DavPlace,
    pub(crate) hrefs: Hrefs,
}

/// The parameter of handlers.
pub(crate) struct Request<'r> {
    pub(crate) call: &'r DavCall<'r>,
    pub(crate) caller: &'r Caller,
    /// The caller, as a user.
    pub(crate) user: &'r User,
    /// The mailbox of the address, or the caller's own if it names none.
    pub(crate) mailbox: &'r Mailbox,
    pub(crate) body: &'r [u8],
}

type DavAnswering<'r> = LocalBoxFuture<'r, Result<Answer, Fail>>;

/// A call.
pub(crate) struct DavRoute {
    method: &'static str,
    kind: PlaceKind,
    /// The right that the caller needs.
    pub(crate) need: Need,
    /// The WebDAV privilege that a write needs.
    pub(crate) privilege: &'static str,
    /// How it uses a body.
    pub(crate) body: BodyUse,
    pub(crate) handler: for<'r> fn(&'r Request<'r>) -> DavAnswering<'r>,
}

/// The kind of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceKind {
    WellKnown,
    Start,
    Principal,
    Home,
    Book,
    Card,
}

impl PlaceKind {
    fn of(place: &DavPlace) -> Self {
        match place {
            DavPlace::WellKnown => Self::WellKnown,
            DavPlace::Root | DavPlace::Start | DavPlace::Principals => Self::Start,
            DavPlace::Principal(_) => Self::Principal,
            DavPlace::Home(_) => Self::Home,
            DavPlace::Book(..) => Self::Book,
            DavPlace::Card(..) => Self::Card,
        }
    }
}

const fn row(
    method: &'static str,
    kind: PlaceKind,
    need: Need,
    privilege: &'static str,
    body: BodyUse,
    handler: for<'r> fn(&'r Request<'r>) -> DavAnswering<'r>,
) -> DavRoute {
    DavRoute { method, kind, need, privilege, body, handler }
}

macro_rules! calls {
    ($handler:path) => {
        |request| Box::pin($handler(request))
    };
}

/// One line for each call: method, place, need, privilege, body, handler. `Allow` lists methods in this order.
#[rustfmt::skip]
static CALLS: &[DavRoute] = &[
    row("GET",       PlaceKind::WellKnown, Open,  "read",             NoBody,          calls!(propfind::options)),

    row("OPTIONS",   PlaceKind::Start,     Token, "read",             NoBody,          calls!(propfind::options)),
    row("PROPFIND",  PlaceKind::Start,     Token, "read",             Bytes,           calls!(propfind::start)),

    row("OPTIONS",   PlaceKind::Principal, Read,  "read",             NoBody,          calls!(propfind::options)),
    row("PROPFIND",  PlaceKind::Principal, Read,  "read",             Bytes,           calls!(propfind::principal)),
    row("REPORT",    PlaceKind::Principal, Read,  "read",             Bytes,           calls!(report::report)),

    row("OPTIONS",   PlaceKind::Home,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       PlaceKind::Home,      Read,  "read",             NoBody,          calls!(books::get)),
    row("HEAD",      PlaceKind::Home,      Read,  "read",             NoBody,          calls!(books::get)),
    row("PROPFIND",  PlaceKind::Home,      Read,  "read",             Bytes,           calls!(propfind::home)),
    row("PROPPATCH", PlaceKind::Home,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("REPORT",    PlaceKind::Home,      Read,  "read",             Bytes,           calls!(report::report)),

    row("OPTIONS",   PlaceKind::Book,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       PlaceKind::Book,      Read,  "read",             NoBody,          calls!(books::get)),
    row("HEAD",      PlaceKind::Book,      Read,  "read",             NoBody,          calls!(books::get)),
    row("PROPFIND",  PlaceKind::Book,      Read,  "read",             Bytes,           calls!(propfind::book)),
    row("REPORT",    PlaceKind::Book,      Read,  "read",             Bytes,           calls!(report::report)),
    row("PROPPATCH", PlaceKind::Book,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("MKCOL",     PlaceKind::Book,      Write, "bind",             Bytes,           calls!(collections::mkcol)),
    row("COPY",      PlaceKind::Book,      Write, "bind",             NoBody,          calls!(transfer::refuse_collection)),
    row("MOVE",      PlaceKind::Book,      Write, "bind",             NoBody,          calls!(transfer::refuse_collection)),
    row("DELETE",    PlaceKind::Book,      Write, "unbind",           NoBody,          calls!(books::delete)),

    row("OPTIONS",   PlaceKind::Card,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       PlaceKind::Card,      Read,  "read",             NoBody,          calls!(cards::get)),
    row("HEAD",      PlaceKind::Card,      Read,  "read",             NoBody,          calls!(cards::get)),
    row("PUT",       PlaceKind::Card,      Write, "write-content",    UpTo(MAX_CARD),  calls!(cards::put)),
    row("DELETE",    PlaceKind::Card,      Write, "unbind",           NoBody,          calls!(cards::delete)),
    row("PROPFIND",  PlaceKind::Card,      Read,  "read",             Bytes,           calls!(propfind::card)),
    row("PROPPATCH", PlaceKind::Card,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("MKCOL",     PlaceKind::Card,      Write, "bind",             Bytes,           calls!(collections::mkcol)),
    row("COPY",      PlaceKind::Card,      Write, "bind",             NoBody,          calls!(transfer::copy)),
    row("MOVE",      PlaceKind::Card,      Write, "unbind",           NoBody,          calls!(transfer::relocate)),
    row("REPORT",    PlaceKind::Card,      Read,  "read",             Bytes,           calls!(report::report)),
];

/// Methods that are known and never supported.
const REFUSED: [&str; 12] =
    ["LOCK", "UNLOCK", "ACL", "POST", "BIND", "UNBIND", "REBIND", "PATCH", "SEARCH", "MKCALENDAR", "TRACE", "CONNECT"];

/// The row of a method at a place.
///
/// # Errors
/// [`Error::MethodNotAllowed`], and [`Error::NotImplemented`] for an unknown method.
pub(crate) fn find(method: &Method, place: &DavPlace) -> Result<&'static DavRoute, Error> {
    let kind = PlaceKind::of(place);
    if kind == PlaceKind::WellKnown {
        // Every method gets the redirect.
        return CALLS.first().ok_or_else(|| Error::internal("the table is empty"));
    }
    let name = method.as_str();
    if let Some(row) = CALLS.iter().find(|row| row.kind == kind && row.method == name) {
        return Ok(row);
    }
    if CALLS.iter().any(|row| row.method == name) || REFUSED.contains(&name) {
        return Err(Error::MethodNotAllowed(allowed(place)));
    }
    Err(Error::NotImplemented(format!("The method {name}")))
}

/// The methods of a place.
pub(crate) fn allowed(place: &DavPlace) -> Vec<&'static str> {
    let kind = PlaceKind::of(place);
    let methods = CALLS.iter().filter(|row| row.kind == kind).map(|row| row.method);
    // Graph answers GET there.
    let graph = ["GET", "HEAD"].into_iter().filter(|_| *place == DavPlace::Root);
    methods.chain(graph).collect()
}

/// All calls: a method and the shape of its path.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLS.iter().flat_map(|row| {
        let patterns: &[&str] = match row.kind {
            PlaceKind::WellKnown => &["/.well-known/carddav"],
            PlaceKind::Start => &["/", "/dav/", "/dav/principals/"],
            PlaceKind::Principal => &["/dav/principals/{user}/"],
            PlaceKind::Home => &["/dav/addressbooks/{user}/"],
            PlaceKind::Book => &["/dav/addressbooks/{user}/{folder}/"],
            PlaceKind::Card => &["/dav/addressbooks/{user}/{folder}/{card}"],
        };
        patterns.iter().map(move |pattern| (row.method, *pattern))
    })
}

/// The pattern of a path for the log, which must not contain data of clients.
pub(crate) fn pattern(place: &DavPlace) -> &'static str {
    match place {
        DavPlace::Root => "/",
        DavPlace::WellKnown => "/.well-known/carddav",
        DavPlace::Start => "/dav/",
        DavPlace::Principals => "/dav/principals/",
        DavPlace::Principal(_) => "/dav/principals/{user}/",
        DavPlace::Home(_) => "/dav/addressbooks/{user}/",
        DavPlace::Book(..) => "/dav/addressbooks/{user}/{folder}/",
        DavPlace::Card(..) => "/dav/addressbooks/{user}/{folder}/{card}",
    }
}
