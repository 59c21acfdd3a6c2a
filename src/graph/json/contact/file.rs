//! Contacts of files in Graph's JSON. `formats/` is below the front ends, so it gets this reader and writer as an
//! implementation of its trait.

use crate::domain::contact::patch::{ContactAdditions, ContactPatch};
use crate::domain::contact::{Address, Complex, Contact, Email, FLAG_MEMBERS, MAX_ENTRIES, Phone, Website};
use crate::domain::error::{Error, Kind};
use crate::formats::json::graph::{GraphContact, GraphJson};
use crate::graph::json::contact::read;
use crate::graph::json::contact::reader::ContactReader;
use crate::graph::json::contact::write::ContactJson;
use crate::json::{Json, is_annotation};
use crate::odata::shape::Shape;
use crate::vcard::record::{Fate, Refusal, SAYS_NOTHING};

/// Reads both shapes, and writes the older beta shape, which has every property.
#[derive(Debug, Clone, Copy)]
pub struct GraphFile;

impl GraphJson for GraphFile {
    fn read(&self, members: Vec<(String, Json)>) -> Result<GraphContact, Refusal> {
        if members.iter().any(|(name, _)| name.eq_ignore_ascii_case("@removed")) {
            let detail = Some("The entry removes a contact. An import never removes contacts.".to_owned());
            return Err(Refusal { reason: "removed", detail });
        }
        let mut contact = GraphContact::default();
        let mut reader = ContactReader {
            patch: ContactPatch::default(),
            added: ContactAdditions::default(),
            deviations: Vec::new(),
        };
        for (name, value) in members {
            read_member(&mut reader, &mut contact, name, value)?;
        }
        let ContactReader { mut patch, added, .. } = reader;
        convert_phone_slots(&mut patch);
        contact.patch = patch;
        contact.patch.added = Some(Box::new(added)).filter(|added| **added != ContactAdditions::default());
        Ok(contact)
    }

    fn write(&self, contact: &Contact) -> String {
        let json = ContactJson {
            contact,
            shape: Shape::Beta,
            select: None,
            context: None,
            context_prefix: None,
            annotated: false,
        };
        // Serializing to memory cannot fail: every key is a text.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

/// Turns the phones of the v1.0 shape into entries. The order of the members has no meaning in that shape.
fn convert_phone_slots(patch: &mut ContactPatch) {
    let Some(slots) = patch.slots.as_mut().filter(|_| patch.phones.is_none()) else { return };
    let mobile = slots.mobile_phone.take().flatten();
    let numbers = [
        ("home", slots.home_phones.take().unwrap_or_default()),
        ("business", slots.business_phones.take().unwrap_or_default()),
        ("mobile", mobile.into_iter().collect()),
    ];
    let phone = |kind: &str, number| Phone { kind: Some(kind.to_owned()), number: Some(number) };
    let phones =
        numbers.into_iter().flat_map(|(kind, numbers)| numbers.into_iter().map(move |number| phone(kind, number)));
    patch.phones = Some(phones.collect());
}

fn read_member(
    reader: &mut ContactReader,
    contact: &mut GraphContact,
    name: String,
    value: Json,
) -> Result<(), Refusal> {
    let lower = name.to_ascii_lowercase();
    let is_ignored = is_annotation(&name)
        || matches!(
            lower.as_str(),
            "createddatetime" | "lastmodifieddatetime" | "deleteddatetime" | "changekey" | "parentfolderid"
        );
    if is_ignored {
        contact.members.push((name, Fate::Ignored(SAYS_NOTHING), None));
        return Ok(());
    }
    match (lower.as_str(), &value) {
        (_, Json::Null) => return Ok(()),
        ("id", Json::Text(id)) => {
            contact.id = Some(id.clone());
            contact.members.push((name, Fate::Mapped, None));
            return Ok(());
        }
        _ => {}
    }
    let whole = value.to_string();
    let mut value = value;
    let partial = strip(&lower, &mut value);
    let (fate, original) = match read::property_of_any_shape(reader, &name, value) {
        Ok(true) if partial => (Fate::Partial, Some(whole)),
        Ok(true) => (Fate::Mapped, None),
        Ok(false) => (Fate::Aside(None), Some(whole)),
        Err(error) => (Fate::Aside(Some(reason(&error)?)), Some(whole)),
    };
    contact.members.push((name, fate, original));
    Ok(())
}

/// Why a value is kept aside.
///
/// # Errors
/// The refusal of the record, if the value is of a wrong type.
fn reason(error: &Error) -> Result<&'static str, Refusal> {
    if let Error::Invalid(problems) = error
        && let Some(first) = problems.first()
    {
        if first.kind == Kind::Limit {
            return Ok(if first.message.contains("entries") { "too many" } else { "too long" });
        }
        if first.target == "birthday" && first.message.starts_with("Cannot convert") {
            return Ok("no date");
        }
    }
    Err(Refusal { reason: "wrong type", detail: Some(error.to_string()) })
}

/// Removes what a contact cannot hold: unknown members of entries, and entries above the limit. Returns whether
/// anything was removed.
fn strip(name: &str, value: &mut Json) -> bool {
    fn member_names<T: Complex>() -> Vec<&'static str> {
        T::MEMBERS.iter().map(|member| member.json).collect()
    }
    let mut stripped = false;
    if let Json::Array(entries) = value
        && entries.len() > MAX_ENTRIES
    {
        entries.truncate(MAX_ENTRIES);
        stripped = true;
    }
    let known = match name {
        "emailaddresses" | "primaryemailaddress" | "secondaryemailaddress" | "tertiaryemailaddress" => {
            member_names::<Email>()
        }
        "phones" => member_names::<Phone>(),
        "postaladdresses" => member_names::<Address>(),
        "websites" => member_names::<Website>(),
        "homeaddress" | "businessaddress" | "otheraddress" => {
            vec!["street", "city", "state", "countryOrRegion", "postalCode"]
        }
        "flag" => FLAG_MEMBERS.to_vec(),
        _ => return stripped,
    };
    let entries = match value {
        Json::Array(entries) => entries.iter_mut().collect(),
        other => vec![other],
    };
    for entry in entries {
        if let Json::Object(members) = entry {
            let before = members.len();
            members
                .retain(|(name, _)| is_annotation(name) || known.iter().any(|known| known.eq_ignore_ascii_case(name)));
            stripped |= members.len() < before;
        }
    }
    stripped
}
