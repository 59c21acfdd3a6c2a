//! The OpenAPI document of each shape (OpenAPI 3.1), generated from the table of calls (`routes.rs`) and the
//! description of types (`model`). `GET /openapi.json` answers it, `contactd openapi` prints it, and docs/ has it.

mod answers;
mod operations;
mod parameters;
mod print;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use self::operations::{OpenApiCall, RequestContent, TAGS};
use self::parameters::parameter;
use self::schemas::schema;
use crate::graph::authorize::Need;
use crate::graph::routes::{self, Offered, Route, RouteOptions};
use crate::http::body::BodyUse;
pub use crate::odata::shape::Shape;

/// The request body of the example.
const EXAMPLE: &str = include_str!("../../../tests/seed/request.json");

/// The document as it is served: JSON on one line.
pub(crate) fn document(shape: Shape) -> &'static str {
    static DOCUMENTS: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let [beta, v1] = &DOCUMENTS;
    let document = if shape == Shape::V1 { v1 } else { beta };
    document.get_or_init(|| value(shape).to_string())
}

/// The document as a file: JSON on lines of at most 130 characters, where that is possible.
pub fn file(shape: Shape) -> String {
    print::print(&value(shape))
}

/// The prefix of the paths of a shape.
pub(crate) fn prefix(shape: Shape) -> &'static str {
    if shape == Shape::V1 { "/v1.0" } else { "/beta" }
}

fn value(shape: Shape) -> Value {
    let mut responses = answers::all_refusals();
    let paths = paths(shape, &mut responses);
    let about = "The contacts part of the Microsoft Graph API, and what contactd adds to it. Names of properties and query \
                 options match in any letter case, and ids by exact case. Folders are found by their id at any depth.";
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("contactd, {}", if shape == Shape::V1 { "v1.0" } else { "the older beta shape" }),
            "version": env!("CARGO_PKG_VERSION"),
            "description": about,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": prefix(shape)}],
        "security": [{"bearer": []}],
        "tags": TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of contactd, or of the identity provider that the operator has set.",
            }},
            "parameters": parameters::all(),
            "headers": answers::headers(),
            "responses": responses,
            "schemas": schemas::all(shape),
        },
    });
    // The document does not depend on the order of members in a build.
    document.sort_all_objects();
    document
}

/// The paths of an address, each with the prefix of the `operationId` of its calls.
fn served_paths(address: &str) -> Vec<(String, &'static str)> {
    let Some(rest) = address.strip_prefix("/{user}") else { return vec![(address.to_owned(), "")] };
    let mut all = Vec::new();
    for (owner, id_prefix, folder_id_prefix) in
        [("/me", "me.", "me.folder."), ("/users/{user}", "users.", "users.folder.")]
    {
        let own = rest.replace("/contactFolders/{id}", "/contactFolders/{folder}");
        all.push((format!("{owner}{own}"), id_prefix));
        if rest.starts_with("/contacts") {
            all.push((format!("{owner}/contactFolders/{{folder}}{rest}"), folder_id_prefix));
        }
        if let Some(end @ ("" | "/$count")) = rest.strip_prefix("/contactFolders") {
            all.push((format!("{owner}/contactFolders/{{folder}}/childFolders{end}"), folder_id_prefix));
        }
    }
    all
}

fn paths(shape: Shape, responses: &mut Map<String, Value>) -> Map<String, Value> {
    let mut paths = Map::new();
    for route in routes::all() {
        let Some(row) = operations::find(route.method, route.address) else { continue };
        for (path, id_prefix) in served_paths(route.address) {
            let item =
                paths.entry(path.clone()).or_insert_with(|| json!({"parameters": in_path(&path, route.address)}));
            item[route.method.to_ascii_lowercase()] = operation(shape, route, row, id_prefix, responses);
        }
    }
    paths
}

/// The parameters of all calls of a path.
fn in_path(path: &str, address: &str) -> Vec<Value> {
    let id = match address {
        address if address.contains("masterCategories") => "categoryId",
        address if address.contains("contactPermissions") => "permissionId",
        address if address.contains("subscriptions") => "subscriptionId",
        _ => "contactId",
    };
    let known = [("{user}", "user"), ("{folder}", "folder"), ("{id}", id), ("{extension}", "extension")];
    let keys = known.iter().filter(|(name, _)| path.contains(name)).map(|(_, key)| *key);
    keys.chain(["client-request-id"]).map(parameter).collect()
}

