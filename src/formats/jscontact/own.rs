//! Our own entries of `vCardProps`, for properties without a member, and the fingerprints by which the rest of an entry
//! comes back with it.
//!
//! An entry is `["x-contactd-email-addresses", {"of": "…"}, "text", "[…]"]`: the property, a hash of its value in the
//! other members, and its value as JSON. If the hash does not match, somebody has changed the Card, and the entry is
//! ignored.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use sha2::{Digest, Sha256};

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Address, Complex, DateTimeTimeZone, Email, Flag, Phone, Properties, Text, Website};
use crate::formats::csv::google::fingerprint;
use crate::formats::draft::{Draft, unset_derived_name};
use crate::formats::jscontact::{OWN, member, text};
use crate::json::Json;
use crate::vcard::record::Fate;

/// The fingerprint of a contact's names, for a kept `name`.
pub(crate) fn name_of(patch: &ContactPatch) -> String {
    let texts = [
        Text::GivenName,
        Text::MiddleName,
        Text::Surname,
        Text::Title,
        Text::Generation,
        Text::YomiGivenName,
        Text::YomiSurname,
    ];
    let of = |text: Text| patch.texts[text as usize].clone().flatten().unwrap_or_default();
    texts.map(of).join("|")
}

/// The fingerprint of an address.
pub(crate) fn address_of(address: &Address) -> String {
    fingerprint(address)
}

/// A property of a contact as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnProperty {
    Text(Text),
    Birthday,
    Anniversary,
    Favorite,
    Flag,
    Categories,
    ImAddresses,
    Children,
    Emails,
    Phones,
    Addresses,
    Websites,
}

