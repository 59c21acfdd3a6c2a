//! Fetches the issuer's signing keys. Its discovery document (OpenID Connect Discovery 1.0) says where they are.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::ACCEPT;
use serde::Deserialize;

use crate::client::{CallError, HttpClient, RequestTarget};
use crate::domain::plain::shorten;
use crate::oidc::keys::KeySet;

/// Largest document and largest key set, in bytes; Entra's key set has about 20 KiB.
const MAX_BODY: usize = 512 << 10;
/// Time limit of each request.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// The configured issuer.
pub(super) struct Issuer {
    /// As in the `iss` claim of tokens.
    pub(super) name: String,
    document: RequestTarget,
    client: HttpClient,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// # Errors
    /// One line: the name is not a usable URL, or the file cannot be read.
    pub(super) fn new(name: String, ca_file: Option<&Path>) -> Result<Self, String> {
        let expected = |reason: CallError| format!("--oidc-issuer names {reason}");
        if name.contains('?') {
            return Err("--oidc-issuer names a URL with a query".to_owned());
        }
        let document = checked_target(&format!("{}{DOCUMENT}", name.trim_end_matches('/'))).map_err(expected)?;
        let client = HttpClient::new(ca_file, FETCH_TIMEOUT, MAX_BODY).map_err(|error| format!("--ca-file {error}"))?;
        Ok(Self { name, document, client })
    }

    /// Fetches the current keys.
    ///
    /// # Errors
    /// The reason, for the log.
    pub(super) async fn keys(&self) -> Result<KeySet, String> {
        let document = self.get(&self.document).await.map_err(|reason| format!("its discovery document: {reason}"))?;
        let document: DiscoveryDocument =
            serde_json::from_slice(&document).map_err(|error| format!("its discovery document: {error}"))?;
        // Otherwise the owner of one document could speak for all issuers (Discovery, section 4.3).
        if document.issuer != self.name {
            return Err(format!("its discovery document is of another issuer, '{}'", shorten(&document.issuer)));
        }
        let target = checked_target(&document.jwks_uri).map_err(|reason| format!("its jwks_uri names {reason}"))?;
        if self.document.https && !target.https {
            return Err("its jwks_uri names a URL that does not begin with https://".to_owned());
        }
        KeySet::read(&self.get(&target).await.map_err(|reason| format!("its key set: {reason}"))?)
    }

    async fn get(&self, target: &RequestTarget) -> Result<Bytes, CallError> {
        let request = Request::builder().method("GET").header(ACCEPT, "application/json");
        let answer = self.client.exchange(target, addresses(target), request, String::new(), true).await?;
        match (answer.status, answer.body) {
            (200, Some(body)) => Ok(body),
            (200, None) => Err(CallError(format!("a response that is incomplete, or has more than {MAX_BODY} bytes"))),
            // Redirects are refused too: the issuer must be at the configured address.
            (status, _) => Err(CallError(format!("a host that responds with {status} and not 200"))),
        }
    }
}

/// Reads a URL that uses https or is on this machine. Anyone on the path of plain http could substitute keys.
fn checked_target(url: &str) -> Result<RequestTarget, CallError> {
    let target = RequestTarget::read(url)?;
    let is_local = target.host == "localhost" || target.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if target.https || is_local { Ok(target) } else { Err("a URL that does not begin with https://".into()) }
}

/// The addresses to connect to. For plain http only those of this machine, also of `localhost`.
async fn addresses(target: &RequestTarget) -> Result<Vec<SocketAddr>, CallError> {
    let addresses = target.resolve(|address| target.https || address.ip().is_loopback()).await;
    let reason =
        if target.https { "a host whose name has no address" } else { "a host that is not this machine, by http" };
    addresses.ok_or_else(|| reason.into())
}
