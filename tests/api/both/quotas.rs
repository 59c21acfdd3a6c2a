//! Limits of a mailbox: every call that would exceed one is refused, and the stored size is counted exactly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contactd::store::Options;
use serde_json::{Value, json};

use super::dav::{BOOK, ask, basic, card, put};
use super::pictures::gif;
use crate::app::{Answer, Client, Setup, TestApp};

const SINGLE: &str = "singleValueExtendedProperties";

fn limited(max_contacts: i64, max_mailbox_bytes: i64) -> TestApp {
    TestApp::with(Setup {
        options: Options { max_contacts, max_mailbox_bytes, ..Options::default() },
        ..Setup::default()
    })
}

#[track_caller]
fn assert_full(answer: &Answer, message: &str) {
    assert_eq!(answer.error(), (403, "quotaLimitReached".into(), String::new()), "{}", answer.message());
    assert!(answer.message().contains(message), "{}", answer.message());
}

/// All stored rows, except those that any call writes.
fn stored_rows(app: &TestApp) -> String {
    let tables = ["contacts", "photos", "extension_members", "single_values", "multi_values", "folder_single_values"];
    let counts = tables.map(|table| app.sql(&format!("select count(*) from {table}")));
    format!("{counts:?} {}", app.sql("select id, seq, contacts, bytes from mailboxes order by id"))
}

/// Asserts that the counters match the rows.
fn assert_exact(app: &TestApp) {
    // As the migration counts existing rows; cards are newer.
    let counted = include_str!("../../../migrations/sqlite/V16__counters.sql").split_once("    bytes = ").unwrap().1;
    let counted = counted.split_once(';').unwrap().0;
    let text = format!(
        "select id, contacts - (select count(*) from contacts where mailbox = mailboxes.id), bytes - ({counted})
    - (select coalesce(sum(octet_length(text)), 0) from card_texts where mailbox = mailboxes.id)
from mailboxes order by id"
    );
    for line in app.sql(&text).lines() {
        assert!(line.ends_with("|0|0"), "mailbox, contacts and bytes too many: {line}");
    }
}

fn property(length: usize) -> Value {
    json!([{"id": "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name x", "value": "x".repeat(length)}])
}

#[test]
fn the_contact_limit_applies_to_every_call_that_creates_one() {
    let app = limited(3, 1 << 40);
    let (ann, bob, message) = (app.user("ann"), app.user("bob"), "at most 3 contacts");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "x"})).id();
    let kept = ann.post("/me/contacts", json!({"surname": "kept"})).id();
    for path in [format!("/me/contactFolders/{folder}/contacts"), "/v1.0/me/contacts".to_owned()] {
        ann.post(&path, json!({"surname": "x"})).json(201);
    }
    let before = stored_rows(&app);
    let refused = || {
        for path in ["/me/contacts/$ref", "/me/contacts", "/v1.0/me/contacts", "/users/ann/contacts"] {
            assert_full(&ann.post(path, json!({"surname": "x"})), message);
        }
        assert_full(&ann.post("/me/contacts/%24ref", crate::app::SEED_REQUEST), message);
        assert_full(&ann.post(&format!("/me/contactFolders/{folder}/contacts"), json!({})), message);
        // Also if it would create a folder, and if it has extensions or properties.
        assert_full(&ann.post("/me/contacts", json!({"parentFolderId": "new"})), message);
        assert_full(&ann.post("/me/contacts", json!({"parentFolderId": "CONTACTS"})), message);
        assert_full(&ann.post("/me/contacts", json!({SINGLE: property(3)})), message);
        assert_full(&ann.with("Idempotency-Key", "k").post("/me/contacts", json!({"surname": "x"})), message);
        let step = |id: &str, url: &str| json!({"id": id, "method": "POST", "url": url, "body": {"surname": "x"}});
        let steps = json!({"requests": [step("1", "/me/contacts"), step("2", "/me/contacts")]});
        for response in ann.post("/$batch", steps).json(200)["responses"].as_array().unwrap() {
            assert_eq!(
                (&response["status"], &response["body"]["error"]["code"]),
                (&json!(403), &json!("quotaLimitReached"))
            );
        }
    };
    refused();
    assert_eq!(stored_rows(&app), before);
    bob.post("/me/contacts", json!({"surname": "other"})).json(201);
    // Updates and restores do not count as new contacts.
    ann.patch(&format!("/me/contacts/{kept}"), json!({"personalNotes": "x".repeat(1_000)})).json(200);
    ann.delete(&format!("/me/contacts/{kept}")).empty(204);
    assert_full(&ann.post("/me/contacts", json!({})), message);
    ann.post(&format!("/me/deletedContacts/{kept}/restore"), "").json(200);
    assert_full(&ann.post("/me/contacts", json!({})), message);
    // A permanent delete frees its place.
    ann.post(&format!("/me/contacts/{kept}/permanentDelete"), "").empty(204);
    let again = ann.post("/me/contacts", json!({"surname": "again"})).id();
    assert_full(&ann.post("/me/contacts", json!({})), message);
    ann.delete(&format!("/me/contacts/{again}")).empty(204);
    ann.delete(&format!("/me/deletedContacts/{again}")).empty(204);
    ann.post("/me/contacts", json!({"surname": "again"})).json(201);
    ann.post(&format!("/me/contactFolders/{folder}/permanentDelete"), "").empty(204);
    ann.post("/me/contacts", json!({"surname": "again"})).json(201);
    assert_full(&ann.post("/me/contacts", json!({})), message);
    assert_exact(&app);
}

