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
    Vital,
    /// A read by key.
    Little,
    /// A read that may be expensive; without a mailbox it reads several, and without a caller it is for the program itself.
    Much { mailbox: Option<i64>, caller: Option<&'a str> },
}

/// The owner of a share of the turns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ShareOwner {
    Caller(String),
    Mailbox(i64),
}

/// The turns of a pool of connections.
pub(in crate::store) struct Turns {
    of_caller: usize,
    of_mailbox: usize,
    /// For expensive reads.
    much: Arc<Semaphore>,
    /// For expensive reads and for reads by key.
    any: Arc<Semaphore>,
    /// The shares of callers and mailboxes that have a turn or wait for one.
    each: Mutex<HashMap<ShareOwner, Arc<Semaphore>>>,
}

/// A turn. Dropping it ends it.
#[derive(Default)]
pub(in crate::store) struct Turn {
    caller: Option<SharedTurn>,
    mailbox: Option<SharedTurn>,
    much: Option<OwnedSemaphorePermit>,
    any: Option<OwnedSemaphorePermit>,
}

/// A turn within the share of a caller or a mailbox.
struct SharedTurn {
    turns: Arc<Turns>,
    whose: ShareOwner,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Turns for a number of connections. If there are too few, none are reserved.
    pub(in crate::store) fn at(connections: usize) -> Arc<Self> {
        let much = connections.saturating_sub(2).max(1);
        Self::with(much, connections.saturating_sub(1).max(much + 1).min(connections.max(1)))
    }

    /// Turns for connections that only expensive reads use.
    pub(in crate::store) fn of_much(connections: usize) -> Arc<Self> {
        Self::with(connections.max(1), connections.max(1))
    }

    fn with(much: usize, any: usize) -> Arc<Self> {
        Arc::new(Self {
            of_caller: much.div_ceil(2),
            of_mailbox: much.saturating_sub(1).max(1),
            much: Arc::new(Semaphore::new(much)),
            any: Arc::new(Semaphore::new(any)),
            each: Mutex::default(),
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if none comes within `wait`.
    pub(in crate::store) async fn next(self: &Arc<Self>, need: ReadCost<'_>, wait: Duration) -> Result<Turn, Error> {
        let mut turn = Turn::default();
        match tokio::time::timeout(wait, self.take(need, &mut turn)).await {
            Ok(taken) => taken.map(|()| turn),
            Err(_) => Err(Error::unavailable(match (&turn.caller, &turn.mailbox, &turn.much) {
                (Some(SharedTurn { permit: None, .. }), ..) => "the caller has too many reads in progress",
                (_, Some(SharedTurn { permit: None, .. }), _) => "too many reads of the mailbox are in progress",
                _ => "too many reads are in progress",
            })),
        }
    }

    /// The narrowest share comes first, so that waiting for it blocks no one else.
    async fn take(self: &Arc<Self>, need: ReadCost<'_>, turn: &mut Turn) -> Result<(), Error> {
        if let ReadCost::Much { mailbox, caller } = need {
            if let Some(caller) = caller {
                let share = turn.caller.insert(self.share(ShareOwner::Caller(caller.to_owned()), self.of_caller));
                share.wait().await?;
            }
            if let Some(mailbox) = mailbox {
                let share = turn.mailbox.insert(self.share(ShareOwner::Mailbox(mailbox), self.of_mailbox));
                share.wait().await?;
            }
            turn.much = Some(Arc::clone(&self.much).acquire_owned().await.map_err(Error::unavailable)?);
        }
        if !matches!(need, ReadCost::Vital) {
            turn.any = Some(Arc::clone(&self.any).acquire_owned().await.map_err(Error::unavailable)?);
        }
        Ok(())
    }

    /// Created before waiting, so that its drop cleans up if the wait is given up.
    fn share(self: &Arc<Self>, whose: ShareOwner, most: usize) -> SharedTurn {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore = Arc::clone(each.entry(whose.clone()).or_insert_with(|| Arc::new(Semaphore::new(most))));
        SharedTurn { turns: Arc::clone(self), whose, semaphore, permit: None }
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
        let mut each = self.turns.each.lock().unwrap_or_else(PoisonError::into_inner);
        self.permit = None;
        // Others that wait or have a turn hold a reference too.
        if Arc::strong_count(&self.semaphore) == 2 {
            each.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn much(mailbox: i64, caller: &str) -> ReadCost<'_> {
        ReadCost::Much { mailbox: Some(mailbox), caller: Some(caller) }
    }

    async fn has_none(turns: &Arc<Turns>, need: ReadCost<'_>) -> bool {
        matches!(turns.next(need, SOON).await, Err(Error::Unavailable(_)))
    }

    #[tokio::test]
    async fn a_caller_gets_half_of_the_turns_in_however_many_mailboxes_and_leaves_nothing_behind() {
        let turns = Turns::at(6);
        let first = turns.next(much(1, "ann"), SOON).await.unwrap();
        let second = turns.next(much(2, "ann"), SOON).await.unwrap();
        assert!(has_none(&turns, much(3, "ann")).await);
        let others = [turns.next(much(3, "bob"), SOON).await.unwrap(), turns.next(much(4, "cid"), SOON).await.unwrap()];
        assert!(has_none(&turns, much(5, "dan")).await);
        drop(first);
        let third = turns.next(much(1, "ann"), SOON).await.unwrap();
        drop((second, third, others));
        assert!(turns.each.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_mailbox_leaves_a_turn_to_the_others_however_many_ask_it() {
        let turns = Turns::at(6);
        let callers = ["ann", "bob", "cid"];
        let held: Vec<_> =
            futures_util::future::join_all(callers.map(|caller| turns.next(much(1, caller), SOON))).await;
        assert!(held.iter().all(Result::is_ok));
        assert!(has_none(&turns, much(1, "dan")).await);
        let _other = turns.next(much(2, "dan"), SOON).await.unwrap();
    }

    #[tokio::test]
    async fn what_costs_much_leaves_a_connection_to_what_does_not_and_both_leave_one_to_what_everybody_needs() {
        let turns = Turns::at(6);
        let many = (0..4).map(|mailbox| turns.next(ReadCost::Much { mailbox: Some(mailbox), caller: None }, SOON));
        let _many: Vec<_> = futures_util::future::try_join_all(many).await.unwrap();
        assert!(has_none(&turns, ReadCost::Much { mailbox: Some(9), caller: None }).await);
        let _little = turns.next(ReadCost::Little, SOON).await.unwrap();
        assert!(has_none(&turns, ReadCost::Little).await);
        turns.next(ReadCost::Vital, SOON).await.unwrap();
    }

    #[tokio::test]
    async fn few_connections_are_shared_by_all() {
        for connections in [1, 2, 3] {
            let turns = Turns::at(connections);
            let held = turns.next(much(1, "ann"), SOON).await.unwrap();
            assert_eq!(has_none(&turns, ReadCost::Little).await, connections == 1);
            drop(held);
            turns.next(ReadCost::Little, SOON).await.unwrap();
        }
    }
}
