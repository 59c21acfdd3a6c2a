//! Written files read the same: each property alone, all together, and each difficult value.

use contactd::domain::contact::{Address, Contact, DateTimeTimeZone, Email, Flag, Phone, Properties, Text, Website};
use contactd::formats::aside;
use contactd::formats::csv::dates::DateOrder;
use contactd::formats::write::{
    ContactToWrite, GoogleColumns, GoogleWriter, LeftOut, OutlookWriter, jscontact, ndjson,
};
use contactd::graph::json::contact::file::GraphFile;
use contactd::vcard::record::{Record, RecordContent};
use uuid::Uuid;

use crate::corpus::{contact, read};

/// A contact with these properties.
fn with(properties: Properties) -> Contact {
    let mut contact = contact(&Record::default(), &[]);
    contact.id = Uuid::from_u128(7);
    contact.properties = properties;
    contact
}

/// Texts that formats escape, fold, trim or misread.
const DIFFICULT_TEXTS: [&str; 20] = [
    "back\\slash\\n",
    "semi;colon",
    "com,ma",
    "co:lon",
    "say \"hi\"",
    "carriage\rreturn",
    "line\nbreak",
    "both\r\nbreaks",
    "care^t ^n",
    " blanks around ",
    "tab\tinside",
    "=1+1",
    "+1+1",
    "-x",
    "@x",
    "'=x",
    "''=x",
    "'t Hooft",
    "one:::two",
    "123456789012345678901234567890123456789012345678901234567890123456789012345🎻\u{301}",
];

fn text(text: Text, value: &str) -> Properties {
    let mut properties = Properties { display_name_derived: text != Text::DisplayName, ..Properties::default() };
    properties.texts[text as usize] = Some(value.to_owned());
    derived(properties)
}

/// Derives the display name, as a store does it.
fn derived(mut properties: Properties) -> Properties {
    if properties.display_name_derived {
        properties.texts[Text::DisplayName as usize] = None;
        contactd::domain::contact::patch::ContactPatch::default().apply_to(&mut properties);
    }
    properties
}

fn email(kind: Option<&str>, address: &str, name: &str, label: Option<&str>) -> Email {
    Email {
        kind: kind.map(str::to_owned),
        address: Some(address.to_owned()),
        name: Some(name.to_owned()),
        other_label: label.map(str::to_owned),
    }
}

fn address(kind: Option<&str>, street: &str) -> Address {
    Address {
        kind: kind.map(str::to_owned),
        post_office_box: Some("PO 1".to_owned()),
        street: Some(street.to_owned()),
        city: Some("Norwich".to_owned()),
        state: Some("Norfolk".to_owned()),
        country_or_region: Some("GB".to_owned()),
        postal_code: Some("NR2 1AA".to_owned()),
    }
}

