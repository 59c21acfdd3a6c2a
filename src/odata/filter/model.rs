//! The properties that can be filtered by: the names of each shape, and the stored values they stand for. Names of the
//! v1.0 shape are projections (docs/graph.md, "The contact"): the first entry of a type, or all of them.

use crate::domain::category;
use crate::domain::contact::tags::View;
use crate::domain::contact::{FLAG_STATUS, Text};
use crate::domain::extended::{MULTI, SINGLE};
use crate::domain::plain::shorten;
use crate::domain::query::typed::{EntryList, EntryTable, ExtendedOf, Id, NUMBER, Property, TimeProperty, UserText};
use crate::odata::shape::Shape;

/// The type that is filtered, for contacts with the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The contact without a prefix and under `/beta`.
    Beta,
    /// The contact under `/v1.0`.
    V1,
    /// The contact folder.
    Folder,
    /// The category.
    Category,
    /// The user.
    User,
}

/// The meaning of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelTarget {
    Text(Property),
    /// A text with a known set of values: the property, the type's name, and the values.
    Enum(Property, &'static str, &'static [&'static str]),
    TimeProperty(TimeProperty),
    IsFavorite,
    Id(Id),
    /// A view on the contact, and the id of such a view.
    View(View),
    ViewId(View),
    ModelComplex(ModelComplex),
    List(EntryList),
}

/// A value that has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelComplex {
    Flag,
    /// One of the flag's three times.
    FlagTime(usize),
    /// The n-th entry of a list.
    Entry(EntryList, usize),
    /// The entry bound to a range variable.
    Variable(usize, EntryTable),
    /// The extended property that is this view on the contact.
    View(View),
}

/// A property of the model.
pub(super) struct ModelProperty {
    pub(super) name: &'static str,
    pub(super) target: ModelTarget,
    /// Whether Graph filters by it: as in Outlook's published table; true if it is not listed there.
    pub(super) filterable: bool,
}

const fn named(name: &'static str, target: ModelTarget, filterable: bool) -> ModelProperty {
    ModelProperty { name, target, filterable }
}

const fn entries(table: EntryTable) -> EntryList {
    EntryList { table, of_type: None, member: None, within: None }
}

const fn list(table: EntryTable) -> ModelTarget {
    ModelTarget::List(entries(table))
}

const fn texts_of(table: EntryTable, of_type: &'static str, member: usize) -> ModelTarget {
    ModelTarget::List(EntryList { of_type: Some(of_type), member: Some(member), ..entries(table) })
}

const fn entries_of_type(table: EntryTable, of_type: &'static str) -> EntryList {
    EntryList { of_type: Some(of_type), ..entries(table) }
}

const fn email(nth: usize) -> ModelTarget {
    ModelTarget::ModelComplex(ModelComplex::Entry(entries(EntryTable::Emails), nth))
}

const FOLDER: &[ModelProperty] = &[
    named("id", ModelTarget::Id(Id::Folder), false),
    named("displayName", ModelTarget::Text(Property::Name), true),
    named("parentFolderId", ModelTarget::Id(Id::FolderParent), false),
    named(SINGLE, list(EntryTable::SingleValues(ExtendedOf::Folder)), true),
    named(MULTI, list(EntryTable::Multi(ExtendedOf::Folder)), true),
];

const CATEGORY: &[ModelProperty] = &[
    named("id", ModelTarget::Id(Id::Category), false),
    named("displayName", ModelTarget::Text(Property::Name), true),
    named("color", ModelTarget::Enum(Property::Color, "categoryColor", &category::COLORS), true),
];

const USER: &[ModelProperty] = &[
    named("id", ModelTarget::Id(Id::User), true),
    named("displayName", ModelTarget::Text(Property::User(UserText::DisplayName)), true),
    named("userPrincipalName", ModelTarget::Text(Property::User(UserText::UserPrincipalName)), true),
    named("mail", ModelTarget::Text(Property::User(UserText::Mail)), true),
];

const COMMON: &[ModelProperty] = &[
    named("id", ModelTarget::Id(Id::Contact), false),
    named("createdDateTime", ModelTarget::TimeProperty(TimeProperty::Created), true),
    named("lastModifiedDateTime", ModelTarget::TimeProperty(TimeProperty::LastModified), true),
    named("changeKey", ModelTarget::Id(Id::ChangeKey), false),
    named("categories", list(EntryTable::Categories), false),
    named("parentFolderId", ModelTarget::Id(Id::ParentFolder), false),
    named("birthday", ModelTarget::TimeProperty(TimeProperty::Birthday), true),
    named("emailAddresses", list(EntryTable::Emails), true),
    named("imAddresses", list(EntryTable::ImAddresses), false),
    named("children", list(EntryTable::Children), true),
    named("extensions", list(EntryTable::Extensions), true),
    named(SINGLE, list(EntryTable::SingleValues(ExtendedOf::Contact)), true),
    named(MULTI, list(EntryTable::Multi(ExtendedOf::Contact)), true),
];

