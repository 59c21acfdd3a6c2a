//! Saved states of a SQLite store: copies of its file. A state is restored through a second connection while the writer waits.
//! Open files are never exchanged, so readers see the restored rows with their next transaction, as after any commit. Tables
//! are emptied and filled as a whole, with the full-text index, so nothing is computed again.

use std::path::PathBuf;
use std::sync::Arc;

use super::mailboxes::{clear, copy, copy_rows};
use super::state::{self, KeptState, State};
use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::engine::{Session, plain_options};
use crate::store::db::files::create_private;
use crate::store::db::scratch::Scratch;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::schema::TABLES;
use crate::store::write::tx::Tx;

/// Maximum size of a saved store in bytes.
const MAX_BYTES: i64 = 1 << 30;
/// The tables of the full-text index, which are not in [`TABLES`].
const INDEX: [&str; 4] = ["searched", "words_data", "words_idx", "words_docsize"];
/// The prefix of the tables of an attached file.
const ATTACHED: &str = "kept.";
/// How often a job waits to be alone in its batch, and for how long each time.
const TURNS: usize = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// A copy of a file, in a temporary folder that is removed with it.
pub(crate) struct KeptFile {
    path: PathBuf,
    users: Vec<(String, i64)>,
    contacts: usize,
    bytes: usize,
    _folder: Scratch,
}

impl KeptFile {
    pub(super) fn users(&self) -> impl Iterator<Item = (&str, i64)> {
        self.users.iter().map(|(id, mailbox)| (id.as_str(), *mailbox))
    }

    /// The same state as rows.
    pub(super) async fn rows(&self) -> Result<KeptState, Error> {
        let mut session = Session::open(&plain_options(&self.path)).await?;
        let rows = state::read_all(&mut session).await;
        session.close().await;
        rows
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.contacts, self.bytes)
    }
}

/// The data to restore from the file.
#[derive(Clone)]
pub(super) enum FileChange {
    /// All rows are replaced by those of a state, or by none.
    All(Option<Arc<KeptState>>),
    /// The rows of some users are replaced.
    Some(Vec<String>, Option<Arc<KeptState>>),
    /// A mailbox is copied to another.
    Copy(i64, i64),
}

impl Store {
    /// See [`Store::save_state`].
    pub(super) async fn save_file(&self) -> Result<KeptState, Error> {
        for _ in 0..TURNS {
            let work = async move |tx: &mut Tx| {
                let Some(mut session) = tx.bulk_session().await? else { return Ok(None) };
                let kept = saved(&mut session).await;
                session.close().await;
                kept.map(Some)
            };
            if let Some(kept) = self.write(None, work).await? {
                return Ok(KeptState(State::File(Box::new(kept))));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }

    /// Does this in one transaction. Returns the numbers of contacts and folders that were copied.
    pub(super) async fn in_file(&self, work: FileChange) -> Result<(usize, usize), Error> {
        for _ in 0..TURNS {
            let work = work.clone();
            let work = async move |tx: &mut Tx| {
                let Some(mut session) = tx.bulk_session().await? else { return Ok(None) };
                let done = committed(&mut session, work).await;
                session.close().await;
                done.map(Some)
            };
            if let Some(done) = self.write(None, work).await? {
                return Ok(done);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }
}

async fn saved(session: &mut Session) -> Result<KeptFile, Error> {
    let size = "select page_count * page_size from pragma_page_count, pragma_page_size";
    if session.count(Statement::new(size)).await? > MAX_BYTES {
        let max = MAX_BYTES >> 20;
        return Err(Error::Quota(format!("The store has more than {max} MiB, too many to keep.")));
    }
    let folder = Scratch::new_in(&std::env::temp_dir(), "contactd-kept-").map_err(Error::unavailable)?;
    let path = folder.file("contacts.db");
    create_private(&path).map_err(Error::unavailable)?;
    // The copy lives as long as the process.
    session.execute(Statement::new("pragma synchronous = off")).await?;
    let name = path.to_str().ok_or_else(|| Error::unavailable("the name of the temporary folder is not UTF-8"))?;
    session.execute(Statement::new("vacuum into $1").bind(name.to_owned())).await?;
    let rows = session.rows(Statement::new("select id, mailbox from users order by id")).await?;
    let users = rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, Error>>()?;
    let contacts = session.count(Statement::new("select count(*) from contacts")).await?;
    let bytes = std::fs::metadata(&path).map_err(Error::unavailable)?.len();
    let (contacts, bytes) = (usize::try_from(contacts), usize::try_from(bytes));
    let (contacts, bytes) = (contacts.map_err(Error::internal)?, bytes.map_err(Error::internal)?);
    Ok(KeptFile { path, users, contacts, bytes, _folder: folder })
}

/// Commits, or leaves all as it was: the connection is closed in the middle of its transaction then.
async fn committed(session: &mut Session, work: FileChange) -> Result<(usize, usize), Error> {
    session.begin(None).await?;
    let mut done = (0, 0);
    match work {
        FileChange::All(kept) => {
            let kept = attached(session, kept.as_deref()).await?;
            replace_all(session, kept.is_some()).await?;
        }
        FileChange::Some(users, kept) => {
            let kept = attached(session, kept.as_deref()).await?;
            for user in &users {
                replace_one(session, user, kept).await?;
            }
        }
        FileChange::Copy(from, to) => done = copy(session, from, to).await?,
    }
    session.execute(Statement::new("commit")).await?;
    Ok(done)
}

/// Attaches a state's file.
async fn attached<'k>(session: &mut Session, kept: Option<&'k KeptState>) -> Result<Option<&'k KeptFile>, Error> {
    let Some(kept) = kept else { return Ok(None) };
    let State::File(file) = &kept.0 else { return Err(Error::internal("a state of another engine")) };
    let name = file.path.to_str().map(str::to_owned);
    session.execute(Statement::new("attach database $1 as kept").bind(name)).await?;
    Ok(Some(file))
}

/// Without conditions, SQLite empties a table and copies one into an empty one page by page.
async fn replace_all(session: &mut Session, is_kept: bool) -> Result<(), Error> {
    let tables = || TABLES.iter().map(|table| table.name);
    for table in tables() {
        session.execute(Sql::new("delete from main.").text(table).into()).await?;
    }
    if !is_kept {
        session.execute(Statement::new("delete from main.searched")).await?;
        return session.execute(Statement::new("insert into words (words) values ('delete-all')")).await;
    }
    for table in INDEX {
        session.execute(Sql::new("delete from main.").text(table).into()).await?;
    }
    for table in tables().chain(INDEX) {
        let insert = Sql::new("insert into main.").text(table).text(" select * from ").text(ATTACHED).text(table);
        session.execute(insert.into()).await?;
    }
    Ok(())
}

async fn replace_one(session: &mut Session, user: &str, kept: Option<&KeptFile>) -> Result<(), Error> {
    let current = Statement::new("select mailbox from users where lower(id) = lower($1)").bind(user);
    let current: Option<i64> = session.row(current).await?.map(|row| row.get(0)).transpose()?;
    if let Some(mailbox) = current {
        clear(session, mailbox, |_| true).await?;
    }
    let saved = kept.and_then(|kept| kept.users().find(|(id, _)| id.eq_ignore_ascii_case(user)));
    let Some((_, saved)) = saved else { return Ok(()) };
    let next = session.count(Statement::new("select coalesce(max(id), 0) + 1 from mailboxes")).await?;
    copy_rows(session, ATTACHED, (saved, current.unwrap_or(next)), |_| true).await
}
