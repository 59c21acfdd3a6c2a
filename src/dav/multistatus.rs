//! Writes the `multistatus` of an answer, response by response.

use std::fmt::Write as _;

use super::properties::{PropertyContext, PropertyOwner, PropertyValue, escaped};
use super::xml::write::{DECLARATION, SPACES, element, empty};
use super::xml::{CARDDAV, DAV, XmlElement, XmlName};
use crate::domain::error::{Error, Kind};

/// Maximum number of properties that a request may name. The answer has each of them for each resource.
pub(crate) const MAX_REQUESTED: usize = 200;

/// The properties that a request asks for, of each resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestedProperties {
    /// `allprop`, with what `include` names.
    All(Vec<XmlName>),
    /// `propname`
    Names,
    /// `prop`
    These(Vec<XmlName>),
}

impl RequestedProperties {
    /// Reads the properties in the body of a PROPFIND or a report. Without any, the request asks for all.
    ///
    /// # Errors
    /// 400 if the body has two of the three, or names more than 200 properties.
    pub(crate) fn read(body: &XmlElement) -> Result<Self, Error> {
        let mut found = Vec::new();
        for child in body.children().filter(|child| &*child.name.space == DAV) {
            match child.name.local.as_str() {
                "prop" => found.push(Self::These(names(child)?)),
                "propname" => found.push(Self::Names),
                "allprop" => {
                    let include = body.child(DAV, "include").map(names).transpose()?;
                    found.push(Self::All(include.unwrap_or_default()));
                }
                _ => {}
            }
        }
        if found.len() > 1 {
            return Err(Error::invalid(Kind::Body, "", "Only one of prop, allprop and propname can be requested."));
        }
        Ok(found.pop().unwrap_or(Self::All(Vec::new())))
    }

    /// Whether the request asks for this property by its name.
    pub(crate) fn names(&self, space: &str, local: &str) -> bool {
        match self {
            Self::All(names) | Self::These(names) => names.iter().any(|name| name.is(space, local)),
            Self::Names => false,
        }
    }

    /// Whether the answer may have properties that clients set.
    pub(crate) fn may_include_stored(&self) -> bool {
        match self {
            Self::All(_) | Self::Names => true,
            Self::These(names) => names
                .iter()
                .any(|name| name.is(CARDDAV, "addressbook-description") || !matches!(&*name.space, DAV | CARDDAV)),
        }
    }
}

fn names(element: &XmlElement) -> Result<Vec<XmlName>, Error> {
    let mut names: Vec<_> = element.children().map(|child| child.name.clone()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    if names.len() > MAX_REQUESTED {
        let message = format!("A request can name at most {MAX_REQUESTED} properties.");
        return Err(Error::invalid(Kind::Body, "", message));
    }
    Ok(names)
}

/// A `multistatus` that is being written.
#[derive(Debug, Default)]
pub(crate) struct Multistatus {
    pub(crate) out: String,
    /// Missing properties are left out.
    minimal: bool,
}

impl Multistatus {
    /// Begins a document.
    pub(crate) fn new(minimal: bool) -> Self {
        Self { out: [DECLARATION, "<D:multistatus", SPACES, ">\n"].concat(), minimal }
    }

    /// A piece in the middle of a document.
    pub(crate) fn piece(minimal: bool) -> Self {
        Self { out: String::new(), minimal }
    }

    /// Ends the document, with a sync token if there is one.
    pub(crate) fn end(mut self, token: Option<&str>) -> String {
        if let Some(token) = token {
            let _ = writeln!(self.out, "<D:sync-token>{}</D:sync-token>", escaped(token));
        }
        self.out.push_str("</D:multistatus>\n");
        self.out
    }

    /// The requested properties of one resource. `data` is its `address-data`, if a report returns it.
    pub(crate) fn properties(
        &mut self,
        href: &str,
        subject: &PropertyOwner<'_>,
        requested: &RequestedProperties,
        property_context: &PropertyContext<'_>,
        data: Option<&str>,
    ) {
        let (mut found, mut missing) = (String::new(), String::new());
        let names = match requested {
            RequestedProperties::Names => {
                for name in subject.names(true) {
                    empty(&mut found, &name);
                }
                Vec::new()
            }
            RequestedProperties::All(include) => {
                let mut names = subject.names(false);
                names.extend(include.iter().filter(|name| !subject.names(false).contains(name)).cloned());
                names
            }
            RequestedProperties::These(names) => names.clone(),
        };
        for name in names {
            if let Some(data) = data.filter(|_| name.is(CARDDAV, "address-data")) {
                element(&mut found, &name, &escaped(data));
                continue;
            }
            match subject.value(&name, property_context) {
                Some(PropertyValue::Content(content)) => element(&mut found, &name, &content),
                Some(PropertyValue::Whole(whole)) => found.push_str(&whole),
                None => empty(&mut missing, &name),
            }
        }
        self.open(href);
        if self.minimal {
            missing.clear();
        }
        if !found.is_empty() || missing.is_empty() {
            self.propstat(&found, 200, "OK", "");
        }
        if !missing.is_empty() {
            self.propstat(&missing, 404, "Not Found", "");
        }
        self.out.push_str("</D:response>\n");
    }

    /// Properties with one status, and optionally the XML of an error.
    pub(crate) fn propstat(&mut self, properties: &str, status: u16, reason: &str, error: &str) {
        self.out.push_str("<D:propstat><D:prop>");
        self.out.push_str(properties);
        let _ = write!(self.out, "</D:prop><D:status>HTTP/1.1 {status} {reason}</D:status>{error}</D:propstat>");
    }

    /// Begins a response, which the caller ends.
    pub(crate) fn open(&mut self, href: &str) {
        let _ = write!(self.out, "<D:response><D:href>{}</D:href>", escaped(href));
    }

    /// A response with one status, and optionally the XML of an error.
    pub(crate) fn status(&mut self, href: &str, status: u16, reason: &str, error: &str) {
        self.open(href);
        let _ = writeln!(self.out, "<D:status>HTTP/1.1 {status} {reason}</D:status>{error}</D:response>");
    }

    /// A response that reports that the answer is truncated.
    pub(crate) fn mark_truncated(&mut self, href: &str) {
        let error = "<D:error><D:number-of-matches-within-limits/></D:error>";
        self.status(href, 507, "Insufficient Storage", error);
    }
}
