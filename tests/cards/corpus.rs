//! The vCard files of the corpus, read with any size of pieces. `tests/files/corpus.rs` compares the result with the
//! expectations, for all formats.

use std::path::{Path, PathBuf};

use contactd::vcard::charset::Survey;
use contactd::vcard::file::survey;
use contactd::vcard::read::read;
use contactd::vcard::record::FileRecord;
use contactd::vcard::split::{Cards, RawCard};

/// The vCard files of the corpus.
pub(crate) fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for folder in ["vcard", "hostile"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "vcf") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "{files:?}");
    files
}

/// The cards of a file that is read in pieces of this size, and the number of its junk lines.
pub(crate) fn split(bytes: &[u8], piece: usize) -> (Vec<RawCard>, Cards) {
    let mut cards = Cards::new();
    let mut cards_found = Vec::new();
    for chunk in bytes.chunks(piece) {
        cards.push(chunk);
        cards_found.extend(std::iter::from_fn(|| cards.next_card()));
    }
    cards.finish();
    cards_found.extend(std::iter::from_fn(|| cards.next_card()));
    (cards_found, cards)
}

/// The contacts of a file.
pub(crate) fn items(bytes: &[u8], piece: usize) -> Vec<FileRecord> {
    let (cards, _) = split(bytes, piece);
    let mut heard = Survey::default();
    for card in &cards {
        survey(&mut heard, &card.bytes);
    }
    let fallback = heard.verdict();
    let item = |card: RawCard| {
        let found = read(&card, &fallback);
        FileRecord { position: card.position, raw: card.bytes, found }
    };
    cards.into_iter().map(item).collect()
}

#[test]
fn a_file_is_read_alike_in_pieces_of_any_size() {
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        let unsplit_items = items(&bytes, bytes.len());
        for piece in [1, 2, 3, 61] {
            assert!(items(&bytes, piece) == unsplit_items, "{path:?} in pieces of {piece}");
        }
    }
}
