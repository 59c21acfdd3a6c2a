//! JSContact (RFC 9553). Members without a property are kept aside as JSON: an entry of a collection under
//! `collection/key`, any other member under its name. A property without a member is written to `vCardProps` and read
//! back from there.

mod components;
pub(crate) mod own;
pub(crate) mod read;

use crate::json::Json;

/// The prefix of our own names in `vCardProps`.
pub(crate) const OWN: &str = "x-contactd-";
/// `prodId` of the Cards that this program writes. In these, every blank is intended.
pub(crate) const PRODUCT: &str = "-//contactd//contactd//EN";

/// The collections whose entries are read one by one.
pub(crate) const COLLECTIONS: [&str; 11] = [
    "nicknames",
    "titles",
    "organizations",
    "emails",
    "phones",
    "addresses",
    "links",
    "onlineServices",
    "anniversaries",
    "notes",
    "media",
];

/// A member of an object.
pub(crate) fn member<'a>(object: &'a [(String, Json)], name: &str) -> Option<&'a Json> {
    object.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The text of a member.
pub(crate) fn text<'a>(object: &'a [(String, Json)], name: &str) -> Option<&'a str> {
    match member(object, name) {
        Some(Json::Text(text)) => Some(text),
        _ => None,
    }
}

/// The members of an object that is a member.
pub(crate) fn object<'a>(object: &'a [(String, Json)], name: &str) -> Option<&'a [(String, Json)]> {
    match member(object, name) {
        Some(Json::Object(members)) => Some(members),
        _ => None,
    }
}

/// The keys of a set like `{"work": true}`.
pub(crate) fn set<'a>(entry: &'a [(String, Json)], name: &str) -> Vec<&'a str> {
    let members = object(entry, name).unwrap_or_default();
    members.iter().filter(|(_, value)| *value == Json::Bool(true)).map(|(key, _)| key.as_str()).collect()
}

/// The entries of a collection (`Id[…]`) that are objects, the preferred ones first, else in their order.
pub(crate) fn entries(value: &Json) -> Vec<(&str, &[(String, Json)])> {
    let Json::Object(members) = value else { return Vec::new() };
    let mut entries: Vec<(&str, &[(String, Json)])> = members
        .iter()
        .filter_map(|(key, value)| match value {
            Json::Object(entry) => Some((key.as_str(), entry.as_slice())),
            _ => None,
        })
        .collect();
    let preference = |entry: &[(String, Json)]| match member(entry, "pref") {
        Some(Json::Number(number)) => number.parse().unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    entries.sort_by_key(|(_, entry)| preference(entry));
    entries
}

/// Whether an entry has other members than these. `@type` and `pref` do not count, because nothing of them is lost.
pub(crate) fn has_more(entry: &[(String, Json)], known: &[&str]) -> bool {
    let says = |value: &Json| !matches!(value, Json::Null);
    entry
        .iter()
        .any(|(name, value)| says(value) && name != "@type" && name != "pref" && !known.contains(&name.as_str()))
}
