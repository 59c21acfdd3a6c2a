//! `POST …/contacts/$import`: how a file may be sent, the streamed answer, and the result of an interrupted upload.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::corpus::{contacts, import, lines};
use crate::app::{Client, TestApp};

const IMPORT: &str = "/me/contacts/$import";

/// Cards with these numbers.
pub fn cards(numbers: std::ops::Range<usize>) -> String {
    let card = |n| {
        format!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c-{n}\r\nFN:Contact {n}\r\nN:{n};Contact;;;\r\nTEL;TYPE=CELL:+1555{n:07}\r\n\
             EMAIL:c{n}@example.org\r\nX-KEEP:{n}\r\nEND:VCARD\r\n"
        )
    };
    numbers.map(card).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn names(user: &Client) -> Vec<String> {
    contacts(user, "").iter().map(|contact| contact["displayName"].as_str().unwrap().to_owned()).collect()
}

/// Sends a file, and returns the answer with any status.
fn send_file(user: &Client, path: &str, kind: &str, body: &[u8]) -> crate::app::Answer {
    user.with("Content-Type", kind).send("POST", path, Some(body.to_vec()))
}

#[test]
fn an_import_answers_one_line_per_record_and_a_line_of_counts() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let file = cards(1..2) + "BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n" + &cards(2..3) + "BEGIN:VCARD\r\nFN:cut";
    let answer = send_file(&ann, IMPORT, "text/vcard", file.as_bytes());
    assert_eq!(answer.status, 200);
    let (lines, last) = lines(&answer);
    let stored_contacts = contacts(&ann, "");
    let created = |card: u64, line: u64, contact: &Value| json!({"card": card, "line": line, "result": "created", "id": contact["id"], "aside": ["X-KEEP"]});
    let refused =
        |card: u64, line: u64, reason: &str| json!({"card": card, "line": line, "result": "refused", "reason": reason});
    let expected = [
        created(1, 1, &stored_contacts[0]),
        refused(2, 10, "empty"),
        created(3, 13, &stored_contacts[1]),
        refused(4, 22, "unterminated"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(last["counts"], json!({"created": 2, "updated": 0, "unchanged": 0, "refused": 2, "groups": 0}));
    assert_eq!(last["names"]["X-KEEP"], json!({"aside": 2}));
    assert_eq!(last["detected"]["format"], "vcard");
    // The import is recorded so that it can be undone.
    let run = last["import"].as_str().unwrap().replace('-', "");
    assert_eq!(app.sql("select created, refused from imports"), "2|2");
    assert_eq!(run.len(), 32);
    assert_eq!(
        app.sql("select action, item from audit where action like '%import%' limit 1").split('|').next(),
        Some("POST /{user}/contacts/$import")
    );
}

#[test]
fn an_import_accepts_compressed_files_forms_and_any_media_type() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let file = cards(0..3);
    let gzip = ann.with("Content-Encoding", "gzip");
    let (_, last) = import(&gzip, IMPORT, &packed(file.as_bytes()));
    assert_eq!(last["counts"]["created"], 3);
    // A gzip file of two members, without `Content-Encoding`.
    let (_, last) = import(&ann, IMPORT, &[packed(&file.as_bytes()[..300]), packed(&file.as_bytes()[300..])].concat());
    assert_eq!(last["counts"]["unchanged"], 3);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nno file\r\n--x\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.vcf\"\r\nContent-Type: text/vcard\r\n\r\n{file}\r\n--x--\r\n"
    );
    let answer = send_file(&ann, IMPORT, "multipart/form-data; boundary=x", form.as_bytes());
    assert_eq!(lines(&answer).1["counts"]["unchanged"], 3);
    assert_eq!(names(&ann), ["Contact 0", "Contact 1", "Contact 2"]);
}

