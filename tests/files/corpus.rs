//! Compares every file of tests/corpus with its expectation; a new file needs no code. Files are read without looking up
//! identities. tests/corpus/README.md explains the expectations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contactd::domain::contact::Contact;
use contactd::domain::photo::Picture;
use contactd::formats::detect::ReadOptions;
use contactd::formats::reader::FileReader;
use contactd::graph::json::contact::file::GraphFile;
use contactd::graph::json::contact::write::ContactJson;
use contactd::odata::shape::Shape;
use contactd::vcard::record::{
    Fate, FileRecord, GroupRecord, Position, PropertyOutcome, Record, RecordContent, SAYS_NOTHING, WITH_ITS_VALUE,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The files that have an expectation beside them, in folders of these names.
pub fn files(folders: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(Path::new("tests/corpus").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if expected_of(&path).exists() {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

fn expected_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.expected.json", path.display()))
}

/// The records of a file, read in pieces of some bytes.
pub fn read(bytes: &[u8], step: usize) -> (FileReader, Vec<FileRecord>) {
    let mut reader = FileReader::new(ReadOptions::default(), &GraphFile);
    let mut items = Vec::new();
    for piece in bytes.chunks(step) {
        reader.push(piece);
        items.extend(std::iter::from_fn(|| reader.next_item()));
    }
    reader.finish();
    items.extend(std::iter::from_fn(|| reader.next_item()));
    (reader, items)
}

/// The names of outcomes that an expectation lists, sorted.
fn named(outcomes: &[PropertyOutcome], is_wanted: fn(&Fate) -> bool, once: bool) -> Vec<String> {
    let mut names: Vec<String> =
        outcomes.iter().filter(|outcome| is_wanted(&outcome.fate)).map(|outcome| outcome.name.clone()).collect();
    names.sort();
    if once {
        names.dedup();
    }
    names
}

/// A value without annotations, nulls, empty texts and empty collections.
fn bare(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(value.clone()).filter(|_| !text.is_empty()),
        Value::Array(values) => {
            let values: Vec<Value> = values.iter().filter_map(bare).collect();
            (!values.is_empty()).then_some(Value::Array(values))
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !name.contains('@'));
            let members: serde_json::Map<_, _> =
                members.filter_map(|(name, value)| Some((name.clone(), bare(value)?))).collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        other => Some(other.clone()),
    }
}

/// The contact that a record makes in an empty mailbox.
pub fn contact(record: &Record, categories: &[&str]) -> Contact {
    let mut properties = record.patch.clone().into_properties();
    for category in categories {
        if !properties.categories.iter().any(|known| known == category) {
            properties.categories.push((*category).to_owned());
        }
    }
    Contact {
        id: Uuid::nil(),
        parent_folder_id: "contacts".to_owned(),
        version: 1,
        created_date_time: 0,
        last_modified_date_time: 0,
        sent_change_key: None,
        properties,
        expanded: None,
    }
}

/// The contact as a shape shows it, without what the server adds.
fn shown(contact: &Contact, shape: Shape) -> Value {
    let shown = ContactJson { contact, shape, select: None, context: None, context_prefix: None, annotated: false };
    let mut shown = serde_json::to_value(shown).unwrap();
    for added in ["id", "createdDateTime", "lastModifiedDateTime", "changeKey", "parentFolderId"] {
        shown.as_object_mut().unwrap().remove(added);
    }
    // v1.0 shows these values a second time, and an unset flag.
    for again in ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"] {
        shown.as_object_mut().unwrap().remove(again);
    }
    if shown["flag"] == json!({"flagStatus": "notFlagged"}) {
        shown.as_object_mut().unwrap().remove("flag");
    }
    bare(&shown).unwrap_or_else(|| json!({}))
}

fn at(position: &Position) -> Value {
    let mut at = BTreeMap::from([("line", position.line)]);
    at.insert(position.unit, position.number);
    json!(at)
}

/// The result, in the form of an expectation.
fn as_expectation(items: &[FileRecord]) -> (Vec<Value>, Vec<Value>, usize) {
    let groups: Vec<&GroupRecord> = items
        .iter()
        .filter_map(|item| match &item.found {
            RecordContent::Group(group) => Some(&**group),
            _ => None,
        })
        .collect();
    let (mut contacts, mut refused) = (Vec::new(), Vec::new());
    for FileRecord { position, found, .. } in items {
        match found {
            RecordContent::Group(_) => {}
            RecordContent::Refused(refusal) => {
                let mut refused_at = at(position);
                refused_at["reason"] = json!(refusal.reason);
                refused.push(refused_at);
            }
            RecordContent::Contact(record) => {
                let is_member = |member: &String| {
                    let same = |name: &Option<String>| name.as_ref().is_some_and(|name| plain(name) == plain(member));
                    same(&record.uid) || same(&record.alias)
                };
                let member_groups = groups.iter().filter(|group| group.members.iter().any(is_member));
                let categories: Vec<&str> = member_groups.map(|group| group.name.as_str()).collect();
                let contact = contact(record, &categories);
                let photo = record.photo.as_ref().map(|photo| {
                    let kind = Picture::recognize(&photo.bytes).unwrap().format.content_type();
                    let hash = Sha256::digest(&photo.bytes)
                        .iter()
                        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                    json!({"contentType": kind, "size": photo.bytes.len(), "sha256": hash})
                });
                let outcomes = &record.outcomes;
                let aside =
                    named(outcomes, |fate| matches!(fate, Fate::Aside(why) if *why != Some(WITH_ITS_VALUE)), false);
                let ignored = named(outcomes, |fate| matches!(fate, Fate::Ignored(why) if *why != SAYS_NOTHING), false);
                let result = json!({
                    "at": at(position),
                    "stored": shown(&contact, Shape::Beta),
                    "v1": shown(&contact, Shape::V1),
                    "uid": record.uid,
                    "photo": photo,
                    "aside": aside,
                    "partial": named(outcomes, |fate| *fate == Fate::Partial, true),
                    "ignored": ignored,
                });
                contacts.push(result);
            }
        }
    }
    (contacts, refused, groups.len())
}

/// An identity as it is compared.
fn plain(identity: &str) -> String {
    let lower = identity.to_lowercase();
    lower.strip_prefix("urn:uuid:").unwrap_or(&lower).to_owned()
}

/// The path of the first difference between expected and found. Positions may have more members than expected.
fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let additional = found.keys().find(|key| !path.ends_with("/at") && !expected.contains_key(*key));
            let missing = |key: &str| format!("{path}/{key}: found {}, which is not expected", found[key]);
            let mut members = expected.iter().map(|(key, value)| {
                difference(&format!("{path}/{key}"), value, found.get(key).unwrap_or(&Value::Null))
            });
            members.find_map(|difference| difference).or_else(|| additional.map(|key| missing(key)))
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(i, (expected, found))| difference(&format!("{path}/{i}"), expected, found))
        }
        _ if expected == found => None,
        _ => Some(format!("{path}: expected {expected}, found {found}")),
    }
}

