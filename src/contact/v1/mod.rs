//! The v1.0 shape: fixed slots over the stored collections. A projection and not a second store, so it never destroys
//! what it cannot show (docs/graph.md, decision 17).

mod read;
mod slots;
mod write;

pub(super) use read::{counterpart, property};
pub(super) use slots::ADDRESS_KINDS;
pub use slots::Slots;
pub(super) use write::write;
