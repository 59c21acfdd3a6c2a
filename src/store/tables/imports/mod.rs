//! Imports of files: what contacts were imported as, and what each import created and changed. `batch` commits a part
//! of a file, `additions` sets extensions and extended properties, `groups` keeps the cards of its groups, `undo` undoes an
//! import.

mod additions;
mod batch;
pub(in crate::store) mod existing;
mod former_values;
mod groups;
mod undo;

use uuid::Uuid;

use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::error::Error;
use crate::domain::import::{
    Effect, EffectCounts, ImportProgress, ImportSource, Imported, Incoming, IncomingGroup, Run, Undone,
};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::folders;
use crate::store::write::tx::Tx;

/// Number of imports of a mailbox that can be undone. The records of older ones are removed.
const KEPT: i64 = 20;
/// Maximum number of rows that a transaction removes.
const PIECE: i64 = 5_000;

macro_rules! select {
    () => {
        "select id, mailbox, source, size, head, format, folder_id, started_date_time, finished_date_time, undone_date_time,
    records, bytes, created, updated, unchanged, refused
from imports "
    };
}

impl Store {
    /// Begins an import. New contacts are created in `folder`, which must exist.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub async fn begin_import(&self, mailbox: i64, source: ImportSource, folder: Option<&str>) -> Result<Run, Error> {
        while self.write(Some(mailbox), async move |tx| forget_some(tx, mailbox, KEPT - 1).await).await? {}
        let folder = folder.unwrap_or(DEFAULT_FOLDER).to_owned();
        self.write(Some(mailbox), async move |tx| begin(tx, mailbox, source, &folder).await).await
    }

    /// The last interrupted import of a file, if there is one. `size` and `head` are as in [`ImportSource`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn broken_off_import(&self, mailbox: i64, size: Option<u64>, head: &str) -> Result<Option<Run>, Error> {
        let size = size.map(number).transpose()?;
        let text = concat!(
            select!(),
            "where mailbox = $1 and head = $2 and coalesce(size, -1) = coalesce($3, -1)
    and finished_date_time is null and undone_date_time is null
order by started_date_time desc, id desc limit 1"
        );
        let find = async |session: &mut Session| {
            let statement = Statement::new(text).bind(mailbox).bind(head.to_owned()).bind(size);
            session.row(statement).await?.as_ref().map(read).transpose()
        };
        self.read(find).await
    }

    /// Imports contacts, at most [`crate::domain::import::MAX_BATCH`] of them: all in one transaction, with the
    /// progress of the import. A contact that is the same as at its last import is not written.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the import or its folder is gone, [`Error::Quota`] if there is no room.
    pub async fn import(
        &self,
        mailbox: i64,
        run: Uuid,
        batch: Vec<Incoming>,
        progress: ImportProgress,
    ) -> Result<Vec<Imported>, Error> {
        self.write(Some(mailbox), async move |tx| batch::import(tx, mailbox, run, batch, progress).await).await
    }

    /// The outcome that [`Store::import`] would have for contacts, no two of which are the same.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn would_import(&self, mailbox: i64, batch: &[Incoming]) -> Result<Vec<Imported>, Error> {
        let look = async |session: &mut Session| {
            session.begin_snapshot().await?;
            batch::preview(session, mailbox, batch).await
        };
        self.read_expensive(Some(mailbox), look).await
    }

    /// Adds a category to the contacts with these keys, at most [`crate::domain::import::MAX_BATCH`] of them, as part
    /// of an import. Returns the number of those contacts, and how many did not have the category.
    ///
    /// # Errors
    /// As [`Store::import`].
    pub async fn import_category(
        &self,
        mailbox: i64,
        run: Uuid,
        name: String,
        members: Vec<String>,
    ) -> Result<(u64, u64), Error> {
        let work = async move |tx: &mut Tx| batch::add_category(tx, mailbox, run, &name, &members).await;
        self.write(Some(mailbox), work).await
    }

    /// Keeps the card of a group as part of an import. One that is the same is not written.
    ///
    /// # Errors
    /// As [`Store::import`].
    pub async fn import_group(&self, mailbox: i64, run: Uuid, group: IncomingGroup) -> Result<Effect, Error> {
        self.write(Some(mailbox), async move |tx| groups::import_group(tx, mailbox, run, group).await).await
    }

    /// The imports of one mailbox or of all mailboxes, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn imports(&self, mailbox: Option<i64>) -> Result<Vec<Run>, Error> {
        let text = concat!(
            select!(),
            "where mailbox = coalesce($1, mailbox) order by started_date_time desc, id desc limit 1000"
        );
        let list = async |session: &mut Session| {
            let rows = session.rows(Statement::new(text).bind(mailbox)).await?;
            rows.iter().map(read).collect()
        };
        self.read(list).await
    }

    /// The import with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn import_run(&self, id: Uuid) -> Result<Run, Error> {
        let text = concat!(select!(), "where id = $1");
        let find = async |session: &mut Session| session.row(Statement::new(text).bind(id)).await;
        self.read(find).await?.as_ref().map(read).ok_or(Error::NotFound)?
    }

    /// Undoes a piece of an import in one transaction, beginning after the contact `after`. Returns what was done with
    /// each contact; empty when the import is undone.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the import, [`Error::Quota`] if a contact grows and there is no room.
    pub async fn undo_import(&self, mailbox: i64, run: Uuid, after: Uuid) -> Result<Vec<(Uuid, Undone)>, Error> {
        self.write(Some(mailbox), async move |tx| undo::undo_batch(tx, mailbox, run, after).await).await
    }

    /// Removes the records of all imports of a mailbox whose user is removed.
    pub(in crate::store) async fn forget_imports(&self, mailbox: i64) -> Result<(), Error> {
        while self.write(Some(mailbox), async move |tx| forget_some(tx, mailbox, 0).await).await? {}
        Ok(())
    }
}

