//! Cards of JSContact (RFC 9553).

use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Address, Properties, Text};
use crate::domain::date;
use crate::domain::photo::Picture;
use crate::formats::aside::{self, Aside};
use crate::formats::jscontact::own::{self, OwnProperty};
use crate::formats::jscontact::{COLLECTIONS, PRODUCT, read};
use crate::formats::write::ContactToWrite;
use crate::json::Json;
use crate::vcard::record::RecordContent;

type ObjectMembers = Vec<(String, Json)>;

/// A contact as a Card, on one line without its end. Every property comes back when the Card is read: those that
/// members cannot express exactly are also in `vCardProps`.
pub fn jscontact(source: &ContactToWrite<'_>) -> String {
    let properties = &source.contact.properties;
    let mut card = CardBuilder::default();
    card.of(properties);
    let asides = source.asides("jscontact");
    let mut members = card.members(properties, &asides);
    let mut props = further(&mut members, &asides);
    let said = read_back(&members);
    for own in OwnProperty::all() {
        let (value, of) = (own.value(properties), own.value(&said));
        if value != of {
            props.push(own::prop(own, &of, &value));
        }
    }
    let mut head = head(source);
    if let Some(photo) = source.photo {
        photo_entry(&mut members, photo);
    }
    head.extend(members);
    if !props.is_empty() {
        head.push(("vCardProps".to_owned(), Json::Array(props)));
    }
    Json::Object(head).to_string()
}

