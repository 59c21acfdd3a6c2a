//! The encoding of tokens: big-endian numbers, and texts after their length, in unpadded base64 that needs no escapes
//! in a URL.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(super) fn print(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a printed token; `None` if the text is longer than that, or is not base64.
pub(super) fn parse(text: &str, max_length: usize) -> Option<Vec<u8>> {
    if text.len() > max_length { None } else { URL_SAFE_NO_PAD.decode(text).ok() }
}

/// Appends a text of up to 64 KiB.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// Takes bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

/// Takes a number off the front.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    take(bytes).map(i64::from_be_bytes)
}

/// Takes a text off the front.
pub(super) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}
