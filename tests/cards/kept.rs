//! Stored cards: what is rendered after changes, in both versions, and what a client's card changes.

use contactd::domain::contact::patch::ContactPatch;
use contactd::domain::contact::{Address, Email, Phone, Properties, Text, Website};
use contactd::vcard::convert::convert;
use contactd::vcard::put::{put, read_card};
use contactd::vcard::record::{Record, RecordContent};
use contactd::vcard::render::{KeptCard, render};
use contactd::vcard::write::{CardContent, write};
use contactd::vcard::{Audience, Version};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::corpus::{files, items};
use crate::shape;

const VERSIONS: [Version; 2] = [Version::V3, Version::V4];

/// The contacts of the corpus, with their stored cards.
fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for path in files() {
        for item in items(&std::fs::read(&path).unwrap(), 1 << 16) {
            if let RecordContent::Contact(record) = item.found {
                records.push(*record);
            }
        }
    }
    records
}

fn shown<'a>(properties: &'a Properties, record: &'a Record) -> CardContent<'a> {
    let photo = record.photo.as_ref().map(|photo| photo.bytes.as_slice());
    CardContent { properties, uid: record.uid.as_deref().unwrap_or("u-1"), photo, last_modified: Some(1_000_000) }
}

fn changed(shown: &CardContent<'_>, text: &str, audience: Audience) -> String {
    render(shown, Some(KeptCard { text, contact_current: false, photo_current: true }), None, audience)
}

/// The contact of a card, with only the date of a birthday: a card may keep a time that the contact does not show.
fn contact_of_card(card: &str) -> Value {
    let mut value = shape::created(read_card(card).into_patch());
    if let Some(birthday) = value.get_mut("birthday") {
        *birthday = birthday.as_str().unwrap()[..10].into();
    }
    value
}

/// The unfolded lines that do not belong to the contact, without those that are grouped with a changed line.
fn unmapped_lines(card: &str) -> Vec<String> {
    let card = card.replace("\r\n ", "");
    let lines: Vec<&str> = card.lines().collect();
    let fates = read_card(&card).fates;
    let with_others = ["X-ABADR", "SORT-STRING", "X-ABLABEL", "REV"];
    let unmapped_lines = lines.iter().zip(fates).filter(|(line, fate)| {
        let name = line.split([':', ';']).next().unwrap().rsplit('.').next().unwrap().to_uppercase();
        let aside =
            !matches!(fate, Some(contactd::vcard::record::Fate::Mapped | contactd::vcard::record::Fate::Partial));
        // After the first of two is removed, the second is the first.
        let again =
            ["FN", "N", "TITLE", "RELATED", "X-ABRELATEDNAMES", "BDAY", "PHOTO", "LABEL"].contains(&name.as_str());
        aside && !again && !with_others.contains(&name.as_str())
    });
    unmapped_lines.map(|(line, _)| (*line).to_owned()).collect()
}

fn email(address: &str) -> Email {
    Email { name: Some(address.into()), address: Some(address.into()), kind: Some("work".into()), other_label: None }
}

/// A change of a contact by Graph.
fn changes() -> impl Strategy<Value = Change> {
    let text = select(Text::ALL.to_vec());
    let value = select(vec!["", "New", "a;b,c\\d\ne", "Ünïcode 🎻"]);
    prop_oneof![
        (text, value).prop_map(|(text, value)| Change::Text(text, value)),
        any::<Index>().prop_map(Change::NoEntry),
        any::<Index>().prop_map(Change::AnotherEntry),
        Just(Change::MoreEntries),
        Just(Change::Reverse),
        select(vec!["", "1604-05-06T11:59:00Z", "1999-12-31T11:59:00Z"]).prop_map(Change::Birthday),
        select(vec!["", "1604-05-06", "1999-12-31"]).prop_map(Change::Anniversary),
    ]
}

