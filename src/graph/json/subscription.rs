//! JSON of the subscription.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::date;
use crate::domain::error::{Error, Kind};
use crate::domain::plain::shorten;
use crate::domain::subscription::{ChangeType, Delivery, MAX_CLIENT_STATE, MAX_MINUTES, Renewal, Subscription, Terms};
use crate::json::Json;
use crate::odata::address::{Address, Item, Owner, Path, Resource, Version};

/// Properties that Graph has and this server does not support. They may be sent unset.
const UNSUPPORTED: [&str; 5] = [
    "includeResourceData",
    "encryptionCertificate",
    "encryptionCertificateId",
    "notificationQueryOptions",
    "notificationUrlAppId",
];

/// A subscription to be written.
pub(crate) struct SubscriptionJson<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// `@odata.context`, for a single subscription.
    pub context: Option<&'a str>,
}

impl Serialize for SubscriptionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Subscription { id, creator, terms, .. } = self.subscription;
        let application = creator.strip_prefix("app:");
        let mut map = serializer.serialize_map(None)?;
        if let Some(context) = self.context {
            map.serialize_entry("@odata.context", context)?;
        }
        map.serialize_entry("id", id)?;
        map.serialize_entry("resource", &terms.resource)?;
        map.serialize_entry("applicationId", &application)?;
        map.serialize_entry("changeType", &ChangeType::print(&terms.change_types))?;
        map.serialize_entry("clientState", &terms.client_state)?;
        map.serialize_entry("notificationUrl", &terms.notification_url)?;
        map.serialize_entry("lifecycleNotificationUrl", &terms.lifecycle_notification_url)?;
        map.serialize_entry("expirationDateTime", &date::print(terms.expiration_date_time))?;
        map.serialize_entry("creatorId", application.unwrap_or(creator))?;
        map.serialize_entry("latestSupportedTlsVersion", &terms.tls_version)?;
        map.serialize_entry("includeResourceData", &false)?;
        for name in UNSUPPORTED.into_iter().skip(1) {
            map.serialize_entry(name, &())?;
        }
        map.end()
    }
}

/// Maximum length of `resource`, in characters. A path of folders may be long.
pub(crate) const MAX_RESOURCE: usize = 4_096;
/// The properties that a client may send; all are texts.
const TEXTS: [&str; 7] = [
    "resource",
    "changeType",
    "notificationUrl",
    "lifecycleNotificationUrl",
    "clientState",
    "latestSupportedTlsVersion",
    "expirationDateTime",
];
/// Read-only properties, ignored in a body.
const READ_ONLY: [&str; 3] = ["id", "applicationId", "creatorId"];
/// The members of `latestSupportedTlsVersion`.
pub(crate) const TLS_VERSIONS: [&str; 4] = ["v1_0", "v1_1", "v1_2", "v1_3"];

/// Reads a new subscription.
///
/// # Errors
/// 400 for a missing or unknown property, a wrong type, or an exceeded limit; [`Error::NotImplemented`] for
/// notifications with resource data.
pub(crate) fn read_terms(body: Json, now: i64) -> Result<Terms, Error> {
    let mut sent = SubscriptionMembers::read(body)?;
    let resource = sent.required("resource")?;
    check_length("resource", &resource, MAX_RESOURCE)?;
    let change_types = sent.required("changeType")?;
    let change_types = ChangeType::list(&change_types).ok_or_else(|| {
        let message = "'changeType' must be one or more of created, updated and deleted, separated by commas.";
        Error::invalid(Kind::Body, "changeType", message)
    })?;
    let client_state = sent.take("clientState");
    if let Some(text) = &client_state {
        check_length("clientState", text, MAX_CLIENT_STATE)?;
    }
    let tls_version = sent.take("latestSupportedTlsVersion").unwrap_or_else(|| "v1_2".to_owned());
    if !TLS_VERSIONS.contains(&tls_version.as_str()) {
        let message = format!("'latestSupportedTlsVersion' must be one of {}.", TLS_VERSIONS.join(", "));
        return Err(Error::invalid(Kind::Body, "latestSupportedTlsVersion", message));
    }
    Ok(Terms {
        resource,
        change_types,
        notification_url: sent.required("notificationUrl")?,
        lifecycle_notification_url: sent.take("lifecycleNotificationUrl"),
        client_state,
        tls_version,
        expiration_date_time: sent.expiration(now)?,
    })
}

