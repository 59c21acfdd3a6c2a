//! HTTP/1.1 messages on raw sockets.

use std::io::{BufRead, ErrorKind, Result};

/// Reads a message: its head with the empty line, and its body by `Content-Length`.
pub fn read_message(reader: &mut impl BufRead) -> Result<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let mut body = vec![0; content_length(&head).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

/// The `Content-Length` of a head.
pub fn content_length(head: &str) -> Option<usize> {
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(length.trim().parse().unwrap())
}
