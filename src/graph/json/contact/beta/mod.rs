//! The older beta shape: unprefixed routes and `/beta`.

mod read;
mod write;

pub(crate) use crate::graph::json::contact::beta::read::{other_shape_hint, property};
pub(crate) use crate::graph::json::contact::beta::write::write;

/// `@odata.type` of the contact.
const CONTACT_TYPE: &str = "#microsoft.graph.contact";
