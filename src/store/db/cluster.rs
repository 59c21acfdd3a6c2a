//! PostgreSQL servers: a single one, or a primary and the standbys that may be promoted. Writes, and reads that must see all
//! commits, go to the current primary.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::domain::error::Error;
use crate::metrics::list::{CONNECTS, Done};
use crate::store::db::engine::{Backend, Session};
use crate::store::db::statement::Statement;

/// Time limit for connecting to a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that a server may be silent beyond its own statement timeout.
const SILENCE: Duration = Duration::from_secs(5);
/// Time for which a failed search for the primary is not repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A `postgres://` URL. The host part may list several hosts: `postgres://user@one:5432,two:5432/name`. The password is never
/// shown.
#[derive(Clone)]
pub struct PostgresUrl {
    url: String,
    hosts: Vec<PgConnectOptions>,
}

impl PostgresUrl {
    /// Whether a text names a PostgreSQL server and not a file.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let expected = "expected postgres://USER:PASSWORD@HOST:PORT/NAME, optionally with several HOST:PORT separated by commas; \
                        in a name or password write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %";
        let (scheme, rest) = url.split_once("://").ok_or(expected)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // With such a character, part of a password would be taken for a host name, which is shown.
        let is_ambiguous = rest.contains('#') || path.contains('@') || authority.matches('@').count() > 1;
        if is_ambiguous || !is_percent_encoded(authority) {
            return Err(expected.to_owned());
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let read = |host| PgConnectOptions::from_str(&format!("{scheme}://{user}{host}{path}"));
        let hosts = hosts.split(',').map(read).collect::<Result<Vec<_>, _>>().map_err(|_| expected)?;
        Ok(Self { url: url.to_owned(), hosts })
    }
}

/// Whether every `%` is followed by two hexadecimal digits.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|code| {
        let code = code.as_bytes().first_chunk::<2>();
        code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    })
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for PostgresUrl {}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (i, host) in self.hosts.iter().enumerate() {
            let (comma, name, port) = (if i == 0 { "" } else { "," }, host.get_host(), host.get_port());
            write!(f, "{comma}{name}:{port}")?;
        }
        let database = self.hosts.first().and_then(PgConnectOptions::get_database);
        write!(f, "/{}", database.unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Purpose of a connection. It determines the session's settings, which do not depend on the server's configuration, so that
/// a commit is always synced. The server cancels a statement before the client gives it up, and ends an idle transaction, so
/// that a process that hangs does not lock a mailbox forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Use {
    /// Transactions of the API.
    Write,
    /// Reads, with a time limit for each statement.
    Read(Duration),
    /// Commands of the operator, without time limits.
    Operate,
}

impl Use {
    fn timeout(self) -> Option<Duration> {
        match self {
            Self::Write => Some(Duration::from_secs(10) + SILENCE),
            Self::Read(time) => Some(time + SILENCE),
            Self::Operate => None,
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Self::Write => {
                "select set_config('synchronous_commit', case current_setting('synchronous_commit')
    when 'remote_apply' then 'remote_apply' else 'on' end, false);
set default_transaction_isolation = 'read committed';
set statement_timeout = '10s';
set lock_timeout = '5s';
set idle_in_transaction_session_timeout = '20s'"
            }
            Self::Read(_) => {
                "set default_transaction_read_only = on;
set default_transaction_isolation = 'read committed'"
            }
            Self::Operate => {
                "select set_config('synchronous_commit', case current_setting('synchronous_commit')
    when 'remote_apply' then 'remote_apply' else 'on' end, false);
set default_transaction_isolation = 'read committed';
set statement_timeout = 0;
set lock_timeout = 0;
set client_min_messages = warning"
            }
        }
    }
}

/// The hosts of a URL, and the last known primary.
pub(in crate::store) struct Cluster {
    hosts: Vec<PgConnectOptions>,
    primary: AtomicUsize,
    /// Why the last search failed, and when.
    failed: Mutex<Option<(Instant, Error)>>,
    /// Number of times that another host has become the primary.
    changes: AtomicUsize,
}

impl Cluster {
    pub(in crate::store) fn new(address: &PostgresUrl) -> Self {
        let hosts = address.hosts.iter().map(|host| {
            let named = host.get_application_name().is_some();
            if named { host.clone() } else { host.clone().application_name("contactd") }
        });
        // A pooler refuses parameters that it does not know; no value of ours is a floating-point number.
        let hosts = hosts.map(|host| host.disable_statement_logging().extra_float_digits(None));
        Self {
            hosts: hosts.collect(),
            primary: AtomicUsize::new(0),
            failed: Mutex::new(None),
            changes: AtomicUsize::new(0),
        }
    }

    /// A number that changes when another host becomes the primary. Cached data of an earlier term may be wrong: the new
    /// primary may lack commits.
    pub(in crate::store) fn term(&self) -> usize {
        self.changes.load(Ordering::Acquire)
    }