#[test]
fn an_invalid_import_is_refused_with_an_error_status() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let error = |path: &str, kind: &str, body: &[u8]| {
        let answer = send_file(&ann, path, kind, body);
        let (status, code, target) = answer.error();
        (status, code, target, answer.message())
    };
    let refused = |path: &str, status: u16, target: &str, message: &str| {
        let found = error(path, "text/vcard", cards(0..1).as_bytes());
        assert_eq!((found.0, found.2.as_str()), (status, target), "{path}: {found:?}");
        assert!(found.3.contains(message), "{path}: {found:?}");
    };
    refused("/me/contacts/$import?format=xml", 400, "format", "'format' must be one of vcard, csv-google");
    refused("/me/contacts/$import?dateOrder=ymd", 400, "dateOrder", "dmy or mdy");
    refused("/me/contacts/$import?map=x", 400, "map", "Column=property");
    refused("/me/contacts/$import?match=name", 400, "match", "email");
    refused("/me/contacts/$import?dryRun=1", 400, "dryRun", "true or false");
    refused("/me/contacts/$import?$top=1", 400, "$top", "$top");
    refused("/me/contactFolders/none/contacts/$import", 404, "", "");
    let (status, .., message) = error(IMPORT, "text/csv", b"x,y\n1,2\n");
    assert!(status == 400 && message.contains("not recognised") && message.contains("--map"), "{message}");
    let form = "multipart/form-data; boundary=x";
    for (kind, body, message) in [
        (form, "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n", "no file"),
        (form, "no form", "cannot be read"),
        ("multipart/form-data", "x", "no boundary"),
    ] {
        let found = error(IMPORT, kind, body.as_bytes());
        assert!(found.3.contains(message), "{found:?}");
    }
    let gzip = ann.with("Content-Encoding", "gzip").with("Content-Type", "text/vcard");
    let answer = gzip.send("POST", IMPORT, Some(b"BEGIN:VCARD".to_vec()));
    assert!(answer.message().contains("not valid gzip"));
    let answer = ann.with("Content-Encoding", "br").send("POST", IMPORT, Some(b"x".to_vec()));
    assert_eq!(answer.error().0, 415);
    let strict = ann.with("Prefer", "handling=strict");
    assert_eq!(strict.send("POST", IMPORT, Some(b"x".to_vec())).status, 405);
    assert_eq!(strict.get("/me/contacts/$export").status, 405);
    let batch = json!({"requests": [
        {"id": "1", "method": "POST", "url": "/me/contacts/$import"}, {"id": "2", "method": "GET", "url": "/me/contacts/$export"},
    ]});
    let answer = ann.post("/v1.0/$batch", batch).json(200);
    for step in answer["responses"].as_array().unwrap() {
        assert_eq!(step["status"], 400, "{step}");
    }
    assert_eq!(app.count("select count(*) from contacts"), 0);
    assert_eq!(app.count("select count(*) from imports"), 0);
}

#[test]
fn an_import_into_a_folder_does_not_move_existing_contacts() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "Friends"})).id();
    import(&ann, IMPORT, cards(0..1).as_bytes());
    let (_, last) = import(&ann, &format!("/me/contactFolders/{folder}/contacts/$import"), cards(0..3).as_bytes());
    assert_eq!((&last["counts"]["unchanged"], &last["counts"]["created"]), (&json!(1), &json!(2)));
    let inside = ann.get(&format!("/me/contactFolders/{folder}/contacts?$select=displayName")).json(200);
    assert_eq!(inside["value"].as_array().unwrap().len(), 2);
}

#[test]
fn an_import_matches_contacts_by_email_address_on_request() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let body = json!({"givenName": "Old", "emailAddresses": [{"address": "Bea@example.org"}]});
    let id = ann.post("/me/contacts", body).id();
    let card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bea\r\nN:;Bea;;;\r\nEMAIL:bea@example.org\r\nEND:VCARD\r\n";
    let (lines, _) = import(&ann, "/me/contacts/$import?match=email", card);
    assert_eq!((&lines[0]["result"], &lines[0]["id"]), (&json!("updated"), &json!(id)));
    assert_eq!(names(&ann), ["Bea"]);
}

#[test]
fn a_dry_run_of_an_import_answers_the_same_and_writes_nothing() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let file = cards(0..2) + &cards(0..1);
    let (lines, last) = import(&ann, "/me/contacts/$import?dryRun=true", file.as_bytes());
    assert_eq!(last["counts"], json!({"created": 2, "updated": 0, "unchanged": 1, "refused": 0, "groups": 0}));
    assert!(lines[0].get("id").is_none() && last.get("import").is_none(), "{lines:?}");
    assert_eq!(app.sql("select count(*) from contacts"), "0");
    assert_eq!(app.sql("select count(*) from imports"), "0");
}

/// Starts a chunked request on a raw socket.
fn start_import(app: &TestApp, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let head = format!("POST {IMPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\n{headers}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) {
    let head = format!("{:x}\r\n", bytes.len());
    stream.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat()).unwrap();
}

#[test]
fn an_interrupted_import_keeps_its_records_and_can_be_repeated() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let file = cards(0..12_000);
    let mut stream = start_import(&app, "Content-Type: text/vcard\r\nTransfer-Encoding: chunked");
    chunk(&mut stream, &file.as_bytes()[..file.len() / 3 * 2]);
    // Reported records are committed.
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("\"created\"") {
        let mut piece = [0; 4_096];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    drop(stream);
    let stored = contacts(&ann, "").len();
    assert!((500..12_000).contains(&stored), "{stored}");
    let (_, last) = import(&ann, IMPORT, file.as_bytes());
    // A commit may have been in progress when the client disconnected.
    let count = |effect: &str| usize::try_from(last["counts"][effect].as_u64().unwrap()).unwrap();
    assert!(count("unchanged") >= stored && count("unchanged") + count("created") == 12_000, "{last}");
    assert_eq!(contacts(&ann, "").len(), 12_000);
}

