//! What is answered alike whichever database is behind it.

mod access;
mod categories;
mod checklist;
mod concurrency;
mod conditions;
mod contacts;
pub mod contacts_ref;
mod delta;
mod embedding;
mod exchange_ids;
mod expansions;
mod folder_pages;
mod folders;
mod following;
mod formats;
mod injection;
mod limits;
pub mod model;
mod paging;
mod paths;
mod photos;
pub mod pictures;
mod queries;
mod refusals;
mod search;
mod shapes;
mod users;
