//! How spans are sent: by the program's own client, on the exporter's thread.

use std::future::ready;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{HOST, USER_AGENT};
use opentelemetry_http::{Bytes, HttpClient as Client, HttpError, Request, Response};
use tokio::runtime::{Builder, Runtime};

use crate::client::{CallError, HttpClient, RequestTarget};

/// Time limit of an export.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of an answer in bytes.
const MAX_BODY: usize = 64 << 10;

/// Sends spans.
pub(super) struct Sender {
    client: HttpClient,
    /// The exporter's thread has no runtime of its own.
    runtime: Mutex<Runtime>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    /// # Errors
    /// One line: the file of certificate authorities cannot be read.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let client = HttpClient::new(ca_file, TIMEOUT, MAX_BODY).map_err(|error| format!("--ca-file {error}"))?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Self { client, runtime: Mutex::new(runtime) })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let target = RequestTarget::read(&head.uri.to_string()).map_err(|reason| reason.0)?;
        let mut builder = hyper::Request::builder().method(head.method);
        // The client sets these two headers itself.
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != HOST && *name != USER_AGENT) {
            builder = builder.header(name, value);
        }
        // The operator has named the host.
        let addresses =
            async { target.resolve(|_| true).await.ok_or_else(|| CallError::from("a host whose name has no address")) };
        let exchange = self.client.exchange(&target, addresses, builder, body, true);
        let answer = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).block_on(exchange);
        let answer = answer.map_err(|reason| reason.0)?;
        Ok(Response::builder().status(answer.status).body(answer.body.unwrap_or_default())?)
    }
}

impl Client for Sender {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        // The thread has nothing else to do.
        Box::pin(ready(self.send(request)))
    }
}
