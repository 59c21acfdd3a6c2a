//! Request bodies that are read as they arrive: files to import. Only their progress is timed, since they may be of any length.

use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use futures_util::StreamExt as _;

use crate::domain::error::{Error, Kind};
use crate::http::Settings;
use crate::http::body;

/// Bytes a second that must come on average, once the time limit of a body is over.
const LEAST_RATE: u64 = 1 << 10;

/// A body that its handler reads.
pub(crate) struct Streamed {
    payload: Payload,
    /// Whether it is declared to be compressed.
    pub(crate) is_gzip: bool,
    /// As sent.
    pub(crate) content_type: Option<String>,
    timeout: Duration,
    /// How long it was waited for, and how many bytes came.
    waited: Duration,
    received: u64,
    /// How many more bytes may come.
    left: u64,
    most: u64,
}

impl Streamed {
    /// The body of a request.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the declared length is over the limit, [`Error::UnsupportedMediaType`] for its encoding.
    pub(crate) fn of(headers: &HeaderMap, payload: Payload, settings: &Settings) -> Result<Self, Error> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let declared = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
        let most = settings.max_import;
        if declared > most {
            return Err(too_large(most));
        }
        Ok(Self {
            payload,
            is_gzip: body::is_gzip(headers)?,
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            timeout: settings.body_timeout,
            waited: Duration::ZERO,
            received: 0,
            left: most,
            most,
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::TooSlow`] where nothing comes for too long, or too little all the time, [`Error::TooLarge`], 400 if it breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let earned = Duration::from_millis(self.received.saturating_mul(1_000) / LEAST_RATE);
        let patience = (self.timeout + earned).saturating_sub(self.waited).min(self.timeout);
        let started = Instant::now();
        let next = tokio::time::timeout(patience, self.payload.next()).await;
        self.waited += started.elapsed();
        let Some(chunk) = next.map_err(|_| Error::TooSlow)? else { return Ok(None) };
        let chunk = chunk.map_err(|_| Error::invalid(Kind::Request, "", "The body breaks off before its end."))?;
        self.received += chunk.len() as u64;
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(|| too_large(self.most))?;
        Ok(Some(chunk))
    }
}

/// The error of a file that is longer than the limit.
pub(crate) fn too_large(most: u64) -> Error {
    Error::TooLarge(usize::try_from(most).unwrap_or(usize::MAX))
}
