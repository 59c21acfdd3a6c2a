//! Converts a card to the other version. Only what that version writes differently is changed; everything else stays
//! the same to the octet, so that a card can be converted back and forth (docs/carddav.md).

use std::collections::{BTreeMap, BTreeSet};

use chrono::Datelike as _;

use crate::vcard::Version;
use crate::vcard::card::{CardPiece, CardText};
use crate::vcard::dates::{CardDate, NO_YEAR, day_text};
use crate::vcard::edit::{fold_as, name_of, push_param, push_types};
use crate::vcard::line::{Line, Param};
use crate::vcard::read::number;
use crate::vcard::text::unescape_uri;

/// Converts a card to a version. A card in that version stays as it is.
pub fn convert(text: &str, to: Version) -> String {
    if CardText::version_of(text) == to {
        return text.to_owned();
    }
    let card = CardText::parse(text);
    let lines = card.lines();
    let line_end = card.line_end();
    let mut converter = Converter { to, preferences: preferred(&lines), alternatives: BTreeSet::new() };
    let mut out = String::with_capacity(text.len() + 64);
    let has = |name: &str| lines.iter().any(|line| line.is(name));
    let (has_name, has_shown) = (has("N"), has("FN"));
    let end = lines.iter().rposition(|line| line.is("END"));
    let mut versioned = false;
    for (i, (piece, line)) in card.pieces.iter().zip(&lines).enumerate() {
        if Some(i) == end {
            if !has_shown {
                fold_as("FN:", line_end, &mut out);
            }
            if !has_name && to == Version::V3 {
                fold_as("N:;;;;", line_end, &mut out);
            }
        }
        if line.is("VERSION") {
            continue;
        }
        converter.push(piece, line, line_end, &mut out);
        if !versioned && line.is("BEGIN") {
            fold_as(&format!("VERSION:{}", to.name()), line_end, &mut out);
            versioned = true;
        }
    }
    out
}

/// The lowest PREF of each property, which is the preferred one in 3.0.
fn preferred(lines: &[Line<'_>]) -> BTreeMap<String, u32> {
    let mut preferences = BTreeMap::new();
    for line in lines {
        let preference = line.preference();
        if preference <= 100 {
            let entry = preferences.entry(line.name.to_ascii_uppercase()).or_insert(preference);
            *entry = preference.min(*entry);
        }
    }
    preferences
}

struct Converter {
    to: Version,
    preferences: BTreeMap<String, u32>,
    /// Names and ALTIDs so far.
    alternatives: BTreeSet<(String, String)>,
}

const BINARY: [&str; 4] = ["PHOTO", "LOGO", "SOUND", "KEY"];

impl Converter {
    fn push(&mut self, piece: &CardPiece<'_>, line: &Line<'_>, line_end: &str, out: &mut String) {
        if self.to == Version::V3 && self.is_copy(line) {
            return;
        }
        let converted = match self.to {
            Version::V3 => self.to_v3(line),
            Version::V4 => to_v4(line),
        };
        match converted {
            Some(new) if new != piece.line => fold_as(&new, line_end, out),
            _ => out.push_str(piece.raw),
        }
    }

    /// Whether it is an earlier line in another language.
    fn is_copy(&mut self, line: &Line<'_>) -> bool {
        line.param("ALTID")
            .is_some_and(|id| !self.alternatives.insert((line.name.to_ascii_uppercase(), id.into_owned())))
    }

    fn to_v3(&self, line: &Line<'_>) -> Option<String> {
        if line.name.is_empty() {
            return None;
        }
        let upper = line.name.to_ascii_uppercase();
        let mut name = name_of(line);
        if upper == "MEMBER" || (upper == "KIND" && line.value.trim().eq_ignore_ascii_case("group")) {
            name = format!("X-ADDRESSBOOKSERVER-{upper}");
        }
        let mut head = String::new();
        let is_preferred = self.preferences.get(&upper).is_some_and(|preferences| *preferences == line.preference());
        let data = if BINARY.contains(&upper.as_str()) { data_uri(line.value) } else { None };
        let number = (upper == "TEL").then(|| number(line.value)).filter(|number| number != line.value);
        let day = if is_date(&upper) { long_date(line) } else { None };
        for param in line.params() {
            Self::param_v3(&upper, &param, is_preferred, data.is_some() || number.is_some(), &mut head);
        }
        if is_preferred && !line.has_type("PREF") {
            head.push_str(";TYPE=pref");
        }
        if upper == "EMAIL" && !line.has_type("INTERNET") {
            head.push_str(";TYPE=INTERNET");
        }
        let value = match (data, number, day) {
            (Some((kind, base64)), _, _) => {
                head.push_str(";ENCODING=b;TYPE=");
                head.push_str(&kind);
                base64
            }
            (_, Some(number), _) => number,
            (_, _, Some((no_year, day))) => {
                if no_year && upper == "BDAY" {
                    head.push_str(";X-APPLE-OMIT-YEAR=1604");
                }
                day
            }
            _ => line.value.to_owned(),
        };
        Some(format!("{name}{head}:{value}"))
    }

    fn param_v3(name: &str, param: &Param<'_>, is_preferred: bool, as_text: bool, head: &mut String) {
        let is = |name: &str| param.name.eq_ignore_ascii_case(name);
        let value_is = |value: &str| is("VALUE") && param.raw.eq_ignore_ascii_case(value);
        let ours = param.name.get(..10).is_some_and(|name| name.eq_ignore_ascii_case("X-CONTACTD"));
        let quoted = param.raw.contains('"') && param.raw.contains([';', ':']) && !ours;
        let dated = is_date(name) && (value_is("date-and-or-time") || value_is("date"));
        if is("JSCOMPS")
            || quoted
            || dated
            || (is("PREF") && is_preferred)
            || (as_text && (is("VALUE") || is("MEDIATYPE")))
        {
            return;
        }
        if is("TYPE") && param.raw.contains('"') {
            head.push_str(";TYPE=");
            head.push_str(&param.raw.replace('"', ""));
            return;
        }
        push_param(param, head);
    }
}

fn to_v4(line: &Line<'_>) -> Option<String> {
    if line.name.is_empty() {
        return None;
    }
    let upper = line.name.to_ascii_uppercase();
    let name = match upper.as_str() {
        "X-ADDRESSBOOKSERVER-KIND" => "KIND".to_owned(),
        "X-ADDRESSBOOKSERVER-MEMBER" => "MEMBER".to_owned(),
        _ => name_of(line),
    };
    let encoded = |param: &Param<'_>| {
        param.name.eq_ignore_ascii_case("ENCODING") || (param.name.is_empty() && is_base64(param.raw))
    };
    let binary = BINARY.contains(&upper.as_str()) && line.params().any(|param| encoded(&param) && is_base64(param.raw));
    let date = if is_date(&upper) { short_date(line) } else { None };
    let mut head = String::new();
    let mut pref = false;
    for param in line.params() {
        let is = |name: &str| param.name.eq_ignore_ascii_case(name);
        let dated =
            date.is_some() && (is("X-APPLE-OMIT-YEAR") || (is("VALUE") && param.raw.eq_ignore_ascii_case("date")));
        if dated || (binary && (encoded(&param) || is("TYPE") || param.name.is_empty())) {
            continue;
        }
        if is("TYPE") || param.name.is_empty() {
            pref |= param.raw.split([',', '"']).any(|kind| kind.trim().eq_ignore_ascii_case("PREF"));
            let stays = |kind: &str| {
                let is = |word: &str| kind.eq_ignore_ascii_case(word);
                !(is("PREF") || (upper == "EMAIL" && is("INTERNET")))
            };
            push_types(&Param { name: "TYPE", raw: param.raw }, stays, &mut head);
        } else {
            push_param(&param, &mut head);
        }
    }
    if pref && line.param("PREF").is_none() {
        head.push_str(";PREF=1");
    }
    let value = if binary {
        let kind = line.types().find(|kind| !is_base64(kind) && !kind.eq_ignore_ascii_case("PREF"));
        format!("data:{};base64,{}", media_type(&upper, kind), line.value.trim())
    } else {
        date.unwrap_or_else(|| line.value.to_owned())
    };
    Some(format!("{name}{head}:{value}"))
}

