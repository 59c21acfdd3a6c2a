//! Percent-encodes request targets as they arrive. Programs send addresses as people type them, with `?$search="ann"`
//! and letters outside ASCII. The framework refuses such a request before the API sees it, so those bytes are encoded
//! in the stream. Nothing else is changed.
//!
//! This needs the exact boundaries between requests as the framework finds them. Only plain requests are followed.
//! Anything else passes unchanged, with everything after it on the connection: a byte that may not belong to a request
//! line is never changed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of bytes of a line that are inspected. Relevant lines are shorter.
const MAX_LINE: usize = 96;

/// A stream with encoded request targets.
pub(crate) struct Wire<T> {
    stream: T,
    requests: Requests,
    /// Encoded bytes that did not fit into the reader's buffer.
    rest: Bytes,
}

impl<T> Wire<T> {
    pub(crate) fn new(stream: T) -> Self {
        Self { stream, requests: Requests::default(), rest: Bytes::new() }
    }

    /// The stream below.
    pub(crate) fn below(&self) -> &T {
        &self.stream
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buf))?;
            let Some(encoded) = self.requests.encoded(buf.filled().get(before..).unwrap_or_default()) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before);
            self.rest = encoded.into();
        }
        let length = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The part of a request that the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadState {
    Method,
    /// The first byte of the target.
    Target,
    /// An absolute target before its query: the host must not be changed.
    Host,
    /// The part of the target that may be encoded.
    Path,
    Version,
    Header,
    /// A body, with the number of bytes that are left.
    Body(u64),
    /// The line with the size of a chunk.
    Size,
    /// A chunk, with the number of bytes that are left.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// The empty line after the last chunk.
    Last,
    /// Everything passes unchanged.
    Blind,
}

/// How the body of a request ends, as far as its headers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    /// Left to the framework.
    Unknown,
}

/// The requests on a connection.
#[derive(Debug)]
struct Requests {
    at: HeadState,
    /// The method or the line that is being read, as far as it is inspected.
    line: Vec<u8>,
    /// Whether the request is HTTP/1.1.
    is_recent: bool,
    body: Framing,
}

impl Default for Requests {
    fn default() -> Self {
        Self { at: HeadState::Method, line: Vec::new(), is_recent: false, body: Framing::None }
    }
}

impl Requests {
    /// Encodes the targets in the next bytes; `None` if nothing changes.
    fn encoded(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut encoded = Vec::new();
        let (mut copied, mut next) = (0, 0);
        while let Some(rest) = bytes.get(next..).filter(|rest| !rest.is_empty()) {
            match rest.first() {
                Some(byte) if self.at == HeadState::Path && must_be_encoded(*byte) => {
                    let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied().unwrap_or_default();
                    encoded.extend_from_slice(bytes.get(copied..next).unwrap_or_default());
                    encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
                    next += 1;
                    copied = next;
                }
                _ => next += self.pass(rest),
            }
        }
        if copied == 0 {
            return None;
        }
        encoded.extend_from_slice(bytes.get(copied..).unwrap_or_default());
        Some(encoded)
    }

    /// Skips bytes that stay unchanged. Returns how many, at least one.
    fn pass(&mut self, rest: &[u8]) -> usize {
        let until = |ends: fn(u8) -> bool| rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        let first_byte = rest.first().copied().unwrap_or_default();
        match self.at {
            HeadState::Blind => return rest.len(),
            HeadState::Body(left) => {
                let (read, left) = part(left, rest);
                self.at = if left == 0 { HeadState::Method } else { HeadState::Body(left) };
                return read;
            }
            HeadState::Chunk(left) => {
                let (read, left) = part(left, rest);
                self.at = if left == 0 { HeadState::ChunkEnd } else { HeadState::Chunk(left) };
                return read;
            }
            HeadState::Method => return self.method(rest),
            HeadState::Target if first_byte == b'/' => {
                self.at = HeadState::Path;
                return 1;
            }
            HeadState::Target => self.at = HeadState::Host,
            HeadState::Path | HeadState::Host => {}
            HeadState::Version | HeadState::Header | HeadState::Size | HeadState::ChunkEnd | HeadState::Last => {
                return self.line(rest);
            }
        }
        // A target must end with the single space before the version.
        let unchanged = match self.at {
            HeadState::Path => until(|byte| !byte.is_ascii_graphic() || must_be_encoded(byte)),
            _ => until(|byte| byte == b'?' || byte <= b' ' || byte == 0x7f),
        };
        if unchanged == 0 {
            self.at = match first_byte {
                b' ' => HeadState::Version,
                b'?' => HeadState::Path,
                _ => HeadState::Blind,
            };
            return 1;
        }
        unchanged
    }

