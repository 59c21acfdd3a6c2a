//! The folded form of texts without a `*_key` column. `lower()` folds ASCII text on both engines. For other texts the
//! folded form is stored in the table `folded`, if it differs from `lower()`.

use crate::domain::contact::{Address, Complex, DateTimeTimeZone, Email, Phone, Properties, Text, Website};
use crate::domain::fold::fold;
use crate::domain::query::typed::{EntryTable, Property};
use crate::store::tables::columns;

/// A row of the table: the property, the number of the entry, and the folded text.
pub(in crate::store) type Folded = (String, usize, String);

/// The name of a property in the table; `None` if it has a key column.
pub(in crate::store) fn name(property: Property) -> Option<String> {
    match property {
        Property::Name | Property::Color | Property::User(_) => None,
        Property::Text(text) => columns::key_of(text).is_none().then(|| text.json().to_owned()),
        Property::FlagStatus => Some("flag/flagStatus".to_owned()),
        Property::FlagTime(i) => {
            let time = ["completedDateTime", "dueDateTime", "startDateTime"].get(i / 2)?;
            Some(format!("flag/{time}/{}", DateTimeTimeZone::MEMBERS.get(i % 2)?.json))
        }
        Property::Entry(list, _, member) => name(Property::Variable(0, list.table, member)),
        Property::Variable(_, table, member) | Property::Item(_, table, member) => {
            let collection = match table {
                EntryTable::Emails => "emailAddresses",
                EntryTable::Phones => "phones",
                EntryTable::Addresses => "postalAddresses",
                EntryTable::Websites => "websites",
                // Their folded texts have columns.
                EntryTable::Categories
                | EntryTable::Extensions
                | EntryTable::SingleValues(_)
                | EntryTable::Multi(_)
                | EntryTable::MultiValues(_) => return None,
                EntryTable::ImAddresses => return Some("imAddresses".to_owned()),
                EntryTable::Children => return Some("children".to_owned()),
            };
            let member = table.members()?.get(member)?.json;
            (table != EntryTable::Emails || member != "address").then(|| format!("{collection}/{member}"))
        }
    }
}

/// The rows of a contact.
pub(in crate::store) fn of(p: &Properties) -> Vec<Folded> {
    let mut rows = Vec::new();
    for text in Text::ALL {
        keep(&mut rows, Property::Text(text), 0, p.text(text));
    }
    entries::<Email>(&mut rows, EntryTable::Emails, &p.emails);
    entries::<Phone>(&mut rows, EntryTable::Phones, &p.phones);
    entries::<Address>(&mut rows, EntryTable::Addresses, &p.addresses);
    entries::<Website>(&mut rows, EntryTable::Websites, &p.websites);
    for (table, texts) in [(EntryTable::ImAddresses, &p.im_addresses), (EntryTable::Children, &p.children)] {
        for (entry, text) in texts.iter().enumerate() {
            keep(&mut rows, Property::Variable(0, table, 0), entry, Some(text));
        }
    }
    if let Some(flag) = &p.flag {
        keep(&mut rows, Property::FlagStatus, 0, flag.status.as_deref());
        for (i, time) in [&flag.completed, &flag.due, &flag.start].into_iter().enumerate() {
            for member in 0..2 {
                keep(&mut rows, Property::FlagTime(2 * i + member), 0, time.member(member));
            }
        }
    }
    rows
}

fn entries<T: Complex>(rows: &mut Vec<Folded>, table: EntryTable, entries: &[T]) {
    for (i, entry) in entries.iter().enumerate() {
        for member in 0..T::MEMBERS.len() {
            keep(rows, Property::Variable(0, table, member), i, entry.member(member));
        }
    }
}

fn keep(rows: &mut Vec<Folded>, property: Property, entry: usize, text: Option<&str>) {
    let Some(text) = text.filter(|text| !text.is_ascii()) else { return };
    let folded = fold(text);
    if folded != text.to_ascii_lowercase()
        && let Some(name) = name(property)
    {
        rows.push((name, entry, folded));
    }
}
