//! Changes the values of lines in a stored card. The group, the name and the parameters that still apply stay.

use crate::vcard::line::{Line, Param};
use crate::vcard::text::{self, split};
use crate::vcard::write::{Class, NewLine, fold};

/// The change to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It stays as it is.
    Keep,
    /// It is removed.
    Remove,
    /// It is replaced by this unfolded line.
    Line(String),
}

/// Appends a line, folded, with the line end of its card.
pub(crate) fn fold_as(line: &str, line_end: &str, out: &mut String) {
    if line_end == "\r\n" {
        return fold(line, out);
    }
    let mut folded = String::new();
    fold(line, &mut folded);
    out.push_str(&folded.replace("\r\n", line_end));
}

/// Group and name of a line as written.
pub(crate) fn name_of(line: &Line<'_>) -> String {
    line.group.map_or_else(|| line.name.to_owned(), |group| format!("{group}.{}", line.name))
}

/// Appends a parameter as it is written.
pub(crate) fn push_param(param: &Param<'_>, out: &mut String) {
    out.push(';');
    out.push_str(param.name);
    if !param.name.is_empty() {
        out.push('=');
    }
    out.push_str(param.raw);
}

/// A line with another value, without the `dropped` parameters. `X-CONTACTD-` parameters are taken from the line in our
/// form.
pub(crate) fn rewritten(line: &Line<'_>, dropped: &[&str], ours: Option<&str>, value: &str) -> String {
    let mut out = name_of(line);
    let own = |name: &str| name.get(..11).is_some_and(|name| name.eq_ignore_ascii_case("X-CONTACTD-"));
    for param in line.params() {
        if !own(param.name) && !dropped.iter().any(|dropped| param.name.eq_ignore_ascii_case(dropped)) {
            push_param(&param, &mut out);
        }
    }
    let head = ours.and_then(|head| head.split_once(';')).map_or("", |(_, head)| head);
    for param in (Line { group: None, name: "", head, value: "" }).params() {
        let kept = own(param.name) || param.name == "X-APPLE-OMIT-YEAR";
        let kind = param.name == "VALUE" && dropped.contains(&"VALUE");
        if kept || kind {
            push_param(&param, &mut out);
        }
    }
    out.push(':');
    out.push_str(value);
    out
}

/// A line without `PREF` and `TYPE=pref`.
pub(crate) fn without_preference(line: &Line<'_>) -> String {
    let mut out = name_of(line);
    for param in line.params() {
        if param.name.eq_ignore_ascii_case("PREF") || (param.name.is_empty() && param.raw.eq_ignore_ascii_case("PREF"))
        {
            continue;
        }
        if param.name.eq_ignore_ascii_case("TYPE") {
            push_types(&param, |kind| !kind.eq_ignore_ascii_case("PREF"), &mut out);
        } else {
            push_param(&param, &mut out);
        }
    }
    out.push(':');
    out.push_str(line.value);
    out
}

/// Appends TYPE with the types that stay, quoted if it was quoted; nothing if none stays.
pub(crate) fn push_types(param: &Param<'_>, stays: impl Fn(&str) -> bool, out: &mut String) {
    let all: Vec<&str> = param.raw.split([',', '"']).map(str::trim).filter(|kind| !kind.is_empty()).collect();
    let left: Vec<&str> = all.iter().copied().filter(|kind| stays(kind)).collect();
    if left.len() == all.len() {
        return push_param(param, out);
    }
    if !left.is_empty() {
        let quote = if param.raw.contains('"') && left.len() > 1 { "\"" } else { "" };
        out.push(';');
        out.push_str(param.name);
        out.push('=');
        out.push_str(quote);
        out.push_str(&left.join(","));
        out.push_str(quote);
    }
}

/// A line that gets another value and keeps its form.
pub(crate) struct Rewrite<'a> {
    pub line: &'a Line<'a>,
}

impl Rewrite<'_> {
    /// With the value of our line, for a class of texts. `None` if the line's form cannot express it.
    pub(crate) fn text(&self, class: Class, new: &NewLine) -> Option<String> {
        let line = self.line;
        let head = Some(new.head.as_str());
        if line.is("N") {
            return Some(rewritten(line, &["SORT-AS", "JSCOMPS"], head, &new.value));
        }
        if line.is("ORG") {
            let mut parts = split(&new.value, b';');
            let mut value = parts.next().unwrap_or_default().to_owned();
            let (department, further) = (parts.next(), split(line.value, b';').skip(2).collect::<Vec<_>>());
            if department.is_some() || !further.is_empty() {
                value.push(';');
                value.push_str(department.unwrap_or_default());
            }
            for part in further {
                value.push(';');
                value.push_str(part);
            }
            return Some(rewritten(line, &["SORT-AS"], head, &value));
        }
        if line.is("NICKNAME") {
            let first = |raw: &&str| !text::unescape(raw).trim().is_empty();
            let rest: Vec<&str> = split(line.value, b',').filter(first).skip(1).collect();
            let value = std::iter::once(new.value.as_str()).chain(rest).collect::<Vec<_>>().join(",");
            return Some(rewritten(line, &[], head, &value));
        }
        if line.is("X-ANDROID-CUSTOM") {
            let part = |(i, part)| if i == 1 { new.value.as_str() } else { part };
            let value = split(line.value, b';').enumerate().map(part).collect::<Vec<_>>().join(";");
            return Some(rewritten(line, &[], head, &value));
        }
        if class == Class::Gender && !line.is("X-GENDER") {
            let in_form = line.is("GENDER") && new.head.starts_with("GENDER");
            return in_form.then(|| rewritten(line, &[], head, &new.value));
        }
        if class == Class::Gender && !new.head.starts_with("X-GENDER") {
            return None;
        }
        Some(rewritten(line, &["SORT-AS"], head, &new.value))
    }

    /// With another day.
    pub(crate) fn date(&self, new: &NewLine) -> Option<String> {
        let line = self.line;
        if line.is("X-ANDROID-CUSTOM") {
            return None;
        }
        let dropped = ["VALUE", "X-APPLE-OMIT-YEAR", "CALSCALE", "ALTID", "LANGUAGE"];
        Some(rewritten(line, &dropped, Some(&new.head), &new.value))
    }

    /// With another picture.
    pub(crate) fn photo(&self, new: &NewLine) -> String {
        let mut out = name_of(self.line);
        let dropped = ["ENCODING", "TYPE", "VALUE", "MEDIATYPE", "X-ABCROP-RECTANGLE"];
        for param in self.line.params() {
            let is = |name: &&str| param.name.eq_ignore_ascii_case(name);
            if !param.name.is_empty() && !dropped.iter().any(is) {
                push_param(&param, &mut out);
            }
        }
        out.push_str(new.head.trim_start_matches("PHOTO"));
        out.push(':');
        out.push_str(&new.value);
        out
    }

    /// With another entry of the same type. `None` if the line's form cannot express it.
    pub(crate) fn entry(&self, class: Class, new: &NewLine) -> Option<String> {
        let line = self.line;
        let head = Some(new.head.as_str());
        match class {
            Class::Addresses if line.is("ADR") => {
                Some(rewritten(line, &["LABEL", "GEO", "TZ", "JSCOMPS", "VALUE"], head, &new.value))
            }
            Class::Emails | Class::Phones | Class::Websites => Some(rewritten(line, &["VALUE"], head, &new.value)),
            Class::Children if line.is("X-ANDROID-CUSTOM") => None,
            Class::Children => Some(rewritten(line, &[], head, &new.value)),
            _ => None,
        }
    }
}
