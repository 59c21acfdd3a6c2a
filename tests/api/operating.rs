//! The first start, and the commands for users, tokens and shares while a server runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::app::{Client, SEED_REQUEST};
use crate::postgres::Postgres;
use crate::program::{Program, contactd, fails, serve_dev};

/// The standard output of a successful command.
#[track_caller]
pub fn run(database: &Path, arguments: &[&str]) -> String {
    let output = contactd(arguments).env("CONTACTD_DATABASE", database).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The error message of a failed command.
#[track_caller]
pub fn refuses(database: &Path, arguments: &[&str]) -> String {
    let mut command = contactd(arguments);
    command.env("CONTACTD_DATABASE", database);
    let (code, text) = fails(command);
    assert!(code != 0 && !text.contains("panicked"), "{arguments:?}: {code} {text}");
    text
}

pub fn serve(database: &Path) -> Command {
    contactd(&["serve", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap()])
}

/// Creates a database without users, since commands do not create one.
pub fn make(database: &Path) {
    let mut server = Program::start(serve_dev(database));
    server.signal("TERM");
    assert!(server.ended(Duration::from_mins(1)).success());
}

pub fn create(database: &Path, arguments: &[&str]) -> String {
    run(database, &[&["token", "create"], arguments].concat()).trim().to_owned()
}

#[test]
fn the_first_start_makes_a_user_and_tells_who_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let file = folder.path().join("contacts.db.token");
    let mut first = Program::start(serve(&database));
    let log = first.log();
    assert!(log.contains("created user 'owner' with a token, which is in ") && log.contains(file.to_str().unwrap()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(!log.contains(token.trim()), "{log}");
    // The printed command line works unchanged, and the seed's example too.
    let line = log.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    let pasted = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(String::from_utf8_lossy(&pasted.stdout).starts_with("HTTP/1.1 201 Created"), "{pasted:?}");
    let owner = first.user(token.trim());
    assert_eq!(owner.get("/me").json(200)["id"], "owner");
    assert_eq!(owner.post("/me/contacts/$ref", SEED_REQUEST).status, 201);
    assert_eq!(first.user("owner").get("/me").error().0, 401);
    first.signal("TERM");
    first.ended(Duration::from_mins(1));
    // Only at the first start.
    std::fs::remove_file(&file).unwrap();
    let second = Program::start(serve(&database));
    assert!(!second.log().contains("owner") && !file.exists());
    assert_eq!(second.user(token.trim()).get("/me/contacts/$count").body, b"2");
}

#[test]
fn on_a_terminal_the_first_token_is_shown_once_and_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_contactd");
    let command = format!("{program} serve --listen 127.0.0.1:0 --database contacts.db & sleep 2; kill $!; wait");
    let shown =
        Command::new("script").args(["-qec", &command, "/dev/null"]).current_dir(folder.path()).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).replace('\r', "");
    let token =
        shown.lines().map(str::trim).find(|line| line.starts_with("contactd_")).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(shown.matches(token).count(), 2, "by itself, and in the line to paste: {shown}");
    assert!(!folder.path().join("contacts.db.token").exists());
    let again = Program::start(serve(&folder.path().join("contacts.db")));
    assert_eq!(again.user(token).get("/me").json(200)["id"], "owner");
}

#[test]
fn nobody_is_let_in_by_default_on_other_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let elsewhere = || contactd(&["serve", "--listen", "0.0.0.0:0", "--database", database.to_str().unwrap()]);
    let (code, text) = fails(elsewhere());
    assert!(code == 1 && text.contains("contactd: there is no user who can sign in"), "{text}");
    // It starts with a user, and with tokens from the environment.
    make(&database);
    run(&database, &["user", "add", "ann"]);
    let token = create(&database, &["--user", "ann"]);
    let server = Program::start(elsewhere());
    assert_eq!(Client::new(&server.address, &token).get("/me").status, 200);
    assert_eq!(Client::new(&server.address, "").get("/me/contacts").error().0, 401);
    drop(server);
    let mut command = contactd(&["serve", "--listen", "0.0.0.0:0", "--database", ":memory:"]);
    command.env("CONTACTD_TOKENS", "bob=hunter2");
    assert_eq!(Program::start(command).user("hunter2").get("/me").json(200)["id"], "bob");
}

