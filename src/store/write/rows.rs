//! Contacts as the JSON that `procedures` take apart into rows: an array of arrays, in the order of their views.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use uuid::Uuid;

use crate::domain::contact::{Complex, Contact, DateTimeTimeZone, Email, Text};
use crate::domain::date;
use crate::domain::error::Error;
use crate::domain::fold::fold;
use crate::domain::words;
use crate::store::query::search;
use crate::store::tables::folded;
use crate::store::tables::rights::Actor;
use crate::store::write::tx::Tx;

/// A contact as it is to be written.
pub(in crate::store) struct Written {
    pub(in crate::store) mailbox: i64,
    pub(in crate::store) contact: Contact,
    /// The words it has had so far, if it is not new.
    pub(in crate::store) words: Option<Vec<words::Value>>,
    /// On whose behalf, where the statement is to see that they may, and to write it down.
    pub(in crate::store) actor: Option<Arc<Actor>>,
}

/// The parameter for some contacts. Their words are told, as the engine keeps them, where they are not the same as before.
pub(in crate::store) fn json(contacts: &[Written], postgres: bool) -> Result<String, Error> {
    let rows: Vec<_> = contacts.iter().map(|written| Row { written, postgres }).collect();
    serde_json::to_string(&rows).map_err(Error::internal)
}

struct Row<'a> {
    written: &'a Written,
    postgres: bool,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Contact { id, parent_folder_id, last_modified_date_time, sent_change_key, properties: p, .. } =
            &self.written.contact;
        let mut row = serializer.serialize_seq(None)?;
        row.serialize_element(&self.written.mailbox)?;
        row.serialize_element(id.as_simple())?;
        row.serialize_element(last_modified_date_time)?;
        row.serialize_element(parent_folder_id)?;
        row.serialize_element(sent_change_key)?;
        row.serialize_element(&p.display_name_derived)?;
        for text in &p.texts {
            row.serialize_element(text)?;
        }
        row.serialize_element(&p.birthday)?;
        row.serialize_element(&p.birthday.as_deref().and_then(date::instant))?;
        row.serialize_element(&p.wedding_anniversary)?;
        row.serialize_element(&p.wedding_anniversary.as_deref().and_then(date::day))?;
        row.serialize_element(&p.is_favorite)?;
        for text in [Text::DisplayName, Text::GivenName, Text::Surname, Text::CompanyName] {
            row.serialize_element(&p.text(text).map(fold))?;
        }
        row.serialize_element(&self.written.contact.size())?;
        row.serialize_element(&p.emails.iter().map(Entry).map(WithAddressKey).collect::<Vec<_>>())?;
        row.serialize_element(&p.phones.iter().map(Entry).collect::<Vec<_>>())?;
        row.serialize_element(&p.addresses.iter().map(Entry).collect::<Vec<_>>())?;
        row.serialize_element(&p.websites.iter().map(Entry).collect::<Vec<_>>())?;
        row.serialize_element(&p.categories.iter().map(|name| [name.clone(), fold(name)]).collect::<Vec<_>>())?;
        row.serialize_element(&p.im_addresses)?;
        row.serialize_element(&p.children)?;
        let none = DateTimeTimeZone::default();
        let (status, times) = match &p.flag {
            Some(flag) => (flag.status.as_ref(), [&flag.completed, &flag.due, &flag.start]),
            None => (None, [&none; 3]),
        };
        row.serialize_element(&p.flag.is_some())?;
        row.serialize_element(&status)?;
        for time in times {
            row.serialize_element(&time.date_time)?;
            row.serialize_element(&time.time_zone)?;
        }
        row.serialize_element(&folded::of(p))?;
        let (mailbox, words) = (self.written.mailbox, words::of_contact(p));
        let is_same = self.written.words.as_ref() == Some(&words);
        if self.postgres {
            row.serialize_element(&(!is_same).then(|| search::vectors(mailbox, &words)))?;
        } else {
            row.serialize_element(&(!is_same).then(|| search::texts(mailbox, &words)))?;
        }
        let actor = self.written.actor.as_deref();
        let simple = |id: Option<Uuid>| id.map(|id| id.as_simple().to_string());
        row.serialize_element(&actor.map(|actor| &actor.name))?;
        row.serialize_element(&simple(actor.and_then(|actor| actor.token)))?;
        row.serialize_element(&actor.and_then(|actor| actor.user))?;
        row.serialize_element(&simple(actor.map(|_| Tx::new_id())))?;
        row.serialize_element(&actor.and_then(|actor| actor.address.as_ref()))?;
        row.serialize_element(&simple(actor.and_then(|actor| actor.request)))?;
        row.serialize_element(&actor.map(|actor| &actor.action))?;
        row.end()
    }
}

/// An entry of a collection: its members in order.
struct Entry<'a, T>(&'a T);

impl<T: Complex> Entry<'_, T> {
    fn members(&self) -> impl Iterator<Item = Option<&str>> {
        (0..T::MEMBERS.len()).map(|i| self.0.member(i))
    }
}

impl<T: Complex> Serialize for Entry<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.members())
    }
}

/// An e-mail's entry, and the key it is looked up by.
struct WithAddressKey<'a>(Entry<'a, Email>);

impl Serialize for WithAddressKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.0.0.address.as_deref().map(fold);
        serializer.collect_seq(self.0.members().chain([key.as_deref()]))
    }
}
