//! The table of CardDAV's calls. Everything that depends on which call it is comes from here: `Allow`, what admission and
//! authorization do, whether a body is read, and the handler.

use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;

use super::error::Fail;
use super::href::{Hrefs, Place};
use super::properties::MAX_CARD;
use super::{books, cards, collections, propfind, report, transfer};
use crate::domain::error::Error;
use crate::domain::user::User;
use crate::http::Api;
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::http::authorize::Mailbox;
use crate::http::authorize::Need::{self, Open, Read, Token, Write};
use crate::http::body::Taken::{self, Bytes, Not as NoBody, UpTo};
use crate::http::front_end::Head;

/// A request, read as far as its head goes.
pub(crate) struct Call<'a> {
    pub(crate) api: &'a Api,
    pub(crate) head: Head<'a>,
    pub(crate) place: Place,
    pub(crate) hrefs: Hrefs,
}

/// What handlers are given.
pub(crate) struct Request<'r> {
    pub(crate) call: &'r Call<'r>,
    pub(crate) caller: &'r Caller,
    /// The caller, as a user.
    pub(crate) user: &'r User,
    /// The mailbox of the address; the caller's own where it names none.
    pub(crate) mailbox: &'r Mailbox,
    pub(crate) body: &'r [u8],
}

type Answering<'r> = LocalBoxFuture<'r, Result<Answer, Fail>>;

/// A call.
pub(crate) struct Row {
    method: &'static str,
    kind: Kind,
    /// What its caller must be permitted.
    pub(crate) need: Need,
    /// The privilege that a write needs, in WebDAV's words.
    pub(crate) privilege: &'static str,
    /// What it does with a body.
    pub(crate) body: Taken,
    pub(crate) handler: for<'r> fn(&'r Request<'r>) -> Answering<'r>,
}

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WellKnown,
    Start,
    Principal,
    Home,
    Book,
    Card,
}

impl Kind {
    fn of(place: &Place) -> Self {
        match place {
            Place::WellKnown => Self::WellKnown,
            Place::Root | Place::Start | Place::Principals => Self::Start,
            Place::Principal(_) => Self::Principal,
            Place::Home(_) => Self::Home,
            Place::Book(..) => Self::Book,
            Place::Card(..) => Self::Card,
        }
    }
}

const fn row(
    method: &'static str,
    kind: Kind,
    need: Need,
    privilege: &'static str,
    body: Taken,
    handler: for<'r> fn(&'r Request<'r>) -> Answering<'r>,
) -> Row {
    Row { method, kind, need, privilege, body, handler }
}

macro_rules! calls {
    ($handler:path) => {
        |request| Box::pin($handler(request))
    };
}

