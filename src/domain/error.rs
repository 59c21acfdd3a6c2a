//! What can go wrong, in the words of the product. No HTTP and no SQL: `http::error` chooses status and Graph code,
//! `store` turns the driver's errors into these.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One thing wrong with what the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which rule was broken.
    pub kind: Kind,
    /// Where: a path like `emailAddresses/0/type`, a header or an option name; empty for the whole body.
    pub target: String,
    /// What is wrong where, and what would be accepted, for the client's developer.
    pub message: String,
}

/// The rules a request can break; each has one Graph code (docs/graph.md, "Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON.
    Json,
    /// The body is JSON but not this type: unknown property, wrong type, bad literal.
    Body,
    /// A value over a limit.
    Limit,
    /// A query option or page token that cannot be used.
    Query,
    /// A filter beyond what Graph takes, in strict handling.
    Filter,
    /// A property that Graph does not filter by, in strict handling.
    Property,
    /// Another value for a property that is fixed.
    ReadOnly,
    /// More steps than a batch may have.
    Steps,
    /// Options that Graph does not take together, in strict handling.
    Options,
    /// A header or a reference that cannot be used.
    Request,
    /// Something that is never expanded.
    Expand,
    /// A place for notifications that cannot be used, or did not confirm.
    Endpoint,
}

/// What a caller has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests of one token.
    Token,
    /// Requests of one address.
    Address,
    /// Requests of one token, or of one address, at once.
    AtOnce,
    /// Bytes of one token's bodies and answers in memory.
    Buffered,
    /// Tokens of one address that are not known.
    Guesses,
    /// Confirmations of one creator's subscriptions that are waited for.
    Confirmations,
    /// As Graph counts: requests of one app.
    App,
    /// Requests of one app to one mailbox.
    MailboxRequests,
    /// Such requests at once.
    MailboxConcurrency,
    /// Bytes that one app sends to one mailbox.
    MailboxUpload,
}

impl Problem {
    /// A problem at `target`.
    pub fn new(kind: Kind, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, target: target.into(), message: message.into() }
    }
}

/// Everything a call can end with besides its answer. Cheap to clone: a failed commit is told to every waiter.
#[derive(Debug, Clone)]
pub enum Error {
    /// What the client sent breaks these rules; never empty, the first leads.
    Invalid(Vec<Problem>),
    /// A contact's or category's id that is not a lower-case UUID of 36 characters.
    MalformedId,
    /// No such contact, folder, category or photo in this mailbox; also another owner's.
    NotFound,
    /// A step of a batch that another one depended on has failed.
    Dependency,
    /// A batch has more to answer than is answered at once.
    TooMuch,
    /// A delta token that cannot be gone on from, being too old or of another history: why, and the address to start over
    /// at, where that is known.
    OutOfSync(&'static str, String),
    /// No such user, or none the caller may see.
    UnknownUser(String),
    /// A path segment that names nothing.
    NoSegment(String),
    /// The path exists but not with this method; these are offered.
    MethodNotAllowed(Vec<&'static str>),
    /// Known to Graph, not offered here.
    NotImplemented(String),
    /// No token, or one that is not known.
    Unauthorized,
    /// `/me` with an application's token, which has no mailbox of its own.
    NoMe,
    /// The caller may not do this: why.
    Denied(&'static str),
    /// A precondition (If-Match, If-None-Match) that does not hold.
    Stale,
    /// A folder beside it has the name.
    FolderExists,
    /// A category has the name.
    CategoryExists,
    /// The contact has an extension of this name.
    ExtensionExists,
    /// The default folder stays what and where it is.
    DefaultFolder,
    /// A folder cannot be inside itself.
    Cycle,
    /// A body over this many bytes.
    TooLarge(usize),
    /// A format of answers that is not offered.
    NotAcceptable(String),
    /// A content type or encoding that is not understood.
    UnsupportedMediaType(String),
    /// The body did not arrive in time.
    TooSlow,
    /// The key of a create that was another one.
    KeyReused,
    /// A caller has had as much as is given to one, and may come again after this time. Nothing was done.
    Throttled(Limit, Duration),
    /// As much is under way, or in memory, as is taken on at once. Nothing was done.
    Busy,
    /// A question whose answer costs more than is spent on one.
    Inefficient,
    /// A cap of this server is reached.
    Quota(String),
    /// The store cannot do it now; nothing was written.
    Unavailable(Cause),
    /// A fault of ours, or an outcome we cannot tell.
    Internal(Cause),
}

/// What the log is told and the client is not.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

impl Error {
    /// One broken rule.
    pub fn invalid(kind: Kind, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::new(kind, target, message)])
    }

    /// Nothing was written, with the reason for the log.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }

    /// A fault of ours, with the reason for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(cause.into()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => match problems.first() {
                Some(first) => f.write_str(&first.message),
                None => f.write_str("invalid request"),
            },
            Self::MalformedId => f.write_str("id is malformed"),
            Self::NotFound => f.write_str("not found"),
            Self::Dependency => f.write_str("a dependency failed"),
            Self::TooMuch => f.write_str("too much at once"),
            Self::OutOfSync(why, _) | Self::Denied(why) => f.write_str(why),
            Self::UnknownUser(_) => f.write_str("unknown user"),
            Self::NoSegment(_) => f.write_str("no such path"),
            Self::MethodNotAllowed(_) => f.write_str("method not allowed"),
            Self::NotImplemented(what) => write!(f, "not implemented: {what}"),
            Self::Unauthorized => f.write_str("no valid token"),
            Self::NoMe => f.write_str("/me with an application token"),
            Self::Stale => f.write_str("precondition failed"),
            Self::FolderExists => f.write_str("a folder of this name exists"),
            Self::CategoryExists => f.write_str("a category of this name exists"),
            Self::ExtensionExists => f.write_str("an extension of this name exists"),
            Self::DefaultFolder => f.write_str("the default folder cannot be changed"),
            Self::Cycle => f.write_str("a folder cannot be inside itself"),
            Self::TooLarge(limit) => write!(f, "body over {limit} bytes"),
            Self::NotAcceptable(what) => write!(f, "not acceptable: {what}"),
            Self::UnsupportedMediaType(what) => write!(f, "unsupported media type: {what}"),
            Self::TooSlow => f.write_str("the body did not arrive in time"),
            Self::KeyReused => f.write_str("the key was given to another request"),
            Self::Throttled(..) => f.write_str("too many requests"),
            Self::Busy => f.write_str("too many requests at once"),
            Self::Inefficient => f.write_str("the question costs too much"),
            Self::Quota(what) => write!(f, "quota reached: {what}"),
            Self::Unavailable(cause) | Self::Internal(cause) => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for Error {}
