//! JSON in the seed's shape -> [`Patch`]. What Graph would refuse and we keep is noted on the way, so that strict
//! handling can refuse all of it at once, each by its path.

use crate::contact::patch::Patch;
use crate::contact::{
    Complex, DateTimeTimeZone, Email, FLAG_STATUS, Flag, MAX_ENTRIES, MAX_FOLDER_ID, MAX_TEXT, Phone, Text, date,
};
use crate::error::{Error, Kind, Problem};
use crate::odata::json::{Json, shorten};
use crate::odata::prefer::Handling;

/// What the body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `changeKey` and `parentFolderId` are honoured in lenient handling and ignored in strict.
    Create,
    /// `changeKey` is ignored, `parentFolderId` moves.
    Update,
}

/// Whether a body is a bare reference: annotations only, `@odata.id` among them. Then the value of that (docs/graph.md,
/// decision 2).
pub fn bare_reference(body: &Json) -> Option<&Json> {
    let Json::Object(members) = body else { return None };
    let bare = members.iter().all(|(name, _)| is_annotation(name));
    let reference = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("@odata.id"));
    reference.filter(|_| bare).map(|(_, value)| value)
}

/// Reads a contact, or the part of one that a PATCH names. Member names match in any letter case; annotations
/// (`@odata.type`, `birthday@odata.type`) and server-owned properties are ignored.
///
/// # Errors
/// [`Error::Invalid`]: the first thing that no handling accepts; in strict handling else all that Graph refuses.
pub fn read(body: Json, handling: Handling, purpose: Purpose) -> Result<Patch, Error> {
    let Json::Object(members) = body else {
        let message = format!("The body must be a JSON object, a contact, not {}.", body.kind());
        return Err(Error::invalid(Kind::Body, "", message));
    };
    let mut reader = Reader { patch: Patch::default(), deviations: Vec::new() };
    for (name, value) in members {
        reader.property(&name, value)?;
    }
    let Reader { mut patch, deviations } = reader;
    let strict = handling == Handling::Strict;
    if strict && !deviations.is_empty() {
        return Err(Error::Invalid(deviations));
    }
    if strict || purpose == Purpose::Update {
        patch.change_key = None;
    }
    if strict && purpose == Purpose::Create {
        patch.parent_folder_id = None;
    }
    Ok(patch)
}

struct Reader {
    patch: Patch,
    /// What Graph refuses and lenient handling keeps.
    deviations: Vec<Problem>,
}

impl Reader {
    fn property(&mut self, name: &str, value: Json) -> Result<(), Error> {
        if is_annotation(name) {
            return Ok(());
        }
        if let Some(property) = Text::ALL.into_iter().find(|text| text.json().eq_ignore_ascii_case(name)) {
            self.patch.texts[property as usize] = Some(text(property.json(), property.max(), value)?);
            return Ok(());
        }
        match name.to_ascii_lowercase().as_str() {
            "id" => drop(text("id", usize::MAX, value)?),
            "createddatetime" => drop(text("createdDateTime", usize::MAX, value)?),
            "lastmodifieddatetime" => drop(text("lastModifiedDateTime", usize::MAX, value)?),
            "changekey" => self.patch.change_key = text("changeKey", MAX_TEXT, value)?,
            "parentfolderid" => {
                let folder = text("parentFolderId", MAX_FOLDER_ID, value)?;
                self.patch.parent_folder_id = folder.filter(|id| !id.is_empty());
            }
            "birthday" => self.patch.birthday = Some(birthday(value)?),
            "weddinganniversary" => self.patch.wedding_anniversary = Some(self.wedding_anniversary(value)?),
            "isfavorite" => self.patch.is_favorite = Some(boolean("isFavorite", value)?),
            "flag" => self.patch.flag = Some(self.flag(value)?),
            "categories" => self.patch.categories = Some(strings("categories", value)?),
            "children" => self.patch.children = Some(strings("children", value)?),
            "imaddresses" => {
                let values = strings("imAddresses", value)?;
                self.at_most(3, values.len(), "imAddresses", "ImAddresses");
                self.patch.im_addresses = Some(values);
            }
            "emailaddresses" => {
                let mut emails: Vec<Email> = self.entries("emailAddresses", value)?;
                self.at_most(3, emails.len(), "emailAddresses", "EmailAddresses");
                for email in &mut emails {
                    // Graph answers the address where no name was given.
                    if email.name.is_none() {
                        email.name.clone_from(&email.address);
                    }
                }
                self.patch.emails = Some(emails);
            }
            "phones" => {
                let phones: Vec<Phone> = self.entries("phones", value)?;
                for (kind, property) in [("business", "BusinessPhones"), ("home", "HomePhones")] {
                    let count = phones.iter().filter(|phone| phone.kind.as_deref() == Some(kind)).count();
                    self.at_most(2, count, "phones", property);
                }
                self.patch.phones = Some(phones);
            }
            "postaladdresses" => self.patch.addresses = Some(self.entries("postalAddresses", value)?),
            "websites" => self.patch.websites = Some(self.entries("websites", value)?),
            other => return Err(unknown(name, "", "contact", counterpart(other))),
        }
        Ok(())
    }

