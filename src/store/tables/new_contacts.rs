//! Creates of contacts, with their rows and cards.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::clock;
use crate::domain::card::{Card, NewCard};
use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{self, Contact, DEFAULT_FOLDER, Properties};
use crate::domain::error::Error;
use crate::store::db::faults;
use crate::store::tables::contacts::{count_fitting, size, with_versions, write, write_additions};
use crate::store::tables::new_cards::{self, CardNames};
use crate::store::tables::rights::{self, AccessKind, Actor};
use crate::store::tables::{cards, folders, quota};
use crate::store::write::procedures;
use crate::store::write::rows::ContactWrite;
use crate::store::write::tx::Tx;

/// A contact to be created.
#[derive(Clone)]
pub(in crate::store) struct New {
    pub(in crate::store) mailbox: i64,
    /// Its id, if ids come from a seed: then it is assigned before the create shares a statement with others.
    pub(in crate::store) id: Option<Uuid>,
    /// The folder it is created in, which must exist. `None`: the folder that the patch names, which is created if it
    /// does not exist.
    pub(in crate::store) folder: Option<String>,
    pub(in crate::store) patch: ContactPatch,
    /// The actor, if the statement itself checks the rights.
    pub(in crate::store) actor: Option<Arc<Actor>>,
    /// The card that is stored with it.
    pub(in crate::store) card: Option<NewCard>,
}

impl New {
    /// A contact for the folder that its patch names.
    pub(in crate::store) fn of(mailbox: i64, patch: ContactPatch) -> Self {
        let id = clock::seeded().map(|_| Tx::new_id(mailbox));
        Self { mailbox, id, folder: None, patch, actor: None, card: None }
    }
}

/// A created contact, and the card that was stored with it.
#[derive(Debug, Clone)]
pub(in crate::store) struct Created {
    pub(in crate::store) contact: Contact,
    pub(in crate::store) card: Option<Card>,
}

/// Stores a new contact, as [`insert`] does.
pub(in crate::store) async fn insert_one(tx: &mut Tx, new: New, max_folders: i64) -> Result<Contact, Error> {
    let created = insert(tx, vec![new], max_folders).await?.pop();
    created.map(|created| created.contact).ok_or_else(|| Error::internal("nothing was written"))
}

/// Stores new contacts with their rows and cards, all or none, each in the folder it names or in the default one.
///
/// # Errors
/// [`Error::NotFound`] if a folder that must exist does not, [`Error::UidTaken`] if another card of the folder has, or may have, the
/// name or the UID of one of the cards, [`Error::Quota`] if the mailbox has no room for the contact or for a new folder, and those
/// of [`rights::check`].
pub(in crate::store) async fn insert(tx: &mut Tx, new: Vec<New>, max_folders: i64) -> Result<Vec<Created>, Error> {
    let mut contacts = Vec::with_capacity(new.len());
    let mut added = Vec::new();
    let mut required_folders = HashSet::new();
    for New { mailbox, id, folder, mut patch, actor, card } in new {
        added.push(patch.added.take());
        let must_exist = folder.is_some();
        let mut folder = folder.or_else(|| patch.parent_folder_id.clone()).unwrap_or_else(|| DEFAULT_FOLDER.to_owned());
        if contact::is_default_otherwise(&folder) {
            let resolved = folders::resolve_id(tx.reader().await?, mailbox, &folder).await?;
            folder = resolved.unwrap_or(folder);
        }
        if must_exist {
            required_folders.insert((mailbox, folder.clone()));
        }
        let contact = Contact {
            id: id.unwrap_or_else(|| Tx::new_id(mailbox)),
            parent_folder_id: folder,
            version: 0,
            created_date_time: tx.now(),
            last_modified_date_time: tx.now(),
            sent_change_key: patch.change_key.clone(),
            properties: patch.into_properties(),
            expanded: None,
        };
        let card = card.map(|card| cards::of_new(&contact, card));
        contacts.push(ContactWrite { mailbox, contact, words: None, actor, card });
    }
    // Folders nearly always exist, and rights are nearly always good. If the statement is the whole transaction, it
    // checks both itself, and nothing must be undone if a check fails.
    if tx.is_autocommit() && count_fitting(&contacts) == contacts.len() && added.iter().all(Option::is_none) {
        match write(tx, procedures::insert, &contacts).await {
            Err(error) if is_refused(&error) => check_each(tx, &contacts).await?,
            versions => return Ok(created(contacts, versions?)),
        }
    }
    let mut ensured = HashSet::new();
    for ContactWrite { mailbox, contact, .. } in &contacts {
        let folder = contact.parent_folder_id.as_str();
        if folder == DEFAULT_FOLDER || !ensured.insert((*mailbox, folder)) {
            continue;
        }
        if !required_folders.contains(&(*mailbox, folder.to_owned())) {
            folders::ensure(tx, *mailbox, folder, max_folders).await?;
        } else if !folders::exists(tx.reader().await?, *mailbox, folder).await? {
            return Err(Error::NotFound);
        }
    }
    // A refused statement is undone, so that the reason can be looked up, and so are contacts whose additions are refused.
    tx.open_savepoint().await?;
    let versions = match write(tx, procedures::insert, &contacts).await {
        Err(error) if is_refused(&error) => {
            // The folders exist now.
            tx.undo().await?;
            check_each(tx, &contacts).await?;
            return Err(error);
        }
        versions => versions?,
    };
    let mailboxes: Vec<_> = contacts.iter().map(|written| written.mailbox).collect();
    let mut created = created(contacts, versions);
    for ((created, mailbox), added) in created.iter_mut().zip(mailboxes).zip(added) {
        if let Some(added) = added {
            write_additions(tx, mailbox, &mut created.contact, *added).await?;
        }
    }
    Ok(created)
}

