//! Leases of subscriptions: one process at a time delivers a subscription's notifications, until its lease expires. The
//! progress is in the database, so that another process can continue.

use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::domain::subscription::{Delivery, Lifecycle, Subscription};
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;
use crate::store::tables::notices::{self, NoticeBatch};
use crate::store::tables::subscriptions::{COLUMNS, read, select_subscriptions};
use crate::store::write::tx::Tx;

/// Number of delivery attempts that are kept for a subscription.
const MAX_DELIVERIES: i64 = 100;

/// A subscription that has work to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Due {
    pub(crate) mailbox: i64,
    pub(crate) id: Uuid,
    pub(crate) creator: String,
}

/// A subscription that this process has leased.
#[derive(Debug)]
pub(crate) struct LeasedSubscription {
    pub(crate) subscription: Subscription,
    /// End of the lease, in UTC microseconds.
    pub(crate) until: i64,
    /// The owner of the mailbox.
    pub(crate) user: String,
    /// End of the subscription, in UTC microseconds: its expiration or that of its creator's token. 0 if the creator may not
    /// read the mailbox.
    pub(crate) end: i64,
    pub(crate) progress: DeliveryProgress,
}

/// Progress of the delivery.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryProgress {
    /// Log entries up to this number are delivered.
    pub(crate) delivered: i64,
    /// Attempts at the notifications after it.
    pub(crate) attempts: Attempts,
    /// The lifecycle event to deliver, and the attempts at it.
    pub(crate) event: Option<Lifecycle>,
    pub(crate) event_attempts: Attempts,
    /// The end for which a reminder was sent.
    pub(crate) reminded_of: Option<i64>,
}

/// Attempts at a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts {
    /// Number of failed attempts.
    pub(crate) failed: i64,
    /// Earliest time of the next one, in UTC microseconds.
    pub(crate) next: i64,
}

/// Whether the creator of the subscription `s` may still read its mailbox. The expiration of the token is not included, see
/// `end!`.
macro_rules! permitted {
    () => {
        "(
    (s.token_id is null or exists (select 1 from tokens t where t.id = s.token_id and t.revoked_date_time is null))
    and (s.creator like 'app:%' or exists (
        select 1 from users c where c.id = s.creator and c.disabled_date_time is null
            and (c.mailbox = s.mailbox
                or exists (select 1 from shares h where h.mailbox = s.mailbox and h.grantee = c.mailbox)))))"
    };
}

/// The end of the subscription `s`, unless it is renewed.
macro_rules! end {
    () => {
        "(
    select case when t.expiration_date_time < s.expiration_date_time then t.expiration_date_time
        else s.expiration_date_time end
    from (select 1) one left join tokens t on t.id = s.token_id)"
    };
}

/// All subscriptions that have work to do and are not leased. `soon` is the time before its end at which a subscriber is
/// reminded, in microseconds.
pub(in crate::store) async fn due(session: &mut Session, soon: i64) -> Result<Vec<Due>, Error> {
    let text = concat!(
        "
select s.mailbox, s.id, s.creator from subscriptions s join mailboxes m on m.id = s.mailbox
where coalesce(s.lease_until_date_time, 0) <= $1 and (
    m.seq > s.delivered_seq and s.next_attempt_date_time <= $1
    or s.lifecycle_event is not null and s.next_lifecycle_date_time <= $1
    or ",
        end!(),
        " <= $1 or not ",
        permitted!(),
        " or ",
        end!(),
        " - $2 <= $1 and s.lifecycle_notification_url is not null
        and coalesce(s.reminded_of_date_time, 0) <> ",
        end!(),
        ")
order by s.next_attempt_date_time"
    );
    let rows = session.rows(Statement::new(text).bind(clock::now()).bind(soon)).await?;
    rows.iter().map(|row| Ok(Due { mailbox: row.get(0)?, id: row.get(1)?, creator: row.get(2)? })).collect()
}

impl Store {
    /// Waits until this process has written.
    pub(crate) async fn wait_for_write(&self) {
        self.shared.written.notified().await;
    }

    /// The same for callers outside the store.
    pub(crate) async fn due_subscriptions(&self, soon: i64) -> Result<Vec<Due>, Error> {
        self.without_actor().read(async |session: &mut Session| due(session, soon).await).await
    }

    /// Leases a subscription to `holder` for `micros` microseconds. `None` if another process has it, or it is gone.
    pub(crate) async fn lease(
        &self,
        due: &Due,
        holder: Uuid,
        micros: i64,
    ) -> Result<Option<LeasedSubscription>, Error> {
        let (mailbox, id) = (due.mailbox, due.id);
        self.write(None, async move |tx| lease(tx, mailbox, id, holder, micros).await).await
    }

    /// The notifications that are not delivered yet.
    pub(crate) async fn notices(&self, held: &LeasedSubscription) -> Result<NoticeBatch, Error> {
        let (subscription, after) = (&held.subscription, held.progress.delivered);
        let read = async |session: &mut Session| {
            notices::read(session, subscription.mailbox, &subscription.subject, after).await
        };
        self.without_actor().read(read).await
    }

    /// Stores the progress and the attempt, if `holder` still has the lease, and ends the lease.
    pub(crate) async fn end_lease(
        &self,
        held: &LeasedSubscription,
        holder: Uuid,
        delivery: Option<Delivery>,
    ) -> Result<(), Error> {
        let (mailbox, id, progress) = (held.subscription.mailbox, held.subscription.id, held.progress.clone());
        self.write(None, async move |tx| end_lease(tx, mailbox, id, holder, progress, delivery).await).await
    }

    /// Removes an ended subscription, if `holder` has the lease and it was neither renewed nor reauthorized meanwhile.
    pub(crate) async fn remove_ended(&self, held: &LeasedSubscription, holder: Uuid) -> Result<(), Error> {
        let (mailbox, id) = (held.subscription.mailbox, held.subscription.id);
        let text = "
delete from subscriptions
where mailbox = $1 and id = $2 and lease_owner = $3 and expiration_date_time = $4 and token_id is not distinct from $5";
        let (end, token) = (held.subscription.terms.expiration_date_time, held.subscription.token);
        let work = async move |tx: &mut Tx| {
            tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(holder).bind(end).bind(token)).await
        };
        self.write(None, work).await
    }

    /// Ends all leases of `holder`.
    pub(crate) async fn release_leases(&self, holder: Uuid) -> Result<(), Error> {
        let text = "update subscriptions set lease_owner = null, lease_until_date_time = null where lease_owner = $1";
        self.write(None, async move |tx| tx.execute(Statement::new(text).bind(holder)).await).await
    }
}

