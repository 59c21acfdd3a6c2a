//! The bytes of a file that a reader has not returned yet, for readers that get a file in pieces.

use std::ops::Range;

/// The unread bytes. Positions are those in `bytes`.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(crate) bytes: Vec<u8>,
    /// The beginning of the unfinished record.
    pub(crate) start: usize,
    /// How far it was searched.
    pub(crate) scanned: usize,
    pub(crate) ended: bool,
}

impl Unread {
    /// Adds bytes. Read bytes are dropped here, once for many records.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
    }

    /// The position after the line end at `at`; `None` if it is a CR and an LF may follow in the next bytes.
    pub(crate) fn after(&self, at: usize) -> Option<usize> {
        match &self.bytes[at..] {
            [b'\r', b'\n', ..] => Some(at + 2),
            [b'\r'] if !self.ended => None,
            _ => Some(at + 1),
        }
    }

    /// The record ends at `to`; the next one begins there.
    pub(crate) fn take(&mut self, to: usize) -> Range<usize> {
        let record = self.start..to;
        (self.start, self.scanned) = (to, to);
        record
    }
}
