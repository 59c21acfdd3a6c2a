//! Errors in Graph's format (docs/graph.md, "Errors"): the only place that chooses status and code. Causes go to the
//! log, under the request id that the client has too.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;

use crate::clock;
use crate::domain::date;
use crate::domain::error::{Error, Kind, Limit, Problem};
use crate::domain::plain::shorten;
use crate::http::RequestIds;
use crate::http::answer::Answer;

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorJson<'a>,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<ErrorDetail<'a>>,
    #[serde(rename = "innerError")]
    inner_error: InnerError<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    code: &'static str,
    message: &'a str,
    target: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InnerError<'a> {
    date: String,
    request_id: &'a str,
    client_request_id: &'a str,
}

/// The answer for an error.
pub(crate) fn answer(error: &Error, ids: &RequestIds) -> Answer {
    ids.log(error);
    let (status, code, message) = describe(error);
    let problems: &[Problem] = if let Error::Invalid(problems) = error { problems } else { &[] };
    let located = problems.iter().filter(|problem| !problem.target.is_empty());
    let body = ErrorBody {
        error: ErrorJson {
            code,
            message,
            target: problems.first().map_or("", |problem| problem.target.as_str()),
            details: located
                .map(|Problem { kind, target, message }| ErrorDetail { code: code_of(*kind), message, target })
                .collect(),
            inner_error: InnerError {
                date: date::print(clock::now()).trim_end_matches('Z').to_owned(),
                request_id: &ids.request,
                client_request_id: &ids.client,
            },
        },
    };
    let mut headers = Vec::new();
    match error {
        Error::Unauthorized => headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        Error::Throttled(_, wait) => headers.push((header::RETRY_AFTER, seconds(*wait).into())),
        Error::Unavailable(_) | Error::TooMuch | Error::Busy => {
            headers.push((header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Error::OutOfSync(_, start) => {
            headers.extend(HeaderValue::from_str(start).map(|value| (header::LOCATION, value)));
        }
        Error::MethodNotAllowed(offered) => {
            headers.extend(HeaderValue::from_str(&offered.join(", ")).map(|value| (header::ALLOW, value)));
        }
        _ => {}
    }
    Answer { status, headers, body: serde_json::to_vec(&body).ok().map(Into::into) }
}

/// The answer of a fault that a test injects.
pub(crate) fn for_test(status: StatusCode, code: &str, message: &str, ids: &RequestIds) -> Answer {
    let inner_error = InnerError {
        date: date::print(clock::now()).trim_end_matches('Z').to_owned(),
        request_id: &ids.request,
        client_request_id: &ids.client,
    };
    let error = ErrorJson { code, message: message.to_owned(), target: "", details: Vec::new(), inner_error };
    Answer { status, headers: Vec::new(), body: serde_json::to_vec(&ErrorBody { error }).ok().map(Into::into) }
}

/// The code of an error, for the log.
pub(crate) fn code(error: &Error) -> &'static str {
    describe(error).1
}

/// Status, code and sentence.
fn describe(error: &Error) -> (StatusCode, &'static str, String) {
    let (status, code) = status_and_code(error);
    (status, code, message(error))
}

/// There is no catch-all, here and in [`message`]: a new error does not compile until it has a status, a code and a
/// sentence.
fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        Error::Invalid(problems) => {
            (S::BAD_REQUEST, problems.first().map_or("BadRequest", |problem| code_of(problem.kind)))
        }
        Error::MalformedId => (S::BAD_REQUEST, "ErrorInvalidIdMalformed"),
        Error::NotFound => (S::NOT_FOUND, "ErrorItemNotFound"),
        Error::Dependency => (S::FAILED_DEPENDENCY, "FailedDependency"),
        Error::TooMuch => (S::TOO_MANY_REQUESTS, "activityLimitReached"),
        Error::OutOfSync(..) => (S::GONE, "SyncStateNotFound"),
        Error::UnknownUser(_) => (S::NOT_FOUND, "Request_ResourceNotFound"),
        Error::NoSegment(_) => (S::NOT_FOUND, "ResourceNotFound"),
        Error::MethodNotAllowed(_) => (S::METHOD_NOT_ALLOWED, "methodNotAllowed"),
        Error::NotImplemented(_) => (S::NOT_IMPLEMENTED, "NotImplemented"),
        Error::Unauthorized => (S::UNAUTHORIZED, "InvalidAuthenticationToken"),
        Error::NoMe => (S::BAD_REQUEST, "BadRequest"),
        Error::Denied(_) => (S::FORBIDDEN, "ErrorAccessDenied"),
        Error::Stale => (S::PRECONDITION_FAILED, "ErrorIrresolvableConflict"),
        Error::FolderExists => (S::CONFLICT, "ErrorFolderExists"),
        Error::CategoryExists | Error::ExtensionExists | Error::UidTaken(_) => (S::CONFLICT, "nameAlreadyExists"),
        Error::DefaultFolder => (S::FORBIDDEN, "ErrorDeleteDistinguishedFolder"),
        Error::Cycle => (S::BAD_REQUEST, "ErrorInvalidRequest"),
        Error::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
        Error::NotAcceptable(_) => (S::NOT_ACCEPTABLE, "notSupported"),
        Error::UnsupportedMediaType(_) => (S::UNSUPPORTED_MEDIA_TYPE, "notSupported"),
        Error::TooSlow => (S::REQUEST_TIMEOUT, "RequestTimeout"),
        Error::KeyReused => (S::UNPROCESSABLE_ENTITY, "ErrorIdempotencyKeyReused"),
        Error::Throttled(limit, _) => {
            let (status, code, _) = limit_answer(*limit);
            (status, code)
        }
        Error::Busy => (BUSY.0, BUSY.1),
        Error::Inefficient => (INEFFICIENT.0, INEFFICIENT.1),
        Error::Quota(_) => (S::FORBIDDEN, "quotaLimitReached"),
        Error::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "serviceNotAvailable"),
        Error::Internal(_) => (S::INTERNAL_SERVER_ERROR, "generalException"),
    }
}

