//! A stored contact -> JSON, in either shape: what both have in common, and which properties are wanted at all.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::domain::contact::{Complex, Contact, Text};
use crate::graph::json::contact::select::Selection;
use crate::graph::json::contact::{beta, v1};
use crate::graph::json::extended;
use crate::odata::shape::Shape;

/// A contact to be written.
pub struct ContactJson<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// In which shape.
    pub shape: Shape,
    /// Which of its properties; all without it.
    pub select: Option<&'a Selection>,
    /// `@odata.context`, for a contact that stands alone.
    pub context: Option<&'a str>,
    /// What the contexts of what is expanded begin with: that of the list without its options.
    pub within: Option<&'a str>,
    /// Whether `@odata.*` members are wanted (`Accept: application/json;odata.metadata=none` wants none).
    pub annotated: bool,
}

impl Serialize for ContactJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { contact, annotated, select, .. } = *self;
        let mut map = Members { map: serializer.serialize_map(None)?, contact, annotated, select };
        if let Some(context) = self.context {
            map.annotation("@odata.context", context)?;
        }
        map.annotation("@odata.etag", &contact.etag())?;
        match self.shape {
            Shape::Beta => beta::write(&mut map)?,
            Shape::V1 => v1::write(&mut map)?,
        }
        if let Some(expanded) = &contact.expanded {
            let context = self.within.map(|within| format!("{within}('{}')", contact.id));
            extended::write(expanded, &mut map.map, context.as_deref().filter(|_| annotated), annotated)?;
        }
        map.map.end()
    }
}

/// The members of a contact that is being written.
pub(crate) struct Members<'a, M> {
    map: M,
    pub(crate) contact: &'a Contact,
    pub(crate) annotated: bool,
    select: Option<&'a Selection>,
}

impl<'a, M: SerializeMap> Members<'a, M> {
    pub(crate) fn annotation(&mut self, name: &'static str, value: &str) -> Result<(), M::Error> {
        if self.annotated { self.map.serialize_entry(name, value) } else { Ok(()) }
    }

    /// A property, if it is wanted.
    pub(crate) fn entry<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        if self.select.is_none_or(|select| select.only(name).is_some()) {
            self.map.serialize_entry(name, value)
        } else {
            Ok(())
        }
    }

    /// A property with members of its own, of which not all may be wanted.
    pub(crate) fn nested<T: Serialize>(
        &mut self,
        name: &'static str,
        value: impl FnOnce(Only<'a>) -> T,
    ) -> Result<(), M::Error> {
        let only = match self.select {
            None => Some(Only::all()),
            Some(select) => select.only(name),
        };
        only.map_or(Ok(()), |only| self.map.serialize_entry(name, &value(only)))
    }

    pub(crate) fn change_key(&mut self) -> Result<(), M::Error> {
        match &self.contact.sent_change_key {
            Some(key) => self.entry("changeKey", key),
            None => self.entry("changeKey", &self.contact.version_token()),
        }
    }

    pub(crate) fn texts(&mut self, texts: &[Text]) -> Result<(), M::Error> {
        let p = &self.contact.properties;
        texts.iter().try_for_each(|text| self.entry(text.json(), &p.text(*text).or(text.unset())))
    }
}

/// Which members of a nested object are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Only<'a>(Option<&'a [&'static str]>);

impl<'a> Only<'a> {
    pub(crate) fn all() -> Self {
        Self(None)
    }

    pub(crate) fn of(names: &'a [&'static str]) -> Self {
        Self(Some(names))
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.is_none_or(|names| names.contains(&name))
    }
}

pub(crate) struct Entries<'a, T> {
    pub(crate) of: &'a [T],
    pub(crate) annotated: bool,
    pub(crate) only: Only<'a>,
}

impl<T: Complex> Serialize for Entries<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.of.len()))?;
        for entry in self.of {
            seq.serialize_element(&Entry { of: entry, annotated: self.annotated, only: self.only })?;
        }
        seq.end()
    }
}

/// Null members are left out.
pub(crate) struct Entry<'a, T> {
    pub(crate) of: &'a T,
    pub(crate) annotated: bool,
    pub(crate) only: Only<'a>,
}

impl<T: Complex> Serialize for Entry<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            map.serialize_entry("@odata.type", T::TYPE)?;
        }
        for (i, member) in T::MEMBERS.iter().enumerate() {
            if let Some(value) = self.of.member(i).filter(|_| self.only.has(member.json)) {
                map.serialize_entry(member.json, value)?;
            }
        }
        map.end()
    }
}
