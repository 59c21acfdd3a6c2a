//! contactd: an embedded, persistent contact store with a REST facade that speaks the contacts part of the Microsoft
//! Graph API. The map is in ARCHITECTURE.md; the API and its decisions are in docs/graph.md.

pub mod cli;
mod client;
mod clock;
pub mod domain;
pub mod graph;
pub mod http;
pub mod notify;
pub mod odata;
pub mod oidc;
mod permission;
pub mod store;
