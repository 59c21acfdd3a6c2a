//! `If-Match` and `If-None-Match` (RFC 9110, sections 13.1.1 and 13.1.2). Tags are compared weakly: `W/"x"` and `"x"`
//! are one, as OData allows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::error::{Error, Kind};

/// Names a state by the time and the number of the write that made it, and no other state, not even after a restored
/// backup has used the same number again; base64, so legal inside an ETag (RFC 9110, section 8.8.3).
pub fn token(time: i64, number: i64) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&time.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    STANDARD.encode(bytes)
}

/// `W/"<version token>"`; weak, as Graph's.
pub fn weak(token: &str) -> String {
    format!("W/\"{token}\"")
}

/// The tags of one header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    List(Vec<String>),
}

impl Tags {
    fn parse(header: &'static str, value: &str) -> Result<Self, Error> {
        let malformed = || {
            let message = format!("'{header}' must be * or a list of entity tags like W/\"…\".");
            Error::invalid(Kind::Request, header, message)
        };
        if value.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        // Elements may be empty (RFC 9110, section 5.6.1.2), and commas may stand inside a tag.
        let mut rest = value.trim_start_matches([' ', '\t', ',']);
        while !rest.is_empty() {
            let quoted = rest.strip_prefix("W/").or_else(|| rest.strip_prefix("w/")).unwrap_or(rest);
            let (tag, after) = quoted.strip_prefix('"').and_then(|s| s.split_once('"')).ok_or_else(malformed)?;
            tags.push(tag.to_owned());
            rest = after.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(malformed());
            }
            rest = rest.trim_start_matches([' ', '\t', ',']);
        }
        if tags.is_empty() { Err(malformed()) } else { Ok(Self::List(tags)) }
    }

    fn include(&self, token: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag == token),
        }
    }
}

/// What a request expects of the state of what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Preconditions {
    /// Reads both headers, each as all its lines joined by commas.
    ///
    /// # Errors
    /// 400 for a header that is neither `*` nor a list of tags.
    pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, Error> {
        Ok(Self {
            if_match: if_match.map(|value| Tags::parse("If-Match", value)).transpose()?,
            if_none_match: if_none_match.map(|value| Tags::parse("If-None-Match", value)).transpose()?,
        })
    }

    /// Whether a write may go ahead on the state with this version token.
    ///
    /// # Errors
    /// [`Error::Stale`] when not.
    pub fn check(&self, token: &str) -> Result<(), Error> {
        let stale = self.if_match.as_ref().is_some_and(|tags| !tags.include(token)) || self.unchanged(token);
        if stale { Err(Error::Stale) } else { Ok(()) }
    }

    /// Whether a write may make what is not there yet.
    ///
    /// # Errors
    /// [`Error::Stale`] where a state is expected.
    pub fn check_absent(&self) -> Result<(), Error> {
        if self.if_match.is_some() { Err(Error::Stale) } else { Ok(()) }
    }

    /// Whether a reader has this state already.
    pub fn unchanged(&self, token: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.include(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn if_match(value: &str) -> Result<bool, Error> {
        Ok(Preconditions::parse(Some(value), None)?.check("a+b/==").is_ok())
    }

    #[test]
    fn tags_match_weakly_in_lists_and_by_star() {
        for value in
            ["W/\"a+b/==\"", "\"a+b/==\"", "*", " * ", "\"x\", W/\"a+b/==\"", "\"x\",\"a+b/==\" ", ",,\"a+b/==\" ,"]
        {
            assert!(if_match(value).unwrap(), "{value}");
        }
        for value in ["\"x\"", "\"\"", "W/\"A+B/==\""] {
            assert!(!if_match(value).unwrap(), "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for value in ["", ",", "a+b/==", "W/", "\"a", "\"a\" \"b\"", "\"a\"x", "*, \"a\""] {
            assert!(if_match(value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(value in "(W/|\"|,| |\\*|\\PC){0,20}") {
            let _ = if_match(&value);
        }
    }
}
