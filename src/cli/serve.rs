//! `contactd serve`: starts the server from its options, and stops it.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_server::{Server, ServerBuilder};
use actix_tls::accept::max_concurrent_tls_connect;
use tokio::sync::oneshot;

use crate::cli::config::{Cli, Command};
use crate::cli::first_start;
use crate::cli::lifetime::{ReadyFile, Stop};
use crate::cli::log::{self, RunningLog};
use crate::cli::output::Failure;
use crate::cli::serve_options::{LogAddresses, ServeArgs, WalCheckpoint};
use crate::cli::systemd::Manager;
use crate::cli::{layers, limits, monitoring};
use crate::dav::front_end::DavSettings;
use crate::domain::error::Error;
use crate::front_ends::FrontEndSettings;
use crate::graph::settings::GraphSettings;
use crate::http::authenticate::Access;
use crate::http::connections::Connections;
use crate::http::listen::{self, BoundAddress, Listen, ListenAddress, Listener};
use crate::http::serving::Serving;
use crate::http::tls::Tls;
use crate::http::{Api, Origin, Readiness, Settings};
use crate::notify::{self, Notifier};
use crate::store::{Database, Lock, Options, Store};
use crate::trace::{slow, spans};
use crate::{clock, testkit};

/// Time limit for requests in progress when the server stops. With the closing of the store, a stop takes at most 8 seconds.
const DRAIN_SECONDS: u64 = 4;
/// Time limit for closing the store: a database that hangs does not block the stop.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for releasing the leases of subscriptions; most of it passes while requests end.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time limit for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes at once per worker: as many as connections. With fewer, which is the framework's default, that many
/// silent clients would block all others.
const MAX_HANDSHAKES: usize = 25_000;

/// Serves until SIGTERM, SIGINT or SIGQUIT, or the end of the standard input, then lets requests in progress end.
///
/// # Errors
/// One line that says why it cannot start.
pub async fn run(config: ServeArgs) -> Result<(), Failure> {
    let delay = config.drain_delay();
    let work = async |ready: Ready, stop: &mut Stop| {
        stop.wait().await;
        drain(&ready, delay, stop).await;
    };
    run_until(config, work).await.map(drop)
}

/// A server that is ready.
pub(crate) struct Ready {
    /// Its address: scheme, host and port, or `unix:` and a path.
    pub(crate) url: String,
    /// The authority of a development certificate.
    pub(crate) authority: Option<PathBuf>,
    /// The state that load balancers see.
    readiness: Readiness,
}

