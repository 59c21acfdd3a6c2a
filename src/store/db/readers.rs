//! Connections for reads: SQLite's readers, or the PostgreSQL primary and, for pages of a mailbox, the standbys that have
//! replayed the mailbox's writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{Pool, PoolError, QueueMode, TimeoutType};
use deadpool::{Runtime, Status};
use sqlx::sqlite::SqliteConnectOptions;

use crate::domain::error::Error;
use crate::metrics::list::{READER_WAIT, READERS, Reader, STANDBY_READS, Server, Standby as Fresh};
use crate::store::db::cluster::Cluster;
use crate::store::db::engine::{SQLITE_READERS, Session};
use crate::store::db::faults;
use crate::store::db::leased::{ConnectionFactory, LeasedSession};
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::statement::Statement;
use crate::store::db::turns::{ReadCost, Turns};

/// Time limit for waiting for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// Time limit for a page from a standby; then the primary is asked.
const STANDBY: Duration = Duration::from_secs(3);
/// Time limit for a statement on a standby. It is shorter, so that an expensive statement does not count as a hanging server.
const STANDBY_STATEMENT: Duration = Duration::from_millis(2_500);
/// Time for which a failed standby is not asked.
const PAUSE: Duration = Duration::from_secs(5);

/// Connections that cannot write.
pub(in crate::store) struct Readers {
    engine: Engine,
    /// Time limit for a read.
    time: Duration,
}

enum Engine {
    Sqlite(Pool<ConnectionFactory>, Arc<Turns>, Arc<OpenedDatabase>),
    Postgres(Servers),
}

/// The primary of a cluster, and standbys.
pub(in crate::store) struct Servers {
    primary: Pool<ConnectionFactory>,
    turns: Arc<Turns>,
    standbys: Vec<Standby>,
    /// Counter for asking the standbys in turn.
    next: AtomicUsize,
}

struct Standby {
    pool: Pool<ConnectionFactory>,
    turns: Arc<Turns>,
    failed: Mutex<Option<Instant>>,
}

impl Readers {
    /// Readers of a SQLite file, opened when first needed.
    pub(in crate::store) fn sqlite(
        options: SqliteConnectOptions,
        opened: Arc<OpenedDatabase>,
        time: Duration,
    ) -> Result<Self, Error> {
        let kind = ConnectionFactory::Sqlite(Box::new(options), Arc::clone(&opened), time);
        let pool = pool(kind, SQLITE_READERS, WAIT)?;
        Ok(Self { engine: Engine::Sqlite(pool, Turns::for_connections(SQLITE_READERS), opened), time })
    }

    /// Readers with `connections` to the primary and to each standby, opened when first needed.
    pub(in crate::store) fn postgres(
        cluster: Arc<Cluster>,
        standbys: Vec<Cluster>,
        connections: usize,
        time: Duration,
    ) -> Result<Self, Error> {
        let standby = |cluster| {
            let kind = ConnectionFactory::Standby(cluster, time.min(STANDBY_STATEMENT));
            let pool = pool(kind, connections, STANDBY / 4)?;
            Ok(Standby { pool, turns: Turns::for_expensive_reads(connections), failed: Mutex::new(None) })
        };
        let engine = Engine::Postgres(Servers {
            primary: pool(ConnectionFactory::Primary(cluster, time), connections, WAIT)?,
            turns: Turns::for_connections(connections),
            standbys: standbys.into_iter().map(standby).collect::<Result<_, Error>>()?,
            next: AtomicUsize::new(0),
        });
        Ok(Self { engine, time })
    }

    /// Whether there are standbys.
    pub(in crate::store) fn has_standbys(&self) -> bool {
        matches!(&self.engine, Engine::Postgres(servers) if !servers.standbys.is_empty())
    }

