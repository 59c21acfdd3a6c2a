//! Photos of contacts: one row for each, with the bytes in chunks, so that a reader holds one chunk in memory.

use futures_util::StreamExt as _;
use futures_util::stream::{self, LocalBoxStream};
use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::photo::{Photo, PhotoFormat, Picture};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::{changes, folders, quota};
use crate::store::write::tx::Tx;

/// The size of a chunk in bytes; the last chunk of a photo may be smaller.
const CHUNK: usize = 256 << 10;

/// The bytes of a photo, a chunk at a time.
pub type Chunks = LocalBoxStream<'static, Result<Vec<u8>, Error>>;

impl Store {
    /// The photo of the contact with this id, in the folder at the end of a path of ids or, without one, in any folder.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it has none, or the contact is deleted or in another folder.
    pub async fn photo(&self, mailbox: i64, path: &[String], id: Uuid) -> Result<Photo, Error> {
        let read = async |session: &mut Session| find(session, mailbox, path, id).await;
        self.read(read).await?.ok_or(Error::NotFound)
    }

    /// The same with its bytes, which are read on demand. They end in an error if the photo is replaced during the
    /// read.
    ///
    /// # Errors
    /// As [`Store::photo`].
    pub async fn photo_bytes(&self, mailbox: i64, path: &[String], id: Uuid) -> Result<(Photo, Chunks), Error> {
        let read = async |session: &mut Session| find_with_bytes(session, mailbox, path, id).await;
        let (photo, first) = self.read(read).await?;
        let (store, size, version) = (self.clone(), photo.size, photo.version);
        let rest = stream::try_unfold((first.len() as u64, 1), move |(read, pos)| {
            let store = store.clone();
            async move {
                if read >= size {
                    return Ok(None);
                }
                let chunk = async |session: &mut Session| chunk(session, mailbox, id, version, pos).await;
                let bytes = store.read(chunk).await?;
                let read = read + bytes.len() as u64;
                Ok(Some((bytes, (read, pos + 1))))
            }
        });
        Ok((photo, stream::once(async { Ok(first) }).chain(rest).boxed_local()))
    }

    /// Sets or replaces the photo of a contact. The contact does not change: its version stays, and the change log has
    /// an entry for cards only. `picture` describes the bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact, [`Error::Stale`] when a precondition fails.
    pub async fn put_photo(
        &self,
        mailbox: i64,
        path: &[String],
        id: Uuid,
        picture: Picture,
        bytes: Vec<u8>,
        expected: Preconditions,
    ) -> Result<Photo, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| put(tx, mailbox, &path, id, picture, &bytes, &expected).await;
        self.write(Some(mailbox), work).await
    }

    /// Removes the photo of a contact. Returns the number of the write; `None` if there was no photo.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the contact, [`Error::Stale`] when a precondition fails.
    pub async fn delete_photo(
        &self,
        mailbox: i64,
        path: &[String],
        id: Uuid,
        expected: Preconditions,
    ) -> Result<Option<i64>, Error> {
        let path = path.to_vec();
        let work = async move |tx: &mut Tx| delete(tx, mailbox, &path, id, &expected).await;
        self.write(Some(mailbox), work).await
    }
}

/// Selects the contact's folder, its photo, and further columns.
macro_rules! select_photo {
    ($more:literal, $join:literal) => {
        concat!(
            "
select c.parent_folder_id, p.content_type, p.width, p.height, p.size, p.version, p.last_modified_date_time",
            $more,
            "
from contacts c
    left join photos p on p.mailbox = c.mailbox and p.contact_id = c.id and p.deleted_date_time is null ",
            $join,
            "
where c.mailbox = $1 and c.id = $2 and c.deleted_date_time is null
    and c.parent_folder_id not in (select id from folders where mailbox = $1 and emptying is not null)"
        )
    };
}

/// The photo of a contact, if it has one.
///
/// # Errors
/// [`Error::NotFound`] if the contact does not exist or is not in the folder at the end of the path.
async fn find(session: &mut Session, mailbox: i64, path: &[String], id: Uuid) -> Result<Option<Photo>, Error> {
    if !path.is_empty() {
        session.begin_snapshot().await?;
    }
    let text = select_photo!("", "");
    let row = session.row(Statement::new(text).bind(mailbox).bind(id)).await?.ok_or(Error::NotFound)?;
    check_folder(session, mailbox, path, &row).await?;
    read(&row)
}

/// The photo of a contact and its first chunk, from one snapshot.
async fn find_with_bytes(
    session: &mut Session,
    mailbox: i64,
    path: &[String],
    id: Uuid,
) -> Result<(Photo, Vec<u8>), Error> {
    if !path.is_empty() {
        session.begin_snapshot().await?;
    }
    let text = select_photo!(
        ", b.bytes",
        "left join photo_chunks b on b.mailbox = p.mailbox and b.contact_id = p.contact_id and b.pos = 0"
    );
    let row = session.row(Statement::new(text).bind(mailbox).bind(id)).await?.ok_or(Error::NotFound)?;
    check_folder(session, mailbox, path, &row).await?;
    Ok((read(&row)?.ok_or(Error::NotFound)?, row.get(7)?))
}

