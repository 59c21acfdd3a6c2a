//! Who may call: bearer tokens and what they stand for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::user::{Principal, UserName};

/// The tokens that are accepted.
#[derive(Clone)]
pub struct Access(Arc<Known>);

enum Known {
    /// Every well-formed name is its own token.
    Names,
    Tokens {
        /// By SHA-256: neither the secrets nor how much of one was right can be had from here.
        principals: HashMap<[u8; 32], Principal>,
        /// The users named, by key.
        users: HashMap<String, UserName>,
    },
}

impl Access {
    /// For tests and first steps: the token `NAME` is the user of that name, `app:NAME` an application.
    pub fn development() -> Self {
        Self(Arc::new(Known::Names))
    }

    /// Reads `name=secret` entries, separated by commas or line ends; `app:name=secret` is an application. Blank
    /// entries and lines that begin with `#` are left out, and one name may have several secrets.
    ///
    /// # Errors
    /// One line that names the entry (never the secret): no `=`, a name that is none, an empty secret or one with
    /// characters no header can carry, a secret used twice, or no entry at all.
    pub fn tokens(text: &str) -> Result<Self, String> {
        let mut principals = HashMap::new();
        let mut users = HashMap::new();
        let text = text.replace('\u{feff}', "");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let entries = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
        for (i, entry) in entries.enumerate() {
            let Some((name, secret)) = entry.split_once('=') else {
                return Err(format!("token {}: no '=', expected name=secret", i + 1));
            };
            let Some(principal) = Principal::parse(name) else {
                let expected = "1 to 64 of A-Z a-z 0-9 . _ @ -, or app: and such a name";
                // Not shown: without a name in front, it may be a part of the secret.
                return Err(format!("token {}: no name before the '=', expected {expected}", i + 1));
            };
            if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!("token {} ({name}): the secret must be of visible ASCII characters", i + 1));
            }
            if let Principal::User(user) = &principal {
                users.entry(user.key()).or_insert_with(|| user.clone());
            }
            if principals.insert(digest(secret), principal).is_some() {
                return Err(format!("token {} ({name}): its secret is given twice", i + 1));
            }
        }
        if principals.is_empty() {
            return Err("no token is given".to_owned());
        }
        Ok(Self(Arc::new(Known::Tokens { principals, users })))
    }

    /// The bearer of a request's token.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] without a known one.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Result<Principal, Error> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = match value.trim().split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(Error::Unauthorized),
        };
        let principal = match &*self.0 {
            Known::Names => Principal::parse(token),
            Known::Tokens { principals, .. } => principals.get(&digest(token)).cloned(),
        };
        principal.ok_or(Error::Unauthorized)
    }

    /// The user of this name, as the operator spells it, if a mailbox is made for it at first use.
    pub(super) fn named(&self, user: &UserName) -> Option<UserName> {
        match &*self.0 {
            Known::Names => Some(user.clone()),
            Known::Tokens { users, .. } => users.get(&user.key()).cloned(),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(access: &Access, authorization: &str) -> Option<Principal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        access.principal(&headers).ok()
    }

    #[test]
    fn tokens_are_read_from_commas_and_lines() {
        let access = Access::tokens("ann=s1=x, bob=s2\n# nobody=s3\n\napp:sync=s4\nann=s5\n").unwrap();
        let ann = Principal::parse("ann");
        assert_eq!(principal(&access, "Bearer s1=x"), ann);
        assert_eq!(principal(&access, "bearer  s5 "), ann);
        assert_eq!(principal(&access, "Bearer s4"), Principal::parse("app:sync"));
        for bad in ["Bearer s3", "Bearer ann", "Bearer", "Basic s2", "s2", ""] {
            assert_eq!(principal(&access, bad), None, "{bad}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named_without_its_secret() {
        for (text, why) in [
            ("", "no token is given"),
            ("ann=s1,hunter2", "token 2: no '='"),
            ("hunter 2=", "no name before the '='"),
            ("ann=", "(ann): the secret must be"),
            ("ann=hunter 2", "(ann): the secret must be"),
            ("ann=hunter2,bob=hunter2", "(bob): its secret is given twice"),
        ] {
            let error = Access::tokens(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter"), "{error}");
        }
    }
}
