//! The table of connections: what each is doing, when it is late, and which one is closed in favour of another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::http::client::Client;
use crate::http::connections::ConnectionLimits;
use crate::metrics::list::{CLOSED, CONNECTIONS, Closed, Conn as Counted};

/// Bytes per second that a client must read of an answer, on average.
const MIN_RATE: u64 = 16 << 10;
/// The framework's timers may end this much early, because it reads the clock at this interval.
const TIMER_TOLERANCE: Duration = Duration::from_millis(500);

/// All open connections.
#[derive(Default)]
pub(super) struct ConnectionTable {
    conns: HashMap<u64, Conn>,
    /// The last number that was given to a connection or a change of state.
    last_number: u64,
    /// Idle connections by the number of the change of state that made them idle, so the longest idle one is first.
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
    /// Whether a request arrived on it.
    was_used: bool,
    state_number: u64,
    since: Instant,
    /// When the client began to read the answer.
    answering_since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnState {
    Idle,
    Working,
    /// The client reads an answer. The next piece is due at this time.
    Answering(Instant),
    /// Closed by this table. The framework will drop it.
    Closed,
}

impl Conn {
    /// Why an idle connection is closed. A part of a later head counts as idle, because the framework does not report
    /// it.
    fn cause(&self) -> Closed {
        if self.was_used { Closed::Idle } else { Closed::SlowHead }
    }
}

impl ConnectionTable {
    /// Registers a connection, closing another one if needed, and returns its number.
    pub(super) fn open(
        &mut self,
        limits: ConnectionLimits,
        socket: Socket,
        client: Option<Client>,
        now: Instant,
    ) -> Option<u64> {
        // Not `entry`: a refused client must leave no entry.
        let per_client = client.and_then(|client| self.clients.get(&client));
        if let Some(per_client) = per_client.filter(|per_client| per_client.open >= limits.per_address) {
            let longest_idle = per_client.idle.first_key_value().map(|(_, id)| *id)?;
            self.close(longest_idle, Closed::Address);
        } else if self.conns.len() >= limits.max {
            let longest_idle = self.idle.first_key_value().map(|(_, id)| *id)?;
            self.close(longest_idle, Closed::TooMany);
        }
        self.last_number += 1;
        let id = self.last_number;
        if let Some(client) = client {
            self.clients.entry(client).or_default().open += 1;
        }
        let (state, was_used, since, answering_since) = (ConnState::Closed, false, now, now);
        self.conns.insert(id, Conn { socket, client, state, was_used, state_number: 0, since, answering_since });
        self.set_state(id, ConnState::Idle, now);
        Some(id)
    }

    /// Changes the state of a connection, unless it was closed.
    pub(super) fn note_state(&mut self, id: u64, state: ConnState, now: Instant) {
        if self.conns.get(&id).is_some_and(|conn| conn.state != ConnState::Closed) {
            self.set_state(id, state, now);
        }
    }

    fn set_state(&mut self, id: u64, state: ConnState, now: Instant) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        // A connection of an unknown client is in no client's list.
        let mut unknown = PerClient::default();
        let per_client = conn.client.and_then(|client| self.clients.get_mut(&client)).unwrap_or(&mut unknown);
        match conn.state {
            ConnState::Idle => {
                self.idle.remove(&conn.state_number);
                per_client.idle.remove(&conn.state_number);
            }
            ConnState::Answering(due) => {
                self.answering.remove(&(due, id));
            }
            ConnState::Working | ConnState::Closed => {}
        }
        self.last_number += 1;
        for (state, change) in [(conn.state, -1), (state, 1)] {
            match state {
                ConnState::Idle => CONNECTIONS.add(Counted::Idle, change),
                ConnState::Working | ConnState::Answering(_) => CONNECTIONS.add(Counted::Active, change),
                ConnState::Closed => {}
            }
        }
        (conn.state, conn.state_number, conn.since) = (state, self.last_number, now);
        conn.was_used |= state == ConnState::Working;
        match state {
            ConnState::Idle => {
                self.idle.insert(conn.state_number, id);
                per_client.idle.insert(conn.state_number, id);
            }
            ConnState::Answering(due) => {
                self.answering.insert((due, id));
            }
            ConnState::Working | ConnState::Closed => {}
        }
    }

