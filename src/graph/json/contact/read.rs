//! Reads a contact in either shape into a [`ContactPatch`]. What Graph would refuse and this server keeps is collected,
//! so that strict handling can refuse all of it at once, each by its path.

use crate::domain::contact::patch::{ContactAdditions, ContactPatch};
use crate::domain::contact::tags::{self, View};
use crate::domain::contact::{MAX_FOLDER_ID, MAX_TEXT, Text};
use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::domain::extended::SINGLE;
use crate::domain::extension::{MAX_ALL_BYTES, NewExtension};
use crate::domain::handling::Handling;
use crate::domain::plain::{self, shorten};
use crate::graph::json::contact::reader::{ContactReader, array, bad_literal, strings, text, unknown};
use crate::graph::json::contact::{beta, v1};
use crate::graph::json::{extended, extension};
use crate::json::{Json, is_annotation};
use crate::odata::entity;
use crate::odata::shape::Shape;

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// In lenient handling of the older beta shape `changeKey` and `parentFolderId` are accepted; otherwise they are
    /// ignored.
    Create,
    /// `changeKey` is ignored; `parentFolderId` moves the contact.
    Update,
}

/// The value of `@odata.id`, if the body is a bare reference: only annotations, among them `@odata.id` (docs/graph.md,
/// decision 2).
pub fn bare_reference(body: &Json) -> Option<&Json> {
    let Json::Object(members) = body else { return None };
    let has_only_annotations = members.iter().all(|(name, _)| is_annotation(name));
    let reference = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("@odata.id"));
    reference.filter(|_| has_only_annotations).map(|(_, value)| value)
}

/// Reads a contact, or the properties a PATCH sends. Names match in any letter case. Annotations (`@odata.type`,
/// `birthday@odata.type`) and read-only properties are ignored.
///
/// # Errors
/// [`Error::Invalid`]: the first fault that no handling accepts; in strict handling, all that Graph would refuse.
pub fn read(shape: Shape, body: Json, handling: Handling, purpose: Purpose) -> Result<ContactPatch, Error> {
    let Json::Object(members) = body else {
        let message = format!("The body must be a JSON object, a contact, not {}.", body.kind());
        return Err(Error::invalid(Kind::Body, "", message));
    };
    let mut reader =
        ContactReader { patch: ContactPatch::default(), added: ContactAdditions::default(), deviations: Vec::new() };
    for (name, value) in members {
        property(&mut reader, shape, &name, value)?;
    }
    let ContactReader { mut patch, mut added, deviations } = reader;
    let strict = handling == Handling::Strict;
    if strict && !deviations.is_empty() {
        return Err(Error::Invalid(deviations));
    }
    if purpose == Purpose::Update && !added.extensions.is_empty() {
        let message =
            "'extensions' can be sent with a new contact only. Those of an existing contact are at …/extensions.";
        return Err(Error::invalid(Kind::Body, "extensions", message));
    }
    // A contact that was read under /v1.0 and is sent back as a new one contains the values of the other contact.
    let reads_ids = !strict && shape == Shape::Beta;
    if purpose == Purpose::Update || !reads_ids {
        patch.change_key = None;
    }
    if purpose == Purpose::Create && !reads_ids {
        patch.parent_folder_id = None;
    }
    if purpose == Purpose::Create && patch.parent_folder_id.as_ref().is_some_and(|id| !plain::is_plain(id)) {
        return Err(entity::not_plain("parentFolderId"));
    }
    if !added.single_values.is_empty() {
        take_views(&mut patch, &mut added)?;
    }
    patch.added = Some(Box::new(added)).filter(|added| **added != ContactAdditions::default());
    Ok(patch)
}

/// Turns extended properties that are views on the contact into changes of the contact's properties.
fn take_views(patch: &mut ContactPatch, added: &mut ContactAdditions) -> Result<(), Error> {
    let mut views: Vec<(View, Option<String>)> = Vec::new();
    let mut rest = Vec::new();
    for (i, (id, value)) in std::mem::take(&mut added.single_values).into_iter().enumerate() {
        let Some(view) = tags::view(&id.key) else {
            rest.push((id, value));
            continue;
        };
        let target = format!("{SINGLE}/{i}/value");
        let value = value.map(|[text]| text);
        let shown = shorten(&id.text);
        if let Some(length) = value.as_ref().map(|text| text.chars().count()).filter(|length| *length > view.max()) {
            let message = format!("'{target}' has {length} characters, more than the {} allowed.", view.max());
            return Err(Error::invalid(Kind::Limit, target, message));
        }
        if view == View::Class {
            if value.as_ref().is_some_and(|class| class.eq_ignore_ascii_case(tags::CLASS)) {
                continue;
            }
            let message = format!("'{shown}' of a contact is always '{}'.", tags::CLASS);
            return Err(Error::invalid(Kind::Body, target, message));
        }
        let is_other = |known: &Option<String>| *known != value;
        let from_body = view.is_named_by(patch).then(|| tags::set_by(patch, view));
        let from_views = views.iter().find(|(known, _)| *known == view).map(|(_, value)| value.clone());
        if from_body.iter().chain(&from_views).any(is_other) {
            let message = format!(
                "'{shown}' stands for a property that the body sets to another value: send only one of the two."
            );
            return Err(Error::invalid(Kind::Body, target, message));
        }
        if from_body.is_none() && from_views.is_none() {
            views.push((view, value));
        }
    }
    for (view, value) in views {
        match view {
            View::Text(text) => patch.texts[text as usize] = Some(value),
            view => patch.tagged.push((view, value)),
        }
    }
    added.single_values = rest;
    Ok(())
}

