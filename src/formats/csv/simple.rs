//! Rows whose columns have one fixed meaning each: Outlook, Thunderbird, Yahoo, LinkedIn, and files with a map of
//! columns.

use crate::domain::contact::{Address, Email, Text};
use crate::formats::csv::dates::{self, Cell, DateOrder};
use crate::formats::csv::google;
use crate::formats::csv::tables;
use crate::formats::csv::target::{ADDRESSES, AddressPart, ColumnTarget, DatePart, EMAILS, EmailPart, normalize};
use crate::formats::detect::FileFormat;
use crate::formats::draft::{Draft, clean_line, clean_lines};
use crate::vcard::record::{Fate, SAYS_NOTHING};

/// Values that are assembled from several cells of a row.
#[derive(Debug, Default)]
pub(crate) struct Simple {
    emails: [PartsOfEmail; EMAILS],
    addresses: [PartsOfAddress; ADDRESSES.len()],
    /// The kinds of addresses, in the order of their first columns.
    seen: Vec<usize>,
    /// Year, month and day, each with the name of its column.
    birthday: [Option<(String, String)>; 3],
}

#[derive(Debug, Default)]
struct PartsOfEmail {
    address: Option<(String, String)>,
    name: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct PartsOfAddress {
    address: Address,
    street: [String; 3],
    cells: Vec<(String, String)>,
}

impl Simple {
    /// Maps a cell with text.
    pub(crate) fn cell(
        &mut self,
        draft: &mut Draft,
        target: ColumnTarget,
        column: &str,
        text: &str,
        format: FileFormat,
        order: DateOrder,
    ) {
        match target {
            ColumnTarget::Text(Text::Gender) => gender(draft, column, text),
            ColumnTarget::Text(property) => {
                let fate = draft.text(property, text);
                draft.record(column, text, fate);
            }
            ColumnTarget::Email(place, part) => self.email(draft, place, part, column, text),
            ColumnTarget::Phone(kind, partial) => phone(draft, kind, partial, column, text),
            ColumnTarget::Address(kind, part) => self.address(draft, kind, part, column, text),
            ColumnTarget::Website(kind) => {
                let fate = draft.website(kind, text, None);
                draft.record(column, text, fate);
            }
            ColumnTarget::Im(scheme) => {
                let fate = draft.im(scheme, text);
                draft.record(column, text, fate);
            }
            ColumnTarget::Birthday => day(draft, column, text, order, Draft::birthday),
            ColumnTarget::Anniversary => day(draft, column, text, order, Draft::anniversary),
            ColumnTarget::BirthdayPart(part) => {
                self.birthday[part as usize] = Some((column.to_owned(), text.to_owned()));
            }
            ColumnTarget::Categories => {
                let sign = if format == FileFormat::CsvOutlook && text.contains(';') { ';' } else { ',' };
                list(draft, column, text, sign, Draft::category);
            }
            ColumnTarget::Children => list(draft, column, text, ',', Draft::child),
            ColumnTarget::Favorite => {
                let truth = matches!(normalize(text).as_str(), "true" | "yes" | "1");
                draft.patch.is_favorite = Some(Some(truth));
                draft.note(column, Fate::Mapped);
            }
            ColumnTarget::Labels => google::labels(draft, column, text),
            ColumnTarget::UnlessDefault if tables::DEFAULTS.contains(&normalize(text).as_str()) => {
                draft.note(column, Fate::Ignored(SAYS_NOTHING));
            }
            ColumnTarget::Aside | ColumnTarget::UnlessDefault => draft.keep(column, text, None),
        }
    }

    fn email(&mut self, draft: &mut Draft, place: usize, part: EmailPart, column: &str, text: &str) {
        let cell = Some((column.to_owned(), clean_line(text)));
        let email = &mut self.emails[place];
        match part {
            EmailPart::Address if email.address.is_none() => email.address = cell,
            EmailPart::Name if email.name.is_none() => email.name = cell,
            // SMTP is the normal kind. An address of Exchange (EX) is stored as it is; its form shows what it is.
            EmailPart::Kind if ["SMTP", "EX"].contains(&text) => draft.note(column, Fate::Ignored(SAYS_NOTHING)),
            _ => draft.keep(column, text, None),
        }
    }

