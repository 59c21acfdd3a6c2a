//! The parsed text of a stored card: each line unfolded, and as it is in the text.

use std::borrow::Cow;

use memchr::memchr;

use crate::vcard::Version;
use crate::vcard::line::Line;

/// A line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CardPiece<'a> {
    /// As in the text, with folds and line end.
    pub raw: &'a str,
    /// Unfolded, without its end.
    pub line: Cow<'a, str>,
}

/// A parsed text of vCard 3.0 or 4.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CardText<'a> {
    pub pieces: Vec<CardPiece<'a>>,
}

/// Stands for a line that cannot be parsed.
const NONE: Line<'static> = Line { group: None, name: "", head: "", value: "" };

impl<'a> CardText<'a> {
    /// Parses a text.
    pub(crate) fn parse(text: &'a str) -> Self {
        Self { pieces: pieces(text).collect() }
    }

    /// The lines, one for each piece.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        self.pieces.iter().map(|piece| Line::parse(&piece.line).unwrap_or(NONE)).collect()
    }

    /// The version in the text, else 3.0.
    pub(crate) fn version(&self) -> Version {
        self.pieces.iter().find_map(|piece| version(&piece.line)).unwrap_or(Version::V3)
    }

    /// The same, without parsing more lines than it takes.
    pub(crate) fn version_of(text: &str) -> Version {
        pieces(text).find_map(|piece| version(&piece.line)).unwrap_or(Version::V3)
    }

    /// The line end that the text uses.
    pub(crate) fn line_end(&self) -> &'static str {
        let first = self.pieces.first().map_or("", |piece| piece.raw);
        if first.ends_with('\n') && !first.ends_with("\r\n") { "\n" } else { "\r\n" }
    }
}

/// The version that a line states.
fn version(line: &str) -> Option<Version> {
    let line = Line::parse(line).filter(|line| line.is("VERSION"))?;
    Some(if line.value.trim().starts_with('4') { Version::V4 } else { Version::V3 })
}

/// The lines of a text. Line ends are CRLF or LF; a blank or a tab at the beginning of a line continues the one before.
fn pieces(text: &str) -> impl Iterator<Item = CardPiece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = physical(rest, 0);
        let mut line = Cow::Borrowed(rest[..end].trim_end_matches(['\r', '\n']));
        while rest[end..].starts_with([' ', '\t']) {
            let next = physical(rest, end);
            line.to_mut().push_str(rest[end + 1..next].trim_end_matches(['\r', '\n']));
            end = next;
        }
        let raw;
        (raw, rest) = rest.split_at(end);
        Some(CardPiece { raw, line })
    })
}

/// The end of the physical line that begins at `start`, after its line end.
fn physical(text: &str, start: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_text() {
        let text = "BEGIN:VCARD\r\nVERSION:4.0\r\nNOTE:a\r\n b\r\n\tc\r\n\r\nx\nEND:VCARD";
        let card = CardText::parse(text);
        assert_eq!(card.pieces.iter().map(|piece| piece.raw).collect::<String>(), text);
        let lines: Vec<_> = card.pieces.iter().map(|piece| piece.line.as_ref()).collect();
        assert_eq!(lines, ["BEGIN:VCARD", "VERSION:4.0", "NOTE:abc", "", "x", "END:VCARD"]);
        assert_eq!((card.version(), card.line_end()), (Version::V4, "\r\n"));
    }
}