/// The sentence of an error.
pub(crate) fn message(error: &Error) -> String {
    let fixed = match error {
        Error::Invalid(_) => return error.to_string(),
        Error::OutOfSync(why, _) => {
            return format!("{why} Start over without a token: the Location header has the address.");
        }
        Error::UnknownUser(name) => {
            return format!(
                "Resource '{}' does not exist or one of its queried reference-property objects are not present.",
                shorten(name)
            );
        }
        Error::NoSegment(segment) => return format!("Resource not found for the segment '{}'.", shorten(segment)),
        Error::MethodNotAllowed(offered) => return not_allowed(offered),
        Error::NotImplemented(what) => return format!("{what} is not supported by this server yet."),
        Error::Denied(why) => return format!("Access is denied. {why}"),
        Error::TooLarge(limit) => return format!("The request body is larger than {limit} bytes."),
        Error::NotAcceptable(message) | Error::UnsupportedMediaType(message) | Error::Quota(message) => {
            return message.clone();
        }
        Error::MalformedId => "Id is malformed. The id of a contact or category is a lower-case UUID of 36 characters.",
        Error::NotFound => "The specified object was not found in the store.",
        Error::Dependency => "A step that this one depends on has failed. Nothing was done.",
        Error::TooMuch => "The responses of this batch are too large in total. Send this step again in another batch.",
        Error::Unauthorized => "Access token is empty or not valid. Send a valid one as Authorization: Bearer {token}.",
        Error::NoMe => "/me request is only valid with delegated authentication flow. An application uses /users/{id}.",
        Error::Stale => {
            "The item has changed, or is not as the request's If-Match or If-None-Match expects. Nothing was written."
        }
        Error::FolderExists => "A folder with the specified name already exists.",
        Error::UidTaken(_) => "Another card of the folder has this UID.",
        Error::CategoryExists => "A category with the specified name already exists; names are case-insensitive.",
        Error::ExtensionExists => "The contact already has an extension of this name.",
        Error::DefaultFolder => "The default folder cannot be renamed, moved or deleted.",
        Error::Cycle => "A folder cannot be moved into itself or below itself.",
        Error::TooSlow => "The request body did not arrive in time.",
        Error::KeyReused => {
            "The Idempotency-Key was sent with another request within 24 hours. Nothing was written; use a new one."
        }
        Error::Throttled(limit, _) => limit_answer(*limit).2,
        Error::Busy => BUSY.2,
        Error::Inefficient => INEFFICIENT.2,
        Error::Unavailable(_) => "The service is unavailable. Nothing was written; try again.",
        Error::Internal(_) => "The server failed; its log has the cause.",
    };
    fixed.to_owned()
}