/// The owner of the resource, and the path of the folder, if it has one.
///
/// # Errors
/// 400 if the resource cannot be subscribed to.
pub(crate) fn parse_resource(terms: &Terms) -> Result<(Owner, SubscribedResource), Error> {
    let address = Address::parse(&format!("/{}", terms.resource));
    match address {
        Ok(Address { version: Version::None, resource: Resource::Owned(owner, item) }) => match item {
            Item::Contacts(path) => Ok((owner, SubscribedResource::Contacts(path))),
            Item::Folders(path) if path.is_empty() => Ok((owner, SubscribedResource::Folders)),
            _ => Err(unsupported_resource()),
        },
        _ => Err(unsupported_resource()),
    }
}

/// Whether a read-only property was sent with its current value.
fn is_same(terms: &Terms, name: &str, text: &str) -> bool {
    match name {
        "resource" => terms.resource.trim_matches('/') == text.trim_matches('/'),
        "changeType" => ChangeType::list(text).is_some_and(|list| {
            list.len() == terms.change_types.len() && list.iter().all(|change| terms.change_types.contains(change))
        }),
        "lifecycleNotificationUrl" => terms.lifecycle_notification_url.as_deref().unwrap_or_default() == text,
        "clientState" => terms.client_state.as_deref().unwrap_or_default() == text,
        "latestSupportedTlsVersion" => terms.tls_version == text,
        _ => false,
    }
}

/// A parsed resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SubscribedResource {
    /// Contacts: all, or those in the folder at the end of the path.
    Contacts(Path),
    /// The folders.
    Folders,
}

/// The error for a resource that cannot be subscribed to: 400.
pub(crate) fn unsupported_resource() -> Error {
    let message = "'resource' does not support subscriptions. Use me/contacts, me/contactFolders/{id}/contacts or \
                   me/contactFolders, or the same below users/{id}.";
    Error::invalid(Kind::Request, "resource", message)
}

/// Reads a PATCH of a subscription with these terms. Other properties may be sent only with their current values.
///
/// # Errors
/// As [`read_terms`]; 400 for a change of a read-only property, and if nothing is to be changed.
pub(crate) fn read_renewal(body: Json, terms: &Terms, now: i64) -> Result<Renewal, Error> {
    let mut sent = SubscriptionMembers::read(body)?;
    let expiration_date_time = sent.has("expirationDateTime").then(|| sent.expiration(now)).transpose()?;
    let notification_url = sent.has("notificationUrl").then(|| sent.required("notificationUrl")).transpose()?;
    if let Some((name, _)) = sent.0.iter().find(|(name, text)| !is_same(terms, name, text)) {
        let message =
            format!("'{name}' of a subscription cannot be changed; 'expirationDateTime' and 'notificationUrl' can.");
        return Err(Error::invalid(Kind::Body, *name, message));
    }
    if expiration_date_time.is_none() && notification_url.is_none() {
        let message = "'expirationDateTime' and 'notificationUrl' are missing: a PATCH must have one of them.";
        return Err(Error::invalid(Kind::Body, "expirationDateTime", message));
    }
    let notification_url = notification_url.filter(|url| *url != terms.notification_url);
    Ok(Renewal { expiration_date_time, notification_url })
}

