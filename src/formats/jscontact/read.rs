//! Reads a Card.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::domain::contact::{Email, Text};
use crate::domain::date;
use crate::domain::photo::Picture;
use crate::formats::csv::dates::of_numbers;
use crate::formats::draft::{Draft, MAX_PHOTO};
use crate::formats::jscontact::{COLLECTIONS, PRODUCT, components, entries, has_more, member, object, own, set, text};
use crate::json::Json;
use crate::vcard::record::{Fate, GroupRecord, PropertyOutcome, RecordContent, RecordPhoto, Refusal, SAYS_NOTHING};

/// Schemes of instant messengers.
const SCHEMES: [&str; 10] = ["aim", "xmpp", "msnim", "skype", "ymsgr", "icq", "gtalk", "qq", "sip", "im"];

type CardMembers = [(String, Json)];

/// Reads a Card. An object of another type is refused.
pub(crate) fn card(members: &CardMembers) -> RecordContent {
    if text(members, "@type") != Some("Card") {
        let detail = Some("A Card of JSContact must have '@type': 'Card'.".to_owned());
        return RecordContent::Refused(Refusal { reason: "no Card", detail });
    }
    if text(members, "kind") == Some("group") {
        return group(members);
    }
    let mut draft = Draft::new("jscontact");
    draft.exact = text(members, "prodId") == Some(PRODUCT);
    draft.uid = text(members, "uid").map(str::to_owned);
    // Our own entries of vCardProps override the other members, so they come last.
    let (props, others): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| name == "vCardProps");
    for (name, value) in others.into_iter().chain(props).filter(|(_, value)| !matches!(value, Json::Null)) {
        map_member(&mut draft, name, value);
    }
    draft.finish()
}

/// A group becomes a category of its members.
fn group(members: &CardMembers) -> RecordContent {
    let name = object(members, "name").and_then(|name| text(name, "full")).unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        let detail = Some("The group has no name.".to_owned());
        return RecordContent::Refused(Refusal { reason: "empty", detail });
    }
    let outcome = |(name, _): &(String, Json)| {
        let fate = match name.as_str() {
            "name" | "members" | "uid" | "kind" => Fate::Mapped,
            "@type" | "version" | "updated" | "created" | "prodId" => Fate::Ignored(SAYS_NOTHING),
            _ => Fate::Ignored("a group has a name and members only"),
        };
        PropertyOutcome { name: name.clone(), fate }
    };
    RecordContent::Group(Box::new(GroupRecord {
        name,
        members: set(members, "members").into_iter().map(str::to_owned).collect(),
        uid: text(members, "uid").map(str::to_owned),
        card: None,
        outcomes: members.iter().map(outcome).collect(),
    }))
}

/// Maps a member of the Card.
fn map_member(draft: &mut Draft, name: &str, value: &Json) {
    match (name, value) {
        ("uid", Json::Text(_)) => draft.note(name, Fate::Mapped),
        ("@type" | "version" | "updated" | "created" | "prodId", _) => draft.note(name, Fate::Ignored(SAYS_NOTHING)),
        ("kind", Json::Text(kind)) if kind == "individual" => draft.note(name, Fate::Ignored(SAYS_NOTHING)),
        ("name", Json::Object(members)) => {
            if components::name(draft, members) {
                let of = own::name_of(&draft.patch);
                draft.keep_rest(name, &value.to_string(), &of);
            } else {
                draft.note(name, Fate::Mapped);
            }
        }
        ("keywords", Json::Object(words)) => keywords(draft, words),
        ("vCardProps", Json::Array(values)) => own::props(draft, values),
        (name, Json::Object(members)) if COLLECTIONS.contains(&name) => {
            for (key, entry) in entries(value) {
                map_entry(draft, name, key, entry);
            }
            for (key, value) in members.iter().filter(|(_, value)| !matches!(value, Json::Object(_) | Json::Null)) {
                draft.keep_as(name, &format!("{name}/{key}"), &value.to_string(), None);
            }
        }
        _ => draft.keep(name, &value.to_string(), None),
    }
}

fn keywords(draft: &mut Draft, words: &CardMembers) {
    let mut outcome = Fate::Mapped;
    for (word, _) in words.iter().filter(|(_, value)| *value == Json::Bool(true)) {
        if let Fate::Aside(_) = draft.category(word) {
            outcome = Fate::Partial;
            draft.keep_silently(&format!("keywords/{word}"), "true", "");
        }
    }
    draft.note("keywords", outcome);
}

