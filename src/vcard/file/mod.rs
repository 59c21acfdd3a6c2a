//! Turns cards of files, of any version and in any character set, into lines of vCard 3.0 or 4.0 in UTF-8. Folds,
//! quoted-printable, base64 and character sets are undone in bytes, before anything is read as text
//! (docs/import-export.md).

mod head;
mod value;

use std::borrow::Cow;

use memchr::memchr;

use crate::vcard::Version;
use crate::vcard::charset::{Fallback, Survey};
use crate::vcard::file::head::{Coding, Places};
use crate::vcard::line;
use crate::vcard::split::is_mark;

/// A card of a file in unfolded lines.
#[derive(Debug)]
pub(crate) struct Unfolded {
    /// The lines, each ended by `\n`, without BEGIN, VERSION and END.
    pub text: String,
    /// The version of the lines.
    pub version: Version,
    /// Number of lines that are neither a property nor a part of one.
    pub junk: u64,
}

/// Unfolds a card.
pub(crate) fn unfold(card: &[u8], fallback: &Fallback) -> Unfolded {
    let dialect = dialect(card);
    let mut reader = FileLines::new(dialect, *fallback, false);
    reader.read(card);
    // A blank after a soft line break is text, unless it breaks a character that is whole without it.
    if reader.broken && reader.soft_blanks {
        let mut other = FileLines::new(dialect, *fallback, true);
        other.read(card);
        if !other.broken {
            reader = other;
        }
    }
    let version = if dialect == Dialect::V4 { Version::V4 } else { Version::V3 };
    Unfolded { text: reader.text, version, junk: reader.junk }
}

/// Adds the values of a card that name no character set to a survey.
pub fn survey(survey: &mut Survey, card: &[u8]) {
    let quoted = |card: &[u8]| {
        let mut at = card.iter().enumerate().filter(|(_, byte)| matches!(byte, b'Q' | b'q'));
        at.any(|(at, _)| card.get(at..at + 6).is_some_and(|six| six.eq_ignore_ascii_case(b"QUOTED")))
    };
    if card.is_ascii() && !quoted(card) {
        return;
    }
    if std::str::from_utf8(card).is_ok() && !quoted(card) {
        let lines = card.split(|byte| *byte == b'\n').filter(|line| !line.is_ascii());
        survey.utf8(lines.count() as u64);
        return;
    }
    let mut reader = FileLines::new(dialect(card), Fallback::default(), false);
    reader.survey = Some(std::mem::take(survey));
    reader.read(card);
    *survey = reader.survey.take().unwrap_or_default();
}

/// The version of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V21,
    V3,
    V4,
}

/// The version by its first digit, anywhere in the card. 3.0 if there is none or another one.
fn dialect(card: &[u8]) -> Dialect {
    let mut depth = 0_i64;
    for line in card.split(|byte| *byte == b'\n') {
        let Some(first) = line.first() else { continue };
        if first.eq_ignore_ascii_case(&b'B') && is_mark(line, b"BEGIN") {
            depth += 1;
        } else if first.eq_ignore_ascii_case(&b'E') && is_mark(line, b"END") {
            depth -= 1;
        } else if depth <= 1
            && line.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"VERSION"))
            && let Some(at) = line.iter().position(|byte| *byte == b':')
        {
            return match line[at + 1..].trim_ascii().first() {
                Some(b'2') => Dialect::V21,
                Some(b'4') => Dialect::V4,
                _ => Dialect::V3,
            };
        }
    }
    Dialect::V3
}

/// A logical line that is being assembled.
#[derive(Debug, Default)]
struct Logical {
    bytes: Vec<u8>,
    /// Where the search for the end of the head continues, and whether it is inside quotes there.
    searched: usize,
    quoted: bool,
    colon: Option<usize>,
    /// The head, once its end is found.
    head: Option<Places>,
    coding: Coding,
    /// It may continue in lines that are not properties.
    runs_on: bool,
    /// Nothing can be added: base64 before a blank line.
    done: bool,
}

