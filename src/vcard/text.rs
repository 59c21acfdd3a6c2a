//! Texts of a card: escapes, lists and components (RFC 6350, section 3.4), and their cleaning for a contact.

use std::borrow::Cow;

/// Undoes the escapes of a text: `\n`, `\N`, `\,`, `\;`, `\\`, and `\:`, `\"`, `\'`, which some programs write. A backslash
/// before anything else stays.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    unescape_by(raw, |c| match c {
        'n' | 'N' => Some('\n'),
        ',' | ';' | '\\' | ':' | '"' | '\'' => Some(c),
        _ => None,
    })
}

/// Undoes the escapes that some programs write in a web address: `\,`, `\:` and `\;`. Nothing else is an escape there.
pub fn unescape_uri(raw: &str) -> Cow<'_, str> {
    unescape_by(raw, |c| matches!(c, ',' | ':' | ';').then_some(c))
}

/// Undoes escapes. `meaning` says what a backslash and a character mean; without a meaning the backslash stays.
pub(crate) fn unescape_by(raw: &str, meaning: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if !raw.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut chars = after.chars();
        let replacement = chars.next().and_then(&meaning);
        text.push(replacement.unwrap_or('\\'));
        rest = if replacement.is_some() { chars.as_str() } else { after };
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Appends a text with its escapes: `\\`, `\,`, `\;` and `\n`, which also stands for CR and CRLF.
pub fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', ',', ';', '\n', '\r']) {
        out.push_str(&rest[..at]);
        let mut length = 1;
        match rest.as_bytes()[at] {
            b'\r' => {
                length += usize::from(rest.as_bytes().get(at + 1) == Some(&b'\n'));
                out.push_str("\\n");
            }
            b'\n' => out.push_str("\\n"),
            byte => {
                out.push('\\');
                out.push(char::from(byte));
            }
        }
        rest = &rest[at + length..];
    }
    out.push_str(rest);
}

/// A text with its escapes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    escape(text, &mut out);
    out
}

/// The parts between unescaped separators, still escaped. There is always at least one.
pub fn split(raw: &str, separator: u8) -> Split<'_> {
    Split { rest: Some(raw), separator }
}

/// The iterator of [`split`].
#[derive(Debug, Clone)]
pub struct Split<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 2,
                byte if byte == self.separator => {
                    self.rest = Some(&rest[at + 1..]);
                    return Some(&rest[..at]);
                }
                _ => at += 1,
            }
        }
        self.rest = None;
        Some(rest)
    }
}

/// Whether texts are cleaned. Those of a card that this program wrote are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tidy {
    /// Control characters except line breaks and tabs are removed, and blanks at the ends.
    Yes,
    /// The text stays as it is.
    No,
}

/// Whether a character is removed from a text: a control character except a line break or a tab, or a byte order mark.
fn is_removed(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || c == '\u{feff}'
}

/// Whether a text is printable ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A text without blanks at its ends, as [`str::trim`] returns it. Most texts have none, which their first and last byte
/// show.
pub(crate) fn trimmed(text: &str) -> &str {
    let bytes = text.as_bytes();
    let begins_or_ends_blank = [bytes.first(), bytes.last()].into_iter().flatten().any(|byte| !byte.is_ascii_graphic());
    if begins_or_ends_blank { text.trim() } else { text }
}

/// A text of one line: a run of line breaks and tabs becomes one blank.
pub fn one_line(text: Cow<'_, str>, tidy: Tidy) -> String {
    if tidy == Tidy::No {
        return text.into_owned();
    }
    if is_plain(&text) || !text.contains(|c: char| c.is_control() || c == '\u{feff}') {
        let trimmed = trimmed(&text);
        return if trimmed.len() == text.len() { text.into_owned() } else { trimmed.to_owned() };
    }
    let mut line = String::with_capacity(text.len());
    let mut in_break = false;
    for c in text.chars().filter(|c| *c == '\r' || !is_removed(*c)) {
        let breaks = matches!(c, '\n' | '\r' | '\t');
        if !breaks {
            line.push(c);
        } else if !in_break {
            line.push(' ');
        }
        in_break = breaks;
    }
    line.trim().to_owned()
}

/// A text of several lines, which end in `\n`.
pub fn many_lines(text: Cow<'_, str>, tidy: Tidy) -> String {
    if tidy == Tidy::No {
        return text.into_owned();
    }
    if is_plain(&text) || !text.contains(|c: char| is_removed(c)) {
        let trimmed = trimmed(&text);
        return if trimmed.len() == text.len() { text.into_owned() } else { trimmed.to_owned() };
    }
    let mut lines = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => lines.push('\n'),
            c if is_removed(c) => {}
            c => lines.push(c),
        }
    }
    lines.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone_and_other_backslashes_stay() {
        for (raw, text) in [
            (r"a\nb\Nc\,d\;e\\f\:g", "a\nb\nc,d;e\\f:g"),
            (r#"\"x\'"#, "\"x'"),
            (r"C:\temp\", r"C:\temp\"),
            (r"\\n", r"\n"),
            (r"\é", r"\é"),
        ] {
            assert_eq!(unescape(raw), text, "{raw}");
        }
        assert_eq!(unescape_uri(r"https\://x/a\,b\;c\\n\n"), r"https://x/a,b;c\\n\n");
    }

    #[test]
    fn a_list_is_split_where_nothing_escapes() {
        let parts: Vec<_> = split(r"a\;b;c\\;;d", b';').collect();
        assert_eq!(parts, [r"a\;b", r"c\\", "", "d"]);
        assert_eq!(split("", b';').collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn a_text_is_tidied() {
        let one = |text: &str| one_line(Cow::Borrowed(text), Tidy::Yes);
        assert_eq!(one(" a\r\n\tb\u{7}\0 "), "a b");
        assert_eq!(one("\u{feff}Bom"), "Bom");
        let many = |text: &str| many_lines(Cow::Borrowed(text), Tidy::Yes);
        assert_eq!(many("a\r\nb\rc\n\n d\u{b}\te\n"), "a\nb\nc\n\n d\te");
        assert_eq!(many_lines(Cow::Borrowed(" a\r\n"), Tidy::No), " a\r\n");
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in any::<String>()) {
            let text = text.replace('\r', "");
            let raw = escaped(&text);
            prop_assert!(!raw.contains('\n'));
            prop_assert_eq!(unescape(&raw), text.as_str());
            prop_assert_eq!(split(&raw, b';').count(), 1);
            prop_assert_eq!(split(&raw, b',').count(), 1);
        }
    }
}