    /// Runs a read that sees all commits. It is repeated once if its connection is lost.
    ///
    /// # Errors
    /// Those of `work`, and [`Error::Unavailable`] if no turn comes in time.
    pub(in crate::store) async fn read<T>(
        &self,
        cost: ReadCost<'_>,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.engine {
            Engine::Sqlite(..) => work(self.acquire(cost).await?.session()?).await,
            Engine::Postgres(servers) => servers.read(cost, &work).await,
        }
    }

    /// A session for a read that sees all commits.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no turn comes in time, or the database is not available.
    pub(in crate::store) async fn acquire(&self, cost: ReadCost<'_>) -> Result<LeasedSession, Error> {
        let begun = Instant::now();
        let leased = self.acquire_from(cost).await;
        READER_WAIT.observe_time(begun.elapsed());
        leased
    }

    async fn acquire_from(&self, cost: ReadCost<'_>) -> Result<LeasedSession, Error> {
        match &self.engine {
            Engine::Sqlite(pool, turns, opened) => {
                if opened.is_gone() {
                    // Reads may see another file.
                    opened.check_paths()?;
                }
                let turn = turns.next(cost, WAIT).await?;
                Ok(LeasedSession::new(pool.get().await.map_err(of_pool)?, turn))
            }
            Engine::Postgres(servers) => servers.acquire(cost).await,
        }
    }

    /// Drops the idle connections to the primary, after one was lost.
    pub(in crate::store) fn forget(&self) {
        if let Engine::Postgres(servers) = &self.engine {
            servers.primary.retain(|_, _| false);
        }
    }

    /// Runs a read of a mailbox that sees its change `at_least` and all before. Without the number it sees all commits. A
    /// standby that has replayed them may answer.
    pub(in crate::store) async fn read_mailbox<T>(
        &self,
        mailbox: i64,
        cost: ReadCost<'_>,
        at_least: Option<i64>,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.engine {
            Engine::Postgres(servers) if self.has_standbys() => {
                servers.read_mailbox(mailbox, cost, at_least, self.time, &work).await
            }
            _ => self.read(cost, work).await,
        }
    }

    /// Records how many connections are in use, and how many are not.
    pub(in crate::store) fn measure(&self) {
        let (primary, standbys) = match &self.engine {
            Engine::Sqlite(pool, ..) => (pool, &[][..]),
            Engine::Postgres(servers) => (&servers.primary, &servers.standbys[..]),
        };
        let sum = |pools: &mut dyn Iterator<Item = &Pool<ConnectionFactory>>| {
            let add = |(open, idle), status: Status| (open + status.size, idle + status.available);
            pools.map(Pool::status).fold((0, 0), add)
        };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let of_standbys = sum(&mut standbys.iter().map(|standby| &standby.pool));
        for (server, (open, idle)) in
            [(Server::Primary, sum(&mut [primary].into_iter())), (Server::Standby, of_standbys)]
        {
            READERS.set(Reader::Busy, server, number(open.saturating_sub(idle)));
            READERS.set(Reader::Idle, server, number(idle));
        }
    }

    /// Closes all connections.
    pub(in crate::store) async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(pool, ..) => {
                for session in pool.retain(|_, _| false).removed {
                    session.close().await;
                }
                pool.close();
            }
            Engine::Postgres(servers) => {
                servers.primary.close();
                servers.standbys.iter().for_each(|standby| standby.pool.close());
            }
        }
    }
}

impl Servers {
    async fn read<T>(
        &self,
        cost: ReadCost<'_>,
        work: &impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut leased = self.acquire(cost).await?;
        let done = work(leased.session()?).await;
        if !leased.session()?.broken().is_some_and(faults::is_lost) {
            return done;
        }
        // The connection was stale, and so are idle ones. Reads can be repeated.
        drop(leased);
        self.primary.retain(|_, _| false);
        work(self.acquire(cost).await?.session()?).await
    }

    async fn acquire(&self, cost: ReadCost<'_>) -> Result<LeasedSession, Error> {
        let turn = self.turns.next(cost, WAIT).await?;
        Ok(LeasedSession::new(self.primary.get().await.map_err(of_pool)?, turn))
    }

