//! Audit log entries of the operator's commands (docs/security.md, "The audit log"). `rights` and the frequent writes
//! record what callers do; `audit_log` reads the log.

use uuid::Uuid;

use crate::clock;
use crate::domain::error::Error;
use crate::metrics::list::AUDIT_ROWS;
use crate::store::db::statement::Statement;
use crate::store::write::tx::Tx;

/// The actor of the program's commands.
pub(in crate::store) const OPERATOR: &str = "operator";
/// The action of removing a user.
pub(in crate::store) const REMOVAL: &str = "user remove";

/// Records an action of a command.
pub(in crate::store) async fn by_operator(
    tx: &mut Tx,
    mailbox: i64,
    action: &'static str,
    item: Option<&str>,
    token: Option<Uuid>,
) -> Result<(), Error> {
    let text = "
insert into audit (mailbox, id, audit_date_time, actor, token_id, action, item) values ($1, $2, $3, $4, $5, $6, $7)";
    let id = Tx::internal_id();
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(clock::now()).bind(OPERATOR);
    tx.execute(statement.bind(token).bind(action).bind(item)).await?;
    tx.mark_audit_entry(mailbox, id);
    AUDIT_ROWS.increment();
    Ok(())
}
