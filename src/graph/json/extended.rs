//! JSON of extended properties, and of expanded properties of a contact.

use serde::ser::{Serialize, SerializeMap, SerializeSeq as _, Serializer};

use crate::domain::contact::expand::{Expand, Expanded};
use crate::domain::error::{Error, Kind, Problem};
use crate::domain::extended::{
    ExtendedChanges, ExtendedProperty, ExtendedValue, MAX_BYTES, MAX_PROPERTIES, MULTI, MultiValue, PropertyId, SINGLE,
    SingleValue,
};
use crate::domain::extension::Extension;
use crate::domain::plain::shorten;
use crate::graph::json::contact::reader::wrong_type;
use crate::graph::json::extension::ExtensionJson;
use crate::json::{Json, is_annotation};

/// A value that is read from JSON.
pub(crate) trait ReadValue: ExtendedValue {
    /// Reads it; `None` for null.
    ///
    /// # Errors
    /// 400 for a value of another type.
    fn read(place: &str, value: Json) -> Result<Option<Self>, Error>;
}

impl ReadValue for SingleValue {
    fn read(place: &str, value: Json) -> Result<Option<Self>, Error> {
        match value {
            Json::Null => Ok(None),
            Json::Text(text) => Ok(Some([text])),
            other => Err(wrong_type(place, "a string or null", other.kind())),
        }
    }
}

impl ReadValue for MultiValue {
    fn read(place: &str, value: Json) -> Result<Option<Self>, Error> {
        let values = match value {
            Json::Null => return Ok(None),
            Json::Array(values) => values,
            other => return Err(wrong_type(place, "an array of strings or null", other.kind())),
        };
        if values.len() > MAX_PROPERTIES {
            let message = format!("'{place}' has {} entries, more than the {MAX_PROPERTIES} allowed.", values.len());
            return Err(Error::invalid(Kind::Limit, place, message));
        }
        let text = |(i, value): (usize, Json)| match value {
            Json::Text(text) => Ok(text),
            other => Err(wrong_type(&format!("{place}/{i}"), "a string", other.kind())),
        };
        values.into_iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }
}

/// Reads the properties of one kind. What Graph would refuse and lenient handling accepts is added to `deviations`.
///
/// # Errors
/// 400 if it is not such a list, an id is invalid or repeated, or a limit is exceeded.
pub(crate) fn read<V: ReadValue>(value: Json, deviations: &mut Vec<Problem>) -> Result<ExtendedChanges<V>, Error> {
    let entries = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(entries) => entries,
        other => return Err(wrong_type(V::OF, "an array", other.kind())),
    };
    if entries.len() > MAX_PROPERTIES {
        let message = format!("'{}' has {} entries, more than the {MAX_PROPERTIES} allowed.", V::OF, entries.len());
        return Err(Error::invalid(Kind::Limit, V::OF, message));
    }
    let mut changes = ExtendedChanges::<V>::with_capacity(entries.len());
    let mut size = 0;
    for (i, entry) in entries.into_iter().enumerate() {
        let place = format!("{}/{i}", V::OF);
        let (id, value) = read_entry::<V>(&place, entry)?;
        if changes.iter().any(|(known, _)| known.key == id.key) {
            let message = format!("'{place}/id' repeats the id '{}'.", shorten(&id.text));
            return Err(Error::invalid(Kind::Body, format!("{place}/id"), message));
        }
        size += id.text.len();
        for (j, text) in value.iter().flat_map(|value| value.texts().iter().enumerate()) {
            size += text.len();
            if !id.fits(text) {
                let target = if V::IS_LIST { format!("{place}/value/{j}") } else { format!("{place}/value") };
                let message = format!(
                    "Cannot convert the literal '{}' of '{target}' to '{}': send {}.",
                    shorten(text),
                    id.value_type,
                    id.accepted_values()
                );
                deviations.push(Problem::new(Kind::Body, target, message));
            }
        }
        changes.push((id, value));
    }
    if size > MAX_BYTES {
        let message = format!("'{}' has more than the {MAX_BYTES} bytes of ids and values allowed.", V::OF);
        return Err(Error::invalid(Kind::Limit, V::OF, message));
    }
    Ok(changes)
}

