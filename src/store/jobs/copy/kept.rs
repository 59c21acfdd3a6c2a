//! Rows of a store in memory, for the kit of tests: saved, put back, and copied from one mailbox to another.

use std::sync::Arc;

use super::{TableRows, insert};
use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::db::renew;
use crate::store::db::statement::{Sql, SqlValue, Statement};
use crate::store::tables::schema::TABLES;
use crate::store::tables::table::Table;
use crate::store::write::tx::Tx;

/// Rows that are kept at once.
const MAX_ROWS: usize = 2_000_000;

/// Tables of a mailbox that a copy of it does not get: who may open it, who is told, and what happened.
const NOT_COPIED: [&str; 11] = [
    "mailboxes",
    "users",
    "tokens",
    "shares",
    "audit",
    "idempotency_keys",
    "subscriptions",
    "deliveries",
    "identities",
    "imports",
    "import_befores",
];
/// The change log is left out too: clients that follow it start over.
const LOG: &str = "changes";

type RowValues = Vec<SqlValue<'static>>;

/// All rows of a store, by the place of their table in [`TABLES`].
pub(crate) struct KeptRows(Vec<Vec<RowValues>>);

impl KeptRows {
    /// The users' ids, and the numbers of their mailboxes.
    fn users(&self) -> impl Iterator<Item = (&str, i64)> {
        self.of("users").filter_map(|row| match (row.first()?, row.get(place(by_name("users")?, "mailbox")?)?) {
            (SqlValue::Text(Some(id)), SqlValue::Int(Some(mailbox))) => Some((id.as_ref(), *mailbox)),
            _ => None,
        })
    }

    fn of(&self, table: &str) -> impl Iterator<Item = &RowValues> {
        TABLES.iter().zip(&self.0).filter(move |(of, _)| of.name == table).flat_map(|(_, rows)| rows)
    }

    /// The names of the users.
    pub(crate) fn names(&self) -> Vec<String> {
        self.users().map(|(id, _)| id.to_owned()).collect()
    }

    /// How many contacts there are, deleted ones included, and about how many bytes all takes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.of("contacts").count(), self.0.iter().flatten().flatten().map(super::size_of).sum())
    }

    fn mailbox(&self, user: &str) -> Option<i64> {
        self.users().find(|(id, _)| id.eq_ignore_ascii_case(user)).map(|(_, mailbox)| mailbox)
    }
}

fn by_name(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

fn place(table: &Table, column: &str) -> Option<usize> {
    table.columns().position(|of| of.name == column)
}

/// The column that says whose a row is.
fn owner(table: &Table) -> &'static str {
    if table.name == "mailboxes" { "id" } else { "mailbox" }
}

impl Store {
    /// All rows as they are now.
    ///
    /// # Errors
    /// [`Error::Quota`] where they are too many, and those of the database.
    pub(crate) async fn keep(&self) -> Result<KeptRows, Error> {
        self.write(None, async move |tx| all(tx.reading().await?).await).await
    }

