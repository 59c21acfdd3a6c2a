//! Properties with many entries: e-mails, phones, addresses, web and messenger addresses, children, categories.

use std::borrow::Cow;

use crate::domain::contact::{Address, Email, MAX_TEXT, Phone, Website};
use crate::vcard::labels::{self, LabelledType};
use crate::vcard::line::Line;
use crate::vcard::read::names::{scheme, with_breaks};
use crate::vcard::read::{ASIDE, CardLines, MAPPED, TOO_LONG};
use crate::vcard::record::Fate;
use crate::vcard::text::{many_lines, one_line, split, unescape, unescape_uri};

fn is_long(text: &str) -> bool {
    text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> &'a str {
    match text.get(..prefix.len()) {
        Some(first) if first.eq_ignore_ascii_case(prefix) => &text[prefix.len()..],
        _ => text,
    }
}

impl<'a> CardLines<'a> {
    /// The type in our own parameter, for types that the property cannot express; empty for none.
    fn own_kind(&self, line: &Line<'a>) -> Option<Option<String>> {
        let kind = self.own_param(line, "X-CONTACTD-TYPE")?;
        Some(Some(kind.into_owned()).filter(|kind| !kind.is_empty()))
    }

    fn own_label(&self, line: &Line<'a>) -> Option<String> {
        self.label_line(line).map(|label| one_line(self.unescaped(label), self.tidy))
    }

    pub(super) fn email(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let text = one_line(self.unescaped(line), self.tidy);
        let address = if self.exact { text.as_str() } else { strip_prefix_ignoring_case(&text, "mailto:") };
        let name = line.param("X-CONTACTD-NAME").map(Cow::into_owned);
        if address.is_empty() && name.is_none() {
            return None;
        }
        let label = self.own_label(line);
        let (kind, other_label) = if self.exact && label.as_deref().is_some_and(|label| !label.is_empty()) {
            (Some(LabelledType { kind: "other", partial: false }), label)
        } else {
            labels::email(line.types(), label.as_deref())
        };
        let kind = self.own_kind(line).unwrap_or_else(|| kind.map(|kind| kind.kind.to_owned()));
        let address = Some(address.to_owned()).filter(|address| !address.is_empty());
        let email = Email { name: name.or_else(|| address.clone()), address, kind, other_label };
        let members = [&email.name, &email.address, &email.other_label, &email.kind];
        if members.into_iter().flatten().any(|member| is_long(member)) {
            self.out.over.emails += 1;
            return TOO_LONG;
        }
        let (added, fate) = Self::add(self.exact, &mut self.out.emails, &mut self.out.duplicates, i, email);
        if added {
            self.ranks.emails.push(line.preference());
        }
        fate
    }

    pub(super) fn phone(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let text = one_line(self.unescaped(line), self.tidy);
        let number = if self.exact || !is_tel(&text) { text } else { number(&text) };
        let label = self.own_label(line);
        let LabelledType { kind, partial } = labels::phone(line.types(), label.as_deref());
        let own = self.own_kind(line);
        if number.is_empty() && own.is_none() {
            return None;
        }
        let own = own.map(|own| (own, false));
        let (kind, partial) = own.unwrap_or_else(|| (Some(kind.to_owned()), partial));
        if is_long(&number) || kind.as_deref().is_some_and(is_long) {
            self.out.over.phones += 1;
            return TOO_LONG;
        }
        let number = Some(number).filter(|number| !number.is_empty());
        let (added, fate) =
            Self::add(self.exact, &mut self.out.phones, &mut self.out.duplicates, i, Phone { kind, number });
        if added {
            self.ranks.phones.push(line.preference());
        }
        partly(fate, partial)
    }

    pub(super) fn address(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let mut values: [String; 7] = Default::default();
        let (mut further, mut breaks) = (false, 0);
        let letters = self.own_param(line, "X-CONTACTD-BREAKS");
        for (at, raw) in split(line.value, b';').enumerate() {
            let Some(value) = values.get_mut(at) else {
                further |= !raw.trim().is_empty();
                continue;
            };
            let text = unescape(raw);
            *value = match &letters {
                Some(letters) => with_breaks(&text, letters, &mut breaks),
                None if at == 1 || at == 2 => many_lines(text, self.tidy),
                None => one_line(text, self.tidy),
            };
        }
        let named = line.param("LABEL").map(|label| many_lines(label, self.tidy)).filter(|label| !label.is_empty());
        let own = self.own_kind(line);
        if values.iter().all(String::is_empty) {
            if further {
                return ASIDE;
            }
            match &named {
                Some(label) => values[2].clone_from(label),
                None if own.is_none() => return None,
                None => {}
            }
        }
        let label = self.own_label(line);
        let LabelledType { kind, partial } = labels::address(line.types(), label.as_deref());
        let kind = own.unwrap_or_else(|| Some(kind.to_owned()));
        let partial =
            further || partial || named.is_some() || line.param("GEO").is_some() || line.param("TZ").is_some();
        let fate = self.add_address(i, kind, values);
        partly(fate, partial)
    }

