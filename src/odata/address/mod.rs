//! Parses a path in all its tolerated spellings (docs/graph.md, "Addresses"): names in any letter case, `%24ref` for
//! `$ref`, `contacts('id')` for `contacts/id`, doubled and trailing slashes, the placeholders SDKs send in place of
//! `me`, and for users `o''brien@…` as well as `o'brien@…`. Ids and keys are case-sensitive.
//!
//! ```
//! use contactd::odata::address::{Address, Item, Owner, Resource, Version};
//!
//! let address = Address::parse("/BETA/users('ann%40example.org')/Contacts/%24ref/").unwrap();
//! assert_eq!(address.version, Version::Beta);
//! assert_eq!(address.resource, Resource::Owned(Owner::User("ann@example.org".into()), Item::ContactsRef(vec![])));
//! let aliased = Address::parse("/users/me-token-to-replace/contacts/id").unwrap();
//! assert_eq!(Address::parse("/me/contacts('id')").unwrap(), aliased);
//! ```

use crate::domain::error::Error;
use crate::percent::percent_decode;

/// The version prefix of a path. Without a prefix, and under `beta`, contacts have the older beta shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// No prefix.
    None,
    /// `/beta`
    Beta,
    /// `/v1.0`
    V1,
}

impl Version {
    /// The prefix in a link.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Beta => "/beta",
            Self::V1 => "/v1.0",
        }
    }
}

/// The owner of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// `/me`, or a placeholder that SDKs send in its place.
    Me,
    /// `/users/{id | userPrincipalName}`, as requested.
    User(String),
}

/// The resource a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `/healthz`
    Health,
    /// The service document: the root.
    Service,
    /// `/$metadata`
    Metadata,
    /// `/openapi.json`
    OpenApi,
    /// `/$batch`
    Batch,
    /// `/users`
    Users,
    /// `/users/$count`
    UsersCount,
    /// Something below an owner.
    Owned(Owner, Item),
    /// `/subscriptions`
    Subscriptions,
    /// `/subscriptions/{id}`
    Subscription(String),
    /// `/subscriptions/{id}/reauthorize`
    Reauthorize(String),
    /// `/subscriptions/{id}/deliveries`
    Deliveries(String),
}

/// Ids of nested folders, the outermost first. Empty for the whole mailbox.
pub type Path = Vec<String>;

/// Resources below an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The user: `/me`, `/users/{id}`
    User,
    /// `…/contacts`, of the mailbox or of a folder.
    Contacts(Path),
    /// `…/contacts/$count`
    ContactsCount(Path),
    /// `…/contacts/delta`
    ContactsDelta(Path),
    /// `…/contacts/$ref`
    ContactsRef(Path),
    /// `…/contacts/$import`
    ContactsImport(Path),
    /// `…/contacts/$export`
    ContactsExport(Path),
    /// `…/contacts/{id}`
    Contact(Path, String),
    /// `…/contacts/{id}/$ref`, which supports no method.
    ContactRef,
    /// `…/contacts/{id}/extensions`
    Extensions(Path, String),
    /// `…/contacts/{id}/extensions/{name or id}`
    Extension(Path, String, String),
    /// `…/contacts/{id}/photo`
    Photo(Path, String),
    /// `…/contacts/{id}/photo/$value`
    PhotoValue(Path, String),
    /// `…/contactFolders`, or `…/childFolders` below a folder.
    Folders(Path),
    /// `…/contactFolders/$count`
    FoldersCount(Path),
    /// `…/contactFolders/delta`
    FoldersDelta,
    /// `…/contactFolders/{id}`
    Folder(Path),
    /// `…/outlook/masterCategories`
    Categories,
    /// `…/outlook/masterCategories/$count`
    CategoriesCount,
    /// `…/outlook/masterCategories/{id}`
    Category(String),
    /// `…/translateExchangeIds`
    TranslateExchangeIds,
    /// `…/permanentDelete` of a contact or, without an id, of the folder.
    PermanentDelete(Path, Option<String>),
    /// `…/deletedContacts` and below.
    Deleted(Deleted),
    /// `…/contactPermissions`
    Permissions,
    /// `…/contactPermissions/{id}`
    Permission(String),
}

/// Resources below `deletedContacts`, which Graph does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The list.
    All,
    /// `$count`
    Count,
    /// `{id}`
    One(String),
    /// `{id}/restore`
    Restore(String),
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The version prefix.
    pub version: Version,
    /// The resource.
    pub resource: Resource,
}

