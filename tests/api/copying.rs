//! `contactd copy`: from a file to PostgreSQL and back, interrupted, refused and verified.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::app::SEED_REQUEST;
use crate::both::pictures::gif;
use crate::notifications::subscribe;
use crate::postgres::{Postgres, Schema};
use crate::program::{Program, contactd, fails, serve_dev};
use crate::receiver::{Receiver, until};

const TABLES: [&str; 40] = [
    "mailboxes",
    "users",
    "tokens",
    "shares",
    "audit",
    "folders",
    "contacts",
    "emails",
    "phones",
    "addresses",
    "websites",
    "flags",
    "categories",
    "im_addresses",
    "children",
    "folded",
    "photos",
    "photo_chunks",
    "master_categories",
    "extensions",
    "extension_members",
    "extension_writes",
    "single_values",
    "multi_value_properties",
    "multi_values",
    "folder_single_values",
    "folder_multi_value_properties",
    "folder_multi_values",
    "idempotency_keys",
    "subscriptions",
    "deliveries",
    "identities",
    "cards",
    "card_texts",
    "imported",
    "imports",
    "import_contacts",
    "import_befores",
    "changes",
    "dav_properties",
];

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The standard output of a successful `contactd copy`.
fn copies(arguments: &[&str]) -> String {
    let output = contactd(&[&["copy"], arguments].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// The error message of a failed `contactd copy`.
fn refuses(arguments: &[&str]) -> String {
    let (code, text) = fails(contactd(&[&["copy"], arguments].concat()));
    assert_eq!(code, if text.contains("another contactd serves it") { 75 } else { 1 }, "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("contactd: ")).collect();
    assert!(lines.len() == 1 && !text.contains("panicked"), "{text}");
    lines[0].to_owned()
}

/// Creates two users with contacts of every kind, changed, moved and deleted.
fn fill(database: &Path, contacts: usize) {
    let mut command = serve_dev(database);
    command.env("CONTACTD_ALLOW_NOTIFICATION_TARGET", "127.0.0.1");
    let server = Program::start(command);
    for user in ["ann", "bob"] {
        let client = server.user(user);
        let category = json!({"displayName": "Straße \u{1f600}", "color": "preset3"});
        let category = client.post("/me/outlook/masterCategories", category).id();
        client.post("/me/outlook/masterCategories", json!({"displayName": "kept"}));
        client.delete(&format!("/me/outlook/masterCategories/{category}")).empty(204);
        for i in 0..contacts {
            let id = client.post("/me/contacts/$ref", SEED_REQUEST).id();
            let path = format!("/me/contacts/{id}");
            if i < 40 && i % 3 == 0 {
                let photo = gif(1, 1, 42 + i * 50_000, u8::try_from(i % 256).unwrap());
                assert_eq!(client.send("PUT", &format!("{path}/photo/$value"), Some(photo)).status, 200);
            }
            let odd = json!({"title": "\u{1f600} 'quoted' \\ \"é\" \u{1}", "personalNotes": "x".repeat(i * 100 % 70_000), "isFavorite": i % 2 == 0,
                             "categories": ["ẞ", ""], "birthday": null});
            let extension = json!({"extensionName": format!("org.example.{i}"), "Straße \u{1f600}": ["'", 1.5, null], "x": {"y": "\\\u{1}"}});
            assert_eq!(client.post(&format!("{path}/extensions"), extension).status, 201);
            let extended = |array: &str, value: serde_json::Value| json!([{"id": format!("String{array} {{66f5a359-4659-4830-9070-00047ec6ac6e}} Name É"), "value": value}]);
            let properties = json!({"singleValueExtendedProperties": extended("", json!("É \\ \u{1f600}")),
                                    "multiValueExtendedProperties": extended("Array", json!(["", "Ä"]))});
            client.patch(&path, &properties).json(200);
            client.patch("/me/contactFolders/contacts", &properties).json(200);
            match i % 4 {
                1 => drop(client.patch(&path, odd).json(200)),
                2 => drop(client.patch(&path, json!({"parentFolderId": "contacts"})).json(200)),
                3 => drop(client.delete(&path).empty(204)),
                _ if i % 8 == 0 => drop(client.delete(&format!("{path}/photo"))),
                _ => drop(client.post("/me/contacts", json!({"parentFolderId": format!("folder {i}")}))),
            }
        }
    }
    // A subscription that has been notified.
    let (receiver, ann) = (Receiver::new(), server.user("ann"));
    let id = subscribe(&ann, &receiver.url("/"));
    ann.post("/me/contacts", "{}");
    until(|| !ann.get(&format!("/subscriptions/{id}/deliveries")).json(200)["value"].as_array().unwrap().is_empty());
    for arguments in [
        ["token", "create", "--user", "ann", "--name", "Straße", "--expires", "90d"].as_slice(),
        &["token", "create", "--app", "sync"],
        &["share", "add", "--of", "ann", "--with", "bob", "--write"],
    ] {
        let output = contactd(&[arguments, &["--database", path(database)]].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let mut server = server;
    server.signal("TERM");
    server.ended(Duration::from_mins(1));
    let identities = "
insert into identities (issuer, subject, mailbox, created_date_time, claimed_name, claim, name, name_key, said_date_time, bound)
select 'https://login.example.org', id, mailbox, 1, 'c', 'upn', 'N', 'n', 2, true from users";
    rusqlite::Connection::open(database).unwrap().execute(identities, []).unwrap();
}

/// All rows of a SQLite file as text, without the times of migrations.
fn dump(database: &Path) -> String {
    let rows = rusqlite::Connection::open(database).unwrap();
    let mut lines = Vec::new();
    for table in TABLES.iter().chain(&["store"]) {
        let mut statement = rows.prepare(&format!("select * from {table}")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|i| format!("{:?}", row.get_ref_unwrap(i))).collect();
            lines.push(format!("{table} {}", values.join(" ")));
        }
    }
    lines.sort();
    lines.join("\n")
}

fn pages(server: &Program, user: &str) -> String {
    let list = server.user(user).get("/me/contacts?$top=1000");
    assert_eq!(list.status, 200);
    String::from_utf8(list.body).unwrap().replace(&server.address, "HOST")
}

/// All photos of a user, by their ETags.
fn photos(server: &Program, user: &str) -> BTreeMap<String, Vec<u8>> {
    let client = server.user(user);
    let list = client.get("/me/contacts?$top=1000&$select=id").json(200);
    let ids = list["value"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap());
    let photos = ids.map(|id| client.get(&format!("/me/contacts/{id}/photo/$value")));
    let photos: BTreeMap<_, _> =
        photos.filter(|photo| photo.status == 200).map(|photo| (photo.header("etag"), photo.body)).collect();
    assert!(photos.len() > 5 && photos.values().any(|bytes| bytes.len() > 1 << 20));
    photos
}

#[test]
fn a_file_is_copied_to_postgresql_and_back_completely() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
    fill(&one, 40);
    let schema = Postgres::shared().schema();
    let output = copies(&["--from", path(&one), "--to", &schema.url]);
    assert!(output.ends_with("counts and hashes of both sides are equal\n"), "{output}");
    let lines: Vec<_> =
        output.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    for (table, line) in TABLES.iter().zip(&lines) {
        assert_eq!(*line, format!("{table} {}", schema.query(&format!("select count(*) from {table}"))));
    }

    let before = Program::start(serve_dev(&one));
    let after = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &schema.url]));
    for user in ["ann", "bob"] {
        assert_eq!(pages(&before, user), pages(&after, user), "keys and times are kept");
        assert_eq!(photos(&before, user), photos(&after, user), "and photos");
    }
    drop((before, after));
    copies(&["--from", &schema.url, "--to", path(&two)]);
    assert_eq!(dump(&one), dump(&two));
    let kept = schema.query("select epoch from store").replace('-', "");
    let rows = rusqlite::Connection::open(&two).unwrap();
    assert_eq!(rows.query_row("select lower(hex(epoch)) from store", [], |row| row.get::<_, String>(0)).unwrap(), kept);
    // The copy can be used like any database, and its numbering continues.
    let server = Program::start(serve_dev(&two));
    assert_eq!(server.user("ann").post("/me/contacts", "{}").status, 201);
}