    /// A new connection to the primary.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none. Further calls within a quarter of a second get the same error.
    pub(in crate::store) async fn primary(&self, purpose: Use) -> Result<Session, Error> {
        if let Some((when, error)) = &*self.failed.lock().unwrap_or_else(PoisonError::into_inner)
            && when.elapsed() < RETRY_PAUSE
        {
            return Err(error.clone());
        }
        let found = self.find_primary(purpose).await;
        let failed = found.as_ref().err().map(|error| (Instant::now(), error.clone()));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        found
    }

    async fn find_primary(&self, purpose: Use) -> Result<Session, Error> {
        let last = self.primary.load(Ordering::Acquire);
        let mut why = Error::unavailable("no host is given");
        for (index, host) in self.hosts_from(last) {
            match connect(host, purpose, Role::Primary).await {
                Ok(mut session) => {
                    if self.primary.swap(index, Ordering::AcqRel) != index {
                        self.changes.fetch_add(1, Ordering::AcqRel);
                        tracing::warn!(host = host.get_host(), port = host.get_port(), "the primary has changed");
                    }
                    session.backend.term = self.term();
                    return Ok(session);
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Whether a session is to the current primary.
    pub(in crate::store) fn is_current(&self, session: &Session) -> bool {
        session.backend.term == self.term()
    }

    /// A new connection to a standby, with this time limit for each statement.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none.
    pub(in crate::store) async fn standby(&self, time: Duration) -> Result<Session, Error> {
        let mut why = Error::unavailable("no host is given");
        for (_, host) in self.hosts_from(0) {
            match connect(host, Use::Read(time), Role::Standby).await {
                Ok(session) => return Ok(session),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// All hosts, starting with this one.
    fn hosts_from(&self, first: usize) -> impl Iterator<Item = (usize, &PgConnectOptions)> {
        self.hosts.iter().enumerate().cycle().skip(first).take(self.hosts.len())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    Standby,
}

async fn connect(host: &PgConnectOptions, purpose: Use, role: Role) -> Result<Session, Error> {
    let connecting = async {
        let mut session = Session::postgres(host.connect().await?, purpose.timeout());
        let text = "
select pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', pg_backend_pid()::bigint,
    (select backend_start::text from pg_stat_activity where pid = pg_backend_pid())";
        let row = session.row(Statement::new(text)).await?.ok_or_else(|| Error::unavailable("no answer"))?;
        let (is_in_recovery, is_read_only): (bool, bool) = (row.get(0)?, row.get(1)?);
        match role {
            Role::Primary if is_in_recovery || is_read_only => {
                return Err(Error::unavailable("the server does not accept writes"));
            }
            Role::Standby if !is_in_recovery => return Err(Error::unavailable("the server is not a standby")),
            Role::Primary | Role::Standby => {}
        }
        session.backend = Backend { pid: row.get(2)?, start: row.get(3)?, term: 0 };
        session.script(purpose.settings()).await?;
        let Use::Read(time) = purpose else { return Ok(session) };
        let millis = time.as_millis().max(1).to_string();
        session.row(Statement::new("select set_config('statement_timeout', $1, false)").bind(millis)).await?;
        Ok(session.read_only(time))
    };
    let late = |_| Error::unavailable("connecting to the server took too long");
    let session = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late).and_then(|session| session);
    CONNECTS.increment(if session.is_ok() { Done::Ok } else { Done::Failed });
    // Errors on connecting (no such database, wrong password) mean that the store is unavailable.
    session.map_err(|error| match error {
        Error::Internal(cause) => Error::Unavailable(cause),
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_several_hosts_and_hides_its_password() {
        let address: PostgresUrl = "postgres://ann:s3cret@one:5433,two/book?sslmode=disable".parse().unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "postgres://one:5433,two:5432/book postgres://one:5433,two:5432/book"
        );
        assert!(address.hosts.iter().all(|host| host.get_username() == "ann"));
        let socket: PostgresUrl = "postgres:///book?host=/run/postgresql".parse().unwrap();
        assert_eq!(socket.hosts[0].get_database(), Some("book"));
        for bad in ["postgres:book", "postgres://one:port/book", "postgres://one,two:x/book"] {
            assert!(bad.parse::<PostgresUrl>().unwrap_err().starts_with("expected postgres://"), "{bad}");
        }
    }

    #[test]
    fn an_unencoded_password_is_refused_and_no_part_of_it_is_shown() {
        for sign in ["@", "#", "/", "?", "%", "@#", "/@", "%zz"] {
            for (before, after) in [("1", "zz77"), ("s3", "cret"), ("", "zz77")] {
                let address = format!("postgres://ann:{before}{sign}{after}@one:5433/book");
                let why = address.parse::<PostgresUrl>().unwrap_err();
                assert!(why.contains("%40 for @") && why.contains("%23 for #") && why.contains("%2F for /"), "{why}");
                assert!(!why.contains("77") && !why.contains("cret") && !why.contains("ann"), "{why}");
            }
        }
        let address: PostgresUrl = "postgres://ann:%40%23%2F%25%3F%3A@one/book".parse().unwrap();
        assert_eq!(
            (address.to_string().as_str(), address.hosts[0].get_username()),
            ("postgres://one:5432/book", "ann")
        );
    }
}
