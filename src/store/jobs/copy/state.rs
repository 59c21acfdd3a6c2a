//! Saved states of a store, for the control plane for tests: saved, restored, and copied from one mailbox to another. A state of
//! SQLite is a copy of the file (`state_file`); one of PostgreSQL is rows in memory.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::mailboxes::{self, clear, owner};
use super::state_file::{FileChange, KeptFile};
use super::{TableRows, insert};
use crate::domain::error::Error;
use crate::store::db::cluster::Use;
use crate::store::db::derived;
use crate::store::db::engine::Session;
use crate::store::db::statement::{SqlValue, Statement};
use crate::store::tables::schema::TABLES;
use crate::store::tables::table::Table;
use crate::store::write::tx::Tx;
use crate::store::{Store, StoreLocation};

/// Maximum number of rows in a state.
const MAX_ROWS: usize = 2_000_000;

type RowValues = Vec<SqlValue<'static>>;

/// A state.
pub(crate) struct KeptState(pub(super) State);

/// Its data.
pub(super) enum State {
    /// All rows, by the index of their table in [`TABLES`], and their approximate size in bytes.
    Rows(Vec<Vec<RowValues>>, usize),
    /// A file.
    File(Box<KeptFile>),
}

impl KeptState {
    /// The users' ids, and the numbers of their mailboxes.
    fn users(&self) -> Vec<(&str, i64)> {
        match &self.0 {
            State::File(file) => file.users().collect(),
            State::Rows(rows, _) => {
                let mailbox_column =
                    table_named("users").and_then(|users| column_index(users, "mailbox")).unwrap_or_default();
                rows_of(rows, "users").filter_map(|row| id_and_mailbox(row, mailbox_column)).collect()
            }
        }
    }

    /// The names of the users.
    pub(crate) fn names(&self) -> Vec<String> {
        self.users().into_iter().map(|(id, _)| id.to_owned()).collect()
    }

    /// The number of contacts, including deleted ones, and the approximate size of everything in bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        match &self.0 {
            State::File(file) => file.size(),
            State::Rows(rows, bytes) => (rows_of(rows, "contacts").count(), *bytes),
        }
    }

    fn rows(&self) -> Result<&[Vec<RowValues>], Error> {
        match &self.0 {
            State::Rows(rows, _) => Ok(rows),
            State::File(_) => Err(Error::internal("a state of another engine")),
        }
    }

    fn mailbox(&self, user: &str) -> Option<i64> {
        self.users().into_iter().find(|(id, _)| id.eq_ignore_ascii_case(user)).map(|(_, mailbox)| mailbox)
    }
}

fn rows_of<'r>(rows: &'r [Vec<RowValues>], table: &str) -> impl Iterator<Item = &'r RowValues> {
    let index = TABLES.iter().position(|candidate| candidate.name == table);
    index.and_then(|index| rows.get(index)).into_iter().flatten()
}

fn id_and_mailbox(row: &RowValues, mailbox_column: usize) -> Option<(&str, i64)> {
    match (row.first()?, row.get(mailbox_column)?) {
        (SqlValue::Text(Some(id)), SqlValue::Int(Some(mailbox))) => Some((id.as_ref(), *mailbox)),
        _ => None,
    }
}