#[test]
fn a_copy_overwrites_a_target_only_with_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
    fill(&one, 3);
    fill(&two, 2);
    let before = dump(&two);
    let arguments = ["--from", path(&one), "--to", path(&two)];
    assert!(refuses(&arguments).ends_with("two.db: it is not empty: --overwrite deletes its contents"));
    let other = refuses(&[&arguments[..], &["--resume"]].concat());
    assert!(other.ends_with("it is not the beginning of a copy of this source"), "{other}");
    assert_eq!(dump(&two), before);
    copies(&[&arguments[..], &["--overwrite"]].concat());
    assert_eq!(dump(&two), dump(&one));

    for (from, to, why) in [
        ("none.db", "x.db", "there is no such file"),
        (":memory:", "x.db", "cannot be copied"),
        (path(&one), ":memory:", "cannot be copied"),
        (path(&one), "postgres://nobody@127.0.0.1:1/none", "127.0.0.1:1/none: "),
    ] {
        let mut command = contactd(&["copy", "--from", from, "--to", to]);
        command.current_dir(folder.path());
        let (code, text) = fails(command);
        assert!(code == 1 && text.contains(why), "{text}");
    }
    let itself = ["--from", path(&one), "--to", path(&one)];
    assert!(refuses(&itself).contains("another contactd serves it"));
    // A file that is served is refused as source and as target.
    let server = Program::start(serve_dev(&one));
    assert!(refuses(&arguments).contains("another contactd serves it"));
    drop(server);
    let (code, text) = fails(contactd(&["copy", "--from", path(&one), "--to", path(&two), "--resume", "--overwrite"]));
    assert!(code == 2 && text.contains("cannot be used with"), "{text}");
}

