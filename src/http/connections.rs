//! Client connections: limits on their number, and the closing of slow ones. The framework times the first head of a
//! connection and its idle time. This file times later heads, and answers that the client does not read.
//!
//! A new connection beyond a limit is not refused: the connection that has been idle for longest is closed instead, so that
//! clients that only hold connections open keep nobody out.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::{TcpStream, UnixStream};
use socket2::{SockRef, Socket};

use crate::http::client::{self, Client};
use crate::http::framework_log;
use crate::metrics::list::{CLOSED, CONNECTIONS, Closed, Conn as Counted, REFUSED, Refused};

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
    /// How long a client may take to read the next piece of an answer (64 KiB), and how far it may fall behind `LEAST_RATE`.
    pub stall: Duration,
}

/// Bytes per second that a client must read of an answer, on average.
const LEAST_RATE: u64 = 16 << 10;

/// Connections that a worker accepts beyond its limit while others are being closed.
pub const ACCEPT_MARGIN: usize = 32;
/// The framework's timers may end this much early, because it reads the clock at this interval.
const CLOCK: Duration = Duration::from_millis(500);
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

#[derive(Default)]
struct ConnectionTable {
    conns: HashMap<u64, Conn>,
    /// The last number given to a connection or a change of state.
    last: u64,
    /// Idle connections, longest first: by the number of that change of state.
    idle: BTreeMap<u64, u64>,
    /// Connections whose client reads an answer, by the time at which the next piece is due.
    answering: BTreeSet<(Instant, u64)>,
    clients: HashMap<Client, PerClient>,
}

/// The connections of one client address.
#[derive(Default)]
struct PerClient {
    open: usize,
    idle: BTreeMap<u64, u64>,
}

