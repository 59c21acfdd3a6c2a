//! Subscriptions. Their rows take no number of the mailbox and delay none of its writers.

use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::domain::subscription::{ChangeType, Delivery, Renewal, Subject, Subscription, Terms};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::quota;
use crate::store::write::tx::Tx;

/// Maximum number of subscriptions of one creator to one mailbox, and of the server, which checks all of them each
/// second.
const MAX_OF_CREATOR: i64 = 100;
const MAX_SUBSCRIPTIONS: i64 = 10_000;

/// Selects the columns that [`read`] reads, and further ones.
macro_rules! select_subscriptions {
    ($where:literal) => {
        select_subscriptions!("", "", $where)
    };
    ($more:literal, $join:literal, $where:literal) => {
        concat!(
            "
select s.mailbox, s.id, s.creator, s.resource, s.of_folders, s.folder_id, s.change_type, s.notification_url,
    s.lifecycle_notification_url, s.client_state, s.tls_version, s.expiration_date_time, s.token_id",
            $more,
            "
from subscriptions s",
            $join,
            " where ",
            $where
        )
    };
}
/// The number of columns that `select_subscriptions!` begins with.
pub(in crate::store) const COLUMNS: usize = 13;
pub(in crate::store) use select_subscriptions;

impl Store {
    /// Checks that there is room for one more subscription, before its receiver is asked to confirm it.
    ///
    /// # Errors
    /// [`Error::Quota`] if the creator has 100 for the mailbox, or the server has 10,000.
    pub async fn room_for_subscription(&self, mailbox: i64, creator: &str) -> Result<(), Error> {
        self.read(async |session: &mut Session| room(session, mailbox, creator).await).await
    }

    /// Stores a subscription for changes from now on.
    ///
    /// # Errors
    /// As [`Store::room_for_subscription`].
    pub async fn insert_subscription(&self, new: Subscription) -> Result<(), Error> {
        self.write(None, async move |tx| insert(tx, &new).await).await
    }

    /// The subscription with this id, if this creator made it and it has not expired.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn subscription(&self, creator: &str, id: Uuid) -> Result<Subscription, Error> {
        self.read(async |session: &mut Session| get(session, creator, id).await).await
    }

    /// A creator's subscriptions after the given one, at most `limit`, in the order of creation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn subscriptions(&self, creator: &str, after: Uuid, limit: i64) -> Result<Vec<Subscription>, Error> {
        let text = select_subscriptions!(
            "s.creator = $1 and s.id > $2 and s.expiration_date_time > $3 order by s.id limit $4"
        );
        let list = async |session: &mut Session| {
            let statement = Statement::new(text).bind(creator).bind(after).bind(clock::now()).bind(limit);
            session.rows(statement).await?.iter().map(read).collect()
        };
        self.read(list).await
    }

    /// Changes the expiration or the address of a subscription, and retries failed notifications at once.
    ///
    /// # Errors
    /// As [`Store::subscription`].
    pub async fn renew_subscription(&self, creator: &str, id: Uuid, new: Renewal) -> Result<Subscription, Error> {
        let creator = creator.to_owned();
        let work = async move |tx: &mut Tx| {
            let found = get(tx.reader().await?, &creator, id).await?;
            if let Some(end) = new.expiration_date_time {
                let text = "update subscriptions set expiration_date_time = $3 where mailbox = $1 and id = $2";
                tx.execute(Statement::new(text).bind(found.mailbox).bind(id).bind(end)).await?;
            }
            if let Some(url) = &new.notification_url {
                let text = "
update subscriptions set notification_url = $3, attempts = 0, next_attempt_date_time = $4 where mailbox = $1 and id = $2";
                tx.execute(Statement::new(text).bind(found.mailbox).bind(id).bind(url).bind(tx.now())).await?;
            }
            // It may have expired or been deleted since.
            get(tx.reader().await?, &creator, id).await
        };
        self.write(None, work).await
    }

    /// Binds a subscription to another token of its creator, or to none.
    ///
    /// # Errors
    /// As [`Store::subscription`].
    pub async fn reauthorize_subscription(&self, creator: &str, id: Uuid, token: Option<Uuid>) -> Result<(), Error> {
        let creator = creator.to_owned();
        let work = async move |tx: &mut Tx| {
            let found = get(tx.reader().await?, &creator, id).await?;
            let text = "
update subscriptions set token_id = $3, reminded_of_date_time = null where mailbox = $1 and id = $2";
            tx.execute(Statement::new(text).bind(found.mailbox).bind(id).bind(token)).await
        };
        self.write(None, work).await
    }

    /// Removes a subscription.
    ///
    /// # Errors
    /// As [`Store::subscription`].
    pub async fn delete_subscription(&self, creator: &str, id: Uuid) -> Result<(), Error> {
        let creator = creator.to_owned();
        let work = async move |tx: &mut Tx| {
            let found = get(tx.reader().await?, &creator, id).await?;
            let text = "delete from subscriptions where mailbox = $1 and id = $2";
            tx.execute(Statement::new(text).bind(found.mailbox).bind(id)).await
        };
        self.write(None, work).await
    }

    /// The last delivery attempts, in order.
    ///
    /// # Errors
    /// As [`Store::subscription`].
    pub async fn deliveries(&self, creator: &str, id: Uuid) -> Result<Vec<Delivery>, Error> {
        let text = "
select attempt_date_time, about, attempt, notifications, first_seq, last_seq, status, error
from deliveries where mailbox = $1 and subscription_id = $2 order by pos";
        let list = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let found = get(session, creator, id).await?;
            let rows = session.rows(Statement::new(text).bind(found.mailbox).bind(id)).await?;
            rows.iter().map(read_delivery).collect()
        };
        self.read(list).await
    }
}

