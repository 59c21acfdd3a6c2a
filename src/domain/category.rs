//! The category: a name that a mailbox gives a colour. As stored, as JSON, and what a request says of it. A contact's own
//! categories are plain names, which need not be among these. No I/O, no clock.

use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use crate::domain::error::{Error, Kind};
use crate::domain::etag;
use crate::domain::plain;
use crate::odata::entity;
use crate::odata::json::Json;

/// Longest display name, in characters.
pub const MAX_NAME: usize = 255;

/// The colours; the first is that of a category without one. Clients know them by number and choose the shade.
pub const COLORS: [&str; 26] = [
    "none", "preset0", "preset1", "preset2", "preset3", "preset4", "preset5", "preset6", "preset7", "preset8",
    "preset9", "preset10", "preset11", "preset12", "preset13", "preset14", "preset15", "preset16", "preset17",
    "preset18", "preset19", "preset20", "preset21", "preset22", "preset23", "preset24",
];

/// The names that `$select` and bodies know.
pub const PROPERTIES: [&str; 3] = ["id", "displayName", "color"];

/// A category as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Later than those of all categories made before it.
    pub id: Uuid,
    /// As written; unlike all others of the mailbox in any letter case.
    pub display_name: String,
    /// One of [`COLORS`].
    pub color: String,
    /// The number of its last change in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Category {
    /// Names this state of the category, as [`crate::domain::contact::Contact::version_token`] does of a contact.
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }
}

/// A category to be written.
pub struct Shown<'a> {
    /// The category.
    pub category: &'a Category,
    /// Which of its properties; all without it. `id` always comes.
    pub select: Option<&'a [&'static str]>,
    /// `@odata.context`, for a category that stands alone.
    pub context: Option<&'a str>,
    /// Whether `@odata.*` members are wanted.
    pub annotated: bool,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            if let Some(context) = self.context {
                map.serialize_entry("@odata.context", context)?;
            }
            map.serialize_entry("@odata.etag", &self.category.etag())?;
        }
        let wanted = |name: &str| self.select.is_none_or(|names| names.contains(&name));
        map.serialize_entry("id", &self.category.id)?;
        if wanted("displayName") {
            map.serialize_entry("displayName", &self.category.display_name)?;
        }
        if wanted("color") {
            map.serialize_entry("color", &self.category.color)?;
        }
        map.end()
    }
}

/// What a request says of a category.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Never blank.
    pub display_name: Option<String>,
    /// One of [`COLORS`]; null in a body is the first.
    pub color: Option<&'static str>,
}

/// Reads a category, or the part of one that a PATCH names. `id` is the server's and ignored.
///
/// # Errors
/// 400 for anything that is no object with these members, a display name that is blank or too long, and, in any
/// handling, a colour outside the list.
pub fn read(body: Json) -> Result<Patch, Error> {
    let mut patch = Patch::default();
    for (property, value) in entity::members(body, "outlookCategory", &PROPERTIES)? {
        match (property, entity::text(property, value, MAX_NAME)?) {
            ("displayName", Some(name)) if !plain::is_plain(&name) => return Err(entity::not_plain(property)),
            ("displayName", Some(name)) if !name.trim().is_empty() => patch.display_name = Some(name),
            ("displayName", _) => {
                return Err(Error::invalid(Kind::Body, property, "'displayName' must be a name, not empty or null."));
            }
            ("color", None) => patch.color = COLORS.first().copied(),
            ("color", Some(color)) => patch.color = Some(entity::one_of(property, &color, &COLORS)?),
            _ => {}
        }
    }
    Ok(patch)
}
