//! Web pages that may call from a browser (CORS, Fetch standard); none by default.
//!
//! A page is identified by its exact origin. It sends a token itself, so no answer allows the browser's own
//! credentials, and a page of another origin can do nothing on behalf of a user.

use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::domain::error::Error;
use crate::http::answer::{Answer, POSITION};

/// Headers that a page may read besides those of the standard.
const EXPOSED: [&str; 9] = [
    "DAV",
    "request-id",
    "client-request-id",
    "ETag",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "OData-EntityId",
    POSITION,
];
/// Seconds for which a browser may cache a preflight.
const PREFLIGHT_MAX_AGE: &str = "600";
/// Headers that a preflight may ask for, at most.
const MAX_HEADERS: usize = 64;

/// An origin of web pages, as browsers send it: `https://app.example.org`, `http://localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

impl FromStr for WebOrigin {
    type Err = &'static str;

    /// Accepts any letter case, and the default port of the scheme, which browsers omit.
    ///
    /// # Errors
    /// The accepted form, for messages. `*` and `null` are refused: both would admit every page.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected an origin as browsers send it, like https://app.example.org or http://localhost:3000, \
                        without a path and no wildcard";
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(expected)?;
        let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
        if !is_scheme || !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(expected);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => (host, Some(port.parse::<u16>().map_err(|_| expected)?)),
            _ => (rest, None),
        };
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && !host.is_empty(),
        };
        match (scheme, port) {
            _ if !is_host => Err(expected),
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => Ok(Self(format!("{scheme}://{host}"))),
            (_, Some(port)) => Ok(Self(format!("{scheme}://{host}:{port}"))),
        }
    }
}

/// The origin of a request, if it is allowed.
fn allowed<'a>(headers: &HeaderMap, origins: &'a [WebOrigin]) -> Option<&'a WebOrigin> {
    let sent = headers.get(header::ORIGIN)?;
    origins.iter().find(|origin| origin.0.as_bytes() == sent.as_bytes())
}

/// Answers a preflight, which has no token, with the methods that are offered. Every other answer is unchanged.
pub(crate) fn preflight(
    request: &HttpRequest,
    origins: &[WebOrigin],
    answer: Result<Answer, Error>,
) -> Result<Answer, Error> {
    let headers = request.headers();
    let is_preflight =
        request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    match answer {
        Err(Error::MethodNotAllowed(offered)) if is_preflight && allowed(headers, origins).is_some() => {
            let answer = Answer::empty(204)?
                .header("Access-Control-Allow-Methods", &offered.join(", "))?
                .header("Access-Control-Max-Age", PREFLIGHT_MAX_AGE)?;
            match requested_headers(headers) {
                requested if requested.is_empty() => Ok(answer),
                requested => answer.header("Access-Control-Allow-Headers", &requested.join(", ")),
            }
        }
        answer => answer,
    }
}

/// The headers that a page wants to send. All are allowed, since SDKs add their own, except those that a proxy sets.
fn requested_headers(headers: &HeaderMap) -> Vec<String> {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    let names = asked.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    let is_allowed_header = |name: &String| {
        HeaderName::try_from(name.as_str()).is_ok() && name != "forwarded" && !name.starts_with("x-forwarded-")
    };
    names.filter(is_allowed_header).take(MAX_HEADERS).collect()
}

/// The CORS headers of every answer.
pub(crate) fn headers(request: &HttpRequest, origins: &[WebOrigin]) -> Vec<(HeaderName, HeaderValue)> {
    if origins.is_empty() {
        return Vec::new();
    }
    // A cache must not reuse the answer for another page.
    let mut headers = vec![(header::VARY, HeaderValue::from_static("Origin"))];
    if let Some(origin) = allowed(request.headers(), origins) {
        let pair = |name, value: &str| HeaderValue::from_str(value).map(|value| (name, value));
        headers.extend(pair(header::ACCESS_CONTROL_ALLOW_ORIGIN, &origin.0));
        headers.extend(pair(header::ACCESS_CONTROL_EXPOSE_HEADERS, &EXPOSED.join(", ")));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_accepted_in_the_form_that_browsers_send() {
        for (text, origin) in [
            ("https://app.example.org", "https://app.example.org"),
            ("HTTPS://App.Example.Org:443", "https://app.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("http://[::1]", "http://[::1]"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            assert_eq!(text.parse::<WebOrigin>().map(|origin| origin.0), Ok(origin.to_owned()), "{text}");
        }
        for text in [
            "",
            "*",
            "null",
            "https://*",
            "https://*.example.org",
            "app.example.org",
            "https://",
            "https://app.example.org/",
            "https://app.example.org/x",
            "https://ann@app.example.org",
            "https://app.example.org:99999",
            "https://app.example.org:",
            "https://a b",
            "https://é.example.org",
            "http://[::g]",
            "://x",
        ] {
            assert!(text.parse::<WebOrigin>().unwrap_err().starts_with("expected an origin"), "{text}");
        }
    }
}
