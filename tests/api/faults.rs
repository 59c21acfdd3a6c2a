//! Damaged files and full disks: one line and exit 1 at startup, 503 while running, never a panic and
//! never half a contact.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::app::SEED_REQUEST;
use crate::program::{Program, contactd, fails, of_program, serve_dev};

#[track_caller]
fn refuses(command: Command, reason: &str) {
    let (code, text) = fails(command);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("contactd: ")).collect();
    let expected = if reason.starts_with("another contactd serves it") { 75 } else { 1 };
    assert_eq!((code, lines.len()), (expected, 1), "{text}");
    assert!(lines[0].contains(reason) && !text.contains("panicked") && !text.contains("listening"), "{text}");
}

fn make_database(database: &Path) {
    let mut server = Program::start(serve_dev(database));
    assert_eq!(server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).status, 201);
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_mins(1)).code(), Some(0));
}

#[test]
fn a_second_server_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let first = Program::start(serve_dev(&database));
    refuses(serve_dev(&database), &format!("another contactd serves it (process {})", first.child.id()));
    let mut other = serve_dev(Path::new("contacts.db"));
    other.current_dir(folder.path());
    refuses(other, "another contactd serves it");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&database, &link).unwrap();
    refuses(serve_dev(&link), "another contactd serves it");
    assert_eq!(first.user("ann").get("/me").status, 200);
    drop(first);
    // A killed server leaves no lock behind.
    make_database(&database);
}

#[test]
fn a_newer_schema_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make_database(&database);
    let rows = rusqlite::Connection::open(&database).unwrap();
    rows.execute("insert into refinery_schema_history values (9001, 'later', '2026-01-01T00:00:00Z', '1')", [])
        .unwrap();
    drop(rows);
    refuses(serve_dev(&database), "its schema has version 9001");
    let rows = rusqlite::Connection::open(&database).unwrap();
    assert_eq!(rows.query_row("select count(*) from contacts", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_foreign_file_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a database, but longer than its header: ".repeat(100)).unwrap();
    let before = fs::read(&text).unwrap();
    refuses(serve_dev(&text), "file is not a database");
    assert_eq!(fs::read(&text).unwrap(), before);

    let foreign = folder.path().join("songs.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("create table songs (id integer)").unwrap();
    refuses(serve_dev(&foreign), "it is the database of another program");
    let tables: i64 = rusqlite::Connection::open(&foreign)
        .unwrap()
        .query_row("select count(*) from sqlite_master", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_corrupt_database_is_refused_or_answers_503() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make_database(&database);
    let original_bytes = fs::read(&database).unwrap();
    // A truncated file, which is shorter than its header says.
    fs::write(&database, &original_bytes[..original_bytes.len() / 2]).unwrap();
    refuses(serve_dev(&database), "malformed");
    // Overwritten pages, which are detected when they are read.
    let mut torn = original_bytes.clone();
    torn[4096..].fill(0x5a);
    fs::write(&database, &torn).unwrap();
    refuses(serve_dev(&database), "malformed");
    let table: i64 = {
        fs::write(&database, &original_bytes).unwrap();
        let rows = rusqlite::Connection::open(&database).unwrap();
        rows.query_row("select rootpage from sqlite_master where name = 'phones'", [], |row| row.get(0)).unwrap()
    };
    // One page of a table, which is detected at startup.
    let start = usize::try_from(table - 1).unwrap() * 4096;
    let mut torn = original_bytes.clone();
    torn[start..start + 4096].fill(0x5a);
    fs::write(&database, &torn).unwrap();
    refuses(serve_dev(&database), "it is damaged");
    // The same while the file is served. It is detected on the next read; the writer has the page in its cache since the start.
    fs::write(&database, &original_bytes).unwrap();
    let server = Program::start(serve_dev(&database));
    fs::OpenOptions::new().write(true).open(&database).unwrap().write_at(&[0x5a; 4096], start as u64).unwrap();
    let ann = server.user("ann");
    for answer in [ann.get("/me/contacts"), ann.get("/me/contacts?$top=1")] {
        assert_eq!(answer.error(), (503, "serviceNotAvailable".into(), String::new()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(ann.get("/me").status, 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Root may write everywhere. So if the tests run as root, the program runs as another user.
fn unprivileged(folder: &Path, arguments: &[&str]) -> Command {
    let program = folder.join("contactd");
    if !program.exists() {
        // Another process copies the file. A child that another test starts meanwhile could inherit an open file, and a file that is open
        // for writing cannot be executed.
        let copied = Command::new("cp").args([Path::new(env!("CARGO_BIN_EXE_contactd")), &program]).status().unwrap();
        assert!(copied.success());
    }
    let mut command = of_program(&program, arguments);
    if tests_run_as_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}

fn tests_run_as_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

#[test]
fn a_read_only_file_or_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let database = data.join("contacts.db");
    make_database(&database);
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()];
    // The folder and the lock can be written, the database cannot.
    fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(data.join("contacts.db.lock"), Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&database, Permissions::from_mode(0o444)).unwrap();
    refuses(unprivileged(folder.path(), &serve), "mode 0444");
    // Nothing can be written.
    fs::set_permissions(&data, Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(data.join("contacts.db.lock"), Permissions::from_mode(0o444)).unwrap();
    refuses(unprivileged(folder.path(), &serve), "Permission denied");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_full_disk_answers_503_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    // No file may grow past 1 MiB; the signal that says so is ignored, and the write fails instead.
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_contactd"),
            "serve",
            "--dev",
        ])
        .args(["--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut server = Program::start(command);
    let ann = server.user("ann");
    let body = json!({"personalNotes": "x".repeat(20_000), "phones": [{}, {}]});
    let mut created = Vec::new();
    let mut refusals = 0;
    for _ in 0..150 {
        let answer = ann.post("/me/contacts", &body);
        if answer.status == 201 {
            created.push(answer.id());
        } else {
            assert_eq!(answer.error(), (503, "serviceNotAvailable".into(), String::new()));
            refusals += 1;
        }
    }
    assert!(refusals > 0 && !created.is_empty(), "{} created, {refusals} refused", created.len());
    for id in &created {
        assert_eq!(ann.get(&format!("/me/contacts/{id}")).json(200)["phones"].as_array().unwrap().len(), 2);
    }
    server.signal("TERM");
    assert_eq!(server.ended(Duration::from_mins(1)).code(), Some(0), "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    // After space is freed, exactly the acknowledged contacts exist.
    let server = Program::start(serve_dev(&database));
    let list = server.user("ann").get("/me/contacts?$top=1000").json(200);
    let listed: Vec<_> =
        list["value"].as_array().unwrap().iter().map(|contact| contact["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, created, "a refused write is not there either");
    assert_eq!(server.user("ann").post("/me/contacts", &body).status, 201);
    let rows = rusqlite::Connection::open(&database).unwrap();
    let are_complete: bool = rows
        .query_row("select count(*) * 2 = (select count(*) from phones) from contacts", [], |row| row.get(0))
        .unwrap();
    assert!(are_complete);
    assert_eq!(fails(contactd(&["health", "--listen", &server.address])).0, 0);
}
