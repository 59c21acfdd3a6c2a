//! Reads a batch: its steps, their limits, alone and together, and their dependencies.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::error::{Error, Kind};
use crate::domain::plain::shorten;
use crate::graph::body;
use crate::http::blocking::{BlockingPermit, SHORT, run_blocking};
use crate::http::body::BodyUse;

/// Maximum length of a step's url in bytes, as of a request line.
const MAX_URL: usize = 65_534;
/// Maximum number of bytes of the urls of all steps. They are parsed before the first database query.
const MAX_URLS: usize = 4 * MAX_URL;
/// Maximum number of headers of a step, and of their bytes: about those of a request.
const MAX_HEADERS: usize = 96;
const MAX_HEADER_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct Envelope {
    requests: Vec<BatchStep>,
}

/// A step, as sent. Other members are ignored.
#[derive(Deserialize)]
pub(crate) struct BatchStep {
    pub(crate) id: String,
    method: String,
    pub(crate) url: String,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default, rename = "dependsOn")]
    depends_on: Option<Vec<String>>,
}

/// The steps of a batch, and for each the steps that it depends on.
type BatchSteps = (Vec<BatchStep>, Vec<Vec<usize>>);

/// Reads a batch, on a blocking thread if it is long.
///
/// # Errors
/// 400 if the whole is invalid: not a batch, too many steps, steps that are too long, a duplicate id, or dependencies
/// that cannot be met.
pub(crate) async fn read(body: &[u8], limit: usize) -> Result<BatchSteps, Error> {
    if body.len() <= SHORT {
        return steps(body, limit);
    }
    let turn = BlockingPermit::acquire().await?;
    let body = body.to_vec();
    turn.run(move || steps(&body, limit)).await?
}

fn steps(body: &[u8], limit: usize) -> Result<BatchSteps, Error> {
    body::parse(body)?;
    let Envelope { requests: steps } = serde_json::from_slice(body).map_err(|why| {
        let message = format!(
            "The batch cannot be read: {why}. It is an object with 'requests', an array of steps that have 'id', 'method' and 'url'."
        );
        refused("requests", message)
    })?;
    if steps.len() > limit {
        let message = format!("Number of batch request steps exceeds the maximum value of {limit}.");
        return Err(Error::invalid(Kind::Steps, "requests", message));
    }
    check_lengths(&steps)?;
    let dependencies = dependencies(&steps)?;
    Ok((steps, dependencies))
}

pub(crate) fn refused(target: &str, message: impl Into<String>) -> Error {
    Error::invalid(Kind::Query, target, message)
}

/// # Errors
/// 400 for a step that exceeds the limits of a request, and for urls that are too long together.
fn check_lengths(steps: &[BatchStep]) -> Result<(), Error> {
    for (i, step) in steps.iter().enumerate() {
        if step.url.len() > MAX_URL {
            let message = format!("The url of a step has at most {MAX_URL} bytes, not {}.", step.url.len());
            return Err(refused(&format!("requests/{i}/url"), message));
        }
        let headers = step.headers.iter().flatten();
        let bytes: usize = headers.clone().map(|(name, value)| name.len() + value.len()).sum();
        if headers.count() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            let message = format!("A step has at most {MAX_HEADERS} headers, of {MAX_HEADER_BYTES} bytes together.");
            return Err(refused(&format!("requests/{i}/headers"), message));
        }
    }
    if steps.iter().map(|step| step.url.len()).sum::<usize>() > MAX_URLS {
        return Err(refused("requests", format!("The urls of all steps have at most {MAX_URLS} bytes together.")));
    }
    Ok(())
}

/// The steps that each step depends on, without duplicates.
///
/// # Errors
/// 400 for an id that is empty or a duplicate in any letter case, an unknown id, and a cycle.
fn dependencies(steps: &[BatchStep]) -> Result<Vec<Vec<usize>>, Error> {
    let mut indexes = HashMap::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        match indexes.entry(step.id.to_ascii_lowercase()) {
            Entry::Vacant(place) if !step.id.is_empty() => drop(place.insert(i)),
            _ => {
                let id = shorten(&step.id);
                let message = format!("The id '{id}' of a step must be unique, and not empty.");
                return Err(refused(&format!("requests/{i}/id"), message));
            }
        }
    }
    let mut dependencies = Vec::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        let named = step.depends_on.iter().flatten().map(|id| {
            indexes.get(&id.to_ascii_lowercase()).copied().ok_or_else(|| {
                let message = format!("The step depends on '{}', which is not in the batch.", shorten(id));
                refused(&format!("requests/{i}/dependsOn"), message)
            })
        });
        dependencies.push(named.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect::<Vec<_>>());
    }
    match find_cycle(&dependencies) {
        Some(i) => Err(refused(&format!("requests/{i}/dependsOn"), "Steps depend on each other in a circle.")),
        None => Ok(dependencies),
    }
}

/// The first step in a cycle or after one: those that remain after a topological sort.
fn find_cycle(dependencies: &[Vec<usize>]) -> Option<usize> {
    let mut open_counts: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); dependencies.len()];
    for (step, needed) in dependencies.iter().enumerate() {
        for dependency in needed {
            dependents[*dependency].push(step);
        }
    }
    let mut done: Vec<usize> = (0..dependencies.len()).filter(|step| open_counts[*step] == 0).collect();
    while let Some(step) = done.pop() {
        for dependent in &dependents[step] {
            open_counts[*dependent] -= 1;
            if open_counts[*dependent] == 0 {
                done.push(*dependent);
            }
        }
    }
    open_counts.iter().position(|count| *count > 0)
}