#[derive(Debug, Clone)]
enum Change {
    Text(Text, &'static str),
    NoEntry(Index),
    AnotherEntry(Index),
    MoreEntries,
    Reverse,
    Birthday(&'static str),
    Anniversary(&'static str),
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

impl Change {
    fn apply(&self, p: &mut Properties) {
        match self {
            Self::Text(text, value) => {
                let mut patch = ContactPatch::default();
                patch.texts[*text as usize] = Some(some(value));
                patch.apply_to(p);
            }
            Self::NoEntry(at) => {
                remove(&mut p.emails, *at);
                remove(&mut p.phones, *at);
                remove(&mut p.addresses, *at);
                remove(&mut p.websites, *at);
                remove(&mut p.im_addresses, *at);
                remove(&mut p.children, *at);
                remove(&mut p.categories, *at);
            }
            Self::AnotherEntry(at) => {
                change(&mut p.emails, *at, |email| email.address = some("changed@example.org"));
                change(&mut p.phones, *at, |phone| phone.number = some("555-0199"));
                change(&mut p.addresses, *at, |address| address.city = some("New; Town"));
                change(&mut p.websites, *at, |website| website.address = some("https://new.example/a,b;c\\"));
                change(&mut p.im_addresses, *at, |im| *im = "xmpp:new@example.org".into());
                change(&mut p.children, *at, |child| *child = "Newborn".into());
                change(&mut p.categories, *at, |category| *category = "New, really".into());
            }
            Self::MoreEntries => {
                p.emails.insert(0, email("first@example.org"));
                p.phones.push(Phone { kind: some("assistant"), number: some("555-0100") });
                p.addresses.push(Address { kind: some("other"), street: some("1\n2"), ..Address::default() });
                p.websites.push(Website { kind: some("other"), address: some("x"), display_name: some("Shop") });
                p.im_addresses.push("no scheme".into());
                p.children.push("Another".into());
                p.categories.push("Another".into());
            }
            Self::Reverse => {
                p.emails.reverse();
                p.phones.reverse();
                p.addresses.reverse();
                p.websites.reverse();
                p.children.reverse();
                p.categories.reverse();
            }
            Self::Birthday(day) => p.birthday = some(day),
            Self::Anniversary(day) => p.wedding_anniversary = some(day),
        }
        ContactPatch::default().apply_to(p);
    }
}

fn remove<T>(list: &mut Vec<T>, at: Index) {
    if !list.is_empty() {
        list.remove(at.index(list.len()));
    }
}

fn change<T: Clone>(list: &mut [T], at: Index, change: impl FnOnce(&mut T)) {
    if !list.is_empty() {
        change(&mut list[at.index(list.len())]);
    }
}

#[test]
fn an_unchanged_card_is_returned_byte_for_byte() {
    for record in records() {
        let (properties, card) = (record.patch.clone().into_properties(), record.card.clone().unwrap());
        let shown = shown(&properties, &record);
        let kept = KeptCard { text: &card, contact_current: true, photo_current: true };
        assert_eq!(render(&shown, Some(kept), None, Audience::CardDav), card);
        let merged = changed(&shown, &card, Audience::CardDav);
        let without = |card: &str| {
            card.split("\r\n")
                .filter(|l| !l.starts_with("REV") && !l.starts_with("UID:u-1"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        // Google's mark of a favourite is in no card for CardDAV.
        assert_eq!(without(&merged), without(&card));
        for version in VERSIONS {
            let shown =
                render(&shown, Some(KeptCard { contact_current: false, ..kept }), Some(version), Audience::CardDav);
            let same = put(&properties, &shown, &shown);
            assert!(same.is_empty(), "{same:?}\n{shown}");
        }
    }
}

#[test]
fn a_card_survives_conversion_to_the_other_version_and_back() {
    for record in records() {
        let card = record.card.unwrap();
        let own = if card.contains("\r\nVERSION:4.0") { Version::V4 } else { Version::V3 };
        let other = if own == Version::V4 { Version::V3 } else { Version::V4 };
        let converted = convert(&card, other);
        assert_eq!(contact_of_card(&converted), contact_of_card(&card), "{card}\n{converted}");
        assert_eq!(
            read_card(&converted).photo.map(|p| p.value),
            read_card(&card).photo.map(|p| p.value),
            "{card}\n{converted}"
        );
        let back = convert(&converted, own);
        assert_eq!(contact_of_card(&back), contact_of_card(&card), "{card}\n{back}");
        assert_eq!(convert(&card, own), card);
        assert!(converted.split("\r\n").all(|line| line.len() <= 75), "{converted}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_changes_the_card_matches_the_contact_and_keeps_other_lines(
        at in any::<Index>(),
        changes in proptest::collection::vec(changes(), 1..4),
        audience in select(vec![Audience::CardDav, Audience::Export]),
    ) {
        let records = RECORDS.with(Clone::clone);
        let record = &records[at.index(records.len())];
        let card = record.card.as_deref().unwrap();
        let original = record.patch.clone().into_properties();
        let mut properties = original.clone();
        for change in &changes {
            change.apply(&mut properties);
        }
        let now = changed(&shown(&properties, record), card, audience);
        let version = if card.contains("\r\nVERSION:4.0") { Version::V4 } else { Version::V3 };
        let mut expected = contact_of_card(&write(&shown(&properties, record), version, audience));
        let mut found = contact_of_card(&now);
        if audience == Audience::CardDav {
            // Properties that a new card does not have, and that a stored card keeps.
            let exported = contact_of_card(&write(&shown(&properties, record), version, Audience::Export));
            for hidden in ["fileAs", "gender", "initials", "officeLocation"] {
                if found.get(hidden).is_some() {
                    expected[hidden] = exported.get(hidden).cloned().unwrap_or_default();
                }
            }
        }
        if properties.text(Text::DisplayName).is_none() && found.get("displayName").is_none() {
            // A new card without a name shows an address or a number instead. A stored one without FN stays as its client wrote it.
            expected.as_object_mut().unwrap().remove("displayName");
        }
        for value in [&mut expected, &mut found] {
            for email in value.get_mut("emailAddresses").and_then(Value::as_array_mut).into_iter().flatten() {
                email.as_object_mut().unwrap().remove("name");
            }
        }
        prop_assert_eq!(&found, &expected, "{:?}\n{}\n{}", changes, card, now);
        let (before, after) = (unmapped_lines(card), unmapped_lines(&now));
        for line in &before {
            prop_assert!(after.contains(line), "{} of\n{}\n{}", line, card, now);
        }
        let back = changed(&shown(&original, record), &now, audience);
        let expected = contact_of_card(card);
        prop_assert_eq!(contact_of_card(&back)["phones"].clone(), expected["phones"].clone());
        prop_assert_eq!(contact_of_card(&back)["emailAddresses"].clone(), expected["emailAddresses"].clone());
    }

    #[test]
    fn a_put_makes_the_contact_match_the_card(
        at in any::<Index>(),
        changes in proptest::collection::vec(changes(), 1..4),
        version in select(VERSIONS.to_vec()),
    ) {
        let records = RECORDS.with(Clone::clone);
        let record = &records[at.index(records.len())];
        let card = record.card.as_deref().unwrap();
        let mut current = record.patch.clone().into_properties();
        current.is_favorite = Some(true);
        current.texts[Text::OfficeLocation as usize] = some("Room 1");
        let kept = Some(KeptCard { text: card, contact_current: false, photo_current: true });
        let before = render(&shown(&current, record), kept, Some(version), Audience::CardDav);
        let mut expected = current.clone();
        for change in &changes {
            change.apply(&mut expected);
        }
        let body = render(&shown(&expected, record), kept, Some(version), Audience::CardDav);
        let put = put(&current, &before, &body);
        prop_assert_eq!(put.photo, None);
        let mut after = current.clone();
        put.patch.apply_to(&mut after);
        let shown_after = render(&shown(&after, record), kept, Some(version), Audience::CardDav);
        prop_assert_eq!(contact_of_card(&shown_after), contact_of_card(&body), "{:?}\n{}\n{}", changes, before, body);
        prop_assert_eq!(after.is_favorite, Some(true));
        prop_assert_eq!(after.text(Text::OfficeLocation), Some("Room 1"));
    }
}

thread_local! {
    static RECORDS: std::rc::Rc<Vec<Record>> = std::rc::Rc::new(records());
}

#[test]
fn a_value_over_a_limit_changes_nothing_and_a_photo_is_set_and_removed() {
    let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xff\xfe\0\x02\xff\xc2\0\x0b\x08\x01\0\x02\0\x01\x01\x11\0";
    let gif = b"GIF89a\x40\x01\xc8\x00\0\0\0";
    let properties = crate::round::record("BEGIN:VCARD\r\nFN:x\r\nEND:VCARD\r\n").patch.into_properties();
    let card = "BEGIN:VCARD\nVERSION:3.0\nUID:1\nFN:x\nX-A:b\nEND:VCARD\n";
    let titled = crate::round::record("BEGIN:VCARD\r\nFN:x\r\nTITLE:t\r\nEND:VCARD\r\n").patch.into_properties();
    let with_title = |title: &str| card.replace("X-A", &format!("TITLE:{title}\nX-A"));
    let (fits, long) = (with_title("t"), with_title(&"a".repeat(4_097)));
    assert!(put(&titled, &fits, &long).is_empty());
    assert_eq!(put(&titled, &long, &fits).patch.texts[Text::JobTitle as usize], Some(Some("t".to_owned())));
    assert_eq!(put(&titled, &long, card).patch.texts[Text::JobTitle as usize], Some(None));
    let with = |photo: Option<&[u8]>, text: &str| {
        let shown = CardContent { properties: &properties, uid: "1", photo, last_modified: Some(0) };
        render(&shown, Some(KeptCard { text, contact_current: true, photo_current: false }), None, Audience::CardDav)
    };
    let first = with(Some(jpeg), card);
    assert!(first.contains("X-A:b\nPHOTO;ENCODING=b;TYPE=JPEG:") && first.ends_with("\nEND:VCARD\n"), "{first}");
    let put_photo = put(&properties, card, &first);
    assert_eq!((put_photo.patch.is_empty(), put_photo.photo), (true, Some(Some(jpeg.to_vec()))));
    let cropped = first.replace("PHOTO;", "item1.PHOTO;X-ABCROP-RECTANGLE=a;X-B=c;");
    let second = with(Some(gif), &cropped);
    assert!(second.contains("\nitem1.PHOTO;X-B=c;ENCODING=b;TYPE=GIF:R0lGOD"), "{second}");
    assert_eq!(with(None, &second), card);
    assert_eq!(with(None, &card.replace("X-A:b\n", "X-A:b\nPHOTO;ENCODING=b;TYPE=JPEG:\n")), card);
}
