//! The photo of a card.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::domain::photo::Picture;
use crate::vcard::line::Line;
use crate::vcard::read::{ASIDE, CardLines, FromLine, MAPPED};
use crate::vcard::record::Fate;
use crate::vcard::text::unescape_uri;

/// Largest photo, in bytes.
pub const MAX_PHOTO: usize = 4 << 20;

/// Base64 as in cards: padding is optional, and the last bits may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 with blanks in it.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let text: String = text.split_ascii_whitespace().collect();
        return BASE64.decode(text).ok();
    }
    BASE64.decode(text).ok()
}

/// The bytes of a property: base64, or a `data:` URI. `None` for any other address.
pub(crate) fn bytes(line: &Line<'_>) -> Option<Vec<u8>> {
    let value = line.value.trim();
    if value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        let uri = unescape_uri(value);
        let (kind, data) = uri[5..].split_once(',')?;
        return if kind.to_ascii_lowercase().ends_with(";base64") { base64(data) } else { None };
    }
    base64(value)
}

impl<'a> CardLines<'a> {
    pub(super) fn photo(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        if line.value.trim().is_empty() {
            return None;
        }
        if self.out.photo.is_some() {
            return ASIDE;
        }
        let Some(value) = bytes(line) else { return ASIDE };
        if value.len() > MAX_PHOTO {
            self.out.over.photo = true;
            return Some(Fate::Lost("too large"));
        }
        if Picture::recognize(&value).is_err() {
            self.out.over.photo = true;
            return ASIDE;
        }
        self.out.photo = Some(FromLine { line: i, value });
        MAPPED
    }
}