impl Logical {
    /// Searches the added bytes for the end of the head, and parses the head.
    fn find_head(&mut self) {
        if self.colon.is_some() {
            return;
        }
        for (at, byte) in self.bytes.iter().enumerate().skip(self.searched) {
            match byte {
                b'"' => self.quoted = !self.quoted,
                b':' if !self.quoted => {
                    let places = Places::of(&self.bytes[..at]);
                    let head = places.head(&self.bytes[..at]);
                    (self.colon, self.head, self.coding) = (Some(at), Some(places), head.coding);
                    let names: [&[u8]; 5] = [b"FN", b"NOTE", b"TITLE", b"LABEL", b"ADR"];
                    self.runs_on =
                        head.coding == Coding::None && names.iter().any(|name| head.name.eq_ignore_ascii_case(name));
                    break;
                }
                _ => {}
            }
        }
        self.searched = self.bytes.len();
    }
}

struct FileLines {
    dialect: Dialect,
    fallback: Fallback,
    /// Blanks after soft line breaks are folds.
    drop_blanks: bool,
    text: String,
    junk: u64,
    /// A quoted-printable value is not text.
    broken: bool,
    /// A soft line break is followed by a blank.
    soft_blanks: bool,
    survey: Option<Survey>,
}

impl FileLines {
    fn new(dialect: Dialect, fallback: Fallback, drop_blanks: bool) -> Self {
        let (text, survey) = (String::new(), None);
        Self { dialect, fallback, drop_blanks, text, junk: 0, broken: false, soft_blanks: false, survey }
    }

    fn read(&mut self, card: &[u8]) {
        self.text.reserve(card.len() + 64);
        let mut lines = Physical { rest: card };
        let mut current = Logical::default();
        let mut blanks = 0_usize;
        while let Some(line) = lines.next() {
            if line.is_empty() {
                blanks += 1;
                current.done |= current.coding == Coding::Base64;
                continue;
            }
            if matches!(line[0], b' ' | b'\t') && !current.bytes.is_empty() {
                self.fold(&mut current, line);
            } else if self.goes_on(&mut current, line, blanks, lines.next_is_indented()) {
            } else if line::colon(line).is_none() && !lines.next_is_indented() {
                self.junk += 1;
            } else {
                self.flush(&mut current);
                if is_mark(line, b"BEGIN") {
                    self.nested(line, &mut lines);
                } else if !is_mark(line, b"END") {
                    current.bytes.extend_from_slice(line);
                    current.find_head();
                }
            }
            blanks = 0;
        }
        self.flush(&mut current);
    }

    /// A line that begins with a blank continues the one before.
    fn fold(&mut self, current: &mut Logical, line: &[u8]) {
        let soft = current.coding == Coding::Quoted && current.bytes.last() == Some(&b'=');
        if soft {
            current.bytes.pop();
            self.soft_blanks = true;
        }
        let keeps = self.dialect == Dialect::V21 && !(soft && self.drop_blanks);
        let added = match current.coding {
            Coding::Base64 => line.trim_ascii(),
            _ if keeps => line,
            _ => &line[1..],
        };
        current.bytes.extend_from_slice(added);
        current.find_head();
    }