/// Every collection and single value, filled, one at a time.
fn one_property_each() -> Vec<Properties> {
    let kinds =
        ["home", "business", "mobile", "other", "assistant", "homeFax", "businessFax", "otherFax", "pager", "radio"];
    let phones = kinds.into_iter().enumerate();
    let phones = phones
        .map(|(i, kind)| Phone { kind: Some(kind.to_owned()), number: Some(format!("+49 30 23125 0{i}")) })
        .collect();
    let emails = vec![
        email(Some("work"), "a@example.org", "a@example.org", None),
        email(Some("personal"), "b@example.org", "b@example.org", None),
        email(Some("other"), "c@example.org", "c@example.org", Some("Chorus")),
        email(None, "d@example.org", "d@example.org", None),
    ];
    let site = |kind: &str, name: Option<&str>| Website {
        kind: Some(kind.to_owned()),
        address: Some(format!("https://{kind}.example/")),
        display_name: name.map(str::to_owned),
    };
    let base = || Properties { display_name_derived: true, ..Properties::default() };
    let mut contacts: Vec<Properties> = Text::ALL.into_iter().map(|property| text(property, "Some text")).collect();
    contacts.extend([
        Properties { birthday: Some("1974-07-22T11:59:00Z".to_owned()), ..base() },
        Properties { birthday: Some("1604-02-29T11:59:00Z".to_owned()), ..base() },
        Properties { wedding_anniversary: Some("2001-06-15".to_owned()), ..base() },
        Properties { is_favorite: Some(true), ..base() },
        Properties { is_favorite: Some(false), ..base() },
        Properties { categories: vec!["Friends".to_owned(), "VIP, really".to_owned()], ..base() },
        Properties { im_addresses: vec!["sip:a@example.org".to_owned(), "plain".to_owned()], ..base() },
        Properties { children: vec!["Ann".to_owned(), "Bob".to_owned()], ..base() },
        Properties { emails, ..base() },
        Properties { phones, ..base() },
        Properties {
            addresses: vec![address(Some("home"), "12 Mill Lane"), address(Some("business"), "Flat 3\nBack")],
            ..base()
        },
        Properties {
            websites: vec![
                site("work", None),
                site("home", None),
                site("blog", None),
                site("profile", None),
                site("other", Some("Shop")),
            ],
            ..base()
        },
    ]);
    contacts.into_iter().map(derived).collect()
}

/// Properties that only some formats have.
fn rarely_supported() -> Vec<Properties> {
    let base = || Properties { display_name_derived: true, ..Properties::default() };
    let time = |day: &str| DateTimeTimeZone { date_time: Some(day.to_owned()), time_zone: Some("UTC".to_owned()) };
    let flag = Flag {
        status: Some("flagged".to_owned()),
        start: time("2026-01-01T00:00:00"),
        due: time("2026-01-02T00:00:00"),
        ..Flag::default()
    };
    let mut contacts = vec![
        Properties { birthday: Some("1980-05-31T00:00:00+02:00".to_owned()), ..base() },
        Properties { birthday: Some("1980-05-31T20:15:00.25Z".to_owned()), ..base() },
        Properties { wedding_anniversary: Some("in June".to_owned()), ..base() },
        Properties { flag: Some(flag), ..base() },
        Properties {
            emails: vec![email(Some("main"), "a@example.org", "Ann", None), email(Some("unknown"), "", "", Some("x"))],
            ..base()
        },
        Properties {
            phones: vec![
                Phone { kind: None, number: Some("1".to_owned()) },
                Phone { kind: Some("odd kind".to_owned()), number: Some("2".to_owned()) },
            ],
            ..base()
        },
        Properties {
            addresses: vec![
                address(Some("unknown"), "x"),
                address(Some("other"), "x"),
                address(None, "y"),
                Address::default(),
            ],
            ..base()
        },
        Properties {
            websites: vec![Website {
                kind: Some("blog".to_owned()),
                address: Some("x".to_owned()),
                display_name: Some("A blog".to_owned()),
            }],
            ..base()
        },
        Properties { children: vec!["Twin".to_owned(), "Twin".to_owned(), String::new()], ..base() },
        text(Text::FileAs, ""),
    ];
    for value in DIFFICULT_TEXTS {
        contacts.extend(
            [Text::GivenName, Text::PersonalNotes, Text::Gender, Text::CompanyName, Text::DisplayName]
                .map(|property| text(property, value)),
        );
        let list = || vec![value.to_owned()];
        contacts.extend([
            Properties { categories: list(), ..base() },
            Properties { im_addresses: list(), ..base() },
            Properties { children: list(), ..base() },
            Properties { emails: vec![email(Some("other"), value, value, Some(value))], ..base() },
            Properties {
                phones: vec![Phone { kind: Some("mobile".to_owned()), number: Some(value.to_owned()) }],
                ..base()
            },
            Properties { addresses: vec![address(Some("home"), value)], ..base() },
            Properties {
                websites: vec![Website {
                    kind: Some("other".to_owned()),
                    address: Some(value.to_owned()),
                    display_name: Some(value.to_owned()),
                }],
                ..base()
            },
        ]);
    }
    contacts.into_iter().map(derived).collect()
}

