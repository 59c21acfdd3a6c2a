//! The audit log (docs/security.md, "The audit log"). This file reads the log and removes old entries.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::user;
use crate::metrics::list::{PURGED, Purged};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::audit::{OPERATOR, REMOVAL};
use crate::store::tables::users;
use crate::store::write::tx::Tx;

/// Maximum number of entries that one transaction removes.
const MAX_REMOVED: i64 = 5_000;

/// An entry of the audit log: a write and its actor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct AuditEntry {
    pub id: Uuid,
    /// UTC microseconds.
    pub time: i64,
    /// A user's id, `app:NAME`, or `operator`. A user who was removed since is `removed:ID`, so that a new user of
    /// the same name is not mistaken for them; a user named `operator` is `user:operator`.
    pub actor: String,
    pub token: Option<Uuid>,
    pub address: Option<String>,
    /// The id in the request log.
    pub request: Option<Uuid>,
    /// The method and the route, or the command.
    pub action: String,
    /// The owner of the mailbox: a user's id, or `removed:ID`. `None` if there is no mailbox, or its owner is no longer known.
    pub mailbox: Option<String>,
    pub item: Option<String>,
}

/// The prefix of the id of a removed user.
const REMOVED: &str = "removed:";

/// Filters for entries of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only this actor, as in [`AuditEntry`].
    pub actor: Option<String>,
    /// Only the mailbox of this user, as in [`AuditEntry`]. If there is no such user, removed users of this name are
    /// meant.
    pub owner: Option<String>,
    /// Only this item.
    pub item: Option<String>,
    /// Only entries since this time, in UTC microseconds.
    pub since: i64,
}

impl Store {
    /// The last entries, at most `limit`, the oldest first.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] if neither the users nor the log know the owner; else those of the database.
    pub async fn audit_entries(&self, query: &AuditQuery, limit: i64) -> Result<Vec<AuditEntry>, Error> {
        let list = async |session: &mut Session| {
            let mut sql = Sql::new(SELECT).value(query.since);
            if let Some(actor) = &query.actor {
                sql = sql.then(actor_condition(session, actor).await?);
            }
            if let Some(owner) = &query.owner {
                sql = sql.text(" and a.mailbox in (0");
                for mailbox in mailboxes(session, owner).await? {
                    sql = sql.text(", ").value(mailbox);
                }
                sql = sql.text(") and a.mailbox <> 0");
            }
            if let Some(item) = &query.item {
                sql = sql.text(" and a.item = ").value(item.clone());
            }
            let sql = sql.text(" order by a.audit_date_time desc, a.id desc limit ").value(limit);
            let rows = session.rows(sql.into()).await?;
            let mut entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            entries.reverse();
            let mut removed = HashMap::new();
            for (mailbox, entry) in &mut entries {
                if entry.mailbox.is_none() && *mailbox != 0 {
                    if !removed.contains_key(mailbox) {
                        removed.insert(*mailbox, former_owner(session, *mailbox).await?);
                    }
                    entry.mailbox = removed.get(mailbox).cloned().flatten().map(|id| format!("{REMOVED}{id}"));
                }
            }
            Ok(entries.into_iter().map(|(_, entry)| entry).collect())
        };
        self.read_expensive(None, list).await
    }

    /// Removes some of the entries before a time in UTC microseconds. Returns whether there may be more.
    pub(in crate::store) async fn forget_audit_entries(&self, before: i64) -> Result<bool, Error> {
        let work = async move |tx: &mut Tx| {
            let text = "
select max(audit_date_time), count(*) from (
    select audit_date_time from audit where audit_date_time < $1 order by audit_date_time limit $2
) first";
            let row = tx.reader().await?.single_row(Statement::new(text).bind(before).bind(MAX_REMOVED)).await?;
            let (last, count): (Option<i64>, i64) = (row.get(0)?, row.get(1)?);
            let Some(last) = last else { return Ok(false) };
            tx.execute(Statement::new("delete from audit where audit_date_time <= $1").bind(last)).await?;
            PURGED.add(Purged::Audit, u64::try_from(count).unwrap_or_default());
            Ok(true)
        };
        self.write(None, work).await
    }
}

