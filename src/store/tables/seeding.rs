//! Seeds: users with folders, contacts and categories, and shares between them, written as a whole.

use uuid::Uuid;

use crate::clock;
use crate::domain::contact::DEFAULT_FOLDER;
use crate::domain::contact::patch::ContactPatch;
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::folder::FolderPatch;
use crate::domain::photo::Picture;
use crate::domain::user::UserName;
use crate::store::Store;
use crate::store::db::statement::Statement;
use crate::store::tables::new_contacts::{self, New};
use crate::store::tables::{categories, folders, photos, shares, users};
use crate::store::write::tx::Tx;

/// Number of contacts in one statement.
const CHUNK: usize = 500;

/// A contact, and its photo.
pub type SeedContact = (ContactPatch, Option<(Picture, Vec<u8>)>);

/// A folder inside the default one.
pub struct SeedFolder {
    /// Its name.
    pub display_name: String,
    /// Its contacts.
    pub contacts: Vec<SeedContact>,
}

/// A user, with the content of the mailbox.
pub struct SeedUser {
    /// The user's name. The user is created if it does not exist.
    pub name: UserName,
    /// The display name.
    pub display_name: Option<String>,
    /// The folders.
    pub folders: Vec<SeedFolder>,
    /// Contacts of the default folder.
    pub contacts: Vec<SeedContact>,
    /// Categories: names and colours.
    pub categories: Vec<(String, &'static str)>,
}

/// A share of a mailbox.
pub struct SeedShare {
    /// The owner.
    pub of: UserName,
    /// The user that gets access.
    pub with: UserName,
    /// Whether that user may write too.
    pub can_write: bool,
}

/// The created ids, in the order of the seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededUser {
    /// The user.
    pub id: String,
    /// Folders, each with its contacts.
    pub folders: Vec<(String, Vec<Uuid>)>,
    /// Contacts of the default folder.
    pub contacts: Vec<Uuid>,
    /// Categories.
    pub categories: Vec<Uuid>,
}

impl Store {
    /// Writes a seed in one transaction: all of it or nothing.
    ///
    /// # Errors
    /// [`Error::FolderExists`] and [`Error::CategoryExists`] for names that are taken, [`Error::UnknownUser`] for shares of
    /// others, [`Error::Quota`]; else those of the database.
    pub(crate) async fn seed(&self, seed: Vec<SeedUser>, shared: Vec<SeedShare>) -> Result<Vec<SeededUser>, Error> {
        let max_folders = self.shared.options.max_folders;
        let work = async move |tx: &mut Tx| {
            let mut seeded = Vec::with_capacity(seed.len());
            for user in seed {
                seeded.push(seed_user(tx, user, max_folders).await?);
            }
            for SeedShare { of, with, can_write } in shared {
                let owner = users::existing(tx, &of).await?;
                let grantee = users::existing(tx, &with).await?;
                shares::put(tx, owner.mailbox, grantee, can_write).await?;
            }
            Ok(seeded)
        };
        let done = self.write(None, work).await;
        self.forget_users();
        self.shared.written.notify_one();
        done
    }

    /// Creates many contacts with their photos in one transaction: all or none. Other writes wait meanwhile, so hand in some
    /// hundreds at a time.
    ///
    /// # Errors
    /// As [`Store::insert_many`].
    pub async fn insert_many_with_photos(&self, mailbox: i64, new: Vec<SeedContact>) -> Result<Vec<Uuid>, Error> {
        let max_folders = self.shared.options.max_folders;
        self.write(Some(mailbox), async move |tx| insert(tx, mailbox, None, new, max_folders).await).await
    }
}

async fn seed_user(tx: &mut Tx, user: SeedUser, max_folders: i64) -> Result<SeededUser, Error> {
    let found = users::ensure(tx, &user.name).await?;
    let mailbox = found.mailbox;
    clock::introduce(mailbox, &found.id);
    if let Some(display_name) = user.display_name {
        let text = "update users set display_name = $2 where mailbox = $1";
        tx.execute(Statement::new(text).bind(mailbox).bind(display_name)).await?;
    }
    let mut seeded = SeededUser { id: found.id, folders: Vec::new(), contacts: Vec::new(), categories: Vec::new() };
    for (name, color) in user.categories {
        seeded.categories.push(categories::create(tx, mailbox, name, color).await?.id);
    }
    for SeedFolder { display_name, contacts } in user.folders {
        let new = FolderPatch { display_name: Some(display_name), ..FolderPatch::default() };
        let folder = folders::create(tx, mailbox, &[DEFAULT_FOLDER.to_owned()], new, max_folders).await?.id;
        let contacts = insert(tx, mailbox, Some(&folder), contacts, max_folders).await?;
        seeded.folders.push((folder, contacts));
    }
    seeded.contacts = insert(tx, mailbox, None, user.contacts, max_folders).await?;
    Ok(seeded)
}

async fn insert(
    tx: &mut Tx,
    mailbox: i64,
    folder: Option<&str>,
    contacts: Vec<SeedContact>,
    max_folders: i64,
) -> Result<Vec<Uuid>, Error> {
    let mut ids = Vec::with_capacity(contacts.len());
    let mut rest = contacts.into_iter();
    loop {
        let (patches, pictures): (Vec<_>, Vec<_>) = rest.by_ref().take(CHUNK).unzip();
        if patches.is_empty() {
            return Ok(ids);
        }
        if pictures.iter().any(Option::is_some) {
            tx.open_savepoint().await?;
        }
        let new = |patch| New { folder: folder.map(str::to_owned), ..New::of(mailbox, patch) };
        let seeded = new_contacts::insert(tx, patches.into_iter().map(new).collect(), max_folders).await?;
        for (created, picture) in seeded.iter().zip(pictures) {
            if let Some((picture, bytes)) = picture {
                photos::put(tx, mailbox, &[], created.contact.id, picture, &bytes, &Preconditions::default()).await?;
            }
        }
        ids.extend(seeded.into_iter().map(|created| created.contact.id));
    }
}
