//! Names and addresses, which JSContact splits into components.

use crate::domain::contact::{Address, Text};
use crate::formats::draft::{Draft, clean_lines};
use crate::formats::jscontact::{has_more, member, object, set, text};
use crate::json::Json;

/// A component of a name or an address.
struct Component<'a> {
    kind: &'a str,
    value: &'a str,
    phonetic: Option<&'a str>,
    more: bool,
}

fn components<'a>(entry: &'a [(String, Json)]) -> Vec<Component<'a>> {
    let Some(Json::Array(values)) = member(entry, "components") else { return Vec::new() };
    let component = |value: &'a Json| match value {
        Json::Object(members) => Some(Component {
            kind: text(members, "kind").unwrap_or_default(),
            value: text(members, "value").unwrap_or_default(),
            phonetic: text(members, "phonetic"),
            more: has_more(members, &["kind", "value", "phonetic"]),
        }),
        _ => None,
    };
    values.iter().filter_map(component).collect()
}

/// Maps `name`. Returns whether a part of it is not mapped.
pub(super) fn name(draft: &mut Draft, name: &[(String, Json)]) -> bool {
    let known = ["components", "full", "isOrdered", "defaultSeparator", "phoneticSystem", "phoneticScript"];
    let mut partial = has_more(name, &known);
    let mut texts: Vec<(Text, Vec<&str>)> = Vec::new();
    let mut add = |property: Text, value| match texts.iter_mut().find(|(known, _)| *known == property) {
        Some((_, values)) => values.push(value),
        None => texts.push((property, vec![value])),
    };
    for Component { kind, value, phonetic, more } in components(name) {
        partial |= more;
        let (property, spoken) = match kind {
            "given" => (Text::GivenName, Some(Text::YomiGivenName)),
            "given2" => (Text::MiddleName, None),
            "surname" => (Text::Surname, Some(Text::YomiSurname)),
            "surname2" => (Text::Surname, None),
            "title" => (Text::Title, None),
            "credential" | "generation" => (Text::Generation, None),
            "separator" => continue,
            _ => {
                partial = true;
                continue;
            }
        };
        add(property, value);
        match (phonetic, spoken) {
            (Some(phonetic), Some(spoken)) => add(spoken, phonetic),
            (Some(_), None) => partial = true,
            (None, _) => {}
        }
    }
    if let Some(full) = text(name, "full") {
        add(Text::DisplayName, full);
    }
    for (property, values) in texts {
        let fate = draft.text(property, &values.join(" "));
        partial |= matches!(fate, crate::vcard::record::Fate::Aside(_));
    }
    partial
}

/// Kinds of components in the first line of a street. Others have a line of their own.
const STREET: [&str; 4] = ["number", "name", "block", "direction"];
const LINES: [&str; 7] = ["building", "floor", "room", "apartment", "landmark", "district", "subdistrict"];

/// An address, and whether a part of it is not mapped.
pub(super) fn address(draft: &Draft, entry: &[(String, Json)]) -> (Address, bool) {
    let known = ["components", "full", "isOrdered", "defaultSeparator", "contexts"];
    let mut partial = has_more(entry, &known);
    let contexts = set(entry, "contexts");
    let kind = match contexts.as_slice() {
        contexts if contexts.contains(&"private") => "home",
        contexts if contexts.contains(&"work") => "business",
        contexts => {
            partial |= !contexts.is_empty();
            "other"
        }
    };
    partial |= contexts.len() > 1;
    let components = components(entry);
    let between = text(entry, "defaultSeparator").unwrap_or(" ");
    let mut address = Address { kind: Some(kind.to_owned()), ..Address::default() };
    let mut street = String::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut separator: Option<&str> = None;
    let mut in_street = 0;
    for Component { kind, value, phonetic, more } in &components {
        partial |= *more || phonetic.is_some();
        let member = match *kind {
            "locality" => &mut address.city,
            "region" => &mut address.state,
            "postcode" => &mut address.postal_code,
            "country" => &mut address.country_or_region,
            "postOfficeBox" => &mut address.post_office_box,
            "separator" => {
                separator = Some(value);
                continue;
            }
            kind if STREET.contains(&kind) => {
                if in_street > 0 {
                    street.push_str(separator.unwrap_or(between));
                }
                street.push_str(value);
                in_street += 1;
                separator = None;
                continue;
            }
            kind if LINES.contains(&kind) => {
                lines.push(value);
                in_street += 1;
                continue;
            }
            _ => {
                partial = true;
                continue;
            }
        };
        match member {
            Some(_) => partial = true,
            None => *member = Some(draft.clean_line(value)),
        }
        separator = None;
    }
    // A contact has the parts of a street as one text.
    partial |= in_street > 1;
    let mut street =
        vec![street.as_str()].into_iter().chain(lines).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    if components.is_empty() {
        text(entry, "full").unwrap_or_default().clone_into(&mut street);
    }
    let street = if draft.exact { street } else { clean_lines(&street) };
    address.street = Some(street).filter(|street| !street.is_empty());
    partial |= object(entry, "contexts").is_none() && member(entry, "contexts").is_some();
    (address, partial)
}
