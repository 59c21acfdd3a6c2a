//! `GET …/contacts/$export` and a contact as a file: media types, options, consistency, and re-import.

use serde_json::{Value, json};

use super::corpus::{contacts, content, import};
use super::imports::cards;
use crate::app::{Answer, Client, TestApp};

const FORMATS: [(&str, &str, &str); 6] = [
    ("vcard3", "text/vcard; charset=utf-8", "vcf"),
    ("vcard4", "text/vcard; charset=utf-8; version=4.0", "vcf"),
    ("csv-google", "text/csv; charset=utf-8; header=present", "csv"),
    ("csv-outlook", "text/csv; charset=utf-8; header=present", "csv"),
    ("jscontact", "application/jscontact+json", "json"),
    ("ndjson", "application/x-ndjson", "ndjson"),
];

fn export(user: &Client, query: &str) -> Answer {
    let answer = user.get(&format!("/me/contacts/$export?{query}"));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// The contents of contacts, sorted; `brief` leaves out the types that CSV names differently.
fn sorted_contents(user: &Client, brief: bool) -> Vec<String> {
    let members = |contact: &Value, list: &str, member: &str| {
        let entries = contact[list].as_array().unwrap().iter().map(|entry| entry[member].clone());
        entries.collect::<Vec<_>>()
    };
    let shown = |contact: &Value| {
        let lists = [members(contact, "emailAddresses", "address"), members(contact, "phones", "number")];
        let names = ["displayName", "givenName", "surname", "personalNotes"].map(|name| contact[name].clone());
        if brief { json!([names, lists]).to_string() } else { content(contact).to_string() }
    };
    let mut contents: Vec<_> = contacts(user, "").iter().map(shown).collect();
    contents.sort();
    contents
}

#[test]
fn each_export_format_has_its_media_type_and_can_be_imported_again() {
    let app = TestApp::new();
    let ann = app.user("ann");
    import(&ann, "/me/contacts/$import", cards(0..3).as_bytes());
    ann.post("/me/contacts", json!({"givenName": "=1+1", "surname": "'t Hooft", "personalNotes": "a\nb;c,\"d\""}))
        .json(201);
    for (number, (format, kind, extension)) in FORMATS.into_iter().enumerate() {
        let answer = export(&ann, &format!("format={format}"));
        assert_eq!(answer.header("content-type"), kind, "{format}");
        let disposition = answer.header("content-disposition");
        assert!(
            disposition.starts_with("attachment; filename=\"contacts-")
                && disposition.ends_with(&format!(".{extension}\""))
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-length"), "", "{format}");
        let other = app.user(&format!("other{number}"));
        let (_, last) = import(&other, "/me/contacts/$import", &answer.body);
        assert_eq!(last["counts"]["created"], 4, "{format}: {last}");
        let brief = format.starts_with("csv");
        assert_eq!(sorted_contents(&other, brief), sorted_contents(&ann, brief), "{format}");
        if format.starts_with("vcard") {
            assert_eq!(text(&answer).matches("X-KEEP:").count(), 3);
            // An import into the same mailbox finds every contact unchanged.
            let (_, last) = import(&ann, "/me/contacts/$import", &answer.body);
            assert_eq!(last["counts"]["created"], 0, "{format}");
        }
    }
}

#[test]
fn an_export_takes_the_filters_searches_folders_and_accept_of_lists() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let folder = ann.post("/me/contactFolders", json!({"displayName": "Friends"})).id();
    for (given, path) in [("Ann", "/me/contacts".to_owned()), ("Bea", format!("/me/contactFolders/{folder}/contacts"))]
    {
        ann.post(&path, json!({"givenName": given, "surname": "Lee"})).json(201);
    }
    let names = |answer: &Answer| {
        let text = text(answer);
        text.lines().filter_map(|line| line.strip_prefix("FN:").map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names(&export(&ann, "")), ["Ann Lee", "Bea Lee"]);
    assert_eq!(names(&export(&ann, "$filter=givenName eq 'Bea'".replace(' ', "%20").as_str())), ["Bea Lee"]);
    assert_eq!(names(&export(&ann, "$search=ann")), ["Ann Lee"]);
    assert_eq!(names(&ann.get(&format!("/me/contactFolders/{folder}/contacts/$export"))), ["Bea Lee"]);
    let accept = |accept: &str| ann.with("Accept", accept).get("/me/contacts/$export");
    for (accepted, kind) in [
        ("text/vcard;version=4.0", "text/vcard; charset=utf-8; version=4.0"),
        ("text/x-vcard", "text/vcard; charset=utf-8"),
        ("text/vcard;q=0.5, text/csv", "text/csv; charset=utf-8; header=present"),
        ("*/*", "text/vcard; charset=utf-8"),
    ] {
        assert_eq!(accept(accepted).header("content-type"), kind, "{accepted}");
    }
    assert_eq!(accept("image/png").error().0, 406);
    for (query, target) in
        [("$top=1", "$top"), ("$select=id", "$select"), ("format=xls", "format"), ("photos=some", "photos")]
    {
        let (status, _, found) = ann.get(&format!("/me/contacts/$export?{query}")).error();
        assert_eq!((status, found.as_str()), (400, target), "{query}");
    }
    assert_eq!(ann.get("/me/contactFolders/none/contacts/$export").error().0, 404);
}

#[test]
fn a_single_contact_is_served_as_a_card_or_a_row_on_request() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"givenName": "Ann", "surname": "Lee"})).id();
    let path = format!("/me/contacts/{id}");
    let as_kind = |accept: &str| ann.with("Accept", accept).get(&path);
    let card = as_kind("text/vcard, application/json;q=0.5");
    assert_eq!((card.status, card.header("content-type").as_str()), (200, "text/vcard; charset=utf-8"));
    assert!(
        text(&card).starts_with("BEGIN:VCARD\r\nVERSION:3.0\r\n") && text(&card).contains(&format!("UID:{id}\r\n"))
    );
    assert_eq!(card.header("etag"), ann.get(&path).header("etag"));
    assert!(text(&as_kind("text/vcard;version=4.0")).contains("VERSION:4.0\r\n"));
    assert!(as_kind("text/csv").header("content-type").starts_with("text/csv"));
    for accept in ["application/json", "*/*", "text/html", "application/json, text/vcard;q=0.9"] {
        assert_eq!(as_kind(accept).json(200)["givenName"], "Ann", "{accept}");
    }
    let strict = ann.with("Prefer", "handling=strict").with("Accept", "text/vcard").get(&path);
    assert_eq!(strict.json(200)["givenName"], "Ann");
}

