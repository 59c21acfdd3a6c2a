//! The address under which the client reached the API, with which links and contexts begin.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

use crate::http::Origin;
use crate::http::serving::{self, Arrival};

/// Scheme, host and everything before the API's own paths.
pub(crate) fn root(request: &HttpRequest, origin: &Origin, mount: &str) -> String {
    let host = text(request.headers(), header::HOST.as_str());
    let host = host.or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str));
    let arrival = request.conn_data::<Arrival>().filter(|_| host.is_none());
    let address = arrival.map(|arrival| arrival.address.to_string());
    let host = host.or(address.as_deref()).unwrap_or_else(|| request.app_config().host());
    let scheme = if serving::is_secure(request) { "https" } else { "http" };
    match origin {
        Origin::Public(root) => format!("{root}{mount}"),
        Origin::Host => format!("{scheme}://{host}{mount}"),
        Origin::Forwarded => {
            let forwarded = Forwarded::read(request.headers());
            let scheme = forwarded.scheme.unwrap_or(scheme);
            let host = forwarded.host_with_port(scheme, host);
            format!("{scheme}://{host}{}{mount}", forwarded.prefix.unwrap_or_default())
        }
    }
}

/// The path below the public address: removes the prefix of that address if the proxy has not. A path that a front end
/// has stays unchanged.
pub(crate) fn below<'a>(origin: &Origin, path: &'a str, is_known_path: impl Fn(&str) -> bool) -> &'a str {
    let Origin::Public(root) = origin else { return path };
    let host = root.split_once("://").map_or("", |(_, host)| host);
    let prefix = host.find('/').and_then(|slash| host.get(slash..)).unwrap_or_default();
    match path.strip_prefix(prefix) {
        _ if prefix.is_empty() || is_known_path(path) => path,
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// The request as the proxies in front describe it. The first of several values is the nearest to the client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forwarded<'a> {
    scheme: Option<&'static str>,
    host: Option<&'a str>,
    port: Option<u16>,
    prefix: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let first_value = |name| text(headers, name).and_then(|value| value.split(',').next()).map(str::trim);
        let mut standard = (None, None);
        for pair in first_value("forwarded").unwrap_or_default().split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "proto" => standard.0 = Some(value),
                "host" => standard.1 = Some(value),
                _ => {}
            }
        }
        let plain = |text: &&str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        };
        let scheme = |text: &str| ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(text));
        let prefix = first_value("x-forwarded-prefix").map(|prefix| prefix.trim_end_matches('/')).filter(plain);
        Self {
            scheme: agreed(first_value("x-forwarded-proto"), standard.0).and_then(scheme),
            host: agreed(first_value("x-forwarded-host"), standard.1)
                .filter(plain)
                .filter(|host| !host.contains(['/', '?', '#', '@'])),
            port: first_value("x-forwarded-port").and_then(|port| port.parse().ok()).filter(|port| *port > 0),
            prefix: prefix.filter(|prefix| prefix.starts_with('/') && !prefix.contains(['?', '#'])),
        }
    }

    /// The host that the client used, with its port unless it is the default of the scheme. A port in the host itself
    /// is the client's; a port that the proxy names takes precedence over that of its own request.
    fn host_with_port(&self, scheme: &str, own: &str) -> String {
        let (host, port) = match (self.host.map(split_port), self.port) {
            (Some((host, Some(port))), _) => return format!("{host}:{port}"),
            (Some((host, None)), port) => (host, port),
            (None, Some(port)) => (split_port(own).0, Some(port)),
            (None, None) => return own.to_owned(),
        };
        match (scheme, port) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => host.to_owned(),
            (_, Some(port)) => format!("{host}:{port}"),
        }
    }
}

/// The value of the one header that is present, or of both if they agree. A proxy writes one of them and may pass the
/// other one from the client.
fn agreed<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one).filter(|one| one.eq_ignore_ascii_case(other)),
        (one, other) => one.or(other),
    }
}