const DELTA: &[&str] = &["delta"];
const PERMANENT_DELETE: &[&str] = &["permanentDelete"];

impl Address {
    /// Parses an undecoded path that begins with `/`, without a query.
    ///
    /// # Errors
    /// [`Error::NoSegment`] names the first unknown segment.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let mut segments = Segments::read(path)?;
        let version = match segments.next() {
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("v1.0") => Version::V1,
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("beta") => Version::Beta,
            first => {
                segments.push_back(first);
                Version::None
            }
        };
        let resource = segments.resource()?;
        match segments.next() {
            Some(extra) => Err(Error::NoSegment(extra.text())),
            None => Ok(Self { version, resource }),
        }
    }

    /// The pattern of the path for the log, which must not contain client data.
    pub fn pattern(&self) -> &'static str {
        match &self.resource {
            Resource::Health => "/healthz",
            Resource::Service => "/",
            Resource::Metadata => "/$metadata",
            Resource::OpenApi => "/openapi.json",
            Resource::Batch => "/$batch",
            Resource::Users => "/users",
            Resource::UsersCount => "/users/$count",
            Resource::Owned(_, Item::User) => "/{user}",
            Resource::Owned(_, Item::Contacts(_)) => "/{user}/contacts",
            Resource::Owned(_, Item::ContactsCount(_)) => "/{user}/contacts/$count",
            Resource::Owned(_, Item::ContactsDelta(_)) => "/{user}/contacts/delta",
            Resource::Owned(_, Item::FoldersDelta) => "/{user}/contactFolders/delta",
            Resource::Owned(_, Item::ContactsRef(_)) => "/{user}/contacts/$ref",
            Resource::Owned(_, Item::ContactsImport(_)) => "/{user}/contacts/$import",
            Resource::Owned(_, Item::ContactsExport(_)) => "/{user}/contacts/$export",
            Resource::Owned(_, Item::Contact(..)) => "/{user}/contacts/{id}",
            Resource::Owned(_, Item::Extensions(..)) => "/{user}/contacts/{id}/extensions",
            Resource::Owned(_, Item::Extension(..)) => "/{user}/contacts/{id}/extensions/{extension}",
            Resource::Owned(_, Item::Photo(..)) => "/{user}/contacts/{id}/photo",
            Resource::Owned(_, Item::PhotoValue(..)) => "/{user}/contacts/{id}/photo/$value",
            Resource::Owned(_, Item::Folders(_)) => "/{user}/contactFolders",
            Resource::Owned(_, Item::FoldersCount(_)) => "/{user}/contactFolders/$count",
            Resource::Owned(_, Item::Folder(_)) => "/{user}/contactFolders/{id}",
            Resource::Owned(_, Item::Categories) => "/{user}/outlook/masterCategories",
            Resource::Owned(_, Item::CategoriesCount) => "/{user}/outlook/masterCategories/$count",
            Resource::Owned(_, Item::Category(_)) => "/{user}/outlook/masterCategories/{id}",
            Resource::Owned(_, Item::TranslateExchangeIds) => "/{user}/translateExchangeIds",
            Resource::Owned(_, Item::ContactRef) => "/{user}/contacts/{id}/$ref",
            Resource::Owned(_, Item::PermanentDelete(_, Some(_))) => "/{user}/contacts/{id}/permanentDelete",
            Resource::Owned(_, Item::PermanentDelete(_, None)) => "/{user}/contactFolders/{id}/permanentDelete",
            Resource::Owned(_, Item::Deleted(Deleted::All)) => "/{user}/deletedContacts",
            Resource::Owned(_, Item::Deleted(Deleted::Count)) => "/{user}/deletedContacts/$count",
            Resource::Owned(_, Item::Deleted(Deleted::One(_))) => "/{user}/deletedContacts/{id}",
            Resource::Owned(_, Item::Deleted(Deleted::Restore(_))) => "/{user}/deletedContacts/{id}/restore",
            Resource::Owned(_, Item::Permissions) => "/{user}/contactPermissions",
            Resource::Owned(_, Item::Permission(_)) => "/{user}/contactPermissions/{id}",
            Resource::Subscriptions => "/subscriptions",
            Resource::Subscription(_) => "/subscriptions/{id}",
            Resource::Reauthorize(_) => "/subscriptions/{id}/reauthorize",
            Resource::Deliveries(_) => "/subscriptions/{id}/deliveries",
        }
    }
}

/// A decoded path segment; `name('key')` counts as two.
enum Segment {
    Word(String),
    Key(String),
}

