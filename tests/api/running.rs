//! Starting, stopping, logging and the program's other commands.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{Client, SEED_REQUEST};
use crate::program::{Program, contactd, fails, serve_dev};
use crate::wire::content_length;

const STOP: Duration = Duration::from_secs(8);

#[test]
fn acknowledged_writes_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let mut first = Program::start(serve_dev(&database));
    let created = first.user("ann").post("/me/contacts/$ref", SEED_REQUEST);
    let path = format!("/me/contacts/{}", created.id());
    let before = String::from_utf8(created.body).unwrap().replace(&first.address, "HOST");
    first.signal("TERM");
    assert_eq!(first.ended(STOP).code(), Some(0));
    let second = Program::start(serve_dev(&database));
    let after = String::from_utf8(second.user("ann").get(&path).body).unwrap().replace(&second.address, "HOST");
    assert_eq!(after, before);
}

#[test]
fn sigterm_and_sigint_drain_requests_and_exit_0() {
    for signal in ["TERM", "INT", "QUIT"] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("contacts.db");
        let mut server = Program::start(serve_dev(&database));
        // One idle client, and one that never finishes its body.
        let _idle = TcpStream::connect(&server.address).unwrap();
        let mut half = TcpStream::connect(&server.address).unwrap();
        half.write_all(b"POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{").unwrap();
        let answered: i64 = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let ann = server.user("ann");
                    scope.spawn(move || {
                        let mut created = 0;
                        while let Ok(answer) = ann.try_send("POST", "/me/contacts", Some(b"{\"phones\":[{}]}".to_vec()))
                        {
                            assert_eq!(answer.status, 201);
                            created += 1;
                        }
                        created
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(300));
            server.signal(signal);
            assert_eq!(server.ended(STOP).code(), Some(0), "{}", server.log());
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        let rows = rusqlite::Connection::open(&database).unwrap();
        let stored: i64 = rows
            .query_row("select count(*) from contacts join phones on contact_id = id", [], |row| row.get(0))
            .unwrap();
        // The answer to the last write may be lost, but no acknowledged write.
        assert!(answered > 0 && stored >= answered && stored <= answered + 8, "{answered} answered, {stored} stored");
    }
}

#[test]
fn sighup_interrupts_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Program::start(serve_dev(&folder.path().join("contacts.db")));
    let mut half = TcpStream::connect(&server.address).unwrap();
    half.write_all(b"POST /me/contacts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{").unwrap();
    server.signal("HUP");
    while !server.log().contains("were read again") {
        assert!(server.child.try_wait().unwrap().is_none(), "it has ended: {}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    half.write_all(b"}").unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0));
}

#[test]
fn an_idle_server_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Program::start(serve_dev(&folder.path().join("contacts.db")));
    let ann = server.user("ann");
    ann.get("/me");
    server.signal("TERM");
    // The client's open connection does not delay it.
    assert_eq!(server.ended(Duration::from_secs(3)).code(), Some(0));
}

#[test]
fn a_server_stops_in_time_while_another_process_locks_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let mut server = Program::start(serve_dev(&database));
    server.user("ann").get("/me");
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("begin immediate").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            let ann = server.user("ann");
            scope.spawn(move || {
                // Refused in time or cut off by the stop, but never stored.
                if let Ok(answer) = ann.try_send("POST", "/me/contacts", Some(b"{}".to_vec())) {
                    assert_eq!(answer.status, 503);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0), "{}", server.log());
    });
    other.execute_batch("rollback").unwrap();
    assert_eq!(other.query_row("select count(*) from contacts", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn an_unread_or_unwritable_log_does_not_stop_the_server() {
    for close in [true, false] {
        let mut child =
            contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("contactd listening on http://") {
            line.clear();
            stderr.read_line(&mut line).unwrap();
        }
        let address = line.trim().trim_start_matches("contactd listening on http://").to_owned();
        // The reader of the pipe is gone, or the pipe is full.
        let unread = (!close).then_some(stderr);
        let ann = Client::new(&address, "ann");
        for _ in 0..1_000 {
            assert_eq!(ann.get("/me/contacts/x").status, 400);
        }
        assert_eq!(ann.post("/me/contacts", "{}").status, 201);
        let mut server = Program::of(child, address);
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0), "closed: {close}");
        drop(unread);
    }
}

