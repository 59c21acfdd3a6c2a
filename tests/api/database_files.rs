//! The database as files: copies, WALs that belong to another file, and a server whose files are removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::program::{Place, Program, contactd, fails, serve_dev};

const STOP: Duration = Duration::from_secs(8);

/// The names of all files.
fn file_names(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.0.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn add(server: &Program, names: &[&str]) {
    for name in names {
        assert_eq!(server.user("ann").post("/me/contacts", json!({"givenName": name})).status, 201);
    }
}

fn served(database: &Path) -> Vec<String> {
    let mut server = Program::start(serve_dev(database));
    let page = server.user("ann").get("/me/contacts?$top=1000&$select=givenName").json(200);
    let names =
        page["value"].as_array().unwrap().iter().map(|contact| contact["givenName"].as_str().unwrap().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    server.signal("TERM");
    server.ended(STOP);
    names
}

fn kill(mut server: Program) {
    server.signal("KILL");
    server.ended(STOP);
}

fn stop(mut server: Program) {
    server.signal("TERM");
    assert!(server.ended(STOP).success());
}

fn on(database: &Path, arguments: &[&str]) -> Command {
    let mut command = contactd(arguments);
    command.env("CONTACTD_DATABASE", database);
    command
}

fn backup(from: &Path, to: &Path) -> (i32, String) {
    fails(contactd(&["backup", "--database", from.to_str().unwrap(), "--to", to.to_str().unwrap()]))
}

/// Asserts that the error is one line with this reason.
#[track_caller]
fn assert_fails(command: Command, why: &str) {
    let (code, text) = fails(command);
    let last = text.lines().last().unwrap_or_default();
    assert!(code == 1 && last.starts_with("contactd: ") && last.contains(why), "{code} {text}");
}

#[test]
fn a_copy_next_to_the_wal_of_another_database_is_refused_and_unchanged() {
    for later in [1, 30] {
        let place = Place::new();
        let (database, copy) = (place.database(), place.file("copy.db"));
        let server = Program::start(serve_dev(&database));
        add(&server, &["before"]);
        assert_eq!(backup(&database, &copy), (0, String::new()));
        for _ in 0..later {
            add(&server, &["after"]);
        }
        kill(server);
        fs::copy(&copy, &database).unwrap();
        let log = fs::read(place.file("contacts.db-wal")).unwrap();
        for command in [serve_dev(&database), on(&database, &["user", "list"]), on(&database, &["user", "add", "bob"])]
        {
            assert_fails(command, "contacts.db-wal beside it belongs to another database");
        }
        assert!(backup(&database, &place.file("other.db")).1.contains("contacts.db-wal beside it belongs"));
        assert_eq!(fs::read(&copy).unwrap(), fs::read(&database).unwrap());
        assert_eq!(log, fs::read(place.file("contacts.db-wal")).unwrap());
        fs::remove_file(place.file("contacts.db-wal")).unwrap();
        fs::remove_file(place.file("contacts.db-shm")).unwrap();
        assert_eq!(served(&database), ["before"]);
    }
}

#[test]
fn a_file_copied_before_the_last_start_is_refused_next_to_a_newer_wal() {
    let place = Place::new();
    let (database, old) = (place.database(), place.file("old.db"));
    let server = Program::start(serve_dev(&database));
    add(&server, &["old"]);
    stop(server);
    fs::copy(&database, &old).unwrap();
    let server = Program::start(serve_dev(&database));
    add(&server, &["new"]);
    kill(server);
    let killed = fs::read(&database).unwrap();
    fs::copy(&old, &database).unwrap();
    assert_fails(serve_dev(&database), "contacts.db-wal beside it belongs to another database");
    assert_eq!(fs::read(&old).unwrap(), fs::read(&database).unwrap());
    // A log next to an empty or missing file is refused too.
    fs::write(&database, "").unwrap();
    assert_fails(
        on(&database, &["serve", "--dev", "--listen", "127.0.0.1:0", "--create"]),
        "contacts.db-wal beside it belongs",
    );
    fs::remove_file(&database).unwrap();
    assert_fails(serve_dev(&database), "there is no such file, but its contacts.db-wal");
    // The log and its own file are accepted, even after both are moved.
    fs::write(&database, killed).unwrap();
    let elsewhere = Place::new();
    for name in ["contacts.db", "contacts.db-wal"] {
        fs::copy(place.file(name), elsewhere.file(name)).unwrap();
    }
    for database in [database, elsewhere.database()] {
        assert_eq!(served(&database), ["new", "old"]);
    }
}

#[test]
fn the_wal_of_a_killed_server_is_accepted_each_time() {
    let place = Place::new();
    for _ in 0..3 {
        let server = Program::start(serve_dev(&place.database()));
        add(&server, &["x"]);
        // Commands work while the server runs and after it is killed.
        assert_eq!(fails(on(&place.database(), &["user", "list"])).0, 0);
        kill(server);
        assert_eq!(fails(on(&place.database(), &["user", "list"])).0, 0);
    }
    assert_eq!(served(&place.database()).len(), 3);
}

/// Asserts that the server refuses writes, and logs the reason once.
#[track_caller]
fn assert_writes_refused(server: &Program, why: &str) {
    let ann = server.user("ann");
    for _ in 0..3 {
        assert_eq!(ann.post("/me/contacts", json!({"givenName": "lost"})).error().0, 503);
        assert_eq!(ann.get("/healthz").status, 503);
    }
    assert_eq!(ann.get("/me/contacts").error().0, 503);
    // A separate thread writes the log.
    let errors =
        || server.log().lines().filter(|line| line.contains("\"ERROR\"")).map(str::to_owned).collect::<Vec<_>>();
    for _ in 0..3_000 {
        if !errors().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(errors().len() == 1 && errors()[0].contains(why), "{:?}", errors());
}

#[test]
fn a_server_whose_files_are_removed_acknowledges_no_write() {
    type Action = fn(&Place);
    let deeds: [(&str, Action); 6] = [
        ("file was removed", |place| fs::remove_file(place.database()).unwrap()),
        ("file was replaced", |place| fs::rename(place.file("copy.db"), place.database()).unwrap()),
        ("was overwritten", |place| _ = fs::copy(place.file("copy.db"), place.database()).unwrap()),
        ("was overwritten", |place| fs::write(place.database(), "").unwrap()),
        ("-wal was removed", |place| fs::remove_file(place.file("contacts.db-wal")).unwrap()),
        ("-wal was replaced", |place| fs::rename(place.file("copy.db"), place.file("contacts.db-wal")).unwrap()),
    ];
    for (why, deed) in deeds {
        let place = Place::new();
        let server = Program::start(serve_dev(&place.database()));
        add(&server, &["x"]);
        assert_eq!(backup(&place.database(), &place.file("copy.db")), (0, String::new()));
        deed(&place);
        assert_writes_refused(&server, why);
    }
}

#[test]
fn a_database_that_is_moved_back_accepts_writes_and_lost_nothing() {
    let place = Place::new();
    let server = Program::start(serve_dev(&place.database()));
    add(&server, &["a"]);
    fs::rename(place.database(), place.file("away.db")).unwrap();
    assert_writes_refused(&server, "file was removed");
    // Another file that now has its name is not changed.
    fs::write(place.database(), "mine").unwrap();
    assert_eq!(server.user("ann").get("/healthz").status, 503);
    assert_eq!(fs::read(place.database()).unwrap(), b"mine");
    fs::rename(place.file("away.db"), place.database()).unwrap();
    assert_eq!(server.user("ann").get("/healthz").status, 200);
    add(&server, &["b"]);
    stop(server);
    assert_eq!(served(&place.database()), ["a", "b"]);
}

#[test]
fn exactly_one_of_two_backups_to_the_same_name_succeeds() {
    let place = Place::new();
    let server = Program::start(serve_dev(&place.database()));
    add(&server, &["x"]);
    for round in 0..5 {
        let copy = place.file(&format!("copy{round}.db"));
        let backups = [0, 1].map(|_| {
            contactd(&["backup", "--database", place.database().to_str().unwrap(), "--to", copy.to_str().unwrap()])
                .spawn()
                .unwrap()
        });
        let ended = backups.map(|child| child.wait_with_output().unwrap());
        let failed: Vec<_> = ended.iter().filter(|output| !output.status.success()).collect();
        assert_eq!(failed.len(), 1);
        assert!(String::from_utf8_lossy(&failed[0].stderr).contains("it already exists"));
        assert_eq!(served(&copy), ["x"]);
    }
    assert!(!file_names(&place).iter().any(|name| name.starts_with('.')), "{:?}", file_names(&place));
}

#[test]
fn a_backup_does_not_write_through_planted_files_or_links() {
    let place = Place::new();
    let server = Program::start(serve_dev(&place.database()));
    add(&server, &["secret"]);
    let (copy, foreign_file) = (place.file("copy.db"), place.file("theirs"));
    fs::write(&foreign_file, "").unwrap();
    std::os::unix::fs::symlink(&foreign_file, place.file("copy.db.partial")).unwrap();
    assert_eq!(backup(&place.database(), &copy), (0, String::new()));
    assert_eq!(fs::read(&foreign_file).unwrap(), b"");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // A dangling link also counts as an existing file.
    std::os::unix::fs::symlink(place.file("nowhere"), place.file("link.db")).unwrap();
    assert!(backup(&place.database(), &place.file("link.db")).1.contains("it already exists"));
    assert!(!place.file("nowhere").exists());
    for left in ["free.db-wal", "free.db-shm", "free.db-journal"] {
        fs::write(place.file(left), "").unwrap();
        let (code, text) = backup(&place.database(), &place.file("free.db"));
        assert!(code == 1 && text.contains(left) && !place.file("free.db").exists(), "{text}");
        fs::remove_file(place.file(left)).unwrap();
    }
    drop(server);
    // A link in place of the lock file is not followed either.
    fs::remove_file(place.file("contacts.db.lock")).unwrap();
    fs::write(&foreign_file, "theirs").unwrap();
    std::os::unix::fs::symlink(&foreign_file, place.file("contacts.db.lock")).unwrap();
    assert_fails(serve_dev(&place.database()), "contacts.db.lock");
    assert_eq!(fs::read(&foreign_file).unwrap(), b"theirs");
}

#[test]
fn a_backup_removes_the_leftovers_of_a_killed_one() {
    let place = Place::new();
    drop(Program::start(serve_dev(&place.database())));
    let folder = place.file(".contactd-copy-left");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join("copy.db"), "half").unwrap();
    // The owner of this file is not certain.
    assert_eq!(backup(&place.database(), &place.file("one.db")).0, 0);
    assert!(folder.exists());
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(backup(&place.database(), &place.file("two.db")).0, 0);
    assert!(folder.exists());
    drop(lock);
    assert_eq!(backup(&place.database(), &place.file("three.db")).0, 0);
    assert!(!folder.exists());
}

#[test]
fn a_start_removes_the_folder_of_a_killed_temporary_server() {
    let place = Place::new();
    let start = || {
        let mut command = contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]);
        command.env("TMPDIR", place.0.path());
        Program::start(command)
    };
    let (first, second) = (start(), start());
    assert_eq!(file_names(&place).len(), 2);
    kill(first);
    assert_eq!(file_names(&place).len(), 2);
    let third = start();
    assert_eq!(file_names(&place).len(), 2);
    for server in [&second, &third] {
        add(server, &["x"]);
    }
    stop(second);
    stop(third);
    assert_eq!(file_names(&place), [""; 0]);
}

