//! Writes a contact in the older beta shape, the properties in their published order.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::contact::{DateTimeTimeZone, FLAG_TYPE, Flag, Text};
use crate::graph::json::contact::beta::CONTACT_TYPE;
use crate::graph::json::contact::members::{ContactMembers, EntriesJson, EntryJson};
use crate::graph::json::contact::select::Only;

/// Writes the properties and the type annotation.
pub(crate) fn write<M: SerializeMap>(map: &mut ContactMembers<'_, M>) -> Result<(), M::Error> {
    use Text as T;
    let contact = map.contact;
    let p = &contact.properties;
    map.annotation("@odata.type", CONTACT_TYPE)?;
    map.common()?;
    let annotated = map.annotated;
    map.nested("emailAddresses", |only| EntriesJson { entries: &p.emails, annotated, only })?;
    map.nested("websites", |only| EntriesJson { entries: &p.websites, annotated, only })?;
    map.entry("imAddresses", &p.im_addresses)?;
    map.texts(&[
        T::JobTitle,
        T::CompanyName,
        T::Department,
        T::OfficeLocation,
        T::Profession,
        T::AssistantName,
        T::Manager,
    ])?;
    map.nested("phones", |only| EntriesJson { entries: &p.phones, annotated, only })?;
    map.nested("postalAddresses", |only| EntriesJson { entries: &p.addresses, annotated, only })?;
    map.texts(&[T::SpouseName, T::PersonalNotes])?;
    map.entry("children", &p.children)?;
    map.entry("weddingAnniversary", &p.wedding_anniversary)?;
    map.texts(&[T::Gender])?;
    map.entry("isFavorite", &p.is_favorite)?;
    map.nested("flag", |only| FlagJson { flag: p.flag.as_ref(), annotated, only })
}

/// An unset flag shows its status only; a set one shows all three times.
struct FlagJson<'a> {
    flag: Option<&'a Flag>,
    annotated: bool,
    only: Only<'a>,
}

impl Serialize for FlagJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.type", FLAG_TYPE)?;
        }
        let Some(flag) = self.flag else {
            if self.only.has("flagStatus") {
                map.serialize_entry("flagStatus", "notFlagged")?;
            }
            return map.end();
        };
        let mut time = |name, entry: &DateTimeTimeZone| {
            let json = EntryJson { entry, annotated: self.annotated, only: Only::all() };
            if self.only.has(name) { map.serialize_entry(name, &json) } else { Ok(()) }
        };
        time("completedDateTime", &flag.completed)?;
        time("dueDateTime", &flag.due)?;
        time("startDateTime", &flag.start)?;
        if let Some(status) = flag.status.as_ref().filter(|_| self.only.has("flagStatus")) {
            map.serialize_entry("flagStatus", status)?;
        }
        map.end()
    }
}
