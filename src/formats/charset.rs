//! The encoding of a file that does not declare it.

use std::borrow::Cow;

use encoding_rs::{
    CoderResult, Decoder, Encoding, REPLACEMENT, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251,
    WINDOWS_1252,
};

use crate::vcard::charset::{Fallback, Survey, encoding_for_label};

/// The encoding with this name, as web pages name them, in any case. UTF-16 is none: a file is detected by its first bytes.
pub fn encoding_named(name: &str) -> Option<&'static Encoding> {
    encoding_for_label(name).filter(|encoding| ![UTF_16LE, UTF_16BE, REPLACEMENT].contains(encoding))
}

/// The encoding of the values of a file: UTF-8, and a code page for values that are not valid UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charset(Fallback);

impl Charset {
    /// The code pages that are tried for a header that matches nothing.
    pub(crate) const PAGES: [Self; 4] = [
        Self(Fallback { encoding: WINDOWS_1252, everywhere: true }),
        Self(Fallback { encoding: SHIFT_JIS, everywhere: true }),
        Self(Fallback { encoding: WINDOWS_1250, everywhere: true }),
        Self(Fallback { encoding: WINDOWS_1251, everywhere: true }),
    ];

    /// As the user says.
    pub(crate) fn explicit(encoding: &'static Encoding) -> Self {
        Self(Fallback { encoding, everywhere: true })
    }

    /// Guesses from the first bytes of a file.
    pub(crate) fn guess(sample: &[u8]) -> Self {
        let mut survey = Survey::default();
        let values = sample.split(|byte| matches!(byte, b'\n' | b'\r' | b',' | b';' | b'\t' | b'"'));
        values.for_each(|value| survey.value(value));
        Self(survey.verdict())
    }

    /// The text of a value. Invalid bytes become U+FFFD.
    pub(crate) fn text<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        self.0.decode(bytes, None)
    }

    /// The name for a report: `utf-8`, or the code page.
    pub(crate) fn name(&self) -> &'static str {
        match self.0.encoding {
            _ if !self.0.everywhere => "utf-8",
            page if page == WINDOWS_1252 => "cp1252",
            page if page == WINDOWS_1250 => "cp1250",
            page if page == WINDOWS_1251 => "cp1251",
            page if page == SHIFT_JIS => "cp932",
            page if page == UTF_8 => "utf-8",
            page => page.name(),
        }
    }
}

/// The encoding of the whole file, as far as the first bytes show it.
pub(crate) struct Start {
    /// The name for a report, if it is not a guess.
    pub(crate) name: Option<&'static str>,
    /// UTF-16 in either byte order, or `None`.
    pub(crate) wide: Option<&'static Encoding>,
    /// Length of the byte order mark.
    pub(crate) skip: usize,
}

impl Start {
    /// Looks for a byte order mark, or for NULs in every second one of the first 64 bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if let Some((encoding, skip)) = Encoding::for_bom(bytes) {
            return match encoding {
                wide if wide == UTF_16LE => Self { name: Some("utf-16le"), wide: Some(wide), skip },
                wide if wide == UTF_16BE => Self { name: Some("utf-16be"), wide: Some(wide), skip },
                _ => Self { name: Some("utf-8-bom"), wide: None, skip },
            };
        }
        let first = &bytes[..bytes.len().min(64)];
        let nuls =
            |odd: usize| first.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count() * 10 > first.len() * 4;
        match (nuls(0), nuls(1)) {
            (false, true) => Self { name: Some("utf-16le"), wide: Some(UTF_16LE), skip: 0 },
            (true, false) => Self { name: Some("utf-16be"), wide: Some(UTF_16BE), skip: 0 },
            _ => Self { name: None, wide: None, skip: 0 },
        }
    }
}

/// Turns UTF-16 into UTF-8 as it arrives.
pub(crate) struct Widened(Decoder);

impl Widened {
    /// A decoder for this byte order.
    pub(crate) fn new(encoding: &'static Encoding) -> Self {
        Self(encoding.new_decoder_without_bom_handling())
    }

    /// Appends the bytes as UTF-8.
    pub(crate) fn push(&mut self, bytes: &[u8], last: bool, into: &mut Vec<u8>) {
        let mut rest = bytes;
        let mut piece = [0; 4096];
        loop {
            let (result, read, written, _) = self.0.decode_to_utf8(rest, &mut piece, last);
            into.extend_from_slice(&piece[..written]);
            rest = &rest[read..];
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}
