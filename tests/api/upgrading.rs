//! Upgrades of the schema by the real program: dry runs, the backup, progress, and an older program on
//! a newer schema.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use refinery::Migration;
use serde_json::{Value, json};

use crate::app::SEED_REQUEST;
use crate::postgres::{Postgres, Schema};
use crate::program::{Place, Program, contactd, fails, of_program, serve_dev};

const STOP: Duration = Duration::from_mins(1);
/// SQL that inserts a user with a contact, in the columns of the first migration.
const CONTENT: &str = "
insert into store (id, epoch, folding, created_date_time) values (1, ID, 1, 0);
insert into mailboxes (id, seq) values (1, 1);
insert into users (id, user_principal_name, user_principal_name_key, display_name, mail, mailbox, created_date_time)
values ('ann', 'ann@localhost', 'ann@localhost', 'ann', 'ann@localhost', 1, 0);
insert into folders (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time,
    last_modified_date_time, deleted_date_time)
values (1, 'contacts', null, 'Contacts', 'contacts', 0, 0, 0, null);
insert into contacts (mailbox, id, parent_folder_id, version, created_date_time, last_modified_date_time, size,
    display_name_derived, given_name, given_name_key)
values (1, ID, 'contacts', 1, 0, 0, 0, true, 'Éva', 'éva');
insert into changes (mailbox, seq, folder_id, contact_id, removed, changed_date_time)
values (1, 1, 'contacts', ID, false, 0);";
const HISTORY: &str = "create table refinery_schema_history
    (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255))";

/// The migrations of an engine, in order.
fn migrations(engine: &str) -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            Migration::unapplied(file.file_stem().unwrap().to_str().unwrap(), &text).unwrap()
        })
        .collect();
    found.sort_unstable();
    found
}

fn newest() -> i64 {
    migrations("sqlite").last().unwrap().version().into()
}

/// The statements that create a database with these migrations and a contact.
fn made(engine: &str, up_to: i32) -> String {
    let id = if engine == "sqlite" {
        "x'01890000000070008000000000000000'"
    } else {
        "'01890000-0000-7000-8000-000000000000'"
    };
    let mut text = format!("{HISTORY};\n");
    for migration in migrations(engine).iter().filter(|migration| migration.version() <= up_to) {
        text += migration.sql().unwrap();
        let (version, name, checksum) = (migration.version(), migration.name(), migration.checksum());
        let values = format!("({version}, '{name}', '2026-01-01T00:00:00Z', '{checksum}')");
        text += &["\ninsert into refinery_schema_history values ", &values, ";\n"].concat();
        if migration.version() == 1 {
            text += &CONTENT.replace("ID", id);
        }
    }
    text
}

/// Creates a file with the first migration only.
fn old(place: &Place) {
    let connection = rusqlite::Connection::open(place.database()).unwrap();
    connection.execute_batch(&made("sqlite", 1)).unwrap();
    drop(connection);
    fs::set_permissions(place.database(), fs::Permissions::from_mode(0o600)).unwrap();
}

/// The version of the schema of a file.
fn version(file: &Path) -> i64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("select max(version) from refinery_schema_history", [], |row| row.get(0)).unwrap()
}

