//! Google Contacts: numbered columns, as many as the fullest contact needs.

use std::collections::BTreeMap;

use crate::domain::contact::{Address, Email, Text};
use crate::domain::date;
use crate::formats::csv::dates::{self, Cell, DateOrder};
use crate::formats::csv::layout::ColumnMeaning;
use crate::formats::csv::target::{ColumnTarget, normalize};
use crate::formats::draft::{Draft, clean_line, clean_lines};
use crate::vcard::record::{Fate, SAYS_NOTHING, WITH_ITS_VALUE};

/// The separator between several values of one label.
pub(crate) const BETWEEN: &str = " ::: ";
/// The prefix of labels of custom fields for properties without a column.
pub(crate) const OWN: &str = "contactd ";

/// A numbered family of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Email,
    Phone,
    Address,
    Im,
    Organization,
    Relation,
    Website,
    Event,
    Custom,
    /// Jots and external ids, which are kept aside.
    Other,
}

/// Every family, by the first words of its columns.
pub(crate) const FAMILIES: &[(&str, Family)] = &[
    ("E-mail", Family::Email),
    ("Phone", Family::Phone),
    ("Address", Family::Address),
    ("IM", Family::Im),
    ("Organization", Family::Organization),
    ("Relation", Family::Relation),
    ("Website", Family::Website),
    ("Event", Family::Event),
    ("Custom Field", Family::Custom),
    ("Jot", Family::Other),
    ("External ID", Family::Other),
    ("Calendar Link", Family::Other),
];

/// One of the numbered columns: `E-mail 2 - Value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberedColumn {
    pub(crate) family: Family,
    pub(crate) number: u16,
    /// In lower case: `label` (in old files `type`), `value`, `street`.
    pub(crate) part: String,
}

/// The numbered column of a normalized header.
pub(crate) fn entry(header: &str) -> Option<NumberedColumn> {
    let (front, part) = header.split_once(" - ")?;
    let (words, number) = front.rsplit_once(' ')?;
    let number = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (_, family) = FAMILIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(words))?;
    let part = if part == "type" { "label" } else { part };
    Some(NumberedColumn { family: *family, number, part: part.to_owned() })
}

/// The column that shows that the header is Google's, if there is one.
pub(crate) fn sign(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    if has("labels") && has("file as") {
        return Some("Labels");
    }
    let signs =
        ["E-mail 1 - Label", "Phone 1 - Label", "E-mail 1 - Value", "Phone 1 - Value", "Yomi Name", "Group Membership"];
    signs.into_iter().find(|sign| has(&sign.to_lowercase()))
}

/// The set of columns: `new` since 2024, `old` before.
pub(crate) fn variant(names: &[String]) -> &'static str {
    let has = |header: &str| names.iter().any(|name| normalize(name) == header);
    if has("e-mail 1 - label") || has("phone 1 - label") || has("labels") && has("file as") { "new" } else { "old" }
}

/// Whether the column holds dates.
pub(crate) fn is_date(means: &ColumnMeaning) -> bool {
    match means {
        ColumnMeaning::Is(target) => matches!(target, ColumnTarget::Birthday | ColumnTarget::Anniversary),
        ColumnMeaning::Of(entry) => entry.family == Family::Event && entry.part == "value",
    }
}

/// A cell: the column's name and the text.
type NamedCell<'a> = (&'a str, String);

/// The cells of one number of a family, by part.
#[derive(Debug, Default)]
struct CellsOfNumber<'a>(BTreeMap<&'a str, NamedCell<'a>>);

impl<'a> CellsOfNumber<'a> {
    fn take(&mut self, part: &str) -> Option<NamedCell<'a>> {
        self.0.remove(part)
    }
}

/// The numbered cells of a row.
#[derive(Debug, Default)]
pub(crate) struct NumberedCells<'a>(BTreeMap<(Family, u16), CellsOfNumber<'a>>);

impl<'a> NumberedCells<'a> {
    /// Adds a cell that has a text.
    pub(crate) fn add(&mut self, entry: &'a NumberedColumn, name: &'a str, text: String) {
        self.0.entry((entry.family, entry.number)).or_default().0.insert(&entry.part, (name, text));
    }

    /// Maps all cells.
    pub(crate) fn map(self, draft: &mut Draft, order: DateOrder) {
        let mut emails = Vec::new();
        let mut phones = Vec::new();
        for ((family, number), mut group) in self.0 {
            let label = group.take("label");
            let label = label.as_ref();
            match family {
                Family::Email => read_emails(draft, label, &mut group, &mut emails),
                Family::Phone => read_phones(draft, label, &mut group, &mut phones),
                Family::Address => addresses(draft, label, &mut group),
                Family::Im => im(draft, label, &mut group),
                Family::Organization if number == 1 => organization(draft, label, &mut group),
                Family::Relation => relation(draft, label, &mut group),
                Family::Website => website(draft, label, &mut group),
                Family::Event => event(draft, label, &mut group, order),
                Family::Custom => custom(draft, label, &mut group),
                Family::Organization | Family::Other => aside(draft, label, &mut group),
            }
            for (name, text) in group.0.into_values() {
                draft.keep(name, &text, None);
            }
        }
        add_emails(draft, emails);
        add_phones(draft, phones);
    }
}

