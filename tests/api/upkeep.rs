//! `contactd restore`, `contactd check`, and the checks of a backup and at startup.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::both::pictures::PNG;
use crate::postgres::Postgres;
use crate::program::{Place, Program, contactd, fails, serve_dev};

fn add(server: &Program, name: &str) -> String {
    server
        .user("ann")
        .post("/me/contacts", json!({"givenName": name, "surname": "Lee", "personalNotes": "Zoë 東京"}))
        .id()
}

fn stop(mut server: Program) {
    server.signal("TERM");
    assert!(server.ended(Duration::from_mins(1)).success());
}

fn names(database: &Path) -> Vec<String> {
    let server = Program::start(serve_dev(database));
    let page = server.user("ann").get("/me/contacts?$top=1000&$orderby=givenName").json(200);
    let names =
        page["value"].as_array().unwrap().iter().map(|contact| contact["givenName"].as_str().unwrap().to_owned());
    let names = names.collect();
    stop(server);
    names
}

/// The exit status of a command, and its output on both streams.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = contactd(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn check(database: &Path, more: &[&str]) -> (i32, String) {
    run(&[&["check", "--database", text(database)], more].concat())
}

fn restore(from: &Path, database: &Path) -> (i32, String) {
    run(&["restore", "--from", text(from), "--database", text(database)])
}

/// A server with a backup of its first contact, and a second contact.
fn served(place: &Place) -> Program {
    let server = Program::start(serve_dev(&place.database()));
    add(&server, "before");
    assert_eq!(run(&["backup", "--database", text(&place.database()), "--to", text(&place.file("copy.db"))]).0, 0);
    add(&server, "later");
    server
}

