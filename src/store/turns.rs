//! Turns of mailboxes at the connections that read: a mailbox that is asked much, or what costs much, leaves one of them
//! to all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// How many reads of each mailbox are under way.
pub(super) struct Turns {
    each: usize,
    /// Of those that have any, or wait for one.
    mailboxes: Mutex<HashMap<i64, Arc<Semaphore>>>,
}

/// A turn, which ends when it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    mailbox: i64,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Turns at so many connections.
    pub(super) fn at(connections: usize) -> Self {
        Self { each: connections.saturating_sub(1).max(1), mailboxes: Mutex::default() }
    }

    /// Waits for a turn, at most so long.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none comes.
    pub(super) async fn next(&self, mailbox: i64, wait: Duration) -> Result<Turn<'_>, Error> {
        let semaphore = {
            let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(mailboxes.entry(mailbox).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
        };
        // Made before the wait, so that one that is given up leaves nothing behind.
        let mut turn = Turn { turns: self, mailbox, permit: None };
        let permit = tokio::time::timeout(wait, semaphore.acquire_owned()).await;
        let permit = permit.map_err(|_| Error::unavailable("the mailbox is read by too many"))?;
        turn.permit = Some(permit.map_err(Error::unavailable)?);
        Ok(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut mailboxes = self.turns.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        self.permit = None;
        // Whoever waits or has a turn holds it too.
        if mailboxes.get(&self.mailbox).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            mailboxes.remove(&self.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mailbox_leaves_one_connection_to_the_others_and_nothing_behind() {
        let (turns, soon) = (Turns::at(3), Duration::from_millis(20));
        let first = turns.next(1, soon).await.unwrap();
        let second = turns.next(1, soon).await.unwrap();
        assert!(matches!(turns.next(1, soon).await, Err(Error::Unavailable(_))));
        let other = turns.next(2, soon).await.unwrap();
        drop(first);
        let third = turns.next(1, soon).await.unwrap();
        drop((second, third, other));
        assert!(turns.mailboxes.lock().unwrap().is_empty());
    }
}