    /// Puts all rows back in place of those that are there.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn put_back(&self, kept: Option<Arc<KeptRows>>) -> Result<(), Error> {
        let work = async move |tx: &mut Tx| {
            for table in TABLES.iter().rev() {
                tx.execute(table.delete().into()).await?;
            }
            let session = tx.reading().await?;
            for (table, rows) in kept.iter().flat_map(|kept| TABLES.iter().zip(&kept.0)) {
                insert_all(session, table, rows.clone()).await?;
            }
            renew::words(session).await
        };
        let done = self.write(None, work).await;
        self.forget_users();
        self.shared.written.notify_one();
        done
    }

    /// Puts back what some users had; those who had nothing have nothing again.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn put_back_of(&self, users: Vec<String>, kept: Option<Arc<KeptRows>>) -> Result<(), Error> {
        let work = async move |tx: &mut Tx| {
            for user in &users {
                let now = all(tx.reading().await?).await?;
                let current = now.mailbox(user);
                if let Some(mailbox) = current {
                    remove(tx, mailbox, |_| true).await?;
                }
                let Some((kept, saved)) = kept.as_ref().and_then(|kept| Some((kept, kept.mailbox(user)?))) else {
                    continue;
                };
                let next = now.users().map(|(_, mailbox)| mailbox).max().unwrap_or_default() + 1;
                put(tx, kept, saved, current.unwrap_or(next), |_| true).await?;
            }
            renew::words(tx.reading().await?).await
        };
        let done = self.write(None, work).await;
        self.forget_users();
        self.shared.written.notify_one();
        done
    }

    /// Copies what is in a mailbox to another, in place of what is there. Returns the numbers of contacts and folders.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn copy_mailbox(&self, from: i64, to: i64) -> Result<(usize, usize), Error> {
        let work = async move |tx: &mut Tx| {
            let is_content = |table: &Table| table.name != LOG && !NOT_COPIED.contains(&table.name);
            let now = all(tx.reading().await?).await?;
            remove(tx, to, |table| is_content(table) || table.name == LOG).await?;
            put(tx, &now, from, to, is_content).await?;
            let text = "
update mailboxes set
    seq = (select max(seq) + 1 from mailboxes where id in ($1, $2)),
    contacts = (select contacts from mailboxes where id = $1), bytes = (select bytes from mailboxes where id = $1)
where id = $2";
            tx.execute(Statement::new(text).bind(from).bind(to)).await?;
            renew::words(tx.reading().await?).await?;
            let count = |table: &'static str| {
                let column = by_name(table).and_then(|table| place(table, owner(table))).unwrap_or_default();
                now.of(table).filter(|row| row.get(column) == Some(&SqlValue::Int(Some(from)))).count()
            };
            Ok((count("contacts"), count("folders")))
        };
        self.write(None, work).await
    }
}

async fn all(session: &mut Session) -> Result<KeptRows, Error> {
    let (mut tables, mut count) = (Vec::with_capacity(TABLES.len()), 0);
    for table in TABLES {
        let (mut rows, mut kept) = (TableRows::new(table, None), Vec::new());
        while let Some(chunk) = rows.next(session).await? {
            count += chunk.len();
            if count > MAX_ROWS {
                return Err(Error::Quota(format!(
                    "The store has more than {MAX_ROWS} rows, too many to keep in memory."
                )));
            }
            kept.extend(chunk);
        }
        tables.push(kept);
    }
    Ok(KeptRows(tables))
}

/// Inserts rows. References within a table are set last.
async fn insert_all(session: &mut Session, table: &Table, rows: Vec<RowValues>) -> Result<(), Error> {
    let mut first = rows.clone();
    table.leave_out_late(&mut first);
    insert(session, table, &first).await?;
    if table.self_reference.is_some() { insert(session, table, &rows).await } else { Ok(()) }
}

/// Removes the rows of a mailbox from some tables.
async fn remove(tx: &mut Tx, mailbox: i64, of: impl Fn(&Table) -> bool) -> Result<(), Error> {
    for table in TABLES.iter().rev().filter(|table| of(table)) {
        let delete = Sql::new("delete from ").text(table.name).text(" where ").text(owner(table)).text(" = ");
        tx.execute(delete.value(mailbox).into()).await?;
        if table.name == "shares" {
            tx.execute(Statement::new("delete from shares where grantee = $1").bind(mailbox)).await?;
        }
    }
    Ok(())
}

/// Puts the rows of a mailbox into some tables, under another number.
async fn put(tx: &mut Tx, kept: &KeptRows, from: i64, to: i64, of: impl Fn(&Table) -> bool) -> Result<(), Error> {
    for (table, rows) in TABLES.iter().zip(&kept.0).filter(|(table, _)| of(table) && table.name != "shares") {
        let Some(column) = place(table, owner(table)) else { continue };
        let own = rows.iter().filter(|row| row.get(column) == Some(&SqlValue::Int(Some(from))));
        let mut own: Vec<RowValues> = own.cloned().collect();
        for row in &mut own {
            row[column] = SqlValue::Int(Some(to));
        }
        tx.open_savepoint().await?;
        insert_all(tx.reading().await?, table, own).await?;
    }
    Ok(())
}
