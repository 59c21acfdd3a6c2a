//! Splits JSON into the values that are records, as the bytes arrive: the members of an array, those of a list's
//! `value` or `list`, or the lines of a file with one object on each.

use std::mem;

use crate::vcard::record::Position;

/// Maximum size of a record, in bytes. A larger one is skipped.
pub(crate) const MAX_VALUE: usize = 8 << 20;
/// Maximum length of a sign, by which the beginning of a record is recognised, in bytes.
const MAX_SIGN: usize = 256;
/// Number of bytes after a list's array that are searched for the address of the next page.
const MAX_TAIL: usize = 64 << 10;
/// Number of bytes, beyond the file's size, that may be read a second time to find the next record after a broken one.
const MAX_REREAD: u64 = 64 << 20;

/// A record's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JsonPiece {
    pub(crate) position: Position,
    /// Empty if the record is too long.
    pub(crate) raw: Vec<u8>,
    /// It is not a record, but the bytes between a broken one and the next.
    pub(crate) rest: bool,
    pub(crate) too_large: bool,
}

/// The layout of records in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonLayout {
    /// One value on each line.
    Lines,
    /// Members of an array, or values one after the other.
    Items,
}

/// The position of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadState {
    /// Before the first value, which comes after this many bytes.
    Before(usize),
    Between,
    In,
    /// After the array.
    Behind,
}

/// The values of the pushed bytes.
#[derive(Debug)]
pub(crate) struct Values {
    layout: JsonLayout,
    at: ReadState,
    bytes: Vec<u8>,
    start: usize,
    scanned: usize,
    line: u64,
    breaks: u64,
    number: u64,
    nesting: Nesting,
    dropping: bool,
    ended: bool,
    /// The beginning of records, to find the next one after a broken one.
    sign: Vec<u8>,
    /// After a broken record: everything is skipped up to the next record.
    lost: bool,
    pushed: u64,
    reread: u64,
    tail: Vec<u8>,
}

