//! JSON of the folder: Graph's `contactFolder`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::contact::{Contact, DEFAULT_FOLDER, MAX_FOLDER_ID};
use crate::domain::error::{Error, Kind};
use crate::domain::extended::{ExtendedProperty, MULTI, MultiValue, SINGLE, SingleValue};
use crate::domain::folder::{Folder, FolderPatch, MAX_NAME, ROOT};
use crate::domain::handling::Handling;
use crate::domain::plain;
use crate::graph::json::contact::select::Selection;
use crate::graph::json::contact::write::ContactJson;
use crate::graph::json::extended;
use crate::json::Json;
use crate::odata::entity;
use crate::odata::shape::Shape;

/// The properties of the type in a shape.
pub(crate) fn properties(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Beta => &["id", "displayName", "parentFolderId", "wellKnownName"],
        Shape::V1 => &["id", "displayName", "parentFolderId"],
    }
}

/// A folder to be written.
pub(crate) struct FolderJson<'a> {
    /// The folder.
    pub folder: &'a Folder,
    /// The shape: only the older beta shape has `wellKnownName`.
    pub shape: Shape,
    /// Selected properties; all if `None`. `id` is always included.
    pub select: Option<&'a [&'static str]>,
    /// Expanded properties.
    pub expansions: &'a [FolderExpansion<'a>],
    /// `@odata.context`, for a single folder.
    pub context: Option<&'a str>,
    /// Whether to write `@odata.*` members.
    pub annotated: bool,
}

impl Serialize for FolderJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            if let Some(context) = self.context {
                map.serialize_entry("@odata.context", context)?;
            }
            map.serialize_entry("@odata.etag", &self.folder.etag())?;
        }
        let is_selected = |name: &str| self.select.is_none_or(|names| names.contains(&name));
        map.serialize_entry("id", &self.folder.id)?;
        if is_selected("parentFolderId") {
            map.serialize_entry("parentFolderId", self.folder.parent_folder_id.as_deref().unwrap_or(ROOT))?;
        }
        if is_selected("displayName") {
            map.serialize_entry("displayName", &self.folder.display_name)?;
        }
        if self.shape == Shape::Beta && is_selected("wellKnownName") {
            map.serialize_entry("wellKnownName", &self.folder.is_default().then_some(DEFAULT_FOLDER))?;
        }
        for expansion in self.expansions {
            self.serialize_expansion(&mut map, expansion)?;
        }
        map.end()
    }
}

impl FolderJson<'_> {
    fn serialize_expansion<M: SerializeMap>(
        &self,
        map: &mut M,
        expansion: &FolderExpansion<'_>,
    ) -> Result<(), M::Error> {
        let (name, shape, annotated) = (expansion.name, self.shape, self.annotated);
        if let Some(context) = &expansion.context {
            map.serialize_entry(&format!("{name}@odata.context"), context)?;
        }
        if let Some(count) = expansion.count {
            map.serialize_entry(&format!("{name}@odata.count"), &count)?;
        }
        if let Some(next) = &expansion.next {
            map.serialize_entry(&format!("{name}@odata.nextLink"), next)?;
        }
        match &expansion.entries {
            ExpandedEntries::Contacts(contacts, select) => {
                let json = |contact| ContactJson {
                    contact,
                    shape,
                    select: *select,
                    context: None,
                    context_prefix: None,
                    annotated,
                };
                map.serialize_entry(name, &contacts.iter().map(json).collect::<Vec<_>>())
            }
            ExpandedEntries::Folders(folders, select) => {
                let json =
                    |folder| FolderJson { folder, shape, select: *select, expansions: &[], context: None, annotated };
                map.serialize_entry(name, &folders.iter().map(json).collect::<Vec<_>>())
            }
            ExpandedEntries::SingleValues(properties) => map.serialize_entry(name, properties),
            ExpandedEntries::MultiValues(properties) => map.serialize_entry(name, properties),
        }
    }
}

/// A page of an expanded property of a folder.
pub(crate) struct FolderExpansion<'a> {
    /// The property, for example `contacts`.
    pub name: &'static str,
    /// Its own `@odata.context`.
    pub context: Option<String>,
    /// The number on all pages, if it was asked for.
    pub count: Option<i64>,
    /// The link to the next page.
    pub next: Option<String>,
    /// The page's entries.
    pub entries: ExpandedEntries<'a>,
}

/// The entries of the page, with the selected properties.
#[allow(missing_docs, reason = "each is what its name says")]
pub(crate) enum ExpandedEntries<'a> {
    Contacts(Vec<Contact>, Option<&'a Selection>),
    Folders(Vec<Folder>, Option<&'a [&'static str]>),
    SingleValues(Vec<ExtendedProperty<SingleValue>>),
    MultiValues(Vec<ExtendedProperty<MultiValue>>),
}

/// Reads a folder, or the properties a PATCH sends. `id` and `wellKnownName` are read-only and ignored.
///
/// # Errors
/// 400 if it is not an object with these members, or the display name is empty or too long; in strict handling also for
/// extended properties that Graph would refuse.
pub(crate) fn read(body: Json, handling: Handling) -> Result<FolderPatch, Error> {
    let mut patch = FolderPatch::default();
    let mut deviations = Vec::new();
    let known = [properties(Shape::Beta), &[SINGLE, MULTI]].concat();
    for (property, value) in entity::members(body, "contactFolder", &known)? {
        match property {
            SINGLE => patch.single_values = extended::read(value, &mut deviations)?,
            MULTI => patch.multi_values = extended::read(value, &mut deviations)?,
            property => read_property(&mut patch, property, value)?,
        }
    }
    if handling == Handling::Strict && !deviations.is_empty() { Err(Error::Invalid(deviations)) } else { Ok(patch) }
}

fn read_property(patch: &mut FolderPatch, property: &'static str, value: Json) -> Result<(), Error> {
    let max = if property == "displayName" { MAX_NAME } else { MAX_FOLDER_ID };
    match (property, entity::text(property, value, max)?) {
        ("displayName", Some(name)) if !plain::is_plain(&name) => return Err(entity::not_plain(property)),
        ("displayName", Some(name)) if !name.trim().is_empty() => patch.display_name = Some(name),
        ("displayName", _) => {
            return Err(Error::invalid(Kind::Body, property, "'displayName' must be a name, not empty or null."));
        }
        ("parentFolderId", id) => patch.parent_folder_id = id.filter(|id| !id.is_empty()),
        _ => {}
    }
    Ok(())
}
