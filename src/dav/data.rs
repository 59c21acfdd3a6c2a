//! `address-data` (RFC 6352, section 10.4): the form in which a report returns cards, whole or in part.

use super::card::{self, unfolded};
use super::error::Fail;
use super::multistatus::MAX_REQUESTED;
use super::xml::{CARDDAV, DAV, XmlElement};
use crate::domain::card::CardVersion;
use crate::store::WholeCard;
use crate::vcard::line::Line;
use crate::vcard::write::fold;

/// The form in which a report returns cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressData {
    version: CardVersion,
    /// Only these properties; none for the whole card.
    parts: Vec<RequestedProperty>,
}

/// A property of a card of which only parts are requested.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RequestedProperty {
    group: Option<String>,
    name: String,
    without_value: bool,
}

impl AddressData {
    /// Reads `address-data` in the properties that a report asks for. The default version is 3.0, as the RFC says: some
    /// clients cannot read 4.0.
    ///
    /// # Errors
    /// 403 for another type or version, 400 for more than 200 properties.
    pub(crate) fn read(body: &XmlElement) -> Result<Option<Self>, Fail> {
        let Some(requested) = body.child(DAV, "prop").and_then(|prop| prop.child(CARDDAV, "address-data")) else {
            return Ok(None);
        };
        let refused =
            || Fail::new(403, "<C:supported-address-data/>", "Cards are returned as text/vcard, version 3.0 or 4.0.");
        let content_type = requested.attribute("content-type");
        if content_type.is_some_and(|media_type| !media_type.trim().eq_ignore_ascii_case("text/vcard")) {
            return Err(refused());
        }
        let version = requested.attribute("version");
        let version = version.map_or(Some(CardVersion::V3), |version| CardVersion::of(version.trim()));
        let parts = requested.children().filter(|child| child.is(CARDDAV, "prop")).filter_map(RequestedProperty::read);
        let parts: Vec<_> = parts.collect();
        if parts.len() > MAX_REQUESTED {
            return Err(Fail::bad("address-data can name at most 200 properties."));
        }
        Ok(Some(Self { version: version.ok_or_else(refused)?, parts }))
    }

    /// A card in this form.
    pub(crate) fn render(&self, whole: &WholeCard) -> String {
        let text = card::render(whole, Some(self.version));
        if self.parts.is_empty() { text } else { self.requested_lines(&text) }
    }

    /// The requested lines, in their order.
    fn requested_lines(&self, text: &str) -> String {
        let mut out = String::new();
        for line in unfolded(text) {
            let Some(parsed) = Line::parse(&line) else { continue };
            if ["BEGIN", "VERSION", "END"].iter().any(|name| parsed.is(name)) {
                fold(&line, &mut out);
                continue;
            }
            match self.parts.iter().find(|part| part.matches(&parsed)) {
                Some(part) if part.without_value => {
                    let head = line.strip_suffix(parsed.value).unwrap_or(&line);
                    fold(head, &mut out);
                }
                Some(_) => fold(&line, &mut out),
                None => {}
            }
        }
        out
    }
}

impl RequestedProperty {
    fn read(element: &XmlElement) -> Option<Self> {
        let name = element.attribute("name")?.trim();
        let (group, name) = match name.rsplit_once('.') {
            Some((group, name)) => (Some(group.to_owned()), name.to_owned()),
            None => (None, name.to_owned()),
        };
        let without_value = element.attribute("novalue").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        Some(Self { group, name, without_value })
    }

    /// A name without a group matches lines of any group.
    fn matches(&self, line: &Line<'_>) -> bool {
        let has_group = |group: &String| line.group.is_some_and(|own| own.eq_ignore_ascii_case(group));
        line.is(&self.name) && self.group.as_ref().is_none_or(has_group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::read::read;
    use super::*;

    #[test]
    fn only_requested_properties_are_returned() {
        let body = format!(
            "<q xmlns:D='DAV:' xmlns='{CARDDAV}'><D:prop><address-data><prop name='email'/><prop name='TEL' novalue='yes'/>\
             <prop name='item2.URL'/></address-data></D:prop></q>"
        );
        let data = AddressData::read(&read(body.as_bytes()).unwrap()).ok().unwrap().unwrap();
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nitem1.EMAIL;TYPE=work:a@b\r\nTEL;TYPE=home:1\r\n 2\r\nitem1.URL:u\r\nitem2.URL:v\r\nEND:VCARD\r\n";
        let part =
            "BEGIN:VCARD\r\nVERSION:3.0\r\nitem1.EMAIL;TYPE=work:a@b\r\nTEL;TYPE=home:\r\nitem2.URL:v\r\nEND:VCARD\r\n";
        assert_eq!(data.requested_lines(card), part);
        let many = |count: usize| {
            let names = (0..count).map(|i| format!("<prop name='X-{i}'/>")).collect::<Vec<_>>().concat();
            format!("<q xmlns:D='DAV:' xmlns='{CARDDAV}'><D:prop><address-data>{names}</address-data></D:prop></q>")
        };
        let read = |count: usize| AddressData::read(&read(many(count).as_bytes()).unwrap());
        assert!(read(MAX_REQUESTED).is_ok() && matches!(read(MAX_REQUESTED + 1), Err(Fail::Precondition(400, ..))));
    }
}
