//! Speed of reading vCards: `cargo bench --bench cards`, with the name of a file for another one than the corpus.
//!
//! Reading includes finding the cards, guessing the code page, decoding, and mapping each card to a contact and a stored card.
//! It is compared with calcard, which only parses the same cards. Writing is compared too. The programs take turns on the
//! same core; the fastest turn counts, because other load on the machine slows some down. The limit is a ratio of 0.5.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench panics where it is wrong")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use calcard::vcard::VCard;
use contactd::vcard::charset::Survey;
use contactd::vcard::file::survey;
use contactd::vcard::read::read;
use contactd::vcard::record::RecordContent;
use contactd::vcard::split::Cards;
use contactd::vcard::write::{CardContent, write};
use contactd::vcard::{Audience, Version};

const TURNS: usize = 9;
/// Size to which each file is repeated, in bytes.
const SIZE: usize = 8 << 20;

/// Reads a file of cards, and counts the contacts.
fn ours(bytes: &[u8]) -> usize {
    let mut cards = Cards::new();
    let mut batch = Vec::new();
    for chunk in bytes.chunks(64 * 1024) {
        cards.push(chunk);
        batch.extend(std::iter::from_fn(|| cards.next_card()));
    }
    cards.finish();
    batch.extend(std::iter::from_fn(|| cards.next_card()));
    let mut heard = Survey::default();
    for card in &batch {
        survey(&mut heard, &card.bytes);
    }
    let fallback = heard.verdict();
    batch.iter().filter(|card| matches!(black_box(read(card, &fallback)), RecordContent::Contact(_))).count()
}

/// The fastest of several turns.
fn fastest(mut turn: impl FnMut() -> usize) -> (Duration, usize) {
    let timed = |turn: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let count = turn();
        (start.elapsed(), count)
    };
    (0..TURNS).map(|_| timed(&mut turn)).min().unwrap()
}

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/vcard");
    let files: Vec<_> = if paths.is_empty() {
        let names =
            ["apple-macos-3.0", "google-3.0", "nextcloud-4.0", "evolution-3.0", "davx5-ez-vcard-4.0", "android-2.1"];
        names.map(|name| folder.join(format!("{name}.vcf"))).into()
    } else {
        paths.iter().map(Into::into).collect()
    };
    println!("{:<24} {:>12} {:>12} {:>7} {:>12}", "file", "read /s", "calcard /s", "ratio", "write /s");
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy();
        let original = std::fs::read(&path).unwrap();
        let bytes = original.repeat(SIZE.div_ceil(original.len()));
        let (read_in, count) = fastest(|| ours(&bytes));
        let text = String::from_utf8(bytes.clone()).unwrap();
        let cards: Vec<&str> = text.split_inclusive("END:VCARD").collect();
        let (parsed_in, _) = fastest(|| cards.iter().filter(|card| black_box(VCard::parse(card)).is_ok()).count());
        let contacts: Vec<_> = contacts(&original);
        let (written_in, written) = fastest(|| {
            let shown = |properties| CardContent { properties, uid: "u-1", photo: None, last_modified: Some(0) };
            let lengths = contacts.iter().map(|contact| write(&shown(contact), Version::V3, Audience::Export).len());
            black_box(lengths.sum::<usize>());
            contacts.len()
        });
        let rate = |count: usize, time: Duration| u32::try_from(count).map_or(0.0, f64::from) / time.as_secs_f64();
        let (ours, theirs) = (rate(count, read_in), rate(cards.len() - 1, parsed_in));
        println!("{name:<24} {ours:>12.0} {theirs:>12.0} {:>7.2} {:>12.0}", ours / theirs, rate(written, written_in));
    }
}

fn contacts(bytes: &[u8]) -> Vec<contactd::domain::contact::Properties> {
    let mut cards = Cards::new();
    cards.push(bytes);
    cards.finish();
    let found = std::iter::from_fn(|| cards.next_card()).map(|card| read(&card, &Survey::default().verdict()));
    let contact =
        |found| if let RecordContent::Contact(record) = found { Some(record.patch.into_properties()) } else { None };
    found.filter_map(contact).collect()
}
