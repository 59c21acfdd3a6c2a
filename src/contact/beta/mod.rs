//! The seed's shape, also Graph's beta: unprefixed routes and `/beta`.

mod read;
mod write;

pub use read::{Purpose, bare_reference, read};
pub use write::Shown;

/// `@odata.type` of the whole.
const CONTACT_TYPE: &str = "#microsoft.graph.contact";