    /// Records that the client has read `bytes_read` bytes of an answer and is given more.
    pub(super) fn note_progress(&mut self, id: u64, bytes_read: u64, now: Instant, limits: ConnectionLimits) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !matches!(conn.state, ConnState::Answering(_)) {
            conn.answering_since = now;
        }
        let expected_time = Duration::from_millis(bytes_read.saturating_mul(1_000) / MIN_RATE);
        let due = (conn.answering_since + expected_time).min(now) + limits.stall;
        self.note_state(id, ConnState::Answering(due), now);
    }

    /// Closes a connection. The framework notices this and drops it.
    pub(super) fn close(&mut self, id: u64, why: Closed) {
        CLOSED.increment(why);
        self.close_uncounted(id, false);
    }

    /// Closes a connection without counting it.
    pub(super) fn close_uncounted(&mut self, id: u64, reset: bool) {
        if let Some(conn) = self.conns.get(&id) {
            if reset {
                // Connecting to an unspecified address resets a socket that other descriptors share.
                let _ = rustix::net::connect_unspec(&conn.socket);
            }
            let _ = conn.socket.shutdown(Shutdown::Both);
        }
        self.set_state(id, ConnState::Closed, Instant::now());
    }

    /// A connection that is late.
    pub(super) fn find_late(&self, now: Instant, limits: ConnectionLimits) -> Option<(u64, Closed)> {
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

    /// Whether a connection that is dropped now had reached a time limit: that of the framework, or that of the kernel
    /// for a client that reads nothing. Neither reports this, so it is derived from the elapsed time. A client that
    /// leaves within the last [`TIMER_TOLERANCE`] before the limit counts as closed.
    fn expired(&self, id: u64, now: Instant, limits: ConnectionLimits) -> Option<Closed> {
        let conn = self.conns.get(&id)?;
        let (due, why) = match conn.state {
            ConnState::Idle if conn.was_used => (conn.since + limits.keep_alive, conn.cause()),
            ConnState::Idle => (conn.since + limits.head, conn.cause()),
            ConnState::Answering(due) => (due, Closed::SlowReader),
            ConnState::Working | ConnState::Closed => return None,
        };
        (now + TIMER_TOLERANCE >= due).then_some(why)
    }

    /// Records that a request is over. If its answer was not sent whole and is late, the system has closed the
    /// connection.
    pub(super) fn end_exchange(&mut self, id: u64, now: Instant, limits: ConnectionLimits) {
        match self.expired(id, now, limits) {
            Some(Closed::SlowReader) => self.close(id, Closed::SlowReader),
            _ => self.note_state(id, ConnState::Idle, now),
        }
    }

    pub(super) fn drop_conn(&mut self, id: u64, limits: ConnectionLimits) {
        let now = Instant::now();
        if let Some(why) = self.expired(id, now, limits) {
            CLOSED.increment(why);
        }
        self.set_state(id, ConnState::Closed, now);
        let Some(conn) = self.conns.remove(&id) else { return };
        let Some(client) = conn.client else { return };
        if let Some(per_client) = self.clients.get_mut(&client) {
            per_client.open -= 1;
            if per_client.open == 0 {
                self.clients.remove(&client);
            }
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
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (stream.into(), listener.accept().unwrap().0)
    }

    #[test]
    fn refused_connections_leave_no_entries() {
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
    fn connections_that_end_before_their_limit_are_not_counted_as_closed() {
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
    fn readers_below_the_minimum_rate_are_closed() {
        const PIECE: u64 = 64 << 10;
        let (mut table, start, (socket, _other)) = (ConnectionTable::default(), Instant::now(), socket());
        let id = table.open(LIMITS, socket, Some(client(1)), start).unwrap();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        // The client reads at the minimum rate: four seconds for each piece.
        for piece in 0..100 {
            table.note_progress(id, piece * PIECE, at(piece * 4), LIMITS);
            assert_eq!(table.find_late(at(piece * 4 + 29), LIMITS).map(|(id, _)| id), None, "{piece}");
        }
        table.note_state(id, ConnState::Working, at(400));
        // Each piece is read in time, but the average is too low: 30 seconds plus the time at the minimum rate are
        // over.
        table.note_progress(id, 0, at(1_000), LIMITS);
        table.note_progress(id, PIECE, at(1_029), LIMITS);
        assert_eq!(table.find_late(at(1_033), LIMITS).map(|(id, _)| id), None);
        assert_eq!(table.find_late(at(1_034), LIMITS).map(|(id, _)| id), Some(id));
        // The next answer starts from zero. A single piece that is not read in time is late.
        table.note_state(id, ConnState::Working, at(1_033));
        table.note_progress(id, 0, at(1_100), LIMITS);
        assert_eq!(table.find_late(at(1_129), LIMITS).map(|(id, _)| id), None);
        assert_eq!(table.find_late(at(1_130), LIMITS).map(|(id, _)| id), Some(id));
        table.drop_conn(id, LIMITS);
        assert!(table.answering.is_empty() && table.idle.is_empty());
    }
}
