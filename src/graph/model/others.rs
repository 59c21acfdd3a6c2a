//! The types besides the contact: folders, categories, photos, users and subscriptions.

use super::{Bound, EdmElement, EdmEnum, EdmProperty, EdmType, Type, TypeKind};
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

pub(super) fn enumerations() -> Vec<EdmEnum> {
    let closed = |name, first, members: &[&'static str]| {
        let members = members.to_vec();
        EdmEnum { name, first, members, is_open: false }
    };
    vec![closed("categoryColor", -1, &COLORS), closed("exchangeIdFormat", 0, &FORMATS)]
}

pub(super) fn complex() -> Vec<Type> {
    let ids = vec![EdmProperty::text("sourceId", MAX_ID), EdmProperty::text("targetId", MAX_ID)];
    vec![Type::new("convertIdResult", TypeKind::Complex, "An id and its translation.", ids)]
}

fn entity(name: &'static str, class: TypeKind, about: &'static str, properties: Vec<EdmProperty>) -> Type {
    Type::new(name, class, about, properties).based_on("entity")
}

fn extensions() -> [Type; 4] {
    let name = EdmProperty::text("extensionName", extension::MAX_NAME).required().about("A-Z a-z 0-9 . _ -");
    let value = EdmProperty::new("value", EdmType::Text);
    [
        entity("extension", TypeKind::Abstract, "Data that a program stores with a contact.", Vec::new()),
        entity("openTypeExtension", TypeKind::Open, "An object that a program stores with a contact.", vec![name])
            .based_on("extension"),
        entity("singleValueLegacyExtendedProperty", TypeKind::Entity, "A value with its own id.", vec![value]),
        entity(
            "multiValueLegacyExtendedProperty",
            TypeKind::Entity,
            "Values with their own id.",
            vec![value.list(extended::MAX_PROPERTIES)],
        ),
    ]
}

fn folder(shape: Shape) -> Type {
    let mut properties = vec![
        EdmProperty::text("displayName", folder::MAX_NAME),
        EdmProperty::text("parentFolderId", MAX_FOLDER_ID).about("A PATCH with it moves the folder."),
    ];
    if shape == Shape::Beta {
        properties.push(EdmProperty::new("wellKnownName", EdmType::Text).read_only());
    }
    entity("contactFolder", TypeKind::Entity, "A folder of contacts and folders.", properties).linked(&[
        ("childFolders", "contactFolder", true),
        ("contacts", "contact", true),
        (SINGLE, "singleValueLegacyExtendedProperty", true),
        (MULTI, "multiValueLegacyExtendedProperty", true),
    ])
}

fn user() -> Type {
    let properties =
        ["displayName", "mail", "userPrincipalName"].map(|name| EdmProperty::text(name, user::MAX_NAME).read_only());
    entity("user", TypeKind::Entity, "A user, who has a mailbox.", properties.to_vec()).linked(&[
        ("contacts", "contact", true),
        ("contactFolders", "contactFolder", true),
        ("deletedContacts", "contact", true),
        ("contactPermissions", "contactPermission", true),
        ("outlook", "outlookUser", false),
    ])
}

pub(super) fn entities(shape: Shape) -> Vec<Type> {
    let photo = vec![
        EdmProperty::new("height", EdmType::Int32).read_only(),
        EdmProperty::new("width", EdmType::Int32).read_only(),
    ];
    let photo = entity("profilePhoto", TypeKind::Stream, "The picture of a contact.", photo);
    let category = vec![
        EdmProperty::text("displayName", category::MAX_NAME)
            .about("Unique in the mailbox, case-insensitive. It cannot be changed."),
        EdmProperty::new("color", EdmType::Named("categoryColor")),
    ];
    let permission = vec![
        EdmProperty::new("role", EdmType::Text).one_of(&ROLES),
        EdmProperty::new("emailAddress", EdmType::Named("emailAddress"))
            .about("The user with whom the mailbox is shared."),
    ];
    let outlook = entity("outlookUser", TypeKind::Entity, "The parent of the categories.", Vec::new());
    let mut all = vec![photo];
    all.extend(extensions());
    all.extend([
        folder(shape),
        entity("outlookCategory", TypeKind::Entity, "A category name with a colour.", category),
        entity("contactPermission", TypeKind::Entity, "A user with whom a mailbox is shared.", permission),
        outlook.linked(&[("masterCategories", "outlookCategory", true)]),
        user(),
    ]);
    all
}

pub(super) fn bound() -> Vec<EdmElement> {
    let format = |name| EdmProperty::new(name, EdmType::Named("exchangeIdFormat")).required();
    let ids = EdmProperty::text("inputIds", MAX_ID).list(MAX_IDS).required();
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
    all.into_iter().map(EdmElement::Bound).collect()
}

pub(super) fn subscriptions() -> [EdmElement; 4] {
    let unset = |name, edm_type| {
        EdmProperty::new(name, edm_type).read_only().about("Not supported: it is accepted only if it is unset.")
    };
    let url = |name| EdmProperty::text(name, MAX_URL);
    let subscription = vec![
        EdmProperty::text("resource", MAX_RESOURCE).required().about("me/contacts, or the contacts of a folder."),
        EdmProperty::new("applicationId", EdmType::Text).read_only(),
        EdmProperty::text("changeType", 0)
            .required()
            .about("A list of created, updated, deleted, separated by commas."),
        EdmProperty::text("clientState", MAX_CLIENT_STATE).about("Repeated in each notification."),
        url("notificationUrl").required().about("https, at a public host."),
        unset("notificationQueryOptions", EdmType::Text),
        unset("notificationUrlAppId", EdmType::Text),
        url("lifecycleNotificationUrl"),
        EdmProperty::new("expirationDateTime", EdmType::Time).required().about("At most 10,080 minutes ahead."),
        EdmProperty::new("creatorId", EdmType::Text).read_only(),
        EdmProperty::new("latestSupportedTlsVersion", EdmType::Text).one_of(&TLS_VERSIONS),
        unset("includeResourceData", EdmType::Boolean),
        unset("encryptionCertificate", EdmType::Text),
        unset("encryptionCertificateId", EdmType::Text),
    ];
    let number = |name| EdmProperty::new(name, EdmType::Int64);
    let delivery = vec![
        EdmProperty::new("attemptDateTime", EdmType::Time).required(),
        EdmProperty::text("about", 0).required().about("notifications, or a lifecycle event."),
        number("attempt").required(),
        number("notifications").required(),
        number("firstChange"),
        number("lastChange"),
        number("status"),
        EdmProperty::text("error", 0).about("The reason if there is no status."),
    ];
    let about = "The result of an attempt to deliver notifications.";
    [
        EdmElement::Type(entity(
            "subscription",
            TypeKind::Entity,
            "A subscription to change notifications.",
            subscription,
        )),
        EdmElement::Type(Type::new("notificationDelivery", TypeKind::Complex, about, delivery)),
        EdmElement::Bound(Bound::function("deliveries", ("subscription", false), ("notificationDelivery", true))),
        EdmElement::Bound(Bound::action("reauthorize", "subscription", None)),
    ]
}
