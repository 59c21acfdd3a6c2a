//! Where an issuer's keys are had of: its discovery document (OpenID Connect Discovery 1.0) names where they are.

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

/// Largest document and largest key set, in bytes; Entra's set has some 20 KiB.
const MAX_BODY: usize = 512 << 10;
/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(5);
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// An issuer, as its operator named it.
pub(super) struct Issuer {
    /// As it stands in tokens.
    pub(super) name: String,
    document: RequestTarget,
    client: HttpClient,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// # Errors
    /// One line: the name is no URL that may be called, or the file cannot be read.
    pub(super) fn new(name: String, ca_file: Option<&Path>) -> Result<Self, String> {
        let expected = |reason: CallError| format!("--oidc-issuer names {reason}");
        if name.contains('?') {
            return Err("--oidc-issuer names a URL with a query".to_owned());
        }
        let document = place(&format!("{}{DOCUMENT}", name.trim_end_matches('/'))).map_err(expected)?;
        let client = HttpClient::new(ca_file, PATIENCE, MAX_BODY).map_err(|error| format!("--ca-file {error}"))?;
        Ok(Self { name, document, client })
    }

    /// The keys that it has now.
    ///
    /// # Errors
    /// Why they cannot be had, for the log.
    pub(super) async fn keys(&self) -> Result<KeySet, String> {
        let document = self.get(&self.document).await.map_err(|reason| format!("its discovery document: {reason}"))?;
        let document: Document =
            serde_json::from_slice(&document).map_err(|error| format!("its discovery document: {error}"))?;
        // Else whoever can write one document could speak for all issuers (Discovery, section 4.3).
        if document.issuer != self.name {
            return Err(format!("its discovery document is of another issuer, '{}'", shorten(&document.issuer)));
        }
        let place = place(&document.jwks_uri).map_err(|reason| format!("its jwks_uri names {reason}"))?;
        if self.document.https && !place.https {
            return Err("its jwks_uri names no URL that begins with https://".to_owned());
        }
        KeySet::read(&self.get(&place).await.map_err(|reason| format!("its key set: {reason}"))?)
    }

    async fn get(&self, target: &RequestTarget) -> Result<Bytes, CallError> {
        let request = Request::builder().method("GET").header(ACCEPT, "application/json");
        let answer = self.client.exchange(target, addresses(target), request, String::new(), true).await?;
        match (answer.status, answer.body) {
            (200, Some(body)) => Ok(body),
            (200, None) => Err(CallError(format!("an answer that breaks off, or has more than {MAX_BODY} bytes"))),
            // Redirects too: the operator's issuer is at the address the operator named.
            (status, _) => Err(CallError(format!("a host that answers {status} and not 200"))),
        }
    }
}

/// What a URL names, which is by https, or on this machine: whoever is between could give out keys of their own.
fn place(url: &str) -> Result<RequestTarget, CallError> {
    let target = RequestTarget::read(url)?;
    let here = target.host == "localhost" || target.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if target.https || here { Ok(target) } else { Err("no URL that begins with https://".into()) }
}

/// The addresses to connect to; also of `localhost` only those that are this machine's.
async fn addresses(target: &RequestTarget) -> Result<Vec<SocketAddr>, CallError> {
    let addresses = target.resolve(|address| target.https || address.ip().is_loopback()).await;
    let reason =
        if target.https { "a host whose name has no address" } else { "a host that is not this machine, by http" };
    addresses.ok_or_else(|| reason.into())
}
