//! `contactd health`: what a container's HEALTHCHECK runs, since its image has no other program.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::config;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the server at an address as given to `--listen` for `/healthz`.
///
/// # Errors
/// One line: it cannot be reached, or it is not well.
pub fn check(listen: &str) -> Result<(), String> {
    let address = config::resolve(listen)?.into_iter().next().ok_or_else(|| format!("{listen}: no address"))?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    let status = ask(address).map_err(|error| format!("{address}: {error}"))?;
    if status == "200" { Ok(()) } else { Err(format!("{address}: answered {status}")) }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or("nothing").to_owned())
}