fn operation(
    shape: Shape,
    route: &Route,
    row: &OpenApiCall,
    id_prefix: &str,
    responses: &mut Map<String, Value>,
) -> Value {
    let mut answers = Map::new();
    for (status, key, response) in answers::successes(row) {
        answers.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{key}")}));
        responses.insert(key, response);
    }
    for status in answers::refusals(route, row) {
        let key = answers::refusal(status);
        answers.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{key}")}));
    }
    let mut operation = json!({
        "operationId": format!("{id_prefix}{}", row.name),
        "tags": [row.tag],
        "summary": row.summary,
        "description": description(route),
        "parameters": request_parameters(route, row),
        "responses": answers,
    });
    if route.need == Need::Open {
        operation["security"] = json!([]);
    }
    if let Some(body) = body(shape, route, row) {
        operation["requestBody"] = body;
    }
    if matches!(row.answered, operations::SuccessAnswer::Page(_) | operations::SuccessAnswer::Changes(_)) {
        operation["x-ms-pageable"] = json!({"nextLinkName": "@odata.nextLink"});
    }
    operation
}

/// The required permission, and when the call is offered.
fn description(route: &Route) -> String {
    let need = match route.need {
        Need::Open => "No token is needed.",
        Need::Token => "Any token will do.",
        Need::Read => "Needs Contacts.Read, or Contacts.Read.Shared in another's mailbox.",
        Need::Write => "Needs Contacts.ReadWrite, or Contacts.ReadWrite.Shared in another's mailbox.",
        Need::Users => "Needs User.Read.All, of an application.",
        Need::SeeShares => "Needs Contacts.Read in one's own mailbox; for applications User.ReadWrite.All will do.",
        Need::Share => "Needs User.ReadWrite.All, of an application.",
        Need::Unshare => "Needs Contacts.ReadWrite in one's own mailbox, or User.ReadWrite.All of an application.",
    };
    let offered = match route.offered {
        Offered::Always => "",
        Offered::Lenient => " Strict handling does not offer it, since Graph does not have it.",
        Offered::Notified => " Only where the server delivers notifications.",
    };
    format!("{need}{offered}")
}

/// Query options and headers.
fn request_parameters(route: &Route, row: &OpenApiCall) -> Vec<Value> {
    let mut keys = row.options.to_vec();
    let is_open = route.need == Need::Open;
    if !is_open {
        keys.push("Prefer");
    }
    if row.has_version {
        keys.push(if row.method == "GET" { "If-None-Match" } else { "If-Match" });
    }
    if answers::is_repeatable(row) {
        keys.push("Idempotency-Key");
    }
    let reads_lists = matches!(route.options, RouteOptions::Pages) || row.address.ends_with("/$count");
    if reads_lists && row.method == "GET" && row.address.contains("ontacts") && !row.address.ends_with("/delta") {
        keys.push("Contactd-Position");
    }
    keys.into_iter().map(parameter).collect()
}

fn body(shape: Shape, route: &Route, row: &OpenApiCall) -> Option<Value> {
    let (content, is_required) = match row.sent {
        RequestContent::Nothing => return None,
        RequestContent::Object(name, required) => {
            let mut body = schema(name);
            if !required.is_empty() {
                body["required"] = json!(required);
            }
            if name == "contactInput" && route.method == "PATCH" {
                body["properties"] = json!({"extensions": {"maxItems": 0}});
            }
            (json!({"application/json": {"schema": body}}), true)
        }
        RequestContent::Reference => {
            let mut content = json!({"schema": {"anyOf": [schema("contactInput"), schema("reference")]}});
            if let (Shape::Beta, Ok(example)) = (shape, serde_json::from_str::<Value>(EXAMPLE)) {
                content["example"] = example;
            }
            (json!({"application/json": content}), true)
        }
        // OpenAPI 3.1 has no schema for bytes.
        RequestContent::Picture => (json!({"image/*": {}}), false),
        RequestContent::File => {
            let form =
                json!({"type": "object", "properties": {"file": {"type": "string", "contentMediaType": "text/vcard"}}});
            (
                json!({"text/vcard": {}, "text/csv": {}, "application/octet-stream": {}, "multipart/form-data": {"schema": form}}),
                true,
            )
        }
    };
    debug_assert!(route.body != BodyUse::Not, "{} {} reads no body", route.method, route.address);
    Some(json!({"content": content, "required": is_required}))
}
