//! A server in a thread of this process, for tests of Rust programs ([`crate::testing`]).

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_server::Server;
use actix_web::rt::System;
use tokio::sync::oneshot;

use crate::clock::{self, Clock, Mode};
use crate::domain::handling::Handling;
use crate::graph::settings::GraphSettings;
use crate::http::connections::{ConnectionLimits, Connections};
use crate::http::serving::Serving;
use crate::http::{Api, Settings};
use crate::notify::{Notifier, NotifierSettings};
use crate::store::{Database, Options, Store};
use crate::testkit::DETERMINISTIC;

/// How long deleted contacts, changes and the audit log are kept: the defaults of `contactd serve`.
const KEEP_DELETED: Duration = Duration::from_hours(30 * 24);
const KEEP_CHANGES: Duration = Duration::from_hours(90 * 24);
/// Time limits of connections.
const IDLE: Duration = Duration::from_mins(1);
const REQUEST: Duration = Duration::from_secs(30);
/// Threads and connections. All clients of a test's server are on one machine.
const WORKERS: usize = 2;
const CONNECTIONS: usize = 1_000;

/// A server that runs until it is dropped.
pub(crate) struct RunningServer {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer {
    /// Starts a server on a free port of the loopback address, over a temporary store. It has a clock of its own. With
    /// `is_deterministic` the clock is frozen at the time of `--deterministic`, and ids come from a seed.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn start(is_deterministic: bool) -> Result<Self, String> {
        let (started, start_result) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            Clock::another().enter();
            if is_deterministic {
                clock::seed(1);
                clock::set(Mode::Frozen { now: DETERMINISTIC, tick: 0 });
            }
            System::new().block_on(async {
                if let Err(why) = serve(&started, stopped).await {
                    // After the start nobody receives this error.
                    let _ = started.send(Err(why));
                }
            });
        };
        let thread =
            thread::Builder::new().name("contactd".to_owned()).spawn(serve).map_err(|error| error.to_string())?;
        let address = start_result.recv().map_err(|_| "it ended before it had begun".to_owned())??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(started: &Sender<Result<SocketAddr, String>>, stopped: oneshot::Receiver<()>) -> Result<(), String> {
    let options = Options {
        keep_deleted: Some(KEEP_DELETED),
        keep_changes: Some(KEEP_CHANGES),
        keep_audit: Some(KEEP_CHANGES),
        ..Options::default()
    };
    let store = Store::open(&Database::Temporary, options).await.map_err(|error| error.to_string())?;
    let notifier = Notifier::new(NotifierSettings::default())?;
    let settings = Settings { hosts: Some(Vec::new()), notifier: Some(notifier.clone()), ..Settings::default() };
    // Strict, like the fixtures for other languages: it refuses what Graph refuses.
    let graph = GraphSettings { handling: Handling::Strict, ..GraphSettings::default() };
    let (max, per_address) = (CONNECTIONS, CONNECTIONS);
    let limits = ConnectionLimits { max, per_address, head: REQUEST, keep_alive: IDLE, stall: REQUEST };
    let connections = Connections::new(limits, false);
    let serving = Serving {
        api: Api::for_tests(store.clone(), settings, graph),
        connections: connections.clone(),
        request_timeout: REQUEST,
        keep_alive: IDLE,
        handshake_timeout: REQUEST,
    };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let server = Server::build().workers(WORKERS).shutdown_timeout(1).disable_signals();
    let server = serving.listen(server, listener).map_err(|error| error.to_string())?.run();
    let (handle, server) = (server.handle(), actix_web::rt::spawn(server));
    let watching = actix_web::rt::spawn(async move { connections.watch().await });
    let (stop_delivery, delivery_stopped) = oneshot::channel();
    let deliverer = store.clone();
    let deliverer = actix_web::rt::spawn(async move { notifier.deliver(&deliverer, delivery_stopped).await });
    let _ = started.send(Ok(address));
    let _ = stopped.await;
    drop(stop_delivery);
    // The test is over, so no request needs to finish.
    handle.stop(false).await;
    let _ = server.await;
    watching.abort();
    let _ = deliverer.await;
    store.close().await;
    Ok(())
}
