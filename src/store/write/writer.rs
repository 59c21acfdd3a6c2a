//! All writes go through the writer. Writes that wait while a commit runs share the next transaction. Each can be undone
//! separately, so a failing write does not affect the others. Each is answered after the commit, so an answer means that the
//! data is synced. The writer has its own thread, independent of the callers' runtimes.
//!
//! Writes of one lane run one after another. SQLite has one lane, because it allows one writer. PostgreSQL has one per
//! mailbox, because the row with the mailbox's counter serializes its transactions anyway.
//!
//! If the database ends the transaction (full disk, I/O error, lost connection), its savepoints are gone and the next
//! statement would commit by itself. Then the batch stops at once, all its writes fail, and the connection is closed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::domain::error::Error;
use crate::metrics::list::{COMMIT_JOBS, WAITED, WRITES, Write};
use crate::store::write::call::MailboxRoom;
use crate::store::write::connector::Connector;
use crate::store::write::job::{Finished, Job};
use crate::store::write::lanes::{Lane, Lanes, Queued, SubmittedWrite, WaitingWrite};
use crate::store::write::tx::Tx;
use crate::trace::spans::{self, Since};
use crate::trace::{self, Carried, Current};

/// Maximum number of writes that are handed in and not in a lane yet; further callers block.
const MAX_SUBMITTED: usize = 1_024;
/// Time after which a batch begins no further job: other processes wait for the mailbox too.
const MAX_BATCH_TIME: Duration = Duration::from_secs(1);
/// How often waiting writes are checked for expiry.
const TICK: Duration = Duration::from_millis(500);

struct QueuedJob<F, T> {
    run: F,
    reply: oneshot::Sender<Result<T, Error>>,
    /// Why it is done.
    cause: Option<Arc<Current>>,
    since: Since,
}

impl<F, T> Job for QueuedJob<F, T>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    fn has_waiter(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(self: Box<Self>, tx: &mut Tx) -> LocalBoxFuture<'_, Finished> {
        Box::pin(async move {
            let Self { run, reply, cause, since } = *self;
            spans::export_wait(cause.as_ref(), since);
            let result = trace::within(cause.clone(), run(tx)).await;
            Finished {
                error: result.as_ref().err().cloned(),
                changes: tx.changed().zip(cause).into_iter().collect(),
                answer: Box::new(move |error| {
                    // The caller may have been dropped.
                    let _ = reply.send(error.map_or(result, |error| Err(error.clone())));
                }),
            }
        })
    }

    fn fail(self: Box<Self>, error: &Error) {
        let _ = self.reply.send(Err(error.clone()));
    }
}

/// The handle to the writer's thread.
pub(in crate::store) struct Writer {
    queue: mpsc::Sender<SubmittedWrite>,
    connector: Connector,
    closing: Arc<AtomicBool>,
    carried: Arc<Carried>,
}

