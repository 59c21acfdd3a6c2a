//! Contacts in the JSON of Microsoft Graph. Graph's front end owns the shapes and is above this room, so callers pass
//! in an implementation that reads and writes them (`graph::json::contact::file`).

use crate::domain::contact::Contact;
use crate::domain::contact::patch::ContactPatch;
use crate::json::Json;
use crate::vcard::record::{Fate, Refusal};

/// The content of an object.
#[derive(Debug, Default)]
pub struct GraphContact {
    /// The contact.
    pub patch: ContactPatch,
    /// `id`.
    pub id: Option<String>,
    /// The outcome of each member, with its JSON if it is kept aside in whole or in part.
    pub members: Vec<(String, Fate, Option<String>)>,
}

/// Reads and writes contacts in Graph's JSON.
pub trait GraphJson: Send + Sync {
    /// Reads an object in either shape, with names in any letter case. Members without a property are kept aside.
    ///
    /// # Errors
    /// `removed` for a removal in a delta, `wrong type` for a value of another type.
    fn read(&self, members: Vec<(String, Json)>) -> Result<GraphContact, Refusal>;

    /// Writes a contact as one line of NDJSON, without its end: the older beta shape, which has every property, without
    /// annotations.
    fn write(&self, contact: &Contact) -> String;
}
