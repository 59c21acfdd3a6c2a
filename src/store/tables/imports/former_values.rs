//! A contact's properties and the former values of its additions as one text, to undo an import.

use serde::{Deserialize, Serialize};

use crate::domain::contact::{Complex, DateTimeTimeZone, Flag, Properties, Text};
use crate::domain::error::Error;
use crate::store::tables::imports::additions::FormerAdditions;

type Entries = Vec<Vec<Option<String>>>;

#[derive(Serialize, Deserialize)]
struct Before {
    /// By the names of the properties, so that a later property does not shift them.
    texts: Vec<(String, String)>,
    derived: bool,
    birthday: Option<String>,
    wedding_anniversary: Option<String>,
    is_favorite: Option<bool>,
    flag: Option<Vec<Option<String>>>,
    categories: Vec<String>,
    im_addresses: Vec<String>,
    children: Vec<String>,
    emails: Entries,
    phones: Entries,
    addresses: Entries,
    websites: Entries,
    /// Texts of earlier builds do not have it.
    #[serde(default)]
    added: FormerAdditions,
}

/// The text of some properties and former values.
pub(super) fn text(p: &Properties, added: &FormerAdditions) -> Result<String, Error> {
    let texts = Text::ALL.into_iter().filter_map(|text| Some((text.json().to_owned(), p.text(text)?.to_owned())));
    let before = Before {
        texts: texts.collect(),
        derived: p.display_name_derived,
        birthday: p.birthday.clone(),
        wedding_anniversary: p.wedding_anniversary.clone(),
        is_favorite: p.is_favorite,
        flag: p.flag.as_ref().map(flag_values),
        categories: p.categories.clone(),
        im_addresses: p.im_addresses.clone(),
        children: p.children.clone(),
        emails: values(&p.emails),
        phones: values(&p.phones),
        addresses: values(&p.addresses),
        websites: values(&p.websites),
        added: added.clone(),
    };
    serde_json::to_string(&before).map_err(Error::internal)
}

/// The text with former values of more additions.
pub(super) fn with(text: &str, more: FormerAdditions) -> Result<String, Error> {
    let mut before: Before = serde_json::from_str(text).map_err(Error::internal)?;
    before.added.merge(more);
    serde_json::to_string(&before).map_err(Error::internal)
}

/// The properties and former values of a text.
pub(super) fn read(text: &str) -> Result<(Properties, FormerAdditions), Error> {
    let before: Before = serde_json::from_str(text).map_err(Error::internal)?;
    let mut p = Properties {
        display_name_derived: before.derived,
        birthday: before.birthday,
        wedding_anniversary: before.wedding_anniversary,
        is_favorite: before.is_favorite,
        flag: before.flag.map(flag),
        categories: before.categories,
        im_addresses: before.im_addresses,
        children: before.children,
        emails: entries(before.emails),
        phones: entries(before.phones),
        addresses: entries(before.addresses),
        websites: entries(before.websites),
        ..Properties::default()
    };
    for (name, value) in before.texts {
        if let Some(text) = Text::ALL.into_iter().find(|text| text.json() == name) {
            p.texts[text as usize] = Some(value);
        }
    }
    Ok((p, before.added))
}

fn values<T: Complex>(entries: &[T]) -> Entries {
    let members = |entry: &T| (0..T::MEMBERS.len()).map(|i| entry.member(i).map(str::to_owned)).collect();
    entries.iter().map(members).collect()
}

fn entries<T: Complex>(values: Entries) -> Vec<T> {
    let entry = |members: Vec<Option<String>>| {
        let mut entry = T::default();
        members.into_iter().enumerate().for_each(|(i, value)| entry.set(i, value));
        entry
    };
    values.into_iter().map(entry).collect()
}

fn flag_values(flag: &Flag) -> Vec<Option<String>> {
    let times = [&flag.completed, &flag.due, &flag.start];
    let times = times.into_iter().flat_map(|time| [time.date_time.clone(), time.time_zone.clone()]);
    std::iter::once(flag.status.clone()).chain(times).collect()
}

fn flag(values: Vec<Option<String>>) -> Flag {
    let mut values = values.into_iter();
    let mut next = || values.next().flatten();
    let status = next();
    let mut time = || DateTimeTimeZone { date_time: next(), time_zone: next() };
    Flag { status, completed: time(), due: time(), start: time() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{Address, Email, Phone, Website};

    #[test]
    fn every_property_comes_back_as_it_was() {
        let some = |text: &str| Some(text.to_owned());
        let time = |n: &str| DateTimeTimeZone { date_time: some(n), time_zone: some("UTC") };
        let mut p = Properties {
            display_name_derived: true,
            birthday: some("1974-07-22T11:59:00Z"),
            wedding_anniversary: some("2004-05-01"),
            is_favorite: Some(true),
            flag: Some(Flag { status: some("flagged"), completed: time("1"), due: time("2"), start: time("3") }),
            categories: vec!["a".to_owned()],
            im_addresses: vec!["b".to_owned()],
            children: vec!["c".to_owned()],
            emails: vec![Email { address: some("d"), kind: some("work"), ..Email::default() }],
            phones: vec![Phone { number: some("e"), kind: None }],
            addresses: vec![Address { city: some("f"), ..Address::default() }],
            websites: vec![Website { address: some("g"), ..Website::default() }],
            ..Properties::default()
        };
        for text in Text::ALL {
            p.texts[text as usize] = some(text.json());
        }
        for p in [p, Properties::default()] {
            let none = FormerAdditions::default();
            let text = text(&p, &none).unwrap();
            assert_eq!(read(&text).unwrap(), (p.clone(), none.clone()));
            // As an earlier build wrote it.
            let mut earlier: serde_json::Value = serde_json::from_str(&text).unwrap();
            earlier.as_object_mut().unwrap().remove("added").unwrap();
            assert_eq!(read(&earlier.to_string()).unwrap(), (p, none));
        }
    }
}