/// A contact with all of them.
fn with_all_properties() -> Properties {
    let mut all = Properties { display_name_derived: true, ..Properties::default() };
    for properties in one_property_each() {
        for (text, value) in all.texts.iter_mut().zip(properties.texts) {
            *text = text.take().or(value);
        }
        all.birthday = all.birthday.or(properties.birthday);
        all.wedding_anniversary = all.wedding_anniversary.or(properties.wedding_anniversary);
        all.is_favorite = all.is_favorite.or(properties.is_favorite);
        all.categories.extend(properties.categories);
        all.im_addresses.extend(properties.im_addresses);
        all.children.extend(properties.children);
        all.emails.extend(properties.emails);
        all.phones.extend(properties.phones);
        all.addresses.extend(properties.addresses);
        all.websites.extend(properties.websites);
    }
    all.display_name_derived = false;
    all
}

/// The contacts of a file that was written, which is read whole.
fn records(file: &str) -> Vec<Record> {
    let (_, items) = read(file.as_bytes(), usize::MAX);
    let record = |item: contactd::vcard::record::FileRecord| match item.found {
        RecordContent::Contact(record) => *record,
        other => panic!("{other:?} in\n{file}"),
    };
    items.into_iter().map(record).collect()
}

fn properties(file: &str) -> Properties {
    let mut records = records(file);
    assert_eq!(records.len(), 1, "{file}");
    records.remove(0).patch.into_properties()
}

fn source(contact: &Contact) -> ContactToWrite<'_> {
    ContactToWrite { contact, card: None, photo: None }
}

fn has_something(properties: &Properties) -> bool {
    properties.texts.iter().flatten().any(|text| !text.is_empty())
        || Properties { texts: Properties::default().texts, display_name_derived: false, ..properties.clone() }
            != Properties::default()
}

#[test]
fn jscontact_preserves_every_property() {
    for properties in
        one_property_each().into_iter().chain(rarely_supported()).chain([with_all_properties()]).filter(has_something)
    {
        let contact = with(properties);
        let card = jscontact::jscontact(&source(&contact));
        assert_eq!(self::properties(&card), contact.properties, "{card}");
        assert!(!card.contains('\n'), "{card}");
    }
}

#[test]
fn graph_json_preserves_every_property() {
    for properties in
        one_property_each().into_iter().chain(rarely_supported()).chain([with_all_properties()]).filter(has_something)
    {
        let contact = with(properties);
        let line = ndjson(&source(&contact), &GraphFile);
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        let mut expected = contact.properties.clone();
        // Graph shows "" where nothing is set.
        for text in [Text::FileAs, Text::PersonalNotes] {
            expected.texts[text as usize].get_or_insert_default();
        }
        assert_eq!(self::properties(&line), expected, "{line}");
    }
}