    fn wedding_anniversary(&mut self, value: Json) -> Result<Option<String>, Error> {
        let text = text("weddingAnniversary", MAX_TEXT, value)?;
        if let Some(text) = text.as_deref().filter(|text| date::date(text).is_none()) {
            self.deviations.push(bad_literal("weddingAnniversary", text, "Edm.Date"));
        }
        Ok(text)
    }

    fn flag(&mut self, value: Json) -> Result<Option<Flag>, Error> {
        let Some(members) = object("flag", value)? else { return Ok(None) };
        let mut flag = Flag::default();
        for (name, value) in members {
            match name.to_ascii_lowercase().as_str() {
                "flagstatus" => {
                    let status = text("flag/flagStatus", MAX_TEXT, value)?;
                    flag.status = self.enumeration("flag/flagStatus", FLAG_STATUS, status);
                }
                "completeddatetime" => {
                    flag.completed = self.complex("flag/completedDateTime", value)?.unwrap_or_default();
                }
                "duedatetime" => flag.due = self.complex("flag/dueDateTime", value)?.unwrap_or_default(),
                "startdatetime" => flag.start = self.complex("flag/startDateTime", value)?.unwrap_or_default(),
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
            self.deviations.push(Problem::new(Kind::Body, "flag/dueDateTime", message));
        }
        Ok(Some(flag))
    }

    fn entries<T: Complex>(&mut self, path: &str, value: Json) -> Result<Vec<T>, Error> {
        let mut entries = Vec::new();
        for (i, value) in array(path, value)?.into_iter().enumerate() {
            let path = format!("{path}/{i}");
            let kind = value.kind();
            let entry = self.complex(&path, value)?.ok_or_else(|| wrong_type(&path, "an object", kind))?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// `None` for null.
    fn complex<T: Complex>(&mut self, path: &str, value: Json) -> Result<Option<T>, Error> {
        let Some(members) = object(path, value)? else { return Ok(None) };
        let mut complex = T::default();
        for (name, value) in members {
            if is_annotation(&name) {
                continue;
            }
            let Some(i) = T::MEMBERS.iter().position(|member| member.json.eq_ignore_ascii_case(&name)) else {
                let names: Vec<_> = T::MEMBERS.iter().map(|member| member.json).collect();
                let members = format!("It has {}.", names.join(", "));
                let short = T::TYPE.trim_start_matches("microsoft.graph.");
                return Err(unknown(&name, &format!("{path}/"), short, Some(&members)));
            };
            let member = &T::MEMBERS[i];
            let path = format!("{path}/{}", member.json);
            let value = text(&path, MAX_TEXT, value)?;
            complex
                .set(i, if member.members.is_empty() { value } else { self.enumeration(&path, member.members, value) });
        }
        Ok(Some(complex))
    }

    /// A member of the enumeration in its exact spelling; any other text is kept and noted.
    fn enumeration(&mut self, path: &str, members: &[&str], value: Option<String>) -> Option<String> {
        let value = value?;
        if let Some(member) = members.iter().find(|member| member.eq_ignore_ascii_case(&value)) {
            return Some((*member).to_owned());
        }
        let message = format!("'{path}' is '{}', which is not one of {}.", shorten(&value), members.join(", "));
        self.deviations.push(Problem::new(Kind::Body, path, message));
        Some(value)
    }

    /// Graph's own counts, which are lower than ours.
    fn at_most(&mut self, max: usize, count: usize, path: &str, property: &str) {
        if count > max {
            let message = format!(
                "The multi value property {property} has {count} entries, that exceeds the max allowed value of {max}"
            );
            self.deviations.push(Problem::new(Kind::Limit, path, message));
        }
    }
}

fn is_annotation(name: &str) -> bool {
    name.starts_with('@') || name.to_ascii_lowercase().contains("@odata.")
}

/// Text or null, within its limit.
fn text(path: &str, max: usize, value: Json) -> Result<Option<String>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Text(text) if text.len() > max && text.chars().count() > max => {
            let message = format!("'{path}' has {} characters, more than the {max} allowed.", text.chars().count());
            Err(Error::invalid(Kind::Limit, path, message))
        }
        Json::Text(text) => Ok(Some(text)),
        other => Err(wrong_type(path, "a string or null", other.kind())),
    }
}

fn boolean(path: &str, value: Json) -> Result<Option<bool>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some(value)),
        other => Err(wrong_type(path, "true, false or null", other.kind())),
    }
}

