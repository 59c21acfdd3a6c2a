//! The actor of a read or write, and the check of the actor's rights. The check is part of the statement or of the
//! transaction that does the work, so a revoked token, a disabled user and a removed share take effect at once in every
//! process.

use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::metrics::list::{AUDIT_ROWS, AUTH, Auth, Credential};
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::statement::Statement;
use crate::store::db::turns::ReadCost;
use crate::store::tables::audit;
use crate::store::write::tx::Tx;

/// The actor of a read or write, as the audit log names them, with the rights they act by.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// A user's id, or `app:NAME`.
    pub name: String,
    /// The stored token of the request, which must not be revoked or expired.
    pub token: Option<Uuid>,
    /// The mailbox of the user, who must not be disabled. `None` for an application.
    pub user: Option<i64>,
    /// The mailbox that is read or written. If it is not the user's own, it must be shared with the user.
    pub mailbox: Option<i64>,
    /// The mailbox's owner as the request named them.
    pub requested_owner: String,
    /// The client's address.
    pub address: Option<String>,
    /// The id in the request log.
    pub request: Option<Uuid>,
    /// The method and the route.
    pub action: String,
    /// The id of the item, if the route names one.
    pub item: Option<String>,
}

/// The access that [`check`] checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum AccessKind {
    Read,
    Write,
}

impl Store {
    /// The same store for a caller. It refuses and rolls back what the caller is not permitted at the time of the work.
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Self {
        Self { actor: Some(actor.into()), ..self.clone() }
    }

    /// The same store for a command of the operator on a mailbox.
    #[must_use]
    pub fn with_operator(&self, mailbox: i64, command: &str) -> Self {
        let (name, action) = (audit::OPERATOR.to_owned(), command.to_owned());
        self.with_actor(Actor { name, action, mailbox: Some(mailbox), ..Actor::default() })
    }

    /// The same store for the program's own work.
    pub(in crate::store) fn without_actor(&self) -> Self {
        Self { actor: None, ..self.clone() }
    }

    /// Checks that the actor may read the mailbox or, without a mailbox, may act at all.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the token or user is no longer valid, [`Error::UnknownUser`] if the mailbox is gone or
    /// not shared with the user.
    pub async fn check_access(&self) -> Result<(), Error> {
        self.read_essential(async |_: &mut Session| Ok(())).await
    }

    /// Runs a read by key for the actor, if there is one.
    pub(in crate::store) async fn read<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_for(ReadCost::ByKey, work).await
    }

    /// The same for an expensive read: a list, or a count. `mailbox` is `None` if it reads more than one mailbox.
    pub(in crate::store) async fn read_expensive<T>(
        &self,
        mailbox: Option<i64>,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_for(self.expensive(mailbox), work).await
    }

    /// The same for reads that every request waits for: health, tokens, users and rights.
    pub(in crate::store) async fn read_essential<T>(
        &self,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read_for(ReadCost::Essential, work).await
    }

    async fn read_for<T>(
        &self,
        cost: ReadCost<'_>,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(snapshot) = &self.snapshot {
            // The rights were checked when the snapshot began.
            return Box::pin(async { work(snapshot.0.lock().await.session()?).await }).await;
        }
        let Some(actor) = self.actor.as_deref() else { return Box::pin(self.shared.readers.read(cost, work)).await };
        let checked = async |session: &mut Session| {
            let now = clock::now();
            // The rights are checked before an expensive read.
            if matches!(cost, ReadCost::Expensive { .. }) || !session.ask_with_next_row(question(actor, now), ANSWERS) {
                check(session, actor, AccessKind::Read, now).await?;
                return work(session).await;
            }
            let done = work(session).await;
            match session.take_side_answers() {
                Some(answers) => evaluate(&answers, actor, AccessKind::Read)?,
                None => check(session, actor, AccessKind::Read, now).await?,
            }
            done
        };
        // On the heap: otherwise the stack of a call would have room for every read it may do.
        Box::pin(self.shared.readers.read(cost, checked)).await
    }

    pub(in crate::store) fn expensive(&self, mailbox: Option<i64>) -> ReadCost<'_> {
        ReadCost::Expensive { mailbox, caller: self.actor.as_deref().map(|actor| actor.name.as_str()) }
    }

    /// An expensive read of a mailbox, like [`crate::store::db::readers::Readers::read_mailbox`]. The rights are
    /// checked on the primary, because a standby may lag behind.
    pub(in crate::store) async fn read_mailbox<T>(
        &self,
        mailbox: i64,
        at_least: Option<i64>,
        work: impl AsyncFn(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let cost = self.expensive(Some(mailbox));
        if self.snapshot.is_some() || !self.shared.readers.has_standbys() {
            return self.read_for(cost, work).await;
        }
        self.check_access().await?;
        Box::pin(self.shared.readers.read_mailbox(mailbox, cost, at_least, work)).await
    }
}

