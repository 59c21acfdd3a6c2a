//! Waiting creates of a lane are gathered and written together by one statement, with the cards of those that have one. Calls to the
//! driver are the main cost of a write, and creates often come in bursts. Each gets its own answer. If the statement fails, all are
//! undone. Those whose card's name or UID is taken are refused, and the others are written together, or else each separately.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use crate::domain::error::Error;
use crate::store::tables::new_cards::{self, CardNames};
use crate::store::tables::new_contacts::{self, Created, New};
use crate::store::write::job::{Finished, Job};
use crate::store::write::lanes::Lane;
use crate::store::write::tx::Tx;
use crate::store::write::writer::Writer;
use crate::trace::spans::{self, Since};
use crate::trace::{self, Current};

/// Maximum number of waiting creates of a lane, and of lanes with any; more are refused.
const MAX_WAITING: usize = 1_024;

/// The waiting creates.
#[derive(Clone, Default)]
pub(in crate::store) struct Creates(Arc<Mutex<CreateQueue>>);

#[derive(Default)]
struct CreateQueue {
    /// A lane with creates has a job in the writer that takes them, or is in `without_job`.
    lanes: HashMap<Lane, Vec<WaitingCreate>>,
    /// Number of callers that hold creates back to have them written together.
    held: usize,
    /// Lanes whose job is handed in on release.
    without_job: Vec<Lane>,
}

struct WaitingCreate {
    new: New,
    reply: oneshot::Sender<Result<Created, Error>>,
    /// Why it is created.
    cause: Option<Arc<Current>>,
    since: Since,
}

impl Creates {
    /// Creates a contact and waits for its commit.
    ///
    /// # Errors
    /// Those of [`new_contacts::insert`].
    pub(in crate::store) async fn create(&self, writer: &Writer, max_folders: i64, new: New) -> Result<Created, Error> {
        let (reply, answer) = oneshot::channel();
        self.submit(writer, max_folders, WaitingCreate { new, reply, cause: trace::current(), since: Since::now() })?;
        answer.await.unwrap_or_else(|_| Err(Error::internal("the writer has stopped")))
    }

    /// Not async: a dropped caller cannot leave creates without a job.
    fn submit(&self, writer: &Writer, max_folders: i64, create: WaitingCreate) -> Result<(), Error> {
        let lane = writer.lane(create.new.mailbox);
        let mut state = self.state();
        if let Some(waiting) = state.lanes.get_mut(&lane) {
            if waiting.len() >= MAX_WAITING {
                return Err(Error::unavailable("too many creates wait"));
            }
            waiting.push(create);
            return Ok(());
        }
        if state.lanes.len() >= MAX_WAITING {
            return Err(Error::unavailable("too many creates wait"));
        }
        if state.held > 0 {
            state.without_job.push(lane);
        } else {
            self.send(writer, max_folders, lane)?;
        }
        state.lanes.insert(lane, vec![create]);
        Ok(())
    }

    fn send(&self, writer: &Writer, max_folders: i64, lane: Lane) -> Result<(), Error> {
        writer.submit(lane, || Box::new(Gathered { creates: Some(self.clone()), lane, max_folders }))
    }

    /// Holds creates back until [`Creates::release`] is called as many times.
    pub(in crate::store) fn hold(&self) {
        self.state().held += 1;
    }

