//! Request bodies that are read as they arrive: files to import. Only their progress is timed, because they may have
//! any length.

use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use futures_util::StreamExt as _;

use crate::domain::error::{Error, Kind};
use crate::http::Settings;
use crate::http::body;

/// Minimum average rate in bytes per second, after the time limit of a body.
const MIN_RATE: u64 = 1 << 10;

/// A body that its handler reads.
pub(crate) struct Streamed {
    payload: Payload,
    /// Whether it is declared to be compressed.
    pub(crate) is_gzip: bool,
    /// As sent.
    pub(crate) content_type: Option<String>,
    timeout: Duration,
    /// The time spent waiting, and the number of received bytes.
    waited: Duration,
    received: u64,
    /// Number of bytes that may still come.
    left: u64,
    max: u64,
}

impl Streamed {
    /// The body of a request.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the declared length is above the limit, [`Error::UnsupportedMediaType`] for its encoding.
    pub(crate) fn of(headers: &HeaderMap, payload: Payload, settings: &Settings) -> Result<Self, Error> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let declared = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
        let max = settings.max_import;
        if declared > max {
            return Err(too_large(max));
        }
        Ok(Self {
            payload,
            is_gzip: body::is_gzip(headers)?,
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            timeout: settings.body_timeout,
            waited: Duration::ZERO,
            received: 0,
            left: max,
            max,
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::TooSlow`] if nothing comes for too long, or too little on average, [`Error::TooLarge`], 400 if it
    /// breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let time_for_received = Duration::from_millis(self.received.saturating_mul(1_000) / MIN_RATE);
        let allowed = (self.timeout + time_for_received).saturating_sub(self.waited).min(self.timeout);
        let started = Instant::now();
        let next = tokio::time::timeout(allowed, self.payload.next()).await;
        self.waited += started.elapsed();
        let Some(chunk) = next.map_err(|_| Error::TooSlow)? else { return Ok(None) };
        let chunk = chunk.map_err(|_| Error::invalid(Kind::Request, "", "The body ends too early."))?;
        self.received += chunk.len() as u64;
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(|| too_large(self.max))?;
        Ok(Some(chunk))
    }
}

/// The error of a file that is longer than the limit.
pub(crate) fn too_large(max: u64) -> Error {
    Error::TooLarge(usize::try_from(max).unwrap_or(usize::MAX))
}
