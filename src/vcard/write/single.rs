//! Lines with one value.

use serde_json::json;

use crate::domain::contact::patch::derived_name;
use crate::domain::contact::{DateTimeTimeZone, Flag, Properties, Text};
use crate::domain::date;
use crate::vcard::dates::{self, CardDate, NO_YEAR};
use crate::vcard::write::{Class, NewLine};
use crate::vcard::{Audience, Version, text};

pub(crate) fn set(properties: &Properties, text: Text) -> Option<&str> {
    properties.text(text).filter(|text| !text.is_empty())
}

/// The FN of a contact, and whether it is not a name: the name, else the derived name, else a number.
pub(crate) fn shown_name(properties: &Properties) -> (String, bool) {
    let text = |text| properties.text(text);
    if let Some(name) = set(properties, Text::DisplayName) {
        return (name.to_owned(), false);
    }
    let email = properties.emails.iter().find_map(|email| email.address.as_deref().filter(|a| !a.is_empty()));
    let name = derived_name(text(Text::GivenName), text(Text::Surname), text(Text::CompanyName), email);
    let number = || properties.phones.iter().find_map(|phone| phone.number.clone().filter(|number| !number.is_empty()));
    (name.or_else(number).unwrap_or_default(), true)
}

/// FN, N and the other lines that name the person or the company.
pub(crate) fn names(properties: &Properties, audience: Audience, out: &mut Vec<NewLine>) {
    let (name, derived) = shown_name(properties);
    let mut line = NewLine::text(Class::DisplayName, "FN", &name, audience);
    if derived && audience == Audience::Export {
        line.param("X-CONTACTD-DERIVED", "1");
    }
    out.push(line);
    let texts = [Text::Surname, Text::GivenName, Text::MiddleName, Text::Title, Text::Generation];
    out.push(components(Class::Name, "N", &texts.map(|text| properties.text(text).unwrap_or_default()), audience));
    let mut text = |class, head: &str, text| {
        if let Some(value) = set(properties, text) {
            out.push(NewLine::text(class, head, value, audience));
        }
    };
    text(Class::NickName, "NICKNAME", Text::NickName);
    text(Class::YomiGivenName, "X-PHONETIC-FIRST-NAME", Text::YomiGivenName);
    text(Class::YomiSurname, "X-PHONETIC-LAST-NAME", Text::YomiSurname);
    text(Class::YomiCompany, "X-PHONETIC-ORG", Text::YomiCompanyName);
    let company = [Text::CompanyName, Text::Department].map(|text| set(properties, text));
    match company {
        [None, None] => {}
        [Some(company), None] => out.push(components(Class::Organisation, "ORG", &[company], audience)),
        _ => {
            let both = company.map(Option::unwrap_or_default);
            out.push(components(Class::Organisation, "ORG", &both, audience));
        }
    }
    let mut text = |class, head: &str, text| {
        if let Some(value) = set(properties, text) {
            out.push(NewLine::text(class, head, value, audience));
        }
    };
    text(Class::JobTitle, "TITLE", Text::JobTitle);
    text(Class::Profession, "ROLE", Text::Profession);
}

/// A line of components.
pub(crate) fn components(class: Class, head: &str, values: &[&str], audience: Audience) -> NewLine {
    let mut value = String::new();
    for (i, part) in values.iter().enumerate() {
        if i > 0 {
            value.push(';');
        }
        text::escape(part, &mut value);
    }
    let mut line = NewLine::new(class, head, value);
    line.breaks(values, audience);
    line
}

/// Birthday and wedding anniversary.
pub(crate) fn dates(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    if let Some(birthday) = &properties.birthday {
        out.extend(birthday_line(birthday, version, audience));
    }
    if let Some(anniversary) = properties.wedding_anniversary.as_deref().filter(|day| !day.is_empty()) {
        out.extend(anniversary_line(anniversary, version, audience));
    }
}

