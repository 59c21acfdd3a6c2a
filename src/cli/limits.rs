//! Limits for clients: their options, and the number of files that the process may open.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::graph::throttle::MailboxLimits;
use crate::http::{Limits, connections};

/// Default limit of client connections, if the open-file limit allows it.
const DEFAULT_MAX_CONNECTIONS: u64 = 10_000;
/// Files that are kept for all but clients: the log, listeners, event queues, SQLite, outgoing notifications.
const RESERVE: u64 = 192;
/// Files of a connection: the socket, and a second handle to close it from another thread.
const FILES_OF_CONNECTION: u64 = 2;
/// Lowest limit of client connections, whatever the open-file limit is.
const MIN_CONNECTIONS: u64 = 16;

/// Options of `contactd serve` that limit its clients.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Requests per second for each token, with bursts of ten times as many; 0: unlimited
    #[arg(long, env = "CONTACTD_RATE_LIMIT", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit: u32,

    /// The same for each client address (an IPv6 /64 network counts as one); 0: unlimited
    #[arg(long, env = "CONTACTD_RATE_LIMIT_ADDRESS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_address: u32,

    /// Maximum number of requests in progress
    #[arg(long, env = "CONTACTD_MAX_REQUESTS", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_requests: u32,

    /// The same for each token, and for each address of requests whose token is not known yet
    #[arg(long, env = "CONTACTD_MAX_REQUESTS_EACH", default_value_t = 250, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_requests_each: u32,

    /// Memory for the bodies and responses of all requests, in MiB
    #[arg(long, env = "CONTACTD_MAX_BUFFERED", default_value_t = 256, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub max_buffered: u32,

    /// The same for each token
    #[arg(long, env = "CONTACTD_MAX_BUFFERED_EACH", default_value_t = 64, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub max_buffered_each: u32,

    /// Maximum number of connections; 0: as many as the open-file limit of the process allows, at most 10000
    #[arg(long, env = "CONTACTD_MAX_CONNECTIONS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_connections: u32,

    /// The same for each client address; 0: a quarter of all, or all with --trust-forwarded
    #[arg(long, env = "CONTACTD_MAX_CONNECTIONS_ADDRESS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_connections_address: u32,

    /// Time after which an idle connection is closed
    #[arg(long, env = "CONTACTD_KEEP_ALIVE", default_value_t = 75, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive: u64,

    /// Time limit for one database query
    #[arg(long, env = "CONTACTD_QUERY_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub query_timeout: u64,

    /// Additional limits: graph applies Graph's own limits, for tests of clients
    #[arg(long, env = "CONTACTD_THROTTLE", value_enum, default_value_t)]
    pub throttle: ThrottleMode,
}

/// Limits in addition to the server's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ThrottleMode {
    /// None.
    #[default]
    Off,
    /// Those that Graph documents.
    Graph,
}

impl LimitArgs {
    /// `--keep-alive` as a period.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive)
    }

    /// `--query-timeout` as a period.
    pub fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.query_timeout)
    }

    /// Limits for requests. `forwarded` says whether a proxy reports clients' addresses.
    pub fn requests(&self, forwarded: bool) -> Limits {
        let bytes = |mib: u32| usize::try_from(u64::from(mib) << 20).unwrap_or(usize::MAX);
        Limits {
            rate: self.rate_limit,
            rate_address: self.rate_limit_address,
            requests: self.max_requests,
            requests_each: self.max_requests_each,
            buffered: bytes(self.max_buffered),
            buffered_each: bytes(self.max_buffered_each),
            forwarded,
        }
    }

    /// Graph's own limits, if they apply too.
    pub fn throttle(&self) -> Option<MailboxLimits> {
        (self.throttle == ThrottleMode::Graph).then(MailboxLimits::of_graph)
    }

    /// Limits for connections, with `workers` threads in a process that may have `files` files open, of which its database
    /// needs `database`.
    pub fn connections(
        &self,
        files: u64,
        database: u64,
        workers: usize,
        forwarded: bool,
        request_timeout: Duration,
    ) -> connections::ConnectionLimits {
        // New connections while older ones are being closed to make room.
        let accepting = (connections::ACCEPT_MARGIN * workers) as u64;
        let room = files.saturating_sub(RESERVE + database) / FILES_OF_CONNECTION;
        let room = room.saturating_sub(accepting).max(MIN_CONNECTIONS);
        let max = match u64::from(self.max_connections) {
            0 => room.min(DEFAULT_MAX_CONNECTIONS),
            requested if requested > room => {
                tracing::warn!(asked = requested, room, "--max-connections is more than the open-file limit allows");
                room
            }
            requested => requested,
        };
        let per_address = match u64::from(self.max_connections_address) {
            0 if forwarded => max,
            0 => max.div_ceil(4),
            requested => requested,
        };
        connections::ConnectionLimits {
            max: usize::try_from(max).unwrap_or(usize::MAX),
            per_address: usize::try_from(per_address).unwrap_or(usize::MAX),
            head: request_timeout,
            keep_alive: self.keep_alive(),
            stall: request_timeout,
        }
    }
}

/// Raises the open-file limit of the process to its hard limit. Returns the limit that then holds.
pub fn raise_open_file_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // If that is refused, the limit stays as it was.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX)
}
