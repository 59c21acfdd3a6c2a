//! CardDAV as a front end of the edge: folders are address books, contacts are cards (docs/carddav.md).

mod books;
mod card;
mod cards;
mod collections;
mod data;
mod error;
mod expand;
mod filter;
pub(crate) mod front_end;
mod headers;
mod href;
mod multistatus;
mod properties;
mod propfind;
mod query;
mod report;
mod routes;
mod sync;
mod token;
mod transfer;
mod xml;