fn number(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(Error::internal)
}

fn counted(row: &Row, column: usize) -> Result<u64, Error> {
    u64::try_from(row.get::<i64>(column)?).map_err(Error::internal)
}

fn read(row: &Row) -> Result<Run, Error> {
    let size: Option<i64> = row.get(3)?;
    Ok(Run {
        id: row.get(0)?,
        mailbox: row.get(1)?,
        source: ImportSource {
            name: row.get(2)?,
            size: size.map(u64::try_from).transpose().map_err(Error::internal)?,
            head: row.get(4)?,
            format: row.get(5)?,
        },
        folder: row.get(6)?,
        started: row.get(7)?,
        finished: row.get(8)?,
        undone: row.get(9)?,
        records: counted(row, 10)?,
        bytes: counted(row, 11)?,
        counts: EffectCounts {
            created: counted(row, 12)?,
            updated: counted(row, 13)?,
            unchanged: counted(row, 14)?,
            refused: counted(row, 15)?,
        },
    })
}

async fn begin(tx: &mut Tx, mailbox: i64, source: ImportSource, folder: &str) -> Result<Run, Error> {
    let folder = folders::resolve_id(tx.reader().await?, mailbox, folder).await?.ok_or(Error::NotFound)?;
    let (id, now) = (Tx::new_id(mailbox), tx.now());
    tx.set_created(id.to_string());
    let text = "
insert into imports (mailbox, id, source, size, head, format, folder_id, started_date_time, records, bytes, created, updated,
    unchanged, refused)
values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, 0)";
    let size = source.size.map(number).transpose()?;
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(source.name.clone()).bind(size);
    let statement = statement.bind(source.head.clone()).bind(source.format.clone()).bind(folder.clone()).bind(now);
    tx.execute(statement).await?;
    let (finished, undone, counts) = (None, None, EffectCounts::default());
    Ok(Run { id, mailbox, source, folder, started: now, finished, undone, records: 0, bytes: 0, counts })
}

/// The folder of an import's new contacts.
async fn folder_of(tx: &mut Tx, mailbox: i64, run: Uuid) -> Result<String, Error> {
    let text = "
select i.folder_id from imports i join folders f on f.mailbox = i.mailbox and f.id = i.folder_id
where i.mailbox = $1 and i.id = $2 and f.deleted_date_time is null";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(run)).await?;
    row.ok_or(Error::NotFound)?.get(0)
}

/// Records how far an import has come.
async fn advance(
    tx: &mut Tx,
    mailbox: i64,
    run: Uuid,
    progress: ImportProgress,
    done: &[Imported],
) -> Result<(), Error> {
    let mut counts = EffectCounts::default();
    for imported in done {
        counts.add(imported.effect);
    }
    let text = "
update imports set records = $3, bytes = $4, created = created + $5, updated = updated + $6, unchanged = unchanged + $7,
    refused = refused + $8, finished_date_time = $9
where mailbox = $1 and id = $2";
    let finished = progress.is_finished.then(|| tx.now());
    let statement = Statement::new(text).bind(mailbox).bind(run).bind(number(progress.records)?);
    let statement = statement.bind(number(progress.bytes)?).bind(number(counts.created)?);
    let statement = statement.bind(number(counts.updated)?).bind(number(counts.unchanged)?);
    tx.execute(statement.bind(number(progress.refused + counts.refused)?).bind(finished)).await
}

/// Removes some records of the imports before the last `kept`, and an import without records. Returns whether there may
/// be more.
async fn forget_some(tx: &mut Tx, mailbox: i64, kept: i64) -> Result<bool, Error> {
    let oldest = "
select id from imports where mailbox = $1 order by started_date_time desc, id desc limit 1 offset $2";
    let row = tx.reader().await?.row(Statement::new(oldest).bind(mailbox).bind(kept)).await?;
    let Some(row) = row else { return Ok(false) };
    let id: Uuid = row.get(0)?;
    let text = "
delete from import_contacts
where mailbox = $1 and import_id = $2 and contact_id in (
    select contact_id from import_contacts where mailbox = $1 and import_id = $2 limit $3)";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(PIECE)).await?;
    let text = "
delete from imports
where mailbox = $1 and id = $2 and not exists (select 1 from import_contacts where mailbox = $1 and import_id = $2)";
    tx.execute(Statement::new(text).bind(mailbox).bind(id)).await?;
    Ok(true)
}
