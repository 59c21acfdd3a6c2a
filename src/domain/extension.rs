//! The open extension: JSON members that a program stores with a contact, under a name the program chooses. Each value is
//! stored as JSON text, so that numbers keep all their digits.

use crate::domain::error::{Error, Kind};
use crate::domain::etag;

/// Most extensions of one contact.
pub const MAX_EXTENSIONS: usize = 100;
/// Most members of one extension.
pub const MAX_MEMBERS: usize = 100;
/// Longest name of an extension or of a member, in characters.
pub const MAX_NAME: usize = 128;
/// Most bytes of JSON in one extension.
pub const MAX_BYTES: usize = 64 << 10;
/// Most bytes of JSON in all extensions of one contact.
pub const MAX_ALL_BYTES: usize = 1 << 20;

/// Prefixes of the name in an id: Graph's, and that of its predecessor, which is found in old data.
const PREFIXES: [&str; 2] = ["microsoft.graph.openTypeExtension.", "Microsoft.OutlookServices.OpenTypeExtension."];

/// The name in an id; an id may be just the name.
///
/// ```
/// use contactd::domain::extension::name_of;
///
/// assert_eq!(name_of("Microsoft.Graph.OpenTypeExtension.org.example.a"), "org.example.a");
/// assert_eq!(name_of("org.example.a"), "org.example.a");
/// ```
pub fn name_of(id: &str) -> &str {
    let without_prefix = |prefix: &str| {
        let (start, rest) = id.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    PREFIXES.into_iter().find_map(without_prefix).unwrap_or(id)
}

/// A member: its name, and its value as JSON text.
pub type ExtensionMember = (String, String);

/// An extension as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Without the prefix of the id.
    pub name: String,
    /// In the order in which they were sent. Names are unique, ignoring letter case.
    pub members: Vec<ExtensionMember>,
    /// The number of its last write in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Extension {
    /// The version token, as [`crate::domain::contact::Contact::version_token`].
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }

    /// `microsoft.graph.openTypeExtension.{name}`
    pub fn id(&self) -> String {
        format!("{}{}", PREFIXES[0], self.name)
    }
}

/// The changes of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionPatch {
    /// `extensionName`, without the prefix of the id.
    pub name: Option<String>,
    /// Members with their values as JSON text. `None` stands for null and removes the member.
    pub members: Vec<(String, Option<String>)>,
}

/// A new extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExtension {
    /// Without the prefix of the id.
    pub name: String,
    /// Members that are not null.
    pub members: Vec<ExtensionMember>,
}

impl NewExtension {
    /// Size in bytes of JSON.
    pub fn size(&self) -> usize {
        size(&self.members)
    }
}

fn size(members: &[ExtensionMember]) -> usize {
    members.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// # Errors
/// 400 for too many members or bytes.
pub(crate) fn check_size(target: &str, members: usize, bytes: usize) -> Result<(), Error> {
    if members > MAX_MEMBERS {
        let message = format!("An extension has at most {MAX_MEMBERS} members, not {members}.");
        return Err(Error::invalid(Kind::Limit, target, message));
    }
    if bytes > MAX_BYTES {
        let message = format!("An extension has at most {MAX_BYTES} bytes of JSON, not {bytes}.");
        return Err(Error::invalid(Kind::Limit, target, message));
    }
    Ok(())
}

impl ExtensionPatch {
    /// The members after this change.
    ///
    /// # Errors
    /// 400 if they become too many or too large.
    pub fn applied_to(self, mut members: Vec<ExtensionMember>) -> Result<Vec<ExtensionMember>, Error> {
        for (name, value) in self.members {
            let same = |(known, _): &ExtensionMember| known.to_lowercase() == name.to_lowercase();
            match (members.iter().position(same), value) {
                (Some(at), Some(value)) => members[at] = (name, value),
                (Some(at), None) => drop(members.remove(at)),
                (None, Some(value)) => members.push((name, value)),
                (None, None) => {}
            }
        }
        check_size("", members.len(), size(&members))?;
        Ok(members)
    }
}