/// The exit status, standard output and standard error of a command on a database.
fn run(database: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = contactd(arguments).env("CONTACTD_DATABASE", database).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn files(place: &Place) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(place.0.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_dry_run_shows_the_steps_and_their_duration_and_changes_nothing() {
    let place = Place::new();
    old(&place);
    let database = place.database();
    let (path, before) = (database.to_str().unwrap(), fs::read(&database).unwrap());
    let (status, output, error) = run(path, &["upgrade", "--dry-run"]);
    assert_eq!(status, 0, "{error}");
    let newest = newest();
    assert!(
        output.starts_with(&format!("{path}: schema 1, would be upgraded to {newest} by V2__queries, ")),
        "{output}"
    );
    assert!(output.contains("; on a copy with its 1 contacts this took ") && output.contains(" ms and "), "{output}");
    let (_, output, _) = run(path, &["upgrade", "--dry-run", "--json"]);
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&output["from"], &output["to"], &output["contacts"]), (&json!(1), &json!(newest), &json!(1)));
    assert_eq!(output["migrations"].as_array().unwrap().len(), migrations("sqlite").len() - 1);
    assert!(
        output["millis"].is_u64() && output["bytes"]["after"].as_u64() > output["bytes"]["before"].as_u64(),
        "{output}"
    );
    assert_eq!(fs::read(&database).unwrap(), before);
    assert_eq!(files(&place), ["contacts.db"]);
    // No other command upgrades it.
    for command in [&["user", "list"][..], &["audit"], &["check"], &["export", "--user", "ann"]] {
        let (status, _, error) = run(path, command);
        assert!(
            status == 1 && error.contains("contactd upgrade does that, and contactd serve at its start"),
            "{error}"
        );
    }
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn an_upgrade_logs_each_step_and_leaves_a_backup_named_after_its_schema() {
    let place = Place::new();
    old(&place);
    let (database, backup) = (place.database(), place.file("contacts.db.schema-1"));
    let path = database.to_str().unwrap();
    let (status, output, log) = run(path, &["upgrade"]);
    assert_eq!(status, 0, "{log}");
    let newest = newest();
    assert!(output.starts_with(&format!("{path}: upgraded from schema 1 to {newest} in ")), "{output}");
    assert!(output.ends_with(&format!(" ms; backup of the old file: {}\n", backup.display())), "{output}");
    let steps = log.lines().filter(|line| line.contains("schema upgraded")).count();
    assert_eq!(steps, migrations("sqlite").len() - 1, "{log}");
    assert!(log.contains("upgrading the schema") && log.contains("was backed up before"), "{log}");
    assert_eq!((version(&backup), version(&database)), (1, newest));
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let (status, output, _) = run(path, &["upgrade", "--json"]);
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &output["migrations"], &output["backup"]), (0, &json!([]), &json!(null)));
    let (_, output, _) = run(path, &["upgrade", "--dry-run"]);
    assert_eq!(output, format!("{path}: nothing to upgrade; the schema has version {newest}\n"));
    assert_eq!(run(path, &["check"]).0, 0);
    let mut server = Program::start(serve_dev(&database));
    let page = server.user("ann").get("/me/contacts").json(200);
    assert_eq!(page["value"][0]["givenName"], "Éva");
    // A database that is served is not upgraded.
    let (status, _, error) = run(path, &["upgrade"]);
    assert!(status == 75 && error.contains("another contactd serves it"), "{error}");
    server.signal("TERM");
    server.ended(STOP);
}

#[test]
fn a_server_makes_a_backup_and_upgrades_at_startup_by_default() {
    let kept = Place::new();
    old(&kept);
    // An earlier attempt left a partial backup.
    fs::write(kept.file("contacts.db.schema-1"), "x").unwrap();
    let server = Program::start(serve_dev(&kept.database()));
    assert_eq!(version(&kept.file("contacts.db.schema-1")), 1);
    assert!(server.log().contains("schema upgraded"), "{}", server.log());
    assert_eq!(server.user("ann").get("/me/contacts/$count").body, b"1");
    drop(server);
    for (how, value) in [("--no-backup-before-upgrade", ""), ("", "true")] {
        let place = Place::new();
        old(&place);
        let mut command = serve_dev(&place.database());
        command.args(Some(how).filter(|how| !how.is_empty())).env("CONTACTD_NO_BACKUP_BEFORE_UPGRADE", value);
        let server = Program::start(command);
        assert_eq!(server.user("ann").get("/me/contacts/$count").body, b"1");
        assert!(!place.file("contacts.db.schema-1").exists());
    }
    // A new database needs no backup.
    let new = Place::new();
    drop(Program::start(serve_dev(&new.database())));
    assert!(!files(&new).iter().any(|name| name.contains("schema")), "{:?}", files(&new));
}

#[test]
fn without_disk_space_for_a_backup_nothing_is_upgraded() {
    let place = Place::new();
    old(&place);
    // A folder with this name cannot be replaced.
    fs::create_dir(place.file("contacts.db.schema-1")).unwrap();
    let (status, message) = fails(serve_dev(&place.database()));
    let why = "no backup can be made before its schema is upgraded: ";
    assert!(status == 1 && message.contains(why) && message.contains("--no-backup-before-upgrade"), "{message}");
    assert_eq!(version(&place.database()), 1);
    // A foreign database, or one of a newer program, is not upgraded either.
    let (status, _, error) = run(place.file("none.db").to_str().unwrap(), &["upgrade"]);
    assert!(status == 1 && error.contains("there is no such file") && !place.file("none.db").exists(), "{error}");
    rusqlite::Connection::open(place.file("foreign.db")).unwrap().execute_batch("create table t (a)").unwrap();
    let (status, _, error) = run(place.file("foreign.db").to_str().unwrap(), &["upgrade"]);
    assert!(status == 1 && error.contains("it is the database of another program"), "{error}");
}

