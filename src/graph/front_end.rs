//! Graph as a front end of the edge.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap};

use crate::domain::error::Error;
use crate::domain::secret::Digest;
use crate::graph::call::Call;
use crate::graph::routes::Endpoint;
use crate::graph::throttle::{Throttle, mailbox};
use crate::graph::{error, service};
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Scheme};
use crate::http::body::Taken;
use crate::http::front_end::{Counted, FrontEnd, Head};
use crate::http::limits::{Permit, RequestClass};
use crate::http::{Api, Ids, Settings};
use crate::odata::address::{Address, Resource};
use crate::odata::format;

/// The Graph facade.
pub(crate) struct Graph {
    throttle: Option<Arc<Throttle>>,
}

impl Graph {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { throttle: settings.limits.mailbox.map(|limits| Arc::new(Throttle::new(limits))) }
    }

    /// Graph's limits, where they apply, and the app that they count.
    pub(crate) fn throttle(&self, permit: &Permit) -> Option<(&Arc<Throttle>, Digest)> {
        self.throttle.as_ref().zip(permit.counts_as())
    }
}

impl FrontEnd for Graph {
    type Call<'a> = Call<'a>;

    const SCHEMES: &'static [Scheme] = &[Scheme::Bearer];
    const HEADERS: &'static [(&'static str, &'static str)] = &[("OData-Version", "4.0")];

    fn knows(&self, path: &str) -> bool {
        Address::parse(path).is_ok()
    }

    fn read<'a>(&'a self, api: &'a Api, head: Head<'a>) -> Result<Call<'a>, Error> {
        Call::new(self, api, head)
    }

    fn route(call: &Call<'_>) -> &'static str {
        call.address.pattern()
    }

    fn class(call: &Call<'_>) -> RequestClass {
        match (&call.address.resource, call.endpoint()) {
            (Resource::Health, _) => RequestClass::Health,
            (_, Ok(Endpoint::Batch)) => RequestClass::Batch,
            _ => RequestClass::Request,
        }
    }

    fn body(call: &Call<'_>) -> Result<Taken, Error> {
        match call.address.resource {
            Resource::Health | Resource::Service | Resource::Metadata => call.only_get().map(|()| Taken::Not),
            _ => call.endpoint().map(Endpoint::body),
        }
    }

    fn open(call: &Call<'_>) -> Option<Result<Answer, Error>> {
        match call.address.resource {
            Resource::Service => Some(service::document(call)),
            Resource::Metadata => Some(service::metadata(call)),
            _ => None,
        }
    }

    fn admit(&self, call: &Call<'_>, caller: &Caller, permit: &Permit) -> Result<Counted, Error> {
        // Each step of a batch counts for itself.
        let Some((throttle, app)) = self.throttle(permit).filter(|_| Self::class(call) != RequestClass::Batch) else {
            return Ok(None);
        };
        let mailbox = mailbox(caller, &call.address.resource);
        throttle.request(Instant::now(), app, mailbox.as_deref())?;
        let permit = mailbox.as_deref().map(|mailbox| throttle.begin(app, mailbox)).transpose()?;
        Ok(permit.map(|permit| Box::new(permit) as _))
    }

    fn received(&self, call: &Call<'_>, caller: &Caller, permit: &Permit, bytes: usize) -> Result<(), Error> {
        let Some((throttle, app)) = self.throttle(permit) else { return Ok(()) };
        let mailbox = mailbox(caller, &call.address.resource);
        mailbox.map_or(Ok(()), |mailbox| throttle.upload(Instant::now(), app, &mailbox, bytes))
    }

    async fn perform(call: &Self::Call<'_>, caller: &Caller, permit: &Permit, body: &[u8]) -> Result<Answer, Error> {
        call.perform(call.endpoint()?, caller, permit, body).await
    }

    fn error(error: &Error, ids: &Ids) -> Answer {
        error::answer(error, ids)
    }

    fn code(error: &Error) -> &'static str {
        error::code(error)
    }

    /// The seed's is bare, Graph's says more (docs/graph.md, decision 18).
    fn media_type(path: &str, query: &str, headers: &HeaderMap) -> &'static str {
        let prefix = path.trim_start_matches('/').get(..4).unwrap_or_default();
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let annotated = format::is_annotated(query, accept).unwrap_or(true);
        match (prefix.eq_ignore_ascii_case("v1.0"), annotated) {
            (false, _) => "application/json",
            (true, false) => {
                "application/json;odata.metadata=none;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
            }
            (true, true) => {
                "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
            }
        }
    }
}
