//! Writes of cards by name, for CardDAV. Each is one transaction with the contact and the photo that the card shows.

use uuid::Uuid;

use crate::domain::card::{self, CardVersion, NewCard};
use crate::domain::contact::patch::ContactPatch;
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::photo::Picture;
use crate::store::Store;
use crate::store::query::books::{self, Book, WholeCard};
use crate::store::tables::card_rows;
use crate::store::tables::cards::{self, StoredCard};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::new_contacts::{self, Created, New};
use crate::store::tables::{changes, contacts, folders, photos};
use crate::store::write::tx::Tx;

/// The changes of a write of a card.
#[derive(Debug, Clone, PartialEq)]
pub struct CardChange {
    /// The changes to the contact; empty for a group.
    pub patch: ContactPatch,
    /// The change to the photo.
    pub photo: PhotoChange,
    /// The UID as written; `None` to keep the current one or to create one.
    pub uid: Option<String>,
    /// Whether it is a group.
    pub is_group: bool,
    /// The version of the text.
    pub version: CardVersion,
    /// The text to store.
    pub text: String,
}

/// The change of a contact's photo.
#[derive(Debug, Clone, PartialEq)]
pub enum PhotoChange {
    /// It stays.
    Keep,
    /// It is replaced.
    Put(Picture, Vec<u8>),
    /// It is removed.
    Remove,
}

/// A written card.
#[derive(Debug, Clone, PartialEq)]
pub struct PutCard {
    /// Whether it is new.
    pub created: bool,
    /// The card after the write.
    pub whole: WholeCard,
}

/// Checks a card before it is changed.
type CardCheck = Box<dyn FnOnce(&WholeCard) -> Result<(), Error> + Send>;

/// Checks an address book before it is changed or deleted.
pub(in crate::store) type BookCheck = Box<dyn FnOnce(&Book) -> Result<(), Error> + Send>;

/// The same for a card that is moved or copied, and for the card at the target name.
type CheckBoth = Box<dyn FnOnce(&WholeCard, Option<&WholeCard>) -> Result<(), Error> + Send>;

/// Decides what a write does, given the current card; `None` for no change.
type Decide = Box<dyn FnOnce(Option<&WholeCard>) -> Result<Option<CardChange>, Error> + Send>;

impl Store {
    /// Writes the card with this name in a folder, and the contact that it shows. `decide` runs in the transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder, [`Error::UidTaken`] if another card has the UID or this card has another
    /// UID, [`Error::Quota`] if there is no room, and those of `decide`.
    pub async fn put_card(&self, mailbox: i64, folder: &str, name: &str, decide: Decide) -> Result<PutCard, Error> {
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let max_folders = self.shared.options.max_folders;
        let work = async move |tx: &mut Tx| {
            if !folders::exists(tx.reader().await?, mailbox, &folder).await? {
                return Err(Error::NotFound);
            }
            let before = books::whole_named(tx.reader().await?, mailbox, &folder, &name).await?;
            let Some(change) = decide(before.as_ref())? else {
                let whole = before.ok_or_else(|| Error::internal("nothing to keep"))?;
                return Ok(PutCard { created: false, whole });
            };
            let id = before.as_ref().map(|before| before.member.id);
            check_uid(tx, mailbox, &folder, before.as_ref(), change.uid.as_deref()).await?;
            // The card or the photo may be refused after the contact is written.
            tx.open_savepoint().await?;
            write(tx, mailbox, (&folder, &name), before, change, max_folders).await?;
            let whole = books::whole_named(tx.reader().await?, mailbox, &folder, &name).await?;
            let whole = whole.ok_or_else(|| Error::internal("the card is not there"))?;
            tx.set_created(whole.member.id.to_string());
            Ok(PutCard { created: id.is_none(), whole })
        };
        self.write(Some(mailbox), work).await
    }