#[test]
fn an_import_during_other_writes_stores_all_and_delta_reports_each_contact_once() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let file = cards(0..1_500);
    let (_, writers) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let ann = ann.clone();
                let create = move || {
                    (0..40).for_each(|n| {
                        ann.post("/me/contacts", json!({"givenName": format!("w{writer}-{n}")})).json(201);
                    });
                };
                scope.spawn(create)
            })
            .collect();
        let importing = scope.spawn(|| import(&ann, IMPORT, file.as_bytes()));
        let mut link = "/me/contacts/delta?$select=displayName".to_owned();
        let mut seen = std::collections::BTreeMap::new();
        let mut finished = false;
        loop {
            let page = ann.get(&link).json(200);
            for contact in page["value"].as_array().unwrap() {
                *seen.entry(contact["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
            let next = page["@odata.nextLink"].as_str();
            link = next.or(page["@odata.deltaLink"].as_str()).unwrap().to_owned();
            if next.is_none() {
                if finished {
                    break;
                }
                finished = importing.is_finished() && writers.iter().all(std::thread::ScopedJoinHandle::is_finished);
            }
        }
        assert!(seen.values().all(|count| *count == 1));
        (importing.join().unwrap(), seen.len())
    });
    assert_eq!(writers, 1_580);
    assert_eq!(contacts(&ann, "").len(), 1_580);
}

#[test]
fn extensions_and_extended_properties_of_a_file_are_set_on_an_existing_contact() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let (single, multi) = ("String 0x8001", "StringArray 0x8002");
    let file = |color: &str, value: &str, values: &[&str]| {
        json!({
            "id": "g-1", "givenName": "Ann",
            "extensions": [{"extensionName": "org.example.a", "color": color, "size": 1}],
            "singleValueExtendedProperties": [{"id": single, "value": value}],
            "multiValueExtendedProperties": [{"id": multi, "value": values}],
        })
        .to_string()
    };
    let effect = |file: &str| {
        let (lines, last) = import(&ann, IMPORT, file.as_bytes());
        assert_eq!(last["names"]["extensions"], json!({"mapped": 1}), "{last}");
        lines[0]["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(effect(&file("red", "1", &["x"])), "created");
    let contact = format!("/me/contacts/{}", contacts(&ann, "")[0]["id"].as_str().unwrap());
    // The file does not contain this one.
    ann.post(&format!("{contact}/extensions"), json!({"extensionName": "org.example.b", "own": true})).json(201);
    let shown = || {
        let path = format!(
            "{contact}?$expand=extensions,singleValueExtendedProperties($filter=id eq '{single}'),\
             multiValueExtendedProperties($filter=id eq '{multi}')"
        );
        let contact = ann.get(&path.replace(' ', "%20")).json(200);
        let extension = |at: usize| contact["extensions"][at].clone();
        let members = [extension(0)["color"].clone(), extension(0)["size"].clone(), extension(1)["own"].clone()];
        let values = [
            contact["singleValueExtendedProperties"][0]["value"].clone(),
            contact["multiValueExtendedProperties"][0]["value"].clone(),
        ];
        json!([members, values, contact["extensions"].as_array().unwrap().len()])
    };
    assert_eq!(shown(), json!([["red", 1, true], ["1", ["x"]], 2]));
    let etag = || ann.get(&contact).json(200)["changeKey"].clone();
    // Each of these changes is an update, and the same file again is not.
    for (color, value, values) in [("blue", "1", &["x"][..]), ("blue", "2", &["x"]), ("blue", "2", &["x", "y"])] {
        let file = file(color, value, values);
        assert_eq!(effect(&file), "updated", "{file}");
        assert_eq!(shown(), json!([[color, 1, true], [value, values], 2]));
        let before = etag();
        assert_eq!(effect(&file), "unchanged", "{file}");
        assert_eq!(etag(), before);
    }
    // Members that are missing in the file are removed.
    let less = json!({"id": "g-1", "givenName": "Ann", "extensions": [{"extensionName": "org.example.a", "size": 2}]});
    assert_eq!(effect(&less.to_string()), "updated");
    assert_eq!(shown(), json!([[null, 2, true], ["2", ["x", "y"]], 2]));
}