impl Writer {
    /// Starts the thread, with at most `connections` connections, and waits for its first write, which calls none of
    /// `procedures`. If that fails, the thread has ended. Otherwise it ends when the handle is dropped and no write waits. It
    /// then drops `on_end`, and the receiver completes.
    pub(in crate::store) async fn start<T, F>(
        connector: Connector,
        connections: usize,
        limits: MailboxRoom,
        first: F,
        on_end: impl Send + 'static,
    ) -> Result<(Self, oneshot::Receiver<()>, T), Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (alive, ended) = oneshot::channel();
        let (queue, jobs) = mpsc::channel(MAX_SUBMITTED);
        let (reply, answer) = oneshot::channel();
        let first = Box::new(QueuedJob { run: first, reply, cause: None, since: Since::now() });
        let (closing, carried) = (Arc::new(AtomicBool::new(false)), Arc::<Carried>::default());
        let thread_state = WriterThread {
            connector: connector.clone(),
            closing: Arc::clone(&closing),
            carried: Arc::clone(&carried),
            limits,
        };
        let thread =
            std::thread::Builder::new().name("contactd-writer".to_owned()).spawn(clock::inherited(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(thread_state.serve(connections, jobs, first)),
                    Err(error) => first.fail(&Error::internal(error)),
                }
                drop((on_end, alive));
            }));
        thread.map_err(Error::internal)?;
        let writer = Self { queue, connector, closing, carried };
        match answer.await.unwrap_or_else(|_| Err(Error::internal("the writer did not start"))) {
            Ok(answer) => Ok((writer, ended, answer)),
            Err(error) => {
                drop(writer);
                // Nothing is ever sent.
                let _ = ended.await;
                Err(error)
            }
        }
    }

    /// Fails if the thread has ended.
    pub(in crate::store) fn check(&self) -> Result<(), Error> {
        if self.queue.is_closed() { Err(Error::unavailable("the writer is gone")) } else { Ok(()) }
    }

    /// Why changes were made.
    pub(in crate::store) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// The lane of writes to a mailbox.
    pub(in crate::store) fn lane(&self, mailbox: i64) -> Lane {
        self.connector.lane(Some(mailbox))
    }

    /// Hands in a job without waiting.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many wait, or the store is closing.
    pub(in crate::store) fn submit(&self, lane: Lane, job: impl FnOnce() -> Box<dyn Job>) -> Result<(), Error> {
        // A refused job is not created, because dropping it could take a lock that the caller holds.
        let slot = self.queue.try_reserve().map_err(|error| Error::unavailable(error.to_string()))?;
        slot.send(SubmittedWrite { lane, since: Queued::now(), job: job() });
        Ok(())
    }

    /// Hands in a write, of a mailbox or outside of mailboxes, and waits for its commit.
    pub(in crate::store) async fn write<T, F>(&self, mailbox: Option<i64>, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let lane = self.connector.lane(mailbox);
        // A refused job drops its sender, so `answer` fails in both cases.
        let job = Box::new(QueuedJob { run: work, reply, cause: trace::current(), since: Since::now() });
        let _ = self.queue.send(SubmittedWrite { lane, since: Queued::now(), job }).await;
        answer.await.unwrap_or_else(|_| Err(Error::internal("the writer gave no answer")))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// The state of the thread.
struct WriterThread {
    connector: Connector,
    closing: Arc<AtomicBool>,
    carried: Arc<Carried>,
    limits: MailboxRoom,
}

impl WriterThread {
    async fn serve(self, connections: usize, mut jobs: mpsc::Receiver<SubmittedWrite>, first: Box<dyn Job>) {
        // The first connection shows whether the database is available; the others are opened when needed.
        let mut idle: Vec<Option<Tx>> = (1..connections).map(|_| None).collect();
        idle.push(self.run_first(first).await);
        let mut lanes = Lanes::default();
        let mut running = FuturesUnordered::new();
        let mut open = true;
        let mut arrived = Vec::new();
        let thread_state = &self;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while !idle.is_empty()
                && let Some((lane, batch)) = lanes.take()
            {
                let tx = idle.pop().flatten();
                running.push(async move { (lane, thread_state.run_on_connection(tx, lane, batch).await) });
            }
            if !open && running.is_empty() {
                break;
            }
            tokio::select! {
                count = jobs.recv_many(&mut arrived, MAX_SUBMITTED), if open && !lanes.is_full() => open = count > 0,
                Some((lane, (tx, rest))) = running.next() => {
                    lanes.finish(lane, rest);
                    // The most recently used connection is reused first.
                    idle.push(tx);
                    // Writes that came during the commit share the next one.
                    while !lanes.is_full() && let Ok(submitted) = jobs.try_recv() {
                        arrived.push(submitted);
                    }
                }
                _ = tick.tick(), if !lanes.is_empty() => lanes.expire(),
            }
            arrived.drain(..).for_each(|submitted| lanes.push(submitted));
        }
        for tx in idle.into_iter().flatten() {
            tx.close().await;
        }
    }

    /// Runs the first job of the store on a new connection, and then prepares the connection for other jobs. The caller of the
    /// first job, a server that starts, does not wait for that. Returns the connection if it can be reused.
    async fn run_first(&self, first: Box<dyn Job>) -> Option<Tx> {
        let session = match self.connector.connect_unprepared().await {
            Ok(session) => session,
            Err(error) => {
                first.fail(&error);
                return None;
            }
        };
        let tx = Tx::on(session, &self.connector, &self.closing, self.limits);
        let (tx, _) = self.run_on_connection(Some(tx), None, vec![(Queued::now(), first)]).await;
        let mut tx = tx?;
        match self.connector.prepare(&mut tx.session).await {
            Ok(()) => Some(tx),
            Err(error) => {
                tracing::warn!(%error, "the writer's connection could not be prepared; the writer reconnects");
                tx.close().await;
                None
            }
        }
    }

    /// Runs a batch on a connection, on a new one if needed. Returns the connection if it can be reused, and the jobs that were
    /// not begun.
    async fn run_on_connection(
        &self,
        tx: Option<Tx>,
        lane: Lane,
        batch: Vec<WaitingWrite>,
    ) -> (Option<Tx>, Vec<WaitingWrite>) {
        let tx = match tx {
            Some(tx) if !tx.is_stale() => Ok(tx),
            _ => Tx::connect(&self.connector, &self.closing, self.limits).await,
        };
        let mut tx = match tx {
            Ok(tx) => tx,
            Err(error) => {
                for (_, job) in batch {
                    job.fail(&error);
                }
                return (None, Vec::new());
            }
        };
        if let Err(error) = tx.check_files() {
            for (_, job) in batch {
                job.fail(&error);
            }
            return (Some(tx), Vec::new());
        }
        let done = run(&mut tx, lane, batch, &self.carried).await;
        // A problem with the files is logged already.
        if let Err(error) = &done
            && tx.check_files().is_ok()
        {
            tracing::error!(%error, "a commit failed; the writer reconnects");
        }
        let rest = match done {
            Ok(rest) if tx.is_reusable() => return (Some(tx), rest),
            done => done.unwrap_or_default(),
        };
        tx.close().await;
        (None, rest)
    }
}