/// A line a call: method, place, need, privilege, body, handler. `Allow` lists methods in this order.
#[rustfmt::skip]
static CALLS: &[Row] = &[
    row("GET",       Kind::WellKnown, Open,  "read",             NoBody,          calls!(propfind::options)),

    row("OPTIONS",   Kind::Start,     Token, "read",             NoBody,          calls!(propfind::options)),
    row("PROPFIND",  Kind::Start,     Token, "read",             Bytes,           calls!(propfind::start)),

    row("OPTIONS",   Kind::Principal, Read,  "read",             NoBody,          calls!(propfind::options)),
    row("PROPFIND",  Kind::Principal, Read,  "read",             Bytes,           calls!(propfind::principal)),
    row("REPORT",    Kind::Principal, Read,  "read",             Bytes,           calls!(report::report)),

    row("OPTIONS",   Kind::Home,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       Kind::Home,      Read,  "read",             NoBody,          calls!(books::get)),
    row("HEAD",      Kind::Home,      Read,  "read",             NoBody,          calls!(books::get)),
    row("PROPFIND",  Kind::Home,      Read,  "read",             Bytes,           calls!(propfind::home)),
    row("PROPPATCH", Kind::Home,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("REPORT",    Kind::Home,      Read,  "read",             Bytes,           calls!(report::report)),

    row("OPTIONS",   Kind::Book,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       Kind::Book,      Read,  "read",             NoBody,          calls!(books::get)),
    row("HEAD",      Kind::Book,      Read,  "read",             NoBody,          calls!(books::get)),
    row("PROPFIND",  Kind::Book,      Read,  "read",             Bytes,           calls!(propfind::book)),
    row("REPORT",    Kind::Book,      Read,  "read",             Bytes,           calls!(report::report)),
    row("PROPPATCH", Kind::Book,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("MKCOL",     Kind::Book,      Write, "bind",             Bytes,           calls!(collections::mkcol)),
    row("COPY",      Kind::Book,      Write, "bind",             NoBody,          calls!(transfer::of_collection)),
    row("MOVE",      Kind::Book,      Write, "bind",             NoBody,          calls!(transfer::of_collection)),
    row("DELETE",    Kind::Book,      Write, "unbind",           NoBody,          calls!(books::delete)),

    row("OPTIONS",   Kind::Card,      Read,  "read",             NoBody,          calls!(propfind::options)),
    row("GET",       Kind::Card,      Read,  "read",             NoBody,          calls!(cards::get)),
    row("HEAD",      Kind::Card,      Read,  "read",             NoBody,          calls!(cards::get)),
    row("PUT",       Kind::Card,      Write, "write-content",    UpTo(MAX_CARD),  calls!(cards::put)),
    row("DELETE",    Kind::Card,      Write, "unbind",           NoBody,          calls!(cards::delete)),
    row("PROPFIND",  Kind::Card,      Read,  "read",             Bytes,           calls!(propfind::card)),
    row("PROPPATCH", Kind::Card,      Write, "write-properties", Bytes,           calls!(collections::proppatch)),
    row("MKCOL",     Kind::Card,      Write, "bind",             Bytes,           calls!(collections::mkcol)),
    row("COPY",      Kind::Card,      Write, "bind",             NoBody,          calls!(transfer::copy)),
    row("MOVE",      Kind::Card,      Write, "unbind",           NoBody,          calls!(transfer::relocate)),
    row("REPORT",    Kind::Card,      Read,  "read",             Bytes,           calls!(report::report)),
];

/// Methods that some place has, or that are known and never offered.
const REFUSED: [&str; 12] =
    ["LOCK", "UNLOCK", "ACL", "POST", "BIND", "UNBIND", "REBIND", "PATCH", "SEARCH", "MKCALENDAR", "TRACE", "CONNECT"];

/// The row of a method at a place.
///
/// # Errors
/// [`Error::MethodNotAllowed`], and [`Error::NotImplemented`] for a method that nothing has.
pub(crate) fn of(method: &Method, place: &Place) -> Result<&'static Row, Error> {
    let kind = Kind::of(place);
    if kind == Kind::WellKnown {
        // Every method is redirected.
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
pub(crate) fn allowed(place: &Place) -> Vec<&'static str> {
    let kind = Kind::of(place);
    let methods = CALLS.iter().filter(|row| row.kind == kind).map(|row| row.method);
    // Graph answers GET there.
    let graph = ["GET", "HEAD"].into_iter().filter(|_| *place == Place::Root);
    methods.chain(graph).collect()
}

/// All calls: a method and the shape of its path.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLS.iter().flat_map(|row| {
        let patterns: &[&str] = match row.kind {
            Kind::WellKnown => &["/.well-known/carddav"],
            Kind::Start => &["/", "/dav/", "/dav/principals/"],
            Kind::Principal => &["/dav/principals/{user}/"],
            Kind::Home => &["/dav/addressbooks/{user}/"],
            Kind::Book => &["/dav/addressbooks/{user}/{folder}/"],
            Kind::Card => &["/dav/addressbooks/{user}/{folder}/{card}"],
        };
        patterns.iter().map(move |pattern| (row.method, *pattern))
    })
}

/// The shape of a path for the log, which must not hold what a client wrote.
pub(crate) fn pattern(place: &Place) -> &'static str {
    match place {
        Place::Root => "/",
        Place::WellKnown => "/.well-known/carddav",
        Place::Start => "/dav/",
        Place::Principals => "/dav/principals/",
        Place::Principal(_) => "/dav/principals/{user}/",
        Place::Home(_) => "/dav/addressbooks/{user}/",
        Place::Book(..) => "/dav/addressbooks/{user}/{folder}/",
        Place::Card(..) => "/dav/addressbooks/{user}/{folder}/{card}",
    }
}