async fn check_folder(session: &mut Session, mailbox: i64, path: &[String], row: &Row) -> Result<(), Error> {
    let folder: String = row.get(0)?;
    if path.is_empty() || folders::get(session, mailbox, path).await?.id == folder {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}

fn read(row: &Row) -> Result<Option<Photo>, Error> {
    let Some(content_type) = row.get::<Option<String>>(1)? else { return Ok(None) };
    let side = |column| u32::try_from(row.get::<i64>(column)?).map_err(Error::internal);
    let format = PhotoFormat::of(&content_type).ok_or_else(|| Error::internal("a photo of an unknown type"))?;
    Ok(Some(Photo {
        picture: Picture { format, width: side(2)?, height: side(3)? },
        size: u64::try_from(row.get::<i64>(4)?).map_err(Error::internal)?,
        version: row.get(5)?,
        last_modified_date_time: row.get(6)?,
    }))
}

/// A chunk of the photo with this version.
async fn chunk(session: &mut Session, mailbox: i64, id: Uuid, version: i64, pos: i64) -> Result<Vec<u8>, Error> {
    let text = "
select b.bytes from photo_chunks b join photos p on p.mailbox = b.mailbox and p.contact_id = b.contact_id
where b.mailbox = $1 and b.contact_id = $2 and b.pos = $3 and p.version = $4";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(pos).bind(version);
    let row = session.row(statement).await?;
    row.ok_or_else(|| Error::unavailable("the photo was replaced while it was read"))?.get(0)
}

pub(in crate::store) async fn put(
    tx: &mut Tx,
    mailbox: i64,
    path: &[String],
    id: Uuid,
    picture: Picture,
    bytes: &[u8],
    expected: &Preconditions,
) -> Result<Photo, Error> {
    let before = if let Some(stored) = find(tx.reader().await?, mailbox, path, id).await? {
        expected.check(&stored.version_token())?;
        byte_count(stored.size)?
    } else {
        expected.check_absent()?;
        0
    };
    quota::grow(tx, mailbox, quota::bytes([bytes.len()]) - before).await?;
    let version = changes::record_photo(tx, mailbox, id).await?;
    let photo = Photo { picture, size: bytes.len() as u64, version, last_modified_date_time: tx.now() };
    let text = "
insert into photos (mailbox, contact_id, content_type, width, height, size, version, last_modified_date_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (mailbox, contact_id) do update
set content_type = excluded.content_type, width = excluded.width, height = excluded.height, size = excluded.size,
    version = excluded.version, last_modified_date_time = excluded.last_modified_date_time, deleted_date_time = null";
    let statement = Statement::new(text).bind(mailbox).bind(id).bind(picture.format.content_type());
    let statement = statement.bind(i64::from(picture.width)).bind(i64::from(picture.height));
    let size = i64::try_from(bytes.len()).map_err(Error::internal)?;
    tx.execute(statement.bind(size).bind(version).bind(photo.last_modified_date_time)).await?;
    remove_bytes(tx, mailbox, id).await?;
    let text = "insert into photo_chunks (mailbox, contact_id, pos, bytes) values ($1, $2, $3, $4)";
    for (pos, chunk) in (0_i64..).zip(bytes.chunks(CHUNK)) {
        tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(pos).bind(chunk)).await?;
    }
    Ok(photo)
}

pub(in crate::store) async fn delete(
    tx: &mut Tx,
    mailbox: i64,
    path: &[String],
    id: Uuid,
    expected: &Preconditions,
) -> Result<Option<i64>, Error> {
    let Some(stored) = find(tx.reader().await?, mailbox, path, id).await? else { return Ok(None) };
    expected.check(&stored.version_token())?;
    quota::count(tx, mailbox, 0, -byte_count(stored.size)?).await?;
    let (version, now) = (changes::record_photo(tx, mailbox, id).await?, tx.now());
    let text = "
update photos set version = $3, last_modified_date_time = $4, deleted_date_time = $4
where mailbox = $1 and contact_id = $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(version).bind(now)).await?;
    remove_bytes(tx, mailbox, id).await?;
    Ok(Some(version))
}

fn byte_count(size: u64) -> Result<i64, Error> {
    i64::try_from(size).map_err(Error::internal)
}

async fn remove_bytes(tx: &mut Tx, mailbox: i64, id: Uuid) -> Result<(), Error> {
    let text = "delete from photo_chunks where mailbox = $1 and contact_id = $2";
    tx.execute(Statement::new(text).bind(mailbox).bind(id)).await
}
