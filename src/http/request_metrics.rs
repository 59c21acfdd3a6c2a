//! The metrics of requests.

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::domain::error::{Error, Limit};
use crate::metrics::list::{CLOSED, Closed, REFUSED, Refused};

/// The method, if it is one of HTTP's usual ones.
pub(crate) fn method_of(request: &HttpRequest) -> &'static str {
    match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => WEBDAV.into_iter().find(|method| *method == request.method().as_str()).unwrap_or("other"),
    }
}

/// Methods of WebDAV that CardDAV supports.
const WEBDAV: [&str; 6] = ["PROPFIND", "PROPPATCH", "REPORT", "MKCOL", "COPY", "MOVE"];

/// Counts a request that a limit has refused.
pub(crate) fn count_refusal(error: &Error) {
    REFUSED.increment(match error {
        Error::Throttled(limit, _) => match limit {
            Limit::Token => Refused::TokenRate,
            Limit::Address => Refused::AddressRate,
            Limit::AtOnce => Refused::InFlightEach,
            Limit::Buffered => Refused::Buffered,
            Limit::Guesses => Refused::UnknownToken,
            Limit::Confirmations => Refused::Confirmations,
            Limit::App | Limit::MailboxRequests | Limit::MailboxConcurrency | Limit::MailboxUpload => {
                Refused::GraphThrottle
            }
        },
        Error::Busy => Refused::InFlight,
        Error::TooLarge(_) => Refused::BodySize,
        Error::TooSlow => {
            CLOSED.increment(Closed::SlowBody);
            Refused::BodyTime
        }
        _ => return,
    });
}
