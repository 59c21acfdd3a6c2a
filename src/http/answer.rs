//! An answer before it is on the wire.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::domain::error::Error;
use crate::store::Chunks;

/// The position of the mailbox after a write (docs/graph.md, "Positions").
pub(crate) const POSITION: &str = "Contactd-Position";

/// Maximum number of bytes of a body that are passed to the connection at once.
pub(crate) const PIECE: u32 = 64 << 10;

/// Status, headers and, unless it is empty, a body. A body without `Content-Type` has the type of its front end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Body>,
}

/// The body of an answer.
pub(crate) enum Body {
    Bytes(Vec<u8>),
    /// A constant of the program.
    Static(&'static [u8]),
    /// A size in bytes, and chunks that are read as the client takes them.
    Chunks(u64, Chunks),
    /// Chunks whose size together is not known before. If one fails, the connection ends without the last of HTTP's
    /// chunks.
    Stream(Chunks),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Result<Self, Error> {
        let status = StatusCode::from_u16(status).map_err(Error::internal)?;
        Ok(Self { status, headers: Vec::new(), body: None })
    }

    pub(crate) fn json(status: u16, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Self { body: Some(body.into()), ..Self::empty(status)? })
    }

    /// A number as plain text: the count of a collection.
    pub(crate) fn number(number: i64) -> Result<Self, Error> {
        let answer = Self { body: Some(number.to_string().into_bytes().into()), ..Self::empty(200)? };
        answer.header("Content-Type", "text/plain")
    }

    pub(crate) fn with_status(self, status: u16) -> Result<Self, Error> {
        Ok(Self { status: StatusCode::from_u16(status).map_err(Error::internal)?, ..self })
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        let name = HeaderName::try_from(name).map_err(Error::internal)?;
        self.headers.push((name, HeaderValue::from_str(value).map_err(Error::internal)?));
        Ok(self)
    }
}
