//! Imports a part of a file in one transaction: each contact is looked up, compared, and written only if it differs.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use crate::domain::card::{Card, CardVersion, NewCard};
use crate::domain::contact::{Contact, MAX_ENTRIES, Properties};
use crate::domain::error::Error;
use crate::domain::etag::Preconditions;
use crate::domain::fold::fold;
use crate::domain::import::{Effect, ImportProgress, Imported, Incoming, MAX_BATCH};
use crate::domain::photo::Picture;
use crate::domain::secret;
use crate::store::db::engine::Session;
use crate::store::db::statement::{Sql, Statement};
use crate::store::tables::card_rows;
use crate::store::tables::cards::{self, StoredCard};
use crate::store::tables::imports::additions::{self, FormerAdditions};
use crate::store::tables::imports::existing::{self, ExistingContact};
use crate::store::tables::imports::{advance, folder_of, former_values};
use crate::store::tables::schema::{IMPORT_CONTACTS, IMPORTED};
use crate::store::tables::table::Table;
use crate::store::tables::{contacts, new_contacts, photos};
use crate::store::write::tx::Tx;

/// A contact as it is in the mailbox.
struct Stored {
    contact: Contact,
    photo: Option<(i64, Vec<u8>)>,
    card: Option<Card>,
    /// Of what the file names.
    former: FormerAdditions,
}

impl Stored {
    /// Whether it equals the contact of the file.
    fn is(&self, incoming: &Incoming) -> bool {
        let photo = match (&self.photo, &incoming.photo) {
            (Some((_, stored)), Some((_, bytes))) => stored == bytes,
            (None, None) => true,
            (_, None) => incoming.keeps_photo,
            (None, _) => false,
        };
        let added = incoming.added.as_ref().is_none_or(|added| self.former.is(added));
        photo && added && self.contact.properties == incoming.properties && self.has_card(incoming)
    }

    /// Whether its stored card equals that of the file, or the file has no card.
    fn has_card(&self, incoming: &Incoming) -> bool {
        let Some(text) = &incoming.card else { return true };
        let photo = self.photo.as_ref().map(|(_, bytes)| bytes.as_slice());
        match self.card.as_ref().and_then(|card| card.whole_text(photo)) {
            Some(kept) => kept == *text,
            None => !incoming.keeps,
        }
    }
}

/// See [`crate::store::Store::import`].
pub(super) async fn import(
    tx: &mut Tx,
    mailbox: i64,
    run: Uuid,
    batch: Vec<Incoming>,
    progress: ImportProgress,
) -> Result<Vec<Imported>, Error> {
    if batch.len() > MAX_BATCH {
        return Err(Error::internal("too many contacts for one transaction"));
    }
    // The savepoint undoes the whole batch if one contact fails.
    tx.open_savepoint().await?;
    let folder = folder_of(tx, mailbox, run).await?;
    let mut done = Vec::with_capacity(batch.len());
    let mut rest = batch;
    while !rest.is_empty() {
        let behind = rest.split_off(distinct(&rest));
        let found = existing::find_all(tx.reader().await?, mailbox, &rest).await?;
        let mut again = rest.split_off(distinct_found(&found));
        again.extend(behind);
        let target = ImportTarget { mailbox, run, folder: &folder };
        let found = found.into_iter().take(rest.len()).collect();
        done.extend(write(tx, &target, rest, found).await?);
        rest = again;
    }
    advance(tx, mailbox, run, progress, &done).await?;
    tx.set_created(run.to_string());
    Ok(done)
}

/// See [`crate::store::Store::would_import`].
pub(super) async fn preview(session: &mut Session, mailbox: i64, batch: &[Incoming]) -> Result<Vec<Imported>, Error> {
    let found = existing::find_all(session, mailbox, batch).await?;
    let stored = changed(session, mailbox, batch, &found).await?;
    let mut done = Vec::with_capacity(batch.len());
    for (incoming, found) in batch.iter().zip(found) {
        let (id, effect) = match found {
            None => (None, Effect::Created),
            Some(found) if stored.get(&found.id).is_none_or(|stored| stored.is(incoming)) => {
                (Some(found.id), Effect::Unchanged)
            }
            Some(found) => (Some(found.id), Effect::Updated),
        };
        done.push(outcome(session, mailbox, incoming, (id, effect)).await?);
    }
    Ok(done)
}

