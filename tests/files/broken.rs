//! Broken files: after one changed byte, one cut or one repetition, the other records are read as before.

use contactd::vcard::record::{FileRecord, RecordContent};
use proptest::prelude::*;

use crate::corpus::read;

/// A repeatable generator (SplitMix64), so that the same files are damaged each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % most as u64).unwrap()
    }
}

/// The position of each record in its file, in bytes.
fn places(bytes: &[u8], items: &[FileRecord]) -> Vec<(usize, usize)> {
    let mut from = 0;
    let mut places = Vec::new();
    for item in items {
        let length = item.raw.len();
        let at = (from..=bytes.len() - length).find(|at| bytes[*at..*at + length] == item.raw[..]).unwrap();
        places.push((at, at + length));
        from = at + length;
    }
    places
}

/// The result, without its position.
fn contacts(items: &[FileRecord]) -> Vec<String> {
    let content_of = |item: &FileRecord| match &item.found {
        RecordContent::Contact(record) => Some(format!("{:?}", record.patch)),
        _ => None,
    };
    items.iter().filter_map(content_of).collect()
}

/// Damages a file, and asserts that all other records are found.
fn broken(path: &str, numbers: &mut Random, count: usize) {
    let original = std::fs::read(path).unwrap();
    let items = read(&original, usize::MAX).1;
    let places = places(&original, &items);
    let first = places[0].0;
    for _ in 0..count {
        let at = numbers.below(original.len());
        let mut bytes = original.clone();
        let kind = numbers.below(3);
        let end = match kind {
            0 => {
                bytes[at] ^= 1 << numbers.below(8);
                at + 1
            }
            1 => {
                let end = (at + 1 + numbers.below(40)).min(original.len());
                bytes.drain(at..end);
                end
            }
            _ => {
                let end = (at + 1 + numbers.below(40)).min(original.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(end..end, again);
                end
            }
        };
        let found = contacts(&read(&bytes, 1 + numbers.below(5000)).1);
        // A missing quote in a CSV file damages records up to the next quote. In JSON of one line a missing bracket may turn later records
        // into members of the damaged one in valid JSON. The text before the first record affects all records.
        let signs: &[u8] = match path.rsplit('.').next() {
            Some("csv") => b"\"",
            Some("json") if !original.contains(&b'\n') => b"{}[]",
            _ => b"",
        };
        let changed = original[at..end].iter().chain(&bytes[at.min(bytes.len())..end.min(bytes.len())]);
        if at < first || changed.into_iter().any(|byte| signs.contains(byte)) {
            continue;
        }
        for ((from, to), item) in places.iter().zip(&items) {
            // The damaged record, and the next one if their separator is damaged.
            let near = *to + 2 > at && *from < end + 2;
            if let (RecordContent::Contact(record), false) = (&item.found, near) {
                let record = format!("{:?}", record.patch);
                assert!(
                    found.contains(&record),
                    "{path}: {:?} is lost after a break of kind {kind} at {at} to {end}: {}",
                    item.position,
                    String::from_utf8_lossy(&bytes[at.saturating_sub(40)..(at + 80).min(bytes.len())])
                );
            }
        }
    }
}

#[test]
fn two_hundred_broken_files_lose_no_other_record() {
    let mut numbers = Random(0x5eed);
    for path in [
        "tests/corpus/csv/google-new.csv",
        "tests/corpus/csv/outlook-com-utf8.csv",
        "tests/corpus/other/thunderbird.ldif",
        "tests/corpus/other/graph-v1.ndjson",
        "tests/corpus/other/graph-beta-list.json",
        "tests/corpus/other/jscontact-array.json",
    ] {
        broken(path, &mut numbers, 40);
    }
}

/// Fragments of files that have a meaning in a format.
const PIECES: [&str; 36] = [
    "First Name",
    "Last Name",
    "E-mail Address",
    "E-mail 1 - Value",
    "Phone 1 - Label",
    "Address 1 - Street",
    "Labels",
    "Birthday",
    "Anniversary",
    ",",
    ";",
    "\t",
    "\"",
    "\n",
    "\r\n",
    "\r",
    " ::: ",
    "* ",
    "12/31/1990",
    "0/0/00",
    "'=",
    "dn: ",
    "cn:: ",
    " ",
    ":",
    "mail",
    "[",
    "]",
    "{",
    "}",
    "\"value\":",
    "\"@type\":\"Card\"",
    "\"name\":",
    "é",
    "\u{0}",
    "\\",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_alike_in_pieces_of_any_size(bytes in prop::collection::vec(any::<u8>(), 0..400), step in 1_usize..50) {
        prop_assert_eq!(read(&bytes, step).1, read(&bytes, usize::MAX).1);
    }

    #[test]
    fn text_made_of_format_fragments_is_read_alike_in_pieces_of_any_size(pieces in prop::collection::vec(0..PIECES.len(), 0..80), start in 0_usize..6, step in 1_usize..50) {
        let start = ["", "First Name,Last Name,E-mail Address\n", "First Name,Labels,File As,Phone 1 - Label,Phone 1 - Value\n", "dn: a\n", "[", "{\"@type\":\"Card\""][start];
        let text = start.to_owned() + &pieces.iter().map(|piece| PIECES[*piece]).collect::<String>();
        prop_assert_eq!(read(text.as_bytes(), step).1, read(text.as_bytes(), usize::MAX).1);
    }
}
