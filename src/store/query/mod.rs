//! Reads of many rows: filters, searches, orders and pages.
pub(in crate::store) mod book_changes;
pub(in crate::store) mod books;
pub(in crate::store) mod delta;
pub(in crate::store) mod filter;
pub(in crate::store) mod folder_listing;
pub(in crate::store) mod indexes;
pub(in crate::store) mod listing;
pub(in crate::store) mod pager;
pub(in crate::store) mod search;
pub(in crate::store) mod tested;
pub(in crate::store) mod walk;
