//! The permissions of a token, by Graph's names, and what they allow here (docs/graph.md, "Permissions").

use std::fmt;

/// A permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read the own mailbox; for an application, any mailbox.
    ContactsRead,
    /// Read and write the own mailbox; for an application, any mailbox.
    ContactsReadWrite,
    /// Read the own mailbox and those shared by others.
    ContactsReadShared,
    /// Read and write the own mailbox and those shared by others, as far as they are shared.
    ContactsReadWriteShared,
    /// Applications only: list users.
    UserReadAll,
    /// Applications only: list users and share mailboxes.
    UserReadWriteAll,
}

impl Scope {
    /// All known permissions.
    pub const ALL: [Self; 6] = [
        Self::ContactsRead,
        Self::ContactsReadWrite,
        Self::ContactsReadShared,
        Self::ContactsReadWriteShared,
        Self::UserReadAll,
        Self::UserReadWriteAll,
    ];

    /// Its name in Graph.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContactsRead => "Contacts.Read",
            Self::ContactsReadWrite => "Contacts.ReadWrite",
            Self::ContactsReadShared => "Contacts.Read.Shared",
            Self::ContactsReadWriteShared => "Contacts.ReadWrite.Shared",
            Self::UserReadAll => "User.Read.All",
            Self::UserReadWriteAll => "User.ReadWrite.All",
        }
    }

    /// The permission of this name, in any letter case.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name().eq_ignore_ascii_case(name))
    }

    /// Whether it applies to the tokens of applications, or of users.
    fn applies_to(self, application: bool) -> bool {
        match self {
            Self::ContactsRead | Self::ContactsReadWrite => true,
            Self::ContactsReadShared | Self::ContactsReadWriteShared => !application,
            Self::UserReadAll | Self::UserReadWriteAll => application,
        }
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All permissions of an application, or of a user.
    pub fn all(application: bool) -> Self {
        Scope::ALL.into_iter().filter(|scope| scope.applies_to(application)).collect()
    }

    /// The permissions of a token without explicit ones. A user may read and write the own mailbox and those shared by
    /// others; an application may read and write any.
    pub fn default_for(application: bool) -> Self {
        let all = [Scope::ContactsReadWrite, Scope::ContactsReadWriteShared];
        all.into_iter().filter(|scope| scope.applies_to(application)).collect()
    }

    /// The known permissions among `names` that apply to an application, or to a user. Others belong to other services or
    /// to the other kind of token, and are ignored.
    pub fn from_known_names<'a>(names: impl IntoIterator<Item = &'a str>, application: bool) -> Self {
        names.into_iter().filter_map(Scope::of).filter(|scope| scope.applies_to(application)).collect()
    }

    /// Parses names separated by spaces or commas.
    ///
    /// # Errors
    /// One line that names the unknown permission, or says that there is none.
    pub fn parse(text: &str, application: bool) -> Result<Self, String> {
        let names = text.split([' ', ',']).filter(|name| !name.is_empty());
        let read = |name: &str| {
            Scope::of(name).filter(|scope| scope.applies_to(application)).ok_or_else(|| {
                let known: Vec<_> =
                    Scope::ALL.iter().filter(|scope| scope.applies_to(application)).map(|s| s.name()).collect();
                let bearer = if application { "an application" } else { "a user" };
                format!("'{name}' is not a permission of {bearer}; use {}", known.join(", "))
            })
        };
        let scopes = names.map(read).collect::<Result<Self, _>>()?;
        if scopes == Self::default() { Err("no permission is named".to_owned()) } else { Ok(scopes) }
    }

    fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether the own mailbox may be read; for an application, any.
    pub fn may_read(self) -> bool {
        use Scope as S;
        [S::ContactsRead, S::ContactsReadWrite, S::ContactsReadShared, S::ContactsReadWriteShared]
            .into_iter()
            .any(|scope| self.has(scope))
    }

    /// Whether the own mailbox may be written to; for an application, any.
    pub fn may_write(self) -> bool {
        self.has(Scope::ContactsReadWrite) || self.has(Scope::ContactsReadWriteShared)
    }

    /// Whether a mailbox shared by another user may be read.
    pub fn may_read_shared(self) -> bool {
        self.has(Scope::ContactsReadShared) || self.has(Scope::ContactsReadWriteShared)
    }

    /// Whether a mailbox shared for writing may be written to.
    pub fn may_write_shared(self) -> bool {
        self.has(Scope::ContactsReadWriteShared)
    }

    /// Whether users may be listed.
    pub fn may_list_users(self) -> bool {
        self.has(Scope::UserReadAll) || self.has(Scope::UserReadWriteAll)
    }

    /// Whether mailboxes may be shared on behalf of their owners.
    pub fn may_share(self) -> bool {
        self.has(Scope::UserReadWriteAll)
    }
}

fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(bit).fold(0, |all, bit| all | bit))
    }
}

/// The names separated by spaces, as in `scp`.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_in_any_case_and_printed_in_one() {
        let scopes = Scopes::parse("contacts.readwrite, Contacts.Read.Shared", false).unwrap();
        assert_eq!(scopes.to_string(), "Contacts.ReadWrite Contacts.Read.Shared");
        assert_eq!(Scopes::parse(&scopes.to_string(), false), Ok(scopes));
        for application in [false, true] {
            let all = Scopes::all(application);
            assert_eq!(Scopes::parse(&all.to_string(), application), Ok(all));
        }
    }

    #[test]
    fn a_permission_of_another_kind_of_bearer_is_refused_or_ignored() {
        for (text, application) in
            [("Mail.Read", false), ("User.Read.All", false), ("Contacts.Read.Shared", true), ("", false), (" , ", true)]
        {
            assert!(Scopes::parse(text, application).is_err(), "{text}");
            assert_eq!(Scopes::from_known_names(text.split(' '), application), Scopes::default(), "{text}");
        }
    }

    #[test]
    fn each_permission_permits_what_graph_says_and_no_more() {
        let permits = |name| {
            let s = Scopes::from_iter(Scope::of(name));
            let may = [s.may_read(), s.may_write(), s.may_read_shared(), s.may_write_shared()];
            (may, [s.may_list_users(), s.may_share()])
        };
        assert_eq!(permits("Contacts.Read"), ([true, false, false, false], [false, false]));
        assert_eq!(permits("Contacts.ReadWrite"), ([true, true, false, false], [false, false]));
        assert_eq!(permits("Contacts.Read.Shared"), ([true, false, true, false], [false, false]));
        assert_eq!(permits("Contacts.ReadWrite.Shared"), ([true, true, true, true], [false, false]));
        assert_eq!(permits("User.Read.All"), ([false, false, false, false], [true, false]));
        assert_eq!(permits("User.ReadWrite.All"), ([false, false, false, false], [true, true]));
    }
}