impl BatchStep {
    pub(crate) fn method(&self) -> Result<Method, Error> {
        let known = "Use GET, POST, PUT, PATCH or DELETE.";
        let unknown = |_| refused("method", format!("'{}' is not a method. {known}", shorten(&self.method)));
        Method::from_bytes(self.method.to_ascii_uppercase().as_bytes()).map_err(unknown)
    }

    /// The length of its body in bytes, as sent.
    pub(crate) fn length(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.get().len())
    }

    /// The headers of a step, without `Authorization`: the batch authenticates.
    pub(crate) fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().flatten() {
            let expected = "a name has letters, digits and -, a value visible ASCII characters";
            let unusable = || refused("headers", format!("'{}' is not a valid header: {expected}.", shorten(name)));
            let name = HeaderName::try_from(name.as_str()).map_err(|_| unusable())?;
            if name != header::AUTHORIZATION {
                headers.append(name, HeaderValue::from_str(value).map_err(|_| unusable())?);
            }
        }
        Ok(headers)
    }

    /// The body as the call reads it: the JSON text as sent, or bytes from base64.
    pub(crate) async fn body(&self, body_use: BodyUse, headers: &HeaderMap) -> Result<Vec<u8>, Error> {
        let text = self.body.as_deref().map_or("", RawValue::get);
        match body_use {
            BodyUse::Not | BodyUse::Streamed => Ok(Vec::new()),
            BodyUse::Json => {
                let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
                let bare = declared.map(|value| value.split(';').next().unwrap_or_default().trim());
                if bare.is_some_and(|declared| !declared.eq_ignore_ascii_case("application/json")) {
                    let message = "The body must be sent with Content-Type: application/json.";
                    return Err(Error::UnsupportedMediaType(message.to_owned()));
                }
                Ok(text.as_bytes().to_vec())
            }
            BodyUse::Bytes | BodyUse::UpTo(_) if text.len() <= SHORT => decoded(text),
            BodyUse::Bytes | BodyUse::UpTo(_) => {
                let text = text.to_owned();
                run_blocking(move || decoded(&text)).await?
            }
        }
    }
}

/// Decodes a JSON string of base64, in either alphabet, with padding or without.
fn decoded(text: &str) -> Result<Vec<u8>, Error> {
    if text.is_empty() || text == "null" {
        return Ok(Vec::new());
    }
    let encoded: Option<String> = serde_json::from_str(text).ok();
    let plain = encoded.map(|text| text.trim_end_matches('=').replace('-', "+").replace('_', "/"));
    let bytes = plain.and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    bytes.ok_or_else(|| refused("body", "The body of this step must be a string: the bytes in base64."))
}

/// Percent-encodes what a request line cannot hold.
pub(crate) fn encode_for_request_line(text: &str) -> String {
    let mut sent = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            sent.push(char::from(byte));
        } else {
            sent.push('%');
            sent.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(requests: &serde_json::Value) -> (String, String) {
        match steps(json!({"requests": requests}).to_string().as_bytes(), 1_000) {
            Err(Error::Invalid(problems)) => (problems[0].target.clone(), problems[0].message.clone()),
            Err(error) => panic!("{error}"),
            Ok(_) => Default::default(),
        }
    }

    fn step(id: usize, url: &str) -> serde_json::Value {
        json!({"id": id.to_string(), "method": "GET", "url": url})
    }

    #[test]
    fn steps_have_the_limits_of_requests() {
        let long = format!("/me?{}", "a".repeat(MAX_URL - 4));
        assert_eq!(refusal(&json!([step(0, &long)])), Default::default());
        assert_eq!(refusal(&json!([step(0, "/me"), step(1, &(long.clone() + "a"))])).0, "requests/1/url");
        assert_eq!(refusal(&(0..4).map(|id| step(id, &long)).collect()), Default::default());
        let together = refusal(&(0..5).map(|id| step(id, &long)).collect());
        assert_eq!(together, ("requests".into(), "The urls of all steps have at most 262136 bytes together.".into()));
        let with = |headers: serde_json::Value| {
            refusal(&json!([{"id": "1", "method": "GET", "url": "/me", "headers": headers}]))
        };
        let many = |count: usize| (0..count).map(|i| (format!("h{i}"), json!("x"))).collect::<serde_json::Map<_, _>>();
        assert_eq!(with(many(96).into()), Default::default());
        assert_eq!(with(many(97).into()).0, "requests/0/headers");
        assert_eq!(with(json!({"if-match": "x".repeat(64 << 10)})).0, "requests/0/headers");
    }

    #[test]
    fn cycles_are_found_and_long_chains_are_accepted() {
        let chain = |ends: usize| {
            let step = |i: usize| json!({"id": format!("s{i}"), "method": "GET", "url": "/me", "dependsOn": vec![format!("S{}", (i + 1).min(ends)); 20]});
            let mut all: Vec<_> = (0..999).map(step).collect();
            all.push(json!({"id": "s999", "method": "GET", "url": "/me"}));
            refusal(&all.into())
        };
        assert_eq!(chain(999), Default::default());
        assert_eq!(chain(5), ("requests/0/dependsOn".into(), "Steps depend on each other in a circle.".into()));
    }
}
