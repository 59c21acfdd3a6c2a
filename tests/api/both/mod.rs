//! What is answered alike whichever database is behind it.

mod access;
mod concurrency;
mod conditions;
mod contacts;
pub mod contacts_ref;
mod embedding;
mod expansions;
mod folder_pages;
mod folders;
mod formats;
mod injection;
mod limits;
pub mod model;
mod notices;
mod paging;
mod paths;
mod photos;
pub mod pictures;
mod queries;
mod refusals;
mod search;
mod shapes;
mod subscriptions;
