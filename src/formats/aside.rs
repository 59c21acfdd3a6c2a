//! Data of a file that a contact has no property for. It is kept in the stored card, in a line such as
//! `X-CONTACTD-ASIDE;X-DIALECT=csv-google;X-NAME="Hobby":sailing` for each value, and comes back in an export of the
//! same dialect (docs/import-export.md).

use crate::domain::contact::Properties;
use crate::vcard::line::{Line, write_param};
use crate::vcard::write::{self, CardContent, fold};
use crate::vcard::{Audience, Version, text};

/// The property of a card.
pub const PROPERTY: &str = "X-CONTACTD-ASIDE";
/// The end of a card.
const END: &str = "END:VCARD\r\n";

/// A value that is kept aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aside {
    /// The dialect of its file, as in [`crate::formats::detect::FileFormat::name`].
    pub dialect: String,
    /// The column, attribute or member.
    pub name: String,
    /// For a value that was mapped in part: the mapped part. The rest comes back only as long as the contact has that
    /// part.
    pub of: Option<String>,
    /// The value.
    pub value: String,
}

impl Aside {
    /// Size of the text in bytes.
    pub(crate) fn size(&self) -> usize {
        self.dialect.len() + self.name.len() + self.of.as_deref().map_or(0, str::len) + self.value.len()
    }

    /// The line of a card, folded.
    fn write(&self, out: &mut String) {
        let mut line = PROPERTY.to_owned();
        let of = self.of.as_deref().map(|of| ("X-OF", of));
        for (name, value) in [("X-DIALECT", self.dialect.as_str()), ("X-NAME", &self.name)].into_iter().chain(of) {
            line.push(';');
            line.push_str(name);
            line.push('=');
            write_param(value, &mut line);
        }
        line.push(':');
        text::escape(&self.value, &mut line);
        fold(&line, out);
    }

    /// Reads a line of a card.
    fn read(line: &Line<'_>) -> Option<Self> {
        let param = |name| line.param(name).map(std::borrow::Cow::into_owned);
        line.is(PROPERTY).then(|| Self {
            dialect: param("X-DIALECT").unwrap_or_default(),
            name: param("X-NAME").unwrap_or_default(),
            of: param("X-OF"),
            value: text::unescape(line.value).into_owned(),
        })
    }
}

/// The card of a contact with the values that are kept aside.
pub(crate) fn card(properties: &Properties, uid: Option<&str>, asides: &[Aside]) -> String {
    let shown = CardContent { properties, uid: uid.unwrap_or_default(), photo: None, last_modified: None };
    let card = write::write(&shown, Version::V3, Audience::Export);
    // A record without an identity has no UID. It becomes the contact's id.
    let mut card = if uid.is_none() { card.replacen("UID:\r\n", "", 1) } else { card };
    if card.ends_with(END) {
        card.truncate(card.len() - END.len());
    }
    for aside in asides {
        aside.write(&mut card);
    }
    card + END
}

/// The lines of a card, unfolded.
fn unfolded(card: &str) -> String {
    card.replace("\r\n ", "").replace("\r\n\t", "")
}

/// The values that are kept aside in a card.
pub fn read(card: &str) -> Vec<Aside> {
    if !card.contains(PROPERTY) {
        return Vec::new();
    }
    unfolded(card).lines().filter_map(Line::parse).filter_map(|line| Aside::read(&line)).collect()
}

/// The identity of a card.
pub fn uid(card: &str) -> Option<String> {
    let lines = unfolded(card);
    let mut lines = lines.lines().filter_map(Line::parse);
    let uid = lines.find(|line| line.is("UID"))?.value.trim().to_owned();
    Some(text::unescape(&uid).into_owned()).filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Text;

    #[test]
    fn what_is_kept_aside_comes_back_from_its_card() {
        let aside = |name: &str, of: Option<&str>, value: &str| Aside {
            dialect: "csv-google".to_owned(),
            name: name.to_owned(),
            of: of.map(str::to_owned),
            value: value.to_owned(),
        };
        let asides = [
            aside("Hobby", None, "sailing; chess, \\n and\nmore 🎻"),
            aside("Custom \"Field\": 1, ^n - Value", None, &"long ".repeat(100)),
            aside("Phone 3 - Label", Some("a|b\nc"), "Boat"),
        ];
        let mut properties = Properties::default();
        properties.texts[Text::Surname as usize] = Some("Lee".to_owned());
        let card = card(&properties, Some("urn:uuid:1"), &asides);
        assert!(card.starts_with("BEGIN:VCARD\r\nVERSION:3.0\r\n"), "{card}");
        assert!(card.ends_with("END:VCARD\r\n"), "{card}");
        assert_eq!(read(&card), asides);
        assert_eq!(uid(&card).as_deref(), Some("urn:uuid:1"));
        let anonymous = super::card(&properties, None, &asides);
        assert_eq!(uid(&anonymous), None);
        assert_eq!(read(&anonymous), asides);
    }
}
