//! Bodies of answers, passed on in pieces as the client reads them: a stalled client is noticed, and the request counts
//! as running until the last piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use futures_util::stream::LocalBoxStream;
use futures_util::stream::StreamExt as _;

use crate::domain::error::Error;
use crate::http::answer::PIECE;
use crate::http::held::Held;

/// A body, of known size unless it is a stream.
pub(crate) struct Paced {
    size: Option<u64>,
    /// Number of bytes that were passed on.
    passed_on: u64,
    rest: Bytes,
    chunks: Option<LocalBoxStream<'static, Result<Bytes, Error>>>,
    held: Held,
}

impl Paced {
    /// A body in memory.
    pub(crate) fn bytes(bytes: impl Into<Bytes>, held: Held) -> Self {
        let rest = bytes.into();
        Self { size: Some(rest.len() as u64), passed_on: 0, rest, chunks: None, held }
    }

    /// A body that is read as the client takes it.
    pub(crate) fn chunks(size: Option<u64>, chunks: LocalBoxStream<'static, Result<Bytes, Error>>, held: Held) -> Self {
        Self { size, passed_on: 0, rest: Bytes::new(), chunks: Some(chunks), held }
    }
}

impl MessageBody for Paced {
    type Error = Error;

    fn size(&self) -> BodySize {
        self.size.map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.held.exchange.note_progress(self.passed_on);
        while self.rest.is_empty() {
            let next = self.chunks.as_mut().map_or(Poll::Ready(None), |chunks| chunks.poll_next_unpin(context));
            match next {
                Poll::Ready(Some(Ok(chunk))) => self.rest = chunk,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    self.held.exchange.set_working();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    if self.size.is_none() {
                        // Now the client waits for the server.
                        self.held.exchange.set_working();
                    }
                    return Poll::Pending;
                }
            }
        }
        let piece = self.rest.len().min(PIECE as usize);
        self.passed_on += piece as u64;
        if let Some(measured) = &mut self.held.measured {
            measured.count_bytes(piece);
        }
        Poll::Ready(Some(Ok(self.rest.split_to(piece))))
    }
}
