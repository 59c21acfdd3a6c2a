//! Contacts with everything that an export shows.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::card::Card;
use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::domain::query::cursor::Cursor;
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::query::listing::{self, Listing};
use crate::store::tables::card_rows::{self, UnreadCard};
use crate::store::tables::contacts;
use crate::store::tables::imports::existing;

/// A contact that is exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The contact.
    pub contact: Contact,
    /// The card that is stored with it.
    pub card: Option<Card>,
    /// Whether the text of the card is large and left out. [`Store::card`] reads it.
    pub lacks_card_text: bool,
    /// The version of its photo, and the size in bytes.
    pub photo: Option<(i64, u64)>,
}

/// A page of contacts to export. Their columns are read one contact after the other, while the next page is read.
pub struct ExportPage {
    rows: Vec<Row>,
    cards: HashMap<Uuid, UnreadCard>,
    photos: HashMap<Uuid, (i64, i64)>,
    /// The beginning of the next page.
    pub next: Option<Cursor>,
}

impl ExportPage {
    /// The contacts of the page. Each is an [`Error::Internal`] if the database has something else than what was written.
    pub fn contacts(self) -> impl Iterator<Item = Result<Exported, Error>> {
        let Self { rows, mut cards, photos, .. } = self;
        rows.into_iter().map(move |row| {
            let contact = contacts::read(&row)?;
            let card = cards.remove(&contact.id).map(|card| card.read()).transpose()?;
            let (card, lacks_card_text) = card.map_or((None, false), |(card, is_large)| (Some(card), is_large));
            Ok(Exported { photo: photo(&photos, contact.id), card, lacks_card_text, contact })
        })
    }
}

impl Store {
    /// A page of contacts with their cards. Photos ([`Store::photo_to_export`]) and large texts of cards are read one by one,
    /// because those of a page may be very large.
    ///
    /// # Errors
    /// As [`Store::contacts`].
    pub async fn contacts_to_export(&self, mailbox: i64, listing: &Listing) -> Result<ExportPage, Error> {
        self.restart_time_limit().await?;
        let page = async |session: &mut Session| {
            let (rows, next) = listing::unread_page(session, mailbox, listing).await?;
            let ids = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<_>, _>>()?;
            let cards = card_rows::unread(session, mailbox, &ids).await?;
            let photos = existing::photos(session, mailbox, &ids).await?;
            Ok(ExportPage { rows, cards, photos, next })
        };
        self.read_mailbox(mailbox, None, page).await
    }

    /// The next groups after `after` in a folder or in all, by their ids. Their cards are read one by one ([`Store::card`]).
    ///
    /// # Errors
    /// As [`Store::contacts`].
    pub async fn groups_to_export(&self, mailbox: i64, folder: Option<&str>, after: Uuid) -> Result<Vec<Uuid>, Error> {
        let text = "
select k.contact_id from cards k join folders f on f.mailbox = k.mailbox and f.id = k.folder_id
where k.mailbox = $1 and k.is_group and k.deleted_date_time is null and f.deleted_date_time is null
    and k.folder_id = coalesce($2, k.folder_id) and k.contact_id > $3
order by k.contact_id limit 100";
        self.restart_time_limit().await?;
        let page = async |session: &mut Session| {
            let statement = Statement::new(text).bind(mailbox).bind(folder.map(str::to_owned)).bind(after);
            session.rows(statement).await?.iter().map(|row| row.get(0)).collect()
        };
        self.read_mailbox(mailbox, None, page).await
    }

    /// A contact with its card and the version of its photo.
    ///
    /// # Errors
    /// As [`Store::contact`].
    pub async fn contact_to_export(&self, mailbox: i64, contact: Contact) -> Result<Exported, Error> {
        let export = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let card = card_rows::of(session, mailbox, &[contact.id]).await?.remove(&contact.id);
            let photos = existing::photos(session, mailbox, &[contact.id]).await?;
            let photo = photo(&photos, contact.id);
            Ok(Exported { contact: contact.clone(), card, lacks_card_text: false, photo })
        };
        self.read(export).await
    }

    /// The card stored with the contact with this id, or of the group with this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn card(&self, mailbox: i64, id: Uuid) -> Result<Option<Card>, Error> {
        let read = async |session: &mut Session| {
            session.begin_snapshot().await?;
            Ok(card_rows::of(session, mailbox, &[id]).await?.remove(&id))
        };
        // The time limit restarts, because the client may have read slowly.
        self.restart_time_limit().await?;
        self.read(read).await
    }

    /// The bytes of a contact's photo.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn photo_to_export(&self, mailbox: i64, id: Uuid) -> Result<Vec<u8>, Error> {
        // The time limit restarts, because the client may have read slowly.
        self.restart_time_limit().await?;
        self.read(async |session: &mut Session| existing::photo_bytes(session, mailbox, id).await).await
    }
}

fn photo(photos: &HashMap<Uuid, (i64, i64)>, id: Uuid) -> Option<(i64, u64)> {
    photos.get(&id).map(|(version, size)| (*version, u64::try_from(*size).unwrap_or_default()))
}
