//! The service document, `$metadata` and the OpenAPI document, which need no token.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::domain::error::Error;
use crate::domain::etag;
use crate::graph::call::Call;
use crate::graph::{metadata, openapi};
use crate::http::answer::Answer;
use crate::http::compression;
use crate::odata::address::Version;
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
    static COMPRESSED: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let [beta, v1] = &COMPRESSED;
    let compressed = if call.shape() == Shape::V1 { v1 } else { beta };
    compression::constant_answer(call.headers, metadata::csdl(call.shape()), compressed)?
        .header("Content-Type", "application/xml")?
        // The same for all callers until the program is updated.
        .header("Cache-Control", "public, max-age=3600")
}

/// `GET /openapi.json`, which describes v1.0, and `GET /beta/openapi.json`.
pub(crate) fn openapi(call: &Call<'_>) -> Result<Answer, Error> {
    static COMPRESSED: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    static VERSIONS: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let (shape, index) = if call.address.version == Version::Beta { (Shape::Beta, 0) } else { (Shape::V1, 1) };
    let text = openapi::document(shape);
    let version = VERSIONS[index].get_or_init(|| STANDARD.encode(&Sha256::digest(text)[..12]));
    // The document assumes that the API is at the root. Below a mount, the server address is replaced.
    let mount = call.root().split_once("://").and_then(|(_, host)| host.split_once('/')).map(|(_, mount)| mount);
    let answer = match mount {
        _ if call.expected.unchanged(version) => Answer::empty(304)?,
        None => compression::constant_answer(call.headers, text, &COMPRESSED[index])?
            .header("Content-Type", "application/json")?,
        Some(mount) => {
            let server = |mount: &str| json!([{"url": format!("{mount}{}", openapi::prefix(shape))}]).to_string();
            let with_mount = text.replacen(&server(""), &server(&format!("/{mount}")), 1);
            Answer { body: Some(with_mount.into_bytes().into()), ..Answer::empty(200)? }
                .header("Content-Type", "application/json")?
        }
    };
    // The same for all callers until the program is updated.
    answer.header("Cache-Control", "public, max-age=300")?.header("ETag", &etag::weak(version))
}