const BETA: &[ModelProperty] = &[
    named("websites", list(EntryTable::Websites), false),
    named("phones", list(EntryTable::Phones), true),
    named("postalAddresses", list(EntryTable::Addresses), false),
    named("weddingAnniversary", ModelTarget::TimeProperty(TimeProperty::WeddingAnniversary), true),
    named("isFavorite", ModelTarget::IsFavorite, true),
    named("flag", ModelTarget::ModelComplex(ModelComplex::Flag), true),
];

/// The position of `address` in a website.
const ADDRESS: usize = 1;

const V1: &[ModelProperty] = &[
    named(
        "businessHomePage",
        ModelTarget::Text(Property::Entry(entries_of_type(EntryTable::Websites, "work"), 0, ADDRESS)),
        true,
    ),
    named("homePhones", texts_of(EntryTable::Phones, "home", NUMBER), false),
    named(
        "mobilePhone",
        ModelTarget::Text(Property::Entry(entries_of_type(EntryTable::Phones, "mobile"), 0, NUMBER)),
        true,
    ),
    named("businessPhones", texts_of(EntryTable::Phones, "business", NUMBER), false),
    named("primaryEmailAddress", email(0), true),
    named("secondaryEmailAddress", email(1), true),
    named("tertiaryEmailAddress", email(2), true),
    named(
        "homeAddress",
        ModelTarget::ModelComplex(ModelComplex::Entry(entries_of_type(EntryTable::Addresses, "home"), 0)),
        true,
    ),
    named(
        "businessAddress",
        ModelTarget::ModelComplex(ModelComplex::Entry(entries_of_type(EntryTable::Addresses, "business"), 0)),
        true,
    ),
    named(
        "otherAddress",
        ModelTarget::ModelComplex(ModelComplex::Entry(entries_of_type(EntryTable::Addresses, "other"), 0)),
        true,
    ),
];

const FLAG: &[ModelProperty] = &[
    named("completedDateTime", ModelTarget::ModelComplex(ModelComplex::FlagTime(0)), true),
    named("dueDateTime", ModelTarget::ModelComplex(ModelComplex::FlagTime(1)), true),
    named("startDateTime", ModelTarget::ModelComplex(ModelComplex::FlagTime(2)), true),
    named("flagStatus", ModelTarget::Enum(Property::FlagStatus, "followupFlagStatus", FLAG_STATUS), true),
];

/// The enumeration types, by the table whose entries have them.
fn enumeration(table: EntryTable) -> &'static str {
    match table {
        EntryTable::Emails => "emailType",
        EntryTable::Phones => "phoneType",
        EntryTable::Websites => "websiteType",
        _ => "physicalAddressType",
    }
}

/// The names of the enumeration types.
pub(super) fn enumerations() -> String {
    let names = ["phoneType", "emailType", "websiteType", "physicalAddressType", "followupFlagStatus", "categoryColor"];
    names.map(|name| format!("microsoft.graph.{name}")).join(", ")
}

/// The members of an enumeration type; `None` if the type does not exist.
pub(super) fn members_of(name: &str) -> Option<&'static [&'static str]> {
    let name = name.get(16..).filter(|_| name[..16].eq_ignore_ascii_case("microsoft.graph."))?;
    if name.eq_ignore_ascii_case("followupFlagStatus") {
        return Some(FLAG_STATUS);
    }
    if name.eq_ignore_ascii_case("categoryColor") {
        return Some(&category::COLORS);
    }
    let tables = [EntryTable::Emails, EntryTable::Phones, EntryTable::Websites, EntryTable::Addresses];
    let table = tables.into_iter().find(|table| enumeration(*table).eq_ignore_ascii_case(name))?;
    table.members()?.iter().map(|member| member.members).find(|members| !members.is_empty())
}

