//! Cards as they are read from their rows.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::card::{Card, CardVersion, PhotoPlace};
use crate::domain::error::Error;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::{Sql, Statement};

const COLUMNS: &str =
    "select k.contact_id, k.folder_id, k.name, k.uid, k.uid_key, k.is_group, k.vcard_version, k.contact_version,
    k.photo_version, k.photo_at, k.photo_first, k.photo_width, k.photo_break, k.version, k.last_modified_date_time";

/// The cards of these contacts or groups that are not deleted.
pub(in crate::store) async fn of(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Card>, Error> {
    let mut cards = HashMap::with_capacity(ids.len());
    for (id, unread) in unread(session, mailbox, ids).await? {
        let (mut card, is_large) = unread.read()?;
        if is_large {
            card.text = Some(large_text(session, mailbox, id).await?);
        }
        cards.insert(id, card);
    }
    Ok(cards)
}

/// The same, to be read later, without large texts.
pub(in crate::store) async fn unread(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, UnreadCard>, Error> {
    let select = Sql::new(COLUMNS).text(TEXT).text(" where k.mailbox = ").value(mailbox);
    let select = select.text(" and k.deleted_date_time is null and k.contact_id in ").then(Sql::among(ids));
    let rows = session.packed_rows(select.into(), IS_LARGE + 1, &[0]).await?;
    rows.into_iter().map(|row| Ok((row.get(0)?, UnreadCard(row)))).collect()
}

/// A card whose columns are not read yet.
pub(in crate::store) struct UnreadCard(Row);

impl UnreadCard {
    /// The card, and whether its text is large and left out.
    pub(in crate::store) fn read(&self) -> Result<(Card, bool), Error> {
        Ok((read(&self.0)?, self.0.get(IS_LARGE)?))
    }
}

/// The text of a card, unless it is large: texts of many cards are read in one value. The last column says whether it is large.
const TEXT: &str = ",
    case when octet_length(t.text) <= 65536 then t.text end, coalesce(octet_length(t.text) > 65536, false)
from cards k left join card_texts t on t.mailbox = k.mailbox and t.contact_id = k.contact_id and t.pos = 0";

/// The last column.
const IS_LARGE: usize = 16;

/// The text of a card from all its pieces.
async fn large_text(session: &mut Session, mailbox: i64, id: Uuid) -> Result<String, Error> {
    let text = "select text from card_texts where mailbox = $1 and contact_id = $2 order by pos";
    let rows = session.rows(Statement::new(text).bind(mailbox).bind(id)).await?;
    rows.iter().map(|row| row.get::<String>(0)).collect()
}

/// A card from a row.
fn read(row: &Row) -> Result<Card, Error> {
    let vcard: String = row.get(6)?;
    let size = |column| row.get::<Option<i64>>(column).map(|size| size.and_then(|size| usize::try_from(size).ok()));
    let place = match (size(9)?, size(10)?, size(11)?, row.get::<Option<String>>(12)?) {
        (Some(at), Some(first), Some(width), Some(line_break)) => Some(PhotoPlace { at, first, width, line_break }),
        _ => None,
    };
    Ok(Card {
        id: row.get(0)?,
        folder_id: row.get(1)?,
        name: row.get(2)?,
        uid: row.get(3)?,
        uid_key: row.get(4)?,
        is_group: row.get(5)?,
        vcard: CardVersion::of(&vcard).ok_or_else(|| Error::internal("a card of an unknown version"))?,
        text: row.get(15)?,
        photo: place,
        contact_version: row.get(7)?,
        photo_version: row.get(8)?,
        version: row.get(13)?,
        last_modified_date_time: row.get(14)?,
    })
}
