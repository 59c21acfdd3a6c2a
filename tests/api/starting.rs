//! The start: addresses, the first start, who can sign in, refusals and warnings.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Program, contactd, fails, serve_dev};

const STOP: Duration = Duration::from_secs(8);

fn serve(database: &Path, listen: &str) -> Command {
    contactd(&["serve", "--listen", listen, "--log-format", "json", "--database", database.to_str().unwrap()])
}

/// The standard output of a successful command.
#[track_caller]
fn run(database: &Path, arguments: &[&str]) -> String {
    let output = contactd(arguments).env("CONTACTD_DATABASE", database).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn stop(mut server: Program) -> String {
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0), "{}", server.log());
    server.log()
}

/// The messages at a level of the log, in order.
fn logged(log: &str, level: &str) -> Vec<String> {
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_level = events.filter(|event| event["level"] == level);
    of_level.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_start_on_an_address_in_use_does_not_touch_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let database = folder.path().join("contacts.db");
    let expected = format!("contactd: --listen {address}: Address already in use (os error 98)\n");
    for existing in [None, Some("not a database")] {
        if let Some(text) = existing {
            std::fs::write(&database, text).unwrap();
        }
        for mode in [&["--dev"][..], &["--dev", "--log-level", "debug"], &["--log-format", "json"]] {
            let mut command = serve(&database, &address);
            command.args(mode.iter().filter(|flag| !["--log-format", "json"].contains(flag)));
            assert_eq!(fails(command), (1, expected.clone()));
        }
        assert_eq!(files(folder.path()).len(), usize::from(existing.is_some()));
    }
    assert_eq!(std::fs::read_to_string(&database).unwrap(), "not a database");
}

#[test]
fn only_the_first_start_announces_the_new_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    for expected in [&["database created", "limits", "stopping"][..], &["limits", "stopping"]] {
        let mut command = serve(&database, "127.0.0.1:0");
        command.arg("--dev");
        assert_eq!(logged(&stop(Program::start(command)), "INFO"), expected);
    }
}

#[test]
fn a_start_that_fails_late_prints_only_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let first = Program::start(serve_dev(&database));
    let mut second = serve(&database, "127.0.0.1:0");
    second.args(["--dev", "--tls"]).env("XDG_DATA_HOME", folder.path());
    let process = first.child.id();
    let expected = format!("contactd: {}: another contactd serves it (process {process})\n", database.display());
    assert_eq!(fails(second), (75, expected));
}

/// Starts a server on loopback, which must create a token, and asserts that the token works.
#[track_caller]
fn assert_can_sign_in(database: &Path) {
    let server = Program::start(serve(database, "127.0.0.1:0"));
    let mut token = database.as_os_str().to_owned();
    token.push(".token");
    assert!(server.log().contains("created user 'owner' with a token"), "{}", server.log());
    let token = std::fs::read_to_string(token).unwrap();
    assert_eq!(server.user(token.trim()).get("/me").json(200)["id"], "owner");
    stop(server);
}

/// The id of the last token that was created.
fn last_token(database: &Path) -> String {
    run(database, &["token", "list"]).lines().last().unwrap().split('\t').next().unwrap().to_owned()
}

#[test]
fn a_server_that_nobody_could_sign_in_to_lets_somebody_in_or_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let elsewhere = |why: &str| {
        let (code, text) = fails(serve(&database, "0.0.0.0:0"));
        assert_eq!((code, text.lines().count()), (1, 1), "{why}: {text}");
        assert!(text.starts_with("contactd: there is no user who can sign in: "), "{why}: {text}");
    };
    elsewhere("there is no database");
    assert_eq!(files(folder.path()), Vec::<String>::new());

    let dev = Program::start(serve_dev(&database));
    assert_eq!(dev.user("ann").get("/me").status, 200);
    stop(dev);
    elsewhere("users of --dev have no token");
    assert_can_sign_in(&database);

    run(&database, &["token", "revoke", &last_token(&database)]);
    elsewhere("the only token is revoked");
    assert_can_sign_in(&database);

    run(&database, &["user", "add", "bob"]);
    run(&database, &["token", "revoke", &last_token(&database)]);
    elsewhere("a user has no token");
    assert_can_sign_in(&database);

    let rows = rusqlite::Connection::open(&database).unwrap();
    rows.execute("update tokens set expiration_date_time = 1", []).unwrap();
    drop(rows);
    elsewhere("the tokens have expired");
    assert_can_sign_in(&database);

    run(&database, &["user", "disable", "owner"]);
    elsewhere("the only user with a token is disabled");
    let before = run(&database, &["token", "list"]);
    let (code, text) = fails(serve(&database, "127.0.0.1:0"));
    assert!(code == 1 && text.contains("no token can be created for 'owner': the user is disabled"), "{text}");
    assert_eq!(run(&database, &["token", "list"]), before);

    // With each of these, somebody can sign in.
    run(&database, &["token", "create", "--app", "sync"]);
    let log = stop(Program::start(serve(&database, "0.0.0.0:0")));
    assert!(!log.contains("there is no user who can sign in"), "{log}");
    run(&database, &["token", "revoke", &last_token(&database)]);
    let mut named = serve(&database, "0.0.0.0:0");
    named.env("CONTACTD_TOKENS", "ann=s1,app:sync=s2");
    stop(Program::start(named));
    let mut provider = serve(&database, "0.0.0.0:0");
    provider.args(["--oidc-issuer", "https://login.example.org/tenant/v2.0", "--oidc-audience", "api://contacts"]);
    stop(Program::start(provider));
}

