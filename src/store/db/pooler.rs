//! Refuses a pooler that moves a session between server processes from one transaction to the next (pgbouncer's `pool_mode`
//! transaction and statement). This program's sessions have prepared statements and settings, and a commit is synced because
//! of one of them.

use std::time::Duration;

use crate::domain::error::Error;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::engine::Session;
use crate::store::db::faults::{self, reason};
use crate::store::db::migrate::OpenFailure;

/// Number of checks. Under load, another client may use the server process that a check relies on.
const ATTEMPTS: usize = 4;
/// Time limit for a statement on a standby.
const STANDBY: Duration = Duration::from_secs(1);

/// The message for the operator.
const REFUSED: &str = "a pooler in front of the server gives one session several server processes, but contactd needs a session \
                       of its own for prepared statements, settings (synchronous_commit, time limits) and advisory locks: \
                       use pgbouncer with pool_mode = session and server_reset_query = DISCARD ALL, or connect directly";

/// Checks that two sessions of the primary keep a server process each. Nothing is written.
///
/// # Errors
/// One line: a pooler shares the processes, or the server cannot be reached.
pub(in crate::store) async fn check(cluster: &Cluster) -> Result<(), OpenFailure> {
    let session = async || cluster.primary(Use::Operate).await;
    compare_sessions(session)
        .await
        .map_err(|error| if faults::is_of_pooler(&error) { REFUSED.to_owned() } else { reason(&error) })
}

/// The same for a standby, if it can be reached: without it, the primary answers.
///
/// # Errors
/// One line: a pooler shares the processes.
pub(in crate::store) async fn check_standby(cluster: &Cluster) -> Result<(), OpenFailure> {
    match compare_sessions(async || cluster.standby(STANDBY).await).await {
        Err(error) if faults::is_of_pooler(&error) => Err(REFUSED.to_owned()),
        _ => Ok(()),
    }
}

async fn compare_sessions(session: impl AsyncFn() -> Result<Session, Error>) -> Result<(), Error> {
    let (mut one, mut other) = (session().await?, session().await?);
    let result = check_two_sessions(&mut one, &mut other).await;
    one.close().await;
    other.close().await;
    result
}

/// While the second session holds its process in a transaction, the first one has to find its own free.
async fn check_two_sessions(one: &mut Session, other: &mut Session) -> Result<(), Error> {
    let (first, second) = (process(one).await?, process(other).await?);
    for _ in 0..ATTEMPTS {
        other.script("begin").await?;
        let held = process(other).await?;
        let found = process(one).await?;
        other.script("rollback").await?;
        if first == second || found != first || held != second {
            return Err(Error::unavailable(faults::SHARED));
        }
    }
    Ok(())
}

/// The server process of a session, without a prepared statement. The system reuses ids, so its start time is part of it.
async fn process(session: &mut Session) -> Result<String, Error> {
    let text = "select pid::text || ' ' || backend_start::text from pg_stat_activity where pid = pg_backend_pid()";
    session.rows_of_script(text).await?.first().map_or_else(|| Ok(String::new()), |row| row.get(0))
}