/// Reads a property by its name in any shape. Returns whether it exists in one.
pub(crate) fn property_of_any_shape(reader: &mut ContactReader, name: &str, value: Json) -> Result<bool, Error> {
    let known = |shape: Shape| shape.properties().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let lower = name.to_ascii_lowercase();
    let expandable = ["extensions", "singlevalueextendedproperties", "multivalueextendedproperties"];
    let shape = match () {
        () if known(Shape::Beta) || expandable.contains(&lower.as_str()) => Shape::Beta,
        () if known(Shape::V1) => Shape::V1,
        () => return Ok(false),
    };
    property(reader, shape, name, value).map(|()| true)
}

fn property(reader: &mut ContactReader, shape: Shape, name: &str, value: Json) -> Result<(), Error> {
    if is_annotation(name) {
        return Ok(());
    }
    let text_property = Text::ALL.into_iter().find(|text| text.json().eq_ignore_ascii_case(name));
    if let Some(property) = text_property.filter(|text| shape.has(*text)) {
        reader.patch.texts[property as usize] = Some(text(property.json(), property.max(), value)?);
        return Ok(());
    }
    match name.to_ascii_lowercase().as_str() {
        "id" => drop(text("id", usize::MAX, value)?),
        "createddatetime" => drop(text("createdDateTime", usize::MAX, value)?),
        // Contained in a contact that was read from the trash.
        "deleteddatetime" => drop(text("deletedDateTime", usize::MAX, value)?),
        "lastmodifieddatetime" => drop(text("lastModifiedDateTime", usize::MAX, value)?),
        "changekey" => reader.patch.change_key = text("changeKey", MAX_TEXT, value)?,
        "parentfolderid" => {
            let folder = text("parentFolderId", MAX_FOLDER_ID, value)?;
            reader.patch.parent_folder_id = folder.filter(|id| !id.is_empty());
        }
        "birthday" => reader.patch.birthday = Some(birthday(value)?),
        "categories" => reader.patch.categories = Some(strings("categories", value)?),
        "children" => reader.patch.children = Some(strings("children", value)?),
        "imaddresses" => {
            let values = strings("imAddresses", value)?;
            reader.at_most(3, values.len(), "imAddresses", "ImAddresses");
            reader.patch.im_addresses = Some(values);
        }
        "extensions" => reader.added.extensions = extensions(reader, value)?,
        "singlevalueextendedproperties" => {
            reader.added.single_values = extended::read(value, &mut reader.deviations)?;
        }
        "multivalueextendedproperties" => {
            reader.added.multi_values = extended::read(value, &mut reader.deviations)?;
        }
        other => {
            let known = match shape {
                Shape::Beta => beta::property(reader, other, value)?,
                Shape::V1 => v1::property(reader, other, value)?,
            };
            if !known {
                let hint = match shape {
                    _ if other == "photo" => Some(PHOTO),
                    Shape::Beta => beta::other_shape_hint(other),
                    Shape::V1 => v1::other_shape_hint(other),
                };
                return Err(unknown(name, "", "contact", hint));
            }
        }
    }
    Ok(())
}

fn extensions(reader: &mut ContactReader, value: Json) -> Result<Vec<NewExtension>, Error> {
    let mut extensions: Vec<NewExtension> = Vec::new();
    let mut size = 0;
    for (i, value) in array("extensions", value)?.into_iter().enumerate() {
        let place = format!("extensions/{i}");
        let new = extension::into_new(extension::read(&place, value, &mut reader.deviations)?, &place)?;
        if extensions.iter().any(|known| known.name == new.name) {
            let message = format!("'{place}/extensionName' repeats the name '{}'.", new.name);
            return Err(Error::invalid(Kind::Body, format!("{place}/extensionName"), message));
        }
        size += new.size();
        extensions.push(new);
    }
    if size > MAX_ALL_BYTES {
        let message = format!("'extensions' have more than the {MAX_ALL_BYTES} bytes allowed.");
        return Err(Error::invalid(Kind::Limit, "extensions", message));
    }
    Ok(extensions)
}

/// Hint for `photo`, which Graph's model has as a property.
const PHOTO: &str = "A photo is not sent with its contact: send its bytes with PUT to …/contacts/{id}/photo/$value.";

/// A DateTimeOffset as written. A date gets the time 11:59 UTC, at which all zones from UTC-11 to UTC+12 have that
/// date.
fn birthday(value: Json) -> Result<Option<String>, Error> {
    let Some(text) = text("birthday", MAX_TEXT, value)? else { return Ok(None) };
    if date::instant(&text).is_some() {
        Ok(Some(text))
    } else if date::date(&text).is_some() {
        Ok(Some(format!("{text}T11:59:00Z")))
    } else {
        Err(Error::Invalid(vec![bad_literal("birthday", &text, "Edm.DateTimeOffset", INSTANT)]))
    }
}

/// The accepted forms, for messages.
const INSTANT: &str =
    "a date like 1980-05-31 (YYYY-MM-DD), or a time with its offset from UTC like 1980-05-31T00:00:00Z";