#[test]
fn a_restore_replaces_the_database_of_a_killed_server() {
    let place = Place::new();
    let mut server = served(&place);
    let (database, copy) = (place.database(), place.file("copy.db"));
    let (code, message) = restore(&copy, &database);
    assert!(code == 75 && message.contains("another contactd serves it"), "{message}");
    server.signal("KILL");
    server.ended(Duration::from_mins(1));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, message) = restore(&copy, &database);
    assert_eq!(code, 0, "{message}");
    let kept: Vec<_> = message.lines().filter_map(|line| line.strip_prefix("the old file is kept: ")).collect();
    assert!(kept.len() == 2 && kept[1] == format!("{}-wal", kept[0]), "{message}");
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(&database), ["before"]);
    assert_eq!(names(Path::new(kept[0])), ["before", "later"]);
    // To a path without a database, and over a file that was copied next to the log of another database.
    let elsewhere = place.file("elsewhere.db");
    assert_eq!(restore(&copy, &elsewhere).0, 0);
    assert_eq!(names(&elsewhere), ["before"]);
    let hidden = fs::read_dir(place.0.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn a_restore_refuses_a_damaged_or_incomplete_copy() {
    let place = Place::new();
    let server = served(&place);
    let (database, copy) = (place.database(), place.file("copy.db"));
    let used = restore(&database, &place.file("other.db"));
    assert!(used.0 == 1 && used.1.contains("contacts.db-wal lies beside it"), "{used:?}");
    stop(server);
    let bytes_before = fs::read(&database).unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    fs::write(place.file("cut.db"), &bytes[..middle]).unwrap();
    bytes[8192..12288].fill(0x5a);
    fs::write(place.file("broken.db"), bytes).unwrap();
    fs::write(place.file("notes.txt"), "no database".repeat(100)).unwrap();
    fs::write(place.file("empty.db"), "").unwrap();
    rusqlite::Connection::open(place.file("foreign.db")).unwrap().execute_batch("create table t (a)").unwrap();
    for (name, why) in [
        ("cut.db", "it is damaged"),
        ("broken.db", "it is damaged"),
        ("notes.txt", "it is damaged"),
        ("empty.db", "nothing is in it"),
        ("foreign.db", "it is the database of another program"),
        ("none.db", "there is no such file"),
        ("contacts.db", "it is the database itself"),
    ] {
        let (code, message) = restore(&place.file(name), &database);
        let expected = if why == "it is damaged" { 3 } else { 1 };
        assert!(code == expected && message.lines().count() == 1 && message.contains(why), "{name}: {message}");
        assert_eq!(fs::read(&database).unwrap(), bytes_before, "{name}");
    }
    assert!(
        !fs::read_dir(place.0.path()).unwrap().any(|file| file
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains(".before-"))
    );
}

#[test]
fn the_next_start_completes_an_interrupted_restore() {
    let place = Place::new();
    stop(served(&place));
    fs::copy(place.file("copy.db"), place.file("contacts.db.restoring")).unwrap();
    let (code, message) = run(&["user", "list", "--database", text(&place.database())]);
    assert!(code == 1 && message.contains("a restore of it was interrupted"), "{message}");
    assert_eq!(names(&place.database()), ["before"]);
    assert!(!place.file("contacts.db.restoring").exists());
}

#[test]
fn a_killed_restore_leaves_either_the_old_database_or_the_copy() {
    const ROUNDS: u32 = 16;
    let mut total = Duration::ZERO;
    for round in 0..=ROUNDS {
        let place = Place::new();
        let mut server = served(&place);
        // The server is killed, so that a log remains next to the file.
        server.signal("KILL");
        server.ended(Duration::from_mins(1));
        let (database, copy) = (place.database(), place.file("copy.db"));
        let started = Instant::now();
        let mut restoring = contactd(&["restore", "--from", text(&copy), "--database", text(&database)]);
        let mut restoring = restoring.spawn().unwrap();
        if round == 0 {
            assert!(restoring.wait().unwrap().success());
            total = started.elapsed();
        }
        std::thread::sleep(total * (round.max(1) - 1) / ROUNDS);
        let _ = restoring.kill();
        restoring.wait().unwrap();
        let names_found = names(&database);
        assert!(names_found == ["before"] || names_found == ["before", "later"], "{round}: {names_found:?}");
        assert!(round != 1 || names_found.len() == 2, "it had not begun");
        assert_eq!(check(&database, &[]).0, 0, "{round}");
    }
}

#[test]
fn check_finds_no_fault_in_a_sound_database_even_while_it_is_served() {
    let place = Place::new();
    let server = served(&place);
    let ann = server.user("ann");
    let id = add(&server, "photo");
    let put = ann.with("Content-Type", "image/png").send(
        "PUT",
        &format!("/me/contacts/{id}/photo/$value"),
        Some(PNG.to_vec()),
    );
    assert_eq!(put.status, 200);
    let deleted_id = add(&server, "gone");
    assert_eq!(ann.delete(&format!("/me/contacts/{deleted_id}")).status, 204);
    let folder = ann.post("/me/contactFolders", json!({"displayName": "Friends"})).id();
    let inside = ann.post(&format!("/me/contactFolders/{folder}/contacts"), json!({"givenName": "in"})).id();
    assert_eq!(
        ann.patch(&format!("/me/contacts/{inside}"), json!({"parentFolderId": "contacts", "title": "Dr."})).status,
        200
    );
    let property = json!({"singleValueExtendedProperties": [{"id": "String {00020329-0000-0000-C000-000000000046} Name Ö", "value": "é"}]});
    assert_eq!(ann.patch(&format!("/me/contacts/{inside}"), property).status, 200);
    let sound = (0, "no faults\n".to_owned());
    for database in [place.database(), place.file("copy.db")] {
        assert_eq!(check(&database, &[]), sound);
        assert_eq!(check(&database, &["--quick"]), sound);
    }
    stop(server);
    assert_eq!(check(&place.database(), &[]), sound);
    let remaining: Vec<_> = fs::read_dir(place.0.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(remaining.len(), 3, "{remaining:?}");
    let none = check(&place.file("none.db"), &[]);
    assert!(none.0 == 1 && none.1.contains("there is no such file"), "{none:?}");
}

#[test]
fn check_names_each_kind_of_fault() {
    let faults = [
        ("update mailboxes set seq = 0", "counter: mailbox 1 is at number 0, and a row of it has "),
        ("update mailboxes set contacts = contacts + 1", "counter: mailbox 1 counts 4 contacts, and has 3"),
        ("update mailboxes set bytes = bytes + 1", "counter: mailbox 1 counts "),
        ("delete from folders", "reference: contacts: a row refers to a row of folders that is not there"),
        ("delete from photo_chunks", "photo: of contact "),
        ("update photos set size = size + 1", "photo: of contact "),
        ("delete from changes where seq = 2", "change log: contact "),
        ("delete from searched where row = 1", "search: "),
        ("update contacts set surname = 'Moore' where given_name = 'later'", "search: contact "),
        ("delete from words where rowid = 2", "search: contact "),
        ("insert into words (rowid, f0) values (999, '1xann')", "search: the index has words of number 999"),
        ("update folders set parent_folder_id = id where parent_folder_id is not null", "folder: "),
    ];
    let place = Place::new();
    let server = served(&place);
    let id = add(&server, "photo");
    let ann = server.user("ann");
    ann.with("Content-Type", "image/png").send("PUT", &format!("/me/contacts/{id}/photo/$value"), Some(PNG.to_vec()));
    ann.post("/me/contactFolders", json!({"displayName": "Friends"})).id();
    stop(server);
    for (fault, told) in faults {
        let broken = place.file("broken.db");
        fs::copy(place.database(), &broken).unwrap();
        let connection = rusqlite::Connection::open(&broken).unwrap();
        connection.execute_batch("pragma foreign_keys = off").unwrap();
        connection.execute_batch(fault).unwrap();
        drop(connection);
        let (code, found) = check(&broken, &[]);
        assert!(code == 3 && found.lines().any(|line| line.starts_with(told)), "{fault}: {code} {found}");
        // A backup fails too, unless its check is turned off.
        let copy = place.file("of-broken.db");
        let backup = ["backup", "--database", text(&broken), "--to", text(&copy)];
        let (code, refused) = run(&backup);
        assert!(code == 3 && refused.contains("its copy has ") && !copy.exists(), "{fault}: {refused}");
        assert_eq!(run(&[&backup[..], &["--verify", "off"]].concat()).0, 0);
        fs::remove_file(copy).unwrap();
    }
}

#[test]
fn check_reports_a_damaged_file_and_serve_refuses_it() {
    let place = Place::new();
    stop(served(&place));
    let sound = fs::read(place.database()).unwrap();
    let mut broken = sound.clone();
    broken[4096..sound.len()].fill(0x5a);
    for bytes in [broken, sound[..sound.len() / 2].to_vec()] {
        fs::write(place.database(), &bytes).unwrap();
        let (code, found) = check(&place.database(), &[]);
        assert!(code == 3 && !found.is_empty(), "{code} {found}");
        let (code, message) = fails(serve_dev(&place.database()));
        assert!(code == 1 && message.lines().count() == 1 && message.contains("it is damaged"), "{message}");
        assert_eq!(fs::read(place.database()).unwrap(), bytes);
    }
}

#[test]
fn check_works_on_postgresql() {
    let schema = Postgres::shared().schema();
    let database = Path::new(&schema.url);
    let server = Program::start(serve_dev(database));
    for name in ["one", "two"] {
        add(&server, name);
    }
    let id = add(&server, "photo");
    let ann = server.user("ann").with("Content-Type", "image/png");
    ann.send("PUT", &format!("/me/contacts/{id}/photo/$value"), Some(PNG.to_vec()));
    assert_eq!(check(database, &[]), (0, "no faults\n".to_owned()));
    assert_eq!(check(database, &["--quick"]), (0, "no faults\n".to_owned()));
    stop(server);
    for (fault, told) in [
        ("delete from photo_chunks", "photo: of contact "),
        ("update contacts set surname = 'Moore' where given_name = 'two'", "search: contact "),
        ("delete from changes where seq = 2", "change log: contact "),
        ("update mailboxes set contacts = 7", "counter: mailbox "),
        ("update mailboxes set seq = 1", "counter: mailbox "),
    ] {
        schema.query(fault);
        let (code, found) = check(database, &[]);
        assert!(code == 3 && found.lines().any(|line| line.starts_with(told)), "{fault}: {code} {found}");
    }
}