#[test]
fn a_database_on_postgresql_is_upgraded_by_the_command_too() {
    let schema: Schema = Postgres::shared().schema();
    schema.query(&made("postgres", 1));
    let (status, output, error) = run(&schema.url, &["upgrade", "--dry-run"]);
    assert_eq!(status, 0, "{error}");
    assert!(
        output.contains(": schema 1, would be upgraded to ") && output.ends_with("Take a backup with pg_dump before\n"),
        "{output}"
    );
    assert_eq!(schema.query("select max(version) from refinery_schema_history"), "1");
    let (status, output, error) = run(&schema.url, &["upgrade"]);
    assert!(status == 0 && output.contains(": upgraded from schema 1 to "), "{output}{error}");
    assert_eq!(schema.query("select max(version) from refinery_schema_history"), newest().to_string());
    let server = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &schema.url]));
    assert_eq!(server.user("ann").get("/me/contacts").json(200)["value"][0]["givenName"], "Éva");
}

/// A change that a later release may make while this program runs: it only adds to the schema.
const EXPAND: &str = "
alter table contacts add column later text;
alter table changes add column later bigint not null default 7;
alter table mailboxes add column later boolean not null default false;
create table later (mailbox bigint not null references mailboxes (id), note text not null, primary key (mailbox));
create index contacts_later on contacts (mailbox, later);
insert into refinery_schema_history select 9001, 'later', applied_on, checksum from refinery_schema_history where version = 1;";

/// Rolling upgrades: a running process continues after a newer one upgrades the schema. `TEST_LAST_RELEASE` names the program of
/// the last release; without it this program is the older one. It uses PostgreSQL, since a file has one process.
#[test]
fn a_running_process_continues_after_a_newer_one_expands_the_schema() {
    let schema: Schema = Postgres::shared().schema();
    let last = std::env::var("TEST_LAST_RELEASE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_contactd").to_owned());
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", &schema.url];
    let older = Program::start(of_program(Path::new(&last), &serve));
    let ann = older.user("ann");
    // Its earlier statements are prepared in the process and on the server.
    let work = || {
        let id = ann.post("/me/contacts/$ref", SEED_REQUEST).json(201)["id"].as_str().unwrap().to_owned();
        let path = format!("/me/contacts/{id}");
        ann.get(&path).json(200);
        ann.patch(&path, json!({"nickName": "x"})).json(200);
        ann.get("/me/contacts?$filter=nickName eq 'x'&$orderby=displayName&$count=true".replace(' ', "%20").as_str())
            .json(200);
        ann.get("/me/contacts?$search=%22Pavel%22").json(200);
        let delta = ann.get("/me/contacts/delta").json(200);
        let folder = ann.post("/me/contactFolders", json!({"displayName": id})).id();
        ann.post(&format!("/me/contactFolders/{folder}/contacts"), json!({"givenName": "y"})).json(201);
        ann.delete(&format!("/me/contactFolders/{folder}")).empty(204);
        ann.delete(&path).empty(204);
        assert!(delta["value"].is_array());
    };
    work();
    work();
    let (status, _, error) = run(&schema.url, &["upgrade"]);
    assert_eq!(status, 0, "{error}");
    schema.query(EXPAND);
    for _ in 0..3 {
        work();
    }
    assert_eq!(older.user("").get("/readyz").status, 200);
    assert!(!older.log().contains("ERROR"), "{}", older.log());
    // The older program does not start on the new schema.
    drop(older);
    let (status, message) = fails(of_program(Path::new(&last), &serve));
    assert!(status == 1 && message.contains("use a newer contactd"), "{message}");
}

#[test]
fn each_release_in_the_changelog_says_whether_older_processes_may_continue() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    let releases: Vec<_> = text.split("\n## ").skip(1).collect();
    assert!(!releases.is_empty());
    for release in releases {
        let rolling = release.lines().skip(1).find(|line| !line.is_empty()).unwrap_or_default();
        assert!(rolling.starts_with("Rolling: yes.") || rolling.starts_with("Rolling: no."), "{release}");
    }
}
