//! contactd: an embedded, persistent contact store with a REST facade that speaks the contacts part of the Microsoft
//! Graph API. The map is in ARCHITECTURE.md; the API and its decisions are in docs/graph.md.

pub mod admin;
pub mod audit;
pub mod category;
mod client;
mod clock;
pub mod config;
pub mod contact;
pub mod copy;
pub mod error;
pub mod extended;
pub mod extension;
mod first_start;
mod fold;
pub mod folder;
pub mod health;
pub mod http;
pub mod limits;
pub mod listen;
pub mod notify;
pub mod odata;
pub mod oidc;
mod permission;
pub mod photo;
pub mod plain;
pub mod scopes;
pub mod secret;
pub mod server;
pub mod store;
pub mod subscription;
pub mod tls;
pub mod upkeep;
pub mod user;
mod words;
