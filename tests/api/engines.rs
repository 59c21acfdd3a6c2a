//! Both engines answer the same calls with the same bytes, except ids, times and keys.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::app::{Answer, Place, SEED_REQUEST, Setup, TestApp};
use crate::postgres::Postgres;

/// A call. It refers to values of earlier answers by number.
#[derive(Debug, Clone)]
struct Call {
    user: &'static str,
    method: &'static str,
    path: Path,
    prefer: &'static str,
    /// `If-Match` with the ETag of an earlier answer.
    expects: Option<Index>,
    body: Option<String>,
}

#[derive(Debug, Clone)]
enum Path {
    Fixed(&'static str),
    Contact(&'static str, Index),
    /// Below a contact.
    Below(Index, &'static str),
    /// Below a deleted contact.
    Deleted(Index, &'static str),
    Next(Index),
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "\\PC{0,16}".prop_map(Value::from),
        2 => "[a-zA-ZäÄßéİı'\"\\\\%_ ]{0,8}".prop_map(Value::from),
        1 => ".{0,6}".prop_map(|text| Value::from(text.replace('\0', ""))),
        1 => select(vec![json!(null), json!(""), json!(" "), json!("\u{1}\t\n"), json!("\u{10ffff}\u{feff}é"), json!("null")]),
    ]
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::collection::vec((select(names), text()), 0..5)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>())
}

fn list<S: Strategy<Value = Value>>(entry: S) -> impl Strategy<Value = Value> {
    proptest::collection::vec(entry, 0..4).prop_map(Value::from)
}

fn property() -> impl Strategy<Value = (&'static str, Value)> {
    let texts = vec![
        "fileAs",
        "displayName",
        "givenName",
        "initials",
        "middleName",
        "nickName",
        "surname",
        "title",
        "generation",
        "yomiGivenName",
        "yomiSurname",
        "yomiCompanyName",
        "jobTitle",
        "companyName",
        "department",
        "officeLocation",
        "profession",
        "assistantName",
        "manager",
        "spouseName",
        "personalNotes",
        "gender",
        "weddingAnniversary",
    ];
    prop_oneof![
        6 => (select(texts), text()),
        1 => list(object(&["name", "address", "type", "otherLabel"])).prop_map(|list| ("emailAddresses", list)),
        1 => list(object(&["type", "number"])).prop_map(|list| ("phones", list)),
        1 => list(object(&["type", "postOfficeBox", "street", "city", "state", "countryOrRegion", "postalCode"]))
            .prop_map(|list| ("postalAddresses", list)),
        1 => list(object(&["type", "address", "displayName"])).prop_map(|list| ("websites", list)),
        2 => (select(vec!["categories", "imAddresses", "children"]), list(text())),
        1 => any::<Option<bool>>().prop_map(|favorite| ("isFavorite", json!(favorite))),
        1 => select(vec![json!("1974-07-22T00:00:00Z"), json!("1604-02-29T11:59:00+02:00"), json!("2000-13-01"), json!(null)])
            .prop_map(|birthday| ("birthday", birthday)),
        1 => select(vec![json!(null), json!({}), json!({"flagStatus": "complete"}),
                json!({"flagStatus": "flagged", "dueDateTime": {"dateTime": "2030-01-01T00:00:00", "timeZone": "UTC"}})])
            .prop_map(|flag| ("flag", flag)),
        2 => prop_oneof![text(), select(vec![json!("contacts"), json!("a"), json!("A")])]
            .prop_map(|folder| ("parentFolderId", folder)),
        1 => text().prop_map(|value| ("noSuchProperty", value)),
    ]
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => proptest::collection::vec(property(), 0..8).prop_map(|members| {
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>().to_string()
        }),
        1 => Just(SEED_REQUEST.to_owned()),
        1 => select(vec!["", "[]", "{", "{\"title\":1}", "{\"title\":\"\\u0000\"}"]).prop_map(str::to_owned),
    ]
}

/// A minimal GIF header with any text, or something that is not a picture.
fn photo() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,40}".prop_map(|text| format!("GIF89a\u{2}\0\u{3}\0\0\0\0{text}")),
        1 => select(vec!["", "GIF89a", "<svg/>"]).prop_map(str::to_owned),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let create = select(vec!["/me/contacts", "/me/contacts/$ref", "/beta/me/contacts", "/users/ann/contacts"]);
    let contact = || (select(vec!["/me/contacts", "/beta/users/ann/contacts"]), any::<Index>());
    let list = select(vec![
        "/me/contacts",
        "/me/contacts?$top=2",
        "/me/contacts?$top=3&$skip=1",
        "/beta/me/contacts?$skip=1000000000000",
        "/me/contacts?$top=0",
        "/me/contacts?$filter=x",
        "/me/contacts?$filter=surname%20gt%20'i'%20or%20emailAddresses/any(e:contains(e/address,'%C3%A4'))&$count=true",
        "/me/contacts?$orderby=title%20desc,nickName&$top=2",
        "/beta/me/contacts?$orderby=length(personalNotes),flag/flagStatus%20desc&$filter=not%20(title%20eq%20null)",
        "/v1.0/me/contacts?$orderby=mobilePhone&$filter=homeAddress/city%20ne%20'a'",
        "/me/contacts/$count?$filter=categories/$count%20gt%201",
        "/v1.0/me/contacts/$ref?$orderby=surname%20desc&$top=3&$format=json",
        "/me/contactFolders?$orderby=displayName%20desc,id&$top=2&$count=true",
        "/v1.0/me/contactFolders?$expand=contacts($top=2;$orderby=title),childFolders&$orderby=length(displayName)",
        "/me",
        "/users/bob",
        "/me/contacts/no-id",
        "/me/nothing",
        "/me/deletedContacts?$top=2&$count=true",
        "/v1.0/me/deletedContacts?$orderby=surname,id",
        "/me/contacts/01890000-0000-7000-8000-000000000000",
    ]);
    let path_and_body = prop_oneof![
        6 => (create, body()).prop_map(|(path, body)| ("POST", Path::Fixed(path), Some(body))),
        4 => (contact(), body()).prop_map(|((root, i), body)| ("PATCH", Path::Contact(root, i), Some(body))),
        2 => contact().prop_map(|(root, i)| ("GET", Path::Contact(root, i), None)),
        1 => contact().prop_map(|(root, i)| ("DELETE", Path::Contact(root, i), None)),
        1 => any::<Index>().prop_map(|i| ("POST", Path::Below(i, "/permanentDelete"), None)),
        1 => (select(vec!["GET", "DELETE"]), any::<Index>())
            .prop_map(|(method, i)| (method, Path::Contact("/me/deletedContacts", i), None)),
        1 => any::<Index>().prop_map(|i| ("POST", Path::Deleted(i, "/restore"), None)),
        3 => list.prop_map(|path| ("GET", Path::Fixed(path), None)),
        2 => any::<Index>().prop_map(|i| ("GET", Path::Next(i), None)),
        2 => (any::<Index>(), photo()).prop_map(|(i, photo)| ("PUT", Path::Below(i, "/photo/$value"), Some(photo))),
        2 => (select(vec!["GET", "DELETE"]), any::<Index>(), select(vec!["/photo", "/photo/$value"]))
            .prop_map(|(method, i, rest)| (method, Path::Below(i, rest), None)),
    ];
    let prefer = select(vec!["", "", "", "handling=strict", "return=minimal", "odata.maxpagesize=1"]);
    let user = select(vec!["ann", "ann", "ann", "bob", "app:sync"]);
    (user, path_and_body, prefer, proptest::option::weighted(0.2, any::<Index>()))
        .prop_map(|(user, (method, path, body), prefer, expects)| Call { user, method, path, prefer, expects, body })
}

