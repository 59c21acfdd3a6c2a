//! Limits: values that are too long, too many or too large are kept aside, refused or reported as lost. Nothing else changes.

use std::io::Cursor;

use contactd::formats::aside;
use contactd::formats::detect::ReadOptions;
use contactd::graph::json::contact::file::GraphFile;
use contactd::transfer::reading::{self, ReadPart, ReadingSettings};
use contactd::vcard::record::{Fate, FileRecord, Record, RecordContent};
use serde_json::json;

use crate::corpus::read;

fn items(file: &str) -> Vec<FileRecord> {
    read(file.as_bytes(), 64 << 10).1
}

fn record(item: &FileRecord) -> &Record {
    match &item.found {
        RecordContent::Contact(record) => record,
        other => panic!("{other:?}"),
    }
}

fn fate(record: &Record, name: &str) -> Fate {
    record.outcomes.iter().find(|outcome| outcome.name == name).unwrap().fate
}

fn reason(item: &FileRecord) -> &'static str {
    match &item.found {
        RecordContent::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_that_is_too_long_is_stored_separately_and_the_rest_is_taken() {
    let long = "x".repeat(4097);
    let files = [
        (format!("First Name,Last Name,E-mail Address\n{long},Lee,a@example.org\n"), "First Name"),
        (format!("dn: cn=a\ngivenName: {long}\nsn: Lee\n"), "givenname"),
        (json!({"givenName": long, "surname": "Lee"}).to_string(), "givenName"),
        (
            json!({"@type": "Card", "nicknames": {"k": {"name": long}}, "titles": {"t": {"name": "Lead"}}}).to_string(),
            "nicknames",
        ),
    ];
    for (file, name) in files {
        let items = items(&file);
        let record = record(&items[0]);
        assert_eq!(fate(record, name), Fate::Aside(Some("too long")), "{name}");
        assert!(aside::read(record.card.as_ref().unwrap())[0].value.contains(&long));
    }
}

#[test]
fn groups_with_more_than_16_mib_of_names_are_skipped_and_reported() {
    let member = |group: usize| format!("X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:{group}{}\r\n", "x".repeat(1 << 20));
    let group = |i: usize| {
        let member = member(i);
        format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:g{i}\r\nX-ADDRESSBOOKSERVER-KIND:group\r\n{member}END:VCARD\r\n")
    };
    let file: String = (0..20).map(group).collect();
    let how = ReadingSettings::new(ReadOptions::default(), &GraphFile);
    let mut parts = reading::begin(Box::new(Cursor::new(file)), how).unwrap();
    let (groups, notes) = loop {
        if let ReadPart::End { groups, notes } = parts.blocking_recv().unwrap() {
            break (groups, notes);
        }
    };
    assert_eq!(groups.len(), 15);
    let note = "5 groups were skipped: all together have more than 200000 members or 16 MiB";
    assert!(notes.iter().any(|found| found == note), "{notes:?}");
}

#[test]
fn a_hundred_of_too_many_entries_are_taken() {
    let emails = |count: usize| (0..count).map(|i| format!("{i}@example.org")).collect::<Vec<_>>();
    let emails_over_limit = emails(101);
    let card: serde_json::Map<_, _> = emails_over_limit
        .iter()
        .enumerate()
        .map(|(i, address)| (format!("e{i}"), json!({"address": address})))
        .collect();
    let entries: Vec<_> = emails_over_limit.iter().map(|address| json!({"address": address})).collect();
    let files = [
        format!(
            "First Name,Labels,File As,E-mail 1 - Label,E-mail 1 - Value\nAnn,,,Home,{}\n",
            emails_over_limit.join(" ::: ")
        ),
        format!(
            "dn: cn=a\n{}",
            emails_over_limit.iter().flat_map(|address| ["mail: ", address, "\n"]).collect::<String>()
        ),
        json!({"@type": "Card", "emails": card}).to_string(),
        json!({"emailAddresses": entries}).to_string(),
    ];
    for file in files {
        let items = items(&file);
        let record = record(&items[0]);
        assert_eq!(record.patch.emails.as_ref().unwrap().len(), 100, "{file}");
        assert!(record.card.as_ref().unwrap().replace("\r\n ", "").contains("100@example.org"), "{file}");
    }
}

#[test]
fn a_photo_that_is_too_large_is_reported_as_lost() {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let mut photo = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89".to_vec();
    photo.resize((4 << 20) + 1, 0);
    let photo = BASE64_STANDARD.encode(photo);
    let card = json!({"@type": "Card", "nicknames": {"k": {"name": "Ann"}},
        "media": {"m": {"kind": "photo", "uri": format!("data:image/png;base64,{photo}")}}});
    for (file, name) in
        [(format!("dn: cn=a\nsn: Lee\njpegPhoto:: {photo}\n"), "jpegphoto"), (card.to_string(), "media")]
    {
        let items = items(&file);
        let record = record(&items[0]);
        assert_eq!(fate(record, name), Fate::Lost("too large"));
        assert_eq!(record.photo, None);
    }
}

#[test]
fn separately_stored_values_beyond_a_mebibyte_are_reported_as_lost() {
    let items =
        items(&format!("First Name,Last Name,E-mail Address,Hobby,User 1\nAnn,Lee,,{},small\n", "x".repeat(1 << 20)));
    let record = record(&items[0]);
    assert_eq!(fate(record, "Hobby"), Fate::Lost("too much"));
    assert_eq!(fate(record, "User 1"), Fate::Aside(None));
}

#[test]
fn a_record_that_is_too_large_affects_no_other_record() {
    let large = "x".repeat(9 << 20);
    let files = [
        format!("First Name,Last Name,E-mail Address\nAnn,{large},\nBea,Lee,\n"),
        format!("dn: cn=a\nsn: {large}\n\ndn: cn=b\nsn: Lee\n"),
        format!("dn: cn=a\n{}\ndn: cn=b\nsn: Lee\n", "a: b\n".repeat(60_000)),
        format!("{{\"surname\":\"Lee\"}}\n{{\"surname\":\"{large}\"}}\n{{\"surname\":\"Lee\"}}\n"),
        format!("[{{\"surname\":\"Lee\"}},\n{{\"surname\":\"{large}\"}},\n{{\"surname\":\"Lee\"}}]"),
    ];
    for file in files {
        let items = items(&file);
        let refused = items.iter().position(|item| matches!(item.found, RecordContent::Refused(_))).unwrap();
        assert_eq!(reason(&items[refused]), "too large");
        record(&items[refused + 1]);
        assert_eq!(items.len(), refused + 2);
    }
}

#[test]
fn reading_many_small_pieces_takes_linear_time() {
    let lines = "a:b\n".repeat(40_000);
    let columns = (0..20_000).map(|i| format!("Column {i}")).collect::<Vec<_>>().join(",");
    let files = [
        format!("First Name,Last Name,E-mail Address,{columns}\nAnn,Lee,,{}\n", "x,".repeat(20_000)),
        format!("First Name,Last Name,E-mail Address\nAnn,Lee,{}\n", ",".repeat(4 << 20)),
        format!("dn: cn=a\nsn: Lee\n{lines}"),
        format!("{{\"surname\":\"Lee\",\"x\":[{}0]}}", "0,".repeat(40_000)),
        format!("[{{\"surname\":\"Lee\"}}{}", ",{\"surname\":\"".repeat(500)),
        format!("{}\n", "[".repeat(200_000)),
        "{".repeat(200_000),
        format!("First Name,Labels,File As,E-mail 1 - Value\nAnn,,,{}\n", "a ::: ".repeat(20_000)),
    ];
    for file in files {
        assert!(!items(&file).is_empty(), "{}", &file[..100]);
    }
}

#[test]
fn one_page_of_a_list_and_damaged_numbers_are_reported() {
    let (reader, _) = read(b"{\"value\":[{\"surname\":\"Lee\"}],\"@odata.nextLink\":\"https://x.example\"}", 10);
    assert!(reader.notes()[0].contains("one page"), "{:?}", reader.notes());
    let rows = "Ann,Lee,a@example.org,4.93023E+11\n".repeat(4);
    let (reader, _) = read(format!("First Name,Last Name,E-mail Address,Mobile Phone\n{rows}").as_bytes(), 10);
    assert!(reader.notes()[0].starts_with("suspicious: 4 of 4"), "{:?}", reader.notes());
}