/// Serves until `work` is done, which begins once the server is ready. Returns `None` if the server ended first.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_until<T>(
    config: ServeArgs,
    work: impl AsyncFnOnce(Ready, &mut Stop) -> T,
) -> Result<Option<T>, Failure> {
    if let Some(seed) = config.deterministic {
        if !config.dev {
            return Err("--deterministic makes secrets that can be guessed, so it needs --dev".into());
        }
        clock::seed(seed);
        clock::set(clock::Mode::Frozen { now: testkit::DETERMINISTIC, tick: 0 });
    }
    if config.seed_file.is_some() && !config.dev {
        return Err("--seed-file makes users for tests, so it needs --dev".into());
    }
    if config.docs && !cfg!(feature = "docs") {
        return Err("--docs needs a program that was built with the feature docs".into());
    }
    let log = log::start(config.log_format, config.level()?);
    slow::set_threshold(config.slow_query);
    let _spans = spans::start(config.ca_file.as_deref())?;
    // First, so that no signal is missed.
    let mut stop = Stop::listen(config.stop_with_stdin).map_err(|error| error.to_string())?;
    let access = access(&config)?;
    let places = config.listen_addresses()?;
    let notifier = notify::NotifierSettings {
        allowed: config.allowed_targets(),
        ca_file: config.ca_file.clone(),
        times: config.notification_times.unwrap_or_default(),
    };
    let notifier = Notifier::new(notifier).map_err(|error| format!("--ca-file {error}"))?;
    let database = config.database.database("--database")?;
    let standbys = config.read_from();
    if !standbys.is_empty() && !matches!(database, Database::Postgres(_)) {
        return Err("--database-read needs a PostgreSQL server in --database".into());
    }
    let read_from = standbys.iter().map(|place| place.address("--database-read"));
    let options = Options {
        max_folders: config.max_folders,
        max_contacts: config.max_contacts,
        max_mailbox_bytes: config.max_mailbox_bytes,
        connections: config.database_connections,
        read_from: read_from.collect::<Result<_, _>>()?,
        keep_deleted: Some(config.keep_deleted),
        keep_changes: Some(config.keep_changes),
        keep_audit: Some(config.keep_audit),
        query_timeout: config.limits.query_timeout(),
        checkpoint: config.wal_checkpoint == WalCheckpoint::Auto,
        create: config.create,
        backup_before_upgrade: !config.no_backup_before_upgrade,
        ..Options::default()
    };
    // Before the database: if an address is not available, no database is created or changed.
    let listeners = Listeners::new(&config, &places)?;
    let readiness = Readiness::default();
    let monitored = monitoring::start(config.metrics_listen.as_ref(), &readiness)?;
    let manager = Manager::find();
    let watching = actix_web::rt::spawn(manager.clone().watch(readiness.clone()));
    let named = Arc::new(OnceLock::new());
    stop.on_hangup(reloader(&log, Arc::clone(&named)));
    if access.is_none() && !listeners.is_local() && is_new(&database) {
        return Err(NO_USERS.into());
    }
    let lock = match &database {
        Database::File(path) => Some(Arc::new(Lock::acquire(path)?)),
        Database::Temporary | Database::Postgres(_) => None,
    };
    let store = Store::open(&database, Options { lock, ..options }).await?;
    let parts = ServerParts { listeners, access, notifier, readiness, named, manager: manager.clone() };
    let served = serve(&config, parts, &database, &store, async |ready| work(ready, &mut stop).await).await;
    manager.send("STOPPING=1");
    if tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!("the database does not respond; stopping without closing it");
    }
    monitored.stop().await;
    watching.abort();
    Ok(served?)
}

/// The listeners, and the certificate if they use TLS.
struct Listeners {
    bound: Vec<BoundAddress>,
    tls: Option<Tls>,
}

impl Listeners {
    fn new(config: &ServeArgs, places: &[Listen]) -> Result<Self, String> {
        let bound = listen::bind(places)?;
        let tls = config.tls.open(config.dev)?;
        if tls.is_some() && bound.iter().any(|bound| matches!(bound.at, ListenAddress::File(_))) {
            return Err(
                "--listen unix:PATH is served without TLS, so it cannot be combined with a certificate".to_owned()
            );
        }
        Ok(Self { bound, tls })
    }