const SELECT: &str = "
select a.id, a.audit_date_time, a.actor, a.token_id, a.address, a.request_id, a.action, u.id, a.item, a.mailbox,
    w.created_date_time
from audit a left join users u on u.mailbox = a.mailbox left join users w on w.id = a.actor where a.audit_date_time >= ";

/// An entry, and the number of its mailbox.
fn read(row: &Row) -> Result<(i64, AuditEntry), Error> {
    let (time, actor, request): (i64, String, _) = (row.get(1)?, row.get(2)?, row.get::<Option<Uuid>>(5)?);
    let is_user = !actor.starts_with("app:") && (actor != OPERATOR || request.is_some());
    let is_gone = row.get::<Option<i64>>(10)?.is_none_or(|created| created > time);
    let actor = match actor.as_str() {
        _ if is_user && is_gone => format!("{REMOVED}{actor}"),
        OPERATOR if is_user => format!("user:{actor}"),
        _ => actor,
    };
    let entry = AuditEntry {
        id: row.get(0)?,
        time,
        actor,
        token: row.get(3)?,
        address: row.get(4)?,
        request,
        action: row.get(6)?,
        mailbox: row.get(7)?,
        item: row.get(8)?,
    };
    Ok((row.get(9)?, entry))
}

/// The condition on the actor.
async fn actor_condition(session: &mut Session, actor: &str) -> Result<Sql, Error> {
    let actor_is = |name: &str| Sql::new(" and a.actor = ").value(name.to_owned());
    Ok(match (actor.strip_prefix(REMOVED), actor.strip_prefix("user:").unwrap_or(actor)) {
        (Some(removed), _) => actor_is(removed).text(" and (w.id is null or w.created_date_time > a.audit_date_time)"),
        (None, OPERATOR) if actor == OPERATOR => actor_is(actor).text(" and a.request_id is null"),
        (None, name) => match users::find(session, name).await? {
            Some(user) => {
                actor_is(&user.id).text(" and a.request_id is not null and w.created_date_time <= a.audit_date_time")
            }
            None => actor_is(name),
        },
    })
}

/// The mailbox of the user with this name. If there is none, or removed users are asked for: the mailboxes of all
/// removed users that had the name.
///
/// # Errors
/// [`Error::UnknownUser`]
async fn mailboxes(session: &mut Session, owner: &str) -> Result<Vec<i64>, Error> {
    let removed = owner.strip_prefix(REMOVED);
    if removed.is_none()
        && let Some(user) = users::find(session, owner).await?
    {
        return Ok(vec![user.mailbox]);
    }
    let key = user::key(removed.unwrap_or(owner));
    let text = "select mailbox, item from audit where actor = $1 and action = $2 and item is not null";
    let rows = session.rows(Statement::new(text).bind(OPERATOR).bind(REMOVAL)).await?;
    let removals =
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<Vec<(i64, String)>, Error>>()?;
    let found: Vec<_> =
        removals.into_iter().filter(|(_, id)| user::key(id) == key).map(|(mailbox, _)| mailbox).collect();
    if found.is_empty() { Err(Error::UnknownUser(owner.to_owned())) } else { Ok(found) }
}

/// The owner of a mailbox.
async fn former_owner(session: &mut Session, mailbox: i64) -> Result<Option<String>, Error> {
    let text = "select item from audit where mailbox = $1 and actor = $2 and action = $3 order by id desc limit 1";
    let row = session.row(Statement::new(text).bind(mailbox).bind(OPERATOR).bind(REMOVAL)).await?;
    row.map_or(Ok(None), |row| row.get(0))
}
