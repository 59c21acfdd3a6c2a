//! The client of a request, by its address.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

/// A client: an IPv4 address, or an IPv6 network of 64 bits, which is what one client is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

/// Marks a connection through a Unix socket.
pub(crate) struct UnixPeer;

impl Client {
    /// All clients of a Unix socket, usually a proxy. They have no addresses and count as one, under an address that
    /// nobody connects from.
    pub(crate) const LOCAL: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    /// The client that connected, or with `forwarded` the one that the proxy names.
    pub(crate) fn of(request: &HttpRequest, forwarded: bool) -> Option<Self> {
        let unix_peer = || request.conn_data::<UnixPeer>().map(|_| Self::LOCAL);
        address_of(request, forwarded).map(Self::from).or_else(unix_peer)
    }
}

/// How the log shows a Unix socket.
pub(crate) const UNIX_ADDRESS: &str = "unix";

/// The client as the log shows it: an address, or [`UNIX_ADDRESS`].
pub(crate) fn log_address(request: &HttpRequest, forwarded: bool) -> Option<String> {
    let unix_peer = || request.conn_data::<UnixPeer>().map(|_| UNIX_ADDRESS.to_owned());
    address_of(request, forwarded).map(|address| address.to_string()).or_else(unix_peer)
}

/// The address of [`Client::of`].
fn address_of(request: &HttpRequest, forwarded: bool) -> Option<IpAddr> {
    let forwarded_client = if forwarded { forwarded_address(request.headers()) } else { None };
    forwarded_client.or_else(|| request.peer_addr().map(|peer| peer.ip()))
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The last hop in the headers, which the proxy itself has seen; earlier hops are unverified. A proxy writes one of
/// the two headers and may pass the other one from the client, so if both are present and differ neither counts.
fn forwarded_address(headers: &HeaderMap) -> Option<IpAddr> {
    let last = |name: &str| {
        let line = headers.get_all(name).last()?.to_str().unwrap_or_default();
        Some(line.rsplit(',').next().unwrap_or_default())
    };
    let for_parameter = |hop: &str| {
        hop.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("for") { address(value) } else { None }
        })
    };
    match (last("x-forwarded-for").map(address), last("forwarded").map(for_parameter)) {
        (Some(first), Some(second)) if first == second => first,
        (Some(_), Some(_)) => None,
        (first, second) => first.or(second).flatten(),
    }
}

/// Whether the headers name a client behind the peer.
pub(crate) fn names_client(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded")
}

/// Whether both headers name a client, and the two differ.
pub(crate) fn headers_disagree(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") && headers.contains_key("forwarded") && forwarded_address(headers).is_none()
}

/// An address, optionally in quotes, with a port, or in brackets (IPv6).
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    if let Some((address, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse().ok();
    }
    text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[(&str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse().unwrap(), value.parse().unwrap());
        }
        forwarded_address(&headers).map(|address| address.to_string())
    }

    #[test]
    fn the_last_hop_is_used_and_invalid_addresses_are_ignored() {
        for (lines, expected) in [
            (vec![("x-forwarded-for", "203.0.113.9")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "10.0.0.1, 203.0.113.9:4711")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "203.0.113.9")], Some("203.0.113.9")),
            (vec![("x-forwarded-for", "2001:db8::1")], Some("2001:db8::1")),
            (vec![("x-forwarded-for", "[2001:db8::1]:443")], Some("2001:db8::1")),
            (vec![("forwarded", "for=10.0.0.1, proto=https;For=\"[2001:db8::1]:443\"")], Some("2001:db8::1")),
            (vec![("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "10.0.0.1, 203.0.113.9")], Some("203.0.113.9")),
            (vec![("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "10.0.0.1")], None),
            (vec![("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "unknown")], None),
            (vec![("forwarded", "proto=https"), ("x-forwarded-for", "10.0.0.1")], None),
            (vec![("x-forwarded-for", "203.0.113.9,")], None),
            (vec![("x-forwarded-for", "unknown")], None),
            (vec![("forwarded", "for=_hidden")], None),
            (vec![("forwarded", "for=10.0.0.1, proto=https")], None),
            (vec![], None),
        ] {
            assert_eq!(read(&lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_mapped_addresses_count_as_ipv4() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn any_forwarded_header_is_read_or_ignored(text in "[ -~]{0,60}|([0-9a-f:.,\\[\\]\"]|for=){0,12}") {
            read(&[("x-forwarded-for", &text)]);
            read(&[("forwarded", &text)]);
        }
    }
}
