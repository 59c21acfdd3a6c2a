//! Answers requests to the control plane. They bypass the edge: they need no token, count against no limit, and neither
//! faults nor the journal apply to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::domain::error::{Error, Kind};
use crate::graph::error;
use crate::http::answer::{Answer, Body};
use crate::http::connections::ConnectionExchange;
use crate::http::mount::Mounted;
use crate::http::{Api, RequestIds, edge, origin};
use crate::percent::{form_decode, percent_decode};
use crate::testkit::calls::{CALLS, KitRequest};
use crate::testkit::{Kit, SEGMENT};

/// Maximum length of a message about a body, which quotes a part of it.
const MAX_MESSAGE: usize = 300;
/// Maximum size of a body in bytes.
const MAX_BODY: usize = 64 << 20;

/// A part of the kit that answers requests itself, without the edge.
pub(crate) trait KitService: Send + Sync + 'static {
    async fn answer(
        self: &Arc<Self>,
        request: &HttpRequest,
        payload: &mut web::Payload,
        api: &Api,
    ) -> Result<Answer, Error>;
}

/// Mounts a [`KitService`] next to the front ends.
pub(crate) struct KitMount<T>(pub(crate) Arc<T>);

impl<T: KitService> Mounted for KitMount<T> {
    fn has_path(&self, _: &str) -> bool {
        true
    }

    fn serve(
        self: Arc<Self>,
        request: HttpRequest,
        mut payload: web::Payload,
        api: web::Data<Api>,
    ) -> LocalBoxFuture<'static, HttpResponse> {
        Box::pin(async move {
            // A call may wait for minutes. Its connection is not idle meanwhile.
            let _exchange = ConnectionExchange::begin(&request);
            let answer = self.0.answer(&request, &mut payload, &api).await;
            respond(&request, answer)
        })
    }
}

impl KitService for Kit {
    async fn answer(
        self: &Arc<Self>,
        request: &HttpRequest,
        payload: &mut web::Payload,
        api: &Api,
    ) -> Result<Answer, Error> {
        let (mount, path) = admit(request, api)?;
        let segments = segments(path)?;
        let matching_calls: Vec<_> =
            CALLS.iter().filter_map(|call| Some((call, match_path(call.path, &segments)?))).collect();
        if matching_calls.is_empty() {
            return Err(Error::NoSegment(segments.last().cloned().unwrap_or_default()));
        }
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let Some((call, keys)) = matching_calls.iter().find(|(call, _)| call.method == method.as_str()) else {
            return Err(Error::MethodNotAllowed(matching_calls.iter().map(|(call, _)| call.method).collect()));
        };
        let query = request.uri().query().unwrap_or_default();
        let options = options(query)?;
        let body = receive(payload, MAX_BODY).await?;
        let key = keys.first().map_or("", String::as_str);
        let url = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let root = origin::root(request, &api.settings.origin, mount);
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kit_request = KitRequest { kit: self, api, key, options, body, url, root, accept: accept.to_owned() };
        let answer = (call.handler)(kit_request).await?;
        Ok(if request.method() == Method::HEAD { Answer { body: None, ..answer } } else { answer })
    }
}

/// The answer as the framework sends it: JSON, unless it has another type.
fn respond(request: &HttpRequest, answer: Result<Answer, Error>) -> HttpResponse {
    let ids = RequestIds::of(request.headers());
    let answer = answer.unwrap_or_else(|error| error::answer(&error, &ids));
    let mut response = HttpResponse::build(answer.status);
    response.insert_header(("request-id", ids.request)).insert_header(("client-request-id", ids.client));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if answer.body.is_some() {
        response.content_type("application/json");
    }
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    match answer.body {
        Some(Body::Bytes(body)) => response.body(body),
        Some(Body::Static(body)) => response.body(body),
        _ => response.finish(),
    }
}

/// Admits programs of this machine, and refuses web pages. Returns the path of the mount, and the path below it.
///
/// # Errors
/// [`Error::Denied`]
pub(super) fn admit<'a>(request: &'a HttpRequest, api: &Api) -> Result<(&'a str, &'a str), Error> {
    edge::check_host(request, api)?;
    reject_web_pages(request.headers())?;
    edge::mount_and_path(request, api)
}

/// Refuses requests of web pages: every browser of the machine can reach loopback addresses.
fn reject_web_pages(headers: &HeaderMap) -> Result<(), Error> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes().to_vec());
    let is_same_origin = site.is_none_or(|site| site == b"same-origin" || site == b"none");
    if headers.contains_key(header::ORIGIN) || !is_same_origin {
        return Err(Error::Denied("The control plane for tests rejects web pages: send no Origin."));
    }
    Ok(())
}

/// The decoded segments below the control plane.
fn segments(path: &str) -> Result<Vec<String>, Error> {
    let raw = path.split('/').filter(|segment| !segment.is_empty());
    let decoded = raw.map(|raw| percent_decode(raw).ok_or_else(|| Error::NoSegment(raw.to_owned())));
    let mut segments = decoded.collect::<Result<Vec<_>, _>>()?;
    if segments.first().is_some_and(|first| first.eq_ignore_ascii_case(SEGMENT)) {
        segments.remove(0);
    }
    Ok(segments)
}

/// The decoded query options. A repeated option is refused.
pub(super) fn options(query: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut options = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = form_decode(name)
            .zip(form_decode(value))
            .ok_or_else(|| Error::invalid(Kind::Query, "", format!("'{pair}' is not percent-encoded as UTF-8.")))?;
        if options.insert(name.clone(), value).is_some() {
            return Err(Error::invalid(Kind::Query, &name, format!("'{name}' is given twice.")));
        }
    }
    Ok(options)
}

/// The keys of a path, if it matches the pattern.
fn match_path(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<_> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut keys = Vec::new();
    for (expected, found) in pattern.into_iter().zip(segments) {
        if expected.starts_with('{') {
            keys.push(found.clone());
        } else if expected != found {
            return None;
        }
    }
    Some(keys)
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// [`Error::TooLarge`], and 400 if the body is incomplete.
pub(super) async fn receive(payload: &mut web::Payload, max: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::invalid(Kind::Json, "", "The body ends too early."))?;
        if body.len() + chunk.len() > max {
            return Err(Error::TooLarge(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The JSON of a body. An empty one is an empty object.
///
/// # Errors
/// 400 that names the path of the value that cannot be read.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = if body.is_empty() { b"{}" } else { body };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reader);
    let read: T = read.map_err(|error| {
        let path = error.path().to_string().replace('.', "/");
        let kind = if error.inner().is_data() { Kind::Body } else { Kind::Json };
        Error::invalid(
            kind,
            if path == "/" { String::new() } else { path },
            error.inner().to_string().chars().take(MAX_MESSAGE).collect::<String>(),
        )
    })?;
    reader.end().map_err(|error| Error::invalid(Kind::Json, "", error.to_string()))?;
    Ok(read)
}
