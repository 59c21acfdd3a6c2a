//! JSON of the category: Graph's `outlookCategory`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::category::{COLORS, Category, CategoryPatch, MAX_NAME};
use crate::domain::error::{Error, Kind};
use crate::domain::plain;
use crate::json::Json;
use crate::odata::entity;

/// The properties of the type.
pub(crate) const PROPERTIES: [&str; 3] = ["id", "displayName", "color"];

/// A category to be written.
pub(crate) struct CategoryJson<'a> {
    /// The category.
    pub category: &'a Category,
    /// Selected properties; all if `None`. `id` is always included.
    pub select: Option<&'a [&'static str]>,
    /// `@odata.context`, for a single category.
    pub context: Option<&'a str>,
    /// Whether to write `@odata.*` members.
    pub annotated: bool,
}

impl Serialize for CategoryJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            if let Some(context) = self.context {
                map.serialize_entry("@odata.context", context)?;
            }
            map.serialize_entry("@odata.etag", &self.category.etag())?;
        }
        let is_selected = |name: &str| self.select.is_none_or(|names| names.contains(&name));
        map.serialize_entry("id", &self.category.id)?;
        if is_selected("displayName") {
            map.serialize_entry("displayName", &self.category.display_name)?;
        }
        if is_selected("color") {
            map.serialize_entry("color", &self.category.color)?;
        }
        map.end()
    }
}

/// Reads a category, or the properties a PATCH sends. `id` is read-only and ignored.
///
/// # Errors
/// 400 if it is not an object with these members, or the display name is blank or too long; in any handling also for an
/// unknown colour.
pub(crate) fn read(body: Json) -> Result<CategoryPatch, Error> {
    let mut patch = CategoryPatch::default();
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
