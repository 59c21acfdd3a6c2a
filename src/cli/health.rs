//! `contactd health`: asks a running server for its health. Containers use it as HEALTHCHECK, because the image has no
//! other program. It detects TLS itself, so that it needs only the address.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

use crate::cli::arguments::{self, ListArg};
use crate::cli::output::{Failure, Form, print_json, print_line};
use crate::http::listen::Listen;

/// Options of `contactd health`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 the server is healthy, 1 it is not, 2 it could not be reached.")]
pub struct HealthArgs {
    /// Address that the server listens on; the first one is used
    #[arg(long, env = "CONTACTD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub listen: Vec<ListArg<String>>,

    /// Check whether the server is ready for requests (/readyz) instead of whether it is healthy (/healthz)
    #[arg(long)]
    pub ready: bool,

    #[command(flatten)]
    form: Form,
}

/// Time limit for connecting, and for each read and write.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of the answer that are read.
const MAX_ANSWER: u64 = 4_096;

/// Asks the server at the first address of `--listen` for `/healthz` or `/readyz`, and prints that it is healthy or
/// ready.
///
/// # Errors
/// One line: it cannot be reached, or is not healthy or ready.
pub fn check(config: &HealthArgs) -> Result<(), Failure> {
    let (address, answer) = ask_server(config).map_err(Failure::usage)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("nothing");
    let path = config.path();
    let is_ok = status == "200";
    let state = if config.ready { "ready" } else { "healthy" };
    let failing: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("[-]")).collect();
    if config.form.is_json() {
        let status = status.parse::<u16>().ok();
        let object = json!({"address": address, "path": path, "status": status, "well": is_ok, "failing": failing});
        print_json(&object);
    } else if is_ok {
        print_line(&format!("{address} is {state}"));
    }
    if is_ok {
        return Ok(());
    }
    let why = if config.ready { format!(": {}", failing.join("; ")) } else { String::new() };
    Err(format!("{address}: responded with {status}{why}").into())
}

impl HealthArgs {
    fn path(&self) -> &'static str {
        if self.ready { "/readyz" } else { "/healthz" }
    }
}

/// The server's address and its answer.
fn ask_server(config: &HealthArgs) -> Result<(String, String), String> {
    let place = arguments::listen(&config.listen)?.into_iter().next().ok_or("--listen names no address")?;
    let path = config.path();
    match &place {
        Listen::Unix(socket) => {
            Ok((place.to_string(), ask_socket(socket, path).map_err(|error| format!("{place}: {error}"))?))
        }
        Listen::Port(..) => ask_first(&place, path),
    }
}

/// Asks at the first address of a host that accepts a connection.
fn ask_first(place: &Listen, path: &str) -> Result<(String, String), String> {
    let addresses = place.addresses().map_err(|error| format!("--listen {place}: {error}"))?;
    let mut why = format!("{place}: no address");
    for address in addresses {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, address.port());
        match connect(address) {
            Err(error) => why = format!("{address}: {error}"),
            Ok(mut stream) => {
                let answer = ask_at(address, &mut stream, path).map_err(|error| format!("{address}: {error}"))?;
                return Ok((address.to_string(), answer));
            }
        }
    }
    Err(why)
}

fn ask_at(address: SocketAddr, stream: &mut TcpStream, path: &str) -> std::io::Result<String> {
    match exchange(&address.to_string(), stream, path) {
        Ok(answer) if answer.starts_with("HTTP/") => Ok(answer),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(error),
        // A TLS server answers with an alert, or closes the connection.
        _ => ask_by_tls(address, path),
    }
}

fn ask_socket(socket: &Path, path: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange("localhost", &mut stream, path)
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn exchange(host: &str, stream: &mut (impl Read + Write), path: &str) -> std::io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    match stream.take(MAX_ANSWER).read_to_end(&mut answer) {
        // The server may close the connection without TLS's close_notify; the answer counts all the same.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

fn ask_by_tls(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    let config =
        config.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider))).with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::from(address.ip()));
    let session = session.map_err(std::io::Error::other)?;
    exchange(&address.to_string(), &mut StreamOwned::new(session, connect(address)?), path)
}

/// Accepts any certificate. It is for the names that clients use and not for this address, and the request has no secret.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