fn string(value: &str) -> Json {
    Json::Text(value.to_owned())
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

fn set(name: &str) -> Json {
    object([(name, Json::Bool(true))])
}

fn head(source: &ContactToWrite<'_>) -> ObjectMembers {
    let id = source.contact.id.to_string();
    let uid = source.card.and_then(aside::uid).unwrap_or_else(|| format!("urn:uuid:{id}"));
    let Json::Object(head) = object([
        ("@type", string("Card")),
        ("version", string("1.0")),
        ("prodId", string(PRODUCT)),
        ("uid", Json::Text(uid)),
        ("created", Json::Text(date::print(source.contact.created_date_time))),
        ("updated", Json::Text(date::print(source.contact.last_modified_date_time))),
    ]) else {
        return Vec::new();
    };
    head
}

/// The properties that are read from the members.
fn read_back(members: &ObjectMembers) -> Properties {
    let Json::Object(mut card) = object([("@type", string("Card")), ("prodId", string(PRODUCT))]) else {
        return Properties::default();
    };
    card.extend(members.iter().cloned());
    match read::card(&card) {
        RecordContent::Contact(record) => record.patch.into_properties(),
        RecordContent::Group(_) | RecordContent::Refused(_) => ContactPatch::default().into_properties(),
    }
}

/// An entry of a collection, with its fingerprint.
struct CardEntry {
    collection: &'static str,
    key: String,
    of: String,
    value: Json,
}

#[derive(Default)]
struct CardBuilder {
    entries: Vec<CardEntry>,
}

impl CardBuilder {
    fn add(&mut self, collection: &'static str, letter: &str, of: impl Into<String>, value: Json) {
        let number = self.entries.iter().filter(|entry| entry.collection == collection).count() + 1;
        self.entries.push(CardEntry { collection, key: format!("{letter}{number}"), of: of.into(), value });
    }

    fn of(&mut self, properties: &Properties) {
        let text = |text: Text| properties.text(text).filter(|text| !text.is_empty());
        if let Some(name) = text(Text::NickName) {
            self.add("nicknames", "k", name, object([("name", string(name))]));
        }
        for (property, kind) in [(Text::JobTitle, "title"), (Text::Profession, "role")] {
            if let Some(name) = text(property) {
                self.add("titles", "t", name, object([("kind", string(kind)), ("name", string(name))]));
            }
        }
        self.organization(text(Text::CompanyName), text(Text::Department));
        self.emails(properties);
        self.phones(properties);
        for address in &properties.addresses {
            self.add("addresses", "a", own::address_of(address), address_entry(address));
        }
        for site in &properties.websites {
            let mut entry = ObjectMembers::new();
            match site.kind.as_deref() {
                Some("work") => entry.push(("contexts".to_owned(), set("work"))),
                Some("home") => entry.push(("contexts".to_owned(), set("private"))),
                _ => {}
            }
            let uri = site.address.as_deref().unwrap_or_default();
            entry.push(("uri".to_owned(), string(uri)));
            entry.extend(site.display_name.as_deref().map(|name| ("label".to_owned(), string(name))));
            self.add("links", "l", uri, Json::Object(entry));
        }
        for address in &properties.im_addresses {
            self.add("onlineServices", "s", address, object([("uri", string(address))]));
        }
        let days = [("birth", properties.birthday.as_deref()), ("wedding", properties.wedding_anniversary.as_deref())];
        for (kind, day) in days {
            if let Some((of, date)) = day.and_then(date_entry) {
                self.add("anniversaries", "d", of, object([("kind", string(kind)), ("date", date)]));
            }
        }
        if let Some(note) = text(Text::PersonalNotes) {
            self.add("notes", "n", note, object([("note", string(note))]));
        }
    }

    fn organization(&mut self, company: Option<&str>, department: Option<&str>) {
        let mut entry = ObjectMembers::new();
        entry.extend(company.map(|name| ("name".to_owned(), string(name))));
        let unit = department.map(|name| Json::Array(vec![object([("name", string(name))])]));
        entry.extend(unit.map(|units| ("units".to_owned(), units)));
        if !entry.is_empty() {
            let of = format!("{}|{}", company.unwrap_or_default(), department.unwrap_or_default());
            self.add("organizations", "o", of, Json::Object(entry));
        }
    }

    fn emails(&mut self, properties: &Properties) {
        for email in &properties.emails {
            let mut entry = ObjectMembers::new();
            match email.kind.as_deref() {
                Some("work") => entry.push(("contexts".to_owned(), set("work"))),
                Some("personal") => entry.push(("contexts".to_owned(), set("private"))),
                _ => {}
            }
            let address = email.address.as_deref().unwrap_or_default();
            entry.push(("address".to_owned(), string(address)));
            entry.extend(email.other_label.as_deref().map(|label| ("label".to_owned(), string(label))));
            self.add("emails", "e", address, Json::Object(entry));
        }
    }

    fn phones(&mut self, properties: &Properties) {
        for phone in &properties.phones {
            let kind = phone.kind.as_deref().unwrap_or("other");
            let mut entry = ObjectMembers::new();
            let context = match kind {
                "home" | "homeFax" => Some("private"),
                "business" | "businessFax" => Some("work"),
                _ => None,
            };
            let feature = match kind {
                "homeFax" | "businessFax" | "otherFax" => "fax",
                "mobile" => "mobile",
                "pager" => "pager",
                _ => "voice",
            };
            entry.extend(context.map(|context| ("contexts".to_owned(), set(context))));
            entry.push(("features".to_owned(), set(feature)));
            let number = phone.number.as_deref().unwrap_or_default();
            entry.push(("number".to_owned(), string(number)));
            self.add("phones", "p", format!("{kind}|{number}"), Json::Object(entry));
        }
    }

    /// The members of the Card. An unchanged entry with a kept whole is written as it came.
    fn members(mut self, properties: &Properties, asides: &[Aside]) -> ObjectMembers {
        for entry in &mut self.entries {
            let kept = |aside: &&Aside| {
                aside.of.as_ref() == Some(&entry.of)
                    && aside.name.split_once('/').is_some_and(|(collection, _)| collection == entry.collection)
            };
            let kept =
                asides.iter().find(kept).and_then(|aside| Json::read_case_sensitive(aside.value.as_bytes()).ok());
            if let Some(value @ Json::Object(_)) = kept {
                entry.value = value;
            }
        }
        let mut members = ObjectMembers::new();
        members.extend(name_entry(properties, asides).map(|name| ("name".to_owned(), name)));
        for CardEntry { collection, key, value, .. } in self.entries {
            put(&mut members, collection, &key, value);
        }
        if !properties.categories.is_empty() {
            let mut words = ObjectMembers::new();
            // Many readers refuse names of members that differ only in letter case.
            for word in &properties.categories {
                let word_lower = word.to_lowercase();
                if words.iter().all(|(known, _)| known.to_lowercase() != word_lower) {
                    words.push((word.clone(), Json::Bool(true)));
                }
            }
            members.push(("keywords".to_owned(), Json::Object(words)));
        }
        members
    }
}

/// Adds an entry to a collection.
fn put(members: &mut ObjectMembers, collection: &str, key: &str, value: Json) {
    let at = members.iter().position(|(name, _)| name == collection).unwrap_or_else(|| {
        members.push((collection.to_owned(), Json::Object(Vec::new())));
        members.len() - 1
    });
    if let Json::Object(entries) = &mut members[at].1 {
        entries.push((key.to_owned(), value));
    }
}

/// Adds the members that are kept aside as a whole, and returns further entries of `vCardProps`. An entry whose key
/// exists gets another key; a member that exists is not written twice.
fn further(members: &mut ObjectMembers, asides: &[Aside]) -> Vec<Json> {
    let mut taken: HashSet<String> = members.iter().map(|(name, _)| name.to_lowercase()).collect();
    for (name, value) in members.iter() {
        if let Json::Object(entries) = value {
            taken.extend(entries.iter().map(|(key, _)| format!("{name}/{key}").to_lowercase()));
        }
    }
    let mut props = Vec::new();
    for (number, aside) in asides.iter().enumerate().filter(|(_, aside)| aside.of.is_none()) {
        let Ok(value) = Json::read_case_sensitive(aside.value.as_bytes()) else { continue };
        let free = taken.insert(aside.name.to_lowercase());
        match aside.name.split_once('/') {
            None if aside.name == "vCardProps" => props.push(value),
            Some((collection, key)) if COLLECTIONS.contains(&collection) => {
                taken.insert(collection.to_lowercase());
                let other = format!("{key}-{number}");
                put(members, collection, if free { key } else { &other }, value);
            }
            _ if members.iter().all(|(known, _)| *known != aside.name) => members.push((aside.name.clone(), value)),
            _ => {}
        }
    }
    props
}

/// The name. An unchanged name with a kept whole is written as it came, except for the full name.
fn name_entry(properties: &Properties, asides: &[Aside]) -> Option<Json> {
    let text = |text: Text| properties.text(text).filter(|text| !text.is_empty());
    let full = text(Text::DisplayName);
    let patch = ContactPatch { texts: properties.texts.clone().map(Some), ..ContactPatch::default() };
    let of = own::name_of(&patch);
    let kept = asides.iter().find(|aside| aside.name == "name" && aside.of.as_ref() == Some(&of));
    if let Some(Json::Object(mut name)) = kept.and_then(|aside| Json::read_case_sensitive(aside.value.as_bytes()).ok())
    {
        name.retain(|(member, _)| member != "full");
        name.extend(full.map(|full| ("full".to_owned(), string(full))));
        return Some(Json::Object(name));
    }
    let kinds = [
        (Text::Title, "title", None),
        (Text::GivenName, "given", Some(Text::YomiGivenName)),
        (Text::MiddleName, "given2", None),
        (Text::Surname, "surname", Some(Text::YomiSurname)),
        (Text::Generation, "generation", None),
    ];
    let mut components = Vec::new();
    for (property, kind, spoken) in kinds {
        let Some(value) = text(property) else { continue };
        let mut component = vec![("kind".to_owned(), string(kind)), ("value".to_owned(), string(value))];
        component.extend(spoken.and_then(text).map(|spoken| ("phonetic".to_owned(), string(spoken))));
        components.push(Json::Object(component));
    }
    let mut name = ObjectMembers::new();
    if !components.is_empty() {
        name.push(("components".to_owned(), Json::Array(components)));
    }
    name.extend(full.map(|full| ("full".to_owned(), string(full))));
    (!name.is_empty()).then_some(Json::Object(name))
}

fn address_entry(address: &Address) -> Json {
    let parts = [
        ("postOfficeBox", &address.post_office_box),
        ("name", &address.street),
        ("locality", &address.city),
        ("region", &address.state),
        ("postcode", &address.postal_code),
        ("country", &address.country_or_region),
    ];
    let component = |(kind, text): (&str, &Option<String>)| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        Some(object([("kind", string(kind)), ("value", string(text))]))
    };
    let mut entry = ObjectMembers::new();
    match address.kind.as_deref() {
        Some("home") => entry.push(("contexts".to_owned(), set("private"))),
        Some("business") => entry.push(("contexts".to_owned(), set("work"))),
        _ => {}
    }
    entry.push(("components".to_owned(), Json::Array(parts.into_iter().filter_map(component).collect())));
    Json::Object(entry)
}