    /// Creates a contact with its card. Such writes that wait are written together, like [`Store::insert`]. `None`, and nothing is
    /// written, if the name or the UID is or may be taken, and for a group or a card with a photo, which [`Store::put_card`]
    /// writes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder, [`Error::Quota`] if there is no room.
    pub async fn create_card(
        &self,
        mailbox: i64,
        folder: &str,
        name: &str,
        change: CardChange,
    ) -> Result<Option<PutCard>, Error> {
        let CardChange { patch, photo, uid, is_group, version, text } = change;
        if is_group || matches!(photo, PhotoChange::Put(..)) {
            return Ok(None);
        }
        let card = NewCard { name: Some(name.to_owned()), uid, is_group, version, text: Some(text) };
        let (actor, folder) = (self.actor.clone(), Some(folder.to_owned()));
        let Created { contact, card } =
            match self.create(New { actor, folder, card: Some(card), ..New::of(mailbox, patch) }).await {
                Err(Error::UidTaken(_)) => return Ok(None),
                created => created?,
            };
        Ok(Some(PutCard { created: true, whole: books::whole(contact.id, Some(contact), None, card) }))
    }

    /// Deletes the card with this name and its contact, like [`Store::delete`].
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of `check`, which is given the card.
    pub async fn delete_card(&self, mailbox: i64, folder: &str, name: &str, check: CardCheck) -> Result<(), Error> {
        let (folder, name) = (folder.to_owned(), name.to_owned());
        let work = async move |tx: &mut Tx| {
            let whole =
                books::whole_named(tx.reader().await?, mailbox, &folder, &name).await?.ok_or(Error::NotFound)?;
            check(&whole)?;
            tx.set_created(whole.member.id.to_string());
            delete(tx, mailbox, &folder, &whole).await
        };
        self.write(Some(mailbox), work).await
    }

    /// Deletes a folder as an address book, like [`Store::delete_folder`]. A folder with other folders inside it stays.
    /// Returns whether it was deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DefaultFolder`]; those of `check`, which runs in the transaction.
    pub async fn delete_book(&self, mailbox: i64, id: &str, check: BookCheck) -> Result<bool, Error> {
        let id = id.to_owned();
        let work = async move |tx: &mut Tx| {
            let book = books::book(tx.reader().await?, mailbox, &id).await?;
            check(&book)?;
            let Book { folder, .. } = book;
            if !folder.is_default() && folders::has_folders(tx.reader().await?, mailbox, &folder.id).await? {
                return Ok(None);
            }
            let time = tx.now();
            folders::delete(tx, mailbox, &[folder.id], &Preconditions::default(), time).await.map(Some)
        };
        let deleted = self.write(Some(mailbox), work).await?;
        if let Some((_, false)) = deleted {
            self.empty_folders(mailbox).await;
        }
        Ok(deleted.is_some())
    }

    /// Moves or copies a card to another name, in this folder or another. A card at the target is replaced if it has
    /// the same UID. Returns whether the target is new.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::UidTaken`] if another card there has the UID, and those of `check`, which gets the
    /// card and the card at the target.
    pub async fn transfer_card(
        &self,
        mailbox: i64,
        from: (&str, &str),
        to: (&str, &str),
        copy: bool,
        check: CheckBoth,
    ) -> Result<bool, Error> {
        let [from, to] = [from, to].map(|(folder, name)| (folder.to_owned(), name.to_owned()));
        let max_folders = self.shared.options.max_folders;
        let work = async move |tx: &mut Tx| {
            let whole =
                books::whole_named(tx.reader().await?, mailbox, &from.0, &from.1).await?.ok_or(Error::NotFound)?;
            let at_target = books::whole_named(tx.reader().await?, mailbox, &to.0, &to.1).await?;
            check(&whole, at_target.as_ref())?;
            let uid = uid_of(&whole);
            // The target is deleted before all is checked.
            tx.open_savepoint().await?;
            if let Some(at_target) = &at_target {
                if card::uid_key(&uid_of(at_target)) != card::uid_key(&uid) {
                    return Err(Error::UidTaken(at_target.member.name.clone()));
                }
                delete(tx, mailbox, &to.0, at_target).await?;
            }
            let other = cards::by_uid(tx.reader().await?, mailbox, &to.0, &uid).await?;
            if let Some(other) = other.filter(|other| copy || *other != whole.member.id) {
                return Err(Error::UidTaken(name_of(tx, mailbox, other).await?));
            }
            tx.set_created(whole.member.id.to_string());
            if copy {
                self::copy(tx, mailbox, (&to.0, &to.1), whole, max_folders).await?;
            } else {
                relocate(tx, mailbox, (&from.0, &from.1), (&to.0, &to.1), &whole).await?;
            }
            Ok(at_target.is_none())
        };
        self.write(Some(mailbox), work).await
    }
}

