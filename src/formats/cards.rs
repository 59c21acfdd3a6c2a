//! vCard as one of the formats; `vcard/` finds and reads the cards.

use std::collections::VecDeque;

use crate::formats::detect::{Detected, FileFormat};
use crate::vcard::charset::{Fallback, Survey};
use crate::vcard::file;
use crate::vcard::read;
use crate::vcard::record::FileRecord;
use crate::vcard::split::{Cards, RawCard};

/// Reads the cards of a file.
#[derive(Debug)]
pub(crate) struct CardReader {
    cards: Cards,
    /// The cards of the first bytes, from which the code page was guessed.
    first: VecDeque<RawCard>,
    fallback: Fallback,
    ended: bool,
}

impl CardReader {
    /// A reader for a file that begins with these bytes.
    pub(crate) fn new(sample: &[u8], whole: bool) -> Self {
        let mut cards = Cards::new();
        cards.push(sample);
        if whole {
            cards.finish();
        }
        let first: VecDeque<RawCard> = std::iter::from_fn(|| cards.next_card()).collect();
        let mut survey = Survey::default();
        for card in &first {
            file::survey(&mut survey, &card.bytes);
        }
        Self { cards, first, fallback: survey.verdict(), ended: whole }
    }

    /// The detected file.
    pub(crate) fn detected(&self, encoding: Option<&'static str>) -> Detected {
        Detected {
            format: FileFormat::VCard,
            variant: None,
            encoding: Some(encoding.unwrap_or(self.cards.encoding())),
            separator: None,
            date_order: None,
            why: vec!["it begins with BEGIN:VCARD".to_owned()],
        }
    }

    /// Further notes for the report.
    pub(crate) fn notes(&self) -> Vec<String> {
        let junk = self.cards.junk_lines();
        let note = || format!("{junk} lines between the cards are not vCard and were skipped.");
        (junk > 0).then(note).into_iter().collect()
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.cards.push(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        if !self.ended {
            self.ended = true;
            self.cards.finish();
        }
    }

    /// The next complete card.
    pub(crate) fn next_item(&mut self) -> Option<FileRecord> {
        let card = self.first.pop_front().or_else(|| self.cards.next_card())?;
        let found = read::read(&card, &self.fallback);
        Some(FileRecord { position: card.position, raw: card.bytes, found })
    }
}