    fn is_local(&self) -> bool {
        self.bound.iter().all(BoundAddress::is_local)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// curl's arguments for the server's address, with the quote of the URL open.
    fn curl(&self) -> String {
        match self.bound.first().map(|bound| &bound.at) {
            Some(ListenAddress::File(file)) => format!("--unix-socket '{}' 'http://localhost", file.path.display()),
            Some(ListenAddress::Address(address)) => format!("'{}://{address}", self.scheme()),
            None => String::new(),
        }
    }
}

/// Whether the database does not exist yet.
fn is_new(database: &Database) -> bool {
    match database {
        Database::File(path) => !path.exists(),
        Database::Temporary => true,
        Database::Postgres(_) => false,
    }
}

/// The parts of a server, besides its store.
struct ServerParts {
    listeners: Listeners,
    access: Option<Access>,
    notifier: Notifier,
    readiness: Readiness,
    /// The tokens that SIGHUP reads again.
    named: Arc<OnceLock<Access>>,
    manager: Manager,
}

async fn serve<T>(
    config: &ServeArgs,
    ServerParts { listeners, access, notifier, readiness, named, manager }: ServerParts,
    database: &Database,
    store: &Store,
    work: impl AsyncFnOnce(Ready) -> T,
) -> Result<Option<T>, String> {
    let listen = |error: std::io::Error| format!("--listen: {error}");
    let access = if let Some(access) = access {
        access
    } else {
        if !store.can_sign_in().await.map_err(|error| error.to_string())? {
            if !listeners.is_local() {
                return Err(NO_USERS.to_owned());
            }
            first_start::create_first_user(store, database, &listeners.curl()).await?;
        }
        Access::stored()
    };
    let _ = named.set(access.clone());
    // A temporary database has no users yet.
    if !matches!(database, Database::Temporary) {
        check_users(config, &access, store).await.map_err(|error| error.to_string())?;
    }
    warn(config, &listeners);
    let api = api(config, access, notifier.clone(), readiness.clone(), store);
    prepare_store(config, &api, database, store).await?;
    let (connections, workers) = connections(config);
    let serving = Serving {
        api,
        connections: connections.clone(),
        request_timeout: config.request_timeout(),
        keep_alive: config.limits.keep_alive(),
        handshake_timeout: HANDSHAKE_TIMEOUT,
    };
    let mut server = builder(&connections, workers);
    let (scheme, mut urls) = (listeners.scheme(), Vec::new());
    let authority = listeners.tls.as_ref().and_then(Tls::authority).map(PathBuf::from);
    let mut ready_file = config.ready_file.as_deref().map(ReadyFile::prepare).transpose()?;
    // Dropping a socket's file removes it.
    let mut files = Vec::new();
    for bound in listeners.bound {
        let (listener, at) = bound.listen().map_err(listen)?;
        server = match (listener, &listeners.tls) {
            (Listener::Tcp(listener), None) => serving.clone().listen(server, listener),
            (Listener::Tcp(listener), Some(tls)) => serving.clone().listen_tls(server, listener, tls.config()?),
            (Listener::Unix(listener), _) => serving.clone().listen_unix(server, listener),
        }
        .map_err(listen)?;
        match at {
            ListenAddress::Address(address) => urls.push(format!("{scheme}://{address}")),
            ListenAddress::File(file) => {
                urls.push(format!("unix:{}", file.path.display()));
                files.push(file);
            }
        }
    }
    let running = server.run();
    let (handle, mut server) = (running.handle(), actix_web::rt::spawn(running));
    let (stop_delivery, stopped) = oneshot::channel();
    let watching = actix_web::rt::spawn(async move { connections.watch().await });
    let deliverer = store.clone();
    let deliverer = actix_web::rt::spawn(async move { notifier.deliver(&deliverer, stopped).await });
    announce(&urls, ready_file.as_mut(), &manager)?;
    let ready = Ready { url: urls.into_iter().next().unwrap_or_default(), authority, readiness };
    let (ended, done) = tokio::select! {
        done = work(ready) => {
            tracing::info!("stopping");
            drop(stop_delivery);
            handle.stop(true).await;
            (server.await, Some(done))
        }
        // It ends without a signal if it can no longer accept connections.
        ended = &mut server => {
            drop(stop_delivery);
            (ended, None)
        }
    };
    drop(ready_file);
    watching.abort();
    if tokio::time::timeout(RELEASE_TIMEOUT, deliverer).await.is_err() {
        tracing::warn!("leases of subscriptions were not released; another process takes them over when they expire");
    }
    ended.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(done)
}

/// Seeds the store, and lets the test kit save its initial state.
async fn prepare_store(config: &ServeArgs, api: &Api, database: &Database, store: &Store) -> Result<(), String> {
    if let Some(file) = &config.seed_file {
        testkit::seed_file(store, file).await?;
    }
    let may_have_users = config.seed_file.is_some() || !matches!(database, Database::Temporary);
    match api.inspector.as_ref().filter(|_| may_have_users) {
        Some(inspector) => inspector.begin(store).await.map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// A server without listeners.
fn builder(connections: &Connections, workers: usize) -> ServerBuilder {
    max_concurrent_tls_connect(MAX_HANDSHAKES);
    Server::build()
        .workers(workers)
        .max_concurrent_connections(connections.worker_limit(workers))
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
}

/// Prints the addresses of the server. Programs wait for these lines, so they are the same in every log format. A
/// closed output is not an error.
fn announce(urls: &[String], file: Option<&mut ReadyFile>, manager: &Manager) -> Result<(), String> {
    manager.send("READY=1\nSTATUS=Serving");
    if let Some(file) = file {
        file.write(&(urls.join("\n") + "\n"))?;
    }
    let lines: Vec<_> = urls.iter().map(|url| format!("contactd listening on {url}\n")).collect();
    let _ = std::io::stderr().write_all(lines.concat().as_bytes());
    Ok(())
}

/// Continues to serve while `/readyz` reports that the server is stopping, so that a load balancer sends no more
/// requests. A second signal ends it.
async fn drain(ready: &Ready, delay: Duration, stop: &mut Stop) {
    ready.readiness.drain();
    if delay.is_zero() {
        return;
    }
    tracing::info!(seconds = delay.as_secs(), "stopping after --drain-delay");
    let _ = tokio::time::timeout(delay, stop.wait()).await;
}

/// The API that these options ask for.
fn api(config: &ServeArgs, access: Access, notifier: Notifier, readiness: Readiness, store: &Store) -> Api {
    let settings = Settings { readiness, ..settings(config, notifier) };
    let (handling, batch_limit) = (config.handling, config.batch_limit);
    let graph = GraphSettings { handling, batch_limit, throttle: config.limits.throttle() };
    let carddav = (!config.no_carddav).then_some(DavSettings { plain_basic: config.allow_plain_basic });
    let front_ends = FrontEndSettings { graph, carddav, docs: config.docs };
    if config.dev {
        Api::for_tests(store.clone(), settings, front_ends)
    } else {
        Api::with(store.clone(), access, settings, front_ends)
    }
}

/// The API's settings.
fn settings(config: &ServeArgs, notifier: Notifier) -> Settings {
    let origin = match &config.public_url {
        Some(url) => Origin::Public(url.clone()),
        None if config.trust_forwarded => Origin::Forwarded,
        None => Origin::Host,
    };
    Settings {
        phone_region: config.phone_region,
        body_timeout: config.request_timeout(),
        keep_changes: config.keep_changes,
        max_import: config.max_import_bytes,
        max_snapshots: config.max_snapshot_bytes,
        limits: config.limits.requests(config.trust_forwarded),
        origin,
        hosts: hosts(config),
        cors: config.cors_origins(),
        log_addresses: config.log_addresses == LogAddresses::On,
        log_requests: config.log_requests,
        notifier: Some(notifier),
        ..Settings::default()
    }
}

/// Adapts the users' names to the claim that is trusted now, and warns if the users are not those of tests.
async fn check_users(config: &ServeArgs, access: &Access, store: &Store) -> Result<(), Error> {
    store.trust_claim(access.trusted_claim()).await?;
    if config.dev && store.has_real_users().await? {
        tracing::warn!(
            "--dev lets every client act as any user, and this database has users that were not created by --dev"
        );
    }
    Ok(())
}

/// Warns of settings that are probably a mistake. A start that fails prints only the reason.
fn warn(config: &ServeArgs, listeners: &Listeners) {
    for file in layers::open_secrets(config.token_file.as_deref()) {
        tracing::warn!(file = %file.display(), "other users of this machine may read this file of secrets: chmod o-r");
    }
    if let Some(authority) = listeners.tls.as_ref().and_then(Tls::authority) {
        let authority = authority.display();
        tracing::info!(%authority, "serving a development certificate; `contactd dev-cert` prints how to trust it");
    }
    let has_proxy = config.trust_forwarded || config.public_url.is_some();
    if listeners.tls.is_none() && !has_proxy && !listeners.is_local() {
        tracing::warn!(
            "this address is not local and traffic, including tokens, is not encrypted: serve TLS (--tls-cert), \
             or use a proxy with TLS and configure it with --trust-forwarded or --public-url"
        );
    }
    if config.public_url.is_some() && !config.trust_forwarded {
        tracing::warn!(
            "with --public-url all clients behind the proxy count as one address in limits and logs: use --trust-forwarded to \
             read the address of each client from X-Forwarded-For or Forwarded"
        );
    }
}

/// Values of `Host` that a server with `--dev` accepts besides loopback names: those of its own flags. Other names are
/// refused against DNS rebinding by web pages.
fn hosts(config: &ServeArgs) -> Option<Vec<String>> {
    let listen = config.listen_addresses().unwrap_or_default().into_iter().map(|place| place.to_string());
    let public = config.public_url.iter().filter_map(|url| url.split('/').nth(2)).map(str::to_owned);
    (config.dev && !config.dev_allow_remote).then(|| listen.chain(public).collect())
}

/// The limits for connections, and the number of worker threads, which is the framework's default.
fn connections(config: &ServeArgs) -> (Connections, usize) {
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let servers = 1 + config.read_from().len();
    let database = u64::from(config.database_connections) * servers as u64;
    let (files, forwarded) = (limits::raise_open_file_limit(), config.trust_forwarded);
    let limits = config.limits.connections(files, database, workers, forwarded, config.request_timeout());
    tracing::info!(files, connections = limits.max, of_address = limits.per_address, "limits");
    (Connections::new(limits, config.log_addresses == LogAddresses::On), workers)
}

/// Reads the log level and the tokens again. A value that cannot be read stays as it was.
fn reloader(log: &RunningLog, named: Arc<OnceLock<Access>>) -> impl Fn() + use<> {
    let set = log.setter();
    move || {
        let arguments: Vec<_> = std::env::args_os().collect();
        let config = match layers::parse(&arguments) {
            Ok(Cli { command: Command::Serve(config) }) => config,
            Ok(_) => return,
            Err(layers::Stopped::Refused(reason)) => return tracing::error!(reason, "the settings stay as they were"),
            Err(_) => return tracing::error!("the settings stay as they were: they cannot be read"),
        };
        match config.level() {
            Ok(level) => set(level),
            Err(reason) => tracing::error!(reason, "the log level stays as it was"),
        }
        let tokens = layers::named_tokens(config.token_file.as_deref());
        let read = tokens.and_then(|text| match named.get() {
            Some(access) => access.reload_tokens(&text),
            None => Ok(()),
        });
        match read {
            Ok(()) => tracing::info!("log level and tokens were read again; other settings need a restart"),
            Err(reason) => tracing::error!(reason, "the tokens stay as they were"),
        }
    }
}

/// Why a server on other than loopback addresses does not start if it has no users.
const NO_USERS: &str = "there is no user who can sign in: start once on a loopback address, which creates a user and a token (contactd user add \
    and contactd token create create more), set tokens in CONTACTD_TOKENS=name=secret,… or --token-file, set an identity \
    provider with --oidc-issuer, or use --dev";

/// Tokens from the environment and the token file, and the identity provider; `None` if only tokens of the database count.
fn access(config: &ServeArgs) -> Result<Option<Access>, String> {
    let tokens = layers::named_tokens(config.token_file.as_deref())?;
    let provider = config.provider()?;
    if config.dev {
        return match (tokens.trim().is_empty(), provider) {
            (true, None) => Ok(Some(Access::development())),
            _ => Err("--dev accepts every token: remove CONTACTD_TOKENS, --token-file and --oidc-issuer, or --dev"
                .to_owned()),
        };
    }
    let named = if tokens.trim().is_empty() { None } else { Some(Access::tokens(&tokens)?) };
    Ok(match provider {
        Some(provider) => Some(named.unwrap_or_else(Access::stored).with_provider(provider)),
        None => named,
    })
}
