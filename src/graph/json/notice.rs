//! JSON of notifications to subscribers, and of the log of deliveries.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;
use uuid::Uuid;

use crate::domain::subscription::{Delivery, Lifecycle, Notice, Subject, Subscription};
use crate::domain::{date, etag};
use crate::percent::percent_encode;

/// There is one tenant, without a name.
const TENANT: Uuid = Uuid::nil();

/// The body of notifications of changes in a user's mailbox.
pub(crate) fn notifications(subscription: &Subscription, user: &str, notices: &[Notice]) -> String {
    // Keeps e-mail addresses readable.
    let user = percent_encode(user).replace("%40", "@");
    let notifications = notices.iter().map(|notice| {
        let (kind, path) = match subscription.subject {
            // A folder's id may be any text.
            Subject::Folders => {
                let key = percent_encode(&notice.id.replace('\'', "''"));
                ("#Microsoft.Graph.ContactFolder", format!("Users/{user}/ContactFolders('{key}')"))
            }
            _ => ("#Microsoft.Graph.Contact", format!("Users/{user}/Contacts/{}", notice.id)),
        };
        json!({
            // The same for every attempt, so that a receiver can detect duplicates.
            "id": format!("{}-{}", subscription.id, notice.seq),
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": date::print(subscription.terms.expiration_date_time),
            "clientState": subscription.terms.client_state,
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

/// The body of a lifecycle notification.
pub(crate) fn lifecycle_notification(subscription: &Subscription, event: Lifecycle) -> String {
    let notification = json!({
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": date::print(subscription.terms.expiration_date_time),
        "clientState": subscription.terms.client_state,
        "lifecycleEvent": event.name(),
        "tenantId": TENANT,
    });
    json!({"value": [notification]}).to_string()
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
