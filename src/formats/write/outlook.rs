//! CSV for Outlook: the 92 English columns of its own export.

use std::collections::BTreeMap;

use crate::domain::contact::{Address, Properties, Text};
use crate::domain::date;
use crate::formats::csv::dates::DateOrder;
use crate::formats::csv::tables;
use crate::formats::write::{ContactToWrite, LeftOut, cells};

/// The dialect of values that are kept aside.
const DIALECT: &str = "csv-outlook";

/// The columns, in Outlook's order.
const HEADER: &str = "\
Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,Business Street 2,\
Business Street 3,Business City,Business State,Business Postal Code,Business Country/Region,Home Street,\
Home Street 2,Home Street 3,Home City,Home State,Home Postal Code,Home Country/Region,Other Street,\
Other Street 2,Other Street 3,Other City,Other State,Other Postal Code,Other Country/Region,Assistant's Phone,\
Business Fax,Business Phone,Business Phone 2,Callback,Car Phone,Company Main Phone,Home Fax,Home Phone,\
Home Phone 2,ISDN,Mobile Phone,Other Fax,Other Phone,Pager,Primary Phone,Radio Phone,TTY/TDD Phone,Telex,\
Account,Anniversary,Assistant's Name,Billing Information,Birthday,Business Address PO Box,Categories,Children,\
Directory Server,E-mail Address,E-mail Type,E-mail Display Name,E-mail 2 Address,E-mail 2 Type,\
E-mail 2 Display Name,E-mail 3 Address,E-mail 3 Type,E-mail 3 Display Name,Gender,Government ID Number,Hobby,\
Home Address PO Box,Initials,Internet Free Busy,Keywords,Language,Location,Manager's Name,Mileage,Notes,\
Office Location,Organizational ID Number,Other Address PO Box,Priority,Private,Profession,Referred By,\
Sensitivity,Spouse,User 1,User 2,User 3,User 4,Web Page";

/// The column with this name.
fn column(name: &str) -> Option<&'static str> {
    HEADER.split(',').find(|known| *known == name)
}

/// The columns that hold a text property.
const TEXTS: [(&str, Text); 16] = [
    ("Title", Text::Title),
    ("First Name", Text::GivenName),
    ("Middle Name", Text::MiddleName),
    ("Last Name", Text::Surname),
    ("Suffix", Text::Generation),
    ("Company", Text::CompanyName),
    ("Department", Text::Department),
    ("Job Title", Text::JobTitle),
    ("Assistant's Name", Text::AssistantName),
    ("Gender", Text::Gender),
    ("Initials", Text::Initials),
    ("Manager's Name", Text::Manager),
    ("Notes", Text::PersonalNotes),
    ("Office Location", Text::OfficeLocation),
    ("Profession", Text::Profession),
    ("Spouse", Text::SpouseName),
];

/// The columns of phones, by type.
const PHONES: [(&str, &[&str]); 10] = [
    ("business", &["Business Phone", "Business Phone 2"]),
    ("home", &["Home Phone", "Home Phone 2"]),
    ("mobile", &["Mobile Phone"]),
    ("other", &["Other Phone"]),
    ("businessFax", &["Business Fax"]),
    ("homeFax", &["Home Fax"]),
    ("otherFax", &["Other Fax"]),
    ("assistant", &["Assistant's Phone"]),
    ("pager", &["Pager"]),
    ("radio", &["Radio Phone"]),
];

/// Writes rows.
#[derive(Debug)]
pub struct OutlookWriter {
    order: DateOrder,
    guard: bool,
    /// Values without a place in Outlook's columns.
    pub left_out: LeftOut,
}

type OutlookCells = BTreeMap<&'static str, String>;

impl OutlookWriter {
    /// A writer with dates in this order. `guard` keeps spreadsheets from running cells.
    pub fn new(order: DateOrder, guard: bool) -> Self {
        Self { order, guard, left_out: LeftOut::default() }
    }

    /// The header row, with its end.
    pub fn header(&self) -> String {
        format!("\"{}\"\r\n", HEADER.replace(',', "\",\""))
    }

    /// The row of a contact, with its end. Every cell that is not empty is quoted, as in Outlook.
    pub fn row(&mut self, source: &ContactToWrite<'_>) -> String {
        let cells = self.cells(source);
        let mut row = String::new();
        for (at, name) in HEADER.split(',').enumerate() {
            if at > 0 {
                row.push(',');
            }
            if let Some(cell) = cells.get(name).filter(|cell| !cell.is_empty()) {
                let number = PHONES.iter().any(|(_, columns)| columns.contains(&name));
                if self.guard {
                    cells::quoted(&cells::guard(cell, number), &mut row);
                } else {
                    cells::quoted(cell, &mut row);
                }
            }
        }
        row.push_str("\r\n");
        row
    }

    fn cells(&mut self, source: &ContactToWrite<'_>) -> OutlookCells {
        let properties = &source.contact.properties;
        let mut cells = OutlookCells::new();
        for (name, property) in TEXTS {
            if let Some(text) = properties.text(property) {
                cells.insert(name, text.to_owned());
            }
        }
        self.phones(properties, source, &mut cells);
        self.emails(properties, &mut cells);
        self.addresses(properties, &mut cells);
        self.dates(properties, &mut cells);
        let page = properties.websites.iter().position(|site| site.kind.as_deref() == Some("work")).unwrap_or(0);
        if let Some(address) = properties.websites.get(page).and_then(|site| site.address.clone()) {
            cells.insert("Web Page", address);
        }
        self.left_out.add("websites", properties.websites.len().saturating_sub(1));
        cells.insert("Categories", properties.categories.join(";"));
        cells.insert("Children", properties.children.join(", "));
        self.count(source);
        let mut beyond = 0;
        for aside in source.asides(DIALECT).iter().filter(|aside| aside.of.is_none()) {
            match tables::in_english(&aside.name).and_then(column) {
                Some(column) if !cells.contains_key(column) => drop(cells.insert(column, aside.value.clone())),
                _ => beyond += 1,
            }
        }
        self.left_out.add("kept aside", beyond);
        cells
    }