#[test]
fn an_operator_adds_and_revokes_users_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    assert!(run(&database, &["user", "add", "ann", "--display-name", "Ann Lee"]).starts_with("added ann;"));
    run(&database, &["user", "add", "bob@example.org"]);
    let server = Program::start(serve(&database));
    let ann = server.user(&create(&database, &["--user", "ann", "--scope", "Contacts.ReadWrite.Shared"]));
    let bob = server.user(&create(&database, &["--user", "BOB@example.org", "--scope", "Contacts.ReadWrite.Shared"]));
    let sync = server.user(&create(&database, &["--app", "sync", "--scope", "Contacts.Read,User.Read.All"]));
    let also = server.user(&create(&database, &["--user", "sync", "--app", "--scope", "Contacts.Read"]));
    assert_eq!(ann.get("/me").json(200)["displayName"], "Ann Lee");
    // Both users, and the owner that the first start created because neither had a token yet.
    assert_eq!(sync.get("/users").json(200)["value"].as_array().unwrap().len(), 3);
    assert_eq!(also.get("/users/ann/contacts").status, 200);
    let id = ann.post("/me/contacts", json!({"title": "x"})).id();
    let path = format!("/users/ann/contacts/{id}");

    assert_eq!(bob.get(&path).error().1, "Request_ResourceNotFound");
    let output = run(&database, &["share", "add", "--of", "ann", "--with", "bob@example.org"]);
    assert_eq!(output, "the mailbox of ann is shared with bob@example.org (read)\n");
    assert_eq!(run(&database, &["share", "list", "--of", "ann"]), "WITH\tMAY\nbob@example.org\tread\n");
    assert_eq!((bob.get(&path).status, bob.delete(&path).error().0), (200, 403));
    run(&database, &["share", "add", "--of", "ann", "--with", "bob@example.org", "--write"]);
    assert_eq!(bob.patch(&path, json!({"title": "y"})).status, 200);
    run(&database, &["share", "remove", "--of", "ann", "--with", "bob@example.org"]);
    assert_eq!(bob.get(&path).error().1, "Request_ResourceNotFound");

    run(&database, &["user", "disable", "ann"]);
    assert_eq!(ann.get("/me").error().0, 401);
    assert!(run(&database, &["user", "list"]).lines().nth(1).unwrap().ends_with("disabled"));
    run(&database, &["user", "enable", "ann"]);
    assert_eq!(ann.get("/me/contacts").status, 200);

    let tokens = run(&database, &["token", "list", "--user", "ann"]);
    let token = tokens.lines().nth(1).unwrap().split('\t').next().unwrap();
    assert_eq!(tokens.lines().count(), 2);
    assert_eq!(tokens.lines().next().unwrap(), "ID\tBEARER\tNAME\tPERMITS\tSTATE\tCREATED\tUSED");
    assert!(tokens.contains("\tann\t-\tContacts.ReadWrite.Shared\tuntil -\tcreated "), "{tokens}");
    run(&database, &["token", "revoke", token]);
    assert_eq!(ann.get("/me/contacts").error().0, 401);
    assert!(run(&database, &["token", "list", "--user", "ann"]).contains("\trevoked\t"));

    // User, action, object and address.
    let audit = run(&database, &["audit", "--of", "ann", "--item", &id]);
    let fields = audit.lines().skip(1).map(|line| line.split('\t').skip(1).take(5).collect::<Vec<_>>());
    let expected = [
        ["ann", "127.0.0.1", "POST /{user}/contacts", "ann", id.as_str()],
        ["bob@example.org", "127.0.0.1", "PATCH /{user}/contacts/{id}", "ann", &id],
    ];
    assert_eq!(fields.collect::<Vec<_>>(), expected);
    let operator = run(&database, &["audit", "--by", "operator", "--last", "1h"]);
    for action in
        ["user add", "token create", "share add", "share remove", "user disable", "user enable", "token revoke"]
    {
        assert!(operator.contains(&format!("\toperator\t-\t{action}\t")), "{action}: {operator}");
    }

    assert!(refuses(&database, &["user", "remove", "ann"]).contains("--yes"));
    run(&database, &["user", "remove", "ann", "--yes"]);
    assert_eq!(sync.get(&path).error().1, "Request_ResourceNotFound");
    let users = run(&database, &["user", "list"]);
    assert_eq!(users.lines().next().unwrap(), "ID\tPRINCIPAL NAME\tDISPLAY NAME\tCREATED\tSTATE");
    assert_eq!(users.lines().count(), 3);
}

