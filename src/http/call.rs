//! One call of the API: what is asked, by which headers, and the table of what is offered.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use super::answer::Answer;
use super::body::Taken;
use super::subscriptions::Act;
use super::{Api, contacts, contacts_ref, folders, photos, subscriptions, users};
use crate::contact::Shape;
use crate::error::{Error, Kind};
use crate::odata::address::{Address, Item, Owner, Resource, Version};
use crate::odata::etag::Preconditions;
use crate::odata::format;
use crate::odata::page::{DEFAULT_SIZE, MAX_SIZE};
use crate::odata::prefer::{Handling, Prefer};
use crate::odata::query::Query;
use crate::user::{Principal, User, UserName};

/// The header that tells how far a write has brought its mailbox.
pub(super) const POSITION: &str = "Contactd-Position";

fn parse_position(value: &str) -> Result<i64, Error> {
    value.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        Error::invalid(Kind::Request, POSITION, format!("'{POSITION}' must be a number as an answer gave it."))
    })
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    GetUser,
    ListContacts,
    CountContacts,
    CreateContact,
    ListReferences,
    AddContact,
    GetContact,
    UpdateContact,
    DeleteContact,
    GetPhoto,
    GetPhotoValue,
    PutPhoto,
    DeletePhoto,
    ListFolders,
    CountFolders,
    CreateFolder,
    GetFolder,
    UpdateFolder,
    DeleteFolder,
    Subscription(Act),
    /// Known to Graph, not served yet.
    NotYet,
}

/// What can be called at one place, and by which method.
pub(super) type Offered = &'static [(&'static str, Endpoint)];

impl Endpoint {
    /// What it does with a body.
    pub(super) fn body(self) -> Taken {
        use Endpoint as E;
        match self {
            E::CreateContact
            | E::AddContact
            | E::UpdateContact
            | E::CreateFolder
            | E::UpdateFolder
            | E::Subscription(Act::Create | Act::Renew) => Taken::Json,
            E::PutPhoto => Taken::Bytes,
            _ => Taken::Not,
        }
    }

    /// Whether it has query options of its own to read.
    fn reads_query(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::GetUser
                | E::ListContacts
                | E::CountContacts
                | E::ListReferences
                | E::GetContact
                | E::ListFolders
                | E::CountFolders
                | E::GetFolder
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
    /// [`Error::NoSegment`], [`Error::NotAcceptable`], or 400 for a precondition that cannot be read.
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
        let (address, query) = (Address::parse(path)?, query.unwrap_or_default());
        let annotated = match &address.resource {
            Resource::Metadata => format::is_xml(query).map(|()| true)?,
            // What has one form only.
            Resource::Health | Resource::Owned(_, Item::ContactsCount(_) | Item::FoldersCount(_)) => true,
            _ => format::is_annotated(query, &lines("accept").unwrap_or_default())?,
        };
        Ok(Self {
            api,
            address,
            path,
            query,
            prefer: Prefer::parse(&lines("prefer").unwrap_or_default()),
            expected: Preconditions::parse(lines("if-match").as_deref(), lines("if-none-match").as_deref())?,
            annotated,
            position: lines(POSITION).map(|value| parse_position(&value)).transpose()?,
            root,
            // The same without the body, which the connection leaves out.
            method: if *method == Method::HEAD { &Method::GET } else { method },
        })
    }

