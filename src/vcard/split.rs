//! Finds the cards of a file in its bytes as they arrive (docs/import-export.md). Memory is bounded: the bytes of a
//! card that is too large are dropped, and so is everything between cards.

use std::collections::VecDeque;

use encoding_rs::{CoderResult, Decoder, UTF_16BE, UTF_16LE};
use memchr::{memchr, memchr2};

use crate::vcard::record::Position;

/// Largest card, in bytes of UTF-8. A larger one is refused as `too large`.
pub const MAX_CARD: usize = 8 * 1024 * 1024;
/// The bytes of a file that are examined to decide its line ends and its encoding.
const SAMPLE: usize = 64 * 1024;

/// How a card ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its END.
    Whole,
    /// The next card begins before an END. It is accepted.
    NoEnd,
    /// The file ends in it. It is refused, because something is missing.
    Unterminated,
    /// It is larger than [`MAX_CARD`]. It is refused, and its bytes are dropped.
    TooLarge,
}

/// One card as in the file. A file in UTF-16 is converted to UTF-8, and line ends of CR alone to LF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCard {
    /// Its number among the cards, and the line of its BEGIN.
    pub position: Position,
    /// Its bytes, from BEGIN to END.
    pub bytes: Vec<u8>,
    /// How it ends.
    pub end: End,
}

/// The cards of a file. Give it the file in pieces with [`Cards::push`], then call [`Cards::finish`]; take cards with
/// [`Cards::next_card`] after each.
#[derive(Debug, Default)]
pub struct Cards {
    /// The first bytes, until the encoding is decided.
    look: Vec<u8>,
    form: Option<TextForm>,
    /// The beginning of a line that has not ended.
    rest: Vec<u8>,
    /// The line is longer than a card may be and is skipped up to its end.
    passing: bool,
    line: u64,
    count: u64,
    junk: u64,
    open: Option<Open>,
    ready: VecDeque<RawCard>,
}

struct TextForm {
    name: &'static str,
    /// Decodes UTF-16.
    decoder: Option<Decoder>,
    /// CR ends a line.
    cr: bool,
    /// The last byte was a CR that ended a line, so that an LF now belongs to it.
    after_cr: bool,
}

impl std::fmt::Debug for TextForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A card that has begun.
#[derive(Debug)]
struct Open {
    bytes: Vec<u8>,
    line: u64,
    /// Number of open cards inside it: AGENT of 2.1.
    depth: u64,
    /// The last line that was not blank is an AGENT without a value.
    agent: bool,
    too_large: bool,
}

