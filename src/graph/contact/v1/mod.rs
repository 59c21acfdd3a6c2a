//! The v1.0 shape: fixed slots over the stored collections. A projection and not a second store, so it never destroys
//! what it cannot show (docs/graph.md, decision 17).

mod read;
mod slots;
mod write;

pub(crate) use crate::graph::contact::v1::read::{counterpart, property};
pub(crate) use crate::graph::contact::v1::slots::ADDRESS_KINDS;
pub use crate::graph::contact::v1::slots::Slots;
pub(crate) use crate::graph::contact::v1::write::write;
