//! JSON of the open extension.

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::domain::error::{Error, Kind, Problem};
use crate::domain::extension::{self, Extension, ExtensionPatch, MAX_NAME, NewExtension, name_of};
use crate::domain::plain::shorten;
use crate::json::{Json, is_annotation};
use crate::odata::entity::any_text;

/// An extension to be written.
pub(crate) struct ExtensionJson<'a> {
    /// The extension.
    pub extension: &'a Extension,
    /// `@odata.context`, for a single extension.
    pub context: Option<&'a str>,
    /// Whether to write `@odata.*` members.
    pub annotated: bool,
}

impl Serialize for ExtensionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.annotated {
            if let Some(context) = self.context {
                map.serialize_entry("@odata.context", context)?;
            }
            map.serialize_entry("@odata.etag", &self.extension.etag())?;
            // The property is declared with the abstract type, so the type is written.
            map.serialize_entry("@odata.type", "#microsoft.graph.openTypeExtension")?;
        }
        map.serialize_entry("id", &self.extension.id())?;
        map.serialize_entry("extensionName", &self.extension.name)?;
        for (name, value) in &self.extension.members {
            map.serialize_entry(name, serde_json::from_str::<&RawValue>(value).map_err(S::Error::custom)?)?;
        }
        map.end()
    }
}

/// Reads an extension, or the members a PATCH sends, at `place` in the body (empty for the whole body). Annotations and
/// `id`, which follows from the name, are ignored. What Graph would refuse and lenient handling accepts is added to
/// `deviations`.
///
/// # Errors
/// 400 if it is not an object, a name is invalid, or a limit is exceeded.
pub(crate) fn read(place: &str, body: Json, deviations: &mut Vec<Problem>) -> Result<ExtensionPatch, Error> {
    let target_of = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
    let Json::Object(members) = body else {
        let what = if place.is_empty() { "The body".to_owned() } else { format!("'{place}'") };
        let message = format!("{what} must be a JSON object, an extension, not {}.", body.kind());
        return Err(Error::invalid(Kind::Body, place, message));
    };
    let mut patch = ExtensionPatch::default();
    for (name, value) in members {
        if is_annotation(&name) || name.eq_ignore_ascii_case("id") {
            continue;
        }
        if name.eq_ignore_ascii_case("extensionName") {
            patch.name = extension_name(&target_of("extensionName"), value)?;
            continue;
        }
        let target = target_of(&shorten(&name));
        if name.is_empty() || name.chars().count() > MAX_NAME {
            let message = format!("The name of a member of an extension has 1 to {MAX_NAME} characters.");
            return Err(Error::invalid(Kind::Limit, target, message));
        }
        if !is_identifier(&name) {
            let message = format!("'{target}' is not a member name: use A-Z a-z 0-9 _, without a digit at the start.");
            deviations.push(Problem::new(Kind::Body, &*target, message));
        }
        let is_nested = |value: &Json| matches!(value, Json::Object(_) | Json::Array(_));
        let is_unsupported = match &value {
            Json::Array(values) => values.iter().any(is_nested),
            value => is_nested(value),
        };
        if is_unsupported {
            let message = format!("'{target}' must be a string, a number, a boolean, or an array of these.");
            deviations.push(Problem::new(Kind::Body, &*target, message));
        }
        patch.members.push((name, (value != Json::Null).then(|| value.to_string())));
    }
    let size = patch.members.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum();
    extension::check_size(place, patch.members.len(), size)?;
    Ok(patch)
}

/// Turns a patch that was read at `place` into a new extension.
///
/// # Errors
/// 400 if the name is missing.
pub(crate) fn into_new(patch: ExtensionPatch, place: &str) -> Result<NewExtension, Error> {
    let Some(name) = patch.name else {
        let target = if place.is_empty() { "extensionName".to_owned() } else { format!("{place}/extensionName") };
        let message = format!("'{target}' is missing: an extension has a name, like 'org.example.settings'.");
        return Err(Error::invalid(Kind::Body, target, message));
    };
    let members = patch.members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(NewExtension { name, members: members.collect() })
}

/// Reads a name. Its characters need no escaping in paths, filters and file names.
fn extension_name(place: &str, value: Json) -> Result<Option<String>, Error> {
    let Some(text) = any_text(place, value)? else { return Ok(None) };
    let name = name_of(&text);
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_known) {
        let message =
            format!("'{place}' must be of 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -, like 'org.example.settings'.");
        return Err(Error::invalid(Kind::Body, place, message));
    }
    Ok(Some(name.to_owned()))
}

