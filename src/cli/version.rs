//! `contactd --version --verbose`.

use std::ffi::OsString;

use serde_json::json;

use crate::store;

/// The text, if it is requested.
pub fn requested_text(arguments: &[OsString]) -> Option<String> {
    let rest: Vec<_> = arguments.get(1..)?.iter().map(|argument| argument.to_str()).collect();
    let has = |names: &[&str]| rest.iter().any(|argument| argument.is_some_and(|argument| names.contains(&argument)));
    let (as_json, asks_version) = (has(&["--json"]), has(&["--version", "-V"]) && has(&["--verbose"]));
    let is_requested = asks_version && rest.len() == if as_json { 3 } else { 2 };
    is_requested.then(|| {
        let revision = option_env!("CONTACTD_REVISION").unwrap_or("unknown");
        let (version, schema) = (env!("CARGO_PKG_VERSION"), store::schema_version());
        if as_json {
            return format!("{}\n", json!({"version": version, "schema": schema, "revision": revision}));
        }
        format!("contactd {version}\nschema {schema}\nrevision {revision}\n")
    })
}
