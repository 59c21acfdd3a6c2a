//! The service document and `$metadata`, which need no token.

use std::sync::OnceLock;

use serde_json::json;

use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::graph::metadata;
use crate::http::answer::Answer;
use crate::http::packed;
use crate::odata::shape::Shape;

/// `GET /`: the service document (OData JSON format, section 5).
pub(crate) fn document(call: &Call<'_>) -> Result<Answer, Error> {
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

/// `GET /$metadata`: the model of the request's shape as CSDL.
pub(crate) fn metadata(call: &Call<'_>) -> Result<Answer, Error> {
    static PACKED: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let [beta, v1] = &PACKED;
    let packed = if call.shape() == Shape::V1 { v1 } else { beta };
    packed::of_program(call.headers, metadata::csdl(call.shape()), packed)?
        .header("Content-Type", "application/xml")?
        // The same for all callers until the program is updated.
        .header("Cache-Control", "public, max-age=3600")
}
