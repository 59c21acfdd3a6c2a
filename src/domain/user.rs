//! Callers: users, who have one mailbox each, and applications, which have none and may open any.

use uuid::Uuid;

use crate::domain::plain;

/// Suffix of the principal name if the name has no `@`.
const LOCAL: &str = "@localhost";
/// Suffix of the principal name of a provider's user without a name; the id precedes it.
const NAMELESS: &str = "@identity";
/// Longest name, in characters. A provider's name has 255, and a suffix may be added.
pub const MAX_NAME: usize = 300;
/// Longest name of a local user, in bytes: that of an e-mail address (RFC 5321, section 4.5.3.1.3, without the brackets).
const MAX_LOCAL_NAME: usize = 254;
/// Longest part before the `@`, in bytes.
const MAX_LOCAL: usize = 64;
/// The rule for names, for error messages.
pub const EXPECTED_NAME: &str = "1 to 64 characters of A-Z a-z 0-9 . _ - ' + ! # & ^ ~, without # at the start or '' inside, optionally followed by @ and a domain, at most 254 in total";

/// A checked name of a user: what Entra accepts as a principal name, and what e-mail addresses usually contain. `=` and `,`
/// are excluded because they separate lists of tokens, and so are characters with a meaning in paths and queries. `#` is
/// allowed because the names of guests contain it (`#EXT#`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// `None` for anything but [`EXPECTED_NAME`].
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || b"._-@'+!#&^~".contains(&b);
        let local = text.rsplit_once('@').map_or(text, |(local, _)| local);
        // A line that begins with # is a comment in a list of tokens; two quotes are an escaped quote in a path.
        let fits = (1..=MAX_LOCAL_NAME).contains(&text.len())
            && local.len() <= MAX_LOCAL
            && text.bytes().all(is_known)
            && !text.starts_with('#')
            && !text.contains("''");
        fits.then(|| Self(text.to_owned()))
    }

    /// Parses a user in a path: the name or the principal name.
    pub fn of_address(text: &str) -> Option<Self> {
        let at = text.len().checked_sub(LOCAL.len()).filter(|at| text.is_char_boundary(*at));
        match at.map(|at| text.split_at(at)) {
            Some((name, domain)) if domain.eq_ignore_ascii_case(LOCAL) && !name.contains('@') => Self::parse(name),
            _ => Self::parse(text),
        }
    }

    /// The name as first written, which is the user's id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `NAME@localhost`, or the name itself if it has an `@`. It is also the mail address.
    pub fn principal_name(&self) -> String {
        if self.0.contains('@') { self.0.clone() } else { format!("{}{LOCAL}", self.0) }
    }

    /// The lookup key: the principal name in lower case, so that `ann`, `ANN` and `ann@localhost` are the same user.
    pub fn key(&self) -> String {
        self.principal_name().to_ascii_lowercase()
    }
}

/// A user as an identity provider describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's URL; at most 1,000 bytes.
    pub issuer: String,
    /// The provider's id of the user, never reused; at most 255 characters.
    pub subject: String,
    /// A name the provider shows to people. It is not used for lookups, since users may choose it.
    pub claimed_name: Option<String>,
    /// The name in the claim that the operator trusts.
    pub trusted: Option<Trusted>,
    /// The display name.
    pub display_name: Option<String>,
    /// When the provider issued this, in UTC microseconds.
    pub issued: i64,
}

/// A name that the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The claim it comes from.
    pub claim: String,
    /// The name as in the claim.
    pub name: String,
}

/// The lookup key of a text that may be a user's name. A provider's names may contain any characters.
pub fn key(text: &str) -> String {
    UserName::of_address(text).map_or_else(|| text.to_lowercase(), |name| name.key())
}

/// Whether a text can be a user's name or id.
pub fn is_name(text: &str) -> bool {
    text.chars().count() <= MAX_NAME && !text.is_empty() && plain::is_plain(text)
}

