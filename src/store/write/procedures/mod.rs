//! The frequent writes, each as one statement: the main cost of a write is calls to the database (ARCHITECTURE.md,
//! "Writes"), and a contact has rows in ten tables. Each engine has its own text, with the same parameters and the same
//! effect. Both take the mailbox's next change numbers and write the change log.

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

static INSERT: LazyLock<Texts> = LazyLock::new(|| Sql::engine_specific(sqlite::insert(), postgres::insert()).texts());
static UPDATE: LazyLock<Texts> = LazyLock::new(|| Sql::engine_specific(sqlite::update(), postgres::update()).texts());

/// The statements that SQLite's writer runs on a new connection.
pub(in crate::store) fn sqlite_views() -> Texts {
    sqlite::views().texts()
}

/// Creates contacts with their cards, on PostgreSQL of one mailbox. If a folder does not exist, a mailbox has no room, or a contact
/// without a stored card may have the name or the UID of a card, nothing is written and the statement fails for a missing value; if
/// a card has them, for a value that is there twice.
pub(in crate::store) fn insert(tx: &Tx, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    with_contacts(tx, &INSERT, contacts)
}

/// Overwrites contacts with all their rows. Fails for a missing value if a contact grows and its mailbox has no room.
pub(in crate::store) fn update(tx: &Tx, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    with_contacts(tx, &UPDATE, contacts)
}

fn with_contacts(tx: &Tx, texts: &'static Texts, contacts: &[ContactWrite]) -> Result<ProcedureCall<'static>, Error> {
    let ContactWrite { mailbox, contact: last, .. } =
        contacts.last().ok_or_else(|| Error::internal("there is nothing to write"))?;
    let audited = contacts.iter().filter(|written| written.actor.is_some()).count();
    AUDIT_ROWS.add(audited as u64);
    let statement = Statement::prepared(texts).bind(rows::json(contacts, tx.is_postgres())?);
    // On PostgreSQL a statement names its mailbox, so that a distributed database can route it.
    let statement = if tx.is_postgres() { statement.bind(*mailbox) } else { statement };
    let MailboxRoom { contacts: max, bytes } = tx.limits();
    let statement = statement.bind(max).bind(bytes);
    Ok(ProcedureCall { statement, mailbox: *mailbox, last: last.id, count: contacts.len() })
}

/// Marks a contact as deleted.
pub(in crate::store) fn delete(mailbox: i64, id: Uuid, now: i64, folder: String) -> ProcedureCall<'static> {
    let statement = Statement::per_engine(sqlite::DELETE, postgres::DELETE);
    let statement = statement.bind(mailbox).bind(id).bind(now).bind(folder);
    ProcedureCall { statement, mailbox, last: id, count: 1 }
}

/// The columns' names, each with a prefix.
fn names<'c>(prefix: &'static str, columns: impl IntoIterator<Item = &'c Column>) -> Sql {
    Sql::list(columns.into_iter().map(|column| Sql::new(prefix).text(column.name)))
}

/// The values of a collection's row from an entry, which may be a plain text.
fn entry_values(table: &Table, entry: &'static str, whole: &'static str) -> Sql {
    if table.written().count() == 1 {
        return Sql::new(whole);
    }
    Sql::list(
        table.written().enumerate().map(|(at, column)| column.kind.of_json(Sql::new(entry).text(" ->> ").number(at))),
    )
}