impl OwnProperty {
    /// Every property.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let others = [
            Self::Birthday,
            Self::Anniversary,
            Self::Favorite,
            Self::Flag,
            Self::Categories,
            Self::ImAddresses,
            Self::Children,
            Self::Emails,
            Self::Phones,
            Self::Addresses,
            Self::Websites,
        ];
        Text::ALL.into_iter().map(Self::Text).chain(others)
    }

    /// Its name in `vCardProps`: `x-contactd-office-location`.
    pub(crate) fn name(self) -> String {
        let json = match self {
            Self::Text(text) => text.json(),
            Self::Birthday => "birthday",
            Self::Anniversary => "weddingAnniversary",
            Self::Favorite => "favorite",
            Self::Flag => "flag",
            Self::Categories => "categories",
            Self::ImAddresses => "imAddresses",
            Self::Children => "children",
            Self::Emails => "emailAddresses",
            Self::Phones => "phones",
            Self::Addresses => "postalAddresses",
            Self::Websites => "websites",
        };
        let mut name = OWN.to_owned();
        for c in json.chars() {
            if c.is_ascii_uppercase() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    /// Its value: null if it is not set.
    pub(crate) fn value(self, properties: &Properties) -> Json {
        let text = |text: Option<&str>| text.map_or(Json::Null, |text| Json::Text(text.to_owned()));
        let texts = |texts: &[String]| Json::Array(texts.iter().cloned().map(Json::Text).collect());
        match self {
            Self::Text(Text::DisplayName) if properties.display_name_derived => Json::Null,
            Self::Text(property) => text(properties.text(property)),
            Self::Birthday => text(properties.birthday.as_deref()),
            Self::Anniversary => text(properties.wedding_anniversary.as_deref()),
            Self::Favorite => properties.is_favorite.map_or(Json::Null, Json::Bool),
            Self::Flag => properties.flag.as_ref().map_or(Json::Null, flag_json),
            Self::Categories => texts(&properties.categories),
            Self::ImAddresses => texts(&properties.im_addresses),
            Self::Children => texts(&properties.children),
            Self::Emails => entries_json(&properties.emails),
            Self::Phones => entries_json(&properties.phones),
            Self::Addresses => entries_json(&properties.addresses),
            Self::Websites => entries_json(&properties.websites),
        }
    }

    /// Sets it. `None` if the value has a wrong type.
    fn set(self, patch: &mut ContactPatch, value: &Json) -> Option<()> {
        match self {
            Self::Text(property) => patch.texts[property as usize] = Some(text_of(value)?),
            Self::Birthday => patch.birthday = Some(text_of(value)?),
            Self::Anniversary => patch.wedding_anniversary = Some(text_of(value)?),
            Self::Favorite => {
                let Json::Bool(truth) = value else { return None };
                patch.is_favorite = Some(Some(*truth));
            }
            Self::Flag => patch.flag = Some(Some(flag_of(value)?)),
            Self::Categories => patch.categories = Some(texts_of(value)?),
            Self::ImAddresses => patch.im_addresses = Some(texts_of(value)?),
            Self::Children => patch.children = Some(texts_of(value)?),
            Self::Emails => patch.emails = Some(entries_of::<Email>(value)?),
            Self::Phones => patch.phones = Some(entries_of::<Phone>(value)?),
            Self::Addresses => patch.addresses = Some(entries_of::<Address>(value)?),
            Self::Websites => patch.websites = Some(entries_of::<Website>(value)?),
        }
        Some(())
    }
}

fn text_of(value: &Json) -> Option<Option<String>> {
    match value {
        Json::Null => Some(None),
        Json::Text(text) => Some(Some(text.clone())),
        _ => None,
    }
}

fn texts_of(value: &Json) -> Option<Vec<String>> {
    let Json::Array(values) = value else { return None };
    values.iter().map(|value| text_of(value).flatten()).collect()
}

fn entry_json<T: Complex>(entry: &T) -> Json {
    let members = T::MEMBERS
        .iter()
        .enumerate()
        .filter_map(|(i, known)| Some((known.json.to_owned(), Json::Text(entry.member(i)?.to_owned()))));
    Json::Object(members.collect())
}

fn entries_json<T: Complex>(entries: &[T]) -> Json {
    Json::Array(entries.iter().map(entry_json).collect())
}

fn entry_of<T: Complex>(value: &Json) -> Option<T> {
    let Json::Object(members) = value else { return None };
    let mut entry = T::default();
    for (i, known) in T::MEMBERS.iter().enumerate() {
        entry.set(i, text(members, known.json).map(str::to_owned));
    }
    Some(entry)
}

fn entries_of<T: Complex>(value: &Json) -> Option<Vec<T>> {
    let Json::Array(values) = value else { return None };
    values.iter().map(entry_of).collect()
}

fn flag_json(flag: &Flag) -> Json {
    let status = flag.status.clone().map_or(Json::Null, Json::Text);
    let times = [("completed", &flag.completed), ("due", &flag.due), ("start", &flag.start)];
    let times = times.map(|(name, time)| (name.to_owned(), entry_json(time)));
    Json::Object([("status".to_owned(), status)].into_iter().chain(times).collect())
}

fn flag_of(value: &Json) -> Option<Flag> {
    let Json::Object(members) = value else { return None };
    let time = |name| member(members, name).map_or(Some(DateTimeTimeZone::default()), entry_of);
    let status = text(members, "status").map(str::to_owned);
    Some(Flag { status, completed: time("completed")?, due: time("due")?, start: time("start")? })
}

/// The entry of a property. `of` is its value in the other members of the Card.
pub(crate) fn prop(own: OwnProperty, of: &Json, value: &Json) -> Json {
    Json::Array(vec![
        Json::Text(own.name()),
        Json::Object(vec![("of".to_owned(), Json::Text(hash(of)))]),
        Json::Text("text".to_owned()),
        Json::Text(value.to_string()),
    ])
}

/// A SHA-256 as base64.
fn hash(value: &Json) -> String {
    BASE64_STANDARD_NO_PAD.encode(Sha256::digest(value.to_string().as_bytes()))
}

/// Maps the entries of `vCardProps`.
pub(super) fn props(draft: &mut Draft, values: &[Json]) {
    let mut patch = draft.patch.clone();
    let said = unset_derived_name(&mut patch).unwrap_or_else(|| ContactPatch::default().into_properties());
    let mut seen = Vec::new();
    for value in values {
        let own = match value {
            Json::Array(parts) => match parts.as_slice() {
                [Json::Text(name), Json::Object(params), _, Json::Text(json)] => OwnProperty::all()
                    .find(|own| own.name() == name.to_ascii_lowercase())
                    .map(|own| (own, params, json)),
                _ => None,
            },
            _ => None,
        };
        let Some((own, params, json)) = own else {
            draft.keep("vCardProps", &value.to_string(), None);
            continue;
        };
        if seen.contains(&own) {
            draft.note("vCardProps", Fate::Ignored("the property has another entry"));
            continue;
        }
        seen.push(own);
        let is_same = text(params, "of") == Some(hash(&own.value(&said)).as_str());
        let json = Json::read_case_sensitive(json.as_bytes()).ok().filter(|_| is_same);
        match json.and_then(|json| own.set(&mut draft.patch, &json)) {
            Some(()) => draft.note("vCardProps", Fate::Mapped),
            None => draft.note("vCardProps", Fate::Ignored("another member of the Card has changed")),
        }
    }
}
