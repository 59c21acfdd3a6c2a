//! Writes the XML of answers. All escaping is here.

use std::fmt::Write as _;

use super::{CALENDAR_SERVER, CARDDAV, DAV, XmlElement, XmlName, XmlNode};

/// The beginning of every document.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
/// The namespaces that every root declares.
pub(crate) const SPACES: &str =
    " xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\" xmlns:CS=\"http://calendarserver.org/ns/\"";

/// Appends text. Characters that XML does not allow are left out. A carriage return is written as a reference, because
/// a parser turns CRLF into a line feed.
pub(crate) fn text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '&' | '<' | '>' | '\0'..=' ' | '\u{fffe}' | '\u{ffff}')) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let mut after = after.chars();
        match after.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('\r') => out.push_str("&#13;"),
            Some(c @ ('\t' | '\n' | ' ')) => out.push(c),
            _ => {}
        }
        rest = after.as_str();
    }
    out.push_str(rest);
}

/// Appends the value of an attribute, in double quotes.
fn attribute(out: &mut String, value: &str) {
    let mut escaped = String::with_capacity(value.len());
    text(&mut escaped, value);
    for c in escaped.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
}

/// Appends the start of an element's tag, and declares its namespace unless the root does. Returns
/// the name for the end tag.
fn open(out: &mut String, name: &XmlName) -> String {
    let prefix = match &*name.space {
        DAV => "D:",
        CARDDAV => "C:",
        CALENDAR_SERVER => "CS:",
        "" => "",
        _ => "X:",
    };
    let tag = [prefix, &name.local].concat();
    out.push('<');
    out.push_str(&tag);
    if prefix == "X:" {
        out.push_str(" xmlns:X=\"");
        attribute(out, &name.space);
        out.push('"');
    }
    tag
}

/// Appends an element without content.
pub(crate) fn empty(out: &mut String, name: &XmlName) {
    open(out, name);
    out.push_str("/>");
}

/// Appends an element around content that is XML already.
pub(crate) fn element(out: &mut String, name: &XmlName, content: &str) {
    if content.is_empty() {
        return empty(out, name);
    }
    let tag = open(out, name);
    out.push('>');
    out.push_str(content);
    out.push_str("</");
    out.push_str(&tag);
    out.push('>');
}

/// An element as text that is valid anywhere: it declares all its namespaces.
pub(crate) fn standalone(element: &XmlElement) -> String {
    let mut out = String::new();
    let mut spaces = Vec::new();
    write_element(&mut out, element, &mut spaces, true);
    out
}

/// Recursion is bounded, because the reader limits the depth of elements.
fn write_element(out: &mut String, element: &XmlElement, spaces: &mut Vec<std::sync::Arc<str>>, is_root: bool) {
    if is_root {
        collect_namespaces(element, spaces);
    }
    let qualified = |name: &XmlName| match spaces.iter().position(|space| *space == name.space) {
        Some(at) => format!("n{at}:{}", name.local),
        None => name.local.clone(),
    };
    let tag = qualified(&element.name);
    out.push('<');
    out.push_str(&tag);
    if is_root {
        for (at, space) in spaces.iter().enumerate() {
            let _ = write!(out, " xmlns:n{at}=\"");
            attribute(out, space);
            out.push('"');
        }
    }
    for sent in &element.attributes {
        let is_xml = &*sent.name.space == "http://www.w3.org/XML/1998/namespace";
        let name = if is_xml { format!("xml:{}", sent.name.local) } else { qualified(&sent.name) };
        out.push(' ');
        out.push_str(&name);
        out.push_str("=\"");
        attribute(out, &sent.value);
        out.push('"');
    }
    out.push('>');
    for node in &element.content {
        match node {
            XmlNode::Text(content) => text(out, content),
            XmlNode::Element(inner) => write_element(out, inner, spaces, false),
        }
    }
    out.push_str("</");
    out.push_str(&tag);
    out.push('>');
}

/// Collects the namespaces of an element and its children.
fn collect_namespaces(element: &XmlElement, spaces: &mut Vec<std::sync::Arc<str>>) {
    let names = element.attributes.iter().map(|attribute| &attribute.name).chain([&element.name]);
    for name in names {
        let is_declared = name.space.is_empty() || &*name.space == "http://www.w3.org/XML/1998/namespace";
        if !is_declared && !spaces.contains(&name.space) {
            spaces.push(std::sync::Arc::clone(&name.space));
        }
    }
    for child in element.children() {
        collect_namespaces(child, spaces);
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaped_text_is_read_back(content in "[^\0-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
            let mut out = String::new();
            text(&mut out, &content);
            let element = read(format!("<a>{out}</a>").as_bytes()).unwrap();
            prop_assert_eq!(element.text(), content);
        }
    }

    #[test]
    fn characters_that_xml_does_not_allow_are_left_out() {
        let mut out = String::new();
        text(&mut out, "a\0\u{1}\u{ffff}<&>\r\n\"'");
        assert_eq!(out, "a&lt;&amp;&gt;&#13;\n\"'");
    }

    #[test]
    fn a_standalone_element_declares_its_namespaces() {
        let body =
            "<a xmlns='x' xmlns:p='y'><p:b p:c='\"&#10;' xml:lang='de' d='e'>]]&gt;&#13;<f xmlns=''/></p:b> t</a>";
        let element = read(body.as_bytes()).unwrap();
        let out = standalone(&element);
        assert_eq!(read(out.as_bytes()).unwrap(), element, "{out}");
    }
}
