//! What a client's generator or browser asks of the service itself, without a token: its root and `$metadata`.

use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use serde_json::json;

use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::graph::metadata;
use crate::http::answer::Answer;
use crate::http::{only_get, packed};
use crate::odata::query::Query;
use crate::odata::shape::Shape;

/// `GET /`: what there is to begin with (OData JSON format, section 5).
pub(crate) fn document(call: &Call<'_>, method: &Method) -> Result<Answer, Error> {
    only_get(method)?;
    Query::none(call.query)?;
    let value = json!([
        {"name": "me", "kind": "Singleton", "url": "me"},
        {"name": "users", "kind": "EntitySet", "url": "users"},
        {"name": "subscriptions", "kind": "EntitySet", "url": "subscriptions"},
    ]);
    let context = call.link("/$metadata");
    Answer::json(
        200,
        &if call.annotated { json!({"@odata.context": context, "value": value}) } else { json!({"value": value}) },
    )
}

/// `GET /$metadata`: the model of the shape that is spoken there, as CSDL.
pub(crate) fn metadata(call: &Call<'_>, method: &Method, asked: &HeaderMap) -> Result<Answer, Error> {
    static PACKED: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    only_get(method)?;
    let [beta, v1] = &PACKED;
    let packed = if call.shape() == Shape::V1 { v1 } else { beta };
    packed::of_program(asked, metadata::csdl(call.shape()), packed)?
        .header("Content-Type", "application/xml")?
        // The same for everybody, until the program is another one.
        .header("Cache-Control", "public, max-age=3600")
}