impl Model {
    /// The type's name.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Beta | Self::V1 => "microsoft.graph.contact",
            Self::Folder => "microsoft.graph.contactFolder",
            Self::Category => "microsoft.graph.outlookCategory",
            Self::User => "microsoft.graph.user",
        }
    }

    /// All properties of the shape.
    pub(super) fn members(self) -> Vec<ModelProperty> {
        let tables: &[&'static [ModelProperty]] = match self {
            Self::Beta => &[COMMON, BETA],
            Self::V1 => &[COMMON, V1],
            Self::Folder => &[FOLDER],
            Self::Category => &[CATEGORY],
            Self::User => &[USER],
        };
        let named_members = tables.iter().flat_map(|table| table.iter());
        let mut members: Vec<_> = named_members.map(|m| named(m.name, m.target, m.filterable)).collect();
        if matches!(self, Self::Beta | Self::V1) {
            let texts = Text::ALL.into_iter().filter(|text| self == Self::Beta || Shape::V1.has(*text));
            members.extend(texts.map(|text| {
                let unlisted =
                    matches!(text, Text::Title | Text::YomiGivenName | Text::YomiSurname | Text::YomiCompanyName);
                named(text.json(), ModelTarget::Text(Property::Text(text)), !unlisted)
            }));
        }
        members
    }

    /// Whether the other shape of the contact has a property of this name.
    pub(super) fn other_shape_has(self, name: &str) -> bool {
        let other = match self {
            Self::Beta => Self::V1,
            Self::V1 => Self::Beta,
            Self::Folder | Self::Category | Self::User => return false,
        };
        other.members().iter().any(|member| member.name.eq_ignore_ascii_case(name))
    }

    /// The message for an unknown name.
    pub(super) fn unknown_property(self, name: &str, type_name: &str, members: &[ModelProperty]) -> String {
        let shown = shorten(name);
        let message = format!("Could not find a property named '{shown}' on type '{type_name}'.");
        let near = members.iter().map(|member| (distance(name, member.name), member.name)).min();
        let hint = match near.filter(|(distance, _)| *distance <= 2) {
            _ if self.other_shape_has(name) => " The other version of this API has it.".to_owned(),
            Some((_, near)) => format!(" Did you mean '{near}'?"),
            None => {
                let names = members.iter().map(|member| member.name).collect::<Vec<_>>();
                format!(" Known properties: {}.", names.join(", "))
            }
        };
        message + &hint
    }

    /// The message for a path that is not a collection.
    pub(super) fn not_a_collection(self, names: &[String]) -> String {
        let members = self.members();
        let lists =
            members.iter().filter(|member| matches!(member.target, ModelTarget::List(_))).map(|member| member.name);
        let (names, lists) = (shorten(&names.join("/")), lists.collect::<Vec<_>>().join(", "));
        format!("'{names}' is not a collection. The collections are {lists}.")
    }

    /// The members of a complex value.
    pub(super) fn members_of(self, complex: ModelComplex) -> Vec<ModelProperty> {
        let (table, property): (EntryTable, &dyn Fn(usize) -> Property) = match complex {
            ModelComplex::Flag => return FLAG.iter().map(|m| named(m.name, m.target, true)).collect(),
            ModelComplex::FlagTime(i) => {
                let member = |name, j| named(name, ModelTarget::Text(Property::FlagTime(2 * i + j)), true);
                return vec![member("dateTime", 0), member("timeZone", 1)];
            }
            ModelComplex::View(view) => {
                return vec![
                    named("id", ModelTarget::ViewId(view), true),
                    named("value", ModelTarget::View(view), true),
                ];
            }
            ModelComplex::Variable(
                depth,
                table @ (EntryTable::Extensions | EntryTable::SingleValues(_) | EntryTable::Multi(_)),
            ) => {
                let id = ModelTarget::Id(Id::Entry(depth, table));
                let (name, second) = match table {
                    EntryTable::Multi(owner) => (
                        "value",
                        ModelTarget::List(EntryList { within: Some(depth), ..entries(EntryTable::MultiValues(owner)) }),
                    ),
                    EntryTable::Extensions => ("extensionName", id),
                    _ => ("value", ModelTarget::Text(Property::Variable(depth, table, 0))),
                };
                return vec![named("id", id, true), named(name, second, true)];
            }
            ModelComplex::Entry(list, nth) => (list.table, &move |member| Property::Entry(list, nth, member)),
            ModelComplex::Variable(depth, table) => (table, &move |member| Property::Variable(depth, table, member)),
        };
        let shown = |name: &str| self == Self::Beta || !matches!(name, "type" | "otherLabel" | "postOfficeBox");
        let members = table.members().unwrap_or_default().iter().enumerate();
        let members = members.filter(|(_, member)| shown(member.json));
        members
            .map(|(i, member)| {
                let target = match member.members {
                    [] => ModelTarget::Text(property(i)),
                    members => ModelTarget::Enum(property(i), enumeration(table), members),
                };
                named(member.json, target, true)
            })
            .collect()
    }
}

/// The edit distance of two names, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let changed = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