#[test]
fn a_failing_command_prints_one_line_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    run(&database, &["user", "add", "ann"]);
    for (arguments, why) in [
        (["user", "add", "ANN@localhost"].as_slice(), "user 'ANN' already exists"),
        (&["user", "add", "a b"], "expected 1 to 64 characters of A-Z a-z 0-9 . _ - ' + ! # & ^ ~"),
        (&["user", "disable", "bob"], "there is no user 'bob'"),
        (&["user", "remove", "bob", "--yes"], "there is no user 'bob'"),
        (&["token", "create", "--user", "bob"], "there is no user 'bob'"),
        (&["token", "create"], "--user"),
        (
            &["token", "create", "--user", "ann", "--scope", "Mail.Read"],
            "'Mail.Read' is not a permission of a user; use",
        ),
        (
            &["token", "create", "--app", "x", "--scope", "Contacts.Read.Shared"],
            "is not a permission of an application",
        ),
        (&["token", "create", "--user", "ann", "--app", "x"], "not both"),
        (&["token", "create", "--user", "ann", "--expires", "1y"], "expected a time like 90d or 12h"),
        (&["token", "revoke", "00000000-0000-7000-8000-000000000000"], "there is none with that name"),
        (&["token", "revoke", "x"], "invalid value 'x'"),
        (&["share", "add", "--of", "ann", "--with", "ann"], "the owner already has access to the mailbox"),
        (&["share", "remove", "--of", "ann", "--with", "bob"], "there is no user 'bob'"),
        (&["audit", "--of", "bob"], "there is no user 'bob', and the log has no removed user with that name"),
        (&["user", "list", "--database", ":memory:"], "only the process that created it can open it"),
    ] {
        let text = refuses(&database, arguments);
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
    assert_eq!(run(&database, &["token", "list"]).lines().count(), 1, "the heads of its columns");
}

#[test]
fn no_token_is_in_the_database_or_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    run(&database, &["user", "add", "ann"]);
    let token = create(&database, &["--user", "ann", "--name", "phone"]);
    let mut command = serve(&database);
    command.args(["--log-level", "debug"]);
    let mut server = Program::start(command);
    let ann = server.user(&token);
    ann.post("/me/contacts", json!({"surname": "Secretive"})).json(201);
    ann.get("/me/contacts?$filter=surname%20eq%20'Secretive'");
    assert_eq!(server.user(&format!("{token}x")).get("/me").error().0, 401);
    let secret = token.strip_prefix("contactd_").unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    server.signal("TERM");
    server.ended(Duration::from_mins(1));
    let log = server.log();
    assert!(log.contains("/{user}/contacts") && !log.contains(secret) && !log.contains("Secretive"), "{log}");
}

#[test]
fn after_concurrent_first_starts_the_valid_token_remains() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let schema = Postgres::shared().schema();
        let start = || {
            let mut command = contactd(&["serve", "--listen", "127.0.0.1:0", "--database", &schema.url]);
            command.current_dir(folder.path());
            Program::start(command)
        };
        let servers: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let token = std::fs::read_to_string(folder.path().join("contactd.token")).unwrap();
        for server in &servers {
            assert_eq!(server.user(token.trim()).get("/me").json(200)["id"], "owner");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