impl Segment {
    fn text(self) -> String {
        match self {
            Self::Word(text) | Self::Key(text) => text,
        }
    }
}

/// The remaining segments, the next one last.
struct Segments(Vec<Segment>);

impl Segments {
    fn read(path: &str) -> Result<Self, Error> {
        let mut segments = Vec::new();
        for raw in path.split('/').filter(|raw| !raw.is_empty()) {
            let text = percent_decode(raw).ok_or_else(|| Error::NoSegment(raw.to_owned()))?;
            match quoted_key(&text) {
                Some((name, key)) => segments.extend([Segment::Word(name.to_owned()), Segment::Key(key)]),
                None => segments.push(Segment::Word(text)),
            }
        }
        segments.reverse();
        Ok(Self(segments))
    }

    fn next(&mut self) -> Option<Segment> {
        self.0.pop()
    }

    fn push_back(&mut self, segment: Option<Segment>) {
        self.0.extend(segment);
    }

    fn resource(&mut self) -> Result<Resource, Error> {
        let Some(first) = self.next() else { return Ok(Resource::Service) };
        let owner = match &first {
            Segment::Word(word) if word.eq_ignore_ascii_case("healthz") => return Ok(Resource::Health),
            Segment::Word(word) if word.eq_ignore_ascii_case("$metadata") => return Ok(Resource::Metadata),
            Segment::Word(word) if word.eq_ignore_ascii_case("openapi.json") => return Ok(Resource::OpenApi),
            Segment::Word(word) if word.eq_ignore_ascii_case("$batch") => return Ok(Resource::Batch),
            Segment::Word(word) if word.eq_ignore_ascii_case("subscriptions") => return Ok(self.subscriptions()),
            Segment::Word(word) if word.eq_ignore_ascii_case("me") => Owner::Me,
            Segment::Word(word) if word.eq_ignore_ascii_case("users") => match self.next() {
                None => return Ok(Resource::Users),
                Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$count") => return Ok(Resource::UsersCount),
                // Graph's documentation doubles quotes here too. No name has two quotes in a row.
                Some(name) => match name.text().replace("''", "'") {
                    name if is_me(&name) => Owner::Me,
                    name => Owner::User(name),
                },
            },
            _ => return Err(Error::NoSegment(first.text())),
        };
        match self.next() {
            None => Ok(Resource::Owned(owner, Item::User)),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("contacts") => self.contacts(owner, Path::new()),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("contactFolders") => self.folders(owner),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("deletedContacts") => self.deleted(owner),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("contactPermissions") => {
                let id = self.next().map(Segment::text);
                Ok(Resource::Owned(owner, id.map_or(Item::Permissions, Item::Permission)))
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("outlook") => self.outlook(owner, word),
            Some(Segment::Word(word)) if match_word(&word, &["translateExchangeIds"]).is_some() => {
                Ok(Resource::Owned(owner, Item::TranslateExchangeIds))
            }
            Some(other) => Err(Error::NoSegment(other.text())),
        }
    }

    fn subscriptions(&mut self) -> Resource {
        let Some(id) = self.next().map(Segment::text) else { return Resource::Subscriptions };
        let word = self.next();
        match &word {
            Some(Segment::Word(word)) if match_word(word, &["reauthorize"]).is_some() => Resource::Reauthorize(id),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("deliveries") => Resource::Deliveries(id),
            _ => {
                self.push_back(word);
                Resource::Subscription(id)
            }
        }
    }

    fn folders(&mut self, owner: Owner) -> Result<Resource, Error> {
        let mut path = Path::new();
        loop {
            match self.next() {
                None => return Ok(Resource::Owned(owner, Item::Folders(path))),
                Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$count") => {
                    return Ok(Resource::Owned(owner, Item::FoldersCount(path)));
                }
                // A folder's id must be followed by what is below it.
                Some(Segment::Word(word)) if path.is_empty() && match_word(&word, DELTA).is_some() => {
                    return Ok(Resource::Owned(owner, Item::FoldersDelta));
                }
                Some(Segment::Word(text) | Segment::Key(text)) => path.push(text),
            }
            match self.next() {
                None => return Ok(Resource::Owned(owner, Item::Folder(path))),
                Some(Segment::Word(word)) if word.eq_ignore_ascii_case("contacts") => {
                    return self.contacts(owner, path);
                }
                Some(Segment::Word(word)) if word.eq_ignore_ascii_case("childFolders") => {}
                Some(Segment::Word(word)) if match_word(&word, PERMANENT_DELETE).is_some() => {
                    return Ok(Resource::Owned(owner, Item::PermanentDelete(path, None)));
                }
                Some(other) => return Err(Error::NoSegment(other.text())),
            }
        }
    }