/// The outcome of an entry.
enum MappedEntry {
    /// All of it is mapped.
    All,
    /// A part with this text is mapped, and the whole is kept.
    Part(String),
    No(Option<&'static str>),
    Lost(&'static str),
}

impl MappedEntry {
    fn of(fate: Fate, partial: bool, of: impl FnOnce() -> String) -> Self {
        match fate {
            Fate::Aside(why) => Self::No(why),
            _ if partial => Self::Part(of()),
            _ => Self::All,
        }
    }
}

/// Maps an entry of a collection.
fn map_entry(draft: &mut Draft, name: &str, key: &str, entry: &CardMembers) {
    let taken = match name {
        "nicknames" => first_text(draft, Text::NickName, entry, "name"),
        "titles" => title(draft, entry),
        "organizations" => organization(draft, entry),
        "emails" => email(draft, entry),
        "phones" => phone(draft, entry),
        "addresses" => {
            let (address, partial) = components::address(draft, entry);
            let of = own::address_of(&address);
            if of.trim_matches('|').is_empty() {
                MappedEntry::No(None)
            } else {
                MappedEntry::of(draft.address(address), partial, || of)
            }
        }
        "links" => link(draft, entry),
        "onlineServices" => service(draft, entry),
        "anniversaries" => anniversary(draft, entry),
        "notes" => note(draft, entry),
        _ => media(draft, entry),
    };
    let place = format!("{name}/{key}");
    let json = || Json::Object(entry.to_vec()).to_string();
    match taken {
        MappedEntry::All => draft.note(name, Fate::Mapped),
        MappedEntry::Part(of) => {
            draft.note(name, Fate::Partial);
            draft.keep_silently(&place, &json(), &of);
        }
        MappedEntry::No(why) => draft.keep_as(name, &place, &json(), why),
        MappedEntry::Lost(why) => draft.note(name, Fate::Lost(why)),
    }
}

/// Maps a text that a contact has once, from the first entry.
fn first_text(draft: &mut Draft, property: Text, entry: &CardMembers, from: &str) -> MappedEntry {
    let Some(value) = text(entry, from).filter(|value| !value.is_empty()) else { return MappedEntry::No(None) };
    if draft.text_of(property).is_some() {
        return MappedEntry::No(None);
    }
    let partial = has_more(entry, &[from, "kind"]);
    MappedEntry::of(draft.text(property, value), partial, || value.to_owned())
}

fn title(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    match text(entry, "kind").unwrap_or("title") {
        "title" => first_text(draft, Text::JobTitle, entry, "name"),
        "role" => first_text(draft, Text::Profession, entry, "name"),
        _ => MappedEntry::No(None),
    }
}

/// Maps the first organization, and its first unit.
fn organization(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let units: &[Json] = match member(entry, "units") {
        Some(Json::Array(units)) => units,
        _ => &[],
    };
    let unit = match units.first() {
        Some(Json::Object(unit)) => text(unit, "name"),
        _ => None,
    };
    let company = text(entry, "name");
    let known = draft.text_of(Text::CompanyName).is_some() || draft.text_of(Text::Department).is_some();
    if known || company.is_none() && unit.is_none() {
        return MappedEntry::No(None);
    }
    let mut partial = units.len() > 1 || has_more(entry, &["name", "units"]);
    for (property, value) in [(Text::CompanyName, company), (Text::Department, unit)] {
        partial |= value.is_some_and(|value| matches!(draft.text(property, value), Fate::Aside(_)));
    }
    let of = format!("{}|{}", company.unwrap_or_default(), unit.unwrap_or_default());
    MappedEntry::of(Fate::Mapped, partial, || of)
}

fn email(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let Some(address) = text(entry, "address").filter(|address| !address.is_empty()) else {
        return MappedEntry::No(None);
    };
    let contexts = set(entry, "contexts");
    let label = text(entry, "label").filter(|label| !label.is_empty());
    let kind = match label {
        _ if contexts.contains(&"work") => Some("work"),
        _ if contexts.contains(&"private") => Some("personal"),
        Some(_) => Some("other"),
        None => None,
    };
    let partial = contexts.len() > 1 || has_more(entry, &["address", "contexts", "label"]);
    let address = draft.clean_line(address);
    let fate = draft.email(Email {
        address: Some(address.clone()),
        kind: kind.map(str::to_owned),
        other_label: label.map(|label| draft.clean_line(label)),
        name: None,
    });
    MappedEntry::of(fate, partial, || address)
}

/// A phone number; a `tel:` URI is parsed (RFC 3966).
fn number_of(text: &str) -> String {
    let Some(rest) = text.get(..4).filter(|start| start.eq_ignore_ascii_case("tel:")).and(text.get(4..)) else {
        return text.to_owned();
    };
    let plain = crate::percent::percent_decode(rest).unwrap_or_else(|| rest.to_owned());
    match plain.split_once(";ext=") {
        Some((number, extension)) => format!("{number} ext. {extension}"),
        None => plain,
    }
}

fn phone(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let Some(number) = text(entry, "number").filter(|number| !number.is_empty()) else { return MappedEntry::No(None) };
    let (contexts, features) = (set(entry, "contexts"), set(entry, "features"));
    let (work, home) = (contexts.contains(&"work"), contexts.contains(&"private"));
    let kind = match () {
        () if features.contains(&"fax") && home => "homeFax",
        () if features.contains(&"fax") && work => "businessFax",
        () if features.contains(&"fax") => "otherFax",
        () if features.contains(&"pager") => "pager",
        () if features.contains(&"mobile") => "mobile",
        () if home => "home",
        () if work => "business",
        () => "other",
    };
    let said = ["fax", "pager", "mobile", "voice", "text"];
    let partial =
        has_more(entry, &["number", "contexts", "features"]) || features.iter().any(|feature| !said.contains(feature));
    let number = draft.clean_line(&number_of(number));
    MappedEntry::of(draft.phone(kind, &number), partial, || format!("{kind}|{number}"))
}

fn link(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let uri = text(entry, "uri").filter(|uri| !uri.is_empty() && member(entry, "kind").is_none());
    let Some(uri) = uri else { return MappedEntry::No(None) };
    let contexts = set(entry, "contexts");
    let kind = match () {
        () if contexts.contains(&"work") => "work",
        () if contexts.contains(&"private") => "home",
        () => "other",
    };
    let partial = contexts.len() > 1 || has_more(entry, &["uri", "contexts", "label"]);
    let label = text(entry, "label").map(|label| draft.clean_line(label));
    MappedEntry::of(draft.website(kind, uri, label), partial, || uri.to_owned())
}

fn service(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let uri = text(entry, "uri").unwrap_or_default();
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if !SCHEMES.contains(&scheme.as_str()) {
        return MappedEntry::No(None);
    }
    let partial = has_more(entry, &["uri", "service", "contexts"]);
    MappedEntry::of(draft.im("", uri), partial, || uri.to_owned())
}

/// A date of JSContact: a day, or an instant if it has a relevant time.
enum DateOrInstant {
    Day(String),
    Instant(String),
}

fn when(value: &Json) -> Option<DateOrInstant> {
    let Json::Object(date) = value else { return None };
    if let Some(utc) = text(date, "utc") {
        date::instant(utc)?;
        let day = utc[..10].to_owned();
        let midnight = utc.get(11..19).is_some_and(|time| time == "00:00:00");
        return Some(if midnight { DateOrInstant::Day(day) } else { DateOrInstant::Instant(utc.to_owned()) });
    }
    let gregorian = text(date, "calendarScale").is_none_or(|scale| scale.eq_ignore_ascii_case("gregorian"));
    let number = |name| match member(date, name) {
        Some(Json::Number(number)) => Some(number.as_str()),
        _ => None,
    };
    let year = number("year").map(|year| format!("{year:0>4}"));
    gregorian.then(|| of_numbers(year.as_deref(), number("month")?, number("day")?)).flatten().map(DateOrInstant::Day)
}

fn anniversary(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let Some(when) = member(entry, "date").and_then(when) else { return MappedEntry::No(None) };
    let partial = has_more(entry, &["kind", "date"]);
    let fate = match (text(entry, "kind"), &when) {
        (Some("birth"), DateOrInstant::Day(day)) => draft.birthday(day),
        (Some("birth"), DateOrInstant::Instant(instant)) if draft.patch.birthday.is_none() => {
            draft.patch.birthday = Some(Some(instant.clone()));
            Fate::Mapped
        }
        (Some("wedding"), DateOrInstant::Day(day)) => draft.anniversary(day),
        (Some("wedding"), DateOrInstant::Instant(instant)) => draft.anniversary(&instant[..10]),
        _ => Fate::Aside(None),
    };
    let (DateOrInstant::Day(of) | DateOrInstant::Instant(of)) = when;
    MappedEntry::of(fate, partial, || of)
}

/// Notes are joined by a line break.
fn note(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let Some(note) = text(entry, "note").filter(|note| !note.is_empty()) else { return MappedEntry::No(None) };
    let note = draft.clean_lines(note);
    let joined = match draft.text_of(Text::PersonalNotes) {
        Some(before) => format!("{before}\n{note}"),
        None => note.clone(),
    };
    let before = draft.patch.texts[Text::PersonalNotes as usize].take();
    let fate = draft.text(Text::PersonalNotes, &joined);
    if fate != Fate::Mapped {
        draft.patch.texts[Text::PersonalNotes as usize] = before;
    }
    MappedEntry::of(fate, has_more(entry, &["note"]), || note)
}

/// A photo that is in the Card itself. No URL is fetched.
fn media(draft: &mut Draft, entry: &CardMembers) -> MappedEntry {
    let uri = text(entry, "uri").unwrap_or_default();
    let data = uri.strip_prefix("data:").and_then(|data| data.split_once(";base64,")).map(|(_, data)| data);
    let bytes = data.and_then(|data| BASE64_STANDARD.decode(data.trim()).ok());
    match bytes {
        Some(bytes) if text(entry, "kind") == Some("photo") && draft.photo.is_none() => {
            if bytes.len() > MAX_PHOTO {
                return MappedEntry::Lost("too large");
            }
            if Picture::recognize(&bytes).is_err() {
                return MappedEntry::No(Some("no picture"));
            }
            draft.photo = Some(RecordPhoto { bytes });
            MappedEntry::All
        }
        _ => MappedEntry::No(None),
    }
}