/// Runs a batch up to its commit and answers all its callers, except jobs that it has no time for. An error means that nothing
/// was stored, or, if it is not [`Error::Unavailable`], that the outcome is unknown. The connection must then not be reused.
async fn run(tx: &mut Tx, lane: Lane, batch: Vec<WaitingWrite>, carried: &Carried) -> Result<Vec<WaitingWrite>, Error> {
    let batch_size = batch.len();
    let awaited: Vec<_> = batch.into_iter().filter(|(_, job)| job.has_waiter()).collect();
    WRITES.add(Write::GaveUp, (batch_size - awaited.len()) as u64);
    tx.begin_batch(lane, awaited.len());
    let (started, begun) = (Instant::now(), Since::now());
    let mut finished = Vec::with_capacity(awaited.len());
    let mut jobs = awaited.into_iter();
    let mut outcome = Ok(());
    while outcome.is_ok()
        && started.elapsed() < MAX_BATCH_TIME
        && let Some((queued, job)) = jobs.next()
    {
        WAITED.observe_time(queued.elapsed());
        drop(queued);
        outcome = run_job(tx, job, &mut finished).await;
    }
    if outcome.is_ok() {
        let has_written = finished.iter().any(|job| job.error.is_none());
        let ended = if has_written { tx.commit().await } else { tx.roll_back().await };
        outcome = ended.and_then(|()| tx.check_files_again());
    }
    let error = outcome.as_ref().err();
    if error.is_none() {
        spans::export_commit(finished.iter().flat_map(|job| &job.changes).map(|(_, cause)| cause), begun);
    }
    count(&finished, error.is_some());
    for Finished { answer, changes, error: own } in finished {
        // Recorded before anybody who waits for the change can look it up.
        if error.is_none() && own.is_none() {
            for (change, cause) in changes {
                carried.remember(change, cause);
            }
        }
        answer(error);
    }
    if let Some(error) = error {
        jobs.by_ref().for_each(|(_, job)| job.fail(error));
    }
    outcome.map(|()| jobs.collect())
}

/// Counts the writes of a batch.
fn count(finished: &[Finished], is_lost: bool) {
    let result_of = |job: &Finished| match &job.error {
        None if !is_lost => Write::Ok,
        None | Some(Error::Internal(_) | Error::Unavailable(_)) => Write::Failed,
        Some(_) => Write::Refused,
    };
    for job in finished {
        WRITES.increment(result_of(job));
    }
    let succeeded = finished.iter().filter(|job| job.error.is_none()).count();
    if succeeded > 0 && !is_lost {
        COMMIT_JOBS.observe(succeeded as u64);
    }
}

/// Runs one job. An error means that the transaction may have ended.
async fn run_job(tx: &mut Tx, job: Box<dyn Job>, finished: &mut Vec<Finished>) -> Result<(), Error> {
    tx.begin_job();
    let Ok(done) = AssertUnwindSafe(job.run(tx)).catch_unwind().await else {
        WRITES.increment(Write::Panicked);
        // The panic may have interrupted the driver, so the connection is not reused. The job's own caller gets an error
        // from its dropped channel.
        return Err(Error::unavailable("another write panicked"));
    };
    let result = tx.finish_job(done.error.as_ref()).await;
    finished.push(done);
    result
}
