//! Every file of the corpus with cards in it against its expectation. A file more needs no code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use contactd::vcard::charset::Survey;
use contactd::vcard::file::survey;
use contactd::vcard::read::read;
use contactd::vcard::record::{Fate, Found, Item, Outcome, Record, SAYS_NOTHING};
use contactd::vcard::split::{Cards, RawCard};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::shape;

/// The files of the corpus that hold cards.
pub(crate) fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for folder in ["vcard", "hostile"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "vcf") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    files
}

/// The cards of a file that comes in pieces of a size, and the count of its junk.
pub(crate) fn split(bytes: &[u8], piece: usize) -> (Vec<RawCard>, Cards) {
    let mut cards = Cards::new();
    let mut all = Vec::new();
    for chunk in bytes.chunks(piece) {
        cards.push(chunk);
        all.extend(std::iter::from_fn(|| cards.next_card()));
    }
    cards.finish();
    all.extend(std::iter::from_fn(|| cards.next_card()));
    (all, cards)
}

/// What is in a file.
pub(crate) fn items(bytes: &[u8], piece: usize) -> Vec<Item> {
    let (cards, _) = split(bytes, piece);
    let mut heard = Survey::default();
    for card in &cards {
        survey(&mut heard, &card.bytes);
    }
    let fallback = heard.verdict();
    let item = |card: RawCard| {
        let found = read(&card, &fallback);
        Item { position: card.position, raw: card.bytes, found }
    };
    cards.into_iter().map(item).collect()
}

/// The names of those with a fate, as the corpus lists them.
fn names(outcomes: &[Outcome], with: impl Fn(Fate) -> bool) -> Vec<String> {
    let mut names: Vec<_> =
        outcomes.iter().filter(|outcome| with(outcome.fate)).map(|outcome| outcome.name.clone()).collect();
    names.sort();
    names
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn contact(item: &Item, record: &Record) -> Value {
    let mut categories = record.patch.categories.clone().unwrap_or_default();
    categories.dedup();
    let mut value = json!({"at": {"card": item.position.number, "line": item.position.line}});
    value["stored"] = shape::created(record.patch.clone());
    if let Some(uid) = &record.uid {
        value["uid"] = json!(uid);
    }
    if let Some(photo) = &record.photo {
        let picture = contactd::domain::photo::Picture::recognize(&photo.bytes).unwrap();
        let sha = sha256(&photo.bytes);
        value["photo"] =
            json!({"contentType": picture.format.content_type(), "size": photo.bytes.len(), "sha256": sha});
    }
    let partial: BTreeSet<_> = names(&record.outcomes, |fate| fate == Fate::Partial).into_iter().collect();
    let lists = [
        ("aside", names(&record.outcomes, |fate| matches!(fate, Fate::Aside(_)))),
        ("partial", partial.into_iter().collect()),
        ("ignored", names(&record.outcomes, |fate| matches!(fate, Fate::Ignored(why) if why != SAYS_NOTHING))),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        value[name] = json!(list);
    }
    value
}

/// Gives the groups' names to their members, as an import does after the last card.
fn with_groups(items: &mut [Item]) {
    let key = |uid: &str| uid.to_lowercase().trim_start_matches("urn:uuid:").to_owned();
    let groups: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.found {
            Found::Group(group) => Some((group.name.clone(), group.members.iter().map(|uid| key(uid)).collect())),
            _ => None,
        })
        .collect::<Vec<(String, BTreeSet<String>)>>();
    for item in items {
        let Found::Contact(record) = &mut item.found else { continue };
        for (name, members) in &groups {
            if record.uid.as_deref().is_some_and(|uid| members.contains(&key(uid))) {
                record.patch.categories.get_or_insert_default().push(name.clone());
            }
        }
    }
}

#[test]
fn every_file_of_the_corpus_is_read_as_expected() {
    let mut failures = Vec::new();
    for path in files() {
        let expected = std::fs::read(path.with_extension("vcf.expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut items = items(&bytes, 64 * 1024);
        with_groups(&mut items);
        let mut found = Vec::new();
        let (mut refused, mut groups) = (Vec::new(), 0);
        for item in &items {
            match &item.found {
                Found::Contact(record) => found.push(contact(item, record)),
                Found::Group(_) => groups += 1,
                Found::Refused(why) => {
                    refused
                        .push(json!({"card": item.position.number, "line": item.position.line, "reason": why.reason}));
                }
            }
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut check = |what: String, found: Value, expected: Value| {
            if found != expected {
                failures.push(format!("{name} {what}\n  found    {found}\n  expected {expected}"));
            }
        };
        check("groups".into(), json!(groups), expected["counts"]["groups"].clone());
        check("refused".into(), json!(refused), expected["refused"].clone());
        check("contacts".into(), json!(found.len()), expected["counts"]["contacts"].clone());
        let (_, cards) = split(&bytes, 7);
        if let Some(encoding) = expected["detected"].get("encoding") {
            check("encoding".into(), json!(cards.encoding()), encoding.clone());
        }
        for (found, expected) in found.iter().zip(expected["contacts"].as_array().unwrap()) {
            let mut expected = expected.clone();
            expected.as_object_mut().unwrap().remove("v1");
            for (member, value) in expected.as_object().unwrap() {
                check(
                    format!("{} {member}", expected["at"]),
                    found.get(member).cloned().unwrap_or_default(),
                    value.clone(),
                );
            }
            for (member, value) in
                found.as_object().unwrap().iter().filter(|(member, _)| expected.get(member).is_none())
            {
                check(format!("{} {member}", expected["at"]), value.clone(), Value::Null);
            }
        }
    }
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures[..failures.len().min(30)].join("\n"));
}

#[test]
fn a_file_may_come_in_any_pieces() {
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        let whole = items(&bytes, bytes.len());
        for piece in [1, 2, 3, 61] {
            assert!(items(&bytes, piece) == whole, "{path:?} in pieces of {piece}");
        }
    }
}