fn object(path: &str, value: Json) -> Result<Option<Vec<(String, Json)>>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Object(members) => Ok(Some(members)),
        other => Err(wrong_type(path, "an object", other.kind())),
    }
}

/// An array within its limit; null is an empty one.
fn array(path: &str, value: Json) -> Result<Vec<Json>, Error> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::Array(values) if values.len() > MAX_ENTRIES => {
            let message = format!("'{path}' has {} entries, more than the {MAX_ENTRIES} allowed.", values.len());
            Err(Error::invalid(Kind::Limit, path, message))
        }
        Json::Array(values) => Ok(values),
        other => Err(wrong_type(path, "an array", other.kind())),
    }
}

fn strings(path: &str, value: Json) -> Result<Vec<String>, Error> {
    let mut strings = Vec::new();
    for (i, value) in array(path, value)?.into_iter().enumerate() {
        let path = format!("{path}/{i}");
        match value {
            Json::Text(_) => strings.extend(text(&path, MAX_TEXT, value)?),
            other => return Err(wrong_type(&path, "a string", other.kind())),
        }
    }
    Ok(strings)
}

/// A DateTimeOffset as written; a date is given the time at which every zone from UTC-11 to UTC+12 has that day.
fn birthday(value: Json) -> Result<Option<String>, Error> {
    let Some(text) = text("birthday", MAX_TEXT, value)? else { return Ok(None) };
    if date::instant(&text).is_some() {
        Ok(Some(text))
    } else if date::date(&text).is_some() {
        Ok(Some(format!("{text}T11:59:00Z")))
    } else {
        Err(Error::Invalid(vec![bad_literal("birthday", &text, "Edm.DateTimeOffset")]))
    }
}

fn bad_literal(path: &str, text: &str, expected: &str) -> Problem {
    let message =
        format!("Cannot convert the literal '{}' of '{path}' to the expected type '{expected}'.", shorten(text));
    Problem::new(Kind::Body, path, message)
}

fn wrong_type(path: &str, expected: &str, found: &str) -> Error {
    Error::invalid(Kind::Body, path, format!("'{path}' must be {expected}, not {found}."))
}

fn unknown(name: &str, parent: &str, type_name: &str, hint: Option<&str>) -> Error {
    let name = shorten(name);
    let message = format!(
        "The property '{name}' does not exist on type 'microsoft.graph.{type_name}'. Make sure to only use property \
         names that are defined by the type or mark the type as open type.{}{}",
        if hint.is_some() { " " } else { "" },
        hint.unwrap_or_default()
    );
    Error::invalid(Kind::Body, format!("{parent}{name}"), message)
}

/// Where a v1.0 property, given in lower case, lives in this shape.
fn counterpart(name: &str) -> Option<&'static str> {
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
        "photo" | "extensions" | "singlevalueextendedproperties" | "multivalueextendedproperties" => {
            "This server does not offer it yet."
        }
        _ => return None,
    })
}