/// The properties in a body.
struct SubscriptionMembers(Vec<(&'static str, String)>);

impl SubscriptionMembers {
    fn read(body: Json) -> Result<Self, Error> {
        let Json::Object(members) = body else {
            let message = format!("The body must be a JSON object, a subscription, not {}.", body.kind());
            return Err(Error::invalid(Kind::Body, "", message));
        };
        let mut sent = Vec::new();
        for (name, value) in members {
            let is_named = |known: &&str| known.eq_ignore_ascii_case(&name);
            if name.starts_with('@') || name.contains("@odata.") || READ_ONLY.iter().any(is_named) {
                continue;
            }
            if let Some(name) = UNSUPPORTED.into_iter().find(|known| is_named(known)) {
                match value {
                    Json::Null | Json::Bool(false) => continue,
                    Json::Text(text) if text.is_empty() => continue,
                    _ => return Err(Error::NotImplemented(format!("The property '{name}' of a subscription"))),
                }
            }
            let Some(name) = TEXTS.into_iter().find(|known| is_named(known)) else {
                let name = shorten(&name);
                let message = format!(
                    "The property '{name}' does not exist on type 'microsoft.graph.subscription'. It has {}.",
                    TEXTS.join(", ")
                );
                return Err(Error::invalid(Kind::Body, name, message));
            };
            match value {
                Json::Null => {}
                Json::Text(text) => sent.push((name, text)),
                other => {
                    let message = format!("'{name}' must be a string, not {}.", other.kind());
                    return Err(Error::invalid(Kind::Body, name, message));
                }
            }
        }
        Ok(Self(sent))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    fn required(&mut self, name: &str) -> Result<String, Error> {
        self.take(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            Error::invalid(Kind::Body, name, format!("'{name}' is missing: a subscription must have it."))
        })
    }

    /// The expiration in whole seconds, as it will be shown.
    fn expiration(&mut self, now: i64) -> Result<i64, Error> {
        const NAME: &str = "expirationDateTime";
        let text = self.required(NAME)?;
        let Some(instant) = date::instant(&text) else {
            let text = shorten(&text);
            let message = format!(
                "Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset': send a time with its offset \
                 from UTC like 2026-01-31T00:00:00Z."
            );
            return Err(Error::invalid(Kind::Body, NAME, message));
        };
        let instant = instant - instant.rem_euclid(1_000_000);
        if instant <= now || instant - now > MAX_MINUTES * 60_000_000 {
            let message = format!("'{NAME}' must be in the future, by at most {MAX_MINUTES} minutes.");
            return Err(Error::invalid(Kind::Limit, NAME, message));
        }
        Ok(instant)
    }
}

fn check_length(property: &str, text: &str, max: usize) -> Result<(), Error> {
    let count = text.chars().count();
    if count <= max {
        return Ok(());
    }
    let message = format!("'{property}' has {count} characters, more than the {max} allowed.");
    Err(Error::invalid(Kind::Limit, property, message))
}

impl Serialize for Delivery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("attemptDateTime", &date::print(self.attempt_date_time))?;
        map.serialize_entry("about", &self.about)?;
        map.serialize_entry("attempt", &self.attempt)?;
        map.serialize_entry("notifications", &self.notifications)?;
        map.serialize_entry("firstChange", &self.changes.map(|(first, _)| first))?;
        map.serialize_entry("lastChange", &self.changes.map(|(_, last)| last))?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("error", &self.error)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_600_000_000_000_000;

    fn read(more: &serde_json::Value) -> Result<Terms, Error> {
        let mut body = json!({
            "resource": "me/contacts", "changeType": "created", "notificationUrl": "https://example.org/",
            "expirationDateTime": "2020-09-14T00:00:00Z",
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        read_terms(Json::read(body.to_string().as_bytes()).unwrap(), NOW)
    }

    #[test]
    fn the_expiration_must_be_in_the_future_and_within_the_limit() {
        for (text, is_accepted) in [
            ("2020-09-13T12:26:40Z", false),
            ("2020-09-13T12:26:40.9Z", false),
            ("2020-09-13T12:26:41.9Z", true),
            ("2020-09-20T12:26:40Z", true),
            ("2020-09-20T12:26:41Z", false),
            ("9999-12-31T23:59:59Z", false),
        ] {
            assert_eq!(read(&json!({"expirationDateTime": text})).is_ok(), is_accepted, "{text}");
        }
    }

    #[test]
    fn resources_are_contacts_or_folders_of_an_owner() {
        let parse = |text: &str| parse_resource(&read(&json!({"resource": text})).unwrap());
        for (text, owner, expected) in [
            ("me/contacts", Owner::Me, SubscribedResource::Contacts(vec![])),
            ("/Me/Contacts/", Owner::Me, SubscribedResource::Contacts(vec![])),
            (
                "users/ann/contactFolders('x')/contacts",
                Owner::User("ann".into()),
                SubscribedResource::Contacts(vec!["x".into()]),
            ),
            ("me/contactFolders", Owner::Me, SubscribedResource::Folders),
        ] {
            assert_eq!(parse(text).unwrap(), (owner, expected), "{text}");
        }
        for text in [
            "me",
            "me/messages",
            "me/contacts/1",
            "v1.0/me/contacts",
            "me/contacts?$filter=x",
            "me/contactFolders/x",
            "subscriptions",
        ] {
            assert!(matches!(parse(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