/// A day as a date of JSContact; the year 1604 means none. A birthday with another time than 11:59 is an instant.
fn date_entry(text: &str) -> Option<(String, Json)> {
    let day = text.strip_suffix("T11:59:00Z").unwrap_or(text);
    if date::date(day).is_none() {
        let micros = date::instant(text)?;
        let utc = date::print(micros);
        return Some((utc.clone(), object([("@type", string("Timestamp")), ("utc", Json::Text(utc))])));
    }
    let number = |part: &str| Json::Number(part.trim_start_matches('0').to_owned());
    let (month, of_month) = (number(&day[5..7]), number(&day[8..]));
    let date = if day.starts_with("1604") {
        object([("month", month), ("day", of_month)])
    } else {
        object([("year", number(&day[..4])), ("month", month), ("day", of_month)])
    };
    Some((day.to_owned(), date))
}

fn photo_entry(members: &mut ObjectMembers, photo: &[u8]) {
    let kind = Picture::recognize(photo).map_or("application/octet-stream", |picture| picture.format.content_type());
    let uri = format!("data:{kind};base64,{}", BASE64_STANDARD.encode(photo));
    put(
        members,
        "media",
        "photo",
        object([("kind", string("photo")), ("mediaType", string(kind)), ("uri", Json::Text(uri))]),
    );
}
