//! Criteria for requests, which faults and the journal share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::error::{Error, Kind};
use crate::http::inspect::InspectedRequest;

/// All given criteria must match.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequestMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// `*` is one segment, `**` the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) header: BTreeMap<String, String>,
}

impl RequestMatch {
    /// # Errors
    /// 400 that names the member.
    pub(crate) fn check(&self, target: &str) -> Result<(), Error> {
        let is_path = |path: &String| path.starts_with('/') && !path.contains('?');
        match &self.path {
            Some(path) if !is_path(path) => Err(Error::invalid(
                Kind::Body,
                format!("{target}/path"),
                "A path must begin with '/' and have no query, like '/me/contacts/*'.",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn matches(&self, inspected: &InspectedRequest<'_>) -> bool {
        let header = |name: &str| inspected.headers.get(name).and_then(|value| value.to_str().ok());
        self.user
            .as_deref()
            .is_none_or(|user| inspected.subject.user.as_deref().is_some_and(|owner| is_user(user, owner)))
            && self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(inspected.method))
            && self.path.as_deref().is_none_or(|path| is_path(path, &inspected.subject.path))
            && self.route.as_deref().is_none_or(|route| route == inspected.route)
            && self.header.iter().all(|(name, value)| header(name) == Some(value))
    }

    /// Whether it names one of these users.
    pub(crate) fn is_for_any(&self, users: &[String]) -> bool {
        self.user.as_deref().is_some_and(|user| users.iter().any(|other| is_user(other, user)))
    }
}

/// Whether two names are those of one user. Letter case is ignored.
pub(crate) fn is_user(user: &str, other: &str) -> bool {
    user.eq_ignore_ascii_case(other)
}

/// Whether a path matches a pattern. A version at the beginning of the pattern is ignored, because paths have none.
pub(crate) fn is_path(pattern: &str, path: &str) -> bool {
    let mut pattern = pattern.split('/').filter(|segment| !segment.is_empty()).peekable();
    pattern.next_if(|first| ["v1.0", "beta"].iter().any(|version| version.eq_ignore_ascii_case(first)));
    let mut path = path.split('/').filter(|segment| !segment.is_empty());
    loop {
        match (pattern.next(), path.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(expected), Some(found)) if expected.eq_ignore_ascii_case(found) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_one_segment_and_two_match_the_rest() {
        for (pattern, path, fits) in [
            ("/me/contacts", "/me/contacts", true),
            ("/v1.0/me/contacts/", "/me/contacts", true),
            ("/me/contacts", "/me/contacts/1", false),
            ("/me/contacts/*", "/me/contacts/1", true),
            ("/me/contacts/*", "/me/contacts", false),
            ("/me/contacts/*", "/me/contacts/1/photo", false),
            ("/*/contacts", "/me/contacts", true),
            ("/me/**", "/me/contacts/1/photo", true),
            ("/me/**", "/me", true),
            ("/**", "/", true),
            ("/", "/me", false),
        ] {
            assert_eq!(is_path(pattern, path), fits, "{pattern} {path}");
        }
    }
}
