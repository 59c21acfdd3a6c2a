//! A written card reads the same.

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::contact::{Address, DateTimeTimeZone, Email, Flag, Phone, Properties, Text, Website};
use contactd::vcard::charset::Fallback;
use contactd::vcard::read::read;
use contactd::vcard::record::{Position, Record, RecordContent};
use contactd::vcard::split::{End, RawCard};
use contactd::vcard::write::{CardContent, write};
use contactd::vcard::{Audience, Version};

use crate::shape;

/// Texts that a card must escape, quote or fold.
pub(crate) const DIFFICULT_TEXTS: [&str; 14] = [
    "plain",
    r"back\slash \n \, \;",
    "semi;colon",
    "com,ma",
    "co:lon",
    "\"quoted\"",
    "a\rb",
    "a\nb\r\nc\rd",
    "^n ^' ^^ ^",
    " blanks and tabs\t ",
    "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija🎻b",
    "BEGIN:VCARD\r\nEND:VCARD",
    "* starred",
    "starred,myContacts",
];

const BIRTHDAYS: [&str; 6] = [
    "1974-07-22T11:59:00Z",
    "1974-07-22T00:00:00Z",
    "1996-04-15T20:12:43.5+04:00",
    "1604-02-29T11:59:00Z",
    "1604-02-29T10:00:00Z",
    "0044-03-15T11:59:00Z",
];

fn raw(card: &str) -> RawCard {
    let position = Position { unit: "card", number: 1, line: 1 };
    RawCard { position, bytes: card.as_bytes().to_vec(), end: End::Whole }
}

pub(crate) fn record(card: &str) -> Record {
    match read(&raw(card), &Fallback::default()) {
        RecordContent::Contact(record) => *record,
        other => panic!("{other:?}\n{card}"),
    }
}

fn with(change: impl FnOnce(&mut Properties)) -> Properties {
    let mut properties = Properties { display_name_derived: true, ..Properties::default() };
    change(&mut properties);
    // An empty entry is not written.
    properties.phones.retain(|phone| *phone != Phone::default());
    properties.display_name_derived = properties.text(Text::DisplayName).is_none();
    ContactPatch::default().apply_to(&mut properties);
    properties
}

#[allow(clippy::unnecessary_wraps, reason = "texts of a contact are optional")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A contact for each property with this value in it.
fn one_per_property(value: &str) -> Vec<Properties> {
    let mut variants = Vec::new();
    for text in Text::ALL {
        variants.push(with(|properties| properties.texts[text as usize] = some(value)));
    }
    variants.push(with(|p| p.wedding_anniversary = some(value)));
    variants.push(with(|p| p.categories = vec![value.into(), "other".into(), "myContacts".into()]));
    variants.push(with(|p| p.children = vec![value.into(), value.into()]));
    variants.push(with(|p| {
        p.im_addresses = vec![value.into(), format!("xmpp:{value}"), format!("x-new:{value}"), value.into()];
    }));
    for kind in [None, some("unknown"), some("work"), some("personal"), some("main"), some("other"), some(value)] {
        let address = some(value);
        let email = Email { name: address.clone(), address, kind: kind.clone(), other_label: None };
        let named = Email { name: some("N"), ..email.clone() };
        let labelled = Email { other_label: some(value), ..email.clone() };
        let nameless = Email { name: some(value), address: None, ..email.clone() };
        variants.push(with(|p| p.emails = vec![email.clone(), named, labelled, nameless, email]));
    }
    for kind in [None, some(value), some("other"), some("radio"), some("assistant"), some("pager"), some("mobile")] {
        let phone = Phone { kind: kind.clone(), number: some(value) };
        let fax = ["home", "business", "homeFax", "businessFax", "otherFax"];
        let fax = fax.map(|kind| Phone { kind: some(kind), number: some(value) });
        let none = Phone { kind: kind.clone(), number: None };
        variants.push(with(|p| p.phones = [vec![phone.clone(), none, phone], fax.into()].concat()));
    }
    for kind in [None, some(value), some("unknown"), some("home"), some("business"), some("other")] {
        let address = |i: usize| {
            let mut values = vec![None; 6];
            values[i] = some(value);
            let [post_office_box, street, city, state, country_or_region, postal_code] = values.try_into().unwrap();
            Address { kind: kind.clone(), post_office_box, street, city, state, country_or_region, postal_code }
        };
        let full = Address {
            kind: kind.clone(),
            post_office_box: some(value),
            street: some(value),
            city: some(value),
            state: some("S"),
            country_or_region: some(value),
            postal_code: some(value),
        };
        variants.push(with(|p| p.addresses = (0..6).map(address).chain([full]).collect()));
        let website = Website { kind: kind.clone(), address: some(value), display_name: None };
        let named = Website { display_name: some(value), ..website.clone() };
        let known = Website { display_name: some("Home"), ..website.clone() };
        variants.push(with(|p| p.websites = vec![website.clone(), named, known, website]));
    }
    let time = |text: &str| DateTimeTimeZone { date_time: some(text), time_zone: some(value) };
    let flag = Flag { status: some("flagged"), start: time("2026-01-05T10:00:00"), ..Flag::default() };
    variants.push(with(|p| p.flag = Some(flag)));
    variants
}

/// A contact with every property.
pub(crate) fn all(value: &str) -> Properties {
    let mut properties = with(|_| ());
    for contact in one_per_property(value) {
        for (to, from) in properties.texts.iter_mut().zip(contact.texts) {
            *to = from.or(to.take());
        }
        properties.wedding_anniversary = contact.wedding_anniversary.or(properties.wedding_anniversary);
        properties.flag = contact.flag.or(properties.flag);
        properties.categories.extend(contact.categories);
        properties.children.extend(contact.children);
        properties.im_addresses.extend(contact.im_addresses);
        properties.emails.extend(contact.emails);
        properties.phones.extend(contact.phones);
        properties.addresses.extend(contact.addresses);
        properties.websites.extend(contact.websites);
    }
    properties.birthday = some(BIRTHDAYS[0]);
    properties.is_favorite = Some(true);
    properties
}

fn assert_round_trip(properties: &Properties, version: Version) {
    let shown =
        CardContent { properties, uid: "01a209e8-4e17-741e-824e-693ba24680db", photo: None, last_modified: Some(0) };
    let card = write(&shown, version, Audience::Export);
    assert!(card.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{card}");
    let record = record(&card);
    assert_eq!(shape::created(record.patch), shape::properties(properties), "{card}");
    assert_eq!(record.uid.unwrap().trim_start_matches("urn:uuid:"), shown.uid);
}

#[test]
fn every_property_with_difficult_values_survives_a_round_trip() {
    for version in [Version::V3, Version::V4] {
        for value in DIFFICULT_TEXTS {
            for properties in one_per_property(value) {
                assert_round_trip(&properties, version);
            }
            assert_round_trip(&all(value), version);
        }
        for birthday in BIRTHDAYS {
            assert_round_trip(&with(|p| p.birthday = some(birthday)), version);
        }
        for favorite in [true, false] {
            assert_round_trip(&with(|p| p.is_favorite = Some(favorite)), version);
        }
        for gender in ["Male", "Female", "Other", "Not applicable", "Unknown", "M"] {
            assert_round_trip(&with(|p| p.texts[Text::Gender as usize] = some(gender)), version);
        }
        for day in ["2004-05-01", "1604-05-01", "0001-01-01"] {
            assert_round_trip(&with(|p| p.wedding_anniversary = some(day)), version);
        }
    }
}
