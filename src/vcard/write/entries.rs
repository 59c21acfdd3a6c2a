//! Lines of collections: a line for each entry.

use crate::domain::contact::{Address, Email, Phone, Properties, Text, Website};
use crate::vcard::read::scheme;
use crate::vcard::write::single::{components, set};
use crate::vcard::write::{Class, NewLine};
use crate::vcard::{Audience, Version, text};

/// `TYPE=` as each version has it: upper case, or lower case and quoted if it is a list.
fn types(head: &str, kinds: &str, version: Version) -> String {
    match version {
        _ if kinds.is_empty() => head.to_owned(),
        Version::V3 => format!("{head};TYPE={kinds}"),
        Version::V4 if kinds.contains(',') => format!("{head};TYPE=\"{}\"", kinds.to_ascii_lowercase()),
        Version::V4 => format!("{head};TYPE={}", kinds.to_ascii_lowercase()),
    }
}

/// In files, adds our own parameter for a type that the property cannot express.
fn own_kind(line: &mut NewLine, kind: Option<&str>, audience: Audience) {
    if audience == Audience::Export {
        line.param("X-CONTACTD-TYPE", kind.unwrap_or_default());
    }
}

fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

pub(crate) fn emails(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    out.extend(properties.emails.iter().filter_map(|email| email_line(email, version, audience)));
}

pub(crate) fn email_line(email: &Email, version: Version, audience: Audience) -> Option<NewLine> {
    let (address, name) = (non_empty(email.address.as_ref()), non_empty(email.name.as_ref()));
    if address.is_none() && (name.is_none() || audience != Audience::Export) {
        return None;
    }
    let label = non_empty(email.other_label.as_ref());
    let kind = email.kind.as_deref();
    let word = match kind {
        Some("personal") => "HOME",
        Some("work") => "WORK",
        Some("main") => "X-MAIN",
        Some("other") if label.is_none() => "OTHER",
        _ => "",
    };
    let kinds = match (version, word) {
        (Version::V3, "") => "INTERNET".to_owned(),
        (Version::V3, word) => format!("INTERNET,{word}"),
        (Version::V4, word) => word.to_owned(),
    };
    let mut line =
        NewLine::text(Class::Emails, &types("EMAIL", &kinds, version), address.unwrap_or_default(), audience);
    let said = match (kind, label) {
        (Some("other"), _) | (None, None) => true,
        (Some(_), None) => !word.is_empty(),
        (_, Some(_)) => false,
    };
    if !said {
        own_kind(&mut line, kind, audience);
    }
    if audience == Audience::Export && name.is_some() && name != address {
        line.param("X-CONTACTD-NAME", name.unwrap_or_default());
    }
    line.label = label.map(str::to_owned);
    Some(line)
}

pub(crate) fn phones(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    out.extend(properties.phones.iter().filter_map(|phone| phone_line(phone, version, audience)));
}

pub(crate) fn phone_line(phone: &Phone, version: Version, audience: Audience) -> Option<NewLine> {
    let number = non_empty(phone.number.as_ref());
    let kind = phone.kind.as_deref();
    if number.is_none() && (kind.is_none() || audience != Audience::Export) {
        return None;
    }
    let (kinds, label, said) = match kind {
        Some("home") => ("HOME,VOICE", None, true),
        Some("business") => ("WORK,VOICE", None, true),
        Some("mobile") => ("CELL", None, true),
        Some("other") => ("VOICE", None, true),
        Some("homeFax") => ("HOME,FAX", None, true),
        Some("businessFax") => ("WORK,FAX", None, true),
        Some("otherFax") => ("FAX", None, true),
        Some("pager") => ("PAGER", None, true),
        Some("assistant") => ("VOICE", Some("_$!<AssistantPhone>!$_"), true),
        Some("radio") => ("VOICE", Some("Radio"), true),
        other => ("VOICE", other.filter(|kind| !kind.is_empty()), false),
    };
    let mut line = NewLine::text(Class::Phones, &types("TEL", kinds, version), number.unwrap_or_default(), audience);
    if !said || number.is_none() {
        own_kind(&mut line, kind, audience);
    }
    line.label = label.map(str::to_owned);
    Some(line)
}

pub(crate) fn addresses(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    out.extend(properties.addresses.iter().filter_map(|address| address_line(address, version, audience)));
}

/// The parts of ADR.
fn address_parts(address: &Address) -> [&str; 7] {
    [
        address.post_office_box.as_deref().unwrap_or_default(),
        "",
        address.street.as_deref().unwrap_or_default(),
        address.city.as_deref().unwrap_or_default(),
        address.state.as_deref().unwrap_or_default(),
        address.postal_code.as_deref().unwrap_or_default(),
        address.country_or_region.as_deref().unwrap_or_default(),
    ]
}

