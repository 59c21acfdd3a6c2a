//! `--json`: what each command prints for programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::operating::{make, run};
use crate::program::{Place, Program, contactd, serve_dev};

const STOP: Duration = Duration::from_mins(1);

/// The output of a command with `--json`: one object per line.
#[track_caller]
fn objects(database: &Path, arguments: &[&str]) -> Vec<Value> {
    let text = run(database, &[arguments, &["--json"]].concat());
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.iter().all(Value::is_object), "{text}");
    objects
}

#[track_caller]
fn object(database: &Path, arguments: &[&str]) -> Value {
    let mut objects = objects(database, arguments);
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.remove(0)
}

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Asserts that a text is a time.
#[track_caller]
fn is_time(value: &Value) {
    assert!(chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).is_ok(), "{value}");
}

#[test]
fn json_output_of_user_token_and_share_commands_is_objects() {
    let place = Place::new();
    let database = place.database();
    make(&database);
    let ann = json!({"id": "ann", "principalName": "ann@localhost", "displayName": "Ann \"Lee\\"});
    assert_eq!(object(&database, &["user", "add", "ann", "--display-name", "Ann \"Lee\\"]), ann);
    object(&database, &["user", "add", "bob"]);
    let users = objects(&database, &["user", "list"]);
    assert_eq!(names(&users[0]), ["created", "disabled", "displayName", "id", "identities", "principalName"]);
    assert_eq!(
        (&users[0]["id"], &users[0]["disabled"], &users[0]["identities"]),
        (&json!("ann"), &json!(false), &json!([]))
    );
    is_time(&users[0]["created"]);
    assert_eq!(object(&database, &["user", "disable", "bob"])["disabled"], true);
    assert_eq!(objects(&database, &["user", "list"])[1]["disabled"], true);
    assert_eq!(object(&database, &["user", "enable", "bob"])["disabled"], false);

    let token = object(&database, &["token", "create", "--user", "ann", "--name", "phone", "--expires", "90d"]);
    let members = ["bearer", "created", "expires", "id", "name", "scopes", "state", "token", "used"];
    assert_eq!(names(&token), members);
    assert!(token["token"].as_str().unwrap().starts_with("contactd_"));
    assert_eq!((&token["name"], &token["state"], &token["used"]), (&json!("phone"), &json!("valid"), &json!(null)));
    is_time(&token["expires"]);
    object(&database, &["token", "create", "--app", "sync", "--scope", "Contacts.Read,User.Read.All"]);
    let tokens = objects(&database, &["token", "list"]);
    assert_eq!(names(&tokens[0]), members.into_iter().filter(|name| *name != "token").collect::<Vec<_>>());
    assert_eq!(
        (&tokens[1]["bearer"], &tokens[1]["name"], &tokens[1]["expires"]),
        (&json!("app:sync"), &json!(null), &json!(null))
    );
    assert_eq!(tokens[1]["scopes"].as_array().unwrap().len(), 2);
    let revoked = object(&database, &["token", "revoke", token["id"].as_str().unwrap()]);
    assert_eq!((&revoked["state"], &revoked["id"]), (&json!("revoked"), &token["id"]));

    let share = json!({"of": "ann", "with": "bob", "write": true});
    assert_eq!(object(&database, &["share", "add", "--of", "ann", "--with", "bob", "--write"]), share);
    assert_eq!(objects(&database, &["share", "list", "--of", "ann"]), [share]);
    let removed = object(&database, &["share", "remove", "--of", "ann", "--with", "bob"]);
    assert_eq!(removed, json!({"of": "ann", "with": "bob", "removed": true}));
    assert_eq!(objects(&database, &["share", "list", "--of", "ann"]), [json!(null); 0]);
    assert_eq!(object(&database, &["user", "remove", "bob", "--yes"])["removed"], true);

    let audit = objects(&database, &["audit", "--by", "operator"]);
    assert_eq!(names(&audit[0]), ["action", "address", "by", "item", "mailbox", "request", "time", "token"]);
    assert!(audit.iter().any(|entry| entry["action"] == "share add" && entry["mailbox"] == "ann"), "{audit:?}");
    for entry in &audit {
        is_time(&entry["time"]);
    }
}