#[test]
fn creates_that_share_a_statement_fill_a_mailbox_exactly_to_its_limit() {
    let app = limited(10, 1 << 40);
    let ann = app.user("ann");
    ann.get("/me").json(200);
    let step =
        |i: usize| json!({"id": i.to_string(), "method": "POST", "url": "/me/contacts", "body": {"surname": "x"}});
    let steps = json!({"requests": (0..16).map(step).collect::<Vec<_>>()});
    let answer = ann.post("/$batch", steps).json(200);
    let made = answer["responses"].as_array().unwrap().iter().filter(|response| response["status"] == 201).count();
    assert_eq!((made, app.count("select count(*) from contacts")), (10, 10));
    assert_exact(&app);
}

#[test]
fn the_size_limit_of_a_mailbox_applies_to_every_growing_write_and_no_shrinking_one() {
    let app = limited(100, 20_000);
    let (ann, message) = (app.user("ann"), "at most 20000 bytes");
    let notes = |length: usize| json!({"personalNotes": "x".repeat(length)});
    let folder = ann.post("/me/contactFolders", json!({"displayName": "x"})).id();
    let id = ann.post("/me/contacts", notes(9_000)).id();
    let (contact, folder) = (format!("/me/contacts/{id}"), format!("/me/contactFolders/{folder}"));
    ann.post(&format!("{contact}/extensions"), json!({"extensionName": "a", "x": "y".repeat(3_000)})).json(201);
    ann.with("Content-Type", "image/gif").send("PUT", &format!("{contact}/photo/$value"), Some(gif(1, 1, 3_000, 0)));
    let before = stored_rows(&app);
    for refused in [
        ann.post("/me/contacts", notes(9_000)),
        ann.patch(&contact, notes(15_000)),
        ann.patch(&contact, json!({SINGLE: property(9_000)})),
        ann.patch(
            &contact,
            json!({"multiValueExtendedProperties": [
            {"id": "StringArray {66f5a359-4659-4830-9070-00047ec6ac6e} Name x", "value": ["x".repeat(9_000)]}]}),
        ),
        ann.patch(&folder, json!({SINGLE: property(9_000)})),
        ann.post("/me/contactFolders", json!({"displayName": "y", SINGLE: property(9_000)})),
        ann.post("/me/contacts", json!({SINGLE: property(9_000)})),
        ann.post(&format!("{contact}/extensions"), json!({"extensionName": "b", "x": "y".repeat(9_000)})),
        ann.patch(&format!("{contact}/extensions/a"), json!({"x": "y".repeat(9_000)})),
        ann.with("Content-Type", "image/gif").send(
            "PUT",
            &format!("{contact}/photo/$value"),
            Some(gif(1, 1, 9_000, 0)),
        ),
    ] {
        assert_full(&refused, message);
    }
    assert_eq!(stored_rows(&app), before);
    assert_exact(&app);
    // After the limit is lowered, existing data stays and may shrink.
    let options = Options { max_contacts: 1, max_mailbox_bytes: 100, ..Options::default() };
    let app = app.restarted_with(Setup { options, ..Setup::default() });
    let ann = app.user("ann");
    assert_full(&ann.patch(&contact, notes(9_001)), "at most 100 bytes");
    ann.patch(&contact, notes(8_000)).json(200);
    ann.patch(&format!("{contact}/extensions/a"), json!({"x": "y"})).json(200);
    ann.patch(&folder, json!({"displayName": "z"})).json(200);
    ann.delete(&format!("{contact}/photo/$value")).empty(204);
    ann.delete(&contact).empty(204);
    ann.post(&format!("/me/deletedContacts/{id}/restore"), "").json(200);
    ann.delete(&format!("{contact}/extensions/a")).empty(204);
    ann.post(&format!("{contact}/permanentDelete"), "").empty(204);
    assert_eq!(app.sql("select contacts, bytes from mailboxes"), "0|0");
}

