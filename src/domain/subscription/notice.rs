//! What a subscriber is told, and what became of the telling.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;
use uuid::Uuid;

use crate::domain::date;
use crate::domain::etag;
use crate::domain::subscription::{ChangeType, Subject, Subscription};
use crate::percent::percent_encode;

/// There is one tenant, and it has no name.
const TENANT: Uuid = Uuid::nil();

/// What is told to `lifecycleNotificationUrl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Notifications were given up.
    Missed,
    /// It ended by itself.
    SubscriptionRemoved,
    /// It will end soon unless it is renewed.
    ReauthorizationRequired,
}

impl Lifecycle {
    /// As in `lifecycleEvent`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::SubscriptionRemoved => "subscriptionRemoved",
            Self::ReauthorizationRequired => "reauthorizationRequired",
        }
    }

    /// The event of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Missed, Self::SubscriptionRemoved, Self::ReauthorizationRequired]
            .into_iter()
            .find(|event| event.name() == name)
    }
}

/// Something that happened, as the change log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number of the change.
    pub seq: i64,
    /// What it was.
    pub change: ChangeType,
    /// Of the contact, or of the folder.
    pub id: String,
    /// UTC microseconds. With the number it makes the ETag, as of the thing itself.
    pub changed_date_time: i64,
}

impl Subscription {
    /// The body that tells of changes in the mailbox of a user.
    pub fn notifications(&self, user: &str, notices: &[Notice]) -> String {
        // An address reads as one.
        let user = percent_encode(user).replace("%40", "@");
        let notifications = notices.iter().map(|notice| {
            let (kind, path) = match self.subject {
                // A folder's id is any text.
                Subject::Folders => {
                    let key = percent_encode(&notice.id.replace('\'', "''"));
                    ("#Microsoft.Graph.ContactFolder", format!("Users/{user}/ContactFolders('{key}')"))
                }
                _ => ("#Microsoft.Graph.Contact", format!("Users/{user}/Contacts/{}", notice.id)),
            };
            json!({
                // The same whenever it is sent, so that one that comes twice can be told.
                "id": format!("{}-{}", self.id, notice.seq),
                "subscriptionId": self.id,
                "subscriptionExpirationDateTime": date::print(self.terms.expiration_date_time),
                "clientState": self.terms.client_state,
                "changeType": notice.change.name(),
                "resource": path,
                "resourceData": {
                    "@odata.type": kind,
                    "@odata.id": path,
                    "@odata.etag": etag::weak(&etag::token(notice.changed_date_time, notice.seq)),
                    "id": notice.id,
                },
                "tenantId": TENANT,
            })
        });
        json!({"value": notifications.collect::<Vec<_>>()}).to_string()
    }

    /// The body that tells of an event in its life.
    pub fn lifecycle_notification(&self, event: Lifecycle) -> String {
        let notification = json!({
            "subscriptionId": self.id,
            "subscriptionExpirationDateTime": date::print(self.terms.expiration_date_time),
            "clientState": self.terms.client_state,
            "lifecycleEvent": event.name(),
            "tenantId": TENANT,
        });
        json!({"value": [notification]}).to_string()
    }
}

/// An attempt to tell a subscriber something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// UTC microseconds.
    pub attempt_date_time: i64,
    /// `notifications`, or the lifecycle event.
    pub about: String,
    /// Which attempt at the same, from 1.
    pub attempt: i64,
    /// How many notifications it had.
    pub notifications: i64,
    /// The first and the last change that they were of.
    pub changes: Option<(i64, i64)>,
    /// The HTTP status it was answered with.
    pub status: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
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
