//! The table of calls. Everything that depends on the call comes from here: `Allow`, the required rights, whether a
//! body and query options are read, which preferences apply, and the handler.

use futures_util::future::LocalBoxFuture;

use self::Offered::{Lenient, Notified};
use self::RouteOptions::{Pages, Plain, Query, Return};
use crate::domain::error::Error;
use crate::domain::handling::Handling;
use crate::graph::authorize::Mailbox;
use crate::graph::authorize::Need::{self, Open, Read, SeeShares, Share, Token, Unshare, Users, Write};
use crate::graph::call::Call;
use crate::graph::{
    categories, contacts, contacts_ref, delta, exchange_ids, exports, extensions, folders, imports, permissions,
    photos, service, subscriptions, trash, users,
};
use crate::http::answer::Answer;
use crate::http::authenticate::Caller;
use crate::http::body::BodyUse::{self, Bytes, Json, Not as NoBody, Streamed};

/// A call.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As [`crate::odata::address::Address::pattern`] prints it.
    pub(crate) address: &'static str,
    /// The right that the caller needs (docs/graph.md, "Permissions").
    pub(crate) need: Need,
    /// How it uses a body.
    pub(crate) body: BodyUse,
    pub(crate) options: RouteOptions,
    pub(crate) offered: Offered,
    pub(crate) handler: Handler,
}

/// The query options and preferences that a call reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteOptions {
    /// No query options.
    Plain,
    /// No query options; `Prefer: return=`.
    Return,
    /// Query options.
    Query,
    /// Query options, and `Prefer: odata.maxpagesize`.
    Pages,
}

/// When a call is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Always,
    /// Not in strict handling, because Graph does not have it.
    Lenient,
    /// Only where the server delivers notifications.
    Notified,
}

/// A handler's answer. On the heap, and created outside of `async`: otherwise an unoptimized build would reserve room
/// for all of them on the stack, which deep filters need.
pub(crate) type Answering<'r> = LocalBoxFuture<'r, Result<Answer, Error>>;

