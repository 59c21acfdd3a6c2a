//! What can be shown with a contact besides its own properties.

use serde::ser::{Serialize, SerializeMap, SerializeSeq as _, Serializer};

use crate::domain::contact::Properties;
use crate::domain::contact::tags::View;
use crate::domain::extended::{MULTI, MultiValue, Property, PropertyId, SINGLE, SingleValue};
use crate::domain::extension::{self, Extension};

/// Which of the things of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// All of them.
    All,
    /// Those with these: names of extensions, keys of properties.
    These(Vec<String>),
}

/// A view on the contact that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The id, as the client writes it and is answered.
    pub id: PropertyId,
    /// What it is a view on.
    pub view: View,
}

impl Asked {
    /// It as a property of the contact, if that has a value.
    pub fn of(&self, properties: &Properties) -> Option<Property<SingleValue>> {
        let value = self.view.read(properties)?.to_owned();
        Some(Property { id: self.id.text.clone(), key: self.id.key.clone(), value: [value] })
    }
}

/// What is to be shown with a contact, or with a folder, which has no extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expand {
    pub extensions: Option<Ids>,
    pub single: Option<Ids>,
    pub multi: Option<Ids>,
    /// Views on the contact among the single values, as they were asked for.
    pub views: Vec<Asked>,
}

impl Expand {
    /// Whether that is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names, as they stand in a context: `extensions()`.
    pub fn names(&self) -> Vec<String> {
        names([self.extensions.is_some(), self.single.is_some(), self.multi.is_some()])
    }
}

fn names(shown: [bool; 3]) -> Vec<String> {
    let named = ["extensions", SINGLE, MULTI].into_iter().zip(shown);
    named.filter(|(_, shown)| *shown).map(|(name, _)| format!("{name}()")).collect()
}

/// What is shown with a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the property of its name")]
pub struct Expanded {
    pub extensions: Option<Vec<Extension>>,
    pub single: Option<Vec<Property<SingleValue>>>,
    pub multi: Option<Vec<Property<MultiValue>>>,
}

impl Expanded {
    /// As [`Expand::names`].
    pub fn names(&self) -> Vec<String> {
        names([self.extensions.is_some(), self.single.is_some(), self.multi.is_some()])
    }

    /// Writes each as a member of `map`. `context` is that of the contact itself, where contexts are wanted.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn write<M: SerializeMap>(&self, map: &mut M, context: Option<&str>, annotated: bool) -> Result<(), M::Error> {
        let named = |map: &mut M, name: &str| match context {
            Some(context) => map.serialize_entry(&format!("{name}@odata.context"), &format!("{context}/{name}")),
            None => Ok(()),
        };
        if let Some(extensions) = &self.extensions {
            named(map, "extensions")?;
            map.serialize_entry("extensions", &Extensions { extensions, annotated })?;
        }
        if let Some(properties) = &self.single {
            named(map, SINGLE)?;
            map.serialize_entry(SINGLE, properties)?;
        }
        if let Some(properties) = &self.multi {
            named(map, MULTI)?;
            map.serialize_entry(MULTI, properties)?;
        }
        Ok(())
    }
}

struct Extensions<'a> {
    extensions: &'a [Extension],
    annotated: bool,
}

impl Serialize for Extensions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.extensions.len()))?;
        for extension in self.extensions {
            seq.serialize_element(&extension::Shown { extension, context: None, annotated: self.annotated })?;
        }
        seq.end()
    }
}
