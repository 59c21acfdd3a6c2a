//! Chooses the answer's format by `$format` or `Accept` (OData 4.01, protocol, 11.2.12): JSON with or without
//! annotations. An `Accept` without JSON is answered with JSON anyway (docs/graph.md, "Formats").

use crate::domain::error::Error;
use crate::domain::plain::shorten;
use crate::odata::query;

const JSON: &str = "json or application/json, with odata.metadata=none, minimal or full";

/// Whether query string and `Accept` ask for `@odata.*` members.
///
/// # Errors
/// [`Error::NotAcceptable`] for a `$format` other than JSON.
pub fn is_annotated(query: &str, accept: &str) -> Result<bool, Error> {
    match query::value_of(query, "format") {
        Some(format) => json(&format).ok_or_else(|| not_acceptable(&format, JSON)),
        None => Ok(!wants_no_metadata(accept)),
    }
}

/// Checks that a `$format`, if present, asks for XML.
///
/// # Errors
/// [`Error::NotAcceptable`] for a `$format` other than XML.
pub fn is_xml(query: &str) -> Result<(), Error> {
    let is_xml = |format: &str| ["xml", "application/xml"].iter().any(|xml| format.trim().eq_ignore_ascii_case(xml));
    match query::value_of(query, "format").filter(|format| !is_xml(format)) {
        Some(format) => Err(not_acceptable(&format, "xml or application/xml")),
        None => Ok(()),
    }
}

fn not_acceptable(format: &str, accepted: &str) -> Error {
    let format = shorten(format);
    Error::NotAcceptable(format!("The '$format' '{format}' is not supported here; use {accepted}."))
}

/// Whether an `Accept` asks for an answer without annotations.
fn wants_no_metadata(accept: &str) -> bool {
    accept.to_ascii_lowercase().replace([' ', '"'], "").contains("metadata=none")
}

/// Whether this format asks for annotations; `None` if it is not JSON or has a parameter that OData does not define.
fn json(format: &str) -> Option<bool> {
    let format = format.trim().to_ascii_lowercase();
    let mut parts = format.split(';').map(str::trim);
    match parts.next() {
        Some("application/json") => {}
        Some("json") => return parts.next().is_none().then_some(true),
        _ => return None,
    }
    let mut annotated = true;
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        match (name.trim().trim_start_matches("odata."), value.trim().trim_matches('"')) {
            ("metadata", "none") => annotated = false,
            ("metadata", "minimal" | "full")
            | ("streaming" | "ieee754compatible" | "exponentialdecimals", "true" | "false")
            | ("charset", "utf-8") => {}
            _ => return None,
        }
    }
    Some(annotated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognized_in_every_spelling() {
        for (format, annotated) in [
            ("json", Some(true)),
            (" JSON ", Some(true)),
            ("application/json", Some(true)),
            ("Application/JSON; OData.Metadata=None", Some(false)),
            ("application/json;metadata=none;charset=utf-8", Some(false)),
            ("application/json;odata.metadata=full;odata.streaming=true;IEEE754Compatible=false", Some(true)),
            ("json;odata.metadata=none", None),
            ("application/json;odata=verbose", None),
            ("application/json;charset=latin1", None),
            ("application/json;", None),
            ("xml", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(json(format), annotated, "{format}");
        }
    }

    #[test]
    fn format_takes_precedence_over_accept() {
        let (none, all) = ("application/json; odata.metadata=\"none\"", "application/json");
        assert!(!is_annotated("", none).unwrap() && is_annotated("", "text/html").unwrap());
        assert!(is_annotated("$top=1&%24Format=json", none).unwrap());
        assert!(!is_annotated("format=application/json%3Bodata.metadata%3Dnone", all).unwrap());
        assert!(matches!(is_annotated("$format=atom", all), Err(Error::NotAcceptable(_))));
        assert!(is_xml("$format=application/xml").is_ok() && is_xml("x=y").is_ok());
        assert!(matches!(is_xml("$format=json"), Err(Error::NotAcceptable(_))));
    }
}
