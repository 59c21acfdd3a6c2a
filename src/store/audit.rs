//! The log of who did what (docs/security.md, "The audit log"). What is done on somebody's behalf is written down by
//! `rights` and by the hot writes; here is what the operator does, how it is read, and what is too old.

use uuid::Uuid;

use super::Store;
use super::engine::{Row, Session};
use super::statement::{Sql, Statement};
use super::tx::Tx;
use crate::clock;
use crate::error::Error;

/// Who runs the program's commands.
pub(super) const OPERATOR: &str = "operator";
/// Most entries that one transaction takes away.
const MAX_REMOVED: i64 = 5_000;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Deed {
    pub id: Uuid,
    /// UTC microseconds.
    pub time: i64,
    /// A user's id, `app:NAME`, or `operator`.
    pub actor: String,
    pub token: Option<Uuid>,
    pub address: Option<String>,
    /// By which the log of requests has it.
    pub request: Option<Uuid>,
    /// The method and the route, or the command.
    pub action: String,
    /// Whose mailbox was written to, if it still is anybody's.
    pub mailbox: Option<String>,
    pub item: Option<String>,
}

/// Which deeds are asked for.
#[derive(Debug, Clone, Default)]
pub struct Deeds {
    /// Those of this actor.
    pub actor: Option<String>,
    /// Those in the mailbox of this number.
    pub mailbox: Option<i64>,
    /// Those about this item.
    pub item: Option<String>,
    /// Those since, in UTC microseconds.
    pub since: i64,
}

impl Store {
    /// The last deeds, so many at most, in the order of time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn deeds(&self, which: &Deeds, limit: i64) -> Result<Vec<Deed>, Error> {
        let select = "
select a.id, a.audit_date_time, a.actor, a.token_id, a.address, a.request_id, a.action, u.id, a.item
from audit a left join users u on u.mailbox = a.mailbox where a.audit_date_time >= ";
        let list = async |session: &mut Session| {
            let mut sql = Sql::new(select).value(which.since);
            if let Some(actor) = &which.actor {
                sql = sql.text(" and a.actor = ").value(actor.clone());
            }
            if let Some(mailbox) = which.mailbox {
                sql = sql.text(" and a.mailbox = ").value(mailbox);
            }
            if let Some(item) = &which.item {
                sql = sql.text(" and a.item = ").value(item.clone());
            }
            let sql = sql.text(" order by a.audit_date_time desc, a.id desc limit ").value(limit);
            let mut deeds = session.rows(sql.into()).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            deeds.reverse();
            Ok(deeds)
        };
        self.read_much(None, list).await
    }

    /// Takes away some of what was done before, in UTC microseconds. Answers whether there may be more.
    pub(super) async fn forget_deeds(&self, before: i64) -> Result<bool, Error> {
        let work = async move |tx: &mut Tx| {
            let text = "
select max(audit_date_time) from (
    select audit_date_time from audit where audit_date_time < $1 order by audit_date_time limit $2
) first";
            let row = tx.reading().await?.row(Statement::new(text).bind(before).bind(MAX_REMOVED)).await?;
            let Some(last) = row.map_or(Ok(None), |row| row.get::<Option<i64>>(0))? else { return Ok(false) };
            tx.execute(Statement::new("delete from audit where audit_date_time <= $1").bind(last)).await?;
            Ok(true)
        };
        self.write(None, work).await
    }
}

fn read(row: &Row) -> Result<Deed, Error> {
    Ok(Deed {
        id: row.get(0)?,
        time: row.get(1)?,
        actor: row.get(2)?,
        token: row.get(3)?,
        address: row.get(4)?,
        request: row.get(5)?,
        action: row.get(6)?,
        mailbox: row.get(7)?,
        item: row.get(8)?,
    })
}

/// Writes down what a command does.
pub(super) async fn by_operator(
    tx: &mut Tx,
    mailbox: i64,
    action: &'static str,
    item: Option<&str>,
    token: Option<Uuid>,
) -> Result<(), Error> {
    let text = "
insert into audit (mailbox, id, audit_date_time, actor, token_id, action, item) values ($1, $2, $3, $4, $5, $6, $7)";
    let id = Tx::new_id();
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(clock::now()).bind(OPERATOR);
    tx.execute(statement.bind(token).bind(action).bind(item)).await?;
    tx.left_deed(mailbox, id);
    Ok(())
}
