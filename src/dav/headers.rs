//! The headers of WebDAV: `Depth`, `Prefer`, `Accept`, `If`, and the entity tags as clients and proxies send them.

use actix_web::http::header::HeaderMap;

use crate::domain::card::CardVersion;
use crate::domain::error::{Error, Kind};
use crate::domain::etag::{EntityTags, Preconditions};

/// The value of a header as text, with several lines joined (RFC 9110, section 5.3).
pub(crate) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut lines = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let first = lines.next()?;
    Some(lines.fold(first, |all, line| [all, line].join(", ")))
}

/// `Depth` (RFC 4918, section 10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Zero,
    One,
    Infinity,
}

impl Depth {
    /// # Errors
    /// 400 for any other value.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some(value) = text(headers, "depth") else { return Ok(None) };
        match value.trim().to_ascii_lowercase().as_str() {
            "0" => Ok(Some(Self::Zero)),
            "1" => Ok(Some(Self::One)),
            "infinity" => Ok(Some(Self::Infinity)),
            _ => Err(Error::invalid(Kind::Request, "Depth", "Depth must be 0, 1 or infinity.")),
        }
    }
}

/// `Prefer` (RFC 7240, 8144), as far as the server supports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DavPrefer {
    /// `return=minimal`
    pub(crate) minimal: bool,
    /// `return=representation`
    pub(crate) representation: bool,
    /// `depth-noroot`
    pub(crate) no_root: bool,
}

impl DavPrefer {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        // Some clients send Microsoft's older spelling.
        if text(headers, "brief").is_some_and(|value| value.trim().eq_ignore_ascii_case("t")) {
            prefer.minimal = true;
        }
        for preference in text(headers, "prefer").unwrap_or_default().split(',') {
            let preference: String = preference.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
            match preference.to_ascii_lowercase().as_str() {
                "return=minimal" => prefer.minimal = true,
                "return=representation" => prefer.representation = true,
                "depth-noroot" => prefer.no_root = true,
                _ => {}
            }
        }
        prefer
    }

    /// The value of `Preference-Applied`.
    pub(crate) fn applied(self) -> Option<&'static str> {
        match (self.minimal, self.no_root) {
            (true, true) => Some("return=minimal, depth-noroot"),
            (true, false) => Some("return=minimal"),
            (false, true) => Some("depth-noroot"),
            (false, false) => None,
        }
    }
}

/// The version of cards that `Accept` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptedVersion {
    /// No version is preferred: the stored one.
    Stored,
    /// This one.
    Version(CardVersion),
}

/// The version of a card that `Accept` asks for.
///
/// # Errors
/// [`Error::NotAcceptable`] if no vCard is accepted.
pub(crate) fn accepted(headers: &HeaderMap) -> Result<AcceptedVersion, Error> {
    let Some(accept) = text(headers, "accept").filter(|accept| !accept.trim().is_empty()) else {
        return Ok(AcceptedVersion::Stored);
    };
    let mut best: Option<((f32, u8), AcceptedVersion)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version) = (1.0_f32, None);
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => weight = value.parse().unwrap_or(0.0),
                "version" => version = Some(value),
                _ => {}
            }
        }
        let is_card = ["text/vcard", "text/x-vcard", "text/directory"].contains(&media_type.as_str());
        if !is_card && !matches!(media_type.as_str(), "*/*" | "text/*") || weight <= 0.0 {
            continue;
        }
        // With equal weight the more specific range wins, then the first.
        let (accepted_version, specific) = match (is_card, version) {
            (true, Some(version)) => match CardVersion::of(version) {
                Some(version) => (AcceptedVersion::Version(version), 2),
                None => continue,
            },
            (is_card, _) => (AcceptedVersion::Stored, u8::from(is_card)),
        };
        if best.is_none_or(|(other, _)| (weight, specific) > other) {
            best = Some(((weight, specific), accepted_version));
        }
    }
    best.map(|(_, accepted_version)| accepted_version).ok_or_else(|| Error::NotAcceptable("text/vcard".to_owned()))
}

/// `If-Match` and `If-None-Match` as clients really send them: also weak, unquoted, and with the suffix that reverse
/// proxies append to a tag when they compress.
pub(crate) fn preconditions(headers: &HeaderMap) -> Preconditions {
    let tags = |name| text(headers, name).map(|value| tags(&value));
    Preconditions { if_match: tags("if-match"), if_none_match: tags("if-none-match") }
}

