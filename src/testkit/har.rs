//! The journal as HTTP Archive 1.2, which browsers' tools and proxies read
//! (<http://www.softwareishard.com/blog/har-12-spec/>).

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::testkit::control::options;
use crate::testkit::journal::JournalEntry;

/// The media type of an archive.
pub(crate) const MEDIA_TYPE: &str = "application/har+json";

/// Whether `Accept` asks for an archive.
pub(crate) fn is_requested(accept: &str) -> bool {
    let types = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    types.into_iter().any(|media_type| media_type.eq_ignore_ascii_case(MEDIA_TYPE))
}

/// An archive of these entries. `root` is the beginning of their addresses.
pub(crate) fn archive<'e>(entries: impl Iterator<Item = &'e JournalEntry>, root: &str) -> Value {
    json!({"log": {
        "version": "1.2",
        "creator": {"name": "contactd", "version": env!("CARGO_PKG_VERSION")},
        "entries": entries.map(|entry| entry_json(entry, root)).collect::<Vec<_>>(),
    }})
}

/// An entry. Unknown sizes are -1, and so are the sizes of heads, which the journal does not keep as sent.
fn entry_json(entry: &JournalEntry, root: &str) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request are far below the limit of 2^53")]
    let millis = entry.duration_micros as f64 / 1_000.0;
    let query = entry.url.split_once('?').map_or("", |(_, query)| query);
    let query: Vec<_> =
        options(query).unwrap_or_default().into_iter().map(|(name, value)| pair(&name, &value)).collect();
    let status = StatusCode::from_u16(entry.status).ok().and_then(|status| status.canonical_reason());
    let mut request = json!({
        "method": entry.method, "url": format!("{root}{}", entry.url), "httpVersion": "HTTP/1.1", "cookies": [],
        "headers": headers(&entry.headers), "queryString": query, "headersSize": -1, "bodySize": -1,
    });
    if let Some(body) = &entry.body {
        request["postData"] = json!({"mimeType": media_type(&entry.headers), "text": body.get()});
    }
    let mut content = json!({"size": 0, "mimeType": media_type(&entry.answer_headers)});
    if let Some(answer) = &entry.answer {
        (content["size"], content["text"]) = (answer.get().len().into(), answer.get().into());
    }
    json!({
        "startedDateTime": entry.time,
        "time": millis,
        "request": request,
        "response": {
            "status": entry.status, "statusText": status.unwrap_or_default(), "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": headers(&entry.answer_headers), "content": content,
            "redirectURL": entry.answer_headers.get("location").map_or("", String::as_str), "headersSize": -1, "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": millis, "receive": 0},
    })
}

fn pair(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn headers(headers: &BTreeMap<String, String>) -> Vec<Value> {
    headers.iter().map(|(name, value)| pair(name, value)).collect()
}

/// The media type of a body; JSON if the journal does not have it.
fn media_type(headers: &BTreeMap<String, String>) -> &str {
    headers.get("content-type").map_or("application/json", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_requested_by_its_media_type() {
        for (accept, expected) in [
            ("application/har+json", true),
            ("text/html, Application/HAR+json;q=0.9", true),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(is_requested(accept), expected, "{accept}");
        }
    }
}