    /// Reads the method, and the empty lines that may precede it.
    fn method(&mut self, rest: &[u8]) -> usize {
        let end = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
        self.keep(rest.get(..end).unwrap_or_default());
        let Some(byte) = rest.get(end) else { return end };
        match byte {
            b'\r' | b'\n' if self.line.is_empty() => {}
            b' ' if (1..=MAX_LINE).contains(&self.line.len()) => {
                self.at = HeadState::Target;
                self.body = if self.line.eq_ignore_ascii_case(b"CONNECT") { Framing::Unknown } else { Framing::None };
                self.line.clear();
            }
            _ => self.at = HeadState::Blind,
        }
        end + 1
    }

    /// Keeps the inspected part of a line, and one byte more if it is longer.
    fn keep(&mut self, piece: &[u8]) {
        let free = (MAX_LINE + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..free).unwrap_or(piece));
    }

    /// Reads a line, or the part of it that has arrived.
    fn line(&mut self, rest: &[u8]) -> usize {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.keep(rest);
            return rest.len();
        };
        self.keep(rest.get(..end).unwrap_or_default());
        let line = std::mem::take(&mut self.line);
        self.at = self.state_after(&line);
        self.line = line;
        self.line.clear();
        end + 1
    }

    /// The state after a line.
    fn state_after(&mut self, line: &[u8]) -> HeadState {
        let without_return = line.strip_suffix(b"\r");
        match (self.at, without_return) {
            (HeadState::Version, _) => {
                let version = without_return.unwrap_or(line);
                self.is_recent = version == b"HTTP/1.1";
                if self.is_recent || version == b"HTTP/1.0" { HeadState::Header } else { HeadState::Blind }
            }
            (HeadState::Header, _) => self.state_after_header(line),
            // The framework accepts chunk extensions and trailers, which no client sends.
            (HeadState::Size, Some(size)) if line.len() <= MAX_LINE => match chunk_size(size) {
                Some(0) => HeadState::Last,
                Some(size) => HeadState::Chunk(size),
                None => HeadState::Blind,
            },
            (HeadState::ChunkEnd, Some(b"")) => HeadState::Size,
            (HeadState::Last, Some(b"")) => HeadState::Method,
            _ => HeadState::Blind,
        }
    }

    fn state_after_header(&mut self, line: &[u8]) -> HeadState {
        if matches!(line, b"" | b"\r") {
            return match self.body {
                Framing::None | Framing::Length(0) => HeadState::Method,
                Framing::Length(length) => HeadState::Body(length),
                Framing::Chunked => HeadState::Size,
                Framing::Unknown => HeadState::Blind,
            };
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return HeadState::Blind };
        if !name.iter().all(u8::is_ascii_graphic) {
            return HeadState::Blind;
        }
        let is_header = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let framing = if is_header("content-length") {
            length(value.trim_ascii()).map_or(Framing::Unknown, Framing::Length)
        } else if is_header("transfer-encoding") {
            let is_chunked = self.is_recent && value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if is_chunked { Framing::Chunked } else { Framing::Unknown }
        } else if is_header("upgrade") {
            // Another protocol may follow.
            Framing::Unknown
        } else {
            return HeadState::Header;
        };
        // Duplicate headers are refused.
        let is_first = self.body == Framing::None && line.len() <= MAX_LINE;
        self.body = if is_first { framing } else { Framing::Unknown };
        HeadState::Header
    }
}

/// How many of the bytes belong to a body or chunk with `left` missing bytes, and how many are missing after them.
fn part(left: u64, bytes: &[u8]) -> (usize, u64) {
    let read = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (read, left - read as u64)
}

fn length(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.bytes().all(|digit| digit.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn chunk_size(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// Whether a URL may hold a byte only when it is encoded (RFC 3986). The framework accepts some of them; links in
/// answers should not contain those either. Spaces and control characters end a target, or are refused.
fn must_be_encoded(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

#[cfg(test)]
mod tests;