/// The UID that a card is shown with.
fn uid_of(whole: &WholeCard) -> String {
    whole.card.as_ref().map_or_else(|| whole.member.id.to_string(), |card| card.shown_uid().to_owned())
}

async fn name_of(tx: &mut Tx, mailbox: i64, id: Uuid) -> Result<String, Error> {
    let kept = card_rows::of(tx.reader().await?, mailbox, &[id]).await?;
    Ok(kept.get(&id).map_or_else(|| card::own_name(id), |card| card.name.clone()))
}

/// Checks that no other card has the UID.
async fn check_uid(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    before: Option<&WholeCard>,
    uid: Option<&str>,
) -> Result<(), Error> {
    let Some(uid) = uid else { return Ok(()) };
    if let Some(before) = before.filter(|before| card::uid_key(&uid_of(before)) != card::uid_key(uid)) {
        return Err(Error::UidTaken(before.member.name.clone()));
    }
    let other = cards::by_uid(tx.reader().await?, mailbox, folder, uid).await?;
    match other.filter(|other| Some(*other) != before.map(|before| before.member.id)) {
        Some(other) => Err(Error::UidTaken(name_of(tx, mailbox, other).await?)),
        None => Ok(()),
    }
}

/// Writes contact, photo and card.
async fn write(
    tx: &mut Tx,
    mailbox: i64,
    (folder, name): (&str, &str),
    before: Option<WholeCard>,
    change: CardChange,
    max_folders: i64,
) -> Result<(), Error> {
    let CardChange { patch, photo, uid, is_group, version: vcard, text } = change;
    let kept_uid = before.as_ref().map(uid_of);
    let (mut contact_version, mut number) = (0, None);
    let id = match &before {
        Some(before) => before.member.id,
        None if is_group => Tx::new_id(mailbox),
        None => Uuid::nil(),
    };
    let (id, id_is_new) = match (&before, is_group) {
        (_, true) => (id, false),
        (Some(before), false) => {
            contact_version = before.contact.as_ref().map_or(0, |contact| contact.version);
            if !patch.is_empty() {
                let updated = contacts::update(tx, mailbox, &[], id, patch, &Preconditions::default()).await?;
                contact_version = updated.version;
                number = Some(updated.version);
            }
            (id, false)
        }
        (None, false) => {
            let new = New { folder: Some(folder.to_owned()), ..New::of(mailbox, patch) };
            let created = new_contacts::insert_one(tx, new, max_folders).await?;
            contact_version = created.version;
            number = Some(created.version);
            (created.id, true)
        }
    };
    let photo_before = before.and_then(|before| before.photo);
    let photo = match photo {
        PhotoChange::Put(picture, bytes) => {
            let photo = photos::put(tx, mailbox, &[], id, picture, &bytes, &Preconditions::default()).await?;
            number = Some(photo.version);
            Some((photo.version, Some(bytes)))
        }
        PhotoChange::Remove => {
            let removed = photos::delete(tx, mailbox, &[], id, &Preconditions::default()).await?;
            number = removed.or(number);
            removed.map(|version| (version, None)).or(photo_before)
        }
        PhotoChange::Keep => photo_before,
    };
    let version = match number {
        Some(number) => number,
        None => changes::record_card(tx, mailbox, folder, id, ChangeKind::Written).await?,
    };
    // A card without a UID keeps the one it is shown with.
    let uid = uid.or(kept_uid).or_else(|| id_is_new.then(|| id.to_string()));
    let photo = photo.map(|(version, bytes)| (version, bytes.unwrap_or_default()));
    let card = NewCard { name: Some(name.to_owned()), uid, is_group, version: vcard, text: Some(text) };
    let kept = StoredCard { id, folder: folder.to_owned(), contact_version, photo, card, uid_key: None, version };
    cards::put(tx, mailbox, vec![kept]).await.map(drop)
}

