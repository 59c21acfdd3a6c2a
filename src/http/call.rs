//! One call of the API: what is asked, by which headers, and the table of what is offered.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use super::answer::Answer;
use super::{Api, categories, contacts, contacts_ref, exchange_ids, folders, users};
use crate::contact::Shape;
use crate::error::{Error, Kind};
use crate::odata::address::{Address, Item, Owner, Resource, Version};
use crate::odata::etag::Preconditions;
use crate::odata::prefer::{Handling, Prefer};
use crate::odata::query::Query;
use crate::user::{Principal, User, UserName};

/// The header that tells how far a write has brought its mailbox.
pub(super) const POSITION: &str = "Contactd-Position";

/// Whether an `Accept` asks for an answer without `@odata.*` members.
pub(super) fn wants_no_metadata(accept: &str) -> bool {
    accept.to_ascii_lowercase().replace([' ', '"'], "").contains("metadata=none")
}

fn parse_position(value: &str) -> Result<i64, Error> {
    value.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        Error::invalid(Kind::Request, POSITION, format!("'{POSITION}' must be a number as an answer gave it."))
    })
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    ListUsers,
    CountUsers,
    GetUser,
    ListContacts,
    CountContacts,
    CreateContact,
    AddContact,
    GetContact,
    UpdateContact,
    DeleteContact,
    ListFolders,
    CountFolders,
    CreateFolder,
    GetFolder,
    UpdateFolder,
    DeleteFolder,
    ListCategories,
    CountCategories,
    CreateCategory,
    GetCategory,
    UpdateCategory,
    DeleteCategory,
    TranslateIds,
    /// Known to Graph, not served yet.
    NotYet,
}

impl Endpoint {
    /// Whether a body belongs to it.
    pub(super) fn takes_body(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::CreateContact
                | E::AddContact
                | E::UpdateContact
                | E::CreateFolder
                | E::UpdateFolder
                | E::CreateCategory
                | E::UpdateCategory
                | E::TranslateIds
        )
    }

    /// Whether its answer has pages.
    fn is_list(self) -> bool {
        matches!(self, Self::ListUsers | Self::ListContacts | Self::ListFolders | Self::ListCategories)
    }

    /// Whether it has query options of its own to read.
    fn reads_query(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::ListUsers
                | E::CountUsers
                | E::GetUser
                | E::ListContacts
                | E::CountContacts
                | E::GetContact
                | E::ListFolders
                | E::CountFolders
                | E::GetFolder
                | E::ListCategories
                | E::CountCategories
                | E::GetCategory
                | E::NotYet
        )
    }
}

/// A request, read as far as its head goes.
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    pub(super) address: Address,
    /// As sent, below the mount.
    pub(super) path: &'a str,
    /// As sent.
    pub(super) query: &'a str,
    pub(super) prefer: Prefer,
    pub(super) expected: Preconditions,
    /// Whether `@odata.*` members are wanted.
    pub(super) annotated: bool,
    /// The `Contactd-Position` of the client's last write, where it carries it (docs/graph.md, "Positions").
    pub(super) position: Option<i64>,
    /// Scheme, host and mount: what every link begins with.
    root: String,
    method: &'a Method,
}

impl<'a> Call<'a> {
    /// # Errors
    /// [`Error::NoSegment`], or 400 for a precondition that cannot be read.
    pub(super) fn new(
        api: &'a Api,
        method: &'a Method,
        path: &'a str,
        query: Option<&'a str>,
        headers: &HeaderMap,
        root: String,
    ) -> Result<Self, Error> {
        // The lines of one header are one list (RFC 9110, section 5.3).
        let lines = |name: &str| {
            let lines: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        let accept = lines("accept").unwrap_or_default();
        Ok(Self {
            api,
            address: Address::parse(path)?,
            path,
            query: query.unwrap_or_default(),
            prefer: Prefer::parse(&lines("prefer").unwrap_or_default()),
            expected: Preconditions::parse(lines("if-match").as_deref(), lines("if-none-match").as_deref())?,
            annotated: !wants_no_metadata(&accept),
            position: lines(POSITION).map(|value| parse_position(&value)).transpose()?,
            root,
            // The same without the body, which the connection leaves out.
            method: if *method == Method::HEAD { &Method::GET } else { method },
        })
    }

    /// What is asked for.
    ///
    /// # Errors
    /// [`Error::MethodNotAllowed`], with what is offered.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Error> {
        let offered = match &self.address.resource {
            Resource::Users => &[("GET", Endpoint::ListUsers)],
            Resource::UsersCount => &[("GET", Endpoint::CountUsers)],
            Resource::Owned(_, item) => Self::offered(item),
            _ => return Ok(Endpoint::NotYet),
        };
        let found = offered.iter().find(|(method, _)| *method == self.method.as_str());
        found.map(|(_, endpoint)| *endpoint).ok_or_else(|| {
            let served = offered.iter().filter(|(_, endpoint)| *endpoint != Endpoint::NotYet);
            Error::MethodNotAllowed(served.map(|(method, _)| *method).collect())
        })
    }