#[test]
fn a_temporary_database_is_removed_when_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]);
    command.env("TMPDIR", folder.path()).current_dir(folder.path());
    let mut server = Program::start(command);
    assert_eq!(server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).status, 201);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn environment_variables_have_the_same_effect_as_flags() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = contactd(&["serve"]);
    command.env("CONTACTD_LISTEN", "localhost:0").env("CONTACTD_DATABASE", folder.path().join("x.db"));
    command.env("CONTACTD_DEV", "1").env("CONTACTD_HANDLING", "strict").env("CONTACTD_LOG_LEVEL", "off");
    let server = Program::start(command);
    assert_eq!(server.user("ann").post("/me/contacts/$ref", SEED_REQUEST).status, 400);
    assert_eq!(
        server.user("ann").with("Prefer", "handling=lenient").post("/me/contacts/$ref", SEED_REQUEST).status,
        201
    );
    assert!(server.address.starts_with("127.0.0.1:"), "{}", server.address);
    assert!(server.log().lines().all(|line| line.starts_with("contactd listening on http://")), "{}", server.log());
    assert!(folder.path().join("x.db").exists());
}

#[test]
fn a_database_file_may_be_given_as_a_url() {
    for url in ["sqlite://x.db", "sqlite:x.db", "file:x.db"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = contactd(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
        command.env("CONTACTD_DATABASE", url).current_dir(folder.path());
        let mut server = Program::start(command);
        assert_eq!(server.user("ann").get("/me").status, 200);
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0));
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["x.db", "x.db.lock"], "{url}");
    }
}

#[test]
fn tokens_are_read_from_the_environment_and_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "# people\nbob=s3cret-b\n\napp:sync=s3cret-s\n").unwrap();
    let database = folder.path().join("contacts.db");
    let mut command = contactd(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database",
        database.to_str().unwrap(),
        "--token-file",
        file.to_str().unwrap(),
    ]);
    command.env("CONTACTD_TOKENS", "ann=s3cret-a");
    let server = Program::start(command);
    assert_eq!(server.user("s3cret-a").get("/me").json(200)["id"], "ann");
    assert_eq!(server.user("s3cret-b").get("/me").json(200)["id"], "bob");
    assert_eq!(server.user("s3cret-s").get("/users/ann").status, 200);
    assert_eq!(server.user("ann").get("/me").error().0, 401);
}

