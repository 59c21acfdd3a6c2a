//! The Graph facade: the contacts part of the Microsoft Graph API over the store.
pub(crate) mod authorize;
pub(crate) mod batch;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod categories;
pub(crate) mod contacts;
pub(crate) mod contacts_ref;
pub(crate) mod delta;
pub(crate) mod error;
pub(crate) mod exchange_ids;
pub(crate) mod expand;
pub(crate) mod extensions;
pub(crate) mod folders;
pub(crate) mod front_end;
pub mod json;
pub(crate) mod metadata;
#[cfg(test)]
mod moments;
pub(crate) mod once;
pub(crate) mod permissions;
pub(crate) mod photos;
pub(crate) mod routes;
pub(crate) mod service;
pub(crate) mod steps;
pub(crate) mod subscriptions;
pub(crate) mod throttle;
pub(crate) mod trash;
pub(crate) mod users;
