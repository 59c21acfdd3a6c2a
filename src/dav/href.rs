//! The paths of principals, homes, address books and cards.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::error::{Error, Kind};
use crate::percent::percent_decode;

/// Separates the owner and the folder of a shared book in a path: a character that no other path can have.
const OWNER_SEPARATOR: char = '\0';

/// The segment of a shared folder in another user's home.
pub(crate) fn owned(owner: &str, folder: &str) -> String {
    format!("{owner}{OWNER_SEPARATOR}{folder}")
}

/// The resource that a path names. Users and folders are as in the path: a user may be named by the principal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DavPlace {
    /// `/`, where clients start if they know only the server's name.
    Root,
    /// `/.well-known/carddav`
    WellKnown,
    /// `/dav/`
    Start,
    /// `/dav/principals/`
    Principals,
    /// A user.
    Principal(String),
    /// The collection of a user's address books.
    Home(String),
    /// A folder.
    Book(String, String),
    /// A contact or a group.
    Card(String, String, String),
}

impl DavPlace {
    /// Reads a path, as sent. `Ok(None)` if it names nothing.
    ///
    /// # Errors
    /// 400 for a broken escape, or if it is not UTF-8.
    pub(crate) fn parse(path: &str) -> Result<Option<Self>, Error> {
        let path = path.trim_start_matches('/');
        let (path, is_closed) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        if path.is_empty() {
            return Ok(Some(Self::Root));
        }
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let decoded = percent_decode(segment).filter(|segment| !segment.is_empty());
            segments.push(decoded.ok_or_else(|| {
                Error::invalid(Kind::Request, "", "The path has a broken escape, an empty segment, or is not UTF-8.")
            })?);
        }
        let mut segments = segments.into_iter();
        let first = segments.next().unwrap_or_default();
        let rest: Vec<_> = segments.collect();
        if first.eq_ignore_ascii_case(".well-known") {
            return Ok(matches!(rest.as_slice(), [only] if only == "carddav").then_some(Self::WellKnown));
        }
        if !first.eq_ignore_ascii_case("dav") {
            return Ok(None);
        }
        Ok(match rest.as_slice() {
            [] => Some(Self::Start),
            [kind] if kind == "principals" => Some(Self::Principals),
            [kind, user] if kind == "principals" => Some(Self::Principal(user.clone())),
            [kind, user] if kind == "addressbooks" => Some(Self::Home(user.clone())),
            [kind, user, folder] if kind == "addressbooks" => Some(Self::Book(user.clone(), folder_id(folder)?)),
            [kind, user, folder, name] if kind == "addressbooks" && !is_closed => {
                Some(Self::Card(user.clone(), folder_id(folder)?, name.clone()))
            }
            _ => None,
        })
    }

    /// The user it belongs to.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Root | Self::WellKnown | Self::Start | Self::Principals => None,
            Self::Principal(user) | Self::Home(user) | Self::Book(user, _) | Self::Card(user, ..) => Some(user),
        }
    }

    /// The folder, as the path has it.
    fn sent_folder(&self) -> Option<&str> {
        match self {
            Self::Book(_, folder) | Self::Card(_, folder, _) => Some(folder),
            _ => None,
        }
    }

    /// The owner of a shared mailbox, whose folder is shown in another user's home.
    pub(crate) fn shared(&self) -> Option<&str> {
        self.sent_folder()?.split_once(OWNER_SEPARATOR).map(|(owner, _)| owner)
    }

    /// The id of the folder.
    pub(crate) fn folder(&self) -> Option<&str> {
        let sent = self.sent_folder()?;
        Some(sent.split_once(OWNER_SEPARATOR).map_or(sent, |(_, folder)| folder))
    }

    /// The name of the card.
    pub(crate) fn name(&self) -> Option<&str> {
        if let Self::Card(_, _, name) = self { Some(name) } else { None }
    }
}

/// The folder id of a segment. An id that cannot be a segment is written as `=` and its base64.
fn folder_id(segment: &str) -> Result<String, Error> {
    let Some(encoded) = segment.strip_prefix('=') else { return Ok(segment.to_owned()) };
    let decoded = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or(Error::NotFound)
}

/// Writes paths below the address of the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hrefs {
    base: String,
}

impl Hrefs {
    /// Paths below `root`, the address with which links begin.
    pub(crate) fn new(root: &str) -> Self {
        let rest = root.split_once("://").map_or(root, |(_, rest)| rest);
        Self { base: rest.find('/').map(|slash| rest[slash..].trim_end_matches('/').to_owned()).unwrap_or_default() }
    }