#[test]
fn commands_create_and_upgrade_no_database_file() {
    let place = Place::new();
    let database = place.database();
    let commands: [&[&str]; 6] = [
        &["user", "list"],
        &["user", "add", "ann"],
        &["token", "list"],
        &["token", "create", "--user", "ann"],
        &["share", "list", "--of", "ann"],
        &["audit"],
    ];
    let refuse = |why: &str| {
        for arguments in commands {
            assert_fails(on(&database, arguments), why);
        }
        let copied = fails(contactd(&[
            "copy",
            "--from",
            database.to_str().unwrap(),
            "--to",
            place.file("copied.db").to_str().unwrap(),
        ]));
        assert!(copied.0 == 1 && copied.1.contains(why.split(';').next().unwrap()), "{copied:?}");
    };
    refuse("there is no such file");
    assert_eq!(file_names(&place), [""; 0]);
    stop(Program::start(serve_dev(&database)));
    // A database of an older program, and of a newer one.
    for (change, why) in [
        (
            "delete from refinery_schema_history where version = (select max(version) from refinery_schema_history)",
            "contactd upgrade does that, and contactd serve at its start",
        ),
        (
            "insert into refinery_schema_history select 999, 'new', applied_on, checksum from refinery_schema_history limit 1",
            "use a newer contactd",
        ),
    ] {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection.execute(change, []).unwrap();
        drop(connection);
        let bytes_before = fs::read(&database).unwrap();
        refuse(why);
        assert_eq!(fs::read(&database).unwrap(), bytes_before);
    }
}

#[test]
fn an_empty_file_is_refused_as_a_database_by_default() {
    let place = Place::new();
    let database = place.database();
    fs::write(&database, "").unwrap();
    assert_fails(serve_dev(&database), "the file is empty and is not a database: contactd serve --create creates");
    assert_fails(on(&database, &["user", "list"]), "the file is empty");
    assert_eq!(fs::metadata(&database).unwrap().len(), 0);
    let mut create = serve_dev(&database);
    create.arg("--create");
    let server = Program::start(create);
    add(&server, &["x"]);
    stop(server);
    assert_eq!(served(&database), ["x"]);
}

#[test]
fn a_database_that_others_may_read_causes_a_warning() {
    let place = Place::new();
    let server = Program::start(serve_dev(&place.database()));
    assert!(!server.log().contains("may read the database"));
    stop(server);
    fs::set_permissions(place.database(), fs::Permissions::from_mode(0o644)).unwrap();
    let server = Program::start(serve_dev(&place.database()));
    for _ in 0..3_000 {
        if server.log().contains("may read the database") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", server.log());
}
