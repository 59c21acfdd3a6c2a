//! Imports every file of the corpus over HTTP into its own mailbox, and compares the result with the expectation. A file
//! that is added needs no code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::app::{Answer, Client, TestApp};

/// The files that have an expectation, in their order.
pub fn files() -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for folder in ["vcard", "csv", "other", "hostile"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let expected = PathBuf::from(format!("{}.expected.json", path.display()));
            if expected.exists() {
                files.push((path, serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap()));
            }
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(files.len() > 40, "{}", files.len());
    files
}

/// Sends a file. Returns the lines of the answer, and separately the last one.
pub fn import(user: &Client, path: &str, file: &[u8]) -> (Vec<Value>, Value) {
    let answer = user.with("Content-Type", "application/octet-stream").send("POST", path, Some(file.to_vec()));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    lines(&answer)
}

pub fn lines(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    (lines, last)
}

/// All contacts of a mailbox in creation order.
pub fn contacts(user: &Client, prefix: &str) -> Vec<Value> {
    let mut contacts = Vec::new();
    let mut next = Some(format!("{prefix}/me/contacts?$top=1000"));
    while let Some(path) = next {
        let page = user.get(&path).json(200);
        contacts.extend(page["value"].as_array().unwrap().iter().cloned());
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    contacts
}

/// The contact without annotations, times, ids, nulls, empty texts and empty lists.
pub fn content(contact: &Value) -> Value {
    let own = ["id", "changeKey", "createdDateTime", "lastModifiedDateTime", "parentFolderId"];
    // v1.0 shows these values a second time.
    let again = ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"];
    let own = [&own[..], &again].concat();
    let members = contact.as_object().unwrap().iter().filter(|(name, _)| !own.contains(&name.as_str()));
    stripped(&Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect()))
        .unwrap_or_else(|| Value::Object(Map::new()))
}

fn stripped(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(values) => {
            let values: Vec<_> = values.iter().filter_map(stripped).collect();
            (!values.is_empty()).then_some(Value::Array(values))
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !name.contains("@odata"));
            let members: Map<_, _> =
                members.filter_map(|(name, value)| Some((name.clone(), stripped(value)?))).collect();
            let is_unset = members.len() == 1 && members.get("flagStatus") == Some(&"notFlagged".into());
            (!members.is_empty() && !is_unset).then_some(Value::Object(members))
        }
        other => Some(other.clone()),
    }
}

/// The expected contacts after an import: the last of each identity, and all distinct ones without an identity.
fn remaining<'a>(expected: &'a Value, shape: &str) -> Vec<(&'a Value, Option<&'a Value>)> {
    let mut order = Vec::new();
    let mut last: BTreeMap<String, (&Value, Option<&Value>)> = BTreeMap::new();
    for contact in expected["contacts"].as_array().unwrap() {
        let key = match contact["uid"].as_str() {
            Some(uid) => uid.to_lowercase().trim_start_matches("urn:uuid:").to_owned(),
            None => format!("{} {}", contact["stored"], contact["photo"]),
        };
        if last.insert(key.clone(), (&contact[shape], contact.get("photo"))).is_none() {
            order.push(key);
        }
    }
    order.into_iter().map(|key| last[&key]).collect()
}

#[test]
fn every_corpus_file_is_imported_as_expected_and_a_second_import_changes_nothing() {
    let app = TestApp::new();
    let mut differences = Vec::new();
    for (number, (path, expected)) in files().into_iter().enumerate() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let user = app.user(&format!("user{number}"));
        let file = std::fs::read(&path).unwrap();
        let sent = user.with("Content-Type", "text/plain").send("POST", "/me/contacts/$import", Some(file.clone()));
        if expected["detected"]["format"].is_null() || expected["refused"][0]["reason"] == "not recognised" {
            assert_eq!(sent.status, 400, "{name}");
            continue;
        }
        if sent.status != 200 {
            differences.push(format!("{name}: {} {}", sent.status, String::from_utf8_lossy(&sent.body)));
            continue;
        }
        let (lines, last) = lines(&sent);
        let counts = &expected["counts"];
        for (effect, counted) in [("refused", &last["counts"]["refused"]), ("groups", &last["counts"]["groups"])] {
            if counts[effect] != *counted {
                differences.push(format!("{name}: {effect} {} and not {counted}", counts[effect]));
            }
        }
        let refused: Vec<_> =
            lines.iter().filter(|line| line["result"] == "refused").map(|line| &line["reason"]).collect();
        let expected_refused: Vec<_> =
            expected["refused"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
        if refused != expected_refused {
            differences.push(format!("{name}: refused {refused:?} and not {expected_refused:?}"));
        }
        compare(&user, &name, &expected, &mut differences);
        let changes = app.count("select count(*) from changes");
        let (_, again) = import(&user, "/me/contacts/$import", &file);
        let has_doubles = counts["contacts"].as_u64() > counts["stored"].as_u64();
        let has_groups = counts["groups"].as_u64() > Some(0);
        if again["counts"]["created"] != 0 || (!has_doubles && !has_groups && again["counts"]["updated"] != 0) {
            differences.push(format!("{name}: the second time {}", again["counts"]));
        }
        if !has_doubles && app.count("select count(*) from changes") != changes {
            differences.push(format!("{name}: the second time it is in the change log"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Compares the contacts of a mailbox, in both shapes and with photos, with the expectation.
fn compare(user: &Client, name: &str, expected: &Value, differences: &mut Vec<String>) {
    for (prefix, shape) in [("", "stored"), ("/v1.0", "v1")] {
        let stored = contacts(user, prefix);
        if Some(stored.len() as u64) != expected["counts"]["stored"].as_u64() {
            differences.push(format!("{name}: {} contacts and not {}", stored.len(), expected["counts"]["stored"]));
            return;
        }
        for (contact, (expected, photo)) in stored.iter().zip(remaining(expected, shape)) {
            let found = content(contact);
            if found != *expected {
                differences.push(format!("{name}, {shape}:\n  {found}\n  and not\n  {expected}"));
                return;
            }
            let path = format!("/me/contacts/{}/photo/$value", contact["id"].as_str().unwrap());
            let answer = user.get(&path);
            let found = (answer.status == 200).then(|| digest(&answer.body));
            if found.as_deref() != photo.and_then(|photo| photo["sha256"].as_str()) {
                differences.push(format!("{name}: the photo of {}", expected["displayName"]));
            }
        }
    }
}

#[test]
fn an_import_of_a_changed_file_changes_only_the_differences() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/reimport");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let expected: Value = serde_json::from_slice(&read("reimport.expected.json")).unwrap();
    let steps = [
        ("first.vcf", "/me/contacts/$import", "after_first"),
        ("second.vcf", "/me/contacts/$import", "after_second"),
        ("second.vcf", "/me/contacts/$import", "after_second_again"),
        ("first.vcf", "/me/contacts/$import?dryRun=true", "dry_run_first"),
    ];
    for (file, path, step) in steps {
        let (_, last) = import(&ann, path, &read(file));
        for effect in ["created", "updated", "unchanged", "refused"] {
            assert_eq!(last["counts"][effect], expected[step][effect], "{step}: {effect}");
        }
        let stored = contacts(&ann, "").len();
        assert_eq!(Some(stored as u64), expected[step]["stored"].as_u64(), "{step}");
    }
}