    /// Hands in the creates that were held back; they fail if there is no writer.
    pub(in crate::store) fn release(&self, writer: Result<&Writer, &Error>, max_folders: i64) {
        let mut state = self.state();
        state.held = state.held.saturating_sub(1);
        if state.held > 0 {
            return;
        }
        for lane in mem::take(&mut state.without_job) {
            if let Err(error) = writer.map_err(Clone::clone).and_then(|writer| self.send(writer, max_folders, lane)) {
                for create in state.lanes.remove(&lane).unwrap_or_default() {
                    let _ = create.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, CreateQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job that writes the gathered creates of a lane.
struct Gathered {
    /// `None` once it has taken them: later creates belong to the next job.
    creates: Option<Creates>,
    lane: Lane,
    max_folders: i64,
}

impl Gathered {
    fn take(&mut self) -> Vec<WaitingCreate> {
        self.creates.take().and_then(|creates| creates.state().lanes.remove(&self.lane)).unwrap_or_default()
    }
}

impl Job for Gathered {
    fn has_waiter(&self) -> bool {
        true
    }

    fn run(mut self: Box<Self>, tx: &mut Tx) -> LocalBoxFuture<'_, Finished> {
        Box::pin(async move {
            let wanted: Vec<_> = self.take().into_iter().filter(|create| !create.reply.is_closed()).collect();
            for create in &wanted {
                spans::export_wait(create.cause.as_ref(), create.since);
            }
            let cause = |create: &WaitingCreate| create.cause.clone().map(|cause| (create.new.mailbox, cause));
            let causes: Vec<_> = wanted.iter().map(cause).collect();
            let first = causes.iter().flatten().next().map(|(_, cause)| Arc::clone(cause));
            let (new, replies): (Vec<_>, Vec<_>) = wanted.into_iter().map(|create| (create.new, create.reply)).unzip();
            let (results, error) = trace::within(first, insert(tx, new, self.max_folders)).await;
            let changes = causes.into_iter().zip(&results).filter_map(|(cause, result)| {
                let (mailbox, cause) = cause?;
                Some(((mailbox, result.as_ref().ok()?.contact.version), cause))
            });
            Finished {
                error,
                changes: changes.collect(),
                answer: Box::new(move |error| {
                    for (reply, result) in replies.into_iter().zip(results) {
                        // The caller may have been dropped.
                        let _ = reply.send(error.map_or(result, |error| Err(error.clone())));
                    }
                }),
            }
        })
    }

    fn fail(mut self: Box<Self>, error: &Error) {
        for create in self.take() {
            let _ = create.reply.send(Err(error.clone()));
        }
    }
}

/// Dropping the job, for instance with the writer's queue, drops its creates, so that no caller waits forever.
impl Drop for Gathered {
    fn drop(&mut self) {
        self.take();
    }
}

/// Writes all that can be written. The error is that of a single create, which has no savepoint.
async fn insert(tx: &mut Tx, new: Vec<New>, max_folders: i64) -> (Vec<Result<Created, Error>>, Option<Error>) {
    if new.len() == 1 {
        let written = new_contacts::insert(tx, new, max_folders).await.and_then(single);
        let error = written.as_ref().err().cloned();
        return (vec![written], error);
    }
    let written = match insert_together(tx, &new, max_folders).await {
        Some(written) => written,
        None => insert_free(tx, new, max_folders).await,
    };
    (written, None)
}

/// Writes all that have no card, or one whose name and UID are free.
async fn insert_free(tx: &mut Tx, new: Vec<New>, max_folders: i64) -> Vec<Result<Created, Error>> {
    let count = new.len();
    // In one transaction from here on, so that a broken connection keeps none.
    if let Err(error) = tx.reader().await {
        return vec![Err(error); count];
    }
    let names: Vec<_> = new.iter().map(CardNames::of_new).collect();
    let is_taken = match new_cards::find_taken(tx, &names).await {
        Ok(is_taken) => is_taken,
        Err(error) => return vec![Err(tx.undo().await.err().unwrap_or(error)); count],
    };
    let free: Vec<_> = new.into_iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken).map(|(new, _)| new).collect();
    let together = if (1..count).contains(&free.len()) { insert_together(tx, &free, max_folders).await } else { None };
    let written = match together {
        Some(written) => written,
        None => insert_each(tx, free, max_folders).await,
    };
    let mut written = written.into_iter();
    let results = is_taken.into_iter().map(|is_taken| {
        let written = if is_taken { None } else { written.next() };
        written.unwrap_or_else(|| Err(Error::UidTaken(String::new())))
    });
    results.collect()
}

/// Writes all together. `None` if that fails for one of them.
async fn insert_together(tx: &mut Tx, new: &[New], max_folders: i64) -> Option<Vec<Result<Created, Error>>> {
    match insert_undoable(tx, new.to_vec(), max_folders).await {
        Ok(created) => Some(created.into_iter().map(Ok).collect()),
        // The database is unavailable, or the outcome is unknown, so nothing may be tried again.
        Err(error) if tx.is_broken() || matches!(error, Error::Unavailable(_)) => Some(vec![Err(error); new.len()]),
        Err(_) => None,
    }
}

/// Writes each separately.
async fn insert_each(tx: &mut Tx, new: Vec<New>, max_folders: i64) -> Vec<Result<Created, Error>> {
    let mut results = Vec::with_capacity(new.len());
    for new in new {
        results.push(match tx.broken() {
            Some(error) => Err(error.clone()),
            None => insert_undoable(tx, vec![new], max_folders).await.and_then(single),
        });
    }
    results
}

/// Writes all, or undoes them.
async fn insert_undoable(tx: &mut Tx, new: Vec<New>, max_folders: i64) -> Result<Vec<Created>, Error> {
    if !tx.is_autocommit() {
        tx.open_savepoint().await?;
    }
    let inserted = new_contacts::insert(tx, new, max_folders).await;
    if inserted.is_ok() {
        tx.keep().await?;
    } else {
        tx.undo().await?;
    }
    inserted
}

fn single(mut created: Vec<Created>) -> Result<Created, Error> {
    created.pop().ok_or_else(|| Error::internal("nothing was written"))
}
