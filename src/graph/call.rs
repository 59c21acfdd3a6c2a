//! The context of a call: its address, its headers, and what lists derive from them.

use std::cell::Cell;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use crate::domain::error::{Error, Kind};
use crate::domain::etag::Preconditions;
use crate::domain::handling::Handling;
use crate::domain::query::typed::{Condition, Order};
use crate::graph::settings::Graph;
use crate::http::Api;
use crate::http::answer::POSITION;
use crate::http::conditional;
use crate::http::front_end::{RequestHead, RequestSource};
use crate::http::streamed::Streamed;
use crate::odata::address::{Address, Deleted, Item, Resource, Version};
use crate::odata::filter::{self, Model};
use crate::odata::format;
use crate::odata::page::{DEFAULT_SIZE, MAX_SIZE, MAX_TOKEN, PageToken};
use crate::odata::prefer::Prefer;
use crate::odata::query::{self, Query};
use crate::odata::shape::Shape;
use crate::store::{SortedPage, Sorting};

/// The header that identifies a repeated create. Only creates read it.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Maximum length of an address below the mount in bytes, as links repeat it: a nextLink adds a token, and a request
/// line has at most 65,534 bytes.
const MAX_ADDRESS: usize = 65_534 - MAX_TOKEN - 64;

/// # Errors
/// 400 for an address that is too long for a nextLink.
fn check_length(path: &str, query: &str) -> Result<(), Error> {
    // Encoding makes at most three bytes of one.
    if path.len() + 3 * query.len() <= MAX_ADDRESS || path.len() + query::length_in_link(query) <= MAX_ADDRESS {
        return Ok(());
    }
    let message = format!("An address has at most {MAX_ADDRESS} bytes, counted as links encode it.");
    Err(Error::invalid(Kind::Query, "", message))
}

fn parse_position(value: &str) -> Result<i64, Error> {
    value.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        Error::invalid(Kind::Request, POSITION, format!("'{POSITION}' must be the number from an earlier response."))
    })
}

/// The value, or the default in place of an error. Only the first error is kept.
fn or_default<T: Default>(value: Result<T, Error>, first_error: &mut Option<Error>) -> T {
    value.unwrap_or_else(|error| {
        first_error.get_or_insert(error);
        T::default()
    })
}

/// A request after its head is read.
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
    /// The `Contactd-Position` that the client sends (docs/graph.md, "Positions").
    pub(crate) position: Option<i64>,
    /// As sent; see `once`.
    pub(crate) idempotency_key: Option<String>,
    pub(crate) headers: &'a HeaderMap,
    source: RequestSource,
    method: &'a Method,
    /// The body that the handler reads itself.
    stream: Cell<Option<Streamed>>,
}

impl<'a> Call<'a> {
    /// # Errors
    /// [`Error::NoSegment`], [`Error::NotAcceptable`], or 400 for a precondition that cannot be read.
    pub(crate) fn new(graph: &'a Graph, api: &'a Api, head: RequestHead<'a>) -> Result<Self, Error> {
        let (call, first_error) = Self::read(graph, api, head)?;
        first_error.map_or(Ok(call), Err)
    }