/// The depth of a byte in a value.
#[derive(Debug, Clone, Copy, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Advances by a byte. Returns whether the byte ends its value.
    fn after(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                // Strings in JSON have no line breaks, so a line break ends a broken string.
                b'"' | b'\n' => self.in_string = false,
                _ => {}
            }
            return byte == b'"' && !self.in_string && self.depth == 0;
        }
        match byte {
            b'"' => (self.in_string, self.escaped) = (true, false),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

impl Values {
    /// A reader for a file that begins with these bytes, which are pushed later.
    pub(crate) fn new(sample: &[u8]) -> Self {
        let (layout, before) = layout(sample);
        Self {
            layout,
            at: ReadState::Before(before),
            bytes: Vec::new(),
            start: 0,
            scanned: 0,
            line: 1,
            breaks: 0,
            number: 0,
            nesting: Nesting::default(),
            dropping: false,
            ended: false,
            sign: if layout == JsonLayout::Items { frequent_sign(&sample[before..]) } else { Vec::new() },
            lost: false,
            pushed: 0,
            reread: 0,
            tail: Vec::new(),
        }
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.pushed += bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
    }

    /// The bytes before and after the array of a list.
    pub(crate) fn surrounding_bytes(&self) -> &[u8] {
        &self.tail
    }

    /// The next complete value.
    pub(crate) fn next_piece(&mut self) -> Option<JsonPiece> {
        if let ReadState::Before(before) = self.at {
            if self.bytes.len() < before {
                return None;
            }
            self.tail.extend_from_slice(&self.bytes[..before.min(MAX_TAIL)]);
            self.breaks += line_ends(&self.bytes[..before]);
            self.pass(before);
            self.at = ReadState::Between;
        }
        match self.layout {
            JsonLayout::Lines => self.next_line(),
            JsonLayout::Items => self.next_value(),
        }
    }

    /// Continues after this many bytes.
    fn pass(&mut self, to: usize) {
        (self.start, self.scanned) = (to, to);
        self.line += mem::take(&mut self.breaks);
    }

    fn next_line(&mut self) -> Option<JsonPiece> {
        loop {
            let rest = &self.bytes[self.scanned..];
            let end = match rest.iter().position(|byte| *byte == b'\n') {
                Some(at) => self.scanned + at + 1,
                None if self.ended && (self.bytes.len() > self.start || self.dropping) => self.bytes.len(),
                None => {
                    self.scanned = self.bytes.len();
                    if self.scanned - self.start > MAX_VALUE {
                        self.dropping = true;
                        self.start = self.scanned;
                    }
                    return None;
                }
            };
            self.breaks = 1;
            let line = self.line;
            let position = Position { unit: "line", number: line, line };
            let too_large = mem::take(&mut self.dropping) || end - self.start > MAX_VALUE;
            let raw = if too_large { Vec::new() } else { self.bytes[self.start..end].to_vec() };
            self.pass(end);
            let says = |byte: &u8| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte);
            if too_large || raw.iter().any(says) {
                return Some(JsonPiece { position, raw, rest: false, too_large });
            }
        }
    }

    fn next_value(&mut self) -> Option<JsonPiece> {
        if self.lost
            && let Some(rest) = self.passed_over()?
        {
            return Some(rest);
        }
        while let Some(&byte) = self.bytes.get(self.scanned) {
            match self.at {
                ReadState::Before(_) | ReadState::Between => match byte {
                    b',' | b' ' | b'\t' | b'\r' | b'\n' => {
                        self.breaks += u64::from(byte == b'\n');
                        self.pass(self.scanned + 1);
                    }
                    b']' => {
                        self.at = ReadState::Behind;
                        self.pass(self.scanned + 1);
                    }
                    _ => {
                        self.at = ReadState::In;
                        self.nesting = Nesting::default();
                    }
                },
                ReadState::In => {
                    if self.nesting.depth == 0 && !self.nesting.in_string && b",] \t\r\n".contains(&byte) {
                        return Some(self.value());
                    }
                    self.scanned += 1;
                    self.breaks += u64::from(byte == b'\n');
                    if self.nesting.after(byte) {
                        return Some(self.value());
                    }
                    if self.scanned - self.start > MAX_VALUE {
                        self.dropping = true;
                        self.start = self.scanned;
                    }
                }
                ReadState::Behind => {
                    let rest = &self.bytes[self.scanned..];
                    if !self.sign.is_empty() && rest.starts_with(&self.sign) {
                        // The array ended too early: a bracket is broken.
                        self.at = ReadState::Between;
                        continue;
                    }
                    if !self.ended && byte == b'{' && self.sign.starts_with(rest) {
                        return None;
                    }
                    if self.tail.len() < MAX_TAIL {
                        self.tail.push(byte);
                    }
                    self.breaks += u64::from(byte == b'\n');
                    self.pass(self.scanned + 1);
                }
            }
        }
        (self.ended && self.at == ReadState::In && (self.scanned > self.start || self.dropping)).then(|| self.value())
    }

    /// The bytes between a broken record and the next one. `Some(None)` if the next one begins here.
    fn passed_over(&mut self) -> Option<Option<JsonPiece>> {
        let ahead = &self.bytes[self.start..];
        let found = find(ahead, &self.sign);
        let end = match found {
            Some(at) => at,
            None if self.ended => ahead.len(),
            // The sign may begin in the last bytes.
            None => ahead.len().saturating_sub(self.sign.len()),
        };
        self.lost = found.is_none() && !self.ended;
        if end == 0 {
            return if self.lost { None } else { Some(None) };
        }
        let raw = ahead[..end].to_vec();
        self.breaks += line_ends(&raw);
        let position = Position { unit: "item", number: self.number, line: self.line };
        self.pass(self.start + end);
        Some(Some(JsonPiece { position, raw, rest: true, too_large: false }))
    }

    fn value(&mut self) -> JsonPiece {
        self.at = ReadState::Between;
        self.number += 1;
        let position = Position { unit: "item", number: self.number, line: self.line };
        let too_large = mem::take(&mut self.dropping);
        let raw = if too_large { Vec::new() } else { self.bytes[self.start..self.scanned].to_vec() };
        self.pass(self.scanned);
        JsonPiece { position, raw, rest: false, too_large }
    }

    /// Takes the sign from a complete record, unless the first bytes showed it.
    pub(crate) fn learn(&mut self, raw: &[u8]) {
        if self.sign.is_empty() && self.layout == JsonLayout::Items {
            self.sign = sign(raw);
        }
    }

    /// Shortens a value that is not JSON by the records that it swallowed, so that they are read again. A missing quote
    /// or bracket must not lose the records after it.
    pub(crate) fn give_back(&mut self, piece: &mut JsonPiece) {
        let (raw, sign) = (&piece.raw, &self.sign);
        if sign.is_empty() || raw.is_empty() || self.layout == JsonLayout::Lines {
            return;
        }
        let Some(at) = find(&raw[1..], sign).map(|at| at + 1) else {
            self.lost = true;
            return;
        };
        let length = raw.len() - at;
        self.reread += length as u64;
        if self.reread > self.pushed + MAX_REREAD || self.start < length {
            return;
        }
        let back = line_ends(&raw[at..]);
        piece.raw.truncate(at);
        self.line -= back;
        self.pass(self.start - length);
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

/// The position of `sign` in the bytes.
fn find(bytes: &[u8], sign: &[u8]) -> Option<usize> {
    bytes.windows(sign.len()).position(|window| window == sign)
}

/// The sign of records: of the first one or, if no other has it because the first one is broken, of those after a
/// comma.
fn frequent_sign(sample: &[u8]) -> Vec<u8> {
    let behind_comma = |(at, pair): (usize, &[u8])| (pair == b"},").then_some(at + 2);
    let places = sample.windows(2).enumerate().filter_map(behind_comma).take(20);
    let mut signs = [0].into_iter().chain(places).map(|place| sign(sample[place..].trim_ascii_start()));
    let is_repeated =
        |sign: &Vec<u8>| !sign.is_empty() && sample.windows(sign.len()).filter(|window| window == sign).count() > 1;
    signs.find(is_repeated).unwrap_or_default()
}

/// The sign of a record: its beginning up to the value of the first member, with the value if it is the type.
fn sign(raw: &[u8]) -> Vec<u8> {
    let Some(colon) = raw.iter().position(|byte| *byte == b':').filter(|_| raw.starts_with(b"{")) else {
        return Vec::new();
    };
    let end = if raw[..colon].ends_with(b"\"@type\"") {
        raw.iter().position(|byte| *byte == b',').unwrap_or(colon + 1)
    } else {
        colon + 1
    };
    if end > MAX_SIGN { Vec::new() } else { raw[..end].to_vec() }
}

/// The layout, and the number of bytes before the first record.
fn layout(sample: &[u8]) -> (JsonLayout, usize) {
    let begin = sample.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(sample.len());
    let text = &sample[begin..];
    if text.starts_with(b"[") {
        return (JsonLayout::Items, begin + 1);
    }
    let mut nesting = Nesting::default();
    let (mut key, mut string) = (Vec::new(), None);
    for (at, &byte) in text.iter().enumerate() {
        if nesting.depth == 1 && !nesting.in_string {
            match byte {
                b'"' => string = Some(at + 1),
                b'[' if key.eq_ignore_ascii_case(b"value") || key.eq_ignore_ascii_case(b"list") => {
                    return (JsonLayout::Items, begin + at + 1);
                }
                b',' => key.clear(),
                _ => {}
            }
        } else if nesting.depth == 1 && byte == b'"' && !nesting.escaped {
            key = string.take().map_or_else(Vec::new, |from| text[from..at].to_vec());
        }
        if byte == b'\n' && is_line(&text[..at], &text[at..]) {
            return (JsonLayout::Lines, 0);
        }
        if nesting.after(byte) {
            // One object on a line, or one over several lines.
            let lines = text[..at].contains(&b'\n');
            return if lines { (JsonLayout::Items, begin) } else { (JsonLayout::Lines, 0) };
        }
    }
    if text.contains(&b'\n') { (JsonLayout::Items, begin) } else { (JsonLayout::Lines, 0) }
}

/// Whether a broken first line is a record of its own: it does not end like an object that continues, and the next line
/// begins another.
fn is_line(line: &[u8], rest: &[u8]) -> bool {
    let goes_on = line.trim_ascii_end().last().is_none_or(|byte| b"{[,:".contains(byte));
    !goes_on && rest.trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, step: usize) -> Vec<(String, u64, u64)> {
        let mut values = Values::new(text.as_bytes());
        let mut found = Vec::new();
        let mut take = |values: &mut Values| {
            while let Some(piece) = values.next_piece() {
                let Position { number, line, .. } = piece.position;
                found.push((String::from_utf8(piece.raw).unwrap().trim().to_owned(), number, line));
            }
        };
        for piece in text.as_bytes().chunks(step) {
            values.push(piece);
            take(&mut values);
        }
        values.finish();
        take(&mut values);
        found
    }

    #[test]
    fn records_are_found_in_arrays_lists_and_lines() {
        type Cases<'a> = [(&'a str, &'a [(&'a str, u64, u64)]); 9];
        let cases: Cases<'_> = [
            (
                "[{\"a\":\"]}\"},\n 1, \"x\", null]",
                &[("{\"a\":\"]}\"}", 1, 1), ("1", 2, 2), ("\"x\"", 3, 2), ("null", 4, 2)],
            ),
            ("{\"@c\":\"value\",\n\"value\":[{\"value\":[1]},{}],\"x\":1}", &[("{\"value\":[1]}", 1, 2), ("{}", 2, 2)]),
            ("{\"a\":{\"value\":[1]},\"list\" : [ {} ]}", &[("{}", 1, 1)]),
            ("{\"a\":1}", &[("{\"a\":1}", 1, 1)]),
            ("{\n\"a\":1\n}\n{\"b\":2}", &[("{\n\"a\":1\n}", 1, 1), ("{\"b\":2}", 2, 4)]),
            ("{\"a\":1}\r\n\r\n{\"a\"\n[1]", &[("{\"a\":1}", 1, 1), ("{\"a\"", 3, 3), ("[1]", 4, 4)]),
            ("{\"a\":\"half\n{\"a\":2}\n", &[("{\"a\":\"half", 1, 1), ("{\"a\":2}", 2, 2)]),
            ("[]", &[]),
            ("{\"value\":[]}", &[]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(raw, number, line)| ((*raw).to_owned(), *number, *line)).collect();
            for step in 1..=text.len() {
                assert_eq!(split(text, step), expected, "{text} in pieces of {step} bytes");
            }
        }
    }
}