/// The answers of one engine so far.
struct Side {
    app: TestApp,
    ids: Vec<String>,
    tags: Vec<String>,
    links: Vec<String>,
    /// Ids, keys and tokens in the order of their first appearance.
    names: HashMap<String, usize>,
}

impl Side {
    fn new(place: Place) -> Self {
        let app = TestApp::with(Setup { place, ..Setup::default() });
        Self { app, ids: Vec::new(), tags: Vec::new(), links: Vec::new(), names: HashMap::new() }
    }

    /// The normalized answer to a call, or `None` if it refers to a value that does not exist.
    fn answer(&mut self, call: &Call) -> Option<String> {
        let pick = |index: &Index, of: &[String]| (!of.is_empty()).then(|| index.get(of).clone());
        let path = match &call.path {
            Path::Fixed(path) => (*path).to_owned(),
            Path::Contact(root, index) => format!("{root}/{}", pick(index, &self.ids)?),
            Path::Below(index, rest) => format!("/me/contacts/{}{rest}", pick(index, &self.ids)?),
            Path::Deleted(index, rest) => format!("/me/deletedContacts/{}{rest}", pick(index, &self.ids)?),
            Path::Next(index) => pick(index, &self.links)?,
        };
        let mut client = self.app.user(call.user);
        if !call.prefer.is_empty() {
            client = client.with("Prefer", call.prefer);
        }
        if let Some(index) = &call.expects {
            client = client.with("If-Match", &pick(index, &self.tags)?);
        }
        let body = call.body.as_ref().map(|body| body.clone().into_bytes());
        let answer = client.send(call.method, &path, body);
        if answer.status == 201 {
            self.ids.push(answer.id());
        }
        self.tags.extend(Some(answer.header("etag")).filter(|tag| !tag.is_empty()));
        let link = serde_json::from_slice(&answer.body)
            .ok()
            .and_then(|body: Value| body.get("@odata.nextLink").map(|link| link.as_str().unwrap().to_owned()));
        self.links.extend(link);
        Some(self.settled(&answer))
    }