fn read_entry<V: ReadValue>(place: &str, entry: Json) -> Result<(PropertyId, Option<V>), Error> {
    let Json::Object(members) = entry else { return Err(wrong_type(place, "an object", entry.kind())) };
    let (mut id, mut value) = (None, None);
    for (name, member) in members {
        match name.to_ascii_lowercase().as_str() {
            "id" => match member {
                Json::Text(text) => {
                    let refused = |why| Error::invalid(Kind::Body, format!("{place}/id"), format!("{why}."));
                    id = Some(PropertyId::parse::<V>(&text).map_err(refused)?);
                }
                other => return Err(wrong_type(&format!("{place}/id"), "a string", other.kind())),
            },
            "value" => value = Some(V::read(&format!("{place}/value"), member)?),
            _ if is_annotation(&name) => {}
            _ => {
                let name = shorten(&name);
                let message = format!("The property '{name}' does not exist at '{place}'. It has id and value.");
                return Err(Error::invalid(Kind::Body, format!("{place}/{name}"), message));
            }
        }
    }
    let missing = |name: &str| {
        Error::invalid(
            Kind::Body,
            format!("{place}/{name}"),
            format!("'{place}/{name}' is missing: each entry has id and value."),
        )
    };
    Ok((id.ok_or_else(|| missing("id"))?, value.ok_or_else(|| missing("value"))?))
}

impl<V: ExtendedValue> Serialize for ExtendedProperty<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", &self.id)?;
        match self.value.texts() {
            [text] if !V::IS_LIST => map.serialize_entry("value", text)?,
            texts => map.serialize_entry("value", texts)?,
        }
        map.end()
    }
}

/// The names of the requested expansions, as in a context: `extensions()`.
pub(crate) fn expand_names(expand: &Expand) -> Vec<String> {
    names([expand.extensions.is_some(), expand.single.is_some(), expand.multi.is_some()])
}

/// The names of the shown expansions, in the form of [`expand_names`].
pub(crate) fn expanded_names(expanded: &Expanded) -> Vec<String> {
    names([expanded.extensions.is_some(), expanded.single.is_some(), expanded.multi.is_some()])
}

fn names(shown: [bool; 3]) -> Vec<String> {
    let named = ["extensions", SINGLE, MULTI].into_iter().zip(shown);
    named.filter(|(_, shown)| *shown).map(|(name, _)| format!("{name}()")).collect()
}

/// Writes the extensions and extended properties of a contact as members of `map`. `context` is the context of the
/// contact, or `None` to write none.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn write<M: SerializeMap>(
    expanded: &Expanded,
    map: &mut M,
    context: Option<&str>,
    annotated: bool,
) -> Result<(), M::Error> {
    let write_context = |map: &mut M, name: &str| match context {
        Some(context) => map.serialize_entry(&format!("{name}@odata.context"), &format!("{context}/{name}")),
        None => Ok(()),
    };
    if let Some(extensions) = &expanded.extensions {
        write_context(map, "extensions")?;
        map.serialize_entry("extensions", &Extensions { extensions, annotated })?;
    }
    if let Some(properties) = &expanded.single {
        write_context(map, SINGLE)?;
        map.serialize_entry(SINGLE, properties)?;
    }
    if let Some(properties) = &expanded.multi {
        write_context(map, MULTI)?;
        map.serialize_entry(MULTI, properties)?;
    }
    Ok(())
}

struct Extensions<'a> {
    extensions: &'a [Extension],
    annotated: bool,
}

impl Serialize for Extensions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.extensions.len()))?;
        for extension in self.extensions {
            seq.serialize_element(&ExtensionJson { extension, context: None, annotated: self.annotated })?;
        }
        seq.end()
    }
}