fn not_allowed(offered: &[&str]) -> String {
    match offered {
        [] => "Method not allowed.".to_owned(),
        [only] => format!("Method not allowed; use {only}."),
        [first @ .., last] => format!("Method not allowed; use {} or {last}.", first.join(", ")),
    }
}

/// `Retry-After` in whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    let more = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + more).max(1)
}

/// Status, code and sentence.
type ErrorAnswer = (StatusCode, &'static str, &'static str);

const BUSY: ErrorAnswer = (
    StatusCode::SERVICE_UNAVAILABLE,
    "serviceNotAvailable",
    "The server is at its limit of concurrent requests or memory. Nothing was done; try again.",
);

/// Its first half is the text of Graph.
const INEFFICIENT: ErrorAnswer = (
    StatusCode::BAD_REQUEST,
    "InefficientFilter",
    "The restriction or sort order is too complex for this operation, and was stopped. Ask for less: by what has an index \
     (an e-mail address or its beginning, a display name or its beginning, a category, lastModifiedDateTime from a time \
     on, $search), in one folder, or without $orderby or $count.",
);

fn limit_answer(limit: Limit) -> ErrorAnswer {
    let server_limit = |message| (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
    let mailbox_limit = |message| (StatusCode::TOO_MANY_REQUESTS, "ApplicationThrottled", message);
    match limit {
        Limit::Token => server_limit("Too many requests of this token. Nothing was done; see Retry-After."),
        Limit::Address => server_limit("Too many requests of this address. Nothing was done; see Retry-After."),
        Limit::AtOnce => {
            server_limit("Too many concurrent requests of this token or address. Nothing was done; try again.")
        }
        Limit::Buffered => server_limit(
            "The bodies and responses of this token use too much memory. Nothing was done; read the responses, and try again.",
        ),
        Limit::Guesses => {
            server_limit("The token is unknown, and the address has sent too many unknown tokens. See Retry-After.")
        }
        Limit::Confirmations => {
            server_limit("Too many subscriptions of this creator wait for confirmation. Nothing was done; try again.")
        }
        Limit::App => server_limit("Too many requests. Application is over its limit of requests a second."),
        // The first text is Graph's, the others follow it.
        Limit::MailboxConcurrency => mailbox_limit("Application is over its MailboxConcurrency limit."),
        Limit::MailboxRequests => mailbox_limit("Application is over its MailboxRequests limit."),
        Limit::MailboxUpload => mailbox_limit("Application is over its MailboxUpload limit."),
    }
}

fn code_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Json => "UnableToDeserializePostBody",
        Kind::Body => "RequestBodyRead",
        Kind::Limit => "ErrorPropertyValidationFailure",
        Kind::Query => "BadRequest",
        Kind::Filter => "ErrorInvalidUrlQueryFilter",
        Kind::Steps => "MaximumValueExceeded",
        Kind::Options => "ErrorInvalidUrlQuery",
        Kind::Property => "ErrorInvalidProperty",
        Kind::ReadOnly => "ErrorInvalidPropertySet",
        Kind::Request => "ErrorInvalidRequest",
        Kind::Expand => "ExpandNotSupported",
        Kind::Endpoint => "ValidationError",
    }
}
