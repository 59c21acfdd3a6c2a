//! Hostile text in the output of commands, and names that belonged to another user before.

use serde_json::json;

use crate::app::Client;
use crate::operating::{create, make, refuses, run, serve};
use crate::program::{Program, contactd};

/// Line breaks, a forged line, terminal control sequences and right-to-left marks.
const DECEITS: [&str; 7] = [
    "x\n2026-01-01T00:00:00Z\toperator\t-\tuser remove\tann\tann\t-\t-",
    "\u{1b}[2J\u{1b}[1;1H",
    "\u{9b}31m",
    "a\rb",
    "a\u{202e}b",
    "a\u{2028}b",
    "a\u{7}\u{8}\u{7f}",
];

#[track_caller]
fn assert_plain(text: &str) {
    let is_bad = |c: char| c.is_control() && !"\n\t".contains(c) || ('\u{2028}'..='\u{202e}').contains(&c);
    assert!(!text.chars().any(is_bad), "{text:?}");
}

#[test]
fn nothing_that_a_client_sends_makes_a_command_print_another_line() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    run(&database, &["user", "add", "ann"]);
    let token = create(&database, &["--user", "ann"]);
    let server = Program::start(serve(&database));
    let ann = server.user(&token);
    let lines = || run(&database, &["audit"]).lines().count();
    let before = lines();
    for deceit in DECEITS {
        for (path, body) in [
            ("/me/contacts", json!({"parentFolderId": deceit})),
            ("/me/contacts/$ref", json!({"parentFolderId": format!("a{deceit}")})),
            ("/me/contactFolders", json!({"displayName": deceit})),
            ("/me/outlook/masterCategories", json!({"displayName": deceit})),
        ] {
            assert_eq!(ann.post(path, body).error().0, 400, "{path} {deceit:?}");
        }
        let encoded = contactd::percent::percent_encode(deceit);
        for path in [
            format!("/me/contactFolders/{encoded}/contacts"),
            format!("/me/contactFolders('{encoded}')/childFolders"),
            format!("/me/contactFolders/{encoded}/contacts/$ref"),
        ] {
            let answer = ann.post(&path, json!({"displayName": "x"}));
            assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    assert_eq!(lines(), before, "what was refused is not in the log");
    // Ids that older versions accepted, and the other printed columns.
    let connection = rusqlite::Connection::open(&database).unwrap();
    for (i, deceit) in DECEITS.into_iter().enumerate() {
        let mailbox: i64 = connection.query_row("select mailbox from users", [], |row| row.get(0)).unwrap();
        let folder = "
insert into folders (mailbox, id, parent_folder_id, display_name, display_name_key, version, created_date_time, last_modified_date_time)
values (?1, ?2, 'contacts', ?2, ?2, 1, 1, 1)";
        connection.execute(folder, (mailbox, deceit)).unwrap();
        let encoded = contactd::percent::percent_encode(deceit);
        assert_eq!(ann.post(&format!("/me/contactFolders('{encoded}')/contacts"), "{}").status, 201);
        let token =
            "insert into tokens (id, digest, app, name, scopes, created_date_time) values (?1, ?2, ?3, ?3, ?3, 1)";
        connection.execute(token, ([u8::try_from(i).unwrap(); 16], i.to_string(), deceit)).unwrap();
    }
    for (number, deceit) in (1_000_i64..).zip(DECEITS) {
        let key = format!("k{deceit}");
        connection.execute("insert into mailboxes (id, seq) values (?1, 0)", [number]).unwrap();
        let user = "
insert into users (id, user_principal_name, user_principal_name_key, display_name, mail, mailbox, created_date_time)
values (?2, ?2, ?3, ?2, ?2, ?1, 1)";
        connection.execute(user, (number, deceit, key)).unwrap();
        let identity = "
insert into identities (issuer, subject, mailbox, created_date_time, claimed_name) values (?2, ?2, ?1, 1, ?2)";
        connection.execute(identity, (number, deceit)).unwrap();
        let share = "
insert into shares (mailbox, grantee, can_write, created_date_time)
select mailbox, ?1, true, 1 from users where id = 'ann'";
        connection.execute(share, [number]).unwrap();
        let audit = "
insert into audit (mailbox, id, audit_date_time, actor, address, action, item) values (0, randomblob(16), 1, ?1, ?1, ?1, ?1)";
        connection.execute(audit, [deceit]).unwrap();
    }
    drop(connection);
    for (arguments, count) in [
        (&["audit"][..], before + 2 * DECEITS.len()),
        (&["user", "list"], 2 + DECEITS.len()),
        (&["token", "list"], 2 + DECEITS.len()),
        (&["share", "list", "--of", "ann"], 1 + DECEITS.len()),
    ] {
        let printed = run(&database, arguments);
        assert_eq!(printed.lines().count(), count, "{printed}");
        assert_plain(&printed);
        assert!(
            printed.contains(r"\u{1b}[2J") && printed.contains(r"x\n2026-01-01T00:00:00Z\toperator\t"),
            "{printed}"
        );
        assert!(!printed.lines().any(|line| line.starts_with("2026-01-01T")), "{printed}");
    }
    assert_plain(&server.log());
}

#[test]
fn names_with_control_characters_are_refused_from_operators() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    run(&database, &["user", "add", "ann"]);
    for deceit in DECEITS {
        for arguments in [
            &["user", "add", deceit][..],
            &["user", "add", "bob", "--display-name", deceit],
            &["user", "bind", deceit, "--subject", "x", "--issuer", "https://a"],
            &["user", "bind", "bob", "--subject", deceit, "--issuer", "https://a"],
            &["user", "bind", "bob", "--subject", "x", "--issuer", deceit],
            &["token", "create", "--user", "ann", "--name", deceit],
            &["token", "create", "--app", deceit],
            &["share", "add", "--of", "ann", "--with", deceit],
            &["audit", "--of", deceit],
        ] {
            refuses(&database, arguments);
        }
        let mut command = contactd(&["serve", "--listen", "127.0.0.1:0", "--database", ":memory:"]);
        command.env("CONTACTD_TOKENS", format!("a{deceit}b=secret"));
        assert_ne!(crate::program::fails(command).0, 0);
    }
    assert_eq!(run(&database, &["user", "list"]).lines().count(), 2);
    assert_eq!(run(&database, &["token", "list"]).lines().count(), 1);
}

