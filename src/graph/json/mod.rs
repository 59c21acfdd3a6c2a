//! JSON of the Graph API: reads request bodies into patches of the domain, and writes stored things.

pub(crate) mod category;
pub mod contact;
pub(crate) mod extended;
pub(crate) mod extension;
pub(crate) mod folder;
pub(crate) mod photo;
pub(crate) mod subscription;
pub(crate) mod user;
