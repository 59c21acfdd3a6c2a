//! Reads the body of a request. Refuses everything that could make a body costly or ambiguous: document types, entities
//! besides XML's own, characters that XML 1.0 does not allow, and bodies above the limits below.

use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;

use super::{XmlAttribute, XmlElement, XmlName, XmlNode};
use crate::domain::error::{Error, Kind};

/// Maximum size of a body in bytes.
pub(crate) const MAX_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 32;
/// Maximum number of elements, and the maximum for a list of addresses.
const MAX_ELEMENTS: usize = 10_000;
const MAX_LISTED: usize = 100_000;
const MAX_ATTRIBUTES: usize = 50;
/// Maximum length of the name or value of an attribute in bytes.
const MAX_NAME: usize = 16 << 10;

/// The root element of a body.
///
/// # Errors
/// 400 if it is not XML or is refused, [`Error::UnsupportedMediaType`] for another encoding than UTF-8.
pub(crate) fn read(body: &[u8]) -> Result<XmlElement, Error> {
    if body.starts_with(&[0xfe, 0xff])
        || body.starts_with(&[0xff, 0xfe])
        || body.starts_with(&[0, b'<'])
        || body.starts_with(b"<\0")
    {
        return Err(Error::UnsupportedMediaType("The XML must be sent as UTF-8.".to_owned()));
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = str::from_utf8(body).map_err(|_| refused("The XML is not UTF-8."))?;
    if let Some(character) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(refused(&format!(
            "The XML has the character U+{:04X}, which XML does not allow.",
            u32::from(character)
        )));
    }
    TreeBuilder { open: Vec::new(), root: None, elements: 0, spaces: Vec::new() }.read(text)
}

fn refused(message: &str) -> Error {
    Error::invalid(Kind::Body, "", message)
}

/// Whether XML 1.0 (production 2) allows the character.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

struct TreeBuilder {
    open: Vec<XmlElement>,
    root: Option<XmlElement>,
    elements: usize,
    /// The namespaces so far, so that equal ones share their text.
    spaces: Vec<Arc<str>>,
}

impl TreeBuilder {
    fn read(mut self, text: &str) -> Result<XmlElement, Error> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut is_first = true;
        loop {
            let event =
                reader.read_event().map_err(|error| refused(&format!("The body is not well-formed XML: {error}.")))?;
            match event {
                Event::Start(start) => self.start(&reader, &start)?,
                Event::End(_) => self.end(),
                Event::Text(text) if text.contains("]]>") => return Err(refused("The XML has ]]> in its text.")),
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) if self.open.is_empty() => check_outside_root(text.trim().is_empty())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.text(resolve_reference(&reference)?.encode_utf8(&mut [0; 4]))?,
                Event::DocType(_) => return Err(refused("The XML has a document type, which is not allowed.")),
                Event::Decl(_) if !is_first => return Err(refused("The XML declaration must come first.")),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
                Event::Empty(_) => return Err(refused("The XML cannot be read.")),
            }
            is_first = false;
        }
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(refused("The XML has no root element, or one that is not closed.")),
        }
    }

    fn start(&mut self, reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<(), Error> {
        if self.root.is_some() {
            return Err(refused("The XML has two root elements."));
        }
        self.elements += 1;
        let is_list = self.open.first().is_some_and(|root| root.is(super::CARDDAV, "addressbook-multiget"));
        let max = if is_list { MAX_LISTED } else { MAX_ELEMENTS };
        if self.elements > max {
            return Err(refused(&format!("The XML has more than {max} elements.")));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(refused(&format!("The XML is more than {MAX_DEPTH} elements deep.")));
        }
        let (space, local) = reader.resolver().resolve_element(start.name());
        let name = self.name(&space, local.into_inner())?;
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|error| refused(&format!("The body is not well-formed XML: {error}.")))?;
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(refused(&format!("An element of the XML has more than {MAX_ATTRIBUTES} attributes.")));
            }
            if attribute.value.len() > MAX_NAME || attribute.value.contains('<') {
                return Err(refused("An attribute of the XML is too long, or has a <."));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| refused(&format!("An attribute of the XML cannot be read: {error}.")))?;
            if !value.chars().all(is_allowed) {
                return Err(refused("An attribute of the XML has a character that XML does not allow."));
            }
            match attribute.key.as_namespace_binding() {
                Some(PrefixDeclaration::Named(_)) if value.is_empty() => {
                    return Err(refused("A prefix of the XML is not declared."));
                }
                Some(_) => {}
                None => {
                    let (space, local) = reader.resolver().resolve_attribute(attribute.key);
                    attributes
                        .push(XmlAttribute { name: self.name(&space, local.into_inner())?, value: value.into_owned() });
                }
            }
        }
        self.open.push(XmlElement { name, attributes, content: Vec::new() });
        Ok(())
    }

    fn name(&mut self, space: &ResolveResult<'_>, local: &str) -> Result<XmlName, Error> {
        let space = match space {
            ResolveResult::Bound(space) => space.into_inner(),
            ResolveResult::Unbound => "",
            ResolveResult::Unknown(_) => return Err(refused("A prefix of the XML is not declared.")),
        };
        let is_name_start = |c: char| c.is_alphabetic() || c == '_' || !c.is_ascii();
        let is_name_char = |c: char| is_name_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !local.starts_with(is_name_start)
            || !local.chars().all(is_name_char)
            || local.len().max(space.len()) > MAX_NAME
        {
            return Err(refused("A name of the XML is too long or empty."));
        }
        let known = self.spaces.iter().find(|known| &***known == space).cloned();
        let space = known.unwrap_or_else(|| {
            let space: Arc<str> = space.into();
            // There are usually few namespaces. With many, only the first ones share their text.
            if self.spaces.len() < 16 {
                self.spaces.push(Arc::clone(&space));
            }
            space
        });
        Ok(XmlName { space, local: local.to_owned() })
    }

    fn end(&mut self) {
        let Some(ended) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.content.push(XmlNode::Element(ended)),
            None => self.root = Some(ended),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let Some(parent) = self.open.last_mut() else { return check_outside_root(text.trim_ascii().is_empty()) };
        match parent.content.last_mut() {
            Some(XmlNode::Text(before)) => before.push_str(text),
            _ => parent.content.push(XmlNode::Text(text.to_owned())),
        }
        Ok(())
    }
}