    /// The table of everything offered below an owner.
    fn offered(item: &Item) -> &'static [(&'static str, Endpoint)] {
        use Endpoint as E;
        match item {
            Item::User => &[("GET", E::GetUser)],
            Item::Contacts(_) => &[("GET", E::ListContacts), ("POST", E::CreateContact)],
            Item::ContactsCount(_) => &[("GET", E::CountContacts)],
            Item::ContactsRef(_) => &[("GET", E::NotYet), ("POST", E::AddContact)],
            Item::FoldersCount(_) => &[("GET", E::CountFolders)],
            Item::Folders(_) => &[("GET", E::ListFolders), ("POST", E::CreateFolder)],
            Item::Folder(_) => &[("GET", E::GetFolder), ("PATCH", E::UpdateFolder), ("DELETE", E::DeleteFolder)],
            Item::Contact(..) => &[("GET", E::GetContact), ("PATCH", E::UpdateContact), ("DELETE", E::DeleteContact)],
            Item::Categories => &[("GET", E::ListCategories), ("POST", E::CreateCategory)],
            Item::CategoriesCount => &[("GET", E::CountCategories)],
            Item::Category(_) => {
                &[("GET", E::GetCategory), ("PATCH", E::UpdateCategory), ("DELETE", E::DeleteCategory)]
            }
            Item::TranslateExchangeIds => &[("POST", E::TranslateIds)],
            Item::ContactRef => &[],
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Whatever the call can end with.
    pub(super) async fn perform(&self, endpoint: Endpoint, caller: &Principal, body: &[u8]) -> Result<Answer, Error> {
        let not_yet = || {
            let (prefix, pattern) = (self.address.version.prefix(), self.address.pattern());
            Error::NotImplemented(format!("{} {prefix}{pattern}", self.method))
        };
        if !endpoint.reads_query() {
            Query::none(self.query)?;
        }
        let Resource::Owned(owner, item) = &self.address.resource else {
            let answer = match endpoint {
                Endpoint::ListUsers => users::list(self, caller).await?,
                Endpoint::CountUsers => users::count(self, caller).await?,
                _ => return Err(not_yet()),
            };
            return self.preferences_applied(endpoint, answer);
        };
        let (path, id): (&[String], &str) = match item {
            Item::Contact(path, id) => (path, id),
            Item::Contacts(path)
            | Item::ContactsCount(path)
            | Item::FoldersCount(path)
            | Item::ContactsRef(path)
            | Item::Folders(path)
            | Item::Folder(path) => (path, ""),
            Item::Category(id) => (&[], id),
            Item::User | Item::ContactRef | Item::Categories | Item::CategoriesCount | Item::TranslateExchangeIds => {
                (&[], "")
            }
        };
        let mailbox = self.mailbox(caller, owner).await?;
        let answer = match endpoint {
            Endpoint::ListUsers | Endpoint::CountUsers | Endpoint::NotYet => return Err(not_yet()),
            Endpoint::GetUser => users::get(self, &mailbox)?,
            Endpoint::ListContacts => contacts::list(self, &mailbox, path).await?,
            Endpoint::CountContacts => contacts::count(self, &mailbox, path).await?,
            Endpoint::CreateContact => contacts::create(self, &mailbox, path, body).await?,
            Endpoint::AddContact => contacts_ref::add(self, caller, &mailbox, path, body).await?,
            Endpoint::GetContact => contacts::get(self, &mailbox, path, id).await?,
            Endpoint::UpdateContact => contacts::update(self, &mailbox, path, id, body).await?,
            Endpoint::DeleteContact => contacts::delete(self, &mailbox, path, id).await?,
            Endpoint::CountFolders => folders::count(self, &mailbox, path).await?,
            Endpoint::ListFolders => folders::list(self, &mailbox, path).await?,
            Endpoint::CreateFolder => folders::create(self, &mailbox, path, body).await?,
            Endpoint::GetFolder => folders::get(self, &mailbox, path).await?,
            Endpoint::UpdateFolder => folders::update(self, &mailbox, path, body).await?,
            Endpoint::DeleteFolder => folders::delete(self, &mailbox, path).await?,
            Endpoint::ListCategories => categories::list(self, &mailbox).await?,
            Endpoint::CountCategories => categories::count(self, &mailbox).await?,
            Endpoint::CreateCategory => categories::create(self, &mailbox, body).await?,
            Endpoint::GetCategory => categories::get(self, &mailbox, id).await?,
            Endpoint::UpdateCategory => categories::update(self, &mailbox, id, body).await?,
            Endpoint::DeleteCategory => categories::delete(self, &mailbox, id).await?,
            Endpoint::TranslateIds => exchange_ids::translate(self, body)?,
        };
        self.preferences_applied(endpoint, answer)
    }

    /// Whose mailbox is meant, if the caller may see it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], the same for one that does not exist and one that is not the caller's.
    pub(super) async fn mailbox(&self, caller: &Principal, owner: &Owner) -> Result<Mailbox, Error> {
        let store = &self.api.store;
        let asked = match (caller, owner) {
            (Principal::App(_), Owner::Me) => return Err(Error::NoMe),
            (Principal::User(name), Owner::Me) => {
                let user = store.user(name).await?;
                return Ok(Mailbox { asked: user.id.clone(), user });
            }
            (_, Owner::User(asked)) => asked,
        };
        let user = match (caller, UserName::of_address(asked)) {
            (Principal::User(own), Some(name)) if name.key() == own.key() => Some(store.user(own).await?),
            (Principal::App(_), Some(name)) => match self.api.access.named(&name) {
                Some(named) => Some(store.user(&named).await?),
                None => store.find_user(&name).await?,
            },
            _ => None,
        };
        let user = user.ok_or_else(|| Error::UnknownUser(asked.clone()))?;
        Ok(Mailbox { asked: asked.clone(), user })
    }

    /// The address of a path below the API's prefix, for links and contexts.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{}{path}", self.root, self.address.version.prefix())
    }

    /// The address of the request itself, without its query.
    pub(super) fn own_link(&self) -> String {
        format!("{}{}", self.root, self.path)
    }

    /// Scheme, host and mount.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The shape of contacts under the request's prefix.
    pub(super) fn shape(&self) -> Shape {
        match self.address.version {
            Version::V1 => Shape::V1,
            Version::None | Version::Beta => Shape::Beta,
        }
    }

    pub(super) fn handling(&self) -> Handling {
        self.prefer.handling.unwrap_or(self.api.settings.handling)
    }

    /// Names in `Preference-Applied` (RFC 7240, section 3) what of `Prefer` was honoured.
    fn preferences_applied(&self, endpoint: Endpoint, answer: Answer) -> Result<Answer, Error> {
        let mut applied = Vec::new();
        match self.prefer.handling {
            Some(Handling::Lenient) => applied.push("handling=lenient".to_owned()),
            Some(Handling::Strict) => applied.push("handling=strict".to_owned()),
            None => {}
        }
        // There is nothing to leave out where an answer is all that is asked for.
        let writes = endpoint.takes_body() && endpoint != Endpoint::TranslateIds;
        match self.prefer.minimal.filter(|_| writes) {
            Some(true) => applied.push("return=minimal".to_owned()),
            Some(false) => applied.push("return=representation".to_owned()),
            None => {}
        }
        if self.prefer.immutable_id {
            applied.push("IdType=\"ImmutableId\"".to_owned());
        }
        if let Some(size) = self.prefer.max_page_size.filter(|_| endpoint.is_list()) {
            applied.push(format!("odata.maxpagesize={size}"));
        }
        if applied.is_empty() { Ok(answer) } else { answer.header("Preference-Applied", &applied.join(", ")) }
    }
}

/// A mailbox and how the request named its owner.
pub(super) struct Mailbox {
    pub(super) user: User,
    /// The user as asked, or the id for `/me`: what stands in contexts and links.
    pub(super) asked: String,
}
