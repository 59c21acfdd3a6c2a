//! Expected answers.

use serde_json::{Value, json};

/// An empty contact, without the values that the server creates.
pub fn empty_contact() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.contact",
        "categories": [], "parentFolderId": "contacts", "birthday": null, "fileAs": "", "displayName": null,
        "givenName": null, "initials": null, "middleName": null, "nickName": null, "surname": null, "title": null,
        "yomiGivenName": null, "yomiSurname": null, "yomiCompanyName": null, "generation": null, "emailAddresses": [],
        "websites": [], "imAddresses": [], "jobTitle": null, "companyName": null, "department": null,
        "officeLocation": null, "profession": null, "assistantName": null, "manager": null, "phones": [],
        "postalAddresses": [], "spouseName": null, "personalNotes": "", "children": [], "weddingAnniversary": null,
        "gender": null, "isFavorite": null,
        "flag": {"@odata.type": "microsoft.graph.followupFlag", "flagStatus": "notFlagged"},
    })
}

/// An empty contact with some properties set.
pub fn contact(properties: Value) -> Value {
    let mut contact = empty_contact();
    for (name, value) in properties.as_object().unwrap() {
        contact[name] = value.clone();
    }
    contact
}

/// Removes from a contact what the server creates, and asserts the form of each value.
#[track_caller]
pub fn settled(mut contact: Value) -> Value {
    let members = contact.as_object_mut().unwrap();
    let mut take = |name: &str| members.remove(name).unwrap_or_default().as_str().unwrap_or_default().to_owned();
    let id = take("id");
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7, "{id}");
    assert_eq!(id.len(), 36);
    for name in ["createdDateTime", "lastModifiedDateTime"] {
        let time = take(name);
        let parsed = chrono::DateTime::parse_from_rfc3339(&time).unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
        let age = chrono::Utc::now().signed_duration_since(parsed).num_seconds();
        assert!((-2..600).contains(&age), "{time}");
    }
    let (key, etag) = (take("changeKey"), take("@odata.etag"));
    let tag = etag.strip_prefix("W/\"").and_then(|tag| tag.strip_suffix('"')).unwrap();
    assert!(tag.len() == 24 && !tag.contains('"'), "{etag}");
    assert_eq!(key, tag);
    take("@odata.context");
    contact
}
