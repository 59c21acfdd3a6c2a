//! The cards of a folder as a query tests them: the stored text if clients get just that, else the properties that the query
//! names. Contacts, photos and cards are not read as a whole.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::card;
use crate::domain::contact::Properties;
use crate::domain::contact::parts::ContactPart;
use crate::domain::error::Error;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Sql;
use crate::store::query::books::{ListedCard, MAX_READ, MEMBER_COLUMNS, cards_after, member};
use crate::store::tables::columns;
use crate::store::tables::contacts::{collection, entries, parse};
use crate::store::tables::schema::COLLECTIONS;

/// A card with what tests of its lines need.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedCard {
    /// Its entry in lists.
    pub member: ListedCard,
    /// Its approximate size in bytes without the photo.
    pub size: i64,
    /// What its lines are found in.
    pub content: TestedContent,
}

/// Where the lines of a card are found.
#[derive(Debug, Clone, PartialEq)]
pub enum TestedContent {
    /// Clients get this text, except that it may lack the base64 of the photo.
    Text(String),
    /// No text is stored with the contact. Its UID, and the requested properties only.
    Properties(String, Box<Properties>),
    /// The card must be rendered.
    Unrendered,
}

impl Store {
    /// The cards of a folder after the given one, by id: either those of contacts or those of groups. At most `limit`, and
    /// some megabytes, of one moment; and whether they are the last. Of contacts without a stored text, only `parts` are read;
    /// without `parts`, nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tested_cards(
        &self,
        mailbox: i64,
        folder: &str,
        (groups, after): (bool, Option<Uuid>),
        limit: i64,
        parts: Option<&[ContactPart]>,
    ) -> Result<(Vec<TestedCard>, bool), Error> {
        let read = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let rows =
                session.packed_rows(cards_after(mailbox, folder, groups, after, limit), MEMBER_COLUMNS, &[0]).await?;
            let is_last = i64::try_from(rows.len()).is_ok_and(|found| found < limit);
            let entries = rows.iter().map(|row| Ok((member(row)?, row.get::<i64>(7)?)));
            let mut members = entries.collect::<Result<Vec<(ListedCard, i64)>, Error>>()?;
            let mut bytes = 0;
            let fitting = members.iter().take_while(|(_, size)| {
                let fits = bytes == 0 || bytes + size <= MAX_READ;
                bytes += size.max(&1);
                fits
            });
            let fitting = fitting.count();
            let is_last = is_last && fitting == members.len();
            members.truncate(fitting);
            let ids: Vec<_> = members.iter().map(|(member, _)| member.id).collect();
            let mut contents = if groups {
                texts_of_groups(session, mailbox, &ids).await?
            } else {
                contents(session, mailbox, &ids, parts).await?
            };
            let tested = members.into_iter().map(|(member, size)| {
                let content = contents.remove(&member.id).unwrap_or(TestedContent::Unrendered);
                TestedCard { member, size, content }
            });
            Ok((tested.collect(), is_last))
        };
        self.read_expensive(Some(mailbox), read).await
    }
}

/// The text of a card `k`.
fn text() -> Sql {
    let text = Sql::new("(select ");
    let text = text.per_engine("group_concat(t.text, '' order by t.pos)", "string_agg(t.text, '' order by t.pos)");
    text.text(" from card_texts t where t.mailbox = k.mailbox and t.contact_id = k.contact_id)")
}