    /// Whether a line without a blank at the beginning continues the one before: after a soft line break, in base64, or
    /// as further text of a note. Then it is added.
    fn goes_on(&mut self, current: &mut Logical, line: &[u8], blanks: usize, indented: bool) -> bool {
        if current.colon.is_none() {
            return false;
        }
        match current.coding {
            Coding::Quoted if current.bytes.last() == Some(&b'=') => {
                if blanks > 0 || is_mark(line, b"END") {
                    return false;
                }
                current.bytes.pop();
                current.bytes.extend_from_slice(line);
                true
            }
            Coding::Base64 if !current.done => {
                let line = line.trim_ascii();
                let is = line.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
                if is {
                    current.bytes.extend_from_slice(line);
                }
                is
            }
            _ => {
                let runs_on = current.runs_on && !is_property(line) && !(indented && line.contains(&b';'));
                if runs_on {
                    let escaped: &[u8] = if self.dialect == Dialect::V21 { b"\n" } else { b"\\n" };
                    (0..=blanks).for_each(|_| current.bytes.extend_from_slice(escaped));
                    current.bytes.extend_from_slice(line);
                }
                runs_on
            }
        }
    }

    /// A card inside a card: the value of the AGENT before it.
    fn nested(&mut self, begin: &[u8], lines: &mut Physical<'_>) {
        let last = self.text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
        let agent = last.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("AGENT")) && last.ends_with(':');
        // Otherwise it is the outer card's own BEGIN.
        if !agent {
            return;
        }
        self.text.pop();
        let mut depth = 1_u64;
        let mut line = Some(begin);
        while let Some(bytes) = line {
            value::escape_into(&self.fallback.decode(bytes, None), &mut self.text);
            self.text.push_str("\\n");
            if is_mark(bytes, b"END") {
                depth -= 1;
            }
            if depth == 0 {
                break;
            }
            line = lines.next();
            depth += u64::from(line.is_some_and(|line| is_mark(line, b"BEGIN")));
        }
        self.text.push('\n');
    }

    /// The line is complete. The next one uses its memory.
    fn flush(&mut self, current: &mut Logical) {
        let mut line = std::mem::take(current);
        self.complete(&line);
        line.bytes.clear();
        current.bytes = line.bytes;
    }

    fn complete(&mut self, line: &Logical) {
        let Logical { bytes, colon, head, .. } = line;
        if bytes.is_empty() {
            return;
        }
        let Some(colon) = colon.or_else(|| line::colon(bytes)) else {
            self.junk += 1;
            return;
        };
        let (mut head_bytes, control) =
            (Cow::Borrowed(&bytes[..colon]), |byte: &u8| byte.is_ascii_control() && *byte != b'\t');
        let mut places = *head;
        if head_bytes.iter().any(control) {
            head_bytes.to_mut().retain(|byte| !control(byte));
            places = None;
        }
        let head = places.unwrap_or_else(|| Places::of(&head_bytes)).head(&head_bytes);
        if let Some(survey) = &mut self.survey {
            if head.charset.is_none() {
                value::survey_value(&head, &bytes[colon + 1..], survey);
            }
            return;
        }
        // A fold or a control character may have hidden that it is not a property. It would not be one in the stored
        // card.
        let mark = [b"BEGIN".as_slice(), b"END"].into_iter().any(|mark| head.name.eq_ignore_ascii_case(mark));
        if mark || !head.is_name() {
            self.junk += 1;
            return;
        }
        if head.name.eq_ignore_ascii_case(b"VERSION") {
            return;
        }
        head.write(&self.fallback, &mut self.text);
        self.text.push(':');
        self.value(&head, &bytes[colon + 1..]);
        self.text.push('\n');
    }
}

/// Whether a line begins like a property.
fn is_property(line: &[u8]) -> bool {
    line::colon(line).is_some_and(|colon| head::is_name(&line[..colon]))
}

/// The physical lines, without their ends.
struct Physical<'a> {
    rest: &'a [u8],
}

impl Physical<'_> {
    fn next_is_indented(&self) -> bool {
        matches!(self.rest.first(), Some(b' ' | b'\t'))
    }
}

impl<'a> Iterator for Physical<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.rest);
        let mut line = &self.rest[..end.unwrap_or(self.rest.len())];
        self.rest = end.map_or(&[], |end| &self.rest[end + 1..]);
        while let [before @ .., b'\r'] = line {
            line = before;
        }
        Some(line)
    }
}
