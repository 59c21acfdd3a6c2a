//! Turns: who may use the read connections. Expensive reads (a page, a count, a search) may use all but two, of which a caller
//! gets at most half and a mailbox all but one. Reads by key may use all but one. The last is reserved for health, tokens and
//! rights, which every request needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::error::Error;

/// The kind of a read.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum ReadCost<'a> {
    /// Health, tokens, users and rights, which every request needs.
    Essential,
    /// A read by key.
    ByKey,
    /// A read that may be expensive; without a mailbox it reads several, and without a caller it is for the program itself.
    Expensive { mailbox: Option<i64>, caller: Option<&'a str> },
}

/// The owner of a share of the turns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ShareOwner {
    Caller(String),
    Mailbox(i64),
}

/// The turns of a pool of connections.
pub(in crate::store) struct Turns {
    max_per_caller: usize,
    max_per_mailbox: usize,
    /// For expensive reads.
    expensive: Arc<Semaphore>,
    /// For expensive reads and for reads by key.
    any: Arc<Semaphore>,
    /// The shares of callers and mailboxes that have a turn or wait for one.
    shares: Mutex<HashMap<ShareOwner, Arc<Semaphore>>>,
}

/// A turn. Dropping it ends it.
#[derive(Default)]
pub(in crate::store) struct Turn {
    caller: Option<SharedTurn>,
    mailbox: Option<SharedTurn>,
    expensive: Option<OwnedSemaphorePermit>,
    any: Option<OwnedSemaphorePermit>,
}

/// A turn within the share of a caller or a mailbox.
struct SharedTurn {
    turns: Arc<Turns>,
    owner: ShareOwner,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Turns for a number of connections. If there are too few, none are reserved.
    pub(in crate::store) fn for_connections(connections: usize) -> Arc<Self> {
        let expensive = connections.saturating_sub(2).max(1);
        Self::new(expensive, connections.saturating_sub(1).max(expensive + 1).min(connections.max(1)))
    }

    /// Turns for connections that only expensive reads use.
    pub(in crate::store) fn for_expensive_reads(connections: usize) -> Arc<Self> {
        Self::new(connections.max(1), connections.max(1))
    }

