//! `contactd seed`, and `serve --seed-file`.

use serde_json::json;

use crate::app::Client;
use crate::postgres::Postgres;
use crate::program::{Place, Program, contactd, fails};

fn stdout_of(arguments: &[&str]) -> String {
    let output = contactd(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn serve(database: &str, more: &[&str]) -> Vec<String> {
    let serve = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", database];
    serve.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn start(database: &str, more: &[&str]) -> Program {
    let arguments = serve(database, more);
    Program::start(contactd(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn the_same_seed_fills_a_file_and_a_server_alike() {
    let place = Place::new();
    let (file, schema) = (place.database(), Postgres::shared().schema());
    let list = [file.to_str().unwrap(), &schema.url].map(|database| {
        let seed = |user: &str, count: &str| {
            stdout_of(&[
                "seed",
                "--database",
                database,
                "--user",
                user,
                "--count",
                count,
                "--seed",
                "42",
                "--photos",
                "10",
            ])
        };
        if database != file.to_str().unwrap() {
            drop(start(database, &[]));
        }
        assert_eq!(seed("ann", "1200"), "created 1200 contacts in the mailbox of ann\n");
        let server = start(database, &[]);
        // A seed also works while the file is served.
        seed("bob", "700");
        let list = |user: &str, page: &str| {
            let list = server.user(user).get(&format!("/me/contacts?$select=displayName,emailAddresses,phones&{page}"));
            list.json(200)["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|contact| {
                    let members = contact.as_object().unwrap().iter();
                    members
                        .filter(|(name, _)| !name.starts_with('@') && *name != "id")
                        .map(|(_, value)| value.to_string())
                        .collect()
                })
                .collect::<Vec<String>>()
        };
        assert_eq!(server.user("ann").get("/me/contacts/$count").text(), "1200");
        assert_eq!(list("ann", "$top=600&$orderby=id"), list("bob", "$top=600&$orderby=id"));
        list("ann", "$top=1000&$orderby=id")
    });
    assert_eq!(list[0], list[1]);
    let log = stdout_of(&["audit", "--database", file.to_str().unwrap()]);
    assert!(log.contains("seed"), "{log}");
    let refused = |more: &[&str]| {
        let seed = ["seed", "--database", file.to_str().unwrap(), "--user", "ann"];
        fails(contactd(&[&seed[..], more].concat()))
    };
    let (code, text) = refused(&["--locale", "xx"]);
    assert!(code == 1 && text.contains("--locale: expected mixed, or some of en, de"), "{text}");
    assert_eq!(refused(&["--count", "0"]).0, 2);
    let (code, text) = fails(contactd(&["seed", "--database", ":memory:", "--user", "ann"]));
    assert!(code == 1 && text.contains(":memory:"), "{text}");
}

#[test]
fn a_server_starts_with_a_seed_file_and_resets_to_it() {
    let place = Place::new();
    let path = |name: &str| place.file(name).to_str().unwrap().to_owned();
    let seed = path("seed.json");
    std::fs::write(&seed, json!({"users": [{"id": "ann", "contacts": [{"givenName": "Bea"}]}]}).to_string()).unwrap();
    let schema = Postgres::shared().schema();
    for database in [":memory:", &path("contacts.db"), &schema.url] {
        let server = start(database, &["--seed-file", &seed]);
        let ann = server.user("ann");
        let before = ann.get("/v1.0/me/contacts").json(200);
        assert_eq!(before["value"][0]["givenName"], "Bea", "{database}");
        ann.post("/v1.0/me/contacts", json!({"givenName": "More"})).json(201);
        let reset = |to: &str| {
            let body = json!({"to": to}).to_string().into_bytes();
            Client::new(&server.address, "").send("POST", "/_contactd/reset", Some(body)).empty(204);
        };
        reset("baseline");
        assert_eq!(ann.get("/v1.0/me/contacts").json(200), before);
        reset("empty");
        assert_eq!(ann.get("/v1.0/me/contacts").json(200)["value"], json!([]));
        reset("baseline");
        drop(server);
        if database != ":memory:" {
            // The second time the seed exists already.
            let server = start(database, &["--seed-file", &seed]);
            assert_eq!(server.user("ann").get("/v1.0/me/contacts").json(200)["value"], before["value"]);
        }
    }
    let refused = |more: &[&str], dev: bool| {
        let arguments = serve(":memory:", more);
        let arguments = arguments.iter().map(String::as_str).filter(|word| dev || *word != "--dev");
        fails(contactd(&arguments.collect::<Vec<_>>()))
    };
    let (code, text) = refused(&["--seed-file", &seed], false);
    assert!(code == 1 && text.contains("--seed-file") && text.contains("needs --dev"), "{text}");
    let (code, text) = refused(&["--seed-file", &path("none.json")], true);
    assert!(code == 1 && text.contains("none.json"), "{text}");
    std::fs::write(&seed, r#"{"users": [{"id": "ann", "contacts": [{"givenName": "Bea"}, {"given": "Cy"}]}]}"#)
        .unwrap();
    let (code, text) = refused(&["--seed-file", &seed], true);
    assert!(code == 1 && text.contains("users/0/contacts/1/given: "), "{text}");
}