/// What is done with a contact: this, unless it is refused.
async fn outcome(
    session: &mut Session,
    mailbox: i64,
    incoming: &Incoming,
    (id, effect): (Option<Uuid>, Effect),
) -> Result<Imported, Error> {
    if let Some(added) = incoming.added.as_ref().filter(|_| effect != Effect::Unchanged)
        && let Some(why) = additions::refusal(session, mailbox, id, added).await?
    {
        return Ok(Imported::refused(why));
    }
    Ok(Imported::new(id, effect))
}

/// The length of the leading part of the batch in which no two contacts have a key in common.
fn distinct(batch: &[Incoming]) -> usize {
    let mut seen = HashSet::new();
    let is_new = |one: &&Incoming| {
        let names = [Some(one.key.clone()), one.email.as_ref().map(|email| format!("mailto:{email}"))];
        names.into_iter().flatten().all(|name| seen.insert(name))
    };
    batch.iter().take_while(is_new).count().max(1)
}

/// The length of the leading part in which all found contacts are different.
fn distinct_found(found: &[Option<ExistingContact>]) -> usize {
    let mut seen = HashSet::new();
    found.iter().take_while(|found| found.as_ref().is_none_or(|found| seen.insert(found.id))).count()
}

/// The contacts that may differ from those of the file.
async fn changed(
    session: &mut Session,
    mailbox: i64,
    batch: &[Incoming],
    found: &[Option<ExistingContact>],
) -> Result<HashMap<Uuid, Stored>, Error> {
    let others =
        batch.iter().zip(found).filter_map(|(one, found)| found.as_ref().filter(|found| found.hash != one.hash));
    let mut stored = stored(session, mailbox, &others.map(|found| found.id).collect::<Vec<_>>()).await?;
    for (one, found) in batch.iter().zip(found) {
        let known = found.as_ref().and_then(|found| stored.get_mut(&found.id));
        if let (Some(added), Some(known)) = (&one.added, known) {
            known.former = additions::read(session, mailbox, known.contact.id, added).await?;
        }
    }
    Ok(stored)
}

/// Contacts with everything that an import may change.
async fn stored(session: &mut Session, mailbox: i64, ids: &[Uuid]) -> Result<HashMap<Uuid, Stored>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let photos = existing::photos(session, mailbox, ids).await?;
    let mut cards = card_rows::of(session, mailbox, ids).await?;
    let mut stored = HashMap::new();
    for contact in contacts::by_ids(session, mailbox, ids).await? {
        let id = contact.id;
        let photo = match photos.get(&id) {
            Some((version, _)) => Some((*version, existing::photo_bytes(session, mailbox, id).await?)),
            None => None,
        };
        stored.insert(id, Stored { contact, photo, card: cards.remove(&id), former: FormerAdditions::default() });
    }
    Ok(stored)
}

/// The target of an import.
struct ImportTarget<'a> {
    mailbox: i64,
    run: Uuid,
    folder: &'a str,
}

/// A contact to write.
struct Writing {
    /// Its index in the batch.
    at: usize,
    incoming: Incoming,
    stored: Option<Stored>,
}

/// Writes the contacts that are new or different. No two of them are the same contact.
async fn write(
    tx: &mut Tx,
    target: &ImportTarget<'_>,
    batch: Vec<Incoming>,
    found: Vec<Option<ExistingContact>>,
) -> Result<Vec<Imported>, Error> {
    let mut stored = changed(tx.reader().await?, target.mailbox, &batch, &found).await?;
    let mut done: Vec<_> = Vec::with_capacity(batch.len());
    let (mut new, mut other) = (Vec::new(), Vec::new());
    for (at, (incoming, found)) in batch.into_iter().zip(found).enumerate() {
        let stored = found.as_ref().and_then(|found| stored.remove(&found.id));
        let (id, effect) = match (&found, &stored) {
            (None, _) => (None, Effect::Created),
            (Some(found), Some(stored)) if !stored.is(&incoming) => (Some(found.id), Effect::Updated),
            (Some(found), _) => (Some(found.id), Effect::Unchanged),
        };
        let imported = outcome(tx.reader().await?, target.mailbox, &incoming, (id, effect)).await?;
        match imported.effect {
            Effect::Created => new.push(Writing { at, incoming, stored: None }),
            Effect::Updated => other.push(Writing { at, incoming, stored }),
            Effect::Unchanged | Effect::Refused => {}
        }
        done.push(imported);
    }
    create(tx, target, &mut new, &mut done).await?;
    update(tx, target, &mut other).await?;
    Ok(done)
}