#[test]
fn photos_are_exported_on_request() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let id = ann.post("/me/contacts", json!({"givenName": "Ann"})).id();
    let photo = super::pictures::gif(3, 3, 40, 0);
    ann.with("Content-Type", "image/gif").send("PUT", &format!("/me/contacts/{id}/photo/$value"), Some(photo.clone()));
    assert!(text(&export(&ann, "")).contains("PHOTO;"));
    assert!(!text(&export(&ann, "photos=none")).contains("PHOTO"));
    let bob = app.user("bob");
    import(&bob, "/me/contacts/$import", &export(&ann, "photos=small").body);
    let id: Value = contacts(&bob, "")[0]["id"].clone();
    assert_eq!(bob.get(&format!("/me/contacts/{}/photo/$value", id.as_str().unwrap())).body, photo);
}

#[test]
fn an_export_is_a_snapshot_during_concurrent_writes() {
    let app = TestApp::new();
    let ann = app.user("ann");
    import(&ann, "/me/contacts/$import", cards(0..3_000).as_bytes());
    let ids: Vec<_> = contacts(&ann, "").iter().map(|contact| contact["id"].as_str().unwrap().to_owned()).collect();
    // A writer repeatedly gives all contacts the same department, one after the other. So in a snapshot there are two
    // values at most, and the newer one is on the contacts that are written first.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                round += 1;
                for id in ids.iter().step_by(300) {
                    ann.patch(&format!("/me/contacts/{id}"), json!({"department": format!("{round}")})).json(200);
                }
            }
        });
        for _ in 0..6 {
            let answer = export(&ann, "format=ndjson");
            let exported_contacts: Vec<Value> =
                text(&answer).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(exported_contacts.len(), 3_000);
            let rounds: Vec<i64> = ids
                .iter()
                .step_by(300)
                .map(|id| {
                    let contact = exported_contacts.iter().find(|contact| contact["id"] == id.as_str()).unwrap();
                    contact["department"].as_str().map_or(0, |round| round.parse().unwrap())
                })
                .collect();
            assert!(rounds.is_sorted_by(|a, b| a >= b) && rounds[0] - rounds[rounds.len() - 1] <= 1, "{rounds:?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_card_with_a_large_text_is_exported_whole() {
    let app = TestApp::new();
    let ann = app.user("ann");
    // Above 64 KiB a text is read apart from its page, and above 256 KiB it is stored in pieces.
    let card = |name: &str, length: usize| {
        let line = format!("X-LONG:{}", name.repeat(length));
        format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:{name}\r\nN:{name};;;;\r\n{line}\r\nEND:VCARD\r\n")
    };
    let file = [card("a", 10), card("b", 70_000), card("c", 400_000), card("d", 10)].concat();
    import(&ann, "/me/contacts/$import", file.as_bytes());
    assert_eq!(text(&export(&ann, "format=vcard3")).replace("\r\n ", ""), file);
    let as_4 = text(&export(&ann, "format=vcard4")).replace("\r\n ", "");
    for (name, length) in [("b", 70_000), ("c", 400_000)] {
        assert_eq!(as_4.matches(&format!("X-LONG:{}\r\n", name.repeat(length))).count(), 1, "{name}");
    }
}

#[test]
fn an_export_is_compressed_on_request() {
    use std::io::Read as _;
    let app = TestApp::new();
    let ann = app.user("ann");
    import(&ann, "/me/contacts/$import", cards(0..300).as_bytes());
    for format in ["vcard3", "csv-google", "ndjson"] {
        let plain = export(&ann, &format!("format={format}"));
        assert_eq!((plain.header("content-encoding"), varies(&plain)), (String::new(), true), "{format}");
        let asking = ann.with("Accept-Encoding", "br;q=0.5, gzip");
        let packed = export(&asking, &format!("format={format}"));
        assert_eq!((packed.header("content-encoding").as_str(), varies(&packed)), ("gzip", true), "{format}");
        assert!(packed.body.len() * 4 < plain.body.len(), "{format}: {} of {}", packed.body.len(), plain.body.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body, "{format}");
        // The compressed export can be imported unchanged.
        let other = app.user(&format!("other-{format}"));
        let (_, last) = import(&other.with("Content-Encoding", "gzip"), "/me/contacts/$import", &packed.body);
        assert_eq!(last["counts"]["created"], 300, "{format}");
    }
    let refused = ann.with("Accept-Encoding", "gzip;q=0");
    assert_eq!(export(&refused, "").header("content-encoding"), "");
}

/// Whether an answer has the right `Vary` header.
fn varies(answer: &Answer) -> bool {
    let lines: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    ["Accept", "Accept-Encoding"].iter().all(|name| lines.contains(name))
}

#[test]
fn exports_are_readable_by_independent_libraries() {
    let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let app = TestApp::new();
    let mut script = std::process::Command::new(root.join("target/recipes/vobject/bin/python"));
    script.arg(root.join("tests/exchange/read_back.py")).arg(format!("http://{}", app.address));
    let output = script.output().unwrap_or_else(|error| panic!("{error}: tests/run installs vobject"));
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}
