//! CSV for Google Contacts: the columns of 2024 and later. The number of numbered columns depends on all contacts: call
//! [`GoogleColumns::measure`] with each of them first, then write.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::contact::{Address, Email, Properties, Text, Website};
use crate::domain::date;
use crate::formats::aside::Aside;
use crate::formats::csv::google::{BETWEEN, FAMILIES, Family, NumberedColumn, OWN, entry, fingerprint, phone_kind};
use crate::formats::csv::target::normalize;
use crate::formats::write::{ContactToWrite, LeftOut, cells};

/// The dialect of values that are kept aside.
const DIALECT: &str = "csv-google";

/// The columns in front, each with its property. Columns without a property hold something else or nothing.
const FRONT: [(&str, Option<Text>); 17] = [
    ("First Name", Some(Text::GivenName)),
    ("Middle Name", Some(Text::MiddleName)),
    ("Last Name", Some(Text::Surname)),
    ("Phonetic First Name", Some(Text::YomiGivenName)),
    ("Phonetic Middle Name", None),
    ("Phonetic Last Name", Some(Text::YomiSurname)),
    ("Name Prefix", Some(Text::Title)),
    ("Name Suffix", Some(Text::Generation)),
    ("Nickname", Some(Text::NickName)),
    ("File As", Some(Text::FileAs)),
    ("Organization Name", Some(Text::CompanyName)),
    ("Organization Title", Some(Text::JobTitle)),
    ("Organization Department", Some(Text::Department)),
    ("Birthday", None),
    ("Notes", Some(Text::PersonalNotes)),
    ("Photo", None),
    ("Labels", None),
];

/// Texts without a column. Each is a custom field.
const CUSTOM: [Text; 5] = [Text::Initials, Text::OfficeLocation, Text::Profession, Text::Gender, Text::YomiCompanyName];

/// The numbered families in their order, with the parts of each.
const NUMBERED: [(Family, &[&str]); 7] = [
    (Family::Email, &["Label", "Value"]),
    (Family::Phone, &["Label", "Value"]),
    (
        Family::Address,
        &["Label", "Formatted", "Street", "City", "PO Box", "Region", "Postal Code", "Country", "Extended Address"],
    ),
    (Family::Relation, &["Label", "Value"]),
    (Family::Website, &["Label", "Value"]),
    (Family::Event, &["Label", "Value"]),
    (Family::Custom, &["Label", "Value"]),
];

/// Maximum number of entries of a numbered family, and of columns after the numbered ones, so that one odd contact does
/// not make every row long. Values beyond it are left out and counted.
const MAX_COLUMNS: usize = 200;

/// The cells of one number, by part.
type NumberCells = Vec<(&'static str, String)>;

/// The cells of a contact.
#[derive(Debug, Default)]
struct GoogleCells {
    front: BTreeMap<&'static str, String>,
    /// Cells by number, for each of [`NUMBERED`].
    numbered: [BTreeMap<usize, NumberCells>; NUMBERED.len()],
    /// Further columns from files of this dialect.
    further: BTreeMap<String, String>,
}

/// The number of columns of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoogleColumns {
    numbers: [usize; NUMBERED.len()],
    further: BTreeSet<String>,
}

impl GoogleColumns {
    /// Makes room for a contact.
    pub fn measure(&mut self, source: &ContactToWrite<'_>) {
        let cells = GoogleCells::of(source, &mut LeftOut::default());
        for (max, numbered) in self.numbers.iter_mut().zip(&cells.numbered) {
            *max = numbered.last_key_value().map_or(0, |(number, _)| *number).max(*max);
        }
        for name in cells.further.into_keys() {
            if self.further.len() < MAX_COLUMNS {
                self.further.insert(name);
            }
        }
    }

