//! Contacts as JSON for `procedures`, which split it into rows: an array of arrays, with the positions of `singles` and `lists`.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use uuid::Uuid;

use crate::domain::card::{self, Card};
use crate::domain::contact::{Complex, Contact, Email, Phone, Properties, Text, parse_id};
use crate::domain::error::Error;
use crate::domain::fold::fold;
use crate::domain::phone;
use crate::domain::words;
use crate::store::query::search;
use crate::store::tables::cards;
use crate::store::tables::columns::{self, DERIVED, PLAIN, values};
use crate::store::tables::folded;
use crate::store::tables::rights::Actor;
use crate::store::tables::schema::{COLLECTIONS, FLAGS, FOLDED};
use crate::store::tables::table::{Column, Table};
use crate::store::write::tx::Tx;

/// A contact to write.
pub(in crate::store) struct ContactWrite {
    pub(in crate::store) mailbox: i64,
    pub(in crate::store) contact: Contact,
    /// Its current search words, if it is not new.
    pub(in crate::store) words: Option<Vec<words::FieldWords>>,
    /// The actor, if the statement checks the rights and writes the audit log.
    pub(in crate::store) actor: Option<Arc<Actor>>,
    /// The card that is stored with it, if it is new. Its versions are those of the write.
    pub(in crate::store) card: Option<Card>,
}

/// The parameter for some contacts. It has their search words, in the engine's form, only if they have changed.
pub(in crate::store) fn json(contacts: &[ContactWrite], postgres: bool) -> Result<String, Error> {
    let rows: Vec<_> = contacts.iter().map(|written| ContactRow { written, postgres }).collect();
    serde_json::to_string(&rows).map_err(Error::internal)
}

values! { KEYS, write_keys, |written: &ContactWrite|
    mailbox Int = written.mailbox,
    id Id = written.contact.id.as_simple(),
}

values! { OWN, write_own, |contact: &Contact|
    last_modified_date_time Int = contact.last_modified_date_time,
    parent_folder_id Text = contact.parent_folder_id,
    change_key Text = contact.sent_change_key,
}

values! { FLAGGED, write_flagged, |properties: &Properties|
    flagged Bool = properties.flag.is_some(),
}

values! { ACTOR, write_actor, |actor: Option<&Actor>|
    actor Text = actor.map(|actor| &actor.name),
    token Id = simple(actor.and_then(|actor| actor.token)),
    user Int = actor.and_then(|actor| actor.user),
    audit_id Id = simple(actor.map(|_| Tx::internal_id())),
    address Text = actor.and_then(|actor| actor.address.as_ref()),
    request Id = simple(actor.and_then(|actor| actor.request)),
    action Text = actor.map(|actor| &actor.action),
}

fn simple(id: Option<Uuid>) -> Option<String> {
    id.map(|id| id.as_simple().to_string())
}

/// The columns of `contacts` with values of the contact.
pub(in crate::store) fn contact_columns() -> impl Iterator<Item = Column> {
    let texts = Text::ALL.into_iter().map(columns::of_text);
    OWN.iter().chain(PLAIN).copied().chain(texts).chain(DERIVED.iter().copied())
}

/// The single values at the beginning of a row, in order.
pub(in crate::store) fn singles() -> impl Iterator<Item = Column> {
    let flag = FLAGGED.iter().chain(FLAGS.written());
    KEYS.iter().copied().chain(contact_columns()).chain(flag.chain(ACTOR).copied())
}

/// The tables with lists.
pub(in crate::store) fn tables() -> impl Iterator<Item = &'static Table> {
    COLLECTIONS.into_iter().chain([&FOLDED])
}

/// The lists at the end of a row; behind those of the tables come the search words and the card ([`CardRow`]), or null.
pub(in crate::store) fn lists() -> impl Iterator<Item = &'static str> {
    tables().map(|table| table.name).chain(["words", "card"])
}

struct ContactRow<'a> {
    written: &'a ContactWrite,
    postgres: bool,
}

impl Serialize for ContactRow<'_> {
    /// In the order of [`singles`] and [`lists`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ContactWrite { mailbox, contact, words, actor, card } = self.written;
        let p = &contact.properties;
        let mut row = serializer.serialize_seq(None)?;
        write_keys(&mut row, self.written)?;
        write_own(&mut row, contact)?;
        columns::write_plain(&mut row, p)?;
        for text in &p.texts {
            row.serialize_element(text)?;
        }
        columns::write_derived(&mut row, contact)?;
        write_flagged(&mut row, p)?;
        columns::write_flag(&mut row, p.flag.as_ref())?;
        write_actor(&mut row, actor.as_deref())?;
        row.serialize_element(&p.emails.iter().map(EntryRow).map(WithAddressKey).collect::<Vec<_>>())?;
        row.serialize_element(&p.phones.iter().map(EntryRow).map(WithNumberKey).collect::<Vec<_>>())?;
        row.serialize_element(&p.addresses.iter().map(EntryRow).collect::<Vec<_>>())?;
        row.serialize_element(&p.websites.iter().map(EntryRow).collect::<Vec<_>>())?;
        row.serialize_element(&p.categories.iter().map(|name| [name.clone(), fold(name)]).collect::<Vec<_>>())?;
        row.serialize_element(&p.im_addresses)?;
        row.serialize_element(&p.children)?;
        row.serialize_element(&folded::of(p))?;
        let current_words = words::of_contact(p);
        let is_same = words.as_ref() == Some(&current_words);
        if self.postgres {
            row.serialize_element(&(!is_same).then(|| search::vectors(*mailbox, &current_words)))?;
        } else {
            row.serialize_element(&(!is_same).then(|| search::texts(*mailbox, &current_words)))?;
        }
        row.serialize_element(&card.as_ref().map(CardRow))?;
        row.end()
    }
}

/// The values of a card that are not those of its contact: name, UID, UID key, version of the text, its bytes, the ids of which its
/// name and its UID would be made if a contact had no stored card, and the pieces of the text.
struct CardRow<'a>(&'a Card);

impl Serialize for CardRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Card { name, uid, uid_key, vcard, text, .. } = self.0;
        let text = text.as_deref().unwrap_or_default();
        let (id_of_name, id_of_uid) = (simple(card::id_of_name(name)), simple(parse_id(uid_key)));
        (name, uid, uid_key, vcard.name(), text.len(), id_of_name, id_of_uid, cards::pieces_of(text))
            .serialize(serializer)
    }
}

/// An entry of a collection: its members in order.
struct EntryRow<'a, T>(&'a T);

impl<T: Complex> EntryRow<'_, T> {
    fn members(&self) -> impl Iterator<Item = Option<&str>> {
        (0..T::MEMBERS.len()).map(|i| self.0.member(i))
    }
}

impl<T: Complex> Serialize for EntryRow<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.members())
    }
}

/// A phone's entry, and its look-up key.
struct WithNumberKey<'a>(EntryRow<'a, Phone>);

impl Serialize for WithNumberKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.0.0.number.as_deref().map(phone::key);
        serializer.collect_seq(self.0.members().chain([key.as_deref()]))
    }
}

/// An e-mail's entry, and its look-up key.
struct WithAddressKey<'a>(EntryRow<'a, Email>);

impl Serialize for WithAddressKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.0.0.address.as_deref().map(fold);
        serializer.collect_seq(self.0.members().chain([key.as_deref()]))
    }
}
