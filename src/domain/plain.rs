//! Text from others inside a line of ours: in ids, names, messages and the output of commands.

use std::fmt::Write as _;

/// Whether a text stays on one line and reads as written: it has no control characters, line breaks or bidirectional
/// controls.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        let is_direction_control =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || is_direction_control || matches!(c, '\u{2028}' | '\u{2029}')
    })
}

/// Escapes a text for the output of a command: invisible characters as in Rust (`\n`, `\u{1b}`), and a backslash doubled,
/// so that the output is unambiguous.
pub fn printed(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    // Quotes are harmless and common in names, so they are not escaped.
    for piece in text.split_inclusive(['\'', '"']) {
        let body = piece.strip_suffix(['\'', '"']).unwrap_or(piece);
        let _ = write!(printed, "{}{}", body.escape_debug(), &piece[body.len()..]);
    }
    printed
}

/// A client's text for a message: at most 64 characters of it.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Quotes a user's name for a shell.
pub fn shell_word(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-+".contains(&b)) {
        return name.to_owned();
    }
    // No name has a double quote, a dollar, a backtick or a backslash.
    let quote = if name.contains('\'') { '"' } else { '\'' };
    format!("{quote}{name}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quoting_in_a_shell() {
        for name in
            ["ann", "a+b@example.org", "o'brien@example.org", "ann_x.org#EXT#@example.org", "r&d!^~@example.org"]
        {
            let output =
                std::process::Command::new("sh").args(["-c", &format!("printf %s {}", shell_word(name))]).output();
            assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), name);
        }
    }

    #[test]
    fn invisible_characters_are_printed_escaped() {
        for (text, expected) in [
            ("o'brien \"x\" Zoë 日本 a\u{301}", "o'brien \"x\" Zoë 日本 a\u{301}"),
            ("a\tb\r\nc\0", r"a\tb\r\nc\0"),
            ("\u{1b}[2J\u{9b}1m\u{7f}", r"\u{1b}[2J\u{9b}1m\u{7f}"),
            (
                "\u{202e}\u{2066}\u{2028}\u{2029}\u{200b}\u{feff}\u{e0041}",
                r"\u{202e}\u{2066}\u{2028}\u{2029}\u{200b}\u{feff}\u{e0041}",
            ),
            (r"\n", r"\\n"),
        ] {
            assert_eq!(printed(text), expected);
        }
    }

    #[test]
    fn a_plain_text_has_no_control_or_direction_characters() {
        for text in ["", "Parent Folder Id value", "o'brien\\", "Zoë 日本 👨\u{200d}👩", "a\u{a0}b"] {
            assert!(is_plain(text), "{text:?}");
        }
        for text in ["a\n", "\t", "\u{1b}[0m", "\u{85}", "\0", "x\u{202e}y", "\u{2069}", "\u{2028}"] {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}
