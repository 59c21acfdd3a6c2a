//! The table of docs/import-export.md, generated from the writers.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::domain::card::CardVersion;
use crate::domain::contact::{Address, Contact, DEFAULT_FOLDER, Email, Flag, Phone, Properties, Text, Website};
use crate::formats::csv::dates::DateOrder;
use crate::formats::write::{ContactToWrite, GoogleColumns, GoogleWriter, OutlookWriter, jscontact};
use crate::vcard::Audience;
use crate::vcard::write::{self, CardContent};

fn contact(properties: Properties) -> Contact {
    Contact {
        id: Uuid::nil(),
        parent_folder_id: DEFAULT_FOLDER.to_owned(),
        version: 1,
        created_date_time: 0,
        last_modified_date_time: 0,
        sent_change_key: None,
        properties,
        expanded: None,
    }
}

/// Contacts with one property each.
fn samples() -> Vec<(&'static str, Properties)> {
    let some = |text: &str| Some(text.to_owned());
    let empty = Properties::default;
    let mut samples: Vec<(&str, Properties)> = Vec::new();
    for text in Text::ALL {
        let mut properties = empty();
        properties.texts[text as usize] = some(if text == Text::Gender { "Male" } else { "value" });
        samples.push((text.json(), properties));
    }
    let phone = Phone { kind: some("mobile"), number: some("+1 555 0100") };
    let email =
        Email { address: some("a@example.org"), name: some("a@example.org"), kind: some("work"), ..Email::default() };
    let address = Address { kind: some("home"), street: some("Street 1"), city: some("Berlin"), ..Address::default() };
    let website = Website { kind: some("work"), address: some("https://example.org"), display_name: None };
    let flag = Flag { status: some("flagged"), ..Flag::default() };
    samples.extend([
        ("emailAddresses", Properties { emails: vec![email], ..empty() }),
        ("phones", Properties { phones: vec![phone], ..empty() }),
        ("postalAddresses", Properties { addresses: vec![address], ..empty() }),
        ("websites", Properties { websites: vec![website], ..empty() }),
        ("imAddresses", Properties { im_addresses: vec!["xmpp:a@example.org".to_owned()], ..empty() }),
        ("birthday", Properties { birthday: some("1974-07-22T11:59:00Z"), ..empty() }),
        ("weddingAnniversary", Properties { wedding_anniversary: some("2004-05-01"), ..empty() }),
        ("children", Properties { children: vec!["Lea".to_owned()], ..empty() }),
        ("categories", Properties { categories: vec!["Friends".to_owned()], ..empty() }),
        ("isFavorite", Properties { is_favorite: Some(true), ..empty() }),
        ("flag", Properties { flag: Some(flag), ..empty() }),
    ]);
    samples
}

/// The names of a card's lines, each with its line.
fn lines(contact: &Contact, version: CardVersion) -> Vec<(String, String)> {
    let shown = CardContent { properties: &contact.properties, uid: "x", photo: None, last_modified: None };
    let card = write::write(&shown, version, Audience::Export).replace("\r\n ", "");
    let name = |line: &str| {
        let name = line.split([':', ';']).next().unwrap_or_default();
        name.rsplit_once('.').map_or(name, |(_, name)| name).to_owned()
    };
    card.lines().map(|line| (name(line), line.to_owned())).collect()
}

/// The names of a row's columns, each with its cell.
fn cells(header: &str, row: &str) -> Vec<(String, String)> {
    let split =
        |line: &str| line.trim_end().split(',').map(|cell| cell.trim_matches('"').to_owned()).collect::<Vec<_>>();
    let name = |name: String| name.replacen(" 1 -", " n -", 1);
    split(header).into_iter().map(name).zip(split(row)).filter(|(_, cell)| !cell.is_empty()).collect()
}

fn google(contact: &Contact) -> Vec<(String, String)> {
    let source = ContactToWrite { contact, card: None, photo: None };
    let mut columns = GoogleColumns::default();
    columns.measure(&source);
    let mut writer = GoogleWriter::new(columns, true);
    cells(&writer.header(), &writer.row(&source))
}

fn outlook(contact: &Contact) -> Vec<(String, String)> {
    let mut writer = OutlookWriter::new(DateOrder::MonthFirst, true);
    cells(&writer.header(), &writer.row(&ContactToWrite { contact, card: None, photo: None }))
}

fn members(contact: &Contact) -> Vec<(String, String)> {
    let card = jscontact::jscontact(&ContactToWrite { contact, card: None, photo: None });
    let card: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&card).unwrap();
    card.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// The names that one has and the other does not.
fn other(this: &[(String, String)], base: &[(String, String)]) -> String {
    let names: BTreeSet<_> =
        this.iter().filter(|one| !base.contains(one)).map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() { "-".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}

#[test]
fn the_documented_mapping_is_that_of_the_writers() {
    let mut table =
        "| Property | vCard 3.0 | vCard 4.0 | Google CSV | Outlook CSV | JSContact |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let base = contact(Properties::default());
    for (name, properties) in samples() {
        let this = contact(properties);
        let columns = [
            other(&lines(&this, CardVersion::V3), &lines(&base, CardVersion::V3)),
            other(&lines(&this, CardVersion::V4), &lines(&base, CardVersion::V4)),
            other(&google(&this), &google(&base)),
            other(&outlook(&this), &outlook(&base)),
            other(&members(&this), &members(&base)),
        ];
        table.extend(["| ", name, " | ", &columns.join(" | "), " |\n"]);
    }
    let documented = include_str!("../../docs/import-export.md");
    assert!(documented.contains(&table), "docs/import-export.md should have this table:\n\n{table}");
}
