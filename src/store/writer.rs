//! The one writer. Writes that wait while a commit runs share the next one: each can be undone by itself, so that one
//! that fails leaves its neighbours alone, and each is answered only after the commit, so that an answer means synced. It lives on a thread of its own, apart from whichever runtime the callers come and go with.
//!
//! When the database itself ends the transaction (full disk, I/O error), its savepoints are gone and the next
//! statement would commit by itself. Then the batch stops at once, every waiter fails, and the connection is given up.

use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::engine::{self, Session, Statement};
use super::procedures;
use crate::clock;
use crate::error::Error;

/// Most writes in one commit.
const MAX_BATCH: usize = 256;
/// Most writes that wait in the queue; further callers wait for a place in it.
const MAX_WAITING: usize = 1_024;

/// What a write sees: the transaction, which begins when it is first needed, and one time for everything it writes.
#[expect(clippy::struct_excessive_bools, reason = "these are independent facts, not one state")]
pub(super) struct Tx {
    session: Session,
    now: i64,
    /// The transaction is open.
    begun: bool,
    /// The batch is one job.
    alone: bool,
    /// The savepoint `job` is open.
    savepoint: bool,
    /// The current job called a procedure outside it, which cannot be undone by itself.
    loose: bool,
    /// A job met a fault of ours: whatever this connection remembers (a schema as it was, say) is not trusted further.
    suspect: bool,
}

impl Tx {
    /// The time of this write, UTC microseconds.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// A new id, later than all before it: ids are in the order of writes.
    pub(super) fn new_id() -> Uuid {
        clock::new_id()
    }

    /// The open transaction, for reads: what they see stays so until the commit.
    pub(super) async fn reading(&mut self) -> Result<&mut Session, Error> {
        if !self.begun {
            self.session.execute(Statement::new("begin immediate")).await?;
            self.begun = true;
        }
        Ok(&mut self.session)
    }

    /// Makes what follows undoable as one.
    pub(super) async fn open_savepoint(&mut self) -> Result<(), Error> {
        if !self.savepoint {
            self.reading().await?.execute(Statement::new("savepoint job")).await?;
            self.savepoint = true;
        }
        Ok(())
    }

    /// As [`Tx::open_savepoint`], but not where the next call may be a transaction by itself.
    pub(super) async fn open_savepoint_unless_alone(&mut self) -> Result<(), Error> {
        if self.alone && !self.begun { Ok(()) } else { self.open_savepoint().await }
    }

    /// Runs a statement that changes something.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), Error> {
        self.open_savepoint().await?;
        self.session.execute(statement).await
    }

    /// Calls one of `procedures` and answers its numbers. Being one statement, it is atomic without a savepoint, and
    /// without a transaction around it where it is all that the whole batch does; a job that goes on after it opens a
    /// savepoint first.
    pub(super) async fn call(&mut self, procedure: Statement<'_>) -> Result<Vec<i64>, Error> {
        let rows = if self.alone && !self.begun {
            let done = self.session.rows(procedure).await;
            done.map_err(|error| self.commit_failed(error))?
        } else {
            self.reading().await?.rows(procedure).await?
        };
        self.loose |= !self.savepoint;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Whether the transaction may be gone, so that nothing more can be tried in it.
    pub(super) fn is_broken(&self) -> bool {
        self.session.broken().is_some()
    }

    /// Undoes what was done since the savepoint was opened. An error means that the transaction is gone.
    pub(super) async fn undo(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint)
            && let Err(error) = self.session.script("rollback to job; release job").await
        {
            return Err(self.session.give_up(Error::unavailable(error)));
        }
        Ok(())
    }

    /// Keeps what was done since the savepoint was opened, unless the transaction fails later.
    pub(super) async fn keep(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.savepoint)
            && let Err(error) = self.session.execute(Statement::new("release job")).await
        {
            return Err(self.session.give_up(Error::unavailable(error)));
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.begun) {
            let done = self.session.execute(Statement::new("commit")).await;
            done.map_err(|error| self.commit_failed(error))?;
        }
        Ok(())
    }

    /// Where a commit fails and may have happened all the same, that is a fault of ours and not "try again": a client
    /// that did would store its contact twice.
    fn commit_failed(&mut self, error: Error) -> Error {
        match error {
            Error::Unavailable(cause) if engine::may_have_committed(&*cause) => {
                self.session.give_up(Error::Internal(cause))
            }
            error => error,
        }
    }
}

/// Tells a job's caller: its own result, or the error of the whole batch.
pub(super) type Tell = Box<dyn FnOnce(Option<&Error>)>;

/// What a job leaves behind: its error, and how its caller is told once the batch's fate is known.
pub(super) struct Finished {
    pub(super) error: Option<Error>,
    pub(super) answer: Tell,
}

/// A write that waits for its turn.
pub(super) trait Job: Send {
    /// Whether the caller still waits.
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>, tx: &mut Tx) -> LocalBoxFuture<'_, Finished>;
    fn fail(self: Box<Self>, error: &Error);
}

