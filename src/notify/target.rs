//! Allowed receivers of notifications. Clients choose the URLs, so a server could be tricked into calling internal hosts
//! (SSRF). Therefore only public addresses are called, over https, unless the operator allows more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::client::{CallError, RequestTarget};

/// A host that may be called over http or at a private address: `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    host: String,
    /// Any port if `None`.
    port: Option<u16>,
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected HOST or HOST:PORT, an IPv6 address in brackets".to_owned();
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => {
                host.parse::<Ipv6Addr>().map_err(|_| expected())?;
                (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")).ok_or_else(expected)?)
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let port = if port.is_empty() { None } else { Some(port.parse().map_err(|_| expected())?) };
        let is_host = host.contains(':') || host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if host.is_empty() || !is_host || text.ends_with(':') {
            return Err(expected());
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

/// The allowed hosts.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets(pub(super) Vec<Allowed>);

impl Targets {
    /// Reads a URL and checks that it may be called, as far as its text shows.
    pub(super) fn read(&self, url: &str) -> Result<RequestTarget, CallError> {
        let target = RequestTarget::read(url)?;
        if !target.https && !self.allows(&target.host, target.port) {
            return Err("a URL that does not begin with https://".into());
        }
        Ok(target)
    }

    /// The addresses to connect to.
    pub(super) async fn resolve(&self, target: &RequestTarget) -> Result<Vec<SocketAddr>, CallError> {
        let allowed = self.allows(&target.host, target.port);
        let addresses = target.resolve(|address| allowed || is_public(address.ip())).await;
        // The same message for both cases, so that it does not reveal names of the operator's network.
        addresses.ok_or_else(|| "a host that has no public address".into())
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|allowed| allowed.host == host && allowed.port.is_none_or(|allowed| allowed == port))
    }
}

/// Whether an address is public, by IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 15] = [
        (Ipv4Addr::UNSPECIFIED, 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        // Shared by the customers of a carrier (RFC 6598).
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 88, 99, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        // Multicast; then reserved and broadcast.
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    let is_in_network = |(network, bits): &(Ipv4Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    !SPECIAL.iter().any(is_in_network)
}

/// Only global unicast (2000::/3). This excludes ::1, fe80::/10, fc00::/7, ff00::/8, and addresses that embed IPv4, mapped
/// (::ffff:0:0/96) or translated (64:ff9b::/96).
fn is_public_v6(address: Ipv6Addr) -> bool {
    const SPECIAL: [(Ipv6Addr, u32); 4] = [
        // Protocol assignments: Teredo (embeds IPv4), benchmarking, ORCHID.
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
        // 6to4 (embeds IPv4).
        (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
        (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    ];
    let is_in_network =
        |(network, bits): &(Ipv6Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    address.segments()[0] & 0xe000 == 0x2000 && !SPECIAL.iter().any(is_in_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(allowed: &[&str]) -> Targets {
        Targets(allowed.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn an_address_is_public_or_of_a_special_network() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn a_url_is_https_and_plain() {
        let target = targets(&[]).read("https://Example.org/notify?a=b%20c").unwrap();
        assert_eq!((target.https, target.host.as_str(), target.port), (true, "example.org", 443));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("Example.org", "/notify?a=b%20c"));
        assert_eq!(targets(&[]).read("https://[2606:4700::1]:8443").unwrap().host, "2606:4700::1");
        let long = format!("https://example.org/{}", "x".repeat(2_048));
        for bad in [
            "",
            "example.org",
            "/x",
            "http://example.org/",
            "ftp://example.org/",
            "https://",
            "https:///x",
            "https://a b/",
            "https://u@example.org/",
            "https://u:p@example.org/",
            "https://example.org/#x",
            "https://example.org:99999/",
            "https://example.org:0/",
            "https://example.org:/",
            "https://é.example/",
            "https://example.org/\u{7f}",
            "https://example.org/é",
            &long,
            "javascript:alert(1)",
            "https://a\\b/",
        ] {
            assert!(targets(&[]).read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn allowed_receivers_may_be_called_without_tls() {
        let allowed = targets(&["localhost:8080", "Receiver", "[::1]:9"]);
        for (url, fits) in [
            ("http://localhost:8080/", true),
            ("http://localhost:8081/", false),
            ("http://localhost/", false),
            ("http://receiver/", true),
            ("http://RECEIVER:1/", true),
            ("http://receiver.example/", false),
            ("http://[::1]:9/", true),
            ("http://[::1]:10/", false),
        ] {
            assert_eq!(allowed.read(url).is_ok(), fits, "{url}");
        }
        for bad in ["", ":80", "a:", "a:b", "a:1:2", "http://a", "[::1", "[::1]x", "[a]:1", "a/b", "a:99999"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_every_address_is_checked() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "10.0.0.1",
            "169.254.169.254",
        ] {
            let target = targets(&[]).read(&format!("https://{host}/")).unwrap();
            assert!(targets(&[]).resolve(&target).await.is_err(), "{host}");
            let allowed = targets(&[host]);
            assert!(allowed.resolve(&target).await.is_ok(), "{host}");
        }
    }
}
