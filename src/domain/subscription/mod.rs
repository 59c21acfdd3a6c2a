//! Subscriptions to changes: as stored and as JSON, what a request says of one, and the notifications that follow
//! (docs/graph.md, "Subscriptions"). No I/O, no clock.

mod notice;
mod read;

use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use crate::domain::date;
pub use crate::domain::subscription::notice::{Delivery, Lifecycle, Notice};
pub use crate::domain::subscription::read::{About, MAX_CLIENT_STATE, MAX_MINUTES, Renewal, no_resource};

/// What Graph knows and this server has not; unset it does no harm.
const NOT_YET: [&str; 5] = [
    "includeResourceData",
    "encryptionCertificate",
    "encryptionCertificateId",
    "notificationQueryOptions",
    "notificationUrlAppId",
];

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum ChangeType {
    Created,
    Updated,
    Deleted,
}

impl ChangeType {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// As in `changeType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    /// Reads a comma list, in any letter case and order; `None` where it has none, or anything else.
    pub fn list(text: &str) -> Option<Vec<Self>> {
        let mut list = Vec::new();
        for name in text.split(',').map(str::trim) {
            let change = Self::ALL.into_iter().find(|change| change.name().eq_ignore_ascii_case(name))?;
            if !list.contains(&change) {
                list.push(change);
            }
        }
        Some(list)
    }

    /// The comma list of these.
    pub fn print(list: &[Self]) -> String {
        list.iter().map(|change| change.name()).collect::<Vec<_>>().join(",")
    }
}

/// What a subscription is about, in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All contacts, whatever folder they are in.
    Contacts,
    /// The contacts of the folder with this id.
    ContactsOf(String),
    /// All folders.
    Folders,
}

/// A subscription as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Whose contacts.
    pub mailbox: i64,
    /// Made by the server.
    pub id: Uuid,
    /// Who made it, and alone sees it: a user's id, or `app:NAME`.
    pub creator: String,
    /// The stored token it was made by, or last authorized by: with that, it ends.
    pub token: Option<Uuid>,
    /// What of the mailbox.
    pub subject: Subject,
    /// What the client said.
    pub terms: Terms,
}

/// What a client says of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// As written; `subject` is what it means.
    pub resource: String,
    /// Never empty.
    pub change_types: Vec<ChangeType>,
    /// Where notifications go.
    pub notification_url: String,
    /// Where lifecycle events go.
    pub lifecycle_notification_url: Option<String>,
    /// Comes back in every notification, so that the receiver knows whose it is.
    pub client_state: Option<String>,
    /// `v1_0` to `v1_3`.
    pub tls_version: String,
    /// UTC microseconds, whole seconds.
    pub expiration_date_time: i64,
}

/// A subscription to be written.
pub struct Shown<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// `@odata.context`, for one that stands alone.
    pub context: Option<&'a str>,
}

impl Serialize for Shown<'_> {
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
        for name in NOT_YET.into_iter().skip(1) {
            map.serialize_entry(name, &())?;
        }
        map.end()
    }
}