pub(crate) fn address_line(address: &Address, version: Version, audience: Audience) -> Option<NewLine> {
    let parts = address_parts(address);
    let empty = parts.iter().all(|part| part.is_empty());
    let kind = address.kind.as_deref();
    if empty && (kind.is_none() || audience != Audience::Export) {
        return None;
    }
    let (word, said) = match kind {
        Some("home") => ("HOME", true),
        Some("business") => ("WORK", true),
        Some("other") => ("", true),
        _ => ("", false),
    };
    let mut line = components(Class::Addresses, &types("ADR", word, version), &parts, audience);
    if !said || empty {
        own_kind(&mut line, kind, audience);
    }
    Some(line)
}

pub(crate) fn websites(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    out.extend(properties.websites.iter().filter_map(|website| website_line(website, version, audience)));
}

pub(crate) fn website_line(website: &Website, version: Version, audience: Audience) -> Option<NewLine> {
    let (address, name) = (non_empty(website.address.as_ref()), non_empty(website.display_name.as_ref()));
    let kind = website.kind.as_deref();
    if address.is_none() && ((name.is_none() && kind.is_none()) || audience != Audience::Export) {
        return None;
    }
    let (word, said) = match kind {
        Some("home") => ("HOME", true),
        Some("work") => ("WORK", true),
        Some("blog") => ("BLOG", true),
        Some("profile") => ("PROFILE", true),
        Some("other") => ("", true),
        _ => ("", false),
    };
    let mut line = uri(Class::Websites, &types("URL", word, version), address.unwrap_or_default(), audience);
    if !said || address.is_none() {
        own_kind(&mut line, kind, audience);
    }
    match (kind, name) {
        (Some("other"), Some(name)) => line.label = Some(name.to_owned()),
        (_, Some(name)) if audience == Audience::Export => line.param("X-CONTACTD-NAME", name),
        _ => {}
    }
    Some(line)
}

/// A web or messenger address. It is not escaped; if it cannot be written without escapes, it is a text.
fn uri(class: Class, head: &str, address: &str, audience: Audience) -> NewLine {
    if address.contains(['\\', '\n', '\r']) {
        return NewLine::text(class, &format!("{head};VALUE=text"), address, audience);
    }
    NewLine::new(class, head, address)
}

pub(crate) fn im_addresses(properties: &Properties, audience: Audience, out: &mut Vec<NewLine>) {
    out.extend(
        properties.im_addresses.iter().filter(|address| !address.is_empty()).map(|address| im_line(address, audience)),
    );
}

pub(crate) fn im_line(address: &str, audience: Audience) -> NewLine {
    let Some(scheme) = scheme(address) else {
        return NewLine::text(Class::ImAddresses, "X-MS-IMADDRESS", address, audience);
    };
    let service = match scheme.to_ascii_lowercase().as_str() {
        "aim" => Some("AIM"),
        "xmpp" => Some("Jabber"),
        "msnim" => Some("MSN"),
        "skype" => Some("Skype"),
        "ymsgr" => Some("Yahoo"),
        "icq" => Some("ICQ"),
        "gtalk" => Some("GoogleTalk"),
        "qq" => Some("QQ"),
        _ => None,
    };
    let head = service.map_or_else(|| "IMPP".to_owned(), |service| format!("IMPP;X-SERVICE-TYPE={service}"));
    uri(Class::ImAddresses, &head, address, audience)
}

pub(crate) fn related(properties: &Properties, version: Version, audience: Audience, out: &mut Vec<NewLine>) {
    for (class, text) in
        [(Class::Spouse, Text::SpouseName), (Class::Manager, Text::Manager), (Class::Assistant, Text::AssistantName)]
    {
        out.extend(set(properties, text).map(|name| related_line(class, name, version, audience)));
    }
    for child in properties.children.iter().filter(|name| !name.is_empty()) {
        out.push(related_line(Class::Children, child, version, audience));
    }
}

/// The line of a related person: spouse, manager, assistant or child.
pub(crate) fn related_line(class: Class, name: &str, version: Version, audience: Audience) -> NewLine {
    let (label, kind) = match class {
        Class::Spouse => ("_$!<Spouse>!$_", Some("spouse")),
        Class::Manager => ("_$!<Manager>!$_", None),
        Class::Assistant => ("_$!<Assistant>!$_", None),
        _ => ("_$!<Child>!$_", Some("child")),
    };
    match (version, kind) {
        (Version::V4, Some(kind)) => NewLine::text(class, &format!("RELATED;TYPE={kind};VALUE=text"), name, audience),
        _ => NewLine::text(class, "X-ABRELATEDNAMES", name, audience).labelled(label),
    }
}

pub(crate) fn categories(properties: &Properties, audience: Audience, out: &mut Vec<NewLine>) {
    let names: Vec<&str> = properties.categories.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    out.extend(categories_line(&names, audience));
}

pub(crate) fn categories_line(names: &[&str], audience: Audience) -> Option<NewLine> {
    if names.is_empty() {
        return None;
    }
    let mut value = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            value.push(',');
        }
        text::escape(name, &mut value);
    }
    let mut line = NewLine::new(Class::Categories, "CATEGORIES", value);
    line.breaks(names, audience);
    Some(line)
}
