//! Imports and exports of files, each beside a limit measured in the same run: `cargo bench --bench transfer`.
//!
//! Reading is compared with calcard, which only parses the same cards; an import with `Store::insert_many` of the same contacts
//! from memory; the same file again with its first import;
//! and an export with the plain list in pages of 100 without JSON. The first figure is the memory that an import of many cards
//! with photos adds.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a bench panics where it is wrong")]

use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Instant;

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::error::Error;
use contactd::domain::import::{ImportProgress, Run};
use contactd::domain::user::UserName;
use contactd::formats::detect::ReadOptions as Detect;
use contactd::formats::reader::FileReader;
use contactd::graph::json::contact::file::GraphFile;
use contactd::store::{Database, Listing, Options, Store};
use contactd::transfer::encode::ExportFormat;
use contactd::transfer::export::{self, Export, ExportOutput, Photos};
use contactd::transfer::import::{self, ImportJob, ImportListener};
use contactd::transfer::reading::{ReadRecord, ReadingSettings};
use contactd::vcard::record::RecordContent;

const ROUNDS: usize = 3;
/// Number of cards in the file.
const CARDS: usize = 20_000;
/// Bytes of cards with photos, for the memory.
const LARGE: u64 = 1 << 30;

/// A card of eight properties.
fn card(n: usize) -> String {
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:7f1c0f5e-0000-4000-8000-{n:012}\r\nFN:Ann{n} van der Berg\r\nN:van der Berg;Ann{n};Maria;Dr.;\r\n\
         ORG:Example GmbH;Development\r\nTITLE:Engineer\r\nEMAIL;TYPE=INTERNET,WORK:ann{n}@example.org\r\n\
         TEL;TYPE=CELL:+1 555 {n:07}\r\nADR;TYPE=WORK:;;Long Street {n};Berlin;;10115;Germany\r\nBDAY:1974-07-22\r\n\
         item1.URL:https://example.org/{n}\r\nitem1.X-ABLabel:Blog\r\nX-OWN:{n}\r\nEND:VCARD\r\n"
    )
}

struct Silent;

impl ImportListener for Silent {
    async fn begins(&mut self, _: Option<&Run>, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn settled(&mut self, _: &[ReadRecord], _: ImportProgress) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Default)]
struct Counted(u64);

impl ExportOutput for Counted {
    fn has_begun(&self) -> bool {
        self.0 > 0
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.0 += bytes.len() as u64;
        Ok(())
    }

    async fn next_file(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The contacts of a file, ready-made.
fn read(file: &[u8]) -> Vec<ContactPatch> {
    let mut patches = Vec::new();
    for_each(file, |patch| patches.push(patch));
    patches
}

/// The number of contacts in a file. None is kept, as calcard's cards are not.
fn mapped(file: &[u8]) -> usize {
    let mut contacts = 0;
    for_each(file, |patch| {
        std::hint::black_box(patch);
        contacts += 1;
    });
    contacts
}

fn for_each(file: &[u8], mut take: impl FnMut(ContactPatch)) {
    let mut reader = FileReader::new(Detect::default(), &GraphFile);
    let mut pieces = file.chunks(64 << 10);
    loop {
        let piece = pieces.next();
        match piece {
            Some(piece) => reader.push(piece),
            None => reader.finish(),
        }
        while let Some(item) = reader.next_item() {
            if let RecordContent::Contact(record) = item.found {
                take(record.patch);
            }
        }
        if piece.is_none() {
            return;
        }
    }
}

fn parsed(file: &str) -> usize {
    let mut parser = calcard::Parser::new(file);
    let mut cards = 0;
    loop {
        match parser.entry() {
            calcard::Entry::VCard(_) => cards += 1,
            calcard::Entry::Eof => return cards,
            _ => panic!("no card"),
        }
    }
}

async fn opened(path: &Path) -> (Store, i64) {
    let store = Store::open(&Database::File(path.to_owned()), Options::default()).await.unwrap();
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    (store, mailbox)
}

async fn imported(store: &Store, mailbox: i64, file: Box<dyn Read + Send>) {
    let job = ImportJob::new(mailbox, "bench".to_owned(), ReadingSettings::new(Detect::default(), &GraphFile));
    import::run(store, job, file, &mut Silent).await.unwrap();
}

/// Cards per second.
fn rate(started: Instant) -> f64 {
    f64::from(u32::try_from(CARDS).unwrap()) / started.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn print_row(name: &str, rates: &[f64], limit: &[f64], goal: f64) {
    let ratio = median(rates.iter().zip(limit).map(|(rate, limit)| rate / limit).collect());
    println!("{name:<44}{:>10.0}{ratio:>8.2}{goal:>8.2}", median(rates.to_vec()));
}

/// A file of cards with photos, made while it is read.
struct Pictures {
    card: Vec<u8>,
    number: u64,
    left: u64,
    rest: Cursor<Vec<u8>>,
}

impl Read for Pictures {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.rest.read(into)?;
        if read > 0 || self.left == 0 {
            return Ok(read);
        }
        self.number += 1;
        let head = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:photo-{}\r\nFN:Photo {}\r\n", self.number, self.number);
        let card = [head.as_bytes(), &self.card, b"END:VCARD\r\n"].concat();
        self.left = self.left.saturating_sub(card.len() as u64);
        self.rest = Cursor::new(card);
        self.rest.read(into)
    }
}

/// The peak resident memory so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() >> 10
}

async fn memory(folder: &Path) {
    let (store, mailbox) = opened(&folder.join("memory.db")).await;
    // A first import opens the connections and starts the thread, which is not measured.
    imported(&store, mailbox, Box::new(Cursor::new(card(0)))).await;
    let before = peak();
    let mut photo = b"GIF89a\x10\0\x10\0\0\0\0".to_vec();
    photo.resize(200 << 10, 7);
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &photo);
    let lines: Vec<_> = encoded.as_bytes().chunks(74).map(|line| [b" ", line, b"\r\n"].concat()).collect();
    let card = [b"PHOTO;ENCODING=b;TYPE=GIF:\r\n".as_slice(), &lines.concat()].concat();
    let file = Pictures { card, number: 0, left: LARGE, rest: Cursor::default() };
    let started = Instant::now();
    imported(&store, mailbox, Box::new(file)).await;
    let (added, gigabytes) = (peak() - before, LARGE >> 30);
    println!("{gigabytes} GiB of cards with photos in {:.0?} add {added} MiB at most (goal 60)", started.elapsed());
    store.close().await;
}

