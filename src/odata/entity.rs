//! Reads the small types (folders, categories, users): members of a body, and `$select`.

use crate::domain::error::{Error, Kind};
use crate::domain::plain::shorten;
use crate::json::{Json, is_annotation};

/// The members of a body that must be an object of type `type_name`. Names match in any letter case and are returned in
/// their exact spelling. Annotations (`@odata.type`, `color@odata.type`) are skipped.
///
/// # Errors
/// 400 if it is not an object or has an unknown member.
pub fn members(body: Json, type_name: &str, known: &[&'static str]) -> Result<Vec<(&'static str, Json)>, Error> {
    let Json::Object(members) = body else {
        let message = format!("The body must be a JSON object, a {type_name}, not {}.", body.kind());
        return Err(Error::invalid(Kind::Body, "", message));
    };
    let members = members.into_iter().filter(|(name, _)| !is_annotation(name));
    let unknown = |name: &str| {
        let (name, has) = (shorten(name), known.join(", "));
        let message =
            format!("The property '{name}' does not exist on type 'microsoft.graph.{type_name}'. It has {has}.");
        Error::invalid(Kind::Body, name, message)
    };
    members.map(|(name, value)| Ok((named(&name, known).ok_or_else(|| unknown(&name))?, value))).collect()
}

/// Reads a text of any length, or null.
///
/// # Errors
/// 400 for any other value.
pub fn any_text(place: &str, value: Json) -> Result<Option<String>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Text(text) => Ok(Some(text)),
        other => {
            let message = format!("'{place}' must be a string, not {}.", other.kind());
            Err(Error::invalid(Kind::Body, place, message))
        }
    }
}

/// Reads a text of at most `max` characters, or null.
///
/// # Errors
/// 400 for any other value.
pub fn text(place: &str, value: Json, max: usize) -> Result<Option<String>, Error> {
    let Some(text) = any_text(place, value)? else { return Ok(None) };
    match text.chars().count() {
        count if count > max => {
            let message = format!("'{place}' has {count} characters, more than the {max} allowed.");
            Err(Error::invalid(Kind::Limit, place, message))
        }
        _ => Ok(Some(text)),
    }
}

/// The error for an id or name with invisible characters.
pub fn not_plain(place: &str) -> Error {
    let message = format!(
        "'{place}' must be a string on one line, without control characters or bidirectional formatting characters."
    );
    Error::invalid(Kind::Body, place, message)
}

/// The member of an enumeration, in any letter case.
///
/// # Errors
/// 400 for an unknown member.
pub fn one_of(place: &str, text: &str, members: &[&'static str]) -> Result<&'static str, Error> {
    named(text, members).ok_or_else(|| {
        let message = format!("'{place}' is '{}', which is not one of {}.", shorten(text), members.join(", "));
        Error::invalid(Kind::Body, place, message)
    })
}

/// Reads a `$select`: names in any letter case, or `*`. `None` selects everything.
///
/// # Errors
/// 400 that names the unknown property.
pub fn select(text: &str, type_name: &str, known: &[&'static str]) -> Result<Option<Vec<&'static str>>, Error> {
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name == "*" {
            return Ok(None);
        }
        let known = named(name, known).ok_or_else(|| {
            let name = shorten(name);
            let known = known.join(", ");
            let message = format!(
                "Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'. Known properties: {known}."
            );
            Error::invalid(Kind::Query, "$select", message)
        })?;
        if !names.contains(&known) {
            names.push(known);
        }
    }
    Ok(Some(names))
}

/// The selection in a context: `(id,color)`, or an empty text.
pub fn printed(select: Option<&[&'static str]>) -> String {
    select.map_or(String::new(), |names| format!("({})", names.join(",")))
}

fn named(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known.iter().find(|known| known.eq_ignore_ascii_case(name)).copied()
}
