//! The v1.0 shape: fixed slots over the stored collections. It is a projection and not a second store, so a write never
//! destroys what the shape cannot show (docs/graph.md, decision 17).

mod read;
mod write;

pub(crate) use crate::graph::json::contact::v1::read::{other_shape_hint, property};
pub(crate) use crate::graph::json::contact::v1::write::write;