#[test]
fn unusual_settings_cause_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let warnings = |listen: &str, more: &[&str]| {
        let mut command = serve(&database, listen);
        command.args(more);
        logged(&stop(Program::start(command)), "WARN")
    };
    assert_eq!(warnings("127.0.0.1:0", &["--dev"]), Vec::<String>::new());
    assert_eq!(warnings("127.0.0.1:0", &["--dev"]), Vec::<String>::new());
    run(&database, &["user", "add", "ann"]);
    let [real] = &warnings("127.0.0.1:0", &["--dev"])[..] else { panic!("one warning") };
    assert!(real.starts_with("--dev lets every client act as any user, and this database has users"), "{real}");
    run(&database, &["token", "create", "--user", "ann"]);
    assert_eq!(warnings("127.0.0.1:0", &[]), Vec::<String>::new());
    let [plain] = &warnings("0.0.0.0:0", &[])[..] else { panic!("one warning") };
    assert!(plain.contains("is not encrypted") && plain.contains("--tls-cert"), "{plain}");
    assert_eq!(warnings("0.0.0.0:0", &["--trust-forwarded"]), Vec::<String>::new());
    let [clients] = &warnings("0.0.0.0:0", &["--public-url", "https://book.example.org"])[..] else {
        panic!("one warning")
    };
    assert!(clients.starts_with("with --public-url all clients") && clients.contains("--trust-forwarded"), "{clients}");
}

#[test]
fn a_share_works_at_once_and_a_missing_token_scope_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let server = Program::start(serve(&database, "127.0.0.1:0"));
    run(&database, &["user", "add", "ann"]);
    run(&database, &["user", "add", "bob"]);
    let share = ["share", "add", "--of", "ann", "--with", "bob", "--write"];
    let confirmation = "the mailbox of ann is shared with bob (write)\n";
    let missing = "no token of bob in this database has Contacts.ReadWrite.Shared; create one with: contactd token create --user bob\n";
    assert_eq!(run(&database, &share), format!("{confirmation}{missing}"));
    run(&database, &["token", "create", "--user", "bob", "--scope", "Contacts.ReadWrite"]);
    assert_eq!(run(&database, &share), format!("{confirmation}{missing}"));
    let bob = run(&database, &["token", "create", "--user", "bob"]);
    assert_eq!(run(&database, &share), confirmation);
    let bob = server.user(bob.trim());
    assert_eq!(bob.get("/users/ann/contacts").status, 200);
    assert_eq!(bob.post("/users/ann/contacts", "{}").status, 201);
    // The first start's token permits the same.
    let tokens = run(&database, &["token", "list"]);
    let permits = |line: &str| line.split('\t').nth(3).unwrap().to_owned();
    let permissions_of =
        |name: &str| tokens.lines().rfind(|line| line.contains(&format!("\t{name}\t"))).map(permits).unwrap();
    assert_eq!(
        (permissions_of("owner"), permissions_of("bob")),
        (permissions_of("bob"), "Contacts.ReadWrite Contacts.ReadWrite.Shared".to_owned())
    );
}

#[test]
fn in_development_the_next_call_recreates_a_removed_user() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let server = Program::start(serve_dev(&database));
    let ann = server.user("ann");
    let batch = r#"{"requests": [{"id": "1", "method": "GET", "url": "/me/contacts/$count"}]}"#;
    let calls: [&dyn Fn() -> u16; 4] = [
        &|| ann.get("/me/contacts").status,
        &|| ann.post("/me/contacts", "{}").status,
        &|| ann.post("/$batch", batch).json(200)["responses"][0]["status"].as_u64().unwrap().try_into().unwrap(),
        &|| ann.get("/me").status,
    ];
    for (i, call) in calls.iter().enumerate() {
        ann.post("/me/contacts", "{}").json(201);
        run(&database, &["user", "remove", "ann", "--yes"]);
        assert_eq!(call(), if i == 1 { 201 } else { 200 }, "call {i}");
        assert_eq!(ann.get("/me/contacts/$count").body, if i == 1 { b"1" } else { b"0" }, "call {i}");
    }
}
