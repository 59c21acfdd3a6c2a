//! Sends one POST to a receiver of notifications.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::header::CONTENT_TYPE;

use crate::client::{CallError, HttpAnswer, HttpClient, RequestTarget};
use crate::notify::target::Targets;

/// Largest body of an answer, in bytes.
pub(super) const MAX_BODY: usize = 64 << 10;

/// A receiver in this process, which is reached without a connection.
pub(crate) trait Inside: Send + Sync {
    /// Whether a URL is of it.
    fn has(&self, url: &str) -> bool;

    /// Its answer to a POST; `None` if it no longer exists.
    fn post<'a>(&'a self, url: &'a str, body: String) -> BoxFuture<'a, Option<HttpAnswer>>;
}

/// A client for POSTs.
pub(super) struct Poster {
    targets: Targets,
    client: HttpClient,
    timeout: Duration,
    inside: OnceLock<Arc<dyn Inside>>,
}

impl Poster {
    /// Trusts the web's certificate authorities and those in the file. `timeout` limits the whole exchange, from name
    /// resolution to the end of the answer.
    ///
    /// # Errors
    /// One line: the file cannot be read.
    pub(super) fn new(targets: Targets, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let client = HttpClient::new(ca_file, timeout, MAX_BODY)?;
        Ok(Self { targets, client, timeout, inside: OnceLock::new() })
    }

    /// Names the receiver in this process. A second one is ignored.
    pub(super) fn set_inside(&self, inside: Arc<dyn Inside>) {
        let _ = self.inside.set(inside);
    }

    /// Reads a URL and checks that it may be called, as far as its text shows.
    pub(super) fn read(&self, url: &str) -> Result<RequestTarget, CallError> {
        if self.inside.get().is_some_and(|inside| inside.has(url)) {
            return RequestTarget::read(url);
        }
        self.targets.read(url)
    }

    /// Posts an empty body and reads the whole answer.
    pub(super) async fn post_empty(&self, target: &RequestTarget) -> Result<HttpAnswer, CallError> {
        self.post(target, "text/plain; charset=utf-8", String::new(), true).await
    }

    /// Posts JSON and returns the status; the rest of the answer is ignored.
    pub(super) async fn post_json(&self, target: &RequestTarget, json: String) -> Result<u16, CallError> {
        Ok(self.post(target, "application/json; charset=utf-8", json, false).await?.status)
    }

    async fn post(
        &self,
        target: &RequestTarget,
        content_type: &'static str,
        body: String,
        reads_body: bool,
    ) -> Result<HttpAnswer, CallError> {
        if let Some(inside) = self.inside.get() {
            let scheme = if target.https { "https" } else { "http" };
            let url = format!("{scheme}://{}{}", target.authority, target.path);
            if inside.has(&url) {
                let answer = tokio::time::timeout(self.timeout, inside.post(&url, body)).await;
                let late =
                    |_| CallError(format!("a host that does not respond within {} ms", self.timeout.as_millis()));
                return answer.map_err(late)?.ok_or_else(|| "a host that does not accept connections".into());
            }
        }
        let request = Request::builder().method("POST").header(CONTENT_TYPE, content_type);
        self.client.exchange(target, self.targets.resolve(target), request, body, reads_body).await
    }
}