/// The handler of a call.
pub(crate) enum Handler {
    /// The edge itself.
    Edge,
    /// Without a caller.
    Public(fn(&Call<'_>) -> Result<Answer, Error>),
    /// The steps are calls themselves, so the batch is above this table.
    Batch,
    /// For a caller.
    Caller(for<'r> fn(&'r RouteRequest<'r>) -> Answering<'r>),
    /// For a caller with the right on the mailbox.
    Mailbox(for<'r> fn(&'r RouteRequest<'r>, &'r Mailbox) -> Answering<'r>),
}

/// The parameter of handlers.
pub(crate) struct RouteRequest<'r> {
    pub(crate) call: &'r Call<'r>,
    pub(crate) caller: &'r Caller,
    /// The folders of the address, from the outermost to the innermost.
    pub(crate) path: &'r [String],
    /// The id in the address.
    pub(crate) id: &'r str,
    /// The extension's name in the address.
    pub(crate) name: &'r str,
    pub(crate) body: &'r [u8],
}

/// A handler that receives the mailbox and these parts of the request.
macro_rules! mailbox {
    ($handler:path $(, $part:ident)*) => {
        Handler::Mailbox(|r, mailbox| Box::pin($handler(r.call, mailbox $(, r.$part)*)))
    };
}

/// A handler that receives the caller and these parts of the request.
macro_rules! caller {
    ($handler:path $(, $part:ident)*) => {
        Handler::Caller(|r| Box::pin($handler(r.call, r.caller $(, r.$part)*)))
    };
}

const GET: &str = "GET";
const POST: &str = "POST";
const PUT: &str = "PUT";
const PATCH: &str = "PATCH";
const DELETE: &str = "DELETE";

const fn call(
    method: &'static str,
    address: &'static str,
    need: Need,
    body: BodyUse,
    options: RouteOptions,
    handler: Handler,
) -> Route {
    Route { method, address, need, body, options, offered: Offered::Always, handler }
}

impl Route {
    const fn only(self, offered: Offered) -> Self {
        Self { offered, ..self }
    }
}

/// One line for each call: method, address, need, body, options, handler. `Allow` lists methods in this order.
#[rustfmt::skip]
static CALLS: &[Route] = &[
    call(GET,    "/healthz",                                       Open,      NoBody, Plain,  Handler::Edge),
    call(GET,    "/",                                              Open,      NoBody, Plain,  Handler::Public(service::document)),
    call(GET,    "/$metadata",                                     Open,      NoBody, Query,  Handler::Public(service::metadata)),
    call(GET,    "/openapi.json",                                  Open,      NoBody, Plain,  Handler::Public(service::openapi)),
    // Each step needs its own right.
    call(POST,   "/$batch",                                        Token,     Json,   Plain,  Handler::Batch),

    call(GET,    "/users",                                         Users,     NoBody, Pages,  caller!(users::list)),
    call(GET,    "/users/$count",                                  Users,     NoBody, Query,  caller!(users::count)),
    call(GET,    "/{user}",                                        Token,     NoBody, Query,  mailbox!(users::get)),

    call(GET,    "/{user}/contacts",                               Read,      NoBody, Pages,  mailbox!(contacts::list, path)),
    call(POST,   "/{user}/contacts",                               Write,     Json,   Return, mailbox!(contacts::create, path, body)),
    call(GET,    "/{user}/contacts/$count",                        Read,      NoBody, Query,  mailbox!(contacts::count, path)),
    call(GET,    "/{user}/contacts/delta",                         Read,      NoBody, Pages,  mailbox!(delta::contacts, path)),
    call(GET,    "/{user}/contacts/$ref",                          Read,      NoBody, Pages,  mailbox!(contacts_ref::list, path)),
    call(POST,   "/{user}/contacts/$ref",                          Write,     Json,   Return, mailbox!(contacts_ref::add, caller, path, body)),
    call(POST,   "/{user}/contacts/$import",                       Write,     Streamed, Query, mailbox!(imports::import, path)).only(Lenient),
    call(GET,    "/{user}/contacts/$export",                       Read,      NoBody, Query,  mailbox!(exports::export, path)).only(Lenient),
    call(GET,    "/{user}/contacts/{id}",                          Read,      NoBody, Query,  mailbox!(contacts::get, path, id)),
    call(PATCH,  "/{user}/contacts/{id}",                          Write,     Json,   Return, mailbox!(contacts::update, path, id, body)),
    call(DELETE, "/{user}/contacts/{id}",                          Write,     NoBody, Plain,  mailbox!(contacts::delete, path, id)),
    call(POST,   "/{user}/contacts/{id}/permanentDelete",          Write,     NoBody, Plain,  mailbox!(trash::permanent_delete, path, id)),

    call(GET,    "/{user}/contacts/{id}/photo",                    Read,      NoBody, Plain,  mailbox!(photos::get, path, id)),
    call(DELETE, "/{user}/contacts/{id}/photo",                    Write,     NoBody, Plain,  mailbox!(photos::delete, path, id)).only(Lenient),
    call(GET,    "/{user}/contacts/{id}/photo/$value",             Read,      NoBody, Plain,  mailbox!(photos::value, path, id)),
    call(PUT,    "/{user}/contacts/{id}/photo/$value",             Write,     Bytes,  Return, mailbox!(photos::put, path, id, body)),
    call(PATCH,  "/{user}/contacts/{id}/photo/$value",             Write,     Bytes,  Return, mailbox!(photos::put, path, id, body)),
    call(DELETE, "/{user}/contacts/{id}/photo/$value",             Write,     NoBody, Plain,  mailbox!(photos::delete, path, id)).only(Lenient),

    call(GET,    "/{user}/contacts/{id}/extensions",               Read,      NoBody, Query,  mailbox!(extensions::list, path, id)),
    call(POST,   "/{user}/contacts/{id}/extensions",               Write,     Json,   Return, mailbox!(extensions::create, path, id, body)),
    call(GET,    "/{user}/contacts/{id}/extensions/{extension}",   Read,      NoBody, Plain,  mailbox!(extensions::get, path, id, name)),
    call(PATCH,  "/{user}/contacts/{id}/extensions/{extension}",   Write,     Json,   Return, mailbox!(extensions::update, path, id, name, body)),
    call(DELETE, "/{user}/contacts/{id}/extensions/{extension}",   Write,     NoBody, Plain,  mailbox!(extensions::delete, path, id, name)),

    call(GET,    "/{user}/contactFolders",                         Read,      NoBody, Pages,  mailbox!(folders::list, path)),
    call(POST,   "/{user}/contactFolders",                         Write,     Json,   Return, mailbox!(folders::create, path, body)),
    call(GET,    "/{user}/contactFolders/$count",                  Read,      NoBody, Query,  mailbox!(folders::count, path)),
    call(GET,    "/{user}/contactFolders/delta",                   Read,      NoBody, Pages,  mailbox!(delta::folders)),
    call(GET,    "/{user}/contactFolders/{id}",                    Read,      NoBody, Query,  mailbox!(folders::get, path)),
    call(PATCH,  "/{user}/contactFolders/{id}",                    Write,     Json,   Return, mailbox!(folders::update, path, body)),
    call(DELETE, "/{user}/contactFolders/{id}",                    Write,     NoBody, Plain,  mailbox!(folders::delete, path)),
    call(POST,   "/{user}/contactFolders/{id}/permanentDelete",    Write,     NoBody, Plain,  mailbox!(trash::permanent_delete_folder, path)),

    call(GET,    "/{user}/outlook/masterCategories",               Read,      NoBody, Pages,  mailbox!(categories::list)),
    call(POST,   "/{user}/outlook/masterCategories",               Write,     Json,   Return, mailbox!(categories::create, body)),
    call(GET,    "/{user}/outlook/masterCategories/$count",        Read,      NoBody, Query,  mailbox!(categories::count)),
    call(GET,    "/{user}/outlook/masterCategories/{id}",          Read,      NoBody, Query,  mailbox!(categories::get, id)),
    call(PATCH,  "/{user}/outlook/masterCategories/{id}",          Write,     Json,   Return, mailbox!(categories::update, id, body)),
    call(DELETE, "/{user}/outlook/masterCategories/{id}",          Write,     NoBody, Plain,  mailbox!(categories::delete, id)),

    call(GET,    "/{user}/deletedContacts",                        Read,      NoBody, Pages,  mailbox!(trash::list)),
    call(GET,    "/{user}/deletedContacts/$count",                 Read,      NoBody, Query,  mailbox!(trash::count)),
    call(GET,    "/{user}/deletedContacts/{id}",                   Read,      NoBody, Query,  mailbox!(trash::get, id)),
    call(DELETE, "/{user}/deletedContacts/{id}",                   Write,     NoBody, Plain,  mailbox!(trash::delete, id)),
    call(POST,   "/{user}/deletedContacts/{id}/restore",           Write,     NoBody, Return, mailbox!(trash::restore, id)),

    call(GET,    "/{user}/contactPermissions",                     SeeShares, NoBody, Plain,  mailbox!(permissions::list)),
    call(POST,   "/{user}/contactPermissions",                     Share,     Json,   Return, mailbox!(permissions::create, body)),
    call(GET,    "/{user}/contactPermissions/{id}",                SeeShares, NoBody, Plain,  mailbox!(permissions::get, id)),
    call(PATCH,  "/{user}/contactPermissions/{id}",                Share,     Json,   Return, mailbox!(permissions::update, id, body)),
    call(DELETE, "/{user}/contactPermissions/{id}",                Unshare,   NoBody, Plain,  mailbox!(permissions::delete, id)),

    call(POST,   "/{user}/translateExchangeIds",                   Token,     Json,   Plain,  mailbox!(exchange_ids::translate, body)),

    call(GET,    "/subscriptions",                                 Read,      NoBody, Query,  caller!(subscriptions::list)).only(Notified),
    call(POST,   "/subscriptions",                                 Read,      Json,   Return, caller!(subscriptions::create, body)).only(Notified),
    call(GET,    "/subscriptions/{id}",                            Read,      NoBody, Plain,  caller!(subscriptions::get, id)).only(Notified),
    call(PATCH,  "/subscriptions/{id}",                            Read,      Json,   Return, caller!(subscriptions::renew, id, body)).only(Notified),
    call(DELETE, "/subscriptions/{id}",                            Read,      NoBody, Plain,  caller!(subscriptions::delete, id)).only(Notified),
    call(POST,   "/subscriptions/{id}/reauthorize",                Read,      NoBody, Plain,  caller!(subscriptions::reauthorize, id)).only(Notified),
    call(GET,    "/subscriptions/{id}/deliveries",                 Read,      NoBody, Plain,  caller!(subscriptions::deliveries, id)).only(Notified),
];

/// All calls.
pub(crate) fn all() -> &'static [Route] {
    CALLS
}

