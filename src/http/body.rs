//! Request bodies: size, media type, encoding and time, checked before anything is parsed.

use std::io::Read as _;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Payload;
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;

use super::MAX_BODY;
use super::limits::Visit;
use crate::error::{Error, Kind};

/// Largest rest of a body that is read for nothing, in bytes, and how long that may take.
const MAX_LEFT: usize = 64 << 10;
const LEFT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a call does with its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing: it is not read.
    Not,
    /// It must be JSON, and say so.
    Json,
    /// It is taken for what it is, whatever it says.
    Bytes,
}

/// Reads a body, unpacked.
///
/// # Errors
/// [`Error::TooLarge`] (at once where the length is declared), [`Error::UnsupportedMediaType`], [`Error::TooSlow`],
/// 400 where it breaks off or is no gzip, and [`Error::Throttled`] or [`Error::Busy`] where there is no room for it.
pub(super) async fn read(
    taken: Taken,
    headers: &HeaderMap,
    payload: &mut Payload,
    timeout: Duration,
    visit: &Visit,
) -> Result<Vec<u8>, Error> {
    if taken == Taken::Not {
        return Ok(Vec::new());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let declared = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
    if declared > MAX_BODY as u64 {
        return Err(Error::TooLarge(MAX_BODY));
    }
    let media_type = text(header::CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim());
    if taken == Taken::Json && !media_type.is_some_and(|found| found.eq_ignore_ascii_case("application/json")) {
        return Err(Error::UnsupportedMediaType(
            "The body must be sent with Content-Type: application/json.".to_owned(),
        ));
    }
    let gzip = match text(header::CONTENT_ENCODING).unwrap_or("identity").to_ascii_lowercase().as_str() {
        "identity" | "" => false,
        "gzip" | "x-gzip" => true,
        _ => {
            return Err(Error::UnsupportedMediaType(
                "The body may be sent as it is, or with Content-Encoding: gzip.".to_owned(),
            ));
        }
    };
    let body = tokio::time::timeout(timeout, receive(payload, visit)).await.map_err(|_| Error::TooSlow)??;
    if !gzip {
        return Ok(body);
    }
    let unpacked = unpack(&body)?;
    visit.hold(unpacked.len())?;
    Ok(unpacked)
}

async fn receive(payload: &mut Payload, visit: &Visit) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::invalid(Kind::Json, "", "The body breaks off before its end."))?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Error::TooLarge(MAX_BODY));
        }
        visit.hold(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads to its end what a refused call left of a small body, so that the connection can be kept: clients take a close
/// for a failure.
pub(super) async fn finish(headers: &HeaderMap, payload: &mut Payload) {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length <= MAX_LEFT) {
        let rest = async { while let Some(Ok(_)) = payload.next().await {} };
        let _ = tokio::time::timeout(LEFT_TIMEOUT, rest).await;
    }
}

/// Never holds more than the limit, however much a small body would unpack to.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let read = MultiGzDecoder::new(packed).take(MAX_BODY as u64 + 1).read_to_end(&mut body);
    if body.len() > MAX_BODY {
        return Err(Error::TooLarge(MAX_BODY));
    }
    read.map_err(|_| Error::invalid(Kind::Json, "", "The body is not what gzip makes."))?;
    Ok(body)
}
