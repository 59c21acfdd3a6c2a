//! `If-Match` and `If-None-Match` (RFC 9110, sections 13.1.1 and 13.1.2).

use crate::domain::error::{Error, Kind};
use crate::domain::etag::{EntityTags, Preconditions};

/// Reads both headers. A header that was sent more than once is passed with its values joined by commas.
///
/// # Errors
/// 400 for a header that is neither `*` nor a list of entity tags.
pub fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Preconditions, Error> {
    Ok(Preconditions {
        if_match: if_match.map(|value| tags("If-Match", value)).transpose()?,
        if_none_match: if_none_match.map(|value| tags("If-None-Match", value)).transpose()?,
    })
}

fn tags(header: &'static str, value: &str) -> Result<EntityTags, Error> {
    let malformed = || {
        let message = format!("'{header}' must be * or a list of entity tags like W/\"…\".");
        Error::invalid(Kind::Request, header, message)
    };
    if value.trim() == "*" {
        return Ok(EntityTags::Any);
    }
    let mut tags = Vec::new();
    // Elements may be empty (RFC 9110, section 5.6.1.2), and a tag may contain commas.
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
    if tags.is_empty() { Err(malformed()) } else { Ok(EntityTags::List(tags)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn if_match(value: &str) -> Result<bool, Error> {
        Ok(parse(Some(value), None)?.check("a+b/==").is_ok())
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
    fn malformed_headers_are_refused() {
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
