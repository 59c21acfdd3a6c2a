//! The seed's shape, also Graph's beta: unprefixed routes and `/beta`.

mod read;
mod write;

pub(super) use read::{counterpart, property};
pub(super) use write::write;

/// `@odata.type` of the whole.
const CONTACT_TYPE: &str = "#microsoft.graph.contact";