    /// The names of all columns, with whether each holds phones.
    fn names(&self) -> Vec<(String, bool)> {
        let mut names: Vec<(String, bool)> = FRONT.iter().map(|(name, _)| ((*name).to_owned(), false)).collect();
        for ((family, parts), max) in NUMBERED.iter().zip(self.numbers) {
            for number in 1..=max {
                let value = |part: &str| *family == Family::Phone && part == "Value";
                names.extend(parts.iter().map(|part| (column(*family, number, part), value(part))));
            }
        }
        names.extend(self.further.iter().map(|name| (name.clone(), false)));
        names
    }
}

fn column(family: Family, number: usize, part: &str) -> String {
    let word = FAMILIES.iter().find(|(_, known)| *known == family).map_or("", |(word, _)| word);
    format!("{word} {number} - {part}")
}

/// Writes rows.
#[derive(Debug)]
pub struct GoogleWriter {
    columns: GoogleColumns,
    guard: bool,
    /// Values without a place in Google's columns.
    pub left_out: LeftOut,
}

impl GoogleWriter {
    /// A writer with room for all contacts. `guard` keeps spreadsheets from running cells.
    pub fn new(columns: GoogleColumns, guard: bool) -> Self {
        Self { columns, guard, left_out: LeftOut::default() }
    }

    /// The header row, with its end.
    pub fn header(&self) -> String {
        let names: Vec<(String, bool)> = self.columns.names();
        Self::line(names.iter().map(|(name, _)| (name.as_str(), false)), self.guard)
    }

    /// The row of a contact, with its end.
    pub fn row(&mut self, source: &ContactToWrite<'_>) -> String {
        let cells = GoogleCells::of(source, &mut self.left_out);
        let mut row: Vec<(&str, bool)> = Vec::new();
        for (name, _) in FRONT {
            row.push((cells.front.get(name).map_or("", String::as_str), false));
        }
        for (((family, parts), max), numbered) in NUMBERED.iter().zip(self.columns.numbers).zip(&cells.numbered) {
            for number in 1..=max {
                let known = numbered.get(&number);
                for part in *parts {
                    let text = known.and_then(|known| known.iter().find(|(known, _)| known == part));
                    let text = text.map_or("", |(_, text)| text.as_str());
                    row.push((text, *family == Family::Phone && *part == "Value"));
                }
            }
        }
        for name in &self.columns.further {
            row.push((cells.further.get(name).map_or("", String::as_str), false));
        }
        Self::line(row.into_iter(), self.guard)
    }

    fn line<'a>(cells: impl Iterator<Item = (&'a str, bool)>, guard: bool) -> String {
        let mut line = String::new();
        for (at, (cell, number)) in cells.enumerate() {
            if at > 0 {
                line.push(',');
            }
            if guard { cells::plain(&cells::guard(cell, number), &mut line) } else { cells::plain(cell, &mut line) }
        }
        line.push_str("\r\n");
        line
    }
}

impl GoogleCells {
    fn of(source: &ContactToWrite<'_>, left_out: &mut LeftOut) -> Self {
        let properties = &source.contact.properties;
        let asides = source.asides(DIALECT);
        let mut cells = Self::default();
        left_out.add("kept aside", cells.keep(&asides));
        cells.front(properties);
        cells.emails(&properties.emails, left_out);
        cells.phones(properties, &asides);
        cells.addresses(&properties.addresses, &asides);
        cells.relations(properties);
        cells.websites(&properties.websites, left_out);
        cells.events(properties);
        cells.custom(properties);
        left_out.add("flag", usize::from(properties.flag.is_some()));
        left_out.add("photo", usize::from(source.photo.is_some()));
        cells
    }