    fn add_address(&mut self, i: usize, kind: Option<String>, values: [String; 7]) -> Option<Fate> {
        let [post_office_box, extended, mut street, city, state, postal_code, country] = values;
        if !extended.is_empty() {
            if !street.is_empty() {
                street.push('\n');
            }
            street.push_str(&extended);
        }
        if [&post_office_box, &street, &city, &state, &postal_code, &country].into_iter().any(|text| is_long(text)) {
            self.out.over.addresses += 1;
            return TOO_LONG;
        }
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let address = Address {
            kind,
            post_office_box: some(post_office_box),
            street: some(street),
            city: some(city),
            state: some(state),
            country_or_region: some(country),
            postal_code: some(postal_code),
        };
        Self::add(self.exact, &mut self.out.addresses, &mut self.out.duplicates, i, address).1
    }

    /// LABEL of 2.1 and 3.0: the text of an address. It counts as an address if there is no other of its type.
    pub(super) fn address_label(&mut self, i: usize) -> Option<Fate> {
        let line = &self.lines[i];
        let LabelledType { kind, .. } = labels::address(line.types(), self.own_label(line).as_deref());
        if self.out.addresses.iter().any(|address| address.value.kind.as_deref() == Some(kind)) {
            return ASIDE;
        }
        let street = many_lines(unescape(line.value), self.tidy);
        if street.is_empty() {
            return None;
        }
        let mut values: [String; 7] = Default::default();
        values[2] = street;
        self.add_address(i, Some(kind.to_owned()), values)
    }

    pub(super) fn website(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let text = if line.is_text() { self.unescaped(line) } else { unescape_uri(line.value) };
        let address = one_line(text, self.tidy);
        let own_name = line.param("X-CONTACTD-NAME").map(Cow::into_owned);
        let own_kind = self.own_kind(line);
        if address.is_empty() && own_name.is_none() && own_kind.is_none() {
            return None;
        }
        let label = self.own_label(line);
        let (kind, name) = if self.exact && label.as_deref().is_some_and(|label| !label.is_empty()) {
            ("other", label)
        } else {
            labels::website(line.types(), label.as_deref())
        };
        let kind = own_kind.unwrap_or_else(|| Some(kind.to_owned()));
        let address = Some(address).filter(|address| !address.is_empty());
        let website = Website { kind, address, display_name: own_name.or(name) };
        let members = [&website.kind, &website.address, &website.display_name];
        if members.into_iter().flatten().any(|member| is_long(member)) {
            self.out.over.websites += 1;
            return TOO_LONG;
        }
        Self::add(self.exact, &mut self.out.websites, &mut self.out.duplicates, i, website).1
    }

    pub(super) fn im_address(&mut self, i: usize, line: &Line<'a>, name: &str) -> Option<Fate> {
        let text = if name == "IMPP" && !line.is_text() { unescape_uri(line.value) } else { self.unescaped(line) };
        let text = one_line(text, self.tidy);
        if text.is_empty() {
            return None;
        }
        let address = match name {
            "X-MS-IMADDRESS" => text,
            "IMPP" => im_by_service(line, text),
            _ => {
                let known = match name {
                    "X-AIM" => "aim",
                    "X-JABBER" => "xmpp",
                    "X-MSN" => "msnim",
                    "X-SKYPE" | "X-SKYPE-USERNAME" => "skype",
                    "X-YAHOO" => "ymsgr",
                    "X-ICQ" => "icq",
                    "X-QQ" => "qq",
                    _ => "gtalk",
                };
                if scheme(&text).is_some_and(|scheme| scheme.eq_ignore_ascii_case(known)) {
                    text
                } else {
                    format!("{known}:{text}")
                }
            }
        };
        if is_long(&address) {
            self.out.over.im_addresses += 1;
            return TOO_LONG;
        }
        Self::add(self.exact, &mut self.out.im_addresses, &mut self.out.duplicates, i, address).1
    }