    fn contacts(&mut self, owner: Owner, path: Path) -> Result<Resource, Error> {
        let id = match self.next() {
            None => return Ok(Resource::Owned(owner, Item::Contacts(path))),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$ref") => {
                return Ok(Resource::Owned(owner, Item::ContactsRef(path)));
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$count") => {
                return Ok(Resource::Owned(owner, Item::ContactsCount(path)));
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$import") => {
                return Ok(Resource::Owned(owner, Item::ContactsImport(path)));
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$export") => {
                return Ok(Resource::Owned(owner, Item::ContactsExport(path)));
            }
            Some(Segment::Word(word)) if match_word(&word, DELTA).is_some() => {
                return Ok(Resource::Owned(owner, Item::ContactsDelta(path)));
            }
            Some(Segment::Word(text) | Segment::Key(text)) => text,
        };
        match self.next() {
            None => Ok(Resource::Owned(owner, Item::Contact(path, id))),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$ref") => {
                Ok(Resource::Owned(owner, Item::ContactRef))
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("photo") => match self.next() {
                Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$value") => {
                    Ok(Resource::Owned(owner, Item::PhotoValue(path, id)))
                }
                rest => {
                    self.push_back(rest);
                    Ok(Resource::Owned(owner, Item::Photo(path, id)))
                }
            },
            Some(Segment::Word(word)) if match_word(&word, PERMANENT_DELETE).is_some() => {
                Ok(Resource::Owned(owner, Item::PermanentDelete(path, Some(id))))
            }
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("extensions") => {
                let item = match self.next() {
                    None => Item::Extensions(path, id),
                    Some(name) => Item::Extension(path, id, name.text()),
                };
                Ok(Resource::Owned(owner, item))
            }
            Some(other) => Err(Error::NoSegment(other.text())),
        }
    }

    /// Resources below `outlook`, which is not a resource itself.
    fn outlook(&mut self, owner: Owner, outlook: String) -> Result<Resource, Error> {
        match self.next() {
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("masterCategories") => {}
            other => return Err(Error::NoSegment(other.map_or(outlook, Segment::text))),
        }
        let item = match self.next() {
            None => Item::Categories,
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$count") => Item::CategoriesCount,
            Some(id) => Item::Category(id.text()),
        };
        Ok(Resource::Owned(owner, item))
    }

    fn deleted(&mut self, owner: Owner) -> Result<Resource, Error> {
        let id = match self.next() {
            None => return Ok(Resource::Owned(owner, Item::Deleted(Deleted::All))),
            Some(Segment::Word(word)) if word.eq_ignore_ascii_case("$count") => {
                return Ok(Resource::Owned(owner, Item::Deleted(Deleted::Count)));
            }
            Some(id) => id.text(),
        };
        let item = match self.next() {
            None => Deleted::One(id),
            Some(Segment::Word(word)) if match_word(&word, &["restore"]).is_some() => Deleted::Restore(id),
            Some(other) => return Err(Error::NoSegment(other.text())),
        };
        Ok(Resource::Owned(owner, Item::Deleted(item)))
    }
}

/// Matches `word` (bare, qualified, or with the parentheses of a call) to one of `words`.
fn match_word(word: &str, words: &[&'static str]) -> Option<&'static str> {
    let word = word.strip_suffix("()").unwrap_or(word);
    let word = word.get(16..).filter(|_| word[..16].eq_ignore_ascii_case("microsoft.graph.")).unwrap_or(word);
    words.iter().find(|known| known.eq_ignore_ascii_case(word)).copied()
}

/// The user ids SDKs send when their path rewriting is off.
fn is_me(name: &str) -> bool {
    ["me-token-to-replace", "TokenToReplace"].iter().any(|me| me.eq_ignore_ascii_case(name))
}

/// Splits `contacts('id')`. A doubled quote inside the quotes is one quote.
fn quoted_key(text: &str) -> Option<(&str, String)> {
    let (name, rest) = text.split_once("('")?;
    let key = rest.strip_suffix("')")?;
    let single = key.replace("''", "");
    (!name.is_empty() && !single.contains('\'')).then(|| (name, key.replace("''", "'")))
}

mod canonical;
mod keys;
#[cfg(test)]
mod tests;