    /// Writes the values that are kept aside into their columns. Returns the number of those without a column.
    fn keep(&mut self, asides: &[Aside]) -> usize {
        let mut beyond = 0;
        for Aside { name, value, .. } in asides.iter().filter(|aside| aside.of.is_none()) {
            let room = self.further.len() < MAX_COLUMNS;
            let known = entry(&normalize(name)).and_then(|entry| self.place(&entry));
            let front = FRONT.iter().find(|(front, property)| front == name && property.is_none());
            match (known, front) {
                (Some((parts, part)), _) => parts.push((part, value.clone())),
                (None, Some((front, _))) => drop(self.front.insert(front, value.clone())),
                (None, None) if room => {
                    self.further.insert(name.clone(), value.clone());
                }
                (None, None) => beyond += 1,
            }
        }
        beyond
    }

    fn place(&mut self, entry: &NumberedColumn) -> Option<(&mut NumberCells, &'static str)> {
        let at = NUMBERED.iter().position(|(family, _)| *family == entry.family)?;
        if usize::from(entry.number) > MAX_COLUMNS {
            return None;
        }
        let part = NUMBERED[at].1.iter().find(|part| part.eq_ignore_ascii_case(&entry.part))?;
        Some((self.numbered[at].entry(usize::from(entry.number)).or_default(), part))
    }

    /// Adds an entry under the first free number.
    fn add(&mut self, family: Family, parts: NumberCells) {
        let Some(at) = NUMBERED.iter().position(|(known, _)| *known == family) else { return };
        let numbered = &mut self.numbered[at];
        let free = (1..=numbered.len() + 1).find(|number| !numbered.contains_key(number)).unwrap_or(1);
        numbered.insert(free, parts);
    }

    fn labelled(&mut self, family: Family, label: &str, value: &str) {
        self.add(family, vec![("Label", label.to_owned()), ("Value", value.to_owned())]);
    }

    fn front(&mut self, properties: &Properties) {
        for (name, property) in FRONT {
            if let Some(text) = property.and_then(|property| properties.text(property)) {
                self.front.insert(name, text.to_owned());
            }
        }
        if let Some(day) = properties.birthday.as_deref().and_then(day_of) {
            // Google writes a blank before a day without a year.
            let shown = day.strip_prefix("1604").map_or_else(|| day.to_owned(), |rest| format!(" -{rest}"));
            self.front.insert("Birthday", shown);
        }
        let mut labels: Vec<&str> = properties.categories.iter().map(String::as_str).collect();
        if properties.is_favorite == Some(true) {
            labels.push("* starred");
        }
        labels.push("* myContacts");
        self.front.insert("Labels", labels.join(BETWEEN));
    }

    fn emails(&mut self, emails: &[Email], left_out: &mut LeftOut) {
        for email in emails {
            let label = match (email.kind.as_deref(), email.other_label.as_deref()) {
                (_, Some(label)) if !label.is_empty() => label,
                (Some("work"), _) => "Work",
                (Some("personal"), _) => "Home",
                (Some("main"), _) => "Main",
                (Some("other"), _) => "Other",
                _ => "",
            };
            self.labelled(Family::Email, label, email.address.as_deref().unwrap_or_default());
        }
        let named = |email: &&Email| email.name.is_some() && email.name != email.address;
        left_out.add("names of emailAddresses", emails.iter().filter(named).count());
    }

    fn phones(&mut self, properties: &Properties, asides: &[Aside]) {
        for phone in &properties.phones {
            let number = phone.number.as_deref().unwrap_or_default();
            let label = match phone.kind.as_deref() {
                Some("home") => "Home",
                Some("business") => "Work",
                Some("mobile") => "Mobile",
                Some("homeFax") => "Home Fax",
                Some("businessFax") => "Work Fax",
                Some("otherFax") => "Other Fax",
                Some("pager") => "Pager",
                Some("assistant") => "Assistant",
                Some("radio") => "Radio",
                _ => label_of(asides, "phone", number).unwrap_or("Other"),
            };
            debug_assert!(phone_kind(label).is_some() || phone.kind.as_deref().is_none_or(|kind| kind == "other"));
            self.labelled(Family::Phone, label, number);
        }
    }

