//! Undoes an import: contacts that it created go to the trash, and contacts that it changed get their earlier state.
//! Contacts that were changed since stay as they are.

use uuid::Uuid;

use crate::domain::card::NewCard;
use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::domain::import::Undone;
use crate::domain::photo::Picture;
use crate::store::db::engine::Row;
use crate::store::db::statement::Statement;
use crate::store::tables::card_rows;
use crate::store::tables::cards::{self, StoredCard};
use crate::store::tables::contacts;
use crate::store::tables::imports::{additions, batch, existing, former_values, groups};
use crate::store::write::tx::Tx;

/// Maximum number of contacts of a transaction.
const PIECE: i64 = 200;

/// A contact of an import, or a group.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of the query")]
struct Touched {
    id: Uuid,
    created: bool,
    is_group: bool,
    /// Whether it exists, and whether it is as the import left it.
    is_there: bool,
    is_same: bool,
    /// The contact's version after the import.
    version: i64,
}

/// See [`crate::store::Store::undo_import`].
pub(super) async fn undo_batch(
    tx: &mut Tx,
    mailbox: i64,
    run: Uuid,
    after: Uuid,
) -> Result<Vec<(Uuid, Undone)>, Error> {
    tx.open_savepoint().await?;
    tx.set_created(run.to_string());
    // A CardDAV client may have changed only the card `s` of a contact. Its version is then the newest.
    let text = "
select k.contact_id, k.created, c.id is not null or g.contact_id is not null,
    coalesce(c.version, g.version) = k.version and coalesce(p.version, -1) = coalesce(k.photo_version, -1)
        and (s.version is null or s.version <= k.version or s.version <= k.photo_version),
    g.contact_id is not null, k.version
from import_contacts k
    left join contacts c on c.mailbox = k.mailbox and c.id = k.contact_id and c.deleted_date_time is null
    left join cards g
        on g.mailbox = k.mailbox and g.contact_id = k.contact_id and g.is_group and g.deleted_date_time is null
    left join cards s
        on s.mailbox = k.mailbox and s.contact_id = k.contact_id and not s.is_group and s.deleted_date_time is null
    left join photos p on p.mailbox = k.mailbox and p.contact_id = k.contact_id and p.deleted_date_time is null
where k.mailbox = $1 and k.import_id = $2 and k.contact_id > $3
order by k.contact_id limit $4";
    let statement = Statement::new(text).bind(mailbox).bind(run).bind(after).bind(PIECE);
    let rows = tx.reader().await?.rows(statement).await?;
    let mut done = Vec::with_capacity(rows.len());
    for touched in rows.iter().map(read).collect::<Result<Vec<_>, _>>()? {
        let undone = match touched {
            Touched { is_there: false, .. } => Undone::Gone,
            Touched { is_same: false, .. } => Undone::Changed,
            Touched { id, created, is_group: true, .. } => groups::undo(tx, mailbox, run, id, created).await?,
            Touched { id, created: true, .. } => {
                contacts::delete(tx, mailbox, &[], id, &crate::domain::etag::Preconditions::default()).await?;
                Undone::Removed
            }
            Touched { id, created: false, version, .. } => restore(tx, mailbox, run, id, version).await?,
        };
        if undone != Undone::Changed {
            let text = "delete from import_contacts where mailbox = $1 and import_id = $2 and contact_id = $3";
            tx.execute(Statement::new(text).bind(mailbox).bind(run).bind(touched.id)).await?;
        }
        done.push((touched.id, undone));
    }
    if done.is_empty() {
        let text = "update imports set undone_date_time = $3 where mailbox = $1 and id = $2";
        let now = tx.now();
        tx.execute(Statement::new(text).bind(mailbox).bind(run).bind(now)).await?;
    }
    Ok(done)
}

fn read(row: &Row) -> Result<Touched, Error> {
    let is_same = row.get::<Option<bool>>(3)?.unwrap_or(false);
    let (id, created, is_there) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(Touched { id, created, is_there, is_same, is_group: row.get(4)?, version: row.get(5)? })
}

/// Restores a contact, which the import left with this version, to its state before the import.
async fn restore(tx: &mut Tx, mailbox: i64, run: Uuid, id: Uuid, version: i64) -> Result<Undone, Error> {
    let text = "
select contact, card, photo from import_befores where mailbox = $1 and import_id = $2 and contact_id = $3";
    let row = tx.reader().await?.row(Statement::new(text).bind(mailbox).bind(run).bind(id)).await?;
    let row = row.ok_or_else(|| Error::internal("what an import has changed is not known"))?;
    let ((properties, former), card): (_, Option<String>) = (former_values::read(&row.get::<String>(0)?)?, row.get(1)?);
    if additions::are_written_since(tx.reader().await?, mailbox, &former, id, version).await? {
        return Ok(Undone::Changed);
    }
    let photo: Option<Vec<u8>> = row.get(2)?;
    let contact = contacts::get(tx.reader().await?, mailbox, &[], id).await?;
    let restored = contacts::overwrite(tx, mailbox, vec![(contact, properties)]).await?;
    let mut contact = restored.into_iter().next().ok_or_else(|| Error::internal("nothing was written"))?;
    additions::restore(tx, mailbox, &mut contact, former).await?;
    let known = existing::photos(tx.reader().await?, mailbox, &[id]).await?.remove(&id);
    let known = match known {
        Some((version, _)) => Some((version, existing::photo_bytes(tx.reader().await?, mailbox, id).await?)),
        None => None,
    };
    let picture = photo.map(|bytes| Picture::recognize(&bytes).map(|picture| (picture, bytes))).transpose()?;
    let version = batch::write_photo(tx, mailbox, id, known.as_ref(), picture.as_ref()).await?;
    restore_card(tx, mailbox, &contact, card, picture.map(|(_, bytes)| bytes).zip(version)).await?;
    // Without the hash, a new import of the same file changes the contact again.
    let (text, none) = ("update imported set hash = $3 where mailbox = $1 and contact_id = $2", Vec::<u8>::new());
    tx.execute(Statement::new(text).bind(mailbox).bind(id).bind(none)).await?;
    Ok(Undone::Restored)
}

/// Restores the earlier card of a contact, under its current name. If there was no card, only the name stays.
async fn restore_card(
    tx: &mut Tx,
    mailbox: i64,
    contact: &Contact,
    text: Option<String>,
    photo: Option<(Vec<u8>, i64)>,
) -> Result<(), Error> {
    let Some(card) = card_rows::of(tx.reader().await?, mailbox, &[contact.id]).await?.remove(&contact.id) else {
        return Ok(());
    };
    let kept = StoredCard {
        id: contact.id,
        folder: contact.parent_folder_id.clone(),
        contact_version: contact.version,
        photo: photo.map(|(bytes, version)| (version, bytes)),
        card: NewCard {
            name: Some(card.name),
            uid: card.uid,
            is_group: false,
            version: text.as_deref().map_or(card.vcard, batch::version_of),
            text,
        },
        uid_key: Some(card.uid_key),
        version: contact.version,
    };
    cards::put(tx, mailbox, vec![kept]).await.map(drop)
}
