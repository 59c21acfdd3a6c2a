//! The plans of the program's statements on SQLite, which has no statistics: none reads what a mailbox has, unless it must.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::Client;
use crate::program::{Place, Program, contactd};
use crate::receiver::Receiver;
use crate::walk::walk;

/// The tables that grow with the contacts of a mailbox.
const LARGE: [&str; 16] = [
    "contacts",
    "emails",
    "phones",
    "addresses",
    "websites",
    "flags",
    "categories",
    "photos",
    "photo_chunks",
    "cards",
    "card_texts",
    "changes",
    "imported",
    "import_contacts",
    "extensions",
    "single_values",
];

/// The indexes that have few rows: what is deleted, and the changes that are kept for long.
const SMALL: [&str; 3] = ["contacts_deleted", "cards_gone", "changes_kept"];

/// The beginnings of statements that may.
const ALLOWED: [&str; 4] = [
    // Lists have plans of their own: see the tests of the store. A list without an order has that of the primary key.
    "with page (",
    // The first synchronization.
    "select id, max(seq) from (select c.id as id, c.version as seq from contacts c",
    // The foreign key of contacts is checked when a folder is purged. An index for it alone would make each create slower.
    "delete from folders where",
    "insert into folders",
];

const CARD: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:plan-1\r\nFN:Paula Plan\r\nN:Plan;Paula;;;\r\nEMAIL:paula@example.org\r\nEND:VCARD\r\n";
const BOOK: &str = "/dav/addressbooks/ann/contacts/";

/// The steps of a plan that read all rows of a large table, or all of a mailbox.
fn whole_reads(statement: &str, plan: &str) -> Vec<String> {
    let words: Vec<_> = statement.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_large = |step: &str| {
        let name = step.split(' ').nth(1).unwrap_or_default();
        LARGE.iter().any(|table| *table == name || words.windows(2).any(|two| two == [*table, name]))
    };
    // The entries of one contact: a subquery has the name of its table.
    let is_of_contact = |step: &str| step == "SCAN x";
    // `exists` ends at the first row.
    let ends_early = |step: &str| {
        step.contains("COVERING INDEX changes_by_folder") && statement.contains("exists (select 1 from changes")
    };
    let is_whole = |step: &&str| {
        let reads_all = step.starts_with("SCAN ") || step.ends_with("(mailbox=?)");
        reads_all
            && is_large(step)
            && !is_of_contact(step)
            && !ends_early(step)
            && !SMALL.iter().any(|index| step.contains(index))
    };
    plan.split("; ").filter(is_whole).map(str::to_owned).collect()
}

fn use_cards(ann: &Client) {
    let xml = ann.with("Content-Type", "application/xml");
    let ask = |method: &str, path: &str, depth: &str, body: &str| {
        let answer = xml.with("Depth", depth).send(method, path, Some(body.as_bytes().to_vec()));
        assert_eq!(answer.status, 207, "{method} {path} {}", answer.text());
        answer.text()
    };
    let names = "xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\"";
    let all = format!("<D:propfind {names}><D:allprop/></D:propfind>");
    let cards = ann.with("Content-Type", "text/vcard");
    let put =
        |name: &str, card: &str| cards.send("PUT", &format!("{BOOK}{name}"), Some(card.as_bytes().to_vec())).status;
    assert_eq!(put("a.vcf", &CARD.replace("plan-1", "plan-2")), 201);
    ask("PROPFIND", "/dav/addressbooks/ann/", "1", &all);
    ask("PROPFIND", BOOK, "1", &all);
    let sync = |token: &str| {
        format!(
            "<D:sync-collection {names}><D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"
        )
    };
    let first = ask("REPORT", BOOK, "0", &sync(""));
    let token = first.split_once("<D:sync-token>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0;
    assert_eq!(put("a.vcf", &CARD.replace("plan-1", "plan-2").replace("Paula", "Pauline")), 204);
    assert_eq!(ann.get(&format!("{BOOK}a.vcf")).status, 200);
    ask("REPORT", BOOK, "0", &sync(token));
    let wanted = format!("<D:href>{BOOK}a.vcf</D:href>");
    let multiget =
        format!("<C:addressbook-multiget {names}><D:prop><C:address-data/></D:prop>{wanted}</C:addressbook-multiget>");
    ask("REPORT", BOOK, "0", &multiget);
    let to = cards.with("Destination", &format!("{BOOK}b.vcf"));
    assert_eq!(to.send("MOVE", &format!("{BOOK}a.vcf"), None).status, 201);
    assert_eq!(ann.delete(&format!("{BOOK}b.vcf")).status, 204);
}

fn import(ann: &Client) {
    let cards = ann.with("Content-Type", "text/vcard");
    for (file, done) in
        [(CARD.to_owned(), "created"), (CARD.to_owned(), "unchanged"), (CARD.replace("Plan", "Plane"), "updated")]
    {
        let answer = cards.send("POST", "/me/contacts/$import?match=email", Some(file.into_bytes())).text();
        let counts: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
        assert_eq!(counts["counts"][done], 1, "{answer}");
    }
    for format in ["vcard3", "csv-google", "jscontact", "ndjson"] {
        assert_eq!(ann.get(&format!("/me/contacts/$export?format={format}")).status, 200);
    }
}

#[test]
fn no_statement_reads_more_of_a_mailbox_than_it_must() {
    let (place, receiver) = (Place::new(), Receiver::new());
    let mut server = Program::start(contactd(&[
        "serve",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--log-level",
        "debug",
        "--slow-query",
        "1us",
        "--allow-notification-target",
        "127.0.0.1",
        "--database",
        place.database().to_str().unwrap(),
    ]));
    let client = |user: &str| Client::new(&server.address, user);
    client("bob").get("/v1.0/me").json(200);
    let frozen = json!({"mode": "frozen", "now": "2026-01-01T00:00:00Z"}).to_string();
    client("").send("PUT", "/_contactd/clock", Some(frozen.into_bytes())).json(200);
    let stops = walk(client, "ann", "bob", (&receiver.url("/hook"), "2026-01-02T00:00:00Z"));
    use_cards(&client("ann"));
    import(&client("ann"));
    // What was deleted is purged, then the log of changes.
    for _ in 0..2 {
        client("").post("/_contactd/clock/advance", json!({"by": "P300D"})).json(200);
    }
    server.signal("TERM");
    assert!(server.ended(Duration::from_mins(1)).success());
    let lines: Vec<Value> = server.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (mut statements, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for line in &lines {
        if let (Some(statement), Some(plan)) = (line["statement"].as_str(), line["plan"].as_str()) {
            statements.insert(statement);
            if !ALLOWED.iter().any(|start| statement.starts_with(start)) {
                whole.extend(whole_reads(statement, plan).into_iter().map(|step| format!("{step}: {statement}")));
            }
        }
    }
    assert!(statements.len() > stops.len(), "{} statements", statements.len());
    assert!(whole.is_empty(), "{whole:#?}");
}
