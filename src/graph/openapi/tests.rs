use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::odata::address::Address;

fn calls(document: &Value) -> BTreeMap<(String, String), Value> {
    let mut calls = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            calls.insert((method.to_ascii_uppercase(), path.clone()), call.clone());
        }
    }
    calls
}

#[test]
fn operations_and_routes_have_the_same_order() {
    let described = operations::OPERATIONS.iter().map(|row| (row.method, row.address));
    assert!(described.eq(routes::names()));
}

#[test]
fn the_document_has_exactly_the_routes() {
    for shape in [Shape::Beta, Shape::V1] {
        let calls = calls(&value(shape));
        let found = calls.keys().map(|(method, path)| {
            let spelled = path.replace(['{', '}'], "");
            (method.clone(), Address::parse(&spelled).unwrap_or_else(|error| panic!("{path}: {error}")).pattern())
        });
        let table = routes::names().map(|(method, address)| (method.to_owned(), address));
        assert_eq!(found.collect::<BTreeSet<_>>(), table.collect::<BTreeSet<_>>());
    }
}

/// The calls of docs/graph.md that are served, as the document spells them; all names of parameters are `{}`.
fn documented() -> BTreeSet<(String, String)> {
    let text = include_str!("../../../docs/graph.md").split("\n## Calls\n").nth(1).unwrap();
    let rows = text.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let served = rows.filter(|row| row.contains("| supported |") || row.contains("| beyond Graph |"));
    let named = served.map(|row| row.split('`').nth(1).unwrap()).filter(|call| !call.contains('?'));
    let mut all = BTreeSet::new();
    for call in named {
        let (methods, path) = call.split_at(call.find(['…', '/']).unwrap());
        for owner in ["/me", "/users/{user}"] {
            let path = path.replace('…', owner).replace("/F", "/contactFolders/{folder}");
            all.extend(methods.trim().split(", ").map(|method| (method.to_owned(), bare(&path))));
        }
    }
    all
}

/// A path without the names of its parameters.
fn bare(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn the_document_has_the_paths_of_the_documentation() {
    let found: BTreeSet<_> = calls(&value(Shape::V1)).into_keys().map(|(method, path)| (method, bare(&path))).collect();
    assert_eq!(found, documented());
}

#[test]
fn every_call_is_described_and_has_a_unique_id() {
    for shape in [Shape::Beta, Shape::V1] {
        let document = value(shape);
        let mut names = BTreeSet::new();
        for ((method, path), call) in calls(&document) {
            let place = format!("{method} {path}");
            assert!(names.insert(call["operationId"].as_str().unwrap().to_owned()), "{place}");
            assert!(["summary", "description"].iter().all(|name| !call[name].as_str().unwrap().is_empty()), "{place}");
            let answers = call["responses"].as_object().unwrap();
            let is_open = call["security"] == json!([]);
            assert_eq!(answers.contains_key("401"), !is_open, "{place}");
            assert!(answers.keys().any(|status| status.starts_with('2')) && answers.contains_key("500"), "{place}");
            assert_eq!(call["requestBody"].is_object(), answers.contains_key("413"), "{place}");
            for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                let parameters = document["paths"][&path]["parameters"].as_array().unwrap();
                let is_declared = |parameter: &Value| {
                    let key = parameter["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                    document["components"]["parameters"][key]["name"] == json!(name)
                };
                assert!(parameters.iter().any(is_declared), "{place}: {name}");
            }
        }
    }
}

#[test]
fn references_and_components_match() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for shape in [Shape::Beta, Shape::V1] {
        let document = value(shape);
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let mut components = BTreeSet::new();
        for kind in ["parameters", "headers", "responses", "schemas"] {
            let names = document["components"][kind].as_object().unwrap().keys();
            components.extend(names.map(|name| format!("#/components/{kind}/{name}")));
        }
        assert_eq!(found, components);
    }
}

#[test]
fn the_files_in_docs_are_up_to_date() {
    for (shape, name) in [(Shape::V1, "docs/openapi.json"), (Shape::Beta, "docs/openapi-beta.json")] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, file(shape)).unwrap();
        }
        // The text is compared, and not only the value, because the command must print exactly this file.
        let is_current = std::fs::read_to_string(&path).unwrap() == file(shape);
        assert!(is_current, "{name} is old. Run: UPDATE_OPENAPI=1 cargo test --lib openapi");
        assert_eq!(serde_json::from_str::<Value>(document(shape)).unwrap(), value(shape));
    }
}