/// Splits a host, which may be an IPv6 address in brackets, from its port.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() => (host, Some(port)),
        _ => (authority, None),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use crate::odata::address::Address;

    use super::*;

    fn is_known_path(path: &str) -> bool {
        Address::parse(path).is_ok()
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse().unwrap(), value.parse().unwrap());
        }
        map
    }

    fn read(lines: &[(&'static str, &'static str)]) -> [Option<String>; 3] {
        let headers = headers(lines);
        let forwarded = Forwarded::read(&headers);
        [forwarded.scheme, forwarded.host, forwarded.prefix].map(|part| part.map(str::to_owned))
    }

    #[test]
    fn the_first_forwarded_value_is_used() {
        let some = |text: &str| Some(text.to_owned());
        let all = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "book.example.org:8443 , inner"),
            ("x-forwarded-prefix", "/graph/"),
        ];
        assert_eq!(read(&all), [some("https"), some("book.example.org:8443"), some("/graph")]);
        let forwarded = [("forwarded", "for=192.0.2.1;proto=HTTPS;Host=\"a.example:1\", for=x;host=b")];
        assert_eq!(read(&forwarded), [some("https"), some("a.example:1"), None]);
        assert_eq!(read(&[("x-forwarded-proto", "Https")]), [some("https"), None, None]);
    }

    #[test]
    fn contradicting_headers_are_ignored() {
        let some = |text: &str| Some(text.to_owned());
        let both = |host, forwarded| read(&[("x-forwarded-host", host), ("forwarded", forwarded)]);
        assert_eq!(both("a.example", "host=A.example;proto=https"), [some("https"), some("a.example"), None]);
        assert_eq!(both("a.example", "host=b.example;proto=https"), [some("https"), None, None]);
        let both = |scheme, forwarded| read(&[("x-forwarded-proto", scheme), ("forwarded", forwarded)]);
        assert_eq!(both("http", "proto=https"), [None, None, None]);
    }

    #[test]
    fn the_forwarded_port_is_appended_unless_it_is_the_default() {
        for (host, port, scheme, own, expected) in [
            ("a.example", "8443", "https", "inner:80", "a.example:8443"),
            ("a.example", "443", "https", "inner:80", "a.example"),
            ("a.example", "80", "https", "inner:80", "a.example:80"),
            ("a.example", "80", "http", "inner:80", "a.example"),
            ("a.example:9", "443", "https", "inner:80", "a.example:9"),
            ("[::1]", "8443", "https", "inner:80", "[::1]:8443"),
            ("a.example", "x", "https", "inner:80", "a.example"),
            ("a.example", "0", "https", "inner:80", "a.example"),
            ("", "8443", "https", "a.example:8080", "a.example:8443"),
            ("", "443", "https", "[::1]:8080", "[::1]"),
            ("", "", "https", "a.example:8080", "a.example:8080"),
        ] {
            let headers = headers(&[("x-forwarded-host", host), ("x-forwarded-port", port)]);
            let forwarded = Forwarded::read(&headers);
            assert_eq!(forwarded.host_with_port(scheme, own), expected, "{host} {port} {scheme}");
        }
    }

    #[test]
    fn the_public_prefix_is_removed_unless_the_proxy_removed_it() {
        let origin = Origin::Public("https://a.example/graph".to_owned());
        for (path, expected) in [
            ("/graph/v1.0/me", "/v1.0/me"),
            ("/graph", "/"),
            ("/graph/", "/"),
            ("/v1.0/me", "/v1.0/me"),
            ("/graphics/v1.0/me", "/graphics/v1.0/me"),
            ("/graph/graph/me", "/graph/me"),
        ] {
            assert_eq!(below(&origin, path, is_known_path), expected, "{path}");
        }
        // A prefix that is also a path: the path without the prefix is tried first.
        let origin = Origin::Public("https://a.example/me".to_owned());
        assert_eq!(
            ["/me/contacts", "/me/me/contacts"].map(|path| below(&origin, path, is_known_path)),
            ["/me/contacts"; 2]
        );
        for origin in [Origin::Host, Origin::Public("https://a.example".to_owned())] {
            assert_eq!(below(&origin, "/graph/me", is_known_path), "/graph/me");
        }
    }

    #[test]
    fn invalid_forwarded_values_are_ignored() {
        for (name, value) in [
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-host", "a/b"),
            ("x-forwarded-host", "user@host"),
            ("x-forwarded-host", "a\"b"),
            ("x-forwarded-prefix", "graph"),
            ("x-forwarded-prefix", "/a?b"),
            ("forwarded", "proto;host="),
        ] {
            assert_eq!(read(&[(name, value)]), [None, None, None], "{name}: {value}");
        }
    }
}