async fn create(
    tx: &mut Tx,
    target: &ImportTarget<'_>,
    new: &mut [Writing],
    done: &mut [Imported],
) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let properties: Vec<_> = new.iter_mut().map(|one| std::mem::take(&mut one.incoming.properties)).collect();
    let mut stored_contacts = new_contacts::insert_whole(tx, target.mailbox, target.folder, properties).await?;
    for (one, contact) in new.iter_mut().zip(&mut stored_contacts) {
        if let Some(added) = one.incoming.added.take() {
            contacts::write_additions(tx, target.mailbox, contact, *added).await?;
        }
    }
    for (one, contact) in new.iter().zip(&stored_contacts) {
        if let Some(imported) = done.get_mut(one.at) {
            imported.id = Some(contact.id);
        }
    }
    finish(tx, target, new, &stored_contacts, true).await
}

async fn update(tx: &mut Tx, target: &ImportTarget<'_>, other: &mut [Writing]) -> Result<(), Error> {
    if other.is_empty() {
        return Ok(());
    }
    let mut written = Vec::with_capacity(other.len());
    for one in other.iter_mut() {
        if let Some(stored) = &one.stored {
            written.push((stored.contact.clone(), std::mem::take(&mut one.incoming.properties)));
        }
    }
    let mut stored_contacts = contacts::overwrite(tx, target.mailbox, written).await?;
    for (one, contact) in other.iter_mut().zip(&mut stored_contacts) {
        // Extensions and extended properties that the file does not name stay.
        if let Some(added) = one.incoming.added.take() {
            additions::set(tx, target.mailbox, contact, *added).await?;
        }
    }
    finish(tx, target, other, &stored_contacts, false).await
}

/// Writes what belongs to written contacts: photos, cards, what they were imported as, and the record for undoing the
/// import.
async fn finish(
    tx: &mut Tx,
    target: &ImportTarget<'_>,
    written: &mut [Writing],
    stored_contacts: &[Contact],
    created: bool,
) -> Result<(), Error> {
    let mailbox = target.mailbox;
    let mut photo_versions = Vec::with_capacity(written.len());
    for (one, contact) in written.iter().zip(stored_contacts) {
        let before = one.stored.as_ref().and_then(|stored| stored.photo.as_ref());
        let version = match (&one.incoming.photo, before) {
            (None, Some((version, _))) if one.incoming.keeps_photo => Some(*version),
            (photo, before) => write_photo(tx, mailbox, contact.id, before, photo.as_ref()).await?,
        };
        photo_versions.push(version);
    }
    let as_what = written
        .iter()
        .zip(stored_contacts)
        .map(|(one, contact)| (contact.id.as_simple(), &one.incoming.key, secret::hex(&one.incoming.hash)));
    // A new contact has no row.
    let set: &[_] = if created { &[] } else { &["uid_key", "hash"] };
    insert(tx, mailbox, &IMPORTED, &as_what.collect::<Vec<_>>(), set).await?;
    let left = stored_contacts.iter().zip(&photo_versions);
    record_state(tx, target, left.map(|(contact, photo)| (contact, *photo)), created).await?;
    if !created {
        for one in written.iter() {
            if let Some(stored) = &one.stored {
                keep_before(tx, target, stored).await?;
            }
        }
    }
    let cards = cards_to_write(tx, target, written, stored_contacts, &photo_versions).await?;
    let stored =
        if created { cards::insert_new(tx, mailbox, cards).await } else { cards::put(tx, mailbox, cards).await };
    stored.map(drop)
}