    fn address(&mut self, draft: &mut Draft, kind: usize, part: AddressPart, column: &str, text: &str) {
        if !self.seen.contains(&kind) {
            self.seen.push(kind);
        }
        let PartsOfAddress { address, street, cells } = &mut self.addresses[kind];
        if let AddressPart::Street(line) = part {
            if !street[line].is_empty() {
                return draft.keep(column, text, None);
            }
            street[line] = clean_lines(text);
        } else {
            let member = match part {
                AddressPart::City => &mut address.city,
                AddressPart::State => &mut address.state,
                AddressPart::PostalCode => &mut address.postal_code,
                AddressPart::Country => &mut address.country_or_region,
                AddressPart::PoBox | AddressPart::Street(_) => &mut address.post_office_box,
            };
            if member.is_some() {
                return draft.keep(column, text, None);
            }
            *member = Some(clean_line(text));
        }
        cells.push((column.to_owned(), text.to_owned()));
    }

    /// Adds the assembled values.
    pub(crate) fn finish(self, draft: &mut Draft) {
        for PartsOfEmail { address, name } in self.emails {
            let fate = match (&address, &name) {
                (None, None) => continue,
                (None, Some(_)) => Fate::Aside(None),
                (Some((_, address)), name) => draft.email(Email {
                    address: Some(address.clone()),
                    name: name.as_ref().map(|(_, name)| name.clone()),
                    ..Email::default()
                }),
            };
            for (column, text) in address.into_iter().chain(name) {
                draft.record(&column, &text, fate);
            }
        }
        let mut addresses = self.addresses.map(Some);
        for kind in self.seen {
            let Some(PartsOfAddress { mut address, street, cells }) = addresses[kind].take() else { continue };
            let street = street.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            address.street = Some(street).filter(|street| !street.is_empty());
            address.kind = Some(ADDRESSES[kind].to_owned());
            // An address may have only blanks in its cells.
            let fate = draft.address(address);
            for (column, text) in cells {
                draft.record(&column, &text, fate);
            }
        }
        birthday_of_parts(draft, self.birthday);
    }
}

/// Thunderbird's birthday: three columns, of which the year may be empty.
fn birthday_of_parts(draft: &mut Draft, parts: [Option<(String, String)>; 3]) {
    let text = |part: DatePart| parts[part as usize].as_ref().map(|(_, text)| text.as_str());
    let day = match (text(DatePart::Month), text(DatePart::Day)) {
        (Some(month), Some(day)) => dates::of_numbers(text(DatePart::Year), month, day),
        _ => None,
    };
    let fate = day.map_or(Fate::Aside(None), |day| draft.birthday(&day));
    for (column, text) in parts.into_iter().flatten() {
        draft.record(&column, &text, fate);
    }
}

fn phone(draft: &mut Draft, kind: &str, partial: bool, column: &str, text: &str) {
    match draft.phone(kind, text) {
        // The type does not cover the column's name, so the name is kept.
        Fate::Mapped if partial => draft.keep_rest(column, text, text),
        fate => draft.record(column, text, fate),
    }
}

fn gender(draft: &mut Draft, column: &str, text: &str) {
    let word = normalize(text);
    if tables::DEFAULTS.contains(&word.as_str()) {
        return draft.note(column, Fate::Ignored(SAYS_NOTHING));
    }
    let fate = draft.text(Text::Gender, tables::gender(&word).unwrap_or(text));
    draft.record(column, text, fate);
}

fn day(draft: &mut Draft, column: &str, text: &str, order: DateOrder, set: impl Fn(&mut Draft, &str) -> Fate) {
    match dates::read(text, order) {
        Cell::Day(day) => {
            let fate = set(draft, &day);
            draft.record(column, text, fate);
        }
        Cell::Nothing => draft.note(column, Fate::Ignored(SAYS_NOTHING)),
        Cell::Unknown => draft.keep(column, text, Some("no date")),
    }
}

fn list(draft: &mut Draft, column: &str, text: &str, sign: char, add: impl Fn(&mut Draft, &str) -> Fate) {
    for value in text.split(sign).map(str::trim).filter(|value| !value.is_empty()) {
        let fate = add(draft, value);
        draft.record_one_of(column, value, fate);
    }
}
