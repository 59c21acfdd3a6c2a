//! Every answer in these tests must match the OpenAPI documents in status, type, headers and body.
//! The check also finds undocumented members of objects that the documents leave open.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use contactd::odata::address::{Address, Version};
use flate2::read::GzDecoder;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::app::Answer;

/// A method and a path pattern.
type Call = (String, &'static str);

/// The description of one answer in a document.
struct Described {
    /// The names of its headers, in lower case.
    headers: Vec<String>,
    /// Its media types, each with a validator.
    content: HashMap<String, Option<Validator>>,
}

/// A document.
struct Contract {
    whole: Value,
    /// The answers of each call.
    calls: HashMap<Call, Value>,
    /// Resolved descriptions by reference.
    known: Mutex<HashMap<String, Arc<Described>>>,
}

static BETA: LazyLock<Contract> = LazyLock::new(|| Contract::read(include_str!("../../docs/openapi-beta.json")));
static V1: LazyLock<Contract> = LazyLock::new(|| Contract::read(include_str!("../../docs/openapi.json")));

/// Forbids additional members in objects of a schema that do not mention them.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

impl Contract {
    fn read(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).unwrap();
        close(&mut document["components"]["schemas"]);
        let mut calls = HashMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let pattern = Address::parse(&path.replace(['{', '}'], "")).unwrap().pattern();
            for (method, call) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                calls.insert((method.to_ascii_uppercase(), pattern), call["responses"].clone());
            }
        }
        Self { whole: document, calls, known: Mutex::default() }
    }

    fn described(&self, reference: &str) -> Arc<Described> {
        let mut known = self.known.lock().unwrap();
        let made = known.entry(reference.to_owned()).or_insert_with(|| {
            let found = self.whole.pointer(reference.trim_start_matches('#')).unwrap();
            let headers = found["headers"].as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect();
            let content = found["content"].as_object().into_iter().flatten();
            let content =
                content.map(|(kind, of)| (kind.clone(), of.get("schema").map(|schema| self.validator(schema))));
            Arc::new(Described { headers, content: content.collect() })
        });
        Arc::clone(made)
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = json!({"schemas": self.whole["components"]["schemas"]});
        jsonschema::draft202012::new(&schema).unwrap()
    }

    /// All headers that the document describes.
    fn headers(&self) -> impl Iterator<Item = String> {
        self.whole["components"]["headers"].as_object().unwrap().keys().map(|name| name.to_ascii_lowercase())
    }

    #[track_caller]
    fn check(&self, call: &Call, place: &str, answer: &Answer) {
        let Some(answers) = self.calls.get(call) else {
            // CardDAV calls also use the root path.
            let may_be = answer.status >= 400 || answer.status == 204 && call.0 == "OPTIONS" || call.1 == "/";
            assert!(may_be, "{place}: {}", answer.status);
            return;
        };
        let Some(described) = answers.get(answer.status.to_string()) else {
            panic!("{place}: {} is not described: {}", answer.status, String::from_utf8_lossy(&answer.body));
        };
        let described = self.described(described["$ref"].as_str().unwrap());
        for name in self.headers().filter(|name| answer.headers.contains_key(name)) {
            assert!(described.headers.contains(&name), "{place}: {}: {name} is not described", answer.status);
        }
        if answer.body.is_empty() {
            return;
        }
        let kind = answer.header("content-type");
        let kind = kind.split(';').next().unwrap();
        let Some(validator) = described.content.get(kind) else {
            panic!("{place}: {}: {kind} is not described", answer.status);
        };
        let Some(validator) = validator else { return };
        let value = match kind {
            "application/json" => match serde_json::from_slice(&unpacked(answer)) {
                Ok(value) => value,
                // An extension may have numbers that this reader does not: 1e400.
                Err(error) if error.to_string().starts_with("number out of range") => return,
                Err(error) => panic!("{place}: {error}"),
            },
            "text/plain" => serde_json::from_slice(&answer.body).unwrap(),
            _ => return,
        };
        let faults: Vec<_> =
            validator.iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{place}: {}: {}\n{value}", answer.status, faults.join("\n"));
    }
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    if answer.header("content-encoding") != "gzip" {
        return answer.body.clone();
    }
    let mut body = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut body).unwrap();
    body
}

/// Checks the answer to a request. Paths outside the API are not checked.
#[track_caller]
pub fn check(method: &str, path: &str, answer: &Answer) {
    let bare = path.split(['?', '#']).next().unwrap();
    let Ok(address) = Address::parse(bare) else { return };
    let contract = if address.version == Version::V1 { &V1 } else { &BETA };
    let method = if method == "HEAD" { "GET" } else { method };
    contract.check(&(method.to_owned(), address.pattern()), &format!("{method} {path}"), answer);
}

#[test]
fn the_documents_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("target/recipes/openapi/bin/openapi-spec-validator"));
    let documents = ["docs/openapi.json", "docs/openapi-beta.json"].map(|name| root.join(name));
    let output = command.args(documents).output().expect("tests/run installs the validator");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.matches(": OK").count() == 2, "{out}{err}");
}
