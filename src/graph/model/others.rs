//! What a mailbox has besides contacts, users, and subscriptions.

use super::{Bound, Class, Element, Enumeration, Of, Property, Type};
use crate::client::MAX_URL;
use crate::domain::category::{self, COLORS};
use crate::domain::contact::MAX_FOLDER_ID;
use crate::domain::extended::{self, MULTI, SINGLE};
use crate::domain::folder;
use crate::domain::subscription::MAX_CLIENT_STATE;
use crate::domain::{extension, user};
use crate::graph::exchange_ids::{FORMATS, MAX_ID, MAX_IDS};
use crate::graph::json::subscription::{MAX_RESOURCE, TLS_VERSIONS};
use crate::graph::permissions::ROLES;
use crate::odata::shape::Shape;

pub(super) fn enumerations() -> Vec<Enumeration> {
    let closed = |name, first, members: &[&'static str]| {
        let members = members.to_vec();
        Enumeration { name, first, members, is_open: false }
    };
    vec![closed("categoryColor", -1, &COLORS), closed("exchangeIdFormat", 0, &FORMATS)]
}

pub(super) fn complex() -> Vec<Type> {
    let ids = vec![Property::text("sourceId", MAX_ID), Property::text("targetId", MAX_ID)];
    vec![Type::new("convertIdResult", Class::Complex, "An id and its translation.", ids)]
}

fn entity(name: &'static str, class: Class, about: &'static str, properties: Vec<Property>) -> Type {
    Type::new(name, class, about, properties).based_on("entity")
}

fn extensions() -> [Type; 4] {
    let name = Property::text("extensionName", extension::MAX_NAME).required().about("A-Z a-z 0-9 . _ -");
    let value = Property::new("value", Of::Text);
    [
        entity("extension", Class::Abstract, "What a program stores with a contact.", Vec::new()),
        entity("openTypeExtension", Class::Open, "An object that a program stores with a contact.", vec![name])
            .based_on("extension"),
        entity("singleValueLegacyExtendedProperty", Class::Entity, "A value under an id of its own.", vec![value]),
        entity(
            "multiValueLegacyExtendedProperty",
            Class::Entity,
            "Values under an id of their own.",
            vec![value.list(extended::MAX_PROPERTIES)],
        ),
    ]
}

fn folder(shape: Shape) -> Type {
    let mut properties = vec![
        Property::text("displayName", folder::MAX_NAME),
        Property::text("parentFolderId", MAX_FOLDER_ID).about("A PATCH with it moves the folder."),
    ];
    if shape == Shape::Beta {
        properties.push(Property::new("wellKnownName", Of::Text).own());
    }
    entity("contactFolder", Class::Entity, "A folder of contacts and folders.", properties).linked(&[
        ("childFolders", "contactFolder", true),
        ("contacts", "contact", true),
        (SINGLE, "singleValueLegacyExtendedProperty", true),
        (MULTI, "multiValueLegacyExtendedProperty", true),
    ])
}

fn user() -> Type {
    let properties =
        ["displayName", "mail", "userPrincipalName"].map(|name| Property::text(name, user::MAX_NAME).own());
    entity("user", Class::Entity, "A user, who has a mailbox.", properties.to_vec()).linked(&[
        ("contacts", "contact", true),
        ("contactFolders", "contactFolder", true),
        ("deletedContacts", "contact", true),
        ("contactPermissions", "contactPermission", true),
        ("outlook", "outlookUser", false),
    ])
}

pub(super) fn entities(shape: Shape) -> Vec<Type> {
    let photo = vec![Property::new("height", Of::Int32).own(), Property::new("width", Of::Int32).own()];
    let photo = entity("profilePhoto", Class::Stream, "The picture of a contact.", photo);
    let category = vec![
        Property::text("displayName", category::MAX_NAME).about("Unique in the mailbox, in any letter case; fixed."),
        Property::new("color", Of::Named("categoryColor")),
    ];
    let permission = vec![
        Property::new("role", Of::Text).one_of(&ROLES),
        Property::new("emailAddress", Of::Named("emailAddress")).about("The user with whom the mailbox is shared."),
    ];
    let outlook = entity("outlookUser", Class::Entity, "Where the categories are.", Vec::new());
    let mut all = vec![photo];
    all.extend(extensions());
    all.extend([
        folder(shape),
        entity("outlookCategory", Class::Entity, "A name to which the mailbox gives a colour.", category),
        entity("contactPermission", Class::Entity, "With whom a mailbox is shared.", permission),
        outlook.linked(&[("masterCategories", "outlookCategory", true)]),
        user(),
    ]);
    all
}

pub(super) fn bound() -> Vec<Element> {
    let format = |name| Property::new(name, Of::Named("exchangeIdFormat")).required();
    let ids = Property::text("inputIds", MAX_ID).list(MAX_IDS).required();
    let translate = Bound {
        parameters: vec![ids, format("targetIdType"), format("sourceIdType")],
        ..Bound::action("translateExchangeIds", "user", Some(("convertIdResult", true)))
    };
    let all = [
        Bound::function("delta", ("contact", true), ("contact", true)),
        Bound::function("delta", ("contactFolder", true), ("contactFolder", true)),
        Bound::action("permanentDelete", "contact", None),
        Bound::action("restore", "contact", Some(("contact", false))),
        Bound::action("permanentDelete", "contactFolder", None),
        translate,
    ];
    all.into_iter().map(Element::Bound).collect()
}

pub(super) fn subscriptions() -> [Element; 4] {
    let unset = |name, of| Property::new(name, of).own().about("Not supported: it may be sent unset.");
    let url = |name| Property::text(name, MAX_URL);
    let subscription = vec![
        Property::text("resource", MAX_RESOURCE).required().about("me/contacts, or the contacts of a folder."),
        Property::new("applicationId", Of::Text).own(),
        Property::text("changeType", 0).required().about("A list of created, updated, deleted, separated by commas."),
        Property::text("clientState", MAX_CLIENT_STATE).about("Repeated in each notification."),
        url("notificationUrl").required().about("https, at a public host."),
        unset("notificationQueryOptions", Of::Text),
        unset("notificationUrlAppId", Of::Text),
        url("lifecycleNotificationUrl"),
        Property::new("expirationDateTime", Of::Time).required().about("At most 10,080 minutes ahead."),
        Property::new("creatorId", Of::Text).own(),
        Property::new("latestSupportedTlsVersion", Of::Text).one_of(&TLS_VERSIONS),
        unset("includeResourceData", Of::Boolean),
        unset("encryptionCertificate", Of::Text),
        unset("encryptionCertificateId", Of::Text),
    ];
    let number = |name| Property::new(name, Of::Int64);
    let delivery = vec![
        Property::new("attemptDateTime", Of::Time).required(),
        Property::text("about", 0).required().about("notifications, or a lifecycle event."),
        number("attempt").required(),
        number("notifications").required(),
        number("firstChange"),
        number("lastChange"),
        number("status"),
        Property::text("error", 0).about("Why there is no status."),
    ];
    let about = "How an attempt to deliver notifications ended.";
    [
        Element::Type(entity("subscription", Class::Entity, "Who is notified of which changes.", subscription)),
        Element::Type(Type::new("notificationDelivery", Class::Complex, about, delivery)),
        Element::Bound(Bound::function("deliveries", ("subscription", false), ("notificationDelivery", true))),
        Element::Bound(Bound::action("reauthorize", "subscription", None)),
    ]
}