/// A subscription from a row of `select_subscriptions!`.
pub(in crate::store) fn read(row: &Row) -> Result<Subscription, Error> {
    let change_types: String = row.get(6)?;
    let change_types = ChangeType::list(&change_types).ok_or_else(|| Error::internal("unknown change types"))?;
    Ok(Subscription {
        mailbox: row.get(0)?,
        id: row.get(1)?,
        creator: row.get(2)?,
        token: row.get(12)?,
        subject: match (row.get(4)?, row.get(5)?) {
            (true, _) => Subject::Folders,
            (false, Some(folder)) => Subject::ContactsOf(folder),
            (false, None) => Subject::Contacts,
        },
        terms: Terms {
            resource: row.get(3)?,
            change_types,
            notification_url: row.get(7)?,
            lifecycle_notification_url: row.get(8)?,
            client_state: row.get(9)?,
            tls_version: row.get(10)?,
            expiration_date_time: row.get(11)?,
        },
    })
}

fn read_delivery(row: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        attempt_date_time: row.get(0)?,
        about: row.get(1)?,
        attempt: row.get(2)?,
        notifications: row.get(3)?,
        changes: row.get::<Option<i64>>(4)?.zip(row.get(5)?),
        status: row.get(6)?,
        error: row.get(7)?,
    })
}

async fn get(session: &mut Session, creator: &str, id: Uuid) -> Result<Subscription, Error> {
    let text = select_subscriptions!("s.creator = $1 and s.id = $2 and s.expiration_date_time > $3");
    let statement = Statement::new(text).bind(creator).bind(id).bind(clock::now());
    read(&session.row(statement).await?.ok_or(Error::NotFound)?)
}

async fn room(session: &mut Session, mailbox: i64, creator: &str) -> Result<(), Error> {
    let text = "
select count(*), count(*) filter (where mailbox = $1 and creator = $2) from subscriptions where expiration_date_time > $3";
    let row = session.single_row(Statement::new(text).bind(mailbox).bind(creator).bind(clock::now())).await?;
    if row.get::<i64>(1)? >= MAX_OF_CREATOR {
        return Err(Error::Quota(format!("A mailbox has at most {MAX_OF_CREATOR} subscriptions of one creator.")));
    }
    if row.get::<i64>(0)? >= MAX_SUBSCRIPTIONS {
        return Err(Error::Quota(format!("This server has at most {MAX_SUBSCRIPTIONS} subscriptions.")));
    }
    Ok(())
}

pub(in crate::store) async fn insert(tx: &mut Tx, new: &Subscription) -> Result<(), Error> {
    quota::lock_counts(tx).await?;
    room(tx.reader().await?, new.mailbox, &new.creator).await?;
    let Subscription { mailbox, id, creator, token, subject, terms } = new;
    let folder = if let Subject::ContactsOf(folder) = subject { Some(folder.as_str()) } else { None };
    let text = "
insert into subscriptions
    (mailbox, id, creator, resource, of_folders, folder_id, change_type, notification_url, lifecycle_notification_url,
     client_state, tls_version, created_date_time, expiration_date_time, delivered_seq, attempts, next_attempt_date_time,
     lifecycle_attempts, next_lifecycle_date_time, token_id)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, seq, 0, $12, 0, $12, $14 from mailboxes where id = $1";
    let statement = Statement::new(text).bind(*mailbox).bind(*id).bind(creator).bind(&terms.resource);
    let statement = statement.bind(*subject == Subject::Folders).bind(folder);
    let statement = statement.bind(ChangeType::print(&terms.change_types)).bind(&terms.notification_url);
    let statement = statement.bind(terms.lifecycle_notification_url.as_deref()).bind(terms.client_state.as_deref());
    let statement = statement.bind(&terms.tls_version).bind(tx.now()).bind(terms.expiration_date_time);
    tx.execute(statement.bind(*token)).await?;
    tx.set_created(id.to_string());
    Ok(())
}
