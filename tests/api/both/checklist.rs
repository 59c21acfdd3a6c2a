//! Checks the list in docs/graph.md: each of its calls and options is sent to a server, and its tests exist.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::app::{Answer, Client, TestApp};

pub(super) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A row: its calls (method and path), their state, and the names of tests.
pub(super) struct Row {
    pub(super) text: String,
    pub(super) calls: Vec<(String, String)>,
    pub(super) state: String,
    tests: Vec<String>,
}

/// Every call that is served: method and path.
pub fn served_calls() -> Vec<(String, String)> {
    let served = rows().into_iter().filter(|row| ["supported", "beyond Graph"].contains(&row.state.as_str()));
    served.flat_map(|row| row.calls).filter(|(_, path)| !path.contains('?')).collect()
}

/// The texts between backticks.
fn code_spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

pub(super) fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(format!("{}/docs/graph.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let calls = text.split("\n## Calls\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = |line: &str| {
        let row: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [call, state, tests] = row.as_slice() else { panic!("three cells: {line}") };
        let sent = &code_spans(call)[0];
        let at = sent.find(['…', '/']).unwrap_or_else(|| panic!("a path: {line}"));
        let (methods, path) = sent.split_at(at);
        let methods = methods.trim().split(", ").map(|method| (method.to_owned(), path.to_owned())).collect();
        Row { text: line.to_owned(), calls: methods, state: (*state).to_owned(), tests: code_spans(tests) }
    };
    calls.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

/// Objects that paths can refer to.
pub(super) struct TestObjects {
    pub(super) contact: String,
    folder: String,
    child: String,
    category: String,
}

impl TestObjects {
    pub(super) fn make(ann: &Client) -> Self {
        let folder = ann.post("/me/contactFolders", json!({"displayName": "Folder"})).id();
        let child =
            ann.post(&format!("/me/contactFolders/{folder}/childFolders"), json!({"displayName": "Child"})).id();
        let contact = ann.post(&format!("/me/contactFolders/{child}/contacts"), json!({"surname": "x"})).id();
        let category = ann.post("/me/outlook/masterCategories", json!({"displayName": "VIP"})).id();
        Self { contact, folder, child, category }
    }

    /// A path of the list as encoded paths of this server.
    pub(super) fn spelled(&self, path: &str) -> Vec<String> {
        let owners = if path.contains('…') { vec!["/me", "/users/ann"] } else { vec![""] };
        owners.into_iter().flat_map(|owner| self.spelled_for(path, owner)).collect()
    }

    /// The same for another owner.
    pub(super) fn spelled_for(&self, path: &str, owner: &str) -> Vec<String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: String = query
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() || b"$=&@,()/*:'-._".contains(&b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        let path = path.replace("{id}", &self.contact).replace("{category}", &self.category);
        let path =
            path.replace("{subscription}", "00000000-0000-7000-8000-000000000000").replace("{name}", "org.example.a");
        let child = format!("contactFolders/{}/childFolders/{}", self.folder, self.child);
        let folders = [child.clone(), format!("contactFolders/{}", self.child)];
        let folders = if path.contains("/F") { folders.to_vec() } else { vec![child] };
        let mut spelled = Vec::new();
        for prefix in ["", "/beta", "/v1.0"] {
            for folder in &folders {
                let path = path.replace('…', owner).replace("/F", &format!("/{folder}"));
                spelled.push(format!("{prefix}{path}{}{query}", if query.is_empty() { "" } else { "?" }));
            }
        }
        spelled
    }
}

/// Sends a call in a way that changes nothing: `If-Match` names an ETag that no object has.
pub(super) fn send(client: &Client, method: &str, path: &str) -> Answer {
    let body = (method != "GET" && method != "DELETE").then(|| b"[]".to_vec());
    client.with("If-Match", "\"of no version\"").send(method, path, body)
}

/// Whether an answer shows that the call is served, whatever its result.
fn served_state(answer: &Answer) -> &'static str {
    match answer.status {
        501 => "not yet",
        405 => "not offered",
        404 if answer.error().1 == "ResourceNotFound" => "no such path",
        _ => "served",
    }
}

#[test]
fn every_call_of_the_checklist_is_answered_as_it_says() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let objects = TestObjects::make(&ann);
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    // The methods that the list has for each path.
    let mut offered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let client = if row.text.contains("for applications") { app.user("app:sync") } else { ann.clone() };
        for (method, path) in &row.calls {
            for spelled in objects.spelled(path) {
                let answer = send(&client, method, &spelled);
                let expected = match row.state.as_str() {
                    "supported" | "beyond Graph" => "served",
                    state => state,
                };
                assert_eq!(served_state(&answer), expected, "{method} {spelled}: {}", row.text);
                if path.contains('?') && expected == "served" {
                    assert_eq!(answer.status, 200, "{spelled}: {}", String::from_utf8_lossy(&answer.body));
                }
            }
            let path = path.split('?').next().unwrap();
            offered.entry(path.to_owned()).or_default().push(method.clone());
        }
    }
    // No served call is missing on the list.
    for (path, methods) in offered {
        for method in METHODS.iter().filter(|method| !methods.iter().any(|known| known == *method)) {
            for spelled in objects.spelled(&path) {
                let state = served_state(&send(&ann, method, &spelled));
                assert!(["not offered", "not yet"].contains(&state), "{method} {spelled}: {state}");
            }
        }
    }
    assert_eq!(app.count("select count(*) from contacts where deleted_date_time is null"), 1);
}

#[test]
fn every_test_of_the_checklist_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in rows() {
        assert!(!row.tests.is_empty(), "{}", row.text);
        for test in row.tests {
            let file =
                if test.starts_with("src/") { root.join(&test) } else { root.join("tests/api/both").join(&test) };
            let text =
                std::fs::read_to_string(file.with_extension("rs")).unwrap_or_else(|_| panic!("{test}: {}", row.text));
            assert!(text.contains("#[test]") || text.contains("::test]"), "{test}: {}", row.text);
        }
    }
}