fn google(contacts: &[ContactToWrite<'_>]) -> (String, LeftOut) {
    let mut columns = GoogleColumns::default();
    for source in contacts {
        columns.measure(source);
    }
    let mut writer = GoogleWriter::new(columns, true);
    let mut file = writer.header();
    for source in contacts {
        file.push_str(&writer.row(source));
    }
    (file, writer.left_out)
}

#[test]
fn google_csv_preserves_every_property_except_those_it_reports() {
    for properties in one_property_each().into_iter().chain([with_all_properties()]) {
        let contact = with(properties);
        let (file, left_out) = google(&[source(&contact)]);
        assert_eq!(self::properties(&file), contact.properties, "{file}");
        assert!(left_out.is_empty(), "{left_out:?}");
    }
    // Cells are trimmed, and line breaks of one-line texts are replaced. Everything else of a difficult value is preserved.
    for value in
        DIFFICULT_TEXTS.into_iter().filter(|value| value.trim() == *value && !value.contains(['\r', '\n', '\t']))
    {
        for property in [Text::GivenName, Text::PersonalNotes, Text::Gender, Text::CompanyName] {
            let contact = with(text(property, value));
            assert_eq!(self::properties(&google(&[source(&contact)]).0), contact.properties, "{value}");
        }
        let phones = vec![Phone { kind: Some("mobile".to_owned()), number: Some(value.to_owned()) }];
        let contact = with(derived(Properties { phones, display_name_derived: true, ..Properties::default() }));
        if !value.contains(":::") {
            assert_eq!(self::properties(&google(&[source(&contact)]).0), contact.properties, "{value}");
        }
    }
    let flag = Some(Flag { status: Some("flagged".to_owned()), ..Flag::default() });
    let emails = vec![email(Some("work"), "a@example.org", "Ann", None)];
    let contact = with(derived(Properties { flag, emails, display_name_derived: true, ..Properties::default() }));
    let (_, left_out) = google(&[source(&contact)]);
    assert_eq!(left_out.text(), "left out: flag 1 (1 contacts), names of emailAddresses 1 (1 contacts)");
}

#[test]
fn outlook_csv_preserves_its_92_columns_and_reports_the_others() {
    let write = |contact: &Contact, order| {
        let mut writer = OutlookWriter::new(order, true);
        (writer.header() + &writer.row(&source(contact)), writer.left_out)
    };
    let mut whole = with_all_properties();
    // Properties for which Outlook has no column or too few.
    for text in
        [Text::NickName, Text::FileAs, Text::DisplayName, Text::YomiGivenName, Text::YomiSurname, Text::YomiCompanyName]
    {
        whole.texts[text as usize] = None;
    }
    whole.display_name_derived = true;
    let mut whole = derived(whole);
    let contact = with(whole.clone());
    whole.im_addresses.clear();
    whole.is_favorite = None;
    whole.websites.truncate(1);
    whole.emails.truncate(3);
    for email in &mut whole.emails {
        (email.kind, email.other_label) = (None, None);
    }
    for order in [DateOrder::DayFirst, DateOrder::MonthFirst] {
        let (file, left_out) = write(&contact, order);
        assert_eq!(file.lines().next().unwrap().split(',').count(), 92);
        let mut found = properties(&file);
        // Columns have their own order.
        let place = |kind: &Option<String>| whole.phones.iter().position(|phone| phone.kind == *kind);
        found.phones.sort_by_key(|phone| place(&phone.kind));
        let place = |kind: &Option<String>| whole.addresses.iter().position(|address| address.kind == *kind);
        found.addresses.sort_by_key(|address| place(&address.kind));
        assert_eq!(found, whole, "{file}");
        let names: Vec<&str> = left_out.counts().map(|(name, _)| name).collect();
        let expected = ["emailAddresses", "imAddresses", "isFavorite", "types of emailAddresses", "websites"];
        assert_eq!(names, expected);
    }
    let contact = with(derived(Properties {
        birthday: Some("1604-07-22T11:59:00Z".to_owned()),
        display_name_derived: true,
        ..Properties::default()
    }));
    assert_eq!(write(&contact, DateOrder::MonthFirst).1.text(), "left out: birthday 1 (1 contacts)");
}

#[test]
fn a_photo_is_kept_in_jscontact_and_reported_as_left_out_in_csv() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89".as_slice();
    let contact = with(text(Text::Surname, "Lee"));
    let source = ContactToWrite { photo: Some(png), ..source(&contact) };
    let record = records(&jscontact::jscontact(&source)).remove(0);
    assert_eq!(record.photo.unwrap().bytes, png);
    assert_eq!(record.uid.as_deref(), Some("urn:uuid:00000000-0000-0000-0000-000000000007"));
    assert_eq!(google(&[source]).1.text(), "left out: photo 1 (1 contacts)");
}