    fn new(expensive: usize, any: usize) -> Arc<Self> {
        Arc::new(Self {
            max_per_caller: expensive.div_ceil(2),
            max_per_mailbox: expensive.saturating_sub(1).max(1),
            expensive: Arc::new(Semaphore::new(expensive)),
            any: Arc::new(Semaphore::new(any)),
            shares: Mutex::default(),
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if none comes within `wait`.
    pub(in crate::store) async fn next(self: &Arc<Self>, cost: ReadCost<'_>, wait: Duration) -> Result<Turn, Error> {
        let mut turn = Turn::default();
        match tokio::time::timeout(wait, self.take(cost, &mut turn)).await {
            Ok(taken) => taken.map(|()| turn),
            Err(_) => Err(Error::unavailable(match (&turn.caller, &turn.mailbox, &turn.expensive) {
                (Some(SharedTurn { permit: None, .. }), ..) => "the caller has too many reads in progress",
                (_, Some(SharedTurn { permit: None, .. }), _) => "too many reads of the mailbox are in progress",
                _ => "too many reads are in progress",
            })),
        }
    }

    /// The narrowest share comes first, so that waiting for it blocks no one else.
    async fn take(self: &Arc<Self>, cost: ReadCost<'_>, turn: &mut Turn) -> Result<(), Error> {
        if let ReadCost::Expensive { mailbox, caller } = cost {
            if let Some(caller) = caller {
                let share = turn.caller.insert(self.share(ShareOwner::Caller(caller.to_owned()), self.max_per_caller));
                share.wait().await?;
            }
            if let Some(mailbox) = mailbox {
                let share = turn.mailbox.insert(self.share(ShareOwner::Mailbox(mailbox), self.max_per_mailbox));
                share.wait().await?;
            }
            turn.expensive = Some(Arc::clone(&self.expensive).acquire_owned().await.map_err(Error::unavailable)?);
        }
        if !matches!(cost, ReadCost::Essential) {
            turn.any = Some(Arc::clone(&self.any).acquire_owned().await.map_err(Error::unavailable)?);
        }
        Ok(())
    }

    /// Created before waiting, so that its drop cleans up if the wait is given up.
    fn share(self: &Arc<Self>, owner: ShareOwner, max: usize) -> SharedTurn {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore = Arc::clone(shares.entry(owner.clone()).or_insert_with(|| Arc::new(Semaphore::new(max))));
        SharedTurn { turns: Arc::clone(self), owner, semaphore, permit: None }
    }
}

impl SharedTurn {
    async fn wait(&mut self) -> Result<(), Error> {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await;
        self.permit = Some(permit.map_err(Error::unavailable)?);
        Ok(())
    }
}

impl Drop for SharedTurn {
    fn drop(&mut self) {
        let mut shares = self.turns.shares.lock().unwrap_or_else(PoisonError::into_inner);
        self.permit = None;
        // Others that wait or have a turn hold a reference too.
        if Arc::strong_count(&self.semaphore) == 2 {
            shares.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn expensive(mailbox: i64, caller: &str) -> ReadCost<'_> {
        ReadCost::Expensive { mailbox: Some(mailbox), caller: Some(caller) }
    }

    async fn has_none(turns: &Arc<Turns>, cost: ReadCost<'_>) -> bool {
        matches!(turns.next(cost, SOON).await, Err(Error::Unavailable(_)))
    }

    #[tokio::test]
    async fn a_caller_gets_half_of_the_turns_regardless_of_its_mailboxes() {
        let turns = Turns::for_connections(6);
        let first = turns.next(expensive(1, "ann"), SOON).await.unwrap();
        let second = turns.next(expensive(2, "ann"), SOON).await.unwrap();
        assert!(has_none(&turns, expensive(3, "ann")).await);
        let others = [
            turns.next(expensive(3, "bob"), SOON).await.unwrap(),
            turns.next(expensive(4, "cid"), SOON).await.unwrap(),
        ];
        assert!(has_none(&turns, expensive(5, "dan")).await);
        drop(first);
        let third = turns.next(expensive(1, "ann"), SOON).await.unwrap();
        drop((second, third, others));
        assert!(turns.shares.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_mailbox_leaves_a_turn_to_the_others_regardless_of_its_reads() {
        let turns = Turns::for_connections(6);
        let callers = ["ann", "bob", "cid"];
        let held: Vec<_> =
            futures_util::future::join_all(callers.map(|caller| turns.next(expensive(1, caller), SOON))).await;
        assert!(held.iter().all(Result::is_ok));
        assert!(has_none(&turns, expensive(1, "dan")).await);
        let _other = turns.next(expensive(2, "dan"), SOON).await.unwrap();
    }

    #[tokio::test]
    async fn expensive_reads_leave_connections_to_reads_by_key_and_essential_reads() {
        let turns = Turns::for_connections(6);
        let many = (0..4).map(|mailbox| turns.next(ReadCost::Expensive { mailbox: Some(mailbox), caller: None }, SOON));
        let _many: Vec<_> = futures_util::future::try_join_all(many).await.unwrap();
        assert!(has_none(&turns, ReadCost::Expensive { mailbox: Some(9), caller: None }).await);
        let _little = turns.next(ReadCost::ByKey, SOON).await.unwrap();
        assert!(has_none(&turns, ReadCost::ByKey).await);
        turns.next(ReadCost::Essential, SOON).await.unwrap();
    }

    #[tokio::test]
    async fn few_connections_are_shared_by_all() {
        for connections in [1, 2, 3] {
            let turns = Turns::for_connections(connections);
            let held = turns.next(expensive(1, "ann"), SOON).await.unwrap();
            assert_eq!(has_none(&turns, ReadCost::ByKey).await, connections == 1);
            drop(held);
            turns.next(ReadCost::ByKey, SOON).await.unwrap();
        }
    }
}