/// Whether a name is a property name in OData.
fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::extension::{ExtensionMember, MAX_BYTES, MAX_MEMBERS};

    fn read(text: &str) -> (Result<ExtensionPatch, Error>, Vec<String>) {
        let mut deviations = Vec::new();
        let read = super::read("", Json::read(text.as_bytes()).unwrap(), &mut deviations);
        (read, deviations.into_iter().map(|problem| problem.target).collect())
    }

    fn printed(members: Vec<ExtensionMember>) -> String {
        let extension = Extension { name: "a.b".to_owned(), members, version: 1, last_modified_date_time: 0 };
        serde_json::to_string(&ExtensionJson { extension: &extension, context: None, annotated: false }).unwrap()
    }

    #[test]
    fn values_are_written_exactly_as_read() {
        let text = r#"{"a":1e400,"b":[-0.0,12345678901234567890.10,"é"],"__proto__":"x","c":{"d":null,"e":[[]]}}"#;
        let (patch, deviating) = read(text);
        let new = into_new(ExtensionPatch { name: Some("a.b".to_owned()), ..patch.unwrap() }, "").unwrap();
        assert_eq!(
            printed(new.members),
            text.replacen('{', r#"{"id":"microsoft.graph.openTypeExtension.a.b","extensionName":"a.b","#, 1)
        );
        assert_eq!(deviating, ["c"]);
    }

    #[test]
    fn a_patch_replaces_adds_and_removes_members() {
        let members = |text| read(text).0.unwrap().applied_to(Vec::new()).unwrap();
        let stored = members(r#"{"a":1,"B":[2],"c":"3"}"#);
        let (patch, _) = read(r#"{"A":{"x":1},"c":null,"d":null,"e":false,"id":"x","@odata.type":1,"b@odata.type":2}"#);
        assert_eq!(patch.unwrap().applied_to(stored).unwrap(), members(r#"{"A":{"x":1},"B":[2],"e":false}"#));
    }

    #[test]
    fn names_need_no_escaping() {
        for (name, bare) in [
            ("a", "a"),
            ("Com.Example-1_x", "Com.Example-1_x"),
            ("microsoft.graph.OPENtypeextension.x", "x"),
            ("Microsoft.OutlookServices.OpenTypeExtension.x.y", "x.y"),
        ] {
            assert_eq!(read(&format!(r#"{{"EXTENSIONNAME":"{name}"}}"#)).0.unwrap().name.as_deref(), Some(bare));
        }
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", "a b", "a/b", "é", "$count", "a'b", "microsoft.graph.openTypeExtension.", &long] {
            let refused = read(&format!(r#"{{"extensionName":"{name}"}}"#)).0;
            assert!(matches!(refused, Err(Error::Invalid(p)) if p[0].target == "extensionName"), "{name}");
        }
        assert!(into_new(read(r#"{"extensionName":null}"#).0.unwrap(), "").is_err());
    }

    #[test]
    fn limits_are_enforced() {
        let many = |count: usize| (0..count).map(|i| format!("\"m{i}\":1")).collect::<Vec<_>>().join(",");
        assert!(read(&format!("{{{}}}", many(MAX_MEMBERS))).0.is_ok());
        assert!(read(&format!("{{{}}}", many(MAX_MEMBERS + 1))).0.is_err());
        let text = |bytes: usize| format!(r#"{{"m":"{}"}}"#, "x".repeat(bytes - 3));
        assert!(read(&text(MAX_BYTES)).0.is_ok() && read(&text(MAX_BYTES + 1)).0.is_err());
        assert!(read(&format!(r#"{{"{}":1}}"#, "é".repeat(MAX_NAME))).0.is_ok());
        assert!(read(&format!(r#"{{"{}":1}}"#, "é".repeat(MAX_NAME + 1))).0.is_err());
        assert!(read(r#"{"":1}"#).0.is_err());
        let patch = read(&format!("{{{}}}", many(MAX_MEMBERS))).0.unwrap();
        assert!(patch.applied_to(vec![("one more".to_owned(), "1".to_owned())]).is_err());
    }

    #[test]
    fn deviations_from_graph_are_noted() {
        for (text, deviating) in [
            (r#"{"a_1":1,"_b":[null,true],"C":"x"}"#, vec![]),
            (r#"{"1a":1,"a b":2,"é":3}"#, vec!["1a", "a b", "é"]),
            (r#"{"a":{},"b":[[]],"c":[{}]}"#, vec!["a", "b", "c"]),
        ] {
            assert_eq!(read(text).1, deviating, "{text}");
        }
    }
}