/// The log without times and without ids of tokens and requests.
fn log(database: &std::path::Path, arguments: &[&str]) -> Vec<String> {
    let printed = run(database, &[&["audit"], arguments].concat());
    let fields = |line: &str| line.split('\t').skip(1).take(5).collect::<Vec<_>>().join(" ");
    printed.lines().skip(1).map(fields).collect()
}

#[test]
fn who_has_a_name_now_is_not_taken_for_whoever_had_it_before() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    for name in ["ann", "bob"] {
        run(&database, &["user", "add", name]);
    }
    let server = Program::start(serve(&database));
    let scope = ["--scope", "Contacts.ReadWrite.Shared"];
    let signed_in = |name: &str| server.user(&create(&database, &[&["--user", name], &scope[..]].concat()));
    let share = |of: &str, with: &str| run(&database, &["share", "add", "--of", of, "--with", with, "--write"]);
    let write = |who: &Client, path: &str| who.post(path, json!({})).id();
    share("bob", "ann");
    share("ann", "bob");
    let ann = signed_in("ann");
    let (own, others) = (write(&ann, "/me/contacts"), write(&ann, "/users/bob/contacts"));
    run(&database, &["share", "remove", "--of", "ann", "--with", "bob"]);
    run(&database, &["user", "remove", "ann", "--yes"]);
    assert_eq!(ann.get("/me").error().0, 401);

    // The log remains after the user is deleted, and names the owner of a share.
    let of_removed = [
        "operator - user add removed:ann ann".to_owned(),
        "operator - share add removed:ann bob".to_owned(),
        "operator - token create removed:ann ann".to_owned(),
        format!("removed:ann 127.0.0.1 POST /{{user}}/contacts removed:ann {own}"),
        "operator - share remove removed:ann bob".to_owned(),
        "operator - user remove removed:ann ann".to_owned(),
    ];
    let by_removed = [
        format!("removed:ann 127.0.0.1 POST /{{user}}/contacts removed:ann {own}"),
        format!("removed:ann 127.0.0.1 POST /{{user}}/contacts bob {others}"),
    ];
    for name in ["ann", "ANN@localhost", "removed:ann"] {
        assert_eq!(log(&database, &["--of", name]), of_removed, "{name}");
    }
    for name in ["ann", "removed:ann"] {
        assert_eq!(log(&database, &["--by", name]), by_removed, "{name}");
    }
    let text = refuses(&database, &["audit", "--of", "nobody"]);
    assert!(text.contains("there is no user 'nobody', and the log has no removed user with that name"), "{text}");

    // A new user of the same name gets no share, no token and no line of the log.
    run(&database, &["user", "add", "ann"]);
    let anew = signed_in("ann");
    assert_eq!(anew.get("/users/bob/contacts").error().0, 404);
    assert_eq!(anew.get("/me/contacts/$count").body, b"0");
    assert_eq!(ann.get("/me").error().0, 401);
    let id = write(&anew, "/me/contacts");
    let line = format!("ann 127.0.0.1 POST /{{user}}/contacts ann {id}");
    let of_new = ["operator - user add ann ann", "operator - token create ann ann", &line];
    assert_eq!(log(&database, &["--of", "ann"]), of_new);
    assert_eq!(log(&database, &["--by", "ANN"]), [line]);
    assert_eq!(log(&database, &["--of", "removed:ann"]), of_removed);
    assert_eq!(log(&database, &["--by", "removed:ann"]), by_removed);
}

#[test]
fn a_user_with_the_operators_name_is_not_treated_as_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    make(&database);
    run(&database, &["user", "add", "operator"]);
    // Since a token exists, the start creates no user.
    let token = create(&database, &["--user", "operator"]);
    let server = Program::start(serve(&database));
    let id = server.user(&token).post("/me/contacts", json!({})).id();
    let line = format!("user:operator 127.0.0.1 POST /{{user}}/contacts operator {id}");
    assert_eq!(log(&database, &["--by", "user:operator"]), std::slice::from_ref(&line));
    let commands = ["operator - user add operator operator", "operator - token create operator operator"];
    assert_eq!(log(&database, &["--by", "operator"]), commands);
    assert_eq!(log(&database, &["--of", "operator"]), [commands[0], commands[1], &line]);
}
