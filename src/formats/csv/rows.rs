//! Splits the bytes of a CSV file (RFC 4180) into rows as they arrive. The csv crate is not used: it skips blank rows
//! without counting them, reads an unclosed quote to the end of the file without an error, and does not return the
//! bytes of a row.

use std::mem;

use crate::formats::unread::Unread;

/// Maximum size of a row, in bytes. A larger one is skipped.
const MAX_ROW: usize = 8 << 20;

/// Maximum number of cells of a row. The rest is one more cell.
pub(crate) const MAX_CELLS: usize = 5_000;

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CsvRow {
    /// The bytes in the file, with the line end. Empty if the row is too long.
    pub(crate) raw: Vec<u8>,
    /// The physical line where it begins, from 1.
    pub(crate) line: u64,
    /// The file ended inside a quote.
    pub(crate) open: bool,
    /// The row is longer than [`MAX_ROW`].
    pub(crate) too_large: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum FieldState {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted field. The quote ends the field, or is the first of two.
    Quote,
}

impl FieldState {
    fn after(self, byte: u8, separator: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::FieldStart | Self::Quote, b'"') | (Self::Quoted, _) => Self::Quoted,
            (_, byte) if byte == separator => Self::FieldStart,
            _ => Self::Plain,
        }
    }
}

/// The rows of the pushed bytes.
#[derive(Debug)]
pub(crate) struct CsvRows {
    separator: u8,
    unread: Unread,
    at: FieldState,
    line: u64,
    /// Line ends within the unfinished row.
    breaks: u64,
    /// Whether the unfinished row is too long, so that its bytes are dropped.
    dropping: bool,
}

impl CsvRows {
    /// Splits rows with this separator.
    pub(crate) fn new(separator: u8) -> Self {
        let (unread, at) = (Unread::default(), FieldState::FieldStart);
        Self { separator, unread, at, line: 1, breaks: 0, dropping: false }
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.push(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.unread.finish();
    }

    /// The next complete row.
    pub(crate) fn next_row(&mut self) -> Option<CsvRow> {
        while let Some(&byte) = self.unread.bytes.get(self.unread.scanned) {
            if self.unread.scanned - self.unread.start >= MAX_ROW {
                self.dropping = true;
                self.unread.start = self.unread.scanned;
            }
            let ends = matches!(byte, b'\n' | b'\r');
            self.unread.scanned = if ends { self.unread.after(self.unread.scanned)? } else { self.unread.scanned + 1 };
            self.breaks += u64::from(ends);
            if ends && self.at != FieldState::Quoted {
                return Some(self.row(false));
            }
            self.at = self.at.after(byte, self.separator);
        }
        (self.unread.ended && (self.unread.scanned > self.unread.start || self.dropping))
            .then(|| self.row(self.at == FieldState::Quoted))
    }

    fn row(&mut self, open: bool) -> CsvRow {
        let too_large = mem::take(&mut self.dropping);
        let row = self.unread.take(self.unread.scanned);
        let raw = if too_large { Vec::new() } else { self.unread.bytes[row].to_vec() };
        let row = CsvRow { raw, line: self.line, open, too_large };
        self.line += mem::take(&mut self.breaks);
        self.at = FieldState::FieldStart;
        row
    }
}

/// The cells of a row, without quotes: at most [`MAX_CELLS`] and one more.
pub(crate) fn cells(raw: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let mut cells = Vec::new();
    let mut cell = Vec::new();
    let mut at = FieldState::FieldStart;
    for &byte in raw {
        let after = at.after(byte, separator);
        match (at, after) {
            // A quote that begins a field, and one that may end it.
            (FieldState::FieldStart, FieldState::Quoted) | (FieldState::Quoted, FieldState::Quote) => {}
            (_, FieldState::FieldStart) if cells.len() < MAX_CELLS => cells.push(mem::take(&mut cell)),
            _ => cell.push(byte),
        }
        at = after;
    }
    cells.push(cell);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8], step: usize) -> Vec<(Vec<String>, u64, bool)> {
        let mut rows = CsvRows::new(b',');
        let mut found = Vec::new();
        let mut take = |rows: &mut CsvRows| {
            while let Some(row) = rows.next_row() {
                let cells = cells(&row.raw, b',').into_iter().map(|cell| String::from_utf8(cell).unwrap()).collect();
                found.push((cells, row.line, row.open));
            }
        };
        for piece in text.chunks(step) {
            rows.push(piece);
            take(&mut rows);
        }
        rows.finish();
        take(&mut rows);
        found
    }

    #[test]
    fn rows_are_the_same_however_the_bytes_arrive() {
        let text = b"a,b\r\n\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\n5\" disk,\"a\"b\rlast,\"open\n";
        let expected = [
            (vec!["a", "b"], 1, false),
            (vec![""], 2, false),
            (vec!["x\r\ny", "say \"hi\""], 3, false),
            (vec!["5\" disk", "ab"], 5, false),
            (vec!["last", "open"], 6, true),
        ];
        let expected: Vec<(Vec<String>, u64, bool)> = expected
            .into_iter()
            .map(|(cells, line, open)| (cells.into_iter().map(str::to_owned).collect(), line, open))
            .collect();
        for step in 1..=text.len() {
            assert_eq!(split(text, step), expected, "in pieces of {step} bytes");
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let mut rows = CsvRows::new(b',');
        let mut held = 0;
        for _ in 0..20 {
            rows.push(&vec![b'a'; 1 << 20]);
            assert_eq!(rows.next_row(), None);
            held = held.max(rows.unread.bytes.len());
        }
        assert!(held <= MAX_ROW + (2 << 20), "{held} bytes are held");
        rows.push(b"\nb,c\n");
        assert!(rows.next_row().unwrap().too_large);
        assert_eq!(rows.next_row().unwrap().raw, b"b,c\n");
    }
}