    /// The path of a place.
    pub(crate) fn of(&self, place: &DavPlace) -> String {
        let mut href = self.base.clone();
        match place {
            DavPlace::Root => href.push('/'),
            DavPlace::WellKnown => href.push_str("/.well-known/carddav"),
            DavPlace::Start => href.push_str("/dav/"),
            DavPlace::Principals => href.push_str("/dav/principals/"),
            DavPlace::Principal(user) => {
                href.push_str("/dav/principals/");
                segment(&mut href, user);
                href.push('/');
            }
            DavPlace::Home(user) => {
                href.push_str("/dav/addressbooks/");
                segment(&mut href, user);
                href.push('/');
            }
            DavPlace::Book(user, id) => {
                href = self.of(&DavPlace::Home(user.clone()));
                folder(&mut href, id);
                href.push('/');
            }
            DavPlace::Card(user, id, name) => {
                href = self.of(&DavPlace::Book(user.clone(), id.clone()));
                segment(&mut href, name);
            }
        }
        href
    }

    /// The place that an address in a body or a header names. It is a path, or a whole address of any host, because a
    /// server behind a proxy does not know its own host.
    pub(crate) fn read(&self, href: &str) -> Option<DavPlace> {
        let href = href.trim();
        let path = match href.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            _ => href,
        };
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return None;
        }
        let below = path.strip_prefix(&self.base).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        DavPlace::parse(below).ok().flatten()
    }
}

/// Whether a text is a URI scheme (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}

/// Appends a segment. `@` is not escaped, because clients compare addresses as text.
pub(crate) fn segment(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

fn folder(out: &mut String, id: &str) {
    if id.contains(['/', OWNER_SEPARATOR]) || id.starts_with('=') || matches!(id, "." | ".." | "") {
        out.push('=');
        out.push_str(&URL_SAFE_NO_PAD.encode(id));
    } else {
        segment(out, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn card(user: &str, folder: &str, name: &str) -> DavPlace {
        DavPlace::Card(user.to_owned(), folder.to_owned(), name.to_owned())
    }

    #[test]
    fn paths_are_parsed_with_and_without_a_final_slash() {
        for (path, place) in [
            ("/", Some(DavPlace::Root)),
            ("/dav", Some(DavPlace::Start)),
            ("/dav/", Some(DavPlace::Start)),
            ("//dav/principals/", Some(DavPlace::Principals)),
            ("/dav/principals/ann%40x", Some(DavPlace::Principal("ann@x".into()))),
            ("/dav/addressbooks/ann/", Some(DavPlace::Home("ann".into()))),
            ("/dav/addressbooks/ann/b%c3%A4", Some(DavPlace::Book("ann".into(), "bä".into()))),
            ("/dav/addressbooks/ann/=Li4/", Some(DavPlace::Book("ann".into(), "..".into()))),
            ("/dav/addressbooks/ann/b/%7Ec.vcf", Some(card("ann", "b", "~c.vcf"))),
            ("/dav/addressbooks/ann/b/c.vcf/", None),
            ("/dav/addressbooks", None),
            ("/dav/other/ann", None),
            ("/dav/addressbooks/ann/b/c/d", None),
            ("/.well-known/carddav", Some(DavPlace::WellKnown)),
            ("/.well-known/caldav", None),
        ] {
            assert_eq!(DavPlace::parse(path).unwrap(), place, "{path}");
        }
        for path in ["/dav/%", "/dav/%zz", "/dav/%ff", "/dav/%00", "/dav//x", "/dav/addressbooks//"] {
            assert!(DavPlace::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn addresses_are_read_with_any_host_and_prefix() {
        let hrefs = Hrefs::new("https://a.example/graph");
        assert_eq!(hrefs.of(&card("ann", "a/b", "ü&.vcf")), "/graph/dav/addressbooks/ann/=YS9i/%C3%BC%26.vcf");
        for href in [
            "/graph/dav/addressbooks/ann/b/c%20d",
            " /dav/addressbooks/ann/b/c%20d\n",
            "http://other:1/graph/dav/addressbooks/ann/b/c%20d",
            "https://inner/dav/addressbooks/ann/b/c%20d",
        ] {
            assert_eq!(hrefs.read(href), Some(card("ann", "b", "c d")), "{href}");
        }
        for href in
            ["", "c.vcf", "dav/addressbooks/ann/b/c", "/dav/addressbooks/ann/b/c?x", "/graphdav/x", "/dav/%zz", "://"]
        {
            assert_eq!(hrefs.read(href), None, "{href}");
        }
        assert_eq!(Hrefs::new("http://a.example").of(&DavPlace::Start), "/dav/");
    }

    proptest! {
        #[test]
        fn written_paths_are_read_back(user in "[^\0]{1,20}", folder in "[^\0]{1,20}", name in "[^\0]{1,20}") {
            let hrefs = Hrefs::default();
            let place = card(&user, &folder, &name);
            let href = hrefs.of(&place);
            prop_assert!(href.is_ascii() && !href.contains('&'));
            prop_assert_eq!(hrefs.read(&href), Some(place));
        }

        #[test]
        fn any_path_is_read_or_refused(path in "(/|%|dav|addressbooks|=|\\PC){0,20}") {
            let _ = DavPlace::parse(&path);
        }
    }
}
