//! Graph as a front end of the edge.

use actix_web::http::header::{self, HeaderMap};

use crate::clock;
use crate::domain::error::Error;
use crate::graph::authorize::Need;
use crate::graph::call::Call;
use crate::graph::routes::{self, Handler, Route, RouteOptions};
use crate::graph::settings::Graph;
use crate::graph::throttle::mailbox;
use crate::graph::{batch, dispatch, error};
use crate::http::answer::Answer;
use crate::http::authenticate::{Caller, Scheme};
use crate::http::body::BodyUse;
use crate::http::front_end::{Counted, FrontEnd, RequestHead};
use crate::http::inspect::CallSubject;
use crate::http::limits::{Permit, RequestClass};
use crate::http::streamed::Streamed;
use crate::http::{Api, RequestIds};
use crate::odata::address::{Address, Owner, Resource};
use crate::odata::format;
use crate::odata::query::Query;

/// The subject of a call, for the journal of tests.
pub(crate) fn subject(address: &Address, caller: &Caller) -> CallSubject {
    let user = match &address.resource {
        Resource::Owned(Owner::User(name), _) => name.clone(),
        _ => caller.name(),
    };
    CallSubject { path: address.canonical(), user: Some(user) }
}

/// A call and its row in the table, or the error if it has none.
pub(crate) struct RoutedCall<'a> {
    call: Call<'a>,
    route: Result<&'static Route, Error>,
    /// An error in the rest of its head.
    head_error: Option<Error>,
}

impl FrontEnd for Graph {
    type Routed<'a> = RoutedCall<'a>;

    const SCHEMES: &'static [Scheme] = &[Scheme::Bearer];
    const HEADERS: &'static [(&'static str, &'static str)] = &[("OData-Version", "4.0")];

    fn has_path(&self, path: &str) -> bool {
        Address::parse(path).is_ok()
    }

