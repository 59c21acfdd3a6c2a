//! Copies a database to another one, of either engine: every table, row by row, in the order of its keys. Each chunk is
//! committed, so that an interrupted copy continues after the last key in the target. The target is marked as unfinished
//! (`store.folding` is 0) until the rows of both sides are counted and hashed.

mod mailboxes;
pub(crate) mod state;
pub(crate) mod state_file;
mod tables;

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::fold::FOLDING;
use crate::domain::secret;
use crate::store::db::cluster::{Cluster, Use};
use crate::store::db::database::Database;
use crate::store::db::derived::{self, UNFINISHED};
use crate::store::db::engine::{self, Row, Session};
use crate::store::db::faults::{self, OpenError};
use crate::store::db::migrate::Schema;
use crate::store::db::opened::OpenedDatabase;
use crate::store::db::statement::{SqlValue, Statement};
use crate::store::db::{creation, files, migrate, pooler};
use crate::store::tables::schema::TABLES;
use crate::store::tables::table::{Column, ColumnType, Table};

/// Maximum number of rows that are read at once.
const MAX_ROWS: usize = 250;
/// Approximate size of a chunk. The number of rows of a chunk is computed from the size of the one before.
const CHUNK_BYTES: usize = 2 << 20;

/// The data that the target may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyTarget {
    /// Nothing.
    Empty,
    /// Nothing, or the beginning of this copy, which is continued.
    Resumed,
    /// Anything; it is deleted first.
    Overwritten,
}

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// Number of rows.
    pub rows: u64,
    /// SHA-256 of all values in the order of the keys, in hexadecimal; it is equal on both sides.
    pub hash: String,
}

/// Progress of a copy.
#[derive(Debug, Clone, Copy)]
pub enum CopyProgress {
    /// Number of rows to copy. Each is then read again on both sides.
    Total(u64),
    /// Number of rows that were copied or read since the last step.
    Rows(u64),
}

