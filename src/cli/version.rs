//! `contactd --version --verbose`.

use std::ffi::OsString;

use crate::store;

/// The text, if it is requested.
pub fn asked(arguments: &[OsString]) -> Option<String> {
    let rest = arguments.get(1..).filter(|rest| rest.len() == 2)?;
    let is_it = rest.iter().any(|one| one == "--version" || one == "-V") && rest.iter().any(|one| one == "--verbose");
    is_it.then(|| {
        let revision = option_env!("CONTACTD_REVISION").unwrap_or("unknown");
        let (version, schema) = (env!("CARGO_PKG_VERSION"), store::schema_version());
        format!("contactd {version}\nschema {schema}\nrevision {revision}\n")
    })
}