/// Starts a copy and kills it after it has copied a part.
fn copy_and_kill(from: &Path, to: &Schema) {
    let mut copy = contactd(&["copy", "--from", path(from), "--to", &to.url]);
    let mut copy = copy.stderr(Stdio::null()).spawn().unwrap();
    let has_started = "select to_regclass('changes') is not null";
    while to.query(has_started) != "t" || to.query("select count(*) > 0 from phones") != "t" {
        assert!(copy.try_wait().unwrap().is_none(), "it ended before it was interrupted");
    }
    copy.kill().unwrap();
    copy.wait().unwrap();
    assert_eq!(to.query("select folding from store"), "0");
}

#[test]
fn an_interrupted_copy_continues_and_is_not_served_before() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("one.db");
    fill(&source, 300);
    let schema = Postgres::shared().schema();
    copy_and_kill(&source, &schema);
    let (code, text) = fails(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &schema.url]));
    assert!(
        code == 1 && text.contains("a copy into it is not finished: continue it with contactd copy --resume"),
        "{text}"
    );
    let arguments = ["--from", path(&source), "--to", &schema.url];
    assert!(refuses(&arguments).contains("it has an unfinished copy of this source: --resume continues it"));
    copies(&[&arguments[..], &["--resume"]].concat());
    let two = folder.path().join("two.db");
    copies(&["--from", &schema.url, "--to", path(&two)]);
    assert_eq!(dump(&source), dump(&two));

    // A row that was already copied changed in the source. The copy detects it and leaves the target unchanged.
    let other = Postgres::shared().schema();
    copy_and_kill(&source, &other);
    let rows = rusqlite::Connection::open(&source).unwrap();
    rows.execute_batch("update contacts set title = 'changed' where id = (select min(id) from contacts)").unwrap();
    drop(rows);
    let again = ["--from", path(&source), "--to", &other.url, "--resume"];
    assert!(refuses(&again).contains("contacts differs from the source"));
    assert_eq!(other.query("select folding from store"), "0");
    copies(&["--from", path(&source), "--to", &other.url, "--overwrite"]);
    assert_eq!(other.query("select count(*) from contacts where title = 'changed'"), "1");
}