fn is_base64(word: &str) -> bool {
    word.eq_ignore_ascii_case("B") || word.eq_ignore_ascii_case("BASE64")
}

fn is_date(name: &str) -> bool {
    matches!(name, "BDAY" | "ANNIVERSARY" | "DEATHDATE")
}

/// The media type of a property in base64, by its TYPE.
fn media_type(name: &str, kind: Option<&str>) -> String {
    let Some(kind) = kind else { return "application/octet-stream".to_owned() };
    let kind = kind.to_ascii_lowercase();
    if kind.contains('/') {
        return kind;
    }
    match name {
        "SOUND" => format!("audio/{kind}"),
        "KEY" => format!("application/{kind}"),
        _ => format!("image/{kind}"),
    }
}

/// The type and the base64 of a `data:` URI: `JPEG` of an image, the whole media type of anything else.
fn data_uri(value: &str) -> Option<(String, String)> {
    let uri = unescape_uri(value.trim());
    let data = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &uri[5..])?;
    let (kind, base64) = data.split_once(',')?;
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_suffix(";base64")?;
    let kind = kind.split(';').next().unwrap_or_default();
    let short = ["image/", "audio/", "application/"].into_iter().find_map(|family| kind.strip_prefix(family));
    let kind = short.filter(|short| *short != "octet-stream").unwrap_or("JPEG");
    Some((kind.to_ascii_uppercase(), base64.to_owned()))
}

/// A date in the extended form, and whether it has no year. `None` if it is not a complete date.
fn long_date(line: &Line<'_>) -> Option<(bool, String)> {
    let when = CardDate::read(line.value, None)?;
    let no_year = line.value.trim().starts_with("--");
    if when.day.year() == NO_YEAR && !no_year {
        return None;
    }
    Some((no_year, when.instant.unwrap_or_else(|| day_text(when.day))))
}

/// A date in the basic form. `None` if it is not a complete date.
fn short_date(line: &Line<'_>) -> Option<String> {
    let when = CardDate::read(line.value, line.param("X-APPLE-OMIT-YEAR").as_deref())?;
    if when.day.year() == NO_YEAR {
        return Some(format!("--{}", when.day.format("%m%d")));
    }
    let Some(instant) = when.instant else { return Some(day_text(when.day).replace('-', "")) };
    let (day, time) = instant.split_at(10);
    Some(day.replace('-', "") + &time.replace(':', ""))
}
