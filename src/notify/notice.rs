//! The JSON of notifications to subscribers.

use serde_json::json;
use uuid::Uuid;

use crate::domain::subscription::{Lifecycle, Notice, Subject, Subscription};
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
