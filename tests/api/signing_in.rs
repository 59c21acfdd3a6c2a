//! The real program with a real identity provider.

use serde_json::json;

use crate::identity::{AUDIENCE, IdentityProvider};
use crate::operating::{refuses, run};
use crate::program::{Program, contactd, fails};

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--database", ":memory:"];

#[test]
fn a_server_with_a_provider_starts_without_local_users() {
    let mut provider = IdentityProvider::start();
    let mut by_flags = contactd(&SERVE);
    by_flags.args(["--oidc-issuer", &provider.issuer, "--oidc-audience", "another", "--oidc-audience", AUDIENCE]);
    by_flags.args(["--log-level", "debug"]);
    let mut by_variables = contactd(&SERVE);
    by_variables.env("CONTACTD_OIDC_ISSUER", &provider.issuer);
    by_variables.env("CONTACTD_OIDC_AUDIENCE", format!("another {AUDIENCE}"));
    by_variables.env("CONTACTD_LOG_LEVEL", "debug");
    let token = provider.user("ann", "Contacts.ReadWrite");
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    for command in [by_flags, by_variables] {
        let server = Program::start(command);
        assert_eq!(server.user(&token).post("/me/contacts", "{}").status, 201);
        let me = server.user(&token).get("/me").json(200);
        assert_eq!(server.user(&format!("{header}.{claims}.AAAA")).get("/me").error().0, 401);
        let listed_users = server.user(&provider.app(&["User.Read.All"])).get("/users").json(200);
        assert_eq!(listed_users["value"].as_array().unwrap().len(), 1, "nobody else is there: {listed_users}");
        assert!(me["id"].is_string());
        let log = server.log();
        for secret in [claims, signature, "ann"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}

#[test]
fn only_the_operator_binds_a_name_of_the_provider_to_a_user() {
    let mut provider = IdentityProvider::start();
    provider.say("p1", json!({"preferred_username": "zed@localhost", "email": "zed@localhost"}));
    let zed = provider.user("p1", "Contacts.ReadWrite");
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("contacts.db");
    let serve = |claim: &[&str]| {
        let database = database.to_str().unwrap();
        let mut command = contactd(&["serve", "--listen", "127.0.0.1:0", "--database", database]);
        command.args(["--oidc-issuer", &provider.issuer, "--oidc-audience", AUDIENCE]).args(claim);
        command
    };
    let server = Program::start(serve(&[]));
    let id = server.user(&zed).get("/me").id();
    // Unless the operator trusts the claim, the user does not exist.
    for arguments in [
        &["token", "create", "--user", "zed"][..],
        &["share", "add", "--of", &id, "--with", "zed"],
        &["user", "disable", "zed@localhost"],
        &["user", "remove", "zed", "--yes"],
    ] {
        assert!(refuses(&database, arguments).contains("there is no user 'zed"), "{arguments:?}");
    }
    let listed = run(&database, &["user", "list"]);
    let listed = listed.split_once('\n').unwrap().1;
    let end = format!("\t-\t{}\tp1\tzed@localhost\t-\n", provider.issuer);
    assert!(
        listed.starts_with(&format!("{id}\t{id}@identity\tp1 of the provider\t")) && listed.ends_with(&end),
        "{listed}"
    );
    drop(server);

    // If the claim is trusted, a token for the name finds no user.
    let server = Program::start(serve(&["--oidc-name-claim", "preferred_username"]));
    assert_eq!(server.user(&zed).get("/me").json(200)["userPrincipalName"], "zed@localhost");
    let text = refuses(&database, &["token", "create", "--user", "zed"]);
    assert!(text.contains("belongs to a user of an identity provider"), "{text}");
    assert_eq!(run(&database, &["token", "list"]).lines().count(), 1, "the header");
    assert!(refuses(&database, &["user", "add", "zed"]).contains("user 'zed' already exists"));
    drop(server);
    let server = Program::start(serve(&[]));
    assert!(run(&database, &["user", "list"]).contains(&format!("{id}\t{id}@identity\t")));

    // One name that the operator has bound.
    let bound = run(&database, &["user", "bind", "zed@example.org", "--subject", "p1"]);
    assert_eq!(bound, format!("zed@example.org is {id}\n"));
    assert_eq!(server.user(&zed).get("/me").json(200)["mail"], "zed@example.org");
    assert!(run(&database, &["user", "list"]).trim_end().ends_with("\tbound"));
    assert!(run(&database, &["audit"]).contains(&format!("\toperator\t-\tuser bind\t{id}\t{id}\t")));
    assert!(refuses(&database, &["token", "create", "--user", "zed@example.org"]).contains("an identity provider"));
    let text = refuses(&database, &["user", "bind", "x@example.org", "--subject", "p2"]);
    assert!(text.contains("nobody with this subject has signed in yet"), "{text}");
    assert_eq!(run(&database, &["user", "unbind", "zed@example.org"]), format!("{id} is no longer bound\n"));
    assert_eq!(server.user(&zed).get("/me").json(200)["mail"], format!("{id}@identity"));
}

#[test]
fn an_invalid_provider_configuration_is_refused_at_startup() {
    let with = |more: &[&str]| {
        let mut command = contactd(&SERVE);
        command.args(more);
        fails(command)
    };
    let issuer = ["--oidc-issuer", "https://login.example.org"];
    for more in [&issuer[..], &["--oidc-audience", "a"], &["--oidc-name-claim", "upn"]] {
        assert_eq!(with(more).0, 2, "{more:?}");
    }
    for (more, why) in [
        (
            &["--oidc-issuer", "http://login.example.org", "--oidc-audience", "a"][..],
            "--oidc-issuer names a URL that does not begin with https://",
        ),
        (&["--oidc-issuer", "", "--oidc-audience", "a"], "--oidc-issuer names a URL that is not absolute"),
        (&[issuer[0], issuer[1], "--oidc-audience", ""], "--oidc-audience"),
        (&[issuer[0], issuer[1], "--oidc-audience", "a", "--oidc-name-claim", ""], "--oidc-name-claim"),
        (&[issuer[0], issuer[1], "--oidc-audience", "a", "--dev"], "--dev accepts every token"),
        (&[issuer[0], issuer[1], "--oidc-audience", "a", "--ca-file", "/nowhere"], "--ca-file /nowhere: "),
    ] {
        let (code, text) = with(more);
        assert_eq!((code, text.trim_end().lines().count()), (1, 1), "{text}");
        assert!(text.starts_with("contactd: ") && text.contains(why), "{text}");
    }
}
