//! Broken and hostile files: the run continues, and a bad byte affects only its own card.

use std::fmt::Write as _;

use contactd::vcard::charset::Fallback;
use contactd::vcard::read::read;
use contactd::vcard::record::{Fate, FileRecord, Record, RecordContent};
use contactd::vcard::split::{Cards, End, RawCard};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::corpus::{files, items, split};
use crate::round::record;
use crate::shape;

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn contacts(items: &[FileRecord]) -> Vec<Value> {
    let contact = |item: &FileRecord| match &item.found {
        RecordContent::Contact(record) => Some(shape::created(record.patch.clone())),
        _ => None,
    };
    items.iter().filter_map(contact).collect()
}

/// Where each card begins in a file whose lines end in LF.
fn begins(bytes: &[u8], items: &[FileRecord]) -> Vec<usize> {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let mut starts = vec![0];
    starts.extend(ends.by_ref());
    items.iter().map(|item| starts[usize::try_from(item.position.line).unwrap() - 1]).collect()
}

#[test]
fn a_broken_byte_affects_only_its_own_card() {
    let files: Vec<_> = files()
        .into_iter()
        .filter(|path| {
            // A byte lost in UTF-16 shifts all that follow; a file of one line has no other card.
            let name = path.to_string_lossy();
            !name.contains("utf16") && !name.contains("h03")
        })
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let mut numbers = Random(16);
    for round in 0..200 {
        let bytes = &files[numbers.below(files.len())];
        let original_items = items(bytes, 1 << 16);
        let begins = begins(bytes, &original_items);
        let at = numbers.below(bytes.len());
        let end = (at + 1 + numbers.below(300)).min(bytes.len());
        let mut broken = bytes.clone();
        let touched = match round % 4 {
            0 => {
                broken[at] ^= 1 << numbers.below(8);
                at..at + 1
            }
            1 => {
                broken[at] = b"\"\\:;,=\n\r\0\xff "[numbers.below(11)];
                at..at + 1
            }
            2 => {
                let again = bytes[at..end].to_vec();
                broken.splice(at..at, again);
                at..end
            }
            _ => {
                broken.truncate(at);
                at..bytes.len()
            }
        };
        let found = contacts(&items(&broken, 1 << 16));
        let mut rest = found.iter();
        for (i, item) in original_items.iter().enumerate() {
            let RecordContent::Contact(record) = &item.found else { continue };
            let from = begins[i];
            let to = begins.get(i + 1).copied().unwrap_or(bytes.len());
            if touched.start <= to && touched.end >= from {
                continue;
            }
            let expected = shape::created(record.patch.clone());
            assert!(
                rest.any(|contact| *contact == expected),
                "round {round}, {touched:?}: card {i} is lost\n{expected}"
            );
        }
    }
}

