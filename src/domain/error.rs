//! Errors of every call. They know no HTTP and no SQL: each front end chooses its own status and code, and `store` maps the
//! driver's errors to these.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One fault in what the client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which rule was broken.
    pub kind: Kind,
    /// Where: a path like `emailAddresses/0/type`, a header or an option name; empty for the whole body.
    pub target: String,
    /// What is wrong, and what would be accepted, for the client's developer.
    pub message: String,
}

/// The rules a request can break. Each front end has one error code for each (docs/graph.md, "Errors").
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
    /// A new value for a read-only property.
    ReadOnly,
    /// More steps than a batch may have.
    Steps,
    /// Options that Graph does not accept together, in strict handling.
    Options,
    /// A header or a reference that cannot be used.
    Request,
    /// Something that cannot be expanded.
    Expand,
    /// A notification URL that cannot be used or did not confirm.
    Endpoint,
}

/// The limits a caller can exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests of one token.
    Token,
    /// Requests of one address.
    Address,
    /// Concurrent requests of one token or one address.
    AtOnce,
    /// Bytes of bodies and answers of one token in memory.
    Buffered,
    /// Unknown tokens from one address.
    Guesses,
    /// Pending confirmations of one creator's subscriptions.
    Confirmations,
    /// Graph's limit: requests of one app.
    App,
    /// Graph's limit: requests of one app to one mailbox.
    MailboxRequests,
    /// Graph's limit: concurrent requests of one app to one mailbox.
    MailboxConcurrency,
    /// Graph's limit: bytes that one app sends to one mailbox.
    MailboxUpload,
}

impl Problem {
    /// A fault at `target`.
    pub fn new(kind: Kind, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, target: target.into(), message: message.into() }
    }
}

/// How a call can fail. Cheap to clone: a failed commit is reported to every waiter.
#[derive(Debug, Clone)]
pub enum Error {
    /// The request breaks these rules; never empty, the first one decides the code.
    Invalid(Vec<Problem>),
    /// The id of a contact or category is not a lower-case UUID of 36 characters.
    MalformedId,
    /// No such contact, folder, category or photo in this mailbox. Also for those of another owner.
    NotFound,
    /// A step of a batch failed because a step it depends on failed.
    Dependency,
    /// The answers of a batch are too large together.
    TooMuch,
    /// A delta token that cannot be resumed, because it is too old or of another history: the reason, and the address to
    /// start over at, if known.
    OutOfSync(&'static str, String),
    /// No such user, or none the caller may see.
    UnknownUser(String),
    /// A path segment that names nothing.
    NoSegment(String),
    /// The path does not support this method, but supports these.
    MethodNotAllowed(Vec<&'static str>),
    /// Known to Graph, not supported here.
    NotImplemented(String),
    /// No token, or an unknown one.
    Unauthorized,
    /// `/me` with an application's token: an application has no mailbox.
    NoMe,
    /// The caller may not do this: the reason.
    Denied(&'static str),
    /// A precondition (If-Match, If-None-Match) failed.
    Stale,
    /// A folder with this name exists in the same parent.
    FolderExists,
    /// Another card of the folder has the UID: its name.
    UidTaken(String),
    /// A category with this name exists.
    CategoryExists,
    /// The contact has an extension with this name.
    ExtensionExists,
    /// The default folder cannot be renamed, moved or deleted.
    DefaultFolder,
    /// A folder cannot be inside itself.
    Cycle,
    /// The body is larger than this many bytes.
    TooLarge(usize),
    /// An answer format that is not supported.
    NotAcceptable(String),
    /// A content type or encoding that is not supported.
    UnsupportedMediaType(String),
    /// The body did not arrive in time.
    TooSlow,
    /// The idempotency key was used for another request.
    KeyReused,
    /// A limit of the caller is reached; retry after this time. The request had no effect.
    Throttled(Limit, Duration),
    /// A limit of the server is reached: too many requests or bytes in progress. The request had no effect.
    Busy,
    /// The query is too expensive.
    Inefficient,
    /// A storage limit is reached.
    Quota(String),
    /// The store is temporarily unavailable; nothing was written.
    Unavailable(Cause),
    /// A fault of this server, or an outcome that is unknown.
    Internal(Cause),
}

/// The reason, for the log and not for the client.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

impl Error {
    /// An [`Error::Invalid`] with one fault.
    pub fn invalid(kind: Kind, target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::new(kind, target, message)])
    }

    /// An [`Error::Unavailable`]: nothing was written. The reason is for the log.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }

    /// An [`Error::Internal`]. The reason is for the log.
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
            Self::UidTaken(_) => f.write_str("another card of the folder has this UID"),
            Self::CategoryExists => f.write_str("a category of this name exists"),
            Self::ExtensionExists => f.write_str("an extension of this name exists"),
            Self::DefaultFolder => f.write_str("the default folder cannot be changed"),
            Self::Cycle => f.write_str("a folder cannot be inside itself"),
            Self::TooLarge(limit) => write!(f, "body over {limit} bytes"),
            Self::NotAcceptable(what) => write!(f, "not acceptable: {what}"),
            Self::UnsupportedMediaType(what) => write!(f, "unsupported media type: {what}"),
            Self::TooSlow => f.write_str("the body did not arrive in time"),
            Self::KeyReused => f.write_str("the key was used for another request"),
            Self::Throttled(..) => f.write_str("too many requests"),
            Self::Busy => f.write_str("too many requests at once"),
            Self::Inefficient => f.write_str("the query is too expensive"),
            Self::Quota(what) => write!(f, "quota reached: {what}"),
            Self::Unavailable(cause) | Self::Internal(cause) => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for Error {}