/// Records the state in which an import left contacts.
async fn record_state(
    tx: &mut Tx,
    target: &ImportTarget<'_>,
    left: impl Iterator<Item = (&Contact, Option<i64>)>,
    created: bool,
) -> Result<(), Error> {
    let row = |(contact, photo): (&Contact, Option<i64>)| {
        (target.run.simple(), contact.id.simple(), created, contact.version, photo)
    };
    // The first record says whether the import created the contact.
    let set: &[_] = if created { &[] } else { &["version", "photo_version"] };
    insert(tx, target.mailbox, &IMPORT_CONTACTS, &left.map(row).collect::<Vec<_>>(), set).await
}

/// Sets or removes a contact's photo. Returns the version of the photo after that.
pub(super) async fn write_photo(
    tx: &mut Tx,
    mailbox: i64,
    id: Uuid,
    before: Option<&(i64, Vec<u8>)>,
    photo: Option<&(Picture, Vec<u8>)>,
) -> Result<Option<i64>, Error> {
    let any = Preconditions::default();
    match (before, photo) {
        (None, None) => Ok(None),
        (Some((version, before)), Some((_, bytes))) if before == bytes => Ok(Some(*version)),
        (_, Some((picture, bytes))) => {
            photos::put(tx, mailbox, &[], id, *picture, bytes, &any).await.map(|photo| Some(photo.version))
        }
        (Some(_), None) => photos::delete(tx, mailbox, &[], id, &any).await.map(|_| None),
    }
}

/// The cards of written contacts.
async fn cards_to_write(
    tx: &mut Tx,
    target: &ImportTarget<'_>,
    written: &mut [Writing],
    stored_contacts: &[Contact],
    photo_versions: &[Option<i64>],
) -> Result<Vec<StoredCard>, Error> {
    let uids = written.iter().filter(|one| one.incoming.uid.is_some()).map(|one| one.incoming.key.clone());
    let taken = existing::card_owners(tx.reader().await?, target.mailbox, uids).await?;
    let mut kept = Vec::new();
    for ((one, contact), photo_version) in written.iter_mut().zip(stored_contacts).zip(photo_versions) {
        let before = one.stored.as_ref().and_then(|stored| stored.card.as_ref());
        let text = one.incoming.card.take();
        // Without a card, only an identity that is not the contact's own id is stored.
        let is_new_identity = before.is_none() && one.incoming.uid.is_some() && one.incoming.id != Some(contact.id);
        if text.is_none() && !is_new_identity {
            continue;
        }
        let is_taken = taken.get(&(one.incoming.key.clone(), contact.parent_folder_id.clone()));
        let is_own = is_taken.is_none_or(|id| *id == contact.id);
        let photo = one.incoming.photo.take().zip(*photo_version).map(|((_, bytes), version)| (version, bytes));
        kept.push(StoredCard {
            id: contact.id,
            folder: contact.parent_folder_id.clone(),
            contact_version: contact.version,
            photo,
            card: NewCard {
                name: before.map(|card| card.name.clone()),
                uid: one.incoming.uid.take(),
                is_group: false,
                version: text.as_deref().map_or(CardVersion::V3, version_of),
                text,
            },
            // A group's card in the folder may have the UID.
            uid_key: if is_own { None } else { Some(contact.id.to_string()) },
            version: contact.version,
        });
    }
    Ok(kept)
}

/// The version in the text of a card.
pub(super) fn version_of(text: &str) -> CardVersion {
    let line = text.lines().take(8).find_map(|line| line.strip_prefix("VERSION:"));
    line.and_then(|version| CardVersion::of(version.trim())).unwrap_or(CardVersion::V3)
}

