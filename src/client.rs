//! HTTP client for untrusted hosts: one exchange per connection, to an address that was checked, without redirects and with
//! limits.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::request::Builder;
use hyper::rt::{Read, Write};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::trace;

/// Maximum length of a URL, in bytes.
pub(crate) const MAX_URL: usize = 2_048;
/// Maximum number of addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;
/// Maximum size of the head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 100;

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestTarget {
    pub(crate) https: bool,
    /// Name or address, in lower case, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the `Host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl RequestTarget {
    /// Parses an `https` or `http` URL. The caller decides which URLs may be called, and whether `http` is allowed.
    pub(crate) fn read(url: &str) -> Result<Self, CallError> {
        if url.len() > MAX_URL {
            return Err(CallError(format!("a URL of more than {MAX_URL} characters")));
        }
        let legal = url.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        let uri: Uri = url
            .parse()
            .ok()
            .filter(|_| legal)
            .ok_or("something that is not a URL of ASCII characters without a fragment")?;
        let authority = uri.authority().ok_or("a URL that is not absolute")?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("a URL that does not begin with https://".into()),
        };
        // A user name or an invalid port would remain here.
        let rest = authority.as_str().strip_prefix(authority.host());
        let port = match rest.map(|rest| (rest, authority.port_u16())) {
            Some(("", _)) => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some((_, Some(port))) if port > 0 => port,
            _ => return Err("a URL whose host is not HOST or HOST:PORT".into()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { https, host, port, authority: authority.as_str().to_owned(), path })
    }

    /// Resolves the host. `None` unless it has addresses and all satisfy `is_allowed`. The caller connects to one of these and
    /// does not resolve again, since the name could resolve differently by then.
    pub(crate) async fn resolve(&self, is_allowed: impl Fn(&SocketAddr) -> bool) -> Option<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.ok()?.collect();
        let all_fit = !addresses.is_empty() && addresses.iter().all(is_allowed);
        all_fit.then(|| addresses.into_iter().take(MAX_ADDRESSES).collect())
    }
}

/// Why a URL cannot be called: the end of a sentence, for the person who chose the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallError(pub(crate) String);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for CallError {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// The answer.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// `None` if it was not requested, is incomplete or is too large.
    pub(crate) body: Option<Bytes>,
}

/// The client.
pub(crate) struct HttpClient {
    tls: TlsConnector,
    /// Time limit of the whole exchange, from name resolution to the end of the answer.
    timeout: Duration,
    /// Maximum size of the body of an answer, in bytes.
    max_body: usize,
}

impl HttpClient {
    /// Trusts the web's certificate authorities and those in the file.
    ///
    /// # Errors
    /// One line: the file cannot be read.
    pub(crate) fn new(ca_file: Option<&Path>, timeout: Duration, max_body: usize) -> Result<Self, String> {
        let mut roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>();
        if let Some(path) = ca_file {
            let reason = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
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
        Ok(Self { tls, timeout, max_body })
    }

    /// Sends a request to one of the addresses, as a part of the trace that the running task works for. The body of the answer is
    /// read only if `reads_body` is set.
    pub(crate) async fn exchange(
        &self,
        target: &RequestTarget,
        addresses: impl Future<Output = Result<Vec<SocketAddr>, CallError>>,
        request: Builder,
        body: impl Into<Bytes>,
        reads_body: bool,
    ) -> Result<HttpAnswer, CallError> {
        let late = || CallError(format!("a host that does not respond within {} ms", self.timeout.as_millis()));
        let request = traced(request)
            .uri(&target.path)
            .header(HOST, &target.authority)
            .header(USER_AGENT, concat!("contactd/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Full::new(body.into()))
            .map_err(|_| "a URL that cannot be requested")?;
        let work = self.over_connection(target, addresses, request, reads_body);
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn over_connection(
        &self,
        target: &RequestTarget,
        addresses: impl Future<Output = Result<Vec<SocketAddr>, CallError>>,
        request: Request<Full<Bytes>>,
        reads_body: bool,
    ) -> Result<HttpAnswer, CallError> {
        let mut stream = Err(CallError::from("a host that does not accept connections"));
        for address in addresses.await? {
            stream = TcpStream::connect(address).await.map_err(|_| "a host that does not accept connections".into());
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream?;
        if !target.https {
            return self.send(TokioIo::new(stream), request, reads_body).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| "a host that no certificate can name")?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| CallError(format!("a host without a trusted certificate: {error}")))?;
        self.send(TokioIo::new(stream), request, reads_body).await
    }

    async fn send(
        &self,
        stream: impl Read + Write + Unpin,
        request: Request<Full<Bytes>>,
        reads_body: bool,
    ) -> Result<HttpAnswer, CallError> {
        let not_http = |_| CallError::from("a host that does not respond in HTTP");
        let mut client = http1::Builder::new();
        client.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (mut sender, connection) = client.handshake(stream).await.map_err(not_http)?;
        let exchange = async move {
            let answer = sender.send_request(request).await.map_err(not_http)?;
            let (head, body) = answer.into_parts();
            let body = if reads_body { Limited::new(body, self.max_body).collect().await.ok() } else { None };
            let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            Ok(HttpAnswer {
                status: head.status.as_u16(),
                content_type: content_type.to_owned(),
                body: body.map(Collected::to_bytes),
            })
        };
        match select(pin!(exchange), pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            // The connection has ended, but what it read is still available.
            Either::Right((_, exchange)) => exchange.await,
        }
    }
}

/// A request with the trace that the running task works for, if there is one.
fn traced(request: Builder) -> Builder {
    let current = trace::current();
    let Some(trace) = current.as_ref().and_then(|current| current.trace.as_ref()) else { return request };
    let request = request.header("traceparent", trace.header());
    match trace.state() {
        Some(state) => request.header("tracestate", state),
        None => request,
    }
}