/// Copies all rows of `from` to `to`, including ids, keys, times and numbers. No other process may write to either: the source
/// is read as one snapshot, and later writes are not copied.
///
/// # Errors
/// One line: a side cannot be opened, the target holds something else than `target` allows, or the sides differ at the end.
pub async fn copy(
    from: &Database,
    to: &Database,
    target: CopyTarget,
    mut progress: impl FnMut(CopyProgress),
) -> Result<Vec<Copied>, OpenError> {
    let (mut source, _source_file) = open(from, false).await?;
    let (mut sink, _sink_file) = open(to, true).await?;
    let done = copy_all(&mut source, &mut sink, target, &mut progress).await;
    source.close().await;
    sink.close().await;
    let name = |side| match side {
        Side::Source => display_name(from),
        Side::Target => display_name(to),
    };
    done.map_err(|(side, reason)| OpenError::new(name(side), reason))
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

type CopyFailure = (Side, String);

fn on_side(side: Side) -> impl Fn(Error) -> CopyFailure {
    move |error| (side, faults::reason(&error))
}

fn display_name(database: &Database) -> String {
    match database {
        Database::File(path) => path.display().to_string(),
        Database::Temporary => ":memory:".to_owned(),
        Database::Postgres(address) => address.to_string(),
    }
}

/// A session on a database with this program's schema. A missing target is created. An older schema is not upgraded.
async fn open(database: &Database, writes: bool) -> Result<(Session, Option<Arc<OpenedDatabase>>), OpenError> {
    let place = display_name(database);
    let failed = |error: Error| OpenError::of(&place, &error);
    match database {
        Database::Temporary => {
            Err(OpenError::new(&place, "only the process that created it can open it, so it cannot be copied"))
        }
        Database::File(path) => {
            let refused = |why: String| OpenError::new(&place, why);
            let path = &files::resolve_links(path);
            if writes && !path.exists() {
                creation::make_sqlite(path).await?;
            } else if !path.is_file() {
                return Err(OpenError::new(&place, "there is no such file"));
            }
            let opened = OpenedDatabase::register(path).map_err(refused)?;
            migrate::sqlite_schema(&engine::plain_options(path))
                .await
                .and_then(Schema::check_current)
                .map_err(refused)?;
            let options = if writes {
                engine::sqlite_options(path)
            } else {
                engine::sqlite_options_as_is(path).pragma("query_only", "on")
            };
            Ok((Session::open(&options).await.map_err(failed)?, Some(opened)))
        }
        Database::Postgres(address) => {
            let cluster = Cluster::new(address);
            pooler::check(&cluster).await.map_err(|reason| OpenError::new(&place, reason))?;
            if writes {
                migrate::fill_postgres(&cluster).await.map_err(|reason| OpenError::new(&place, reason))?;
            }
            migrate::postgres_schema(&cluster)
                .await
                .and_then(Schema::check_current)
                .map_err(|reason| OpenError::new(&place, reason))?;
            Ok((cluster.primary(Use::Operate).await.map_err(failed)?, None))
        }
    }
}

async fn copy_all(
    source: &mut Session,
    sink: &mut Session,
    target: CopyTarget,
    progress: &mut impl FnMut(CopyProgress),
) -> Result<Vec<Copied>, CopyFailure> {
    // One snapshot for all tables.
    let begin = Statement::per_engine("begin", "begin isolation level repeatable read read only");
    source.execute(begin).await.map_err(on_side(Side::Source))?;
    let store = StoreRow::read(source).await.map_err(on_side(Side::Source))?;
    let store =
        store.ok_or_else(|| (Side::Source, "no contactd has served it yet, so there is nothing to copy".to_owned()))?;
    match store.folding {
        FOLDING => {}
        UNFINISHED => return Err((Side::Source, "it is itself an unfinished copy".to_owned())),
        other => {
            return Err((Side::Source, format!("its search keys are of another contactd ({other}, not {FOLDING})")));
        }
    }
    prepare(sink, &store, target).await?;
    let mut total = 0;
    for table in TABLES {
        total += count(source, table).await.map_err(on_side(Side::Source))?;
    }
    progress(CopyProgress::Total(total));
    for table in TABLES {
        copy_table(source, sink, table, progress).await?;
    }
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let sides = futures_util::join!(hash(source, table), hash(sink, table));
        let (in_source, in_target) = (sides.0.map_err(on_side(Side::Source))?, sides.1.map_err(on_side(Side::Target))?);
        if in_source != in_target {
            let (table, in_source, in_target) = (table.name, in_source.0, in_target.0);
            let why = format!(
                "{table} differs from the source ({in_source} rows there, {in_target} here): copy again with --overwrite"
            );
            return Err((Side::Target, why));
        }
        progress(CopyProgress::Rows(in_source.0));
        copied.push(Copied { table: table.name, rows: in_source.0, hash: in_source.1 });
    }
    if store.finish(sink).await.map_err(on_side(Side::Target))? {
        Ok(copied)
    } else {
        Err((Side::Target, "its row of table store differs from the source's: copy again with --overwrite".to_owned()))
    }
}

/// Checks or empties the target, and marks it as unfinished.
async fn prepare(sink: &mut Session, store: &StoreRow, target: CopyTarget) -> Result<(), CopyFailure> {
    let known = StoreRow::read(sink).await.map_err(on_side(Side::Target))?;
    let is_begun = known.is_some_and(|known| known.folding == UNFINISHED && known.epoch == store.epoch);
    let mut rows = 0;
    for table in TABLES {
        rows += count(sink, table).await.map_err(on_side(Side::Target))?;
    }
    match target {
        CopyTarget::Overwritten => {
            let empty = async {
                sink.begin(None).await?;
                for table in TABLES.iter().rev() {
                    sink.execute(table.delete().into()).await?;
                }
                store.begin(sink).await?;
                sink.execute(Statement::new("commit")).await
            };
            return empty.await.map_err(on_side(Side::Target));
        }
        _ if rows == 0 => {}
        CopyTarget::Resumed if is_begun => {}
        CopyTarget::Resumed => {
            return Err((Side::Target, "it is not the beginning of a copy of this source".to_owned()));
        }
        CopyTarget::Empty if is_begun => {
            let why = "it has an unfinished copy of this source: --resume continues it, --overwrite starts again";
            return Err((Side::Target, why.to_owned()));
        }
        CopyTarget::Empty => {
            return Err((Side::Target, "it is not empty: --overwrite deletes its contents".to_owned()));
        }
    }
    store.begin(sink).await.map_err(on_side(Side::Target))
}

/// The row of table `store`.
struct StoreRow {
    epoch: Uuid,
    folding: i64,
    created: i64,
    /// Delta links stay valid in the copy, because it is copied.
    token_key: Option<String>,
}