/// Whether the statement that creates contacts has refused one of them.
fn is_refused(error: &Error) -> bool {
    faults::is_missing_value(error) || faults::is_duplicate(error)
}

/// The contacts and cards with the versions they were written as.
fn created(contacts: Vec<ContactWrite>, versions: Vec<i64>) -> Vec<Created> {
    let with_version = |(ContactWrite { contact, card, .. }, version)| Created {
        contact: Contact { version, ..contact },
        card: card.map(|card| Card { version, contact_version: version, ..card }),
    };
    contacts.into_iter().zip(versions).map(with_version).collect()
}

/// Stores new contacts, all or none, in one folder that must exist. The caller has opened a savepoint.
///
/// # Errors
/// [`Error::Quota`] if the mailbox has no room for them.
pub(in crate::store) async fn insert_whole(
    tx: &mut Tx,
    mailbox: i64,
    folder: &str,
    properties: Vec<Properties>,
) -> Result<Vec<Contact>, Error> {
    let now = tx.now();
    let contact = |properties| Contact {
        id: Tx::new_id(mailbox),
        parent_folder_id: folder.to_owned(),
        version: 0,
        created_date_time: now,
        last_modified_date_time: now,
        sent_change_key: None,
        properties,
        expanded: None,
    };
    let written = |contact| ContactWrite { mailbox, contact, words: None, actor: None, card: None };
    let contacts: Vec<_> = properties.into_iter().map(contact).map(written).collect();
    match write(tx, procedures::insert, &contacts).await {
        Err(error) if faults::is_missing_value(&error) => {
            tx.undo().await?;
            check_each(tx, &contacts).await?;
            Err(error)
        }
        versions => Ok(with_versions(contacts, versions?)),
    }
}

/// Repeats the checks of the statement, to find out which failed.
async fn check_each(tx: &mut Tx, contacts: &[ContactWrite]) -> Result<(), Error> {
    let names: Vec<_> = contacts.iter().map(CardNames::of_write).collect();
    if new_cards::find_taken(tx, &names).await?.contains(&true) {
        return Err(Error::UidTaken(String::new()));
    }
    let now = tx.now();
    for actor in contacts.iter().filter_map(|written| written.actor.as_deref()) {
        rights::check(tx.reader().await?, actor, AccessKind::Write, now).await?;
    }
    let mut growth: HashMap<i64, (i64, i64)> = HashMap::new();
    for written in contacts {
        let (contacts, bytes) = growth.entry(written.mailbox).or_default();
        *contacts += 1;
        *bytes += quota::bytes([size(written)]);
    }
    for (mailbox, (contacts, bytes)) in growth {
        quota::check_room(tx, mailbox, contacts, bytes).await?;
    }
    Ok(())
}
