//! Writes a contact as JSON in either shape.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::contact::Contact;
use crate::graph::json::contact::members::ContactMembers;
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
    /// Selected properties; all if `None`.
    pub select: Option<&'a Selection>,
    /// `@odata.context`, for a single contact.
    pub context: Option<&'a str>,
    /// Prefix of the contexts of expanded properties: the context of the list, without its options.
    pub context_prefix: Option<&'a str>,
    /// Whether to write `@odata.*` members. `Accept: application/json;odata.metadata=none` asks for none.
    pub annotated: bool,
}

impl Serialize for ContactJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { contact, annotated, select, .. } = *self;
        let mut map = ContactMembers { map: serializer.serialize_map(None)?, contact, annotated, select };
        if let Some(context) = self.context {
            map.annotation("@odata.context", context)?;
        }
        map.annotation("@odata.etag", &contact.etag())?;
        match self.shape {
            Shape::Beta => beta::write(&mut map)?,
            Shape::V1 => v1::write(&mut map)?,
        }
        if let Some(expanded) = &contact.expanded {
            let context = self.context_prefix.map(|context_prefix| format!("{context_prefix}('{}')", contact.id));
            extended::write(expanded, &mut map.map, context.as_deref().filter(|_| annotated), annotated)?;
        }
        map.map.end()
    }
}