impl StoreRow {
    async fn read(session: &mut Session) -> Result<Option<Self>, Error> {
        let text = "select epoch, folding, created_date_time, token_key from store where id = 1";
        let Some(row) = session.row(Statement::new(text)).await? else { return Ok(None) };
        Ok(Some(Self { epoch: row.get(0)?, folding: row.get(1)?, created: row.get(2)?, token_key: row.get(3)? }))
    }

    /// Writes it and marks the database as unfinished.
    async fn begin(&self, sink: &mut Session) -> Result<(), Error> {
        let text = "
insert into store (id, epoch, folding, created_date_time, token_key) values (1, $1, $2, $3, $4)
on conflict (id) do update
set epoch = excluded.epoch, folding = excluded.folding, created_date_time = excluded.created_date_time,
    token_key = excluded.token_key";
        let statement = Statement::new(text).bind(self.epoch).bind(UNFINISHED).bind(self.created);
        sink.execute(statement.bind(self.token_key.clone())).await
    }

    /// Computes derived data and marks the database as finished. Returns false if the row differs.
    async fn finish(&self, sink: &mut Session) -> Result<bool, Error> {
        sink.begin(None).await?;
        derived::recompute_words(sink).await?;
        let text = "update store set folding = $1 where epoch = $2 and created_date_time = $3 returning id";
        let statement = Statement::new(text).bind(self.folding).bind(self.epoch).bind(self.created);
        let is_same_store = sink.row(statement).await?.is_some();
        sink.execute(Statement::new("commit")).await?;
        Ok(is_same_store)
    }
}