fn tags(value: &str) -> EntityTags {
    if value.trim() == "*" {
        return EntityTags::Any;
    }
    // The server's own tags contain no comma.
    EntityTags::List(value.split(',').map(tag_text).filter(|tag| !tag.is_empty()).collect())
}

/// The text inside a tag.
fn tag_text(tag: &str) -> String {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag).trim_matches('"');
    let tag =
        ["-gzip", "-br", "-zstd", "-deflate", ";gzip"].iter().find_map(|end| tag.strip_suffix(end)).unwrap_or(tag);
    tag.to_owned()
}

/// A condition of the `If` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfCondition {
    pub(crate) not: bool,
    pub(crate) state: ConditionState,
}

/// The state that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConditionState {
    /// `<token>`
    Token(String),
    /// `["etag"]`, without quotes.
    Tag(String),
}

/// A list of the `If` header: the address, if it is tagged, and the conditions, which must all hold.
pub(crate) type IfList = (Option<String>, Vec<IfCondition>);

/// Reads `If` (RFC 4918, section 10.4).
///
/// # Errors
/// 400 if it cannot be read.
fn if_header(headers: &HeaderMap) -> Result<Vec<IfList>, Error> {
    let Some(value) = text(headers, "if") else { return Ok(Vec::new()) };
    let bad = || Error::invalid(Kind::Request, "If", "The If header cannot be read (RFC 4918, section 10.4).");
    let (mut lists, mut tag, mut rest) = (Vec::new(), None, value.trim());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('<') {
            let (address, after) = after.split_once('>').ok_or_else(bad)?;
            tag = Some(address.to_owned());
            rest = after.trim_start();
            if !rest.starts_with('(') {
                return Err(bad());
            }
            continue;
        }
        let inside = rest.strip_prefix('(').ok_or_else(bad)?;
        let (conditions, after) = conditions(inside).ok_or_else(bad)?;
        lists.push((tag.clone(), conditions));
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    if lists.is_empty() { Err(bad()) } else { Ok(lists) }
}

/// The `If` header of a request, and the state it is compared with.
#[derive(Debug, Clone)]
pub(crate) struct If {
    lists: Vec<IfList>,
    /// Whether each list is about the request's own address.
    is_own: Vec<bool>,
    /// The current sync token of the book, which counts as a state token.
    token: String,
}

impl If {
    /// # Errors
    /// 400 if it cannot be read.
    pub(crate) fn read(request: &super::routes::Request<'_>, token: &str) -> Result<Self, Error> {
        let call = request.call;
        let lists = if_header(call.head.headers)?;
        let is_own = |list: &IfList| match &list.0 {
            None => true,
            Some(address) => call.hrefs.read(address).is_some_and(|place| {
                // A list about the book's address may name its token.
                place == call.place || place.name().is_none() && place.folder() == call.place.folder()
            }),
        };
        Ok(Self { is_own: lists.iter().map(is_own).collect(), lists, token: token.to_owned() })
    }

    /// The same, compared with another state of the book.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self }
    }

    /// Checks the conditions against the state of the request's own resource.
    ///
    /// # Errors
    /// [`Error::Stale`] if no list holds.
    pub(crate) fn check(&self, tag: Option<&str>) -> Result<(), Error> {
        let holds = |condition: &IfCondition, is_own: bool| {
            let is_equal = is_own
                && match &condition.state {
                    ConditionState::Token(token) => *token == self.token,
                    ConditionState::Tag(sent) => tag == Some(sent.as_str()),
                };
            is_equal != condition.not
        };
        let mut lists = self.lists.iter().zip(&self.is_own);
        let met = lists.any(|((_, conditions), is_own)| conditions.iter().all(|condition| holds(condition, *is_own)));
        if self.lists.is_empty() || met { Ok(()) } else { Err(Error::Stale) }
    }
}

