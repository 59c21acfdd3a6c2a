//! XML as WebDAV uses it: a small tree of a request's body, and the text of answers. Names are compared by namespace,
//! never by prefix.

pub(crate) mod read;
pub(crate) mod write;

use std::sync::Arc;

/// WebDAV's namespace.
pub(crate) const DAV: &str = "DAV:";
/// CardDAV's namespace.
pub(crate) const CARDDAV: &str = "urn:ietf:params:xml:ns:carddav";
/// The namespace of Apple's extensions, such as `getctag`.
pub(crate) const CALENDAR_SERVER: &str = "http://calendarserver.org/ns/";

/// A name in a namespace; an empty namespace is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct XmlName {
    pub(crate) space: Arc<str>,
    pub(crate) local: String,
}

impl XmlName {
    pub(crate) fn is(&self, space: &str, local: &str) -> bool {
        &*self.space == space && self.local == local
    }
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XmlAttribute {
    pub(crate) name: XmlName,
    pub(crate) value: String,
}

/// A child of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum XmlNode {
    Element(XmlElement),
    Text(String),
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XmlElement {
    pub(crate) name: XmlName,
    pub(crate) attributes: Vec<XmlAttribute>,
    pub(crate) content: Vec<XmlNode>,
}

impl XmlElement {
    pub(crate) fn is(&self, space: &str, local: &str) -> bool {
        self.name.is(space, local)
    }

    /// Its child elements.
    pub(crate) fn children(&self) -> impl Iterator<Item = &XmlElement> {
        self.content.iter().filter_map(|node| match node {
            XmlNode::Element(element) => Some(element),
            XmlNode::Text(_) => None,
        })
    }

    /// The first child element with this name.
    pub(crate) fn child(&self, space: &str, local: &str) -> Option<&XmlElement> {
        self.children().find(|child| child.is(space, local))
    }

    /// Its own text, without that of child elements.
    pub(crate) fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|node| match node {
            XmlNode::Text(text) => Some(text.as_str()),
            XmlNode::Element(_) => None,
        });
        texts.collect()
    }

    /// The value of an attribute without a namespace. Letter case is ignored, because some clients write
    /// `Content-Type`.
    pub(crate) fn attribute(&self, local: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.name.space.is_empty() && attribute.name.local.eq_ignore_ascii_case(local));
        found.map(|attribute| attribute.value.as_str())
    }
}