fn table_named(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

fn column_index(table: &Table, column: &str) -> Option<usize> {
    table.columns().position(|candidate| candidate.name == column)
}

impl Store {
    fn is_file(&self) -> bool {
        matches!(self.shared.location, StoreLocation::File(_))
    }

    /// Whether a state is restored from its file; one of PostgreSQL is not.
    fn restores_file(&self, kept: Option<&KeptState>) -> bool {
        self.is_file() && kept.is_none_or(|kept| matches!(kept.0, State::File(_)))
    }

    /// The same state, converted to rows if the store is on PostgreSQL and the state is a file.
    async fn converted(&self, kept: Option<Arc<KeptState>>) -> Result<Option<Arc<KeptState>>, Error> {
        if let Some(State::File(file)) = kept.as_ref().map(|kept| &kept.0)
            && !self.is_file()
        {
            return file.rows().await.map(|rows| Some(Arc::new(rows)));
        }
        Ok(kept)
    }

    /// Saves the current state.
    ///
    /// # Errors
    /// [`Error::Quota`] if it is too large, and those of the database.
    pub(crate) async fn save_state(&self) -> Result<KeptState, Error> {
        if self.is_file() {
            return self.save_file().await;
        }
        self.write(None, async move |tx| read_all(tx.reader().await?).await).await
    }

    /// Saves the state at the moment of the answer. On PostgreSQL the rows of that moment are read by the future, through a
    /// connection of its own, while others write: that takes as long as the store is large.
    ///
    /// # Errors
    /// As [`Store::save_state`], also of the future.
    pub(crate) async fn save_state_later(&self) -> Result<BoxFuture<'static, Result<KeptState, Error>>, Error> {
        let StoreLocation::Cluster(cluster) = &self.shared.location else {
            let kept = self.save_state().await?;
            return Ok(Box::pin(std::future::ready(Ok(kept))));
        };
        let mut session = cluster.primary(Use::Operate).await?;
        session.execute(Statement::new("begin isolation level repeatable read, read only")).await?;
        // The first statement takes the snapshot, not the one that begins.
        session.count(Statement::new("select count(*) from mailboxes")).await?;
        Ok(Box::pin(async move {
            let kept = read_all(&mut session).await;
            session.close().await;
            kept
        }))
    }

    /// Restores all rows. Existing rows are removed.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn restore_state(&self, kept: Option<Arc<KeptState>>) -> Result<(), Error> {
        let kept = self.converted(kept).await?;
        let done = if self.restores_file(kept.as_deref()) {
            self.in_file(FileChange::All(kept)).await.map(drop)
        } else {
            self.write(None, async move |tx| replace_all(tx, kept.as_deref()).await).await
        };
        self.forget_users();
        self.shared.written.notify_one();
        done
    }

    /// Restores the data of some users. Users without data in the state have none afterwards.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn restore_users(&self, users: Vec<String>, kept: Option<Arc<KeptState>>) -> Result<(), Error> {
        let kept = self.converted(kept).await?;
        let done = if self.restores_file(kept.as_deref()) {
            self.in_file(FileChange::Some(users, kept)).await.map(drop)
        } else {
            let work = async move |tx: &mut Tx| {
                for user in &users {
                    replace_one(tx, user, kept.as_deref()).await?;
                }
                Ok(())
            };
            self.write(None, work).await
        };
        self.forget_users();
        self.shared.written.notify_one();
        done
    }

    /// Copies the content of a mailbox to another and replaces the content there. Returns the numbers of contacts and folders.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn copy_mailbox(&self, from: i64, to: i64) -> Result<(usize, usize), Error> {
        if self.is_file() {
            return self.in_file(FileChange::Copy(from, to)).await;
        }
        let work = async move |tx: &mut Tx| {
            mark_writing(tx, to).await?;
            mailboxes::copy(tx.reader().await?, from, to).await
        };
        self.write(None, work).await
    }
}

/// Opens the savepoint, and marks the job as writing.
async fn mark_writing(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    tx.execute(Statement::new("update mailboxes set seq = seq where id = $1").bind(mailbox)).await
}

pub(super) async fn read_all(session: &mut Session) -> Result<KeptState, Error> {
    let (mut tables, mut count, mut bytes) = (Vec::with_capacity(TABLES.len()), 0, 0);
    for table in TABLES {
        let (mut rows, mut kept) = (TableRows::new(table, None), Vec::new());
        while let Some(chunk) = rows.next(session).await? {
            count += chunk.len();
            if count > MAX_ROWS {
                return Err(Error::Quota(format!(
                    "The store has more than {MAX_ROWS} rows, too many to keep in memory."
                )));
            }
            bytes += chunk.iter().flatten().map(super::size_of).sum::<usize>();
            kept.extend(chunk);
        }
        tables.push(kept);
    }
    Ok(KeptState(State::Rows(tables, bytes)))
}

async fn replace_all(tx: &mut Tx, kept: Option<&KeptState>) -> Result<(), Error> {
    for table in TABLES.iter().rev() {
        tx.execute(table.delete().into()).await?;
    }
    let session = tx.reader().await?;
    if let Some(kept) = kept {
        for (table, rows) in TABLES.iter().zip(kept.rows()?) {
            insert_all(session, table, rows.clone()).await?;
        }
    }
    derived::recompute_words(session).await
}

async fn replace_one(tx: &mut Tx, user: &str, kept: Option<&KeptState>) -> Result<(), Error> {
    let current = Statement::new("select mailbox from users where lower(id) = lower($1)").bind(user);
    let current: Option<i64> = tx.reader().await?.row(current).await?.map(|row| row.get(0)).transpose()?;
    mark_writing(tx, current.unwrap_or_default()).await?;
    if let Some(mailbox) = current {
        clear(tx.reader().await?, mailbox, |_| true).await?;
    }
    let Some((kept, saved)) = kept.and_then(|kept| Some((kept, kept.mailbox(user)?))) else { return Ok(()) };
    let last = tx.reader().await?.count(Statement::new("select coalesce(max(id), 0) from mailboxes")).await?;
    let number = current.unwrap_or_else(|| tx.new_mailbox(last));
    let session = tx.reader().await?;
    for (table, rows) in TABLES.iter().zip(kept.rows()?).filter(|(table, _)| table.name != "shares") {
        let Some(column) = column_index(table, owner(table)) else { continue };
        let own = rows.iter().filter(|row| row.get(column) == Some(&SqlValue::Int(Some(saved))));
        let mut own: Vec<RowValues> = own.cloned().collect();
        for row in &mut own {
            row[column] = SqlValue::Int(Some(number));
        }
        insert_all(session, table, own).await?;
    }
    derived::compute_words_of(session, number).await
}

/// Inserts rows. References within a table are set last.
async fn insert_all(session: &mut Session, table: &Table, rows: Vec<RowValues>) -> Result<(), Error> {
    let mut first = rows.clone();
    table.clear_self_references(&mut first);
    insert(session, table, &first).await?;
    if table.self_reference.is_some() { insert(session, table, &rows).await } else { Ok(()) }
}
