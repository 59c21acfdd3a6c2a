//! One POST: to an address that was checked, on a connection of its own, following nothing, within bounds.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::target::{Refused, Target, Targets};

/// Largest head of an answer, and largest body, in bytes.
const MAX_HEAD: usize = 16 << 10;
pub(super) const MAX_BODY: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    /// `None` where it was not wanted, breaks off or is too large.
    pub(super) body: Option<Bytes>,
}

/// A client for POSTs.
pub(super) struct Poster {
    targets: Targets,
    tls: TlsConnector,
    /// For everything, from the name's resolution to the answer's end.
    patience: Duration,
}

impl Poster {
    /// One that trusts the authorities of the web, and those in a file.
    ///
    /// # Errors
    /// One line: the file cannot be read.
    pub(super) fn new(targets: Targets, ca_file: Option<&Path>, patience: Duration) -> Result<Self, String> {
        let mut roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>();
        if let Some(path) = ca_file {
            let reason = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| reason(&error))?;
            let before = roots.len();
            for certificate in certificates {
                let certificate = certificate.map_err(|error| reason(&error))?;
                roots.add(certificate).map_err(|error| reason(&error))?;
            }
            if roots.len() == before {
                return Err(reason(&"no certificate in it"));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let tls = Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into();
        Ok(Self { targets, tls, patience })
    }

    /// Reads a URL that may be called as far as can be told from its text.
    pub(super) fn read(&self, url: &str) -> Result<Target, Refused> {
        self.targets.read(url)
    }

    /// Posts nothing, and reads the answer to its end.
    pub(super) async fn ask(&self, target: &Target) -> Result<Answer, Refused> {
        self.in_time(self.exchange(target, "text/plain; charset=utf-8", String::new(), true)).await
    }

    /// Posts JSON. Answers the status: whatever follows it changes nothing.
    pub(super) async fn tell(&self, target: &Target, json: String) -> Result<u16, Refused> {
        let answer = self.in_time(self.exchange(target, "application/json; charset=utf-8", json, false)).await?;
        Ok(answer.status)
    }

    async fn in_time(&self, work: impl Future<Output = Result<Answer, Refused>>) -> Result<Answer, Refused> {
        let late = || Refused(format!("a host that does not answer within {} ms", self.patience.as_millis()));
        tokio::time::timeout(self.patience, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(
        &self,
        target: &Target,
        content_type: &'static str,
        body: String,
        to_its_end: bool,
    ) -> Result<Answer, Refused> {
        let request = Request::post(&target.path)
            .header(HOST, &target.authority)
            .header(USER_AGENT, concat!("contactd/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, content_type)
            .header(CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| "no URL that can be asked for")?;
        let mut stream = Err(Refused::from("a host that does not take connections"));
        for address in self.targets.resolve(target).await? {
            stream = TcpStream::connect(address).await.map_err(|_| "a host that does not take connections".into());
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream?;
        if !target.https {
            return send(TokioIo::new(stream), request, to_its_end).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| "a host that no certificate can name")?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| Refused(format!("a host without TLS that can be trusted: {error}")))?;
        send(TokioIo::new(stream), request, to_its_end).await
    }
}

async fn send(
    stream: impl Read + Write + Unpin,
    request: Request<Full<Bytes>>,
    to_its_end: bool,
) -> Result<Answer, Refused> {
    let no_http = |_| Refused::from("a host that does not answer in HTTP");
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let (mut sender, connection) = client.handshake(stream).await.map_err(no_http)?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(no_http)?;
        let (head, body) = answer.into_parts();
        let body = if to_its_end { Limited::new(body, MAX_BODY).collect().await.ok() } else { None };
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Answer {
            status: head.status.as_u16(),
            content_type: content_type.to_owned(),
            body: body.map(Collected::to_bytes),
        })
    };
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection has ended, and what it read is still there to be taken.
        Either::Right((_, exchange)) => exchange.await,
    }
}
