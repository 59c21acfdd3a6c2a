//! The lines of a written card that have given names, for queries that test few properties.

use crate::domain::contact::Text;
use crate::domain::contact::parts::ContactPart;
use crate::vcard::write::{CardContent, lines, rev, single};
use crate::vcard::{Audience, PRODUCT, Version, text};

/// The properties that the lines of this name are written from, in a card of version 3.0 for CardDAV. The name is in upper
/// case. `None` if the whole contact is needed.
pub fn parts_of(name: &str) -> Option<&'static [ContactPart]> {
    use ContactPart as P;
    use Text as T;
    Some(match name {
        // A label has the group of its line, and a photo is written from its bytes.
        "X-ABLABEL" | "PHOTO" => return None,
        // Without it the name is derived from other properties: see `named`.
        "FN" => &[P::Text(T::DisplayName)],
        "N" => &[
            P::Text(T::Surname),
            P::Text(T::GivenName),
            P::Text(T::MiddleName),
            P::Text(T::Title),
            P::Text(T::Generation),
        ],
        "NICKNAME" => &[P::Text(T::NickName)],
        "X-PHONETIC-FIRST-NAME" => &[P::Text(T::YomiGivenName)],
        "X-PHONETIC-LAST-NAME" => &[P::Text(T::YomiSurname)],
        "X-PHONETIC-ORG" => &[P::Text(T::YomiCompanyName)],
        "ORG" => &[P::Text(T::CompanyName), P::Text(T::Department)],
        "TITLE" => &[P::Text(T::JobTitle)],
        "ROLE" => &[P::Text(T::Profession)],
        "EMAIL" => &[P::Emails],
        "TEL" => &[P::Phones],
        "ADR" => &[P::Addresses],
        "URL" => &[P::Websites],
        "IMPP" | "X-MS-IMADDRESS" => &[P::ImAddresses],
        "BDAY" => &[P::Birthday],
        "X-ABDATE" => &[P::WeddingAnniversary],
        "X-ABRELATEDNAMES" => &[P::Text(T::SpouseName), P::Text(T::Manager), P::Text(T::AssistantName), P::Children],
        "CATEGORIES" => &[P::Categories],
        "NOTE" => &[P::Text(T::PersonalNotes)],
        _ => &[],
    })
}

/// The lines with these names, in upper case, of the card of version 3.0 that [`write`](super::write) makes for CardDAV:
/// unfolded, in any order, and without groups. The contact needs only the properties of [`parts_of`] the names. `None` if
/// FN is among the names and the contact has no name, because others of its properties are then shown.
pub fn named(shown: &CardContent<'_>, names: &[String]) -> Option<Vec<String>> {
    let wants = |name: &str| names.iter().any(|wanted| wanted == name);
    if wants("FN") && single::set(shown.properties, Text::DisplayName).is_none() {
        return None;
    }
    let mut found = Vec::new();
    let frame = [("BEGIN", "VCARD"), ("VERSION", Version::V3.name()), ("PRODID", PRODUCT), ("END", "VCARD")];
    found.extend(frame.into_iter().filter(|(name, _)| wants(name)).map(|(name, value)| format!("{name}:{value}")));
    if wants("UID") {
        found.push(format!("UID:{}", text::escaped(shown.uid)));
    }
    if let Some(last_modified) = shown.last_modified.filter(|_| wants("REV")) {
        found.push(format!("REV:{}", rev(last_modified)));
    }
    for line in lines(shown.properties, Version::V3, Audience::CardDav) {
        if wants(line.head.split(';').next().unwrap_or_default()) {
            found.push(format!("{}:{}", line.head, line.value));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::contact::{Address, Complex, Email, Phone, Properties, Website};
    use crate::vcard::card::CardText;
    use crate::vcard::write::write;

    fn filled<T: Complex>(kind: &str, value: &str) -> T {
        let mut one = T::default();
        for i in 0..T::MEMBERS.len() {
            one.set(i, Some(if T::MEMBERS[i].json == "type" { kind } else { value }.to_owned()));
        }
        one
    }

    /// A contact with a value in every property.
    fn full(value: &str) -> Properties {
        let mut p = Properties::default();
        p.texts.iter_mut().for_each(|text| *text = Some(value.to_owned()));
        p.birthday = Some("1990-05-06T00:00:00Z".to_owned());
        p.wedding_anniversary = Some("2001-02-03".to_owned());
        p.categories = vec![value.to_owned(), "b".to_owned()];
        p.im_addresses = vec![format!("sip:{}", value.trim()), value.to_owned()];
        p.children = vec![value.to_owned()];
        p.emails = vec![filled::<Email>("work", value)];
        p.phones = vec![filled::<Phone>("assistant", value), filled::<Phone>("home", value)];
        p.addresses = vec![filled::<Address>("home", value)];
        p.websites = vec![filled::<Website>("other", value), filled::<Website>("blog", value)];
        p
    }

    /// Only these parts of a contact.
    fn only(all: &Properties, parts: &[ContactPart]) -> Properties {
        let mut p = Properties::default();
        for part in parts {
            match part {
                ContactPart::Text(text) => p.texts[*text as usize].clone_from(&all.texts[*text as usize]),
                ContactPart::Birthday => p.birthday.clone_from(&all.birthday),
                ContactPart::WeddingAnniversary => p.wedding_anniversary.clone_from(&all.wedding_anniversary),
                ContactPart::Emails => p.emails.clone_from(&all.emails),
                ContactPart::Phones => p.phones.clone_from(&all.phones),
                ContactPart::Addresses => p.addresses.clone_from(&all.addresses),
                ContactPart::Websites => p.websites.clone_from(&all.websites),
                ContactPart::Categories => p.categories.clone_from(&all.categories),
                ContactPart::ImAddresses => p.im_addresses.clone_from(&all.im_addresses),
                ContactPart::Children => p.children.clone_from(&all.children),
            }
        }
        p
    }

    #[test]
    fn the_lines_of_each_name_are_those_of_the_whole_card() {
        for value in ["Ada", "a;b,c\\d\ne\rf", " \u{e4}\u{1f3bb} ", &"long ".repeat(40)] {
            let all = full(value);
            let shown = CardContent { properties: &all, uid: "u,1", photo: None, last_modified: Some(1) };
            let text = write(&shown, Version::V3, Audience::CardDav);
            let card = CardText::parse(&text);
            let lines = card.lines();
            let names: BTreeSet<_> = lines.iter().map(|line| line.name.to_ascii_uppercase()).collect();
            assert_eq!(names.len(), 27, "{names:?}");
            for name in names {
                let Some(parts) = parts_of(&name) else {
                    assert_eq!(name, "X-ABLABEL");
                    continue;
                };
                let some = only(&all, parts);
                let shown = CardContent { properties: &some, ..shown };
                let found = named(&shown, std::slice::from_ref(&name)).unwrap();
                let expected = lines.iter().filter(|line| line.is(&name)).map(|line| {
                    let written = line.as_written();
                    line.group.map_or(written.clone(), |group| written[group.len() + 1..].to_owned())
                });
                assert_eq!(found, expected.collect::<Vec<_>>(), "{name}");
            }
        }
        let nobody = Properties::default();
        let shown = CardContent { properties: &nobody, uid: "u", photo: None, last_modified: None };
        assert_eq!(named(&shown, &["FN".to_owned()]), None);
        assert_eq!(named(&shown, &["N".to_owned(), "TEL".to_owned()]).unwrap(), ["N:;;;;"]);
    }
}
