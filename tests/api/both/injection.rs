//! Hostile texts in every part of a URL that a client can choose. Each is treated as plain text or refused, and
//! changes nothing.

use contactd::domain::plain::is_plain;
use contactd::percent::percent_encode;
use serde_json::{Value, json};

use crate::app::{Answer, Client, TestApp};

/// Texts that are percent-encoded before they are sent.
fn texts() -> Vec<String> {
    let mut texts: Vec<_> = [
        "'",
        "''",
        "\"",
        "`",
        "'; drop table contacts; --",
        "'); delete from folders where ('1'='1",
        "1; update contacts set title = 'x'",
        "' or '1'='1",
        "' union select secret from store --",
        "x' || (select 1/0) || '",
        "$1",
        "?1",
        ":x",
        "@p",
        "@@version",
        "\0",
        "a\0b",
        "\\",
        "\\'; --",
        "%",
        "%27",
        "%2527",
        "%00",
        "%%%",
        "{0}",
        "{{}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "\r\nSet-Cookie: a=b",
        "\n",
        "\t",
        " ",
        "../../../../etc/passwd",
        "..",
        "/",
        "//",
        ";",
        ",",
        ",,,",
        "()",
        ")(",
        "((((((((((",
        "))))))))))",
        "contacts(",
        "contacts($filter=')",
        "childFolders($orderby=displayName;;;$top=99999999999999999999)",
        "*",
        "-1",
        "99999999999999999999999999",
        "1e9",
        "NaN",
        "true or true",
        "not not not",
        "displayName eq 'x' or",
        "displayName desc desc",
        "null",
        "id",
        "É\u{301}ß\u{130}\u{131}",
        "日本語",
        "\u{202e}\u{feff}\u{200b}",
        "𐐀\u{10ffff}",
        "\u{fffd}\u{fffe}",
        "\u{1}\u{7f}\u{85}",
        "application/json;odata.metadata=none",
        "text/html",
        "AAAAAA",
        "____----",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for long in ["x", "'", "(", "%", "é", "not ", "a/", "id,", "contacts("] {
        texts.push(long.repeat(9_000 / long.len()));
    }
    texts
}

/// Texts that are sent unchanged.
const RAW: [&str; 14] = [
    "%",
    "%2",
    "%zz",
    "%ff",
    "%C0%80",
    "%ED%A0%80",
    "%00",
    "%2500",
    "%252527",
    "+",
    "'+or+'1'='1",
    "%u0027",
    "=",
    "=&=&=",
];

/// Asserts a status below 500, and the body of an error.
#[track_caller]
fn assert_harmless(answer: &Answer, sent: &str) {
    let sent: String = sent.chars().take(200).collect();
    assert!([200, 400, 404, 406].contains(&answer.status), "{sent}: {}", answer.status);
    if answer.status != 200 {
        assert!(!answer.error().1.is_empty(), "{sent}");
        assert!(answer.body.len() < 3_000, "{sent}: {} bytes", answer.body.len());
    }
    assert_eq!(answer.header("set-cookie"), "", "{sent}");
}

/// The complete content of a mailbox.
fn everything(client: &Client) -> [Value; 3] {
    ["/me/contacts?$top=1000", "/me/contactFolders?$top=1000&$expand=childFolders", "/v1.0/me/contacts?$top=1000"]
        .map(|path| client.get(path).json(200))
}

struct Mailbox {
    app: TestApp,
    ann: Client,
    folder: String,
    contact: String,
    before: [Value; 3],
}

impl Mailbox {
    fn new() -> Self {
        let app = TestApp::new();
        let ann = app.user("ann");
        let folder = ann.post("/me/contactFolders", json!({"displayName": "O'Neil's; --"})).id();
        ann.post(&format!("/me/contactFolders/{folder}/childFolders"), json!({"displayName": "%27"}));
        ann.post(&format!("/me/contactFolders/{folder}/contacts"), json!({"surname": "'; drop table contacts; --"}));
        let contact = ann.post("/me/contacts", json!({"displayName": "O'Neil", "categories": ["a'b", "%"]})).id();
        app.user("bob").post("/me/contacts", json!({"displayName": "not Ann's"}));
        let before = everything(&ann);
        Self { app, ann, folder, contact, before }
    }

    #[track_caller]
    fn assert_unchanged(&self) {
        assert_eq!(everything(&self.ann), self.before);
        let counts =
            "select (select count(*) from contacts), (select count(*) from folders), (select count(*) from users)";
        assert_eq!(self.app.sql(counts), "3|4|2");
    }
}

#[test]
fn every_option_takes_or_refuses_whatever_is_sent() {
    let mailbox = Mailbox::new();
    let Mailbox { ann, folder, contact, .. } = &mailbox;
    let lists = ["/me/contacts", "/v1.0/me/contactFolders"];
    let others = [
        "/v1.0/me/contacts/$ref".to_owned(),
        "/me/contacts/$count".to_owned(),
        "/me/contactFolders/$count".to_owned(),
        "/me/outlook/masterCategories".to_owned(),
        "/v1.0/me/outlook/masterCategories/$count".to_owned(),
        format!("/v1.0/me/contactFolders/{folder}/contacts"),
        format!("/me/contactFolders/{folder}/childFolders"),
        format!("/me/contacts/{contact}"),
        format!("/me/contactFolders/{folder}"),
        "/me".to_owned(),
        "/".to_owned(),
        "/$metadata".to_owned(),
    ];
    let options = ["$filter", "$orderby", "$select", "$top", "$skip", "$count", "$skiptoken", "$expand", "$format"];
    let values: Vec<_> = texts().iter().map(|text| percent_encode(text)).chain(RAW.map(str::to_owned)).collect();
    for (i, value) in values.iter().enumerate() {
        for (j, option) in options.into_iter().enumerate() {
            // Lists get every text; other calls get them in turn.
            for path in lists.into_iter().chain([others[(i + j) % others.len()].as_str()]) {
                let sent = format!("{path}?{option}={value}");
                assert_harmless(&ann.get(&sent), &sent);
            }
        }
        for sent in [
            // As a literal, and as an unterminated one.
            format!("/me/contacts?$filter=surname%20eq%20'{value}'"),
            format!("/me/contactFolders?$filter=startswith(displayName,'{value}')%20or%20id%20eq%20'{value}'"),
            format!("/me/contacts?$orderby=concat(surname,'{value}')%20desc"),
            format!("/me/contactFolders?$orderby=contains(displayName,'{value}'),displayName"),
            format!("/me/outlook/masterCategories?$filter=displayName%20eq%20'{value}'%20or%20color%20eq%20'{value}'"),
            // As the value and as the name of an alias.
            format!("/me/contacts?$filter=surname%20eq%20@p&@p={value}"),
            format!("/me/contactFolders?$filter=displayName%20eq%20@p&@p='{value}'&$orderby=displayName"),
            format!("/me/contacts?@{value}=1&$filter=surname%20eq%20@{value}"),
            // Inside an expansion.
            format!("/me/contactFolders?$expand=contacts($filter=surname%20eq%20'{value}';$top=1),childFolders"),
            format!("/me/contactFolders?$expand=contacts({value})"),
            format!("/me/contactFolders/{folder}?$expand=childFolders($orderby={value})"),
            // As the name of an option.
            format!("/me/contacts?${value}=1"),
            format!("/me/contactFolders?{value}=1&{value}"),
        ] {
            assert_harmless(&ann.get(&sent), &sent);
        }
    }
    mailbox.assert_unchanged();
}

#[test]
fn every_part_of_a_path_takes_or_refuses_whatever_is_sent() {
    let mailbox = Mailbox::new();
    let Mailbox { ann, folder, contact, .. } = &mailbox;
    let bob = mailbox.app.user("bob");
    for value in texts().iter().map(|text| percent_encode(text)).chain(RAW.map(str::to_owned)) {
        for sent in [
            format!("/me/contacts/{value}"),
            format!("/v1.0/me/contacts('{value}')"),
            format!("/me/contacts/{contact}{value}"),
            format!("/me/contactFolders/{value}"),
            format!("/me/contactFolders('{value}')"),
            format!("/me/contactFolders/{folder}{value}"),
            format!("/me/contactFolders/{value}/contacts"),
            format!("/me/contactFolders/{value}/contacts/$count"),
            format!("/v1.0/me/contactFolders('{value}')/contacts/$ref?$orderby=surname"),
            format!("/me/contactFolders/{value}/childFolders?$orderby=displayName&$expand=contacts"),
            format!("/me/contactFolders/{folder}/childFolders/{value}"),
            format!("/me/contactFolders/{folder}/contacts/{value}"),
            format!("/me/outlook/masterCategories/{value}"),
            format!("/me/outlook/masterCategories('{value}')"),
            format!("/users/{value}/contacts"),
            format!("/users('{value}')/contactFolders"),
        ] {
            assert_harmless(&ann.get(&sent), &sent);
            // Other users see none of Ann's data.
            let others = bob.get(&sent);
            assert_harmless(&others, &sent);
            assert!(!String::from_utf8_lossy(&others.body).contains("O'Neil"), "{sent}");
        }
    }
    mailbox.assert_unchanged();
}

/// Asserts that a text is refused as an id or a name, which are printed and logged, and accepted in a contact.
#[track_caller]
fn assert_no_name(ann: &Client, text: &str) {
    let count = || ann.get("/me/contacts/$count").body;
    let before = count();
    for (path, body, target) in [
        ("/me/contacts", json!({"parentFolderId": text}), "parentFolderId"),
        ("/me/contacts/$ref", json!({"parentFolderId": text}), "parentFolderId"),
        ("/me/contactFolders", json!({"displayName": text}), "displayName"),
        ("/me/outlook/masterCategories", json!({"displayName": text}), "displayName"),
    ] {
        let refused = ann.post(path, body.clone()).error();
        assert_eq!((refused.0, refused.2.as_str()), (400, target), "{path} {text:?}");
    }
    for path in ["/me/contactFolders/contacts/childFolders", "/me/contactFolders"] {
        assert_eq!(ann.post(path, json!({"displayName": format!("x{text}y")})).error().0, 400, "{path} {text:?}");
    }
    assert_eq!(count(), before);
    let kept = ann.post("/v1.0/me/contacts", json!({"surname": text, "categories": [text], "parentFolderId": text}));
    assert_eq!(kept.json(201)["surname"], text);
    ann.delete(&format!("/me/contacts/{}", kept.id())).empty(204);
}

#[test]
fn what_is_written_under_a_hostile_name_is_read_under_it() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (i, text) in texts().into_iter().enumerate() {
        if text.contains('\0') || text.trim().is_empty() || text.chars().count() > 255 {
            assert_eq!(ann.post("/me/contactFolders", json!({"displayName": text})).error().0, 400, "{text:?}");
            continue;
        }
        if !is_plain(&text) {
            assert_no_name(&ann, &text);
            continue;
        }
        let body = json!({"displayName": i.to_string(), "parentFolderId": text, "surname": text, "categories": [text]});
        let created = ann.post("/me/contacts", body);
        assert_eq!(created.json(201)["parentFolderId"], text);
        let quoted = percent_encode(&text.replace('\'', "''"));
        let path = format!("/v1.0/me/contactFolders('{quoted}')");
        let folder = ann.get(&format!("{path}?$expand=contacts($filter=surname%20eq%20'{quoted}')")).json(200);
        assert_eq!((&folder["id"], &folder["displayName"]), (&json!(text), &json!(text)));
        assert_eq!(folder["contacts"][0]["id"], created.id(), "{text:?}");
        for filter in [
            format!("surname%20eq%20'{quoted}'%20and%20displayName%20eq%20'{i}'"),
            format!("categories/any(c:c%20eq%20@p)%20and%20displayName%20eq%20'{i}'&@p='{quoted}'"),
            format!("parentFolderId%20eq%20'{quoted}'&$orderby=concat(surname,'{quoted}')"),
        ] {
            let found = ann.get(&format!("/me/contacts?$filter={filter}")).json(200);
            assert_eq!(found["value"][0]["id"], created.id(), "{text:?} {filter}");
            assert_eq!(found["value"].as_array().unwrap().len(), 1, "{text:?} {filter}");
        }
        let context = ann.get(&format!("{path}/contacts")).json(200)["@odata.context"].clone();
        assert!(context.as_str().unwrap().is_ascii(), "{context}");
    }
    let kept = "select count(*) from contacts where deleted_date_time is null";
    assert_eq!(app.count(kept), app.count("select count(*) from folders") - 1);
}
