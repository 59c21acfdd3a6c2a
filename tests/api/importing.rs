//! `contactd import` and `contactd export`: while a server runs, interrupted, continued and undone.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::both::corpus::{contacts, content};
use crate::both::imports::cards;
use crate::program::{Place, Program, contactd, serve_dev};

/// Number of contacts in the file whose import is killed.
const CONTACT_COUNT: usize = 20_000;

/// A database, its server, and commands on the same database.
struct Fixture {
    place: Place,
    server: Program,
}

impl Fixture {
    fn new() -> Self {
        let place = Place::new();
        let server = Program::start(serve_dev(&place.database()));
        server.user("ann").get("/me/contacts").json(200);
        Self { place, server }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.place.file(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.file(name)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = contactd(arguments);
        command.args(["--database", self.place.database().to_str().unwrap()]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The standard output of a successful command.
    fn stdout_of(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The standard error of a failed command.
    fn stderr_of(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn import(&self, arguments: &[&str]) -> Value {
        let text = self.stdout_of(&[&["import", "--user", "ann", "--json"], arguments].concat());
        serde_json::from_str::<Value>(&text).unwrap()["files"][0].clone()
    }

    fn contacts(&self) -> Vec<Value> {
        contacts(&self.server.user("ann"), "")
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_file_is_imported_while_a_server_runs_reported_and_undone() {
    let fixture = Fixture::new();
    let file = fixture.file("a.vcf", cards(0..2) + "BEGIN:VCARD\r\nFN:cut");
    let (report, refused) = (fixture.path("report.json"), fixture.path("refused.vcf"));
    let arguments = [
        "import",
        &file,
        "--user",
        "ann",
        "--report",
        report.to_str().unwrap(),
        "--refused",
        refused.to_str().unwrap(),
    ];
    let text = fixture.stdout_of(&arguments);
    for part in [
        "a.vcf: vcard",
        "2 created, 0 updated, 0 unchanged, 1 refused",
        "X-KEEP: 2 kept aside",
        "unterminated",
        "--undo ",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let report = &json_of(&report)["files"][0];
    assert_eq!(report["counts"]["created"], 2);
    assert_eq!(report["records"].as_array().unwrap().len(), 3);
    assert_eq!(report["records"][2]["reason"], "unterminated");
    assert_eq!(std::fs::read_to_string(refused).unwrap(), "BEGIN:VCARD\r\nFN:cut");
    assert_eq!(fixture.contacts().len(), 2);

    let list = fixture.stdout_of(&["import", "--list"]);
    let row: Vec<_> = list.lines().nth(1).unwrap().split('\t').collect();
    assert_eq!((row[2], row[4], &row[5..], row.len()), ("ann", "vcard", &["2", "0", "0", "1", "finished"][..], 10));
    // One contact is edited before the import is undone.
    let id = fixture.contacts()[0]["id"].as_str().unwrap().to_owned();
    fixture.server.user("ann").patch(&format!("/me/contacts/{id}"), json!({"jobTitle": "x"})).json(200);
    let text = fixture.stdout_of(&["import", "--undo", row[0]]);
    assert_eq!(
        text,
        format!(
            "1 removed, 0 restored, 0 deleted before, 1 left\nleft as they are, because they were changed after the import:\n  {id}\n"
        )
    );
    assert_eq!(fixture.contacts().len(), 1);
    assert_eq!(fixture.server.user("ann").get("/me/deletedContacts").json(200)["value"].as_array().unwrap().len(), 1);
    assert!(fixture.stdout_of(&["import", "--list", "--user", "ann"]).contains("\tundone\n"));
    let audit = fixture.stdout_of(&["audit", "--by", "operator"]);
    assert!(audit.contains("\timport\t") && audit.contains("\timport undo\t"), "{audit}");
}

#[test]
fn a_record_over_a_limit_of_its_contact_is_refused_alone_and_written_for_repair() {
    let fixture = Fixture::new();
    let record = |id: &str, name: &str, members: Value| {
        let mut record = json!({"id": id, "givenName": name});
        record.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        format!("{record}\n")
    };
    let extensions = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|n| json!({"extensionName": format!("org.example.n{n}"), "n": n})).collect()
    };
    let single = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|n| json!({"id": format!("String 0x{:x}", 0x8000 + n), "value": "1"})).collect()
    };
    let multi = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|n| json!({"id": format!("StringArray 0x{:x}", 0x8000 + n), "value": ["1"]})).collect()
    };
    let records = |name: &str, from: usize, to: usize| {
        [
            record("g-1", name, json!({"extensions": extensions(from, to)})),
            record("g-2", name, json!({"singleValueExtendedProperties": single(from, to)})),
            record("g-3", name, json!({"multiValueExtendedProperties": multi(from, to)})),
        ]
    };
    let first = records("Ann", 0, 100).concat() + &record("g-4", "Ann", json!({}));
    let report = fixture.import(&[&fixture.file("first.ndjson", first)]);
    assert_eq!(report["counts"]["created"], 4, "{report}");

    let over_limit = records("Bea", 99, 101);
    let second = fixture.file(
        "second.ndjson",
        over_limit.concat() + &record("g-4", "Bea", json!({})) + &record("g-5", "Bea", json!({})),
    );
    let refused = fixture.path("refused.ndjson");
    let (looked, written) = ([second.as_str(), "--dry-run"], [second.as_str(), "--refused", refused.to_str().unwrap()]);
    for arguments in [&looked[..], &written[..]] {
        let report = fixture.import(arguments);
        let counts = &report["counts"];
        assert_eq!([&counts["created"], &counts["updated"], &counts["refused"]], [1, 1, 3], "{report}");
        let refusals: Vec<_> = report["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["at"]["line"], one["reason"], one["detail"]]))
            .collect();
        let most = |what: &str| format!("At most 100 '{what}', of 1048576 bytes in total, are allowed.");
        assert_eq!(
            refusals,
            [
                json!([1, "too much", "A contact has at most 100 extensions."]),
                json!([2, "too much", most("singleValueExtendedProperties")]),
                json!([3, "too much", most("multiValueExtendedProperties")]),
            ],
            "{report}"
        );
    }
    let names: Vec<_> = fixture.contacts().iter().map(|contact| contact["givenName"].clone()).collect();
    assert_eq!(names, ["Ann", "Ann", "Ann", "Bea", "Bea"]);
    // The refused records are written to a file.
    let again = fixture.import(&[refused.to_str().unwrap()]);
    assert_eq!(again["counts"]["refused"], 3, "{again}");
    assert_eq!(std::fs::read_to_string(&refused).unwrap().matches("org.example.n100").count(), 1);
    let list = fixture.stdout_of(&["import", "--list", "--json"]);
    // The newest import is first.
    let run: Value = serde_json::from_str(list.lines().nth(1).unwrap()).unwrap();
    assert_eq!(run["refused"], 3, "{list}");
    fixture.stdout_of(&["import", "--undo", run["id"].as_str().unwrap()]);
    let names: Vec<_> = fixture.contacts().iter().map(|contact| contact["givenName"].clone()).collect();
    assert_eq!(names, ["Ann"; 4]);
}

#[test]
fn a_folder_is_named_by_its_id_or_by_its_name() {
    let fixture = Fixture::new();
    let ann = fixture.server.user("ann");
    ann.post("/me/contactFolders", json!({"displayName": "Friends"})).json(201);
    let id = ann.post("/me/contactFolders", json!({"displayName": "Family"})).id();
    for (file, folder) in [("a.vcf", "Family"), ("b.vcf", id.as_str())] {
        let card = cards(if file == "a.vcf" { 0..1 } else { 1..2 });
        fixture.import(&[&fixture.file(file, card), "--folder", folder]);
    }
    let count = |path: &str| ann.get(path).json(200)["value"].as_array().unwrap().len();
    assert_eq!(count(&format!("/me/contactFolders/{id}/contacts")), 2);
    let exported = fixture.stdout_of(&["export", "--user", "ann", "--format", "vcard3", "--folder", "Family"]);
    assert_eq!(exported.matches("END:VCARD").count(), 2);
    assert!(
        fixture
            .stderr_of(&["import", &fixture.file("c.vcf", cards(2..3)), "--user", "ann", "--folder", "family"])
            .contains("'family'")
    );
}

#[test]
fn a_refused_import_prints_one_line() {
    let fixture = Fixture::new();
    let file = fixture.file("a.csv", "x,y\n1,2\n");
    let none = fixture.path("none.vcf");
    let id = "0197b0ae-0000-7000-8000-000000000000";
    for (arguments, says) in [
        (vec!["import", &file, "--user", "nobody"], "there is no user 'nobody'"),
        (vec!["import", &file, "--user", "ann"], "not recognised"),
        (vec!["import", none.to_str().unwrap(), "--user", "ann"], "No such file"),
        (vec!["import", &file, "--user", "ann", "--folder", "none"], "--folder: there is no folder 'none'"),
        (vec!["import", &file, "--user", "ann", "--map", "x"], "--map: 'x' is not of the form"),
        (vec!["import", "--undo", id], "there is no import 0197b0ae"),
        (vec!["export", "--user", "ann", "--filter", "x eq"], "--filter: "),
        (vec!["export", "--user", "ann", "--to", "/nowhere/a.vcf"], "/nowhere/a.vcf: "),
    ] {
        let error = fixture.stderr_of(&arguments);
        assert!(
            error.starts_with("contactd: ") && error.contains(says) && error.lines().count() == 1,
            "{arguments:?}: {error}"
        );
    }
    // A usage error shows the right usage.
    assert_eq!(fixture.run(&["import"]).status.code(), Some(2));
    assert_eq!(fixture.run(&["import", &file, "--user", "ann", "--format", "xls"]).status.code(), Some(2));
}

#[test]
fn standard_input_is_read_and_a_map_names_the_columns() {
    let fixture = Fixture::new();
    let mut child = fixture
        .command(&[
            "import",
            "-",
            "--user",
            "ann",
            "--map",
            "Vorname=givenName",
            "--map",
            "Handy=phone/mobile",
            "--json",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Vorname,Handy,Hund\nAnn,+49 1,Rex\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let contact = content(&fixture.contacts()[0]);
    assert_eq!(
        (&contact["givenName"], &contact["phones"]),
        (&json!("Ann"), &json!([{"type": "mobile", "number": "+49 1"}]))
    );
}

#[test]
fn a_killed_import_continues_to_exactly_the_contacts_of_the_file() {
    let fixture = Fixture::new();
    let file = fixture.file("a.vcf", cards(0..CONTACT_COUNT));
    let mut child = fixture.command(&["import", &file, "--user", "ann"]).spawn().unwrap();
    let started = Instant::now();
    let stored = || {
        let count = fixture.server.user("ann").get("/me/contacts/$count");
        String::from_utf8(count.body).unwrap().trim_start_matches('\u{feff}').parse::<usize>().unwrap()
    };
    while stored() == 0 {
        assert!(started.elapsed() < Duration::from_mins(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = stored();
    assert!((1..CONTACT_COUNT).contains(&before), "{before}");
    assert!(fixture.stdout_of(&["import", "--list"]).contains("interrupted"));
    let report = fixture.import(&[&file, "--resume"]);
    assert_eq!(
        (&report["counts"]["created"], &report["counts"]["unchanged"]),
        (&json!(CONTACT_COUNT - before), &json!(0))
    );
    assert_eq!(stored(), CONTACT_COUNT);
    assert_eq!(fixture.stdout_of(&["import", "--list"]).lines().count(), 2);
    let report = fixture.import(&[&file]);
    assert_eq!(report["counts"]["unchanged"], CONTACT_COUNT);
}

#[test]
fn an_export_is_complete_and_readable_by_other_programs() {
    let fixture = Fixture::new();
    let file = fixture.file("a.vcf", cards(0..5));
    fixture.import(&[&file]);
    let to = fixture.path("out.vcf");
    let output = fixture.run(&["export", "--user", "ann", "--to", to.to_str().unwrap(), "--split", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "5 contacts exported\n");
    let cards_of = |name: &str| std::fs::read_to_string(fixture.path(name)).unwrap().matches("BEGIN:VCARD").count();
    assert_eq!(["out-0001.vcf", "out-0002.vcf", "out-0003.vcf"].map(cards_of), [2, 2, 1]);
    let text =
        fixture.stdout_of(&["export", "--user", "ann", "--format", "ndjson", "--filter", "displayName eq 'Contact 3'"]);
    let contact: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&contact["displayName"], text.lines().count()), (&json!("Contact 3"), 1));
    // No other file is left in the folder.
    let remaining: Vec<_> =
        std::fs::read_dir(fixture.place.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!remaining.iter().any(|name| name.to_string_lossy().starts_with(".contactd")), "{remaining:?}");
}
