//! One call of the API: what is asked, by which headers, and what answers it.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use futures_util::future::LocalBoxFuture;

use crate::domain::error::{Error, Kind};
use crate::domain::etag::Preconditions;
use crate::domain::query::typed::{Condition, Order};
use crate::graph::authorize::Mailbox;
use crate::graph::front_end::Graph;
use crate::graph::routes::{self, Endpoint, Offered};
use crate::graph::{
    batch, categories, contacts, contacts_ref, delta, exchange_ids, extensions, folders, once, permissions, photos,
    subscriptions, trash, users,
};
use crate::http::Api;
use crate::http::answer::{Answer, POSITION};
use crate::http::authenticate::Caller;
use crate::http::body::Taken;
use crate::http::conditional;
use crate::http::front_end::{Head, Source};
use crate::http::limits::Permit;
use crate::odata::address::{Address, Deleted, Item, Owner, Resource, Version};
use crate::odata::filter::{self, Model};
use crate::odata::format;
use crate::odata::page::{DEFAULT_SIZE, MAX_SIZE, MAX_TOKEN, PlaceToken};
use crate::odata::prefer::{Handling, Prefer};
use crate::odata::query::{self, Query};
use crate::odata::shape::Shape;
use crate::store::{SortedPage, Sorting};

/// Longest address below the mount, as links repeat it: what goes on from there adds a token, and a request line has
/// 65,534 bytes.
const MAX_ADDRESS: usize = 65_534 - MAX_TOKEN - 64;

/// # Errors
/// 400 for an address that a link to the next page could not repeat.
fn check_length(path: &str, query: &str) -> Result<(), Error> {
    // No byte becomes more than three.
    if path.len() + 3 * query.len() <= MAX_ADDRESS || path.len() + query::length_in_link(query) <= MAX_ADDRESS {
        return Ok(());
    }
    let message = format!("An address has at most {MAX_ADDRESS} bytes, what links must encode counted as encoded.");
    Err(Error::invalid(Kind::Query, "", message))
}

fn parse_position(value: &str) -> Result<i64, Error> {
    value.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        Error::invalid(Kind::Request, POSITION, format!("'{POSITION}' must be a number as an answer gave it."))
    })
}

/// A request, read as far as its head goes.
pub(crate) struct Call<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) api: &'a Api,
    pub(crate) address: Address,
    /// As sent, below the mount.
    pub(crate) path: &'a str,
    /// As sent.
    pub(crate) query: &'a str,
    pub(crate) prefer: Prefer,
    pub(crate) expected: Preconditions,
    /// Whether `@odata.*` members are wanted.
    pub(crate) annotated: bool,
    /// The `Contactd-Position` of the client's last write, where it carries it (docs/graph.md, "Positions").
    pub(crate) position: Option<i64>,
    /// As sent, see [`once`].
    pub(crate) idempotency_key: Option<String>,
    pub(crate) headers: &'a HeaderMap,
    source: Source,
    method: &'a Method,
}