/// Compares a file with its expectation.
fn compare(path: &Path, step: usize) -> Result<(), String> {
    let (reader, items) = read(&std::fs::read(path).unwrap(), step);
    let expected: Value = serde_json::from_slice(&std::fs::read(expected_of(path)).unwrap()).unwrap();
    let (contacts, refused, groups) = as_expectation(&items);
    let mut report = contactd::formats::report::Report { detected: reader.detected(), ..Default::default() };
    for item in &items {
        report.item(item);
    }
    let report = serde_json::to_value(report.json("a file")).unwrap();
    // A file that is not recognised has no format, which the expectation writes as 'csv-None'.
    if expected["detected"]["format"] != "csv-None" {
        let detected = expected["detected"].as_object().unwrap();
        for (name, value) in detected.iter().filter(|(_, value)| !value.is_null()) {
            difference(&format!("detected/{name}"), value, &report["detected"][name]).map_or(Ok(()), Err)?;
        }
    }
    let counts = json!({"contacts": contacts.len(), "refused": refused.len(), "groups": groups});
    for name in ["contacts", "refused", "groups"] {
        difference(&format!("counts/{name}"), &expected["counts"][name], &counts[name]).map_or(Ok(()), Err)?;
    }
    for (i, (expected, found)) in expected["refused"].as_array().unwrap().iter().zip(&refused).enumerate() {
        let expected_members = expected.as_object().unwrap();
        for (name, value) in expected_members {
            difference(&format!("refused/{i}/{name}"), value, &found[name]).map_or(Ok(()), Err)?;
        }
    }
    for (i, (expected, found)) in expected["contacts"].as_array().unwrap().iter().zip(&contacts).enumerate() {
        let mut expected_result = expected.clone();
        for name in ["aside", "partial", "ignored"] {
            let names = expected_result.as_object_mut().unwrap().entry(name).or_insert(json!([]));
            names.as_array_mut().unwrap().sort_by_key(|name| name.as_str().unwrap().to_owned());
        }
        for name in ["uid", "photo"] {
            expected_result.as_object_mut().unwrap().entry(name).or_insert(Value::Null);
        }
        difference(&format!("contacts/{i}"), &expected_result, found).map_or(Ok(()), Err)?;
    }
    Ok(())
}

#[test]
fn every_corpus_file_is_read_as_expected_in_pieces_of_any_size() {
    let mut differences = Vec::new();
    for path in files(&["vcard", "csv", "other", "hostile"]) {
        for step in [usize::MAX, 1000, 7] {
            if let Err(difference) = compare(&path, step) {
                differences.push(format!("{} in pieces of {step} bytes: {difference}", path.display()));
                break;
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