#[test]
fn an_invalid_configuration_prints_one_line_and_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("bad-tokens"), "ann\n").unwrap();
    // Otherwise the server also warns about the file's permissions.
    std::fs::set_permissions(path("bad-tokens"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    for (arguments, reason) in [
        (vec!["--listen", "0.0.0.0:0"], "there is no user who can sign in"),
        (vec!["--dev", "--listen", "0.0.0.0:0"], "listens on loopback only"),
        (vec!["--dev", "--listen", "nonsense"], "--listen nonsense"),
        (vec!["--dev", "--listen", &busy], "Address already in use"),
        (vec!["--token-file", &path("none")], "--token-file"),
        (vec!["--token-file", &path("bad-tokens")], "no '='"),
        (vec!["--dev", "--database", &path("no/such/folder.db")], "no/such/folder.db"),
        (vec!["--dev", "--database", folder.path().to_str().unwrap()], folder.path().to_str().unwrap()),
    ] {
        let mut command = contactd(&["serve"]);
        command.args(&arguments).current_dir(folder.path());
        let (code, text) = fails(command);
        assert_eq!((code, text.lines().count()), (1, 1), "{arguments:?}: {text}");
        assert!(text.starts_with("contactd: "), "{arguments:?}: {text}");
        let made: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(made, ["bad-tokens"], "{arguments:?}");
        assert!(text.contains(reason) && !text.contains("panicked"), "{arguments:?}: {text}");
    }
    let mut both = contactd(&["serve", "--dev"]);
    both.env("CONTACTD_TOKENS", "ann=hunter2").current_dir(folder.path());
    let (code, text) = fails(both);
    assert!(code == 1 && text.contains("--dev accepts every token") && !text.contains("hunter2"), "{text}");
    for bad in ["contacts.example", "ftp://x", "https://", "https:///x", "https://a b", "https://u@h"] {
        let (code, text) = fails(contactd(&["serve", "--dev", "--public-url", bad]));
        assert!(code == 2 && text.contains("expected http:// or https:// and a host"), "{text}");
    }
    for bad in [
        "",
        "postgres:hunter2",
        "postgres://ann:hunter2@localhost:port/x",
        "mysql://ann:hunter2@127.0.0.1:1/x",
        "mongodb://ann:hunter2@127.0.0.1/x",
    ] {
        let mut command = contactd(&["serve", "--dev", "--database", bad]);
        command.current_dir(folder.path());
        let (code, text) = fails(command);
        assert!(code == 1 && text.contains("--database: ") && text.contains("postgres://"), "{text}");
        assert!(!text.contains("hunter2"), "a password is not shown: {text}");
    }

    let (code, _) = fails(contactd(&["--help"]));
    assert_eq!(code, 0);
}

#[test]
fn development_on_other_addresses_needs_an_explicit_flag() {
    let server = Program::start(contactd(&[
        "serve",
        "--dev",
        "--dev-allow-remote",
        "--listen",
        "0.0.0.0:0",
        "--database",
        ":memory:",
    ]));
    let port = server.address.rsplit(':').next().unwrap();
    let local = crate::app::Client::new(&format!("127.0.0.1:{port}"), "ann");
    assert_eq!(local.get("/me").status, 200);
}

#[test]
fn the_log_has_request_ids_and_nothing_a_client_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    for format in ["json", "text"] {
        let mut command = contactd(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            format,
            "--log-level",
            "debug",
            "--database",
            database.to_str().unwrap(),
        ]);
        command.env("CONTACTD_TOKENS", "ann=TOKEN-zq");
        let mut server = Program::start(command);
        let ann = server.user("TOKEN-zq");
        let answer = ann.post(
            "/me/contacts?mine=QUERY-zq",
            json!({"surname": "VALUE-zq", "emailAddresses": [{"address": "VALUE-zq"}], "parentFolderId": "VALUE-zq"}),
        );
        let id = answer.id();
        ann.get(&format!("/me/contacts/{id}?$skiptoken=QUERY-zq"));
        ann.get("/me/contacts('VALUE-zq')");
        ann.get("/VALUE-zq");
        ann.get("/users/VALUE-zq");
        ann.post("/me/contacts", json!({"VALUE-zq": 1}));
        ann.post("/me/contacts", "VALUE-zq");
        server.user("TOKEN-zq-wrong").get("/me");
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0));
        let log = server.log();
        assert!(!log.contains("zq"), "{log}");
        let line =
            log.lines().find(|line| line.contains(&answer.header("request-id"))).unwrap_or_else(|| panic!("{log}"));
        if format == "json" {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&event["status"], &event["method"], &event["route"]),
                (&json!(201), &json!("POST"), &json!("/{user}/contacts"))
            );
            assert!(
                log.lines().all(|line| line.starts_with('{') || line.starts_with("contactd listening on http://")),
                "{log}"
            );
        }
    }
}

#[test]
fn health_and_backup_work_while_a_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let copy = folder.path().join("copy.db");
    let mut server = Program::start(serve_dev(&database));
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST);
    let healthy = contactd(&["health", "--listen", &server.address]).output().unwrap();
    assert_eq!(String::from_utf8(healthy.stdout).unwrap(), format!("{} is healthy\n", server.address));
    assert!(healthy.status.success() && healthy.stderr.is_empty());
    let backup = ["backup", "--database", database.to_str().unwrap(), "--to", copy.to_str().unwrap()];
    let done = contactd(&backup).output().unwrap();
    let message = format!("{} is a copy of {}\n", copy.display(), database.display());
    assert_eq!((done.status.success(), String::from_utf8(done.stdout).unwrap()), (true, message));
    let (code, text) = fails(contactd(&backup));
    assert!(code == 1 && text.contains("it already exists"), "{text}");
    server.user("ann").post("/me/contacts/$ref", SEED_REQUEST);
    let restored = Program::start(serve_dev(&copy));
    assert_eq!(restored.user("ann").get("/me/contacts").json(200)["value"].as_array().unwrap().len(), 1);
    server.signal("TERM");
    server.ended(STOP);
    let (code, text) = fails(contactd(&["health", "--listen", &server.address]));
    assert!(code == 2 && text.starts_with("contactd: "), "{text}");
    let none = folder.path().join("none.db");
    let (code, _) = fails(contactd(&[
        "backup",
        "--database",
        none.to_str().unwrap(),
        "--to",
        folder.path().join("y.db").to_str().unwrap(),
    ]));
    assert!(code == 1 && !none.exists());
}

