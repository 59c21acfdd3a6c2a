//! Turns a request of actix into its answer, for every front end: admission, authentication, the body, the log.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix_web::body::SizedStream;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, LocalBoxStream, StreamExt as _, TryStreamExt as _};

use crate::clock;
use crate::domain::error::{Error, Limit};
use crate::http::answer::{Answer, Body};
use crate::http::authenticate::{Caller, Credential, Who};
use crate::http::body::BodyUse;
use crate::http::client::{self, Client};
use crate::http::connections::ConnectionExchange;
use crate::http::front_end::{FrontEnd, RequestHead, RequestSource};
use crate::http::held::Held;
use crate::http::inspect::{CallSubject, Cut, InspectedRequest, Watched};
use crate::http::limits::{Permit, RequestClass};
use crate::http::paced::Paced;
use crate::http::request_log::{LogEntry, log, request_outcome, trace_of};
use crate::http::request_metrics::{count_refusal, method_of};
use crate::http::streamed::Streamed;
use crate::http::{Api, Origin, RequestIds, body, compression, cors, host, inspect, origin};
use crate::metrics::calls;
use crate::store::Chunks;
use crate::trace::spans::{self, Since};
use crate::trace::{self, Current};

/// Time for the system to send what was written before the connection is ended in the middle of an answer.
const FLUSH_TIME: Duration = Duration::from_millis(50);

/// Facts about a request, collected while it is answered.
#[derive(Default)]
struct RequestFacts {
    log: LogEntry,
    /// Set if a test kit inspects requests and the caller is known.
    facts: InspectedFacts,
}

/// The facts of a request for the test kit.
#[derive(Default)]
struct InspectedFacts {
    subject: Option<CallSubject>,
    token: Option<String>,
    body: Vec<u8>,
    /// The id of the fault that applied.
    fault: Option<String>,
    cut: Option<Cut>,
}

/// Lets the front end of the path answer a request.
pub(crate) fn dispatch(
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> LocalBoxFuture<'static, HttpResponse> {
    let path = mount_and_path(&request, &api).map_or("", |(_, path)| path);
    let front_end = Arc::clone(api.front_ends.of(&request, path));
    front_end.serve(request, payload, api)
}