async fn count(session: &mut Session, table: &Table) -> Result<u64, Error> {
    let count = session.count(table.count()).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Copies the rows after the last one in the target.
async fn copy_table(
    source: &mut Session,
    sink: &mut Session,
    table: &'static Table,
    progress: &mut impl FnMut(CopyProgress),
) -> Result<(), CopyFailure> {
    let last = sink.row(table.last_key().into()).await.map_err(on_side(Side::Target))?;
    let key = last.map(|row| table.read(&row, table.keys.len())).transpose().map_err(on_side(Side::Target))?;
    if key.is_some() {
        progress(CopyProgress::Rows(count(sink, table).await.map_err(on_side(Side::Target))?));
    }
    let mut rows = TableRows::new(table, key);
    while let Some(mut chunk) = rows.next(source).await.map_err(on_side(Side::Source))? {
        table.clear_self_references(&mut chunk);
        insert(sink, table, &chunk).await.map_err(on_side(Side::Target))?;
        progress(CopyProgress::Rows(chunk.len() as u64));
    }
    if table.self_reference.is_some() {
        let mut rows = TableRows::new(table, None);
        while let Some(chunk) = rows.next(source).await.map_err(on_side(Side::Source))? {
            insert(sink, table, &chunk).await.map_err(on_side(Side::Target))?;
        }
    }
    Ok(())
}

/// Inserts rows in several transactions, each with a JSON parameter of limited size.
async fn insert(sink: &mut Session, table: &Table, mut rows: &[Vec<SqlValue<'static>>]) -> Result<(), Error> {
    while !rows.is_empty() {
        let mut bytes = 0;
        let fitting = rows.iter().take_while(|row| {
            let fits = bytes < 2 * CHUNK_BYTES;
            bytes += row.iter().map(size_of).sum::<usize>();
            fits
        });
        let (batch, rest) = rows.split_at(fitting.count());
        let batch: Vec<_> = batch.iter().map(|row| JsonRow(table, row)).collect();
        let json = serde_json::to_string(&batch).map_err(Error::internal)?;
        sink.execute(table.insert(json).into()).await?;
        rows = rest;
    }
    Ok(())
}

/// Approximate size of a value in bytes.
fn size_of(value: &SqlValue<'_>) -> usize {
    match value {
        SqlValue::Text(Some(text)) => text.len(),
        // It is sent in hexadecimal.
        SqlValue::Bytes(Some(bytes)) => 2 * bytes.len(),
        _ => 8,
    }
}

/// The number of rows of a table, and their hash.
async fn hash(session: &mut Session, table: &'static Table) -> Result<(u64, String), Error> {
    let mut hash = Sha256::new();
    let mut count = 0;
    let mut rows = TableRows::new(table, None);
    while let Some(chunk) = rows.next(session).await? {
        for value in chunk.iter().flatten() {
            match value {
                SqlValue::Int(Some(number)) => hash.update(number.to_be_bytes()),
                SqlValue::Bool(Some(truth)) => hash.update([u8::from(*truth)]),
                SqlValue::Uuid(Some(id)) => hash.update(id.as_bytes()),
                SqlValue::Text(Some(text)) => {
                    hash.update(text.len().to_be_bytes());
                    hash.update(text.as_bytes());
                }
                SqlValue::Bytes(Some(bytes)) => {
                    hash.update(bytes.len().to_be_bytes());
                    hash.update(bytes);
                }
                SqlValue::Int(None)
                | SqlValue::Bool(None)
                | SqlValue::Uuid(None)
                | SqlValue::Text(None)
                | SqlValue::Bytes(None) => {
                    hash.update("null");
                }
            }
            hash.update([0xff]);
        }
        count += chunk.len() as u64;
    }
    Ok((count, secret::hex(&hash.finalize())))
}

/// Reads a table in the order of its keys.
struct TableRows {
    table: &'static Table,
    /// The key of the last row.
    after: Vec<SqlValue<'static>>,
    /// Number of rows to read next.
    size: usize,
}

impl TableRows {
    fn new(table: &'static Table, after: Option<Vec<SqlValue<'static>>>) -> Self {
        // Before every key: no text is empty and no id is nil.
        let before_all = table.keys.iter().map(|column| match column.kind {
            ColumnType::Int => SqlValue::Int(Some(i64::MIN)),
            ColumnType::Bool => SqlValue::Bool(Some(false)),
            ColumnType::Text => SqlValue::Text(Some("".into())),
            ColumnType::Id => SqlValue::Uuid(Some(Uuid::nil())),
            ColumnType::Bytes => SqlValue::Bytes(Some(Cow::Borrowed(&[]))),
        });
        Self { table, after: after.unwrap_or_else(|| before_all.collect()), size: 16 }
    }

    /// The next rows; `None` when there are no more.
    async fn next(&mut self, session: &mut Session) -> Result<Option<Vec<Vec<SqlValue<'static>>>>, Error> {
        let limit = i64::try_from(self.size).unwrap_or(i64::MAX);
        let rows = session.rows(self.table.select(&self.after, limit).into()).await?;
        let rows: Vec<_> = rows.iter().map(|row| self.table.read(row, usize::MAX)).collect::<Result<_, _>>()?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = last.iter().take(self.table.keys.len()).cloned().collect();
        let bytes: usize = rows.iter().flatten().map(size_of).sum();
        self.size = (CHUNK_BYTES / (bytes / rows.len()).max(1)).clamp(1, MAX_ROWS).min(self.size * 8);
        Ok(Some(rows))
    }
}

impl Table {
    /// The first values of a row.
    fn read(&self, row: &Row, count: usize) -> Result<Vec<SqlValue<'static>>, Error> {
        let columns = self.columns().take(count).enumerate();
        columns
            .map(|(i, Column { kind, .. })| {
                Ok(match kind {
                    ColumnType::Int => SqlValue::Int(row.get(i)?),
                    ColumnType::Bool => SqlValue::Bool(row.get(i)?),
                    ColumnType::Text => row.get::<Option<String>>(i)?.into(),
                    ColumnType::Id => SqlValue::Uuid(row.get(i)?),
                    ColumnType::Bytes => row.get::<Option<Vec<u8>>>(i)?.into(),
                })
            })
            .collect()
    }

    fn clear_self_references(&self, rows: &mut [Vec<SqlValue<'static>>]) {
        let Some(index) = self.columns().position(|column| Some(column.name) == self.self_reference) else { return };
        for row in rows {
            if let Some(value) = row.get_mut(index) {
                *value = SqlValue::Text(None);
            }
        }
    }
}

/// A row as a JSON object, as the inserts take it.
struct JsonRow<'r>(&'r Table, &'r [SqlValue<'static>]);

impl serde::Serialize for JsonRow<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut object = serializer.serialize_map(None)?;
        for (Column { name, .. }, value) in self.0.columns().zip(self.1) {
            match value {
                SqlValue::Int(value) => object.serialize_entry(name, value)?,
                SqlValue::Bool(value) => object.serialize_entry(name, value)?,
                SqlValue::Text(value) => object.serialize_entry(name, value)?,
                SqlValue::Uuid(value) => object.serialize_entry(name, &value.map(|id| id.simple().to_string()))?,
                SqlValue::Bytes(value) => object.serialize_entry(name, &value.as_deref().map(secret::hex))?,
            }
        }
        object.end()
    }
}
