//! Request bodies: size, media type, encoding and time, checked before anything is parsed.

use std::io::Read as _;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use flate2::bufread::GzDecoder;
use futures_util::StreamExt as _;

use crate::domain::error::{Error, Kind};
use crate::http::MAX_BODY;
use crate::http::blocking::{SHORT, run_blocking};
use crate::http::limits::Permit;
use crate::metrics::list::REQUEST_BYTES;

/// Maximum size of the rest of a body that is read and discarded, in bytes, and how long that may take.
const MAX_DISCARDED: usize = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of members of a gzip body. Clients send one; each costs tens of kilobytes of memory, however short it
/// is.
const MAX_MEMBERS: usize = 16;
/// Some programs write this mark before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a call uses a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyUse {
    /// It is not read.
    Not,
    /// It must be sent as `application/json`.
    Json,
    /// It is read with any type.
    Bytes,
    /// It is read with any type, up to this many bytes instead of [`MAX_BODY`].
    UpTo(usize),
    /// The handler reads it as it arrives, however long it is (`streamed`).
    Streamed,
}

/// Reads a body and decompresses it.
///
/// # Errors
/// [`Error::TooLarge`] (at once if the length is declared), [`Error::UnsupportedMediaType`], [`Error::TooSlow`], 400 if
/// it breaks off or is not gzip, and [`Error::Throttled`] or [`Error::Busy`] if there is no room for it.
pub(crate) async fn read(
    body_use: BodyUse,
    headers: &HeaderMap,
    payload: &mut Payload,
    timeout: Duration,
    permit: &Permit,
) -> Result<Vec<u8>, Error> {
    if matches!(body_use, BodyUse::Not | BodyUse::Streamed) {
        return Ok(Vec::new());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let max = if let BodyUse::UpTo(max) = body_use { max } else { MAX_BODY };
    let declared = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
    if declared > max as u64 {
        return Err(Error::TooLarge(max));
    }
    let media_type = text(header::CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim());
    if body_use == BodyUse::Json && !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/json")) {
        return Err(Error::UnsupportedMediaType(
            "The body must be sent with Content-Type: application/json.".to_owned(),
        ));
    }
    let gzip = is_gzip(headers)?;
    let body = tokio::time::timeout(timeout, receive(payload, max, permit)).await.map_err(|_| Error::TooSlow)??;
    if gzip || body.len() > SHORT {
        permit.acquire_long_turn().await?;
    }
    let body = if gzip {
        let unpacked = unpacked(body, max).await?;
        permit.count_memory(unpacked.len())?;
        unpacked
    } else {
        body
    };
    if body_use == BodyUse::Json { utf_8(body) } else { Ok(body) }
}

/// Whether a body is compressed.
///
/// # Errors
/// [`Error::UnsupportedMediaType`] for any other encoding.
pub(crate) fn is_gzip(headers: &HeaderMap) -> Result<bool, Error> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::trim);
    match encoding.unwrap_or("identity").to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Error::UnsupportedMediaType(
            "The body may be sent as it is, or with Content-Encoding: gzip.".to_owned(),
        )),
    }
}

/// JSON is UTF-8 (RFC 8259, section 8.1); a byte order mark in front is ignored.
fn utf_8(mut body: Vec<u8>) -> Result<Vec<u8>, Error> {
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    // JSON begins with an ASCII character.
    let found = match body.as_slice() {
        [0, 0, 0xfe, 0xff, ..] | [0xff, 0xfe, 0, 0, ..] | [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => "UTF-32",
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, _, ..] | [_, 0, ..] => "UTF-16",
        _ => return Ok(body),
    };
    let message = format!("The body is {found}. JSON must be sent as UTF-8.");
    Err(Error::invalid(Kind::Json, "", message))
}

async fn receive(payload: &mut Payload, max: usize, permit: &Permit) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::invalid(Kind::Json, "", "The body ends too early."))?;
        if body.len() + chunk.len() > max {
            return Err(Error::TooLarge(max));
        }
        permit.count_memory(chunk.len())?;
        REQUEST_BYTES.add(chunk.len() as u64);
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads the rest of a small body that a refused call left, so that the connection can be kept: clients take a close
/// for a failure.
pub(crate) async fn finish(headers: &HeaderMap, payload: &mut Payload) {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length <= MAX_DISCARDED) {
        let rest = async { while let Some(Ok(_)) = payload.next().await {} };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
    }
}

/// Decompresses a body, on a blocking thread if it is long in either form.
async fn unpacked(packed: Vec<u8>, max: usize) -> Result<Vec<u8>, Error> {
    if packed.len() <= SHORT
        && let Some(body) = unpack(&packed, SHORT)?
    {
        return Ok(body);
    }
    run_blocking(move || unpack(&packed, max)).await??.ok_or(Error::TooLarge(max))
}

/// `None` if the body is longer than `max` bytes; it never holds more than that.
fn unpack(packed: &[u8], max: usize) -> Result<Option<Vec<u8>>, Error> {
    let invalid = |message: &str| Error::invalid(Kind::Json, "", message);
    let (mut body, mut rest, mut members) = (Vec::new(), packed, 0);
    while members == 0 || !rest.is_empty() {
        if members == MAX_MEMBERS {
            return Err(invalid(&format!("The gzip body has more than {MAX_MEMBERS} members.")));
        }
        members += 1;
        let mut member = GzDecoder::new(rest);
        let read = member.by_ref().take((max - body.len()) as u64 + 1).read_to_end(&mut body);
        if body.len() > max {
            return Ok(None);
        }
        read.map_err(|_| invalid("The body is not valid gzip."))?;
        rest = member.into_inner();
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_body_with_too_many_members_is_refused() {
        let members = |count: usize| packed(b"x").repeat(count);
        assert_eq!(unpack(&members(MAX_MEMBERS), MAX_BODY).unwrap().unwrap(), b"x".repeat(MAX_MEMBERS));
        for count in [MAX_MEMBERS + 1, 100_000] {
            let error = unpack(&members(count), MAX_BODY).unwrap_err().to_string();
            assert_eq!(error, "The gzip body has more than 16 members.");
        }
    }

    #[test]
    fn a_gzip_body_unpacks_to_no_more_than_the_limit() {
        let ones = packed(&[b'1'; 1_000]);
        assert_eq!(unpack(&ones, 1_000).unwrap().unwrap(), [b'1'; 1_000]);
        assert_eq!(unpack(&ones, 999).unwrap(), None);
        assert_eq!(unpack(&ones.repeat(2), 1_999).unwrap(), None);
        for broken in [&b""[..], b"{}", &ones[..20], &[&ones[..], b"x"].concat()] {
            assert!(unpack(broken, 1_000).is_err(), "{broken:?}");
        }
    }
}