/// Repeatable pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Executes one random call that changes a mailbox. Some are refused, which changes nothing.
fn random_call(client: &Client, numbers: &mut Random, contacts: &mut Vec<String>, folders: &mut Vec<String>) {
    let text = |numbers: &mut Random| "é".repeat(numbers.below(40));
    let id = contacts[numbers.below(contacts.len())].clone();
    let folder = folders[numbers.below(folders.len())].clone();
    let (contact, value) = (format!("/me/contacts/{id}"), text(numbers));
    let list = json!([{"id": "StringArray {66f5a359-4659-4830-9070-00047ec6ac6e} Name ü", "value": [value, "", "z"]}]);
    let made = match numbers.below(16) {
        0 | 1 => client.post(&format!("/me/contactFolders/{folder}/contacts"), json!({"surname": value})),
        2 => client.post("/me/contacts", json!({"parentFolderId": folder, "givenName": value})),
        3 => client.post(
            "/me/contacts",
            json!({"surname": "s", SINGLE: property(value.len()), "extensions": [
            {"extensionName": "a", "x": value}, {"extensionName": "b", "ü": [value, 1e5, null]}]}),
        ),
        4 => client.patch(&contact, json!({"surname": value, SINGLE: property(value.len())})),
        5 => client.patch(&contact, json!({"multiValueExtendedProperties": list})),
        6 => client.patch(&contact, json!({"parentFolderId": folder, "nickName": value})),
        7 => client.post(&format!("{contact}/extensions"), json!({"extensionName": "a", "é": value})),
        8 => client.patch(&format!("{contact}/extensions/a"), json!({"é": null, "x": value})),
        9 => client.delete(&format!("{contact}/extensions/b")),
        10 => {
            let picture = gif(1, 1, 100 + numbers.below(300_000), 0);
            client.with("Content-Type", "image/gif").send("PUT", &format!("{contact}/photo/$value"), Some(picture))
        }
        11 if numbers.below(2) == 0 => client.delete(&format!("{contact}/photo")),
        11 => client.delete(&contact),
        12 => client.post(&format!("/me/deletedContacts/{id}/restore"), ""),
        13 if numbers.below(2) == 0 => client.post(&format!("{contact}/permanentDelete"), ""),
        13 => client.delete(&format!("/me/deletedContacts/{id}")),
        14 => match numbers.below(4) {
            0 => client.delete(&format!("/me/contactFolders/{folder}")),
            1 => client.post(&format!("/me/contactFolders/{folder}/permanentDelete"), ""),
            _ => client.patch(&format!("/me/contactFolders/{folder}"), json!({"multiValueExtendedProperties": list})),
        },
        _ => {
            let made = client.post("/me/contactFolders", json!({"displayName": value, SINGLE: property(value.len())}));
            if made.status == 201 {
                folders.push(made.id());
            }
            return;
        }
    };
    assert!(made.status < 500, "{}", String::from_utf8_lossy(&made.body));
    if made.status == 201
        && made.header("location").contains("/contacts('")
        && !made.header("location").contains("extensions")
    {
        contacts.push(made.id());
    }
}