/// Stores the state of contacts before the import changes them. Contacts that the import created or has changed before
/// are skipped.
async fn keep_before(tx: &mut Tx, target: &ImportTarget<'_>, stored: &Stored) -> Result<(), Error> {
    let photo = stored.photo.as_ref().map(|(_, bytes)| bytes.clone());
    let card = stored.card.as_ref().and_then(|card| card.whole_text(photo.as_deref()));
    let text = "
insert into import_befores (mailbox, import_id, contact_id, contact, card, photo)
select $1, $2, $3, $4, $5, $6
where exists (
    select 1 from import_contacts where mailbox = $1 and import_id = $2 and contact_id = $3 and created = false)
on conflict (mailbox, import_id, contact_id) do nothing";
    let statement = Statement::new(text).bind(target.mailbox).bind(target.run).bind(stored.contact.id);
    let statement = statement.bind(former_values::text(&stored.contact.properties, &stored.former)?).bind(card);
    tx.execute(statement.bind(photo)).await?;
    if stored.former.is_empty() {
        return Ok(());
    }
    // The import may have changed the contact before, but not all of these values.
    let known = "select contact from import_befores where mailbox = $1 and import_id = $2 and contact_id = $3";
    let known = Statement::new(known).bind(target.mailbox).bind(target.run).bind(stored.contact.id);
    let Some(row) = tx.reader().await?.row(known).await? else { return Ok(()) };
    let whole = former_values::with(&row.get::<String>(0)?, stored.former.clone())?;
    let text = "update import_befores set contact = $4 where mailbox = $1 and import_id = $2 and contact_id = $3";
    let statement = Statement::new(text).bind(target.mailbox).bind(target.run).bind(stored.contact.id);
    tx.execute(statement.bind(whole)).await
}

/// Inserts rows of the values after the mailbox, or sets some columns of existing rows. Without such columns no row may exist.
async fn insert(
    tx: &mut Tx,
    mailbox: i64,
    table: &'static Table,
    rows: &[impl Serialize],
    set: &[&'static str],
) -> Result<(), Error> {
    let rows = serde_json::to_string(rows).map_err(Error::internal)?;
    let columns = Sql::list(table.columns().map(|column| Sql::new(column.name)));
    let values = table.columns().skip(1).enumerate();
    let values = Sql::list(values.map(|(at, column)| column.kind.of_json(Sql::new("value ->> ").number(at))));
    let insert = Sql::new("insert into ").text(table.name).text(" (").then(columns).text(") select ").value(mailbox);
    let insert = insert.text(", ").then(values).per_engine(" from jsonb_each(", " from jsonb_array_elements(");
    let insert = insert.value(rows).per_engine(")", "::text::jsonb) as sent (value)");
    if set.is_empty() {
        return tx.execute(insert.into()).await;
    }
    let keys = Sql::list(table.keys.iter().map(|column| Sql::new(column.name)));
    let set = Sql::list(set.iter().map(|name| Sql::new(name).text(" = excluded.").text(name)));
    let conflict = insert.text(" where true on conflict (").then(keys).text(") do update set ").then(set);
    tx.execute(conflict.into()).await
}

/// See [`crate::store::Store::import_category`].
pub(super) async fn add_category(
    tx: &mut Tx,
    mailbox: i64,
    run: Uuid,
    name: &str,
    members: &[String],
) -> Result<(u64, u64), Error> {
    tx.open_savepoint().await?;
    let folder = folder_of(tx, mailbox, run).await?;
    let session = tx.reader().await?;
    let mut ids: HashSet<Uuid> =
        existing::imported(session, mailbox, members).await?.values().map(|found| found.id).collect();
    ids.extend(existing::of_cards(session, mailbox, members.iter().cloned()).await?.into_values());
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort_unstable();
    let (key, target) = (fold(name), ImportTarget { mailbox, run, folder: &folder });
    let (mut written, mut stored_before) = (Vec::new(), Vec::new());
    for stored in stored(session, mailbox, &ids).await?.into_values() {
        let properties = &stored.contact.properties;
        if properties.categories.len() >= MAX_ENTRIES || properties.categories.iter().any(|known| fold(known) == key) {
            continue;
        }
        let mut categories = properties.categories.clone();
        categories.push(name.to_owned());
        written.push((stored.contact.clone(), Properties { categories, ..properties.clone() }));
        stored_before.push(stored);
    }
    let found = u64::try_from(ids.len()).map_err(Error::internal)?;
    if written.is_empty() {
        return Ok((found, 0));
    }
    let stored_contacts = contacts::overwrite(tx, mailbox, written).await?;
    let photos = stored_before.iter().map(|stored| stored.photo.as_ref().map(|(version, _)| *version));
    record_state(tx, &target, stored_contacts.iter().zip(photos), false).await?;
    for stored in &stored_before {
        keep_before(tx, &target, stored).await?;
    }
    tx.set_created(run.to_string());
    Ok((found, u64::try_from(stored_contacts.len()).map_err(Error::internal)?))
}
