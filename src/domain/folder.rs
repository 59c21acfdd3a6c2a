//! The folder of contacts: as stored, as JSON, and what a request wants changed of it. No I/O, no clock.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::contact::{Contact, DEFAULT_FOLDER, MAX_FOLDER_ID};
use crate::domain::error::{Error, Kind};
use crate::domain::etag;
use crate::domain::extended::{self, Changes, MULTI, MultiValue, Property, SINGLE, SingleValue};
use crate::domain::plain;
use crate::domain::words::{self, Word};
use crate::graph::json::contact::select::Selection;
use crate::odata::entity;
use crate::odata::json::Json;
use crate::odata::prefer::Handling;
use crate::odata::shape::Shape;

/// What the default folder's parent is called: the mailbox itself, which no route serves.
pub const ROOT: &str = "msgfolderroot";
/// Longest display name, in characters.
pub const MAX_NAME: usize = 255;

/// A folder as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Any text up to 255 characters; those made by a folder route are UUIDs.
    pub id: String,
    /// `None` for the default folder.
    pub parent_folder_id: Option<String>,
    /// As written.
    pub display_name: String,
    /// The number of its last change in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub created_date_time: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Folder {
    /// Names this state of the folder, as [`crate::domain::contact::Contact::version_token`] does of a contact.
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// The words a search finds it by.
    pub(crate) fn words(&self) -> Vec<Word> {
        words::of_folder(&self.display_name)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }

    /// Whether it is the one that every mailbox has.
    pub fn is_default(&self) -> bool {
        self.id == DEFAULT_FOLDER
    }
}

/// A folder to be written.
pub struct Shown<'a> {
    /// The folder.
    pub folder: &'a Folder,
    /// In which shape: only the seed's has `wellKnownName`.
    pub shape: Shape,
    /// Which of its properties; all without it. `id` always comes.
    pub select: Option<&'a [&'static str]>,
    /// What is inside it, if that is wanted.
    pub inside: &'a [Inside<'a>],
    /// `@odata.context`, for a folder that stands alone.
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
            map.serialize_entry("@odata.etag", &self.folder.etag())?;
        }
        let wanted = |name: &str| self.select.is_none_or(|names| names.contains(&name));
        map.serialize_entry("id", &self.folder.id)?;
        if wanted("parentFolderId") {
            map.serialize_entry("parentFolderId", self.folder.parent_folder_id.as_deref().unwrap_or(ROOT))?;
        }
        if wanted("displayName") {
            map.serialize_entry("displayName", &self.folder.display_name)?;
        }
        if self.shape == Shape::Beta && wanted("wellKnownName") {
            map.serialize_entry("wellKnownName", &self.folder.is_default().then_some(DEFAULT_FOLDER))?;
        }
        for inside in self.inside {
            self.serialize_inside(&mut map, inside)?;
        }
        map.end()
    }
}

impl Shown<'_> {
    fn serialize_inside<M: SerializeMap>(&self, map: &mut M, inside: &Inside<'_>) -> Result<(), M::Error> {
        let (name, shape, annotated) = (inside.name, self.shape, self.annotated);
        if let Some(context) = &inside.context {
            map.serialize_entry(&format!("{name}@odata.context"), context)?;
        }
        if let Some(count) = inside.count {
            map.serialize_entry(&format!("{name}@odata.count"), &count)?;
        }
        if let Some(next) = &inside.next {
            map.serialize_entry(&format!("{name}@odata.nextLink"), next)?;
        }
        match &inside.entries {
            Entries::Contacts(contacts, select) => {
                let shown = |contact| crate::graph::json::contact::write::Shown {
                    contact,
                    shape,
                    select: *select,
                    context: None,
                    within: None,
                    annotated,
                };
                map.serialize_entry(name, &contacts.iter().map(shown).collect::<Vec<_>>())
            }
            Entries::Folders(folders, select) => {
                let shown = |folder| Shown { folder, shape, select: *select, inside: &[], context: None, annotated };
                map.serialize_entry(name, &folders.iter().map(shown).collect::<Vec<_>>())
            }
            Entries::SingleValues(properties) => map.serialize_entry(name, properties),
            Entries::MultiValues(properties) => map.serialize_entry(name, properties),
        }
    }
}

/// A page of what is inside a folder.
pub struct Inside<'a> {
    /// As what: `contacts`, say.
    pub name: &'static str,
    /// Its own `@odata.context`.
    pub context: Option<String>,
    /// How many there are on all pages, where that was asked.
    pub count: Option<i64>,
    /// Where the next page is.
    pub next: Option<String>,
    /// The page.
    pub entries: Entries<'a>,
}

/// What is on it, and which properties of it are shown.
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Entries<'a> {
    Contacts(Vec<Contact>, Option<&'a Selection>),
    Folders(Vec<Folder>, Option<&'a [&'static str]>),
    SingleValues(Vec<Property<SingleValue>>),
    MultiValues(Vec<Property<MultiValue>>),
}

/// The names that `$select` and bodies know in a shape.
pub fn properties(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Beta => &["id", "displayName", "parentFolderId", "wellKnownName"],
        Shape::V1 => &["id", "displayName", "parentFolderId"],
    }
}

/// What a request wants changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Never empty.
    pub display_name: Option<String>,
    /// The folder to move it into.
    pub parent_folder_id: Option<String>,
    /// Extended properties.
    pub single_values: Changes<SingleValue>,
    /// Those with lists.
    pub multi_values: Changes<MultiValue>,
}

/// Reads a folder, or the part of one that a PATCH names. `id` and `wellKnownName` are the server's and ignored.
///
/// # Errors
/// 400 for anything that is no object with these members, or a display name that is empty or too long; in strict handling
/// also for extended properties that Graph refuses.
pub fn read(body: Json, handling: Handling) -> Result<Patch, Error> {
    let mut patch = Patch::default();
    let mut deviations = Vec::new();
    let known = [properties(Shape::Beta), &[SINGLE, MULTI]].concat();
    for (property, value) in entity::members(body, "contactFolder", &known)? {
        match property {
            SINGLE => patch.single_values = extended::read(value, &mut deviations)?,
            MULTI => patch.multi_values = extended::read(value, &mut deviations)?,
            property => patch.property(property, value)?,
        }
    }
    if handling == Handling::Strict && !deviations.is_empty() { Err(Error::Invalid(deviations)) } else { Ok(patch) }
}

impl Patch {
    fn property(&mut self, property: &'static str, value: Json) -> Result<(), Error> {
        let max = if property == "displayName" { MAX_NAME } else { MAX_FOLDER_ID };
        match (property, entity::text(property, value, max)?) {
            ("displayName", Some(name)) if !plain::is_plain(&name) => return Err(entity::not_plain(property)),
            ("displayName", Some(name)) if !name.trim().is_empty() => self.display_name = Some(name),
            ("displayName", _) => {
                return Err(Error::invalid(Kind::Body, property, "'displayName' must be a name, not empty or null."));
            }
            ("parentFolderId", id) => self.parent_folder_id = id.filter(|id| !id.is_empty()),
            _ => {}
        }
        Ok(())
    }
}
