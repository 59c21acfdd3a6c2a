//! Character sets of old cards. A value is in the character set that it names, else UTF-8, else in the file's code
//! page, which is guessed.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Maximum number of bytes for the guess.
const MAX_SAMPLE: usize = 64 * 1024;
/// Minimum number of bytes for a guess.
const FEWEST: usize = 16;

/// The code page of values that name none and are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The code page.
    pub encoding: &'static Encoding,
    /// Whether most of the file is in it; then values that happen to be UTF-8 are in it too.
    pub everywhere: bool,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { encoding: WINDOWS_1252, everywhere: false }
    }
}

/// The character set with this label, in any case. `None` for UTF-7 and unknown labels.
pub fn encoding_for_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.trim().trim_matches(['"', '\'']).as_bytes())
}

impl Fallback {
    /// Decodes a value. `label` is the character set that it names. Bytes that are not text become `U+FFFD`.
    pub fn decode<'a>(&self, bytes: &'a [u8], label: Option<&'static Encoding>) -> Cow<'a, str> {
        if label.is_none_or(Encoding::is_ascii_compatible)
            && bytes.is_ascii()
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return Cow::Borrowed(text);
        }
        if let Some(text) = label.and_then(|label| strictly(label, bytes)) {
            return text;
        }
        if !self.everywhere
            && let Some(text) = strictly(UTF_8, bytes)
        {
            return text;
        }
        self.encoding.decode_without_bom_handling(bytes).0
    }
}

fn strictly<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

/// Guesses the code page of a file from its values. Give it the cards, or as many of the first ones as fit into memory,
/// before the first is read; see [`crate::vcard::file::survey`].
#[derive(Debug, Default)]
pub struct Survey {
    heard: Vec<u8>,
    utf8: u64,
    other: u64,
}

impl Survey {
    /// Adds a value that names no character set.
    pub fn value(&mut self, bytes: &[u8]) {
        if bytes.is_ascii() {
            return;
        }
        if std::str::from_utf8(bytes).is_ok() {
            self.utf8 += 1;
            return;
        }
        self.other += 1;
        let room = MAX_SAMPLE.saturating_sub(self.heard.len());
        self.heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if room > bytes.len() {
            self.heard.push(b'\n');
        }
    }

    /// Adds `count` values that are UTF-8 and not ASCII.
    pub fn utf8(&mut self, count: u64) {
        self.utf8 += count;
    }

    /// The result of the guess.
    pub fn verdict(&self) -> Fallback {
        let high = self.heard.iter().filter(|byte| !byte.is_ascii()).count();
        if high < FEWEST {
            return Fallback::default();
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&self.heard, true);
        let encoding = detector.guess(None, Utf8Detection::Deny);
        Fallback { encoding, everywhere: self.other > 2 * self.utf8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_what_it_names_else_utf_8_else_the_fallback() {
        let fallback = Fallback::default();
        assert_eq!(fallback.decode(b"M\xfcller", None), "Müller");
        assert_eq!(fallback.decode("Müller".as_bytes(), None), "Müller");
        // The bytes win over a wrong label.
        assert_eq!(fallback.decode(b"M\xfcller", encoding_for_label("UTF-8")), "Müller");
        assert_eq!(fallback.decode(b"\xcf\xe5\xf2\xf0", encoding_for_label("windows-1251")), "Петр");
        assert_eq!(fallback.decode(b"\xfb\xfc \x87\x40", encoding_for_label("shift_jis")), "髙 ①");
        assert_eq!(encoding_for_label("utf-7"), None);
        assert_eq!(encoding_for_label("X-NOPE"), None);
        assert_eq!(encoding_for_label("ISO-8859-1").unwrap().name(), "windows-1252");
    }

    #[test]
    fn a_code_page_is_guessed_from_enough() {
        let guess = |values: &[&[u8]]| {
            let mut survey = Survey::default();
            for value in values {
                survey.value(value);
            }
            survey.verdict()
        };
        assert_eq!(guess(&[b"M\xfcller"]), Fallback::default());
        let (russian, _, _) = encoding_rs::WINDOWS_1251.encode("Совершенно секретно, Москва, Петров-Водкин");
        let found = guess(&[&russian]);
        assert_eq!((found.encoding.name(), found.everywhere), ("windows-1251", true));
        let found = guess(&[&russian, "ü".as_bytes()]);
        assert!(!found.everywhere);
        let (japanese, _, _) = encoding_rs::SHIFT_JIS.encode("株式会社山海堂 高橋さくら 札幌市北海道");
        assert_eq!(guess(&[&japanese]).encoding.name(), "Shift_JIS");
    }
}
