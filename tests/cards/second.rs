//! Written cards read the same in another vCard parser.

use calcard::vcard::{VCard, VCardEntry, VCardValue};
use contactd::domain::contact::{Properties, Text};
use contactd::vcard::write::{CardContent, write};
use contactd::vcard::{Audience, Version};

use crate::corpus::{files, items};
use crate::round::{DIFFICULT_TEXTS, all};
use contactd::vcard::record::RecordContent;

/// The values of an entry: a text for each component.
fn values(entry: &VCardEntry) -> Vec<String> {
    let text = |value: &VCardValue| match value {
        VCardValue::Text(text) => text.clone(),
        VCardValue::Component(parts) => parts.join(","),
        other => format!("{other:?}"),
    };
    entry.values.iter().map(text).map(|text| text.trim().to_owned()).collect()
}

/// The values of each property of this name.
fn read(card: &VCard, name: &str) -> Vec<Vec<String>> {
    card.entries.iter().filter(|entry| entry.name.as_str() == name).map(values).collect()
}

/// A text as in a card: line breaks are `\n`. The other parser trims blanks.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").trim().to_owned()
}

fn assert_same(properties: &Properties, version: Version) {
    let shown = CardContent { properties, uid: "u-1", photo: None, last_modified: Some(0) };
    let text = write(&shown, version, Audience::Export);
    let card = VCard::parse(&text).unwrap_or_else(|entry| panic!("{entry:?}\n{text}"));
    let set = |text: Text| properties.text(text).filter(|text| !text.is_empty()).map(plain);
    for (name, property) in [
        ("TITLE", Text::JobTitle),
        ("ROLE", Text::Profession),
        ("NOTE", Text::PersonalNotes),
        ("NICKNAME", Text::NickName),
    ] {
        let expected: Vec<_> = set(property).into_iter().map(|text| vec![text]).collect();
        assert_eq!(read(&card, name), expected, "{name}\n{text}");
    }
    if let Some(name) = set(Text::DisplayName) {
        assert_eq!(read(&card, "FN"), [[name]], "{text}");
    }
    let parts = [Text::Surname, Text::GivenName, Text::MiddleName, Text::Title, Text::Generation];
    let expected = parts.map(|part| set(part).unwrap_or_default());
    assert_eq!(read(&card, "N"), [expected], "{text}");
    let emails: Vec<_> =
        properties.emails.iter().map(|email| email.address.as_deref().map(plain).unwrap_or_default()).collect();
    let found: Vec<_> = read(&card, "EMAIL").into_iter().map(|values| values.join(";")).collect();
    assert_eq!(found, emails, "{text}");
    let phones: Vec<_> =
        properties.phones.iter().map(|phone| phone.number.as_deref().map(plain).unwrap_or_default()).collect();
    let found: Vec<_> = read(&card, "TEL").into_iter().map(|values| values.join(";")).collect();
    assert_eq!(found, phones, "{text}");
    let found: Vec<_> = read(&card, "CATEGORIES").into_iter().flatten().collect();
    let categories: Vec<_> = properties.categories.iter().map(|name| plain(name)).collect();
    assert_eq!(found, categories, "{text}");
    let cities: Vec<_> =
        properties.addresses.iter().map(|address| address.city.as_deref().map(plain).unwrap_or_default()).collect();
    let found: Vec<_> =
        read(&card, "ADR").into_iter().map(|values| values.get(3).cloned().unwrap_or_default()).collect();
    assert_eq!(found, cities, "{text}");
}

#[test]
fn an_independent_library_reads_the_written_cards() {
    for version in [Version::V3, Version::V4] {
        for value in DIFFICULT_TEXTS {
            assert_same(&all(value), version);
        }
        for path in files() {
            for item in items(&std::fs::read(&path).unwrap(), 1 << 16) {
                if let RecordContent::Contact(record) = item.found {
                    assert_same(&record.patch.into_properties(), version);
                }
            }
        }
    }
}
