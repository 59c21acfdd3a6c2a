//! Writes a contact in the v1.0 shape, the properties in Graph's order.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::contact::{Address, Complex, Email, Phone, Text};
use crate::graph::json::contact::members::ContactMembers;
use crate::graph::json::contact::select::Only;

/// Writes the properties.
pub(crate) fn write<M: SerializeMap>(map: &mut ContactMembers<'_, M>) -> Result<(), M::Error> {
    use Text as T;
    let contact = map.contact;
    let p = &contact.properties;
    map.common()?;
    map.entry("imAddresses", &p.im_addresses)?;
    map.texts(&[T::JobTitle, T::CompanyName, T::Department, T::OfficeLocation, T::Profession])?;
    let page = p.websites.iter().find(|site| site.kind.as_deref() == Some("work"));
    map.entry("businessHomePage", &page.and_then(|site| site.address.as_deref()))?;
    map.texts(&[T::AssistantName, T::Manager])?;
    let phones = |kind: &'static str| p.phones.iter().filter(move |phone| phone.kind.as_deref() == Some(kind));
    map.entry("homePhones", &numbers(phones("home")))?;
    map.entry("mobilePhone", &phones("mobile").next().and_then(|phone| phone.number.as_deref()))?;
    map.entry("businessPhones", &numbers(phones("business")))?;
    map.texts(&[T::SpouseName, T::PersonalNotes])?;
    map.entry("children", &p.children)?;
    map.nested("emailAddresses", |only| p.emails.iter().map(|email| Slot::email(email, only)).collect::<Vec<_>>())?;
    for (i, name) in ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"].into_iter().enumerate() {
        map.nested(name, |only| p.emails.get(i).map(|email| Slot::email(email, only)))?;
    }
    for (name, kind) in [("homeAddress", "home"), ("businessAddress", "business"), ("otherAddress", "other")] {
        let address = p.addresses.iter().find(|address| address.kind.as_deref() == Some(kind));
        map.nested(name, |only| Slot::address(address, only))?;
    }
    Ok(())
}

fn numbers<'a>(phones: impl Iterator<Item = &'a Phone>) -> Vec<&'a str> {
    phones.map(|phone| phone.number.as_deref().unwrap_or_default()).collect()
}

/// The members that v1.0 shows of a nested object; null ones are omitted.
struct Slot<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Slot<'a> {
    fn email(email: &'a Email, only: Only<'_>) -> Self {
        Self::of(Some(email), &["name", "address"], only)
    }

    fn address(address: Option<&'a Address>, only: Only<'_>) -> Self {
        Self::of(address, &["street", "city", "state", "countryOrRegion", "postalCode"], only)
    }

    fn of<T: Complex>(entry: Option<&'a T>, names: &[&'static str], only: Only<'_>) -> Self {
        let members = names.iter().filter(|name| only.has(name)).filter_map(|name| {
            let at = T::MEMBERS.iter().position(|member| member.json == *name)?;
            Some((*name, entry?.member(at)?))
        });
        Self(members.collect())
    }
}

impl Serialize for Slot<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