struct Conn {
    /// A duplicate of the socket's descriptor.
    socket: Socket,
    client: Option<Client>,
    state: ConnState,
    /// Whether a request came on it.
    was_used: bool,
    turn: u64,
    since: Instant,
    /// When the client began to read the answer.
    answering_since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnState {
    Idle,
    Working,
    /// The client reads an answer; the next piece is due then.
    Answering(Instant),
    /// Closed here; the framework will drop it.
    Closed,
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
                extensions.insert(client::AtFile);
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
        return Some((stream.as_fd(), Some(Client::LOCAL), Some(client::AT_FILE.to_owned())));
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
        #[cfg(target_os = "linux")]
        {
            // A Unix socket refuses both options, which does no harm. The kernel closes a connection whose peer acknowledges
            // nothing for so long.
            let _ = socket.set_tcp_user_timeout(Some(self.limits.stall));
            // The kernel buffers little, so that the pace at which it asks for data is that of the client.
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

impl Conn {
    /// Why an idle connection is closed. A part of a later head counts as idle, since the framework does not tell.
    fn cause(&self) -> Closed {
        if self.was_used { Closed::Idle } else { Closed::SlowHead }
    }
}

impl ConnectionTable {
    /// Registers a connection, closing another one if needed, and returns its number.
    fn open(&mut self, limits: ConnectionLimits, socket: Socket, client: Option<Client>, now: Instant) -> Option<u64> {
        // Not `entry`: a refused client must leave nothing behind.
        let own = client.and_then(|client| self.clients.get(&client));
        if let Some(own) = own.filter(|own| own.open >= limits.per_address) {
            let longest = own.idle.first_key_value().map(|(_, id)| *id)?;
            self.close(longest, Closed::Address);
        } else if self.conns.len() >= limits.max {
            let longest = self.idle.first_key_value().map(|(_, id)| *id)?;
            self.close(longest, Closed::TooMany);
        }
        self.last += 1;
        let id = self.last;
        if let Some(client) = client {
            self.clients.entry(client).or_default().open += 1;
        }
        let (state, was_used, since, answering_since) = (ConnState::Closed, false, now, now);
        self.conns.insert(id, Conn { socket, client, state, was_used, turn: 0, since, answering_since });
        self.set_state(id, ConnState::Idle, now);
        Some(id)
    }

    /// Changes the state of a connection, unless it was closed.
    fn note_state(&mut self, id: u64, state: ConnState, now: Instant) {
        if self.conns.get(&id).is_some_and(|conn| conn.state != ConnState::Closed) {
            self.set_state(id, state, now);
        }
    }

    fn set_state(&mut self, id: u64, state: ConnState, now: Instant) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        // A connection of an unknown client is in no client's list.
        let mut nobody = PerClient::default();
        let own = conn.client.and_then(|client| self.clients.get_mut(&client)).unwrap_or(&mut nobody);
        match conn.state {
            ConnState::Idle => {
                self.idle.remove(&conn.turn);
                own.idle.remove(&conn.turn);
            }
            ConnState::Answering(due) => {
                self.answering.remove(&(due, id));
            }
            ConnState::Working | ConnState::Closed => {}
        }
        self.last += 1;
        for (state, more) in [(conn.state, -1), (state, 1)] {
            match state {
                ConnState::Idle => CONNECTIONS.add(Counted::Idle, more),
                ConnState::Working | ConnState::Answering(_) => CONNECTIONS.add(Counted::Active, more),
                ConnState::Closed => {}
            }
        }
        (conn.state, conn.turn, conn.since) = (state, self.last, now);
        conn.was_used |= state == ConnState::Working;
        match state {
            ConnState::Idle => {
                self.idle.insert(conn.turn, id);
                own.idle.insert(conn.turn, id);
            }
            ConnState::Answering(due) => {
                self.answering.insert((due, id));
            }
            ConnState::Working | ConnState::Closed => {}
        }
    }

    /// Records that the client has read `given` bytes of an answer and is given more.
    fn note_progress(&mut self, id: u64, given: u64, now: Instant, limits: ConnectionLimits) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !matches!(conn.state, ConnState::Answering(_)) {
            conn.answering_since = now;
        }
        let taken_in = Duration::from_millis(given.saturating_mul(1_000) / LEAST_RATE);
        let due = (conn.answering_since + taken_in).min(now) + limits.stall;
        self.note_state(id, ConnState::Answering(due), now);
    }

    /// Closes a connection. The framework finds it closed, and drops it.
    fn close(&mut self, id: u64, why: Closed) {
        CLOSED.increment(why);
        self.shut(id);
    }

    fn shut(&mut self, id: u64) {
        if let Some(conn) = self.conns.get(&id) {
            let _ = conn.socket.shutdown(Shutdown::Both);
        }
        self.set_state(id, ConnState::Closed, Instant::now());
    }

    /// A connection that is late.
    fn find_late(&self, now: Instant, limits: ConnectionLimits) -> Option<(u64, Closed)> {
        let idle = || {
            let (_, id) = self.idle.first_key_value()?;
            let conn = self.conns.get(id)?;
            let is_late = now.saturating_duration_since(conn.since) >= limits.keep_alive + limits.head;
            is_late.then_some((*id, conn.cause()))
        };
        let answering =
            || self.answering.first().filter(|(due, _)| *due <= now).map(|(_, id)| (*id, Closed::SlowReader));
        idle().or_else(answering)
    }

    /// The time limit at which the framework closed a connection that it drops now, or the system one whose client takes
    /// nothing. Neither reports this, so the time that passed tells it. A client that leaves within the last [`CLOCK`] of its
    /// time counts as closed.
    fn expired(&self, id: u64, now: Instant, limits: ConnectionLimits) -> Option<Closed> {
        let conn = self.conns.get(&id)?;
        let (due, why) = match conn.state {
            ConnState::Idle if conn.was_used => (conn.since + limits.keep_alive, conn.cause()),
            ConnState::Idle => (conn.since + limits.head, conn.cause()),
            ConnState::Answering(due) => (due, Closed::SlowReader),
            ConnState::Working | ConnState::Closed => return None,
        };
        (now + CLOCK >= due).then_some(why)
    }

    /// Records that a request is over. If its answer was not given whole and is late, the system has closed the connection.
    fn end_exchange(&mut self, id: u64, now: Instant, limits: ConnectionLimits) {
        match self.expired(id, now, limits) {
            Some(Closed::SlowReader) => self.close(id, Closed::SlowReader),
            _ => self.note_state(id, ConnState::Idle, now),
        }
    }

    fn drop_conn(&mut self, id: u64, limits: ConnectionLimits) {
        let now = Instant::now();
        if let Some(why) = self.expired(id, now, limits) {
            CLOSED.increment(why);
        }
        self.set_state(id, ConnState::Closed, now);
        let Some(conn) = self.conns.remove(&id) else { return };
        let Some(client) = conn.client else { return };
        if let Some(own) = self.clients.get_mut(&client) {
            own.open -= 1;
            if own.open == 0 {
                self.clients.remove(&client);
            }
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

    /// The client has read `given` bytes and is given more.
    pub(crate) fn note_progress(&self, given: u64) {
        if let Some(Connection { shared, id, .. }) = self.0.as_deref() {
            shared.table().note_progress(*id, given, Instant::now(), shared.limits);
        }
    }

    /// The same connection, whose state this does not change.
    pub(crate) fn share(&self) -> ConnectionExchange {
        Self(self.0.clone())
    }

    /// Closes the connection. With `reset` the client sees that it was broken, and not that it ended.
    pub(crate) fn abort(&self, reset: bool) {
        let Some(Connection { shared, id, .. }) = self.0.as_deref() else { return };
        let mut table = shared.table();
        if let Some(conn) = table.conns.get(id).filter(|_| reset) {
            // A connection to nowhere is how a socket that others hold too is reset.
            let _ = rustix::net::connect_unspec(&conn.socket);
        }
        table.shut(*id);
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
    use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        max: 4,
        per_address: 2,
        head: Duration::from_secs(30),
        keep_alive: Duration::from_secs(70),
        stall: Duration::from_secs(30),
    };

    fn client(number: u32) -> Client {
        Client::from(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    /// A socket, and its other end, which keeps it open.
    fn socket() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one.into(), listener.accept().unwrap().0)
    }

    #[test]
    fn an_address_that_is_refused_leaves_nothing_behind() {
        let (mut table, now, (socket, _other)) = (ConnectionTable::default(), Instant::now(), socket());
        let open = |table: &mut ConnectionTable, number| {
            table.open(LIMITS, socket.try_clone().unwrap(), Some(client(number)), now)
        };
        let held: Vec<_> = (0..4).map(|number| open(&mut table, number).unwrap()).collect();
        for id in &held {
            table.note_state(*id, ConnState::Working, now);
        }
        for number in 0..10_000 {
            assert_eq!(open(&mut table, number), None, "{number}");
        }
        assert_eq!((table.clients.len(), table.conns.len()), (4, 4));
        for id in held {
            table.drop_conn(id, LIMITS);
        }
        assert_eq!((table.clients.len(), table.conns.len(), table.idle.len(), table.answering.len()), (0, 0, 0, 0));
    }

    #[test]
    fn a_connection_that_ends_before_its_time_is_over_was_not_closed_by_the_server() {
        let (mut table, start, (socket, _other)) = (ConnectionTable::default(), Instant::now(), socket());
        let id = table.open(LIMITS, socket, Some(client(1)), start).unwrap();
        let expired =
            |table: &ConnectionTable, seconds: u64| table.expired(id, start + Duration::from_secs(seconds), LIMITS);
        assert_eq!((expired(&table, 29), expired(&table, 30)), (None, Some(Closed::SlowHead)));
        table.note_state(id, ConnState::Working, start);
        assert_eq!(expired(&table, 1_000), None);
        table.note_state(id, ConnState::Idle, start);
        assert_eq!((expired(&table, 69), expired(&table, 70)), (None, Some(Closed::Idle)));
        let late = |seconds: u64| table.find_late(start + Duration::from_secs(seconds), LIMITS).map(|(_, why)| why);
        assert_eq!((late(99), late(100)), (None, Some(Closed::Idle)));
        table.note_progress(id, 0, start, LIMITS);
        assert_eq!((expired(&table, 29), expired(&table, 30)), (None, Some(Closed::SlowReader)));
        table.end_exchange(id, start + Duration::from_secs(29), LIMITS);
        assert!(table.conns[&id].state == ConnState::Idle);
        table.note_progress(id, 0, start, LIMITS);
        table.end_exchange(id, start + Duration::from_secs(30), LIMITS);
        assert!(table.conns[&id].state == ConnState::Closed);
    }

    #[test]
    fn who_takes_too_little_of_an_answer_over_all_of_it_is_closed_although_each_piece_is_taken_in_time() {
        const PIECE: u64 = 64 << 10;
        let (mut table, start, (socket, _other)) = (ConnectionTable::default(), Instant::now(), socket());
        let id = table.open(LIMITS, socket, Some(client(1)), start).unwrap();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        // As slow as may be: what was given is taken at the least rate, four seconds a piece.
        for piece in 0..100 {
            table.note_progress(id, piece * PIECE, at(piece * 4), LIMITS);
            assert_eq!(table.find_late(at(piece * 4 + 29), LIMITS).map(|(id, _)| id), None, "{piece}");
        }
        table.note_state(id, ConnState::Working, at(400));
        // Each piece in time, and all together not: 30 seconds and what the rate gives are over.
        table.note_progress(id, 0, at(1_000), LIMITS);
        table.note_progress(id, PIECE, at(1_029), LIMITS);
        assert_eq!(table.find_late(at(1_033), LIMITS).map(|(id, _)| id), None);
        assert_eq!(table.find_late(at(1_034), LIMITS).map(|(id, _)| id), Some(id));
        // The next answer starts from zero, and a single piece that is not read is late.
        table.note_state(id, ConnState::Working, at(1_033));
        table.note_progress(id, 0, at(1_100), LIMITS);
        assert_eq!(table.find_late(at(1_129), LIMITS).map(|(id, _)| id), None);
        assert_eq!(table.find_late(at(1_130), LIMITS).map(|(id, _)| id), Some(id));
        table.drop_conn(id, LIMITS);
        assert!(table.answering.is_empty() && table.idle.is_empty());
    }
}