#[test]
fn json_output_of_database_commands_is_one_object() {
    let place = Place::new();
    let database = place.database();
    make(&database);
    run(&database, &["user", "add", "ann"]);
    fs::write(place.file("a.vcf"), "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Adele\r\nN:Vance;Adele;;;\r\nEND:VCARD\r\n")
        .unwrap();
    let path = |name: &str| place.file(name).to_str().unwrap().to_owned();
    let report = object(&database, &["import", "--user", "ann", &path("a.vcf")]);
    assert_eq!(report["files"].as_array().unwrap().len(), 1, "{report}");
    let imports = objects(&database, &["import", "--list"]);
    let members = ["created", "file", "format", "id", "refused", "started", "state", "unchanged", "updated", "user"];
    assert_eq!(names(&imports[0]), members);
    assert_eq!(
        (&imports[0]["created"], &imports[0]["user"], &imports[0]["state"]),
        (&json!(1), &json!("ann"), &json!("finished"))
    );
    let exported = contactd(&["export", "--user", "ann", "--json", "--to", &path("b.vcf")])
        .env("CONTACTD_DATABASE", &database)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&exported.stderr).unwrap();
    assert_eq!(report, json!({"contacts": 1, "groups": 0, "photosLeftOut": 0, "replaced": 0, "leftOut": {}}));

    let backup = object(&database, &["backup", "--to", &path("copy.db"), "--verify", "quick"]);
    assert_eq!(names(&backup), ["bytes", "copy", "database", "millis", "verified"]);
    assert_eq!((&backup["verified"], &backup["copy"]), (&json!("quick"), &json!(path("copy.db"))));
    assert_eq!(object(&database, &["check"]), json!({"faults": []}));
    let restored = object(&database, &["restore", "--from", &path("copy.db")]);
    assert_eq!(names(&restored), ["database", "from", "kept"]);
    assert_eq!(restored["kept"].as_array().unwrap().len(), 1, "{restored}");
    let copied = objects(&database, &["copy", "--from", &path("copy.db"), "--to", &path("other.db")]);
    assert!(copied.len() > 20 && copied.iter().all(|table| names(table) == ["hash", "rows", "table"]), "{copied:?}");

    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("update mailboxes set contacts = 7").unwrap();
    drop(connection);
    let output = contactd(&["check", "--json"]).env("CONTACTD_DATABASE", &database).output().unwrap();
    let faults: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), faults["faults"].as_array().unwrap().len()), (Some(3), 1), "{faults}");
}

#[test]
fn json_output_of_an_export_counts_groups_and_replaced_characters() {
    let place = Place::new();
    let database = place.database();
    make(&database);
    run(&database, &["user", "add", "ann"]);
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:Żółć\r\nN:Żółć;;;;\r\nEND:VCARD\r\n";
    let group = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:g\r\nFN:Choir\r\nN:Choir;;;;\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n\
                 X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a\r\nEND:VCARD\r\n";
    let path = |name: &str| place.file(name).to_str().unwrap().to_owned();
    fs::write(path("a.vcf"), format!("{card}{group}")).unwrap();
    run(&database, &["import", "--user", "ann", &path("a.vcf")]);
    let out = path("out");
    let report_of = |arguments: &[&str]| {
        let arguments_of_export = [&["export", "--user", "ann", "--json", "--to", &out], arguments].concat();
        let output = contactd(&arguments_of_export).env("CONTACTD_DATABASE", &database).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stderr).unwrap();
        [report["contacts"].clone(), report["groups"].clone(), report["replaced"].clone()]
    };
    assert_eq!(report_of(&["--format", "vcard3"]), [1, 1, 0]);
    let replaced = report_of(&["--format", "csv-outlook", "--encoding", "windows-1252"]);
    // Of these four letters windows-1252 has only ó.
    assert_eq!(replaced[..2], [1, 0]);
    assert!(replaced[2].as_u64().is_some_and(|count| count >= 3), "{replaced:?}");
}

#[test]
fn json_output_of_dev_cert_names_its_files() {
    let place = Place::new();
    let folder = place.file("certificates");
    let output = contactd(&["dev-cert", "--json", "--dir", folder.to_str().unwrap()]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let names = ["localhost", "127.0.0.1", "::1", "graph.microsoft.com"];
    let expected = json!({
        "authority": path("dev-ca.pem"), "certificate": path("dev.pem"), "key": path("dev.key"), "names": names,
    });
    assert_eq!((report, output.status.code()), (expected, Some(0)));
    assert!(["authority", "certificate", "key"].iter().all(|file| fs::metadata(path_of(&output.stdout, file)).is_ok()));
}

/// The path that a member of an object names.
fn path_of(object: &[u8], member: &str) -> String {
    serde_json::from_slice::<Value>(object).unwrap()[member].as_str().unwrap().to_owned()
}

#[test]
fn json_output_of_health_and_version_is_one_object() {
    let place = Place::new();
    let mut server = Program::start(serve_dev(&place.database()));
    let ask = |arguments: &[&str]| {
        let arguments_of_health = [&["health", "--json", "--listen", &server.address], arguments].concat();
        let output = contactd(&arguments_of_health).output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice::<Value>(&output.stdout).ok())
    };
    let (status, object) = ask(&["--ready"]);
    let expected = json!({"address": server.address, "path": "/readyz", "status": 200, "well": true, "failing": []});
    assert_eq!((status, object), (0, Some(expected)));
    assert_eq!(ask(&[]).1.unwrap()["path"], "/healthz");
    fs::rename(place.database(), place.file("away.db")).unwrap();
    crate::receiver::until(|| ask(&["--ready"]).0 == 1);
    let (_, object) = ask(&["--ready"]);
    let object = object.unwrap();
    assert_eq!((&object["status"], &object["well"]), (&json!(503), &json!(false)));
    let failing = object["failing"].as_array().unwrap();
    assert!(failing.iter().any(|one| one.as_str().unwrap().starts_with("disk ")), "{object}");
    fs::rename(place.file("away.db"), place.database()).unwrap();
    let address = server.address.clone();
    server.signal("TERM");
    server.ended(STOP);
    let output = contactd(&["health", "--json", "--listen", &address]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));

    let output = contactd(&["--version", "--verbose", "--json"]).output().unwrap();
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(names(&version), ["revision", "schema", "version"]);
    assert!(version["schema"].as_i64() > Some(20), "{version}");
}
