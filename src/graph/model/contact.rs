//! The contact and the types of its properties.

use super::{EdmEnum, EdmProperty, EdmType, Type, TypeKind};
use crate::domain::contact::{
    Address, Complex, DateTimeTimeZone, Email, FLAG_MEMBERS, FLAG_STATUS, MAX_ENTRIES, MAX_FOLDER_ID, MAX_TEXT, Phone,
    Text, Website,
};
use crate::domain::extended::{MULTI, SINGLE};
use crate::odata::shape::Shape;

/// The enumeration of the `type` of entries, by the name of the entry's type.
const KINDS: [(&str, &str); 4] = [
    ("phone", "phoneType"),
    ("typedEmailAddress", "emailType"),
    ("website", "websiteType"),
    ("physicalAddress", "physicalAddressType"),
];

fn short<T: Complex>() -> &'static str {
    T::TYPE.trim_start_matches("microsoft.graph.")
}

fn enumeration_name(type_name: &str) -> Option<&'static str> {
    KINDS.iter().find(|(known, _)| *known == type_name).map(|(_, kind)| *kind)
}

/// The values of an entry's `type`.
fn kinds<T: Complex>() -> Option<EdmEnum> {
    let members = T::MEMBERS.iter().find(|member| !member.members.is_empty())?.members;
    Some(EdmEnum { name: enumeration_name(short::<T>())?, first: 0, members: members.to_vec(), is_open: true })
}

pub(super) fn enumerations(shape: Shape) -> Vec<EdmEnum> {
    if shape == Shape::V1 {
        return Vec::new();
    }
    let kinds = [kinds::<Phone>(), kinds::<Email>(), kinds::<Website>(), kinds::<Address>()];
    let status = EdmEnum { name: "followupFlagStatus", first: 0, members: FLAG_STATUS.to_vec(), is_open: true };
    kinds.into_iter().flatten().chain([status]).collect()
}

/// The members of a complex type; only those whose names are `shown`, if that is given.
fn members<T: Complex>(shown: Option<&[&str]>) -> Vec<EdmProperty> {
    let is_shown = |name: &str| shown.is_none_or(|shown| shown.contains(&name));
    let property = |member: &crate::domain::contact::Member| match enumeration_name(short::<T>()) {
        Some(kind) if !member.members.is_empty() => {
            EdmProperty { edm_type: EdmType::Named(kind), ..EdmProperty::text(member.json, MAX_TEXT) }
        }
        _ => EdmProperty::text(member.json, MAX_TEXT),
    };
    T::MEMBERS.iter().filter(|member| is_shown(member.json)).map(property).collect()
}

const EMAIL: [&str; 2] = ["name", "address"];
const ADDRESS: [&str; 5] = ["street", "city", "state", "countryOrRegion", "postalCode"];

pub(super) fn complex(shape: Shape) -> Vec<Type> {
    let complex = |name, about, properties| Type::new(name, TypeKind::Complex, about, properties);
    let email = complex(
        "emailAddress",
        "A name and an e-mail address; any string is accepted as an address.",
        members::<Email>(Some(&EMAIL)),
    );
    let address = |shown| complex("physicalAddress", "A postal address.", members::<Address>(shown));
    if shape == Shape::V1 {
        return vec![email, address(Some(&ADDRESS))];
    }
    let mut typed = members::<Email>(None);
    typed.retain(|member| !EMAIL.contains(&member.name));
    let mut time = members::<DateTimeTimeZone>(None);
    if let Some(first) = time.first_mut() {
        *first = first.required();
    }
    let flag = FLAG_MEMBERS.iter().map(|name| match *name {
        "flagStatus" => {
            EdmProperty { edm_type: EdmType::Named("followupFlagStatus"), ..EdmProperty::text(name, MAX_TEXT) }
        }
        time => EdmProperty::new(time, EdmType::Named("dateTimeTimeZone")),
    });
    vec![
        email,
        complex("typedEmailAddress", "An e-mail address with its type.", typed).based_on("emailAddress"),
        complex("phone", "A phone number with its type.", members::<Phone>(None)),
        address(None),
        complex("website", "A website with its type.", members::<Website>(None)),
        complex("dateTimeTimeZone", "A local time and its time zone, as sent.", time),
        complex("followupFlag", "A flag for follow-up.", flag.collect()),
    ]
}