/// Answers a request of a front end.
pub(crate) async fn serve<F: FrontEnd>(
    front_end: Arc<F>,
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> HttpResponse {
    let mut payload = payload.into_inner();
    let started = Instant::now();
    let ids = RequestIds::of(request.headers());
    let address = client::log_address(&request, api.settings.limits.forwarded);
    let mut collected = RequestFacts { log: LogEntry { address, ..LogEntry::default() }, ..RequestFacts::default() };
    let since = Since::now();
    let current = Current::new(ids.id, spans::begin(ids.id, trace_of(request.headers())));
    let mut measured = calls::CountedExchange::begin();
    let mut held = Held { exchange: ConnectionExchange::begin(&request), ..Held::default() };
    let watched = api.inspector.as_deref().map(|inspector| Watched { inspector, request: ids.id });
    let answer = answer(&*front_end, &request, &mut payload, &api, &ids, &mut collected, &mut held);
    let answer = trace::within(Some(Arc::clone(&current)), answer).await;
    let answer = cors::preflight(&request, &api.settings.cors, answer);
    if let Err(error) = &answer {
        count_refusal(error);
    }
    collected.log.code = answer.as_ref().err().map(F::code);
    let answer = answer.unwrap_or_else(|error| F::error(&error, &ids));
    if let Some(watched) = watched {
        record(&watched, &request, &api, &collected, &answer, started.elapsed());
    }
    let answer = compression::compress(request.headers(), answer).await;
    let answer = answer.unwrap_or_else(|error| F::error(&error, &ids));
    if !held.permit.as_ref().is_some_and(Permit::has_caller) {
        // An unknown client holds no permits while it reads an answer.
        held = Held::default();
    }
    {
        let mut rest = pin!(body::finish(request.headers(), &mut payload));
        if rest.as_mut().now_or_never().is_none() {
            held.release_permits();
            rest.await;
        }
    }
    measured.set_status(method_of(&request), collected.log.route, answer.status.as_u16());
    log(&request, &api.settings, &collected.log, &answer, (&ids, &current), started.elapsed());
    spans::export_request(&current, since, &request_outcome(&request, &collected.log, &answer));
    if let Some(cut) = collected.facts.cut {
        return faulty_answer(cut, answer, held);
    }
    respond::<F>(answer, ids, &request, &api, held.with_metrics(measured))
}

/// Writes a request to the journal.
fn record(
    watched: &Watched<'_>,
    request: &HttpRequest,
    api: &Api,
    collected: &RequestFacts,
    answer: &Answer,
    took: Duration,
) {
    let path = mount_and_path(request, api).map_or_else(|_| request.uri().path(), |(_, path)| path);
    let url = request.uri().query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let unknown = CallSubject { path: path.to_owned(), user: None };
    let inspected_request = InspectedRequest {
        method: request.method().as_str(),
        url: &url,
        route: collected.log.route,
        subject: collected.facts.subject.as_ref().unwrap_or(&unknown),
        headers: request.headers(),
        body: &collected.facts.body,
        token: collected.facts.token.as_deref(),
        root: "",
        request: watched.request,
        step: None,
    };
    watched.inspector.record(&inspected_request, took, answer, collected.facts.fault.as_deref());
}

/// The answer on a connection that fails as a test asks.
fn faulty_answer(cut: Cut, answer: Answer, held: Held) -> HttpResponse {
    let body = match answer.body {
        Some(Body::Bytes(body)) => web::Bytes::from(body),
        Some(Body::Static(body)) => web::Bytes::from_static(body),
        Some(Body::Chunks(..) | Body::Stream(_)) | None => web::Bytes::new(),
    };
    let mut response = HttpResponse::build(answer.status);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    if matches!(cut, Cut::Reset | Cut::Close) {
        held.exchange.abort(cut == Cut::Reset);
        return response.finish();
    }
    let (sent, size) = match cut {
        Cut::Truncate(bytes) => (body.slice(..bytes.min(body.len())), body.len().max(bytes + 1)),
        _ => (web::Bytes::new(), body.len().max(1)),
    };
    let exchange = held.exchange.share();
    // The sent bytes must leave before the connection ends.
    let end = async move {
        if cut == Cut::Stall {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(FLUSH_TIME).await;
        exchange.abort(false);
        Err(Error::internal("an error ended the response"))
    };
    let chunks = stream::iter([Ok(sent)].into_iter().filter(|sent| !sent.as_ref().is_ok_and(web::Bytes::is_empty)));
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.body(Paced::chunks(Some(size as u64), Box::pin(chunks.chain(stream::once(end))), held))
}

/// Warns once that limits and the log see the proxy as the only client.
fn warn_of_proxy(request: &HttpRequest, api: &Api) {
    let trusted = api.settings.limits.forwarded;
    let is_proxied = match (trusted, &api.settings.origin) {
        (true, _) => client::headers_disagree(request.headers()),
        // The proxy is configured, and was logged at the start.
        (false, Origin::Public(_)) => false,
        (false, _) => client::names_client(request.headers()),
    };
    if !is_proxied || api.warned.swap(true, Ordering::Relaxed) {
        return;
    }
    if trusted {
        tracing::warn!(
            "X-Forwarded-For and Forwarded contradict each other, so neither is used: have the proxy remove the one that it does not write"
        );
    } else {
        tracing::warn!(
            "a request names its client in X-Forwarded-For or Forwarded, which is ignored. Behind a proxy all clients count as one \
             address: --trust-forwarded uses these headers"
        );
    }
}

/// Answers a request. The body is read only for a known caller and a call that uses it.
async fn answer<F: FrontEnd>(
    front_end: &F,
    request: &HttpRequest,
    payload: &mut Payload,
    api: &Api,
    ids: &RequestIds,
    collected: &mut RequestFacts,
    held: &mut Held,
) -> Result<Answer, Error> {
    let (mount, path) = mount_and_path(request, api)?;
    check_host(request, api)?;
    warn_of_proxy(request, api);
    let (method, headers) = (request.method(), request.headers());
    let source = RequestSource {
        root: origin::root(request, &api.settings.origin, mount),
        address: collected.log.address.clone(),
        request: ids.id,
    };
    let query = request.uri().query().unwrap_or_default();
    let root = api.inspector.as_ref().map(|_| source.root.clone());
    let call = front_end.read(api, RequestHead { method, path, query, headers, source })?;
    collected.log.route = F::route(&call);
    if let Some(current) = trace::current() {
        current.set_route(collected.log.route);
    }
    let class = F::class(&call);
    let credential = Credential::read(headers, F::SCHEMES);
    let client = Client::of(request, api.settings.limits.forwarded);
    let permit = held.permit.insert(api.admission.admit(client, credential, class)?);
    let body_use = F::body(&call)?;
    if class == RequestClass::Health {
        return health(api).await;
    }
    if let Some(answer) = F::answer_without_caller(&call) {
        return answer;
    }
    // Before the caller is looked up, because a reset may replace the user.
    let _passing = match &api.inspector {
        Some(inspector) => Some(inspector.pause_lock().read().await),
        None => None,
    };
    let caller = identify_caller(api, permit, credential).await?;
    collected.log.token = caller.token;
    permit.count_caller(caller.limit_key, class)?;
    held.counted = front_end.count_call(&call, &caller, permit)?;
    let body = read_body(body_use, headers, payload, api, permit).await?;
    if body_use == BodyUse::Streamed {
        F::set_body(&call, Streamed::of(headers, payload.take(), &api.settings)?);
    }
    front_end.count_body(&call, &caller, permit, body.len())?;
    if class == RequestClass::Batch {
        permit.acquire_long_turn().await?;
    }
    let reads = F::is_read(&call, method);
    permit.acquire_turn(reads).await?;
    let work = perform::<F>(api, &call, &caller, credential, permit, &body);
    let answer = match &api.inspector {
        None => work.await,
        Some(inspector) => {
            let subject =
                F::subject(&call, &caller).unwrap_or_else(|| CallSubject { path: path.to_owned(), user: None });
            let name = caller.name();
            let url = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
            let inspected_request = InspectedRequest {
                method: method.as_str(),
                url: &url,
                route: collected.log.route,
                subject: &subject,
                headers,
                body: &body,
                token: Some(&name),
                root: root.as_deref().unwrap_or_default(),
                request: ids.id,
                step: None,
            };
            let (answer, effect) = inspect::perform(&**inspector, &inspected_request, work).await;
            let ((fault, cut), token) = (effect.unzip(), Some(name));
            collected.facts = InspectedFacts { subject: Some(subject), token, body, fault, cut: cut.flatten() };
            answer
        }
    };
    permit.release_turns();
    let answer = answer?;
    if class != RequestClass::Batch {
        permit.release_memory();
        count_answer(permit, &answer, reads)?;
    }
    Ok(answer)
}

/// Reads the body, which is a piece of work of its own.
async fn read_body(
    body_use: BodyUse,
    headers: &HeaderMap,
    payload: &mut Payload,
    api: &Api,
    permit: &Permit,
) -> Result<Vec<u8>, Error> {
    let _span = (body_use != BodyUse::Not).then(|| spans::span("read body"));
    body::read(body_use, headers, payload, api.settings.body_timeout, permit).await
}

/// Lets the front end perform the call, for the caller as in the database.
async fn perform<F: FrontEnd>(
    api: &Api,
    call: &F::Routed<'_>,
    caller: &Caller,
    credential: Option<Credential<'_>>,
    permit: &Permit,
    body: &[u8],
) -> Result<Answer, Error> {
    let answer = F::perform(call, caller, permit, body).await;
    if matches!(answer, Err(Error::Unauthorized | Error::UnknownUser(_)))
        && let Some(current) = recreated_caller(api, caller, credential).await?
    {
        return Box::pin(F::perform(call, &current, permit, body)).await;
    }
    answer
}

/// On a server that accepts every caller, refuses requests whose host is not its own.
///
/// # Errors
/// [`Error::Denied`]
pub(crate) fn check_host(request: &HttpRequest, api: &Api) -> Result<(), Error> {
    if api.settings.hosts.as_ref().is_some_and(|hosts| !host::is_accepted(request, hosts)) {
        return Err(Error::Denied(
            "This server accepts every caller, so it accepts only requests whose Host is this machine (localhost or a \
             loopback address); --dev-allow-remote permits other hosts.",
        ));
    }
    Ok(())
}

/// The caller of a credential. For an address that has sent too many unknown tokens, one token is looked up at a time.
async fn identify_caller(api: &Api, permit: &Permit, credential: Option<Credential<'_>>) -> Result<Caller, Error> {
    let guess_delay = permit.guess_delay(Instant::now());
    let turn = guess_delay.map(|_| &api.admission.guess_lookups);
    let caller = api.access.caller(&api.unguarded, credential, turn).await;
    if let Err(Error::Unauthorized) = caller {
        permit.record_unknown_token(Instant::now());
        if let Some(wait) = guess_delay {
            return Err(Error::Throttled(Limit::Guesses, wait));
        }
    }
    caller
}

/// The caller as in the database, if the cached user was removed and added again. Nothing was done for the cached user.
async fn recreated_caller(
    api: &Api,
    caller: &Caller,
    credential: Option<Credential<'_>>,
) -> Result<Option<Caller>, Error> {
    let Who::User(known) = &caller.who else { return Ok(None) };
    api.unguarded.forget_user(&known.user_principal_name);
    api.unguarded.forget_user(&known.id);
    let current = api.access.caller(&api.unguarded, credential, None).await?;
    let is_other = matches!(&current.who, Who::User(user) if user.mailbox != known.mailbox);
    Ok(is_other.then_some(current))
}

/// Counts an answer for as long as it is in memory. The answer to a read can still be refused.
fn count_answer(permit: &Permit, answer: &Answer, reads: bool) -> Result<(), Error> {
    let Some(Body::Bytes(bytes)) = &answer.body else { return Ok(()) };
    if reads {
        return permit.count_memory(bytes.len());
    }
    permit.count_memory_of_write(bytes.len());
    Ok(())
}

/// Whether a row can be read.
async fn health(api: &Api) -> Result<Answer, Error> {
    api.health.check(async || api.unguarded.check().await).await?;
    Answer::json(200, &serde_json::json!({"status": "ok"}))
}

/// The path of the mount, and the path below it.
pub(crate) fn mount_and_path<'a>(request: &'a HttpRequest, api: &Api) -> Result<(&'a str, &'a str), Error> {
    let (mount, path) = split_mount(request)?;
    let is_known_path = |path: &str| api.front_ends.of(request, path).has_path(path);
    Ok((mount, if mount.is_empty() { origin::below(&api.settings.origin, path, is_known_path) } else { path }))
}

/// The path up to where the API is mounted, and the rest, both as sent.
fn split_mount(request: &HttpRequest) -> Result<(&str, &str), Error> {
    let path = request.uri().path();
    let matched = request.match_info().as_str().len() - request.match_info().unprocessed().len();
    let decoded = request.match_info().as_str().get(..matched).unwrap_or_default();
    path.strip_prefix(decoded).map(|rest| (&path[..matched], rest)).ok_or_else(|| Error::NoSegment(path.to_owned()))
}

fn respond<F: FrontEnd>(answer: Answer, ids: RequestIds, request: &HttpRequest, api: &Api, held: Held) -> HttpResponse {
    let mut response = HttpResponse::build(answer.status);
    for header in F::HEADERS {
        response.insert_header(*header);
    }
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    // By default no cache may store an answer: it may show somebody's data.
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let clock::Mode::Frozen { now, .. } = clock::mode() {
        response.insert_header((header::DATE, header::HttpDate::from(clock::system_time(now))));
    }
    for (name, value) in cors::headers(request, &api.settings.cors) {
        response.insert_header((name, value));
    }
    for (name, id) in [("request-id", &ids.request), ("client-request-id", &ids.client)] {
        if let Ok(value) = HeaderValue::from_str(id) {
            response.insert_header((name, value));
        }
    }
    let has_content_type = answer.headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        // An answer may have several of these headers.
        if name == header::VARY || name == header::WWW_AUTHENTICATE {
            response.append_header((name, value));
        } else {
            response.insert_header((name, value));
        }
    }
    match answer.body {
        Some(Body::Bytes(body)) => {
            if !has_content_type {
                let path = mount_and_path(request, api).map_or("", |(_, path)| path);
                let query = request.uri().query().unwrap_or_default();
                response.content_type(F::media_type(path, query, request.headers()));
            }
            response.body(Paced::bytes(body, held))
        }
        Some(Body::Static(body)) => response.body(Paced::bytes(body, held)),
        // The framework would read all chunks and send none of them.
        Some(Body::Chunks(size, _)) if request.method() == Method::HEAD => {
            response.body(SizedStream::new(size, stream::empty::<Result<_, Error>>()))
        }
        Some(Body::Stream(_)) if request.method() == Method::HEAD => response.finish(),
        Some(Body::Stream(pieces)) => response.body(Paced::chunks(None, logged_chunks(pieces, ids.request), held)),
        Some(Body::Chunks(size, chunks)) => {
            response.body(Paced::chunks(Some(size), logged_chunks(chunks, ids.request), held))
        }
        None => response.finish(),
    }
}

/// The pieces of an answer. An error ends them, breaks the connection, and is logged. The pieces before it are sent
/// first: the last of them may tell the client what is wrong.
fn logged_chunks(pieces: Chunks, request_id: String) -> LocalBoxStream<'static, Result<web::Bytes, Error>> {
    let log_error = move |error: &Error| tracing::warn!(request_id, %error, "a response was interrupted");
    let delay_error = |piece: Result<web::Bytes, Error>| async {
        if piece.is_err() {
            tokio::time::sleep(FLUSH_TIME).await;
        }
        piece
    };
    Box::pin(pieces.map_ok(web::Bytes::from).inspect_err(log_error).then(delay_error))
}