/// BDAY. Only files have the time of day.
fn birthday_line(birthday: &str, version: Version, audience: Audience) -> Option<NewLine> {
    let Some((day, timed)) = dates::shown_day(birthday) else {
        return own_line(Class::Birthday, "BDAY", birthday, audience);
    };
    let (head, value) = if timed && audience == Audience::Export {
        let utc = date::print(date::instant(birthday)?);
        match version {
            Version::V3 => ("BDAY;VALUE=date-time", utc),
            Version::V4 => ("BDAY", utc.replace(['-', ':'], "")),
        }
    } else {
        let no_year = chrono::Datelike::year(&day) == NO_YEAR;
        match (version, no_year) {
            (Version::V3, true) => ("BDAY;X-APPLE-OMIT-YEAR=1604", dates::day_text(day)),
            (Version::V3, false) => ("BDAY", dates::day_text(day)),
            (Version::V4, true) => ("BDAY", format!("--{}", day.format("%m%d"))),
            (Version::V4, false) => ("BDAY", dates::day_text(day).replace('-', "")),
        }
    };
    let read = CardDate::read(&value, None).map(|when| when.birthday());
    let mut line = NewLine::new(Class::Birthday, head, value);
    if audience == Audience::Export && read.as_deref() != Some(birthday) {
        line.param("X-CONTACTD-VALUE", birthday);
    }
    Some(line)
}

/// The line of a wedding anniversary.
fn anniversary_line(anniversary: &str, version: Version, audience: Audience) -> Option<NewLine> {
    let day = date::date(anniversary);
    let line = match (day, version) {
        (Some(day), Version::V3) => NewLine::new(Class::Anniversary, "X-ABDATE", dates::day_text(day)),
        (Some(day), Version::V4) if chrono::Datelike::year(&day) == NO_YEAR => {
            NewLine::new(Class::Anniversary, "ANNIVERSARY", format!("--{}", day.format("%m%d")))
        }
        (Some(_), Version::V4) => NewLine::new(Class::Anniversary, "ANNIVERSARY", anniversary.replace('-', "")),
        (None, Version::V3) => own_line(Class::Anniversary, "X-ABDATE", anniversary, audience)?,
        (None, Version::V4) => own_line(Class::Anniversary, "ANNIVERSARY", anniversary, audience)?,
    };
    Some(if version == Version::V3 { line.labelled("_$!<Anniversary>!$_") } else { line })
}

/// A text that is not a date: as text, in files only.
fn own_line(class: Class, head: &str, value: &str, audience: Audience) -> Option<NewLine> {
    if audience != Audience::Export {
        return None;
    }
    let mut line = NewLine::new(class, format!("{head};VALUE=text"), text::escaped(value));
    line.param("X-CONTACTD-VALUE", value);
    Some(line)
}

/// Notes, gender, and properties that only files have.
pub(crate) fn others(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    if let Some(notes) = set(properties, Text::PersonalNotes) {
        out.push(NewLine::text(Class::Notes, "NOTE", notes, audience));
    }
    if let Some(gender) = set(properties, Text::Gender) {
        out.extend(gender_line(gender, version, audience));
    }
    if audience != Audience::Export {
        return;
    }
    for (class, head, text) in [
        (Class::FileAs, "X-FILE-AS", Text::FileAs),
        (Class::Initials, "X-CONTACTD-INITIALS", Text::Initials),
        (Class::OfficeLocation, "X-CONTACTD-OFFICE-LOCATION", Text::OfficeLocation),
    ] {
        if let Some(value) = set(properties, text) {
            out.push(NewLine::text(class, head, value, audience));
        }
    }
    if let Some(favorite) = properties.is_favorite {
        out.push(NewLine::new(Class::Favorite, "X-CONTACTD-FAVORITE", favorite.to_string()));
    }
    if let Some(flag) = &properties.flag {
        out.push(NewLine::text(Class::Flag, "X-CONTACTD-FLAG", &flag_json(flag), audience));
    }
}

/// The line of a gender. 3.0 has no property for it; only files have X-GENDER.
fn gender_line(gender: &str, version: Version, audience: Audience) -> Option<NewLine> {
    if version == Version::V3 {
        return (audience == Audience::Export).then(|| NewLine::text(Class::Gender, "X-GENDER", gender, audience));
    }
    let sex = match gender {
        "Male" => "M",
        "Female" => "F",
        "Other" => "O",
        "Not applicable" => "N",
        "Unknown" => "U",
        _ => return Some(components(Class::Gender, "GENDER", &["", gender], audience)),
    };
    Some(NewLine::new(Class::Gender, "GENDER", sex))
}

fn flag_json(flag: &Flag) -> String {
    let time = |time: &DateTimeTimeZone| {
        if *time == DateTimeTimeZone::default() {
            serde_json::Value::Null
        } else {
            json!({"dateTime": time.date_time, "timeZone": time.time_zone})
        }
    };
    json!({
        "flagStatus": flag.status,
        "completedDateTime": time(&flag.completed),
        "dueDateTime": time(&flag.due),
        "startDateTime": time(&flag.start),
    })
    .to_string()
}
