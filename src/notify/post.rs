//! Sends one POST to a receiver of notifications.

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
    /// Trusts the web's certificate authorities and those in the file. `patience` limits the whole exchange, from name
    /// resolution to the end of the answer.
    ///
    /// # Errors
    /// One line: the file cannot be read.
    pub(super) fn new(targets: Targets, ca_file: Option<&Path>, patience: Duration) -> Result<Self, String> {
        Ok(Self { targets, client: HttpClient::new(ca_file, patience, MAX_BODY)? })
    }

    /// Reads a URL and checks that it may be called, as far as its text shows.
    pub(super) fn read(&self, url: &str) -> Result<RequestTarget, CallError> {
        self.targets.read(url)
    }

    /// Posts an empty body and reads the whole answer.
    pub(super) async fn ask(&self, target: &RequestTarget) -> Result<HttpAnswer, CallError> {
        self.post(target, "text/plain; charset=utf-8", String::new(), true).await
    }

    /// Posts JSON and returns the status; the rest of the answer is ignored.
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
