//! CardDAV: requests as clients send them, and common mistakes of servers.

mod callers;
mod cards;
mod clients;
mod discovery;
mod following;
mod groups;
mod hostile;
mod matrix;
mod properties;
mod replayed;
mod reports;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app::{Answer, Client, TestApp};

pub(super) const BOOK: &str = "/dav/addressbooks/ann/contacts/";

/// A client with Basic authentication as with `--dev`: user and password are equal.
pub(super) fn basic(app: &TestApp, name: &str) -> Client {
    with_basic(&app.user(""), name, name)
}

pub(super) fn with_basic(client: &Client, user: &str, password: &str) -> Client {
    client.with("Authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// Sends a request with these headers and a body.
pub(super) fn ask(client: &Client, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut client = client.clone();
    for (name, value) in headers {
        client = client.with(name, value);
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) && !body.is_empty() {
        let is_card = body.starts_with("BEGIN");
        client = client.with("Content-Type", if is_card { "text/vcard" } else { "application/xml" });
    }
    client.send(method, path, (!body.is_empty()).then(|| body.as_bytes().to_vec()))
}

/// PROPFIND of these properties, in their prefixes D, C and CS.
pub(super) fn propfind(client: &Client, path: &str, depth: &str, properties: &str) -> Answer {
    let body = format!("<D:propfind {NAMESPACES}><D:prop>{properties}</D:prop></D:propfind>");
    ask(client, "PROPFIND", path, &[("Depth", depth)], &body)
}

pub(super) const NAMESPACES: &str =
    "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\" xmlns:CS=\"http://calendarserver.org/ns/\"";

pub(super) fn put(client: &Client, path: &str, headers: &[(&str, &str)], card: &str) -> Answer {
    ask(client, "PUT", path, headers, card)
}

pub(super) fn report(client: &Client, path: &str, root: &str, inside: &str) -> Answer {
    ask(client, "REPORT", path, &[("Depth", "0")], &format!("<{root} {NAMESPACES}>{inside}</{root}>"))
}

pub(super) fn multiget(client: &Client, path: &str, data: &str, hrefs: &[&str]) -> Answer {
    let hrefs: String = hrefs.iter().map(|href| format!("<D:href>{href}</D:href>")).collect::<Vec<_>>().concat();
    report(client, path, "C:addressbook-multiget", &format!("<D:prop><D:getetag/>{data}</D:prop>{hrefs}"))
}

/// sync-collection. Returns changed names with ETags, removed names, and the new token.
pub(super) fn sync(client: &Client, path: &str, token: &str) -> (Vec<(String, String)>, Vec<String>, String) {
    let inside =
        format!("<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>");
    let answer = report(client, path, "D:sync-collection", &inside);
    assert_eq!(answer.status, 207, "{}", answer.text());
    parse(&answer.text())
}

/// The responses of a `sync-collection`.
pub(super) fn parse(text: &str) -> (Vec<(String, String)>, Vec<String>, String) {
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    for response in all(text, "<D:response>", "</D:response>") {
        let href = between(&response, "<D:href>", "</D:href>");
        match response.split_once("<D:getetag>") {
            Some((_, rest)) => changed.push((href, between(rest, "", "</D:getetag>"))),
            None if response.contains("404 Not Found") => gone.push(href),
            None => assert!(response.contains("507"), "{response}"),
        }
    }
    (changed, gone, between(text, "<D:sync-token>", "</D:sync-token>"))
}

/// The first text between two others.
#[track_caller]
pub(super) fn between(text: &str, before: &str, behind: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before} is not in {text}")).1;
    rest.split_once(behind).unwrap_or_else(|| panic!("{behind} is not in {text}")).0.to_owned()
}

/// All texts between two others.
pub(super) fn all(text: &str, before: &str, behind: &str) -> Vec<String> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(behind)?.0.to_owned())).collect()
}

/// A card of version 3.0.
pub(super) fn card(uid: &str, lines: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\n{lines}END:VCARD\r\n")
}

pub(super) const ADA: &str = "N:Lovelace;Ada;;;\r\nFN:Ada Lovelace\r\n";

/// The contacts as Graph lists them.
pub(super) fn contacts(client: &Client) -> Vec<Value> {
    client.get("/v1.0/me/contacts?$top=1000").json(200)["value"].as_array().unwrap().clone()
}