    async fn read_mailbox<T>(
        &self,
        mailbox: i64,
        cost: ReadCost<'_>,
        at_least: Option<i64>,
        time: Duration,
        work: &impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let at_least = match at_least {
            Some(number) => number,
            None => self.read(ReadCost::ByKey, &async |session: &mut Session| position(session, mailbox).await).await?,
        };
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for standby in self.standbys.iter().cycle().skip(first % self.standbys.len()).take(self.standbys.len()) {
            let read = standby.read(mailbox, cost, at_least, work).await;
            STANDBY_READS.increment(match &read {
                None if standby.is_failed() => Fresh::Failed,
                None => Fresh::Behind,
                Some(_) => Fresh::Fresh,
            });
            match read {
                None => {}
                // The primary allows more time.
                Some(Err(Error::Inefficient)) if time > STANDBY_STATEMENT => break,
                Some(done) => return done,
            }
        }
        self.read(cost, work).await
    }
}

impl Standby {
    /// `None` if another server has to be asked.
    async fn read<T>(
        &self,
        mailbox: i64,
        cost: ReadCost<'_>,
        at_least: i64,
        work: &impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        if self.is_paused() {
            return None;
        }
        let reading = async {
            // A caller without a free turn here may have one at another server.
            let Ok(turn) = self.turns.next(cost, STANDBY / 4).await else { return Ok(None) };
            let object = match self.pool.get().await {
                Ok(object) => object,
                // All its connections are in use; the primary may have a free one.
                Err(PoolError::Timeout(TimeoutType::Wait)) => return Ok(None),
                Err(error) => return Err(of_pool(error)),
            };
            let mut leased = LeasedSession::new(object, turn);
            match replayed(leased.session()?, mailbox).await? {
                Some(number) if number >= at_least => match work(leased.session()?).await {
                    Err(Error::Inefficient) => Ok(Some(Err(Error::Inefficient))),
                    done => done.map(|done| Some(Ok(done))),
                },
                // It lags behind, does not have the mailbox yet, or is no longer a standby.
                _ => Ok(None),
            }
        };
        // After any error the primary is asked.
        match tokio::time::timeout(STANDBY, reading).await {
            Ok(Ok(done)) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                done
            }
            Ok(Err(error)) => self.record_failure(&error),
            Err(_) => self.record_failure(&Error::unavailable("it does not respond")),
        }
    }

    fn is_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether it is not asked after a failure. After the pause one caller tries it, while others still skip it.
    fn is_paused(&self) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_paused = failed.is_some_and(|when| when.elapsed() < PAUSE);
        if failed.is_some() && !is_paused {
            *failed = Some(Instant::now());
        }
        is_paused
    }

    /// Records a failure.
    fn record_failure<T>(&self, error: &Error) -> Option<T> {
        tracing::warn!(%error, "reading from a standby failed");
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.pool.retain(|_, _| false);
        None
    }
}

/// The number of the mailbox's last change on a standby; `None` if it is no longer a standby, because its history may then
/// differ.
async fn replayed(session: &mut Session, mailbox: i64) -> Result<Option<i64>, Error> {
    let text = "select seq from mailboxes where id = $1 and pg_is_in_recovery()";
    session.row(Statement::new(text).bind(mailbox)).await?.map(|row| row.get(0)).transpose()
}

/// The number of the mailbox's last change.
async fn position(session: &mut Session, mailbox: i64) -> Result<i64, Error> {
    let statement = Statement::new("select seq from mailboxes where id = $1").bind(mailbox);
    session.row(statement).await?.map_or(Ok(0), |row| row.get(0))
}

/// The most recently used connection is used first: its caches are warm, and those that a peak needed stay idle.
fn pool(kind: ConnectionFactory, connections: usize, wait: Duration) -> Result<Pool<ConnectionFactory>, Error> {
    let pool = Pool::builder(kind).max_size(connections).runtime(Runtime::Tokio1).wait_timeout(Some(wait));
    pool.queue_mode(QueueMode::Lifo).build().map_err(Error::internal)
}

fn of_pool(error: PoolError<Error>) -> Error {
    match error {
        PoolError::Backend(error) => error,
        error => Error::unavailable(error.to_string()),
    }
}