impl<'a> Call<'a> {
    /// # Errors
    /// [`Error::NoSegment`], [`Error::NotAcceptable`], or 400 for a precondition that cannot be read.
    pub(crate) fn new(graph: &'a Graph, api: &'a Api, head: Head<'a>) -> Result<Self, Error> {
        let Head { method, path, query, headers, source } = head;
        // The lines of one header are one list (RFC 9110, section 5.3).
        let lines = |name: &str| {
            let lines: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        check_length(path, query)?;
        let address = Address::parse(path)?;
        let annotated = match &address.resource {
            Resource::Metadata => format::is_xml(query).map(|()| true)?,
            // What has one form only.
            Resource::Health
            | Resource::UsersCount
            | Resource::Owned(
                _,
                Item::ContactsCount(_) | Item::FoldersCount(_) | Item::CategoriesCount | Item::Deleted(Deleted::Count),
            ) => true,
            _ => format::is_annotated(query, &lines("accept").unwrap_or_default())?,
        };
        Ok(Self {
            graph,
            api,
            address,
            path,
            query,
            prefer: Prefer::parse(&lines("prefer").unwrap_or_default()),
            expected: conditional::parse(lines("if-match").as_deref(), lines("if-none-match").as_deref())?,
            annotated,
            position: lines(POSITION).map(|value| parse_position(&value)).transpose()?,
            idempotency_key: lines(once::NAME),
            headers,
            source,
            // The same without the body, which the connection leaves out.
            method: if *method == Method::HEAD { &Method::GET } else { method },
        })
    }

    /// # Errors
    /// [`Error::MethodNotAllowed`]
    pub(crate) fn only_get(&self) -> Result<(), Error> {
        if self.method == Method::GET { Ok(()) } else { Err(Error::MethodNotAllowed(vec!["GET"])) }
    }

    /// What is asked for.
    ///
    /// # Errors
    /// [`Error::MethodNotAllowed`], with what is offered.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        let offered: Offered = match &self.address.resource {
            Resource::Batch => &[("POST", Endpoint::Batch)],
            Resource::Users => &[("GET", Endpoint::ListUsers)],
            Resource::UsersCount => &[("GET", Endpoint::CountUsers)],
            Resource::Owned(_, item) => routes::offered(item, self.handling()),
            other => match subscriptions::offered(other) {
                Some(offered) => offered,
                None => return Ok(Endpoint::NotYet),
            },
        };
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
    pub(crate) async fn perform(
        &self,
        endpoint: Endpoint,
        caller: &Caller,
        permit: &Permit,
        body: &[u8],
    ) -> Result<Answer, Error> {
        if let Endpoint::Subscription(act) = endpoint {
            let answer = Box::pin(subscriptions::perform(self, act, caller, body)).await?;
            return self.preferences_applied(endpoint, answer);
        }
        let not_yet = || {
            let (prefix, pattern) = (self.address.version.prefix(), self.address.pattern());
            Error::NotImplemented(format!("{} {prefix}{pattern}", self.method))
        };
        if !endpoint.reads_query() {
            Query::none(self.query)?;
        }
        let Resource::Owned(owner, item) = &self.address.resource else {
            let answer = match endpoint {
                Endpoint::Batch => Box::pin(batch::perform(self, caller, permit, body)).await?,
                Endpoint::ListUsers => users::list(self, caller).await?,
                Endpoint::CountUsers => users::count(self, caller).await?,
                _ => return Err(not_yet()),
            };
            return self.preferences_applied(endpoint, answer);
        };
        let mailbox = self.mailbox(caller, owner, endpoint.need()).await?;
        let mut answer = self.handle(endpoint, caller, &mailbox, item, body).ok_or_else(not_yet)?.await;
        if let (Err(Error::UnknownUser(_)), Owner::User(asked)) = (&answer, owner) {
            // Who was remembered may have been removed meanwhile, and be made anew. Nothing was done yet.
            self.api.unguarded.forget_user(asked);
            let anew = self.mailbox(caller, owner, endpoint.need()).await?;
            if anew.user.mailbox != mailbox.user.mailbox {
                answer = self.handle(endpoint, caller, &anew, item, body).ok_or_else(not_yet)?.await;
            }
        }
        self.preferences_applied(endpoint, answer?)
    }

