//! Contacts that are awkward to compare, sort and search.

use serde_json::{Value, json};

use crate::domain::contact::Contact;
use crate::domain::handling::Handling;
use crate::graph::json::contact::read::{Purpose, read};
use crate::json::Json;
use crate::odata::shape::Shape;
use crate::store::tests::*;

/// Texts with special cases of folding, sorting, matching or quoting.
pub(super) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "a",
        "A",
        "ann",
        "Ann",
        "ANN",
        "b",
        "ä",
        "Ä",
        "é",
        "É",
        "e\u{301}",
        "E\u{301}",
        "ß",
        "ẞ",
        "ss",
        "SS",
        "ı",
        "İ",
        "i",
        "I",
        "i\u{307}",
        "ſ",
        "s",
        "\u{212a}",
        "k",
        "\u{212b}",
        "å",
        "Σ",
        "σ",
        "ς",
        "😀",
        "😀b",
        "a😀",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{fb00}",
        "%",
        "_",
        "\\",
        "a%b",
        "a_b",
        "axb",
        "a\\b",
        "O'Neil",
        "o''neil",
        "\"q\"",
        "' or 1=1 --",
        "\u{1}",
        "\t x \t",
        "\u{a0}x\u{3000}",
        "x ",
        "x",
        "Ж",
        "ж",
        "日本",
        "\u{1c80}",
        "в",
        "\u{13a0}",
        "\u{ab70}",
        "ᾳ",
        "ᾼ",
        "𐐀",
        "𐐨",
        "µ",
        "μ",
        "$1",
        "null",
        "10",
        "9",
    ]
    .map(str::to_owned)
    .to_vec();
    for end in ["", "a", "B", "é"] {
        texts.push("Pé".repeat(32) + end);
    }
    texts
}

/// Ids of extended properties: the names of two differ in letter case only.
pub(super) const SINGLE: [&str; 4] = [
    "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color",
    "String {66F5A359-4659-4830-9070-00047EC6AC6E} Name color",
    "String {66f5a359-4659-4830-9070-00047ec6ac6e} Id 0x8012",
    "Integer 0x3001",
];
pub(super) const MULTI: [&str; 3] = [
    "StringArray {66f5a359-4659-4830-9070-00047ec6ac6e} Name É o'x",
    "stringarray {66f5a359-4659-4830-9070-00047ec6ac6e} name é O'x",
    "BinaryArray 0x3001",
];

/// The value as JSON; every fifth is null.
fn pick(texts: &[String], i: usize) -> Value {
    if i.is_multiple_of(5) { Value::Null } else { json!(texts[i % texts.len()]) }
}

fn bodies() -> Vec<Value> {
    let texts = texts();
    let of = |i: usize| pick(&texts, i);
    let body = |i: usize| {
        let mut body = json!({
            "displayName": texts[i % texts.len()], "surname": of(i * 7 + 1), "givenName": of(i * 3), "nickName": of(i * 11 + 2),
            "title": of(i * 13 + 3), "companyName": of(i * 17 + 4), "fileAs": of(i * 5 + i % 2), "personalNotes": of(i * 2),
            "isFavorite": ([json!(null), json!(true), json!(false)][i % 3]),
            "birthday": ([json!(null), json!("1974-07-22"), json!("1604-02-29T23:59:59.9999999-05:00"),
                         json!("2017-01-01T00:03:13.7306563+03:00"), json!("9999-12-31T23:59:59-14:00"),
                         json!("0001-01-01T00:00:00+14:00"), json!("2000-02-29T12:30:00Z")][i % 7]),
            "weddingAnniversary": ([json!(null), json!("2001-06-30"), json!("Date"), json!("1600-02-29"), json!("1969-12-31")][i % 5]),
            "flag": ([json!(null), json!({"flagStatus": "flagged", "dueDateTime": {"dateTime": "2024", "timeZone": "É"}}),
                     json!({"flagStatus": "STRAẞE"}), json!({"dueDateTime": {"timeZone": "UTC"}})][i % 4]),
            "parentFolderId": (["contacts", "Äpfel"][i % 2]),
        });
        let list = |count: usize, entry: &dyn Fn(usize) -> Value| (0..count).map(entry).collect::<Value>();
        let string = |i: usize| json!(texts[i % texts.len()]);
        body["emailAddresses"] = list(
            i % 4,
            &|j| json!({"address": of(i + 9 * j), "name": of(i * 3 + j), "type": (["work", "ÄNDERE", "other"][j % 3]), "otherLabel": of(i + j)}),
        );
        body["phones"] = list(
            i % 5,
            &|j| json!({"type": (["home", "business", "mobile", "pager"][(i + j) % 4]), "number": of(i + j)}),
        );
        body["postalAddresses"] = list(
            i % 3,
            &|j| json!({"type": (["home", "business", "other"][(i + j) % 3]), "city": of(i + j), "street": of(2 * i + j)}),
        );
        body["websites"] = list(
            (i + 1) % 3,
            &|j| json!({"type": (["work", "home"][(i + j) % 2]), "address": of(i + j), "displayName": of(3 * i + j)}),
        );
        body["categories"] = list(i % 3, &|j| string(i + j));
        body["imAddresses"] = list((i + 2) % 3, &|j| string(2 * i + j));
        body["children"] = list((i + 1) % 2, &|j| string(3 * i + j));
        body["extensions"] = list(
            i % 3,
            &|j| json!({"extensionName": (["org.a", "org.A", "org.b"][(i / 3 + j) % 3]), "text": of(i), "nested": {"x": [1]}}),
        );
        body["singleValueExtendedProperties"] =
            list((i + 1) % 4, &|j| json!({"id": SINGLE[(i + j) % SINGLE.len()], "value": string(i + 5 * j)}));
        body["multiValueExtendedProperties"] = list(
            (i + 2) % 3,
            &|j| json!({"id": MULTI[(i + j) % MULTI.len()], "value": list((i + j) % 3, &|k| string(i + 7 * j + k))}),
        );
        body
    };
    (0..texts.len()).map(body).collect()
}

/// A store with all of them, and the contacts.
pub(super) async fn filled() -> (Opened, Vec<Contact>) {
    let o = opened().await;
    let patch = |body: Value| {
        let json = Json::read(body.to_string().as_bytes()).unwrap();
        read(Shape::Beta, json, Handling::Lenient, Purpose::Create).unwrap()
    };
    let mut contacts = o.store.insert_many(o.mailbox, bodies().into_iter().map(patch).collect()).await.unwrap();
    // As they are read.
    for contact in &mut contacts {
        contact.expanded = None;
    }
    (o, contacts)
}

pub(super) fn noted(notes: &str) -> ContactPatch {
    let mut patch = ContactPatch::default();
    patch.texts[Text::PersonalNotes as usize] = Some(Some(notes.to_owned()));
    patch
}
