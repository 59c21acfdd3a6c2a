//! Every value of every file has an outcome: mapped, partly mapped, kept aside, ignored or lost. The values are counted in the
//! bytes of the file, independently of the readers.

use std::collections::BTreeMap;

use contactd::vcard::record::{PropertyOutcome, RecordContent};
use serde_json::Value;

use crate::corpus::{files, read};

/// The cells of a row, by RFC 4180.
fn cells(text: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut().unwrap();
        match c {
            '"' if !quoted && cell.is_empty() => quoted = true,
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' if quoted => quoted = false,
            c if c == separator && !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

/// The number of outcomes by name.
fn outcome_counts(outcomes: &[PropertyOutcome]) -> BTreeMap<String, usize> {
    let mut outcome_counts = BTreeMap::new();
    // The group of every Google contact has its own outcome besides the column's.
    for outcome in outcomes.iter().filter(|outcome| outcome.name != "myContacts") {
        *outcome_counts.entry(outcome.name.clone()).or_default() += 1;
    }
    outcome_counts
}

fn counted(names: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for name in names {
        *counted.entry(name).or_default() += 1;
    }
    counted
}

/// The names of non-empty members; each entry of a JSContact collection counts separately.
fn members(object: &Value, collections: &[&str]) -> BTreeMap<String, usize> {
    let mut names = Vec::new();
    for (name, value) in object.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
        let count = if collections.contains(&name.as_str()) { value.as_object().unwrap().len() } else { 1 };
        names.extend(std::iter::repeat_n(name.clone(), count));
    }
    counted(names)
}

/// The attributes of an entry of LDIF.
fn attributes(text: &str) -> BTreeMap<String, usize> {
    let lines = text.replace("\r\n", "\n").replace("\n ", "");
    let lines =
        lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("version:"));
    let name = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        let junk = value.starts_with('<') || value.contains("not base64");
        if junk { "(lines that are not LDIF)".to_owned() } else { name.split(';').next().unwrap().to_lowercase() }
    };
    counted(lines.map(name))
}

const COLLECTIONS: [&str; 11] = [
    "nicknames",
    "titles",
    "organizations",
    "emails",
    "phones",
    "addresses",
    "links",
    "onlineServices",
    "anniversaries",
    "notes",
    "media",
];

#[test]
fn every_value_of_every_file_has_an_outcome() {
    for path in files(&["vcard", "csv", "other", "hostile"]) {
        let bytes = std::fs::read(&path).unwrap();
        let (reader, items) = read(&bytes, usize::MAX);
        let Some(detected) = reader.detected() else { continue };
        let name = detected.format.name();
        let separator = detected.separator.unwrap_or(',');
        // Only whether a cell is empty matters here.
        let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
        let mut values = 0;
        for item in &items {
            let outcomes = match &item.found {
                RecordContent::Contact(record) => &record.outcomes,
                RecordContent::Group(group) => &group.outcomes,
                RecordContent::Refused(_) => continue,
            };
            let expected = match name {
                "vcard" => continue,
                "ldif" => attributes(&latin(&item.raw)),
                "graph" => members(&serde_json::from_slice(&item.raw).unwrap(), &[]),
                "jscontact" => {
                    let collections =
                        if matches!(item.found, RecordContent::Group(_)) { &[] } else { &COLLECTIONS[..] };
                    members(&serde_json::from_slice(&item.raw).unwrap(), collections)
                }
                _ => {
                    let header = cells(&String::from_utf8_lossy(reader.preface()), separator);
                    let names = |cells: Vec<String>| {
                        let says = cells.into_iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
                        says.map(|(at, _)| at).collect::<Vec<_>>()
                    };
                    let filled = names(cells(&latin(&item.raw), separator));
                    values += filled.len();
                    // The names of columns may be in another code page than the test reads: their number is compared.
                    let beyond = filled.iter().filter(|at| **at >= header.len()).count();
                    let count = outcome_counts(outcomes).values().sum::<usize>();
                    assert_eq!(
                        count,
                        filled.len() - beyond + usize::from(beyond > 0),
                        "{} {:?}",
                        path.display(),
                        item.position
                    );
                    continue;
                }
            };
            values += expected.len();
            let mut outcome_counts = outcome_counts(outcomes);
            if name == "ldif" {
                // Lines that are not LDIF are reported once.
                let expected_junk = expected.contains_key("(lines that are not LDIF)");
                outcome_counts
                    .entry("(lines that are not LDIF)".to_owned())
                    .and_modify(|count| *count = expected["(lines that are not LDIF)"]);
                assert_eq!(outcome_counts.contains_key("(lines that are not LDIF)"), expected_junk);
            }
            assert_eq!(outcome_counts, expected, "{} {:?}", path.display(), item.position);
        }
        assert!(values > 0 || items.is_empty() || name == "vcard", "{}", path.display());
    }
}
