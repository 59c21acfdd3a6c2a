//! `$select`: which properties an answer shows. Names match in any letter case; `id` and `@odata.etag` are always
//! included.

use crate::domain::error::{Error, Kind};
use crate::domain::plain::shorten;
use crate::odata::shape::Shape;

/// Maximum number of names in one `$select`.
const MAX_NAMES: usize = 200;

/// The selected properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Each with its selected members; empty means all.
    properties: Vec<(&'static str, Vec<&'static str>)>,
}

impl Selection {
    /// Reads the value of a `$select`: names, paths like `homeAddress/city`, or `*`. `None` selects everything.
    ///
    /// # Errors
    /// 400 that names an unknown property.
    pub fn parse(text: &str, shape: Shape) -> Result<Option<Self>, Error> {
        let refused = |message: String| Error::invalid(Kind::Query, "$select", message);
        if text.trim().is_empty() {
            return Err(refused("'$select' names no property.".to_owned()));
        }
        if text.split(',').count() > MAX_NAMES {
            return Err(refused(format!("'$select' has more than {MAX_NAMES} names.")));
        }
        let mut selection = Self { properties: vec![("id", Vec::new())] };
        let mut all = false;
        for path in text.split(',').map(str::trim) {
            if path == "*" {
                all = true;
                continue;
            }
            let (name, member) = match path.split_once('/') {
                Some((name, member)) => (name, Some(member)),
                None => (path, None),
            };
            let unknown = |name: &str, type_name: &str, known: Vec<&str>| {
                let (name, known) = (shorten(name), known.join(", "));
                let what = format!("Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.");
                refused(if known.is_empty() { what } else { format!("{what} Known properties: {known}.") })
            };
            let known = shape.properties().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (name, members) =
                known.ok_or_else(|| unknown(name, "contact", shape.properties().map(|(name, _)| name).collect()))?;
            let member = match member {
                None => None,
                Some(member) => {
                    let known = members.iter().find(|known| known.eq_ignore_ascii_case(member));
                    Some(*known.ok_or_else(|| unknown(member, name, members.clone()))?)
                }
            };
            selection.add(name, member);
        }
        Ok(Some(selection).filter(|_| !all))
    }

    fn add(&mut self, name: &'static str, member: Option<&'static str>) {
        match (self.properties.iter_mut().find(|(known, _)| *known == name), member) {
            (None, member) => self.properties.push((name, member.into_iter().collect())),
            // The whole property includes its members.
            (Some((_, members)), None) => members.clear(),
            (Some((_, members)), Some(_)) if members.is_empty() => {}
            (Some((_, members)), Some(member)) if members.contains(&member) => {}
            (Some((_, members)), Some(member)) => members.push(member),
        }
    }

    /// The selected members of a property; `None` if it is not selected.
    pub(crate) fn only(&self, name: &str) -> Option<Only<'_>> {
        let (_, members) = self.properties.iter().find(|(known, _)| *known == name)?;
        Some(if members.is_empty() { Only::all() } else { Only::of(members) })
    }

    /// The form in a context: `(displayName,homeAddress/city)`.
    pub fn print(&self) -> String {
        format!("({})", self.names())
    }

    /// The shortest equivalent `$select`.
    pub fn names(&self) -> String {
        let paths = self.properties.iter().skip(1).flat_map(|(name, members)| {
            let whole = members.is_empty().then(|| (*name).to_owned());
            whole.into_iter().chain(members.iter().map(move |member| format!("{name}/{member}")))
        });
        let paths: Vec<_> = paths.collect();
        // `id` is always selected, so it is printed only if it is alone.
        if paths.is_empty() { "id".to_owned() } else { paths.join(",") }
    }
}

/// The selected members of a nested object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Only<'a>(Option<&'a [&'static str]>);

impl<'a> Only<'a> {
    pub(crate) fn all() -> Self {
        Self(None)
    }

    pub(crate) fn of(names: &'a [&'static str]) -> Self {
        Self(Some(names))
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.is_none_or(|names| names.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str, shape: Shape) -> String {
        Selection::parse(text, shape).unwrap().unwrap().print()
    }

    #[test]
    fn names_match_in_any_case_and_are_printed_exactly() {
        assert_eq!(printed("DISPLAYNAME, emailaddresses", Shape::Beta), "(displayName,emailAddresses)");
        assert_eq!(printed("homeAddress/City,homeAddress/street", Shape::V1), "(homeAddress/city,homeAddress/street)");
        assert_eq!(printed("homeAddress/city,homeAddress,homeAddress/street", Shape::V1), "(homeAddress)");
        assert_eq!(printed("id", Shape::V1), "(id)");
        assert_eq!(Selection::parse("title,*", Shape::Beta).unwrap(), None);
    }

    #[test]
    fn every_selection_fits_into_a_delta_token() {
        for shape in [Shape::Beta, Shape::V1] {
            let all = shape.properties().flat_map(|(name, members)| {
                let whole = members.is_empty().then(|| name.to_owned());
                whole.into_iter().chain(members.into_iter().map(move |member| format!("{name}/{member}")))
            });
            let all: Vec<_> = all.collect();
            let names = Selection::parse(&[all.clone(), all].concat().join(", "), shape).unwrap().unwrap().names();
            assert!(names.len() < crate::odata::page::MAX_TOKEN / 2, "{}", names.len());
        }
    }

    #[test]
    fn unknown_properties_are_named() {
        for (text, shape, named) in [
            ("phones", Shape::V1, "'phones' on type 'microsoft.graph.contact'"),
            ("mobilePhone", Shape::Beta, "'mobilePhone' on type 'microsoft.graph.contact'"),
            ("gender", Shape::V1, "'gender'"),
            ("homeAddress/postOfficeBox", Shape::V1, "'postOfficeBox' on type 'microsoft.graph.homeAddress'"),
            ("title/x", Shape::Beta, "'x' on type 'microsoft.graph.title'"),
            ("a,,b", Shape::Beta, "'a'"),
            ("title,", Shape::Beta, "''"),
            ("", Shape::Beta, "names no property"),
        ] {
            let error = Selection::parse(text, shape).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
        assert!(Selection::parse(&"id,".repeat(300), Shape::Beta).is_err());
    }
}
