//! Reads properties that only the older beta shape has.

use crate::domain::contact::{DateTimeTimeZone, Email, FLAG_STATUS, Flag, MAX_TEXT, Phone};
use crate::domain::date;
use crate::domain::error::{Error, Kind, Problem};
use crate::graph::json::contact::reader::{ContactReader, DATE, bad_literal, boolean, object, text, unknown};
use crate::json::{Json, is_annotation};

/// Reads a property, given its name in lower case. Returns whether it exists.
pub(crate) fn property(reader: &mut ContactReader, name: &str, value: Json) -> Result<bool, Error> {
    match name {
        "weddinganniversary" => reader.patch.wedding_anniversary = Some(wedding_anniversary(reader, value)?),
        "isfavorite" => reader.patch.is_favorite = Some(boolean("isFavorite", value)?),
        "flag" => reader.patch.flag = Some(flag(reader, value)?),
        "emailaddresses" => {
            let mut emails: Vec<Email> = reader.entries("emailAddresses", value)?;
            reader.at_most(3, emails.len(), "emailAddresses", "EmailAddresses");
            emails.iter_mut().for_each(Email::name_by_address);
            reader.patch.emails = Some(emails);
        }
        "phones" => {
            let phones: Vec<Phone> = reader.entries("phones", value)?;
            for (kind, property) in [("business", "BusinessPhones"), ("home", "HomePhones")] {
                let count = phones.iter().filter(|phone| phone.kind.as_deref() == Some(kind)).count();
                reader.at_most(2, count, "phones", property);
            }
            reader.patch.phones = Some(phones);
        }
        "postaladdresses" => reader.patch.addresses = Some(reader.entries("postalAddresses", value)?),
        "websites" => reader.patch.websites = Some(reader.entries("websites", value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn wedding_anniversary(reader: &mut ContactReader, value: Json) -> Result<Option<String>, Error> {
    let text = text("weddingAnniversary", MAX_TEXT, value)?;
    if let Some(text) = text.as_deref().filter(|text| date::date(text).is_none()) {
        reader.deviations.push(bad_literal("weddingAnniversary", text, "Edm.Date", DATE));
    }
    Ok(text)
}

fn flag(reader: &mut ContactReader, value: Json) -> Result<Option<Flag>, Error> {
    let Some(members) = object("flag", value)? else { return Ok(None) };
    let mut flag = Flag::default();
    for (name, value) in members {
        match name.to_ascii_lowercase().as_str() {
            "flagstatus" => {
                let status = text("flag/flagStatus", MAX_TEXT, value)?;
                flag.status = reader.enumeration("flag/flagStatus", FLAG_STATUS, status);
            }
            "completeddatetime" => {
                flag.completed = reader.complex("flag/completedDateTime", value)?.unwrap_or_default();
            }
            "duedatetime" => flag.due = reader.complex("flag/dueDateTime", value)?.unwrap_or_default(),
            "startdatetime" => flag.start = reader.complex("flag/startDateTime", value)?.unwrap_or_default(),
            _ if is_annotation(&name) => {}
            _ => {
                let members = "It has flagStatus, startDateTime, dueDateTime and completedDateTime.";
                return Err(unknown(&name, "flag/", "followupFlag", Some(members)));
            }
        }
    }
    let unset = DateTimeTimeZone::default();
    if flag.due != unset && flag.start == unset {
        let message = "flag/dueDateTime needs flag/startDateTime.";
        reader.deviations.push(Problem::new(Kind::Body, "flag/dueDateTime", message));
    }
    Ok(Some(flag))
}

/// Hint for a v1.0 property (in lower case) that has another form in this shape.
pub(crate) fn other_shape_hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "businessphones" => "Here it is an entry of 'phones' with type 'business'.",
        "homephones" => "Here it is an entry of 'phones' with type 'home'.",
        "mobilephone" => "Here it is an entry of 'phones' with type 'mobile'.",
        "businessaddress" => "Here it is an entry of 'postalAddresses' with type 'business'.",
        "homeaddress" => "Here it is an entry of 'postalAddresses' with type 'home'.",
        "otheraddress" => "Here it is an entry of 'postalAddresses' with type 'other'.",
        "businesshomepage" => "Here it is an entry of 'websites' with type 'work'.",
        "primaryemailaddress" | "secondaryemailaddress" | "tertiaryemailaddress" => {
            "Here it is an entry of 'emailAddresses'."
        }
        _ => return None,
    })
}
