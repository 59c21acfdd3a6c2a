//! Reads properties that only the v1.0 shape has.

use crate::domain::contact::slots::{ADDRESS_KINDS, Slots};
use crate::domain::contact::{Address, Email, MAX_TEXT};
use crate::domain::error::Error;
use crate::graph::json::contact::reader::{ContactReader, strings, text};
use crate::json::Json;

/// Reads a property, given its name in lower case. Returns whether it exists.
pub(crate) fn property(reader: &mut ContactReader, name: &str, value: Json) -> Result<bool, Error> {
    match name {
        "businessphones" => {
            let numbers = phones(reader, "businessPhones", "BusinessPhones", value)?;
            slots(reader).business_phones = Some(numbers);
        }
        "homephones" => {
            let numbers = phones(reader, "homePhones", "HomePhones", value)?;
            slots(reader).home_phones = Some(numbers);
        }
        "mobilephone" => slots(reader).mobile_phone = Some(text("mobilePhone", MAX_TEXT, value)?),
        "businesshomepage" => slots(reader).business_home_page = Some(text("businessHomePage", MAX_TEXT, value)?),
        "emailaddresses" => {
            let mut emails: Vec<Email> = reader.entries_of("emailAddresses", EMAIL, value)?;
            reader.at_most(3, emails.len(), "emailAddresses", "EmailAddresses");
            emails.iter_mut().for_each(Email::name_by_address);
            slots(reader).emails = Some(emails);
        }
        _ => {
            let ranks = ["primaryEmailAddress", "secondaryEmailAddress", "tertiaryEmailAddress"];
            if let Some(rank) = ranks.iter().position(|known| known.eq_ignore_ascii_case(name)) {
                let mut email: Option<Email> = reader.complex_of(ranks[rank], EMAIL, value)?;
                email.iter_mut().for_each(Email::name_by_address);
                // An empty address counts as none.
                slots(reader).ranked_emails[rank] = Some(email.filter(|email| *email != Email::default()));
                return Ok(true);
            }
            let addresses = ["homeAddress", "businessAddress", "otherAddress"];
            let Some(index) = addresses.iter().position(|known| known.eq_ignore_ascii_case(name)) else {
                return Ok(false);
            };
            debug_assert!(addresses[index].starts_with(ADDRESS_KINDS[index]));
            let address: Option<Address> = reader.complex_of(addresses[index], ADDRESS, value)?;
            slots(reader).addresses[index] = Some(address);
        }
    }
    Ok(true)
}

fn slots(reader: &mut ContactReader) -> &mut Slots {
    reader.patch.slots.get_or_insert_default()
}

/// The members that v1.0 shows of these types.
const EMAIL: &[&str] = &["name", "address"];
const ADDRESS: &[&str] = &["street", "city", "state", "countryOrRegion", "postalCode"];

fn phones(reader: &mut ContactReader, path: &'static str, property: &str, value: Json) -> Result<Vec<String>, Error> {
    let numbers = strings(path, value)?;
    reader.at_most(2, numbers.len(), path, property);
    Ok(numbers)
}

/// Hint for a property of the older beta shape (in lower case) that has another form in this shape.
pub(crate) fn other_shape_hint(name: &str) -> Option<&'static str> {
    Some(match name {
        "phones" => "Here phones are in 'homePhones', 'businessPhones' and 'mobilePhone'; other types in /beta only.",
        "postaladdresses" => "Here addresses are in 'homeAddress', 'businessAddress' and 'otherAddress'.",
        "websites" => "Here the website of type 'work' is 'businessHomePage'; others are in /beta only.",
        "weddinganniversary" | "gender" | "isfavorite" | "flag" => "It exists in /beta only.",
        _ => return None,
    })
}