    /// Status, headers and body. Values that differ between servers are replaced by names.
    fn settled(&mut self, answer: &Answer) -> String {
        let mut text = format!("{}\n", answer.status);
        let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in headers {
            let is_generated = matches!(name.as_str(), "request-id" | "client-request-id" | "content-length");
            let value = if is_generated { "…" } else { value.to_str().unwrap() };
            text.extend([name.as_str(), ": ", value, "\n"]);
        }
        text += &String::from_utf8(answer.body.clone()).unwrap();
        self.name_all(&text.replace(&self.app.address, "HOST"))
    }

    fn name_all(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(token) = generated_value(rest, &out) {
                let next = self.names.len();
                out.push('#');
                out += &self.names.entry(token.to_owned()).or_insert(next).to_string();
                rest = &rest[token.len()..];
            } else if let Some(time) = rest.get(..19).filter(|time| is_now(time)) {
                out += "TIME";
                rest = &rest[time.len()..];
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        out
    }
}

/// The id, key or page token at the start of `rest`, recognised by its form and the text before it.
fn generated_value<'t>(rest: &'t str, before: &str) -> Option<&'t str> {
    if let Some(id) = rest.get(..36).filter(|id| uuid::Uuid::parse_str(id).is_ok()) {
        return Some(id);
    }
    let led = ["W/\"", "W/\\\"", "\"changeKey\":\"", "skiptoken="].iter().any(|lead| before.ends_with(lead));
    let end = rest.find(['"', '\\', '&', '\n'])?;
    (led && end > 0).then(|| &rest[..end])
}

fn is_now(time: &str) -> bool {
    chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S")
        .is_ok_and(|time| chrono::Utc::now().naive_utc().signed_duration_since(time).num_minutes().abs() < 10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_answer_the_same_calls_alike(calls in proptest::collection::vec(call(), 1..60)) {
        let mut sqlite = Side::new(Place::File);
        let mut postgres = Side::new(Place::Postgres(Postgres::shared().schema()));
        for call in &calls {
            prop_assert_eq!(sqlite.answer(call), postgres.answer(call), "{:?}", call);
        }
        for user in ["ann", "bob"] {
            let path = Path::Fixed("/me/contacts?$top=1000");
            let list_call = Call { user, method: "GET", path, prefer: "", expects: None, body: None };
            prop_assert_eq!(sqlite.answer(&list_call), postgres.answer(&list_call));
        }
        for table in ["contacts", "emails", "phones", "addresses", "websites", "flags", "categories", "im_addresses",
                      "children", "folded", "photos", "photo_chunks", "folders", "changes", "idempotency_keys", "users", "mailboxes"] {
            let count = format!("select count(*) from {table}");
            prop_assert_eq!(sqlite.app.count(&count), postgres.app.count(&count), "{}", table);
        }
    }
}
