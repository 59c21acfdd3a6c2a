//! `components/responses` and `components/headers`: the answers and the errors of calls.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::domain::error::{Error, Kind, Limit};
use crate::graph::authorize::Need;
use crate::graph::error;
use crate::graph::openapi::operations::{OpenApiCall, RequestContent, SuccessAnswer};
use crate::graph::openapi::schemas::schema;
use crate::graph::routes::{Offered, Route};
use crate::http::MAX_BODY;
use crate::http::body::BodyUse;
use crate::transfer::encode::ExportFormat;

/// Headers of answers, and their descriptions.
const HEADERS: [(&str, &str); 11] = [
    ("request-id", "The id of the request in the server's log."),
    ("client-request-id", "The client-request-id of the request, else request-id."),
    ("OData-Version", "4.0"),
    ("ETag", "The version, for If-Match and If-None-Match."),
    ("Location", "The address of the created resource; for a 410, the address to start over."),
    ("OData-EntityId", "The same, if the response has no body."),
    ("Contactd-Position", "The number of the mailbox's last change."),
    ("Preference-Applied", "The preferences that were applied."),
    ("Retry-After", "Whole seconds to wait."),
    ("Allow", "The allowed methods."),
    ("WWW-Authenticate", "Bearer"),
];
/// The headers of every answer.
const COMMON: [&str; 3] = ["request-id", "client-request-id", "OData-Version"];

pub(super) fn headers() -> Map<String, Value> {
    let header = |(name, about): (&str, &str)| {
        let schema = match name {
            "Contactd-Position" | "Retry-After" => json!({"type": "integer"}),
            _ => json!({"type": "string"}),
        };
        (name.to_owned(), json!({"schema": schema, "description": about}))
    };
    HEADERS.into_iter().map(header).collect()
}

fn header_references(names: &[&str]) -> Value {
    let reference = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(COMMON.iter().chain(names).map(reference).collect())
}

fn answer(about: &str, names: &[&str], content: Option<Value>) -> Value {
    let mut answer = json!({"description": about, "headers": header_references(names)});
    if let Some(content) = content {
        answer["content"] = content;
    }
    answer
}

fn json_content(name: &str) -> Value {
    json!({"application/json": {"schema": schema(name)}})
}

/// Any text of these types, or any JSON, such as JSContact.
fn texts(types: &[&str]) -> Map<String, Value> {
    let schema = |kind: &str| {
        if kind.ends_with("+json") { json!({"type": ["array", "object"]}) } else { json!({"type": "string"}) }
    };
    types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema(kind)}))).collect()
}

/// A picture. OpenAPI 3.1 has no schema for bytes.
fn pictures() -> Value {
    let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
    Value::Object(types.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect())
}

fn file_types() -> Vec<&'static str> {
    ExportFormat::ALL.iter().map(|format| format.media_type().split(';').next().unwrap_or_default()).collect()
}

/// The media types that a contact can be read as besides JSON.
fn contact() -> Value {
    let mut content = texts(&file_types());
    content.insert("application/json".to_owned(), json!({"schema": schema("contact")}));
    Value::Object(content)
}

/// An answer: status, key, and its description.
type Success = (u16, String, Value);

/// An answer with a body.
fn full(status: u16, key: &str, about: &str, names: &[&str], content: Value) -> Success {
    (status, key.to_owned(), answer(about, names, Some(content)))
}

/// 200 with a body that has no version.
fn plain(key: &str, about: &str, content: Value) -> Vec<Success> {
    vec![full(200, key, about, &["Preference-Applied"], content)]
}

fn empty(status: u16, key: &str, about: &str, names: &[&str]) -> Success {
    (status, key.to_owned(), answer(about, names, None))
}

fn unchanged() -> Success {
    empty(304, "unchanged", "Not modified: If-None-Match has this version.", &["ETag", "Preference-Applied"])
}

