//! Writes contacts one by one: CSV for Google and Outlook, JSContact, and the JSON of Graph on one line each. Pure
//! functions: the caller streams the results.

mod cells;
mod google;
pub mod jscontact;
mod ndjson;
mod outlook;

use std::collections::BTreeMap;

use serde::Serialize;

pub use crate::formats::write::cells::latin;
pub use crate::formats::write::google::{GoogleColumns, GoogleWriter};
pub use crate::formats::write::ndjson::ndjson;
pub use crate::formats::write::outlook::OutlookWriter;

use crate::domain::contact::Contact;
use crate::formats::aside::{self, Aside};

/// A contact to write.
#[derive(Debug, Clone, Copy)]
pub struct ContactToWrite<'a> {
    /// The contact.
    pub contact: &'a Contact,
    /// The stored card, with the identity and the values that are kept aside.
    pub card: Option<&'a str>,
    /// Its photo.
    pub photo: Option<&'a [u8]>,
}

impl ContactToWrite<'_> {
    /// The values that are kept aside in this dialect.
    pub(crate) fn asides(&self, dialect: &str) -> Vec<Aside> {
        let asides = self.card.map(aside::read).unwrap_or_default();
        asides.into_iter().filter(|aside| aside.dialect == dialect).collect()
    }
}

/// The values that a format has no place for, counted by property, for the summary of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut(BTreeMap<&'static str, Count>);

/// The number of values that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Values.
    pub values: u64,
    /// Contacts with such values.
    pub contacts: u64,
}

impl LeftOut {
    /// Counts values of one contact.
    pub(crate) fn add(&mut self, property: &'static str, values: usize) {
        if values > 0 {
            let count = self.0.entry(property).or_default();
            count.values += values as u64;
            count.contacts += 1;
        }
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was left out, by property.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, Count)> {
        self.0.iter().map(|(property, count)| (*property, *count))
    }

    /// For a person: `left out: phones 12 (10 contacts), imAddresses 3 (3 contacts)`; nothing if nothing was left out.
    pub fn text(&self) -> String {
        let words: Vec<String> = self
            .counts()
            .map(|(property, Count { values, contacts })| format!("{property} {values} ({contacts} contacts)"))
            .collect();
        if words.is_empty() { String::new() } else { format!("left out: {}", words.join(", ")) }
    }
}
