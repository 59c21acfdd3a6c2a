//! The address under which the client reached the API: what links and contexts begin with.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

use super::Origin;

/// Scheme, host and everything before the API's own paths.
pub(super) fn root(request: &HttpRequest, origin: &Origin, mount: &str) -> String {
    let host = text(request.headers(), header::HOST.as_str());
    let host = host.or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str));
    let host = host.unwrap_or_else(|| request.app_config().host());
    let scheme = if request.app_config().secure() { "https" } else { "http" };
    match origin {
        Origin::Public(root) => format!("{root}{mount}"),
        Origin::Host => format!("{scheme}://{host}{mount}"),
        Origin::Forwarded => {
            let said = Forwarded::read(request.headers());
            let (scheme, host) = (said.scheme.unwrap_or(scheme), said.host.unwrap_or(host));
            format!("{scheme}://{host}{}{mount}", said.prefix.unwrap_or_default())
        }
    }
}

/// What proxies in front say of the request they took. Of several the first stands nearest to the client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forwarded<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let first = |name| text(headers, name).and_then(|value| value.split(',').next()).map(str::trim);
        let mut said = Self {
            scheme: first("x-forwarded-proto"),
            host: first("x-forwarded-host"),
            prefix: first("x-forwarded-prefix").map(|prefix| prefix.trim_end_matches('/')),
        };
        for pair in first("forwarded").unwrap_or_default().split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "proto" => said.scheme = Some(value),
                "host" => said.host = Some(value),
                _ => {}
            }
        }
        let plain = |text: &&str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        };
        said.scheme = said.scheme.filter(|scheme| ["http", "https"].contains(scheme));
        said.host = said.host.filter(plain).filter(|host| !host.contains(['/', '?', '#', '@']));
        said.prefix =
            said.prefix.filter(plain).filter(|prefix| prefix.starts_with('/') && !prefix.contains(['?', '#']));
        said
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> [Option<String>; 3] {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse().unwrap(), value.parse().unwrap());
        }
        let said = Forwarded::read(&map);
        [said.scheme, said.host, said.prefix].map(|part| part.map(str::to_owned))
    }

    #[test]
    fn what_stands_nearest_to_the_client_counts() {
        let some = |text: &str| Some(text.to_owned());
        let all = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "book.example.org:8443 , inner"),
            ("x-forwarded-prefix", "/graph/"),
        ];
        assert_eq!(read(&all), [some("https"), some("book.example.org:8443"), some("/graph")]);
        let forwarded = [("forwarded", "for=192.0.2.1;proto=https;Host=\"a.example:1\", for=x;host=b")];
        assert_eq!(read(&forwarded), [some("https"), some("a.example:1"), None]);
    }

    #[test]
    fn what_is_no_part_of_an_address_is_left_out() {
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
