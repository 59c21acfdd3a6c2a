//! Allowed hosts, against DNS rebinding: a server that accepts every caller can be called by any web page whose owner
//! points the page's own name at it. Such a request has that name in `Host`.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::http::client::UnixPeer;
use crate::http::origin::split_port;
use crate::http::serving;

/// The host name with which Graph clients reach this machine, with the certificate of `contactd dev-cert`.
const GRAPH: &str = "graph.microsoft.com";

/// Whether a request names this machine or one of these hosts. A request without a host is not from a browser, and a
/// browser cannot reach a Unix socket.
pub(crate) fn is_accepted(request: &HttpRequest, hosts: &[String]) -> bool {
    let named = match request.headers().get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => request.uri().authority().map(actix_web::http::uri::Authority::as_str),
    };
    let Some(named) = named else { return !request.headers().contains_key(header::HOST) };
    if request.conn_data::<UnixPeer>().is_some() {
        return true;
    }
    let host = split_port(named).0.trim_end_matches('.').to_ascii_lowercase();
    let secure = serving::is_secure(request);
    is_loopback(&host)
        || is_bare(&host)
        || secure && host == GRAPH
        || hosts.iter().any(|other| split_port(other).0.eq_ignore_ascii_case(&host))
}

/// Whether a host, in lower case, is this machine by its name (RFC 6761, section 6.3) or its address.
fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_address = address.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
    host == "localhost" || host.ends_with(".localhost") || is_address
}

/// Whether a host, in lower case, is a name without a dot, as test programs use. Public DNS resolves no such name (RFC
/// 7085), so no public web page has one.
fn is_bare(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_lowercase()) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_has_no_dot_and_is_no_address() {
        for host in ["x", "contactd", "build-7"] {
            assert!(is_bare(host), "{host}");
        }
        for host in ["", "x.example", "7", "2130706433", "[::1]", "x.", "-x", "é"] {
            assert!(!is_bare(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_this_machine_by_its_name_or_address() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "x", "localhost.example", "notlocalhost", "127.0.0.1.example", "192.0.2.1", "0.0.0.0", "[::]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
