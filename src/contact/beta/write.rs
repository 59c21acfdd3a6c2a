//! A stored contact -> JSON in the seed's shape, its properties in the order of the seed's page.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::CONTACT_TYPE;
use crate::contact::{Complex, Contact, DateTimeTimeZone, FLAG_TYPE, Flag, Text, date};

/// A contact to be written.
pub struct Shown<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// `@odata.context`, for a contact that stands alone.
    pub context: Option<&'a str>,
    /// Whether `@odata.*` members are wanted (`Accept: application/json;odata.metadata=none` wants none).
    pub annotated: bool,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use Text as T;
        let Self { contact, annotated, .. } = *self;
        let p = &contact.properties;
        let mut map = serializer.serialize_map(None)?;
        if annotated {
            if let Some(context) = self.context {
                map.serialize_entry("@odata.context", context)?;
            }
            map.serialize_entry("@odata.etag", &contact.etag())?;
            map.serialize_entry("@odata.type", CONTACT_TYPE)?;
        }
        map.serialize_entry("id", &contact.id)?;
        map.serialize_entry("createdDateTime", &date::print(contact.created_date_time))?;
        map.serialize_entry("lastModifiedDateTime", &date::print(contact.last_modified_date_time))?;
        match &contact.sent_change_key {
            Some(key) => map.serialize_entry("changeKey", key)?,
            None => map.serialize_entry("changeKey", &contact.version_token())?,
        }
        map.serialize_entry("categories", &p.categories)?;
        map.serialize_entry("parentFolderId", &contact.parent_folder_id)?;
        map.serialize_entry("birthday", &p.birthday)?;
        let texts = |texts: &[Text], map: &mut S::SerializeMap| {
            texts.iter().try_for_each(|text| map.serialize_entry(text.json(), &p.text(*text).or(text.unset())))
        };
        let names = [
            T::FileAs,
            T::DisplayName,
            T::GivenName,
            T::Initials,
            T::MiddleName,
            T::NickName,
            T::Surname,
            T::Title,
            T::YomiGivenName,
            T::YomiSurname,
            T::YomiCompanyName,
            T::Generation,
        ];
        texts(&names, &mut map)?;
        map.serialize_entry("emailAddresses", &Entries { entries: &p.emails, annotated })?;
        map.serialize_entry("websites", &Entries { entries: &p.websites, annotated })?;
        map.serialize_entry("imAddresses", &p.im_addresses)?;
        let work = [
            T::JobTitle,
            T::CompanyName,
            T::Department,
            T::OfficeLocation,
            T::Profession,
            T::AssistantName,
            T::Manager,
        ];
        texts(&work, &mut map)?;
        map.serialize_entry("phones", &Entries { entries: &p.phones, annotated })?;
        map.serialize_entry("postalAddresses", &Entries { entries: &p.addresses, annotated })?;
        texts(&[T::SpouseName, T::PersonalNotes], &mut map)?;
        map.serialize_entry("children", &p.children)?;
        map.serialize_entry("weddingAnniversary", &p.wedding_anniversary)?;
        texts(&[T::Gender], &mut map)?;
        map.serialize_entry("isFavorite", &p.is_favorite)?;
        map.serialize_entry("flag", &ShownFlag { flag: p.flag.as_ref(), annotated })?;
        map.end()
    }
}

struct Entries<'a, T> {
    entries: &'a [T],
    annotated: bool,
}

impl<T: Complex> Serialize for Entries<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.entries.len()))?;
        for entry in self.entries {
            seq.serialize_element(&Entry { entry, annotated: self.annotated })?;
        }
        seq.end()
    }
}

/// Null members are left out.
struct Entry<'a, T> {
    entry: &'a T,
    annotated: bool,
}

impl<T: Complex> Serialize for Entry<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.type", T::TYPE)?;
        }
        for (i, member) in T::MEMBERS.iter().enumerate() {
            if let Some(value) = self.entry.member(i) {
                map.serialize_entry(member.json, value)?;
            }
        }
        map.end()
    }
}

/// An unset flag shows its status only, a set one all three times.
struct ShownFlag<'a> {
    flag: Option<&'a Flag>,
    annotated: bool,
}

impl Serialize for ShownFlag<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.type", FLAG_TYPE)?;
        }
        let Some(flag) = self.flag else {
            map.serialize_entry("flagStatus", "notFlagged")?;
            return map.end();
        };
        let mut time =
            |name, entry: &DateTimeTimeZone| map.serialize_entry(name, &Entry { entry, annotated: self.annotated });
        time("completedDateTime", &flag.completed)?;
        time("dueDateTime", &flag.due)?;
        time("startDateTime", &flag.start)?;
        if let Some(status) = &flag.status {
            map.serialize_entry("flagStatus", status)?;
        }
        map.end()
    }
}
