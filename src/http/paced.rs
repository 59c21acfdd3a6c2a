//! Bodies of answers, given piece by piece as the client takes them: so it is seen when one takes no more, and until then
//! the request counts as under way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use futures_util::stream::LocalBoxStream;
use futures_util::stream::StreamExt as _;

use crate::domain::error::Error;
use crate::http::edge::Held;

/// How many bytes a piece has at most.
pub(crate) const PIECE: u32 = 64 << 10;

/// A body whose size is known.
pub(crate) struct Paced {
    size: u64,
    /// How many of them were given.
    given: u64,
    rest: Bytes,
    chunks: Option<LocalBoxStream<'static, Result<Bytes, Error>>>,
    held: Held,
}

impl Paced {
    /// Bytes that are there.
    pub(crate) fn bytes(bytes: impl Into<Bytes>, held: Held) -> Self {
        let rest = bytes.into();
        Self { size: rest.len() as u64, given: 0, rest, chunks: None, held }
    }

    /// So many bytes, which are read as they are asked for.
    pub(crate) fn chunks(size: u64, chunks: LocalBoxStream<'static, Result<Bytes, Error>>, held: Held) -> Self {
        Self { size, given: 0, rest: Bytes::new(), chunks: Some(chunks), held }
    }
}

impl MessageBody for Paced {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.held.exchange.goes_on(self.given);
        while self.rest.is_empty() {
            let Some(chunks) = &mut self.chunks else { return Poll::Ready(None) };
            match ready!(chunks.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE as usize);
        self.given += piece as u64;
        Poll::Ready(Some(Ok(self.rest.split_to(piece))))
    }
}