/// The conditions up to the closing parenthesis.
fn conditions(mut rest: &str) -> Option<(Vec<IfCondition>, &str)> {
    let mut conditions = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return (!conditions.is_empty()).then_some((conditions, after));
        }
        let is_negated = rest.get(..3).is_some_and(|not| not.eq_ignore_ascii_case("not"));
        if is_negated {
            rest = rest[3..].trim_start();
        }
        let state = if let Some(after) = rest.strip_prefix('<') {
            let (token, after) = after.split_once('>')?;
            rest = after;
            ConditionState::Token(token.to_owned())
        } else {
            let (tag, after) = rest.strip_prefix('[')?.split_once(']')?;
            rest = after;
            ConditionState::Tag(tag_text(tag))
        };
        conditions.push(IfCondition { not: is_negated, state });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = actix_web::http::header::HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(actix_web::http::header::HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn entity_tags_match_in_the_forms_that_proxies_send() {
        for value in ["\"a+/=.1\"", "W/\"a+/=.1\"", "a+/=.1", "\"a+/=.1-gzip\"", "\"x\", \"a+/=.1\"", "*"] {
            assert!(preconditions(&with("if-match", value)).check("a+/=.1").is_ok(), "{value}");
            assert!(preconditions(&with("if-none-match", value)).unchanged("a+/=.1"), "{value}");
        }
        for value in ["\"b\"", "", "\"a+/=.1-other\""] {
            assert!(preconditions(&with("if-match", value)).check("a+/=.1").is_err(), "{value}");
        }
    }

    #[test]
    fn a_version_is_chosen_by_weight() {
        let (v3, v4) = (AcceptedVersion::Version(CardVersion::V3), AcceptedVersion::Version(CardVersion::V4));
        for (accept, accepted_version) in [
            ("", AcceptedVersion::Stored),
            ("*/*", AcceptedVersion::Stored),
            ("text/vcard", AcceptedVersion::Stored),
            ("text/vcard; charset=utf-8; Version=\"4.0\"", v4),
            ("text/vcard;version=4.0;q=0.5, text/vcard; version=3.0", v3),
            ("text/vcard;version=4.0, text/vcard;version=3.0", v4),
            ("text/html, */*;q=0.1", AcceptedVersion::Stored),
            ("*/*, text/vcard;version=4.0", v4),
            ("text/vcard;version=2.1, text/*;q=0.1", AcceptedVersion::Stored),
        ] {
            assert_eq!(accepted(&with("accept", accept)).unwrap(), accepted_version, "{accept}");
        }
        for accept in ["text/html", "application/json", "text/vcard;version=2.1", "text/vcard;q=0"] {
            assert!(accepted(&with("accept", accept)).is_err(), "{accept}");
        }
    }

    #[test]
    fn the_if_header_is_read_with_tags_and_lists() {
        let lists = if_header(&with("if", "</dav/x> (<data:,1> Not [\"e\"]) ([W/\"f\"])")).unwrap();
        let token = |not, token: &str| IfCondition { not, state: ConditionState::Token(token.to_owned()) };
        let tag = |not, tag: &str| IfCondition { not, state: ConditionState::Tag(tag.to_owned()) };
        let at = Some("/dav/x".to_owned());
        assert_eq!(lists, [(at.clone(), vec![token(false, "data:,1"), tag(true, "e")]), (at, vec![tag(false, "f")])]);
        assert_eq!(if_header(&with("if", "(Not <DAV:no-lock>)")).unwrap(), [(None, vec![token(true, "DAV:no-lock")])]);
        for bad in ["x", "(", "()", "(<a)", "(x)", "<a>", "(<a>) x", "([a)", "(not)"] {
            assert!(if_header(&with("if", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn preferences_and_depth() {
        let prefer = DavPrefer::read(&with("prefer", "return=minimal, depth-noroot"));
        assert_eq!(prefer, DavPrefer { minimal: true, no_root: true, representation: false });
        assert_eq!(prefer.applied(), Some("return=minimal, depth-noroot"));
        assert!(DavPrefer::read(&with("prefer", "Return = \"representation\"")).representation);
        assert_eq!(Depth::read(&with("depth", "Infinity")).unwrap(), Some(Depth::Infinity));
        assert!(Depth::read(&with("depth", "2")).is_err());
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value in "(\\(|\\)|<|>|\\[|\\]|\"|not |,|;|=|\\PC){0,20}") {
            let _ = if_header(&with("if", &value));
            let _ = accepted(&with("accept", &value));
            let _ = preconditions(&with("if-match", &value));
        }
    }
}