/// The words of a label, and whether it is the primary one of its family.
fn label_of(label: Option<&NamedCell<'_>>) -> (String, bool) {
    let text = label.map_or("", |(_, text)| text.trim());
    match text.strip_prefix('*') {
        Some(rest) => (rest.trim().to_owned(), true),
        None => (text.to_owned(), false),
    }
}

/// A label is mapped with its value. Without a value it says nothing.
fn note_label(draft: &mut Draft, label: Option<&NamedCell<'_>>, fate: Fate) {
    if let Some((name, _)) = label {
        draft.note(name, fate);
    }
}

/// Keeps a value and its label.
fn keep_both(draft: &mut Draft, label: Option<&NamedCell<'_>>, value: &NamedCell<'_>) {
    if let Some((name, text)) = label {
        draft.keep(name, text, Some(WITH_ITS_VALUE));
    }
    draft.keep(value.0, &value.1, None);
}

fn values(text: &str) -> Vec<String> {
    text.split(BETWEEN.trim()).map(clean_line).filter(|value| !value.is_empty()).collect()
}

struct ReadEmail<'a> {
    email: Email,
    primary: bool,
    name: &'a str,
}

fn read_emails<'a>(
    draft: &mut Draft,
    label: Option<&NamedCell<'a>>,
    group: &mut CellsOfNumber<'a>,
    into: &mut Vec<ReadEmail<'a>>,
) {
    let Some((name, text)) = group.take("value") else {
        return note_label(draft, label, Fate::Ignored(SAYS_NOTHING));
    };
    let (word, primary) = label_of(label);
    let (kind, other_label) = match word.to_lowercase().as_str() {
        "" | "internet" => (None, None),
        "home" => (Some("personal"), None),
        "work" => (Some("work"), None),
        "main" => (Some("main"), None),
        "other" => (Some("other"), None),
        _ => (Some("other"), Some(word)),
    };
    note_label(draft, label, Fate::Mapped);
    for address in values(&text) {
        let (kind, other_label) = (kind.map(str::to_owned), other_label.clone());
        into.push(ReadEmail { email: Email { kind, other_label, address: Some(address), name: None }, primary, name });
    }
}

/// The primary entries come first, because the order decides what `/v1.0` shows.
fn add_emails(draft: &mut Draft, mut emails: Vec<ReadEmail<'_>>) {
    emails.sort_by_key(|email| !email.primary);
    for ReadEmail { email, name, .. } in emails {
        let address = email.address.clone().unwrap_or_default();
        let fate = draft.email(email);
        draft.record_one_of(name, &address, fate);
    }
}

struct ReadPhone<'a> {
    kind: &'static str,
    number: String,
    primary: bool,
    name: &'a str,
    /// A label that the type does not cover, with the name of its column.
    rest: Option<(&'a str, String)>,
}

/// The phone type of a label, compared by its letters: `Home Fax`, `home-fax`.
pub(crate) fn phone_kind(label: &str) -> Option<&'static str> {
    let letters: String = label.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Some(match letters.as_str() {
        "home" => "home",
        "work" => "business",
        "mobile" => "mobile",
        "homefax" => "homeFax",
        "workfax" => "businessFax",
        "otherfax" => "otherFax",
        "pager" => "pager",
        "assistant" => "assistant",
        "radio" => "radio",
        "other" | "" => "other",
        _ => return None,
    })
}

fn read_phones<'a>(
    draft: &mut Draft,
    label: Option<&NamedCell<'a>>,
    group: &mut CellsOfNumber<'a>,
    into: &mut Vec<ReadPhone<'a>>,
) {
    let Some((name, text)) = group.take("value") else {
        return note_label(draft, label, Fate::Ignored(SAYS_NOTHING));
    };
    let (word, primary) = label_of(label);
    let kind = phone_kind(&word);
    note_label(draft, label, if kind.is_some() { Fate::Mapped } else { Fate::Partial });
    for number in values(&text) {
        let rest = kind.is_none().then(|| label.map(|(name, _)| (*name, word.clone()))).flatten();
        into.push(ReadPhone { kind: kind.unwrap_or("other"), number, primary, name, rest });
    }
}

