//! Answers of several reads that are all of one moment.

use tokio::sync::Mutex;

use crate::clock;
use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::faults;
use crate::store::db::lent::Lent;
use crate::store::tables::rights::{self, To};

/// The connection on which everything is read as of one moment.
pub(in crate::store) struct Moment(pub(in crate::store) Mutex<Lent>);

impl Store {
    /// Reads what may be much and takes several reads, all as of one moment and by one turn. The store that is handed in is
    /// for reading only.
    ///
    /// # Errors
    /// Those of the work, of [`Store::permits`], and [`Error::Unavailable`] when no turn comes.
    pub async fn at_one_moment<T>(
        &self,
        mailbox: i64,
        work: impl AsyncFn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut again = false;
        loop {
            let lent = self.shared.readers.lend(self.much(Some(mailbox))).await?;
            let moment = std::sync::Arc::new(Moment(Mutex::new(lent)));
            let store = Self { moment: Some(std::sync::Arc::clone(&moment)), ..self.clone() };
            let done = match self.begin(&moment).await {
                Ok(()) => work(&store).await,
                Err(error) => Err(error),
            };
            let is_lost = moment.0.lock().await.session()?.broken().is_some_and(faults::is_lost);
            if again || !is_lost {
                return done;
            }
            // The connection was of another time; a read can be done again.
            self.shared.readers.forget();
            again = true;
        }
    }

    async fn begin(&self, moment: &Moment) -> Result<(), Error> {
        let mut lent = moment.0.lock().await;
        let session = lent.session()?;
        session.at_one_moment().await?;
        match self.actor.as_deref() {
            Some(actor) => rights::check(session, actor, To::Read, clock::now()).await,
            None => Ok(()),
        }
    }
}
