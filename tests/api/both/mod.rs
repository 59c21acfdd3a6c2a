//! What is answered alike whichever database is behind it.

mod access;
mod categories;
mod concurrency;
mod conditions;
mod contacts;
pub mod contacts_ref;
mod embedding;
mod exchange_ids;
mod folders;
mod limits;
pub mod model;
mod paging;
mod paths;
mod queries;
mod refusals;
mod shapes;
mod users;
