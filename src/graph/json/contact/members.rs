//! Writes the members of a contact that both shapes share.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::domain::contact::{Complex, Contact, Text};
use crate::domain::date;
use crate::graph::json::contact::select::{Only, Selection};

/// The members of a contact that is being written.
pub(crate) struct ContactMembers<'a, M> {
    pub(crate) map: M,
    pub(crate) contact: &'a Contact,
    pub(crate) annotated: bool,
    pub(crate) select: Option<&'a Selection>,
}

impl<'a, M: SerializeMap> ContactMembers<'a, M> {
    pub(crate) fn annotation(&mut self, name: &'static str, value: &str) -> Result<(), M::Error> {
        if self.annotated { self.map.serialize_entry(name, value) } else { Ok(()) }
    }

    /// Writes a property if it is selected.
    pub(crate) fn entry<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        if self.select.is_none_or(|select| select.only(name).is_some()) {
            self.map.serialize_entry(name, value)
        } else {
            Ok(())
        }
    }

    /// Writes a property with members, if it or some of them are selected.
    pub(crate) fn nested<T: Serialize>(
        &mut self,
        name: &'static str,
        value: impl FnOnce(Only<'a>) -> T,
    ) -> Result<(), M::Error> {
        let only = match self.select {
            None => Some(Only::all()),
            Some(select) => select.only(name),
        };
        only.map_or(Ok(()), |only| self.map.serialize_entry(name, &value(only)))
    }

    pub(crate) fn change_key(&mut self) -> Result<(), M::Error> {
        match &self.contact.sent_change_key {
            Some(key) => self.entry("changeKey", key),
            None => self.entry("changeKey", &self.contact.version_token()),
        }
    }

    /// The members with which both shapes begin.
    pub(crate) fn common(&mut self) -> Result<(), M::Error> {
        use Text as T;
        let contact = self.contact;
        let p = &contact.properties;
        self.entry("id", &contact.id)?;
        self.entry("createdDateTime", &date::print(contact.created_date_time))?;
        self.entry("lastModifiedDateTime", &date::print(contact.last_modified_date_time))?;
        self.change_key()?;
        self.entry("categories", &p.categories)?;
        self.entry("parentFolderId", &contact.parent_folder_id)?;
        self.entry("birthday", &p.birthday)?;
        let names = [T::FileAs, T::DisplayName, T::GivenName, T::Initials, T::MiddleName, T::NickName];
        self.texts(&names)?;
        let others = [T::Surname, T::Title, T::YomiGivenName, T::YomiSurname, T::YomiCompanyName, T::Generation];
        self.texts(&others)
    }

    pub(crate) fn texts(&mut self, texts: &[Text]) -> Result<(), M::Error> {
        let p = &self.contact.properties;
        texts.iter().try_for_each(|text| self.entry(text.json(), &p.text(*text).or(text.unset())))
    }
}

pub(crate) struct EntriesJson<'a, T> {
    pub(crate) entries: &'a [T],
    pub(crate) annotated: bool,
    pub(crate) only: Only<'a>,
}

impl<T: Complex> Serialize for EntriesJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.entries.len()))?;
        for entry in self.entries {
            seq.serialize_element(&EntryJson { entry, annotated: self.annotated, only: self.only })?;
        }
        seq.end()
    }
}

/// Null members are omitted.
pub(crate) struct EntryJson<'a, T> {
    pub(crate) entry: &'a T,
    pub(crate) annotated: bool,
    pub(crate) only: Only<'a>,
}

impl<T: Complex> Serialize for EntryJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.type", T::TYPE)?;
        }
        for (i, member) in T::MEMBERS.iter().enumerate() {
            if let Some(value) = self.entry.member(i).filter(|_| self.only.has(member.json)) {
                map.serialize_entry(member.json, value)?;
            }
        }
        map.end()
    }
}