/// The successful answers of a call.
pub(super) fn successes(row: &OpenApiCall) -> Vec<Success> {
    let kinds = |types: &[&str]| Value::Object(texts(types));
    let versioned = &["ETag", "Preference-Applied"];
    match row.answered {
        SuccessAnswer::One("contact") if row.address == "/{user}/contacts/{id}" => {
            let about = "The contact, or a file if Accept prefers one.";
            let names = ["ETag", "Preference-Applied"];
            vec![full(200, "contactOrFile", about, &names, contact()), unchanged()]
        }
        SuccessAnswer::One(name) if row.has_version => {
            vec![full(200, name, "The requested resource.", versioned, json_content(name)), unchanged()]
        }
        SuccessAnswer::One(name) => plain(&format!("{name}Plain"), "The requested resource.", json_content(name)),
        SuccessAnswer::Page(name) => {
            let name = format!("{name}Page");
            plain(&name, "A page of the list.", json_content(&name))
        }
        SuccessAnswer::Changes(name) => {
            let name = format!("{name}Changes");
            plain(&name, "A page of changes.", json_content(&name))
        }
        SuccessAnswer::Count => {
            plain("count", "The number.", json!({"text/plain": {"schema": {"type": "integer", "minimum": 0}}}))
        }
        SuccessAnswer::Bytes => {
            vec![full(200, "photoBytes", "The bytes, as they were sent.", versioned, pictures()), unchanged()]
        }
        SuccessAnswer::Imported => {
            let about = "A line of JSON for each record once it is committed, then the counts.";
            plain("imported", about, kinds(&["application/x-ndjson"]))
        }
        SuccessAnswer::Exported => plain("exported", "The file.", kinds(&file_types())),
        SuccessAnswer::Batch => {
            plain("batch", "The responses to the steps, in the order of the steps.", json_content("batchResponse"))
        }
        SuccessAnswer::Health => {
            plain("health", "The server is healthy: a row of its database can be read.", json_content("health"))
        }
        SuccessAnswer::Service => plain("service", "The service document.", json_content("serviceDocument")),
        SuccessAnswer::Xml => plain("metadata", "The model.", kinds(&["application/xml"])),
        SuccessAnswer::Document => {
            vec![full(200, "document", "This document.", &["ETag"], json_content("document")), unchanged()]
        }
        _ => written(row),
    }
}

/// The successful answers of a write.
fn written(row: &OpenApiCall) -> Vec<Success> {
    const CHANGED: [&str; 3] = ["ETag", "Contactd-Position", "Preference-Applied"];
    const MADE: [&str; 4] = ["ETag", "Location", "Contactd-Position", "Preference-Applied"];
    let minimal = |key, about| {
        empty(204, key, about, &["ETag", "Location", "OData-EntityId", "Contactd-Position", "Preference-Applied"])
    };
    let without_body = || minimal("minimal", "Success without a body, because of Prefer: return=minimal.");
    match row.answered {
        SuccessAnswer::Created(name) => {
            vec![
                full(201, &format!("{name}Created"), "The created resource.", &MADE, json_content(name)),
                without_body(),
            ]
        }
        SuccessAnswer::Referred => {
            let about = "Success without a body: Prefer: return=minimal, or the body named an existing contact.";
            let created = full(201, "contactCreated", "The created resource.", &MADE, json_content("contact"));
            vec![created, minimal("referred", about)]
        }
        SuccessAnswer::Updated(name) => {
            vec![full(200, &format!("{name}Updated"), "As it is now.", &CHANGED, json_content(name)), without_body()]
        }
        SuccessAnswer::PhotoSet => {
            let about = "Success without a body: Prefer: return=minimal, or an empty body removed the photo.";
            let set = full(200, "photoSet", "The photo as it is now.", &CHANGED, json_content("profilePhoto"));
            vec![set, minimal("photoGone", about)]
        }
        _ => vec![empty(204, "deleted", "Done.", &["Contactd-Position", "Preference-Applied"])],
    }
}