/// Reads a file, writes it and reads it again: the contacts and the separately stored values are equal.
#[test]
fn unmapped_values_of_a_file_are_written_back_in_the_same_dialect() {
    let file = |path: &str| read(&std::fs::read(format!("tests/corpus/{path}")).unwrap(), usize::MAX).1;
    let contacts = |items: Vec<contactd::vcard::record::FileRecord>| -> Vec<Record> {
        let record_of = |item: contactd::vcard::record::FileRecord| match item.found {
            RecordContent::Contact(record) => Some(*record),
            _ => None,
        };
        items.into_iter().filter_map(record_of).collect()
    };
    let whole = |record: &Record| (record.patch.clone().into_properties(), record.card.as_deref().map(aside::read));
    for (path, dialect) in [
        ("csv/google-new.csv", "google"),
        ("csv/outlook-desktop-en-cp1252.csv", "outlook"),
        ("hostile/j01-bad-lines.ndjson", "graph"),
        ("other/jscontact-array.json", "jscontact"),
    ] {
        let first = contacts(file(path));
        let stored: Vec<Contact> = first.iter().map(|record| contact(record, &[])).collect();
        let sources: Vec<ContactToWrite<'_>> = stored
            .iter()
            .zip(&first)
            .map(|(contact, record)| ContactToWrite { contact, card: record.card.as_deref(), photo: None })
            .collect();
        let written = match dialect {
            "google" => google(&sources).0,
            "outlook" => {
                let mut writer = OutlookWriter::new(DateOrder::MonthFirst, true);
                writer.header() + &sources.iter().map(|source| writer.row(source)).collect::<String>()
            }
            "graph" => sources.iter().map(|source| ndjson(source, &GraphFile)).collect(),
            _ => sources.iter().map(|source| jscontact::jscontact(source) + "\n").collect(),
        };
        let second = records(&written);
        assert_eq!(second.len(), first.len(), "{path}");
        for (first, second) in first.iter().zip(&second) {
            let (mut expected, mut found) = (whole(first), whole(second));
            if dialect == "graph" {
                // Graph shows "" where nothing is set.
                for text in [Text::FileAs, Text::PersonalNotes] {
                    expected.0.texts[text as usize].get_or_insert_default();
                }
            }
            for kept in [&mut expected.1, &mut found.1].into_iter().flatten() {
                // A label stays with its value, which may have another number after writing.
                for aside in kept.iter_mut().filter(|aside| dialect == "google" && aside.of.is_some()) {
                    aside.name.retain(|c| !c.is_ascii_digit());
                }
                // A member is stored as JSON; the order of entries does not matter.
                kept.sort_by_key(|aside| (aside.name.clone(), aside.value.clone()));
            }
            if dialect == "jscontact" {
                // A stored name contains the display name, whose position may change.
                let plain = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
                let kept = |kept: Option<Vec<aside::Aside>>| -> Vec<_> {
                    let plain_parts = |aside: aside::Aside| (aside.name, aside.of, plain(&aside.value));
                    // Pictures are not compared here.
                    kept.into_iter()
                        .flatten()
                        .filter(|aside| !aside.name.starts_with("media/"))
                        .map(plain_parts)
                        .collect()
                };
                assert_eq!(found.0, expected.0, "{path}");
                assert_eq!(kept(found.1), kept(expected.1), "{path}");
            } else {
                assert_eq!(found, expected, "{path}");
            }
        }
    }
}

#[test]
fn an_export_of_a_changed_contact_has_its_current_values() {
    let emails = vec![email(Some("main"), "a@example.org", "Ann", None)];
    let contact = with(derived(Properties { emails, display_name_derived: true, ..Properties::default() }));
    let card = jscontact::jscontact(&source(&contact));
    let changed = properties(&card.replace("a@example.org\"}", "b@example.org\"}"));
    assert_eq!(changed.emails, [email(None, "b@example.org", "b@example.org", None)]);
}