/// Whether a provider's user may be given this name: it must not be the lookup key of another user.
pub fn is_assignable(name: &str) -> bool {
    let id = UserName::of_address(name).map(|name| name.0);
    let id = id.as_deref().unwrap_or(name);
    let id = id.len().checked_sub(NAMELESS.len()).filter(|at| id.is_char_boundary(*at)).map_or(id, |at| {
        match id.split_at(at) {
            (id, end) if end.eq_ignore_ascii_case(NAMELESS) => id,
            _ => id,
        }
    });
    is_name(name) && !name.contains("''") && Uuid::parse_str(id).is_err()
}

/// The principal name of a provider's user without a name.
pub fn nameless(id: &str) -> String {
    format!("{id}{NAMELESS}")
}

/// A name as shown in `userPrincipalName`.
pub fn displayable(text: &str) -> String {
    UserName::parse(text).map_or_else(|| text.to_owned(), |name| name.principal_name())
}

/// The bearer of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person. `/me` is their mailbox, and other mailboxes are visible only if shared.
    User(UserName),
    /// An application. It opens any mailbox under `/users/…`; `/me` is refused.
    App(UserName),
}

impl Principal {
    /// Parses `NAME` or `app:NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("app:") {
            Some(name) => UserName::parse(name).map(Self::App),
            None => UserName::parse(text).map(Self::User),
        }
    }
}

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name as first used; a UUID for a provider's user.
    pub id: String,
    /// Shown as `displayName`.
    pub display_name: String,
    /// Shown as `userPrincipalName`.
    pub user_principal_name: String,
    /// Shown as `mail`.
    pub mail: String,
    /// The key of everything the user owns. It is greater than those of all users created before.
    pub mailbox: i64,
}

impl User {
    /// Whether a text is the user's name or id.
    pub fn is_called(&self, text: &str) -> bool {
        key(&self.user_principal_name) == key(text) || self.id == text
    }

    /// Whether an identity provider created the user. The id of a local user is the name.
    pub fn is_of_provider(&self) -> bool {
        key(&self.user_principal_name) != key(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_principal_name_can_be() {
        let domain = format!("a@{}", "d".repeat(252));
        for good in [
            "Ann.Lee_1@example-host.org",
            "o'brien@example.org",
            "a+b@example.org",
            "ann_example.org#EXT#@tenant.onmicrosoft.com",
            "r&d!^~@example.org",
            "a@b@c",
            &"a".repeat(64),
            &format!("{}@example.org", "a".repeat(64)),
            &domain,
        ] {
            assert!(UserName::parse(good).is_some(), "{good:?}");
        }
        for bad in [
            "", "a b", "é", "a:b", "a/b", "a\0", "#a", "o''brien", "a=b", "a,b", "a%b", "a?b", "a\\b", "a\nb", "$a",
            "a\"b", "(a)",
        ] {
            assert!(UserName::parse(bad).is_none(), "{bad:?}");
        }
        for long in ["a".repeat(65), format!("{}@example.org", "a".repeat(65)), format!("{domain}d")] {
            assert!(UserName::parse(&long).is_none(), "{long:?}");
        }
    }

    #[test]
    fn a_user_is_addressed_by_name_or_principal_name() {
        let longest = "a".repeat(64);
        for name in ["ann", "ann@example.org", longest.as_str()] {
            let user = UserName::parse(name).unwrap();
            assert_eq!(UserName::of_address(name), Some(user.clone()));
            assert_eq!(
                UserName::of_address(&user.principal_name().replace("local", "LOCAL")).unwrap().key(),
                user.key()
            );
        }
        for bad in ["", "@localhost", "é@localhost", "a@b@localhostx y", "ocalhosté"] {
            assert_eq!(UserName::of_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_principal_is_a_user_or_an_application() {
        assert!(matches!(Principal::parse("ann"), Some(Principal::User(name)) if name.key() == "ann@localhost"));
        assert!(matches!(Principal::parse("app:Sync"), Some(Principal::App(name)) if name.as_str() == "Sync"));
        assert!(Principal::parse("app:").is_none());
        assert!(Principal::parse("app:a:b").is_none());
    }
}
