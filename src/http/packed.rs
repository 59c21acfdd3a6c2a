//! Compresses answers with gzip for clients that accept it (RFC 9110, section 12.5.3), except photos, which are compressed
//! already, and short answers. `$metadata`, which needs no token, is compressed once.

use std::io::{Read as _, Write as _};
use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::http::aside::{BlockingPermit, SHORT};

/// Minimum size of a body that is compressed, in bytes: a smaller one fits into one or two packets.
const LEAST: usize = 2 << 10;

/// Compresses an answer if the client accepts that, and adds `Vary`.
///
/// # Errors
/// [`Error::Internal`] if compression fails.
pub(crate) async fn pack(asked: &HeaderMap, mut answer: Answer) -> Result<Answer, Error> {
    let typed = answer.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
    let is_json = typed.is_none_or(|(_, value)| value == "application/json");
    let body = match answer.body.take() {
        Some(Body::Bytes(body)) if is_json && body.len() >= LEAST => body,
        other => return Ok(Answer { body: other, ..answer }),
    };
    answer.headers.push((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    let is_short = body.len() <= SHORT;
    let body = match BlockingPermit::now().filter(|_| !is_short) {
        _ if !wants_gzip(asked) => body,
        // Compression is optional, so it is not waited for.
        None if !is_short => body,
        turn => {
            answer.headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            match turn {
                Some(turn) => turn.work(move || packed(&body)).await??,
                None => packed(&body)?,
            }
        }
    };
    Ok(Answer { body: Some(body.into()), ..answer })
}

/// An answer that is a constant of the program, compressed once if a client accepts that.
pub(crate) fn of_program(
    asked: &HeaderMap,
    plain: &'static str,
    packed: &'static OnceLock<Vec<u8>>,
) -> Result<Answer, Error> {
    let answer = Answer::empty(200)?.header("Vary", "Accept-Encoding")?;
    if !wants_gzip(asked) {
        return Ok(Answer { body: Some(Body::Static(plain.as_bytes())), ..answer });
    }
    let bytes = if let Some(bytes) = packed.get() {
        bytes
    } else {
        let bytes = self::packed(plain.as_bytes())?;
        packed.get_or_init(|| bytes)
    };
    Answer { body: Some(Body::Static(bytes)), ..answer }.header("Content-Encoding", "gzip")
}

/// An answer that is in the program compressed, unpacked once for clients that do not accept that.
///
/// # Errors
/// [`Error::Internal`] if it is not gzip.
pub(crate) fn packed_in_program(
    asked: &HeaderMap,
    packed: &'static [u8],
    plain: &'static OnceLock<Vec<u8>>,
) -> Result<Answer, Error> {
    let answer = Answer::empty(200)?.header("Vary", "Accept-Encoding")?;
    if wants_gzip(asked) {
        return Answer { body: Some(Body::Static(packed)), ..answer }.header("Content-Encoding", "gzip");
    }
    let bytes = if let Some(bytes) = plain.get() {
        bytes
    } else {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).map_err(Error::internal)?;
        plain.get_or_init(|| bytes)
    };
    Ok(Answer { body: Some(Body::Static(bytes)), ..answer })
}

fn packed(body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).map_err(Error::internal)
}

/// Whether gzip is accepted and no other coding is preferred to it.
fn wants_gzip(asked: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let lines = asked.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    for coding in lines.flat_map(|line| line.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = match parameters.trim().strip_prefix(['q', 'Q']).map(str::trim_start) {
            None => 1.0,
            Some(weight) => weight.strip_prefix('=').and_then(|weight| weight.trim().parse().ok()).unwrap_or(0.0_f32),
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "*" => any = Some(weight),
            "identity" => identity = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        for (lines, wanted) in [
            (&["gzip"][..], true),
            (&["gzip, deflate, br"], true),
            (&["br", "X-GZIP ; q=0.5"], true),
            (&["*"], true),
            (&["identity;q=0.5, gzip;q=1.0"], true),
            (&[], false),
            (&[""], false),
            (&["deflate, br"], false),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000, *"], false),
            (&["gzip;q=x"], false),
            (&["*;q=0"], false),
            (&["identity, gzip;q=0.5"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(wants_gzip(&headers), wanted, "{lines:?}");
        }
    }
}