async fn texts_of_groups(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, TestedContent>, Error> {
    let select = Sql::new("select k.contact_id, ").then(text()).text(" from cards k where k.mailbox = ");
    let select = select.value(mailbox).text(" and k.contact_id in ").then(Sql::among(ids));
    let mut found = HashMap::new();
    for row in &session.rows(select.into()).await? {
        if let Some(text) = row.get::<Option<String>>(1)? {
            found.insert(row.get(0)?, TestedContent::Text(text));
        }
    }
    Ok(found)
}

const FROM: &str = "
from contacts c
    left join photos p on p.mailbox = c.mailbox and p.contact_id = c.id
    left join cards k on k.mailbox = c.mailbox and k.contact_id = c.id and k.deleted_date_time is null
    left join card_texts first on first.mailbox = k.mailbox and first.contact_id = k.contact_id and first.pos = 0
where c.mailbox = ";

/// The number of columns before those of the parts.
const OWN_COLUMNS: usize = 5;

async fn contents(
    session: &mut Session,
    mailbox: i64,
    ids: &[Uuid],
    parts: Option<&[ContactPart]>,
) -> Result<HashMap<Uuid, TestedContent>, Error> {
    // The text is what clients get if neither the contact nor the photo has changed since.
    let current = "
    case when k.contact_version = c.version and k.photo_version is not distinct from p.version then ";
    let own = Sql::new("select c.id, k.uid, k.uid_key, first.pos is not null,").text(current).then(text()).text(" end");
    let select = parts.unwrap_or_default().iter().fold(own, |select, part| select.text(", ").then(column(*part)));
    let select = select.text(FROM).value(mailbox).text(" and c.id in ").then(Sql::among(ids));
    let rows = session.rows(select.into()).await?;
    rows.iter().map(|row| Ok((row.get(0)?, content(row, parts)?))).collect()
}

fn content(row: &Row, parts: Option<&[ContactPart]>) -> Result<TestedContent, Error> {
    let id: Uuid = row.get(0)?;
    let (uid, key): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
    // A UID that another card of the folder has is replaced.
    let has_own_uid = uid.as_deref().is_none_or(|uid| Some(card::uid_key(uid)) == key);
    if row.get(3)? {
        let text = row.get::<Option<String>>(4)?.filter(|_| has_own_uid);
        return Ok(text.map_or(TestedContent::Unrendered, TestedContent::Text));
    }
    let Some(parts) = parts else { return Ok(TestedContent::Unrendered) };
    let uid = uid.filter(|_| has_own_uid).or(key).unwrap_or_else(|| id.to_string());
    let mut properties = Properties::default();
    for (column, part) in (OWN_COLUMNS..).zip(parts) {
        set(&mut properties, *part, row, column)?;
    }
    Ok(TestedContent::Properties(uid, Box::new(properties)))
}

/// The collections, by their index in [`COLLECTIONS`].
const fn collection_index(part: ContactPart) -> Option<usize> {
    Some(match part {
        ContactPart::Emails => 0,
        ContactPart::Phones => 1,
        ContactPart::Addresses => 2,
        ContactPart::Websites => 3,
        ContactPart::Categories => 4,
        ContactPart::ImAddresses => 5,
        ContactPart::Children => 6,
        ContactPart::Text(_) | ContactPart::Birthday | ContactPart::WeddingAnniversary => return None,
    })
}

/// A part as a column. That of a contact with a stored text is not read.
fn column(part: ContactPart) -> Sql {
    match (part, collection_index(part)) {
        (_, Some(index)) => {
            Sql::new("case when first.pos is null then ").then(collection(COLLECTIONS[index])).text(" end")
        }
        (ContactPart::Text(text), _) => Sql::new("c.").text(columns::of_text(text).name),
        (ContactPart::Birthday, _) => Sql::new("c.birthday"),
        (_, None) => Sql::new("c.wedding_anniversary"),
    }
}

fn set(properties: &mut Properties, part: ContactPart, row: &Row, column: usize) -> Result<(), Error> {
    match part {
        ContactPart::Text(text) => properties.texts[text as usize] = row.get(column)?,
        ContactPart::Birthday => properties.birthday = row.get(column)?,
        ContactPart::WeddingAnniversary => properties.wedding_anniversary = row.get(column)?,
        ContactPart::Emails => properties.emails = entries(row, column)?,
        ContactPart::Phones => properties.phones = entries(row, column)?,
        ContactPart::Addresses => properties.addresses = entries(row, column)?,
        ContactPart::Websites => properties.websites = entries(row, column)?,
        ContactPart::Categories => properties.categories = parse(row, column)?,
        ContactPart::ImAddresses => properties.im_addresses = parse(row, column)?,
        ContactPart::Children => properties.children = parse(row, column)?,
    }
    Ok(())
}
