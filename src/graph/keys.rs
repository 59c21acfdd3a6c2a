//! Ids and references in addresses.

use uuid::Uuid;

use crate::domain::contact;
use crate::domain::error::Error;
use crate::graph::call::Call;
use crate::http::origin;
use crate::odata::address::Address;
use crate::percent::percent_encode;

/// # Errors
/// [`Error::MalformedId`]
pub(crate) fn parse_id(id: &str) -> Result<Uuid, Error> {
    contact::parse_id(id).ok_or(Error::MalformedId)
}

/// A key in the form between the quotes of an address.
pub(crate) fn quoted(key: &str) -> String {
    percent_encode(&key.replace('\'', "''"))
}

/// The path of a reference below the API's root: relative to the service, or on this server under the name the client
/// used, or on the host of Graph, which its clients write for any server. Scheme and host are the same in any letter
/// case (RFC 3986, section 6.2.2.1).
pub(crate) fn own_path(call: &Call<'_>, reference: &str) -> Option<String> {
    let reference = reference.split(['?', '#']).next().unwrap_or_default();
    let path = match reference.split_once("://") {
        Some(_) => strip_root(reference, call.root())
            .or_else(|| strip_root(reference, "https://graph.microsoft.com"))
            .filter(|path| path.starts_with('/'))?,
        None => origin::below(&call.api.settings.origin, reference, |path| Address::parse(path).is_ok()),
    };
    Some(format!("/{}", path.trim_start_matches('/')))
}

fn strip_root<'a>(reference: &'a str, root: &str) -> Option<&'a str> {
    let (start, rest) = reference.split_at_checked(root.len())?;
    start.eq_ignore_ascii_case(root).then_some(rest)
}
