//! Compresses answers with gzip for clients that accept it (RFC 9110, section 12.5.3), except photos, which are
//! compressed already, and short answers. `$metadata`, which needs no token, is compressed once; exports are compressed
//! as they are read.

use std::io::Write as _;
use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt as _};

use crate::domain::error::Error;
use crate::http::answer::{Answer, Body};
use crate::http::blocking::{BlockingPermit, SHORT, run_blocking};
use crate::store::Chunks;

/// Minimum size of a body that is compressed, in bytes: a smaller one fits into one or two packets.
const MIN_SIZE: usize = 2 << 10;

/// Compresses an answer if the client accepts that, and adds `Vary`.
///
/// # Errors
/// [`Error::Internal`] if compression fails.
pub(crate) async fn compress(request_headers: &HeaderMap, mut answer: Answer) -> Result<Answer, Error> {
    let content_type = answer.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
    let is_json = content_type.is_none_or(|(_, value)| value == "application/json");
    let body = match answer.body.take() {
        Some(Body::Bytes(body)) if is_json && body.len() >= MIN_SIZE => body,
        other => return Ok(Answer { body: other, ..answer }),
    };
    answer.headers.push((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    let is_short = body.len() <= SHORT;
    let body = match BlockingPermit::try_acquire().filter(|_| !is_short) {
        _ if !wants_gzip(request_headers) => body,
        // Compression is optional, so the request does not wait for a free thread.
        None if !is_short => body,
        turn => {
            answer.headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            match turn {
                Some(turn) => turn.run(move || gzip(&body)).await??,
                None => gzip(&body)?,
            }
        }
    };
    Ok(Answer { body: Some(body.into()), ..answer })
}

/// An answer that is a constant of the program, compressed once if a client accepts that.
pub(crate) fn constant_answer(
    request_headers: &HeaderMap,
    plain: &'static str,
    compressed: &'static OnceLock<Vec<u8>>,
) -> Result<Answer, Error> {
    let answer = Answer::empty(200)?.header("Vary", "Accept-Encoding")?;
    if !wants_gzip(request_headers) {
        return Ok(Answer { body: Some(Body::Static(plain.as_bytes())), ..answer });
    }
    let bytes = if let Some(bytes) = compressed.get() {
        bytes
    } else {
        let bytes = self::gzip(plain.as_bytes())?;
        compressed.get_or_init(|| bytes)
    };
    Answer { body: Some(Body::Static(bytes)), ..answer }.header("Content-Encoding", "gzip")
}

/// Compresses a streamed answer if the client accepts that, piece by piece, and adds `Vary`. If a piece fails, the
/// answer ends incomplete.
///
/// # Errors
/// Only those of the answer's pieces.
pub(crate) fn compress_stream(request_headers: &HeaderMap, mut answer: Answer) -> Result<Answer, Error> {
    answer = answer.header("Vary", "Accept-Encoding")?;
    match answer.body.take() {
        Some(Body::Stream(pieces)) if wants_gzip(request_headers) => answer
            .header("Content-Encoding", "gzip")
            .map(|answer| Answer { body: Some(Body::Stream(compress_chunks(pieces))), ..answer }),
        other => Ok(Answer { body: other, ..answer }),
    }
}

fn compress_chunks(pieces: Chunks) -> Chunks {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let next = |(mut pieces, encoder): (Chunks, Option<GzEncoder<Vec<u8>>>)| async move {
        let Some(mut encoder) = encoder else { return Ok(None) };
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            encoder = if piece.len() <= SHORT {
                compress_chunk(encoder, &piece)?
            } else {
                run_blocking(move || compress_chunk(encoder, &piece)).await??
            };
            let out = std::mem::take(encoder.get_mut());
            if !out.is_empty() {
                return Ok(Some((out, (pieces, Some(encoder)))));
            }
        }
        Ok(Some((encoder.finish().map_err(Error::internal)?, (pieces, None))))
    };
    stream::try_unfold((pieces, Some(encoder)), next).boxed_local()
}

fn compress_chunk(mut encoder: GzEncoder<Vec<u8>>, piece: &[u8]) -> Result<GzEncoder<Vec<u8>>, Error> {
    encoder.write_all(piece).map_err(Error::internal)?;
    Ok(encoder)
}

fn gzip(body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).map_err(Error::internal)
}

/// Whether gzip is accepted and no other coding is preferred to it.
pub(crate) fn wants_gzip(request_headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let lines = request_headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
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
    fn gzip_is_chosen_by_accept_encoding() {
        for (lines, expected) in [
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
            assert_eq!(wants_gzip(&headers), expected, "{lines:?}");
        }
    }
}