    fn read<'a>(&'a self, api: &'a Api, head: RequestHead<'a>) -> Result<RoutedCall<'a>, Error> {
        let (call, head_error) = Call::read(self, api, head)?;
        let route = routes::find(&call);
        Ok(RoutedCall { call, route, head_error })
    }

    fn route(routed: &RoutedCall<'_>) -> &'static str {
        routed.call.address.pattern()
    }

    fn subject(routed: &RoutedCall<'_>, caller: &Caller) -> Option<CallSubject> {
        Some(subject(&routed.call.address, caller))
    }

    fn calls() -> Vec<(&'static str, &'static str)> {
        routes::names().collect()
    }

    fn class(RoutedCall { call, route, .. }: &RoutedCall<'_>) -> RequestClass {
        match (&call.address.resource, route) {
            (Resource::Health, _) => RequestClass::Health,
            (Resource::Batch, Ok(_)) => RequestClass::Batch,
            _ => RequestClass::Request,
        }
    }

    fn body(routed: &RoutedCall<'_>) -> Result<BodyUse, Error> {
        let route = routed.route.clone()?;
        match &routed.head_error {
            // A call without a caller fails at once.
            Some(error) if route.need == Need::Open => Err(error.clone()),
            _ => Ok(route.body),
        }
    }

    fn answer_without_caller(RoutedCall { call, route, .. }: &RoutedCall<'_>) -> Option<Result<Answer, Error>> {
        let Ok(Route { handler: Handler::Public(handler), options, .. }) = route else { return None };
        let checked = if *options == RouteOptions::Plain { Query::check_format_only(call.query) } else { Ok(()) };
        Some(checked.and_then(|()| handler(call)))
    }

    fn count_call(&self, routed: &RoutedCall<'_>, caller: &Caller, permit: &Permit) -> Result<Counted, Error> {
        let RoutedCall { call, head_error, .. } = routed;
        head_error.clone().map_or(Ok(()), Err)?;
        // Each step of a batch is counted separately.
        let is_batch = call.address.resource == Resource::Batch;
        let Some((throttle, app)) = self.throttle.as_ref().zip(permit.limit_key()).filter(|_| !is_batch) else {
            return Ok(None);
        };
        let mailbox = mailbox(caller, &call.address.resource);
        throttle.request(clock::now(), app, mailbox.as_deref())?;
        let permit = mailbox.as_deref().map(|mailbox| throttle.begin(app, mailbox)).transpose()?;
        Ok(permit.map(|permit| Box::new(permit) as _))
    }

    fn set_body(routed: &RoutedCall<'_>, body: Streamed) {
        routed.call.set_stream(body);
    }

    fn count_body(&self, routed: &RoutedCall<'_>, caller: &Caller, permit: &Permit, bytes: usize) -> Result<(), Error> {
        let Some((throttle, app)) = self.throttle.as_ref().zip(permit.limit_key()) else { return Ok(()) };
        let mailbox = mailbox(caller, &routed.call.address.resource);
        mailbox.map_or(Ok(()), |mailbox| throttle.upload(clock::now(), app, &mailbox, bytes))
    }

    async fn perform(
        RoutedCall { call, route, .. }: &Self::Routed<'_>,
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

    fn error(error: &Error, ids: &RequestIds) -> Answer {
        error::answer(error, ids)
    }

    fn code(error: &Error) -> &'static str {
        error::code(error)
    }

    /// The older beta shape has a media type without parameters; v1.0 has the parameters of Graph (docs/graph.md,
    /// decision 18).
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::http::Method;
    use actix_web::{App, test};

    use super::*;
    use crate::graph::settings::GraphSettings;
    use crate::http::Settings;
    use crate::http::authenticate::Access;
    use crate::http::mount::{FrontEnds, Mount};
    use crate::store::tests::opened;

    /// A front end that greets its caller.
    struct Hello;

    impl FrontEnd for Hello {
        type Routed<'a> = RequestHead<'a>;

        const SCHEMES: &'static [Scheme] = &[Scheme::Bearer];
        const HEADERS: &'static [(&'static str, &'static str)] = &[];

        fn has_path(&self, _: &str) -> bool {
            true
        }

        fn read<'a>(&'a self, _: &'a Api, head: RequestHead<'a>) -> Result<RequestHead<'a>, Error> {
            Ok(head)
        }

        fn route(_: &RequestHead<'_>) -> &'static str {
            "/hello"
        }

        fn class(_: &RequestHead<'_>) -> RequestClass {
            RequestClass::Request
        }

        fn body(head: &RequestHead<'_>) -> Result<BodyUse, Error> {
            if head.method == Method::GET { Ok(BodyUse::Not) } else { Err(Error::MethodNotAllowed(vec!["GET"])) }
        }

        fn answer_without_caller(_: &RequestHead<'_>) -> Option<Result<Answer, Error>> {
            None
        }

        fn count_call(&self, _: &RequestHead<'_>, _: &Caller, _: &Permit) -> Result<Counted, Error> {
            Ok(None)
        }

        fn count_body(&self, _: &RequestHead<'_>, _: &Caller, _: &Permit, _: usize) -> Result<(), Error> {
            Ok(())
        }

        async fn perform(_: &Self::Routed<'_>, caller: &Caller, _: &Permit, _: &[u8]) -> Result<Answer, Error> {
            Ok(Answer { body: Some(format!("hello {}", caller.name()).into_bytes().into()), ..Answer::empty(200)? })
        }

        fn error(error: &Error, _: &RequestIds) -> Answer {
            let status = if matches!(error, Error::Unauthorized) { 401 } else { 405 };
            Answer { body: Some(format!("sorry: {error}").into_bytes().into()), ..Answer::empty(status).unwrap() }
        }

        fn code(_: &Error) -> &'static str {
            "sorry"
        }

        fn media_type(_: &str, _: &str, _: &HeaderMap) -> &'static str {
            "text/plain"
        }
    }

    #[actix_web::test]
    async fn a_front_end_answers_below_its_segment_and_graph_elsewhere() {
        let o = opened().await;
        let settings = Settings::default();
        let graph = Graph::new(GraphSettings::default());
        let front_ends = FrontEnds::new(graph, vec![(Mount::Segment("hello"), Arc::new(Hello))]);
        let api = Api::with_front_ends(o.store.clone(), Access::development(), settings, front_ends);
        let app = test::init_service(App::new().service(api.service(""))).await;
        let ask = async |request: test::TestRequest, path: &str| {
            let response = test::call_service(&app, request.uri(path).to_request()).await;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let is_graph = headers.contains_key("OData-Version");
            (status, is_graph, String::from_utf8(test::read_body(response).await.to_vec()).unwrap())
        };
        let with_token = |request: test::TestRequest| request.insert_header(("Authorization", "Bearer ann"));
        let body = |text: &str| text.to_owned();
        for path in ["/hello", "//Hello/you?x=y"] {
            let (status, is_graph, body) = ask(with_token(test::TestRequest::get()), path).await;
            assert!((status, is_graph) == (200, false) && body.starts_with("hello "), "{path}: {status} {body}");
        }
        let refused = (401, false, body("sorry: no valid token"));
        assert_eq!(ask(test::TestRequest::get(), "/hello").await, refused);
        let refused = (405, false, body("sorry: method not allowed"));
        assert_eq!(ask(with_token(test::TestRequest::post()), "/hello").await, refused);
        for (path, expected) in [("/me", 200), ("/v1.0/hello", 404), ("/hellos", 404), ("/", 200)] {
            let (status, is_graph, body) = ask(with_token(test::TestRequest::get()), path).await;
            assert_eq!((status, is_graph), (expected, true), "{path}: {body}");
        }
    }
}
