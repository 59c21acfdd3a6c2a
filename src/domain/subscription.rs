//! Subscriptions to changes, and what is delivered to the subscriber (docs/graph.md, "Subscriptions").

use uuid::Uuid;

/// Longest lifetime of a subscription, in minutes: Graph's limit for contacts.
pub const MAX_MINUTES: i64 = 10_080;
/// Longest `clientState`, in characters.
pub const MAX_CLIENT_STATE: usize = 128;

/// The kind of a change.
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

    /// Parses a comma-separated list, in any letter case and order. `None` if it is empty or has an unknown name.
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

    /// Prints a comma-separated list.
    pub fn print(list: &[Self]) -> String {
        list.iter().map(|change| change.name()).collect::<Vec<_>>().join(",")
    }
}

/// The subject of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// All contacts, in any folder.
    Contacts,
    /// The contacts of the folder with this id.
    ContactsOf(String),
    /// All folders.
    Folders,
}

/// A subscription as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The mailbox it watches.
    pub mailbox: i64,
    /// Created by the server.
    pub id: Uuid,
    /// The user id or `app:NAME` that created it. Nobody else sees it.
    pub creator: String,
    /// The stored token it was created or last authorized with. The subscription ends with the token.
    pub token: Option<Uuid>,
    /// The subject of the subscription.
    pub subject: Subject,
    /// The terms as the client sent them.
    pub terms: Terms,
}

/// The terms that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// As written; `subject` is the parsed form.
    pub resource: String,
    /// Never empty.
    pub change_types: Vec<ChangeType>,
    /// Receives notifications.
    pub notification_url: String,
    /// Receives lifecycle events.
    pub lifecycle_notification_url: Option<String>,
    /// Repeated in every notification, so that the receiver can check its origin.
    pub client_state: Option<String>,
    /// `v1_0` to `v1_3`.
    pub tls_version: String,
    /// UTC microseconds, whole seconds.
    pub expiration_date_time: i64,
}

/// The changes of a PATCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The new end, in UTC microseconds.
    pub expiration_date_time: Option<i64>,
    /// The new URL for notifications, not yet confirmed.
    pub notification_url: Option<String>,
}

/// Events sent to `lifecycleNotificationUrl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Some notifications were given up.
    Missed,
    /// The subscription has expired.
    SubscriptionRemoved,
    /// The subscription expires soon unless it is renewed.
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

    /// The event with this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Missed, Self::SubscriptionRemoved, Self::ReauthorizationRequired]
            .into_iter()
            .find(|event| event.name() == name)
    }
}

/// A change, as in the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The number of the change.
    pub seq: i64,
    /// The kind.
    pub change: ChangeType,
    /// The id of the contact or folder.
    pub id: String,
    /// UTC microseconds. Together with the number it makes the ETag.
    pub changed_date_time: i64,
}

/// An attempt to deliver something to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// UTC microseconds.
    pub attempt_date_time: i64,
    /// `notifications`, or the name of the lifecycle event.
    pub about: String,
    /// The number of the attempt, from 1.
    pub attempt: i64,
    /// How many notifications it contained.
    pub notifications: i64,
    /// The numbers of the first and the last change in it.
    pub changes: Option<(i64, i64)>,
    /// The HTTP status of the answer.
    pub status: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_types_are_a_list_in_any_case() {
        use ChangeType::{Created, Deleted, Updated};
        assert_eq!(ChangeType::list("Deleted, created,DELETED"), Some(vec![Deleted, Created]));
        assert_eq!(ChangeType::print(&[Created, Updated, Deleted]), "created,updated,deleted");
        for text in ["", "created,", "all", "created;updated"] {
            assert_eq!(ChangeType::list(text), None, "{text}");
        }
    }
}
