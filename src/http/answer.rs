//! An answer before it is on the wire.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::error::Error;
use crate::store::Chunks;

/// Status, headers and, unless it is empty, a body: JSON where no header says otherwise.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Body>,
}

/// What follows the head of an answer.
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// A part of the program.
    Static(&'static [u8]),
    /// So many bytes, which are read as they are asked for: whoever needs them all joins the chunks.
    Chunks(u64, Chunks),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A page of a collection.
#[derive(Serialize)]
pub(super) struct List<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    #[serde(rename = "@odata.count", skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<i64>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    pub(super) value: Vec<T>,
}

impl Answer {
    pub(super) fn empty(status: u16) -> Result<Self, Error> {
        let status = StatusCode::from_u16(status).map_err(Error::internal)?;
        Ok(Self { status, headers: Vec::new(), body: None })
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Self { body: Some(body.into()), ..Self::empty(status)? })
    }

    /// A number as plain text, as the count of a collection is answered.
    pub(super) fn number(number: i64) -> Result<Self, Error> {
        let answer = Self { body: Some(number.to_string().into_bytes().into()), ..Self::empty(200)? };
        answer.header("Content-Type", "text/plain")
    }

    /// With the address of what was made, by both of its names where no body shows what that is.
    pub(super) fn made_at(self, location: &str) -> Result<Self, Error> {
        let answer = if self.body.is_none() { self.header("OData-EntityId", location)? } else { self };
        answer.header("Location", location)
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Result<Self, Error> {
        let name = HeaderName::try_from(name).map_err(Error::internal)?;
        self.headers.push((name, HeaderValue::from_str(value).map_err(Error::internal)?));
        Ok(self)
    }
}
