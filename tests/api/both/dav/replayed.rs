//! Repeats requests of real clients, which `tests/carddav/record.py` recorded while the scripts in its folder ran. Each
//! answer must equal the recorded one, except ids, ETags, tokens and times. So these clients need not be installed.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::app::{Answer, TestApp};

/// The ids, ETags and tokens of the recording, and the current ones.
#[derive(Default)]
struct KnownIds(HashMap<String, String>);

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')
}

/// Whether a quoted text may be an ETag, whose base64 has characters that otherwise separate words.
fn is_tag(text: &str) -> bool {
    text.len() >= 12 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '.'))
}

/// Splits a text into alternating words and separators.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in text.split_inclusive('"') {
        match part.strip_suffix('"') {
            Some(inner) if is_tag(inner) => parts.extend([inner, "\""]),
            _ => words(part, &mut parts),
        }
    }
    parts
}

fn words<'a>(text: &'a str, parts: &mut Vec<&'a str>) {
    for part in text.split_inclusive(|c| !is_of_word(c)) {
        match part.char_indices().next_back().filter(|(_, c)| !is_of_word(*c)) {
            Some((at, _)) => parts.extend([&part[..at], &part[at..]]),
            None => parts.push(part),
        }
    }
}

/// Whether a word is a time in one of its forms.
fn is_time(word: &str) -> bool {
    word.ends_with('Z') && word.bytes().filter(u8::is_ascii_digit).count() >= 6
}

impl KnownIds {
    /// A recorded text with the current ids.
    fn now(&self, text: &str) -> String {
        parts(text).into_iter().map(|part| self.0.get(part).map_or(part, String::as_str)).collect()
    }

    /// Compares an answer with the recorded one, and stores the current ids.
    #[track_caller]
    fn compare(&mut self, recorded: &str, found: &str, description: &str) {
        let (before, after) = (parts(recorded), parts(found));
        assert_eq!(before.len(), after.len(), "{description}:\nrecorded {recorded}\nfound {found}");
        for (old, new) in before.into_iter().zip(after) {
            if old == new || is_time(old) && is_time(new) {
                continue;
            }
            let may_differ = old.len() >= 12 && new.len() >= 12;
            assert!(may_differ, "{description}: {new} in place of {old}:\nrecorded {recorded}\nfound {found}");
            let known = self.0.entry(old.to_owned()).or_insert_with(|| new.to_owned());
            assert_eq!(known, new, "{description}: {old} was another before");
        }
    }

    /// Stores the ids of an answer of Graph, which is not compared.
    fn learn(&mut self, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(old), Value::Object(new)) => {
                for (name, old) in old {
                    if let Some(new) = new.get(name) {
                        self.learn(old, new);
                    }
                }
                if let (Some(Value::String(old)), Some(Value::String(new))) = (old.get("id"), new.get("id")) {
                    self.0.insert(old.clone(), new.clone());
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                assert_eq!(old.len(), new.len(), "recorded {recorded}, found {found}");
                old.iter().zip(new).for_each(|(old, new)| self.learn(old, new));
            }
            _ => {}
        }
    }
}

/// An answer without HTTP dates.
fn without_dates(text: &str) -> String {
    let mut parts = text.split("<D:getlastmodified>");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once("</D:getlastmodified>").map_or(part, |(_, rest)| rest));
    }
    out
}

fn replay(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/carddav/recorded/{name}.json"));
    let steps: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let app = TestApp::new();
    let mut known = KnownIds::default();
    for (number, step) in steps.iter().enumerate() {
        let text = |member: &str| step[member].as_str().unwrap_or_default();
        let description = format!("{name}, step {number}, {} {}", text("method"), text("path"));
        let mut client = app.user("");
        for (name, value) in step["headers"].as_object().unwrap() {
            client = client.with(name, &known.now(value.as_str().unwrap()));
        }
        let body = known.now(text("body"));
        let body = (!body.is_empty()).then(|| body.into_bytes());
        let answer: Answer = client.send(text("method"), &known.now(text("path")), body);
        assert_eq!(u64::from(answer.status), step["status"].as_u64().unwrap(), "{description}: {}", answer.text());
        if text("path").starts_with("/dav/") || text("path").starts_with("/.well-known/") {
            known.compare(text("etag"), &answer.header("etag"), &description);
            known.compare(text("location"), &answer.header("location"), &description);
            known.compare(&without_dates(text("answer")), &without_dates(&answer.text()), &description);
        } else if !answer.body.is_empty() {
            let recorded = serde_json::from_str(text("answer")).unwrap_or_default();
            known.learn(&recorded, &serde_json::from_slice(&answer.body).unwrap_or_default());
        }
    }
    assert!(steps.len() > 10, "{name} is no recording");
}

#[test]
fn recorded_requests_of_thunderbird_are_answered_as_recorded() {
    replay("thunderbird");
}

#[test]
fn recorded_requests_of_evolution_are_answered_as_recorded() {
    replay("evolution");
}

#[test]
fn recorded_requests_of_syncevolution_are_answered_as_recorded() {
    replay("syncevolution");
}

#[test]
fn recorded_requests_of_vdirsyncer_are_answered_as_recorded() {
    replay("vdirsyncer");
}

#[test]
fn recorded_requests_of_tsdav_are_answered_as_recorded() {
    replay("tsdav");
}