    /// Counts the properties that have no column.
    fn count(&mut self, source: &ContactToWrite<'_>) {
        let properties = &source.contact.properties;
        let texts = [Text::NickName, Text::FileAs, Text::YomiGivenName, Text::YomiSurname, Text::YomiCompanyName];
        for text in texts {
            self.left_out.add(text.json(), usize::from(properties.text(text).is_some_and(|text| !text.is_empty())));
        }
        let named = !properties.display_name_derived && properties.text(Text::DisplayName).is_some();
        self.left_out.add("displayName", usize::from(named));
        self.left_out.add("imAddresses", properties.im_addresses.len());
        self.left_out.add("isFavorite", usize::from(properties.is_favorite.is_some()));
        self.left_out.add("flag", usize::from(properties.flag.is_some()));
        self.left_out.add("photo", usize::from(source.photo.is_some()));
    }

    fn phones(&mut self, properties: &Properties, source: &ContactToWrite<'_>, cells: &mut OutlookCells) {
        let asides = source.asides(DIALECT);
        let mut beyond = 0;
        for phone in &properties.phones {
            let number = phone.number.clone().unwrap_or_default();
            let kind = phone.kind.as_deref().unwrap_or("other");
            // A phone from a column whose name says more than the type goes back into that column.
            let kept = asides.iter().find(|aside| kind == "other" && aside.of.as_ref() == Some(&number));
            let kept = kept.and_then(|aside| column(tables::in_english(&aside.name)?));
            let columns = PHONES.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, columns)| columns);
            let free = kept.iter().chain(columns).find(|column| !cells.contains_key(*column));
            match free {
                Some(column) => drop(cells.insert(column, number)),
                None => beyond += 1,
            }
        }
        self.left_out.add("phones", beyond);
    }

    fn emails(&mut self, properties: &Properties, cells: &mut OutlookCells) {
        let columns = [
            ("E-mail Address", "E-mail Type", "E-mail Display Name"),
            ("E-mail 2 Address", "E-mail 2 Type", "E-mail 2 Display Name"),
            ("E-mail 3 Address", "E-mail 3 Type", "E-mail 3 Display Name"),
        ];
        for (email, (address, kind, name)) in properties.emails.iter().zip(columns) {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            cells.insert(address, text(&email.address));
            cells.insert(kind, "SMTP".to_owned());
            cells.insert(name, text(&email.name));
        }
        self.left_out.add("emailAddresses", properties.emails.len().saturating_sub(columns.len()));
        let typed = properties.emails.iter().take(columns.len()).filter(|email| email.kind.is_some()).count();
        self.left_out.add("types of emailAddresses", typed);
    }

    fn addresses(&mut self, properties: &Properties, cells: &mut OutlookCells) {
        let mut beyond = 0;
        let mut taken = [false; 3];
        for address in &properties.addresses {
            let (at, kind) = match address.kind.as_deref() {
                Some("business") => (0, "Business"),
                Some("home") => (1, "Home"),
                _ => (2, "Other"),
            };
            if std::mem::replace(&mut taken[at], true) {
                beyond += 1;
            } else {
                address_cells(address, kind, cells);
            }
        }
        self.left_out.add("postalAddresses", beyond);
    }

    fn dates(&mut self, properties: &Properties, cells: &mut OutlookCells) {
        let day = properties.birthday.as_deref().and_then(|birthday| birthday.get(..10));
        let dates = [
            ("Birthday", "birthday", day),
            ("Anniversary", "weddingAnniversary", properties.wedding_anniversary.as_deref()),
        ];
        for (column, property, day) in dates {
            let Some(day) = day.filter(|day| !day.is_empty()) else { continue };
            // Outlook has no days without a year.
            match Some(day).filter(|day| date::date(day).is_some() && !day.starts_with("1604")) {
                Some(day) => drop(cells.insert(column, self.date_text(day))),
                None => self.left_out.add(property, 1),
            }
        }
    }

    /// `YYYY-MM-DD` in Outlook's form, like `7/22/1974`.
    fn date_text(&self, day: &str) -> String {
        let number = |part: &str| part.trim_start_matches('0').to_owned();
        let (year, month, day) = (number(&day[..4]), number(&day[5..7]), number(&day[8..]));
        match self.order {
            DateOrder::MonthFirst => format!("{month}/{day}/{year:0>4}"),
            DateOrder::DayFirst => format!("{day}/{month}/{year:0>4}"),
        }
    }
}

/// Fills the columns of an address, whose names begin with its kind.
fn address_cells(address: &Address, kind: &str, cells: &mut OutlookCells) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let street = text(&address.street);
    let mut lines = street.splitn(3, '\n').map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let parts = [
        ("Street", line()),
        ("Street 2", line()),
        ("Street 3", line()),
        ("City", text(&address.city)),
        ("State", text(&address.state)),
        ("Postal Code", text(&address.postal_code)),
        ("Country/Region", text(&address.country_or_region)),
        ("Address PO Box", text(&address.post_office_box)),
    ];
    cells.extend(parts.into_iter().filter_map(|(part, text)| Some((column(&format!("{kind} {part}"))?, text))));
}