    pub(super) fn child(&mut self, i: usize, name: &str) -> Option<Fate> {
        let name = one_line(Cow::Borrowed(name), self.tidy);
        if name.is_empty() {
            return None;
        }
        if is_long(&name) {
            self.out.over.children += 1;
            return TOO_LONG;
        }
        Self::add(self.exact, &mut self.out.children, &mut self.out.duplicates, i, name).1
    }

    pub(super) fn categories(&mut self, i: usize, line: &Line<'a>) -> Option<Fate> {
        let (mut fate, mut breaks) = (None, 0);
        let letters = self.own_param(line, "X-CONTACTD-BREAKS");
        for raw in split(line.value, b',') {
            let name = match &letters {
                Some(letters) => with_breaks(&unescape(raw), letters, &mut breaks),
                None => one_line(unescape(raw), self.tidy),
            };
            let mut name = name.as_str();
            if self.google {
                let bare = name.strip_prefix("* ").unwrap_or(name).trim();
                if (bare.len() < name.len() || matches!(bare, "myContacts" | "starred"))
                    && self.out.adapted.last() != Some(&i)
                {
                    self.out.adapted.push(i);
                }
                name = bare;
                if name == "myContacts" {
                    self.out.my_contacts = true;
                    fate = fate.or(MAPPED);
                    continue;
                }
                if name == "starred" {
                    self.out.is_favorite = Some(crate::vcard::read::FromLine { line: i, value: true });
                    fate = fate.or(MAPPED);
                    continue;
                }
            }
            if name.is_empty() {
                continue;
            }
            let next = if is_long(name) {
                self.out.over.categories += 1;
                TOO_LONG
            } else {
                Self::add(self.exact, &mut self.out.categories, &mut self.out.duplicates, i, name.to_owned()).1
            };
            fate = match fate {
                None => next,
                fate if fate == next => fate,
                _ => Some(Fate::Partial),
            };
        }
        fate
    }
}

/// The outcome of an entry that may be mapped only in part.
fn partly(fate: Option<Fate>, partial: bool) -> Option<Fate> {
    if fate == MAPPED && partial { Some(Fate::Partial) } else { fate }
}

/// Whether a text is a `tel:` URI.
fn is_tel(text: &str) -> bool {
    text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"))
}

/// A phone number as text: a `tel:` URI without scheme and escapes, with its extension as ` ext. N`.
pub fn number(text: &str) -> String {
    if !is_tel(text) {
        return text.to_owned();
    }
    let mut parts = text[4..].split(';');
    let mut number = percent_decoded(parts.next().unwrap_or_default());
    for part in parts {
        match part.get(..4) {
            Some(name) if name.eq_ignore_ascii_case("ext=") => {
                number.push_str(" ext. ");
                number.push_str(&percent_decoded(&part[4..]));
            }
            _ => {
                number.push(';');
                number.push_str(&percent_decoded(part));
            }
        }
    }
    number.trim().to_owned()
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| hex(at + 1).zip(hex(at + 2))).flatten();
        let escape = escape.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A messenger address: with its scheme, else with its service as one. Apple's `x-apple:` is replaced by the service.
fn im_by_service(line: &Line<'_>, text: String) -> String {
    let service = line.param("X-SERVICE-TYPE").or_else(|| line.param("SERVICE-TYPE")).or_else(|| {
        let known = ["HOME", "WORK", "PREF", "PERSONAL", "BUSINESS", "MOBILE", "OTHER", "INTERNET", "VOICE", "CELL"];
        let other = |kind: &&str| !known.iter().any(|known| kind.eq_ignore_ascii_case(known));
        line.types().find(other).map(Cow::Borrowed)
    });
    let service = service.map(|service| service_scheme(&service)).filter(|service| !service.is_empty());
    match (scheme(&text), service) {
        (Some(scheme), Some(service)) if scheme.eq_ignore_ascii_case("x-apple") => {
            format!("{service}:{}", text.split_once(':').map_or("", |(_, rest)| rest))
        }
        (None, Some(service)) => format!("{service}:{text}"),
        _ => text,
    }
}

/// The scheme of a service by its name, letters and digits only.
fn service_scheme(service: &str) -> String {
    match labels::word(service).as_str() {
        "jabber" => "xmpp".to_owned(),
        "googletalk" => "gtalk".to_owned(),
        "msn" => "msnim".to_owned(),
        "yahoo" => "ymsgr".to_owned(),
        word => word.chars().filter(char::is_ascii_alphanumeric).collect(),
    }
}
