//! One POST to somebody who is notified.

use std::path::Path;
use std::time::Duration;

use hyper::Request;
use hyper::header::CONTENT_TYPE;

use crate::client::{CallError, HttpAnswer, HttpClient, RequestTarget};
use crate::notify::target::Targets;

/// Largest body of an answer, in bytes.
pub(super) const MAX_BODY: usize = 64 << 10;

/// A client for POSTs.
pub(super) struct Poster {
    targets: Targets,
    client: HttpClient,
}

impl Poster {
    /// One that trusts the authorities of the web, and those in a file; `patience` is for everything, from the name's
    /// resolution to the answer's end.
    ///
    /// # Errors
    /// One line: the file cannot be read.
    pub(super) fn new(targets: Targets, ca_file: Option<&Path>, patience: Duration) -> Result<Self, String> {
        Ok(Self { targets, client: HttpClient::new(ca_file, patience, MAX_BODY)? })
    }

    /// Reads a URL that may be called as far as can be told from its text.
    pub(super) fn read(&self, url: &str) -> Result<RequestTarget, CallError> {
        self.targets.read(url)
    }

    /// Posts nothing, and reads the answer to its end.
    pub(super) async fn ask(&self, target: &RequestTarget) -> Result<HttpAnswer, CallError> {
        self.post(target, "text/plain; charset=utf-8", String::new(), true).await
    }

    /// Posts JSON. Answers the status: whatever follows it changes nothing.
    pub(super) async fn tell(&self, target: &RequestTarget, json: String) -> Result<u16, CallError> {
        Ok(self.post(target, "application/json; charset=utf-8", json, false).await?.status)
    }

    async fn post(
        &self,
        target: &RequestTarget,
        content_type: &'static str,
        body: String,
        to_its_end: bool,
    ) -> Result<HttpAnswer, CallError> {
        let request = Request::builder().method("POST").header(CONTENT_TYPE, content_type);
        self.client.exchange(target, self.targets.resolve(target), request, body, to_its_end).await
    }
}