#[test]
fn a_connection_is_reused_for_many_requests() {
    let server = Program::start(contactd(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"]));
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let post = "Content-Length: 2\r\n\r\n{}";
    for (request, rest) in [
        ("GET /me", "\r\n"),
        ("GET /nothing", "\r\n"),
        ("GET /me/contacts/x", "\r\n"),
        ("POST /nothing", post),
        ("PUT /me/contacts", post),
        ("POST /me/contacts", post),
        ("POST /v1.0/me/contacts", post),
        ("HEAD /nothing", "\r\n"),
        ("GET /me", "\r\n"),
    ] {
        write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ann\r\n{rest}").unwrap();
        let mut answer = String::new();
        while !answer.contains("\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(char::from(byte[0]));
        }
        let length = content_length(&answer).unwrap();
        if !request.starts_with("HEAD") {
            stream.read_exact(&mut vec![0; length]).unwrap();
        }
    }
}

#[test]
fn deleted_contacts_are_kept_for_the_configured_time() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let mut deleted = String::new();
    for keep in ["30d", "1", "0d"] {
        let mut command = serve_dev(&database);
        command.args(["--keep-deleted", keep]);
        let mut server = Program::start(command);
        let ann = server.user("ann");
        if deleted.is_empty() {
            let id = ann.post("/me/contacts", "{}").id();
            ann.delete(&format!("/me/contacts/{id}")).empty(204);
            deleted = format!("/me/deletedContacts/{id}");
        }
        while keep == "0d" && ann.get(&deleted).status == 200 {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ann.get(&deleted).status, if keep == "0d" { 404 } else { 200 });
        server.signal("TERM");
        assert_eq!(server.ended(STOP).code(), Some(0));
    }
    for keep in ["6d", "6", "-1", "x", "36501d"] {
        let (code, text) = fails(contactd(&["serve", "--dev", &format!("--keep-changes={keep}")]));
        assert!(code == 2 && text.contains("expected ") && text.contains('d'), "{text}");
    }
    for keep in ["-1", "x", "", "d", "36501"] {
        let (code, text) = fails(contactd(&["serve", "--dev", &format!("--keep-deleted={keep}")]));
        assert!(code == 2 && text.contains("expected a number of days up to 36500, like 30d"), "{text}");
    }
}

#[test]
fn cors_origins_come_from_flags_or_a_variable() {
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:"];
    let pages = ["https://a.example", "http://localhost:3000"];
    let mut flags = contactd(&serve);
    flags.args(["--cors-origin", pages[0], "--cors-origin", pages[1]]);
    let mut variable = contactd(&serve);
    variable.env("CONTACTD_CORS_ORIGIN", pages.join(","));
    for command in [flags, variable] {
        let server = Program::start(command);
        for (page, told) in [(pages[0], pages[0]), (pages[1], pages[1]), ("https://b.example", "")] {
            let answer = server.user("ann").with("Origin", page).get("/me");
            assert_eq!((answer.status, answer.header("access-control-allow-origin").as_str()), (200, told));
        }
    }
    for bad in ["*", "null", "https://a.example/", "a.example", "https://*.example"] {
        let (code, text) = fails(contactd(&["serve", "--dev", "--cors-origin", bad]));
        assert!(code == 2 && text.contains("--cors-origin") && text.contains("expected an origin"), "{text}");
    }
}
