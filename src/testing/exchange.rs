//! One request over a connection of its own. It supports as much of HTTP/1.1 as a test server on this machine needs.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, as it was sent.
    pub body: Vec<u8>,
}

impl Response {
    /// The JSON of the body.
    ///
    /// # Panics
    /// The body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => super::fail(&format!("the body is not JSON: {error}: {}", self.text())),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends a request over plain HTTP.
///
/// # Errors
/// There is no answer, or it is incomplete.
pub(super) fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Response> {
    let invalid = |why: &str| Error::new(ErrorKind::InvalidInput, format!("{url}: {why}"));
    let rest = url.strip_prefix("http://").ok_or_else(|| invalid("only unencrypted http is supported here"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if headers.iter().any(|(name, value)| name.contains(['\r', '\n']) || value.contains(['\r', '\n'])) {
        return Err(invalid("a line end in a header"));
    }
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        head.push_str("Content-Type: application/json\r\n");
    }
    head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n", &body]);
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    read(&answer, method == "HEAD").ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "the response ends early"))
}

/// Reads an answer; `None` if it is incomplete.
fn read(answer: &[u8], is_head: bool) -> Option<Response> {
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let mut answer = Response { status, headers: headers.collect(), body: Vec::new() };
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    answer.body = if is_head || status == 204 || status == 304 {
        Vec::new()
    } else if answer.header("transfer-encoding").is_some() {
        unchunked(body)?
    } else {
        body.get(..length.unwrap_or(body.len()))?.to_vec()
    };
    Some(answer)
}

/// The bytes of a chunked body (RFC 9112, section 7.1).
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut unchunked = Vec::new();
    loop {
        let line = body.windows(2).position(|end| end == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(unchunked);
        }
        let start = line + 2;
        unchunked.extend_from_slice(body.get(start..start.checked_add(size)?)?);
        body = body.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_answers_are_refused() {
        let parsed = |answer: &str| read(answer.as_bytes(), false).map(|answer| (answer.status, answer.text()));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), Some((200, "ab".to_owned())));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), None);
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n"), Some((204, String::new())));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n";
        assert_eq!(parsed(chunked), Some((200, "abc".to_owned())));
        assert_eq!(parsed(&chunked[..chunked.len() - 5]), None);
        assert_eq!(parsed("HTTP/1.1 200"), None);
        assert_eq!(parsed(""), None);
    }
}
