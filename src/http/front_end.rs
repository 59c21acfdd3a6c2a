//! The interface between the edge and a front end.

use std::any::Any;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use uuid::Uuid;

use crate::domain::error::Error;
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Scheme};
use crate::http::body::BodyUse;
use crate::http::inspect::CallSubject;
use crate::http::limits::{Permit, RequestClass};
use crate::http::streamed::Streamed;
use crate::http::{Api, RequestIds};

/// The head of a request.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    /// As sent, below the mount.
    pub(crate) path: &'a str,
    /// As sent.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) source: RequestSource,
}

/// The source of a request.
#[derive(Clone, Default)]
pub(crate) struct RequestSource {
    /// Scheme, host and mount, with which every link begins.
    pub(crate) root: String,
    /// The client's address, if it is known.
    pub(crate) address: Option<String>,
    /// The request's id in the log.
    pub(crate) request: Uuid,
}

/// A permit of a front end's own limits, held until the answer is sent.
pub(crate) type Counted = Option<Box<dyn Any>>;

/// A protocol over the store. The edge itself reads only the head of a request, and calls these functions in this
/// order. They are static, so that a request costs no allocation for them.
pub(crate) trait FrontEnd: Send + Sync + 'static {
    /// A request after its head is read.
    type Routed<'a>;

    /// The credentials it accepts.
    const SCHEMES: &'static [Scheme];
    /// Headers of every answer.
    const HEADERS: &'static [(&'static str, &'static str)];

    /// Whether the front end has this path.
    fn has_path(&self, path: &str) -> bool;

    /// Reads a head.
    ///
    /// # Errors
    /// Those of the address and of invalid headers.
    fn read<'a>(&'a self, api: &'a Api, head: RequestHead<'a>) -> Result<Self::Routed<'a>, Error>;

    /// The shape of the path for the log, which must not hold what a client wrote.
    fn route(call: &Self::Routed<'_>) -> &'static str;

    /// The subject of the call, for the journal of tests; `None` if the front end does not provide it.
    fn subject(_: &Self::Routed<'_>, _: &Caller) -> Option<CallSubject> {
        None
    }

    /// All calls, as a method and the value of [`FrontEnd::route`], so that their metrics exist from the start.
    fn calls() -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// How admission counts the call. The edge itself answers [`RequestClass::Health`].
    fn class(call: &Self::Routed<'_>) -> RequestClass;

    /// Whether it only reads: a read uses one of a few database connections.
    fn is_read(_: &Self::Routed<'_>, method: &Method) -> bool {
        method == Method::GET || method == Method::HEAD
    }

    /// How the call uses a body.
    ///
    /// # Errors
    /// [`Error::MethodNotAllowed`]
    fn body(call: &Self::Routed<'_>) -> Result<BodyUse, Error>;

    /// The answer of a call that needs no caller; `None` for every other call.
    fn answer_without_caller(call: &Self::Routed<'_>) -> Option<Result<Answer, Error>>;

    /// Counts a call against the front end's own limits.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    fn count_call(&self, call: &Self::Routed<'_>, caller: &Caller, permit: &Permit) -> Result<Counted, Error>;

    /// Gives a call the body that its handler reads itself ([`BodyUse::Streamed`]).
    fn set_body(_call: &Self::Routed<'_>, _body: Streamed) {}

    /// Counts a body against the front end's own limits.
    ///
    /// # Errors
    /// [`Error::Throttled`]
    fn count_body(&self, call: &Self::Routed<'_>, caller: &Caller, permit: &Permit, bytes: usize) -> Result<(), Error>;

    /// Performs the call for an authenticated caller.
    ///
    /// # Errors
    /// Every error that a call can end with.
    async fn perform(call: &Self::Routed<'_>, caller: &Caller, permit: &Permit, body: &[u8]) -> Result<Answer, Error>;

    /// The answer for an error, in the form of the front end, with `WWW-Authenticate`, `Allow` and `Retry-After` where they belong. It
    /// logs the cause ([`RequestIds::log`]), and does not show that of [`Error::Internal`] and [`Error::Unavailable`].
    fn error(error: &Error, ids: &RequestIds) -> Answer;

    /// The code of an error, for the log.
    fn code(error: &Error) -> &'static str;

    /// The type of a body if the answer names none.
    fn media_type(path: &str, query: &str, headers: &HeaderMap) -> &'static str;
}