struct Work<F, T> {
    work: F,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Work<F, T>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(self: Box<Self>, tx: &mut Tx) -> LocalBoxFuture<'_, Finished> {
        Box::pin(async move {
            let Self { work, reply } = *self;
            let result = work(tx).await;
            Finished {
                error: result.as_ref().err().cloned(),
                answer: Box::new(move |error| {
                    // A caller that went away is no fault.
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
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Connects, and starts the thread. It ends when the handle is dropped and the queue is empty; `on_end` then
    /// goes with it.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        on_end: impl Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let (queue, jobs) = mpsc::channel(MAX_WAITING);
        let (started, start) = oneshot::channel();
        let thread = std::thread::Builder::new().name("contactd-writer".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(options, jobs, started)),
                Err(error) => drop(started.send(Err(Error::internal(error)))),
            }
            drop(on_end);
        });
        let thread = thread.map_err(Error::internal)?;
        start.await.unwrap_or_else(|_| Err(Error::internal("the writer did not start")))?;
        Ok((Self { queue }, thread))
    }

    /// Whether the thread is still there.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.queue.is_closed() { Err(Error::unavailable("the writer is gone")) } else { Ok(()) }
    }

    /// Hands in a job without waiting for anything.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait, or the store is closing.
    pub(super) fn hand_in(&self, job: Box<dyn Job>) -> Result<(), Error> {
        self.queue.try_send(job).map_err(|error| Error::unavailable(error.to_string()))
    }

    /// Hands in a write and waits for its commit.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // A refused job drops its sender, so the answer tells of both.
        let _ = self.queue.send(Box::new(Work { work, reply })).await;
        answer.await.unwrap_or_else(|_| Err(Error::internal("the writer gave no answer")))
    }
}

async fn connect(options: &SqliteConnectOptions) -> Result<Tx, Error> {
    let mut session = Session::open(options).await?;
    session.script(procedures::CREATE).await?;
    Ok(Tx { session, now: 0, begun: false, alone: false, savepoint: false, loose: false, suspect: false })
}

async fn serve(
    options: SqliteConnectOptions,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    started: oneshot::Sender<Result<(), Error>>,
) {
    let mut open = match connect(&options).await {
        Ok(tx) => Some(tx),
        Err(error) => return drop(started.send(Err(error))),
    };
    if started.send(Ok(())).is_err() {
        return;
    }
    let mut batch = Vec::new();
    while jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let tx = match open.take() {
            Some(tx) => Ok(tx),
            None => connect(&options).await,
        };
        match tx {
            Ok(mut tx) => match run(&mut tx, &mut batch).await {
                Ok(()) if !tx.suspect => open = Some(tx),
                Ok(()) => tx.session.close().await,
                Err(error) => {
                    tracing::error!(%error, "a commit failed; the writer connects anew");
                    tx.session.close().await;
                }
            },
            Err(error) => batch.drain(..).for_each(|job| job.fail(&error)),
        }
    }
    if let Some(tx) = open {
        tx.session.close().await;
    }
}

/// Runs a batch to its commit and answers everyone in it. An error means that nothing of it was stored (or, where it
/// is not [`Error::Unavailable`], that nobody knows) and that the connection must not be used again.
async fn run(tx: &mut Tx, batch: &mut Vec<Box<dyn Job>>) -> Result<(), Error> {
    let wanted: Vec<_> = batch.drain(..).filter(|job| job.is_wanted()).collect();
    tx.alone = wanted.len() == 1;
    let mut finished = Vec::with_capacity(wanted.len());
    let mut jobs = wanted.into_iter();
    let mut fate = Ok(());
    while fate.is_ok()
        && let Some(job) = jobs.next()
    {
        fate = run_one(tx, job, &mut finished).await;
    }
    if fate.is_ok() {
        fate = tx.commit().await;
    }
    let error = fate.as_ref().err();
    for Finished { answer, .. } in finished {
        answer(error);
    }
    if let Some(error) = error {
        jobs.for_each(|job| job.fail(error));
    }
    fate
}

/// Runs one job. An error means that the transaction is gone, or may be: the database could not do what the job asked,
/// and which of its errors end a transaction is not ours to guess.
async fn run_one(tx: &mut Tx, job: Box<dyn Job>, finished: &mut Vec<Finished>) -> Result<(), Error> {
    tx.now = clock::now();
    tx.loose = false;
    let Ok(done) = AssertUnwindSafe(job.run(tx)).catch_unwind().await else {
        // The panic may have stopped the driver half-way; this connection is not asked again. The job's own caller
        // is told by its dropped channel.
        return Err(Error::unavailable("another write panicked"));
    };
    tx.suspect |= matches!(done.error, Some(Error::Internal(_)));
    let settled = match (&done.error, tx.session.broken()) {
        // Whatever the job made of it.
        (_, Some(error)) => Err(error.clone()),
        (None, None) => tx.keep().await,
        (Some(_), None) if tx.loose => Err(Error::internal("a job failed after it had written")),
        (Some(_), None) => tx.undo().await,
    };
    finished.push(done);
    settled
}
