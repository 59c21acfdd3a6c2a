//! Contacts in the JSON of Microsoft Graph. Its shapes belong to the front end of Graph, which stands above this room: who reads
//! or writes a file hands in what can read and write them (`graph::json::contact::file`).

use crate::domain::contact::Contact;
use crate::domain::contact::patch::ContactPatch;
use crate::json::Json;
use crate::vcard::record::{Fate, Refusal};

/// What an object says.
#[derive(Debug, Default)]
pub struct GraphContact {
    /// The contact.
    pub patch: ContactPatch,
    /// `id`.
    pub id: Option<String>,
    /// What became of each member, with its JSON if it is kept aside, in whole or in part.
    pub members: Vec<(String, Fate, Option<String>)>,
}

/// Reads and writes contacts in Graph's JSON.
pub trait GraphJson: Send + Sync {
    /// Reads an object in either shape, names in any letter case. What no property holds is kept aside.
    ///
    /// # Errors
    /// `removed` for an entry of a delta that tells a removal, `wrong type` for a value that cannot be meant.
    fn read(&self, members: Vec<(String, Json)>) -> Result<GraphContact, Refusal>;

    /// Writes a contact as one line of NDJSON, without its end: the older beta shape, which holds everything, without
    /// annotations.
    fn write(&self, contact: &Contact) -> String;
}