#[actix_web::main]
async fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    memory(folder.path()).await;
    let file: String = (0..CARDS).map(card).collect();
    let mut rates: [Vec<f64>; 7] = Default::default();
    for round in 0..ROUNDS {
        let started = Instant::now();
        assert_eq!(parsed(&file), CARDS);
        rates[0].push(rate(started));
        let started = Instant::now();
        assert_eq!(mapped(file.as_bytes()), CARDS);
        rates[1].push(rate(started));
        let patches = read(file.as_bytes());

        let (store, mailbox) = opened(&folder.path().join(format!("many{round}.db"))).await;
        let started = Instant::now();
        let mut rest = patches;
        while !rest.is_empty() {
            let batch = rest.drain(..rest.len().min(500)).collect();
            store.insert_many(mailbox, batch).await.unwrap();
        }
        rates[2].push(rate(started));
        store.close().await;

        let (store, mailbox) = opened(&folder.path().join(format!("import{round}.db"))).await;
        for at in [3, 4] {
            let bytes = file.clone().into_bytes();
            let started = Instant::now();
            imported(&store, mailbox, Box::new(Cursor::new(bytes))).await;
            rates[at].push(rate(started));
        }

        let started = Instant::now();
        let mut after = None;
        loop {
            let page =
                store.contacts(mailbox, &Listing { after, size: 100, ..Listing::default() }, None).await.unwrap();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        rates[5].push(rate(started));
        let started = Instant::now();
        let asked = Export {
            mailbox,
            listing: Listing::default(),
            format: ExportFormat::VCard3,
            photos: Photos::All,
            guard: true,
            aside: false,
            latin: false,
            split: None,
            graph: &GraphFile,
        };
        let summary = export::run(&store, &asked, &mut Counted::default()).await.unwrap();
        assert_eq!(summary.contacts, CARDS as u64);
        rates[6].push(rate(started));
        store.close().await;
    }
    println!("{:<44}{:>10}{:>8}{:>8}", format!("cards a second, median of {ROUNDS} rounds"), "", "ratio", "goal");
    let [calcard, reading, many, first, again, list, vcard] = &rates;
    print_row("calcard parses", calcard, calcard, 1.0);
    print_row("reading and mapping, to calcard", reading, calcard, 0.5);
    print_row("insert_many of ready-made contacts", many, many, 1.0);
    print_row("import, to insert_many", first, many, 0.8);
    print_row("the same file again, to the first import", again, first, 2.5);
    print_row("plain list in pages of 100, without JSON", list, list, 1.0);
    print_row("export as vCard, to the list", vcard, list, 0.8);
}
