//! What the server spends on its clients: the options of it, and what the system lets a process open.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::{Limits, MailboxLimits, connections};

/// Most connections of clients, where nobody says otherwise and there are files enough.
const MOST_CONNECTIONS: u64 = 10_000;
/// Files for all but clients: the log, the listener, what the threads wait on, SQLite's, those who are notified.
const RESERVE: u64 = 192;
/// A connection is two: the socket, and a handle on it by which it is closed from outside.
const FILES_OF_CONNECTION: u64 = 2;
/// So many connections there are at least, whatever the system says.
const FEWEST_CONNECTIONS: u64 = 16;

/// Options of `contactd serve` that limit what clients can have of it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Requests a second of one token, and ten times as many at once; 0 is as many as come
    #[arg(long, env = "CONTACTD_RATE_LIMIT", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit: u32,

    /// The same of one client address (an IPv6 network of 64 bits counts as one)
    #[arg(long, env = "CONTACTD_RATE_LIMIT_ADDRESS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_address: u32,

    /// Requests under way at once, in all
    #[arg(long, env = "CONTACTD_MAX_REQUESTS", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_requests: u32,

    /// Requests under way at once of one token, and of one client address as long as their tokens are not known
    #[arg(long, env = "CONTACTD_MAX_REQUESTS_EACH", default_value_t = 250, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_requests_each: u32,

    /// MiB of request bodies and answers that are held in memory at once, in all
    #[arg(long, env = "CONTACTD_MAX_BUFFERED", default_value_t = 256, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub max_buffered: u32,

    /// MiB of them of one token
    #[arg(long, env = "CONTACTD_MAX_BUFFERED_EACH", default_value_t = 64, value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub max_buffered_each: u32,

    /// Connections at once, in all; 0 is as many as the process may have files for, 10000 at most
    #[arg(long, env = "CONTACTD_MAX_CONNECTIONS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_connections: u32,

    /// Connections at once of one client address; 0 is a quarter of all, and all with --trust-forwarded
    #[arg(long, env = "CONTACTD_MAX_CONNECTIONS_ADDRESS", default_value_t = 0, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_connections_address: u32,

    /// Seconds for which an idle connection is kept
    #[arg(long, env = "CONTACTD_KEEP_ALIVE", default_value_t = 75, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive: u64,

    /// Seconds for which one question to the database may be worked on (a page, a count, a search)
    #[arg(long, env = "CONTACTD_QUERY_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub query_timeout: u64,

    /// Whose limits apply besides: graph is those that Graph documents, for tests of its clients
    #[arg(long, env = "CONTACTD_THROTTLE", value_enum, default_value_t)]
    pub throttle: Throttle,
}

/// Whose limits apply besides the server's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Throttle {
    /// Nobody's.
    #[default]
    Off,
    /// Graph's.
    Graph,
}

impl Options {
    /// `--keep-alive`
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive)
    }

    /// `--query-timeout`
    pub fn query_timeout(&self) -> Duration {
        Duration::from_secs(self.query_timeout)
    }

    /// What is taken of one client's requests. `forwarded` says whether a proxy tells who that is.
    pub fn requests(&self, forwarded: bool) -> Limits {
        let bytes = |mib: u32| usize::try_from(u64::from(mib) << 20).unwrap_or(usize::MAX);
        Limits {
            rate: self.rate_limit,
            rate_address: self.rate_limit_address,
            requests: self.max_requests,
            requests_each: self.max_requests_each,
            buffered: bytes(self.max_buffered),
            buffered_each: bytes(self.max_buffered_each),
            mailbox: (self.throttle == Throttle::Graph).then(MailboxLimits::of_graph),
            forwarded,
        }
    }

    /// What connections are kept by `workers` threads of a process that may have `files` open and needs `database` of them
    /// for its database.
    pub fn connections(
        &self,
        files: u64,
        database: u64,
        workers: usize,
        forwarded: bool,
        request_timeout: Duration,
    ) -> connections::Limits {
        // Those that come while others are closed for them.
        let coming = (connections::COMING * workers) as u64;
        let room = files.saturating_sub(RESERVE + database) / FILES_OF_CONNECTION;
        let room = room.saturating_sub(coming).max(FEWEST_CONNECTIONS);
        let most = match u64::from(self.max_connections) {
            0 => room.min(MOST_CONNECTIONS),
            asked if asked > room => {
                tracing::warn!(asked, room, "--max-connections is more than the process may have files for");
                room
            }
            asked => asked,
        };
        let of_address = match u64::from(self.max_connections_address) {
            0 if forwarded => most,
            0 => most.div_ceil(4),
            asked => asked,
        };
        connections::Limits {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            of_address: usize::try_from(of_address).unwrap_or(usize::MAX),
            idle: self.keep_alive() + request_timeout,
            stall: request_timeout,
        }
    }
}

/// Lets the process open as many files as its system allows it. Answers how many that are.
pub fn raise_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it is refused the number stays what it was.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX)
}
