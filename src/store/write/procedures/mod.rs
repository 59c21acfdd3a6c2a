//! The hot writes, each one statement for the driver: what a write costs is calls and answers between us and the database
//! (ARCHITECTURE.md, "Writes"), and a contact is rows of ten tables. Each engine has a text of its own, which takes the
//! same rows and leaves the same behind; both take the mailbox's next numbers and write the log's entries.

mod postgres;
mod sqlite;

use std::sync::LazyLock;

use uuid::Uuid;

use crate::domain::error::Error;
use crate::metrics::list::AUDIT_ROWS;
use crate::store::db::statement::{Sql, Statement, Texts};
use crate::store::tables::table::{Column, Table};
use crate::store::write::call::{MailboxRoom, ProcedureCall};
use crate::store::write::rows::{self, ContactWrite};
use crate::store::write::tx::Tx;

static INSERT: LazyLock<Texts> = LazyLock::new(|| Sql::either(sqlite::insert(), postgres::insert()).texts());
static UPDATE: LazyLock<Texts> = LazyLock::new(|| Sql::either(sqlite::update(), postgres::update()).texts());

/// What SQLite's writer is given when its connection is opened.
pub(in crate::store) fn sqlite_views() -> Texts {
    sqlite::views().texts()
}

/// Creates contacts, on PostgreSQL of one mailbox. Writes nothing, and fails for a missing value, where the folder of one
/// does not exist, or its mailbox has no room.
pub(in crate::store) fn insert(tx: &Tx, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    with_contacts(tx, &INSERT, contacts)
}

/// Overwrites contacts, their rows included. Fails for a missing value where one grows and its mailbox has no room.
pub(in crate::store) fn update(tx: &Tx, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    with_contacts(tx, &UPDATE, contacts)
}

fn with_contacts(tx: &Tx, texts: &'static Texts, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    let ContactWrite { mailbox, contact: last, .. } =
        contacts.last().ok_or_else(|| Error::internal("there is nothing to write"))?;
    let audited = contacts.iter().filter(|written| written.actor.is_some()).count();
    AUDIT_ROWS.add(audited as u64);
    let statement = Statement::prepared(texts).bind(rows::json(contacts, tx.is_postgres())?);
    // There a statement names its mailbox, so that one that is spread over servers knows where to go.
    let statement = if tx.is_postgres() { statement.bind(*mailbox) } else { statement };
    let MailboxRoom { contacts: most, bytes } = tx.limits();
    let statement = statement.bind(most).bind(bytes);
    Ok(ProcedureCall { statement, mailbox: *mailbox, last: last.id, count: contacts.len() })
}

/// Marks a contact as deleted.
pub(in crate::store) fn delete(mailbox: i64, id: Uuid, now: i64, folder: String) -> ProcedureCall<'static> {
    let statement = Statement::per_engine(sqlite::DELETE, postgres::DELETE);
    let statement = statement.bind(mailbox).bind(id).bind(now).bind(folder);
    ProcedureCall { statement, mailbox, last: id, count: 1 }
}

/// The columns' names, each behind a prefix.
fn names<'c>(prefix: &'static str, columns: impl IntoIterator<Item = &'c Column>) -> Sql {
    Sql::list(columns.into_iter().map(|column| Sql::new(prefix).text(column.name)))
}

/// The values of a collection's row out of an entry, or out of one that is a text itself.
fn entry_values(table: &Table, entry: &'static str, whole: &'static str) -> Sql {
    if table.written().count() == 1 {
        return Sql::new(whole);
    }
    Sql::list(
        table.written().enumerate().map(|(at, column)| column.kind.of_json(Sql::new(entry).text(" ->> ").number(at))),
    )
}
