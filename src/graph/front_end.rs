//! Graph as a front end of the edge.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap};

use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::graph::routes::{self, Handler, Route, RouteOptions};
use crate::graph::throttle::{Throttle, mailbox};
use crate::graph::{batch, dispatch, error};
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Scheme};
use crate::http::body::Taken;
use crate::http::front_end::{Counted, FrontEnd, Head};
use crate::http::limits::{Permit, RequestClass};
use crate::http::{Api, Ids, Settings};
use crate::odata::address::{Address, Resource};
use crate::odata::format;
use crate::odata::query::Query;

/// The Graph facade.
pub(crate) struct Graph {
    throttle: Option<Arc<Throttle>>,
}

/// A call and its row in the table, or why it has none.
pub(crate) struct Routed<'a> {
    call: Call<'a>,
    route: Result<&'static Route, Error>,
}

impl Graph {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { throttle: settings.limits.mailbox.map(|limits| Arc::new(Throttle::new(limits))) }
    }
}

impl FrontEnd for Graph {
    type Call<'a> = Routed<'a>;

    const SCHEMES: &'static [Scheme] = &[Scheme::Bearer];
    const HEADERS: &'static [(&'static str, &'static str)] = &[("OData-Version", "4.0")];

    fn knows(&self, path: &str) -> bool {
        Address::parse(path).is_ok()
    }

    fn read<'a>(&'a self, api: &'a Api, head: Head<'a>) -> Result<Routed<'a>, Error> {
        let call = Call::new(self.throttle.as_ref(), api, head)?;
        let route = routes::of(&call);
        Ok(Routed { call, route })
    }

    fn route(routed: &Routed<'_>) -> &'static str {
        routed.call.address.pattern()
    }

    fn class(Routed { call, route }: &Routed<'_>) -> RequestClass {
        match (&call.address.resource, route) {
            (Resource::Health, _) => RequestClass::Health,
            (Resource::Batch, Ok(_)) => RequestClass::Batch,
            _ => RequestClass::Request,
        }
    }

    fn body(routed: &Routed<'_>) -> Result<Taken, Error> {
        routed.route.clone().map(|route| route.body)
    }

    fn open(Routed { call, route }: &Routed<'_>) -> Option<Result<Answer, Error>> {
        let Ok(Route { handler: Handler::Public(handler), options, .. }) = route else { return None };
        let checked = if *options == RouteOptions::Plain { Query::none(call.query) } else { Ok(()) };
        Some(checked.and_then(|()| handler(call)))
    }

    fn admit(&self, Routed { call, .. }: &Routed<'_>, caller: &Caller, permit: &Permit) -> Result<Counted, Error> {
        // Each step of a batch counts for itself.
        let is_batch = call.address.resource == Resource::Batch;
        let Some((throttle, app)) = self.throttle.as_ref().zip(permit.counts_as()).filter(|_| !is_batch) else {
            return Ok(None);
        };
        let mailbox = mailbox(caller, &call.address.resource);
        throttle.request(Instant::now(), app, mailbox.as_deref())?;
        let permit = mailbox.as_deref().map(|mailbox| throttle.begin(app, mailbox)).transpose()?;
        Ok(permit.map(|permit| Box::new(permit) as _))
    }

    fn received(&self, routed: &Routed<'_>, caller: &Caller, permit: &Permit, bytes: usize) -> Result<(), Error> {
        let Some((throttle, app)) = self.throttle.as_ref().zip(permit.counts_as()) else { return Ok(()) };
        let mailbox = mailbox(caller, &routed.call.address.resource);
        mailbox.map_or(Ok(()), |mailbox| throttle.upload(Instant::now(), app, &mailbox, bytes))
    }

    async fn perform(
        Routed { call, route }: &Self::Call<'_>,
        caller: &Caller,
        permit: &Permit,
        body: &[u8],
    ) -> Result<Answer, Error> {
        let route = route.clone()?;
        match route.handler {
            Handler::Batch => Box::pin(batch::perform(call, route, caller, permit, body)).await,
            _ => dispatch::perform(call, route, caller, body).await,
        }
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