async fn lease(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    holder: Uuid,
    micros: i64,
) -> Result<Option<LeasedSubscription>, Error> {
    let text = "
update subscriptions set lease_owner = $3, lease_until_date_time = $4
where mailbox = $1 and id = $2 and coalesce(lease_until_date_time, 0) <= $5";
    let now = tx.now();
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(holder).bind(now + micros).bind(now)).await?;
    let text = select_subscriptions!(
        ", s.delivered_seq, s.attempts, s.next_attempt_date_time, s.lifecycle_event, s.lifecycle_attempts,
    s.next_lifecycle_date_time, s.reminded_of_date_time, u.id, s.lease_until_date_time",
        " join users u on u.mailbox = s.mailbox",
        "s.mailbox = $1 and s.id = $2 and s.lease_owner = $3"
    );
    let select_end = concat!(
        "select case when ",
        permitted!(),
        " then ",
        end!(),
        " else 0 end from subscriptions s where s.mailbox = $1 and s.id = $2"
    );
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(id).bind(holder)).await?;
    let Some(row) = row else { return Ok(None) };
    let end = tx.reader().await?.row(Statement::new(select_end).bind(mailbox).bind(id)).await?;
    let event: Option<String> = row.get(COLUMNS + 3)?;
    Ok(Some(LeasedSubscription {
        subscription: read(&row)?,
        until: row.get(COLUMNS + 8)?,
        end: end.map_or(Ok(0), |row| row.get(0))?,
        user: row.get(COLUMNS + 7)?,
        progress: DeliveryProgress {
            delivered: row.get(COLUMNS)?,
            attempts: Attempts { failed: row.get(COLUMNS + 1)?, next: row.get(COLUMNS + 2)? },
            event: event.as_deref().and_then(Lifecycle::of),
            event_attempts: Attempts { failed: row.get(COLUMNS + 4)?, next: row.get(COLUMNS + 5)? },
            reminded_of: row.get(COLUMNS + 6)?,
        },
    }))
}

async fn end_lease(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    holder: Uuid,
    progress: DeliveryProgress,
    delivery: Option<Delivery>,
) -> Result<(), Error> {
    let text = "
update subscriptions
set delivered_seq = $4, attempts = $5, next_attempt_date_time = $6, lifecycle_event = $7, lifecycle_attempts = $8,
    next_lifecycle_date_time = $9, reminded_of_date_time = $10
where mailbox = $1 and id = $2 and lease_owner = $3";
    let DeliveryProgress { delivered, attempts, event, event_attempts, reminded_of } = progress;
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(holder).bind(delivered);
    let statement = statement.bind(attempts.failed).bind(attempts.next).bind(event.map(Lifecycle::name));
    tx.execute(statement.bind(event_attempts.failed).bind(event_attempts.next).bind(reminded_of)).await?;
    if let Some(delivery) = delivery {
        record_attempt(tx, mailbox, id, holder, &delivery).await?;
    }
    let text = "
update subscriptions set lease_owner = null, lease_until_date_time = null
where mailbox = $1 and id = $2 and lease_owner = $3";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(holder)).await
}

/// Records an attempt, and removes the oldest ones.
async fn record_attempt(tx: &mut Tx, mailbox: i64, id: Uuid, holder: Uuid, delivery: &Delivery) -> Result<(), Error> {
    let text = "
insert into deliveries
    (mailbox, subscription_id, pos, attempt_date_time, about, attempt, notifications, first_seq, last_seq, status, error)
select $1, $2, 1 + coalesce((select max(pos) from deliveries where mailbox = $1 and subscription_id = $2), 0),
    $4, $5, $6, $7, $8, $9, $10, $11
from subscriptions where mailbox = $1 and id = $2 and lease_owner = $3";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(holder).bind(delivery.attempt_date_time);
    let statement = statement.bind(&delivery.about).bind(delivery.attempt).bind(delivery.notifications);
    let statement =
        statement.bind(delivery.changes.map(|(first, _)| first)).bind(delivery.changes.map(|(_, last)| last));
    tx.execute(statement.bind(delivery.status).bind(delivery.error.as_deref())).await?;
    let text = "
delete from deliveries where mailbox = $1 and subscription_id = $2
    and pos <= (select max(pos) from deliveries where mailbox = $1 and subscription_id = $2) - $3";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(MAX_DELIVERIES)).await
}
