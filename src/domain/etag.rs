//! Entity tags, and the conditions under which a request may change something. Tags are compared weakly: `W/"x"` equals
//! `"x"`, as OData allows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::error::Error;

/// The version token of a state: time and number of the write that made it, in base64, which is legal inside an ETag (RFC
/// 9110, section 8.8.3). The time keeps it unique when a restored backup uses the same number again.
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

/// The tags of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityTags {
    /// `*`: any state.
    Any,
    /// Version tokens.
    List(Vec<String>),
}

impl EntityTags {
    fn include(&self, token: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag == token),
        }
    }
}

/// The state a request expects its target to be in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The state must be one of these.
    pub if_match: Option<EntityTags>,
    /// The state must be none of these.
    pub if_none_match: Option<EntityTags>,
}

impl Preconditions {
    /// Checks that a write may change the state with this version token.
    ///
    /// # Errors
    /// [`Error::Stale`] if not.
    pub fn check(&self, token: &str) -> Result<(), Error> {
        let stale = self.if_match.as_ref().is_some_and(|tags| !tags.include(token)) || self.unchanged(token);
        if stale { Err(Error::Stale) } else { Ok(()) }
    }

    /// Checks that a write may create what does not exist yet.
    ///
    /// # Errors
    /// [`Error::Stale`] if a state is expected.
    pub fn check_absent(&self) -> Result<(), Error> {
        if self.if_match.is_some() { Err(Error::Stale) } else { Ok(()) }
    }

    /// Whether a reader already has this state.
    pub fn unchanged(&self, token: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.include(token))
    }
}