/// The end of a file that is read in pieces without storing it.
fn streamed(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<RawCard> {
    let mut cards = Cards::new();
    let mut found = Vec::new();
    for piece in pieces {
        cards.push(&piece);
        found.extend(std::iter::from_fn(|| cards.next_card()));
    }
    cards.finish();
    found.extend(std::iter::from_fn(|| cards.next_card()));
    found
}

#[test]
fn a_card_that_is_too_large_is_skipped_without_buffering() {
    let begin = || b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Large\r\nNOTE:".to_vec();
    let after = || b"\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:After\r\nEND:VCARD\r\n".to_vec();
    let a = || vec![b'A'; 1 << 20];
    let ends = |cards: &[RawCard]| cards.iter().map(|card| (card.end, card.bytes.len())).collect::<Vec<_>>();
    let one_line = streamed([begin()].into_iter().chain((0..20).map(|_| a())).chain([after()]));
    assert_eq!(ends(&one_line), [(End::TooLarge, 0), (End::Whole, 34)]);
    assert_eq!(one_line[1].position.line, 6);
    let lines = (0..20).map(|_| b"X-A:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(1 << 14));
    let never_ends = streamed([b"BEGIN:VCARD\r\n".to_vec()].into_iter().chain(lines));
    assert_eq!(ends(&never_ends), [(End::TooLarge, 0)]);
    let no_line = streamed((0..20).map(|_| a()));
    assert_eq!(ends(&no_line), []);
    let RecordContent::Refused(why) = read(&one_line[0], &Fallback::default()) else { panic!() };
    assert_eq!(why.reason, "too large");
}

#[test]
fn many_begins_parameters_and_separators_are_read_in_linear_time() {
    let nested = b"BEGIN:VCARD\r\n".repeat(200_000);
    let (cards, _) = split(&nested, 1 << 16);
    assert_eq!(cards.len(), 200_000);
    assert!(cards.iter().rev().skip(1).all(|card| card.end == End::NoEnd));
    let agents = b"AGENT:\r\nBEGIN:VCARD\r\n".repeat(20_000);
    let agents = [b"BEGIN:VCARD\r\nFN:x\r\n".to_vec(), agents, b"END:VCARD\r\n".repeat(20_001)].concat();
    assert_eq!(contacts(&items(&agents, 1 << 16)).len(), 1);

    let name = record(&format!("BEGIN:VCARD\r\nN:Many{}\r\nEND:VCARD\r\n", ";".repeat(1_000_000)));
    assert_eq!(shape::created(name.patch)["surname"], "Many");
    let params = record(&format!("BEGIN:VCARD\r\nTEL{}:1\r\nEND:VCARD\r\n", ";A=B".repeat(500_000)));
    assert_eq!(shape::created(params.patch)["phones"][0]["number"], "1");
    let mut lines = String::from("BEGIN:VCARD\r\nFN:x\r\n");
    for i in 0..5_000 {
        write!(lines, "g{i}.TEL:1\r\ng{i}.X-ABLabel:l\r\ng{i}.X-ABRELATEDNAMES:y\r\n").unwrap();
    }
    let lines = record(&(lines + "END:VCARD\r\n"));
    assert_eq!(shape::created(lines.patch)["phones"].as_array().unwrap().len(), 1);
}

fn fate(record: &Record, name: &str) -> Vec<Fate> {
    record.outcomes.iter().filter(|outcome| outcome.name == name).map(|outcome| outcome.fate).collect()
}

#[test]
fn values_over_a_limit_are_stored_separately_or_reported() {
    let card = |lines: &str| record(&format!("BEGIN:VCARD\r\nVERSION:3.0\r\nN:Limit;Ann;;;\r\n{lines}END:VCARD\r\n"));
    let long = card(&format!("FN:{}\r\nTITLE:{}\r\n", "é".repeat(4_097), "é".repeat(4_096)));
    assert_eq!(fate(&long, "FN"), [Fate::Aside(Some("too long"))]);
    assert_eq!(fate(&long, "TITLE"), [Fate::Mapped]);
    assert_eq!(shape::created(long.patch)["displayName"], "Ann Limit");
    let mut emails = String::new();
    for i in 0..101 {
        write!(emails, "EMAIL:{i}@example.org\r\n").unwrap();
    }
    let too_many = card(&emails);
    assert_eq!(too_many.patch.emails.as_ref().unwrap().len(), 100);
    assert_eq!(fate(&too_many, "EMAIL").iter().filter(|fate| **fate == Fate::Aside(Some("too many"))).count(), 1);
    let jpeg = |length: usize| {
        let mut bytes = vec![0_u8; length];
        bytes[..24]
            .copy_from_slice(b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xff\xfe\0\x02\xff\xc2\0\x0b\x08\x01\0\x02\0\x01");
        base64(&bytes)
    };
    let photo = card(&format!("PHOTO;ENCODING=b:{}\r\n", jpeg((4 << 20) + 3)));
    assert_eq!(fate(&photo, "PHOTO"), [Fate::Lost("too large")]);
    assert!(photo.photo.is_none() && !photo.card.unwrap().contains("PHOTO"));
    let logos = card(&format!("LOGO;ENCODING=b:{0}\r\nKEY:{1}\r\n", "A".repeat(1_000_000), "B".repeat(100_000)));
    assert_eq!((fate(&logos, "LOGO"), fate(&logos, "KEY")), (vec![Fate::Aside(None)], vec![Fate::Lost("too much")]));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn the_stored_cards_are_read_like_their_file() {
    for path in files() {
        for item in items(&std::fs::read(&path).unwrap(), 1 << 16) {
            let RecordContent::Contact(first) = item.found else { continue };
            let card = first.card.clone().unwrap();
            let again = record(&card);
            assert_eq!(again.card.as_deref(), Some(card.as_str()), "{path:?}");
            let mut stored = shape::created(first.patch.clone());
            // Google's mark of a favourite is not a category of the stored card.
            stored.as_object_mut().unwrap().remove("isFavorite");
            assert_eq!(shape::created(again.patch), stored, "{card}");
            assert_eq!((again.uid, again.photo), (first.uid.clone(), first.photo.clone()));
            let kept = |record: &[contactd::vcard::record::PropertyOutcome]| {
                let kept = record.iter().filter(|outcome| matches!(outcome.fate, Fate::Aside(_) | Fate::Partial));
                kept.cloned().collect::<Vec<_>>()
            };
            assert_eq!(kept(&again.outcomes), kept(&first.outcomes), "{card}");
        }
    }
}

/// Pieces of cards, also for breaking them.
const PIECES: [&str; 40] = [
    "BEGIN:VCARD\r\n",
    "END:VCARD\r\n",
    "VERSION:2.1\r\n",
    "VERSION:4.0\n",
    "begin:vcard\r",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "N:",
    "FN:",
    "TEL;",
    "EMAIL",
    "ADR;TYPE=",
    "NOTE;ENCODING=QUOTED-PRINTABLE:",
    "PHOTO;ENCODING=b:",
    "/9j/4AAQ",
    "AGENT:\r\n",
    "item1.",
    "X-ABLabel:_$!<",
    ">!$_",
    "=\r\n",
    "=C3=BC",
    "=",
    ";",
    ",",
    ":",
    "\\",
    "\\n",
    "\"",
    "CHARSET=windows-1251",
    "Ä",
    "🎻",
    "\u{feff}",
    "\0",
    "CATEGORIES:* a,myContacts",
    "BDAY:--02-29",
    "GENDER:M;",
    "IMPP:x-apple:",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_fragments_are_read_and_the_stored_card_is_read_alike(
        pieces in proptest::collection::vec((select(PIECES.to_vec()), any::<u8>(), 0..12_u8), 0..60),
        size in 1..40_usize,
    ) {
        let mut bytes = b"BEGIN:VCARD\r\nFN:x\r\n".to_vec();
        for (piece, byte, other) in pieces {
            bytes.extend(piece.as_bytes());
            if other == 0 {
                bytes.push(byte);
            }
        }
        bytes.extend(b"\r\nEND:VCARD\r\n");
        let unsplit_items = items(&bytes, bytes.len());
        prop_assert!(items(&bytes, size) == unsplit_items);
        for item in unsplit_items {
            let RecordContent::Contact(first) = item.found else { continue };
            let card = first.card.unwrap();
            let again = items(card.as_bytes(), 1 << 16);
            prop_assert_eq!(again.len(), 1);
            let RecordContent::Contact(again) = &again[0].found else { panic!("{card}") };
            prop_assert_eq!(again.card.as_deref(), Some(card.as_str()));
            let mut stored = shape::created(first.patch);
            stored.as_object_mut().unwrap().remove("isFavorite");
            prop_assert_eq!(shape::created(again.patch.clone()), stored, "{}", card);
        }
    }
}
