//! The error bodies of CardDAV: XML with the element of the failed precondition, if there is one, and a sentence for
//! people.

use crate::domain::error::Error;
use crate::http::RequestIds;
use crate::http::answer::Answer;

use super::properties::{MAX_CARD, escaped};
use super::xml::write::{DECLARATION, SPACES};

/// Why a call failed.
pub(crate) enum Fail {
    /// An error of the domain.
    Error(Error),
    /// A precondition: status, its element, and a sentence.
    Precondition(u16, String, String),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Fail {
    pub(crate) fn new(status: u16, element: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Precondition(status, element.into(), message.into())
    }

    /// 400 with a sentence.
    pub(crate) fn bad(message: &str) -> Self {
        Self::new(400, "", message)
    }

    /// The answer, unless it is an error of the domain.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn answer(self) -> Result<Answer, Error> {
        match self {
            Self::Error(error) => Err(error),
            Self::Precondition(status, element, message) => body(status, &element, &message),
        }
    }
}

/// An answer with an error's body.
pub(crate) fn body(status: u16, element: &str, message: &str) -> Result<Answer, Error> {
    let message = escaped(message);
    let xml = format!(
        "{DECLARATION}<D:error{SPACES}>{element}<M:message xmlns:M=\"urn:contactd:error\">{message}</M:message></D:error>\n"
    );
    Ok(Answer { body: Some(xml.into_bytes().into()), ..Answer::empty(status)? })
}

/// The status and the precondition of an error.
fn status_and_precondition(error: &Error) -> (u16, &'static str) {
    match error {
        Error::Invalid(_) | Error::MalformedId | Error::KeyReused | Error::Dependency | Error::Cycle => (400, ""),
        Error::Unauthorized => (401, ""),
        Error::NoMe | Error::Denied(_) | Error::DefaultFolder => (403, ""),
        Error::UidTaken(_) => (403, "<C:no-uid-conflict/>"),
        Error::TooLarge(MAX_CARD) => (403, "<C:max-resource-size/>"),
        Error::NotFound | Error::UnknownUser(_) | Error::NoSegment(_) => (404, ""),
        Error::MethodNotAllowed(_) => (405, ""),
        Error::NotAcceptable(_) => (406, ""),
        Error::TooSlow => (408, ""),
        Error::FolderExists | Error::CategoryExists | Error::ExtensionExists => (409, ""),
        Error::Stale => (412, ""),
        Error::TooLarge(_) | Error::TooMuch => (413, ""),
        Error::UnsupportedMediaType(_) => (415, ""),
        Error::OutOfSync(..) => (403, "<D:valid-sync-token/>"),
        Error::NotImplemented(_) => (501, ""),
        // DAVx5 reads Retry-After only with 503.
        Error::Throttled(..) | Error::Busy | Error::Unavailable(_) => (503, ""),
        Error::Quota(_) => (507, "<D:quota-not-exceeded/>"),
        Error::Inefficient | Error::Internal(_) => (500, ""),
    }
}

/// A sentence for people, without content of a card.
fn message(error: &Error) -> String {
    match error {
        Error::Invalid(problems) => problems.first().map(|problem| problem.message.clone()).unwrap_or_default(),
        Error::Denied(reason) => (*reason).to_owned(),
        Error::Quota(message) | Error::UnsupportedMediaType(message) => message.clone(),
        Error::Internal(_) => "The server failed.".to_owned(),
        Error::Unavailable(_) => "The server is not available now. Nothing was changed.".to_owned(),
        Error::NotFound | Error::UnknownUser(_) | Error::NoSegment(_) => "There is nothing at this address.".to_owned(),
        Error::Unauthorized => "Sign in with the user's name, and a token of contactd as the password.".to_owned(),
        other => other.to_string(),
    }
}

/// The answer an error becomes.
pub(crate) fn answer(error: &Error, ids: &RequestIds) -> Answer {
    let (status, element) = status_and_precondition(error);
    ids.log(error);
    let built = body(status, element, &message(error)).and_then(|answer| match error {
        Error::Unauthorized => answer
            .header("WWW-Authenticate", "Basic realm=\"contactd\", charset=\"UTF-8\"")?
            .header("WWW-Authenticate", "Bearer"),
        Error::MethodNotAllowed(methods) => answer.header("Allow", &methods.join(", ")),
        Error::Throttled(_, wait) => answer.header("Retry-After", &wait.as_secs().saturating_add(1).to_string()),
        Error::Busy | Error::Unavailable(_) => answer.header("Retry-After", "1"),
        _ => Ok(answer),
    });
    built.unwrap_or_else(|_| Answer {
        status: actix_web::http::StatusCode::INTERNAL_SERVER_ERROR,
        headers: Vec::new(),
        body: None,
    })
}

/// The code of an error, for the log.
pub(crate) fn code(error: &Error) -> &'static str {
    match status_and_precondition(error).0 {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "notFound",
        405 => "methodNotAllowed",
        406 => "notAcceptable",
        408 => "timeout",
        409 => "conflict",
        412 => "preconditionFailed",
        413 => "tooLarge",
        415 => "unsupportedMediaType",
        501 => "notImplemented",
        503 => "unavailable",
        507 => "insufficientStorage",
        _ => "internal",
    }
}
