//! Filters of `addressbook-query` (RFC 6352, section 10.5), tested on the lines of a card.

use unicode_normalization::UnicodeNormalization as _;

use super::card::named_lines;
use super::error::Fail;
use super::xml::{CARDDAV, XmlElement};
use crate::domain::contact::parts::ContactPart;
use crate::domain::fold::fold;
use crate::vcard::line::Line;
use crate::vcard::text::unescape;
use crate::vcard::write::named::parts_of;

/// Maximum number of property filters and their tests. Each is tested on every line of every card.
const MAX_TESTS: usize = 100;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CardFilter {
    all_of: bool,
    properties: Vec<PropertyFilter>,
    /// The names of the properties, in upper case, each once.
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PropertyFilter {
    group: Option<String>,
    name: String,
    all_of: bool,
    tests: Tests,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tests {
    NotDefined,
    /// Tests on one line. Without tests, the line must exist.
    Line(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Text(TextMatch),
    /// The parameter exists, or does not exist.
    Parameter(String, bool),
    ParameterText(String, TextMatch),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collation {
    Ascii,
    Octet,
    Unicode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MatchType {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TextMatch {
    collation: Collation,
    kind: MatchType,
    negated: bool,
    /// The text in the form of the collation.
    text: String,
}

impl CardFilter {
    /// Reads the filter of a query. Without one, or with an empty one, every card matches.
    ///
    /// # Errors
    /// 400 if it cannot be read, 403 for an unsupported collation or test, or for more than 100 tests.
    pub(crate) fn read(query: &XmlElement) -> Result<Self, Fail> {
        // A filter in another namespace would be skipped, and the answer would have all cards.
        if query.children().any(|child| child.name.local == "filter" && &*child.name.space != CARDDAV) {
            return Err(Fail::bad("The filter is in another namespace than CardDAV's."));
        }
        let Some(filter) = query.child(CARDDAV, "filter") else {
            return Ok(Self { all_of: false, properties: Vec::new(), names: Vec::new() });
        };
        let properties = filter.children().filter(|child| child.is(CARDDAV, "prop-filter")).map(PropertyFilter::read);
        let properties: Vec<_> = properties.collect::<Result<_, _>>()?;
        if properties.iter().map(PropertyFilter::tests).sum::<usize>() > MAX_TESTS {
            return Err(Fail::new(403, "<C:supported-filter/>", "A filter can have at most 100 tests."));
        }
        let mut names: Vec<_> = properties.iter().map(|filter| filter.name.clone()).collect();
        names.sort();
        names.dedup();
        Ok(Self { all_of: all_of(filter)?, properties, names })
    }

    /// Whether every card matches, because every card has FN.
    pub(crate) fn is_always_true(&self) -> bool {
        let is_true = |filter: &PropertyFilter| {
            filter.name == "FN" && filter.group.is_none() && filter.tests == Tests::Line(Vec::new())
        };
        if self.all_of {
            self.properties.iter().all(is_true)
        } else {
            self.properties.is_empty() || self.properties.iter().any(is_true)
        }
    }

    /// The names of the properties that it tests, in upper case.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The parts of a contact without a stored card that it tests. `None` if the whole contact is needed: the numbers
    /// of groups depend on all lines.
    pub(crate) fn parts(&self) -> Option<Vec<ContactPart>> {
        if self.properties.iter().any(|filter| filter.group.is_some()) {
            return None;
        }
        let mut parts = Vec::new();
        for name in &self.names {
            parts.extend(parts_of(name)?);
        }
        parts.sort();
        parts.dedup();
        Some(parts)
    }

    /// Whether a card matches. Only lines of the named properties are parsed.
    pub(crate) fn matches(&self, card: &str) -> bool {
        self.matches_lines(&named_lines(card, &self.names))
    }

    /// Whether a card matches. The unfolded lines are at least those of the named properties.
    pub(crate) fn matches_lines(&self, lines: &[impl AsRef<str>]) -> bool {
        if self.properties.is_empty() {
            return true;
        }
        let lines: Vec<_> = lines.iter().filter_map(|line| Line::parse(line.as_ref())).collect();
        if self.all_of {
            self.properties.iter().all(|filter| filter.matches(&lines))
        } else {
            self.properties.iter().any(|filter| filter.matches(&lines))
        }
    }
}

/// Whether all tests must match; by default one is enough.
fn all_of(element: &XmlElement) -> Result<bool, Fail> {
    match element.attribute("test") {
        None | Some("anyof") => Ok(false),
        Some("allof") => Ok(true),
        Some(_) => Err(Fail::bad("The test of a filter must be anyof or allof.")),
    }
}

fn filter_name(element: &XmlElement) -> Result<String, Fail> {
    let name = element.attribute("name").map(str::trim).filter(|name| !name.is_empty());
    name.map(str::to_ascii_uppercase).ok_or_else(|| Fail::bad("A filter has no name."))
}

impl PropertyFilter {
    fn read(element: &XmlElement) -> Result<Self, Fail> {
        let name = filter_name(element)?;
        let (group, name) = match name.rsplit_once('.') {
            Some((group, name)) => (Some(group.to_owned()), name.to_owned()),
            None => (None, name),
        };
        let mut tests = Vec::new();
        let mut not_defined = false;
        for child in element.children().filter(|child| &*child.name.space == CARDDAV) {
            match child.name.local.as_str() {
                "is-not-defined" => not_defined = true,
                "text-match" if ["PHOTO", "LOGO", "SOUND", "KEY"].contains(&name.as_str()) => {
                    return Err(Fail::new(403, "<C:supported-filter/>", "Pictures and sounds cannot be searched."));
                }
                "text-match" => tests.push(Test::Text(TextMatch::read(child)?)),
                "param-filter" => tests.push(parameter(child)?),
                _ => {}
            }
        }
        if not_defined && !tests.is_empty() {
            return Err(Fail::bad("is-not-defined cannot be combined with other tests."));
        }
        let tests = if not_defined { Tests::NotDefined } else { Tests::Line(tests) };
        Ok(Self { group, name, all_of: all_of(element)?, tests })
    }

    /// The number of its tests, with the one for the property itself.
    fn tests(&self) -> usize {
        1 + if let Tests::Line(tests) = &self.tests { tests.len() } else { 0 }
    }

    fn matches(&self, lines: &[Line<'_>]) -> bool {
        let applies_to = |line: &&Line<'_>| {
            line.is(&self.name)
                && self.group.as_ref().is_none_or(|group| line.group.is_some_and(|own| own.eq_ignore_ascii_case(group)))
        };
        let mut lines = lines.iter().filter(applies_to);
        match &self.tests {
            Tests::NotDefined => lines.next().is_none(),
            Tests::Line(tests) if tests.is_empty() => lines.next().is_some(),
            Tests::Line(tests) if self.all_of => lines.any(|line| tests.iter().all(|test| test.matches(line))),
            Tests::Line(tests) => lines.any(|line| tests.iter().any(|test| test.matches(line))),
        }
    }
}

fn parameter(element: &XmlElement) -> Result<Test, Fail> {
    let name = filter_name(element)?;
    if element.child(CARDDAV, "is-not-defined").is_some() {
        return Ok(Test::Parameter(name, false));
    }
    match element.child(CARDDAV, "text-match") {
        Some(text) => Ok(Test::ParameterText(name, TextMatch::read(text)?)),
        None => Ok(Test::Parameter(name, true)),
    }
}

impl Test {
    fn matches(&self, line: &Line<'_>) -> bool {
        match self {
            Self::Text(text) => text.matches(&unescape(line.value)),
            Self::Parameter(name, exists) => values(line, name).is_empty() != *exists,
            Self::ParameterText(name, text) => values(line, name).iter().any(|value| text.matches(value)),
        }
    }
}

/// The values of a parameter, with lists split. A bare type counts as TYPE.
fn values(line: &Line<'_>, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    if name == "TYPE" {
        values.extend(line.types().flat_map(|kind| kind.split(',')).map(|kind| kind.trim_matches('"').to_owned()));
        return values;
    }
    for param in line.params().filter(|param| param.name.eq_ignore_ascii_case(name)) {
        values.extend(param.values().map(std::borrow::Cow::into_owned));
    }
    values
}

impl TextMatch {
    fn read(element: &XmlElement) -> Result<Self, Fail> {
        let collation = match element.attribute("collation") {
            None | Some("default" | "i;unicode-casemap") => Collation::Unicode,
            Some("i;ascii-casemap") => Collation::Ascii,
            Some("i;octet") => Collation::Octet,
            Some(_) => return Err(Fail::new(403, "<C:supported-collation/>", "This collation is not supported.")),
        };
        let kind = match element.attribute("match-type") {
            None | Some("contains") => MatchType::Contains,
            Some("equals") => MatchType::Equals,
            Some("starts-with") => MatchType::StartsWith,
            Some("ends-with") => MatchType::EndsWith,
            Some(_) => return Err(Fail::bad("A match-type must be equals, contains, starts-with or ends-with.")),
        };
        let negated = match element.attribute("negate-condition") {
            None | Some("no") => false,
            Some("yes") => true,
            Some(_) => return Err(Fail::bad("A negate-condition must be yes or no.")),
        };
        Ok(Self { collation, kind, negated, text: collation.compared(&element.text()) })
    }

    fn matches(&self, value: &str) -> bool {
        let value = self.collation.compared(value);
        let is_match = match self.kind {
            MatchType::Equals => value == self.text,
            MatchType::Contains => value.contains(&self.text),
            MatchType::StartsWith => value.starts_with(&self.text),
            MatchType::EndsWith => value.ends_with(&self.text),
        };
        is_match != self.negated
    }
}

impl Collation {
    /// The form in which a text is compared. RFC 5051 folds case and decomposes; diacritical marks still differ.
    fn compared(self, text: &str) -> String {
        match self {
            Self::Octet => text.to_owned(),
            Self::Ascii => text.to_ascii_lowercase(),
            Self::Unicode => fold(&text.nfkd().collect::<String>()).nfkd().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::read::read;
    use super::*;

    fn filter(inside: &str, test: &str) -> Result<CardFilter, String> {
        let query = format!("<q xmlns='{CARDDAV}'><filter test='{test}'>{inside}</filter></q>");
        CardFilter::read(&read(query.as_bytes()).unwrap()).map_err(|fail| match fail {
            Fail::Precondition(status, element, _) => format!("{status} {element}"),
            Fail::Error(error) => error.to_string(),
        })
    }

    const CARD: &str = "BEGIN:VCARD\r\nFN:Änne O\\, Ré\r\nitem1.EMAIL;TYPE=work,INTERNET:Ann@Example.org\r\n\
EMAIL;HOME:home@example.org\r\nNICKNAME:A\r\n n\r\nEND:VCARD\r\n";

    #[test]
    fn lines_match_by_value_group_and_parameter() {
        let text = |name: &str, attributes: &str, text: &str| {
            format!("<prop-filter name='{name}'><text-match {attributes}>{text}</text-match></prop-filter>")
        };
        let param = |name: &str, inside: &str| {
            format!("<prop-filter name='EMAIL'><param-filter name='{name}'>{inside}</param-filter></prop-filter>")
        };
        for (inside, expected) in [
            (text("fn", "", "änne"), true),
            (text("FN", "", "A\u{308}NNE"), true),
            (text("FN", "", "anne"), false),
            (text("FN", "collation='i;ascii-casemap'", "ÄNNE"), true),
            (text("FN", "collation='i;ascii-casemap'", "änne"), false),
            (text("FN", "collation='i;octet'", "änne"), false),
            (text("FN", "match-type='equals'", "Änne O, Ré"), true),
            (text("FN", "match-type='starts-with'", "änne"), true),
            (text("FN", "match-type='ends-with'", "änne"), false),
            (text("FN", "match-type='ends-with' negate-condition='yes'", "änne"), true),
            (text("NICKNAME", "match-type='equals'", "an"), true),
            (text("TEL", "negate-condition='yes'", "x"), false),
            (text("item1.EMAIL", "", "ann"), true),
            (text("item2.EMAIL", "", "ann"), false),
            (text("EMAIL", "negate-condition='yes'", "ann"), true),
            (param("TYPE", "<text-match match-type='equals'>WORK</text-match>"), true),
            (param("type", "<text-match match-type='equals'>home</text-match>"), true),
            (param("TYPE", "<text-match match-type='equals'>cell</text-match>"), false),
            (param("PREF", "<is-not-defined/>"), true),
            (param("PREF", ""), false),
            ("<prop-filter name='TEL'><is-not-defined/></prop-filter>".to_owned(), true),
            ("<prop-filter name='EMAIL'/>".to_owned(), true),
            ("<prop-filter name='EMAIL' test='allof'><text-match>ann</text-match><param-filter name='TYPE'><text-match>home</text-match></param-filter></prop-filter>".to_owned(), false),
            ("<prop-filter name='EMAIL' test='anyof'><text-match>nobody</text-match><param-filter name='TYPE'><text-match>home</text-match></param-filter></prop-filter>".to_owned(), true),
        ] {
            assert_eq!(filter(&inside, "anyof").unwrap().matches(CARD), expected, "{inside}");
        }
        let both = text("FN", "", "änne") + &text("TEL", "", "1");
        assert_eq!(
            (filter(&both, "allof").unwrap().matches(CARD), filter(&both, "anyof").unwrap().matches(CARD)),
            (false, true)
        );
    }

    #[test]
    fn invalid_and_unsupported_filters_are_refused() {
        for (inside, test, expected) in [
            ("", "both", "400 "),
            ("<prop-filter/>", "anyof", "400 "),
            ("<prop-filter name='FN' test='x'/>", "anyof", "400 "),
            ("<prop-filter name='FN'><is-not-defined/><text-match>a</text-match></prop-filter>", "anyof", "400 "),
            ("<prop-filter name='FN'><text-match match-type='x'>a</text-match></prop-filter>", "anyof", "400 "),
            ("<prop-filter name='FN'><text-match negate-condition='x'>a</text-match></prop-filter>", "anyof", "400 "),
            (
                "<prop-filter name='FN'><text-match collation='i;x'>a</text-match></prop-filter>",
                "anyof",
                "403 <C:supported-collation/>",
            ),
            (
                "<prop-filter name='PHOTO'><text-match>a</text-match></prop-filter>",
                "anyof",
                "403 <C:supported-filter/>",
            ),
        ] {
            assert_eq!(filter(inside, test).unwrap_err(), expected, "{inside}");
        }
        let tests = |count: usize| format!("<prop-filter name='FN'>{}</prop-filter>", "<text-match/>".repeat(count));
        assert!(filter(&tests(99), "anyof").is_ok());
        assert_eq!(filter(&tests(100), "anyof").unwrap_err(), "403 <C:supported-filter/>");
        assert_eq!(filter(&tests(0).repeat(101), "anyof").unwrap_err(), "403 <C:supported-filter/>");
        let other = read(b"<q><filter xmlns='urn:ietf:params:xml:ns:caldav'/></q>").unwrap();
        assert!(CardFilter::read(&other).is_err());
        assert!(filter("", "anyof").unwrap().is_always_true());
        assert!(filter("<prop-filter name='FN'/>", "allof").unwrap().is_always_true());
        assert!(!filter("<prop-filter name='FN'/><prop-filter name='TEL'/>", "allof").unwrap().is_always_true());
    }
}
