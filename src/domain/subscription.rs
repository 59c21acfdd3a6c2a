//! Subscriptions to changes, and what is delivered to the subscriber (docs/graph.md, "Subscriptions").

use uuid::Uuid;

/// Longest time from now to a subscription's end, in minutes: what Graph gives those to contacts.
pub const MAX_MINUTES: i64 = 10_080;
/// Longest `clientState`, in characters.
pub const MAX_CLIENT_STATE: usize = 128;

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

/// What a PATCH wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// A new end, UTC microseconds.
    pub expiration_date_time: Option<i64>,
    /// Another place for notifications, which is not confirmed yet.
    pub notification_url: Option<String>,
}

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
