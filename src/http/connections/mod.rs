//! Client connections: limits on their number, and the closing of slow ones. The framework times the first head of a
//! connection and its idle time. This module times later heads, and answers that the client does not read.
//!
//! A new connection beyond a limit is not refused: the connection that has been idle for longest is closed instead, so
//! that clients that only hold connections open keep nobody out.

mod table;

use std::any::Any;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream, UnixStream};
use socket2::SockRef;

use crate::http::client::{self, Client};
use crate::http::connections::table::{ConnState, ConnectionTable};
use crate::http::framework_log;
use crate::metrics::list::{REFUSED, Refused};

/// Limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Concurrent connections.
    pub max: usize,
    /// Concurrent connections of one client address.
    pub per_address: usize,
    /// How long a client may take to send the head of a request.
    pub head: Duration,
    /// How long a connection is kept without a request.
    pub keep_alive: Duration,
    /// How long a client may take to read the next piece of an answer (64 KiB), and how far it may fall behind
    /// `MIN_RATE`.
    pub stall: Duration,
}

/// Connections that a worker accepts beyond its limit while others are being closed.
pub const ACCEPT_MARGIN: usize = 32;
/// Interval at which late connections are closed.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The connections of a server. Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<SharedConnections>);

struct SharedConnections {
    limits: ConnectionLimits,
    /// Whether the log shows the addresses of clients.
    log_addresses: bool,
    table: Mutex<ConnectionTable>,
}

/// A connection of the framework; dropped with it.
pub(crate) struct Connection {
    shared: Arc<SharedConnections>,
    id: u64,
    /// The peer as the log shows it.
    peer: Option<String>,
}

impl Connections {
    /// No connections yet.
    pub fn new(limits: ConnectionLimits, log_addresses: bool) -> Self {
        Self(Arc::new(SharedConnections { limits, log_addresses, table: Mutex::default() }))
    }

    /// The callback for `HttpServer::on_connect`.
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
        let shared = Arc::clone(&self.0);
        move |stream, extensions| {
            let Some((socket, client, peer)) = socket(stream) else { return };
            if client == Some(Client::LOCAL) {
                extensions.insert(client::UnixPeer);
            }
            if let Some(connection) = shared.open(socket, client, peer) {
                extensions.insert(Rc::new(connection));
            }
        }
    }

    /// The limit of each worker, including connections that arrive while others are being closed.
    pub fn worker_limit(&self, workers: usize) -> usize {
        self.0.limits.max.div_ceil(workers.max(1)) + ACCEPT_MARGIN
    }

    /// Closes late connections; never returns.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.0.close_late(Instant::now());
        }
    }
}

/// The socket of a connection, with TLS or without, its client, and the peer as the log shows it.
fn socket(stream: &dyn Any) -> Option<(BorrowedFd<'_>, Option<Client>, Option<String>)> {
    if let Some(stream) = stream.downcast_ref::<UnixStream>() {
        return Some((stream.as_fd(), Some(Client::LOCAL), Some(client::UNIX_ADDRESS.to_owned())));
    }
    let plain = || stream.downcast_ref::<TcpStream>();
    let stream = stream.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0).or_else(plain)?;
    let peer = stream.peer_addr().ok().map(|peer| peer.ip());
    Some((stream.as_fd(), peer.map(Client::from), peer.map(|peer| peer.to_string())))
}

impl SharedConnections {
    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection, or closes it if all others are busy.
    fn open(
        self: &Arc<Self>,
        stream: BorrowedFd<'_>,
        client: Option<Client>,
        peer: Option<String>,
    ) -> Option<Connection> {
        let socket = SockRef::from(&stream);
        // A Unix socket refuses these options, which does no harm. The last piece of a streamed answer must not wait
        // for the client's acknowledgement of the pieces before, which clients delay by 40 ms.
        let _ = socket.set_tcp_nodelay(true);
        #[cfg(target_os = "linux")]
        {
            // The kernel closes a connection whose peer acknowledges nothing for this time.
            let _ = socket.set_tcp_user_timeout(Some(self.limits.stall));
            // The kernel buffers little, so that it asks for data at the pace of the client.
            let _ = socket.set_tcp_notsent_lowat(super::answer::PIECE);
        }
        let id = stream
            .try_clone_to_owned()
            .ok()
            .and_then(|handle| self.table().open(self.limits, handle.into(), client, Instant::now()));
        let Some(id) = id else {
            let _ = socket.shutdown(Shutdown::Both);
            return None;
        };
        Some(Connection { shared: Arc::clone(self), id, peer })
    }

    fn close_late(&self, now: Instant) {
        let mut table = self.table();
        while let Some((id, why)) = table.find_late(now, self.limits) {
            table.close(id, why);
        }
    }
}

impl Connection {
    fn note_state(&self, state: ConnState) {
        self.shared.table().note_state(self.id, state, Instant::now());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.table().drop_conn(self.id, self.shared.limits);
        // The framework logs the reason on the same thread right before it drops the connection.
        if let Some(reason) = framework_log::take_drop_reason() {
            // A timeout is that of a client that does not close its end.
            if !reason.contains("timeout") {
                REFUSED.increment(Refused::Head);
            }
            let address = self.peer.as_deref().filter(|_| self.shared.log_addresses);
            tracing::info!(address, reason, "a connection was dropped");
        }
    }
}

/// A request on a connection, until the client has read its answer. Without [`Connections`] it does nothing.
#[derive(Default)]
pub(crate) struct ConnectionExchange(Option<Rc<Connection>>);

impl ConnectionExchange {
    pub(crate) fn begin(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Rc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.note_state(ConnState::Working);
        }
        Self(connection)
    }

    /// The client has read `bytes_read` bytes and is given more.
    pub(crate) fn note_progress(&self, bytes_read: u64) {
        if let Some(Connection { shared, id, .. }) = self.0.as_deref() {
            shared.table().note_progress(*id, bytes_read, Instant::now(), shared.limits);
        }
    }

    /// Another handle to the same connection. Creating it does not change the state.
    pub(crate) fn share(&self) -> ConnectionExchange {
        Self(self.0.clone())
    }

    /// Closes the connection. With `reset` the client sees that it was broken, and not that it ended.
    pub(crate) fn abort(&self, reset: bool) {
        let Some(Connection { shared, id, .. }) = self.0.as_deref() else { return };
        shared.table().close_uncounted(*id, reset);
    }

    /// The client waits for the server, which makes the next piece of an answer, or the answer was given whole.
    pub(crate) fn set_working(&self) {
        if let Some(connection) = &self.0 {
            connection.note_state(ConnState::Working);
        }
    }

    /// The server waits for the client: the connection may be closed in favour of another.
    pub(crate) fn set_waiting(&self) {
        if let Some(connection) = &self.0 {
            connection.note_state(ConnState::Idle);
        }
    }
}

impl Drop for ConnectionExchange {
    fn drop(&mut self) {
        if let Some(Connection { shared, id, .. }) = self.0.as_deref() {
            shared.table().end_exchange(*id, Instant::now(), shared.limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_send_without_delay() {
        let second = Duration::from_secs(1);
        let limits = ConnectionLimits { max: 1, per_address: 1, head: second, keep_alive: second, stall: second };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _connection = Connections::new(limits, false).0.open(stream.as_fd(), None, None).unwrap();
        assert!(SockRef::from(&stream).tcp_nodelay().unwrap());
    }
}
