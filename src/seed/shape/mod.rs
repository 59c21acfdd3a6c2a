//! What a contact has, in shares as address books have them: most have a phone, about half an e-mail address, a few everything.

mod names;

use unicode_normalization::UnicodeNormalization as _;

use crate::domain::contact::patch::ContactPatch;
use crate::domain::contact::{Address, DateTimeTimeZone, Email, Flag, MAX_TEXT, Phone, Text, Website};
use crate::seed::Generator;
use crate::seed::dice::{Dice, Stream};
use crate::seed::pools::{City, Name, Pool};

/// Contacts that may share a home.
const BLOCK: u64 = 5;
/// Contacts that share firms, and how many firms of a language they have.
const TOWN: u64 = 1_000;
const FIRMS: u64 = 6;
/// Categories, the first ones more often.
const CATEGORIES: [&str; 12] = [
    "Friends",
    "Work",
    "Family",
    "Customers",
    "Suppliers",
    "Club",
    "School",
    "Neighbours",
    "Choir",
    "Travel",
    "Doctors",
    "Press",
];
/// Types of phones that few contacts have.
const RARE_PHONES: [&str; 7] = ["other", "assistant", "homeFax", "businessFax", "otherFax", "pager", "radio"];

/// A contact in the making, and the data that it shares with others.
struct Making<'a> {
    number: u64,
    pool: &'static Pool,
    dice: Dice,
    home: Option<Home>,
    firm: Firm<'a>,
    patch: ContactPatch,
    phones: Vec<Phone>,
    emails: Vec<Email>,
    addresses: Vec<Address>,
    websites: Vec<Website>,
}

/// The data that the members of a household share.
struct Home {
    surname: usize,
    street: String,
    city: City,
    landline: String,
}

/// The data that the employees of a company share.
struct Firm<'a> {
    name: &'a Name,
    domain: String,
    street: String,
    city: City,
    switchboard: String,
}

/// The contact with a number.
pub(super) fn contact(of: &Generator, number: u64) -> ContactPatch {
    let mut shared = of.dice(Stream::Household, number / BLOCK);
    let is_household = shared.permille(215);
    let members = 2 + shared.below(4);
    let mut dice = of.dice(Stream::Contact, number);
    let lives_together = is_household && number % BLOCK < members;
    let pool = if lives_together { *shared.pick(&of.pools) } else { *dice.pick(&of.pools) };
    let home = lives_together.then(|| home(pool, &mut shared));
    let firm = firm(of, pool, number / TOWN, dice.early(FIRMS));
    let (patch, phones, emails, addresses, websites) = Default::default();
    let mut making = Making { number, pool, dice, home, firm, patch, phones, emails, addresses, websites };
    match making.dice.below(1_000) {
        0..30 => making.company(),
        30..45 => making.only_number(),
        45..60 => making.only_email(),
        _ => making.person(),
    }
    let Making { mut patch, phones, emails, addresses, websites, .. } = making;
    patch.phones = Some(phones).filter(|list| !list.is_empty());
    patch.emails = Some(emails).filter(|list| !list.is_empty());
    patch.addresses = Some(addresses).filter(|list| !list.is_empty());
    patch.websites = Some(websites).filter(|list| !list.is_empty());
    patch
}

fn home(pool: &'static Pool, dice: &mut Dice) -> Home {
    let surname = usize::try_from(dice.below(pool.surnames[0].len() as u64)).unwrap_or_default();
    Home {
        surname,
        street: street(pool, dice),
        city: *dice.pick(&pool.cities),
        landline: digits(pool.words.landline, dice),
    }
}