fn check_outside_root(is_blank: bool) -> Result<(), Error> {
    if is_blank { Ok(()) } else { Err(refused("The XML has text outside of its root element.")) }
}

/// The character of a reference.
fn resolve_reference(reference: &BytesRef<'_>) -> Result<char, Error> {
    let character = match &**reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => reference.resolve_char_ref().ok().flatten(),
    };
    character
        .filter(|c| is_allowed(*c))
        .ok_or_else(|| refused("The XML refers to an entity or a character that is not allowed."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_resolved_and_text_is_joined() {
        let body =
            b"\xef\xbb\xbf<?xml version='1.0' encoding='latin1'?>\n<!-- x --><propfind xmlns='DAV:' xmlns:c='urn:x'>
            <prop a='1' c:b='&lt;'><c:y>a&amp;b\r\n<![CDATA[<c>]]>&#x41;</c:y><z xmlns=''/></prop></propfind>\n";
        let root = read(body).unwrap();
        assert!(root.is("DAV:", "propfind"));
        let prop = root.child("DAV:", "prop").unwrap();
        assert_eq!((prop.attribute("A"), prop.attributes.len()), (Some("1"), 2));
        assert_eq!(prop.attributes[1].value, "<");
        assert_eq!(prop.child("urn:x", "y").unwrap().text(), "a&b\n<c>A");
        assert!(prop.child("", "z").is_some());
    }

    #[test]
    fn invalid_and_hostile_xml_is_refused() {
        let deep = |count: usize| ["<a>".repeat(count), "</a>".repeat(count)].concat();
        assert!(read(deep(MAX_DEPTH).as_bytes()).is_ok());
        let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 1));
        assert!(read(wide(MAX_ELEMENTS).as_bytes()).is_ok());
        let list = format!(
            "<m:addressbook-multiget xmlns:m='{}'>{}</m:addressbook-multiget>",
            super::super::CARDDAV,
            "<b/>".repeat(99_999)
        );
        assert!(read(list.as_bytes()).is_ok());
        let attributes = |count: usize| {
            let attributes: Vec<_> = (0..count).map(|i| format!("a{i}=''")).collect();
            format!("<a {}/>", attributes.join(" "))
        };
        assert!(read(attributes(MAX_ATTRIBUTES).as_bytes()).is_ok());
        for body in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a/><![CDATA[x]]>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a>&b;</a>",
            "<a>&#0;</a>",
            "<a>&#1;</a>",
            "<a>&#xFFFF;</a>",
            "<a>&#xD800;</a>",
            "<a>\u{1}</a>",
            "<a>\u{ffff}</a>",
            "<a b='&#1;'/>",
            "<a b='&c;'/>",
            "<a b='<'/>",
            "<a b='1' b='2'/>",
            "<a>]]></a>",
            "<p:a/>",
            "<a p:b=''/>",
            "<a xmlns:p=''/>",
            "<a/><?xml version='1.0'?>",
            "<a b/>",
            "<a",
            "<1/>",
            &deep(MAX_DEPTH + 1),
            &deep(100_000),
            &wide(MAX_ELEMENTS + 1),
            &attributes(MAX_ATTRIBUTES + 1),
            &format!("<a b='{}'/>", "x".repeat(MAX_NAME + 1)),
            &format!("<{}/>", "x".repeat(MAX_NAME + 1)),
        ] {
            assert!(matches!(read(body.as_bytes()), Err(Error::Invalid(_))), "{}", &body[..body.len().min(60)]);
        }
        assert!(matches!(read(b"<a>\xff</a>"), Err(Error::Invalid(_))));
        for body in [&b"\xfe\xff\0<"[..], b"\xff\xfe<\0", b"<\0a\0", b"\0<\0a"] {
            assert!(matches!(read(body), Err(Error::UnsupportedMediaType(_))));
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in "(<|>|/|a|b:|xmlns|=|'|&|;|#|!|\\[|\\]|\\?|-|CDATA| |\\PC){0,40}") {
            let _ = read(body.as_bytes());
        }
    }
}