#[test]
fn the_stored_size_of_a_mailbox_is_exact_after_any_calls() {
    let app = TestApp::new();
    let clients = [app.user("ann"), app.user("bob")];
    let mut numbers = Random(7);
    let mut known = clients.each_ref().map(|client| {
        (vec![client.post("/me/contacts", json!({"surname": "first"})).id()], vec!["x".to_owned(), "y".to_owned()])
    });
    for i in 0..400 {
        let (contacts, folders) = &mut known[i % 2];
        random_call(&clients[i % 2], &mut numbers, contacts, folders);
        if i % 40 == 39 {
            assert_exact(&app);
        }
    }
    app.beside(async |store| {
        let bob = contactd::domain::user::UserName::parse("bob").unwrap();
        store.remove_user(&bob).await.unwrap();
    });
    assert_exact(&app);
    assert_eq!(app.sql("select contacts, bytes from mailboxes order by id desc limit 1"), "0|0");
}

#[test]
fn a_card_without_room_is_refused_whole_however_it_is_written() {
    let path = |name: &str| format!("{BOOK}{name}.vcf");
    let large = |name: &str, size: usize| card(name, &format!("X-BIG:{}\r\n", "x".repeat(size)));
    let with_photo = |name: &str| {
        let photo = STANDARD.encode(gif(1, 1, 60_000, 7));
        card(name, &format!("PHOTO;ENCODING=b;TYPE=GIF:{photo}\r\n"))
    };
    // No room for another contact, and none for 50,000 bytes.
    for (max_contacts, max_bytes) in [(2, 1 << 40), (100, 200_000)] {
        let app = limited(max_contacts, max_bytes);
        let ann = basic(&app, "ann");
        let other = app.user("ann").post("/me/contactFolders", json!({"displayName": "Other"})).id();
        assert_eq!(put(&ann, &path("a"), &[], &card("a", "")).status, 201);
        assert_eq!(put(&ann, &path("b"), &[], &large("b", 150_000)).status, 201);
        let rows = || {
            let counts = ["cards", "card_texts"].map(|table| app.count(&format!("select count(*) from {table}")));
            format!("{} {counts:?}", stored_rows(&app))
        };
        let before = rows();
        let assert_refused = |answer: Answer| {
            assert_eq!(answer.status, 507, "{}", answer.text());
            assert_eq!(rows(), before);
        };
        for card in [large("c", 60_000), large("c", 100_000), with_photo("c")] {
            assert_refused(put(&ann, &path("c"), &[], &card));
        }
        let target = format!("http://localhost/dav/addressbooks/ann/{other}/b.vcf");
        assert_refused(ask(&ann, "COPY", &path("b"), &[("Destination", &target)], ""));
        if max_bytes == 200_000 {
            assert_refused(put(&ann, &path("a"), &[], &with_photo("a")));
            assert_refused(put(&ann, &path("a"), &[], &large("a", 60_000)));
        } else {
            assert_refused(put(&ann, &path("c"), &[], &card("c", "")));
        }
        assert_exact(&app);
    }
}
