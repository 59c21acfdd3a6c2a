//! Contacts with everything that an export shows.

use uuid::Uuid;

use crate::domain::card::Card;
use crate::domain::contact::Contact;
use crate::domain::error::Error;
use crate::domain::query::cursor::Cursor;
use crate::store::Store;
use crate::store::db::engine::Session;
use crate::store::query::listing::{self, Listing};
use crate::store::tables::cards;
use crate::store::tables::imports::found;

/// A contact that is exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The contact.
    pub contact: Contact,
    /// The card that is stored with it.
    pub card: Option<Card>,
    /// The version of its photo, and the size in bytes.
    pub photo: Option<(i64, u64)>,
}

impl Store {
    /// A page of contacts with their cards, and the beginning of the next page. The photos are read one by one
    /// ([`Store::photo_to_export`]), because those of a page may be large.
    ///
    /// # Errors
    /// As [`Store::contacts`].
    pub async fn contacts_to_export(
        &self,
        mailbox: i64,
        listing: &Listing,
    ) -> Result<(Vec<Exported>, Option<Cursor>), Error> {
        self.goes_on().await?;
        let page = async |session: &mut Session| {
            session.begin_snapshot().await?;
            let page = listing::page(session, mailbox, listing).await?;
            Ok((with_more(session, mailbox, page.contacts).await?, page.next))
        };
        self.read_mailbox(mailbox, None, page).await
    }

    /// The same of one contact.
    ///
    /// # Errors
    /// As [`Store::contact`].
    pub async fn contact_to_export(&self, mailbox: i64, contact: Contact) -> Result<Exported, Error> {
        let one = async |session: &mut Session| {
            session.begin_snapshot().await?;
            with_more(session, mailbox, vec![contact.clone()]).await
        };
        self.read(one).await?.pop().ok_or(Error::NotFound)
    }

    /// The bytes of a contact's photo.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn photo_to_export(&self, mailbox: i64, id: Uuid) -> Result<Vec<u8>, Error> {
        // The time limit restarts, because the client may have read slowly.
        self.goes_on().await?;
        self.read(async |session: &mut Session| found::photo_bytes(session, mailbox, id).await).await
    }
}

async fn with_more(session: &mut Session, mailbox: i64, contacts: Vec<Contact>) -> Result<Vec<Exported>, Error> {
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let mut cards = cards::of(session, mailbox, &ids).await?;
    let photos = found::photos(session, mailbox, &ids).await?;
    let one = |contact: Contact| {
        let photo = photos.get(&contact.id).map(|(version, size)| (*version, u64::try_from(*size).unwrap_or_default()));
        Exported { card: cards.remove(&contact.id), photo, contact }
    };
    Ok(contacts.into_iter().map(one).collect())
}