    /// What answers a call about something of an owner's, if it is served. On the heap, and made outside of `async`: else
    /// an unoptimized build keeps room for all of them on the stack, below which a deep filter is read.
    fn handle<'c>(
        &'c self,
        endpoint: Endpoint,
        caller: &'c Caller,
        mailbox: &'c Mailbox,
        item: &'c Item,
        body: &'c [u8],
    ) -> Option<LocalBoxFuture<'c, Result<Answer, Error>>> {
        let (path, id): (&[String], &str) = match item {
            Item::Contact(path, id)
            | Item::Extensions(path, id)
            | Item::Extension(path, id, _)
            | Item::Photo(path, id)
            | Item::PhotoValue(path, id) => (path, id),
            Item::Contacts(path)
            | Item::ContactsCount(path)
            | Item::ContactsDelta(path)
            | Item::FoldersCount(path)
            | Item::ContactsRef(path)
            | Item::Folders(path)
            | Item::Folder(path) => (path, ""),
            Item::PermanentDelete(path, id) => (path, id.as_deref().unwrap_or_default()),
            Item::Category(id) | Item::Permission(id) | Item::Deleted(Deleted::One(id) | Deleted::Restore(id)) => {
                (&[], id)
            }
            Item::User
            | Item::ContactRef
            | Item::FoldersDelta
            | Item::Deleted(Deleted::All | Deleted::Count)
            | Item::Categories
            | Item::CategoriesCount
            | Item::Permissions
            | Item::TranslateExchangeIds => (&[], ""),
        };
        Some(match endpoint {
            Endpoint::Batch
            | Endpoint::Subscription(_)
            | Endpoint::ListUsers
            | Endpoint::CountUsers
            | Endpoint::NotYet => return None,
            Endpoint::GetUser => Box::pin(users::get(self, mailbox)),
            Endpoint::ListContacts => Box::pin(contacts::list(self, mailbox, path)),
            Endpoint::FollowContacts => Box::pin(delta::contacts(self, mailbox, path)),
            Endpoint::FollowFolders => Box::pin(delta::folders(self, mailbox)),
            Endpoint::CountContacts => Box::pin(contacts::count(self, mailbox, path)),
            Endpoint::CreateContact => Box::pin(contacts::create(self, mailbox, path, body)),
            Endpoint::ListReferences => Box::pin(contacts_ref::list(self, mailbox, path)),
            Endpoint::AddContact => Box::pin(contacts_ref::add(self, caller, mailbox, path, body)),
            Endpoint::GetContact => Box::pin(contacts::get(self, mailbox, path, id)),
            Endpoint::UpdateContact => Box::pin(contacts::update(self, mailbox, path, id, body)),
            Endpoint::DeleteContact => Box::pin(contacts::delete(self, mailbox, path, id)),
            Endpoint::GetPhoto => Box::pin(photos::get(self, mailbox, path, id)),
            Endpoint::GetPhotoValue => Box::pin(photos::value(self, mailbox, path, id)),
            // A copy: it may have to be tried anew.
            Endpoint::PutPhoto => Box::pin(photos::put(self, mailbox, path, id, body.to_vec())),
            Endpoint::DeletePhoto => Box::pin(photos::delete(self, mailbox, path, id)),
            Endpoint::Extension(what) => {
                let name = if let Item::Extension(_, _, name) = item { name } else { "" };
                extensions::perform(self, what, mailbox, (path, id, name), body)
            }
            Endpoint::CountFolders => Box::pin(folders::count(self, mailbox, path)),
            Endpoint::ListFolders => Box::pin(folders::list(self, mailbox, path)),
            Endpoint::CreateFolder => Box::pin(folders::create(self, mailbox, path, body)),
            Endpoint::GetFolder => Box::pin(folders::get(self, mailbox, path)),
            Endpoint::UpdateFolder => Box::pin(folders::update(self, mailbox, path, body)),
            Endpoint::DeleteFolder => Box::pin(folders::delete(self, mailbox, path)),
            Endpoint::ListCategories => Box::pin(categories::list(self, mailbox)),
            Endpoint::CountCategories => Box::pin(categories::count(self, mailbox)),
            Endpoint::CreateCategory => Box::pin(categories::create(self, mailbox, body)),
            Endpoint::GetCategory => Box::pin(categories::get(self, mailbox, id)),
            Endpoint::UpdateCategory => Box::pin(categories::update(self, mailbox, id, body)),
            Endpoint::DeleteCategory => Box::pin(categories::delete(self, mailbox, id)),
            Endpoint::Permission(what) => Box::pin(permissions::perform(self, what, mailbox, id, body)),
            Endpoint::Trash(what) => Box::pin(trash::perform(self, what, mailbox, path, id)),
            Endpoint::TranslateIds => Box::pin(exchange_ids::translate(self, mailbox, body)),
        })
    }

    /// How much a page holds: as much as when the walk began, since the client's `$top` is repeated but not what it
    /// preferred.
    pub(crate) fn page_size(&self, begun: Option<u16>, query: &Query) -> u16 {
        let asked = begun.map(i64::from).or(query.top).unwrap_or(i64::from(DEFAULT_SIZE));
        let size = asked.min(self.prefer.max_page_size.unwrap_or(i64::MAX));
        u16::try_from(size).unwrap_or(MAX_SIZE).min(MAX_SIZE)
    }

    /// What is true of those in a list.
    ///
    /// # Errors
    /// 400 for a filter that cannot be read.
    pub(crate) fn condition(&self, query: &Query, model: Model) -> Result<Option<Condition>, Error> {
        let read = |text| filter::filter(text, &query.aliases, model, self.handling());
        query.filter.as_deref().map(read).transpose()
    }

    /// What a list is sorted by, where that is asked.
    ///
    /// # Errors
    /// 400 where it cannot be read.
    pub(crate) fn order(&self, query: &Query, model: Model) -> Result<Option<Vec<Order>>, Error> {
        let read = |text| filter::order(text, &query.aliases, model, self.handling());
        query.order_by.as_deref().map(read).transpose()
    }

    /// Refuses what a list cannot do yet.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] where it is to be searched.
    pub(crate) fn no_search(query: &Query, of: &str) -> Result<(), Error> {
        if query.search.is_some() { Err(Error::NotImplemented(format!("'$search' on {of}"))) } else { Ok(()) }
    }

    /// Which part of a list that is put in order is asked for.
    ///
    /// # Errors
    /// 400 for a token that is none.
    pub(crate) fn sorting(&self, query: &Query, order: Vec<Order>) -> Result<Sorting, Error> {
        let token = query.skip_token.as_deref().map(PlaceToken::parse).transpose()?;
        let size = self.page_size(token.as_ref().map(|token| token.size), query);
        Ok(Sorting { order, size, skip: query.skip.unwrap_or(0), after: token.map(|token| token.after) })
    }

    /// The link to what is behind those of a page that are shown, if there is more.
    pub(crate) fn behind<T>(&self, query: &Query, page: &SortedPage<T>, shown: usize, size: u16) -> Option<String> {
        (page.more || shown < page.value.len()).then(|| {
            let token = PlaceToken { after: page.after(shown), size };
            format!("{}?{}", self.own_link(), query.with_token(&token.print()))
        })
    }

    /// The address of a path below the API's prefix, for links and contexts.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{}{path}", self.source.root, self.address.version.prefix())
    }

    /// The address of the request itself, without its query.
    pub(crate) fn own_link(&self) -> String {
        format!("{}{}", self.source.root, self.path)
    }

    /// The method; what asks for a head alone asks as `GET` does.
    pub(crate) fn method(&self) -> &Method {
        self.method
    }

    /// Scheme, host and mount.
    pub(crate) fn root(&self) -> &str {
        &self.source.root
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The shape of contacts under the request's prefix.
    pub(crate) fn shape(&self) -> Shape {
        match self.address.version {
            Version::V1 => Shape::V1,
            Version::None | Version::Beta => Shape::Beta,
        }
    }

    pub(crate) fn handling(&self) -> Handling {
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
        let restores = endpoint == Endpoint::Trash(trash::Does::Restore);
        let writes =
            restores || endpoint.body() != Taken::Not && !matches!(endpoint, Endpoint::TranslateIds | Endpoint::Batch);
        // What is shown, or is not, whatever was preferred: a bare reference has nothing to show.
        match self.prefer.minimal.filter(|minimal| writes && *minimal == answer.body.is_none()) {
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