async fn delete(tx: &mut Tx, mailbox: i64, folder: &str, whole: &WholeCard) -> Result<(), Error> {
    let id = whole.member.id;
    if whole.contact.is_some() {
        contacts::delete(tx, mailbox, &[], id, &Preconditions::default()).await?;
        return Ok(());
    }
    let seq = changes::record_card(tx, mailbox, folder, id, ChangeKind::Removed).await?;
    cards::mark_deleted(tx, mailbox, id, seq).await
}

/// Gives a card another name or folder.
async fn relocate(
    tx: &mut Tx,
    mailbox: i64,
    from: (&str, &str),
    to: (&str, &str),
    whole: &WholeCard,
) -> Result<(), Error> {
    let id = whole.member.id;
    let version = if from.0 == to.0 {
        changes::record_card(tx, mailbox, to.0, id, ChangeKind::Written).await?
    } else if whole.contact.is_some() {
        let patch = ContactPatch { parent_folder_id: Some(to.0.to_owned()), ..ContactPatch::default() };
        contacts::update(tx, mailbox, &[], id, patch, &Preconditions::default()).await?.version
    } else {
        if !folders::exists(tx.reader().await?, mailbox, to.0).await? {
            return Err(Error::NotFound);
        }
        let seq = changes::record_card(tx, mailbox, from.0, id, ChangeKind::Removed).await?;
        cards::move_card(tx, mailbox, id, (from.0, to.0), seq).await?;
        changes::record_card(tx, mailbox, to.0, id, ChangeKind::Written).await?
    };
    cards::rename(tx, mailbox, id, to, (from.0 == to.0).then_some(from.1), version).await
}

/// Creates a contact or group with the same card.
async fn copy(tx: &mut Tx, mailbox: i64, to: (&str, &str), whole: WholeCard, max_folders: i64) -> Result<(), Error> {
    let uid = uid_of(&whole);
    let is_group = whole.contact.is_none();
    let photo_bytes = whole.photo.as_ref().and_then(|(_, bytes)| bytes.clone());
    let (id, contact_version, mut version) = if let Some(contact) = &whole.contact {
        let new = New { folder: Some(to.0.to_owned()), ..New::of(mailbox, ContactPatch::of(&contact.properties)) };
        let created = new_contacts::insert_one(tx, new, max_folders).await?;
        (created.id, created.version, created.version)
    } else if folders::exists(tx.reader().await?, mailbox, to.0).await? {
        let id = Tx::new_id(mailbox);
        (id, 0, changes::record_card(tx, mailbox, to.0, id, ChangeKind::Written).await?)
    } else {
        return Err(Error::NotFound);
    };
    let mut photo = None;
    if let Some(bytes) = photo_bytes {
        let picture = Picture::recognize(&bytes)?;
        version = photos::put(tx, mailbox, &[], id, picture, &bytes, &Preconditions::default()).await?.version;
        photo = Some((version, bytes));
    }
    let text = whole.card.as_ref().and_then(|card| card.whole_text(photo.as_ref().map(|(_, bytes)| bytes.as_slice())));
    let is_shown = whole
        .card
        .as_ref()
        .is_some_and(|card| whole.contact.as_ref().is_none_or(|contact| contact.version == card.contact_version));
    let vcard = whole.card.as_ref().map_or(CardVersion::V3, |card| card.vcard);
    let card = NewCard { name: Some(to.1.to_owned()), uid: Some(uid), is_group, version: vcard, text };
    // A text that was outdated before is outdated now.
    let contact_version = if is_shown { contact_version } else { 0 };
    let kept = StoredCard { id, folder: to.0.to_owned(), contact_version, photo, card, uid_key: None, version };
    cards::put(tx, mailbox, vec![kept]).await.map(drop)
}