    /// A call whose address is known, and the error of the rest of its head. The error is answered only after the
    /// method is known to be offered and the caller is authenticated.
    ///
    /// # Errors
    /// [`Error::NoSegment`]; 400 for an address that is too long.
    pub(crate) fn read(graph: &'a Graph, api: &'a Api, head: RequestHead<'a>) -> Result<(Self, Option<Error>), Error> {
        let RequestHead { method, path, query, headers, source } = head;
        // Repeated lines of a header are one list (RFC 9110, section 5.3).
        let lines = |name: &str| {
            let lines: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        check_length(path, query)?;
        let address = Address::parse(path)?;
        let annotated = match &address.resource {
            Resource::Metadata => format::is_xml(query).map(|()| true),
            // Resources with only one format.
            Resource::Health
            | Resource::OpenApi
            | Resource::UsersCount
            | Resource::Owned(
                _,
                Item::ContactsCount(_)
                | Item::FoldersCount(_)
                | Item::CategoriesCount
                | Item::Deleted(Deleted::Count)
                | Item::ContactsImport(_)
                | Item::ContactsExport(_),
            ) => Ok(true),
            _ => format::is_annotated(query, &lines("accept").unwrap_or_default()),
        };
        let mut first_error = None;
        let annotated = or_default(annotated, &mut first_error);
        let expected = conditional::parse(lines("if-match").as_deref(), lines("if-none-match").as_deref());
        let expected = or_default(expected, &mut first_error);
        let position = lines(POSITION).map(|value| parse_position(&value)).transpose();
        let position = or_default(position, &mut first_error);
        let call = Self {
            graph,
            api,
            address,
            path,
            query,
            prefer: Prefer::parse(&lines("prefer").unwrap_or_default()),
            expected,
            annotated,
            position,
            idempotency_key: lines(IDEMPOTENCY_KEY),
            headers,
            source,
            // The edge omits the body.
            method: if *method == Method::HEAD { &Method::GET } else { method },
            stream: Cell::default(),
        };
        Ok((call, first_error))
    }

    /// Gives it the body that its handler reads itself.
    pub(crate) fn set_stream(&self, body: Streamed) {
        self.stream.set(Some(body));
    }

    /// Takes the body that the handler reads itself.
    ///
    /// # Errors
    /// [`Error::Internal`] if there is none.
    pub(crate) fn take_stream(&self) -> Result<Streamed, Error> {
        self.stream.take().ok_or_else(|| Error::internal("the body was taken before"))
    }

    /// The size of a page. Later pages have the size of the first one: a nextLink repeats `$top`, but clients do not
    /// repeat `Prefer`.
    pub(crate) fn page_size(&self, first_size: Option<u16>, query: &Query) -> u16 {
        let requested = first_size.map(i64::from).or(query.top).unwrap_or(i64::from(DEFAULT_SIZE));
        let size = requested.min(self.prefer.max_page_size.unwrap_or(i64::MAX));
        u16::try_from(size).unwrap_or(MAX_SIZE).min(MAX_SIZE)
    }

    /// The `$filter` of a list.
    ///
    /// # Errors
    /// 400 for an invalid filter.
    pub(crate) fn condition(&self, query: &Query, model: Model) -> Result<Option<Condition>, Error> {
        let read = |text| filter::filter(text, &query.aliases, model, self.handling());
        query.filter.as_deref().map(read).transpose()
    }

    /// The `$orderby` of a list.
    ///
    /// # Errors
    /// 400 for an invalid order.
    pub(crate) fn order(&self, query: &Query, model: Model) -> Result<Option<Vec<Order>>, Error> {
        let read = |text| filter::order(text, &query.aliases, model, self.handling());
        query.order_by.as_deref().map(read).transpose()
    }

    /// Refuses `$search`.
    ///
    /// # Errors
    /// [`Error::NotImplemented`]
    pub(crate) fn refuse_search(query: &Query, type_name: &str) -> Result<(), Error> {
        if query.search.is_some() { Err(Error::NotImplemented(format!("'$search' on {type_name}"))) } else { Ok(()) }
    }

    /// Order, size and start of a page.
    ///
    /// # Errors
    /// 400 for an invalid token.
    pub(crate) fn sorting(&self, query: &Query, order: Vec<Order>) -> Result<Sorting, Error> {
        let token = query.skip_token.as_deref().map(PageToken::parse).transpose()?;
        let size = self.page_size(token.as_ref().map(|token| token.size), query);
        Ok(Sorting {
            order,
            size,
            skip: query.skip.unwrap_or(0),
            after: token.map(|token| token.after),
            count: query.count.unwrap_or(false),
        })
    }

    /// The nextLink after the first `shown` entries of a page, if there are more.
    pub(crate) fn next_link<T>(&self, query: &Query, page: &SortedPage<T>, shown: usize, size: u16) -> Option<String> {
        (page.more || shown < page.value.len()).then(|| {
            let token = PageToken { after: page.after(shown), size };
            format!("{}?{}", self.own_link(), query.with_token(&token.print()))
        })
    }

    /// The absolute address of a path below the version, for links and contexts.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{}{path}", self.source.root, self.address.version.prefix())
    }

    /// The absolute address of the request, without its query.
    pub(crate) fn own_link(&self) -> String {
        format!("{}{}", self.source.root, self.path)
    }

    /// The method; `GET` for `HEAD`.
    pub(crate) fn method(&self) -> &Method {
        self.method
    }

    /// Scheme, host and mount.
    pub(crate) fn root(&self) -> &str {
        &self.source.root
    }

    pub(crate) fn source(&self) -> &RequestSource {
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
        self.prefer.handling.unwrap_or(self.graph.settings.handling)
    }
}