/// Method and address of each call.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLS.iter().map(|row| (row.method, row.address))
}

/// The row of a call.
///
/// # Errors
/// [`Error::MethodNotAllowed`], with the methods that are offered at its address.
pub(crate) fn find(call: &Call<'_>) -> Result<&'static Route, Error> {
    let (address, is_strict) = (call.address.pattern(), call.handling() == Handling::Strict);
    let at_address = || CALLS.iter().filter(|row| row.address == address && !(is_strict && row.offered == Lenient));
    let found = at_address().find(|row| row.method == call.method().as_str());
    found.ok_or_else(|| Error::MethodNotAllowed(at_address().map(|row| row.method).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::odata::address::Address;

    /// The calls of docs/graph.md that are served, each a method and a pattern.
    fn documented() -> BTreeSet<(String, &'static str)> {
        let text = include_str!("../../docs/graph.md").split("\n## Calls\n").nth(1).unwrap();
        let rows = text.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
        let served = rows.filter(|row| row.contains("| supported |") || row.contains("| beyond Graph |"));
        let calls = served.map(|row| row.split('`').nth(1).unwrap()).filter(|call| !call.contains('?'));
        calls
            .flat_map(|call| {
                let (methods, path) = call.split_at(call.find(['…', '/']).unwrap());
                let path = path.replace('…', "/me").replace("/F", "/contactFolders/f").replace(['{', '}'], "");
                let pattern = Address::parse(&path).unwrap().pattern();
                methods.trim().split(", ").map(move |method| (method.to_owned(), pattern)).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn the_table_and_the_documentation_have_the_same_calls() {
        let table: BTreeSet<_> = CALLS.iter().map(|row| (row.method.to_owned(), row.address)).collect();
        assert_eq!(table.len(), CALLS.len());
        assert_eq!(table, documented());
    }

    #[test]
    fn only_mailbox_calls_have_an_owner_in_the_address() {
        for row in CALLS {
            let is_of_mailbox = matches!(row.handler, Handler::Mailbox(_));
            assert_eq!(is_of_mailbox, row.address.starts_with("/{user}"), "{} {}", row.method, row.address);
            let is_public = matches!(row.handler, Handler::Edge | Handler::Public(_));
            assert_eq!(is_public, row.need == Open, "{} {}", row.method, row.address);
        }
    }
}
