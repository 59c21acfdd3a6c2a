//! One call of the API: what is asked, by which headers, and the table of what is offered.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use super::answer::Answer;
use super::{Api, contacts, contacts_ref, users};
use crate::error::Error;
use crate::odata::address::{Address, Owner, Resource, Version};
use crate::odata::etag::Preconditions;
use crate::odata::prefer::{Handling, Prefer};
use crate::odata::query::Query;
use crate::user::{Principal, User, UserName};

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Health,
    GetUser,
    ListContacts,
    CreateContact,
    AddContact,
    GetContact,
    UpdateContact,
    DeleteContact,
    NotYet,
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
        let accept = lines("accept").unwrap_or_default().to_ascii_lowercase();
        Ok(Self {
            api,
            address: Address::parse(path)?,
            path,
            query: query.unwrap_or_default(),
            prefer: Prefer::parse(&lines("prefer").unwrap_or_default()),
            expected: Preconditions::parse(lines("if-match").as_deref(), lines("if-none-match").as_deref())?,
            annotated: !accept.replace(' ', "").contains("odata.metadata=none"),
            root,
            method,
        })
    }

    /// The table of everything offered.
    ///
    /// # Errors
    /// [`Error::MethodNotAllowed`], with what is.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Error> {
        use Endpoint as E;
        let offered: &[(&str, Endpoint)] = match &self.address.resource {
            Resource::Health => &[("GET", E::Health)],
            _ if self.address.version == Version::V1 => return Ok(E::NotYet),
            Resource::NotYet(_) => return Ok(E::NotYet),
            Resource::User(_) => &[("GET", E::GetUser)],
            Resource::Contacts(_) => &[("GET", E::ListContacts), ("POST", E::CreateContact)],
            Resource::ContactsRef(_) => &[("GET", E::NotYet), ("POST", E::AddContact)],
            Resource::Contact(..) => {
                &[("GET", E::GetContact), ("PATCH", E::UpdateContact), ("DELETE", E::DeleteContact)]
            }
            Resource::ContactRef => &[],
        };
        let found = offered.iter().find(|(method, _)| *method == self.method.as_str());
        found.map(|(_, endpoint)| *endpoint).ok_or_else(|| {
            Error::MethodNotAllowed(
                offered.iter().filter(|(_, e)| *e != E::NotYet).map(|(method, _)| *method).collect(),
            )
        })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Whatever the call can end with.
    pub(super) async fn perform(&self, endpoint: Endpoint, caller: &Principal, body: &[u8]) -> Result<Answer, Error> {
        let (owner, id) = match &self.address.resource {
            Resource::User(owner) | Resource::Contacts(owner) | Resource::ContactsRef(owner) => (owner, ""),
            Resource::Contact(owner, id) => (owner, id.as_str()),
            Resource::Health | Resource::ContactRef | Resource::NotYet(_) => (&Owner::Me, ""),
        };
        if endpoint == Endpoint::NotYet || endpoint == Endpoint::Health {
            return Err(Error::NotImplemented(format!("{} {}", self.method, self.route())));
        }
        if endpoint != Endpoint::ListContacts {
            Query::none(self.query)?;
        }
        let mailbox = self.mailbox(caller, owner).await?;
        let answer = match endpoint {
            Endpoint::GetUser => users::get(self, &mailbox)?,
            Endpoint::ListContacts => contacts::list(self, &mailbox).await?,
            Endpoint::CreateContact => contacts::create(self, &mailbox, body).await?,
            Endpoint::AddContact => contacts_ref::add(self, caller, &mailbox, body).await?,
            Endpoint::GetContact => contacts::get(self, &mailbox, id).await?,
            Endpoint::UpdateContact => contacts::update(self, &mailbox, id, body).await?,
            Endpoint::DeleteContact => contacts::delete(self, &mailbox, id).await?,
            Endpoint::NotYet | Endpoint::Health => return Err(Error::internal("dispatched twice")),
        };
        self.preferences_applied(answer)
    }

    /// The path's pattern with its prefix.
    fn route(&self) -> String {
        format!("{}{}", self.address.version.prefix(), self.address.pattern())
    }

    /// Whose mailbox is meant, if the caller may see it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], the same for one that does not exist and one that is not the caller's.
    pub(super) async fn mailbox(&self, caller: &Principal, owner: &Owner) -> Result<Mailbox, Error> {
        let store = &self.api.store;
        let (user, asked) = match (caller, owner) {
            (Principal::App(_), Owner::Me) => return Err(Error::NoMe),
            (Principal::User(name), Owner::Me) => (store.user(name).await?, None),
            (Principal::User(name), Owner::User(asked)) => {
                let own = UserName::parse(asked).is_some_and(|asked| asked.key() == name.key());
                let user = if own { Some(store.user(name).await?) } else { None };
                (user.ok_or_else(|| Error::UnknownUser(asked.clone()))?, Some(asked.clone()))
            }
            (Principal::App(_), Owner::User(asked)) => {
                let user = match UserName::parse(asked) {
                    Some(name) if self.api.access.names(&name) => Some(store.user(&name).await?),
                    Some(name) => store.find_user(&name).await?,
                    None => None,
                };
                (user.ok_or_else(|| Error::UnknownUser(asked.clone()))?, Some(asked.clone()))
            }
        };
        Ok(Mailbox { asked: asked.unwrap_or_else(|| user.id.clone()), user })
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
        let writes = matches!(self.method.as_str(), "POST" | "PATCH");
        match self.prefer.minimal.filter(|_| writes) {
            Some(true) => applied.push("return=minimal".to_owned()),
            Some(false) => applied.push("return=representation".to_owned()),
            None => {}
        }
        if self.prefer.immutable_id {
            applied.push("IdType=\"ImmutableId\"".to_owned());
        }
        if let (Some(size), Resource::Contacts(_), "GET") =
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
