//! The v1.0 shape: fixed slots over the stored collections. A projection and not a second store, so it never destroys
//! what it cannot show (docs/graph.md, decision 17).

mod read;
mod write;

pub(crate) use crate::graph::json::contact::v1::read::{counterpart, property};
pub(crate) use crate::graph::json::contact::v1::write::write;
