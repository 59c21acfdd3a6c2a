//! Reads the values of a contact that both shapes share.

use crate::domain::contact::patch::{ContactAdditions, ContactPatch};
use crate::domain::contact::{Complex, MAX_ENTRIES, MAX_TEXT, Member};
use crate::domain::error::{Error, Kind, Problem};
use crate::domain::plain::shorten;
use crate::json::{Json, is_annotation};

/// The properties read so far.
pub(crate) struct ContactReader {
    pub(crate) patch: ContactPatch,
    pub(crate) added: ContactAdditions,
    /// Input that Graph would refuse and lenient handling accepts.
    pub(crate) deviations: Vec<Problem>,
}

impl ContactReader {
    /// Reads the entries of a collection, with all stored members.
    pub(crate) fn entries<T: Complex>(&mut self, path: &str, value: Json) -> Result<Vec<T>, Error> {
        self.entries_of(path, &all_members::<T>(), value)
    }

    /// Reads the entries of a collection, with these members.
    pub(crate) fn entries_of<T: Complex>(&mut self, path: &str, names: &[&str], value: Json) -> Result<Vec<T>, Error> {
        let mut entries = Vec::new();
        for (i, value) in array(path, value)?.into_iter().enumerate() {
            let path = format!("{path}/{i}");
            let kind = value.kind();
            let entry = self.complex_of(&path, names, value)?.ok_or_else(|| wrong_type(&path, "an object", kind))?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Reads an object with all stored members; `None` for null.
    pub(crate) fn complex<T: Complex>(&mut self, path: &str, value: Json) -> Result<Option<T>, Error> {
        self.complex_of(path, &all_members::<T>(), value)
    }

    /// Reads an object with these members; `None` for null.
    pub(crate) fn complex_of<T: Complex>(
        &mut self,
        path: &str,
        names: &[&str],
        value: Json,
    ) -> Result<Option<T>, Error> {
        let Some(members) = object(path, value)? else { return Ok(None) };
        let mut complex = T::default();
        for (name, value) in members {
            if is_annotation(&name) {
                continue;
            }
            let is_member = |member: &Member| member.json.eq_ignore_ascii_case(&name) && names.contains(&member.json);
            let Some(i) = T::MEMBERS.iter().position(is_member) else {
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

    /// The enumeration's member in its exact spelling. Any other text is kept and noted as a deviation.
    pub(crate) fn enumeration(&mut self, path: &str, members: &[&str], value: Option<String>) -> Option<String> {
        let value = value?;
        if let Some(member) = members.iter().find(|member| member.eq_ignore_ascii_case(&value)) {
            return Some((*member).to_owned());
        }
        let message = format!("'{path}' is '{}', which is not one of {}.", shorten(&value), members.join(", "));
        self.deviations.push(Problem::new(Kind::Body, path, message));
        Some(value)
    }

    /// Notes a deviation if there are more entries than Graph allows. The server's own limits are higher.
    pub(crate) fn at_most(&mut self, max: usize, count: usize, path: &str, property: &str) {
        if count > max {
            let message = format!(
                "The multi value property {property} has {count} entries, that exceeds the max allowed value of {max}"
            );
            self.deviations.push(Problem::new(Kind::Limit, path, message));
        }
    }
}

fn all_members<T: Complex>() -> Vec<&'static str> {
    T::MEMBERS.iter().map(|member| member.json).collect()
}

/// Reads a text or null, and checks its length.
pub(crate) fn text(path: &str, max: usize, value: Json) -> Result<Option<String>, Error> {
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

pub(crate) fn boolean(path: &str, value: Json) -> Result<Option<bool>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some(value)),
        other => Err(wrong_type(path, "true, false or null", other.kind())),
    }
}

pub(crate) fn object(path: &str, value: Json) -> Result<Option<Vec<(String, Json)>>, Error> {
    match value {
        Json::Null => Ok(None),
        Json::Object(members) => Ok(Some(members)),
        other => Err(wrong_type(path, "an object", other.kind())),
    }
}

/// Reads an array and checks its length; null is an empty one.
pub(crate) fn array(path: &str, value: Json) -> Result<Vec<Json>, Error> {
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

pub(crate) fn strings(path: &str, value: Json) -> Result<Vec<String>, Error> {
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

/// The accepted form of a date, for messages.
pub(crate) const DATE: &str = "a date like 1980-05-31 (YYYY-MM-DD)";

pub(crate) fn bad_literal(path: &str, text: &str, expected: &str, accepted: &str) -> Problem {
    let text = shorten(text);
    let message =
        format!("Cannot convert the literal '{text}' of '{path}' to the expected type '{expected}': send {accepted}.");
    Problem::new(Kind::Body, path, message)
}

pub(crate) fn wrong_type(path: &str, expected: &str, found: &str) -> Error {
    Error::invalid(Kind::Body, path, format!("'{path}' must be {expected}, not {found}."))
}

pub(crate) fn unknown(name: &str, parent: &str, type_name: &str, hint: Option<&str>) -> Error {
    let name = shorten(name);
    let message = format!(
        "The property '{name}' does not exist on type 'microsoft.graph.{type_name}'. Make sure to only use property \
         names that are defined by the type or mark the type as open type.{}{}",
        if hint.is_some() { " " } else { "" },
        hint.unwrap_or_default()
    );
    Error::invalid(Kind::Body, format!("{parent}{name}"), message)
}