/// The statuses with which a call can be refused.
pub(super) fn refusals(route: &Route, row: &OpenApiCall) -> BTreeSet<u16> {
    let mut all = BTreeSet::from([400, 403, 406, 429, 500, 503]);
    if matches!(
        row.answered,
        SuccessAnswer::Count | SuccessAnswer::Health | SuccessAnswer::Document | SuccessAnswer::Imported
    ) {
        all.remove(&406);
    }
    if route.need != Need::Open {
        all.insert(401);
    }
    if row.address.contains('{') || row.address == "/subscriptions" {
        all.insert(404);
    }
    if route.offered == Offered::Lenient {
        all.insert(405);
    }
    if route.body != BodyUse::Not {
        all.extend([408, 413, 415]);
    }
    if row.has_version && row.method != "GET" {
        all.insert(412);
    }
    if is_repeatable(row) {
        all.insert(422);
    }
    if route.offered == Offered::Notified {
        all.insert(501);
    }
    if row.sent == RequestContent::Picture {
        all.insert(415);
    }
    all.extend(row.also);
    all
}

/// Whether a call reads `Idempotency-Key`.
pub(super) fn is_repeatable(row: &OpenApiCall) -> bool {
    row.method == "POST"
        && ["/{user}/contacts", "/{user}/contacts/$ref", "/{user}/contactFolders"].contains(&row.address)
}

/// An error for each status.
fn examples() -> [(u16, &'static str, Error, &'static [&'static str]); 17] {
    let second = Duration::from_secs(1);
    let body = Error::invalid(Kind::Body, "jobTitle", "'jobTitle' must be a string or null, not a number.");
    [
        (400, "The request is invalid, or exceeds a limit.", body, &[]),
        (401, "The token is unknown, expired or revoked.", Error::Unauthorized, &["WWW-Authenticate"]),
        (403, "Not permitted, or a quota is reached.", Error::Denied("The token does not permit this call."), &[]),
        (404, "The resource does not exist, or the caller may not see it.", Error::NotFound, &[]),
        (405, "The method is not allowed in strict handling.", Error::MethodNotAllowed(vec!["GET"]), &["Allow"]),
        (
            406,
            "The format is not supported.",
            Error::NotAcceptable("The '$format' 'atom' is not supported here.".to_owned()),
            &[],
        ),
        (408, "The body did not arrive in time.", Error::TooSlow, &[]),
        (409, "The name is already used.", Error::FolderExists, &[]),
        (
            410,
            "The delta token is too old: start over.",
            Error::OutOfSync("The token is too old.", String::new()),
            &["Location"],
        ),
        (412, "The resource has changed. Nothing was written.", Error::Stale, &[]),
        (413, "The body is too large.", Error::TooLarge(MAX_BODY), &[]),
        (
            415,
            "The media type of the body is not supported.",
            Error::UnsupportedMediaType("The body must be sent with Content-Type: application/json.".to_owned()),
            &[],
        ),
        (422, "The Idempotency-Key was sent with another request.", Error::KeyReused, &[]),
        (429, "Too many requests. Nothing was done.", Error::Throttled(Limit::Token, second), &["Retry-After"]),
        (500, "The server failed.", Error::internal("an example"), &[]),
        (
            501,
            "Graph supports this, but this server does not.",
            Error::NotImplemented("'$search' on categories".to_owned()),
            &[],
        ),
        (503, "The server is busy, or cannot reach its database. Nothing was done.", Error::Busy, &["Retry-After"]),
    ]
}

/// The key of a refusal.
pub(super) fn refusal(status: u16) -> String {
    format!("error{status}")
}

/// All refusals, by their keys.
pub(super) fn all_refusals() -> Map<String, Value> {
    let responses = examples().into_iter().map(|(status, about, error, names)| {
        let target = if status == 400 { Some("jobTitle") } else { None };
        let inner = json!({
            "date": "2026-01-01T00:00:00",
            "request-id": "01a209e8-4e17-741e-824e-693ba24680db",
            "client-request-id": "01a209e8-4e17-741e-824e-693ba24680db",
        });
        let mut example = json!({"code": error::code(&error), "message": error::message(&error), "innerError": inner});
        if let Some(target) = target {
            example["target"] = json!(target);
        }
        let content = json!({"application/json": {"schema": schema("error"), "example": {"error": example}}});
        (refusal(status), answer(about, names, Some(content)))
    });
    responses.collect()
}