/// Checks the rights of an actor at `now` (UTC microseconds).
///
/// # Errors
/// [`Error::Unauthorized`] if the token or user is no longer valid, [`Error::UnknownUser`] if the mailbox is gone or not
/// shared with the user, [`Error::Denied`] if it may only be read.
pub(in crate::store) async fn check(
    session: &mut Session,
    actor: &Actor,
    access: AccessKind,
    now: i64,
) -> Result<(), Error> {
    let row = session.single_row(question(actor, now)).await?;
    let answers = (0..ANSWERS).map(|column| row.get(column)).collect::<Result<Vec<_>, _>>()?;
    evaluate(&answers, actor, access)
}

/// The number of booleans that answer a [`question`].
const ANSWERS: usize = 4;

/// The query whose answer [`evaluate`] evaluates.
fn question(actor: &Actor, now: i64) -> Statement<'static> {
    let text = "
select
    $1 is null or exists (
        select 1 from tokens
        where id = $1 and revoked_date_time is null and (expiration_date_time is null or expiration_date_time > $2)),
    $3 is null or exists (select 1 from users where mailbox = $3 and disabled_date_time is null),
    $4 is null or exists (select 1 from users where mailbox = $4),
    (select can_write from shares where mailbox = $4 and grantee = $3)";
    Statement::new(text).bind(actor.token).bind(now).bind(actor.user).bind(actor.mailbox)
}

/// Evaluates whether the token, the user and the mailbox are good, and whether a share permits writing.
fn evaluate(answers: &[Option<bool>], actor: &Actor, access: AccessKind) -> Result<(), Error> {
    let [token, user, mailbox, share] = *answers else { return Err(Error::internal("a question was not answered")) };
    let checks = [(token, Auth::Revoked), (user, Auth::Disabled)];
    if let Some((_, why)) = checks.iter().find(|(answer, _)| !answer.unwrap_or_default()) {
        // The credential was valid when it was read.
        AUTH.increment(if actor.token.is_some() { Credential::Stored } else { Credential::Named }, *why);
        return Err(Error::Unauthorized);
    }
    let unknown = || Err(Error::UnknownUser(actor.requested_owner.clone()));
    if !mailbox.unwrap_or_default() {
        return unknown();
    }
    if actor.user.is_none() || actor.mailbox.is_none() || actor.user == actor.mailbox {
        return Ok(());
    }
    match (share, access) {
        (None, _) => unknown(),
        (Some(false), AccessKind::Write) => Err(Error::Denied("The mailbox is shared with you for reading only.")),
        (Some(_), _) => Ok(()),
    }
}

/// Writes the audit entry of the transaction.
pub(in crate::store) async fn record(tx: &mut Tx, actor: &Actor) -> Result<(), Error> {
    let text = "
insert into audit (mailbox, id, audit_date_time, actor, token_id, address, request_id, action, item)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let item = tx.created().map(str::to_owned).or_else(|| actor.item.clone());
    let (mailbox, id) = (actor.mailbox.unwrap_or(0), Tx::internal_id());
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(tx.now());
    let statement = statement.bind(&actor.name).bind(actor.token).bind(actor.address.as_ref());
    tx.execute_extra(statement.bind(actor.request).bind(&actor.action).bind(item)).await?;
    tx.mark_audit_entry(mailbox, id);
    AUDIT_ROWS.increment();
    Ok(())
}