    fn addresses(&mut self, addresses: &[Address], asides: &[Aside]) {
        for address in addresses {
            let label = match address.kind.as_deref() {
                Some("home") => "Home",
                Some("business") => "Work",
                _ => label_of(asides, "address", &fingerprint(address)).unwrap_or("Other"),
            };
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let city = [&address.postal_code, &address.city].map(text).join(" ").trim().to_owned();
            let lines = [text(&address.street), city, text(&address.country_or_region)];
            let formatted = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            let parts = vec![
                ("Label", label.to_owned()),
                ("Formatted", formatted),
                ("Street", text(&address.street)),
                ("City", text(&address.city)),
                ("PO Box", text(&address.post_office_box)),
                ("Region", text(&address.state)),
                ("Postal Code", text(&address.postal_code)),
                ("Country", text(&address.country_or_region)),
            ];
            self.add(Family::Address, parts);
        }
    }

    fn relations(&mut self, properties: &Properties) {
        let texts = [(Text::SpouseName, "Spouse"), (Text::Manager, "Manager"), (Text::AssistantName, "Assistant")];
        for (property, label) in texts {
            if let Some(name) = properties.text(property).filter(|name| !name.is_empty()) {
                self.labelled(Family::Relation, label, name);
            }
        }
        for child in &properties.children {
            self.labelled(Family::Relation, "Child", child);
        }
    }

    fn websites(&mut self, websites: &[Website], left_out: &mut LeftOut) {
        let mut names = 0;
        for site in websites {
            let name = site.display_name.as_deref().filter(|name| !name.is_empty());
            let label = match site.kind.as_deref() {
                Some("work") => "Work",
                Some("home") => "Home Page",
                Some("blog") => "Blog",
                Some("profile") => "Profile",
                _ => name.unwrap_or_default(),
            };
            names += usize::from(name.is_some_and(|name| name != label));
            self.labelled(Family::Website, label, site.address.as_deref().unwrap_or_default());
        }
        left_out.add("names of websites", names);
    }

    fn events(&mut self, properties: &Properties) {
        match properties.wedding_anniversary.as_deref() {
            Some(day) if date::date(day).is_some() => self.labelled(Family::Event, "Anniversary", day),
            Some(text) if !text.is_empty() => self.add_own_field("weddingAnniversary", text),
            _ => {}
        }
    }

    /// Adds a custom field that is read back.
    fn add_own_field(&mut self, property: &str, value: &str) {
        self.labelled(Family::Custom, &format!("{OWN}{property}"), value);
    }

    fn custom(&mut self, properties: &Properties) {
        for property in CUSTOM {
            if let Some(text) = properties.text(property).filter(|text| !text.is_empty()) {
                self.add_own_field(property.json(), text);
            }
        }
        if let Some(name) = properties.text(Text::DisplayName).filter(|_| !properties.display_name_derived) {
            self.add_own_field(Text::DisplayName.json(), name);
        }
        if !properties.im_addresses.is_empty() {
            self.add_own_field("imAddresses", &properties.im_addresses.join(BETWEEN));
        }
        if let Some(instant) = properties.birthday.as_deref().filter(|text| day_of(text).is_none() && !text.is_empty())
        {
            self.add_own_field("birthday", instant);
        }
        if properties.is_favorite == Some(false) {
            self.add_own_field("isFavorite", "false");
        }
    }
}

/// The day of a birthday without a time.
fn day_of(birthday: &str) -> Option<&str> {
    birthday.strip_suffix("T11:59:00Z").filter(|day| date::date(day).is_some())
}

/// The label that was kept for a value of this family, if the value has no type.
fn label_of<'a>(asides: &'a [Aside], family: &str, of: &str) -> Option<&'a str> {
    let kept = |aside: &&Aside| aside.of.as_deref() == Some(of) && aside.name.to_lowercase().starts_with(family);
    asides.iter().find(kept).map(|aside| aside.value.as_str())
}