    /// The table of everything offered.
    ///
    /// # Errors
    /// [`Error::MethodNotAllowed`], with what is.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Error> {
        use Endpoint as E;
        if let Some(offered) = subscriptions::offered(&self.address.resource) {
            return self.among(offered);
        }
        let Resource::Owned(_, item) = &self.address.resource else { return Ok(E::NotYet) };
        let offered: Offered = match item {
            Item::User => &[("GET", E::GetUser)],
            Item::Contacts(_) => &[("GET", E::ListContacts), ("POST", E::CreateContact)],
            Item::ContactsCount(_) => &[("GET", E::CountContacts)],
            Item::ContactsRef(_) => &[("GET", E::ListReferences), ("POST", E::AddContact)],
            Item::FoldersCount(_) => &[("GET", E::CountFolders)],
            Item::Folders(_) => &[("GET", E::ListFolders), ("POST", E::CreateFolder)],
            Item::Folder(_) => &[("GET", E::GetFolder), ("PATCH", E::UpdateFolder), ("DELETE", E::DeleteFolder)],
            Item::Contact(..) => &[("GET", E::GetContact), ("PATCH", E::UpdateContact), ("DELETE", E::DeleteContact)],
            Item::ContactRef => &[],
            // Graph cannot take a contact's photo away.
            Item::Photo(..) if self.handling() == Handling::Strict => &[("GET", E::GetPhoto)],
            Item::Photo(..) => &[("GET", E::GetPhoto), ("DELETE", E::DeletePhoto)],
            Item::PhotoValue(..) if self.handling() == Handling::Strict => {
                &[("GET", E::GetPhotoValue), ("PUT", E::PutPhoto), ("PATCH", E::PutPhoto)]
            }
            Item::PhotoValue(..) => {
                &[("GET", E::GetPhotoValue), ("PUT", E::PutPhoto), ("PATCH", E::PutPhoto), ("DELETE", E::DeletePhoto)]
            }
        };
        self.among(offered)
    }

    fn among(&self, offered: Offered) -> Result<Endpoint, Error> {
        let found = offered.iter().find(|(method, _)| *method == self.method.as_str());
        found.map(|(_, endpoint)| *endpoint).ok_or_else(|| {
            let served = offered.iter().filter(|(_, endpoint)| *endpoint != Endpoint::NotYet);
            Error::MethodNotAllowed(served.map(|(method, _)| *method).collect())
        })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Whatever the call can end with.
    pub(super) async fn perform(&self, endpoint: Endpoint, caller: &Principal, body: Vec<u8>) -> Result<Answer, Error> {
        if let Endpoint::Subscription(act) = endpoint {
            return self.preferences_applied(subscriptions::perform(self, act, caller, &body).await?);
        }
        let not_yet = || {
            let (prefix, pattern) = (self.address.version.prefix(), self.address.pattern());
            Error::NotImplemented(format!("{} {prefix}{pattern}", self.method))
        };
        let Resource::Owned(owner, item) = &self.address.resource else { return Err(not_yet()) };
        if !endpoint.reads_query() {
            Query::none(self.query)?;
        }
        let (path, id): (&[String], &str) = match item {
            Item::Contact(path, id) | Item::Photo(path, id) | Item::PhotoValue(path, id) => (path, id),
            Item::Contacts(path)
            | Item::ContactsCount(path)
            | Item::FoldersCount(path)
            | Item::ContactsRef(path)
            | Item::Folders(path)
            | Item::Folder(path) => (path, ""),
            Item::User | Item::ContactRef => (&[], ""),
        };
        let mailbox = self.mailbox(caller, owner).await?;
        let answer = match endpoint {
            Endpoint::NotYet | Endpoint::Subscription(_) => return Err(not_yet()),
            Endpoint::GetUser => users::get(self, &mailbox)?,
            Endpoint::ListContacts => contacts::list(self, &mailbox, path).await?,
            Endpoint::CountContacts => contacts::count(self, &mailbox, path).await?,
            Endpoint::CreateContact => contacts::create(self, &mailbox, path, &body).await?,
            Endpoint::ListReferences => contacts_ref::list(self, &mailbox, path).await?,
            Endpoint::AddContact => contacts_ref::add(self, caller, &mailbox, path, &body).await?,
            Endpoint::GetContact => contacts::get(self, &mailbox, path, id).await?,
            Endpoint::UpdateContact => contacts::update(self, &mailbox, path, id, &body).await?,
            Endpoint::DeleteContact => contacts::delete(self, &mailbox, path, id).await?,
            Endpoint::GetPhoto => photos::get(self, &mailbox, path, id).await?,
            Endpoint::GetPhotoValue => photos::value(self, &mailbox, path, id).await?,
            Endpoint::PutPhoto => photos::put(self, &mailbox, path, id, body).await?,
            Endpoint::DeletePhoto => photos::delete(self, &mailbox, path, id).await?,
            Endpoint::CountFolders => folders::count(self, &mailbox, path).await?,
            Endpoint::ListFolders => folders::list(self, &mailbox, path).await?,
            Endpoint::CreateFolder => folders::create(self, &mailbox, path, &body).await?,
            Endpoint::GetFolder => folders::get(self, &mailbox, path).await?,
            Endpoint::UpdateFolder => folders::update(self, &mailbox, path, &body).await?,
            Endpoint::DeleteFolder => folders::delete(self, &mailbox, path).await?,
        };
        self.preferences_applied(answer)
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

    /// How much a page holds: as much as when the walk began, since the client's `$top` is repeated but not what it
    /// preferred.
    pub(super) fn page_size(&self, begun: Option<u16>, query: &Query) -> u16 {
        let asked = begun.map(i64::from).or(query.top).unwrap_or(i64::from(DEFAULT_SIZE));
        let size = asked.min(self.prefer.max_page_size.unwrap_or(i64::MAX));
        u16::try_from(size).unwrap_or(MAX_SIZE).min(MAX_SIZE)
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
    fn preferences_applied(&self, answer: Answer) -> Result<Answer, Error> {
        let mut applied = Vec::new();
        match self.prefer.handling {
            Some(Handling::Lenient) => applied.push("handling=lenient".to_owned()),
            Some(Handling::Strict) => applied.push("handling=strict".to_owned()),
            None => {}
        }
        let writes = matches!(self.method.as_str(), "POST" | "PATCH" | "PUT");
        match self.prefer.minimal.filter(|_| writes) {
            Some(true) => applied.push("return=minimal".to_owned()),
            Some(false) => applied.push("return=representation".to_owned()),
            None => {}
        }
        if self.prefer.immutable_id {
            applied.push("IdType=\"ImmutableId\"".to_owned());
        }
        if let (Some(size), Resource::Owned(_, Item::Contacts(_) | Item::ContactsRef(_) | Item::Folders(_)), "GET") =
            (self.prefer.max_page_size, &self.address.resource, self.method.as_str())
        {
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