/// The properties of both shapes that precede the text properties.
fn first_properties() -> Vec<EdmProperty> {
    let folder = "The folder. A PATCH with it moves the contact.";
    vec![
        EdmProperty::text("parentFolderId", MAX_FOLDER_ID).about(folder),
        EdmProperty::new("deletedDateTime", EdmType::Time).read_only().about("Only of deleted contacts."),
        EdmProperty::text("birthday", MAX_TEXT)
            .about("Returned byte for byte. A date alone becomes 11:59 UTC of that day."),
        EdmProperty::text("children", MAX_TEXT).list(MAX_ENTRIES),
        EdmProperty::text("imAddresses", MAX_TEXT).list(MAX_ENTRIES),
    ]
}

/// The properties that only this shape has.
fn shape_properties(shape: Shape) -> Vec<EdmProperty> {
    let texts = |name| EdmProperty::text(name, MAX_TEXT).list(MAX_ENTRIES);
    let entries = |name, type_name| EdmProperty::new(name, EdmType::Named(type_name)).list(MAX_ENTRIES);
    let single = |name, type_name| EdmProperty::new(name, EdmType::Named(type_name));
    match shape {
        Shape::Beta => vec![
            entries("emailAddresses", "typedEmailAddress"),
            entries("websites", "website"),
            entries("phones", "phone"),
            entries("postalAddresses", "physicalAddress"),
            EdmProperty { longest: MAX_TEXT, ..EdmProperty::new("weddingAnniversary", EdmType::Date) }
                .about("A day. Lenient handling keeps other strings too."),
            EdmProperty::new("isFavorite", EdmType::Boolean),
            single("flag", "followupFlag"),
        ],
        Shape::V1 => vec![
            EdmProperty::text("businessHomePage", MAX_TEXT),
            texts("homePhones"),
            EdmProperty::text("mobilePhone", MAX_TEXT),
            texts("businessPhones"),
            entries("emailAddresses", "emailAddress"),
            single("primaryEmailAddress", "emailAddress"),
            single("secondaryEmailAddress", "emailAddress"),
            single("tertiaryEmailAddress", "emailAddress"),
            single("homeAddress", "physicalAddress"),
            single("businessAddress", "physicalAddress"),
            single("otherAddress", "physicalAddress"),
        ],
    }
}

fn text_property(text: Text) -> EdmProperty {
    let property = EdmProperty::text(text.json(), text.max());
    match text {
        Text::DisplayName => property.about("Derived from other properties until a client sets it."),
        _ => property,
    }
}

pub(super) fn entities(shape: Shape) -> Vec<Type> {
    let id = EdmProperty::new("id", EdmType::Text).required().read_only();
    let entity = Type { has_key: true, ..Type::new("entity", TypeKind::Abstract, "An object with an id.", vec![id]) };
    let item = vec![
        EdmProperty::new("createdDateTime", EdmType::Time).read_only(),
        EdmProperty::new("lastModifiedDateTime", EdmType::Time).read_only(),
        EdmProperty::text("changeKey", MAX_TEXT)
            .about("The version. In the older beta shape a create may set the first one."),
        EdmProperty::text("categories", MAX_TEXT)
            .list(MAX_ENTRIES)
            .about("Names of categories, which need not be defined."),
    ];
    let item = Type::new("outlookItem", TypeKind::Abstract, "An item of a mailbox.", item).based_on("entity");
    let texts = Text::ALL.into_iter().filter(|text| shape.has(*text)).map(text_property);
    let mut properties: Vec<_> = first_properties().into_iter().chain(texts).chain(shape_properties(shape)).collect();
    if let Some(birthday) = properties.iter_mut().find(|property| property.name == "birthday") {
        birthday.edm_type = EdmType::Time;
    }
    let contact = Type::new("contact", TypeKind::Entity, "A contact.", properties).based_on("outlookItem").linked(&[
        ("photo", "profilePhoto", false),
        ("extensions", "extension", true),
        (SINGLE, "singleValueLegacyExtendedProperty", true),
        (MULTI, "multiValueLegacyExtendedProperty", true),
    ]);
    vec![entity, item, contact]
}
