//! The real program beside a real identity provider.

use crate::identity::{AUDIENCE, IdentityProvider};
use crate::program::{Program, contactd, fails};

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--database", ":memory:"];

#[test]
fn a_server_that_has_a_provider_needs_no_users_of_its_own() {
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
        let all = server.user(&provider.app(&["User.Read.All"])).get("/users").json(200);
        assert_eq!(all["value"].as_array().unwrap().len(), 1, "nobody else is there: {all}");
        assert!(me["id"].is_string());
        let log = server.log();
        for secret in [claims, signature, "ann"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}

#[test]
fn what_cannot_work_is_told_at_the_start() {
    let with = |more: &[&str]| {
        let mut command = contactd(&SERVE);
        command.args(more);
        fails(command)
    };
    let issuer = ["--oidc-issuer", "https://login.example.org"];
    for more in [&issuer[..], &["--oidc-audience", "a"]] {
        assert_eq!(with(more).0, 2, "{more:?}");
    }
    for (more, why) in [
        (&["--oidc-issuer", "http://login.example.org", "--oidc-audience", "a"][..], "--oidc-issuer names no URL"),
        (&["--oidc-issuer", "", "--oidc-audience", "a"], "--oidc-issuer names no "),
        (&[issuer[0], issuer[1], "--oidc-audience", ""], "--oidc-audience"),
        (&[issuer[0], issuer[1], "--oidc-audience", "a", "--dev"], "--dev takes every token"),
        (&[issuer[0], issuer[1], "--oidc-audience", "a", "--ca-file", "/nowhere"], "--ca-file /nowhere: "),
    ] {
        let (code, text) = with(more);
        assert_eq!((code, text.trim_end().lines().count()), (1, 1), "{text}");
        assert!(text.starts_with("contactd: ") && text.contains(why), "{text}");
    }
}