fn firm(of: &Generator, pool: &'static Pool, town: u64, place: u64) -> Firm<'static> {
    let code = pool.words.code.bytes().fold(0, |code, byte| code << 8 | u64::from(byte));
    let number = (town * FIRMS + place) << 16 | code;
    let mut dice = of.dice(Stream::Firm, number);
    let name = dice.pick(&pool.companies);
    let word = ascii(name.text).unwrap_or_else(|| pool.words.code.to_owned());
    let domain = format!("{word}-{}.{}", town * FIRMS + place + 1, dice.pick(&["example.com", "example.net"]));
    let switchboard = digits(pool.words.landline, &mut dice);
    Firm { name, domain, street: street(pool, &mut dice), city: *dice.pick(&pool.cities), switchboard }
}

fn street(pool: &Pool, dice: &mut Dice) -> String {
    dice.pick(&pool.streets).replace('#', &(1 + dice.early(180)).to_string())
}

/// A number of a pattern: a digit for each `x`.
fn digits(pattern: &str, dice: &mut Dice) -> String {
    let digit = |c| if c == 'x' { char::from(b'0' + u8::try_from(dice.below(10)).unwrap_or_default()) } else { c };
    pattern.chars().map(digit).collect()
}

/// The part of a text that an address can have: letters without marks, digits, and hyphens between words.
fn ascii(text: &str) -> Option<String> {
    let letters = text.nfd().filter(|c| c.is_ascii_alphanumeric() || *c == ' ' || *c == '-');
    let letters: String = letters.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
    let words: Vec<_> = letters.split('-').filter(|word| !word.is_empty()).collect();
    // Of a text in other letters a stray one may be left.
    (letters.len() * 2 > text.chars().count()).then(|| words.join("-")).filter(|word| !word.is_empty())
}

impl Making<'_> {
    fn set(&mut self, text: Text, value: impl Into<String>) {
        self.patch.texts[text as usize] = Some(Some(value.into()));
    }

    fn phone(&mut self, kind: &str, number: String) {
        self.phones.push(Phone { kind: Some(kind.to_owned()), number: Some(number) });
    }

    fn email(&mut self, kind: &str, address: String, name: Option<String>, label: Option<&str>) {
        let (address, other_label) = (Some(address), label.map(str::to_owned));
        self.emails.push(Email {
            name: name.or_else(|| address.clone()),
            address,
            kind: Some(kind.to_owned()),
            other_label,
        });
    }

    fn address(&mut self, kind: &str, street: String, city: City) {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let code = text(city.code).filter(|_| !self.dice.percent(5));
        let post_office_box = if self.dice.percent(3) { Some((1 + self.dice.below(999)).to_string()) } else { None };
        self.addresses.push(Address {
            kind: Some(kind.to_owned()),
            post_office_box,
            street: Some(street),
            city: text(city.name),
            state: text(city.state),
            country_or_region: text(self.pool.words.country),
            postal_code: code,
        });
    }

    fn website(&mut self, kind: &str, address: String, name: Option<&str>) {
        let display_name = name.map(str::to_owned);
        self.websites.push(Website { kind: Some(kind.to_owned()), address: Some(address), display_name });
    }

    fn has_employer(&mut self) {
        self.set(Text::CompanyName, self.firm.name.text);
        if let Some(yomi) = self.firm.name.yomi {
            self.set(Text::YomiCompanyName, yomi);
        }
    }

    fn set_employer(&mut self) {
        let (street, city) = (self.firm.street.clone(), self.firm.city);
        self.address("business", street, city);
    }

    fn company(&mut self) {
        self.has_employer();
        self.phone("business", self.firm.switchboard.clone());
        self.email("main", format!("info@{}", self.firm.domain), None, None);
        self.website("work", format!("https://www.{}/", self.firm.domain), Some(self.firm.name.text));
        self.set_employer();
    }

    fn only_number(&mut self) {
        let number = digits(self.pool.words.mobile, &mut self.dice);
        self.phone("mobile", number);
    }

    fn only_email(&mut self) {
        let address = format!("{}.{}@example.org", self.pool.words.code, self.number);
        self.email("unknown", address, None, None);
    }

    fn person(&mut self) {
        let local = self.names();
        self.work();
        self.numbers();
        self.addresses_of(&local);
        self.family();
        self.add_notes();
    }

    fn work(&mut self) {
        if !self.dice.percent(40) {
            if self.dice.percent(4) {
                let profession = *self.dice.pick(&self.pool.jobs);
                self.set(Text::Profession, profession);
            }
            return;
        }
        self.has_employer();
        let (job, department) = (*self.dice.pick(&self.pool.jobs), *self.dice.pick(&self.pool.departments));
        self.set(Text::JobTitle, job);
        if self.dice.percent(50) {
            self.set(Text::Department, department);
        }
        if self.dice.percent(15) {
            let room = format!("{}.{:02}", 1 + self.dice.below(6), 1 + self.dice.below(40));
            self.set(Text::OfficeLocation, room);
        }
        for text in [Text::AssistantName, Text::Manager] {
            if self.dice.percent(6) {
                let name = self.other_person_name();
                self.set(text, name);
            }
        }
        if self.dice.percent(70) {
            let extension = self.dice.below(90) + 10;
            self.phone("business", format!("{} ext. {extension}", self.firm.switchboard));
        }
        if self.dice.percent(25) {
            self.set_employer();
        }
    }

    fn numbers(&mut self) {
        if let Some(home) = self.home.as_ref().map(|home| home.landline.clone()) {
            self.phone("home", home);
        } else if self.dice.percent(25) {
            let number = digits(self.pool.words.landline, &mut self.dice);
            self.phone("home", number);
        }
        if self.dice.percent(if self.phones.is_empty() { 92 } else { 60 }) {
            self.only_number();
        }
        if self.dice.percent(5) {
            for _ in 0..=self.dice.below(3) {
                let kind = *self.dice.pick(&RARE_PHONES);
                let number = digits(self.pool.words.landline, &mut self.dice);
                self.phone(kind, number);
            }
        }
    }

    fn addresses_of(&mut self, local: &str) {
        let works = self.patch.texts[Text::CompanyName as usize].is_some();
        if works && self.dice.percent(60) {
            let (address, name) = (format!("{local}.{}@{}", self.number, self.firm.domain), self.named());
            self.email("work", address, name, None);
        }
        if self.dice.percent(40) {
            let host = *self.dice.pick(&["example.org", "example.net", "example.com", "mail.example.org"]);
            let (address, name) = (format!("{local}.{}@{host}", self.number), self.named());
            match self.dice.below(20) {
                0 => self.email("other", address, name, Some("Newsletter")),
                1..4 => self.email("unknown", address, name, None),
                _ => self.email("personal", address, name, None),
            }
        }
        match self.home.as_ref().map(|home| (home.street.clone(), home.city)) {
            Some((street, city)) => self.address("home", street, city),
            None if self.dice.percent(15) => {
                let (street, city) = (street(self.pool, &mut self.dice), *self.dice.pick(&self.pool.cities));
                let kind = if self.dice.percent(5) { "other" } else { "home" };
                self.address(kind, street, city);
            }
            None => {}
        }
        if self.dice.percent(6) {
            let kind = *self.dice.pick(&["home", "blog", "profile", "other"]);
            self.website(kind, format!("https://{}.example.org/{local}", self.number), None);
        }
        if self.dice.percent(6) {
            let address = format!("{}:{local}.{}@chat.example.org", self.dice.pick(&["xmpp", "sip"]), self.number);
            self.patch.im_addresses = Some(vec![address]);
        }
    }

    /// The name that stands beside an address: of half of them.
    fn named(&mut self) -> Option<String> {
        let text = |text: Text| self.patch.texts[text as usize].clone().flatten();
        let name = [Text::GivenName, Text::Surname].into_iter().filter_map(text).collect::<Vec<_>>().join(" ");
        self.dice.percent(50).then_some(name)
    }

    fn family(&mut self) {
        if self.dice.percent(25) {
            // 1604 is how programs write a birthday whose year is not known.
            let year = if self.dice.percent(33) { 1604 } else { 1930 + self.dice.below(85) };
            let (month, day) = (1 + self.dice.below(12), 1 + self.dice.below(28));
            self.patch.birthday = Some(Some(format!("{year:04}-{month:02}-{day:02}T11:59:00Z")));
        }
        if self.dice.percent(8) {
            let spouse = self.other_person_name();
            self.set(Text::SpouseName, spouse);
            let day =
                format!("{}-{:02}-{:02}", 1970 + self.dice.below(55), 1 + self.dice.below(12), 1 + self.dice.below(28));
            self.patch.wedding_anniversary = Some(Some(day));
        }
        if self.dice.percent(6) {
            let pool = self.pool;
            let count = 1 + self.dice.below(3);
            let child = |making: &mut Self| {
                let of = usize::from(making.dice.percent(50));
                making.dice.pick(&pool.given[of]).text.to_owned()
            };
            self.patch.children = Some((0..count).map(|_| child(self)).collect());
        }
    }

    fn add_notes(&mut self) {
        if self.dice.percent(10) {
            let note = self.pool.words.note;
            let long = if self.dice.percent(5) { MAX_TEXT / note.len().max(1) } else { 1 };
            self.set(Text::PersonalNotes, vec![note; long.max(1)].join("\r\n"));
        }
        if self.dice.percent(30) {
            let mut places = [self.dice.early(12), self.dice.early(12)];
            places.sort_unstable();
            let both = if places[0] != places[1] && self.dice.percent(30) { 2 } else { 1 };
            let name = |place: &u64| CATEGORIES[usize::try_from(*place).unwrap_or_default()].to_owned();
            self.patch.categories = Some(places.iter().take(both).map(name).collect());
        }
        if self.dice.percent(4) {
            self.patch.is_favorite = Some(Some(true));
        }
        if self.dice.percent(2) {
            let mut time = |hour: &str| DateTimeTimeZone {
                date_time: Some(format!(
                    "2026-{:02}-{:02}T{hour}:00:00.0000000",
                    1 + self.dice.below(12),
                    1 + self.dice.below(28)
                )),
                time_zone: Some("UTC".to_owned()),
            };
            let (start, due) = (time("08"), time("17"));
            let is_done = self.dice.percent(30);
            let completed = if is_done { due.clone() } else { DateTimeTimeZone::default() };
            let status = Some(if is_done { "complete" } else { "flagged" }.to_owned());
            self.patch.flag = Some(Some(Flag { status, completed, due, start }));
        }
    }
}

/// A contact as it was written down a second time.
pub(super) fn duplicate(mut patch: ContactPatch, dice: &mut Dice) -> ContactPatch {
    let text = |patch: &ContactPatch, text: Text| patch.texts[text as usize].clone().flatten();
    match dice.below(4) {
        // The same number, written otherwise.
        0 => {
            for number in patch.phones.iter_mut().flatten().filter_map(|phone| phone.number.as_mut()) {
                *number = number.replace(' ', "-");
            }
        }
        // The same address, in other letters, and no more.
        1 => {
            for email in patch.emails.iter_mut().flatten() {
                email.address = email.address.as_ref().map(|address| address.to_uppercase());
                email.name.clone_from(&email.address);
            }
            patch.addresses = None;
        }
        // First and last name the other way round.
        2 => {
            let (given, surname) = (text(&patch, Text::GivenName), text(&patch, Text::Surname));
            if let (Some(given), Some(surname)) = (given, surname) {
                patch.texts[Text::GivenName as usize] = Some(Some(surname));
                patch.texts[Text::Surname as usize] = Some(Some(given));
            }
        }
        // All of it.
        _ => {}
    }
    patch
}