impl Cards {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece of the file, of any length.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.form.is_some() {
            self.decode(chunk, false);
            return;
        }
        self.look.extend_from_slice(chunk);
        if self.look.len() >= SAMPLE {
            self.decide();
        }
    }

    /// The file has ended.
    pub fn finish(&mut self) {
        if self.form.is_none() {
            self.decide();
        }
        self.decode(&[], true);
        if !self.rest.is_empty() || self.passing {
            let rest = std::mem::take(&mut self.rest);
            self.end_line(&rest, b"");
        }
        self.close(End::Unterminated);
    }

    /// The next complete card.
    pub fn next_card(&mut self) -> Option<RawCard> {
        self.ready.pop_front()
    }

    /// Number of lines between cards that are not blank.
    pub fn junk_lines(&self) -> u64 {
        self.junk
    }

    /// The encoding of the file: `utf-8` (then each value may still be in another), `utf-8-bom`, `utf-16le`, `utf-16be`.
    pub fn encoding(&self) -> &'static str {
        self.form.as_ref().map_or("utf-8", |form| form.name)
    }

    fn decide(&mut self) {
        let look = std::mem::take(&mut self.look);
        let (name, skip) = encoding(&look);
        let encoding = match name {
            "utf-16le" => Some(UTF_16LE),
            "utf-16be" => Some(UTF_16BE),
            _ => None,
        };
        // A single LF in a file with CRs is an accident, and so is a single CR in a file with LFs.
        let bare_crs = look.windows(2).filter(|two| two[0] == b'\r' && two[1] != b'\n').count();
        let bare_crs = bare_crs + usize::from(look.last() == Some(&b'\r'));
        let cr = bare_crs >= look.split(|byte| *byte == b'\n').count();
        let decoder = encoding.map(encoding_rs::Encoding::new_decoder_without_bom_handling);
        self.form = Some(TextForm { name, decoder, cr, after_cr: false });
        self.decode(&look[skip..], false);
    }

    fn decode(&mut self, chunk: &[u8], last: bool) {
        let Some(decoder) = self.form.as_mut().and_then(|form| form.decoder.as_mut()) else { return self.bytes(chunk) };
        let room = decoder.max_utf8_buffer_length(chunk.len()).unwrap_or(chunk.len() * 3 + 16);
        let mut text = String::with_capacity(room);
        let (result, _, _) = decoder.decode_to_string(chunk, &mut text, last);
        debug_assert_eq!(result, CoderResult::InputEmpty);
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, mut chunk: &[u8]) {
        let (cr, after_cr) = self.form.as_ref().map_or((false, false), |form| (form.cr, form.after_cr));
        if cr && after_cr && !chunk.is_empty() {
            chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
            self.after_cr(false);
        }
        while let Some(at) = if cr { memchr2(b'\n', b'\r', chunk) } else { memchr(b'\n', chunk) } {
            let (line, ended_by, mut after) = (&chunk[..at], chunk[at], &chunk[at + 1..]);
            let first = std::mem::take(&mut self.rest);
            if first.is_empty() {
                self.end_line(line, b"\n");
            } else {
                let mut whole = first;
                whole.extend_from_slice(line);
                self.end_line(&whole, b"\n");
                whole.clear();
                self.rest = whole;
            }
            if ended_by == b'\r' {
                self.after_cr(after.is_empty());
                after = after.strip_prefix(b"\n").unwrap_or(after);
            }
            chunk = after;
        }
        if self.passing {
            return;
        }
        self.rest.extend_from_slice(chunk);
        if self.rest.len() > MAX_CARD {
            self.rest = Vec::new();
            self.passing = true;
        }
    }

    fn after_cr(&mut self, value: bool) {
        if let Some(form) = &mut self.form {
            form.after_cr = value;
        }
    }

    /// A physical line without its end.
    fn end_line(&mut self, line: &[u8], end: &[u8]) {
        self.line += 1;
        if std::mem::take(&mut self.passing) {
            match &mut self.open {
                Some(open) => open.grow_too_large(),
                None => self.junk += 1,
            }
            return;
        }
        let indented = matches!(line.first(), Some(b' ' | b'\t'));
        if !(indented && self.open.is_some()) && is_mark(line, b"BEGIN") {
            if let Some(open) = self.open.as_mut().filter(|open| open.agent) {
                open.depth += 1;
                open.agent = false;
                open.add(line, end);
                return;
            }
            self.close(End::NoEnd);
            self.count += 1;
            let mut open = Open { bytes: Vec::new(), line: self.line, depth: 0, agent: false, too_large: false };
            open.add(without_bom(line), end);
            self.open = Some(open);
            return;
        }
        let blank = line.trim_ascii().is_empty();
        let Some(open) = &mut self.open else {
            self.junk += u64::from(!blank && without_bom(line) != b"");
            return;
        };
        open.add(line, end);
        if !indented && is_mark(line, b"END") {
            open.agent = false;
            match open.depth.checked_sub(1) {
                Some(depth) => open.depth = depth,
                None => self.close(End::Whole),
            }
        } else if !blank {
            open.agent = is_empty_agent(line);
        }
    }

    fn close(&mut self, end: End) {
        if let Some(open) = self.open.take() {
            let end = if open.too_large { End::TooLarge } else { end };
            let position = Position { unit: "card", number: self.count, line: open.line };
            self.ready.push_back(RawCard { position, bytes: open.bytes, end });
        }
    }
}

impl Open {
    fn add(&mut self, line: &[u8], end: &[u8]) {
        if self.too_large {
            return;
        }
        if self.bytes.len() + line.len() + end.len() > MAX_CARD {
            return self.grow_too_large();
        }
        self.bytes.extend_from_slice(line);
        self.bytes.extend_from_slice(end);
    }

    fn grow_too_large(&mut self) {
        self.too_large = true;
        self.bytes = Vec::new();
    }
}

/// The encoding of a file by its first bytes, and the length of its mark.
fn encoding(look: &[u8]) -> (&'static str, usize) {
    match look {
        [0xef, 0xbb, 0xbf, ..] => return ("utf-8-bom", 3),
        [0xff, 0xfe, ..] => return ("utf-16le", 2),
        [0xfe, 0xff, ..] => return ("utf-16be", 2),
        _ => {}
    }
    let pairs = look[..look.len().min(64)].chunks_exact(2);
    let all = pairs.len();
    let nul = |at: usize| pairs.clone().filter(|pair| pair[at] == 0).count() * 5 > all * 4;
    match (nul(0), nul(1)) {
        (true, false) => ("utf-16be", 0),
        (false, true) => ("utf-16le", 0),
        _ => ("utf-8", 0),
    }
}

fn without_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// Whether a line is `BEGIN:VCARD` or `END:VCARD`, in any case and with blanks around its parts.
pub(crate) fn is_mark(line: &[u8], word: &[u8]) -> bool {
    // Most lines begin with another letter.
    if line.first().is_none_or(|first| first.is_ascii_alphabetic() && !first.eq_ignore_ascii_case(&word[0])) {
        return false;
    }
    let line = without_bom(line).trim_ascii();
    let Some((first, rest)) = line.split_at_checked(word.len()) else { return false };
    first.eq_ignore_ascii_case(word)
        && rest
            .trim_ascii_start()
            .strip_prefix(b":")
            .is_some_and(|rest| rest.trim_ascii().eq_ignore_ascii_case(b"VCARD"))
}

/// Whether a line is an AGENT whose value is the following card.
fn is_empty_agent(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.split_at_checked(5).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(b"AGENT") && matches!(rest.first(), Some(b':' | b';')) && rest.ends_with(b":")
    })
}