fn add_phones(draft: &mut Draft, mut phones: Vec<ReadPhone<'_>>) {
    phones.sort_by_key(|phone| !phone.primary);
    for ReadPhone { kind, number, name, rest, .. } in phones {
        let fate = draft.phone(kind, &number);
        if let (Fate::Mapped, Some((label, word))) = (fate, rest) {
            draft.keep_silently(label, &word, &number);
        }
        draft.record_one_of(name, &number, fate);
    }
}

/// Several addresses of one label are in the same columns. They are split only if all columns with text have the same
/// number of values.
fn addresses(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    const PARTS: [&str; 8] =
        ["street", "extended address", "city", "po box", "region", "postal code", "country", "formatted"];
    let mut parts: Vec<(usize, NamedCell<'_>)> =
        PARTS.iter().enumerate().filter_map(|(at, part)| Some((at, group.take(part)?))).collect();
    if parts.is_empty() {
        return note_label(draft, label, Fate::Ignored(SAYS_NOTHING));
    }
    // The formatted text repeats the parts.
    let formatted = if parts.len() > 1 { parts.pop_if(|(at, _)| *at == 7) } else { None };
    let split: Vec<Vec<&str>> = parts.iter().map(|(_, (_, text))| text.split(BETWEEN).collect()).collect();
    let count = split.iter().map(Vec::len).max().unwrap_or(1);
    let apart = split.iter().all(|values| values.len() == count || values.len() == 1);
    let (word, _) = label_of(label);
    let kind = match word.to_lowercase().as_str() {
        "home" => "home",
        "work" => "business",
        _ => "other",
    };
    let mut fate = Fate::Mapped;
    for place in 0..if apart { count } else { 1 } {
        let mut lines = [String::new(), String::new()];
        let mut address = Address { kind: Some(kind.to_owned()), ..Address::default() };
        for ((at, (_, whole)), values) in parts.iter().zip(&split) {
            let text =
                if apart { values.get(place).or(values.first()).copied().unwrap_or_default() } else { whole.as_str() };
            let line = Some(clean_line(text)).filter(|text| !text.is_empty());
            match at {
                0 | 7 => lines[0] = clean_lines(text),
                1 => lines[1] = clean_lines(text),
                2 => address.city = line,
                3 => address.post_office_box = line,
                4 => address.state = line,
                5 => address.postal_code = line,
                _ => address.country_or_region = line,
            }
        }
        let street = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        address.street = Some(street).filter(|street| !street.is_empty());
        let of = fingerprint(&address);
        match draft.address(address) {
            Fate::Mapped if kind == "other" && !matches!(word.to_lowercase().as_str(), "" | "other") => {
                if let Some((name, _)) = label {
                    draft.keep_silently(name, &word, &of);
                }
            }
            Fate::Mapped => {}
            other => fate = other,
        }
    }
    let named = matches!(word.to_lowercase().as_str(), "" | "other" | "home" | "work");
    note_label(draft, label, if named { Fate::Mapped } else { Fate::Partial });
    for (_, (name, text)) in parts {
        draft.record(name, &text, fate);
    }
    if let Some((_, (name, _))) = formatted {
        draft.note(name, Fate::Mapped);
    }
}

/// Identifies an address, for a label that is kept for it.
pub(crate) fn fingerprint(address: &Address) -> String {
    let parts = [
        &address.post_office_box,
        &address.street,
        &address.city,
        &address.state,
        &address.postal_code,
        &address.country_or_region,
    ];
    parts.map(|part| part.as_deref().unwrap_or_default()).join("|")
}

fn im(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    let service = group.take("service");
    note_label(draft, label, Fate::Ignored(SAYS_NOTHING));
    let Some((name, text)) = group.take("value") else {
        return note_label(draft, service.as_ref(), Fate::Ignored(SAYS_NOTHING));
    };
    let word = service.as_ref().map(|(_, text)| clean_line(text)).unwrap_or_default();
    let scheme = scheme(&word);
    note_label(draft, service.as_ref(), Fate::Mapped);
    for address in values(&text) {
        let fate = draft.im(&scheme, &address);
        draft.record_one_of(name, &address, fate);
    }
}

/// The scheme of a messenger's name.
fn scheme(service: &str) -> String {
    match service.to_lowercase().as_str() {
        "aim" => "aim".to_owned(),
        "jabber" | "xmpp" => "xmpp".to_owned(),
        "msn" | "windows live messenger" => "msnim".to_owned(),
        "yahoo" => "ymsgr".to_owned(),
        "google talk" | "google_talk" | "hangouts" => "gtalk".to_owned(),
        other => other.chars().filter(char::is_ascii_alphanumeric).collect(),
    }
}

fn organization(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    note_label(draft, label, Fate::Ignored(SAYS_NOTHING));
    let parts = [
        ("name", Text::CompanyName),
        ("yomi name", Text::YomiCompanyName),
        ("title", Text::JobTitle),
        ("department", Text::Department),
        ("location", Text::OfficeLocation),
    ];
    for (part, text) in parts {
        if let Some((name, value)) = group.take(part) {
            let fate = draft.text(text, &value);
            draft.record(name, &value, fate);
        }
    }
}

fn relation(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    let Some(value) = group.take("value") else { return aside(draft, label, group) };
    let (word, _) = label_of(label);
    let text = match word.to_lowercase().as_str() {
        "child" => None,
        "spouse" => Some(Text::SpouseName),
        "manager" => Some(Text::Manager),
        "assistant" => Some(Text::AssistantName),
        _ => return keep_both(draft, label, &value),
    };
    note_label(draft, label, Fate::Mapped);
    for name in values(&value.1) {
        let fate = match text {
            Some(text) => draft.text(text, &name),
            None => draft.child(&name),
        };
        draft.record_one_of(value.0, &name, fate);
    }
}

fn website(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    let Some((name, text)) = group.take("value") else { return aside(draft, label, group) };
    let (word, _) = label_of(label);
    let (kind, shown) = match word.to_lowercase().as_str() {
        "work" => ("work", None),
        "home" | "home page" | "homepage" => ("home", None),
        "blog" => ("blog", None),
        "profile" => ("profile", None),
        "other" | "" => ("other", None),
        _ => ("other", Some(word)),
    };
    note_label(draft, label, Fate::Mapped);
    for address in values(&text) {
        let fate = draft.website(kind, &address, shown.clone());
        draft.record_one_of(name, &address, fate);
    }
}

fn event(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>, order: DateOrder) {
    let Some(value) = group.take("value") else { return aside(draft, label, group) };
    let (word, _) = label_of(label);
    let day = dates::read(&value.1, order);
    match (word.to_lowercase().as_str(), day) {
        ("anniversary", Cell::Day(day)) if draft.anniversary(&day) == Fate::Mapped => {
            note_label(draft, label, Fate::Mapped);
            draft.note(value.0, Fate::Mapped);
        }
        _ => keep_both(draft, label, &value),
    }
}

/// A custom field. Our own ones hold properties without a column.
fn custom(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    let Some(value) = group.take("value") else { return aside(draft, label, group) };
    let (word, _) = label_of(label);
    let own = word.strip_prefix(OWN);
    let text = own.and_then(|name| Text::ALL.into_iter().find(|text| text.json() == name));
    let fate = match (own, text) {
        (_, Some(text)) => draft.text(text, &value.1),
        (Some("imAddresses"), None) => {
            let fates: Vec<Fate> = values(&value.1).iter().map(|address| draft.im("", address)).collect();
            fates.into_iter().find(|fate| *fate != Fate::Mapped).unwrap_or(Fate::Mapped)
        }
        (Some("birthday"), None) if date::instant(&value.1).is_some() && draft.patch.birthday.is_none() => {
            draft.patch.birthday = Some(Some(value.1.clone()));
            Fate::Mapped
        }
        (Some("weddingAnniversary"), None) => draft.anniversary(&clean_line(&value.1)),
        (Some("isFavorite"), None) if value.1 == "false" && draft.patch.is_favorite.is_none() => {
            draft.patch.is_favorite = Some(Some(false));
            Fate::Mapped
        }
        _ => Fate::Aside(None),
    };
    if let Fate::Aside(_) = fate {
        return keep_both(draft, label, &value);
    }
    note_label(draft, label, Fate::Mapped);
    draft.note(value.0, fate);
}

/// Keeps all cells of a group.
fn aside(draft: &mut Draft, label: Option<&NamedCell<'_>>, group: &mut CellsOfNumber<'_>) {
    let value = group.take("value");
    match (label, value) {
        (label, Some(value)) => keep_both(draft, label, &value),
        (Some((name, text)), None) => draft.keep(name, text, None),
        (None, None) => {}
    }
}

/// Labels and groups: categories, and two with a special meaning.
pub(crate) fn labels(draft: &mut Draft, column: &str, text: &str) {
    let mut fate = Fate::Mapped;
    for label in text.split(BETWEEN).map(str::trim).filter(|label| !label.is_empty()) {
        let name = label.strip_prefix('*').map_or(label, str::trim);
        let letters: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match letters.as_str() {
            "mycontacts" => draft.note("myContacts", Fate::Ignored("every Google contact is in this group")),
            "starred" | "starredinandroid" => draft.patch.is_favorite = Some(Some(true)),
            _ => match draft.category(name) {
                Fate::Aside(why) => {
                    fate = Fate::Partial;
                    draft.keep_silently(column, name, why.unwrap_or_default());
                }
                Fate::Mapped | Fate::Partial | Fate::Ignored(_) | Fate::Lost(_) => {}
            },
        }
    }
    draft.note(column, fate);
}
